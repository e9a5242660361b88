//! `verify bugs`.

use cirrus_verification::bugs::{ALL, CONSEQUENCES, Hunt, Seeded};

use super::at_once;

pub(crate) fn run(bug: Option<&str>) -> Result<(), String> {
    let chosen = |all: &[Seeded]| -> Vec<Seeded> {
        all.iter().filter(|it| bug.is_none_or(|bug| format!("{:?}", it.bug) == bug)).copied().collect()
    };
    let (bugs, consequences) = (chosen(ALL), chosen(CONSEQUENCES));
    if bugs.is_empty() {
        return Err(format!("there is no bug '{}'; `verify bugs` lists them", bug.unwrap_or_default()));
    }
    let mut faults = Vec::new();
    let caught = table("bug", &bugs, Seeded::hunt, &mut faults)?;
    println!("{} bugs, {caught} caught by the rule they name\n", bugs.len());
    let caught = table("consequence of", &consequences, Seeded::hunt_alone, &mut faults)?;
    println!("{} consequences, {caught} caught by a rule over the whole", consequences.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nerror: ")) }
}

/// Hunts them, a line each; how many were caught.
fn table(
    title: &str,
    hunted: &[Seeded],
    hunt: fn(Seeded) -> Result<Hunt, String>,
    faults: &mut Vec<String>,
) -> Result<usize, String> {
    println!("{title:<24} {:<16} {:>5}  {:<4} caught by", "world", "steps", "");
    let hunts = at_once(hunted, |seeded| hunt(*seeded).inspect(|hunt| print_line(*seeded, hunt)));
    let mut caught = 0;
    for (seeded, hunt) in hunted.iter().zip(hunts) {
        if hunt?.caught() {
            caught += 1;
        } else {
            faults.push(format!("{:?} was not caught by '{}'", seeded.bug, seeded.rule.name));
        }
    }
    Ok(caught)
}

fn print_line(seeded: Seeded, hunt: &Hunt) {
    let name = format!("{:?}", seeded.bug);
    let steps = hunt.failure.as_ref().map_or(0, |failure| failure.steps.len());
    let (promise, verdict) = match hunt {
        hunt if hunt.caught() => (seeded.rule.promise, seeded.rule.name.to_owned()),
        Hunt { failure: None, .. } => ("", "NOTHING".to_owned()),
        Hunt { failure: Some(failure), .. } => {
            let names: Vec<&str> = failure.broken.iter().map(|broken| broken.rule.name).collect();
            ("", format!("only by {}, not by '{}'", names.join(", "), seeded.rule.name))
        }
    };
    println!("{name:<24} {:<16} {steps:>5}  {promise:<4} {verdict}", seeded.world);
}

//! `verify bugs`.

use cirrus_verification::bugs::{ALL, Hunt};

pub(crate) fn run() -> Result<(), String> {
    println!("{:<24} {:<15} {:>5}  {:<4} caught by", "bug", "world", "steps", "");
    let mut faults = Vec::new();
    for seeded in ALL {
        let hunt = seeded.hunt()?;
        let name = format!("{:?}", seeded.bug);
        let steps = hunt.failure.as_ref().map_or(0, |failure| failure.steps.len());
        let (promise, verdict) = match &hunt {
            hunt if hunt.caught() => (seeded.rule.promise, seeded.rule.name.to_owned()),
            Hunt { failure: None, .. } => ("", "NOTHING".to_owned()),
            Hunt { failure: Some(failure), .. } => {
                let names: Vec<&str> = failure.broken.iter().map(|broken| broken.rule.name).collect();
                ("", format!("only by {}, not by '{}'", names.join(", "), seeded.rule.name))
            }
        };
        println!("{name:<24} {:<15} {steps:>5}  {promise:<4} {verdict}", seeded.world);
        if !hunt.caught() {
            faults.push(format!("{name} was not caught by '{}'", seeded.rule.name));
        }
    }
    println!("\n{} bugs, {} caught by the rule they name", ALL.len(), ALL.len() - faults.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nerror: ")) }
}

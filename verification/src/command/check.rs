//! `verify check` and `verify explore`.

use std::time::Instant;

use cirrus_verification::check::Outcome;
use cirrus_verification::tally::Tally;
use cirrus_verification::worlds::{self, World};

use super::{at_once, print_rules};

pub(crate) fn run(name: Option<&str>, deep: bool) -> Result<(), String> {
    let began = Instant::now();
    let chosen: Vec<World> = worlds::all()
        .into_iter()
        .filter(|world| name.map_or(world.deep == deep, |name| world.name == name))
        .collect();
    if chosen.is_empty() {
        return Err(no_world(name.unwrap_or_default()));
    }
    println!(
        "{:<15} {:>10} {:>12} {:>6} {:>8} {:>5}  bounds",
        "world", "unique", "total", "depth", "seconds", "ways"
    );
    let outcomes = at_once(&chosen, |world| {
        let outcome = world.check();
        print_line(world, &outcome);
        outcome
    });
    let mut faults = Vec::new();
    let mut tally = Tally::default();
    let mut unique = 0;
    for (world, outcome) in chosen.iter().zip(&outcomes) {
        tally.merge(&outcome.tally);
        unique += outcome.unique;
        faults.extend(judge(world, outcome));
    }
    print_witnesses(&chosen, &outcomes);
    print_rules(&tally);
    if name.is_none() && !deep {
        faults.extend(tally.vacuous().into_iter().map(|(part, rule)| {
            format!("the rule '{}' ({} of {}) never held anywhere", rule.name, rule.promise, part.name())
        }));
    }
    println!(
        "\n{} worlds, {unique} unique states, {:.0} s; \"ways\" is the most fair steps from any state to a good end",
        chosen.len(),
        began.elapsed().as_secs_f64()
    );
    if chosen.iter().any(|world| world.deep) {
        println!(
            "in deep worlds it was checked in one state of {} that it ends well",
            worlds::DEEP_HEALS_ONE_IN
        );
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nerror: ")) }
}

fn no_world(name: &str) -> String {
    let names: Vec<&str> = worlds::all().iter().map(|world| world.name).collect();
    format!("there is no world '{name}'; there are {}", names.join(", "))
}

fn print_line(world: &World, outcome: &Outcome) {
    println!(
        "{:<15} {:>10} {:>12} {:>6} {:>8.1} {:>5}  {}: {}",
        world.name,
        outcome.unique,
        outcome.total,
        outcome.depth,
        outcome.took.as_secs_f64(),
        outcome.longest_way,
        world.about,
        world.bounds()
    );
}

fn print_witnesses(worlds: &[World], outcomes: &[Outcome]) {
    println!("\n{:<15} {:<46} {:>12}", "world", "witness", "states");
    for (world, outcome) in worlds.iter().zip(outcomes) {
        for (name, seen) in &outcome.witnesses {
            println!("{:<15} {name:<46} {seen:>12}", world.name);
        }
        for (kind, taken) in &outcome.kinds {
            println!("{:<15} step: {kind:<40} {taken:>12}", world.name);
        }
    }
}

/// What is wrong with a run.
fn judge(world: &World, outcome: &Outcome) -> Vec<String> {
    let name = world.name;
    let mut faults = Vec::new();
    if let Some(failure) = &outcome.failure {
        let broken: Vec<String> = failure
            .broken
            .iter()
            .map(|broken| format!("{} ({}): {}", broken.rule.promise, broken.rule.name, broken.detail))
            .collect();
        faults.push(format!("{name}: broken: {}\n  {}", broken.join("; "), failure.steps.join("\n  ")));
        return faults;
    }
    if outcome.cut {
        faults.push(format!("{name}: cut at the limit of states: it has shown nothing"));
        return faults;
    }
    let missing = outcome.witnesses.iter().filter(|(_, seen)| *seen == 0);
    faults.extend(missing.map(|(witness, _)| format!("{name}: never seen: {witness}")));
    faults.extend(outcome.missing_kinds.iter().map(|kind| format!("{name}: never taken: {kind}")));
    let golden = world.golden;
    if (outcome.unique, outcome.depth) != (golden.unique, golden.depth) {
        faults.push(format!(
            "{name}: {} unique states, depth {}; expected {} and {}: if that was meant, write it into the world",
            outcome.unique, outcome.depth, golden.unique, golden.depth
        ));
    }
    faults
}

pub(crate) fn explore(name: &str, address: &str) -> Result<(), String> {
    let worlds = worlds::all();
    let world = worlds.iter().find(|world| world.name == name).ok_or_else(|| no_world(name))?;
    println!("serving {name} at http://{address}; Ctrl-C ends it");
    world.explore(address);
    Ok(())
}

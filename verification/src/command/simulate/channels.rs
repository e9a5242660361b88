//! `verify simulate --members`: channels.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cirrus_core::bug::Bugs;
use cirrus_verification::simulator::channel::{
    self, Asked, CANNOT_ARISE, Failed, OF_CHANNELS, Report, shrink,
};
use cirrus_verification::zip::Fault;

use crate::command::{at_once, print_rules_of};

pub(crate) fn run(
    first: u64,
    members: u32,
    steps: u64,
    seeds: u64,
    only: Option<&str>,
) -> Result<(), String> {
    let only = only.map(incidents).transpose()?;
    let began = Instant::now();
    let seeds: Vec<u64> = (first..first.saturating_add(seeds.max(1))).collect();
    let ask = |seed: &u64| Asked { seed: *seed, members, steps, only: only.clone(), bugs: Bugs::default() };
    let failed = AtomicBool::new(false);
    let reports = at_once(&seeds, |seed| {
        // What has failed is to be looked at first.
        (!failed.load(Ordering::Relaxed)).then(|| {
            let report = channel::run(&ask(seed));
            match &report {
                Ok(report) => print_report(*seed, report),
                Err(_) => failed.store(true, Ordering::Relaxed),
            }
            report
        })
    });
    let mut all = Report::default();
    for (seed, report) in seeds.iter().zip(reports) {
        if let Some(report) = report {
            all.merge(&report.map_err(|failed| explain(&ask(seed), &failed))?);
        }
    }
    let took = began.elapsed().as_secs_f64().max(1e-9);
    print_campaign(&all, &seeds, took);
    // A part of a run shows what it shows.
    if only.is_some() { Ok(()) } else { whole(&all) }
}

fn incidents(only: &str) -> Result<BTreeSet<channel::Incident>, String> {
    let numbers = only.split(',').filter(|_| only != "none").map(|number| {
        number.trim().parse().map_err(|_| format!("'{number}' is not the number of an incident"))
    });
    numbers.collect()
}

fn print_report(seed: u64, report: &Report) {
    println!(
        "seed {seed}: {} members, {} broadcasts, {} faults, {} events, trace {:016x}",
        report.members,
        report.broadcasts,
        report.faults.values().sum::<u64>(),
        report.events,
        report.trace
    );
}

fn print_campaign(all: &Report, seeds: &[u64], took: f64) {
    println!("\n{:<46} {:>12}", "fault", "struck");
    for fault in Fault::ALL {
        println!("{:<46} {:>12}", fault.name(), all.faults.get(&fault).copied().unwrap_or(0));
    }
    print_rules_of(&all.tally, OF_CHANNELS);
    for (rule, why) in CANNOT_ARISE {
        println!("not asked of a campaign: '{}', {why}", rule.name);
    }
    let (controller, whole) = all.controller;
    println!(
        "\nseeds {} to {}, {} members, {} broadcasts, {} values for reduces, {} calls for shuffles, {} for \
         messages, {} faults, {} times quiet; healing took at most {} per mille \
         of the time that it may take, and {} of the events",
        seeds.first().copied().unwrap_or_default(),
        seeds.last().copied().unwrap_or_default(),
        all.members,
        all.broadcasts,
        all.reduces,
        all.shuffles,
        all.messages,
        all.faults.values().sum::<u64>(),
        all.quiet,
        all.healing.0,
        all.healing.1,
    );
    println!(
        "rules that go through all members were asked at {whole} of {controller} steps of the controller, and when it \
         was quiet; all other rules of a machine at each of its steps"
    );
    println!("{} events in {took:.1} s, {:.0} events a second", all.events, all.events as f64 / took);
}

/// Nothing is missing that a campaign must show.
fn whole(all: &Report) -> Result<(), String> {
    let faults = all.missing_faults().into_iter().map(|fault| format!("'{}' never struck", fault.name()));
    let rules =
        all.vacuous().into_iter().map(|rule| format!("the rule '{}' was never put to the test", rule.name));
    let missing: Vec<String> = faults.chain(rules).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("{}; take more members or seeds", missing.join("\nerror: ")))
    }
}

fn explain(asked: &Asked, failed: &Failed) -> String {
    let said = say(failed);
    eprintln!("{asked}: {said}\nlooking for a smaller run that fails in the same way ...");
    let (smaller, last) = shrink::shrink(asked, failed);
    format!(
        "seed {}, event {}: {said}\nrepeat it with: verify simulate {asked}\n\nsmaller, event {}: {}\n  {}\nrepeat it \
         with: verify simulate {smaller}",
        asked.seed,
        failed.event,
        last.event,
        say(&last),
        last.last.join("\n  "),
    )
}

fn say(failed: &Failed) -> String {
    let broken = failed
        .broken
        .iter()
        .map(|broken| format!("\n{} ({}): {}", broken.rule.promise, broken.rule.name, broken.detail));
    format!("{}{}", failed.what, broken.collect::<String>())
}

//! `verify simulate`: jobs.

use std::time::Instant;

use cirrus_verification::cluster::Fault;
use cirrus_verification::simulator::job::{self, Report};

use crate::command::print_rules;

pub(crate) fn run(seed: u64, steps: u64, seeds: u64) -> Result<(), String> {
    let began = Instant::now();
    let mut all = Report::default();
    for seed in seed..seed.saturating_add(seeds.max(1)) {
        let report = job::run(seed, steps).map_err(|failed| {
            let broken = failed.broken.iter().map(|broken| {
                format!("\n{} ({}): {}", broken.rule.promise, broken.rule.name, broken.detail)
            });
            format!(
                "seed {seed}, step {}:{}\n  {}\nrepeat it with: verify simulate --seed {seed} --steps {steps}",
                failed.step,
                broken.collect::<String>(),
                failed.last.join("\n  ")
            )
        })?;
        println!(
            "seed {seed}: {} steps, {} jobs, {} workers, trace {:016x}",
            report.steps, report.jobs, report.workers, report.trace
        );
        all.steps += report.steps;
        all.tally.merge(&report.tally);
        for (fault, count) in report.faults {
            *all.faults.entry(fault).or_default() += count;
        }
    }
    println!("\n{:<46} {:>12}", "fault", "struck");
    for fault in Fault::ALL {
        println!("{:<46} {:>12}", fault.name(), all.faults.get(&fault).copied().unwrap_or(0));
    }
    print_rules(&all.tally);
    println!("\n{:.0} steps a second", all.steps as f64 / began.elapsed().as_secs_f64().max(1e-9));
    let faults = all.missing_faults().into_iter().map(|fault| format!("'{}' never struck", fault.name()));
    // What one machine promises is put to the test by its own worlds, down to the rarest case; here it is the
    // promises that only several machines together show.
    let vacuous = all.vacuous().into_iter().filter(|(part, _)| part.name() == "cluster");
    let rules = vacuous.map(|(_, rule)| format!("the rule '{}' was never put to the test", rule.name));
    let missing: Vec<String> = faults.chain(rules).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("{}; take more steps or seeds", missing.join("\nerror: ")))
    }
}

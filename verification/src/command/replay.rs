//! `verify replay`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use cirrus_protocol::recording::Header;
use cirrus_verification::replay::{Played, Report, replay};
use cirrus_verification::tally::{Count, Part, Tally};

/// Whose rules are asked of recordings.
const PLAYED: &[Part] = &[Part::Directory, Part::Controller, Part::Member, Part::Messages, Part::Shuffle];

pub(crate) fn run(files: &[PathBuf], events: bool) -> Result<(), String> {
    let (mut tally, mut faults) = (Tally::default(), Vec::new());
    let (mut machines, mut played) = (0, 0);
    for file in files {
        match one(file, events) {
            Ok(report) => {
                print_report(file, &report);
                tally.merge(&report.tally);
                machines += report.machines.len();
                played += events_of(&report);
            }
            Err(fault) => {
                println!("{}: rejected", file.display());
                faults.push(fault);
            }
        }
    }
    print_held(&tally);
    let whole = files.len() - faults.len();
    println!("\n{whole} of {} recordings replayed: {machines} machines, {played} events", files.len());
    if faults.is_empty() {
        println!("no difference, and no rule is broken");
        Ok(())
    } else {
        Err(faults.join("\nerror: "))
    }
}

fn one(file: &Path, events: bool) -> Result<Report, String> {
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut see = |step: &Played<'_>| {
        if events {
            let Played { line, us, made, event, effects } = step;
            let ms = *us as f64 / 1e3;
            println!("{}:{line}: {ms:.3} ms, {made}: {event}, {effects} effects", file.display());
        }
    };
    replay(BufReader::new(opened), &mut see)
        .map_err(|rejected| format!("{}:{}: {rejected}", file.display(), rejected.line))
}

/// The rules that had something to say.
fn print_held(tally: &Tally) {
    println!("\n{:<8} {:<4} {:<58} {:>9} {:>9} {:>7}", "machine", "", "rule", "holds", "idle", "broken");
    let counts =
        PLAYED.iter().flat_map(|part| tally.part(*part).iter().map(move |count| (part.name(), count)));
    let (asked, not): (Vec<_>, Vec<_>) = counts.partition(|(_, count)| count.holds + count.broken > 0);
    for (part, Count { rule, idle, holds, broken }) in asked {
        println!("{part:<8} {:<4} {:<58} {holds:>9} {idle:>9} {broken:>7}", rule.promise, rule.name);
    }
    println!(
        "{} more rules were asked, and had nothing to say",
        not.iter().filter(|(_, it)| it.idle > 0).count()
    );
}

fn events_of(report: &Report) -> u64 {
    report.machines.iter().map(|machine| machine.events).sum()
}

fn print_report(file: &Path, report: &Report) {
    let Header { cirrus, process, .. } = &report.header;
    let seconds = report.us as f64 / 1e6;
    println!(
        "{}: process {process} of cirrus {cirrus}, {} events in {seconds:.3} s",
        file.display(),
        events_of(report)
    );
    let here = env!("CARGO_PKG_VERSION");
    if cirrus != here {
        println!(
            "  these machines are of cirrus {here}: what they answer otherwise may have been changed since"
        );
    }
    for machine in &report.machines {
        println!("  {:<28} {:>8} events {:>8} effects", machine.made, machine.events, machine.effects);
    }
    if report.cut {
        println!("  the last line is not whole: the process ended while it wrote it");
    }
}

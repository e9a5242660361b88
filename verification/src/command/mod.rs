//! What `verify` prints.

pub(crate) mod bugs;
pub(crate) mod check;
pub(crate) mod simulate;

use cirrus_verification::tally::{Part, Tally};

/// The verdicts of all rules, a line each.
fn print_rules(tally: &Tally) {
    print_rules_of(tally, &Part::ALL);
}

/// The verdicts of these machines' rules.
fn print_rules_of(tally: &Tally, parts: &[Part]) {
    println!("\n{:<8} {:<4} {:<46} {:>12} {:>12} {:>7}", "machine", "", "rule", "holds", "idle", "broken");
    for part in parts {
        for count in tally.part(*part) {
            println!(
                "{:<8} {:<4} {:<46} {:>12} {:>12} {:>7}",
                part.name(),
                count.rule.promise,
                count.rule.name,
                count.holds,
                count.idle,
                count.broken
            );
        }
    }
}

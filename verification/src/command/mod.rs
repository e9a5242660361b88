//! What `verify` prints.

pub(crate) mod bugs;
pub(crate) mod check;
pub(crate) mod replay;
pub(crate) mod simulate;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use cirrus_verification::tally::{Part, Tally};

/// What is done at the same time, one thing a thread: a second thread in one world, or in one seed, gains nothing.
const AT_ONCE: usize = 2;

/// Does all of it, the first first; the results in the order of the list.
fn at_once<T: Sync, R: Send>(list: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let todo: Mutex<VecDeque<usize>> = Mutex::new((0..list.len()).collect());
    let done: Vec<Mutex<Option<R>>> = list.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    // The lock is let go before the work.
                    let place = todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(place) = place else { return };
                    let (Some(it), Some(slot)) = (list.get(place), done.get(place)) else { return };
                    let result = one(it);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let results = done.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    // The scope ends when all is done.
    results.flatten().collect()
}

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

//! The simulator of channels itself: a seed is a run, what must be seen is seen, and a bug ends it.

use cirrus_core::bug::Bug;
use cirrus_core::controller;

use super::shrink::shrink;
use super::*;

fn asked(seed: u64, members: u32, bugs: Bugs) -> Asked {
    Asked { seed, members, steps: 20_000, only: None, bugs }
}

/// How a run ends, to compare it with another.
fn end(asked: &Asked) -> (u64, u64) {
    match run(asked) {
        Ok(report) => (report.events, report.trace),
        Err(failed) => (failed.event, 0),
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let ends: Vec<(u64, u64)> = (1..=12).map(|seed| end(&asked(seed, 40, Bugs::default()))).collect();
    let again: Vec<(u64, u64)> = (1..=12).map(|seed| end(&asked(seed, 40, Bugs::default()))).collect();
    assert_eq!(ends, again);
    let different: BTreeSet<&(u64, u64)> = ends.iter().collect();
    assert_eq!(different.len(), ends.len());
    assert!(ends.iter().any(|(_, trace)| *trace > 0));
}

#[test]
fn without_incidents_it_joins_and_proves_itself() {
    let calm = Asked { only: Some(BTreeSet::new()), ..asked(7, 200, Bugs::default()) };
    let report = run(&calm).unwrap();
    assert!(report.faults.is_empty() && report.broadcasts == 1 && report.quiet > 1, "{report:?}");
}

#[test]
fn a_campaign_sees_every_fault_and_tests_every_rule() {
    let mut all = Report::default();
    for seed in 1..=300 {
        all.merge(&run(&asked(seed, 40, Bugs::default())).unwrap());
    }
    assert_eq!(all.missing_faults(), []);
    assert_eq!(all.vacuous(), []);
    let (steps, whole) = all.controller;
    assert!(whole > 0 && whole <= steps);
}

/// The first seed that breaks this rule with the bug on, cut down.
fn caught(bug: Bug, rule: RuleName) -> (Asked, Box<Failed>) {
    let bugs = Bugs::only(bug);
    let seeds = (1..=60).map(|seed| asked(seed, 30, bugs));
    let broken = |failed: &Failed| failed.broken.first().is_some_and(|it| it.rule == rule);
    let found =
        seeds.filter_map(|asked| run(&asked).err().filter(|it| broken(it)).map(|it| (asked, it))).next();
    let (asked, failed) = found.unwrap();
    let (smaller, last) = shrink(&asked, &failed);
    assert!(broken(&last) && last.event <= failed.event && last.last.len() > 2, "{last:?}");
    assert!(smaller.only.is_some());
    (smaller, last)
}

#[test]
fn a_planted_bug_of_a_member_ends_the_run() {
    caught(Bug::FloorTooEarly, member::rules::FLOOR_WHOLE);
}

#[test]
fn a_planted_bug_of_the_controller_ends_the_run() {
    let (smaller, last) = caught(Bug::RosterKeepsDead, controller::rules::ROSTER_EXACT);
    // Somebody must be gone, and that is all.
    assert!(last.happened.len() <= 2, "{smaller}: {last:?}");
    caught(Bug::FencedNotTold, controller::rules::FENCED_TOLD);
}

#[test]
fn what_is_asked_is_said_as_options() {
    let all = asked(3, 9, Bugs::default());
    assert_eq!(all.to_string(), "--seed 3 --members 9 --steps 20000");
    let some = Asked { only: Some([4, 170].into()), ..all.clone() };
    assert_eq!(some.to_string(), "--seed 3 --members 9 --steps 20000 --only 4,170");
    let none = Asked { only: Some(BTreeSet::new()), ..all };
    assert_eq!(none.to_string(), "--seed 3 --members 9 --steps 20000 --only none");
}

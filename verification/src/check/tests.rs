//! The checker itself: it sees every state, it does not pass what it did not finish, and it tells what it found.

use std::collections::{BTreeSet, VecDeque};

use cirrus_core::bug::{Bug, Bugs};
use cirrus_core::store::Event;

use super::*;
use crate::cluster::{Action, Fault};
use crate::digest;
use crate::system::Witness;
use crate::worlds::Job;
use crate::worlds::job::tiny;

const WHOLE: Limits = Limits { states_max: 1_000_000, heals_one_in: 1, only: None };

fn tiny_with(faults: &[Fault]) -> Job {
    let mut job = tiny(Bugs::default());
    job.setup.faults = faults.iter().map(|fault| (*fault, 1)).collect();
    job
}

/// States are compared whole, by the text of all their fields, where the checker compares 64 bits of a hash.
#[test]
fn the_checker_sees_the_states_that_a_search_without_hashes_sees() {
    for faults in [&[][..], &[Fault::CrashWorker], &[Fault::BreakStore, Fault::Late]] {
        let job = tiny_with(faults);
        let first = job.initial(&mut Tally::default());
        let mut seen = BTreeSet::from([format!("{first:?}")]);
        let mut digests = BTreeSet::from([digest::of(&first)]);
        let mut queue = VecDeque::from([first]);
        let mut total = 1;
        while let Some(state) = queue.pop_front() {
            for action in job.enabled(&state) {
                let mut next = state.clone();
                job.apply(&mut next, &action, None);
                total += 1;
                digests.insert(digest::of(&next));
                if seen.insert(format!("{next:?}")) {
                    queue.push_back(next);
                }
            }
        }
        let outcome = check(job, WHOLE);
        assert_eq!((outcome.unique, outcome.total), (seen.len() as u64, total));
        assert_eq!(digests.len(), seen.len());
        assert!(!outcome.cut && outcome.failure.is_none() && outcome.longest_way > 10);
        assert_eq!(outcome.missing_kinds, [""; 0]);
    }
}

#[test]
fn a_run_that_hits_the_cap_says_so() {
    assert!(check(tiny_with(&[Fault::CrashWorker]), Limits { states_max: 50, ..WHOLE }).cut);
}

#[test]
fn a_way_longer_than_the_bound_fails_and_the_bound_is_tight() {
    let longest = check(tiny_with(&[]), WHOLE).longest_way;
    let bounded = |steps_max| check(Job { steps_max, ..tiny_with(&[]) }, WHOLE);
    assert!(bounded(longest).failure.is_none());
    let failure = bounded(longest - 1).failure.unwrap();
    assert_eq!(failure.broken.iter().map(|broken| broken.rule).collect::<Vec<_>>(), [HEALS]);
}

/// The worker forgets an update whose connection broke; nothing else is wrong, and nobody says so but the end.
#[test]
fn a_job_that_hangs_comes_to_no_good_end() {
    let ends_well = |bugs| {
        let mut job = tiny(bugs);
        job.setup.faults = [(Fault::BreakStore, 1)].into();
        let mut state = job.initial(&mut Tally::default());
        let fault = loop {
            let faults: Vec<Action> = state.enabled().into_iter().filter(|it| it.fault().is_some()).collect();
            let pushed =
                state.workers.values().any(|it| matches!(it.link.up.front(), Some(Event::Push { .. })));
            if let (true, [fault]) = (pushed, &faults[..]) {
                break *fault;
            }
            let action = job.fair(&state).unwrap();
            job.apply(&mut state, &action, None);
        };
        job.apply(&mut state, &fault, None);
        while let Some(action) = job.fair(&state) {
            job.apply(&mut state, &action, None);
        }
        job.end(&state).unwrap().good
    };
    assert!(ends_well(Bugs::default()));
    assert!(!ends_well(Bugs::only(Bug::UpdateNotResent)));
}

#[test]
fn a_counterexample_can_be_read_and_is_a_shortest_one() {
    let outcome = check(tiny(Bugs::only(Bug::DoneBeforeAcknowledged)), WHOLE);
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.broken.first().unwrap().rule, cirrus_core::worker::rules::DONE_IS_ACKNOWLEDGED);
    assert_eq!(failure.steps.last().unwrap().split('(').next(), Some("Work"), "{:?}", failure.steps);
    assert!(failure.steps.len() < outcome.depth as usize + 1);
}

/// Two numbers that count up to three.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numbers {
    /// Nothing is wrong.
    Right,
    /// Two and one panics.
    Panic,
    /// The fair way goes no further than two and one.
    Hang,
}

impl System for Numbers {
    type State = (u8, u8);
    type Action = bool;

    fn initial(&self, _: &mut Tally) -> (u8, u8) {
        (0, 0)
    }

    fn enabled(&self, state: &(u8, u8)) -> Vec<bool> {
        [(true, state.0), (false, state.1)]
            .into_iter()
            .filter(|(_, at)| *at < 3)
            .map(|(first, _)| first)
            .collect()
    }

    fn apply(&self, state: &mut (u8, u8), first: &bool, _: Option<&mut Tally>) {
        *(if *first { &mut state.0 } else { &mut state.1 }) += 1;
        assert!(*self != Self::Panic || *state != (2, 1), "two and one");
    }

    fn broken(&self, _: &(u8, u8), _: &mut Tally) -> Vec<Broken> {
        Vec::new()
    }

    fn fair(&self, state: &(u8, u8)) -> Option<bool> {
        let hangs = *self == Self::Hang && *state == (2, 1);
        self.enabled(state).into_iter().find(|_| !hangs)
    }

    fn end(&self, state: &(u8, u8)) -> Option<End> {
        Some(End { good: *state == (3, 3), steps_max: 6 })
    }

    fn witnesses(&self) -> &'static [Witness<(u8, u8)>] {
        &[Witness { name: "both are three", seen: |state| *state == (3, 3) }]
    }

    fn kind(&self, _: &bool) -> &'static str {
        "up"
    }

    fn kinds(&self) -> Vec<&'static str> {
        vec!["up", "down"]
    }

    fn describe(&self, _: &(u8, u8), first: &bool) -> String {
        format!("up {first}")
    }

    fn bounds(&self) -> String {
        "up to three".to_owned()
    }
}

#[test]
fn a_panic_is_found_with_its_words_and_its_way() {
    let failure = check(Numbers::Panic, WHOLE).failure.unwrap();
    assert_eq!(failure.broken.first().unwrap().rule, NO_PANIC);
    assert_eq!(failure.steps.len(), 4);
    assert_eq!(failure.steps.last().unwrap(), "panic: two and one");
}

#[test]
fn what_hangs_does_not_heal() {
    let failure = check(Numbers::Hang, WHOLE).failure.unwrap();
    assert_eq!(failure.broken.first().unwrap().rule, HEALS);
    // The fair way from the start leads past it; from none and one it leads there.
    assert_eq!(failure.steps, ["up false"]);
}

#[test]
fn witnesses_and_missing_kinds_are_told() {
    let outcome = check(Numbers::Right, WHOLE);
    assert_eq!((outcome.unique, outcome.witnesses), (16, vec![("both are three", 1)]));
    assert_eq!(outcome.missing_kinds, ["down"]);
}

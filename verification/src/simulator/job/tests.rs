//! The simulator itself: the same seed is the same run, different seeds are not, and what must be seen is seen.

use cirrus_core::bug::{Bug, Bugs};

use super::*;

#[test]
fn the_same_seed_is_the_same_run() {
    let [first, again, other] = [7, 7, 8].map(|seed| run(seed, 4000).unwrap());
    assert_eq!((first.trace, first.steps, first.faults), (again.trace, again.steps, again.faults));
    assert_ne!(first.trace, other.trace);
}

#[test]
fn a_campaign_sees_every_fault_and_tests_every_rule() {
    let report = run(1, 60_000).unwrap();
    assert_eq!(report.missing_faults(), []);
    let vacuous: Vec<_> = report.vacuous().into_iter().filter(|(part, _)| *part == Part::Cluster).collect();
    assert_eq!(vacuous, []);
    assert!(report.jobs > 5);
}

#[test]
fn a_planted_bug_ends_the_run() {
    let mut random = Random::new(3);
    let mut setup = swarm::setup(&mut random);
    setup.worker.bugs = Bugs::only(Bug::DoneBeforeAcknowledged);
    let mut episode = Episode::new(setup, &mut random);
    let failed = episode.run(&mut Report::default(), &mut Digest::default()).unwrap_err();
    assert!(!failed.broken.is_empty() && failed.last.len() > 2, "{failed:?}");
}

#[test]
fn random_numbers_stay_as_they_are() {
    let mut random = Random::new(0);
    assert_eq!([random.draw(), random.draw()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    assert!((0..1000).all(|_| random.between(3, 5) >= 3 && random.between(3, 5) <= 5));
}

//! Every bug is hunted and caught, and every rule catches something.

use std::collections::BTreeSet;

use super::*;
use crate::tally::Part;

/// Rules that no seeded bug is caught by alone; tests break each of them by hand.
const BY_HAND: &[&str] = &[
    "the version counts the applied",
    "the version never falls",
    "a block is pending or leased, not both",
    "no block is idle while one is wanted",
    "leases of a worker are bounded",
    "a dead worker's blocks are leased again",
    "no more slots than allowed",
    "who ends is fenced",
    "a stop kills what lives",
    "requests carry the session's epoch",
    "versions seen never go back",
];

#[test]
fn every_bug_is_caught_by_the_rule_it_names() {
    for seeded in ALL {
        let hunt = seeded.hunt().unwrap();
        assert!(hunt.caught(), "{:?}: {:?}", seeded.bug, hunt.failure);
    }
}

#[test]
fn every_bug_of_core_is_hunted() {
    let source = include_str!("../../../core/src/bug.rs");
    let body = source.split_once("pub enum Bug {").unwrap().1.split_once("\n}").unwrap().0;
    let variants = body.lines().map(str::trim).filter_map(|line| line.strip_suffix(','));
    let variants: BTreeSet<&str> = variants.filter(|line| !line.starts_with("//")).collect();
    let hunted: BTreeSet<String> = ALL.iter().map(|seeded| format!("{:?}", seeded.bug)).collect();
    assert_eq!(hunted.iter().map(String::as_str).collect::<BTreeSet<_>>(), variants);
    assert!(variants.len() >= 12);
}

#[test]
fn every_rule_of_a_machine_catches_a_bug_or_is_broken_by_hand() {
    let machines = Part::ALL.into_iter().filter(|part| *part != Part::Cluster);
    let rules: BTreeSet<&str> = machines.flat_map(Part::rules).map(|rule| rule.name).collect();
    let caught = ALL.iter().map(|seeded| seeded.rule.name).filter(|name| rules.contains(name));
    let tested: BTreeSet<&str> = caught.chain(BY_HAND.iter().copied()).collect();
    assert_eq!(rules, tested);
}

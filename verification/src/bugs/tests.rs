//! Every bug is on the list that `verify bugs` hunts, and every rule catches something there.

use std::collections::BTreeSet;

use super::*;
use crate::tally::Part;

/// Rules that no bug here comes to break, since something else stands before them; their tests break them by hand.
///
/// Each life of the store has connections of its own, and the fleet ends a predecessor before its successor asks. The
/// shape of a tree is arithmetic. A member cannot help delivering in order, and what would make two members differ is
/// caught where it begins.
const BY_HAND: &[RuleName] = &[
    p3::EPOCH_TOLD.name,
    j1::LEASES_ONE_LIFE.name,
    controller::rules::DEGREE,
    controller::rules::DEPTH,
    zip::IN_ORDER.name,
    zip::SAME.name,
    zip::ANSWERED.name,
];

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
fn every_rule_catches_a_bug() {
    let rules: BTreeSet<&str> = Part::ALL.into_iter().flat_map(Part::rules).map(|rule| rule.name).collect();
    let caught = ALL.iter().chain(CONSEQUENCES).map(|seeded| seeded.rule);
    let tested: BTreeSet<&str> = caught.chain(BY_HAND.iter().copied()).map(|rule| rule.name).collect();
    assert_eq!(rules, tested);
}

//! Rules over a channel: the state is right, then one thing in it is made wrong.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{LinkId, Round, Stamp};
use cirrus_core::rule::Verdict;

use super::*;
use crate::system::System;
use crate::tally::Tally;
use crate::worlds::zip::calm;
use crate::zip::Zip;

/// A channel in which all is done.
fn done() -> (Zip, Mesh) {
    let zip = calm(Bugs::default());
    let mut mesh = zip.initial(&mut Tally::default());
    while let Some(action) = zip.fair(&mesh) {
        zip.apply(&mut mesh, &action, None);
    }
    (zip, mesh)
}

fn ask(rule: Rule, zip: &Zip, mesh: &Mesh) -> Verdict {
    match rule.check {
        Check::State(check) | Check::Quiet(check) => check(&zip.setup, mesh),
        Check::Delivery(check) => {
            let process = &mesh.processes[1];
            let (head, _) = process.delivered.last().unwrap();
            let mut before = Process::clone(process);
            before.delivered.pop();
            check(&zip.setup, mesh, &before, head, None)
        }
    }
}

fn breaks(rule: Rule, wrong: fn(&mut Mesh)) {
    let (zip, mut mesh) = done();
    assert_eq!(ask(rule, &zip, &mesh), Verdict::Holds, "{:?}", rule.name);
    wrong(&mut mesh);
    assert!(matches!(ask(rule, &zip, &mesh), Verdict::Broken(_)), "{:?}", rule.name);
}

fn process(mesh: &mut Mesh, address: usize) -> &mut Process {
    Arc::make_mut(&mut mesh.processes[address])
}

#[test]
fn two_members_with_different_rounds() {
    breaks(SAME, |mesh| process(mesh, 1).delivered[0].1 = false);
    breaks(SAME, |mesh| process(mesh, 2).delivered[1].0.origin = None);
}

#[test]
fn a_member_that_lacks_a_round() {
    breaks(ALL_HAVE, |mesh| process(mesh, 2).delivered.truncate(1));
}

#[test]
fn a_sender_that_was_told_another_round() {
    breaks(ANSWERED, |mesh| process(mesh, 1).outcomes[0].1 = Outcome::Sealed(Round(9)));
    breaks(ANSWERED, |mesh| process(mesh, 1).outcomes[0].1 = Outcome::Aborted);
}

#[test]
fn a_round_that_comes_again() {
    breaks(IN_ORDER, |mesh| {
        let last = process(mesh, 1).delivered.last().unwrap().clone();
        process(mesh, 1).delivered.push(last.clone());
        process(mesh, 1).delivered.push(last);
    });
}

#[test]
fn a_connection_that_is_no_link() {
    breaks(NO_GHOSTS, |mesh| {
        let wire = mesh.wires.values().next().cloned().unwrap();
        mesh.wires.insert(LinkId(Stamp::default()), wire);
    });
}

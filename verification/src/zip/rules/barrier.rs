//! A barrier: a reduce of one empty piece, of which nobody wants the result, but that there is one.

use std::collections::BTreeMap;

use cirrus_core::channel::Missing;
use cirrus_core::ids::{Round, Stamp};
use cirrus_core::rule::Verdict;

use super::{Check, Rule, rule};
use crate::zip::{Mesh, Setup};

/// Nobody goes on before the others have come.
pub const PASSED: Rule = rule("R2", "nobody passes before all who stay have come", Check::State(passed));

/// The newest rounds that those who stay have passed: up to whom they were for, and who was not waited for. Whoever has
/// come to one of them has come to all before.
fn sealed(mesh: &Mesh) -> BTreeMap<Round, (Stamp, &Missing)> {
    let staying = mesh.applications().filter(|(member, _)| !mesh.forgotten.contains(member));
    let newest = staying.flat_map(|(_, process)| process.delivered.iter().rev().take(2));
    let sealed = newest.filter_map(|(head, _)| {
        let seal = head.sealed.as_ref().filter(|seal| seal.failure.is_none())?;
        Some((head.id.round, (head.cut, &seal.missing)))
    });
    sealed.collect()
}

fn passed(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (round, (cut, missing)) in sealed(mesh) {
        let mut awaited = mesh.applications().filter(|(member, _)| {
            member.stamp <= cut && !missing.late.contains(member) && !mesh.forgotten.contains(member)
        });
        if awaited.any(|(_, process)| process.next_round() <= round) {
            return Verdict::Broken("one has passed though another who stays has not come");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

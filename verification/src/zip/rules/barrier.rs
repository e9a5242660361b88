//! A barrier: a reduce of one empty piece, of which nobody wants the result, but that there is one.

use std::collections::BTreeMap;

use cirrus_core::channel::Missing;
use cirrus_core::ids::{Round, Stamp};
use cirrus_core::member::Reduction;
use cirrus_core::rule::Verdict;

use super::{Check, Rule, rule};
use crate::zip::{Mesh, Setup};

/// Nobody goes on before the others have come.
pub const PASSED: Rule = rule("R2", "nobody passes before all who stay have come", Check::State(passed));

/// The rounds that somebody who stays has passed: up to whom they were for, and who was not waited for.
fn sealed(mesh: &Mesh) -> BTreeMap<Round, (Stamp, &Missing)> {
    let mut sealed = BTreeMap::new();
    for (_, process) in mesh.staying().filter(|(member, _)| !mesh.forgotten.contains(member)) {
        for (round, outcome) in &process.reduced {
            let Reduction::Sealed(missing) = outcome else { continue };
            let head = process.delivered.iter().rev().map(|(head, _)| head).find(|it| it.id.round == *round);
            sealed.extend(head.map(|head| (*round, (head.cut, missing))));
        }
    }
    sealed
}

fn passed(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (round, (cut, missing)) in sealed(mesh) {
        let mut awaited = mesh.staying().filter(|(member, _)| {
            member.stamp <= cut && !missing.late.contains(member) && !mesh.forgotten.contains(member)
        });
        if awaited.any(|(_, process)| process.next_round() <= round) {
            return Verdict::Broken("one has passed though another who stays has not come");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

//! What only a whole channel shows: T5 between two ends, B1, B2 and M2 between members.

mod barrier;
pub mod messages;
mod reduce;
pub mod shuffle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use cirrus_core::channel::{Head, Origin};
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::member::{Outcome, Phase};
use cirrus_core::rule::{RuleName, Verdict};

use super::{Beside, End, Mesh, Piece, Process, Setup};

pub use barrier::PASSED;
pub use reduce::{CALLED, COMBINED_ONCE, COMPLETE, HANDLED, NAMED, ORDERED, QUORUM, STRICT, TOLD};

/// When a rule is asked, and what it says.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// About a state.
    State(fn(&Setup, &Mesh) -> Verdict),
    /// About a state in which nothing happens any more by itself.
    Quiet(fn(&Setup, &Mesh) -> Verdict),
    /// When a process delivers a round.
    Delivery(fn(&Setup, &Mesh, &Process, &Head, Option<&[Piece]>) -> Verdict),
}

/// A rule over a channel.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// What it says.
    pub check: Check,
}

const fn rule(promise: &'static str, name: &'static str, check: Check) -> Rule {
    Rule { name: RuleName { promise, name }, check }
}

/// What arrives is what was sent.
pub const EXACT: Rule = rule("B1", "what arrives is what was sent", Check::Delivery(exact));
/// Rounds arrive in order, each once.
pub const IN_ORDER: Rule = rule("B1", "rounds arrive in order, each once", Check::Delivery(in_order));
/// A broadcast is delivered once.
pub const ONCE: Rule = rule("B1", "a broadcast is delivered once", Check::Delivery(once));
/// Nobody delivers what another one does not.
pub const SAME: Rule = rule("B2", "members that stay deliver the same", Check::State(same));
/// In the end everybody has what anybody has.
pub const ALL_HAVE: Rule = rule("B2", "what one has, all have in the end", Check::Quiet(all_have));
/// What was promised to a sender is so.
pub const ANSWERED: Rule = rule("B2", "a sender's answer is true", Check::Quiet(answered));
/// Every broadcast ends.
pub const ENDS: Rule = rule("B3", "every broadcast ends", Check::Quiet(ends));
/// Both ends of a link agree.
pub const AGREED: Rule = rule("T5", "both ends of a link agree", Check::Quiet(agreed));
/// Nobody holds on to one who is gone.
pub const NO_GHOSTS: Rule = rule("T5", "nobody has a link to one who is gone", Check::Quiet(no_ghosts));
/// The controller keeps no list of daemons that are gone.
pub const DAEMONS_FORGOTTEN: Rule =
    rule("T5", "a daemon that is gone is forgotten in the end", Check::Quiet(daemons_forgotten));
/// One who is fenced knows it.
pub const FENCED_KNOWS: Rule =
    rule("M2", "one who is fenced knows it in the end", Check::Quiet(fenced_knows));

/// All of them.
pub const RULES: &[Rule] = &[
    COMBINED_ONCE,
    CALLED,
    NAMED,
    TOLD,
    COMPLETE,
    QUORUM,
    STRICT,
    ORDERED,
    HANDLED,
    EXACT,
    IN_ORDER,
    ONCE,
    SAME,
    ALL_HAVE,
    ANSWERED,
    ENDS,
    AGREED,
    NO_GHOSTS,
    DAEMONS_FORGOTTEN,
    FENCED_KNOWS,
    PASSED,
    shuffle::EXACT,
    shuffle::SAME_ROUND,
    shuffle::WHOLE,
    shuffle::TAKEN,
    shuffle::NAMED_GONE,
    shuffle::ENDS,
    messages::EXACT,
    messages::DELIVERED,
    messages::GONE,
    messages::ENDS,
];

fn exact(setup: &Setup, mesh: &Mesh, _: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    let Some(pieces) = pieces.filter(|_| head.sealed.is_none()) else { return Verdict::Idle };
    let Some(origin) = head.origin else { return Verdict::Broken("a round without a sender has bytes") };
    let Some(sender) = pieces.first().map(|piece| piece.sender) else {
        return Verdict::Broken("a round that is whole has no bytes");
    };
    let place = (origin.sequence.0 as usize).wrapping_sub(1);
    if let Some(shuffles) = mesh.of(origin.member).and_then(|it| it.beside.as_ref()?.shuffles()) {
        let same = pieces.len() == 1 && pieces[0].roll.as_ref() == shuffles.convened.get(place);
        return Verdict::from_bool(same, "another roster was delivered than was sent");
    }
    let planned = setup.sends.iter().filter(|(address, _)| *address == sender).nth(place);
    let Some((_, count)) = planned else { return Verdict::Broken("nobody sent that") };
    let piece = |index| Piece { sender, sequence: origin.sequence, index, with: Arc::default(), roll: None };
    let sent = (0..*count).map(piece);
    Verdict::from_bool(sent.eq(pieces.iter().cloned()), "other bytes were delivered than were sent")
}

fn in_order(_: &Setup, _: &Mesh, process: &Process, head: &Head, _: Option<&[Piece]>) -> Verdict {
    let last = process.delivered.last().map(|(head, _)| head.id.round);
    Verdict::from_bool(last.is_none_or(|last| last < head.id.round), "a round came late or twice")
}

fn once(_: &Setup, _: &Mesh, process: &Process, head: &Head, pieces: Option<&[Piece]>) -> Verdict {
    if pieces.is_none() || head.origin.is_none() {
        return Verdict::Idle;
    }
    let again = process.delivered.iter().any(|(before, whole)| *whole && before.origin == head.origin);
    Verdict::from_bool(!again, "a broadcast was delivered twice")
}

/// What the members that stay have delivered, by round, or some of them.
fn delivered(
    mesh: &Mesh,
    of: impl Fn(MemberId) -> bool,
) -> Result<BTreeMap<Round, (&Head, bool)>, &'static str> {
    let mut rounds: BTreeMap<Round, (&Head, bool)> = BTreeMap::new();
    for (_, process) in mesh.staying().filter(|(member, _)| of(*member)) {
        for (head, whole) in &process.delivered {
            let (other, same) = rounds.entry(head.id.round).or_insert((head, *whole));
            if (&**other, *same) != (head, *whole) {
                return Err("two members that stay delivered different rounds under one number");
            }
        }
    }
    Ok(rounds)
}

fn same(_: &Setup, mesh: &Mesh) -> Verdict {
    match delivered(mesh, |member| !mesh.forgotten.contains(&member)) {
        Err(detail) => Verdict::Broken(detail),
        Ok(rounds) if rounds.is_empty() => Verdict::Idle,
        Ok(_) => Verdict::Holds,
    }
}

fn all_have(_: &Setup, mesh: &Mesh) -> Verdict {
    let rounds = match delivered(mesh, |_| true) {
        Ok(rounds) => rounds,
        Err(detail) => return Verdict::Broken(detail),
    };
    let mut verdict = Verdict::Idle;
    for (round, (head, _)) in &rounds {
        for (member, process) in mesh.applications() {
            let has = process.delivered.iter().any(|(head, _)| head.id.round == *round);
            if member.stamp <= head.cut && !has {
                return Verdict::Broken("a member that stays lacks a round that another one has");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn answered(_: &Setup, mesh: &Mesh) -> Verdict {
    let Ok(rounds) = delivered(mesh, |_| true) else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for (member, process) in mesh.staying() {
        for (sequence, outcome) in &process.outcomes {
            let origin = Some(Origin { member, sequence: *sequence });
            let mut whole = rounds.values().filter(|(head, whole)| *whole && head.origin == origin);
            let kept = match outcome {
                Outcome::Sealed(round) => whole.next().is_some_and(|(head, _)| head.id.round == *round),
                Outcome::Aborted => whole.next().is_none(),
                Outcome::Indeterminate => continue,
            };
            if !kept {
                return Verdict::Broken("a sender was told something else than happened");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn ends(setup: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    if mesh.applications().all(|(_, process)| !process.machine.reduce.calls.is_empty())
        && mesh.applications().count() > 0
    {
        return Verdict::Broken("all have given a value and there is no result");
    }
    if mesh.has_late(setup) {
        return Verdict::Broken("enough have given a value and there is no result");
    }
    for (_, process) in mesh.staying() {
        let broadcast = &process.machine.broadcast;
        if broadcast.rounds.iter().any(|(_, held)| held.end.is_none()) {
            return Verdict::Broken("half a round is here, and will never be whole");
        }
        if broadcast.is_sending() {
            return Verdict::Broken("a broadcast has no answer and will get none");
        }
        if broadcast.position() != broadcast.floor() {
            return Verdict::Broken("a round is kept for ever");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn agreed(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (member, process) in mesh.staying() {
        let Some(assign) = mesh.controller.assign(member) else { continue };
        let machine = &process.machine;
        let parent = machine.links.parent.as_ref().map(|uplink| (uplink.parent.edge, uplink.parent.relay));
        let children: Vec<_> =
            machine.links.children.iter().map(|(link, child)| (*link, child.member)).collect();
        let mut assigned: Vec<_> = assign.children.iter().map(|edge| (edge.link, edge.member)).collect();
        assigned.sort_unstable();
        if machine.version != assign.version
            || parent != assign.parent.map(|it| (it.edge, it.relay))
            || children != assigned
        {
            return Verdict::Broken("a member has another assignment than the controller believes");
        }
        let up = parent.is_none() || machine.links.up().is_some();
        if !up || machine.links.children.iter().any(|(_, child)| !child.up) {
            return Verdict::Broken("a link does not stand");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn no_ghosts(_: &Setup, mesh: &Mesh) -> Verdict {
    if mesh.wires.is_empty() {
        return Verdict::Idle;
    }
    let both = mesh.wires.values().all(|wire| wire.child_end == End::Open && wire.parent_end == End::Open);
    let edges = mesh.controller.tree.everybody().count().saturating_sub(1);
    Verdict::from_bool(both && mesh.wires.len() == edges, "a connection belongs to no link of the tree")
}

fn daemons_forgotten(_: &Setup, mesh: &Mesh) -> Verdict {
    if !mesh.seats.keys().any(|it| mesh.is_daemon(*it) && !mesh.controller.tree.contains(*it)) {
        return Verdict::Idle;
    }
    let forgotten = mesh.controller.departed_daemons.is_empty();
    Verdict::from_bool(forgotten, "the root has been told that a daemon is gone, and is told again for ever")
}

fn fenced_knows(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (member, address) in &*mesh.seats {
        if mesh.controller.tree.contains(*member) {
            continue;
        }
        let Some(process) = mesh.processes.get(*address as usize).filter(|process| process.alive) else {
            continue;
        };
        let beside = process.beside.as_ref().map(Beside::phase);
        if process.listens() || beside.is_some_and(|phase| !matches!(phase, Phase::Ended(_))) {
            return Verdict::Broken("one who was declared dead, or left, goes on");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

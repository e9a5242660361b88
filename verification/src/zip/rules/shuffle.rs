//! What only several members that shuffle show: S1 and S2 between senders and receivers.

use cirrus_core::channel::RoundId;
use cirrus_core::ids::MemberId;
use cirrus_core::rule::Verdict;

use super::{Check, Rule, rule};
use crate::zip::beside::Plan;
use crate::zip::beside::shuffles::{Shuffling, Side};
use crate::zip::{Mesh, Setup};

/// Records arrive as they were sent.
pub const EXACT: Rule =
    rule("S1", "records arrive at their receiver, each once, in order", Check::State(exact));
/// All are in the same round.
pub const SAME_ROUND: Rule = rule("S1", "all have the same receivers in a round", Check::State(same_round));
/// Whoever is not lost is there whole.
pub const WHOLE: Rule = rule("S2", "all records of a sender that counts are there", Check::State(whole));
/// Who was not named has everything.
pub const TAKEN: Rule = rule("S2", "a receiver that is not named has everything", Check::State(taken));
/// Only who is gone is named.
pub const NAMED_GONE: Rule = rule("S2", "only who is gone is named as lost", Check::State(named_gone));
/// Every shuffle ends.
pub const ENDS: Rule = rule("S2", "every shuffle ends", Check::Quiet(ends));

/// The processes' shuffles.
fn all(mesh: &Mesh) -> impl Iterator<Item = &Shuffling> {
    mesh.processes.iter().filter_map(|it| it.beside.as_ref()?.shuffles())
}

/// Those of a member.
fn of(mesh: &Mesh, member: MemberId) -> Option<&Shuffling> {
    mesh.of(member)?.beside.as_ref()?.shuffles()
}

/// Those of members that live and were neither fenced nor let go.
fn staying(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Shuffling)> {
    mesh.staying().filter_map(|(member, it)| Some((member, it.beside.as_ref()?.shuffles()?)))
}

fn exact(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for receiver in all(mesh) {
        for ((round, from), got) in &receiver.got {
            let (Some(sender), Some(me)) = (of(mesh, *from), receiver.machine.id) else {
                return Verdict::Broken("records come from nobody");
            };
            if !sender.pushed_to(me, *round).starts_with(got) {
                return Verdict::Broken("a receiver got other records than were sent to it, or one twice");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn same_round(_: &Setup, mesh: &Mesh) -> Verdict {
    let open = || staying(mesh).filter_map(|(_, it)| it.machine.open.as_ref());
    let mut verdict = Verdict::Idle;
    for one in open() {
        for other in open().filter(|other| other.round == one.round) {
            if other.receivers != one.receivers {
                return Verdict::Broken("two members have different receivers in a round");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

/// Whether a receiver has all that a sender was allowed to send it, and was told that it is all.
fn has_all(sender: &Shuffling, from: MemberId, receiver: &Shuffling, to: MemberId, round: RoundId) -> bool {
    receiver.got_from(from, round) == sender.pushed_to(to, round)
}

fn whole(setup: &Setup, mesh: &Mesh) -> Verdict {
    let Some(Plan::Shuffles(plan)) = &setup.beside else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for receiver in all(mesh) {
        let Some(to) = receiver.machine.id else { continue };
        for (round, _, lost) in receiver.verdicts.iter().filter(|(_, side, _)| *side == Side::Received) {
            for sender in all(mesh) {
                let Some(from) = sender.machine.id.filter(|from| !lost.contains(from)) else { continue };
                let mine = sender.pushed_to(to, *round).len();
                if mine == 0 {
                    continue; // It was not in the round, or had nothing.
                }
                let full = mine == plan.pieces as usize;
                if !full || !has_all(sender, from, receiver, to, *round) {
                    return Verdict::Broken("a round is called complete and records of a sender are missing");
                }
                verdict = Verdict::Holds;
            }
        }
    }
    verdict
}

fn taken(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for sender in all(mesh) {
        let Some(from) = sender.machine.id else { continue };
        for (round, _, lost) in sender.verdicts.iter().filter(|(_, side, _)| *side == Side::Sent) {
            for receiver in all(mesh) {
                let Some(to) = receiver.machine.id.filter(|to| !lost.contains(to)) else { continue };
                if sender.pushed_to(to, *round).is_empty() {
                    continue;
                }
                if !has_all(sender, from, receiver, to, *round) {
                    return Verdict::Broken("a receiver has not everything and its sender was not told");
                }
                verdict = Verdict::Holds;
            }
        }
    }
    verdict
}

fn named_gone(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut lost = all(mesh).flat_map(|it| &it.verdicts).flat_map(|(_, _, lost)| lost).peekable();
    if lost.peek().is_none() {
        return Verdict::Idle;
    }
    let gone = lost.all(|member| !mesh.controller.tree.contains(*member) || mesh.forgotten.contains(member));
    Verdict::from_bool(gone, "one that is a member is named as lost")
}

fn ends(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (member, it) in staying(mesh) {
        if it.machine.open.is_some() {
            return Verdict::Broken("a shuffle is under way and will not end");
        }
        // Another one may have joined after the last round.
        if it.machine.called && mesh.controller.tree.root() == Some(member) {
            return Verdict::Broken("the root has called and no round begins");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

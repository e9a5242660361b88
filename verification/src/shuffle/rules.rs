//! What only several members that shuffle show: S1 and S2 between senders and receivers, M2 past the tree.

use cirrus_core::channel::RoundId;
use cirrus_core::ids::MemberId;
use cirrus_core::member::Phase;
use cirrus_core::rule::{RuleName, Verdict};

use super::{Group, Piece, Process, Setup, Side};

/// When a rule is asked, and what it says.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// About a state.
    State(fn(&Setup, &Group) -> Verdict),
    /// About a state in which nothing happens any more by itself.
    Quiet(fn(&Setup, &Group) -> Verdict),
}

/// A rule over a channel that shuffles.
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
/// One who is fenced knows it.
pub const FENCED_KNOWS: Rule =
    rule("M2", "one whose shuffle was fenced knows it", Check::Quiet(fenced_knows));

/// All of them.
pub const RULES: &[Rule] = &[EXACT, SAME_ROUND, WHOLE, TAKEN, NAMED_GONE, ENDS, FENCED_KNOWS];

/// Pairs of a process that got something and one that may have sent it, by round.
fn pairs(group: &Group) -> impl Iterator<Item = (&Process, MemberId, RoundId)> {
    group.processes.iter().flat_map(|receiver| {
        let mut from: Vec<(MemberId, RoundId)> =
            receiver.got.iter().map(|(sender, piece)| (*sender, piece.round)).collect();
        from.sort_unstable();
        from.dedup();
        from.into_iter().map(move |(sender, round)| (&**receiver, sender, round))
    })
}

fn exact(_: &Setup, group: &Group) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (receiver, from, round) in pairs(group) {
        let (Some(sender), Some(me)) = (group.of(from), receiver.shuffle.id) else {
            return Verdict::Broken("records come from nobody");
        };
        let mut sent = sender.pushed_to(me, round);
        if !receiver.got_from(from, round).all(|piece| sent.next() == Some(piece)) {
            return Verdict::Broken("a receiver got other records than were sent to it, or one twice");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn same_round(_: &Setup, group: &Group) -> Verdict {
    let open = || group.staying().filter_map(|(_, process)| process.shuffle.open.as_ref());
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
fn has_all(sender: &Process, from: MemberId, receiver: &Process, to: MemberId, round: RoundId) -> bool {
    let sent: Vec<Piece> = sender.pushed_to(to, round).collect();
    receiver.got_from(from, round).eq(sent)
}

fn whole(setup: &Setup, group: &Group) -> Verdict {
    let mut verdict = Verdict::Idle;
    for receiver in &group.processes {
        let Some(to) = receiver.shuffle.id else { continue };
        for (round, _, lost) in receiver.verdicts.iter().filter(|(_, side, _)| *side == Side::Received) {
            for sender in &group.processes {
                let Some(from) = sender.shuffle.id.filter(|from| !lost.contains(from)) else { continue };
                let mine = sender.pushed_to(to, *round).count();
                if mine == 0 {
                    continue; // It was not in the round, or had nothing.
                }
                let full = mine == setup.pieces as usize;
                if !full || !has_all(sender, from, receiver, to, *round) {
                    return Verdict::Broken("a round is called complete and records of a sender are missing");
                }
                verdict = Verdict::Holds;
            }
        }
    }
    verdict
}

fn taken(_: &Setup, group: &Group) -> Verdict {
    let mut verdict = Verdict::Idle;
    for sender in &group.processes {
        let Some(from) = sender.shuffle.id else { continue };
        for (round, _, lost) in sender.verdicts.iter().filter(|(_, side, _)| *side == Side::Sent) {
            for receiver in &group.processes {
                let Some(to) = receiver.shuffle.id.filter(|to| !lost.contains(to)) else { continue };
                if sender.pushed_to(to, *round).next().is_none() {
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

fn named_gone(_: &Setup, group: &Group) -> Verdict {
    let mut lost =
        group.processes.iter().flat_map(|it| &it.verdicts).flat_map(|(_, _, lost)| lost).peekable();
    if lost.peek().is_none() {
        return Verdict::Idle;
    }
    let gone = lost.all(|member| !group.controller.tree.contains(*member));
    Verdict::from_bool(gone, "one that is a member is named as lost")
}

fn ends(_: &Setup, group: &Group) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (member, process) in group.staying() {
        if process.shuffle.open.is_some() {
            return Verdict::Broken("a shuffle is under way and will not end");
        }
        // Another one may have joined after the last round.
        if process.shuffle.called && group.controller.tree.root() == Some(member) {
            return Verdict::Broken("the root has called and no round begins");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn fenced_knows(_: &Setup, group: &Group) -> Verdict {
    let mut verdict = Verdict::Idle;
    for process in group.processes.iter().filter(|process| process.alive) {
        if process.shuffle.id.is_none_or(|it| group.controller.tree.contains(it)) {
            continue;
        }
        if !matches!(process.shuffle.phase, Phase::Ended(_)) {
            return Verdict::Broken("one who was declared dead, or left, goes on");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

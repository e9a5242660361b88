//! What only both ends of a message show: D1 to D3.

use cirrus_core::ids::MemberId;
use cirrus_core::messages::Outcome;
use cirrus_core::rule::Verdict;

use super::{Check, Rule, rule};
use crate::zip::beside::messages::{Piece, Talking};
use crate::zip::{Mesh, Setup};

/// Messages arrive as they were sent.
pub const EXACT: Rule =
    rule("D1", "messages arrive as they were sent, each once, in order", Check::State(exact));
/// Delivered is delivered.
pub const DELIVERED: Rule = rule("D2", "a message that is called delivered is", Check::State(delivered));
/// Only who is gone is called so.
pub const GONE: Rule = rule("D3", "only who is gone is called gone", Check::State(gone));
/// Every call ends.
pub const ENDS: Rule =
    rule("D3", "every message ends, and every wait for one that comes or cannot", Check::Quiet(ends));

/// The processes' messages, and who they are.
fn all(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Talking)> {
    mesh.processes.iter().filter_map(|it| Some((it.machine.id?, it.beside.as_ref()?.messages()?)))
}

fn exact(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (me, receiver) in all(mesh) {
        for (from, sender) in all(mesh) {
            let mut said = (0..).zip(sender.said_to(me));
            for message in receiver.got_from(from) {
                let Some((nth, count)) = said.next() else {
                    return Verdict::Broken("a message arrives that was not sent, or twice");
                };
                let address = message.first().map_or(u32::MAX, |piece| piece.from);
                let piece = |index| Piece { from: address, to: me, nth, index };
                let mine = mesh.seats.get(&from) == Some(&address);
                if !mine || !message.iter().copied().eq((0..count).map(piece)) {
                    return Verdict::Broken("a message arrives otherwise than it was sent");
                }
                verdict = Verdict::Holds;
            }
        }
    }
    verdict
}

fn delivered(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (from, sender) in all(mesh) {
        for (to, receiver) in all(mesh) {
            let outcomes = sender.outcomes_of(to);
            let called = outcomes.filter(|outcome| *outcome == Outcome::Delivered).count();
            if called > receiver.got_from(from).count() {
                return Verdict::Broken("a message is called delivered that was not");
            }
            if called > 0 {
                verdict = Verdict::Holds;
            }
        }
    }
    verdict
}

fn gone(_: &Setup, mesh: &Mesh) -> Verdict {
    let lost = all(mesh).flat_map(|(_, it)| &it.outcomes).filter(|(_, it)| *it == Outcome::Lost);
    let silent = all(mesh).flat_map(|(_, it)| &it.got).filter(|(_, pieces)| pieces.is_none());
    let mut named = lost.map(|(to, _)| to).chain(silent.map(|(from, _)| from)).peekable();
    if named.peek().is_none() {
        return Verdict::Idle;
    }
    let gone = named.all(|it| !mesh.controller.tree.contains(*it) || mesh.forgotten.contains(it));
    Verdict::from_bool(gone, "one that is a member is called gone")
}

fn ends(_: &Setup, mesh: &Mesh) -> Verdict {
    let mut verdict = Verdict::Idle;
    let staying =
        || mesh.staying().filter_map(|(it, process)| Some((it, process.beside.as_ref()?.messages()?)));
    for (me, mine) in staying() {
        if mine.machine.asked {
            return Verdict::Broken("the roll was called and does not come");
        }
        for (other, talk) in mine.machine.talks.iter() {
            let there = staying().find(|(it, _)| it == other).map(|(_, theirs)| theirs);
            let Some(theirs) = there else { return Verdict::Broken("a call about one who is gone goes on") };
            if talk.unanswered() > 0 && theirs.waits_for(me) > 0 {
                return Verdict::Broken("a message is not delivered to one who waits for it");
            }
        }
        if !mine.outcomes.is_empty() || !mine.got.is_empty() {
            verdict = Verdict::Holds;
        }
    }
    verdict
}

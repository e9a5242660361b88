//! What direct connections promise, as checks that the rules of the machines on top of them are made of.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::{Limits, LineEffect, LineEvent, Lines, Timer};
use crate::channel::{Roll, ToController};
use crate::ids::{MemberId, Position};
use crate::member::{End, Line, Phase};
use crate::rule::{RuleName, Verdict};

/// Things arrive in order, each once.
pub const IN_ORDER: RuleName = RuleName { promise: "D1", name: "what comes follows on what came before" };
/// A stream goes on from where the receiver is.
pub const RESUMED: RuleName = RuleName { promise: "D1", name: "a stream goes on from where the receiver is" };
/// Who is gone, or was not answered, changes nothing.
pub const REFUSED: RuleName = RuleName { promise: "T5", name: "one who is gone is refused on direct lines" };
/// Who hears that it was declared dead ends.
pub const BELIEVED: RuleName = RuleName { promise: "M2", name: "one who is refused as gone leaves" };
/// Not more is under way than may be.
pub const BOUNDED: RuleName = RuleName { promise: "B4", name: "a window is under way between two members" };
/// Who hears nothing asks.
pub const ASKED_IN_SILENCE: RuleName =
    RuleName { promise: "M3", name: "who awaits something asks who is there, even if connections stand" };
/// Of whom a roll says nothing is asked about by name.
pub const ASKED_BY_NAME: RuleName = RuleName {
    promise: "M3",
    name: "who is awaited, and of whom a roll says nothing, is asked about by name",
};
/// Who awaits nothing does not ask.
pub const SILENT_IN_PEACE: RuleName =
    RuleName { promise: "M1", name: "who awaits nothing of anybody does not ask who is there" };

/// Things that arrive are taken in order, without a gap.
pub(crate) fn in_order<A, T: Eq>(before: &Lines<A, T>, event: &LineEvent<T>, after: &Lines<A, T>) -> Verdict {
    let LineEvent::Item { from, position, .. } = event else { return Verdict::Idle };
    let next = |lines: &Lines<A, T>| lines.peers.get(from).map(|peer| peer.inbox.next);
    let (Some(was), Some(is)) = (next(before), next(after)) else { return Verdict::Idle };
    if was == is && *position != was {
        return Verdict::Idle; // It was not taken.
    }
    let follows = was == is || (*position == was && Some(is.0) == was.0.checked_add(1));
    Verdict::from_bool(follows, "something was taken that came before or leaves a gap")
}

/// On a new connection the first thing sent is the first that the receiver lacks, if it has room for it.
pub(crate) fn resumed<'a, A: 'a, T: 'a>(
    limits: &Limits,
    before: &Lines<A, T>,
    event: &LineEvent<T>,
    mut sent: impl Iterator<Item = &'a LineEffect<A, T>>,
) -> Verdict {
    let LineEvent::Have { from, have } = event else { return Verdict::Idle };
    let Some(peer) = before.peers.get(from) else { return Verdict::Idle };
    let out = &peer.out;
    if out.line != Line::Up || out.sent.is_some() || have.next < out.first {
        return Verdict::Idle;
    }
    let room = Position(have.taken.max(out.first).0.saturating_add(limits.room().into()));
    if have.next >= out.until().min(room) || have.taken > have.next || have.next > out.shown_until() {
        return Verdict::Idle;
    }
    let first = sent.find_map(|effect| match effect {
        LineEffect::Send { to, position, .. } if to == from => Some(*position),
        LineEffect::Send { .. }
        | LineEffect::Dial { .. }
        | LineEffect::Hang(_)
        | LineEffect::HangCaller(_)
        | LineEffect::Refuse(_)
        | LineEffect::Have { .. }
        | LineEffect::SetTimer { .. }
        | LineEffect::ClearTimer(_) => None,
    });
    Verdict::from_bool(first == Some(have.next), "a stream goes on from elsewhere than its receiver is")
}

/// Nothing changes because of a caller that is gone or was not answered.
pub(crate) fn refused<A: Clone + Debug + Eq + Hash, T: Clone + Debug + Eq + Hash>(
    before: &Lines<A, T>,
    event: &LineEvent<T>,
    after: &Lines<A, T>,
) -> Verdict {
    let from: MemberId = match event {
        LineEvent::Called(from) => *from,
        LineEvent::Item { from, .. } => {
            if before.peers.get(from).is_some_and(|peer| peer.inbox.up && !peer.gone) {
                return Verdict::Idle;
            }
            *from
        }
        LineEvent::Up(_)
        | LineEvent::Down(_)
        | LineEvent::Refused(_)
        | LineEvent::Have { .. }
        | LineEvent::CallerDown(_) => return Verdict::Idle,
    };
    if before.knows(from) && matches!(event, LineEvent::Called(_)) {
        return Verdict::Idle;
    }
    Verdict::from_bool(before.peers == after.peers, "one who is gone, or unknown, changed something")
}

/// Whoever is refused was declared dead, and its time is over.
pub(crate) fn believed<T>(event: &LineEvent<T>, before: Phase, after: Phase) -> Verdict {
    if !matches!(event, LineEvent::Refused(_)) || matches!(before, Phase::Ended(_)) {
        return Verdict::Idle;
    }
    Verdict::from_bool(after == Phase::Ended(End::Fenced), "one who was declared dead goes on")
}

/// No more is under way to a peer, or kept of it, than a window and a mark.
pub(crate) fn bounded<A, T>(limits: &Limits, lines: &Lines<A, T>) -> Verdict {
    let most = limits.room();
    let mut verdict = Verdict::Idle;
    for (_, peer) in lines.peers.iter() {
        if peer.out.shown > most || peer.inbox.items.len() > most {
            return Verdict::Broken("more is under way to a peer, or kept of it, than the window");
        }
        if peer.out.shown > 0 || !peer.inbox.items.is_empty() {
            verdict = Verdict::Holds;
        }
    }
    verdict
}

/// As long as something is awaited over connections that stand it is asked, and no longer.
pub(crate) fn peaceful<A: Clone, T: Clone>(lines: &Lines<A, T>) -> Verdict {
    let awaited = lines.peers.iter().filter(|(_, peer)| peer.is_awaited()).count();
    Verdict::from_bool(
        usize::try_from(lines.awaited) == Ok(awaited),
        "something is taken for awaited that is not, or the other way round",
    )
}

/// When the time has come, the controller is asked.
pub(crate) fn asked<'a, A: 'a, T>(
    before: &Lines<A, T>,
    timer: Timer,
    mut said: impl Iterator<Item = &'a ToController<A>>,
) -> Verdict {
    if timer != Timer::Silence || before.awaited == 0 {
        return Verdict::Idle;
    }
    let asks = said.any(|word| matches!(word, ToController::CheckRoll(_)));
    Verdict::from_bool(asks, "nobody asks about those of whom nothing comes")
}

/// The roll of a controller that was started again may say nothing of one that is awaited: neither that it is there nor
/// that it is gone.
pub(crate) fn asked_about<'a, A: Clone + 'a, T: Clone>(
    before: &Lines<A, T>,
    roll: &Roll<A>,
    said: impl Iterator<Item = &'a ToController<A>>,
) -> Verdict {
    let unlisted = |it: MemberId| it.stamp > roll.at.until && roll.line(it).is_none();
    let awaited = before.peers.iter().filter(|(it, peer)| peer.is_awaited() && unlisted(**it));
    let mut awaited = awaited.map(|(it, _)| *it).peekable();
    if awaited.peek().is_none() {
        return Verdict::Idle;
    }
    let missed = said.filter_map(|word| if let ToController::Missing(it) = word { Some(*it) } else { None });
    let missed: Vec<MemberId> = missed.collect();
    Verdict::from_bool(
        awaited.all(|it| missed.contains(&it)),
        "nobody asks about one of whom the roll says nothing",
    )
}

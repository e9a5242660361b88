//! What a member promises about results that one handles, as rules: its part of R1.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::broadcast::Ending;
use super::super::{Effect, Event, Member, Phase, Timer};
use crate::channel::ToMember;
use crate::ids::MemberId;
use crate::rule::{RuleName, Step, Verdict};

/// Members are told of a result when its handler has it.
pub const SEALED_TAKEN: RuleName =
    RuleName { promise: "R1", name: "a result goes round when its handler has it" };
/// One handler after the other.
pub const HANDED_ONE: RuleName =
    RuleName { promise: "R1", name: "a result is handed to one, until it is gone" };
/// What may have been taken is not given up.
pub const NOT_GIVEN_UP: RuleName =
    RuleName { promise: "R1", name: "a result that may have been taken is not given up" };

/// What the handler has had is known before it leaves.
pub const TAKEN_KNOWN: RuleName =
    RuleName { promise: "R1", name: "who handles results leaves when all know what it has had" };

pub(in super::super) fn taken_known<A, P>(step: &Step<'_, Member<A, P>>) -> Verdict
where
    A: Clone + Debug + Eq + Hash,
    P: Clone + Debug + Eq + Hash,
{
    let (before, after) = (step.before, step.after);
    let leaves = before.phase != Phase::Leaving && after.phase == Phase::Leaving;
    if !leaves || !after.handles(step.config) {
        return Verdict::Idle;
    }
    let known = after.broadcast.taken <= after.broadcast.floor();
    Verdict::from_bool(known, "who handles results leaves, and may take one with it that others wait for")
}

pub(in super::super) fn sealed_taken<A, P>(step: &Step<'_, Member<A, P>>) -> Verdict
where
    A: Clone + Debug + Eq + Hash,
    P: Clone + Debug + Eq + Hash,
{
    let (before, after) = (&step.before.broadcast, &step.after.broadcast);
    let goes_on = before.term() == after.term() && before.carried().is_some();
    if !step.config.kind.is_handled() || before.reign.is_none() || after.reign.is_none() || !goes_on {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    let fresh = after.rounds.iter().filter(|(round, _)| **round > before.position());
    for (round, held) in fresh.filter(|(_, held)| held.end == Some(Ending::Handled)) {
        let taken = step.after.reduce.handler.is_some_and(|handler| handler.taken >= *round);
        let kept = step.before.reduce.kept.as_ref().is_some_and(|kept| kept.head == held.head);
        if !taken || !kept {
            return Verdict::Broken(
                "a result went round that nobody has taken, or another one than was taken",
            );
        }
        verdict = Verdict::Holds;
    }
    verdict
}

/// The member that this step says is gone.
fn gone<A, P>(step: &Step<'_, Member<A, P>>, member: MemberId) -> bool
where
    A: Clone + Debug + Eq + Hash,
    P: Clone + Debug + Eq + Hash,
{
    let Event::Controller(word) = step.event else { return false };
    if let ToMember::Gone(it) = word {
        return *it == member;
    }
    let ToMember::Assign(assign) = word else { return false };
    assign.roster.iter().flat_map(|roster| &roster.departed).any(|(_, it)| *it == member)
}

pub(in super::super) fn handed_one<A, P>(step: &Step<'_, Member<A, P>>) -> Verdict
where
    A: Clone + Debug + Eq + Hash,
    P: Clone + Debug + Eq + Hash,
{
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Hand { to, chunk } = effect else { continue };
        let kept = step.before.reduce.kept.as_ref().filter(|kept| kept.head.id == chunk.head.id);
        if let Some(offered) = kept.and_then(|kept| kept.offered)
            && offered != *to
            && !gone(step, offered)
        {
            return Verdict::Broken("a result that one may have taken is handed to another");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

pub(in super::super) fn not_given_up<A, P>(step: &Step<'_, Member<A, P>>) -> Verdict
where
    A: Clone + Debug + Eq + Hash,
    P: Clone + Debug + Eq + Hash,
{
    let Event::Timer(Timer::HandlerLost(..)) = step.event else { return Verdict::Idle };
    let Some(kept) = step.before.reduce.kept.as_ref().filter(|kept| kept.offered.is_some()) else {
        return Verdict::Idle;
    };
    let still = step.after.reduce.kept.as_ref().is_some_and(|after| after.head == kept.head);
    Verdict::from_bool(still, "a result that its handler may have taken was given up")
}

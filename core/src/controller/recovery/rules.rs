//! What a restarted controller promises, as rules: M4.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::rules::assigned;
use super::super::{Channel, Effect, Event, Timer};
use super::Claim;
use crate::channel::ToMember;
use crate::ids::{AssignmentVersion, MemberId};
use crate::rule::{RuleName, Step, Verdict};

/// Nobody joins before the members have had time to call.
pub const JOINS_WAIT: RuleName = RuleName { promise: "M4", name: "joins wait for the members of before" };
/// A place that one member claims is its own.
pub const SEATS_KEPT: RuleName = RuleName { promise: "M4", name: "whose place is not contested keeps it" };
/// A link that both ends know stays.
pub const LINKS_KEPT: RuleName = RuleName { promise: "M4", name: "a link that both ends know stays" };
/// A change is told, and nothing else.
pub const CHANGES_TOLD: RuleName =
    RuleName { promise: "M4", name: "whose seat has not changed is left alone" };
/// Who has called the roll is answered.
pub const ROLL_ANSWERED: RuleName =
    RuleName { promise: "M4", name: "who has called the roll meanwhile is answered" };
type Window<'a, A> = (Vec<&'a Claim<A>>, &'a Channel<A>);

/// If the window ends in this step: who had called, and the channel after.
fn ended<'a, A: Clone + Debug + Eq + Hash>(step: &Step<'a, Channel<A>>) -> Option<Window<'a, A>> {
    let recovery = step.before.recovery.as_ref()?;
    let ends = matches!(step.event, Event::Timer(Timer::Recovery));
    ends.then(|| (recovery.claims.iter().map(|(_, claim)| claim).collect(), step.after))
}

pub(in super::super) fn joins_wait<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let (Some(_), Event::Join { .. }) = (&step.before.recovery, step.event) else { return Verdict::Idle };
    let accepted = step.effects.iter().any(|effect| matches!(effect, Effect::Accept { .. }));
    Verdict::from_bool(!accepted, "somebody joined while the members of before are waited for")
}

pub(in super::super) fn seats_kept<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((claims, after)) = ended(step) else { return Verdict::Idle };
    // Whoever has a daemon has no place, whatever it had.
    let seated = |claim: &&Claim<A>| after.tree.place(claim.member).is_some();
    let here: Vec<&Claim<A>> = claims.into_iter().filter(seated).collect();
    let mut verdict = Verdict::Idle;
    for claim in &here {
        let (place, version) = (claim.registration.place, claim.registration.version);
        let rival = |other: &&&Claim<A>| other.registration.place == place && other.member != claim.member;
        let contested = here.iter().filter(rival).any(|other| other.registration.version >= version);
        let exists = place.is_some_and(|place| (place.0 as usize) < here.len());
        if version == AssignmentVersion::default() || contested || !exists {
            continue;
        }
        if after.tree.place(claim.member) != place {
            return Verdict::Broken("a member was moved from a place that nobody else claims");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

pub(in super::super) fn links_kept<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((claims, after)) = ended(step) else { return Verdict::Idle };
    let of = |member: MemberId| claims.iter().find(|claim| claim.member == member);
    let mut verdict = Verdict::Idle;
    for claim in &claims {
        let Some(edge) = after.tree.uplink(claim.member) else { continue };
        let Some(known) = claim.registration.parent.filter(|up| up.member == edge.member) else { continue };
        let lists = |above: &&Claim<A>| {
            let mut children = above.registration.children.iter();
            children.any(|down| down.member == claim.member && down.link == known.link)
        };
        if !of(edge.member).is_some_and(lists) {
            continue;
        }
        if edge.link != known.link {
            return Verdict::Broken("a link that both ends know was given another name");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

/// Who is told an assignment sees its seat otherwise, or is the root; and who sees it otherwise is told.
pub(in super::super) fn changes_told<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((claims, after)) = ended(step) else { return Verdict::Idle };
    if step.before.recovery.as_ref().is_some_and(|recovery| !recovery.joins.is_empty()) {
        return Verdict::Idle; // Those who have joined in the same step have changed seats as well.
    }
    let told: Vec<MemberId> = assigned(step.effects).collect();
    let mut verdict = Verdict::Idle;
    for claim in claims {
        let Some(seat) = after.tree.assignment(claim.member) else { continue };
        let changed = !claim.registration.agrees(&seat) || after.tree.root() == Some(claim.member);
        if told.contains(&claim.member) != changed {
            return Verdict::Broken("who is told is not whose seat has changed");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

pub(in super::super) fn roll_answered<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((claims, after)) = ended(step) else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for claim in claims.iter().filter(|it| it.calls_roll && after.tree.contains(it.member)) {
        let answers = |effect: &Effect<A>| matches!(effect, Effect::Send { to, message: ToMember::Roll(_) } if *to == claim.member);
        if !step.effects.iter().any(answers) {
            return Verdict::Broken("one who has called the roll is not answered");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

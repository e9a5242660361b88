//! What a directory promises about its lives, as rules: M4, and that what has ended stays so (M2).

use core::fmt::Debug;
use core::hash::Hash;

use super::super::{Again, Directory, Effect, Event, Phase};
use crate::channel::ToMember;
use crate::controller;
use crate::ids::{CallId, ChannelId, MemberId};
use crate::rule::{RuleName, Step, Verdict};

/// A life has an epoch for ever before it says anything.
pub const EPOCH_FIRST: RuleName =
    RuleName { promise: "M4", name: "nothing is answered before its epoch is on disk" };
/// A life's epoch is above those of all before.
pub const EPOCH_NEW: RuleName = RuleName { promise: "M4", name: "an epoch is not used again" };
/// A channel stays the same in another life.
pub const TAKEN_UP: RuleName = RuleName { promise: "M4", name: "a channel is taken up under the id it had" };
/// Nobody joins a new channel under the name of one that may still be taken up.
pub const JOINS_HELD: RuleName = RuleName { promise: "M4", name: "a name waits for the members of before" };
/// Who waits is answered.
pub const HELD_ANSWERED: RuleName = RuleName { promise: "M4", name: "who waits to join is answered" };
/// A channel is taken up once in a life, or ids would come twice.
pub const KEPT: RuleName = RuleName { promise: "M4", name: "what is taken up stays while others may call" };
/// Of two lives of a name the later one goes on.
pub const NEWER_NAME: RuleName =
    RuleName { promise: "M4", name: "of two lives of a name the later one goes on" };
/// Who is in a channel that has ended is told.
pub const GONE_TOLD: RuleName = RuleName { promise: "M2", name: "who is in a channel that ended is told" };

fn answers<A>(directory: &Directory<A>) -> bool {
    matches!(directory.phase, Phase::Recovering | Phase::Serving)
}

pub(in super::super) fn epoch_first<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let on_disk =
        matches!(step.event, Event::Persisted(epoch) if *epoch == step.before.stamp.epoch && epoch.0 > 0);
    if answers(step.before) || on_disk {
        return Verdict::Idle;
    }
    let silent = step.effects.iter().all(|it| matches!(it, Effect::Persist(_) | Effect::CannotBegin));
    Verdict::from_bool(silent && !answers(step.after), "a directory answers without an epoch of its own")
}

pub(in super::super) fn epoch_new<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Event::Started { last } = step.event else { return Verdict::Idle };
    if step.before == step.after {
        return Verdict::Idle;
    }
    let kept = *last < Some(step.after.stamp.epoch) && step.after.stamp.epoch.0 > 0;
    Verdict::from_bool(kept, "a directory goes on in an epoch that was used before")
}

/// Somebody calls a channel that is not there, and has every right to.
fn calls<'a, A: Clone + Debug + Eq + Hash>(step: &Step<'a, Directory<A>>) -> Option<&'a Again<A>> {
    let Event::Again(again) = step.event else { return None };
    let own = step.before.admits(again.credential).is_ok() && again.channel.job == again.credential.job;
    (own && !step.before.channels.contains(&again.channel)).then_some(again)
}

/// The same, for a channel of an earlier life, while the members of before are waited for.
fn returns<'a, A: Clone + Debug + Eq + Hash>(step: &Step<'a, Directory<A>>) -> Option<&'a Again<A>> {
    let earlier = |again: &&Again<A>| again.channel.stamp.epoch < step.before.stamp.epoch;
    calls(step).filter(|again| step.before.phase == Phase::Recovering && earlier(again))
}

fn is_told<A: Clone + Debug + Eq + Hash>(effects: &[Effect<A>], channel: ChannelId, to: MemberId) -> bool {
    let effect = controller::Effect::Send { to, message: ToMember::Fenced };
    effects.contains(&Effect::Channel { channel, effect })
}

pub(in super::super) fn taken_up<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Some(Again { channel: id, name, kind, .. }) = returns(step) else { return Verdict::Idle };
    let rival = step.before.named(id.job, name);
    let room = step.before.jobs.get(&id.job).is_some_and(|job| job.names.len() < job.limits.channels_max);
    if rival.is_some_and(|rival| rival > *id) || (rival.is_none() && !room) {
        return Verdict::Idle;
    }
    let listed = step.after.channels.get(id);
    let same = listed.is_some_and(|it| it.name == *name && it.kind == *kind && !it.is_over());
    Verdict::from_bool(same, "a channel of before is not there under its id")
}

pub(in super::super) fn joins_held<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Event::Join(join) = step.event else { return Verdict::Idle };
    let known = step.before.named(join.credential.job, &join.name).is_some();
    if known || step.before.phase != Phase::Recovering || step.before.admits(join.credential).is_err() {
        return Verdict::Idle;
    }
    Verdict::from_bool(
        step.before.channels == step.after.channels,
        "a channel began under a name that members of before may have",
    )
}

fn answered<A>(effects: &[Effect<A>]) -> impl Iterator<Item = CallId> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Refuse { call, .. }
        | Effect::Channel { effect: controller::Effect::Accept { call, .. }, .. } => Some(*call),
        Effect::Channel { .. }
        | Effect::Opened(_)
        | Effect::Closed(_)
        | Effect::Persist(_)
        | Effect::Ready(_)
        | Effect::CannotBegin
        | Effect::SetWindow { .. }
        | Effect::Reject(_) => None,
    })
}

/// At the end of the window, or when a job is closed, those who waited.
pub(in super::super) fn held_answered<A: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Directory<A>>,
) -> Verdict {
    let waited = match step.event {
        Event::WindowEnds(_) if step.before.phase != step.after.phase => {
            let waiting = step.before.jobs.iter().map(|(_, job)| job.waiting.len());
            waiting.fold(0, u32::saturating_add)
        }
        Event::Close { job, .. } if !step.after.jobs.contains(job) => {
            let own = step.before.channels.iter().filter(|(id, _)| id.job == *job);
            let waiting = own.filter_map(|(_, it)| it.channel.recovery.as_ref()).map(|it| it.joins.len());
            waiting.fold(0, u32::saturating_add)
        }
        Event::Started { .. }
        | Event::Persisted(_)
        | Event::PersistFailed(_)
        | Event::WindowEnds(_)
        | Event::Open { .. }
        | Event::Close { .. }
        | Event::Join(_)
        | Event::Again(_)
        | Event::From { .. }
        | Event::Suspected { .. }
        | Event::Disconnected { .. }
        | Event::Expiring { .. }
        | Event::Reshape { .. }
        | Event::Timer { .. } => 0,
    };
    if waited == 0 {
        return Verdict::Idle;
    }
    let answered = u32::try_from(answered(step.effects).count()).unwrap_or(u32::MAX);
    Verdict::from_bool(answered == waited, "somebody who waits to join is not answered")
}

pub(in super::super) fn kept<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    if step.before.phase != Phase::Recovering || step.after.phase != Phase::Recovering {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    for (id, listed) in step.before.channels.iter() {
        let stays = step.after.channels.contains(id);
        let later = step.after.named(id.job, &listed.name).is_some_and(|named| named > *id);
        if !stays && !later {
            return Verdict::Broken("a channel that was taken up is forgotten, and may be taken up again");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

pub(in super::super) fn newer_name<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Some(Again { channel: id, name, member, .. }) = returns(step) else { return Verdict::Idle };
    let Some(rival) = step.before.named(id.job, name) else { return Verdict::Idle };
    let now = step.after.named(id.job, name);
    let kept = now == Some(rival.max(*id)) && step.after.channels.contains(&rival.max(*id));
    let told = rival < *id || is_told(step.effects, *id, *member);
    Verdict::from_bool(kept && told, "the earlier of two lives of a name goes on")
}

pub(in super::super) fn gone_told<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    if let Some(again) = calls(step)
        && (step.before.phase == Phase::Serving || again.channel.stamp.epoch >= step.before.stamp.epoch)
    {
        let told = is_told(step.effects, again.channel, again.member);
        return Verdict::from_bool(told && step.before == step.after, "who calls too late is not told so");
    }
    let Some(Again { channel: id, name, .. }) = returns(step) else { return Verdict::Idle };
    let rival = step.before.named(id.job, name).filter(|rival| rival < id);
    let Some((rival, listed)) = rival.and_then(|it| Some((it, step.before.channels.get(&it)?))) else {
        return Verdict::Idle;
    };
    let claims = listed.channel.recovery.iter().flat_map(|recovery| recovery.claims.iter());
    let mut members = claims.map(|(_, claim)| claim.member).chain(listed.channel.tree.everybody());
    let all = members.all(|member| is_told(step.effects, rival, member));
    Verdict::from_bool(all, "who is in the earlier life of a name is not told that it has ended")
}

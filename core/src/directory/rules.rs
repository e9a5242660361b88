//! What a directory promises, as rules: M5, and that channels which are gone stay gone (M2).

use core::fmt::Debug;
use core::hash::Hash;

use super::recovery::rules as lives;
use super::{Config, Credential, Directory, Effect, Event, Listed, Phase};
use crate::channel::ToMember;
use crate::controller;
use crate::ids::{ChannelId, JobId, MemberId};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};

/// Channels share nothing.
pub const ISOLATED: RuleName = RuleName { promise: "M5", name: "an event in one channel changes no other" };
/// Strangers to a job do not get into its channels.
pub const TOKEN_NEEDED: RuleName = RuleName { promise: "M5", name: "a join needs the job's token" };
/// Members of a job have no say in channels of another.
pub const OWN_JOB: RuleName =
    RuleName { promise: "M5", name: "only the job's own are heard in its channels" };
/// A name is for one kind of use.
pub const ONE_KIND: RuleName = RuleName { promise: "M5", name: "one name is one kind of channel" };
/// Channels are those that jobs know, and somebody is in each.
pub const LISTED: RuleName = RuleName { promise: "M5", name: "every channel is a job's, and somebody's" };
/// A channel that begins is another one than all before.
pub const ID_NEW: RuleName = RuleName { promise: "M2", name: "a name that begins anew has a new id" };
/// What a job may have is there for it.
pub const RESERVED: RuleName = RuleName { promise: "M5", name: "what a job may have is set aside for it" };
/// Who is out because its job was closed is told.
pub const CLOSED_TOLD: RuleName = RuleName { promise: "M2", name: "who is in a job that is closed is told" };

impl<A: Clone + Debug + Eq + Hash + 'static> Ruled for Directory<A> {
    const RULES: &'static [Rule<Self>] =
        &[Rule { name: LISTED, check: listed }, Rule { name: RESERVED, check: reserved }];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: TOKEN_NEEDED, check: token_needed },
        StepRule { name: OWN_JOB, check: own_job },
        StepRule { name: ISOLATED, check: isolated },
        StepRule { name: ONE_KIND, check: one_kind },
        StepRule { name: ID_NEW, check: id_new },
        StepRule { name: CLOSED_TOLD, check: closed_told },
        StepRule { name: lives::EPOCH_FIRST, check: lives::epoch_first },
        StepRule { name: lives::EPOCH_NEW, check: lives::epoch_new },
        StepRule { name: lives::TAKEN_UP, check: lives::taken_up },
        StepRule { name: lives::JOINS_HELD, check: lives::joins_held },
        StepRule { name: lives::HELD_ANSWERED, check: lives::held_answered },
        StepRule { name: lives::KEPT, check: lives::kept },
        StepRule { name: lives::NEWER_NAME, check: lives::newer_name },
        StepRule { name: lives::GONE_TOLD, check: lives::gone_told },
    ];
}

fn listed<A: Clone + Debug + Eq + Hash>(_: &Config, directory: &Directory<A>) -> Verdict {
    if directory.channels.is_empty() {
        return Verdict::Idle;
    }
    let known = |id: &ChannelId, listed: &Listed<A>| {
        let somebodys = !listed.is_over() || directory.phase == Phase::Recovering;
        directory.named(id.job, &listed.name) == Some(*id) && somebodys
    };
    let names = directory.jobs.iter().map(|(_, job)| job.names.len()).fold(0, u32::saturating_add);
    let all =
        directory.channels.iter().all(|(id, listed)| known(id, listed)) && names == directory.channels.len();
    Verdict::from_bool(all, "a channel that no job knows, or that nobody is in")
}

fn reserved<A: Clone + Debug + Eq + Hash>(config: &Config, directory: &Directory<A>) -> Verdict {
    if directory.jobs.is_empty() {
        return Verdict::Idle;
    }
    let has = |id: &ChannelId, listed: &Listed<A>| {
        let job = directory.jobs.get(&id.job);
        job.is_none_or(|job| listed.channel.all.census.count <= job.limits.members_max)
    };
    let within = directory.jobs.iter().all(|(_, job)| job.names.len() <= job.limits.channels_max)
        && directory.channels.iter().all(|(id, listed)| has(id, listed));
    let room = directory.reserved() <= config.members_max && directory.jobs.len() <= config.jobs_max;
    Verdict::from_bool(within && room, "jobs may have more than there is")
}

/// Who was accepted in this step, and into which channel.
fn accepted<A>(effects: &[Effect<A>]) -> Option<ChannelId> {
    effects.iter().find_map(|effect| match effect {
        Effect::Channel { channel, effect: controller::Effect::Accept { .. } } => Some(*channel),
        Effect::Channel { .. }
        | Effect::Opened(_)
        | Effect::Closed(_)
        | Effect::Persist(_)
        | Effect::Ready(_)
        | Effect::CannotBegin
        | Effect::SetWindow { .. }
        | Effect::Refuse { .. }
        | Effect::Reject(_) => None,
    })
}

fn token_needed<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Event::Join(join) = step.event else { return Verdict::Idle };
    let admitted = step.before.admits(join.credential).is_ok();
    match accepted(step.effects) {
        None if admitted => Verdict::Idle,
        None => Verdict::from_bool(step.before == step.after, "a join without the token changed something"),
        Some(_) => Verdict::from_bool(admitted, "somebody joined without the job's token"),
    }
}

fn own_job<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let (credential, channel): (Credential, _) = if let Event::Join(join) = step.event {
        (join.credential, accepted(step.effects))
    } else if let Event::Again(again) = step.event {
        (again.credential, Some(again.channel))
    } else if let Event::From { credential, channel, .. } = step.event {
        (*credential, Some(*channel))
    } else {
        return Verdict::Idle;
    };
    let Some(channel) = channel else { return Verdict::Idle };
    if channel.job == credential.job && step.before.admits(credential).is_ok() {
        return Verdict::Idle;
    }
    let silent = step.effects.iter().all(|effect| matches!(effect, Effect::Reject(_)));
    Verdict::from_bool(
        silent && step.before == step.after,
        "one of another job, or of none, has a say in a channel",
    )
}

/// The one channel that an event names.
fn named<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Option<ChannelId> {
    match step.event {
        Event::Started { .. }
        | Event::Persisted(_)
        | Event::PersistFailed(_)
        | Event::WindowEnds(_)
        | Event::Open { .. }
        | Event::Close { .. } => None,
        Event::Again(again) => Some(again.channel),
        Event::Join(join) => {
            let id = |directory: &Directory<A>| directory.named(join.credential.job, &join.name);
            id(step.before).or_else(|| id(step.after))
        }
        Event::From { channel, .. }
        | Event::Suspected { channel, .. }
        | Event::Disconnected { channel, .. }
        | Event::Expiring { channel, .. }
        | Event::Reshape { channel, .. }
        | Event::Timer { channel, .. } => Some(*channel),
    }
}

fn isolated<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let (before, after) = (&step.before.channels, &step.after.channels);
    let named = named(step);
    let closes = |of: JobId| matches!(step.event, Event::Close { job, .. } if *job == of);
    // The channels of one name are one after the other: who calls for a later one, or waits for one, concerns them.
    let of_name = |id: &ChannelId, listed: &Listed<A>| match step.event {
        Event::Again(again) => again.channel.job == id.job && again.name == listed.name,
        Event::WindowEnds(_) => {
            let job = step.before.jobs.get(&id.job);
            listed.is_over() || job.is_some_and(|it| it.waiting.iter().any(|join| join.name == listed.name))
        }
        Event::Started { .. }
        | Event::Persisted(_)
        | Event::PersistFailed(_)
        | Event::Open { .. }
        | Event::Close { .. }
        | Event::Join(_)
        | Event::From { .. }
        | Event::Suspected { .. }
        | Event::Disconnected { .. }
        | Event::Expiring { .. }
        | Event::Reshape { .. }
        | Event::Timer { .. } => false,
    };
    let concerned =
        |id: &ChannelId, listed: &Listed<A>| named == Some(*id) || closes(id.job) || of_name(id, listed);
    let mut verdict = Verdict::Idle;
    for (id, listed) in before.iter().filter(|(id, listed)| !concerned(id, listed)) {
        if after.get(id) != Some(listed) {
            return Verdict::Broken("an event in one channel changed another one");
        }
        verdict = Verdict::Holds;
    }
    if after.iter().any(|(id, listed)| !before.contains(id) && !concerned(id, listed)) {
        return Verdict::Broken("a channel began that nobody asked for");
    }
    verdict
}

fn one_kind<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let (known, asked) = if let Event::Join(join) = step.event {
        (step.before.named(join.credential.job, &join.name), join.kind)
    } else if let Event::Again(again) = step.event {
        (Some(again.channel), again.kind)
    } else {
        return Verdict::Idle;
    };
    let known = known.and_then(|id| step.before.channels.get(&id).map(|listed| (id, listed.kind)));
    let Some((id, kind)) = known else { return Verdict::Idle };
    let now = step.after.channels.get(&id).map(|listed| listed.kind);
    let let_in = asked != kind && (step.before != step.after || accepted(step.effects).is_some());
    Verdict::from_bool(!let_in && now == Some(kind), "a channel is used for something else than it began for")
}

fn id_new<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for (id, _) in step.after.channels.iter().filter(|(id, _)| !step.before.channels.contains(id)) {
        if matches!(step.event, Event::Again(again) if again.channel == *id) {
            continue; // It is the same channel in another life.
        }
        if id.stamp <= step.before.stamp || step.after.stamp < id.stamp {
            return Verdict::Broken("a channel has an id that was given before");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn closed_told<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Directory<A>>) -> Verdict {
    let Event::Close { job, .. } = step.event else { return Verdict::Idle };
    let told = |channel: ChannelId, to: MemberId| {
        let effect = controller::Effect::Send { to, message: ToMember::Fenced };
        step.effects.contains(&Effect::Channel { channel, effect })
    };
    let mut verdict = Verdict::Idle;
    if step.after.jobs.contains(job) {
        return Verdict::Idle; // It is refused.
    }
    for (id, listed) in step.before.channels.iter().filter(|(id, _)| id.job == *job) {
        let claims = listed.channel.recovery.iter().flat_map(|recovery| recovery.claims.iter());
        let mut members = listed.channel.tree.everybody().chain(claims.map(|(_, claim)| claim.member));
        if !members.all(|member| told(*id, member)) {
            return Verdict::Broken("a job was closed and a member of it is not told");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

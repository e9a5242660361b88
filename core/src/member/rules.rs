//! What a member promises by itself, as rules: its part of T5, M2, B1, B2 and B4.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::contact::rules as contact;
use super::reduce::rules as results;
use super::{Config, Effect, End, Event, Member, Outcome, Phase, Reduction, Timer};
use crate::channel::{Census, Frame, Report, Seal, ToMember};
use crate::ids::{LinkId, Round, Stamp, Term};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};

/// Not more rounds are kept than may be.
pub const BOUNDED: RuleName = RuleName { promise: "B4", name: "a member keeps a window of rounds" };
/// The root does not run ahead of the slowest.
pub const WINDOW: RuleName = RuleName { promise: "B4", name: "the root runs ahead by the window at most" };
/// A broadcast gets one number in a term.
pub const NUMBERED_ONCE: RuleName =
    RuleName { promise: "B1", name: "a broadcast is numbered once in a term" };
/// The newest assignment is in force.
pub const NEWEST: RuleName = RuleName { promise: "T5", name: "a member's assignment never gets older" };
/// A member has the links that it was assigned.
pub const AS_ASSIGNED: RuleName = RuleName { promise: "T5", name: "a member's links are those assigned" };
/// Frames on other links change nothing.
pub const STRANGERS_UNHEARD: RuleName =
    RuleName { promise: "M2", name: "a frame on a stale link changes nothing" };
/// A root does not hear who has departed.
pub const DEPARTED_UNHEARD: RuleName =
    RuleName { promise: "M2", name: "nothing is taken from one who departed" };
/// A member delivers what it is in.
pub const INSIDERS: RuleName = RuleName { promise: "B1", name: "a round is delivered to who is in it" };
/// What a replaced root says changes nothing.
pub const OLD_TERM_UNHEARD: RuleName =
    RuleName { promise: "B2", name: "what a replaced root says changes nothing" };
/// A member reports for all below it.
pub const REPORT_WHOLE: RuleName = RuleName { promise: "B2", name: "a report speaks for all below" };
/// Whoever is above a member knows what is below.
pub const REPORT_FRESH: RuleName =
    RuleName { promise: "B3", name: "what a member has together with those below is known above" };
/// A term goes on when all members have reported.
pub const CARRIED_WHOLE: RuleName = RuleName { promise: "B2", name: "a term goes on when all have reported" };
/// A round is let go when everybody has it.
pub const FLOOR_WHOLE: RuleName = RuleName { promise: "B2", name: "a round is let go when all have it" };
/// A sender offers what is not among what goes on.
pub const OFFERED_NEW: RuleName =
    RuleName { promise: "B1", name: "a sender knows what goes on before it offers" };
/// Whom the channel went on without, leaves.
pub const LEFT_BEHIND: RuleName =
    RuleName { promise: "M2", name: "one whom the channel went on without is out" };
/// A child asks for what it lacks and not for more.
pub const RESUMED: RuleName =
    RuleName { promise: "B1", name: "a round goes on from the piece that is lacking" };
/// A child may know of an attempt before its parent does.
pub const SPOIL_HEARD: RuleName =
    RuleName { promise: "R2", name: "an attempt that a child has given up is not waited for" };

/// A root that leaves takes nothing with it.
pub const LEAVES_NOTHING: RuleName =
    RuleName { promise: "B2", name: "a root that leaves lets all have its rounds" };
/// One who wants to leave has left by its deadline, and its calls are answered.
pub const OVERDUE: RuleName = RuleName { promise: "B3", name: "who wants to leave has left by its deadline" };

impl<A, P> Ruled for Member<A, P>
where
    A: Clone + Debug + Eq + Hash + 'static,
    P: Clone + Debug + Eq + Hash + 'static,
{
    const RULES: &'static [Rule<Self>] =
        &[Rule { name: BOUNDED, check: bounded }, Rule { name: WINDOW, check: window }];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: NUMBERED_ONCE, check: numbered_once },
        StepRule { name: NEWEST, check: newest },
        StepRule { name: AS_ASSIGNED, check: as_assigned },
        StepRule { name: STRANGERS_UNHEARD, check: strangers_unheard },
        StepRule { name: DEPARTED_UNHEARD, check: departed_unheard },
        StepRule { name: INSIDERS, check: insiders },
        StepRule { name: OLD_TERM_UNHEARD, check: old_term_unheard },
        StepRule { name: REPORT_WHOLE, check: report_whole },
        StepRule { name: REPORT_FRESH, check: report_fresh },
        StepRule { name: CARRIED_WHOLE, check: carried_whole },
        StepRule { name: FLOOR_WHOLE, check: floor_whole },
        StepRule { name: OFFERED_NEW, check: offered_new },
        StepRule { name: RESUMED, check: resumed },
        StepRule { name: LEFT_BEHIND, check: left_behind },
        StepRule { name: SPOIL_HEARD, check: spoil_heard },
        StepRule { name: contact::ROUNDS_GO_ON, check: contact::rounds_go_on },
        StepRule { name: contact::CALLS_AGAIN, check: contact::calls_again },
        StepRule { name: contact::SPREAD, check: contact::spread },
        StepRule { name: contact::NO_EARLIER_LIFE, check: contact::no_earlier_life },
        StepRule { name: OVERDUE, check: overdue },
        StepRule { name: LEAVES_NOTHING, check: leaves_nothing },
        StepRule { name: results::SEALED_TAKEN, check: results::sealed_taken },
        StepRule { name: results::HANDED_ONE, check: results::handed_one },
        StepRule { name: results::TAKEN_KNOWN, check: results::taken_known },
        StepRule { name: results::NOT_GIVEN_UP, check: results::not_given_up },
    ];
}

trait Plain: Clone + Debug + Eq + Hash {}
impl<T: Clone + Debug + Eq + Hash> Plain for T {}

fn bounded<A: Plain, P: Plain>(config: &Config, member: &Member<A, P>) -> Verdict {
    if member.broadcast.rounds.is_empty() {
        return Verdict::Idle;
    }
    let room = config.window.saturating_add(config.buffer);
    Verdict::from_bool(
        member.broadcast.rounds.len() <= room,
        "more rounds are kept than the window and the buffer",
    )
}

fn window<A: Plain, P: Plain>(config: &Config, member: &Member<A, P>) -> Verdict {
    let Some(reign) = &member.broadcast.reign else { return Verdict::Idle };
    let under_way = reign.started.0.saturating_sub(member.broadcast.floor().0);
    if under_way == 0 {
        return Verdict::Idle;
    }
    // What earlier roots had begun may be as much again.
    let carried = member.broadcast.carried().unwrap_or_default();
    if reign.started == carried {
        return Verdict::Idle;
    }
    Verdict::from_bool(under_way <= config.window.into(), "the root has numbered more rounds than the window")
}

fn numbered_once<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let (before, after) = (&step.before.broadcast, &step.after.broadcast);
    let (Some(reign), true) = (&before.reign, before.term() == after.term()) else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for (round, held) in after.rounds.iter().filter(|(round, _)| **round > reign.started) {
        let Some(origin) = held.head.origin else { continue };
        if reign.last.get(&origin.member).is_some_and(|last| *last >= origin.sequence) {
            return Verdict::Broken("a broadcast that has a number got another one");
        }
        verdict = Verdict::from_bool(held.head.id.round == *round, "a round is kept under another number");
    }
    verdict
}

fn newest<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    if !matches!(step.event, Event::Controller(ToMember::Assign(_))) {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before.version <= step.after.version, "an older assignment replaced a newer one")
}

fn as_assigned<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Event::Controller(ToMember::Assign(assign)) = step.event else { return Verdict::Idle };
    if step.after.version != assign.version || matches!(step.after.phase, Phase::Ended(_)) {
        return Verdict::Idle;
    }
    let links = &step.after.links;
    let parent = links.parent.as_ref().map(|uplink| uplink.parent.edge);
    let same = assign.children.iter().all(|edge| links.children.contains(&edge.link));
    let whole = links.children.len() as usize == assign.children.len();
    let kept = parent == assign.parent.as_ref().map(|parent| parent.edge) && same && whole;
    Verdict::from_bool(kept, "a member has other links than it was assigned")
}

fn is_link<A: Plain, P: Plain>(member: &Member<A, P>, link: LinkId) -> bool {
    member.links.up() == Some(link) || member.links.children.contains(&link)
}

fn strangers_unheard<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Event::Frame { link, .. } = step.event else { return Verdict::Idle };
    if is_link(step.before, *link) {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "a frame on a link that was not assigned had an effect")
}

fn departed_unheard<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Event::Submitted { from, .. } = step.event else { return Verdict::Idle };
    let Some(reign) = &step.before.broadcast.reign else { return Verdict::Idle };
    if !reign.barred.iter().any(|barred| barred == from) {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "a root took something from one who had departed")
}

fn insiders<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Some(me) = step.after.id else { return Verdict::Idle };
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        if let Effect::Deliver { head, pieces } = effect {
            // A result may have been kept for one who came later.
            let kept = step.after.handles(step.config) && pieces.is_some();
            if me.stamp > head.cut && !kept {
                return Verdict::Broken("a member delivered a round that it is not in");
            }
            if step.after.tenancy.is_daemon() {
                return Verdict::Broken("a daemon delivered a round, and has no application");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

fn old_term_unheard<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let now = step.before.broadcast.term();
    let term: Term = if let Event::Submitted { submit, .. } = step.event {
        submit.term
    } else if let Event::Frame { link, frame } = step.event
        && step.before.links.up() == Some(*link)
    {
        match frame {
            Frame::Sync(sync) => sync.term,
            Frame::Chunk(chunk) => chunk.term,
            Frame::Pull { term, .. } => *term,
            Frame::Attach
            | Frame::Resume(_)
            | Frame::Report(_)
            | Frame::Contribution(_)
            | Frame::Spoiled { .. } => return Verdict::Idle,
        }
    } else {
        return Verdict::Idle;
    };
    if term >= now {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "something that a replaced root said had an effect")
}

fn report_whole<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Send { frame: Frame::Report(_), .. } = effect else { continue };
        let broadcast = &step.after.broadcast;
        let reported =
            |link: &LinkId| broadcast.streams.get(link).is_some_and(|stream| stream.report.is_some());
        if !step.after.links.children.iter().all(|(link, _)| reported(link)) {
            return Verdict::Broken("a member reported though a child of it had not");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

/// As far as the parent cannot know it otherwise: once a term goes on, floors come from above.
fn report_fresh<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let (member, broadcast) = (step.after, &step.after.broadcast);
    let over = matches!(member.phase, Phase::Ended(_));
    let Some(report) = member.report(step.config).filter(|_| member.links.up().is_some() && !over) else {
        return Verdict::Idle;
    };
    let Some(told) = &broadcast.reported else {
        return Verdict::Broken("a member says nothing of what it has together with those below");
    };
    let rest = |it: &Report| (it.term, it.cut, it.synced, it.best, it.seen, it.prior);
    let above = |it: &Report| {
        let rounds = (it.floor.0.saturating_add(1)..).zip(it.done.iter().copied());
        rounds.filter(|(round, _)| *round > report.floor.0).collect::<Vec<_>>()
    };
    let floor = broadcast.carried().is_some() || told.floor == report.floor;
    let known = floor && rest(told) == rest(&report) && above(told) == above(&report);
    Verdict::from_bool(known, "a member keeps from its parent what is new below")
}

/// Whether all who are counted below and here are in what `census` picks from the reports.
fn counts_all<A: Plain, P: Plain>(
    member: &Member<A, P>,
    everybody: Census,
    census: impl Fn(&Report) -> Census,
) -> bool {
    let Some(me) = member.id else { return false };
    let own = Census::of(me);
    let reports = member.broadcast.streams.iter().filter_map(|(_, stream)| stream.report.as_ref());
    reports.map(census).fold(own, Census::plus) == everybody
}

fn carried_whole<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let (before, after) = (&step.before.broadcast, &step.after.broadcast);
    let same_term = before.term() == after.term() && before.carried().is_some();
    let Some(reign) = after.reign.as_ref().filter(|_| after.carried().is_some() && !same_term) else {
        return Verdict::Idle;
    };
    // The next cut may have been taken up in the same step; the reports are those of the one before.
    let old =
        before.reign.as_ref().filter(|old| before.term() == after.term() && old.cut.until != reign.cut.until);
    if old.is_some() && matches!(step.event, Event::Controller(_)) {
        return Verdict::Idle; // Who has departed is not to be seen any more.
    }
    let all =
        counts_all(step.after, old.map_or(reign.cut.census, |old| old.cut.census), |report| report.synced);
    Verdict::from_bool(all, "a term went on though not all members had reported")
}

fn floor_whole<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let (before, after) = (&step.before.broadcast, &step.after.broadcast);
    let reported = if let Event::Frame { frame: Frame::Report(report), .. } = step.event {
        report.floor
    } else {
        Round(0)
    };
    let alone = after.streams.is_empty() && step.after.links.children.is_empty();
    let same_cut =
        before.reign.as_ref().map(|it| it.cut.until) == after.reign.as_ref().map(|it| it.cut.until);
    if after.reign.is_none() || !same_cut || after.floor() <= before.floor().max(reported) {
        return Verdict::Idle;
    }
    let floor = after.floor().0;
    let done = |report: &Report| {
        let place = floor.checked_sub(report.floor.0).and_then(|it| it.checked_sub(1)).unwrap_or(u64::MAX);
        let census = usize::try_from(place).ok().and_then(|place| report.done.get(place));
        census.copied().unwrap_or_default()
    };
    let everybody = after.reign.as_ref().map(|reign| reign.cut.census).unwrap_or_default();
    Verdict::from_bool(
        alone || counts_all(step.after, everybody, done),
        "a round was let go that somebody lacks",
    )
}

fn offered_new<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let offers = step.effects.iter().any(|effect| matches!(effect, Effect::Submit(_)));
    if !offers {
        return Verdict::Idle;
    }
    let broadcast = &step.after.broadcast;
    let known = broadcast.carried().is_some_and(|carried| carried <= broadcast.position());
    Verdict::from_bool(known, "a sender offered what may be among the rounds that go on")
}

/// Who hears of a term that went on and was never in it, though it was counted before; of a round that it is in, that is
/// everybody's, and that it lacks; or of a result that names it as departed.
fn left_behind<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Event::Frame { link, frame } = step.event else { return Verdict::Idle };
    let Some(me) = step.before.id.filter(|_| is_link(step.before, *link)) else { return Verdict::Idle };
    let before = &step.before.broadcast;
    let (term, position, from_parent) =
        (before.term(), before.position(), step.before.links.up() == Some(*link));
    let lacks = |floor: Round, cut: Stamp| position < floor && me.stamp <= cut;
    let behind = match frame {
        Frame::Sync(sync) if sync.term >= term && from_parent => {
            let went_on = if sync.carried.is_some() { sync.term } else { sync.prior };
            before.history.lacks(went_on) || lacks(sync.floor, sync.floor_cut)
        }
        Frame::Report(report) if report.term == term && !from_parent => {
            before.history.lacks(report.prior) || lacks(report.floor, report.floor_cut)
        }
        Frame::Chunk(chunk) if chunk.term == term && from_parent && chunk.index == 0 => {
            let names = |seal: &Seal| seal.missing.departed.contains(&me);
            chunk.head.sealed.as_ref().is_some_and(names) && chunk.head.id.round > position
        }
        Frame::Sync(_)
        | Frame::Report(_)
        | Frame::Attach
        | Frame::Resume(_)
        | Frame::Chunk(_)
        | Frame::Contribution(_)
        | Frame::Spoiled { .. }
        | Frame::Pull { .. } => false,
    };
    if !behind {
        return Verdict::Idle;
    }
    Verdict::from_bool(
        matches!(step.after.phase, Phase::Ended(_)),
        "a member stays that is dead to the others",
    )
}

fn resumed<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Send { frame: Frame::Resume(resume), .. } = effect else { continue };
        let next = Round(resume.position.0.saturating_add(1));
        let Some(held) = step.after.broadcast.rounds.get(&next) else { continue };
        let pieces = u32::try_from(held.pieces.len()).unwrap_or(u32::MAX);
        if resume.partial != Some((held.head.id, pieces)) {
            return Verdict::Broken("a child asks again for pieces that it has");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn spoil_heard<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let Event::Frame { link, frame: Frame::Spoiled { term, at, .. } } = step.event else {
        return Verdict::Idle;
    };
    let Member { broadcast, reduce, links, .. } = step.after;
    let open = broadcast.term() == *term && at.round > broadcast.position() && reduce.at <= *at;
    if !open || !links.children.contains(link) {
        return Verdict::Idle;
    }
    let kept = reduce.below.get(link).is_some_and(|below| below.at > *at || below.spoiled.is_some());
    Verdict::from_bool(kept, "a member waits for an attempt that a child has given up")
}

fn overdue<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let leaves = matches!(step.before.phase, Phase::Draining | Phase::Leaving);
    if !leaves || !matches!(step.event, Event::Timer(Timer::Drain)) {
        return Verdict::Idle;
    }
    let answer = |effect: &&Effect<A, P>| {
        matches!(effect, Effect::Sent { outcome: Outcome::Indeterminate, .. })
            || matches!(effect, Effect::Reduced { outcome: Reduction::Indeterminate, .. })
    };
    let open = usize::from(step.before.broadcast.is_sending())
        .saturating_add(step.before.reduce.calls.len() as usize);
    let answered = step.effects.iter().filter(answer).count() == open;
    let ended = step.after.phase == Phase::Ended(End::Overdue);
    Verdict::from_bool(ended && answered, "one who wants to leave waits beyond its deadline")
}

fn leaves_nothing<A: Plain, P: Plain>(step: &Step<'_, Member<A, P>>) -> Verdict {
    let leaves = step.before.phase != Phase::Leaving && step.after.phase == Phase::Leaving;
    let broadcast = &step.after.broadcast;
    if !leaves || broadcast.reign.is_none() {
        return Verdict::Idle;
    }
    let everywhere = broadcast.position() == broadcast.floor();
    Verdict::from_bool(everywhere, "a root leaves with a round that some lack")
}

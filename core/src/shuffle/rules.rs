//! What a member's shuffles promise by themselves, as rules: their part of S1, S2, M1, M2 and B4.

use core::fmt::Debug;
use core::hash::Hash;

use super::{Config, Effect, Event, Half, Open, Parcel, Shuffle, What};
use crate::channel::{RoundId, ToController, ToMember};
use crate::direct::rules::{
    ASKED_BY_NAME, ASKED_IN_SILENCE, BELIEVED, BOUNDED, IN_ORDER, REFUSED, RESUMED, SILENT_IN_PEACE, asked,
    asked_about, believed, bounded, in_order, peaceful, refused, resumed,
};
use crate::direct::{LineEffect, LineEvent};
use crate::ids::MemberId;
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};

/// What is delivered is of the round, from one who sends in it.
pub const OF_THE_ROUND: RuleName = RuleName { promise: "S1", name: "what is delivered belongs to the round" };
/// A record goes to its receiver.
pub const NOT_REMAPPED: RuleName =
    RuleName { promise: "S1", name: "a record goes to its receiver or nowhere" };
/// A sender counts after its end mark.
pub const END_COUNTS: RuleName = RuleName { promise: "S2", name: "a sender counts when it has ended" };
/// A receiver that has not everything is named.
pub const LOST_NAMED: RuleName = RuleName { promise: "S2", name: "a receiver without everything is named" };
/// A verdict ends the wait.
pub const VERDICT_HEARD: RuleName = RuleName { promise: "S2", name: "nobody waits for one who is gone" };
/// Who hears of a round is in it, and nobody else.
pub const INSIDERS: RuleName = RuleName { promise: "S1", name: "who does not hear of a round is not in it" };
/// Who is left out of a roster was declared dead.
pub const LEFT_OUT: RuleName =
    RuleName { promise: "M2", name: "one that a roster leaves out, though it had joined, is out" };
/// An older roster says nothing of who joined after it.
pub const NEWCOMER_KEPT: RuleName =
    RuleName { promise: "D1", name: "who joined after the roll was called is not forgotten" };
/// The controller is asked after a change.
pub const ASKED_ON_CHANGE: RuleName =
    RuleName { promise: "M1", name: "the roll is called when the membership has changed" };

impl<A, P> Ruled for Shuffle<A, P>
where
    A: Clone + Debug + Eq + Hash + 'static,
    P: Clone + Debug + Eq + Hash + 'static,
{
    const RULES: &'static [Rule<Self>] = &[
        Rule { name: BOUNDED, check: window },
        Rule { name: SILENT_IN_PEACE, check: |_, shuffle| peaceful(&shuffle.lines) },
    ];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: IN_ORDER, check: items_in_order },
        StepRule { name: RESUMED, check: streams_resumed },
        StepRule { name: REFUSED, check: gone_refused },
        StepRule { name: BELIEVED, check: refusal_believed },
        StepRule { name: ASKED_IN_SILENCE, check: asked_in_silence },
        StepRule { name: ASKED_BY_NAME, check: asked_by_name },
        StepRule { name: OF_THE_ROUND, check: of_the_round },
        StepRule { name: NOT_REMAPPED, check: not_remapped },
        StepRule { name: END_COUNTS, check: end_counts },
        StepRule { name: LOST_NAMED, check: lost_named },
        StepRule { name: VERDICT_HEARD, check: verdict_heard },
        StepRule { name: INSIDERS, check: insiders },
        StepRule { name: LEFT_OUT, check: left_out },
        StepRule { name: NEWCOMER_KEPT, check: newcomer_kept },
        StepRule { name: ASKED_ON_CHANGE, check: asked_on_change },
    ];
}

trait Plain: Clone + Debug + Eq + Hash {}
impl<T: Clone + Debug + Eq + Hash> Plain for T {}

fn window<A: Plain, P: Plain>(config: &Config, shuffle: &Shuffle<A, P>) -> Verdict {
    let most = config.limits.window.saturating_add(1);
    if shuffle.lines.peers.iter().any(|(_, peer)| peer.out.items.len() > most) {
        return Verdict::Broken("more waits for a receiver than the window");
    }
    bounded(&config.limits, &shuffle.lines)
}

fn items_in_order<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    in_order(&step.before.lines, event, &step.after.lines)
}

fn streams_resumed<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    resumed(&step.config.limits, &step.before.lines, event, step.effects.iter().filter_map(line))
}

fn gone_refused<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    refused(&step.before.lines, event, &step.after.lines)
}

fn refusal_believed<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    believed(event, step.before.phase, step.after.phase)
}

fn asked_in_silence<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Timer(timer) = step.event else { return Verdict::Idle };
    let said =
        step.effects.iter().filter_map(|it| if let Effect::ToController(it) = it { Some(it) } else { None });
    asked(&step.before.lines, *timer, said)
}

fn asked_by_name<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Controller(ToMember::Roll(roll)) = step.event else { return Verdict::Idle };
    let said =
        step.effects.iter().filter_map(|it| if let Effect::ToController(it) = it { Some(it) } else { None });
    asked_about(&step.before.lines, roll, said)
}

/// What is done on a direct connection.
fn line<A, P>(effect: &Effect<A, P>) -> Option<&LineEffect<A, Parcel<P>>> {
    if let Effect::Line(effect) = effect { Some(effect) } else { None }
}

/// What of a sender was here before the step or came with it.
fn parcels<'a, A, P>(step: &'a Step<'_, Shuffle<A, P>>, from: MemberId) -> impl Iterator<Item = &'a Parcel<P>>
where
    A: Plain,
    P: Plain,
{
    let kept = step.before.lines.peers.get(&from).into_iter().flat_map(|peer| peer.inbox.items.iter());
    let came = if let Event::Line(LineEvent::Item { from: sender, item, .. }) = step.event {
        Some(item).filter(|_| *sender == from)
    } else {
        None
    };
    kept.chain(came)
}

fn of_the_round<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let delivered = |from: MemberId, in_round: Option<RoundId>| {
        let of = |effect: &&Effect<A, P>| {
            matches!(effect, Effect::Deliver { round, from: sender, .. }
                if *sender == from && in_round.is_none_or(|it| it == *round))
        };
        step.effects.iter().filter(of).count()
    };
    let begun = step
        .effects
        .iter()
        .find_map(|effect| if let Effect::Begun { round, .. } = effect { Some(*round) } else { None });
    let open = step.before.open.as_ref().map(|open| open.round).or(begun);
    let mut verdict = Verdict::Idle;
    for (from, _) in step.before.lines.peers.iter().filter(|(from, _)| delivered(**from, None) > 0) {
        let Some(round) = open else { return Verdict::Broken("something is delivered outside of any round") };
        let pieces =
            parcels(step, *from).filter(|it| it.round == round && matches!(it.what, What::Piece(_))).count();
        let all = delivered(*from, None);
        if delivered(*from, Some(round)) != all || all > pieces {
            return Verdict::Broken("something is delivered that belongs to another round");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn not_remapped<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Push { receiver, .. } = step.event else { return Verdict::Idle };
    let receivers = step.before.open.as_ref().map(|open| &open.receivers);
    let Some(to) = receivers.and_then(|all| all.get(*receiver as usize)) else { return Verdict::Idle };
    let grown = |it: MemberId| step.before.lines.under_way(it) < step.after.lines.under_way(it);
    let others = step.after.lines.peers.iter().any(|(it, _)| it != to && grown(*it));
    Verdict::from_bool(!others, "a record is sent to another receiver than the one that it is for")
}

/// Those who were awaited on one side of the round and are not any more, without having been named as lost.
fn done<'a, A, P>(
    step: &'a Step<'_, Shuffle<A, P>>,
    side: fn(&Open) -> Option<&Half>,
    lost: &'a [MemberId],
) -> impl Iterator<Item = MemberId> + 'a
where
    A: Plain,
    P: Plain,
{
    let after = step.after.open.as_ref().and_then(side);
    let before = step.before.open.as_ref().and_then(side);
    let awaited = before.into_iter().flat_map(|half| half.awaited.iter()).map(|(it, ())| *it);
    awaited.filter(move |it| {
        let waits = after.is_some_and(|half| half.awaited.contains(it));
        let named = after.is_some_and(|half| half.lost.contains(it)) || lost.contains(it);
        !waits && !named
    })
}

/// Who is named in the verdict of a step about what was received, or sent.
fn named<A, P>(effects: &[Effect<A, P>], received: bool) -> &[MemberId] {
    let lost = effects.iter().find_map(|effect| {
        if let Effect::Received { lost, .. } = effect
            && received
        {
            Some(lost.as_slice())
        } else if let Effect::Sent { lost, .. } = effect
            && !received
        {
            Some(lost.as_slice())
        } else {
            None
        }
    });
    lost.unwrap_or_default()
}

fn is_over<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> bool {
    matches!(step.after.phase, crate::member::Phase::Ended(_))
}

fn end_counts<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Some(round) = step.before.open.as_ref().map(|open| open.round) else { return Verdict::Idle };
    if is_over(step) {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    for sender in done(step, |open| open.receiving.as_ref(), named(step.effects, true)) {
        let ended = parcels(step, sender).any(|it| it.round == round && it.what == What::End);
        if !ended {
            return Verdict::Broken("a sender counts though it has not ended");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn lost_named<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    if is_over(step) {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    for receiver in done(step, |open| open.sending.as_ref(), named(step.effects, false)) {
        let said = matches!(step.event, Event::Line(LineEvent::Have { from, .. }) if *from == receiver);
        if !said || step.after.lines.under_way(receiver) > 0 {
            return Verdict::Broken("a receiver that has not said that it has everything is not named");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn verdict_heard<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let gone = |it: MemberId| {
        if let Event::Controller(ToMember::Roll(roll)) | Event::Roster { roll, .. } = step.event {
            roll.lacks(it)
        } else {
            *step.event == Event::Controller(ToMember::Gone(it))
        }
    };
    let halves = |shuffle: &Shuffle<A, P>| {
        let open = shuffle.open.as_ref();
        let halves = open.map(|open| [open.sending.as_ref(), open.receiving.as_ref()]);
        let mut halves = halves.into_iter().flatten().flatten();
        halves.any(|half| half.awaited.iter().any(|(it, ())| gone(*it)))
    };
    if !halves(step.before) {
        return Verdict::Idle;
    }
    Verdict::from_bool(!halves(step.after), "one is gone and is waited for")
}

fn insiders<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let Event::Roster { round, cut, .. } = step.event else { return Verdict::Idle };
    let roster = step.after.rosters.iter().find(|roster| roster.round == *round);
    let Some(roster) = roster else { return Verdict::Idle };
    let inside = roster.present.iter().all(|it| it.member.stamp <= *cut);
    Verdict::from_bool(inside, "one that does not hear of a round is waited for in it")
}

fn asked_on_change<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let asks = step.effects.contains(&Effect::ToController(ToController::CallRoll));
    if !asks || *step.event == Event::ControllerUp {
        return Verdict::Idle;
    }
    let convener = &step.after.convener;
    let at = convener.roll.as_ref().map(|roll| roll.at);
    Verdict::from_bool(at != convener.known, "the roll is called though nothing has changed")
}

fn left_out<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let (Event::Roster { roll, .. }, Some(me)) = (step.event, step.before.id) else { return Verdict::Idle };
    let there = roll.present.iter().any(|it| it.member == me);
    if there || me.stamp > roll.at.until || matches!(step.before.phase, crate::member::Phase::Ended(_)) {
        return Verdict::Idle;
    }
    Verdict::from_bool(is_over(step), "one that was declared dead goes on")
}

fn newcomer_kept<A: Plain, P: Plain>(step: &Step<'_, Shuffle<A, P>>) -> Verdict {
    let begun = step.effects.iter().any(|effect| matches!(effect, Effect::Begun { .. }));
    if !begun || is_over(step) {
        return Verdict::Idle;
    }
    // The roster with which the round begins was waiting, or came with the step.
    let until = match (step.before.rosters.iter().next(), step.event) {
        (Some(roster), _) => roster.until,
        (None, Event::Roster { cut, roll, .. }) => roll.at.until.min(*cut),
        (None, _) => return Verdict::Idle,
    };
    let mut newcomers = step.before.lines.peers.iter().filter(|(it, _)| it.stamp > until).peekable();
    if newcomers.peek().is_none() {
        return Verdict::Idle;
    }
    let kept = newcomers.all(|(it, _)| step.after.lines.peers.contains(it));
    Verdict::from_bool(kept, "the streams of one who joined after the roll was called are forgotten")
}

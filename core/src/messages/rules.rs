//! What a member's messages promise by themselves, as rules: their part of D1 to D3, M1, M2 and B4.

use core::fmt::Debug;
use core::hash::Hash;

use super::{Config, Effect, Event, Messages, Outcome, Part, Whereabouts};
use crate::channel::{ToController, ToMember};
use crate::direct::rules::{
    ASKED_BY_NAME, ASKED_IN_SILENCE, BELIEVED, BOUNDED, IN_ORDER, REFUSED, RESUMED, SILENT_IN_PEACE, asked,
    asked_about, believed, bounded, in_order, peaceful, refused, resumed,
};
use crate::direct::{LineEffect, LineEvent};
use crate::ids::MemberId;
use crate::member::Phase;
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};

/// A message is delivered whole.
pub const WHOLE: RuleName = RuleName { promise: "D2", name: "a message is delivered whole or not at all" };
/// Delivered means taken.
pub const TAKEN: RuleName = RuleName { promise: "D2", name: "a message is delivered when it was taken" };
/// Every call has one answer.
pub const ANSWERED: RuleName = RuleName { promise: "D3", name: "every call about a member has one answer" };
/// A verdict ends all calls.
pub const VERDICT_HEARD: RuleName =
    RuleName { promise: "D3", name: "no call is under way about one who is gone" };
/// The controller is asked about strangers.
pub const ASKED_IN_NEED: RuleName =
    RuleName { promise: "M1", name: "the roll is called for one whom none has told" };

impl<A, P> Ruled for Messages<A, P>
where
    A: Clone + Debug + Eq + Hash + 'static,
    P: Clone + Debug + Eq + Hash + 'static,
{
    const RULES: &'static [Rule<Self>] = &[
        Rule { name: BOUNDED, check: window },
        Rule { name: SILENT_IN_PEACE, check: |_, messages| peaceful(&messages.lines) },
    ];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: IN_ORDER, check: parts_in_order },
        StepRule { name: RESUMED, check: streams_resumed },
        StepRule { name: REFUSED, check: gone_refused },
        StepRule { name: BELIEVED, check: refusal_believed },
        StepRule { name: ASKED_IN_SILENCE, check: asked_in_silence },
        StepRule { name: ASKED_BY_NAME, check: asked_by_name },
        StepRule { name: WHOLE, check: whole },
        StepRule { name: TAKEN, check: taken },
        StepRule { name: ANSWERED, check: answered },
        StepRule { name: VERDICT_HEARD, check: verdict_heard },
        StepRule { name: ASKED_IN_NEED, check: asked_in_need },
    ];
}

trait Plain: Clone + Debug + Eq + Hash {}
impl<T: Clone + Debug + Eq + Hash> Plain for T {}

fn window<A: Plain, P: Plain>(config: &Config, messages: &Messages<A, P>) -> Verdict {
    bounded(&config.limits, &messages.lines)
}

fn parts_in_order<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    in_order(&step.before.lines, event, &step.after.lines)
}

fn streams_resumed<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    resumed(&step.config.limits, &step.before.lines, event, step.effects.iter().filter_map(line))
}

fn gone_refused<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    if let LineEvent::Called(from) = event
        && matches!(step.before.whereabouts(*from), Whereabouts::Present(_))
    {
        return Verdict::Idle; // The roll names it.
    }
    refused(&step.before.lines, event, &step.after.lines)
}

fn refusal_believed<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Line(event) = step.event else { return Verdict::Idle };
    believed(event, step.before.phase, step.after.phase)
}

/// What is done on a direct connection.
fn line<A, P>(effect: &Effect<A, P>) -> Option<&LineEffect<A, Part<P>>> {
    match effect {
        Effect::Line(effect) => Some(effect),
        Effect::ToController(_)
        | Effect::Sent { .. }
        | Effect::Received { .. }
        | Effect::Refused(_)
        | Effect::Drained
        | Effect::Ended(_) => None,
    }
}

/// The answers to waits for messages.
fn received<A, P>(effects: &[Effect<A, P>]) -> impl Iterator<Item = (MemberId, Option<&[P]>)> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Received { from, pieces } => Some((*from, pieces.as_deref())),
        Effect::ToController(_)
        | Effect::Line(_)
        | Effect::Sent { .. }
        | Effect::Refused(_)
        | Effect::Drained
        | Effect::Ended(_) => None,
    })
}

/// The answers about messages that were sent.
fn sent<A, P>(effects: &[Effect<A, P>]) -> impl Iterator<Item = (MemberId, Outcome)> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Sent { to, outcome } => Some((*to, *outcome)),
        Effect::ToController(_)
        | Effect::Line(_)
        | Effect::Received { .. }
        | Effect::Refused(_)
        | Effect::Drained
        | Effect::Ended(_) => None,
    })
}

/// The part that comes with the step, if it is of this member.
fn came<'a, A: Plain, P: Plain>(step: &Step<'a, Messages<A, P>>, of: MemberId) -> Option<(&'a P, bool)> {
    match step.event {
        Event::Line(LineEvent::Item { from, item, .. }) if *from == of => Some((&item.piece, item.last)),
        Event::Line(_)
        | Event::Controller(_)
        | Event::ControllerUp
        | Event::Send { .. }
        | Event::Receive { .. }
        | Event::Leave
        | Event::Timer(_) => None,
    }
}

fn whole<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for member in step.after.lines.peers.iter().map(|(it, _)| *it) {
        let had = step
            .before
            .talks
            .get(&member)
            .into_iter()
            .flat_map(|talk| &talk.pieces)
            .map(|piece| (piece, false));
        let kept = step.before.lines.peers.get(&member).into_iter();
        let kept = kept.flat_map(|peer| peer.inbox.items.iter()).map(|part| (&part.piece, part.last));
        let mut parts = had.chain(kept).chain(came(step, member));
        for (_, pieces) in received(step.effects).filter(|(from, _)| *from == member) {
            let Some(pieces) = pieces else { continue };
            let mut ended = false;
            let same = pieces.iter().all(|piece| {
                let part = parts.next().filter(|_| !ended);
                ended = part.is_some_and(|(_, last)| last);
                part.is_some_and(|(part, _)| part == piece)
            });
            if !same || !ended {
                return Verdict::Broken("something is delivered that is not one message, whole");
            }
            verdict = Verdict::Holds;
        }
    }
    verdict
}

/// Whom a call of the application is about, if it was taken.
fn called_about<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Option<MemberId> {
    let refused = step.effects.iter().any(|effect| matches!(effect, Effect::Refused(_)));
    match step.event {
        Event::Send { to: about, .. } | Event::Receive { from: about } if !refused => Some(*about),
        Event::Send { .. }
        | Event::Receive { .. }
        | Event::Controller(_)
        | Event::ControllerUp
        | Event::Line(_)
        | Event::Leave
        | Event::Timer(_) => None,
    }
}

fn taken<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let mut delivered = sent(step.effects).filter(|(_, outcome)| *outcome == Outcome::Delivered).peekable();
    let Some((to, _)) = delivered.peek().copied() else { return Verdict::Idle };
    let Event::Line(LineEvent::Have { from, have }) = step.event else {
        return Verdict::Broken("a message is called delivered and its receiver has said nothing");
    };
    let ends = step.before.talks.get(from).into_iter().flat_map(|talk| talk.ends.iter());
    let taken = ends.filter(|end| **end <= have.taken).count();
    let right = to == *from && delivered.count() == taken;
    Verdict::from_bool(right, "a message is called delivered that was not taken")
}

fn answered<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let over = |messages: &Messages<A, P>| matches!(messages.phase, Phase::Ended(_));
    if over(step.before) {
        return Verdict::Idle; // Its application was told so.
    }
    let called = called_about(step);
    let mut verdict = Verdict::Idle;
    let known = step.before.talks.iter().map(|(member, _)| *member);
    for member in known.chain(called.filter(|it| !step.before.talks.contains(it))) {
        let counts = |messages: &Messages<A, P>| {
            let talk = messages.talks.get(&member);
            talk.map_or((0, 0), |talk| (talk.unanswered() as usize, talk.wanted as usize))
        };
        let (before, after) = (counts(step.before), counts(step.after));
        let sends = matches!(step.event, Event::Send { .. }) && called == Some(member);
        let waits = matches!(step.event, Event::Receive { .. }) && called == Some(member);
        let told = sent(step.effects).filter(|(to, _)| *to == member).count();
        let got = received(step.effects).filter(|(from, _)| *from == member).count();
        let all = before.0.saturating_add(usize::from(sends)) == after.0.saturating_add(told);
        // A wait for a message ends with the member's own time.
        let heard =
            over(step.after) || before.1.saturating_add(usize::from(waits)) == after.1.saturating_add(got);
        if !all || !heard {
            return Verdict::Broken("a call has no answer, or more than one");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn verdict_heard<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Controller(ToMember::Gone(gone)) = step.event else { return Verdict::Idle };
    if !step.before.talks.contains(gone) {
        return Verdict::Idle;
    }
    Verdict::from_bool(!step.after.talks.contains(gone), "one is gone and calls about it go on")
}

fn asked_in_silence<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Timer(timer) = step.event else { return Verdict::Idle };
    let said =
        step.effects.iter().filter_map(|it| if let Effect::ToController(it) = it { Some(it) } else { None });
    asked(&step.before.lines, *timer, said)
}

fn asked_by_name<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let Event::Controller(ToMember::Roll(roll)) = step.event else { return Verdict::Idle };
    let said =
        step.effects.iter().filter_map(|it| if let Effect::ToController(it) = it { Some(it) } else { None });
    asked_about(&step.before.lines, roll, said)
}

fn asked_in_need<A: Plain, P: Plain>(step: &Step<'_, Messages<A, P>>) -> Verdict {
    let asks = step.effects.contains(&Effect::ToController(ToController::CallRoll));
    if !asks || *step.event == Event::ControllerUp {
        return Verdict::Idle;
    }
    let until = step.after.roll.as_ref().map(|roll| roll.at.until);
    let lines = &step.after.lines;
    let unknown = |it: &MemberId| !lines.peers.contains(it) && until.is_none_or(|until| it.stamp > until);
    let mut all = step.after.talks.iter().map(|(it, _)| it).chain(lines.strangers.iter().map(|(it, ())| it));
    Verdict::from_bool(all.any(unknown), "the roll is called and everybody is known")
}

//! What a member promises about its connection to the controller, as rules: its part of M4.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::{Effect, Event, Line, Member, Phase, Timer};
use super::longest_pause;
use crate::ids::Millis;
use crate::rule::{RuleName, Step, Verdict};

/// Without the controller rounds go on.
pub const ROUNDS_GO_ON: RuleName = RuleName { promise: "M4", name: "rounds go on without the controller" };
/// A controller that was lost is called again, after a pause that grows.
pub const CALLS_AGAIN: RuleName =
    RuleName { promise: "M4", name: "a controller is called again, ever more seldom" };
/// Members do not all call at the same moment.
pub const SPREAD: RuleName =
    RuleName { promise: "M4", name: "who calls again does so at a moment of its own" };
/// Nobody goes back to an earlier life of the controller.
pub const NO_EARLIER_LIFE: RuleName =
    RuleName { promise: "M4", name: "an earlier life of the controller is not believed" };

pub(in super::super) fn rounds_go_on<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Member<A, P>>,
) -> Verdict {
    let without = matches!(step.event, Event::ControllerLost { .. } | Event::Timer(Timer::Reregister(_)));
    if !without || step.before == step.after {
        return Verdict::Idle;
    }
    let same = Member { contact: step.after.contact, ..step.before.clone() };
    Verdict::from_bool(same == *step.after, "a member that has lost its controller gives up more than that")
}

/// The pause that a member takes in this step, the longest that it may take, and the luck that it has.
fn paused<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Member<A, P>>,
) -> Option<(Option<Millis>, Millis, u32)> {
    let Event::ControllerLost { luck } = step.event else { return None };
    let concerns = step.before.id.is_some() && !matches!(step.before.phase, Phase::Ended(_));
    if !concerns || step.before.contact.line == Line::Waiting {
        return None;
    }
    let pause = step.effects.iter().find_map(|effect| {
        if let Effect::SetTimer { timer: Timer::Reregister(_), after } = effect { Some(*after) } else { None }
    });
    Some((pause, longest_pause(step.config, step.before.contact.losses), *luck))
}

pub(in super::super) fn calls_again<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Member<A, P>>,
) -> Verdict {
    let Some((pause, longest, _)) = paused(step) else { return Verdict::Idle };
    let grown = pause.is_some_and(|pause| pause <= longest && pause.0 >= longest.0 / 2);
    let counted = step.before.contact.losses < step.after.contact.losses;
    Verdict::from_bool(grown && counted, "a controller that was lost is not called again, or too often")
}

pub(in super::super) fn spread<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Member<A, P>>,
) -> Verdict {
    let Some((Some(pause), longest, luck)) = paused(step) else { return Verdict::Idle };
    if luck.checked_rem((longest.0 / 2).saturating_add(1)).unwrap_or_default() == 0 {
        return Verdict::Idle;
    }
    Verdict::from_bool(pause < longest, "luck does not make a difference to when a member calls again")
}

pub(in super::super) fn no_earlier_life<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Member<A, P>>,
) -> Verdict {
    let Event::ControllerUp { epoch } = step.event else { return Verdict::Idle };
    if *epoch >= step.before.contact.epoch || matches!(step.before.phase, Phase::Ended(_)) {
        return Verdict::Idle;
    }
    let said = step.effects.iter().any(|effect| matches!(effect, Effect::ToController(_)));
    Verdict::from_bool(!said, "a member registers with an earlier life of its controller")
}

//! What a fleet promises, as rules: J1, J3 and J5.

use super::{Config, Effect, Event, Fleet, Phase, Slot};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};

/// A successor starts only when the predecessor has certainly ended.
pub const ONE_LIFE: RuleName = RuleName { promise: "J1", name: "a slot has one process at a time" };
/// Every life is a new incarnation.
pub const LIFE_IS_NEW: RuleName = RuleName { promise: "J1", name: "an incarnation is used once" };
/// Whoever ended is fenced in the same step.
pub const ENDED_FENCED: RuleName = RuleName { promise: "J1", name: "who ends is fenced" };
/// After a stop nothing starts.
pub const STOP_IS_FINAL: RuleName = RuleName { promise: "J3", name: "nothing starts after a stop" };
/// A stop kills everything that may live.
pub const STOP_KILLS: RuleName = RuleName { promise: "J3", name: "a stop kills what lives" };
/// There are never more processes than slots.
pub const BOUNDED: RuleName = RuleName { promise: "J5", name: "no more slots than allowed" };
/// A failure is followed by a pause, or by the end.
pub const BACKS_OFF: RuleName = RuleName { promise: "J5", name: "failed launches back off" };

impl Ruled for Fleet {
    const RULES: &'static [Rule<Self>] = &[Rule { name: BOUNDED, check: bounded }];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: ONE_LIFE, check: one_life },
        StepRule { name: LIFE_IS_NEW, check: life_is_new },
        StepRule { name: ENDED_FENCED, check: ended_fenced },
        StepRule { name: STOP_IS_FINAL, check: stop_is_final },
        StepRule { name: STOP_KILLS, check: stop_kills },
        StepRule { name: BACKS_OFF, check: backs_off },
    ];
}

fn bounded(config: &Config, fleet: &Fleet) -> Verdict {
    if fleet.slots.is_empty() {
        return Verdict::Idle;
    }
    let goes_on = |slot: &Slot| slot.failures > config.failures_max && slot.phase != Phase::GaveUp;
    let kept = fleet.slots.len() <= config.slots && !fleet.slots.iter().any(|(_, slot)| goes_on(slot));
    Verdict::from_bool(kept, "a slot too many, or a slot that failed too often and goes on")
}

fn one_life(step: &Step<'_, Fleet>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Launch { slot, .. } = effect else { continue };
        let lived = step.before.slots.get(slot).is_some_and(|slot| slot.phase.may_live());
        let ended = matches!(step.event, Event::Exited { slot: exited, .. } if exited == slot);
        if lived && !ended {
            return Verdict::Broken("a process was launched while its predecessor may live");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn life_is_new(step: &Step<'_, Fleet>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Launch { slot, incarnation } = effect else { continue };
        if step.before.slots.get(slot).is_some_and(|slot| slot.incarnation >= *incarnation) {
            return Verdict::Broken("an incarnation was used before");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn ended_fenced(step: &Step<'_, Fleet>) -> Verdict {
    let Event::Exited { slot, incarnation } = step.event else { return Verdict::Idle };
    let lived = (step.before.slots.get(slot))
        .is_some_and(|slot| slot.incarnation == *incarnation && slot.phase.may_live());
    if !lived {
        return Verdict::Idle;
    }
    let fence = Effect::Fence { slot: *slot, incarnation: *incarnation };
    Verdict::from_bool(step.effects.contains(&fence), "a process ended and was not fenced")
}

fn stop_is_final(step: &Step<'_, Fleet>) -> Verdict {
    if !step.before.closing {
        return Verdict::Idle;
    }
    let launched = step.effects.iter().any(|effect| matches!(effect, Effect::Launch { .. }));
    Verdict::from_bool(!launched, "a process was launched after the stop")
}

fn stop_kills(step: &Step<'_, Fleet>) -> Verdict {
    if *step.event != Event::Stop || step.before.slots.is_empty() {
        return Verdict::Idle;
    }
    let lives =
        step.after.slots.iter().any(|(_, slot)| slot.phase == Phase::Starting || slot.phase == Phase::Living);
    Verdict::from_bool(!lives, "a process outlives the stop")
}

fn backs_off(step: &Step<'_, Fleet>) -> Verdict {
    let Event::Exited { slot, .. } = step.event else { return Verdict::Idle };
    if step.before == step.after || step.after.closing {
        return Verdict::Idle;
    }
    let pause = step.effects.iter().any(|effect| {
        matches!(effect, Effect::SetTimer { timer, .. } if timer.slot == *slot)
            || *effect == Effect::GaveUp(*slot)
    });
    Verdict::from_bool(pause, "a process that failed is neither given up nor paused")
}

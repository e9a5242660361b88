//! What a worker promises, as rules: its part of P1, P3 and P4.

use super::{Config, Effect, Event, Link, Stage, Worker};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};
use core::fmt::Debug;
use core::hash::Hash;

/// A block is done when the store says so.
pub const DONE_IS_ACKNOWLEDGED: RuleName =
    RuleName { promise: "P1", name: "done means acknowledged by the store" };
/// No update is forgotten when a connection breaks.
pub const UPDATE_KEPT: RuleName = RuleName { promise: "P1", name: "an update is kept until acknowledged" };
/// Requests carry the epoch of the session.
pub const EPOCH_OF_SESSION: RuleName = RuleName { promise: "P3", name: "requests carry the session's epoch" };
/// What was computed in one epoch is not sent in another.
pub const EPOCH_OF_UPDATE: RuleName = RuleName { promise: "P3", name: "no update outlives its epoch" };
/// The store is never seen to go back.
pub const SEEN_RISES: RuleName = RuleName { promise: "P3", name: "versions seen never go back" };
/// Reads do not run further ahead than the window.
pub const WINDOW: RuleName = RuleName { promise: "P2", name: "reads run ahead by the window at most" };
/// A worker without work is parked.
pub const IDLE_PARKED: RuleName = RuleName { promise: "P4", name: "a worker without work parks" };

impl<P: Clone + Debug + Eq + Hash + 'static> Ruled for Worker<P> {
    const RULES: &'static [Rule<Self>] =
        &[Rule { name: WINDOW, check: window }, Rule { name: IDLE_PARKED, check: idle_parked }];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: DONE_IS_ACKNOWLEDGED, check: done_is_acknowledged },
        StepRule { name: UPDATE_KEPT, check: update_kept },
        StepRule { name: EPOCH_OF_SESSION, check: epoch_of_session },
        StepRule { name: EPOCH_OF_UPDATE, check: epoch_of_update },
        StepRule { name: SEEN_RISES, check: seen_rises },
    ];
}

fn window<P: Clone + Debug + Eq + Hash>(config: &Config, worker: &Worker<P>) -> Verdict {
    let reading = worker.tasks.iter().filter(|task| matches!(task.stage, Stage::Reading(_))).count();
    if reading == 0 {
        return Verdict::Idle;
    }
    Verdict::from_bool(worker.ahead() <= config.window, "reads run further ahead than the window")
}

fn idle_parked<P: Clone + Debug + Eq + Hash>(_: &Config, worker: &Worker<P>) -> Verdict {
    if !matches!(worker.link, Link::Open(_)) || !worker.tasks.is_empty() || worker.end.is_some() {
        return Verdict::Idle;
    }
    Verdict::from_bool(worker.parked, "a worker without work takes part in the clocks")
}

fn done_is_acknowledged<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Worker<P>>) -> Verdict {
    if !step.effects.iter().any(|effect| matches!(effect, Effect::Done { .. })) {
        return Verdict::Idle;
    }
    let told = matches!(step.event, Event::Acknowledged { .. });
    Verdict::from_bool(told, "a block was reported done that the store did not acknowledge")
}

fn update_kept<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Worker<P>>) -> Verdict {
    if !matches!(step.event, Event::Disconnected) || step.after.end.is_some() {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    for task in step.before.tasks.iter() {
        let (Stage::Pushing(_, update) | Stage::Computed(update)) = &task.stage else { continue };
        let kept = Stage::Computed(update.clone());
        if !step.after.tasks.iter().any(|after| after.name == task.name && after.stage == kept) {
            return Verdict::Broken("an update that was not acknowledged is gone");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn epoch_of_session<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Worker<P>>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let (Effect::Read { epoch, .. } | Effect::Push { epoch, .. }) = effect else { continue };
        if step.after.link != Link::Open(*epoch) {
            return Verdict::Broken("a request carries another epoch than its session");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn epoch_of_update<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Worker<P>>) -> Verdict {
    let Event::Opened { version, .. } = step.event else { return Verdict::Idle };
    let opened = step.after.link == Link::Open(version.epoch) && step.before.link != step.after.link;
    if !opened || version.epoch == step.before.seen.epoch || step.before.tasks.is_empty() {
        return Verdict::Idle;
    }
    let kept = step.after.tasks.iter().any(|task| {
        matches!(task.stage, Stage::Computed(_) | Stage::Pushing(..) | Stage::Computing | Stage::Ready(_))
    });
    Verdict::from_bool(!kept, "an update computed in an earlier epoch is kept in a new one")
}

fn seen_rises<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Worker<P>>) -> Verdict {
    let version = match step.event {
        Event::Values { version, .. }
        | Event::Acknowledged { version, .. }
        | Event::Opened { version, .. } => *version,
        Event::StoreAt(_)
        | Event::Connected
        | Event::Disconnected
        | Event::Granted(_)
        | Event::Dry
        | Event::Fetched { .. }
        | Event::Computed { .. }
        | Event::Refused { .. }
        | Event::Finish
        | Event::Failed
        | Event::Timer(_) => return Verdict::Idle,
    };
    if step.before == step.after {
        return Verdict::Idle; // It was not taken.
    }
    let risen = step.after.seen >= step.before.seen
        && (step.after.seen.epoch != version.epoch || step.after.seen >= version);
    Verdict::from_bool(risen, "a worker saw the store go back")
}

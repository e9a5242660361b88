//! What the leases promise, as rules: P4 and P5 as far as they concern the blocks, and J1.

use super::{Config, Effect, Event, Holder, Leases};
use crate::ids::{BlockId, Incarnation};
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};
use crate::store::Sender;
use alloc::vec::Vec;

/// A block is not free and taken at once.
pub const ONE_PLACE: RuleName = RuleName { promise: "P4", name: "a block is pending or leased, not both" };
/// No block lies idle while a worker wants one.
pub const NO_IDLE_BLOCK: RuleName = RuleName { promise: "P4", name: "no block is idle while one is wanted" };
/// Nobody holds more than allowed.
pub const HELD_BOUNDED: RuleName = RuleName { promise: "P4", name: "leases of a worker are bounded" };
/// A dead worker holds nothing.
pub const DEAD_HOLDS_NOTHING: RuleName = RuleName { promise: "P4", name: "a dead worker holds no block" };
/// What a dead worker held is given out again.
pub const RETURNED: RuleName = RuleName { promise: "P4", name: "a dead worker's blocks are leased again" };
/// Only the living get blocks.
pub const GRANT_TO_LIVING: RuleName = RuleName { promise: "J1", name: "no block goes to a dead worker" };
/// A pass ends when everything is recorded, not before.
pub const PASS_WHOLE: RuleName = RuleName { promise: "P5", name: "a pass ends when all blocks are done" };
/// After a restore exactly the uncovered blocks are to be done.
pub const RESTORE_EXACT: RuleName = RuleName { promise: "P5", name: "uncovered blocks are to be done again" };
/// What happened in another epoch makes no block done.
pub const EPOCH_MATCHES: RuleName =
    RuleName { promise: "P5", name: "another epoch's reports make nothing done" };

/// The result is the model of the epoch in which everything is done.
pub const RESULT_OF_EPOCH: RuleName =
    RuleName { promise: "P5", name: "the result is of the epoch that is done" };

impl Ruled for Leases {
    const RULES: &'static [Rule<Self>] = &[
        Rule { name: ONE_PLACE, check: one_place },
        Rule { name: NO_IDLE_BLOCK, check: no_idle_block },
        Rule { name: HELD_BOUNDED, check: held_bounded },
        Rule { name: DEAD_HOLDS_NOTHING, check: dead_holds_nothing },
    ];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: RETURNED, check: returned },
        StepRule { name: GRANT_TO_LIVING, check: grant_to_living },
        StepRule { name: PASS_WHOLE, check: pass_whole },
        StepRule { name: RESTORE_EXACT, check: restore_exact },
        StepRule { name: EPOCH_MATCHES, check: epoch_matches },
        StepRule { name: RESULT_OF_EPOCH, check: result_of_epoch },
    ];
}

fn floor(leases: &Leases, worker: crate::ids::WorkerId) -> Incarnation {
    leases.holders.get(&worker).map_or(Incarnation(0), |holder| holder.floor)
}

fn one_place(_: &Config, leases: &Leases) -> Verdict {
    if leases.pending.is_empty() || leases.leased.is_empty() {
        return Verdict::Idle;
    }
    let both = leases.pending.iter().any(|block| leases.leased.contains(block));
    Verdict::from_bool(!both, "a block is pending and leased")
}

fn no_idle_block(config: &Config, leases: &Leases) -> Verdict {
    let hungry = |(worker, holder): (&crate::ids::WorkerId, &Holder)| {
        holder.wanted > 0 && leases.held(*worker) < config.held_max
    };
    if !leases.holders.iter().any(hungry) {
        return Verdict::Idle;
    }
    Verdict::from_bool(leases.pending.is_empty(), "a block is pending although a worker wants one")
}

fn held_bounded(config: &Config, leases: &Leases) -> Verdict {
    if leases.leased.is_empty() {
        return Verdict::Idle;
    }
    let over = leases.leased.iter().any(|(_, holder)| leases.held(holder.worker) > config.held_max);
    Verdict::from_bool(!over, "a worker holds more blocks than allowed")
}

fn dead_holds_nothing(_: &Config, leases: &Leases) -> Verdict {
    if leases.leased.is_empty() {
        return Verdict::Idle;
    }
    let dead = leases.leased.iter().any(|(_, holder)| holder.incarnation < floor(leases, holder.worker));
    Verdict::from_bool(!dead, "a dead worker still holds a block")
}

fn returned(step: &Step<'_, Leases>) -> Verdict {
    let Event::Gone(dead) = step.event else { return Verdict::Idle };
    let held: Vec<&BlockId> = (step.before.leased.iter())
        .filter(|(_, holder)| holder.worker == dead.worker && holder.incarnation <= dead.incarnation)
        .map(|(block, _)| block)
        .collect();
    if held.is_empty() {
        return Verdict::Idle;
    }
    let free = held.iter().all(|block| {
        let pending = step.after.pending.iter().any(|pending| pending == *block);
        let of_dead =
            |holder: &Sender| holder.worker == dead.worker && holder.incarnation <= dead.incarnation;
        pending || step.after.leased.get(block).is_some_and(|holder| !of_dead(holder))
    });
    Verdict::from_bool(free, "a dead worker's block was not taken back")
}

fn grant_to_living(step: &Step<'_, Leases>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for effect in step.effects {
        let Effect::Grant { to, .. } = effect else { continue };
        let gone = matches!(step.event, Event::Gone(dead)
            if dead.worker == to.worker && dead.incarnation >= to.incarnation);
        if gone || to.incarnation < floor(step.before, to.worker) {
            return Verdict::Broken("a block was given to a worker that is gone");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

fn pass_whole(step: &Step<'_, Leases>) -> Verdict {
    if !step.effects.iter().any(|effect| matches!(effect, Effect::PassDone { .. })) {
        return Verdict::Idle;
    }
    let whole = step.after.pending.is_empty() && step.after.leased.is_empty();
    Verdict::from_bool(whole, "a pass was called done while a block of it was not")
}

fn restore_exact(step: &Step<'_, Leases>) -> Verdict {
    let Event::Begin { pass, order, recorded, .. } = step.event else { return Verdict::Idle };
    if step.before.epoch == step.after.epoch && step.before.pass == step.after.pass {
        return Verdict::Idle; // It was not news.
    }
    let over = pass.0 >= step.config.passes; // Every pass is recorded: nothing is to do.
    let order = if over { &[] } else { order.as_slice() };
    let exact = order.iter().all(|block| {
        let to_do = step.after.leased.contains(block) || step.after.pending.iter().any(|b| b == block);
        to_do != recorded.contains(block)
    });
    Verdict::from_bool(exact, "a block is done that is not recorded, or the other way round")
}

fn epoch_matches(step: &Step<'_, Leases>) -> Verdict {
    let Event::Done { epoch, .. } = step.event else { return Verdict::Idle };
    if *epoch == step.before.epoch {
        return Verdict::Idle;
    }
    let to_do = |leases: &Leases| {
        let mut blocks: Vec<BlockId> = leases.pending.iter().copied().collect();
        blocks.extend(leases.leased.iter().map(|(block, _)| *block));
        blocks.sort_unstable();
        blocks
    };
    let same = to_do(step.before) == to_do(step.after);
    Verdict::from_bool(same, "a report from another epoch made a block done")
}

fn result_of_epoch(step: &Step<'_, Leases>) -> Verdict {
    let Event::Collected { epoch } = step.event else { return Verdict::Idle };
    if !step.effects.contains(&Effect::Finished) {
        return Verdict::Idle;
    }
    let done = step.before.idle && step.before.pending.is_empty() && step.before.leased.is_empty();
    Verdict::from_bool(
        done && *epoch == step.before.epoch,
        "the model of another epoch was taken for the result",
    )
}

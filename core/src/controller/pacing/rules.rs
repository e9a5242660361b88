//! What must hold when a channel changes between tree and chain.

use core::fmt::Debug;
use core::hash::Hash;

use super::Cost;
use crate::channel::{Pace, ToController};
use crate::controller::{Channel, Event};
use crate::ids::{FanOut, MemberId};
use crate::rule::{RuleName, Step, Verdict};

/// What others say of rounds changes nothing, nor does what is said while the fan-out changes.
pub const ROOT_PACES: RuleName = RuleName { promise: "T7", name: "only a root's rounds change the fan-out" };
/// Processes that may share a machine do not wait for each other one by one.
pub const MACHINES_CHAINED: RuleName = RuleName { promise: "T7", name: "a chain is made of machines alone" };
/// What turns out not to be quicker than what was before is given up.
pub const CHAIN_PAYS: RuleName =
    RuleName { promise: "T7", name: "no chain stays that is slower than its tree was" };

fn paced<'a, A: Clone + Debug + Eq + Hash>(step: &'a Step<'_, Channel<A>>) -> Option<(MemberId, &'a Pace)> {
    let Event::From { member, message: ToController::Paced(pace) } = step.event else { return None };
    step.before.recovery.is_none().then_some((*member, pace))
}

pub(in super::super) fn root_paces<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((member, _)) = paced(step) else { return Verdict::Idle };
    if step.before.tree.root() == Some(member) && step.before.tree.reshapes_to().is_none() {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before.tree == step.after.tree, "the fan-out follows somebody else than the root")
}

pub(in super::super) fn machines_chained<A: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Channel<A>>,
) -> Verdict {
    let heard =
        paced(step).is_some_and(|(member, pace)| step.before.tree.root() == Some(member) && pace.bytes > 0);
    if !heard || step.after.tree.fan_out() > FanOut(1) {
        return Verdict::Idle;
    }
    if step.before.tree.fan_out() == FanOut(1) && step.before.pacing.is_none() {
        return Verdict::Idle; // It was never a tree.
    }
    let machine = |it: MemberId| step.after.record(it).is_some_and(|record| record.tenancy.is_daemon());
    Verdict::from_bool(step.after.tree.members().all(machine), "lambdas that may share a machine are a chain")
}

pub(in super::super) fn chain_pays<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Some((member, pace)) = paced(step) else { return Verdict::Idle };
    let Some(known) = step.before.pacing.as_deref() else { return Verdict::Idle };
    let chained = step.before.tree.fan_out() == FanOut(1) && step.before.tree.root() == Some(member);
    let Some(tree) = known.tree.filter(|_| chained && known.places == step.before.tree.len()) else {
        return Verdict::Idle;
    };
    if step.before.misplaced(pace).is_some() || Cost::measured(pace).of(pace) < tree.of(pace) {
        return Verdict::Idle;
    }
    let back = step.after.tree.fan_out() > FanOut(1);
    Verdict::from_bool(back, "a chain stays that takes longer than the tree")
}

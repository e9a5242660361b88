//! P4, progress: a dead worker blocks nobody. That everything ends well from every state is checked beside the
//! rules; here, that a dead worker's clock is gone as soon as the store can know.

use cirrus_core::rule::Verdict;
use cirrus_core::store::Sender;

use super::{ClusterRule, all, state};
use crate::cluster::{Cluster, Order, Setup};

/// Once the store was told of a death, nobody waits for the dead.
pub const DEAD_CLOCK_GONE: ClusterRule = state("P4", "nobody waits for a dead worker", dead_clock_gone);

fn dead_clock_gone(_: &Setup, cluster: &Cluster) -> Verdict {
    let Some(store) = cluster.store.as_ref().filter(|_| cluster.coordinator.linked) else {
        return Verdict::Idle;
    };
    // What the fleet knows to have ended, and the store was told so.
    let told = cluster.fleet.slots.iter().filter(|(_, slot)| !slot.phase.may_live()).filter(|(id, slot)| {
        let fence = Sender { worker: **id, incarnation: slot.incarnation };
        !cluster.coordinator.orders.contains(&Order::Fence(fence))
    });
    let session = |id| store.machine.seats.get(id).and_then(|seat| seat.session.as_ref());
    all(
        told.map(|(id, slot)| session(id).is_none_or(|session| session.incarnation > slot.incarnation)),
        "a dead worker still has a clock",
    )
}

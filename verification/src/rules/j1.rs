//! J1, one holder: a slot has one process, and store and leases never go back to an earlier one.

use cirrus_core::rule::Verdict;

use super::{ClusterRule, all, moment, state};
use crate::cluster::{Cluster, Moment, Setup};

/// Two processes of a slot never live at once.
pub const ONE_PROCESS: ClusterRule = state("J1", "a slot has one living process", one_process);
/// The store never takes a predecessor back.
pub const STORE_ONE_LIFE: ClusterRule = moment("J1", "the store takes no predecessor", store_one_life);
/// The leases never give a block to a predecessor.
pub const LEASES_ONE_LIFE: ClusterRule = moment("J1", "no block goes to a predecessor", leases_one_life);

fn one_process(_: &Setup, cluster: &Cluster) -> Verdict {
    let slots = cluster.fleet.slots.iter().map(|(slot, _)| *slot);
    let living = |slot| {
        let of_slot = cluster.workers.iter().filter(move |(who, it)| who.worker == slot && !it.ended);
        of_slot.count()
    };
    all(slots.map(|slot| living(slot) <= 1), "two processes of a slot live")
}

fn store_one_life(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Opened(who) = moment else { return Verdict::Idle };
    let newest = cluster.ledger.opened.get(&who.worker);
    Verdict::from_bool(
        newest.is_none_or(|newest| *newest <= who.incarnation),
        "the store opened a session with a predecessor",
    )
}

fn leases_one_life(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Granted(who) = moment else { return Verdict::Idle };
    let newest = cluster.ledger.granted.get(&who.worker);
    Verdict::from_bool(
        newest.is_none_or(|newest| *newest <= who.incarnation),
        "a block went to a predecessor",
    )
}

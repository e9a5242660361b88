//! P1, exactly once: each named gradient is in the table once, and what was acknowledged is in it.

use cirrus_core::rule::Verdict;
use cirrus_core::store::Phase;

use super::{ClusterRule, all, moment, state};
use crate::cluster::{Cluster, Moment, Setup};

/// No name is in the table twice.
pub const ONCE: ClusterRule = state("P1", "the table holds a name once", once);
/// The table holds what is recorded, nothing else.
pub const TABLE_RECORDED: ClusterRule = state("P1", "the table holds what is recorded", table_recorded);
/// What workers were told to be recorded in this epoch is.
pub const ACKNOWLEDGED_RECORDED: ClusterRule =
    state("P1", "acknowledgements received are recorded", acknowledged_recorded);
/// The update that is applied under a name is that name's.
pub const NAMED_RIGHT: ClusterRule = moment("P1", "an update goes by its own name", named_right);

fn once(_: &Setup, cluster: &Cluster) -> Verdict {
    let Some(store) = &cluster.store else { return Verdict::Idle };
    let neighbours = store.table.iter().zip(store.table.iter().skip(1));
    all(neighbours.map(|(one, next)| one < next), "the table holds a name twice")
}

fn table_recorded(_: &Setup, cluster: &Cluster) -> Verdict {
    let Some(store) = &cluster.store else { return Verdict::Idle };
    if store.machine.phase == Phase::Down || store.table.is_empty() && store.machine.names.is_empty() {
        return Verdict::Idle;
    }
    let open = store.table.iter().filter(|name| name.pass >= store.machine.closed);
    let same = open.eq(store.machine.names.iter().map(|(name, ())| name));
    Verdict::from_bool(same, "the table and the recorded names differ")
}

fn acknowledged_recorded(_: &Setup, cluster: &Cluster) -> Verdict {
    let Some(store) = &cluster.store else { return Verdict::Idle };
    let recorded = |name| store.machine.is_recorded(name) && store.table.binary_search(name).is_ok();
    all(cluster.ledger.acknowledged.iter().map(recorded), "an acknowledged update is not in the table")
}

fn named_right(_: &Setup, _: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Applied(name, update) = moment else { return Verdict::Idle };
    Verdict::from_bool(name == update, "an update was applied under the name of another")
}

//! P5, recovery: a store comes back as its snapshot was, what a pass claims to be done is in the table, and the
//! result holds every update of every pass.

use cirrus_core::rule::Verdict;

use super::{ClusterRule, all, moment, state};
use crate::cluster::{Cluster, Moment, Setup, Table};
use cirrus_core::store::{Marker, Phase};

/// What a snapshot on disk says that it covers is what it holds.
pub const SNAPSHOT_WHOLE: ClusterRule = state("P5", "a snapshot holds what it covers", snapshot_whole);
/// A store that comes back has the table and the names of its snapshot.
pub const RESTORED_EXACT: ClusterRule = moment("P5", "a restart restores the snapshot", restored_exact);
/// Of a closed pass nothing is missing.
pub const CLOSED_WHOLE: ClusterRule = state("P5", "a closed pass is whole", closed_whole);
/// The job's result is whole.
pub const RESULT_WHOLE: ClusterRule = moment("P5", "the result holds every update", result_whole);

/// Whether a table holds what a marker covers.
fn covers(marker: &Marker, table: &Table) -> bool {
    table.iter().filter(|name| name.pass >= marker.closed).eq(marker.names.iter())
}

fn snapshot_whole(_: &Setup, cluster: &Cluster) -> Verdict {
    let Some(snapshot) = &cluster.disk.snapshot else { return Verdict::Idle };
    Verdict::from_bool(covers(&snapshot.marker, &snapshot.table), "a snapshot's table and marker differ")
}

fn restored_exact(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Restored(store) = moment else { return Verdict::Idle };
    let Some(snapshot) = &cluster.disk.snapshot else { return Verdict::Idle };
    let same = store.table == snapshot.table && covers(&store.machine.marker(), &store.table);
    Verdict::from_bool(same, "a store came back with something else than its snapshot")
}

fn closed_whole(setup: &Setup, cluster: &Cluster) -> Verdict {
    let Some(store) = cluster.store.as_ref().filter(|store| store.machine.phase == Phase::Serving) else {
        return Verdict::Idle;
    };
    let closed = setup.names().into_iter().filter(|name| name.pass < store.machine.closed);
    all(closed.map(|name| store.table.binary_search(&name).is_ok()), "an update of a closed pass is missing")
}

fn result_whole(setup: &Setup, _: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Finished(table) = moment else { return Verdict::Idle };
    Verdict::from_bool(**table == setup.names(), "the result lacks an update, or holds one twice")
}

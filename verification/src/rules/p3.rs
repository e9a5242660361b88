//! P3, own writes: a read contains the reader's acknowledged updates, versions read never go back, and a worker
//! is told of a new epoch before it reads in it.

use cirrus_core::rule::Verdict;
use cirrus_core::worker::Event;

use super::{ClusterRule, moment};
use crate::cluster::{Cluster, Moment, Process, Setup};

/// What a worker was told to be recorded is in what it reads afterwards.
pub const OWN_WRITES: ClusterRule = moment("P3", "a read contains the reader's own updates", own_writes);
/// A worker never reads an older model than before.
pub const READS_RISE: ClusterRule = moment("P3", "what a worker reads never goes back", reads_rise);
/// Nobody reads in an epoch that it was not told of.
pub const EPOCH_TOLD: ClusterRule = moment("P3", "a new epoch is told before it is read", epoch_told);

/// The process that takes these cells, and their version; `None` when nobody waits for them.
fn read<'a>(cluster: &'a Cluster, moment: &Moment<'_>) -> Option<(&'a Process, cirrus_core::ids::Version)> {
    let Moment::Told(who, event @ Event::Values { version, .. }) = moment else { return None };
    let process = cluster.workers.get(who)?;
    process.awaits(event).map(|_| (process.as_ref(), *version))
}

fn own_writes(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Some((process, version)) = read(cluster, moment) else { return Verdict::Idle };
    let own = process.told.acknowledged;
    if own.epoch != version.epoch {
        return Verdict::Idle;
    }
    Verdict::from_bool(own <= version, "a read misses an update that was acknowledged to the reader")
}

fn reads_rise(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Some((process, version)) = read(cluster, moment) else { return Verdict::Idle };
    Verdict::from_bool(process.told.read <= version, "a worker read an older model than before")
}

fn epoch_told(_: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Some((process, version)) = read(cluster, moment) else { return Verdict::Idle };
    Verdict::from_bool(process.told.epoch == version.epoch, "a worker read in an epoch it was not told of")
}

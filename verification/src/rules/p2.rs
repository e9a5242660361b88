//! P2, staleness: under bound s a worker in round c never reads a model that misses an update of a round before
//! c - s.
//!
//! An update is missed if somebody read for it, so that it belongs to a round, and it is not recorded. Rounds
//! are taken from what the store served; whether they ended, from what it applied. So a clock that runs ahead of
//! the updates is seen, which the store's own rule cannot see.

use cirrus_core::ids::Clock;
use cirrus_core::rule::Verdict;
use cirrus_core::store::Staleness;

use super::{ClusterRule, moment};
use crate::cluster::{Cluster, Moment, Setup};

/// Nothing that a read must contain is still to come.
pub const NOTHING_MISSED: ClusterRule = moment("P2", "a read misses no update it must have", nothing_missed);

fn nothing_missed(setup: &Setup, cluster: &Cluster, moment: &Moment<'_>) -> Verdict {
    let Moment::Served(_, clock) = moment else { return Verdict::Idle };
    let Staleness::Bounded(bound) = setup.store.staleness else { return Verdict::Idle };
    let needed = Clock(clock.0.saturating_sub(bound));
    let missed = cluster.ledger.outstanding.values().any(|round| *round < needed);
    Verdict::from_bool(!missed, "a read was served while an update of a round too far back is to come")
}

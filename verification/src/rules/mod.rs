//! Promises that only several machines together show, one file a promise.
//!
//! They speak about a [`Cluster`] and the small ledger of what was told and done, never about how a machine
//! comes to its decisions. A rule over a state is asked once for every state, a rule over a moment whenever
//! something happens that it may want to see.

pub mod j1;
pub mod p1;
pub mod p2;
pub mod p3;
pub mod p4;
pub mod p5;
#[cfg(test)]
mod tests;

use cirrus_core::rule::{RuleName, Verdict};

use crate::cluster::{Cluster, Moment, Setup};

/// When a rule is asked, and what it says.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// About a state.
    State(fn(&Setup, &Cluster) -> Verdict),
    /// When something happens; the cluster is as it was right before.
    Moment(fn(&Setup, &Cluster, &Moment<'_>) -> Verdict),
}

/// A rule over a cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRule {
    /// Its name.
    pub name: RuleName,
    /// What it says.
    pub check: Check,
}

/// All of them.
pub const RULES: &[ClusterRule] = &[
    p1::ONCE,
    p1::TABLE_RECORDED,
    p1::ACKNOWLEDGED_RECORDED,
    p1::NAMED_RIGHT,
    p2::NOTHING_MISSED,
    p3::OWN_WRITES,
    p3::READS_RISE,
    p3::EPOCH_TOLD,
    p4::DEAD_CLOCK_GONE,
    p5::SNAPSHOT_WHOLE,
    p5::RESTORED_EXACT,
    p5::CLOSED_WHOLE,
    p5::RESULT_WHOLE,
    j1::ONE_PROCESS,
    j1::STORE_ONE_LIFE,
    j1::LEASES_ONE_LIFE,
];

/// `Idle` when nothing was looked at, else whether all of it was right.
fn all(checks: impl IntoIterator<Item = bool>, detail: &'static str) -> Verdict {
    checks.into_iter().fold(Verdict::Idle, |verdict, kept| match verdict {
        Verdict::Broken(_) => verdict,
        Verdict::Idle | Verdict::Holds => Verdict::from_bool(kept, detail),
    })
}

/// A rule over a state.
const fn state(
    promise: &'static str,
    name: &'static str,
    check: fn(&Setup, &Cluster) -> Verdict,
) -> ClusterRule {
    ClusterRule { name: RuleName { promise, name }, check: Check::State(check) }
}

/// A rule over a moment.
const fn moment(
    promise: &'static str,
    name: &'static str,
    check: fn(&Setup, &Cluster, &Moment<'_>) -> Verdict,
) -> ClusterRule {
    ClusterRule { name: RuleName { promise, name }, check: Check::Moment(check) }
}

//! What a sort and its worker processes say to each other: one JSON document a line.

use cirrus_runtime::sort::worker::{Phase, Plan, Report};
use serde::{Deserialize, Serialize};

/// What a worker is told, once.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    /// The sort.
    pub(super) plan: Plan,
    /// The folder that it reads.
    pub(super) from: String,
    /// The folder that it writes into.
    pub(super) to: String,
    /// How many workers there are.
    pub(super) workers: u32,
    /// Where they meet.
    pub(super) controller: String,
    /// The controller's token.
    pub(super) token: String,
}

/// What a worker says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// It has done so many bytes more.
    Progress(Phase, u64),
    /// It is done.
    Done {
        /// What has come of it.
        report: Report,
        /// How much memory it had at most.
        peak_memory_bytes: u64,
    },
    /// It has given up.
    Failed(String),
}

//! What the processes of a job are told about it, as JSON.

use cirrus_core::bug::Bugs;
use cirrus_core::ids::Millis;
use cirrus_core::store::{self, Staleness};
use cirrus_protocol::store::NAMES_MAX;
use serde::{Deserialize, Serialize};

/// What a worker needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerDescription {
    /// Where the dataset is: a path or URL.
    pub dataset: String,
    /// The model's description, for the store's table.
    pub model: String,
    /// The learner's description.
    pub learner: String,
    /// How many rounds the reads run ahead of the updates.
    pub window: u32,
    /// How many blocks a worker may have leased beyond the rounds that are open, so that fetching runs ahead.
    pub blocks_ahead: u32,
    /// Room for blocks that are being fetched, in bytes.
    pub buffer_bytes: u32,
    /// How long after a failed connection to the store the next try is made.
    pub reconnect_ms: u32,
    /// How many failed connections in a row mean that the store is gone.
    pub reconnects_max: u32,
}

/// What a store needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreDescription {
    /// The job's folder, where epoch and snapshots are kept: a path or URL.
    pub folder: String,
    /// The model's description.
    pub model: String,
    /// Under bounded staleness, the bound; without one nobody waits.
    pub staleness_bound: Option<u32>,
    /// How many worker slots there are.
    pub workers: u32,
    /// Time between snapshots.
    pub snapshot_interval_ms: u32,
}

impl StoreDescription {
    /// The limits and mode of the store's machine.
    #[must_use]
    pub fn config(&self) -> store::Config {
        store::Config {
            staleness: self.staleness_bound.map_or(Staleness::Asynchronous, Staleness::Bounded),
            workers_max: self.workers,
            reads_max: 64,
            applying_max: 1024,
            names_max: NAMES_MAX,
            callers_max: 64,
            snapshot_interval: Millis(self.snapshot_interval_ms),
            bugs: Bugs::default(),
        }
    }
}

//! What a job is, what is known of it while it runs, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{BlockId, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::Sender;
use cirrus_protocol::job::{BlockReport, Role, WorkerStatistics};
use cirrus_protocol::store::StoreStatistics;

use super::description::{StoreDescription, WorkerDescription};
use crate::fleet::launcher::Command;
use crate::store::client::ClientError;

/// A job as its owner describes it.
#[derive(Clone)]
pub struct JobSpec {
    /// How many workers.
    pub workers: u32,
    /// How many passes over the data.
    pub passes: u32,
    /// All training blocks in the order of a pass.
    pub order: Arc<dyn Fn(Pass) -> Vec<BlockId> + Send + Sync>,
    /// How many keys the model has; they are 0 up to below this.
    pub keys: u32,
    /// What workers are told.
    pub worker: WorkerDescription,
    /// What the store is told.
    pub store: StoreDescription,
    /// Starts a worker.
    pub worker_command: Command,
    /// Starts the store.
    pub store_command: Command,
    /// After this long without a result a worker counts as stuck.
    pub lease: Duration,
    /// How often in a row a process may fail before its slot is given up.
    pub failures_max: u32,
}

/// What is known of a running job.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A process was started.
    Launched {
        /// What it does.
        role: Role,
        /// Its slot.
        slot: WorkerId,
        /// Its life, from 1.
        incarnation: Incarnation,
        /// Its process id, where there is one.
        process_id: Option<u32>,
    },
    /// A process ended before its time.
    Ended {
        /// What it did.
        role: Role,
        /// Its slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
        /// How, for people.
        how: String,
    },
    /// The store serves, in this epoch; `to_do` blocks of this pass are not recorded.
    StoreReady {
        /// The epoch.
        epoch: StoreEpoch,
        /// The pass.
        pass: Pass,
        /// Blocks to do.
        to_do: u32,
    },
    /// A block was learned from.
    Block {
        /// In which pass.
        pass: Pass,
        /// Its rows and their loss before learning from them.
        report: BlockReport,
        /// Blocks of the pass that are not done.
        to_do: u32,
    },
    /// A pass is over.
    PassDone(Pass),
}

/// What came out of a job.
#[derive(Clone, Debug)]
pub struct JobOutcome {
    /// All cells of the model, as the table wrote them.
    pub cells: Bytes,
    /// The state they are of.
    pub version: Version,
    /// What the store did in its last life.
    pub store: StoreStatistics,
    /// Updates that the store recorded for the first time, as the workers were told, in all epochs.
    pub acknowledged: u64,
    /// Updates that were recorded already when they came, as the workers were told.
    pub duplicates: u64,
    /// What each worker process took; those that were killed could not say.
    pub workers: Vec<(Sender, WorkerStatistics)>,
}

/// A job ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job's port cannot be opened.
    #[error(transparent)]
    Transport(#[from] cirrus_transport::TransportError),
    /// The store does not answer as it should.
    #[error(transparent)]
    Store(#[from] ClientError),
    /// The store failed too often.
    #[error("the data store failed again and again; the last time it {0}")]
    StoreGaveUp(String),
    /// All workers failed too often.
    #[error("all workers failed again and again; the last one {0}")]
    WorkersGaveUp(String),
    /// A worker said that the job cannot be done.
    #[error("worker {worker}: {reason}")]
    Worker {
        /// Its slot.
        worker: u32,
        /// What it said.
        reason: String,
    },
    /// It was asked to stop.
    #[error("the job was stopped")]
    Stopped,
    /// The dataset has more blocks than the limit, or none.
    #[error("the training part of the dataset has {found} blocks; between 1 and {limit} can be trained on")]
    Blocks {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: u32,
    },
}

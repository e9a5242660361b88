//! Training by worker processes around a data store.
//!
//! Puts a [`TrainJob`] and a dataset into the runtime's words, runs the coordinator, and makes a model of the cells
//! that the store holds in the end. How the processes are started is the caller's business: it hands in the
//! commands and a launcher.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cirrus_core::ids::{BlockId, Pass};
use cirrus_protocol::job::BlockReport;
use cirrus_protocol::manifest::Schema;
use cirrus_protocol::model::TrainingInfo;
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::fleet::launcher::{Command, Launcher};
use cirrus_runtime::job::{
    Coordinator, JobControl, JobError, JobOutcome, JobSpec, Progress, StoreDescription, WorkerDescription,
};
use cirrus_transport::Transport;

use crate::export;
use crate::job::TrainJob;
use crate::order;
use crate::train::{PassSummary, TrainError, Trained};

/// How a job is spread over processes.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Worker processes, at least 1.
    pub workers: u32,
    /// Under bounded staleness, the bound: 0 is synchronous. Without one nobody waits for anybody.
    pub staleness_bound: Option<u32>,
    /// How many rounds a worker's reads run ahead of its updates, at least 1.
    pub window: u32,
    /// Room for blocks that a worker fetches ahead, in bytes.
    pub buffer_bytes: u32,
    /// Time between the store's snapshots.
    pub snapshot_interval: Duration,
    /// Where the dataset is, for the workers: a path or URL.
    pub dataset: String,
    /// Where the store keeps its snapshots: a path or URL.
    pub job_folder: String,
    /// Starts a worker.
    pub worker_command: Command,
    /// Starts the store.
    pub store_command: Command,
}

impl Distribution {
    /// The window that suits this many workers. A worker alone reads one round ahead, so that transfer and learning
    /// overlap; with several, the others keep the processor busy meanwhile, and a fresher model is worth more.
    #[must_use]
    pub fn window_for(workers: u32) -> u32 {
        if workers == 1 { 2 } else { 1 }
    }

    /// How many blocks each of so many workers fetches ahead, of so many in a pass: enough to hide the latency of
    /// object storage, and so few that at the end of a pass no worker sits on what another one could do.
    #[must_use]
    pub fn blocks_ahead(blocks: usize, workers: u32) -> u32 {
        let share = blocks / (4 * workers.max(1) as usize);
        u32::try_from(share).unwrap_or(u32::MAX).clamp(3, 12)
    }

    /// Time between snapshots unless told otherwise.
    pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(10);
    /// After this long without a result a worker counts as stuck.
    pub const LEASE: Duration = Duration::from_secs(30);
    /// How often in a row a process may fail before its place stays empty.
    pub const FAILURES_MAX: u32 = 5;
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum DistributedError {
    /// The job failed.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The dataset does not fit, or the cells make no model.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// A job that is ready to run.
pub struct DistributedJob<T: Transport> {
    job: TrainJob,
    schema: Schema,
    workers: u32,
    coordinator: Coordinator<T>,
    passes: Arc<Mutex<Vec<BlockReport>>>,
}

impl<T: Transport> std::fmt::Debug for DistributedJob<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistributedJob").field("job", &self.job).finish_non_exhaustive()
    }
}

impl<T: Transport> DistributedJob<T> {
    /// Prepares a job; `progress` is told what happens while it runs, and [`JobControl`] ends it early.
    ///
    /// # Errors
    /// When the dataset does not fit the job, or the coordinator's port cannot be opened at `listen_at`.
    pub async fn new(
        job: TrainJob,
        dataset: &Dataset,
        distribution: Distribution,
        transport: T,
        launcher: Arc<dyn Launcher>,
        listen_at: &str,
        mut progress: impl FnMut(&Progress) + Send + 'static,
    ) -> Result<(Self, JobControl), DistributedError> {
        let manifest = dataset.manifest();
        if job.hash_bits() != manifest.hash_bits {
            return Err(TrainError::HashBits { job: job.hash_bits(), dataset: manifest.hash_bits }.into());
        }
        let ids: Vec<BlockId> = dataset.part(Side::Train).blocks().collect();
        if ids.is_empty() {
            return Err(TrainError::NoRows.into());
        }
        let workers = distribution.workers;
        let spec = specification(&job, ids, distribution);
        let passes = Arc::new(Mutex::new(vec![BlockReport::default(); job.passes() as usize]));
        let sums = Arc::clone(&passes);
        let observe = move |happened: Progress| {
            if let Progress::Block { pass, report, .. } = &happened
                && let Some(sum) = lock(&sums).get_mut(pass.0 as usize)
            {
                sum.rows += report.rows;
                sum.loss_sum += report.loss_sum;
            }
            progress(&happened);
        };
        let (coordinator, control) = Coordinator::new(spec, transport, launcher, listen_at, observe).await?;
        let schema = manifest.schema.clone();
        Ok((Self { job, schema, workers, coordinator, passes }, control))
    }

    /// Runs the job to its end.
    ///
    /// A pass' summary counts a block once for each time that it was learnt from: after the store's death, blocks
    /// that its snapshot did not cover count twice.
    ///
    /// # Errors
    /// [`DistributedError`]. No process is left in either case.
    pub async fn run(self) -> Result<(Trained, JobOutcome), DistributedError> {
        let Self { job, schema, workers, coordinator, passes } = self;
        let outcome = coordinator.run().await?;
        let passes: Vec<PassSummary> = lock(&passes)
            .iter()
            .map(|sum| PassSummary { rows: sum.rows, loss: sum.loss_sum / sum.rows.max(1) as f64 })
            .collect();
        let training = TrainingInfo {
            passes: job.passes(),
            rows: passes.iter().map(|pass| pass.rows).sum(),
            workers,
            seed: job.seed(),
            loss: passes.last().map_or(0.0, |pass| pass.loss),
        };
        let model = export::model(&job, &outcome.cells, schema, training).map_err(TrainError::from)?;
        Ok((Trained { model, passes }, outcome))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Sums are never half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn specification(job: &TrainJob, ids: Vec<BlockId>, distribution: Distribution) -> JobSpec {
    let description = job.to_json();
    let seed = job.seed();
    let blocks_ahead = Distribution::blocks_ahead(ids.len(), distribution.workers);
    JobSpec {
        workers: distribution.workers,
        passes: job.passes(),
        order: Arc::new(move |pass: Pass| order::of_blocks(seed, pass, ids.iter().copied())),
        keys: u32::try_from(job.cells()).unwrap_or(u32::MAX),
        worker: WorkerDescription {
            dataset: distribution.dataset,
            model: description.clone(),
            learner: description.clone(),
            window: distribution.window,
            blocks_ahead,
            buffer_bytes: distribution.buffer_bytes,
            reconnect_ms: 50,
            reconnects_max: 600,
        },
        store: StoreDescription {
            folder: distribution.job_folder,
            model: description,
            staleness_bound: distribution.staleness_bound,
            workers: distribution.workers,
            snapshot_interval_ms: u32::try_from(distribution.snapshot_interval.as_millis())
                .unwrap_or(u32::MAX),
        },
        worker_command: distribution.worker_command,
        store_command: distribution.store_command,
        lease: Distribution::LEASE,
        failures_max: Distribution::FAILURES_MAX,
    }
}

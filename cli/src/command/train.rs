//! `cirrus train`: a dataset to a model.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cirrus_ml::distributed::{DistributedError, DistributedJob, Distribution};
use cirrus_ml::evaluate::evaluate;
use cirrus_ml::job::{self, Description, TrainJob};
use cirrus_ml::metrics::Metrics;
use cirrus_ml::optimizer::OptimizerName;
use cirrus_ml::predict::Predictor;
use cirrus_ml::reading::Reading;
use cirrus_ml::train::{Trained, train_local};
use cirrus_protocol::job::BlockReport;
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::fleet::launcher::{Command, ProcessLauncher};
use cirrus_runtime::job::{JobError, JobOutcome, Progress};
use cirrus_transport::tcp::Tcp;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::process::LISTEN_AT;
use super::{cores, evaluate as show, grouped, open_dataset, print_json, print_text, reading, write_model};
use crate::Output;
use crate::display::Display;
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::place;
use crate::scratch::Scratch;

/// Trains sparse logistic regression on a dataset.
///
/// Starts a data store and worker processes on this machine, gives blocks of rows to the workers, starts again what
/// dies, and evaluates the model on the test rows. With --workers 0 this process does all of it alone.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus train clicks.cirrus\n  \
    cirrus train clicks.cirrus --workers 4 --passes 5 --rate 0.1 --out clicks.model\n  \
    cirrus train clicks.cirrus --optimizer sgd --rate 0.002 --l2 1e-6 --workers 1\n  \
    cirrus train clicks.cirrus --optimizer ftrl --l1 2 --rate 0.05     a sparse model\n  \
    cirrus train clicks.cirrus --job job.json    with {\"rate\": 0.05, \"l2\": 0.01} in job.json\n  \
    cirrus train clicks.cirrus --staleness sync --json > result.json\n  \
    cirrus train s3://bucket/clicks --workers 4 --out s3://bucket/clicks.model")]
pub(crate) struct Arguments {
    /// The dataset: a folder that `cirrus load` wrote, by a path or URL.
    dataset: String,
    /// The model's file, a path or URL [default: the dataset's name with the ending .model]
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
    /// Worker processes; 0 trains in this process, without a store [default: one a core]
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    #[command(flatten)]
    parameters: Parameters,
    /// How far a worker's model may lag behind the others' updates: async (nobody waits), sync (rounds in step), or
    /// a number of rounds [default: async]
    #[arg(long, value_parser = staleness, value_name = "async|sync|N")]
    staleness: Option<Staleness>,
    /// How many rounds a worker reads ahead of its updates [default: 2 for a worker alone, 1 with others]
    #[arg(long, value_name = "N")]
    window: Option<NonZeroU32>,
    /// Seconds between snapshots of the model, from which a store that died comes back [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    snapshot_interval: Option<Duration>,
    /// Room for blocks that each worker fetches ahead, in bytes [default: 8388608]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    buffer_bytes: Option<u32>,
}

/// What is learnt, and how.
#[derive(Args)]
struct Parameters {
    /// A JSON file with any of the options below up to --shuffle, as {"rate_decay": 0.8}; an option that is given, too,
    /// wins.
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
    /// Passes over the training rows [default: 5]
    #[arg(long, value_name = "N")]
    passes: Option<u32>,
    /// How a gradient changes a weight [default: adagrad]
    #[arg(long, value_enum)]
    optimizer: Option<Optimizer>,
    /// Learning rate [default: 0.1 for adagrad, normalized-adagrad and ftrl, 0.01 for sgd, 0.001 for momentum, nesterov
    /// and adam]
    #[arg(long, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// What the rate is multiplied by from pass to pass; not with ftrl [default: 0.9]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    rate_decay: Option<f64>,
    /// Where the sums of squared gradients of adagrad and normalized-adagrad start [default: 1]
    #[arg(long, value_name = "SUM", allow_negative_numbers = true)]
    adagrad_initial: Option<f64>,
    /// What momentum and nesterov keep of a weight's velocity from step to step [default: 0.9]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// What adam keeps of its mean gradient from step to step [default: 0.9]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    adam_beta1: Option<f64>,
    /// What adam keeps of its mean squared gradient from step to step [default: 0.999]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    adam_beta2: Option<f64>,
    /// What keeps adam's divisor from 0 [default: 1e-8]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    adam_epsilon: Option<f64>,
    /// What lowers ftrl's first rates [default: 1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    ftrl_beta: Option<f64>,
    /// Strength of the L1 penalty on every weight, in units of the mean loss (of the summed loss for ftrl); weights that
    /// it makes exactly 0 need ftrl, --workers 0, or one worker with --window 1: where updates race, small ones may be
    /// left [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    l1: Option<f64>,
    /// Strength of the L2 penalty on every weight, in units of the mean loss (of the summed loss for ftrl) [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    l2: Option<f64>,
    /// Seed of all random choices; one worker and one seed give the same model, bit for bit [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Take the rows of a block in a random order, another in each pass.
    #[arg(long)]
    shuffle: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    /// A rate for each weight, falling with its gradients so far
    Adagrad,
    /// The same, and indifferent to the units in which features were measured
    NormalizedAdagrad,
    /// One rate for all weights
    Sgd,
    /// sgd with a velocity for each weight
    Momentum,
    /// momentum that looks one step ahead
    Nesterov,
    /// Means of gradients and of their squares for each weight
    Adam,
    /// FTRL-proximal: with --l1, weights that are exactly 0
    Ftrl,
}

impl From<Optimizer> for OptimizerName {
    fn from(given: Optimizer) -> Self {
        match given {
            Optimizer::Adagrad => Self::Adagrad,
            Optimizer::NormalizedAdagrad => Self::NormalizedAdagrad,
            Optimizer::Sgd => Self::Sgd,
            Optimizer::Momentum => Self::Momentum,
            Optimizer::Nesterov => Self::Nesterov,
            Optimizer::Adam => Self::Adam,
            Optimizer::Ftrl => Self::Ftrl,
        }
    }
}

/// The bound on staleness, if there is one.
#[derive(Clone, Copy, Default)]
pub(super) struct Staleness(pub(super) Option<u32>);

pub(super) fn staleness(text: &str) -> Result<Staleness, String> {
    let bound = match text {
        "async" => None,
        "sync" => Some(0),
        number => Some(number.parse().map_err(|_| "expected async, sync or a number of rounds".to_owned())?),
    };
    Ok(Staleness(bound))
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| !seconds.is_zero())
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

impl Parameters {
    fn job(&self, hash_bits: u8) -> Result<TrainJob, Failure> {
        let of_file = self.job.as_deref().map_or_else(|| Ok(Description::default()), described)?;
        let description = Description {
            model: of_file.model,
            hash_bits: if of_file.hash_bits == 0 { hash_bits } else { of_file.hash_bits },
            optimizer: self.optimizer.map_or(of_file.optimizer, Into::into),
            passes: self.passes.or(of_file.passes),
            seed: self.seed.or(of_file.seed),
            rate: self.rate.or(of_file.rate),
            rate_decay: self.rate_decay.or(of_file.rate_decay),
            adagrad_initial: self.adagrad_initial.or(of_file.adagrad_initial),
            momentum: self.momentum.or(of_file.momentum),
            adam_beta1: self.adam_beta1.or(of_file.adam_beta1),
            adam_beta2: self.adam_beta2.or(of_file.adam_beta2),
            adam_epsilon: self.adam_epsilon.or(of_file.adam_epsilon),
            ftrl_beta: self.ftrl_beta.or(of_file.ftrl_beta),
            l1: self.l1.or(of_file.l1),
            l2: self.l2.or(of_file.l2),
            shuffle: self.shuffle.then_some(true).or(of_file.shuffle),
        };
        TrainJob::try_from(description).map_err(|error| self.refused(&error))
    }

    /// A parameter is named as the user wrote it: as an option, or as a field of the file.
    fn refused(&self, error: &job::JobError) -> Failure {
        let text = error.to_string();
        let (job::JobError::OutOfRange { name, .. } | job::JobError::Ineffective { name, .. }) = error else {
            return Failure::Usage(text);
        };
        let is_option = match *name {
            "passes" => self.passes.is_some(),
            "rate" => self.rate.is_some(),
            "rate_decay" => self.rate_decay.is_some(),
            "adagrad_initial" => self.adagrad_initial.is_some(),
            "momentum" => self.momentum.is_some(),
            "adam_beta1" => self.adam_beta1.is_some(),
            "adam_beta2" => self.adam_beta2.is_some(),
            "adam_epsilon" => self.adam_epsilon.is_some(),
            "ftrl_beta" => self.ftrl_beta.is_some(),
            "l1" => self.l1.is_some(),
            "l2" => self.l2.is_some(),
            _ => false,
        };
        Failure::Usage(match &self.job {
            Some(file) if !is_option => format!("{}: {text}", file.display()),
            _ => text.replacen(name, &format!("--{}", name.replace('_', "-")), 1),
        })
    }
}

/// Reads a job's description.
fn described(file: &Path) -> Result<Description, Failure> {
    let text = std::fs::read(file).map_err(with(file.display()))?;
    Description::from_json(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// How a job is run on this machine.
pub(super) struct Plan {
    pub(super) job: TrainJob,
    pub(super) dataset: String,
    /// A path or URL.
    pub(super) model: String,
    /// 0: in this process.
    pub(super) workers: u32,
    pub(super) staleness_bound: Option<u32>,
    pub(super) window: u32,
    pub(super) snapshot_interval: Duration,
}

/// What came out.
pub(super) struct Run {
    pub(super) trained: Trained,
    /// What the job's processes did; `None` without them.
    pub(super) outcome: Option<JobOutcome>,
    /// The progressive loss along the rows: how many rows so far, and the mean loss of the last ones.
    pub(super) curve: Vec<(u64, f64)>,
    /// From the first block to the last.
    pub(super) seconds: f64,
    /// How long blocks were waited for, in seconds: what fetching ahead could not hide. Of several workers, on average.
    pub(super) waited: f64,
    /// Without a test part there are none.
    pub(super) metrics: Option<Metrics>,
}

impl Run {
    pub(super) fn rows(&self) -> u64 {
        self.trained.passes.iter().map(|pass| pass.rows).sum()
    }

    pub(super) fn rows_per_second(&self) -> f64 {
        self.rows() as f64 / self.seconds.max(1e-9)
    }
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mut reading = reading()?;
    if let Some(buffer_bytes) = arguments.buffer_bytes {
        reading.prefetch.buffer_bytes = buffer_bytes;
    }
    let dataset = open_dataset(&arguments.dataset, &reading.io)?;
    let workers = arguments.workers.unwrap_or_else(|| u32::try_from(cores().get()).unwrap_or(1));
    if workers == 0 {
        let given = [
            ("--staleness", arguments.staleness.is_some()),
            ("--window", arguments.window.is_some()),
            ("--snapshot-interval", arguments.snapshot_interval.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
            return Err(Failure::Usage(format!("{name} has no effect with --workers 0: leave it out")));
        }
    }
    let plan = Plan {
        job: arguments.parameters.job(dataset.manifest().hash_bits)?,
        dataset: arguments.dataset.clone(),
        model: arguments.out.clone().unwrap_or_else(|| place::beside(&arguments.dataset, "model")),
        workers,
        staleness_bound: arguments.staleness.unwrap_or_default().0,
        window: arguments.window.map_or_else(|| Distribution::window_for(workers), NonZeroU32::get),
        snapshot_interval: arguments.snapshot_interval.unwrap_or(Distribution::SNAPSHOT_INTERVAL),
    };
    // Alone there is nothing to clean up: a signal may end the process as it always does.
    let interrupt = (workers > 0).then(Interrupt::listen).transpose();
    let interrupt = interrupt.map_err(with("cannot listen for Ctrl-C"))?;
    let run = train(&plan, &dataset, &reading, output, interrupt.as_ref(), |_| ())?;
    let bytes = write_model(&plan.model, &run.trained.model, &reading.io)?;
    if output.json {
        return print_json(&as_json(&plan, &run, bytes));
    }
    let scores = run.metrics.as_ref().map(show::as_text).unwrap_or_default();
    print_text(&format!(
        "trained: {} rows in {:.1} s ({} rows/s), waited {:.1} s for blocks; progressive loss {:.4} in the last pass\n\
         {scores}{}: {} weights\n",
        grouped(run.rows()),
        run.seconds,
        grouped(run.rows_per_second() as u64),
        run.waited,
        run.trained.model.metadata.training.loss,
        plan.model,
        grouped(run.trained.model.keys.len() as u64),
    ))
}

/// Trains and evaluates, in processes of a job that an interrupt ends, or in this process if there is no `interrupt`.
/// `observe` is told what happens to the job's processes and blocks.
pub(super) fn train(
    plan: &Plan,
    dataset: &Dataset,
    reading: &Reading,
    output: Output,
    interrupt: Option<&Interrupt>,
    observe: impl FnMut(&Progress) + Send + 'static,
) -> Result<Run, Failure> {
    let blocks = dataset.part(Side::Train).blocks().count() as u64;
    let meter = Arc::new(Mutex::new(Display::new(plan.job.passes(), blocks, output)));
    let (trained, waited, outcome) = match interrupt {
        None => {
            let (trained, waited) = alone(plan, dataset, reading, &meter)?;
            (trained, waited, None)
        }
        Some(interrupt) => {
            interrupt.patient(true);
            let ended = distributed(plan, dataset, reading, Arc::clone(&meter), interrupt, observe);
            // After an interrupt it stays patient: what is left to do is to say so.
            let (trained, outcome) = ended?;
            interrupt.patient(false);
            let waited: u64 = outcome.workers.iter().map(|(_, took)| took.fetch_wait_micros).sum();
            (trained, waited as f64 / 1e6 / f64::from(plan.workers.max(1)), Some(outcome))
        }
    };
    let mut display = meter.lock().unwrap_or_else(PoisonError::into_inner);
    let (seconds, curve) = display.finish();
    let metrics = if dataset.manifest().test.rows > 0 {
        Some(evaluate(&Predictor::new(&trained.model)?, dataset, Side::Test, reading)?)
    } else {
        None
    };
    if interrupt.is_some_and(Interrupt::is_set) {
        return Err(Failure::Interrupted);
    }
    Ok(Run { trained, outcome, curve, seconds, waited, metrics })
}

fn alone(
    plan: &Plan,
    dataset: &Dataset,
    reading: &Reading,
    meter: &Mutex<Display>,
) -> Result<(Trained, f64), Failure> {
    let mut waited = Duration::ZERO;
    let mut before = BlockReport::default();
    let mut pass = None;
    let learned = |at: &cirrus_ml::train::Progress| {
        if pass != Some(at.pass) {
            pass = Some(at.pass);
            before = BlockReport::default();
        }
        let report = BlockReport {
            rows: at.so_far.rows - before.rows,
            loss_sum: at.so_far.loss_sum - before.loss_sum,
        };
        before = at.so_far;
        waited = at.waited;
        meter.lock().unwrap_or_else(PoisonError::into_inner).block(at.pass.0, report);
    };
    meter.lock().unwrap_or_else(PoisonError::into_inner).begin();
    let trained = train_local(&plan.job, dataset, reading, learned)?;
    Ok((trained, waited.as_secs_f64()))
}

fn distributed(
    plan: &Plan,
    dataset: &Dataset,
    reading: &Reading,
    meter: Arc<Mutex<Display>>,
    interrupt: &Interrupt,
    mut observe: impl FnMut(&Progress) + Send + 'static,
) -> Result<(Trained, JobOutcome), Failure> {
    let folder = Scratch::beside(&plan.model)?;
    let program = std::env::current_exe().map_err(with("cannot find this program"))?;
    let distribution = Distribution {
        workers: plan.workers,
        staleness_bound: plan.staleness_bound,
        window: plan.window,
        buffer_bytes: reading.prefetch.buffer_bytes,
        snapshot_interval: plan.snapshot_interval,
        dataset: plan.dataset.clone(),
        job_folder: folder.place().to_owned(),
        worker_command: Command::new(&program, ["worker"]),
        store_command: Command::new(&program, ["job-store"]),
    };
    let launcher = Arc::new(ProcessLauncher::new().map_err(with("cannot start a thread"))?);
    let happened = move |progress: &Progress| {
        meter.lock().unwrap_or_else(PoisonError::into_inner).happened(progress);
        observe(progress);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(with("cannot start the runtime"))?;
    let ended = runtime.block_on(async {
        let (job, control) = DistributedJob::new(
            plan.job.clone(),
            dataset,
            distribution,
            Tcp::default(),
            launcher,
            LISTEN_AT,
            happened,
        )
        .await?;
        let mut running = Box::pin(job.run());
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = interrupt.pressed() => {
                control.stop();
                running.await
            }
        };
        ended.map_err(|error| match error {
            DistributedError::Job(JobError::Stopped) => Failure::Interrupted,
            error => error.into(),
        })
    });
    runtime.block_on(folder.remove());
    ended
}

fn as_json(plan: &Plan, run: &Run, model_bytes: u64) -> Value {
    let passes: Vec<Value> =
        run.trained.passes.iter().map(|pass| json!({ "rows": pass.rows, "loss": pass.loss })).collect();
    json!({
        "model": plan.model,
        "model_bytes": model_bytes,
        "weights": run.trained.model.keys.len(),
        "workers": plan.workers,
        "rows": run.rows(),
        "seconds": run.seconds,
        "rows_per_second": run.rows_per_second(),
        "fetch_wait_seconds": run.waited,
        "passes": passes,
        "curve": run.curve.iter().map(|(rows, loss)| json!([rows, loss])).collect::<Vec<_>>(),
        "held_out": run.metrics.as_ref().map(show::as_json),
        "gradients": run.outcome.as_ref().map(|outcome| json!({
            "applied": outcome.store.applied,
            "acknowledged": outcome.acknowledged + outcome.duplicates,
            "refused_as_duplicates": outcome.store.duplicates,
        })),
        "store_epochs": run.outcome.as_ref().map(|outcome| outcome.version.epoch.0),
        "worker_processes": run.outcome.as_ref().map(workers_json),
    })
}

/// What each worker process took.
pub(super) fn workers_json(outcome: &JobOutcome) -> Vec<Value> {
    let worker = |(from, took): &(cirrus_core::store::Sender, cirrus_protocol::job::WorkerStatistics)| {
        json!({
            "worker": from.worker.0,
            "incarnation": from.incarnation.0,
            "peak_memory_bytes": took.peak_memory_bytes,
            "start_micros": took.start_micros,
            "blocks": took.blocks,
            "rows": took.rows,
            "learn_micros": took.learn_micros,
            "decode_micros": took.decode_micros,
            "fetch_wait_micros": took.fetch_wait_micros,
            "store_wait_micros": took.store_wait_micros,
            "sent_bytes": took.sent_bytes,
            "received_bytes": took.received_bytes,
        })
    };
    outcome.workers.iter().map(worker).collect()
}

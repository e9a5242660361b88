//! Whole jobs in one process: the real shells on threads of their own, over the in-memory transport.
//!
//! The model counts how often each key was seen, so that its final state shows whether every row of every pass was
//! applied exactly once, whoever was killed on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cirrus_core::ids::{GradientName, Incarnation, WorkerId};
use cirrus_core::store::Sender;
use cirrus_protocol::gradient::{self, KeyReference, Update};
use cirrus_protocol::job::{BlockReport, Role};
use cirrus_protocol::keys::{self, KeyLimit};
use cirrus_protocol::partition::DecodedBlock;
use cirrus_transport::memory::Memory;
use tokio::sync::oneshot;

use super::process::{COORDINATOR_VARIABLE, Place};
use super::{Coordinator, JobError, JobOutcome, JobSpec, Progress, StoreDescription, WorkerDescription};
use crate::blocks::tests::{BLOCK_ROWS, BLOCKS, PARTITIONS, key_of, write_dataset};
use crate::fleet::launcher::{Command, Exit, ExitCause, LaunchError, LaunchFuture, Launched, Launcher};
use crate::learner::{LearnError, Learner, LearnerFactory};
use crate::object::LocalFolder;
use crate::table::{Table, TableError, TableFactory};

const KEYS: u32 = 1 << 16;
const PASSES: u32 = 3;
const WORKERS: u32 = 3;

/// How often each key was seen.
struct Counts(Vec<f32>);

fn decode(bytes: &[u8]) -> Result<Vec<u32>, TableError> {
    let mut keys = Vec::new();
    keys::decode_sequence(bytes, KeyLimit { count: KEYS, key_max: KEYS - 1 }, &mut keys)
        .map_err(|error| TableError::Keys(error.to_string()))?;
    Ok(keys)
}

impl Table for Counts {
    fn check_keys(&self, keys: &[u8]) -> Result<(), TableError> {
        decode(keys).map(drop)
    }

    fn check_update(&self, keys: &[u8], update: Update<'_>) -> Result<(), TableError> {
        assert_eq!(decode(keys)?.len(), update.count());
        Ok(())
    }

    fn read(&mut self, keys: &[u8], cells: &mut Vec<u8>) {
        for key in decode(keys).unwrap() {
            cells.extend_from_slice(&self.0[key as usize].to_le_bytes());
        }
    }

    fn apply(&mut self, keys: &[u8], update: Update<'_>, _: crate::table::Origin) {
        for (key, value) in decode(keys).unwrap().into_iter().zip(update.column(0).unwrap()) {
            self.0[key as usize] += value.get();
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        self.0 = floats(bytes);
        Ok(())
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// Counts the keys of a block; cannot learn from the block `poison`.
struct Counter {
    poison: Option<u32>,
}

impl Learner for Counter {
    fn keys(&self, block: &DecodedBlock, keys: &mut Vec<u8>) {
        keys.clear();
        keys.extend_from_slice(&block.key_list);
    }

    fn learn(
        &mut self,
        name: GradientName,
        block: &DecodedBlock,
        cells: &[u8],
        reference: KeyReference<'_>,
        update: &mut Vec<u8>,
    ) -> Result<BlockReport, LearnError> {
        assert_eq!(cells.len(), block.keys.len() * 4);
        if self.poison == Some(name.block.block) {
            return Err(LearnError::Diverged { name, detail: "poison".to_owned() });
        }
        let mut counts = vec![0.0; block.keys.len()];
        block.ids.iter().for_each(|id| counts[*id as usize] += 1.0);
        update.clear();
        gradient::encode(reference, &[&counts], update).unwrap();
        Ok(BlockReport { rows: block.labels.len() as u64, loss_sum: 0.0 })
    }
}

/// How to kill who lives in a slot.
#[derive(Debug)]
struct Switch {
    /// Dropped, it ends the thread's work.
    kill: oneshot::Sender<()>,
    /// Ends when all that the thread had is dropped.
    dead: std::sync::mpsc::Receiver<()>,
}

impl Switch {
    /// Kills, and comes back when it has come about: no block is done meanwhile that needs the dead.
    fn kill(self) {
        drop(self.kill);
        let _ = self.dead.recv();
    }
}

type Switches = Arc<Mutex<BTreeMap<(Role, WorkerId), Switch>>>;

/// Runs workers and stores on threads; a kill drops everything that such a "process" has.
struct Threads {
    transport: Memory,
    tables: TableFactory,
    learners: LearnerFactory,
    kills: Switches,
}

#[derive(Debug)]
struct Thread {
    role: Role,
    slot: WorkerId,
    kills: Switches,
    exited: tokio::sync::watch::Receiver<Option<Exit>>,
}

impl Launched for Thread {
    fn process_id(&self) -> Option<u32> {
        None
    }

    fn wait(&mut self) -> LaunchFuture<'_, Exit> {
        Box::pin(async {
            let exit = self.exited.wait_for(Option::is_some).await.unwrap();
            exit.clone().unwrap()
        })
    }

    fn kill(&mut self) -> LaunchFuture<'_, Exit> {
        self.kills.lock().unwrap().remove(&(self.role, self.slot));
        self.wait()
    }
}

impl Launcher for Threads {
    fn launch<'a>(
        &'a self,
        command: &'a Command,
        slot: WorkerId,
        incarnation: Incarnation,
    ) -> LaunchFuture<'a, Result<Box<dyn Launched>, LaunchError>> {
        let role = if command.program == "store" { Role::Store } else { Role::Worker };
        let (_, coordinator) =
            command.environment.iter().find(|(name, _)| name == COORDINATOR_VARIABLE).unwrap();
        let place = Place {
            from: Sender { worker: slot, incarnation },
            coordinator: coordinator.clone().into_string().unwrap(),
        };
        let (kill, killed) = oneshot::channel::<()>();
        let (alive, dead) = std::sync::mpsc::channel::<()>();
        self.kills.lock().unwrap().insert((role, slot), Switch { kill, dead });
        let (done, exited) = tokio::sync::watch::channel(None);
        let (transport, tables, learners) =
            (self.transport.clone(), self.tables.clone(), self.learners.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let work = async {
                match role {
                    Role::Worker => {
                        let started = Instant::now();
                        let ran = super::worker::run(place, transport, learners, started, || 0).await;
                        ran.map_err(|error| error.to_string())
                    }
                    Role::Store => {
                        let ran = super::store::run(&place, &transport, "*", tables).await;
                        ran.map_err(|error| error.to_string())
                    }
                }
            };
            let exit = runtime.block_on(async {
                tokio::select! {
                    ended = work => match ended {
                        Ok(()) => Exit { cause: ExitCause::Code(0), last_words: String::new() },
                        Err(last_words) => Exit { cause: ExitCause::Code(1), last_words },
                    },
                    _ = killed => Exit { cause: ExitCause::Signal(9), last_words: String::new() },
                }
            });
            drop(runtime);
            drop(alive);
            let _ = done.send(Some(exit));
        });
        let thread = Thread { role, slot, kills: Arc::clone(&self.kills), exited };
        Box::pin(std::future::ready(Ok(Box::new(thread) as Box<dyn Launched>)))
    }
}

/// Whom to kill after how many blocks.
type Kills = Vec<(u32, Role, WorkerId)>;

struct Case {
    staleness_bound: Option<u32>,
    window: u32,
    kills: Kills,
    poison: Option<u32>,
}

async fn run(case: Case) -> (Result<JobOutcome, JobError>, Vec<Progress>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    write_dataset(&LocalFolder::new(folder.path())).await;
    let transport = Memory::default();
    let poison = case.poison;
    let launcher = Threads {
        transport: transport.clone(),
        tables: Arc::new(|_| Ok(Box::new(Counts(vec![0.0; KEYS as usize])))),
        learners: Arc::new(move |_| Ok(Box::new(Counter { poison }))),
        kills: Arc::default(),
    };
    let blocks = move |_| {
        let ids = |partition| (0..BLOCKS).map(move |block| cirrus_core::ids::BlockId { partition, block });
        (0..PARTITIONS).flat_map(ids).collect()
    };
    let spec = JobSpec {
        workers: WORKERS,
        passes: PASSES,
        order: Arc::new(blocks),
        keys: KEYS,
        worker: WorkerDescription {
            dataset: format!("{path}/set"),
            model: "counts".to_owned(),
            learner: String::new(),
            window: case.window,
            blocks_ahead: 3,
            buffer_bytes: 1 << 20,
            reconnect_ms: 5,
            reconnects_max: 1000,
        },
        store: StoreDescription {
            folder: format!("{path}/job"),
            model: "counts".to_owned(),
            staleness_bound: case.staleness_bound,
            workers: WORKERS,
            snapshot_interval_ms: 1,
        },
        worker_command: Command::new("worker", [""; 0]),
        store_command: Command::new("store", [""; 0]),
        lease: Duration::from_secs(60),
        failures_max: 5,
    };
    let (kills, mut left) = (Arc::clone(&launcher.kills), case.kills);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, mut blocks) = (Arc::clone(&seen), 0);
    let progress = move |progress: Progress| {
        blocks += u32::from(matches!(progress, Progress::Block { .. }));
        left.retain(|(after, role, slot)| {
            // Where nobody lives just now, it is tried again later.
            let due = blocks >= *after;
            let switch = due.then(|| kills.lock().unwrap().remove(&(*role, *slot))).flatten();
            switch.map(Switch::kill).is_none()
        });
        log.lock().unwrap().push(progress);
    };
    let (coordinator, _control) =
        Coordinator::new(spec, transport, Arc::new(launcher), "*", progress).await.unwrap();
    let outcome = coordinator.run().await;
    let seen = core::mem::take(&mut *seen.lock().unwrap());
    (outcome, seen)
}

fn assert_each_row_once_a_pass(outcome: &JobOutcome) {
    let mut expected = vec![0.0; KEYS as usize];
    for row in 0..BLOCK_ROWS * BLOCKS * PARTITIONS {
        expected[key_of(row) as usize] += PASSES as f32;
    }
    assert!(floats(&outcome.cells) == expected, "every row of every pass counts exactly once");
}

#[tokio::test]
async fn an_undisturbed_job_applies_every_block_once() {
    for (staleness_bound, window) in [(None, 1), (None, 2), (Some(0), 1), (Some(0), 2), (Some(1), 2)] {
        let case = Case { staleness_bound, window, kills: Vec::new(), poison: None };
        let (outcome, seen) = run(case).await;
        let outcome = outcome.unwrap();
        assert_each_row_once_a_pass(&outcome);
        let names = u64::from(BLOCKS * PARTITIONS * PASSES);
        assert_eq!((outcome.store.applied, outcome.store.duplicates), (names, 0));
        assert_eq!((outcome.acknowledged, outcome.duplicates), (names, 0));
        assert_eq!(outcome.workers.len(), WORKERS as usize, "every worker said what it took");
        let passes = seen.iter().filter(|progress| matches!(progress, Progress::PassDone(_))).count();
        assert_eq!(passes, PASSES as usize);
    }
}

#[tokio::test]
async fn killed_workers_lose_nothing_and_add_nothing() {
    for (staleness_bound, window) in [(None, 2), (Some(0), 1), (Some(1), 2)] {
        let kills = (0..9).map(|kill| (3 + 5 * kill, Role::Worker, WorkerId(kill % WORKERS))).collect();
        let (outcome, seen) = run(Case { staleness_bound, window, kills, poison: None }).await;
        let outcome = outcome.unwrap();
        assert_each_row_once_a_pass(&outcome);
        assert_eq!(outcome.store.applied, u64::from(BLOCKS * PARTITIONS * PASSES));
        let ended = |progress: &&Progress| matches!(progress, Progress::Ended { role: Role::Worker, .. });
        assert!(seen.iter().filter(ended).count() >= 9, "they were killed");
    }
}

#[tokio::test]
async fn a_killed_store_comes_back_as_a_new_epoch_and_the_job_goes_on() {
    for (staleness_bound, window) in [(None, 2), (Some(0), 2), (Some(1), 1)] {
        let kills = vec![
            (5, Role::Store, WorkerId(0)),
            (12, Role::Worker, WorkerId(1)),
            (18, Role::Store, WorkerId(0)),
        ];
        let (outcome, seen) = run(Case { staleness_bound, window, kills, poison: None }).await;
        let outcome = outcome.unwrap();
        assert_each_row_once_a_pass(&outcome);
        assert_eq!(outcome.version.epoch.0, 3, "two deaths, two new epochs");
        let epochs: Vec<u32> = seen
            .iter()
            .filter_map(|progress| match progress {
                Progress::StoreReady { epoch, .. } => Some(epoch.0),
                _ => None,
            })
            .collect();
        assert_eq!(epochs, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_block_that_cannot_be_learned_from_ends_the_job_with_its_name() {
    let case = Case { staleness_bound: None, window: 1, kills: Vec::new(), poison: Some(4) };
    let (outcome, _) = run(case).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("poison") && error.contains("/4"), "{error}");
}

#[tokio::test]
async fn a_store_that_never_comes_up_ends_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    write_dataset(&LocalFolder::new(folder.path())).await;
    let transport = Memory::default();
    let launcher = Threads {
        transport: transport.clone(),
        tables: Arc::new(|_| Err(TableError::Description("no such model".to_owned()))),
        learners: Arc::new(|_| Ok(Box::new(Counter { poison: None }))),
        kills: Arc::default(),
    };
    let description = StoreDescription {
        folder: format!("{path}/job"),
        model: "none".to_owned(),
        staleness_bound: None,
        workers: 1,
        snapshot_interval_ms: 1000,
    };
    let spec = JobSpec {
        workers: 1,
        passes: 1,
        order: Arc::new(|_| vec![cirrus_core::ids::BlockId::default()]),
        keys: KEYS,
        worker: WorkerDescription {
            dataset: format!("{path}/set"),
            model: "none".to_owned(),
            learner: String::new(),
            window: 1,
            blocks_ahead: 3,
            buffer_bytes: 1 << 20,
            reconnect_ms: 5,
            reconnects_max: 3,
        },
        store: description,
        worker_command: Command::new("worker", [""; 0]),
        store_command: Command::new("store", [""; 0]),
        lease: Duration::from_secs(60),
        failures_max: 2,
    };
    let (coordinator, _control) =
        Coordinator::new(spec, transport, Arc::new(launcher), "*", |_| ()).await.unwrap();
    let error = coordinator.run().await.unwrap_err().to_string();
    assert!(error.contains("data store failed") && error.contains("no such model"), "{error}");
}

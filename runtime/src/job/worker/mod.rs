//! The shell of `cirrus_core::worker`: one worker process.
//!
//! One task owns the machine and both connections, and waits for whatever happens next: a message from the coordinator
//! or the store, a decoded block, a computed update, a timer. Learning runs on a thread of its own, fetching on another,
//! so the network never waits for either. When to read, to send (again) and to end is the machine's business.

mod error;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cirrus_core::bug::Bugs;
use cirrus_core::ids::{CallId, GradientName, Millis, StoreEpoch};
use cirrus_core::worker::{Config, Effect, End, Event, Timer, Worker};
use cirrus_protocol::frame::Frame;
use cirrus_protocol::gradient::{self, KeyReference};
use cirrus_protocol::job::{BlockReport, JobReply, JobRequest, Role, WorkerStatistics};
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Transport, TransportError};
use tokio::runtime::Handle;

use super::description::WorkerDescription;
use super::process::{Place, ProcessError, malformed};
use crate::blocks::{FetchedBlock, PrefetchOptions, Prefetcher};
use crate::dataset::{Dataset, DatasetError, Side};
use crate::driver::Driver;
use crate::learner::{LearnError, Learner, LearnerFactory};
use crate::object;
use crate::pool::{JobPanicked, WorkPool};
use crate::store::client::describe;

pub use error::WorkerError;
use waiting::{alarm, flush, receive, some};

/// How long one attempt to connect to the store may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Decoded blocks held beyond the open rounds; further ones wait as they are stored, in the prefetcher's buffer.
const DECODED_AHEAD: u32 = 2;

/// A payload of the machine: bytes, and the read that they go back to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Payload {
    bytes: Bytes,
    /// For an update: the read whose keys it refers to.
    read: CallId,
}

impl Payload {
    fn new(bytes: impl Into<Bytes>, read: CallId) -> Self {
        Self { bytes: bytes.into(), read }
    }
}

/// A block in hand.
struct Held {
    block: Arc<FetchedBlock>,
    keys: Bytes,
    /// The last read of its cells.
    read: CallId,
    report: BlockReport,
}

/// What learning waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Store,
    Blocks,
}

/// What comes back from the learning thread.
struct Learned {
    name: GradientName,
    learner: Box<dyn Learner>,
    update: Vec<u8>,
    report: Result<BlockReport, LearnError>,
    took: Duration,
}

type Computing = Pin<Box<dyn Future<Output = Result<Learned, JobPanicked>> + Send>>;
type Connecting<T> = Pin<
    Box<dyn Future<Output = Option<Connection<<T as Transport>::Sender, <T as Transport>::Receiver>>> + Send>,
>;

/// One worker process at work.
struct Shell<T: Transport> {
    machine: Driver<Worker<Payload>>,
    transport: T,
    place: Place,
    description: WorkerDescription,
    coordinator: Connection<T::Sender, T::Receiver>,
    store: Option<Connection<T::Sender, T::Receiver>>,
    store_address: String,
    connecting: Option<Connecting<T>>,
    prefetcher: Prefetcher,
    /// Grants whose rows have not arrived, in the order in which they will.
    fetching: VecDeque<GradientName>,
    held: BTreeMap<GradientName, Held>,
    /// Tells keys while the other one learns.
    keys_of: Box<dyn Learner>,
    learner: Option<Box<dyn Learner>>,
    computing: Option<Computing>,
    thread: WorkPool,
    timer: Option<(Timer, tokio::time::Instant)>,
    /// The call that opened the present session.
    opened: CallId,
    statistics: WorkerStatistics,
    waiting: Option<(Waits, Instant)>,
    failure: Option<WorkerError>,
}

/// Works for a job until it is over.
///
/// `started` is when the process began, for the statistics; `peak_memory_bytes` is asked at the end.
///
/// # Errors
/// [`WorkerError`] when the worker cannot go on; the coordinator has then been told, if it could be.
pub async fn run<T: Transport>(
    place: Place,
    transport: T,
    learners: LearnerFactory,
    started: Instant,
    peak_memory_bytes: fn() -> u64,
) -> Result<(), WorkerError> {
    let (coordinator, job) = place.report(&transport, Role::Worker).await?;
    let description: WorkerDescription = serde_json::from_slice(&job).map_err(ProcessError::from)?;
    let mut shell = Shell::start(place, transport, coordinator, description, &learners).await?;
    shell.statistics.start_micros = micros(started.elapsed());
    let ended = shell.work().await;
    shell.statistics.peak_memory_bytes = peak_memory_bytes();
    shell.statistics.decode_micros = micros(shell.prefetcher.statistics().decoding);
    let last = match &ended {
        Ok(()) => JobRequest::Statistics(shell.statistics),
        Err(error) if error.is_final() => JobRequest::Failed { reason: error.to_string() },
        // A successor may do better: nothing is said, the fleet sees the process end.
        Err(_) => return ended,
    };
    // The store is left before the coordinator is told, and neither may hold the process up.
    if let Some(store) = &mut shell.store {
        let _ = tokio::time::timeout(CONNECT_DEADLINE, store.sender.flush()).await;
    }
    let _ = tokio::time::timeout(CONNECT_DEADLINE, shell.coordinator.sender.send(last.into_frame())).await;
    ended
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What happened.
enum Happened<T: Transport> {
    Coordinator(Result<Option<Frame>, TransportError>),
    Store(Result<Option<Frame>, TransportError>),
    CoordinatorFlushed(Result<(), TransportError>),
    StoreFlushed(Result<(), TransportError>),
    Connected(Option<Connection<T::Sender, T::Receiver>>),
    Fetched(Option<Result<FetchedBlock, DatasetError>>),
    Computed(Result<Learned, JobPanicked>),
    Timer(Timer),
}

impl<T: Transport> Shell<T> {
    async fn start(
        place: Place,
        transport: T,
        coordinator: Connection<T::Sender, T::Receiver>,
        description: WorkerDescription,
        learners: &LearnerFactory,
    ) -> Result<Self, WorkerError> {
        let dataset = Dataset::open(object::open(&description.dataset)?, "").await?;
        let one = NonZeroUsize::MIN;
        let decoding = Arc::new(WorkPool::new(one).map_err(WorkerError::Thread)?);
        let options = PrefetchOptions { buffer_bytes: description.buffer_bytes };
        let part = dataset.part(Side::Train);
        let learner = || learners(description.learner.as_bytes());
        let config = Config {
            window: description.window,
            held: description.window.saturating_add(description.blocks_ahead),
            reconnect: Millis(description.reconnect_ms),
            reconnects_max: description.reconnects_max,
            bugs: Bugs::default(),
        };
        Ok(Self {
            machine: Driver::new(Worker::default(), config),
            prefetcher: Prefetcher::new(part, decoding, &Handle::current(), options),
            keys_of: learner()?,
            learner: Some(learner()?),
            thread: WorkPool::new(one).map_err(WorkerError::Thread)?,
            transport,
            place,
            coordinator,
            store: None,
            store_address: String::new(),
            connecting: None,
            fetching: VecDeque::new(),
            held: BTreeMap::new(),
            computing: None,
            timer: None,
            opened: CallId(0),
            statistics: WorkerStatistics::default(),
            waiting: None,
            failure: None,
            description,
        })
    }

    /// Goes from one happening to the next until the machine ends.
    async fn work(&mut self) -> Result<(), WorkerError> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if let Some(end) = self.machine.machine().end {
                return self.ended(end);
            }
            self.meter_waiting();
            let happened = self.next().await;
            self.happened(happened)?;
        }
    }

    fn ended(&self, end: End) -> Result<(), WorkerError> {
        match end {
            End::Finished => Ok(()),
            End::Fenced => Err(WorkerError::Fenced),
            End::StoreFull => Err(WorkerError::StoreFull),
            End::StoreGone => Err(WorkerError::StoreGone {
                store: self.store_address.clone(),
                attempts: self.machine.config().reconnects_max.saturating_add(1),
            }),
            End::Failed => Err(WorkerError::Refused("the work in hand".to_owned())),
        }
    }

    /// Nothing is learned from: either a block waits for the store, or a block is waited for.
    fn meter_waiting(&mut self) {
        let waits = match (self.computing.is_some(), self.held.is_empty(), self.fetching.is_empty()) {
            (true, ..) | (false, true, true) => None,
            (false, false, _) => Some(Waits::Store),
            (false, true, false) => Some(Waits::Blocks),
        };
        if self.waiting.map(|(for_what, _)| for_what) == waits {
            return;
        }
        if let Some((for_what, since)) = self.waiting.take() {
            *match for_what {
                Waits::Store => &mut self.statistics.store_wait_micros,
                Waits::Blocks => &mut self.statistics.fetch_wait_micros,
            } += micros(since.elapsed());
        }
        self.waiting = waits.map(|for_what| (for_what, Instant::now()));
    }

    async fn next(&mut self) -> Happened<T> {
        let coordinator = &mut self.coordinator;
        let coordinator_queued = coordinator.sender.queued_bytes() > 0;
        let room = self.held.len() < self.description.window.saturating_add(DECODED_AHEAD) as usize;
        let outstanding = room && self.prefetcher.outstanding() > 0;
        let (mut store_sender, mut store_receiver) = (None, None);
        if let Some(store) = &mut self.store {
            store_sender = Some(&mut store.sender).filter(|sender| sender.queued_bytes() > 0);
            store_receiver = Some(&mut store.receiver);
        }
        tokio::select! {
            biased;
            frame = coordinator.receiver.next() => Happened::Coordinator(frame),
            computed = some(self.computing.as_mut()) => Happened::Computed(computed),
            flushed = flush(store_sender) => Happened::StoreFlushed(flushed),
            frame = receive(store_receiver) => Happened::Store(frame),
            flushed = coordinator.sender.flush(), if coordinator_queued => Happened::CoordinatorFlushed(flushed),
            block = self.prefetcher.next(), if outstanding => Happened::Fetched(block),
            connection = some(self.connecting.as_mut()) => Happened::Connected(connection),
            timer = alarm(self.timer) => Happened::Timer(timer),
        }
    }

    fn happened(&mut self, happened: Happened<T>) -> Result<(), WorkerError> {
        match happened {
            Happened::Coordinator(frame) => {
                let closed = || ProcessError::Closed(self.place.coordinator.clone());
                let frame = frame.map_err(ProcessError::from)?.ok_or_else(closed)?;
                let reply = JobReply::try_from(frame)
                    .map_err(|source| ProcessError::from(malformed(&self.coordinator.peer, source)))?;
                self.coordinator_said(reply);
            }
            Happened::CoordinatorFlushed(flushed) => flushed.map_err(ProcessError::from)?,
            Happened::Store(Ok(Some(frame))) => {
                self.statistics.received_bytes += frame.body.len() as u64;
                match StoreReply::try_from(frame) {
                    Ok(reply) => self.store_said(reply)?,
                    Err(error) => self.store_lost(&error.to_string()),
                }
            }
            Happened::Store(Ok(None)) => self.store_lost("it closed the connection"),
            Happened::Store(Err(error)) | Happened::StoreFlushed(Err(error)) => {
                self.store_lost(&error.to_string());
            }
            Happened::StoreFlushed(Ok(())) => {}
            Happened::Connected(connection) => {
                self.connecting = None;
                self.store = connection;
                let stands = self.store.is_some();
                self.step(if stands { Event::Connected } else { Event::Disconnected });
            }
            Happened::Fetched(block) => self.fetched(block)?,
            Happened::Computed(learned) => self.learned(learned?)?,
            Happened::Timer(timer) => {
                self.timer = None;
                self.step(Event::Timer(timer));
            }
        }
        Ok(())
    }

    fn coordinator_said(&mut self, reply: JobReply) {
        match reply {
            JobReply::Grant { pass, block } => {
                self.step(Event::Granted(GradientName { pass, block, part: 0 }));
            }
            JobReply::Dry => self.step(Event::Dry),
            JobReply::StoreAt { store, epoch } => {
                self.store_address = store;
                self.step(Event::StoreAt(epoch));
            }
            JobReply::Finish => self.step(Event::Finish),
            JobReply::Fenced => self.failure = Some(WorkerError::Fenced),
            JobReply::Welcome { .. } => {} // It is welcome already.
        }
    }

    fn store_said(&mut self, reply: StoreReply) -> Result<(), WorkerError> {
        let event = match reply {
            StoreReply::Opened { call, version } => Event::Opened { call, version },
            StoreReply::Values { call, version, cells } => {
                Event::Values { call, version, values: Payload::new(cells, call) }
            }
            StoreReply::Acknowledged { call, name: _, version, duplicate } => {
                Event::Acknowledged { call, version, duplicate }
            }
            StoreReply::Refused { call, reason: Refusal::Rule(reason) } => Event::Refused { call, reason },
            StoreReply::Refused { reason, .. } => return Err(WorkerError::Refused(describe(&reason))),
            // A worker asks for none of these.
            StoreReply::RecordedNames { .. }
            | StoreReply::Statistics { .. }
            | StoreReply::SnapshotTaken { .. } => return Ok(()),
        };
        self.step(event);
        Ok(())
    }

    fn store_lost(&mut self, why: &str) {
        tracing::info!("worker {}: the store: {why}", self.place.from.worker.0);
        self.store = None;
        self.step(Event::Disconnected);
    }

    fn fetched(&mut self, block: Option<Result<FetchedBlock, DatasetError>>) -> Result<(), WorkerError> {
        let (Some(block), Some(name)) = (block.transpose()?, self.fetching.pop_front()) else {
            return Ok(());
        };
        let mut keys = Vec::new();
        self.keys_of.keys(&block, &mut keys);
        let keys = Bytes::from(keys);
        let held = Held {
            block: Arc::new(block),
            keys: keys.clone(),
            read: CallId(0),
            report: BlockReport::default(),
        };
        self.held.insert(name, held);
        self.step(Event::Fetched { name, keys: Payload::new(keys, CallId(0)) });
        Ok(())
    }

    fn learned(&mut self, learned: Learned) -> Result<(), WorkerError> {
        let Learned { name, learner, update, report, took } = learned;
        self.computing = None;
        self.learner = Some(learner);
        let report = report?;
        self.statistics.learn_micros += micros(took);
        self.statistics.blocks += 1;
        self.statistics.rows += report.rows;
        if let Some(held) = self.held.get_mut(&name) {
            held.report = report;
            let update = Payload::new(update, held.read);
            self.step(Event::Computed { name, update });
        }
        Ok(())
    }

    fn step(&mut self, event: Event<Payload>) {
        let mut effects = self.machine.step(event);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.machine.recycle(effects);
    }

    fn carry_out(&mut self, effect: Effect<Payload>) {
        match effect {
            Effect::Connect => self.connect(),
            Effect::Open { call } => {
                self.opened = call;
                let model = Bytes::from(self.description.model.clone());
                self.tell_store(StoreRequest::Open { from: self.place.from, call, model });
            }
            Effect::Want(count) => self.tell_coordinator(JobRequest::WantLease { count }),
            Effect::Fetch(name) => {
                self.fetching.push_back(name);
                self.prefetcher.want(name.block);
            }
            Effect::Read { call, epoch, name, keys } => {
                if let Some(held) = self.held.get_mut(&name) {
                    held.read = call;
                }
                self.tell_store(StoreRequest::Read { call, epoch, keys: keys.bytes });
            }
            Effect::Compute { name, values } => self.compute(name, values),
            Effect::Push { call, epoch, name, update } => self.push(call, epoch, name, update),
            Effect::Park { call } => self.tell_store(StoreRequest::Park { call }),
            Effect::Leave => self.tell_store(StoreRequest::Leave),
            Effect::Done { name, epoch, duplicate } => {
                let report = self.held.remove(&name).map(|held| held.report).unwrap_or_default();
                self.tell_coordinator(JobRequest::Done { name, epoch, duplicate, report });
            }
            Effect::SetTimer { timer, after } => {
                let after = Duration::from_millis(u64::from(after.0));
                self.timer = Some((timer, tokio::time::Instant::now() + after));
            }
            Effect::Exit(_) => {} // `work` looks at the machine.
        }
    }

    fn connect(&mut self) {
        self.store = None;
        let (transport, address) = (self.transport.clone(), self.store_address.clone());
        self.connecting = Some(Box::pin(async move {
            let connection = tokio::time::timeout(CONNECT_DEADLINE, transport.connect(&address)).await;
            match connection {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(error)) => {
                    tracing::info!("{error}");
                    None
                }
                Err(_) => None,
            }
        }));
    }

    fn compute(&mut self, name: GradientName, values: Payload) {
        // The machine computes one block at a time, and only blocks that it holds.
        let Some(held) = self.held.get(&name) else { return };
        let Some(mut learner) = self.learner.take() else { return };
        let (block, read) = (Arc::clone(&held.block), values.read);
        let job = self.thread.run(move || {
            let began = Instant::now();
            let mut update = Vec::new();
            let reference = KeyReference::OfRead(read);
            let report = learner.learn(name, &block, &values.bytes, reference, &mut update);
            Learned { name, learner, update, report, took: began.elapsed() }
        });
        self.computing = Some(Box::pin(job));
    }

    /// Sends an update. Only the session whose read it refers to knows that read's keys.
    fn push(&mut self, call: CallId, epoch: StoreEpoch, name: GradientName, update: Payload) {
        let Some(held) = self.held.get(&name) else { return };
        let rows = u32::try_from(held.report.rows).unwrap_or(u32::MAX);
        let update = if update.read > self.opened {
            update.bytes
        } else {
            let mut whole = Vec::new();
            // The learner made it with the one encoding there is.
            let encoded = gradient::encode_with_keys(&update.bytes, &held.keys, &mut whole);
            debug_assert!(encoded.is_ok(), "a learner made no update: {encoded:?}");
            whole.into()
        };
        self.tell_store(StoreRequest::Push { call, epoch, name, rows, update });
    }

    fn tell_store(&mut self, request: StoreRequest) {
        let Some(store) = &mut self.store else { return };
        let frame = request.into_frame();
        self.statistics.sent_bytes += frame.body.len() as u64;
        if let Err(error) = store.sender.queue(frame) {
            self.failure = Some(ProcessError::from(error).into());
        }
    }

    fn tell_coordinator(&mut self, request: JobRequest) {
        if let Err(error) = self.coordinator.sender.queue(request.into_frame()) {
            self.failure = Some(ProcessError::from(error).into());
        }
    }
}

//! The coordinator of a training job: the shell of `cirrus_core::lease`, joined to two fleets and the store.
//!
//! One task owns the leases. What it joins, and nothing more: a fenced worker is fenced in the store and gives its
//! blocks back; a worker whose lease ran out is suspected; a pass that is done is closed in the store and the next
//! begins; a store that came back tells what it has recorded, and the job goes on from there. Which of these
//! happens is decided by the machines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cirrus_core::bug::Bugs;
use cirrus_core::fleet;
use cirrus_core::ids::{Incarnation, Millis, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::lease::{self, Effect, Event, Leases};
use cirrus_core::store::Sender;
use cirrus_protocol::job::{JobReply, JobRequest, Role, WorkerStatistics};
use cirrus_protocol::store::{StoreRequest, StoreStatistics};
use cirrus_transport::Transport;
use tokio::sync::mpsc;

use super::connections::{Connections, Peer};
use super::process::COORDINATOR_VARIABLE;
use super::spec::{JobError, JobOutcome, JobSpec, Progress};
use super::timers::LeaseTimers;
use crate::driver::Driver;
use crate::fleet::launcher::{Command, Launcher};
use crate::fleet::{FleetShell, Notice};
use crate::store::StoreClient;
use crate::store::client::ClientError;

/// How long the store may take to answer a question.
const STORE_DEADLINE: Duration = Duration::from_secs(30);
/// How many keys' cells are read at once at the end.
const KEYS_AT_ONCE: u32 = 1 << 20;
/// How long workers may take to say goodbye before they are killed.
const GOODBYE: Duration = Duration::from_secs(5);

/// Ends a running job from outside.
#[derive(Clone, Debug)]
pub struct JobControl(mpsc::UnboundedSender<()>);

impl JobControl {
    /// Ends the job: its processes are killed, and it answers [`JobError::Stopped`].
    pub fn stop(&self) {
        // A job that has ended needs no stopping.
        let _ = self.0.send(());
    }
}

/// A job that is about to run.
pub struct Coordinator<T: Transport> {
    spec: JobSpec,
    transport: T,
    leases: Driver<Leases>,
    connections: Connections,
    workers: FleetShell,
    worker_notices: mpsc::UnboundedReceiver<Notice>,
    stores: FleetShell,
    store_notices: mpsc::UnboundedReceiver<Notice>,
    /// To the store of the present epoch, and which life of its slot that is.
    store: Option<(StoreClient<T>, Sender)>,
    store_at: Option<(String, StoreEpoch)>,
    /// The highest fenced life of each worker slot, for stores that come later.
    fenced: BTreeMap<WorkerId, Incarnation>,
    /// Who is at the other end of a connection, and where to find a worker.
    names: BTreeMap<Peer, (Role, Sender)>,
    peers: BTreeMap<Sender, Peer>,
    timers: LeaseTimers,
    stop: mpsc::UnboundedReceiver<()>,
    progress: Box<dyn FnMut(Progress) + Send>,
    gave_up: u32,
    last_words: BTreeMap<Role, String>,
    acknowledged: u64,
    duplicates: u64,
    /// The model can be collected.
    all_done: bool,
    /// What was collected is the result.
    finished: bool,
    statistics: Vec<(Sender, WorkerStatistics)>,
}

impl<T: Transport> std::fmt::Debug for Coordinator<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("leases", &self.leases).finish_non_exhaustive()
    }
}

impl<T: Transport> Coordinator<T> {
    /// Opens the job's port and prepares its fleets. `progress` is told what happens, on the coordinator's task.
    ///
    /// # Errors
    /// When the port cannot be opened, or the dataset has no blocks or too many.
    pub async fn new(
        mut spec: JobSpec,
        transport: T,
        launcher: Arc<dyn Launcher>,
        listen_at: &str,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(Self, JobControl), JobError> {
        let config = lease::Config {
            blocks_max: 1 << 22,
            workers_max: spec.workers,
            held_max: 64,
            passes: spec.passes,
            lease: Millis(u32::try_from(spec.lease.as_millis()).unwrap_or(u32::MAX)),
            bugs: Bugs::default(),
        };
        let found = (spec.order)(Pass(0)).len();
        if found == 0 || found > config.blocks_max as usize {
            return Err(JobError::Blocks { found, limit: config.blocks_max });
        }
        let connections = Connections::listen(&transport, listen_at).await?;
        for command in [&mut spec.worker_command, &mut spec.store_command] {
            command.environment.push((COORDINATOR_VARIABLE.into(), connections.address().into()));
        }
        let fleet = |slots, command: &Command| {
            let config = fleet::Config {
                slots,
                failures_max: spec.failures_max,
                pause: Millis(20),
                pause_max: Millis(2000),
                bugs: Bugs::default(),
            };
            FleetShell::new(config, Arc::clone(&launcher), command.clone())
        };
        let (workers, worker_notices) = fleet(spec.workers, &spec.worker_command);
        let (stores, store_notices) = fleet(1, &spec.store_command);
        let (control, stop) = mpsc::unbounded_channel();
        let coordinator = Self {
            leases: Driver::new(Leases::default(), config),
            timers: LeaseTimers::new(spec.lease),
            spec,
            transport,
            connections,
            workers,
            worker_notices,
            stores,
            store_notices,
            store: None,
            store_at: None,
            fenced: BTreeMap::new(),
            names: BTreeMap::new(),
            peers: BTreeMap::new(),
            stop,
            progress: Box::new(progress),
            gave_up: 0,
            last_words: BTreeMap::new(),
            acknowledged: 0,
            duplicates: 0,
            all_done: false,
            finished: false,
            statistics: Vec::new(),
        };
        Ok((coordinator, JobControl(control)))
    }

    /// Runs the job to its end. Whatever the end, no process is left.
    ///
    /// # Errors
    /// [`JobError`] when there is no model.
    pub async fn run(mut self) -> Result<JobOutcome, JobError> {
        self.stores.tell(fleet::Event::Start);
        self.workers.tell(fleet::Event::Start);
        let outcome = self.until_done().await;
        if outcome.is_ok() {
            self.dismiss().await;
        }
        self.workers.tell(fleet::Event::Stop);
        self.stores.tell(fleet::Event::Stop);
        until_empty(&mut self.worker_notices).await;
        until_empty(&mut self.store_notices).await;
        let workers = core::mem::take(&mut self.statistics);
        outcome.map(|outcome| JobOutcome { workers, ..outcome })
    }

    async fn until_done(&mut self) -> Result<JobOutcome, JobError> {
        loop {
            tokio::select! {
                (peer, said) = self.connections.next() => match said {
                    Some(request) => self.said(peer, request).await?,
                    None => self.gone(peer),
                },
                Some(notice) = self.worker_notices.recv() => self.worker_notice(notice).await?,
                Some(notice) = self.store_notices.recv() => self.store_notice(notice)?,
                timer = self.timers.next() => self.step(Event::Timer(timer)).await,
                Some(()) = self.stop.recv() => return Err(JobError::Stopped),
            }
            if self.all_done
                && let Some(outcome) = self.collect().await?
            {
                return Ok(outcome);
            }
        }
    }

    async fn said(&mut self, peer: Peer, request: JobRequest) -> Result<(), JobError> {
        if let JobRequest::Hello { role, from, pid: _ } = request {
            self.hello(peer, role, from);
            return Ok(());
        }
        // Who says nothing of who it is says nothing that matters.
        let Some((_, from)) = self.names.get(&peer).copied() else { return Ok(()) };
        match request {
            JobRequest::Hello { .. } => {}
            JobRequest::WantLease { count } => self.step(Event::Wanted { from, count }).await,
            JobRequest::Done { name, epoch, duplicate, report } => {
                *(if duplicate { &mut self.duplicates } else { &mut self.acknowledged }) += 1;
                let before = self.to_do();
                self.step(Event::Done { epoch, pass: name.pass, block: name.block }).await;
                if self.to_do() != before {
                    let to_do = self.to_do();
                    (self.progress)(Progress::Block { pass: name.pass, report, to_do });
                }
                let (slot, incarnation) = (from.worker, from.incarnation);
                self.workers.tell(fleet::Event::Progress { slot, incarnation });
            }
            JobRequest::Failed { reason } => {
                return Err(JobError::Worker { worker: from.worker.0, reason });
            }
            JobRequest::Statistics(statistics) => self.statistics.push((from, statistics)),
            JobRequest::StoreReady { store, epoch } => self.store_ready(from, store, epoch).await,
        }
        Ok(())
    }

    fn hello(&mut self, peer: Peer, role: Role, from: Sender) {
        self.names.insert(peer, (role, from));
        let (slot, incarnation) = (from.worker, from.incarnation);
        let job = match role {
            Role::Worker => {
                self.peers.insert(from, peer);
                self.workers.tell(fleet::Event::Running { slot, incarnation });
                json(&self.spec.worker)
            }
            Role::Store => {
                self.stores.tell(fleet::Event::Running { slot, incarnation });
                json(&self.spec.store)
            }
        };
        self.connections.say(peer, JobReply::Welcome { job });
        if let (Role::Worker, Some((store, epoch))) = (role, self.store_at.clone()) {
            self.connections.say(peer, JobReply::StoreAt { store, epoch });
        }
    }

    fn gone(&mut self, peer: Peer) {
        if let Some((_, from)) = self.names.remove(&peer)
            && self.peers.get(&from) == Some(&peer)
        {
            self.peers.remove(&from);
        }
    }

    /// A store begins an epoch: it is told who is fenced, tells what it has recorded, and the job goes on from there.
    async fn store_ready(&mut self, from: Sender, store: String, epoch: StoreEpoch) {
        let asked = async {
            let mut client = StoreClient::connect(&self.transport, &store, STORE_DEADLINE).await?;
            for (worker, incarnation) in &self.fenced {
                let dead = Sender { worker: *worker, incarnation: *incarnation };
                client.send(StoreRequest::Fence { dead })?;
            }
            let marker = client.recorded().await?;
            Ok::<_, ClientError>((client, marker))
        };
        let (client, marker) = match asked.await {
            Ok(answer) => answer,
            Err(error) => return self.suspect_store(from, &error),
        };
        self.store = Some((client, from));
        self.store_at = Some((store.clone(), epoch));
        let (slot, incarnation) = (from.worker, from.incarnation);
        self.stores.tell(fleet::Event::Progress { slot, incarnation });
        let pass = marker.closed;
        let recorded = marker.names.iter().filter(|name| name.pass == pass).map(|name| name.block).collect();
        // If there is nothing left to do, the leases say so again.
        self.all_done = false;
        let order = (self.spec.order)(pass);
        self.step(Event::Begin { epoch, pass, order, recorded }).await;
        let to_do = self.to_do();
        (self.progress)(Progress::StoreReady { epoch, pass, to_do });
        for peer in self.peers.values() {
            self.connections.say(*peer, JobReply::StoreAt { store: store.clone(), epoch });
        }
    }

    fn to_do(&self) -> u32 {
        let leases = self.leases.machine();
        leases.pending.len().saturating_add(leases.leased.len())
    }

    async fn worker_notice(&mut self, notice: Notice) -> Result<(), JobError> {
        match notice {
            Notice::Fenced { slot, incarnation } => {
                let dead = Sender { worker: slot, incarnation };
                self.fenced.insert(slot, incarnation);
                self.tell_store(StoreRequest::Fence { dead }).await;
                if let Some(peer) = self.peers.get(&dead) {
                    self.connections.say(*peer, JobReply::Fenced);
                }
                self.step(Event::Gone(dead)).await;
            }
            Notice::GaveUp(_) => {
                self.gave_up += 1;
                if self.gave_up >= self.spec.workers {
                    return Err(JobError::WorkersGaveUp(self.words_of(Role::Worker)));
                }
            }
            Notice::Launched { .. } | Notice::Ended { .. } | Notice::Empty => {
                self.report(Role::Worker, notice);
            }
        }
        Ok(())
    }

    fn store_notice(&mut self, notice: Notice) -> Result<(), JobError> {
        match notice {
            Notice::GaveUp(_) => return Err(JobError::StoreGaveUp(self.words_of(Role::Store))),
            // The next store fences its predecessor by its epoch.
            Notice::Fenced { .. } => self.store = None,
            Notice::Launched { .. } | Notice::Ended { .. } | Notice::Empty => {
                self.report(Role::Store, notice);
            }
        }
        Ok(())
    }

    fn report(&mut self, role: Role, notice: Notice) {
        match notice {
            Notice::Launched { slot, incarnation, process_id } => {
                (self.progress)(Progress::Launched { role, slot, incarnation, process_id });
            }
            Notice::Ended { slot, incarnation, how } => {
                self.last_words.insert(role, how.clone());
                (self.progress)(Progress::Ended { role, slot, incarnation, how });
            }
            Notice::Fenced { .. } | Notice::GaveUp(_) | Notice::Empty => {}
        }
    }

    fn words_of(&self, role: Role) -> String {
        self.last_words.get(&role).cloned().unwrap_or_else(|| "said nothing".to_owned())
    }

    /// Says something to the store that needs no answer. One that is gone learns it from the next epoch's start.
    async fn tell_store(&mut self, request: StoreRequest) {
        let Some((store, from)) = &mut self.store else { return };
        let told = match store.send(request) {
            Ok(()) => store.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            let from = *from;
            self.suspect_store(from, &error);
        }
    }

    /// A store that does not answer is ended, if it has not ended by itself; the next one begins a new epoch.
    fn suspect_store(&mut self, store: Sender, error: &ClientError) {
        tracing::warn!("{error}");
        self.store = None;
        let (slot, incarnation) = (store.worker, store.incarnation);
        self.stores.tell(fleet::Event::Suspected { slot, incarnation });
    }

    /// Steps the leases and carries out what they ask for; what follows from that, too.
    async fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut effects = self.leases.step(event);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Grant { to, pass, block } => self.say_to(to, JobReply::Grant { pass, block }),
                    Effect::Dry(to) => self.say_to(to, JobReply::Dry),
                    Effect::Overdue(Sender { worker: slot, incarnation }) => {
                        self.workers.tell(fleet::Event::Suspected { slot, incarnation });
                    }
                    Effect::PassDone { epoch, pass } => {
                        self.tell_store(StoreRequest::ClosePass { epoch, pass }).await;
                        (self.progress)(Progress::PassDone(pass));
                        next = pass.next().filter(|next| next.0 < self.spec.passes).map(|pass| {
                            Event::Begin { epoch, pass, order: (self.spec.order)(pass), recorded: Vec::new() }
                        });
                    }
                    Effect::AllDone => self.all_done = true,
                    Effect::Finished => self.finished = true,
                    Effect::SetTimer { timer, after: _ } => self.timers.set(timer),
                    Effect::ClearTimer(timer) => self.timers.clear(&timer),
                }
            }
            self.leases.recycle(effects);
        }
    }

    fn say_to(&self, to: Sender, reply: JobReply) {
        // A worker that is gone is found out by its fleet, or by its lease.
        if let Some(peer) = self.peers.get(&to) {
            self.connections.say(*peer, reply);
        }
    }

    /// Takes the model out of the store. If the store died just now, it comes back and the job goes on.
    async fn collect(&mut self) -> Result<Option<JobOutcome>, JobError> {
        let Some((store, from)) = &mut self.store else { return Ok(None) };
        match model_of(store, self.spec.keys).await {
            Ok((statistics, version, cells)) => {
                self.all_done = false;
                self.step(Event::Collected { epoch: version.epoch }).await;
                Ok(self.finished.then(|| JobOutcome {
                    cells,
                    version,
                    store: statistics,
                    acknowledged: self.acknowledged,
                    duplicates: self.duplicates,
                    workers: Vec::new(),
                }))
            }
            Err(error @ (ClientError::Refused(_) | ClientError::OutOfTurn)) => Err(error.into()),
            Err(error) => {
                let from = *from;
                self.suspect_store(from, &error);
                self.all_done = false;
                Ok(None)
            }
        }
    }

    /// Sends the workers home and hears what they took, then the store.
    async fn dismiss(&mut self) {
        self.workers.tell(fleet::Event::Finish);
        self.stores.tell(fleet::Event::Finish);
        for peer in self.peers.values() {
            self.connections.say(*peer, JobReply::Finish);
        }
        self.tell_store(StoreRequest::Stop).await;
        let until = Instant::now() + GOODBYE;
        while !self.peers.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.connections.next()).await {
                Ok((peer, Some(JobRequest::Statistics(statistics)))) => {
                    if let Some((_, from)) = self.names.get(&peer) {
                        self.statistics.push((*from, statistics));
                    }
                }
                Ok((_, Some(_))) => {}
                Ok((peer, None)) => self.gone(peer),
                Err(_) => return,
            }
        }
    }
}

/// All cells of the model, read in pieces that fit into a frame whatever the size of the model.
async fn model_of<T: Transport>(
    store: &mut StoreClient<T>,
    keys: u32,
) -> Result<(StoreStatistics, Version, Bytes), ClientError> {
    let statistics = store.statistics().await?;
    let mut cells = Vec::new();
    let mut version = Version::default();
    for start in (0..keys).step_by(KEYS_AT_ONCE as usize) {
        let piece: Vec<u32> = (start..keys.min(start.saturating_add(KEYS_AT_ONCE))).collect();
        let mut list = Vec::new();
        // A range is sorted and unique.
        let encoded = cirrus_protocol::keys::encode(&piece, &mut list);
        debug_assert!(encoded.is_ok(), "a range was no key list: {encoded:?}");
        let (at, values) = store.peek(list.into()).await?;
        version = at;
        cells.extend_from_slice(&values);
    }
    Ok((statistics, version, cells.into()))
}

fn json(description: &impl serde::Serialize) -> Bytes {
    // Plain structs of strings and numbers: they always have a JSON form.
    serde_json::to_vec(description).unwrap_or_default().into()
}

async fn until_empty(notices: &mut mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if notice == Notice::Empty {
            return;
        }
    }
}

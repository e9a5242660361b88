//! The data store's decisions: which gradients count, which reads must wait, what a snapshot covers.
//!
//! ```text
//! worker           store                          disk
//!   | Open            |                              |
//!   |---------------->| Opened(epoch)                |
//!   | Read(keys) c    |                              |
//!   |---------------->| waits while a clock < c - s  |
//!   |<----- cells ----|                              |
//!   | Push(name, G)   |                              |
//!   |---------------->| name new? apply : duplicate  |
//!   |<- Acknowledged -|--- Snapshot(names, table) -->|
//! ```
//!
//! A gradient's name is recorded together with its update, so a retry and a second holder of the same block
//! change nothing (P1). A worker's clock is the number of rounds it has ended; a read in round c waits until
//! every worker that takes part has ended round c - s - 1 (P2). A fenced worker has no clock (P4). A store that
//! comes back from a snapshot first puts a new epoch on disk, and then serves in that epoch only (P3, P5).
//!
//! The weights are not in here: applying an update is work for the shell, which does all effects in order.

mod effect;
mod event;
pub mod rules;
mod session;

pub use effect::{Effect, Reason, Record, Reply};
pub use event::{Event, Sender};
pub use session::{Seat, Session, Waiting};

use crate::bounded::{Map, Queue};
use crate::bug::{Bug, Bugs};
use crate::ids::{CallId, GradientName, Incarnation, Millis, Pass, StoreEpoch, Version, WorkerId};
use crate::machine::{Effects, Machine};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;
use core::marker::PhantomData;

/// How far a worker's model may lag behind the others' updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Staleness {
    /// Nobody waits for anybody.
    Asynchronous,
    /// Stale synchronous parallel: a read in round c sees all updates of rounds before c - bound.
    /// With bound 0 it is bulk synchronous parallel.
    Bounded(u32),
}

/// Limits and mode of a store.
#[derive(Clone, Debug)]
pub struct Config {
    /// The consistency of reads.
    pub staleness: Staleness,
    /// How many worker slots can have a session or a fence.
    pub workers_max: u32,
    /// How many reads of one worker can wait.
    pub reads_max: u32,
    /// How many updates can be on their way into the table.
    pub applying_max: u32,
    /// How many names can be kept; closing a pass frees its names.
    pub names_max: u32,
    /// How many callers can wait for a snapshot.
    pub callers_max: u32,
    /// How long after a snapshot the next one is due.
    pub snapshot_interval: Millis,
    /// Seeded bugs.
    pub bugs: Bugs,
}

/// What a snapshot covers: the model with exactly these updates in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marker {
    /// The state it was taken of.
    pub version: Version,
    /// All names of passes before this one are covered.
    pub closed: Pass,
    /// The names of later passes that are covered, in order.
    pub names: Vec<GradientName>,
}

/// Names a record on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordId {
    /// The epoch.
    Epoch(StoreEpoch),
    /// The snapshot of this state.
    Snapshot(Version),
}

/// A store's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A snapshot is due, in this epoch.
    Snapshot(StoreEpoch),
}

/// Whether the store serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before `Started`, and for ever if the store cannot open.
    Down,
    /// The new epoch is on its way to the disk.
    Opening,
    /// It serves.
    Serving,
}

/// An update on its way into the table, and who is told when it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Applying {
    /// The state that it makes.
    pub version: Version,
    /// Its name.
    pub name: GradientName,
    /// Who sent it.
    pub from: Sender,
    /// In which request.
    pub call: CallId,
}

/// A data store's consistency, one shard of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store<P> {
    /// Whether it serves.
    pub phase: Phase,
    /// This life and the updates recorded in it.
    pub version: Version,
    /// Every name of a pass before this one is recorded.
    pub closed: Pass,
    /// The recorded names of the other passes. Their updates are in the table or in `applying`.
    pub names: Map<GradientName, ()>,
    /// Who is fenced and who has a session.
    pub seats: Map<WorkerId, Seat<P>>,
    /// Updates on their way into the table, oldest first.
    pub applying: Queue<Applying>,
    /// The snapshot on its way to the disk.
    pub writing: Option<Version>,
    /// The newest snapshot on disk.
    pub durable: Option<Version>,
    /// Who waits for a snapshot, and of which state.
    pub callers: Queue<(CallId, Version)>,
    payload: PhantomData<P>,
}

impl<P> Default for Store<P> {
    fn default() -> Self {
        Self {
            phase: Phase::Down,
            version: Version::default(),
            closed: Pass(0),
            names: Map::default(),
            seats: Map::default(),
            applying: Queue::default(),
            writing: None,
            durable: None,
            callers: Queue::default(),
            payload: PhantomData,
        }
    }
}

impl<P: Clone + Debug + Eq + Hash> Machine for Store<P> {
    type Event = Event<P>;
    type Effect = Effect<P>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<P>, out: &mut impl Effects<Effect<P>>) {
        match event {
            Event::Started { last_epoch, snapshot } => self.started(config, last_epoch, snapshot, out),
            Event::Open { from, call } => self.open(config, from, call, out),
            Event::Read { from, epoch, call, keys } => self.read(config, from, epoch, call, keys, out),
            Event::Push { from, epoch, call, name, update } => {
                let request = Applying { version: Version { epoch, count: 0 }, name, from, call };
                self.push(config, request, update, out);
            }
            Event::Park { from, call } => self.park(config, from, call, out),
            Event::Leave { from } => self.leave(config, from, out),
            Event::Fence(dead) => self.fence(config, dead, out),
            Event::ClosePass { epoch, pass } => self.close_pass(epoch, pass),
            Event::Peek { call, keys } => out.push(Effect::ServePeek { call, version: self.version, keys }),
            Event::SnapshotWanted { call } => self.snapshot_wanted(config, call, out),
            Event::Applied(version) => self.applied(version, out),
            Event::Persisted(record) => self.persisted(config, record, out),
            Event::PersistFailed(record) => self.persist_failed(config, record, out),
            Event::Timer(Timer::Snapshot(epoch)) => self.snapshot_due(config, epoch, out),
        }
    }
}

impl<P: Clone + Debug + Eq + Hash> Store<P> {
    /// Whether an update of this name counts already.
    #[must_use]
    pub fn is_recorded(&self, name: &GradientName) -> bool {
        name.pass < self.closed || self.names.contains(name)
    }

    /// What a snapshot taken now would cover.
    #[must_use]
    pub fn marker(&self) -> Marker {
        Marker {
            version: self.version,
            closed: self.closed,
            names: self.names.iter().map(|(name, ())| *name).collect(),
        }
    }

    /// A restored store takes over what its snapshot covers, under an epoch that was never used before.
    fn started(
        &mut self,
        config: &Config,
        last_epoch: Option<StoreEpoch>,
        snapshot: Option<Marker>,
        out: &mut impl Effects<Effect<P>>,
    ) {
        if self.phase != Phase::Down || self.version != Version::default() {
            return; // A second start: the first one stands.
        }
        let used = last_epoch.max(snapshot.as_ref().map(|marker| marker.version.epoch));
        let epoch = match used {
            None => Some(StoreEpoch(1)),
            Some(used) if config.bugs.has(Bug::EpochReused) => Some(used),
            Some(used) => used.next(),
        };
        let Some(epoch) = epoch else {
            out.push(Effect::CannotOpen);
            return;
        };
        if let Some(marker) = snapshot {
            self.closed = marker.closed;
            self.durable = Some(marker.version);
            let forget = config.bugs.has(Bug::RestoreForgetsNames);
            for name in marker.names.into_iter().filter(|_| !forget) {
                // Over the limit only if the limit shrank between two lives: then the store cannot open.
                if self.names.insert(config.names_max, name, ()).is_err() {
                    out.push(Effect::CannotOpen);
                    return;
                }
            }
        }
        self.version = Version { epoch, count: 0 };
        self.phase = Phase::Opening;
        out.push(Effect::Persist(Record::Epoch(epoch)));
        if config.bugs.has(Bug::ServesBeforePersisted) {
            self.ready(config, out);
        }
    }

    fn ready(&mut self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        self.phase = Phase::Serving;
        out.push(Effect::Ready(self.version.epoch));
        self.rearm(config, out);
    }

    fn rearm(&self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        let timer = Timer::Snapshot(self.version.epoch);
        out.push(Effect::SetTimer { timer, after: config.snapshot_interval });
    }

    /// Records the name and has the update applied, unless the name is recorded: then nothing is applied (P1).
    /// `request.version` carries the epoch that the worker meant.
    fn push(&mut self, config: &Config, request: Applying, update: P, out: &mut impl Effects<Effect<P>>) {
        let Applying { from, call, name, version: Version { epoch, .. } } = request;
        if !self.admit(config, from, Some(epoch), call, out) {
            return;
        }
        let duplicate = self.is_recorded(&name) && !config.bugs.has(Bug::DuplicateApplied);
        if duplicate {
            self.end_round(from.worker, true);
            let reply = Reply::Acknowledged { call, name, version: self.version, duplicate };
            out.push(Effect::Reply { to: from, reply });
            self.release(config, out);
            return;
        }
        let counted = u64::from(!config.bugs.has(Bug::VersionNotCounted));
        let version = Version { count: self.version.count.saturating_add(counted), ..self.version };
        let applying = Applying { version, ..request };
        let room = self.applying.len() < config.applying_max;
        if !room || self.names.insert(config.names_max, name, ()).is_err() {
            let reply = if config.bugs.has(Bug::RefusedAcknowledged) {
                Reply::Acknowledged { call, name, version: self.version, duplicate: false }
            } else {
                Reply::Refused { call, reason: Reason::Full }
            };
            out.push(Effect::Reply { to: from, reply });
            return;
        }
        // There was room a moment ago, so this cannot be refused.
        let _ = self.applying.push(config.applying_max, applying);
        self.version = version;
        out.push(Effect::Apply { name, version, update });
        self.end_round(from.worker, false);
        self.release(config, out);
    }

    /// The oldest update is in the table: its sender is told.
    fn applied(&mut self, version: Version, out: &mut impl Effects<Effect<P>>) {
        if self.applying.first().is_none_or(|first| first.version != version) {
            return; // Not what is being applied: an answer from an earlier life.
        }
        if let Some(Applying { version, name, from, call }) = self.applying.pop() {
            let reply = Reply::Acknowledged { call, name, version, duplicate: false };
            out.push(Effect::Reply { to: from, reply });
        }
    }

    /// Forgets the names of a pass whose blocks are all recorded; they stay recorded by being below `closed`.
    fn close_pass(&mut self, epoch: StoreEpoch, pass: Pass) {
        let Some(next) = pass.next() else { return };
        // A claim about another epoch may be wrong in this one, whose snapshot can be older (P5).
        if epoch == self.version.epoch && self.phase == Phase::Serving && next > self.closed {
            self.closed = next;
            self.names.retain(|name, ()| name.pass >= next);
        }
    }

    fn snapshot_wanted(&mut self, config: &Config, call: CallId, out: &mut impl Effects<Effect<P>>) {
        if self.phase != Phase::Serving {
            out.push(Effect::SnapshotFailed { call });
        } else if self.durable == Some(self.version) {
            out.push(Effect::SnapshotDone { call, version: self.version });
        } else if self.callers.push(config.callers_max, (call, self.version)).is_err() {
            out.push(Effect::SnapshotFailed { call });
        } else {
            self.write_snapshot(config, out);
        }
    }

    /// One snapshot at a time; it covers all updates whose `Apply` stands before it among the effects.
    fn write_snapshot(&mut self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        if self.writing.is_some() {
            return;
        }
        let mut marker = self.marker();
        if config.bugs.has(Bug::SnapshotMissesName) {
            marker.names.pop();
        }
        self.writing = Some(marker.version);
        out.push(Effect::Persist(Record::Snapshot(marker)));
    }

    fn snapshot_due(&mut self, config: &Config, epoch: StoreEpoch, out: &mut impl Effects<Effect<P>>) {
        if epoch != self.version.epoch || self.phase != Phase::Serving {
            return; // A timer of an earlier life.
        }
        if self.writing.is_none() && self.durable != Some(self.version) {
            self.write_snapshot(config, out);
        } else {
            self.rearm(config, out);
        }
    }

    fn persisted(&mut self, config: &Config, record: RecordId, out: &mut impl Effects<Effect<P>>) {
        match record {
            RecordId::Epoch(epoch) => {
                if self.phase == Phase::Opening && epoch == self.version.epoch {
                    self.ready(config, out);
                }
            }
            RecordId::Snapshot(version) => {
                if self.writing != Some(version) {
                    return; // Not the one being written.
                }
                self.writing = None;
                self.durable = Some(version);
                while let Some((call, wanted)) = self.callers.first().copied() {
                    if wanted > version {
                        self.write_snapshot(config, out);
                        return;
                    }
                    self.callers.pop();
                    out.push(Effect::SnapshotDone { call, version });
                }
                self.rearm(config, out);
            }
        }
    }

    /// A disk that is full costs a snapshot, not the job: the old one stays, the next try is on the timer.
    fn persist_failed(&mut self, config: &Config, record: RecordId, out: &mut impl Effects<Effect<P>>) {
        match record {
            RecordId::Epoch(epoch) => {
                if self.phase == Phase::Opening && epoch == self.version.epoch {
                    self.phase = Phase::Down;
                    out.push(Effect::CannotOpen);
                }
            }
            RecordId::Snapshot(version) => {
                if self.writing != Some(version) {
                    return; // Not the one being written.
                }
                self.writing = None;
                if config.bugs.has(Bug::FailedSnapshotTakesBack) {
                    self.version = self.durable.unwrap_or(Version { count: 0, ..self.version });
                }
                while let Some((call, _)) = self.callers.pop() {
                    out.push(Effect::SnapshotFailed { call });
                }
                self.rearm(config, out);
            }
        }
    }

    /// The lowest incarnation of a slot that is not fenced.
    #[must_use]
    pub fn floor(&self, worker: WorkerId) -> Incarnation {
        self.seats.get(&worker).map_or(Incarnation(0), |seat| seat.floor)
    }
}

//! One shard of a data store, without its I/O: requests in, frames and tasks out.
//!
//! A request is first held against the table (do the keys exist, does the update fit?), so that nothing that the
//! machine records can fail afterwards; then it becomes an event. Effects on the table are carried out at once and
//! in order. Frames collect in one outbox a connection, and what takes time (disk, timers) in a list of tasks: the
//! server takes both. An update may name the keys of an earlier read of its session instead of repeating them;
//! they are kept until then.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use cirrus_core::ids::{CallId, GradientName, Millis, StoreEpoch};
use cirrus_core::store::{
    Config, Effect, Event, Marker, Reason, Record, RecordId, Reply, Sender, Store, Timer,
};
use cirrus_protocol::frame::Frame;
use cirrus_protocol::gradient::{KeyReference, Update};
use cirrus_protocol::snapshot::{self, Snapshot};
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest, StoreStatistics};

use crate::driver::Driver;
use crate::table::{Origin, Table};

/// How many reads of a session keep their keys for the update that follows.
const KEPT_READS: usize = 64;

/// A connection of this shard's server, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The connection of the server itself, which has none.
const SERVER: ConnectionId = ConnectionId(0);

/// What the machine carries through: keys, and an update for them. It looks into neither.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    keys: Bytes,
    update: Bytes,
    rows: u32,
}

/// What takes time, and ends in an event.
#[derive(Debug)]
pub enum Task {
    /// Write this epoch, then [`Shard::persisted`].
    WriteEpoch(StoreEpoch),
    /// Write this snapshot, then [`Shard::persisted`].
    WriteSnapshot {
        /// Names the record.
        id: RecordId,
        /// The snapshot, encoded.
        bytes: Bytes,
    },
    /// After this long, [`Shard::fired`].
    StartTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// The epoch is on disk: let workers come.
    Ready(StoreEpoch),
    /// Give up: there is no epoch to serve in.
    CannotOpen,
    /// What [`Shard::save`] asked for is on disk, or could not be written.
    Saved(bool),
    /// Somebody asked for the end.
    Stop,
}

/// A session's way back, and the keys of its reads.
#[derive(Debug)]
struct Route {
    connection: ConnectionId,
    reads: VecDeque<(CallId, Bytes)>,
}

/// One shard of a data store.
pub struct Shard {
    machine: Driver<Store<Payload>>,
    model: Bytes,
    table: Box<dyn Table>,
    routes: BTreeMap<Sender, Route>,
    /// Who speaks on a connection, once its session is open.
    senders: BTreeMap<ConnectionId, Sender>,
    outboxes: BTreeMap<ConnectionId, Vec<Frame>>,
    /// Questions of coordinators that the machine answers later, under numbers of the shard's own.
    callers: BTreeMap<CallId, (ConnectionId, CallId)>,
    last_caller: CallId,
    statistics: StoreStatistics,
    tasks: Vec<Task>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Shard {
    /// A shard that has not started. `table` belongs to `model`, the model's description.
    #[must_use]
    pub fn new(config: Config, model: Bytes, table: Box<dyn Table>) -> Self {
        Self {
            machine: Driver::new(Store::default(), config),
            model,
            table,
            routes: BTreeMap::new(),
            senders: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            callers: BTreeMap::new(),
            last_caller: CallId(0),
            statistics: StoreStatistics::default(),
            tasks: Vec::new(),
        }
    }

    /// Begins this life of the store with what the disk holds.
    ///
    /// # Errors
    /// A text that says why the snapshot is not one of this model.
    pub fn start(
        &mut self,
        last_epoch: Option<StoreEpoch>,
        snapshot: Option<Snapshot>,
    ) -> Result<(), String> {
        let marker = match snapshot {
            None => None,
            Some(Snapshot { model, .. }) if model != self.model => {
                return Err("the snapshot belongs to a model with another description".to_owned());
            }
            Some(Snapshot { marker, table, .. }) => {
                self.table.restore(&table).map_err(|error| error.to_string())?;
                Some(marker)
            }
        };
        self.step(Event::Started { last_epoch, snapshot: marker });
        Ok(())
    }

    /// Takes what has to be done outside.
    pub fn take_tasks(&mut self) -> Vec<Task> {
        core::mem::take(&mut self.tasks)
    }

    /// Takes the frames that wait for a connection.
    pub fn take_frames(&mut self, connection: ConnectionId) -> Vec<Frame> {
        self.outboxes.get_mut(&connection).map(core::mem::take).unwrap_or_default()
    }

    /// The connections that frames wait for.
    pub fn waiting(&self) -> impl Iterator<Item = ConnectionId> {
        self.outboxes.iter().filter(|(_, frames)| !frames.is_empty()).map(|(connection, _)| *connection)
    }

    /// A connection exists.
    pub fn connect(&mut self, connection: ConnectionId) {
        self.outboxes.insert(connection, Vec::new());
    }

    /// A connection is gone. Its session stays: the worker may come again, or is fenced.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.outboxes.remove(&connection);
        if let Some(sender) = self.senders.remove(&connection)
            && self.routes.get(&sender).is_some_and(|route| route.connection == connection)
        {
            self.routes.remove(&sender);
        }
        self.callers.retain(|_, (asker, _)| *asker != connection);
    }

    /// A record is on disk, or could not be written.
    pub fn persisted(&mut self, record: RecordId, written: bool) {
        if written && matches!(record, RecordId::Snapshot(_)) {
            self.statistics.snapshots += 1;
        }
        self.step(if written { Event::Persisted(record) } else { Event::PersistFailed(record) });
    }

    /// A timer fired.
    pub fn fired(&mut self, timer: Timer) {
        self.step(Event::Timer(timer));
    }

    /// Puts the present state on disk; ends in [`Task::Saved`].
    pub fn save(&mut self) {
        let call = self.caller(SERVER, CallId(0));
        self.step(Event::SnapshotWanted { call });
    }

    /// What has been done in this life.
    #[must_use]
    pub fn statistics(&self) -> StoreStatistics {
        StoreStatistics { version: self.machine.machine().version, ..self.statistics }
    }

    /// What is recorded at present.
    #[must_use]
    pub fn marker(&self) -> Marker {
        self.machine.machine().marker()
    }

    /// Takes a request from a connection.
    pub fn request(&mut self, connection: ConnectionId, request: StoreRequest) {
        match request {
            StoreRequest::Open { from, call, model } => self.open(connection, from, call, &model),
            StoreRequest::Read { call, epoch, keys } => self.read(connection, call, epoch, keys),
            StoreRequest::Push { call, epoch, name, rows, update } => {
                self.push(connection, call, epoch, (name, rows), &update);
            }
            StoreRequest::Park { call } => {
                self.in_session(connection, call, |from| Event::Park { from, call });
            }
            StoreRequest::Leave => {
                if let Some(from) = self.senders.get(&connection).copied() {
                    self.step(Event::Leave { from });
                }
            }
            StoreRequest::Fence { dead } => self.step(Event::Fence(dead)),
            StoreRequest::ClosePass { epoch, pass } => self.step(Event::ClosePass { epoch, pass }),
            StoreRequest::Recorded { call } => {
                let marker = self.marker();
                self.send(connection, StoreReply::RecordedNames { call, marker });
            }
            StoreRequest::Statistics { call } => {
                let statistics = self.statistics();
                self.send(connection, StoreReply::Statistics { call, statistics });
            }
            StoreRequest::Peek { call, keys } => match self.table.check_keys(&keys) {
                Err(error) => self.refuse(connection, call, Refusal::Unfit(error.to_string())),
                Ok(()) => {
                    let call = self.caller(connection, call);
                    self.step(Event::Peek { call, keys: Payload { keys, update: Bytes::new(), rows: 0 } });
                }
            },
            StoreRequest::Snapshot { call } => {
                let call = self.caller(connection, call);
                self.step(Event::SnapshotWanted { call });
            }
            StoreRequest::Stop => self.tasks.push(Task::Stop),
        }
    }

    fn open(&mut self, connection: ConnectionId, from: Sender, call: CallId, model: &Bytes) {
        if *model != self.model {
            let text = "this store holds a model with another description".to_owned();
            return self.refuse(connection, call, Refusal::Unfit(text));
        }
        self.senders.insert(connection, from);
        self.routes.insert(from, Route { connection, reads: VecDeque::new() });
        self.step(Event::Open { from, call });
    }

    fn read(&mut self, connection: ConnectionId, call: CallId, epoch: StoreEpoch, keys: Bytes) {
        if let Err(error) = self.table.check_keys(&keys) {
            return self.refuse(connection, call, Refusal::Unfit(error.to_string()));
        }
        if let Some(route) = self.senders.get(&connection).and_then(|from| self.routes.get_mut(from)) {
            if route.reads.len() == KEPT_READS {
                route.reads.pop_front();
            }
            route.reads.push_back((call, keys.clone()));
        }
        let keys = Payload { keys, update: Bytes::new(), rows: 0 };
        self.in_session(connection, call, |from| Event::Read { from, epoch, call, keys });
    }

    fn push(
        &mut self,
        connection: ConnectionId,
        call: CallId,
        epoch: StoreEpoch,
        (name, rows): (GradientName, u32),
        update: &Bytes,
    ) {
        let payload = match self.resolve(connection, update, rows) {
            Ok(payload) => payload,
            Err(refusal) => return self.refuse(connection, call, refusal),
        };
        self.in_session(connection, call, |from| Event::Push { from, epoch, call, name, update: payload });
    }

    /// Finds an update's keys and holds both against the table.
    fn resolve(&mut self, connection: ConnectionId, update: &Bytes, rows: u32) -> Result<Payload, Refusal> {
        let unfit = |error: &dyn std::fmt::Display| Refusal::Unfit(error.to_string());
        let parsed = Update::parse(update).map_err(|error| unfit(&error))?;
        let keys = match parsed.keys() {
            KeyReference::Inline(keys) => {
                self.table.check_keys(keys).map_err(|error| unfit(&error))?;
                update.slice_ref(keys)
            }
            KeyReference::OfRead(read) => {
                let from = self.senders.get(&connection);
                let route = from.and_then(|from| self.routes.get_mut(from));
                let reads = route.map(|route| &mut route.reads).ok_or(Refusal::Rule(Reason::NotOpen))?;
                let found = reads.iter().position(|(call, _)| *call == read).and_then(|at| reads.remove(at));
                found.ok_or(Refusal::UnknownRead(read))?.1
            }
        };
        self.table.check_update(&keys, parsed).map_err(|error| unfit(&error))?;
        Ok(Payload { keys, update: update.clone(), rows })
    }

    fn in_session(
        &mut self,
        connection: ConnectionId,
        call: CallId,
        event: impl FnOnce(Sender) -> Event<Payload>,
    ) {
        match self.senders.get(&connection).copied() {
            Some(from) => self.step(event(from)),
            None => self.refuse(connection, call, Refusal::Rule(Reason::NotOpen)),
        }
    }

    fn caller(&mut self, connection: ConnectionId, call: CallId) -> CallId {
        self.last_caller = CallId(self.last_caller.0.wrapping_add(1));
        self.callers.insert(self.last_caller, (connection, call));
        self.last_caller
    }

    fn refuse(&mut self, connection: ConnectionId, call: CallId, reason: Refusal) {
        self.statistics.refused += 1;
        self.send(connection, StoreReply::Refused { call, reason });
    }

    fn send(&mut self, connection: ConnectionId, reply: StoreReply) {
        // A connection that is gone needs no answer.
        if let Some(outbox) = self.outboxes.get_mut(&connection) {
            outbox.push(reply.into_frame());
        }
    }

    fn send_to(&mut self, to: Sender, reply: StoreReply) {
        if let Some(connection) = self.routes.get(&to).map(|route| route.connection) {
            self.send(connection, reply);
        }
    }

    /// Steps the machine and carries out what it asks for, and what follows from that.
    fn step(&mut self, event: Event<Payload>) {
        let mut next = Some(event);
        let mut done = VecDeque::new();
        while let Some(event) = next {
            let mut effects = self.machine.step(event);
            for effect in effects.drain(..) {
                self.carry_out(effect, &mut done);
            }
            self.machine.recycle(effects);
            next = done.pop_front();
        }
    }

    fn carry_out(&mut self, effect: Effect<Payload>, done: &mut VecDeque<Event<Payload>>) {
        match effect {
            Effect::Reply { to, reply } => self.reply(to, reply),
            Effect::Serve { to, call, version, clock: _, keys } => {
                let cells = self.cells(&keys.keys);
                self.statistics.reads += 1;
                self.send_to(to, StoreReply::Values { call, version, cells });
            }
            Effect::Apply { name, version, update } => {
                // It was parsed and held against the table before it was recorded.
                if let Ok(columns) = Update::parse(&update.update) {
                    self.table.apply(&update.keys, columns, Origin { pass: name.pass, rows: update.rows });
                }
                self.statistics.applied += 1;
                self.statistics.rows += u64::from(update.rows);
                done.push_back(Event::Applied(version));
            }
            Effect::ServePeek { call, version, keys } => {
                if let Some((connection, call)) = self.callers.remove(&call) {
                    let cells = self.cells(&keys.keys);
                    self.send(connection, StoreReply::Values { call, version, cells });
                }
            }
            Effect::Persist(Record::Epoch(epoch)) => self.tasks.push(Task::WriteEpoch(epoch)),
            Effect::Persist(Record::Snapshot(marker)) => self.write_snapshot(&marker, done),
            Effect::SnapshotDone { call, version } => match self.callers.remove(&call) {
                Some((SERVER, _)) => self.tasks.push(Task::Saved(true)),
                Some((connection, call)) => {
                    self.send(connection, StoreReply::SnapshotTaken { call, version });
                }
                None => {}
            },
            Effect::SnapshotFailed { call } => match self.callers.remove(&call) {
                Some((SERVER, _)) => self.tasks.push(Task::Saved(false)),
                Some((connection, call)) => {
                    let text = "the snapshot could not be written; the store's log says why".to_owned();
                    self.refuse(connection, call, Refusal::Failed(text));
                }
                None => {}
            },
            Effect::SetTimer { timer, after } => self.tasks.push(Task::StartTimer { timer, after }),
            Effect::Ready(epoch) => self.tasks.push(Task::Ready(epoch)),
            Effect::CannotOpen => self.tasks.push(Task::CannotOpen),
        }
    }

    fn reply(&mut self, to: Sender, reply: Reply) {
        let reply = match reply {
            Reply::Opened { call, version } => StoreReply::Opened { call, version },
            Reply::Acknowledged { call, name, version, duplicate } => {
                self.statistics.acknowledged += 1;
                self.statistics.duplicates += u64::from(duplicate);
                StoreReply::Acknowledged { call, name, version, duplicate }
            }
            Reply::Refused { call, reason } => {
                self.statistics.refused += 1;
                StoreReply::Refused { call, reason: Refusal::Rule(reason) }
            }
        };
        self.send_to(to, reply);
    }

    fn cells(&mut self, keys: &[u8]) -> Bytes {
        let mut cells = Vec::new();
        self.table.read(keys, &mut cells);
        cells.into()
    }

    fn write_snapshot(&mut self, marker: &Marker, done: &mut VecDeque<Event<Payload>>) {
        let id = RecordId::Snapshot(marker.version);
        let mut bytes = Vec::new();
        match snapshot::encode(marker, &self.model, |out| self.table.snapshot(out), &mut bytes) {
            Ok(()) => self.tasks.push(Task::WriteSnapshot { id, bytes: bytes.into() }),
            Err(error) => {
                tracing::error!("snapshot: {error}");
                done.push_back(Event::PersistFailed(id));
            }
        }
    }
}

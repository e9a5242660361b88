//! The store process, its table and its disk.

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::ids::{Incarnation, StoreEpoch, Version};
use cirrus_core::store::{Effect, Event, Marker, Record, Reply, Sender, Store};
use cirrus_core::worker;

use super::coordinator::Answer;
use super::{Inner, Line, Moment, Payload, Run, Table, Timer};
use crate::tally::Part;

/// A snapshot on disk: what it says that it covers, and the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// What it covers.
    pub marker: Marker,
    /// The model.
    pub table: Table,
}

/// What survives the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The newest epoch.
    pub epoch: Option<StoreEpoch>,
    /// The newest whole snapshot.
    pub snapshot: Option<Snapshot>,
}

/// A store process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreProcess {
    /// Which life of the slot.
    pub incarnation: Incarnation,
    /// The machine.
    pub machine: Arc<Store<Payload>>,
    /// The model.
    pub table: Table,
    /// Updates whose application takes a step of its own.
    pub applying: VecDeque<Version>,
    /// Records on their way to the disk, oldest first; a snapshot with the table as it was.
    pub writing: VecDeque<(Record, Table)>,
    /// It said that it is ready, and the coordinator has not read that yet.
    pub ready: Option<StoreEpoch>,
    /// It will be killed.
    pub killed: bool,
}

impl StoreProcess {
    /// The epoch in which it lives.
    #[must_use]
    pub fn epoch(&self) -> StoreEpoch {
        self.machine.version.epoch
    }
}

impl Run<'_, '_> {
    /// Starts a store process from what the disk holds.
    pub(super) fn launch_store(&mut self, incarnation: Incarnation) {
        let snapshot = self.cluster.disk.snapshot.clone();
        let (marker, table) = snapshot.map_or((None, Table::new()), |it| (Some(it.marker), it.table));
        let process = StoreProcess {
            incarnation,
            machine: Arc::default(),
            table,
            applying: VecDeque::new(),
            writing: VecDeque::new(),
            ready: None,
            killed: false,
        };
        self.cluster.store = Some(Arc::new(process));
        self.cluster.ledger.acknowledged.clear();
        self.cluster.ledger.outstanding.clear();
        self.cluster.ledger.opened.clear();
        self.store(Event::Started { last_epoch: self.cluster.disk.epoch, snapshot: marker });
        if let Some(process) = self.cluster.store.clone() {
            self.moment(Moment::Restored(&process));
        }
    }

    /// Ends the store process; connections to it break, and what was on its way to it is lost.
    pub(super) fn end_store(&mut self) {
        let Some(process) = self.cluster.store.take() else { return };
        self.cluster.store_ended = Some(process.incarnation);
        for worker in self.cluster.workers.values_mut() {
            let link = &mut Arc::make_mut(worker).link;
            if link.line == Line::Up {
                link.cut(0);
            }
            link.late.clear();
        }
        self.cluster.timers.retain(|timer| !matches!(timer, Timer::Snapshot(_)));
        self.cluster.coordinator.unlink();
        self.forget_ended();
    }

    /// Lets the store take an event and carries out its effects.
    pub(super) fn store(&mut self, event: Event<Payload>) {
        let Some(process) = self.cluster.store.take() else { return };
        let mut process = Arc::unwrap_or_clone(process);
        let setup = self.setup;
        let effects = self.step(Part::Store, &mut process.machine, &setup.store, event);
        self.cluster.store = Some(Arc::new(process));
        for effect in effects {
            self.store_effect(effect);
        }
    }

    fn process(&mut self) -> Option<&mut StoreProcess> {
        self.cluster.store.as_mut().map(Arc::make_mut)
    }

    fn store_effect(&mut self, effect: Effect<Payload>) {
        match effect {
            Effect::Reply { to, reply } => self.reply(to, reply),
            Effect::Serve { to, call, version, clock, keys } => {
                self.moment(Moment::Served(to, clock));
                // An update that is recorded already is not to come, whoever computes it again.
                let to_come = self.process().is_some_and(|it| it.table.binary_search(&keys).is_err());
                if to_come {
                    self.cluster.ledger.outstanding.insert((to, keys), clock);
                }
                self.down(to, worker::Event::Values { call, version, values: keys });
            }
            Effect::Apply { name, version, update } => {
                self.moment(Moment::Applied(name, update));
                let slow = self.setup.slow_apply;
                let Some(process) = self.process() else { return };
                let place = process.table.partition_point(|there| *there <= name);
                process.table.insert(place, name);
                if slow {
                    process.applying.push_back(version);
                } else {
                    self.todo.push_back(Inner::Store(Event::Applied(version)));
                }
                self.cluster.ledger.outstanding.retain(|(_, of), _| *of != name);
            }
            Effect::ServePeek { version, .. } => {
                let Some(process) = self.process() else { return };
                let table = process.table.clone();
                self.cluster.coordinator.answer(Answer::Model { epoch: version.epoch, table });
            }
            Effect::Persist(record) => {
                let Some(process) = self.process() else { return };
                let table = match record {
                    Record::Epoch(_) => Table::new(),
                    Record::Snapshot(_) => process.table.clone(),
                };
                process.writing.push_back((record, table));
            }
            Effect::SetTimer { timer, after } => self.set(Timer::Snapshot(timer), after),
            Effect::Ready(epoch) => {
                if let Some(process) = self.process() {
                    process.ready = Some(epoch);
                }
            }
            // Nobody asks for snapshots here but the timer.
            Effect::SnapshotDone { .. } | Effect::SnapshotFailed { .. } => {}
            Effect::CannotOpen => self.end_store(),
        }
    }

    /// A record's fate: it is on disk, or the disk keeps what it had.
    pub(super) fn persist(&mut self, kept: bool) {
        let Some(process) = self.process() else { return };
        let Some((record, table)) = process.writing.pop_front() else { return };
        let id = record.id();
        if !kept {
            return self.store(Event::PersistFailed(id));
        }
        match record {
            Record::Epoch(epoch) => self.cluster.disk.epoch = Some(epoch),
            Record::Snapshot(marker) => self.cluster.disk.snapshot = Some(Snapshot { marker, table }),
        }
        self.store(Event::Persisted(id));
    }

    pub(super) fn applied(&mut self) {
        let Some(process) = self.process() else { return };
        let Some(version) = process.applying.pop_front() else { return };
        self.store(Event::Applied(version));
    }

    fn reply(&mut self, to: Sender, reply: Reply) {
        let event = match reply {
            Reply::Opened { call, version } => {
                self.moment(Moment::Opened(to));
                self.cluster.ledger.opened.insert(to.worker, to.incarnation);
                // A life that begins ends all earlier ones of its slot: nothing of theirs is to come.
                if let Some(before) = to.incarnation.0.checked_sub(1) {
                    self.forget_rounds(Sender { incarnation: Incarnation(before), ..to });
                }
                worker::Event::Opened { call, version }
            }
            Reply::Acknowledged { call, version, duplicate, .. } => {
                worker::Event::Acknowledged { call, version, duplicate }
            }
            Reply::Refused { call, reason } => worker::Event::Refused { call, reason },
        };
        self.down(to, event);
    }

    /// An answer goes to a worker, if its connection stands.
    fn down(&mut self, to: Sender, event: worker::Event<Payload>) {
        if let Some(process) = self.cluster.workers.get_mut(&to)
            && process.link.line == Line::Up
        {
            Arc::make_mut(process).link.down.push_back(event);
        }
    }

    /// What the store forgets of a worker that it was told to be dead, the rules forget too.
    pub(super) fn forget_rounds(&mut self, dead: Sender) {
        self.cluster
            .ledger
            .outstanding
            .retain(|(of, _), _| of.worker != dead.worker || of.incarnation > dead.incarnation);
    }
}

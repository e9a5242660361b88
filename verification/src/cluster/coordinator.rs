//! The coordinator's shell: it passes on what the leases and the two fleets say, and nothing else.
//!
//! - A fenced worker: the leases hear `Gone`, the store gets `Fence`, its connection is dropped.
//! - A worker's broken connection, and a lease that ran out: the worker is suspected.
//! - A broken connection to the store: the store is suspected.
//! - A pass is done: the store closes it, the leases begin the next.
//! - All is done: the model is fetched from the store, and only then everything ends, so that a store that dies
//!   before has to be brought back.
//! - A store is ready: ask what is recorded, let the leases begin there, tell the workers the address.

use std::collections::VecDeque;

use cirrus_core::fleet::{Effect as FleetEffect, Event as FleetEvent};
use cirrus_core::ids::{BlockId, Pass, StoreEpoch};
use cirrus_core::lease::{Effect, Event};
use cirrus_core::store::{self, Sender};
use cirrus_core::worker;
use std::sync::Arc;

use super::workers::Report;
use super::{Inner, Moment, Run, STORE_SLOT, Table, Timer, whole};
use crate::tally::Part;

/// What the coordinator says to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// This incarnation and all before it are dead.
    Fence(Sender),
    /// A pass is over.
    ClosePass(StoreEpoch, Pass),
    /// What is recorded?
    Recorded,
    /// Give me the model.
    Model,
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What is recorded, as a marker says it.
    Recorded(store::Marker),
    /// The model.
    Model {
        /// In which epoch.
        epoch: StoreEpoch,
        /// What is in it.
        table: Table,
    },
}

/// What the coordinator's shell knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// The connection to the store stands.
    pub linked: bool,
    /// The store that workers are sent to: it has answered what is recorded.
    pub epoch: Option<StoreEpoch>,
    /// Under way to the store.
    pub orders: VecDeque<Order>,
    /// Under way from the store.
    pub answers: VecDeque<Answer>,
    /// The model that was fetched, while it is looked at.
    pub model: Table,
    /// The result is here; everything is to end.
    pub finished: bool,
}

impl Coordinator {
    /// The connection to the store is gone, with what was under way on it.
    pub(super) fn unlink(&mut self) {
        self.linked = false;
        self.epoch = None;
        self.orders.clear();
        self.answers.clear();
    }

    fn order(&mut self, order: Order) {
        if self.linked {
            self.orders.push_back(order);
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        if self.linked {
            self.answers.push_back(answer);
        }
    }
}

impl Run<'_, '_> {
    /// Starts the store and the workers.
    pub(super) fn start(&mut self) {
        self.todo.push_back(Inner::Keeper(FleetEvent::Start));
        self.todo.push_back(Inner::Fleet(FleetEvent::Start));
    }

    pub(super) fn leases(&mut self, event: Event) {
        let setup = self.setup;
        let mut machine = std::mem::take(&mut self.cluster.leases);
        let effects = self.step(Part::Leases, &mut machine, &setup.lease, event);
        self.cluster.leases = machine;
        for effect in effects {
            self.lease_effect(effect);
        }
    }

    fn lease_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Grant { to, pass, block } => {
                self.moment(Moment::Granted(to));
                self.cluster.ledger.granted.insert(to.worker, to.incarnation);
                self.say(to, worker::Event::Granted(whole(pass, block)));
            }
            Effect::Dry(to) => self.say(to, worker::Event::Dry),
            Effect::Overdue(Sender { worker, incarnation }) => {
                self.todo.push_back(Inner::Fleet(FleetEvent::Suspected { slot: worker, incarnation }));
            }
            Effect::PassDone { epoch, pass } => {
                self.cluster.coordinator.order(Order::ClosePass(epoch, pass));
                if let Some(next) = pass.next().filter(|next| next.0 < self.setup.lease.passes) {
                    self.begin_pass(epoch, next, Vec::new());
                }
            }
            // There is nobody to ask until a store has told what it has recorded.
            Effect::AllDone if self.cluster.coordinator.epoch.is_none() => {}
            Effect::AllDone => self.cluster.coordinator.order(Order::Model),
            Effect::Finished => self.finish(),
            Effect::SetTimer { timer, after } => self.set(Timer::Lease(timer), after),
            Effect::ClearTimer(timer) => {
                self.cluster.timers.remove(&Timer::Lease(timer));
            }
        }
    }

    /// The model in hand is the result: everything ends.
    fn finish(&mut self) {
        let table = std::mem::take(&mut self.cluster.coordinator.model);
        self.moment(Moment::Finished(&table));
        self.cluster.coordinator.finished = true;
        self.say_to_all(&worker::Event::Finish);
        self.todo.push_back(Inner::Fleet(FleetEvent::Finish));
        self.todo.push_back(Inner::Keeper(FleetEvent::Finish));
        self.todo.push_back(Inner::Keeper(FleetEvent::Stop));
    }

    fn begin_pass(&mut self, epoch: StoreEpoch, pass: Pass, recorded: Vec<BlockId>) {
        let order = self.setup.order();
        self.todo.push_back(Inner::Leases(Event::Begin { epoch, pass, order, recorded }));
    }

    pub(super) fn fleet(&mut self, event: FleetEvent) {
        let setup = self.setup;
        let mut machine = std::mem::take(&mut self.cluster.fleet);
        let effects = self.step(Part::Fleet, &mut machine, &setup.fleet, event);
        self.cluster.fleet = machine;
        for effect in effects {
            match effect {
                FleetEffect::Launch { slot, incarnation } => {
                    self.launch_worker(Sender { worker: slot, incarnation });
                }
                FleetEffect::Kill { slot, incarnation } => {
                    if let Some(process) = self.process_of(Sender { worker: slot, incarnation }) {
                        process.killed = true;
                    }
                }
                FleetEffect::Fence { slot, incarnation } => {
                    let dead = Sender { worker: slot, incarnation };
                    self.cluster.coordinator.order(Order::Fence(dead));
                    if let Some(process) = self.process_of(dead) {
                        process.shut = true;
                        process.words.clear();
                    }
                    self.todo.push_back(Inner::Leases(Event::Gone(dead)));
                }
                FleetEffect::SetTimer { timer, after } => self.set(Timer::Worker(timer), after),
                FleetEffect::GaveUp(_) | FleetEffect::Empty => {}
            }
        }
    }

    pub(super) fn keeper(&mut self, event: FleetEvent) {
        let setup = self.setup;
        let mut machine = std::mem::take(&mut self.cluster.keeper);
        let effects = self.step(Part::Fleet, &mut machine, &setup.keeper, event);
        self.cluster.keeper = machine;
        for effect in effects {
            match effect {
                FleetEffect::Launch { incarnation, .. } => self.launch_store(incarnation),
                FleetEffect::Kill { .. } => {
                    if let Some(store) = &mut self.cluster.store {
                        Arc::make_mut(store).killed = true;
                    }
                }
                FleetEffect::SetTimer { timer, after } => self.set(Timer::Keeper(timer), after),
                FleetEffect::Fence { .. } | FleetEffect::GaveUp(_) | FleetEffect::Empty => {}
            }
        }
    }

    /// A word goes to a worker, if its connection stands.
    fn say(&mut self, to: Sender, word: worker::Event<super::Payload>) {
        if let Some(process) = self.process_of(to)
            && process.known
            && !process.shut
            && !process.ended
        {
            process.words.push_back(word);
        }
    }

    fn say_to_all(&mut self, word: &worker::Event<super::Payload>) {
        let all: Vec<Sender> = self.cluster.workers.keys().copied().collect();
        for to in all {
            self.say(to, word.clone());
        }
    }

    /// The store said that it is ready.
    pub(super) fn store_ready(&mut self) {
        let Some(store) = &mut self.cluster.store else { return };
        let store = Arc::make_mut(store);
        store.ready = None;
        let incarnation = store.incarnation;
        self.cluster.coordinator.linked = true;
        self.cluster.coordinator.order(Order::Recorded);
        self.todo.push_back(Inner::Keeper(FleetEvent::Running { slot: STORE_SLOT, incarnation }));
    }

    /// The store takes the coordinator's next order.
    pub(super) fn order(&mut self) {
        let Some(order) = self.cluster.coordinator.orders.pop_front() else { return };
        match order {
            Order::Fence(dead) => {
                // From here on nothing of it is to come: reads that waited for it go on in this very step.
                self.forget_rounds(dead);
                self.store(store::Event::Fence(dead));
            }
            Order::ClosePass(epoch, pass) => self.store(store::Event::ClosePass { epoch, pass }),
            Order::Recorded => {
                if let Some(store) = &self.cluster.store {
                    let marker = store.machine.marker();
                    self.cluster.coordinator.answer(Answer::Recorded(marker));
                }
            }
            Order::Model => {
                let keys = whole(Pass(0), BlockId::default());
                self.store(store::Event::Peek { call: cirrus_core::ids::CallId(0), keys });
            }
        }
    }

    /// The coordinator takes the store's next answer.
    pub(super) fn answered(&mut self) {
        let Some(answer) = self.cluster.coordinator.answers.pop_front() else { return };
        match answer {
            Answer::Recorded(marker) => {
                let epoch = marker.version.epoch;
                let of_pass = marker.names.iter().filter(|name| name.pass == marker.closed);
                self.begin_pass(epoch, marker.closed, of_pass.map(|name| name.block).collect());
                self.cluster.coordinator.epoch = Some(epoch);
                self.say_to_all(&worker::Event::StoreAt(epoch));
            }
            Answer::Model { epoch, table } => {
                self.cluster.coordinator.model = table;
                self.leases(Event::Collected { epoch });
                self.cluster.coordinator.model.clear();
            }
        }
    }

    /// The coordinator takes a worker's next report.
    pub(super) fn reported(&mut self, from: Sender) {
        let Sender { worker: slot, incarnation } = from;
        let finished = self.cluster.coordinator.finished;
        let epoch = self.cluster.coordinator.epoch;
        let Some(process) = self.process_of(from) else { return };
        let Some(report) = process.reports.pop_front() else { return };
        match report {
            Report::Hello => {
                process.known = true;
                self.todo.push_back(Inner::Fleet(FleetEvent::Running { slot, incarnation }));
                if finished {
                    self.say(from, worker::Event::Finish);
                } else if let Some(epoch) = epoch {
                    self.say(from, worker::Event::StoreAt(epoch));
                }
            }
            Report::Wanted(count) => self.todo.push_back(Inner::Leases(Event::Wanted { from, count })),
            Report::Done(name, epoch) => {
                let (pass, block) = (name.pass, name.block);
                self.todo.push_back(Inner::Leases(Event::Done { epoch, pass, block }));
                self.todo.push_back(Inner::Fleet(FleetEvent::Progress { slot, incarnation }));
            }
        }
        self.forget_ended();
    }

    /// A worker takes the coordinator's next word.
    pub(super) fn word(&mut self, to: Sender) {
        let Some(process) = self.process_of(to) else { return };
        let Some(word) = process.words.pop_front() else { return };
        if let worker::Event::StoreAt(epoch) = &word {
            process.address = *epoch;
        }
        self.worker(to, word);
    }
}

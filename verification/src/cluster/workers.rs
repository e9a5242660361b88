//! Worker processes: a machine, its connections, what it is busy with, and what it was told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cirrus_core::ids::{GradientName, StoreEpoch, Version};
use cirrus_core::store::{self, Sender};
use cirrus_core::worker::{Effect, Event, Stage, Worker};

use super::network::{Line, Link, Work};
use super::{Inner, Moment, NO_EPOCH, Payload, Run, Timer};
use crate::tally::Part;

/// What a worker says to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// It is up.
    Hello,
    /// It could hold this many more blocks.
    Wanted(u32),
    /// The store acknowledged an update, in this epoch.
    Done(GradientName, StoreEpoch),
}

/// What a worker was told by the store and took notice of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// The epoch that its newest session was opened in.
    pub epoch: StoreEpoch,
    /// The newest state that it read.
    pub read: Version,
    /// The newest state that it knows to contain an update of its own.
    pub acknowledged: Version,
}

/// A worker process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The machine.
    pub machine: Arc<Worker<Payload>>,
    /// Where it believes the store to be; each life of the store has an address of its own.
    pub address: StoreEpoch,
    /// Its connection to the store.
    pub link: Link,
    /// On the way to the coordinator.
    pub reports: VecDeque<Report>,
    /// On the way from the coordinator.
    pub words: VecDeque<Event<Payload>>,
    /// The coordinator has dropped the connection to it.
    pub shut: bool,
    /// The coordinator knows that it is up.
    pub known: bool,
    /// What it is busy with.
    pub work: BTreeSet<Work>,
    /// It will be killed.
    pub killed: bool,
    /// It lives no more.
    pub ended: bool,
    /// The coordinator has noticed that.
    pub noticed: bool,
    /// What it was told.
    pub told: Told,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            machine: Arc::default(),
            address: NO_EPOCH,
            link: Link::default(),
            reports: VecDeque::from([Report::Hello]),
            words: VecDeque::new(),
            shut: false,
            known: false,
            work: BTreeSet::new(),
            killed: false,
            ended: false,
            noticed: false,
            told: Told::default(),
        }
    }
}

impl Process {
    /// Nothing of it is left anywhere.
    fn is_forgotten(&self) -> bool {
        self.ended && self.noticed && self.link.late.is_empty() && self.reports.is_empty()
    }

    /// Which gradient the answer to this call is about, if the worker still waits for it.
    #[must_use]
    pub fn awaits(&self, event: &Event<Payload>) -> Option<GradientName> {
        let task = self.machine.tasks.iter().find(|task| match (&task.stage, event) {
            (Stage::Reading(asked), Event::Values { call, .. })
            | (Stage::Pushing(asked, _), Event::Acknowledged { call, .. }) => asked == call,
            _ => false,
        });
        task.map(|task| task.name)
    }
}

impl Run<'_, '_> {
    pub(super) fn launch_worker(&mut self, who: Sender) {
        self.cluster.workers.insert(who, Arc::new(Process::default()));
    }

    pub(super) fn process_of(&mut self, who: Sender) -> Option<&mut Process> {
        self.cluster.workers.get_mut(&who).map(Arc::make_mut)
    }

    /// Ends a process. Of the requests that it has written the first `kept` will still reach the store; what it
    /// reported to the coordinator arrives if `reports` says so.
    pub(super) fn end_worker(&mut self, who: Sender, kept: usize, reports: bool) {
        let Some(process) = self.process_of(who) else { return };
        process.ended = true;
        process.link.cut(kept);
        process.link.line = Line::None;
        process.link.down.clear();
        process.words.clear();
        process.work.clear();
        if !reports {
            process.reports.clear();
        }
        self.cluster.timers.retain(|timer| !matches!(timer, Timer::Reconnect(of, _) if *of == who));
        self.cluster.ledger.outstanding.retain(|(of, _), _| *of != who);
    }

    /// Drops processes of which nothing is left.
    pub(super) fn forget_ended(&mut self) {
        self.cluster.workers.retain(|_, process| !process.is_forgotten());
    }

    /// Lets a worker take an event and carries out its effects.
    pub(super) fn worker(&mut self, who: Sender, event: Event<Payload>) {
        let setup = self.setup;
        let Some(mut process) = self.cluster.workers.get(&who).filter(|it| !it.ended).cloned() else {
            return;
        };
        let machine = &mut Arc::make_mut(&mut process).machine;
        let effects = self.step(Part::Worker, machine, &setup.worker, event);
        self.cluster.workers.insert(who, process);
        for effect in effects {
            self.worker_effect(who, effect);
        }
    }

    fn worker_effect(&mut self, from: Sender, effect: Effect<Payload>) {
        let slow_fetch = self.setup.slow_fetch;
        let Some(process) = self.process_of(from) else { return };
        let request = match effect {
            Effect::Connect => {
                process.link.drop_connection();
                process.link.line = Line::Dialling;
                return;
            }
            Effect::Want(count) => return process.report(Report::Wanted(count)),
            Effect::Done { name, epoch, .. } => return process.report(Report::Done(name, epoch)),
            Effect::Fetch(name) => {
                if slow_fetch {
                    process.work.insert(Work::Fetch(name));
                } else {
                    self.todo.push_back(Inner::Worker(from, Event::Fetched { name, keys: name }));
                }
                return;
            }
            Effect::Compute { name, .. } => {
                process.work.insert(Work::Compute(name));
                return;
            }
            Effect::SetTimer { timer, after } => return self.set(Timer::Reconnect(from, timer), after),
            Effect::Exit(_) => return self.end_worker(from, usize::MAX, true),
            Effect::Open { call } => store::Event::Open { from, call },
            Effect::Read { call, epoch, keys, .. } => store::Event::Read { from, epoch, call, keys },
            Effect::Push { call, epoch, name, update } => {
                store::Event::Push { from, epoch, call, name, update }
            }
            Effect::Park { call } => store::Event::Park { from, call },
            Effect::Leave => store::Event::Leave { from },
        };
        if process.link.line == Line::Up {
            process.link.up.push_back(request);
        }
    }

    /// The store's next answer reaches the worker.
    pub(super) fn told(&mut self, who: Sender) {
        let Some(process) = self.process_of(who) else { return };
        let Some(event) = process.link.down.pop_front() else { return };
        self.moment(Moment::Told(who, &event));
        let present = self.cluster.store.as_ref().map(|store| store.epoch());
        let Some(process) = self.process_of(who) else { return };
        let named = process.awaits(&event);
        match &event {
            Event::Opened { call, version } => {
                let asked = matches!(process.machine.link, cirrus_core::worker::Link::Opening(asked, _) if asked == *call);
                if asked {
                    process.told.epoch = version.epoch;
                }
            }
            Event::Values { version, .. } if named.is_some() => process.told.read = *version,
            Event::Acknowledged { version, .. } if named.is_some() => {
                process.told.acknowledged = process.told.acknowledged.max(*version);
                if Some(version.epoch) == present {
                    self.cluster.ledger.acknowledged.extend(named);
                }
            }
            _ => {}
        }
        self.worker(who, event);
    }
}

impl Process {
    fn report(&mut self, report: Report) {
        if !self.shut {
            self.reports.push_back(report);
        }
    }
}

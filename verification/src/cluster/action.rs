//! What can happen to a cluster: the list, in the order of a fair schedule, and where each action begins.

use std::fmt;

use cirrus_core::fleet::Event as FleetEvent;
use cirrus_core::lease;
use cirrus_core::store::{self, Sender};
use cirrus_core::worker;

use super::network::{Line, Work};
use super::{Cluster, Inner, Run, STORE_SLOT, Timer};

/// What may go wrong, each with a budget; and two choices that are no faults but need a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A worker process dies.
    CrashWorker,
    /// The store process dies.
    CrashStore,
    /// A worker's connection to the store breaks.
    BreakStore,
    /// A worker's connection to the coordinator breaks.
    BreakJob,
    /// The coordinator's connection to the store breaks.
    BreakOrders,
    /// A request reaches the store twice.
    DuplicateRequest,
    /// An answer reaches a worker twice.
    DuplicateAnswer,
    /// A request of a connection that broke reaches the store all the same.
    Late,
    /// A lease runs out although its holder works.
    Suspect,
    /// A record cannot be written.
    PersistFails,
    /// A worker tries to connect although the store is not back yet.
    Impatient,
    /// A snapshot is due.
    Snapshot,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::CrashWorker,
        Self::CrashStore,
        Self::BreakStore,
        Self::BreakJob,
        Self::BreakOrders,
        Self::DuplicateRequest,
        Self::DuplicateAnswer,
        Self::Late,
        Self::Suspect,
        Self::PersistFails,
        Self::Impatient,
        Self::Snapshot,
    ];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CrashWorker => "crash of a worker",
            Self::CrashStore => "crash of the store",
            Self::BreakStore => "break of worker and store",
            Self::BreakJob => "break of worker and coordinator",
            Self::BreakOrders => "break of coordinator and store",
            Self::DuplicateRequest => "duplicate request",
            Self::DuplicateAnswer => "duplicate answer",
            Self::Late => "late request",
            Self::Suspect => "wrong suspicion",
            Self::PersistFails => "failed write",
            Self::Impatient => "early reconnect",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The coordinator starts the job.
    Start,
    /// The coordinator notices that a worker process ended.
    Notice(Sender),
    /// The coordinator notices that the store process ended.
    NoticeStore,
    /// The coordinator reads that the store is ready.
    Ready,
    /// The store takes the coordinator's next order.
    Order,
    /// The coordinator takes the store's next answer.
    Answer,
    /// The coordinator takes a worker's next report.
    Report(Sender),
    /// A worker takes the coordinator's next word.
    Word(Sender),
    /// A worker takes the store's next answer.
    Reply(Sender),
    /// A worker notices that its connection to the store is gone.
    Hangup(Sender),
    /// A worker's attempt to connect succeeds or fails.
    Dial(Sender),
    /// The store takes a worker's next request.
    Request(Sender),
    /// The store takes a request of an earlier connection.
    LateRequest(Sender),
    /// A worker has done what it was busy with.
    Work(Sender, Work),
    /// The store has applied an update.
    Applied,
    /// The store's disk has written the next record.
    Written,
    /// A killed worker process ends.
    Die(Sender),
    /// The killed store process ends.
    DieStore,
    /// A timer fires.
    Fire(Timer),
    /// A fault: a worker process dies; so many of its requests still arrive.
    CrashWorker(Sender, u8),
    /// A fault: the store process dies.
    CrashStore,
    /// A fault: a worker's connection to the store breaks; so many of its requests still arrive.
    BreakStore(Sender, u8),
    /// A fault: a worker's connection to the coordinator breaks.
    BreakJob(Sender),
    /// A fault: the coordinator's connection to the store breaks.
    BreakOrders,
    /// A fault: a worker's next request arrives, and stays under way.
    DuplicateRequest(Sender),
    /// A fault: the store's next answer arrives, and stays under way.
    DuplicateAnswer(Sender),
    /// A fault: the next record cannot be written.
    WriteFails,
    /// A fault: a timer fires that should not fire yet.
    FireEarly(Timer),
}

impl Action {
    /// The fault that it is, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        Some(match self {
            Self::CrashWorker(..) => Fault::CrashWorker,
            Self::CrashStore => Fault::CrashStore,
            Self::BreakStore(..) => Fault::BreakStore,
            Self::BreakJob(_) => Fault::BreakJob,
            Self::BreakOrders => Fault::BreakOrders,
            Self::DuplicateRequest(_) => Fault::DuplicateRequest,
            Self::DuplicateAnswer(_) => Fault::DuplicateAnswer,
            Self::WriteFails => Fault::PersistFails,
            Self::FireEarly(Timer::Lease(_)) => Fault::Suspect,
            Self::FireEarly(Timer::Snapshot(_)) => Fault::Snapshot,
            Self::FireEarly(Timer::Reconnect(..) | Timer::Worker(_) | Timer::Keeper(_)) => Fault::Impatient,
            _ => return None,
        })
    }

    /// In a word, for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Notice(_) => "worker's end noticed",
            Self::NoticeStore => "store's end noticed",
            Self::Ready => "store ready",
            Self::Order => "order",
            Self::Answer => "answer",
            Self::Report(_) => "report",
            Self::Word(_) => "word",
            Self::Reply(_) => "reply",
            Self::Hangup(_) => "hang-up",
            Self::Dial(_) => "dial",
            Self::Request(_) => "request",
            Self::LateRequest(_) => Fault::Late.name(),
            Self::Work(..) => "work",
            Self::Applied => "applied",
            Self::Written => "written",
            Self::Die(_) => "killed worker ends",
            Self::DieStore => "killed store ends",
            Self::Fire(_) => "timer",
            _ => self.fault().map_or("", Fault::name),
        }
    }
}

impl Cluster {
    /// Everything that can happen: first what happens by itself, in the order of a fair schedule, then faults.
    #[must_use]
    pub fn enabled(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.by_itself(&mut actions);
        self.faults(&mut actions);
        actions
    }

    /// What happens without any fault.
    pub fn by_itself(&self, actions: &mut Vec<Action>) {
        if self.keeper.slots.is_empty() {
            actions.push(Action::Start);
        }
        let mut each = |may: fn(&super::Process) -> bool, action: fn(Sender) -> Action| {
            actions.extend(self.workers.iter().filter(|(_, it)| may(it)).map(|(who, _)| action(*who)));
        };
        each(|it| it.ended && !it.noticed, Action::Notice);
        each(|it| !it.reports.is_empty(), Action::Report);
        each(|it| !it.words.is_empty(), Action::Word);
        each(|it| !it.link.down.is_empty(), Action::Reply);
        each(|it| it.link.line == Line::Cut && !it.ended, Action::Hangup);
        each(|it| it.link.line == Line::Dialling && !it.ended, Action::Dial);
        self.of_store(actions);
        for (who, process) in &self.workers {
            if self.store.is_some() && !process.link.up.is_empty() {
                actions.push(Action::Request(*who));
            }
            if self.store.is_some() && !process.link.late.is_empty() {
                actions.push(Action::LateRequest(*who));
            }
            actions.extend(process.work.iter().map(|work| Action::Work(*who, *work)));
            if process.killed && !process.ended {
                actions.push(Action::Die(*who));
            }
        }
        actions
            .extend(self.timers.iter().filter(|timer| self.is_due(timer)).map(|timer| Action::Fire(*timer)));
    }

    fn of_store(&self, actions: &mut Vec<Action>) {
        if self.store_ended.is_some() {
            actions.push(Action::NoticeStore);
        }
        if !self.coordinator.answers.is_empty() {
            actions.push(Action::Answer);
        }
        let Some(store) = &self.store else { return };
        let steps = [
            (store.ready.is_some(), Action::Ready),
            (!self.coordinator.orders.is_empty(), Action::Order),
            (!store.applying.is_empty(), Action::Applied),
            (!store.writing.is_empty(), Action::Written),
            (store.killed, Action::DieStore),
        ];
        actions.extend(steps.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
    }

    /// Whether a timer fires by itself. Leases and snapshots need not: nothing waits for them. A worker's pause
    /// is taken to be long enough for a store to come back.
    fn is_due(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Worker(_) | Timer::Keeper(_) => true,
            Timer::Reconnect(who, _) => self.reaches_store(*who),
            Timer::Snapshot(_) | Timer::Lease(_) => false,
        }
    }

    fn reaches_store(&self, who: Sender) -> bool {
        let address = self.workers.get(&who).map(|process| process.address);
        self.store.as_ref().is_some_and(|store| Some(store.epoch()) == address)
    }

    /// The faults that the budget allows.
    fn faults(&self, actions: &mut Vec<Action>) {
        let late = self.budget.get(&Fault::Late).copied().unwrap_or(0);
        for (who, process) in self.workers.iter().filter(|(_, process)| !process.ended) {
            let kept = || 0..=u8::try_from(process.link.up.len().min(late as usize)).unwrap_or(u8::MAX);
            if self.may(Fault::CrashWorker) {
                actions.extend(kept().map(|kept| Action::CrashWorker(*who, kept)));
            }
            if self.may(Fault::BreakStore) && process.link.line == Line::Up {
                actions.extend(kept().map(|kept| Action::BreakStore(*who, kept)));
            }
            if self.may(Fault::BreakJob) && !process.shut {
                actions.push(Action::BreakJob(*who));
            }
            if self.may(Fault::DuplicateRequest) && !process.link.up.is_empty() && self.store.is_some() {
                actions.push(Action::DuplicateRequest(*who));
            }
            if self.may(Fault::DuplicateAnswer) && !process.link.down.is_empty() {
                actions.push(Action::DuplicateAnswer(*who));
            }
        }
        if let Some(store) = &self.store {
            let steps = [
                (self.may(Fault::CrashStore), Action::CrashStore),
                (self.may(Fault::BreakOrders) && self.coordinator.linked, Action::BreakOrders),
                (self.may(Fault::PersistFails) && !store.writing.is_empty(), Action::WriteFails),
            ];
            actions.extend(steps.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
        }
        let early =
            self.timers.iter().filter(|timer| !self.is_due(timer)).map(|timer| Action::FireEarly(*timer));
        actions.extend(early.filter(|action| action.fault().is_some_and(|fault| self.may(fault))));
    }

    /// A line that tells what this action does.
    #[must_use]
    pub fn describe(&self, action: &Action) -> String {
        let of = |who: &Sender| self.workers.get(who);
        let detail: Option<String> = match action {
            Action::Order => self.coordinator.orders.front().map(|order| format!("{order:?}")),
            Action::Answer => self.coordinator.answers.front().map(|answer| format!("{answer:?}")),
            Action::Report(who) => of(who).and_then(|it| it.reports.front()).map(|it| format!("{it:?}")),
            Action::Word(who) => of(who).and_then(|it| it.words.front()).map(|it| format!("{it:?}")),
            Action::Reply(who) | Action::DuplicateAnswer(who) => {
                of(who).and_then(|it| it.link.down.front()).map(|it| format!("{it:?}"))
            }
            Action::Request(who) | Action::DuplicateRequest(who) => {
                of(who).and_then(|it| it.link.up.front()).map(|it| format!("{it:?}"))
            }
            Action::LateRequest(who) => {
                of(who).and_then(|it| it.link.late.front()).map(|it| format!("{it:?}"))
            }
            Action::Written | Action::WriteFails => {
                self.store.as_ref().and_then(|it| it.writing.front()).map(|it| format!("{:?}", it.0))
            }
            _ => None,
        };
        detail.map_or_else(|| action.to_string(), |detail| format!("{action}: {}", compact(&detail)))
    }
}

/// Takes the names of id types out of a debug text.
pub(crate) fn compact(text: &str) -> String {
    let ids = ["WorkerId", "Incarnation", "StoreEpoch", "CallId", "Pass", "Clock"];
    let mut text = text.to_owned();
    for id in ids {
        text = text.replace(&format!("{id}("), "(");
    }
    text.replace("Sender { worker: ", "{").replace("GradientName ", "").replace("BlockId ", "")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", compact(&format!("{self:?}")))
    }
}

impl Run<'_, '_> {
    /// Where an action begins.
    pub(super) fn begin(&mut self, action: &Action) {
        if let Some(fault) = action.fault() {
            self.spend(fault, 1);
        }
        match *action {
            Action::Start => self.start(),
            Action::Notice(who) => self.notice(who),
            Action::NoticeStore => self.notice_store(),
            Action::Ready => self.store_ready(),
            Action::Order => self.order(),
            Action::Answer => self.answered(),
            Action::Report(who) => self.reported(who),
            Action::Word(who) => self.word(who),
            Action::Reply(who) => self.told(who),
            Action::Hangup(who) => self.hang_up(who),
            Action::Dial(who) => self.dial(who),
            Action::Request(who) => self.request(who),
            Action::LateRequest(who) => self.late_request(who),
            Action::Work(who, work) => self.work(who, work),
            Action::Applied => self.applied(),
            Action::Written => self.persist(true),
            Action::WriteFails => self.persist(false),
            Action::Die(who) => self.end_worker(who, 0, false),
            Action::DieStore | Action::CrashStore => self.end_store(),
            Action::Fire(timer) | Action::FireEarly(timer) => self.fire(timer),
            Action::CrashWorker(who, kept) => {
                self.spend(Fault::Late, kept.into());
                self.end_worker(who, kept.into(), false);
            }
            Action::BreakStore(who, kept) => {
                self.spend(Fault::Late, kept.into());
                if let Some(process) = self.process_of(who) {
                    process.link.cut(kept.into());
                }
            }
            Action::BreakJob(who) => self.break_job(who),
            Action::BreakOrders => self.break_orders(),
            Action::DuplicateRequest(who) => {
                let first = self.process_of(who).and_then(|process| process.link.up.front().cloned());
                self.todo.extend(first.map(Inner::Store));
            }
            Action::DuplicateAnswer(who) => {
                if let Some(link) = self.process_of(who).map(|process| &mut process.link)
                    && let Some(first) = link.down.front().cloned()
                {
                    link.down.push_front(first);
                    self.told(who);
                }
            }
        }
    }

    fn notice(&mut self, who: Sender) {
        if let Some(process) = self.process_of(who) {
            process.noticed = true;
        }
        let Sender { worker: slot, incarnation } = who;
        self.todo.push_back(Inner::Fleet(FleetEvent::Exited { slot, incarnation }));
        self.forget_ended();
    }

    fn notice_store(&mut self) {
        if let Some(incarnation) = self.cluster.store_ended.take() {
            self.todo.push_back(Inner::Keeper(FleetEvent::Exited { slot: STORE_SLOT, incarnation }));
        }
    }

    fn hang_up(&mut self, who: Sender) {
        if let Some(process) = self.process_of(who) {
            process.link.line = Line::None;
            process.link.down.clear();
        }
        self.worker(who, worker::Event::Disconnected);
    }

    fn dial(&mut self, who: Sender) {
        let reached = self.cluster.reaches_store(who);
        if let Some(process) = self.process_of(who) {
            process.link.line = if reached { Line::Up } else { Line::None };
        }
        self.worker(who, if reached { worker::Event::Connected } else { worker::Event::Disconnected });
    }

    fn request(&mut self, who: Sender) {
        let request = self.process_of(who).and_then(|process| process.link.up.pop_front());
        self.todo.extend(request.map(Inner::Store));
    }

    fn late_request(&mut self, who: Sender) {
        let request = self.process_of(who).and_then(|process| process.link.late.pop_front());
        self.todo.extend(request.map(Inner::Store));
        self.forget_ended();
    }

    fn work(&mut self, who: Sender, work: Work) {
        if let Some(process) = self.process_of(who) {
            process.work.remove(&work);
        }
        self.worker(
            who,
            match work {
                Work::Fetch(name) => worker::Event::Fetched { name, keys: name },
                Work::Compute(name) => worker::Event::Computed { name, update: name },
            },
        );
    }

    fn break_job(&mut self, who: Sender) {
        if let Some(process) = self.process_of(who) {
            process.shut = true;
            process.reports.clear();
            process.words.clear();
        }
        let Sender { worker: slot, incarnation } = who;
        self.todo.push_back(Inner::Fleet(FleetEvent::Suspected { slot, incarnation }));
    }

    fn break_orders(&mut self) {
        self.cluster.coordinator.unlink();
        if let Some(store) = &self.cluster.store {
            let incarnation = store.incarnation;
            self.todo.push_back(Inner::Keeper(FleetEvent::Suspected { slot: STORE_SLOT, incarnation }));
        }
    }

    fn fire(&mut self, timer: Timer) {
        self.cluster.timers.remove(&timer);
        self.todo.push_back(match timer {
            Timer::Worker(timer) => Inner::Fleet(FleetEvent::Timer(timer)),
            Timer::Keeper(timer) => Inner::Keeper(FleetEvent::Timer(timer)),
            Timer::Reconnect(who, timer) => Inner::Worker(who, worker::Event::Timer(timer)),
            Timer::Snapshot(timer) => Inner::Store(store::Event::Timer(timer)),
            Timer::Lease(timer) => Inner::Leases(lease::Event::Timer(timer)),
        });
    }
}

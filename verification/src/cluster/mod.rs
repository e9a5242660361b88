//! A whole job in one value: production machines, the links between them, timers, disks, and faults.
//!
//! ```text
//!  worker process 0.1 --- up / down ---> store process       one FIFO link each way
//!         |                                ^   |
//!    reports / words                  orders   answers
//!         v                                |   v
//!  coordinator: Leases + Fleet of workers + Fleet of one store
//! ```
//!
//! [`Cluster::enabled`] lists what can happen, [`Cluster::apply`] lets it happen: one machine (or one that its
//! effects reach inside the same process) takes a step, and its effects go where a shell would send them. No
//! decision about membership, order, retries or consistency is taken here; those are the machines'. Links are
//! FIFO and a break loses a suffix; what an old connection still held may arrive late. A crash leaves what is
//! on disk. The model checker, the simulator and the fuzzers all drive this one type.

mod action;
mod coordinator;
mod network;
mod storage;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cirrus_core::fleet::{self, Fleet};
use cirrus_core::ids::{BlockId, Clock, GradientName, Incarnation, Millis, Pass, StoreEpoch, WorkerId};
use cirrus_core::lease::{self, Leases};
use cirrus_core::rule::{Ruled, Step};
use cirrus_core::store::{self, Sender};
use cirrus_core::worker;

pub(crate) use action::compact;
pub use action::{Action, Fault};
pub use coordinator::{Coordinator, Order};
pub use network::{Line, Link, Work};
pub use storage::{Disk, Snapshot, StoreProcess};
pub use workers::{Process, Told};

use crate::rules::{self, Check};
use crate::tally::{Broken, Part, Tally};

/// Keys, cells and updates are named after the gradient they belong to; machines never look into them.
pub type Payload = GradientName;
/// What a table holds: the name of every update in it, sorted, each as often as it was applied.
pub type Table = Vec<GradientName>;

/// The only slot of the fleet that keeps the store running.
pub const STORE_SLOT: WorkerId = WorkerId(0);

/// The configurations of all machines, the size of the job, and how often each fault may happen.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Blocks of the data.
    pub blocks: u32,
    /// The store's.
    pub store: store::Config,
    /// The leases'.
    pub lease: lease::Config,
    /// That of the fleet of workers.
    pub fleet: fleet::Config,
    /// That of the fleet of one store.
    pub keeper: fleet::Config,
    /// The workers'.
    pub worker: worker::Config,
    /// Fetching a block takes a step of its own, so that everything else can happen meanwhile.
    pub slow_fetch: bool,
    /// So does applying an update.
    pub slow_apply: bool,
    /// How often each fault may happen.
    pub faults: BTreeMap<Fault, u32>,
}

impl Setup {
    /// All blocks, in the order in which every pass gives them out.
    #[must_use]
    pub fn order(&self) -> Vec<BlockId> {
        (0..self.blocks).map(|block| BlockId { partition: 0, block }).collect()
    }

    /// The names of all gradients of all passes.
    #[must_use]
    pub fn names(&self) -> Table {
        let passes = (0..self.lease.passes).map(Pass);
        passes.flat_map(|pass| self.order().into_iter().map(move |block| whole(pass, block))).collect()
    }
}

/// The name of the gradient of a whole block.
#[must_use]
pub fn whole(pass: Pass, block: BlockId) -> GradientName {
    GradientName { pass, block, part: 0 }
}

/// What workers were told and what the store did, as far as the rules need it and no machine keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// The names that a worker was told to be recorded, in the store's present epoch.
    pub acknowledged: BTreeSet<GradientName>,
    /// Rounds whose read was served and whose update is not recorded: by whom, of what, in which round.
    pub outstanding: BTreeMap<(Sender, GradientName), Clock>,
    /// The newest incarnation of each slot that the store of this epoch began a session with.
    pub opened: BTreeMap<WorkerId, Incarnation>,
    /// The newest incarnation of each slot that got a block.
    pub granted: BTreeMap<WorkerId, Incarnation>,
}

/// Something that rules want to see when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment<'a> {
    /// A store begins a life from its disk.
    Restored(&'a StoreProcess),
    /// The store began a session.
    Opened(Sender),
    /// The store serves a read in this round.
    Served(Sender, Clock),
    /// An update goes into the table under this name.
    Applied(GradientName, Payload),
    /// The store's answer reaches a worker.
    Told(Sender, &'a worker::Event<Payload>),
    /// The leases gave a block to a worker.
    Granted(Sender),
    /// The job's result is in the hands of the coordinator.
    Finished(&'a Table),
}

/// A whole job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Which worker has which block.
    pub leases: Arc<Leases>,
    /// The worker processes' slots.
    pub fleet: Arc<Fleet>,
    /// The store process's slot.
    pub keeper: Arc<Fleet>,
    /// What the coordinator's shell knows.
    pub coordinator: Coordinator,
    /// The store process, if there is one.
    pub store: Option<Arc<StoreProcess>>,
    /// The end of a store process that the coordinator has not noticed yet.
    pub store_ended: Option<Incarnation>,
    /// What survives the store.
    pub disk: Disk,
    /// The worker processes, and those that ended and still have frames under way.
    pub workers: BTreeMap<Sender, Arc<Process>>,
    /// Timers that are set.
    pub timers: BTreeSet<Timer>,
    /// How often each fault may still happen.
    pub budget: BTreeMap<Fault, u32>,
    /// For the rules.
    pub ledger: Ledger,
    /// What the last step broke.
    pub broken: Vec<Broken>,
}

/// Every timer there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The pause before a worker is launched again.
    Worker(fleet::Timer),
    /// The pause before the store is launched again.
    Keeper(fleet::Timer),
    /// The pause before a worker connects again.
    Reconnect(Sender, worker::Timer),
    /// A snapshot is due.
    Snapshot(store::Timer),
    /// A lease runs out.
    Lease(lease::Timer),
}

/// Who watches a step: the count of verdicts, and the timers that it set, for who has a clock.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    /// The verdicts; `None` where nobody asks, and no rule is looked at.
    pub tally: Option<&'a mut Tally>,
    /// The timers that were set, and for how long.
    pub set: Vec<(Timer, Millis)>,
}

/// An event on its way to a machine inside the process that produced it.
#[derive(Clone, Debug)]
enum Inner {
    Leases(lease::Event),
    Fleet(fleet::Event),
    Keeper(fleet::Event),
    Store(store::Event<Payload>),
    Worker(Sender, worker::Event<Payload>),
}

/// One action being carried out.
struct Run<'a, 'w> {
    cluster: &'a mut Cluster,
    setup: &'a Setup,
    watch: &'a mut Watch<'w>,
    todo: VecDeque<Inner>,
}

impl Cluster {
    /// The job before anything was started.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        Self {
            leases: Arc::default(),
            fleet: Arc::default(),
            keeper: Arc::default(),
            coordinator: Coordinator::default(),
            store: None,
            store_ended: None,
            disk: Disk::default(),
            workers: BTreeMap::new(),
            timers: BTreeSet::new(),
            budget: setup.faults.clone(),
            ledger: Ledger::default(),
            broken: Vec::new(),
        }
    }

    /// Carries out one action: the machines it concerns take their steps, and all effects go their way.
    pub fn apply(&mut self, setup: &Setup, action: &Action, watch: &mut Watch<'_>) {
        self.broken.clear();
        let mut run = Run { cluster: self, setup, watch, todo: VecDeque::new() };
        run.begin(action);
        while let Some(inner) = run.todo.pop_front() {
            run.inner(inner);
        }
    }

    /// Asks the rules that look at a whole cluster.
    pub fn judge(&self, setup: &Setup, tally: &mut Tally, broken: &mut Vec<Broken>) {
        for (place, rule) in rules::RULES.iter().enumerate() {
            if let Check::State(check) = rule.check {
                tally.add(Part::Cluster, place, rule.name, check(setup, self), broken);
            }
        }
    }

    /// Whether the job is over and nothing of it is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let gone = self.workers.is_empty() && self.store.is_none();
        gone && self.coordinator.finished && self.fleet.is_empty() && self.keeper.is_empty()
    }

    /// Whether a fault may still happen.
    #[must_use]
    pub fn may(&self, fault: Fault) -> bool {
        self.budget.get(&fault).is_some_and(|left| *left > 0)
    }
}

impl Run<'_, '_> {
    fn inner(&mut self, inner: Inner) {
        match inner {
            Inner::Leases(event) => self.leases(event),
            Inner::Fleet(event) => self.fleet(event),
            Inner::Keeper(event) => self.keeper(event),
            Inner::Store(event) => self.store(event),
            Inner::Worker(who, event) => self.worker(who, event),
        }
    }

    /// Lets one machine take one step and asks its rules about it.
    fn step<M: Ruled>(
        &mut self,
        part: Part,
        machine: &mut Arc<M>,
        config: &M::Config,
        event: M::Event,
    ) -> Vec<M::Effect> {
        let before = Arc::clone(machine);
        let mut effects = Vec::new();
        match &mut self.watch.tally {
            None => Arc::make_mut(machine).step(config, event, &mut effects),
            Some(tally) => {
                Arc::make_mut(machine).step(config, event.clone(), &mut effects);
                let after: &M = machine;
                let step = Step { config, before: &*before, event: &event, effects: &effects, after };
                tally.step(part, &step, &mut self.cluster.broken);
            }
        }
        effects
    }

    /// Shows the rules what happens at this moment.
    fn moment(&mut self, moment: Moment<'_>) {
        let Some(tally) = &mut self.watch.tally else { return };
        let mut broken = Vec::new();
        for (place, rule) in rules::RULES.iter().enumerate() {
            if let Check::Moment(check) = rule.check {
                let verdict = check(self.setup, self.cluster, &moment);
                tally.add(Part::Cluster, place, rule.name, verdict, &mut broken);
            }
        }
        self.cluster.broken.append(&mut broken);
    }

    fn set(&mut self, timer: Timer, after: Millis) {
        self.cluster.timers.insert(timer);
        self.watch.set.push((timer, after));
    }

    /// Takes one from a fault's budget.
    fn spend(&mut self, fault: Fault, count: u32) {
        if let Some(left) = self.cluster.budget.get_mut(&fault) {
            *left = left.saturating_sub(count);
        }
    }
}

/// The epoch before any store.
pub const NO_EPOCH: StoreEpoch = StoreEpoch(0);

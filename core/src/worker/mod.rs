//! One worker: what it does next, what it sends again, when it gives up.
//!
//! ```text
//! leases          worker                     store
//!   | Granted       | Fetch                    |
//!   |-------------->| Read ------------------->|
//!   |               |<--------------- Values --|
//!   |               | Compute                  |
//!   |               | Push(name) ------------->|
//!   |<------- Done -|<--------- Acknowledged --|
//! ```
//!
//! Reads run ahead of updates by exactly `window` rounds: the k-th update leaves only after the read k + window
//! (or when the leases said that there is no more), and the read k + window only after the update k. So what
//! the store sees from a worker alone in its job is the same sequence in every run, and a transfer overlaps
//! with computing. A block is reported done only when the store has acknowledged it. When the connection breaks,
//! what was not acknowledged is sent again under the same name (P1); when the store comes back in a new epoch,
//! everything in hand is read and computed again (P3, P5). A worker with nothing in hand parks, so that nobody
//! waits for its clock (P4). Payloads (keys, values, updates) are `P`, never looked into.

mod link;
pub mod rules;

pub use link::Link;

use crate::bounded::Queue;
use crate::bug::{Bug, Bugs};
use crate::ids::{CallId, GradientName, Millis, StoreEpoch, Version};
use crate::machine::{Effects, Machine};
use crate::store::Reason;
use core::fmt::Debug;
use core::hash::Hash;

/// Limits of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many rounds the reads run ahead of the updates: 1 or more.
    pub window: u32,
    /// How many blocks it holds at once, those being fetched included: `window` or more.
    pub held: u32,
    /// How long after a failed connection it tries again.
    pub reconnect: Millis,
    /// How many failed connections in a row mean that the store is gone.
    pub reconnects_max: u32,
    /// Seeded bugs.
    pub bugs: Bugs,
}

/// What can happen to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<P> {
    /// The coordinator named the store's address; also when it has moved.
    StoreAt(StoreEpoch),
    /// The connection to the store stands.
    Connected,
    /// The connection to the store broke or could not be made.
    Disconnected,
    /// The store began the session.
    Opened {
        /// The request.
        call: CallId,
        /// The state of the store.
        version: Version,
    },
    /// The leases gave it a block.
    Granted(GradientName),
    /// The leases have nothing more at present.
    Dry,
    /// A block's rows are in memory; these are the keys of the cells they need.
    Fetched {
        /// The block.
        name: GradientName,
        /// Its keys.
        keys: P,
    },
    /// The cells have come.
    Values {
        /// The request.
        call: CallId,
        /// The state they are of.
        version: Version,
        /// The cells.
        values: P,
    },
    /// The update of a block is computed.
    Computed {
        /// The block.
        name: GradientName,
        /// The update.
        update: P,
    },
    /// The store has recorded an update.
    Acknowledged {
        /// The request.
        call: CallId,
        /// A state that contains it.
        version: Version,
        /// Whether it was recorded before.
        duplicate: bool,
    },
    /// The store refused a request.
    Refused {
        /// The request.
        call: CallId,
        /// Why.
        reason: Reason,
    },
    /// The job is over.
    Finish,
    /// Something that it needs failed for good: a block that cannot be read, rows that cannot be learned from.
    Failed,
    /// A timer fired.
    Timer(Timer),
}

/// What a worker asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<P> {
    /// Connect to the store; whatever connection there was is dropped first.
    Connect,
    /// Begin a session.
    Open {
        /// Names the request.
        call: CallId,
    },
    /// Ask the leases for this many more blocks.
    Want(u32),
    /// Bring a block's rows into memory.
    Fetch(GradientName),
    /// Ask the store for cells.
    Read {
        /// Names the request.
        call: CallId,
        /// In which epoch.
        epoch: StoreEpoch,
        /// The block that needs them.
        name: GradientName,
        /// Which cells.
        keys: P,
    },
    /// Learn from a block, then say `Computed`. Done one at a time.
    Compute {
        /// The block.
        name: GradientName,
        /// The cells.
        values: P,
    },
    /// Send an update to the store.
    Push {
        /// Names the request.
        call: CallId,
        /// In which epoch.
        epoch: StoreEpoch,
        /// The block.
        name: GradientName,
        /// The update.
        update: P,
    },
    /// Tell the store that there is nothing in hand.
    Park {
        /// Names the request.
        call: CallId,
    },
    /// End the session.
    Leave,
    /// Tell the leases that a block is recorded; its rows are no longer needed.
    Done {
        /// The block.
        name: GradientName,
        /// In which epoch.
        epoch: StoreEpoch,
        /// Whether somebody else's update was there first.
        duplicate: bool,
    },
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// End the process.
    Exit(End),
}

/// A worker's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Try to connect again, after this many failures.
    Reconnect(u32),
}

/// Why a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The job is over.
    Finished,
    /// It counts as dead: a successor has its place.
    Fenced,
    /// The store could not be reached for too long.
    StoreGone,
    /// The store refused for want of room.
    StoreFull,
    /// Something that it needs failed for good.
    Failed,
}

/// Where a block in hand is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage<P> {
    /// Its rows are on their way into memory.
    Fetching,
    /// Its rows are there; it needs cells.
    Fetched,
    /// The cells were asked for.
    Reading(CallId),
    /// The cells are there.
    Ready(P),
    /// It is being computed.
    Computing,
    /// It is being computed from cells of an earlier epoch; the result will be thrown away.
    Discarding,
    /// The update is there and not sent, or must be sent again.
    Computed(P),
    /// The update was sent.
    Pushing(CallId, P),
}

/// A block in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task<P> {
    /// The rows.
    pub name: GradientName,
    /// The keys of its cells, once its rows are in memory.
    pub keys: Option<P>,
    /// How far it is.
    pub stage: Stage<P>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker<P> {
    /// The connection to the store.
    pub link: Link,
    /// The newest state of the store that was seen.
    pub seen: Version,
    /// The newest call made.
    pub last_call: CallId,
    /// Blocks in hand, in the order in which they were granted.
    pub tasks: Queue<Task<P>>,
    /// Blocks asked for and not granted yet.
    pub asked: u32,
    /// The leases said that there is nothing more at present.
    pub dry: bool,
    /// The store was told that nothing is in hand.
    pub parked: bool,
    /// Rounds of an earlier session have not ended yet: their updates leave before any read of this session,
    /// or the store would count the reads into rounds too early (P2).
    pub resuming: bool,
    /// Why it ends, once it does; then nothing happens any more.
    pub end: Option<End>,
}

impl<P> Default for Worker<P> {
    fn default() -> Self {
        Self {
            link: Link::Unknown,
            seen: Version::default(),
            last_call: CallId(0),
            tasks: Queue::default(),
            asked: 0,
            dry: false,
            parked: false,
            resuming: false,
            end: None,
        }
    }
}

impl<P: Clone + Debug + Eq + Hash> Machine for Worker<P> {
    type Event = Event<P>;
    type Effect = Effect<P>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<P>, out: &mut impl Effects<Effect<P>>) {
        if self.end.is_some() {
            return; // It has ended; whatever still comes is late.
        }
        match event {
            Event::StoreAt(epoch) => self.store_at(config, epoch, out),
            Event::Connected => self.connected(out),
            Event::Disconnected => self.disconnected(config, out),
            Event::Opened { call, version } => self.opened(config, call, version, out),
            Event::Granted(name) => self.granted(config, name, out),
            Event::Dry => self.dry = true,
            Event::Fetched { name, keys } => self.fetched(&name, keys),
            Event::Values { call, version, values } => self.values(call, version, values),
            Event::Computed { name, update } => self.computed(config, &name, update),
            Event::Acknowledged { call, version, duplicate } => {
                self.acknowledged(call, version, duplicate, out);
            }
            Event::Refused { call, reason } => self.refused(config, call, reason, out),
            Event::Finish => {
                if matches!(self.link, Link::Open(_)) {
                    out.push(Effect::Leave);
                }
                self.exit(End::Finished, out);
            }
            Event::Failed => self.exit(End::Failed, out),
            Event::Timer(Timer::Reconnect(failures)) => self.reconnect(failures, out),
        }
        self.advance(config, out);
    }
}

impl<P: Clone + Debug + Eq + Hash> Worker<P> {
    fn exit(&mut self, end: End, out: &mut impl Effects<Effect<P>>) {
        self.end = Some(end);
        out.push(Effect::Exit(end));
    }

    fn call(&mut self) -> CallId {
        // 2^64 calls are never made.
        self.last_call = self.last_call.next().unwrap_or(self.last_call);
        self.last_call
    }

    fn task_mut(&mut self, name: &GradientName) -> Option<&mut Task<P>> {
        self.tasks.iter_mut().find(|task| task.name == *name)
    }

    fn granted(&mut self, config: &Config, name: GradientName, out: &mut impl Effects<Effect<P>>) {
        self.asked = self.asked.saturating_sub(1);
        if self.tasks.iter().any(|task| task.name == name) {
            return; // It has it.
        }
        let task = Task { name, keys: None, stage: Stage::Fetching };
        // More than it asked for: left alone, the lease runs out.
        if self.tasks.push(config.held, task).is_ok() {
            self.dry = false;
            out.push(Effect::Fetch(name));
        }
    }

    fn fetched(&mut self, name: &GradientName, keys: P) {
        if let Some(task) = self.task_mut(name)
            && task.stage == Stage::Fetching
        {
            task.keys = Some(keys);
            task.stage = Stage::Fetched;
        }
    }

    fn values(&mut self, call: CallId, version: Version, values: P) {
        if !matches!(self.link, Link::Open(epoch) if epoch == version.epoch) {
            return; // From an earlier connection.
        }
        if let Some(task) = self.tasks.iter_mut().find(|task| task.stage == Stage::Reading(call)) {
            task.stage = Stage::Ready(values);
            self.seen = self.seen.max(version);
        }
    }

    fn computed(&mut self, config: &Config, name: &GradientName, update: P) {
        let old_epoch = config.bugs.has(Bug::OldEpochUpdateSent);
        let Some(task) = self.task_mut(name) else { return };
        match &task.stage {
            Stage::Computing => task.stage = Stage::Computed(update),
            Stage::Discarding if old_epoch => task.stage = Stage::Computed(update),
            Stage::Discarding => task.stage = Stage::Fetched,
            // It did not ask for this.
            Stage::Fetching | Stage::Fetched | Stage::Reading(_) | Stage::Ready(_) => {}
            Stage::Computed(_) | Stage::Pushing(..) => {}
        }
    }

    fn acknowledged(
        &mut self,
        call: CallId,
        version: Version,
        duplicate: bool,
        out: &mut impl Effects<Effect<P>>,
    ) {
        let is_it = |task: &Task<P>| matches!(task.stage, Stage::Pushing(pushed, _) if pushed == call);
        let Link::Open(epoch) = self.link else { return };
        if epoch != version.epoch {
            return; // From an earlier connection.
        }
        let Some(name) = self.tasks.iter().find(|task| is_it(task)).map(|task| task.name) else { return };
        self.tasks.retain(|task| !is_it(task));
        self.seen = self.seen.max(version);
        out.push(Effect::Done { name, epoch, duplicate });
    }

    /// Does everything that can be done now.
    fn advance(&mut self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        if self.end.is_some() {
            return;
        }
        if let Link::Open(epoch) = self.link {
            let epoch = if config.bugs.has(Bug::FirstEpochNamed) { StoreEpoch(1) } else { epoch };
            while self.send_next(config, epoch, out) {}
            if self.tasks.is_empty() && !self.parked && !config.bugs.has(Bug::IdleNotParked) {
                self.parked = true;
                let call = self.call();
                out.push(Effect::Park { call });
            }
        }
        self.compute_next(out);
        let free = config.held.saturating_sub(self.tasks.len()).saturating_sub(self.asked);
        if free > 0 && self.link != Link::Unknown {
            self.asked = self.asked.saturating_add(free);
            out.push(Effect::Want(free));
        }
    }

    /// Sends the next message of the one sequence: reads stay `window` rounds ahead of updates.
    fn send_next(&mut self, config: &Config, epoch: StoreEpoch, out: &mut impl Effects<Effect<P>>) -> bool {
        let window = if config.bugs.has(Bug::WindowOffByOne) {
            config.window.saturating_add(1)
        } else {
            config.window
        };
        self.resuming &=
            self.tasks.iter().any(|task| matches!(task.stage, Stage::Computing | Stage::Computed(_)));
        let unread = self.tasks.iter().find(|task| matches!(task.stage, Stage::Fetching | Stage::Fetched));
        let more_to_read = unread.is_some() || !self.dry;
        if self.ahead() < window && more_to_read && !self.resuming {
            // The next message is a read. It may have to wait for the rows, or for a lease.
            return match unread {
                Some(Task { name, keys: Some(keys), stage: Stage::Fetched }) => {
                    let (name, keys) = (*name, keys.clone());
                    let call = self.call();
                    self.parked = false;
                    self.set_stage(&name, Stage::Reading(call));
                    out.push(Effect::Read { call, epoch, name, keys });
                    true
                }
                Some(_) | None => false,
            };
        }
        let first = self.tasks.iter().find(|task| !matches!(task.stage, Stage::Pushing(..)));
        let Some(Task { name, stage: Stage::Computed(update), .. }) = first else { return false };
        let (name, update) = (*name, update.clone());
        let last = self.tasks.iter().last().filter(|_| config.bugs.has(Bug::UpdateMisnamed));
        let named = last.map_or(name, |task| task.name);
        let call = self.call();
        out.push(Effect::Push { call, epoch, name: named, update: update.clone() });
        if config.bugs.has(Bug::DoneBeforeAcknowledged) {
            out.push(Effect::Done { name, epoch, duplicate: false });
        }
        self.set_stage(&name, Stage::Pushing(call, update));
        true
    }

    fn set_stage(&mut self, name: &GradientName, stage: Stage<P>) {
        if let Some(task) = self.task_mut(name) {
            task.stage = stage;
        }
    }

    /// Rounds begun at the store whose update has not been sent.
    #[must_use]
    pub fn ahead(&self) -> u32 {
        let begun = |task: &&Task<P>| match task.stage {
            Stage::Fetching | Stage::Fetched | Stage::Pushing(..) => false,
            Stage::Reading(_) | Stage::Ready(_) | Stage::Computing => true,
            Stage::Discarding | Stage::Computed(_) => true,
        };
        u32::try_from(self.tasks.iter().filter(begun).count()).unwrap_or(u32::MAX)
    }

    /// Computes the oldest block whose cells are there, one at a time and in order.
    fn compute_next(&mut self, out: &mut impl Effects<Effect<P>>) {
        let busy = |task: &Task<P>| matches!(task.stage, Stage::Computing | Stage::Discarding);
        if self.tasks.iter().any(busy) {
            return;
        }
        let open = |task: &&mut Task<P>| !matches!(task.stage, Stage::Computed(_) | Stage::Pushing(..));
        if let Some(task) = self.tasks.iter_mut().find(open)
            && let Stage::Ready(values) = &task.stage
        {
            let values = values.clone();
            task.stage = Stage::Computing;
            out.push(Effect::Compute { name: task.name, values });
        }
    }
}

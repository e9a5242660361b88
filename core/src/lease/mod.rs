//! Leases of blocks: who works on which block of the data, and when a pass is over.
//!
//! ```text
//! worker             leases              shell
//!   | Wanted(n)        |                   |
//!   |----------------->|                   |
//!   |<---- Grant(b) ---| SetTimer(b)       |
//!   |   ... reads, learns, is acknowledged |
//!   | Done(b, epoch)   |                   |
//!   |----------------->| PassDone -------->| closes the pass in the store
//!   |                  |<- Begin(pass, order)
//! ```
//!
//! In a pass each block of the order is either pending, leased to one worker, or done. A worker that is gone
//! gives its blocks back (P4); if it had finished one without saying so, the next holder's update is refused
//! as a duplicate by the store, so this machine may err on the side of doing work twice, never of losing it.
//! When the store comes back in a new epoch, the blocks that its snapshot does not cover are pending again (P5).
//! The order of a pass is the caller's business; it comes with `Begin`.

pub mod rules;

use crate::bounded::{Map, Queue};
use crate::bug::{Bug, Bugs};
use crate::ids::{BlockId, Incarnation, Millis, Pass, StoreEpoch, WorkerId};
use crate::machine::{Effects, Machine};
use crate::store::Sender;
use alloc::vec::Vec;

/// Limits of a job's leases.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many blocks the data may have.
    pub blocks_max: u32,
    /// How many worker slots there may be.
    pub workers_max: u32,
    /// How many blocks one worker may hold.
    pub held_max: u32,
    /// How many passes are made over the data.
    pub passes: u32,
    /// After this long without a result a worker counts as stuck.
    pub lease: Millis,
    /// Seeded bugs.
    pub bugs: Bugs,
}

/// What can happen to the leases.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The next pass begins, or the store came back in a new epoch and the job goes on from its snapshot.
    Begin {
        /// The store's epoch.
        epoch: StoreEpoch,
        /// The pass.
        pass: Pass,
        /// All blocks, in the order in which they are to be given out.
        order: Vec<BlockId>,
        /// Those that are recorded in this epoch already.
        recorded: Vec<BlockId>,
    },
    /// A worker could hold this many more blocks.
    Wanted {
        /// Who.
        from: Sender,
        /// How many more.
        count: u32,
    },
    /// The store acknowledged this block's update. Whoever says so: the store's word counts.
    Done {
        /// In which epoch.
        epoch: StoreEpoch,
        /// In which pass.
        pass: Pass,
        /// Which block.
        block: BlockId,
    },
    /// This incarnation, and every earlier one of the slot, is dead or counts as dead.
    Gone(Sender),
    /// The model of a store is in hand, as it was in this epoch.
    Collected {
        /// The epoch.
        epoch: StoreEpoch,
    },
    /// A timer fired.
    Timer(Timer),
}

/// What the leases ask their shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Tell a worker that this block is its own now.
    Grant {
        /// Whom.
        to: Sender,
        /// In which pass.
        pass: Pass,
        /// Which block.
        block: BlockId,
    },
    /// Tell a worker that nothing is pending. What it wanted stays wanted.
    Dry(Sender),
    /// A worker has held a block for too long: somebody should see whether it lives.
    Overdue(Sender),
    /// All blocks of this pass are recorded in this epoch; begin the next if there is one.
    PassDone {
        /// The epoch.
        epoch: StoreEpoch,
        /// The pass.
        pass: Pass,
    },
    /// The last pass is over: collect the model.
    AllDone,
    /// The model that was collected is the result: it holds every block of every pass.
    Finished,
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// Forget this timer.
    ClearTimer(Timer),
}

/// A lease's timer. It names the lease, so that a late firing means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer {
    /// The holder.
    pub holder: Sender,
    /// The epoch.
    pub epoch: StoreEpoch,
    /// The pass.
    pub pass: Pass,
    /// The block.
    pub block: BlockId,
}

/// What is known of a worker's slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Incarnations below this one are gone.
    pub floor: Incarnation,
    /// How many more blocks it wants.
    pub wanted: u32,
}

/// The leases of a job's blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leases {
    /// The store's epoch; 0 before the first `Begin`.
    pub epoch: StoreEpoch,
    /// The pass.
    pub pass: Pass,
    /// Blocks that nobody works on, first to be given out first.
    pub pending: Queue<BlockId>,
    /// Blocks that somebody works on. Blocks of the pass that are in neither are done.
    pub leased: Map<BlockId, Sender>,
    /// The workers.
    pub holders: Map<WorkerId, Holder>,
    /// The pass is over and the next has not begun.
    pub idle: bool,
}

impl Machine for Leases {
    type Event = Event;
    type Effect = Effect;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event, out: &mut impl Effects<Effect>) {
        match event {
            Event::Begin { epoch, pass, order, recorded } => {
                self.begin(config, epoch, pass, order, &recorded, out);
            }
            Event::Wanted { from, count } => self.wanted(config, from, count, out),
            Event::Done { epoch, pass, block } => self.done(config, epoch, pass, block, out),
            Event::Gone(dead) => self.gone(config, dead, out),
            Event::Collected { epoch } => self.collected(config, epoch, out),
            Event::Timer(timer) => self.overdue(config, timer, out),
        }
    }
}

impl Leases {
    /// How many blocks a worker holds.
    #[must_use]
    pub fn held(&self, worker: WorkerId) -> u32 {
        let held = self.leased.iter().filter(|(_, holder)| holder.worker == worker).count();
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    fn timer(&self, holder: Sender, block: BlockId) -> Timer {
        Timer { holder, epoch: self.epoch, pass: self.pass, block }
    }

    /// Takes a pass up. In a new epoch a worker keeps the blocks that it holds and that are still to be done:
    /// it will read them again from the new store by itself.
    fn begin(
        &mut self,
        config: &Config,
        epoch: StoreEpoch,
        pass: Pass,
        order: Vec<BlockId>,
        recorded: &[BlockId],
        out: &mut impl Effects<Effect>,
    ) {
        let more = pass.0 < config.passes;
        let next = epoch == self.epoch && self.idle && Some(pass) == self.pass.next() && more;
        if !(epoch > self.epoch || next) {
            return; // Not news.
        }
        for (block, holder) in self.leased.iter() {
            out.push(Effect::ClearTimer(self.timer(*holder, *block)));
        }
        let held = if pass == self.pass { core::mem::take(&mut self.leased) } else { Map::default() };
        self.leased = Map::default();
        self.pending.clear();
        self.epoch = epoch;
        self.pass = pass;
        self.idle = false;
        if !more {
            // The store came back after the last pass was closed: there is nothing left to do.
            self.idle = true;
            return out.push(Effect::AllDone);
        }
        let forget = config.bugs.has(Bug::RestoreForgetsBlocks) && epoch > StoreEpoch(1);
        for block in order {
            if recorded.contains(&block) || (forget && !held.contains(&block)) {
                continue;
            }
            if let Some(holder) = held.get(&block) {
                self.lease(config, *holder, block, out);
            } else {
                // More blocks than the limit are never given out, and the pass never ends: the shell checks
                // the number of blocks against the limit before it begins.
                let _ = self.pending.push(config.blocks_max, block);
            }
        }
        self.give(config, out);
        self.end_pass(config, out);
    }

    fn lease(&mut self, config: &Config, to: Sender, block: BlockId, out: &mut impl Effects<Effect>) {
        // There are at most as many leases as blocks.
        let _ = self.leased.insert(config.blocks_max, block, to);
        out.push(Effect::SetTimer { timer: self.timer(to, block), after: config.lease });
    }

    fn wanted(&mut self, config: &Config, from: Sender, count: u32, out: &mut impl Effects<Effect>) {
        let mut holder = self.holders.get(&from.worker).cloned().unwrap_or_default();
        let taken_back = config.bugs.has(Bug::PredecessorTakenBack) && from.incarnation != holder.floor;
        if from.incarnation < holder.floor && !taken_back {
            return; // It is gone: its wishes die with it (J1).
        }
        if from.incarnation > holder.floor || taken_back {
            // A new life of the slot: whatever the old one wanted or held is free.
            if let Some(before) = from.incarnation.0.checked_sub(1) {
                self.gone(config, Sender { incarnation: Incarnation(before), ..from }, out);
            }
            holder = Holder { floor: from.incarnation, wanted: 0 };
        }
        holder.wanted = holder.wanted.saturating_add(count).min(config.held_max);
        // A slot beyond the limit gets nothing; the fleet does not start that many.
        let _ = self.holders.insert(config.workers_max, from.worker, holder);
        if self.pending.is_empty() {
            out.push(Effect::Dry(from));
        }
        self.give(config, out);
    }

    /// Gives pending blocks to those who want them, one each in turn. Who got the last ones is told that there
    /// are no more; who wants one and got none was told so before.
    fn give(&mut self, config: &Config, out: &mut impl Effects<Effect>) {
        let mut last = None;
        let mut served = Vec::new();
        while let Some(block) = self.pending.first().copied() {
            let Some((worker, incarnation)) = self.next_in_turn(config, last) else { break };
            last = Some(worker);
            if let Some(holder) = self.holders.get_mut(&worker) {
                holder.wanted = holder.wanted.saturating_sub(1);
            }
            if !config.bugs.has(Bug::GrantedStaysPending) {
                self.pending.pop();
            }
            let to = Sender { worker, incarnation };
            self.lease(config, to, block, out);
            out.push(Effect::Grant { to, pass: self.pass, block });
            if !served.contains(&to) {
                served.push(to);
            }
        }
        if self.pending.is_empty() {
            served.into_iter().for_each(|to| out.push(Effect::Dry(to)));
        }
    }

    /// The first worker behind `last` (then from the start) that wants a block and may hold one more.
    fn next_in_turn(&self, config: &Config, last: Option<WorkerId>) -> Option<(WorkerId, Incarnation)> {
        let unbounded = config.bugs.has(Bug::HeldUnbounded);
        let may = |(worker, holder): &(&WorkerId, &Holder)| {
            holder.wanted > 0 && (self.held(**worker) < config.held_max || unbounded)
        };
        let behind = self.holders.iter().find(|entry| Some(*entry.0) > last && may(entry));
        let found = behind.or_else(|| self.holders.iter().find(may));
        found.map(|(worker, holder)| (*worker, holder.floor))
    }

    /// A block is done when anybody was told by the store of this epoch that it is recorded. One that an earlier
    /// store recorded is free again.
    fn done(
        &mut self,
        config: &Config,
        epoch: StoreEpoch,
        pass: Pass,
        block: BlockId,
        out: &mut impl Effects<Effect>,
    ) {
        if pass != self.pass || epoch > self.epoch || self.idle {
            return; // It says nothing about this pass.
        }
        let holder = self.leased.remove(&block);
        if let Some(holder) = holder {
            out.push(Effect::ClearTimer(self.timer(holder, block)));
        }
        if epoch == self.epoch || config.bugs.has(Bug::OldEpochDoneCounts) {
            self.pending.retain(|pending| *pending != block);
        } else if holder.is_some() {
            // The store has lost it since, and who reports it has let go of it: it is to be done again (P5).
            let _ = self.pending.push_first(config.blocks_max, block);
        }
        self.give(config, out);
        self.end_pass(config, out);
    }

    fn end_pass(&mut self, config: &Config, out: &mut impl Effects<Effect>) {
        let worked_on = !self.leased.is_empty() && !config.bugs.has(Bug::PassEndsEarly);
        if self.idle || !self.pending.is_empty() || worked_on {
            return;
        }
        self.idle = true;
        out.push(Effect::PassDone { epoch: self.epoch, pass: self.pass });
        if self.pass.0.saturating_add(1) >= config.passes {
            out.push(Effect::AllDone);
        }
    }

    /// A model counts only if it is of the epoch in which every block is done. One of another store lacks what that
    /// store lost; it will say what it has recorded, and the rest is done again (P5).
    fn collected(&mut self, config: &Config, epoch: StoreEpoch, out: &mut impl Effects<Effect>) {
        let over = self.idle && self.pass.0.saturating_add(1) >= config.passes;
        if over && (epoch == self.epoch || config.bugs.has(Bug::AnyModelCounts)) {
            out.push(Effect::Finished);
        }
    }

    /// Takes back what a dead worker held, to be given out first (P4).
    fn gone(&mut self, config: &Config, dead: Sender, out: &mut impl Effects<Effect>) {
        let Some(floor) = dead.incarnation.next() else { return };
        let known = self.holders.get(&dead.worker).map_or(Incarnation(0), |holder| holder.floor);
        if floor > known && !config.bugs.has(Bug::GrantToDead) {
            let holder = Holder { floor, wanted: 0 };
            let _ = self.holders.insert(config.workers_max, dead.worker, holder);
        }
        if config.bugs.has(Bug::LeaseOfDeadKept) {
            return;
        }
        let held: Vec<(BlockId, Sender)> = self
            .leased
            .iter()
            .filter(|(_, holder)| holder.worker == dead.worker && holder.incarnation <= dead.incarnation)
            .map(|(block, holder)| (*block, *holder))
            .collect();
        for (block, holder) in held.iter().rev() {
            self.leased.remove(block);
            out.push(Effect::ClearTimer(self.timer(*holder, *block)));
            if !config.bugs.has(Bug::ReturnedLost) {
                let _ = self.pending.push_first(config.blocks_max, *block);
            }
        }
        if !config.bugs.has(Bug::ReturnedNotGiven) {
            self.give(config, out);
        }
    }

    /// One lease ran out: its holder is accused, and the others, who may have waited for it, get more time.
    fn overdue(&mut self, config: &Config, timer: Timer, out: &mut impl Effects<Effect>) {
        let current = timer.epoch == self.epoch && timer.pass == self.pass;
        if !current || self.leased.get(&timer.block) != Some(&timer.holder) {
            return; // The lease ended before its timer was cleared.
        }
        out.push(Effect::Overdue(timer.holder));
        for (block, holder) in self.leased.iter() {
            out.push(Effect::SetTimer { timer: self.timer(*holder, *block), after: config.lease });
        }
    }
}

//! The fleet: which incarnation of a process may live in a slot, and when it is started again.
//!
//! ```text
//!          Launch          Running           Exited
//! Waiting -------> Starting ------> Living ---------> Waiting (backs off) ... GaveUp after n failures
//!    ^                                | Suspected: Fence, Kill
//!    |                                v
//!    +------- Exited ------------- Ending
//! ```
//!
//! A slot has one process at a time, and each gets the next incarnation (J1): the successor is launched only
//! when the predecessor's end is certain, and everybody who keeps score is told to fence it first. A process
//! that keeps failing is started again after longer and longer pauses, and not for ever (J5). After `Stop`
//! nothing is launched any more and what lives is killed (J3).

pub mod rules;

use crate::bounded::Map;
use crate::bug::{Bug, Bugs};
use crate::ids::{Incarnation, Millis, WorkerId};
use crate::machine::{Effects, Machine};

/// Limits of a fleet.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many slots there are: `WorkerId(0)` up to below this.
    pub slots: u32,
    /// How many failures in a row, without any progress between them, end a slot.
    pub failures_max: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub pause: Millis,
    /// The longest pause.
    pub pause_max: Millis,
    /// Seeded bugs.
    pub bugs: Bugs,
}

/// What can happen to a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Fill all slots.
    Start,
    /// The process has reported for work.
    Running {
        /// Its slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The process got something done: its failures are forgotten.
    Progress {
        /// Its slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The process ended, or could not be launched at all. It certainly does not live.
    Exited {
        /// Its slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The process does not do what it should: end it.
    Suspected {
        /// Its slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The work is over: processes that end now have done their part.
    Finish,
    /// End everything.
    Stop,
    /// A timer fired.
    Timer(Timer),
}

/// What a fleet asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Start a process for this slot.
    Launch {
        /// The slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// Kill the process.
    Kill {
        /// The slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// Tell everybody who takes requests of this slot: this life, and every earlier one, counts as dead.
    Fence {
        /// The slot.
        slot: WorkerId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The slot failed too often and stays empty.
    GaveUp(WorkerId),
    /// Nothing lives any more and nothing will be launched.
    Empty,
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
}

/// A fleet's timers. They name the life that ended, so that a late firing means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer {
    /// The slot.
    pub slot: WorkerId,
    /// The life that failed.
    pub failed: Incarnation,
}

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A process was launched and has not reported yet.
    Starting,
    /// A process lives and has reported.
    Living,
    /// A process is being killed.
    Ending,
    /// A process failed; the next is launched after a pause.
    Waiting,
    /// It failed too often.
    GaveUp,
    /// Its work is done, or was stopped.
    Finished,
}

/// A place for one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The newest life.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub phase: Phase,
    /// Failures in a row.
    pub failures: u32,
}

/// A fleet of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fleet {
    /// The slots; empty before `Start`.
    pub slots: Map<WorkerId, Slot>,
    /// Nothing is launched any more.
    pub closing: bool,
}

impl Machine for Fleet {
    type Event = Event;
    type Effect = Effect;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event, out: &mut impl Effects<Effect>) {
        match event {
            Event::Start => self.start(config, out),
            Event::Running { slot, incarnation } => self.running(slot, incarnation),
            Event::Progress { slot, incarnation } => self.progress(slot, incarnation),
            Event::Exited { slot, incarnation } => self.exited(config, slot, incarnation, out),
            Event::Suspected { slot, incarnation } => self.suspected(config, slot, incarnation, out),
            Event::Finish => self.close(out),
            Event::Stop => self.stop(config, out),
            Event::Timer(timer) => self.relaunch(config, timer, out),
        }
    }
}

impl Phase {
    /// Whether there may be a process.
    #[must_use]
    pub fn may_live(self) -> bool {
        match self {
            Self::Starting | Self::Living | Self::Ending => true,
            Self::Waiting | Self::GaveUp | Self::Finished => false,
        }
    }
}

impl Fleet {
    /// The slot, if this is its present life. Words about an earlier one are late and change nothing (J1).
    fn present(&mut self, slot: WorkerId, incarnation: Incarnation) -> Option<&mut Slot> {
        self.slots.get_mut(&slot).filter(|slot| slot.incarnation == incarnation)
    }

    /// Whether nothing lives and nothing will.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|(_, slot)| match slot.phase {
            Phase::Starting | Phase::Living | Phase::Ending => false,
            Phase::Waiting => self.closing,
            Phase::GaveUp | Phase::Finished => true,
        })
    }

    fn start(&mut self, config: &Config, out: &mut impl Effects<Effect>) {
        if !self.slots.is_empty() || self.closing {
            return; // Once.
        }
        for slot in (0..config.slots).map(WorkerId) {
            let first = Slot { incarnation: Incarnation(1), phase: Phase::Starting, failures: 0 };
            let _ = self.slots.insert(config.slots, slot, first); // There is room for all of them.
            out.push(Effect::Launch { slot, incarnation: Incarnation(1) });
        }
    }

    fn running(&mut self, slot: WorkerId, incarnation: Incarnation) {
        if let Some(slot) = self.present(slot, incarnation)
            && slot.phase == Phase::Starting
        {
            slot.phase = Phase::Living;
        }
    }

    fn progress(&mut self, slot: WorkerId, incarnation: Incarnation) {
        if let Some(slot) = self.present(slot, incarnation) {
            slot.failures = 0;
        }
    }

    /// The end is certain: the slot is fenced, and filled again after a pause unless it failed too often.
    fn exited(
        &mut self,
        config: &Config,
        id: WorkerId,
        incarnation: Incarnation,
        out: &mut impl Effects<Effect>,
    ) {
        let closing = self.closing;
        let Some(slot) = self.present(id, incarnation) else { return };
        if !slot.phase.may_live() {
            return; // Known already.
        }
        if !config.bugs.has(Bug::EndNotFenced) {
            out.push(Effect::Fence { slot: id, incarnation });
        }
        if closing {
            slot.phase = Phase::Finished;
        } else {
            slot.failures = slot.failures.saturating_add(1);
            let endless = config.bugs.has(Bug::NoBackOff);
            let late =
                config.bugs.has(Bug::GivesUpLate) && slot.failures == config.failures_max.saturating_add(1);
            if slot.failures > config.failures_max && !endless && !late {
                slot.phase = Phase::GaveUp;
                out.push(Effect::GaveUp(id));
            } else {
                slot.phase = Phase::Waiting;
                let doubled = config.pause.0.checked_shl(slot.failures.saturating_sub(1));
                let after = Millis(doubled.unwrap_or(u32::MAX).min(config.pause_max.0));
                let timer = Timer { slot: id, failed: incarnation };
                if endless {
                    self.relaunch(config, timer, out);
                } else {
                    out.push(Effect::SetTimer { timer, after });
                }
            }
        }
        self.report_empty(out);
    }

    fn suspected(
        &mut self,
        config: &Config,
        id: WorkerId,
        incarnation: Incarnation,
        out: &mut impl Effects<Effect>,
    ) {
        let Some(slot) = self.present(id, incarnation) else { return };
        if slot.phase != Phase::Starting && slot.phase != Phase::Living {
            return; // It is being ended, or has ended.
        }
        slot.phase = Phase::Ending;
        out.push(Effect::Fence { slot: id, incarnation });
        out.push(Effect::Kill { slot: id, incarnation });
        if config.bugs.has(Bug::RelaunchBeforeExit)
            && let Some(next) = incarnation.next()
        {
            slot.incarnation = next;
            slot.phase = Phase::Starting;
            out.push(Effect::Launch { slot: id, incarnation: next });
        }
    }

    fn relaunch(&mut self, config: &Config, timer: Timer, out: &mut impl Effects<Effect>) {
        if self.closing && !config.bugs.has(Bug::LaunchAfterStop) {
            return; // J3
        }
        let Some(slot) = self.present(timer.slot, timer.failed) else { return };
        if slot.phase != Phase::Waiting {
            return; // It fired before.
        }
        let same = config.bugs.has(Bug::IncarnationReused);
        let Some(incarnation) = (if same { Some(timer.failed) } else { timer.failed.next() }) else {
            slot.phase = Phase::GaveUp;
            out.push(Effect::GaveUp(timer.slot));
            return;
        };
        slot.incarnation = incarnation;
        slot.phase = Phase::Starting;
        out.push(Effect::Launch { slot: timer.slot, incarnation });
    }

    /// From here on an exit is an end, and nothing is launched.
    fn close(&mut self, out: &mut impl Effects<Effect>) {
        if self.closing {
            return; // Once.
        }
        self.closing = true;
        self.report_empty(out);
    }

    fn stop(&mut self, config: &Config, out: &mut impl Effects<Effect>) {
        self.closing = true;
        let spare = config.bugs.has(Bug::StopSparesStarting);
        for (id, slot) in self.slots.iter_mut() {
            if slot.phase == Phase::Starting && !spare || slot.phase == Phase::Living {
                slot.phase = Phase::Ending;
                out.push(Effect::Fence { slot: *id, incarnation: slot.incarnation });
                out.push(Effect::Kill { slot: *id, incarnation: slot.incarnation });
            }
        }
        self.report_empty(out);
    }

    fn report_empty(&self, out: &mut impl Effects<Effect>) {
        if self.is_empty() {
            out.push(Effect::Empty);
        }
    }
}

//! What applications do in a channel of reduces: everybody gives value after value, each after a while.
//!
//! When no more faults strike, they give theirs to the rounds that somebody has given one to already, so that all of
//! these end; in the proof, to one more.

use cirrus_core::ids::Round;
use cirrus_core::member::Phase;

use super::Failed;
use super::episode::Episode;
use super::queue::Due;
use crate::simulator::Random;
use crate::zip::{Action, Address};

impl Episode {
    /// Everybody gives values to the rounds up to this one.
    pub(super) fn reduce_until(&mut self, until: Round) {
        let Some(everybody) = &mut self.plan.setup.everybody else { return };
        everybody.until = until;
        for address in 0..u32::try_from(self.mesh.processes.len()).unwrap_or(u32::MAX) {
            self.plan_call(self.now, address);
        }
    }

    /// A round that somebody has given a value to is one that all give theirs to.
    pub(super) fn catch_up(&mut self) {
        self.reduce_until(self.given());
    }

    /// A deadline has passed when no more faults strike. Under a new root a member may have given a value before it knew
    /// to which round that would be: then it becomes known now, and all give theirs to that round, too.
    pub(super) fn follow(&mut self) {
        let until = self.plan.setup.everybody.as_ref().map(|everybody| everybody.until);
        let given = self.given();
        if until.is_some_and(|until| given > until) {
            self.reduce_until(given);
        }
    }

    /// The last round that somebody has given a value to, as far as is known.
    fn given(&self) -> Round {
        // Those of a controller that was just restarted are not known to it yet.
        let living = self.mesh.processes.iter().filter(|process| process.listens());
        living.map(|process| process.given()).max().unwrap_or_default()
    }

    /// Somebody comes who will give values, too.
    pub(super) fn newcomer(&mut self) {
        if self.plan.setup.everybody.is_some() {
            self.plan_call(self.now, u32::try_from(self.mesh.processes.len()).unwrap_or(u32::MAX));
        }
    }

    fn plan_call(&mut self, at: u64, address: Address) {
        let luck = self.plan.luck ^ at.rotate_left(16) ^ u64::from(address);
        let after = 1 + Random::new(luck).below(self.plan.think);
        self.queue.plan(at + after, Due::Calls(address));
    }

    /// A process gives its next value, or later if it cannot now.
    pub(super) fn call(&mut self, at: u64, address: Address) -> Option<Action> {
        let everybody = self.plan.setup.everybody.as_ref()?;
        let process = self.mesh.live(address).filter(|process| !process.is_daemon())?;
        let more = match process.machine.phase {
            Phase::Joining => everybody.until > Round(0),
            Phase::Seated => process.next_round() <= everybody.until,
            Phase::Draining | Phase::Leaving | Phase::Ended(_) => false,
        };
        let may = self.mesh.can_send(&self.plan.setup, address);
        if more {
            self.plan_call(at, address);
        }
        self.report.reduces += u64::from(may);
        may.then_some(Action::Send(address))
    }

    /// All give a value once more, and all are answered.
    pub(super) fn prove_reduce(&mut self) -> Result<(), Box<Failed>> {
        let next =
            self.mesh.applications().map(|(_, process)| process.next_round()).max().unwrap_or_default();
        // Nobody moves any more: the order of the values is known.
        self.plan.setup.faults.clone_from(&self.mesh.budget);
        self.reduce_until(next);
        self.bound = Some(self.bound());
        self.until_quiet()?;
        let answered = |(_, it): (_, &std::sync::Arc<crate::zip::Process>)| {
            it.machine.reduce.answered >= next && it.machine.reduce.missed == 0
        };
        if self.mesh.applications().all(answered) {
            Ok(())
        } else {
            Err(self.failed(Vec::new(), "all have given a value, and somebody has no answer"))
        }
    }
}

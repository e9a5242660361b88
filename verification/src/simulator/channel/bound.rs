//! How long it may take until a channel is quiet.

use cirrus_core::member;

use super::episode::Episode;
use super::plan::{Plan, micros};
use crate::zip::Process;

/// How far it may go, and how far that has got it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) since: u64,
    pub(super) time: u64,
    pub(super) began: u64,
    pub(super) events: u64,
}

impl Episode {
    /// How far healing may go: every one who is dead may have to be found out after the one before, every round under
    /// way may have to go down the tree and its reports up, by roots that change as often as members die, and the
    /// boundary between two fan-outs may have to pass all members.
    pub(super) fn bound(&self) -> Bound {
        let Plan { setup, latency, lease, think, .. } = &self.plan;
        let tree = &self.mesh.controller.tree;
        // A controller that was restarted does not know them yet.
        let living = self.mesh.processes.iter().filter(|process| process.listens()).count() as u64;
        let members = (tree.everybody().count() as u64).max(living);
        // Neighbours that cannot reach each other are found out like dead ones.
        let leaves =
            |process: &Process| matches!(process.phase(), member::Phase::Draining | member::Phase::Leaving);
        let leaving = self.mesh.processes.iter().filter(|it| it.listens() && leaves(it)).count() as u64;
        let missing = members - self.mesh.staying().count() as u64;
        // One who leaves may be overdue, and is then found out like a dead one.
        let dead = missing + leaving + self.mesh.blocked.len() as u64 + 1;
        let verdict =
            micros(setup.controller.probe) + micros(setup.member.attach) + micros(setup.member.redial);
        let rounds = u64::from(setup.member.window + setup.member.buffer) + 8;
        let depth = u64::from(tree.depth()) + 2;
        let moves = if tree.reshapes_to().is_some() { members } else { 0 };
        let time = dead * 2 * (verdict + lease + 8 * latency.1)
            + rounds * (6 * depth * latency.1 + 2 * micros(setup.member.submission))
            // What may have been taken is kept until the controller has said that its handler is gone.
            + if setup.member.kind.is_handled() { rounds * (2 * micros(setup.member.handler) + verdict) } else { 0 }
            + moves * micros(setup.controller.reshape)
            + 2 * micros(setup.member.recontact_max)
            + micros(setup.member.drain)
            + 2 * micros(setup.controller.recovery);
        // Each of the first members may still be a wave through all.
        let joins = if self.plan.cold { u64::from(self.plan.members) * members * 3 } else { 0 };
        let (time, events) = match &setup.beside {
            None => (time, 0),
            Some(plan) => {
                let limits = plan.limits();
                let missed = micros(limits.missing) + micros(limits.redial) + verdict;
                (time + (dead + 4) * 2 * (missed + think * 4 + 20 * latency.1), members * members * 200)
            }
        };
        let events = events
            + joins
            + 20_000
            + members * (100 + 20 * rounds + 8 * depth)
            + dead * (members + 200)
            + moves * 60;
        Bound { since: self.now, time, began: self.report.events, events }
    }
}

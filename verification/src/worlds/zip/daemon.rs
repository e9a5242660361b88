//! Machines whose lambdas have a daemon, get one, or lose it.

use std::sync::Arc;

use cirrus_core::channel::Tenancy;
use cirrus_core::ids::{ControllerEpoch, MemberId, Round};
use cirrus_core::member::Kind;

use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::system::Witness;
use crate::zip::{Fault, Mesh, Process};

/// Lambdas that live, on a machine whose daemon has died.
fn bereft(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
    mesh.applications().filter(|(_, process)| {
        let daemon = Tenancy::Daemon(process.machine.tenancy.machine());
        mesh.processes.iter().any(|it| it.machine.tenancy == daemon && !it.alive && it.machine.id.is_some())
    })
}

fn lodgers(mesh: &Mesh) -> impl Iterator<Item = &Arc<Process>> {
    let lodges = |(member, _): &(MemberId, _)| mesh.controller.tree.lodging(*member).is_some();
    mesh.applications().filter(lodges).map(|(_, process)| process)
}

fn has_half(process: &Process) -> bool {
    process.machine.broadcast.rounds.iter().any(|(_, held)| held.end.is_none() && !held.pieces.is_empty())
}

const THROUGH: Witness<Mesh> = Witness {
    name: "a round has come to a lambda through its daemon",
    seen: |mesh| lodgers(mesh).any(|it| it.machine.links.up().is_some() && !it.delivered.is_empty()),
};
const RESUMED: Witness<Mesh> = Witness {
    name: "a lambda has lost its daemon in the midst of a round, and goes on with it",
    seen: |mesh| bereft(mesh).any(|(_, it)| it.machine.links.up().is_some() && has_half(it)),
};
const HEIR: Witness<Mesh> = Witness {
    name: "a lambda reigns in the place of its daemon",
    seen: |mesh| bereft(mesh).any(|(_, it)| it.machine.broadcast.reign.is_some()),
};
const CONVERTED: Witness<Mesh> = Witness {
    name: "lambdas move in with a daemon in the midst of a round",
    seen: |mesh| lodgers(mesh).any(|it| it.machine.links.up().is_some() && has_half(it)),
};
const DAEMON_REIGNS: Witness<Mesh> = Witness {
    name: "a daemon reigns",
    seen: |mesh| mesh.staying().any(|(_, it)| it.is_daemon() && it.machine.broadcast.carried().is_some()),
};
const REFUSED: Witness<Mesh> = Witness {
    name: "a second daemon is refused",
    seen: |mesh| mesh.processes.iter().any(|it| it.is_daemon() && !it.alive && it.machine.id.is_none()),
};
const ANOTHER: Witness<Mesh> = Witness {
    name: "a machine gets another daemon",
    seen: |mesh| bereft(mesh).any(|(member, _)| mesh.controller.tree.lodging(member).is_some()),
};
const MACHINE_DEAD: Witness<Mesh> = Witness {
    name: "a lambda that died with its daemon is found out",
    seen: |mesh| {
        let dead = |it: &Process| !it.alive && !it.is_daemon();
        bereft(mesh).count() > 0
            && mesh.seats.keys().any(|member| {
                mesh.of(*member).is_some_and(|it| dead(it)) && !mesh.controller.tree.contains(*member)
            })
    },
};
const NAMED_NOT: Witness<Mesh> = Witness {
    name: "a result of all though a daemon has died in its midst",
    seen: |mesh| {
        let sealed = |(head, _): &(cirrus_core::channel::Head, bool)| {
            let seal = head.sealed.as_ref();
            seal.is_some_and(|seal| seal.missing.is_empty() && seal.census.count as usize == 3)
        };
        let tried = |it: &Process| it.machine.reduce.at.attempt > 0 || it.machine.reduce.at.round > Round(1);
        bereft(mesh).any(|(_, it)| tried(it) && it.delivered.iter().any(sealed))
    },
};
const DAEMON_RESTORED: Witness<Mesh> = Witness {
    name: "a restarted controller finds who lodges with whom",
    seen: |mesh| {
        let later = mesh.controller.tree.epoch() > ControllerEpoch(1) && mesh.controller.recovery.is_none();
        later && lodgers(mesh).any(|it| it.machine.links.up().is_some())
    },
};
const ORPHANED: Witness<Mesh> = Witness {
    name: "a restarted controller finds lambdas without their daemon",
    seen: |mesh| {
        let later = mesh.controller.tree.epoch() > ControllerEpoch(1) && mesh.controller.recovery.is_none();
        later && bereft(mesh).any(|(member, _)| mesh.controller.tree.place(member).is_some())
    },
};

/// The root alone on its machine, and two that lodge with a daemon: process 3.
const DAEMON: Small = Small {
    machines: &[0, 1, 1],
    daemons: &[1],
    sends: &[(0, 2)],
    faults: &[(Fault::Crash, 1)],
    mortal: &[3],
    prompt_links: true,
    prompt_control: true,
    witnesses: &[DELIVERED, THROUGH, RESUMED],
    ..SMALL
};
/// Anybody dies; one of the two sends.
const DAEMON_ANY: Small = Small {
    sends: &[(1, 2)],
    mortal: &[],
    witnesses: &[DELIVERED, THROUGH, RESUMED, SUCCEEDED, DAEMON_REIGNS],
    ..DAEMON
};
/// The daemon is the root.
const DAEMON_ROOT: Small = Small {
    members: 2,
    machines: &[1, 1],
    sends: &[(1, 2)],
    mortal: &[],
    witnesses: &[DELIVERED, THROUGH, RESUMED, HEIR, SUCCEEDED, CARRIED],
    ..DAEMON
};
/// The whole machine dies, the daemon and one of its lambdas, or the other one lives.
const DAEMON_MACHINE: Small = Small {
    faults: &[(Fault::Crash, 2)],
    mortal: &[1, 3],
    sends: &[(0, 1)],
    witnesses: &[DELIVERED, MACHINE_DEAD],
    ..DAEMON
};
/// A daemon comes while a round is under way.
const COMES: Small = Small {
    daemons: &[],
    faults: &[(Fault::Daemon, 1)],
    mortal: &[],
    witnesses: &[DELIVERED, CONVERTED],
    ..DAEMON
};
/// It takes the place of the root.
const COMES_ROOT: Small = Small {
    machines: &[1, 1],
    sends: &[(2, 2)],
    witnesses: &[DELIVERED, CONVERTED, DAEMON_REIGNS, SUCCEEDED],
    ..COMES
};
/// The daemon dies and another one comes, perhaps too early.
const AGAIN: Small = Small {
    machines: &[1, 1],
    members: 2,
    sends: &[(0, 2)],
    mortal: &[2],
    faults: &[(Fault::Daemon, 2), (Fault::Crash, 1)],
    witnesses: &[DELIVERED, REFUSED, ANOTHER],
    ..DAEMON
};
/// Two links to one daemon do not come about, and go by relay.
const DAEMON_RELAY: Small = Small {
    faults: &[(Fault::Block, 1)],
    mortal: &[],
    sends: &[(0, 1)],
    witnesses: &[DELIVERED, RELAYED],
    ..DAEMON
};
const SUM_DAEMON: Small = Small {
    kind: Kind::Reduce,
    sends: &[(0, 2), (1, 2), (2, 2)],
    mortal: &[],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, NAMED_NOT],
    ..DAEMON
};
/// A strict reduce has a result if only a daemon has died.
const SUM_DAEMON_STRICT: Small = Small {
    strict: true,
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)],
    mortal: &[3],
    witnesses: &[DELIVERED, NAMED_NOT],
    ..SUM_DAEMON
};
/// The daemon is the root, and has one below it beside those who lodge with it.
const SUM_DAEMON_ROOT: Small = Small {
    machines: &[1, 2, 1],
    sends: &[(0, 1), (1, 1), (2, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HEIR],
    ..SUM_DAEMON
};
const SUM_COMES: Small = Small {
    daemons: &[],
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Daemon, 1)],
    mortal: &[],
    witnesses: &[DELIVERED, SPOILED],
    ..SUM_DAEMON
};
/// A deadline passes: a daemon is not late.
const LATE_DAEMON: Small = Small {
    quorum: Some(1),
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Hurry, 1), (Fault::Crash, 1)],
    mortal: &[3],
    witnesses: &[DELIVERED, LATE_NAMED, LATE_TOLD],
    ..SUM_DAEMON
};
/// The daemon is the root.
const RESTART_DAEMON: Small = Small {
    members: 2,
    machines: &[1, 1],
    sends: &[(1, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
    mortal: &[2],
    witnesses: &[DELIVERED, DAEMON_RESTORED, ORPHANED],
    ..DAEMON
};
/// A daemon comes, and those who move in with it do not all hear of it.
const RESTART_COMES: Small = Small {
    sends: &[],
    faults: &[(Fault::Restart, 1), (Fault::Daemon, 1)],
    witnesses: &[DAEMON_RESTORED],
    ..COMES
};
/// Who has lost only a daemon has lost no value, whoever has forgotten it.
const SUM_RESTART_DAEMON: Small = Small {
    kind: Kind::Reduce,
    strict: true,
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
    witnesses: &[DELIVERED, DAEMON_RESTORED, ORPHANED],
    ..DAEMON
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-daemon", "a daemon dies in the midst of a round", (10_261, 34), DAEMON),
        world!("zip-daemon-any", "a machine has a daemon, somebody dies", (22_741, 45), DAEMON_ANY),
        world!("zip-daemon-root", "a daemon is the root, somebody dies", (1_329, 27), DAEMON_ROOT),
        world!("zip-daemon-machine", "a daemon and one of its lambdas die", (23_588, 34), DAEMON_MACHINE),
        world!("zip-daemon-comes", "a daemon comes in the midst of a round", (12_706, 30), COMES),
        world!("zip-daemon-comes-root", "a daemon comes to the root's machine", (45_608, 55), COMES_ROOT),
        world!("zip-daemon-again", "a daemon dies, and others come", (36_324, 51), AGAIN),
        world!("zip-daemon-relay", "a daemon is not to be reached", (2_504, 25), DAEMON_RELAY),
        world!("sum-daemon", "a reduce, a machine has a daemon, somebody dies", (15_083, 38), SUM_DAEMON),
        world!("sum-daemon-strict", "two strict reduces, a daemon dies", (56_292, 47), SUM_DAEMON_STRICT),
        world!(
            "sum-daemon-root",
            "a reduce, a daemon is the root, somebody dies",
            (8_159, 32),
            SUM_DAEMON_ROOT
        ),
        world!("sum-daemon-comes", "a reduce, a daemon comes", (18_168, 37), SUM_COMES),
        world!("late-daemon", "a reduce with a deadline, a daemon dies", (85_595, 39), LATE_DAEMON),
        world!(
            "zip-restart-daemon",
            "the controller is restarted, a daemon dies",
            (5_462, 24),
            RESTART_DAEMON
        ),
        world!(
            "zip-restart-comes",
            "the controller is restarted, a daemon comes",
            (6_192, 22),
            RESTART_COMES
        ),
        world!(
            "sum-restart-daemon",
            "a strict reduce, the controller is restarted, a daemon dies",
            (74_969, 37),
            SUM_RESTART_DAEMON
        ),
    ]
}

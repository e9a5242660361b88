//! The controller is restarted.

use std::sync::Arc;

use cirrus_core::channel::ToController;
use cirrus_core::controller;
use cirrus_core::ids::{ControllerEpoch, MemberId};
use cirrus_core::member::{self, Kind, Phase};

use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::system::Witness;
use crate::zip::{Action, Address, Fault, Mesh, Process, Timer, Wire};

/// The controller is in a later life than its first.
fn is_restarted(mesh: &Mesh) -> bool {
    mesh.controller.tree.epoch() > ControllerEpoch(1)
}
/// A member knows a version of a later life than the first.
fn is_of_later_life(process: &Process) -> bool {
    process.machine.version.0.epoch > ControllerEpoch(1)
}
/// Who has called a restarted controller.
fn claims(mesh: &Mesh) -> impl Iterator<Item = &controller::recovery::Claim<Address>> {
    let recovery = mesh.controller.recovery.iter();
    recovery.flat_map(|recovery| recovery.claims.iter().map(|(_, claim)| claim))
}
const CONTESTED: Witness<Mesh> = Witness {
    name: "two register for one place",
    seen: |mesh| {
        let place = |claim: &controller::recovery::Claim<Address>| claim.registration.place;
        claims(mesh)
            .any(|one| claims(mesh).any(|other| one.member != other.member && place(one) == place(other)))
    },
};
pub(super) const RESTARTED: Witness<Mesh> = Witness {
    name: "a restarted controller has its members again",
    seen: |mesh| is_restarted(mesh) && members(mesh).count() > 1,
};
const UNDISTURBED: Witness<Mesh> = Witness {
    name: "a round goes on while the controller is restarted",
    seen: |mesh| {
        let open = |it: &Process| it.machine.broadcast.rounds.iter().any(|(_, held)| held.end.is_none());
        let same = |it: &Process| it.machine.broadcast.term().0.epoch == ControllerEpoch(1);
        mesh.controller.recovery.is_some() && mesh.processes.iter().any(|it| open(it) && same(it))
    },
};
const UNANSWERED: Witness<Mesh> = Witness {
    name: "one has found nobody twice, while a round goes on",
    seen: |mesh| {
        let again = |it: &Arc<Process>| it.machine.contact.losses > 2;
        let open = |it: &Arc<Process>| it.machine.broadcast.rounds.iter().any(|(_, held)| held.end.is_none());
        mesh.processes.iter().any(again) && mesh.processes.iter().any(open)
    },
};
const STALE: Witness<Mesh> = Witness {
    name: "a member registers that has not heard where it was moved",
    seen: |mesh| {
        claims(mesh).any(|above| {
            above.registration.children.iter().any(|edge| {
                let below = claims(mesh).find(|claim| claim.member == edge.member);
                let link = below.map(|claim| claim.registration.parent.map(|up| up.link));
                link.is_some_and(|link| link != Some(edge.link))
            })
        })
    },
};
const SILENT: Witness<Mesh> = Witness {
    name: "one who was silent is missed, and its place filled",
    seen: |mesh| {
        let restored = is_restarted(mesh) && mesh.controller.recovery.is_none();
        restored && members(mesh).count() > 0 && mesh.processes.iter().any(|it| !it.alive)
    },
};
const FORGOTTEN: Witness<Mesh> = Witness {
    name: "one who was declared dead calls a controller that has forgotten it",
    seen: |mesh| {
        let member = |claim: &controller::recovery::Claim<Address>| mesh.of(claim.member);
        let known = |process: &Arc<Process>| process.machine.broadcast.history.known;
        let newest = claims(mesh).filter_map(member).map(known).max();
        claims(mesh).any(|claim| Some(claim.registration.standing.term) < newest)
    },
};
const LATE: Witness<Mesh> = Witness {
    name: "one who calls after the window is fenced",
    seen: |mesh| {
        let fenced = |it: &Arc<Process>| it.machine.phase == Phase::Ended(member::End::Fenced);
        is_restarted(mesh)
            && mesh.processes.iter().any(fenced)
            && members(mesh).any(|(_, it)| is_of_later_life(it))
    },
};
const WAITS: Witness<Mesh> = Witness {
    name: "one who wants to join waits for the members of before",
    seen: |mesh| mesh.controller.recovery.as_ref().is_some_and(|recovery| !recovery.joins.is_empty()),
};
const BEHIND: Witness<Mesh> = Witness {
    name: "one who was declared dead, and was forgotten, finds out by itself",
    seen: |mesh| {
        let ended = |it: &Arc<Process>| it.machine.phase == Phase::Ended(member::End::Fenced);
        let leaves = |it: &Arc<Process>| it.control.up.contains(&ToController::Leave);
        is_restarted(mesh) && mesh.processes.iter().any(|it| ended(it) && leaves(it))
    },
};
const HALF_WAITS: Witness<Mesh> = Witness {
    name: "one of whom half a broadcast waits is dead when the controller has forgotten it",
    seen: |mesh| {
        let waits = |it: &Process, dead: MemberId| {
            let waiting = it.machine.broadcast.reign.iter().flat_map(|reign| reign.waiting.iter());
            waiting.into_iter().any(|waiting| waiting.origin.member == dead && !waiting.whole)
        };
        let dead = mesh.processes.iter().filter(|it| !it.alive).filter_map(|it| it.machine.id);
        let mut half = dead.filter(|member| mesh.processes.iter().any(|it| waits(it, *member)));
        mesh.controller.recovery.is_some() && half.next().is_some()
    },
};
const RELAY_KEPT: Witness<Mesh> = Witness {
    name: "a link by relay outlives the controller that gave it",
    seen: |mesh| {
        let relay = |wire: &Arc<Wire>| wire.relay && wire.child_end == wire.parent_end;
        is_restarted(mesh) && mesh.controller.recovery.is_none() && mesh.wires.values().any(relay)
    },
};

/// The link between two breaks, one reports it too early, and the other one does not answer in time.
pub(super) fn declared_dead(mesh: &Mesh, victim: Address, reporter: Address) -> Option<Action> {
    let member = mesh.processes[victim as usize].machine.id?;
    let record = mesh.controller.record(member)?; // It is declared dead when there is none any more.
    let joins = |wire: &Wire| [(victim, reporter), (reporter, victim)].contains(&(wire.child, wire.parent));
    let (link, wire) = mesh.wires.iter().find(|(_, wire)| joins(wire))?;
    let attach = Timer::Member(reporter, member::Timer::Attach(*link));
    let probe = record.probe.map(|probe| Timer::Controller(controller::Timer::Probe(member, probe)));
    Some(match probe {
        Some(probe) => Action::Hasten(probe),
        None if !mesh.processes[reporter as usize].control.up.is_empty() => Action::Say(reporter),
        None if mesh.timers.contains(&attach) => Action::Hasten(attach),
        None if !wire.broken => Action::Break(*link, false),
        None if wire.child == reporter => Action::Down(*link),
        None => Action::Up(*link),
    })
}
fn root_declared_dead(mesh: &Mesh) -> Option<Action> {
    declared_dead(mesh, 0, 1)
}
pub(super) fn leaf_declared_dead(mesh: &Mesh) -> Option<Action> {
    declared_dead(mesh, 2, 0)
}

const RESTART: Small = Small {
    sends: &[(1, 2)],
    faults: &[(Fault::Restart, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, RESTARTED, UNDISTURBED],
    ..SMALL
};
const RESTART_TWICE: Small = Small {
    members: 2,
    sends: &[(1, 1)],
    faults: &[(Fault::Restart, 2)],
    witnesses: &[DELIVERED, RESTARTED],
    ..RESTART
};
/// Its members call before it is there.
const RESTART_UNANSWERED: Small = Small {
    members: 2,
    sends: &[(1, 2)],
    faults: &[(Fault::Restart, 1), (Fault::Unanswered, 2)],
    witnesses: &[DELIVERED, RESTARTED, UNANSWERED],
    ..RESTART
};
/// One dies, and another one does not hear that it is moved: one is silent, one is stale.
pub(super) const RESTART_CRASH: Small = Small {
    sends: &[(2, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
    witnesses: &[DELIVERED, RESTARTED, SUCCEEDED, CARRIED, STALE, SILENT],
    ..RESTART
};
/// Two change places, and one of them does not hear of it.
const RESTART_EXPIRE: Small = Small {
    sends: &[],
    faults: &[(Fault::Restart, 1), (Fault::Expire, 1)],
    witnesses: &[RESTARTED, STALE, CONTESTED],
    ..RESTART
};
/// The root is declared dead that lives, and the controller forgets it.
const RESTART_FORGETS: Small = Small {
    sends: &[(0, 1)],
    prologue: root_declared_dead,
    witnesses: &[DELIVERED, RESTARTED, SUCCEEDED, FORGOTTEN, FENCED, DEPOSED],
    ..RESTART
};
/// The same with a leaf: what is everybody's meanwhile is not its own.
const RESTART_LEAF: Small = Small {
    sends: &[(1, 1)],
    prologue: leaf_declared_dead,
    witnesses: &[DELIVERED, RESTARTED, BEHIND],
    ..RESTART_FORGETS
};
/// The same, and another one sends as well.
pub(super) const FORGETS_TWO: Small = Small { sends: &[(0, 1), (2, 1)], ..RESTART_FORGETS };
/// The window ends too early for some.
const RESTART_EARLY: Small = Small {
    sends: &[(2, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Suspect, 1)],
    witnesses: &[DELIVERED, RESTARTED, LATE],
    ..RESTART
};
const RESTART_JOIN: Small = Small {
    members: 2,
    sends: &[(1, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Join, 1)],
    witnesses: &[DELIVERED, RESTARTED, WAITS],
    ..RESTART
};
const RESTART_LEAVE: Small = Small {
    sends: &[(1, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Leave, 1)],
    witnesses: &[DELIVERED, RESTARTED, SUCCEEDED, LEFT],
    ..RESTART
};
/// A sender dies whose broadcast waits behind another one, and the controller forgets it.
const RESTART_SENDER: Small = Small {
    sends: &[(1, 2), (2, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
    mortal: &[1],
    prompt_control: true,
    witnesses: &[DELIVERED, RESTARTED, HALF_WAITS],
    ..RESTART
};
/// Two cannot reach each other.
const RESTART_RELAY: Small = Small {
    sends: &[(2, 1)],
    faults: &[(Fault::Restart, 1), (Fault::Block, 1)],
    prompt_control: true,
    witnesses: &[DELIVERED, RESTARTED, RELAYED, RELAY_KEPT],
    ..RESTART
};
const RESTART_SUM: Small = Small {
    kind: Kind::Reduce,
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::Restart, 1), (Fault::Crash, 1)],
    witnesses: &[DELIVERED, RESTARTED, SUCCEEDED, SPOILED, SUMMED_WITHOUT],
    ..RESTART
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-restart", "the controller is restarted", (13_949, 27), RESTART),
        world!("zip-restart-twice", "the controller is restarted twice", (1_278, 21), RESTART_TWICE),
        world!(
            "zip-restart-calls",
            "a controller is called that is not there",
            (3_765, 21),
            RESTART_UNANSWERED
        ),
        world!(
            "zip-restart-crash",
            "the controller is restarted, a member dies",
            (227_007, 52),
            RESTART_CRASH
        ),
        world!("zip-restart-expire", "the controller is restarted, two swap", (30_336, 101), RESTART_EXPIRE),
        world!(
            "zip-restart-forgets",
            "the controller forgets a wrong verdict",
            (198_093, 53),
            RESTART_FORGETS
        ),
        world!(
            "zip-restart-leaf",
            "the controller forgets a wrong verdict on a leaf",
            (31_688, 52),
            RESTART_LEAF
        ),
        world!("zip-restart-early", "the controller does not wait for all", (38_692, 41), RESTART_EARLY),
        world!("zip-restart-join", "the controller is restarted, one joins", (27_492, 38), RESTART_JOIN),
        world!("zip-restart-leave", "the controller is restarted, one leaves", (100_520, 52), RESTART_LEAVE),
        world!("zip-restart-sender", "a sender dies, and is forgotten", (59_206, 37), RESTART_SENDER),
        world!(
            "zip-restart-relay",
            "the controller is restarted, a relay stays",
            (16_978, 25),
            RESTART_RELAY
        ),
        world!("sum-restart", "a reduce, the controller is restarted, one dies", (124_582, 53), RESTART_SUM),
    ]
}

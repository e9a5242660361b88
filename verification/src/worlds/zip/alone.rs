//! Members on their own: a root that was replaced and cannot be told so, and one who wants to leave and is not let go.

use cirrus_core::member::{self, Kind, Phase, Reduction};

use super::recovery::declared_dead;
use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::system::Witness;
use crate::zip::{Action, Fault, Mesh, Process};

/// Beside the new root there is one that was replaced, and a member that still reaches only that one. Neither hears the
/// controller.
fn cut_off(mesh: &Mesh) -> Option<Action> {
    let cut = |address: usize| mesh.processes[address].control.cut;
    let dead = mesh.processes[0].machine.id.is_some_and(|root| !mesh.controller.tree.contains(root));
    if dead {
        return None;
    }
    let next = (0..2).find(|address| !cut(*address as usize));
    next.map(Action::BreakControl).or_else(|| declared_dead(mesh, 0, 2))
}

/// The process of a root that was replaced, as long as it does not know.
fn deposed(mesh: &Mesh) -> Option<&Process> {
    let root = &mesh.processes[0];
    let id = root.machine.id.filter(|id| !mesh.controller.tree.contains(*id))?;
    (root.listens() && root.machine.broadcast.reign.is_some() && mesh.of(id).is_some()).then_some(root)
}

const NUMBERS_ON: Witness<Mesh> = Witness {
    name: "a root that was replaced numbers what one who reaches it sends",
    seen: |mesh| {
        deposed(mesh).is_some_and(|root| {
            let rounds = &root.machine.broadcast.rounds;
            let of_other = |member| mesh.of(member).is_some_and(|it| it.machine.address == 1);
            rounds.iter().any(|(_, held)| held.head.origin.is_some_and(|it| of_other(it.member)))
        })
    },
};
const STOPS: Witness<Mesh> = Witness {
    name: "it stops by itself, a window further on",
    seen: |mesh| {
        let reign = deposed(mesh).and_then(|root| root.machine.broadcast.reign.as_ref());
        reign.is_some_and(|reign| reign.started.0 == 1 && !reign.waiting.is_empty())
    },
};
const ADOPTED: Witness<Mesh> = Witness {
    name: "what it had begun by then goes on under the new root",
    seen: |mesh| {
        let term = mesh.controller.reign.map(|reign| reign.term);
        mesh.staying().count() == 2
            && mesh
                .staying()
                .all(|(_, it)| it.delivered.iter().any(|(head, whole)| *whole && Some(head.id.term) < term))
    },
};
const UNFINISHED: Witness<Mesh> = Witness {
    name: "one has left at its deadline, and its broadcast is indeterminate",
    seen: |mesh| {
        mesh.processes.iter().any(|it| {
            let unknown = |(_, outcome): &(_, member::Outcome)| *outcome == member::Outcome::Indeterminate;
            it.machine.phase == Phase::Ended(member::End::Overdue) && it.outcomes.iter().any(unknown)
        })
    },
};
const ROOT_UNFINISHED: Witness<Mesh> = Witness {
    name: "a root has left at its deadline, and another one goes on",
    seen: |mesh| {
        let overdue = mesh.processes[0].machine.phase == Phase::Ended(member::End::Overdue);
        overdue && (SUCCEEDED.seen)(mesh)
    },
};
const UNHEARD: Witness<Mesh> = Witness {
    name: "nobody has heard that one leaves, and it is missed",
    seen: |mesh| {
        mesh.processes.iter().any(|it| {
            let overdue = it.machine.phase == Phase::Ended(member::End::Overdue);
            let record = it.machine.id.and_then(|member| mesh.controller.record(member));
            overdue && record.is_some_and(|record| record.probe.is_some())
        })
    },
};
const GIVES_UP: Witness<Mesh> = Witness {
    name: "one whose value nobody waits for has left at its deadline",
    seen: |mesh| {
        mesh.processes.iter().any(|it| {
            let unknown = |(_, outcome): &(_, Reduction)| *outcome == Reduction::Indeterminate;
            it.machine.phase == Phase::Ended(member::End::Overdue) && it.reduced.iter().any(unknown)
        })
    },
};

pub(super) const CUT_OFF: Small = Small {
    sends: &[(1, 1), (0, 1)],
    prologue: cut_off,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, DEPOSED, FENCED, NUMBERS_ON, STOPS, ADOPTED],
    ..SMALL
};
pub(super) const OVERDUE: Small = Small {
    sends: &[(1, 2)],
    faults: &[(Fault::Leave, 1), (Fault::Overdue, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, UNFINISHED, ROOT_UNFINISHED, VOID],
    ..SMALL
};
const OVERDUE_UNHEARD: Small = Small {
    members: 2,
    sends: &[(1, 1)],
    faults: &[(Fault::Leave, 1), (Fault::Overdue, 1), (Fault::BreakControl, 1)],
    witnesses: &[UNHEARD],
    ..OVERDUE
};
/// Only one gives a value, and wants to leave.
const OVERDUE_SUM: Small = Small {
    kind: Kind::Reduce,
    sends: &[(1, 1)],
    faults: &[(Fault::Leave, 1)],
    witnesses: &[GIVES_UP],
    ..SMALL
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-cut-off", "a root is replaced that cannot be told so", (108_040, 48), CUT_OFF),
        world!("zip-overdue", "one leaves and takes too long", (16_960, 43), OVERDUE),
        world!(
            "zip-overdue-cut",
            "one leaves too late, and nobody hears of it",
            (5_430, 23),
            OVERDUE_UNHEARD
        ),
        world!("sum-overdue", "one gives a value and leaves, the others give none", (766, 28), OVERDUE_SUM),
    ]
}

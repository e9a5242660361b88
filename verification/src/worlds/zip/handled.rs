//! Reduces whose results one member handles.

use cirrus_core::channel::Failure;
use cirrus_core::ids::MemberId;
use cirrus_core::member::{Kind, Line, Reduction};

use super::recovery::{RESTARTED, leaf_declared_dead};
use super::reduce::SUM;
use super::witnesses::*;
use super::{Small, World, system};
use crate::system::Witness;
use crate::zip::{Fault, Mesh, Process};

fn kept(process: &Process) -> Option<Option<MemberId>> {
    process.machine.reduce.kept.as_ref().filter(|_| process.alive).map(|kept| kept.offered)
}

fn gone(mesh: &Mesh, member: MemberId) -> bool {
    mesh.of(member).is_none_or(|process| !process.listens())
}

const HANDED: Witness<Mesh> = Witness {
    name: "a handler has a result before anybody knows of it",
    seen: |mesh| {
        let first = |it: &Process| it.results.iter().any(|round| it.machine.reduce.answered <= *round);
        mesh.processes.iter().any(|it| first(it)) && mesh.processes.iter().any(|it| kept(it).is_some())
    },
};
const HANDLER_DEAD: Witness<Mesh> = Witness {
    name: "a handler is dead that may have taken a result",
    seen: |mesh| {
        mesh.processes.iter().any(|it| kept(it).flatten().is_some_and(|handler| gone(mesh, handler)))
    },
};
const TAKEN_CARRIED: Witness<Mesh> = Witness {
    name: "a root dies, and a result goes on that its handler has taken",
    seen: |mesh| {
        let sealed = |it: &Process| it.reduced.iter().any(|(_, told)| matches!(told, Reduction::Sealed(_)));
        let replaced = |it: &Process| it.machine.broadcast.term().0.serial > 2 && sealed(it);
        mesh.staying().any(|(_, it)| replaced(it)) && !mesh.processes[0].alive
    },
};
const UNHANDLED: Witness<Mesh> = Witness {
    name: "a result is given up for which nobody comes",
    seen: |mesh| {
        let failed = |(_, told): &(_, _)| matches!(told, Reduction::Failed(Failure::Unhandled, _));
        members(mesh).all(|(_, it)| it.reduced.iter().any(failed))
    },
};
const INHERITED: Witness<Mesh> = Witness {
    name: "the next handler has a result that was kept for it",
    seen: |mesh| {
        let late = |it: &Process| {
            let me = it.machine.id.map(|member| member.stamp);
            it.delivered.iter().any(|(head, _)| me > Some(head.cut) && it.results.contains(&head.id.round))
        };
        members(mesh).any(|(_, it)| late(it))
    },
};
const REFUSED: Witness<Mesh> = Witness {
    name: "a second handler is refused",
    seen: |mesh| {
        let first = mesh.controller.handler.is_some_and(|handler| !gone(mesh, handler));
        let refused = |it: &Process| !it.alive && it.machine.id.is_none() && it.machine.role.receives();
        first && mesh.controller.recovery.is_none() && mesh.processes.iter().any(|it| refused(it))
    },
};
const SUCCESSOR: Witness<Mesh> = Witness {
    name: "one that was declared dead and forgotten comes back, and has a successor",
    seen: |mesh| {
        let handlers = mesh.processes.iter().filter(|it| it.listens() && it.machine.role.receives());
        mesh.controller.recovery.is_some() && handlers.filter(|it| it.machine.id.is_some()).count() > 1
    },
};

const FULL_AND_AWAY: Witness<Mesh> = Witness {
    name: "a handler is away that has had a result and has no room for more",
    seen: |mesh| {
        let away = |it: &Process| {
            let rounds = &it.machine.broadcast;
            let full =
                rounds.rounds.iter().any(|(round, _)| *round > rounds.floor() && *round <= rounds.taken);
            full && rounds.sender.line != Line::Up && it.machine.role.receives()
        };
        members(mesh).any(|(_, it)| away(it)) && mesh.processes.iter().any(|it| kept(it).flatten().is_some())
    },
};

const HANDLED: Small = Small {
    kind: Kind::Handled,
    handlers: &[2],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, HANDED],
    ..SUM
};
const CRASH: Small = Small {
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::Crash, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HANDED, HANDLER_DEAD, TAKEN_CARRIED, UNHANDLED],
    ..HANDLED
};
const BREAK: Small = Small {
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::BreakDirect, 1), (Fault::Impatient, 1)],
    witnesses: &[DELIVERED, HANDED],
    ..HANDLED
};
/// The root handles them itself, or who becomes root does.
const ROOT: Small = Small {
    handlers: &[0],
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Crash, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, UNHANDLED],
    ..HANDLED
};
/// The root dies when the handler alone has the result, and the next one fetches it there. Then there is another round.
const PULLED: Small = Small {
    handlers: &[1],
    sends: &[(0, 1), (1, 1), (2, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Crash, 1)],
    mortal: &[0],
    witnesses: &[DELIVERED, SUCCEEDED, HANDED, TAKEN_CARRIED],
    ..HANDLED
};
/// A result comes straight from the root, and the news that the one before is everybody's by way of the tree.
const TIGHT: Small = Small {
    buffer: 0,
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)],
    witnesses: &[DELIVERED, HANDED],
    ..HANDLED
};
/// The connection between the root and the handler breaks, perhaps when the handler has just had what it has room for.
const TIGHT_BREAK: Small =
    Small { faults: &[(Fault::BreakDirect, 1)], witnesses: &[DELIVERED, HANDED, FULL_AND_AWAY], ..TIGHT };
/// One leaves, the handler perhaps.
const LEAVES: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1)],
    faults: &[(Fault::Leave, 1)],
    witnesses: &[DELIVERED, HANDED, LEFT],
    ..HANDLED
};
/// The handler dies, and another one comes; or comes too early.
const NEXT: Small = Small {
    members: 2,
    handlers: &[1, 2],
    sends: &[(0, 1), (1, 1)],
    faults: &[(Fault::Crash, 1), (Fault::Join, 1)],
    mortal: &[1],
    witnesses: &[DELIVERED, HANDLER_DEAD, UNHANDLED, INHERITED, REFUSED],
    ..HANDLED
};
/// The handler dies, and the next one, far from the root, gets what was kept for it before it hears that it is counted.
const NEWCOMER: Small = Small {
    members: 3,
    fan_out: 1,
    handlers: &[2, 3],
    mortal: &[2],
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (3, 1)],
    prompt_links: false,
    witnesses: &[DELIVERED, HANDLER_DEAD, INHERITED],
    ..NEXT
};
/// A handler is declared dead that lives, another one comes, and the controller forgets it.
const RESTART: Small = Small {
    handlers: &[2, 3],
    sends: &[],
    prologue: leaf_declared_dead,
    faults: &[(Fault::Restart, 1), (Fault::Join, 1)],
    prompt_control: false,
    witnesses: &[RESTARTED, SUCCESSOR],
    ..HANDLED
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("handled", "two reduces for one", (304, 30), HANDLED),
        world!("handled-crash", "a reduce for one, a member dies", (2_156, 26), CRASH),
        world!("handled-break", "a reduce for one that is away", (426, 22), BREAK),
        world!("handled-root", "a reduce for the root, a member dies", (969, 21), ROOT),
        world!("handled-pulled", "two reduces for one, the root dies", (4_698, 36), PULLED),
        world!("handled-tight", "two reduces for one that keeps one round", (245, 27), TIGHT),
        world!(
            "handled-tight-break",
            "two reduces for one that keeps one round and is away",
            (1_232, 31),
            TIGHT_BREAK
        ),
        world!("handled-leaves", "two reduces for one, somebody leaves", (575, 27), LEAVES),
        world!("handled-next", "a reduce for one or for the next", (390, 22), NEXT),
        world!("handled-newcomer", "two reduces for one or for the next", (774_042, 55), NEWCOMER),
        world!(
            "handled-restart",
            "the controller forgets that a handler has a successor",
            (188_108, 117),
            RESTART
        ),
    ]
}

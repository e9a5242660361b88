//! What must be seen where members exchange messages.

use cirrus_core::direct;
use cirrus_core::ids::MemberId;
use cirrus_core::member::{End, Line, Phase};
use cirrus_core::messages::{Outcome, Talk};

use crate::system::Witness;
use crate::zip::beside::messages::{Piece, Talking};
use crate::zip::{Beside, Mesh, Process, Timer};

/// The processes' messages, and who they are.
fn all(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Talking)> {
    mesh.processes.iter().filter_map(|it| Some((it.machine.id?, it.beside.as_ref()?.messages()?)))
}

/// The calls about others that are under way: about whom.
fn talks(mesh: &Mesh) -> impl Iterator<Item = (&Talking, MemberId, &Talk<Piece>)> {
    all(mesh).flat_map(|(_, it)| it.machine.talks.iter().map(move |(about, talk)| (it, *about, talk)))
}

fn dead(mesh: &Mesh, member: MemberId) -> bool {
    mesh.of(member).is_some_and(|process| !process.listens())
}

/// Whether a process asks for the roll.
fn asks(process: &Process) -> bool {
    process.beside.as_ref().and_then(Beside::talks).is_some_and(|it| it.asked)
}

pub(super) const TALKED: Witness<Mesh> = Witness {
    name: "a message is delivered, and its sender knows",
    seen: |mesh| all(mesh).any(|(_, it)| it.outcomes.iter().any(|(_, it)| *it == Outcome::Delivered)),
};
pub(super) const EARLY: Witness<Mesh> = Witness {
    name: "parts have come before anybody asks",
    seen: |mesh| {
        all(mesh).any(|(_, it)| {
            let mut peers = it.machine.lines.peers.iter();
            peers.any(|(from, peer)| !peer.inbox.items.is_empty() && it.waits_for(*from) == 0)
        })
    },
};
pub(super) const HELD_BACK: Witness<Mesh> = Witness {
    name: "parts wait for room at the receiver",
    seen: |mesh| {
        let held = |(_, it): (MemberId, &Talking)| {
            let mut peers = it.machine.lines.peers.iter();
            peers.any(|(_, peer)| peer.out.sent.is_some_and(|sent| sent < peer.out.items.len()))
        };
        all(mesh).any(held)
    },
};
pub(super) const HALF_BROKEN: Witness<Mesh> = Witness {
    name: "a connection breaks in the midst of a message",
    seen: |mesh| {
        let down = |it: &Talking, from| it.machine.lines.peers.get(&from).is_some_and(|it| !it.inbox.up);
        talks(mesh).any(|(it, from, talk)| !talk.pieces.is_empty() && down(it, from))
    },
};
pub(super) const HALF_LOST: Witness<Mesh> = Witness {
    name: "a sender is dead of whom half a message has come",
    seen: |mesh| talks(mesh).any(|(_, from, talk)| !talk.pieces.is_empty() && dead(mesh, from)),
};
pub(super) const TOLD_GONE: Witness<Mesh> = Witness {
    name: "one who waited is told that the other is gone",
    seen: |mesh| all(mesh).any(|(_, it)| it.got.iter().any(|(_, pieces)| pieces.is_none())),
};
pub(super) const SILENT: Witness<Mesh> = Witness {
    name: "one waits for another that is silent, and asks now and then whether it is there",
    seen: |mesh| {
        let asks = |timer: &Timer| matches!(timer, Timer::Beside(_, direct::Timer::Silence));
        let mut clocks = mesh.timers.iter().filter(|timer| matches!(timer, Timer::Beside(..)));
        let quiet = clocks.all(asks);
        let up = |it: &Talking, of| it.machine.lines.peers.get(&of).is_some_and(|it| it.out.line == Line::Up);
        quiet && talks(mesh).any(|(it, of, talk)| talk.wanted > 0 && up(it, of) && !dead(mesh, of))
    },
};
pub(super) const LOST: Witness<Mesh> = Witness {
    name: "a message is lost with its receiver",
    seen: |mesh| all(mesh).any(|(_, it)| it.outcomes.iter().any(|(_, it)| *it == Outcome::Lost)),
};
pub(super) const HAD_IT: Witness<Mesh> = Witness {
    name: "a message is called lost that its receiver had",
    seen: |mesh| {
        all(mesh).any(|(me, it)| {
            let had = |to| mesh.of(to).and_then(|it| it.beside.as_ref()?.messages());
            let had = |to| had(to).map_or(0, |it| it.got_from(me).count());
            let known = |to| it.outcomes_of(to).filter(|it| *it == Outcome::Delivered).count();
            it.outcomes.iter().any(|(to, outcome)| *outcome == Outcome::Lost && had(*to) > known(*to))
        })
    },
};
pub(super) const STRANGER: Witness<Mesh> = Witness {
    name: "one calls who is in no roll yet",
    seen: |mesh| all(mesh).any(|(_, it)| it.machine.asked && !it.machine.lines.strangers.is_empty()),
};
pub(super) const DRAINED: Witness<Mesh> = Witness {
    name: "one has left after its message was delivered",
    seen: |mesh| {
        let left = |it: &Talking| it.machine.phase == Phase::Ended(End::Left) && !it.outcomes.is_empty();
        all(mesh).any(|(_, it)| left(it))
    },
};
pub(super) const ASKED_IN_VAIN: Witness<Mesh> = Witness {
    name: "the roll is called by one whom the controller does not hear",
    seen: |mesh| mesh.processes.iter().any(|it| it.control.cut && asks(it)),
};
pub(super) const ASKED_A_NEW_ONE: Witness<Mesh> = Witness {
    name: "the roll is called while a new controller waits for its members",
    seen: |mesh| mesh.controller.recovery.is_some() && mesh.processes.iter().any(|it| asks(it)),
};
pub(super) const REFUSED: Witness<Mesh> = Witness {
    name: "one is refused as gone whom the controller knows again",
    seen: |mesh| {
        let member = |address: u32| mesh.live(address).and_then(|it| it.machine.id);
        let known = |address| member(address).is_some_and(|it| mesh.controller.tree.contains(it));
        mesh.pipes.iter().any(|((caller, _), pipe)| pipe.refused && known(*caller))
    },
};

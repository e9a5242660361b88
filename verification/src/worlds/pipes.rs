//! What must be seen of connections past the tree, whatever runs over them.

use cirrus_core::ids::{MemberId, Position};

use crate::system::Witness;
use crate::zip::beside::PeerView;
use crate::zip::{Address, Mesh, Pair};

/// What the called one of a pair knows of the caller.
fn seen_by_called(mesh: &Mesh, (caller, called): Pair) -> Option<PeerView> {
    let from = mesh.processes.get(caller as usize)?.machine.id?;
    mesh.live(called)?.beside.as_ref()?.peer(from)
}

/// What the caller knows of the called one.
fn seen_by_caller(mesh: &Mesh, (caller, called): Pair) -> Option<PeerView> {
    seen_by_called(mesh, (called, caller))
}

pub(super) const STANDS_STILL: Witness<Mesh> = Witness {
    name: "something is awaited of one that is gone, over a connection that stands",
    seen: |mesh| {
        let gone = |it: MemberId| !mesh.controller.tree.contains(it);
        let mut all = (0..).zip(&mesh.processes).filter(|(_, it)| it.listens());
        all.any(|(address, it)| {
            let awaits =
                |other| it.beside.as_ref().and_then(|it| it.peer(other)).is_some_and(|it| it.awaited);
            mesh.stands_still(address).filter_map(|it| it.machine.id).any(|it| gone(it) && awaits(it))
        })
    },
};
pub(super) const RESUMED: Witness<Mesh> = Witness {
    name: "a connection goes on from the middle",
    seen: |mesh| {
        mesh.pipes.iter().any(|(pair, pipe)| {
            let first = pipe.up.front();
            let middle = pipe.down.is_empty() && first.is_some_and(|(position, _)| *position > Position(0));
            let sender = seen_by_caller(mesh, *pair);
            middle && !pipe.broken && sender.is_some_and(|it| it.told && it.first > Position(0))
        })
    },
};
pub(super) const FENCED_CALLS: Witness<Mesh> = Witness {
    name: "one who is fenced calls one who knows it",
    seen: |mesh| {
        let lives = |address: Address| mesh.live(address).is_some();
        let knows = |pair: Pair| seen_by_called(mesh, pair).is_some_and(|it| it.gone);
        mesh.pipes.iter().any(|(pair, pipe)| pipe.dialling && lives(pair.0) && knows(*pair))
    },
};
pub(super) const REPEATED: Witness<Mesh> = Witness {
    name: "something is about to come that has come already",
    seen: |mesh| {
        mesh.pipes.iter().any(|(pair, pipe)| {
            let next = seen_by_called(mesh, *pair).map(|it| it.next);
            pipe.up.front().is_some_and(|(position, _)| next.is_some_and(|next| *position < next))
        })
    },
};

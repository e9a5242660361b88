//! Machines that become a chain, and a tree again, while rounds are under way.

use cirrus_core::ids::FanOut;
use cirrus_core::member::Kind;

use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::system::Witness;
use crate::zip::{Fault, Mesh, Process};

fn chained(mesh: &Mesh) -> bool {
    mesh.controller.tree.fan_out() == FanOut(1)
}

const CHAINED: Witness<Mesh> = Witness {
    name: "machines become a chain in the midst of a round",
    seen: |mesh| {
        let rounds = |it: &Process| !it.machine.broadcast.rounds.is_empty() || it.machine.reduce.sent > 0;
        chained(mesh) && members(mesh).any(|(_, it)| rounds(it))
    },
};
const TURNED: Witness<Mesh> = Witness {
    name: "a chain ends at the machine from which the values come",
    seen: |mesh| {
        let last = mesh.controller.tree.members().next_back().and_then(|last| mesh.of(last));
        chained(mesh) && last.is_some_and(|it| it.machine.tenancy.machine().0 == 2)
    },
};
const BEGUN: Witness<Mesh> = Witness {
    name: "a chain begins at the machine where values are handled",
    seen: |mesh| {
        let root = mesh.controller.tree.root().and_then(|root| mesh.of(root));
        chained(mesh) && root.is_some_and(|it| it.machine.tenancy.machine().0 == 2)
    },
};
const BACK: Witness<Mesh> = Witness {
    name: "a chain was given up, and its rounds go on",
    seen: |mesh| {
        let known = mesh.controller.pacing.as_ref();
        let back = known.is_some_and(|it| it.chain.is_some()) && !chained(mesh);
        back && members(mesh).any(|(_, it)| !it.delivered.is_empty())
    },
};
const SHORTER: Witness<Mesh> = Witness {
    name: "a machine of a chain is dead",
    seen: |mesh| chained(mesh) && mesh.controller.tree.len() == 2 && mesh.seats.len() > 2,
};

/// Three machines with a daemon each; the second and the third have a lambda, and that of the second sends.
const CHAIN: Small = Small {
    members: 2,
    machines: &[1, 2],
    daemons: &[1, 2, 3],
    sends: &[(1, 2)],
    faults: &[(Fault::Pace, 1)],
    prompt_links: true,
    prompt_control: true,
    witnesses: &[DELIVERED, CHAINED, TURNED],
    ..SMALL
};
/// What the controller says comes to one after the other.
const CHAIN_SLOWLY: Small = Small { sends: &[(1, 1)], prompt_control: false, ..CHAIN };
/// It does not pay.
const CHAIN_BACK: Small = Small {
    faults: &[(Fault::Pace, 2)],
    sends: &[(1, 1)],
    witnesses: &[DELIVERED, CHAINED, TURNED, BACK],
    ..CHAIN
};
/// One lambda is left, whose daemon is the root. One of the other daemons dies meanwhile.
const CHAIN_CRASH: Small = Small {
    members: 1,
    machines: &[2],
    sends: &[(0, 2)],
    faults: &[(Fault::Pace, 1), (Fault::Crash, 1)],
    mortal: &[1, 3],
    witnesses: &[DELIVERED, CHAINED, SHORTER],
    ..CHAIN
};
/// Values are combined.
const CHAIN_SUM: Small = Small {
    kind: Kind::Reduce,
    sends: &[(0, 1), (1, 1)],
    witnesses: &[DELIVERED, CHAINED, SPOILED],
    ..CHAIN
};
/// They are for one, at which the chain begins.
const CHAIN_HANDLED: Small = Small {
    kind: Kind::Handled,
    handlers: &[1],
    witnesses: &[DELIVERED, CHAINED, BEGUN, SPOILED],
    ..CHAIN_SUM
};
/// The controller is restarted, and knows of no chain.
const CHAIN_RESTART: Small = Small {
    sends: &[(0, 1)],
    faults: &[(Fault::Pace, 1), (Fault::Restart, 1)],
    mortal: &[],
    witnesses: &[DELIVERED, CHAINED],
    ..CHAIN_CRASH
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-chain", "three machines become a chain", (32_603, 36), CHAIN),
        world!(
            "zip-chain-slowly",
            "the same, as one after the other hears of it",
            (74_995, 37),
            CHAIN_SLOWLY
        ),
        world!("zip-chain-back", "a chain that does not pay", (27_047, 36), CHAIN_BACK),
        world!("zip-chain-crash", "a chain, and somebody dies", (82_778, 39), CHAIN_CRASH),
        world!("zip-chain-restart", "a chain, and the controller dies", (115_045, 31), CHAIN_RESTART),
        world!("sum-to-chain", "a reduce, and machines become a chain", (5_523, 36), CHAIN_SUM),
        world!(
            "handled-to-chain",
            "a reduce for one, and machines become a chain",
            (41_713, 52),
            CHAIN_HANDLED
        ),
    ]
}

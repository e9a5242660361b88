//! Broadcasts.

use cirrus_core::ids::Round;

use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::zip::{Action, Fault, Mesh};

/// The root sends, and of those below it only one child and one grandchild have heard of it.
fn only_a_grandchild(mesh: &Mesh) -> Option<Action> {
    let has = |address: usize| mesh.processes[address].machine.broadcast.position() >= Round(1);
    let up = |address: usize| mesh.processes[address].machine.links.up().map(Action::Down);
    match () {
        () if !has(0) => Some(Action::Send(0)),
        () if !has(1) => up(1),
        () if !has(3) => up(3),
        () if mesh.processes[0].alive => Some(Action::Crash(0, false)),
        () if mesh.processes[1].alive => Some(Action::Crash(1, false)),
        () => None,
    }
}
/// A sender's first piece has reached one child of the root and one grandchild when the root dies.
fn half_a_round(mesh: &Mesh) -> Option<Action> {
    let has = |address: usize| !mesh.processes[address].machine.broadcast.rounds.is_empty();
    let up = |address: usize| mesh.processes[address].machine.links.up().map(Action::Down);
    match () {
        () if !mesh.processes[0].alive => None,
        () if !mesh.processes[2].machine.broadcast.is_sending() => Some(Action::Send(2)),
        () if !has(0) => Some(Action::DirectUp(2)),
        () if !has(1) => up(1),
        () if !has(3) => up(3),
        () => Some(Action::Crash(0, false)),
    }
}

const COLD: Small = Small {
    members: 0,
    warm: false,
    sends: &[(0, 1)],
    faults: &[(Fault::Join, 3)],
    witnesses: &[DELIVERED],
    ..SMALL
};
pub(super) const CALM: Small =
    Small { sends: &[(2, 2), (1, 1), (0, 1), (2, 1)], window: 2, witnesses: &[DELIVERED, HALF], ..SMALL };
const CRASH: Small = Small {
    sends: &[(1, 2)],
    faults: &[(Fault::Crash, 1)],
    witnesses: &[DELIVERED, HALF, SUCCEEDED, CARRIED, PULLED, VOID],
    ..SMALL
};
const INNER: Small = Small {
    members: 5,
    sends: &[(3, 2)],
    faults: &[(Fault::Crash, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, PULLED, VOID, MOVED],
    ..SMALL
};
pub(super) const TWO: Small = Small {
    members: 4,
    sends: &[(2, 1)],
    faults: &[(Fault::Crash, 2)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, PULLED, FILLER_DEAD],
    ..SMALL
};
pub(super) const ROOTS: Small = Small { sends: &[(2, 2)], mortal: &[0, 3], ..TWO };
/// The root dies when its children and a grandchild have half a round. The next root calls it void, and may die when only
/// some have heard so: then the third one fetches the void round in the place of its half, and so must its children.
const FETCHED: Small = Small {
    members: 5,
    sends: &[(2, 2)],
    prologue: half_a_round,
    mortal: &[4],
    faults: &[(Fault::Crash, 2)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, VOID, PULLED],
    ..SMALL
};
/// The root is dead; while the new one asks what everybody has, a member is moved from one to another.
const FLUX: Small = Small {
    members: 5,
    prologue: |mesh| mesh.processes[0].alive.then_some(Action::Crash(0, false)),
    mortal: &[2],
    faults: &[(Fault::Crash, 2)],
    prompt_links: true,
    witnesses: &[SUCCEEDED],
    ..SMALL
};
const BREAKS: Small = Small {
    sends: &[(2, 2)],
    faults: &[(Fault::Break, 1), (Fault::BreakDirect, 1), (Fault::BreakControl, 1)],
    witnesses: &[DELIVERED, HALF],
    ..SMALL
};
/// The way between two of them is blocked.
const RELAY: Small = Small {
    prompt_links: true,
    sends: &[(1, 2)],
    faults: &[(Fault::Block, 1)],
    witnesses: &[DELIVERED, HALF, RELAYED],
    ..SMALL
};
/// So are two ways, and a link is reported that stands.
const RELAYS: Small = Small {
    faults: &[(Fault::Block, 2), (Fault::Impatient, 1)],
    sends: &[(0, 1)],
    prompt_links: true,
    prompt_control: true,
    witnesses: &[DELIVERED, RELAYED],
    ..SMALL
};
/// The way is blocked, and one dies: the two may become neighbours anew, or never again.
const RELAY_CRASH: Small = Small {
    members: 4,
    sends: &[(3, 1)],
    mortal: &[1],
    faults: &[(Fault::Block, 1), (Fault::Crash, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, RELAYED, MOVED],
    ..SMALL
};
const AWAY: Small = Small {
    sends: &[(2, 2), (1, 1)],
    faults: &[(Fault::BreakDirect, 1), (Fault::Impatient, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, VOID],
    ..SMALL
};
pub(super) const SUSPECT: Small = Small {
    sends: &[(2, 1), (0, 1)],
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, DEPOSED, FENCED],
    ..SMALL
};
const JOINS: Small = Small {
    members: 2,
    fan_out: 1,
    sends: &[(1, 1)],
    faults: &[(Fault::Join, 2)],
    prompt_links: true,
    witnesses: &[DELIVERED, OUTSIDER],
    ..SMALL
};
const JOIN_CRASH: Small = Small {
    members: 2,
    sends: &[(1, 1)],
    faults: &[(Fault::Join, 1), (Fault::Crash, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED],
    ..SMALL
};
/// One joins below the last of a chain, and fills a hole above it before it has heard of the term.
const JOIN_INNER: Small = Small {
    members: 3,
    fan_out: 1,
    sends: &[(0, 1)],
    faults: &[(Fault::Join, 1), (Fault::Crash, 1)],
    mortal: &[1],
    prompt_control: true,
    witnesses: &[DELIVERED, MOVED],
    ..SMALL
};
const LEAVES: Small = Small {
    sends: &[(1, 1)],
    faults: &[(Fault::Leave, 2)],
    witnesses: &[DELIVERED, SUCCEEDED, LEFT, MOVED],
    ..SMALL
};
const LEAVE_CUT: Small = Small {
    sends: &[(2, 1)],
    faults: &[(Fault::Leave, 1), (Fault::BreakControl, 2)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, LEFT],
    ..SMALL
};
const EXPIRE: Small = Small {
    members: 4,
    sends: &[(3, 1)],
    faults: &[(Fault::Expire, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, MOVED],
    ..SMALL
};
const EXPIRE_CRASH: Small =
    Small { faults: &[(Fault::Expire, 1), (Fault::Crash, 1)], prompt_control: true, ..EXPIRE };
const RESHAPE: Small = Small {
    members: 5,
    sends: &[(4, 1)],
    faults: &[(Fault::Reshape, 1)],
    witnesses: &[DELIVERED, ABROAD],
    ..SMALL
};
/// The worst case of all: what the root has sent is left with one grandchild, the others are moved, and two
/// fillers change their places.
const SEVEN: Small = Small {
    members: 7,
    sends: &[(0, 1)],
    prologue: only_a_grandchild,
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, PULLED, GRANDCHILD],
    ..SMALL
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-cold", "members join, one sends", (1_513, 65), COLD),
        world!("zip-calm", "four broadcasts, nothing goes wrong", (18_551, 42), CALM),
        world!("zip-crash", "a member dies", (57_223, 62), CRASH),
        world!("zip-inner", "an inner member or another dies", (281_927, 65), INNER),
        world!("zip-two", "two die", (257_697, 44), TWO),
        world!("zip-roots", "a root dies, and the next one", (347_457, 60), ROOTS),
        world!("zip-flux", "a member moves while a new root asks", (135_825, 67), FLUX),
        world!("zip-fetched", "half a round, and a void one in its place", (71_178, 70), FETCHED),
        world!("zip-breaks", "connections break", (191_094, 33), BREAKS),
        world!("zip-away", "a sender is away too long", (4_777, 30), AWAY),
        world!("zip-suspect", "one is declared dead that lives", (416_075, 51), SUSPECT),
        world!("zip-relay", "two cannot reach each other", (96_649, 46), RELAY),
        world!("zip-relays", "two ways are blocked, a link is reported that stands", (12_558, 28), RELAYS),
        world!("zip-relay-crash", "two cannot reach each other, one dies", (47_001, 36), RELAY_CRASH),
        world!("zip-joins", "two join", (22_122, 64), JOINS),
        world!("zip-join-crash", "one joins, one dies", (46_520, 45), JOIN_CRASH),
        world!("zip-join-inner", "one that joins fills a hole", (17_586, 41), JOIN_INNER),
        world!("zip-leaves", "two leave", (26_932, 46), LEAVES),
        world!("zip-leave-cut", "one leaves and loses the controller", (214_595, 45), LEAVE_CUT),
        world!("zip-expire", "one nears the end of its life", (238_183, 105), EXPIRE),
        world!("zip-expire-crash", "one nears the end of its life, one dies", (598_066, 53), EXPIRE_CRASH),
        world!("zip-reshape", "the fan-out changes", (85_440, 47), RESHAPE),
        world!("zip-seven", "root and its child die", (19_354, 49), SEVEN),
    ]
}

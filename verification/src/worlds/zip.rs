//! Channels: a controller and a few members, with broadcasts and faults.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Frame, Head};
use cirrus_core::controller;
use cirrus_core::ids::{FanOut, MemberId, Millis, Round};
use cirrus_core::member::{self, Kind, Outcome, Phase};

use super::{Golden, World};
use crate::system::Witness;
use crate::zip::{Action, Address, Fault, Mesh, Process, Setup, Zip};

/// A small channel.
#[derive(Clone, Copy)]
struct Small {
    kind: Kind,
    members: u32,
    fan_out: u32,
    /// Who sends, how many pieces.
    sends: &'static [(Address, u32)],
    window: u32,
    faults: &'static [(Fault, u32)],
    /// Its members are in when it begins.
    warm: bool,
    /// What happens before it begins.
    prologue: fn(&Mesh) -> Option<Action>,
    /// Who may die; everybody when it is empty.
    mortal: &'static [Address],
    /// The controller's words arrive at once.
    prompt_control: bool,
    /// Connections are made at once.
    prompt_links: bool,
    witnesses: &'static [Witness<Mesh>],
}

/// Three members, two of them leaves.
const SMALL: Small = Small {
    kind: Kind::Broadcast,
    members: 3,
    fan_out: 2,
    sends: &[],
    window: 1,
    faults: &[],
    warm: true,
    prologue: |_| None,
    mortal: &[],
    prompt_control: false,
    prompt_links: false,
    witnesses: &[],
};

fn system(small: &Small, bugs: Bugs) -> Zip {
    let setup = Setup {
        controller: controller::Config {
            members_max: 8,
            probe: Millis(1000),
            scan: 4,
            reshape: Millis(10),
            bugs,
        },
        member: member::Config {
            kind: small.kind,
            attempts_max: 4,
            window: small.window,
            buffer: 1,
            senders_max: 4,
            attach: Millis(1000),
            redial: Millis(100),
            submission: Millis(1000),
            bugs,
        },
        fan_out: FanOut(small.fan_out),
        members: small.members,
        wanted: 8,
        sends: small.sends.to_vec(),
        faults: small.faults.iter().copied().collect(),
        mortal: small.mortal.to_vec(),
        prompt_control: small.prompt_control,
        prompt_links: small.prompt_links,
    };
    Zip { setup, warm: small.warm, prologue: small.prologue, steps_max: 150, witnesses: small.witnesses }
}

/// A channel in which nothing goes wrong.
pub(crate) fn calm(bugs: Bugs) -> Zip {
    system(&CALM, bugs)
}

fn members(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
    mesh.staying()
}

/// The members that live and believe to be a root.
fn roots(mesh: &Mesh) -> usize {
    mesh.processes.iter().filter(|it| it.listens() && it.machine.broadcast.reign.is_some()).count()
}

/// A member that lives and is not the root.
fn others(mesh: &Mesh) -> impl Iterator<Item = &Arc<Process>> {
    members(mesh).map(|(_, process)| process).filter(|process| process.machine.broadcast.reign.is_none())
}

const DELIVERED: Witness<Mesh> = Witness {
    name: "a round is delivered by all",
    seen: |mesh| members(mesh).count() > 0 && members(mesh).all(|(_, it)| !it.delivered.is_empty()),
};
const HALF: Witness<Mesh> = Witness {
    name: "a member has half a round",
    seen: |mesh| {
        others(mesh).any(|it| it.machine.broadcast.rounds.iter().any(|(_, held)| held.end.is_none()))
    },
};
const SUCCEEDED: Witness<Mesh> = Witness {
    name: "a new root's term goes on",
    seen: |mesh| {
        let second = |it: &Process| it.machine.broadcast.term().0.serial > 2;
        members(mesh).any(|(_, it)| second(it) && it.machine.broadcast.carried().is_some())
    },
};
const CARRIED: Witness<Mesh> = Witness {
    name: "a round of an earlier term goes on",
    seen: |mesh| {
        let carried = |it: &Process| {
            let broadcast = &it.machine.broadcast;
            broadcast.carried() > Some(Round(0)) && broadcast.floor() < Round(1) && broadcast.reign.is_some()
        };
        members(mesh).any(|(_, it)| carried(it))
    },
};
const PULLED: Witness<Mesh> = Witness {
    name: "a root fetches a round that only one below it has",
    seen: |mesh| {
        let asked =
            |it: &Process| it.machine.broadcast.reign.is_some() && it.machine.broadcast.pulling.is_some();
        members(mesh).any(|(_, it)| asked(it))
    },
};
const VOID: Witness<Mesh> = Witness {
    name: "a round is aborted for all",
    seen: |mesh| {
        members(mesh).count() > 1
            && members(mesh).all(|(_, it)| it.delivered.iter().any(|(_, whole)| !*whole))
    },
};
const DEPOSED: Witness<Mesh> = Witness {
    name: "one who is deposed believes to be root beside the new one",
    seen: |mesh| roots(mesh) > 1,
};
const FENCED: Witness<Mesh> = Witness {
    name: "one who lives was declared dead, and its broadcast is indeterminate",
    seen: |mesh| {
        let ended = |it: &&Arc<Process>| it.machine.phase == Phase::Ended(member::End::Fenced);
        let unknown = |(_, outcome): &(_, Outcome)| *outcome == Outcome::Indeterminate;
        mesh.processes.iter().filter(ended).any(|it| it.outcomes.iter().any(unknown))
    },
};
const OUTSIDER: Witness<Mesh> = Witness {
    name: "a member relays a round that it is not in",
    seen: |mesh| {
        members(mesh).any(|(member, it)| {
            let outside = |(_, held): (_, &member::broadcast::Held<_>)| held.head.cut < member.stamp;
            !it.machine.links.children.is_empty() && it.machine.broadcast.rounds.iter().any(outside)
        })
    },
};
const LEFT: Witness<Mesh> = Witness {
    name: "one has left in the midst of a round",
    seen: |mesh| {
        let left = |it: &Arc<Process>| it.machine.phase == Phase::Ended(member::End::Left);
        let open = |it: &Arc<Process>| it.machine.broadcast.position() > it.machine.broadcast.floor();
        mesh.processes.iter().any(left) && members(mesh).any(|(_, it)| open(it))
    },
};
const MOVED: Witness<Mesh> = Witness {
    name: "a member changes its parent in the midst of a round",
    seen: |mesh| {
        let moving = |it: &Process| {
            let waits = it.machine.links.parent.is_some() && it.machine.links.up().is_none();
            waits && it.machine.broadcast.position() > it.machine.broadcast.floor()
        };
        others(mesh).any(|it| moving(it))
    },
};
const FILLER_DEAD: Witness<Mesh> = Witness {
    name: "who fills the hole of a dead one is dead",
    seen: |mesh| {
        mesh.controller.tree.members().any(|member| {
            let dead = mesh.of(member).is_some_and(|process| !process.alive);
            dead && mesh.controller.record(member).is_some_and(|it| it.version.0.serial > 12)
        })
    },
};
const GRANDCHILD: Witness<Mesh> = Witness {
    name: "root and its child are dead, and only a grandchild has the round",
    seen: |mesh| {
        let dead = |address: usize| !mesh.processes[address].alive;
        let has = |it: &Process| it.machine.broadcast.position() >= Round(1);
        let holders = members(mesh).filter(|(_, it)| has(it)).count();
        dead(0) && dead(1) && holders == 1 && (has(&mesh.processes[3]) || has(&mesh.processes[4]))
    },
};
const ABROAD: Witness<Mesh> = Witness {
    name: "two fan-outs at once in the midst of a round",
    seen: |mesh| {
        let open = |it: &Process| it.machine.broadcast.position() > it.machine.broadcast.floor();
        mesh.controller.tree.reshapes_to().is_some() && members(mesh).any(|(_, it)| open(it))
    },
};

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

const SPOILED: Witness<Mesh> = Witness {
    name: "an attempt at a reduce has come to nothing",
    seen: |mesh| {
        let spoiled = |it: &Frame<_, _>| matches!(it, Frame::Spoiled { .. });
        mesh.wires.values().any(|wire| wire.up.iter().any(spoiled))
    },
};
const HALF_SUMMED: Witness<Mesh> = Witness {
    name: "one is gone of whose values a half was combined",
    seen: |mesh| {
        let half = |it: &Process| it.machine.reduce.sent > 0 && it.machine.reduce.whole.is_none();
        mesh.processes.iter().any(|it| !it.alive && half(it))
    },
};
const SUMMED_WITHOUT: Witness<Mesh> = Witness {
    name: "a result without one who is gone",
    seen: |mesh| {
        let without = |(head, _): &(_, bool)| {
            let head: &Head = head;
            head.sealed.is_some_and(|census| (census.count as usize) < mesh.processes.len())
        };
        members(mesh).any(|(_, it)| it.delivered.iter().any(without))
    },
};
const MISMATCHED: Witness<Mesh> = Witness {
    name: "values of different sizes have no result",
    seen: |mesh| members(mesh).all(|(_, it)| it.delivered.iter().any(|(_, whole)| !*whole)),
};
const SEAL_CARRIED: Witness<Mesh> = Witness {
    name: "a result that an earlier root sealed goes on",
    seen: |mesh| {
        members(mesh).any(|(_, it)| {
            let broadcast = &it.machine.broadcast;
            broadcast.carried() == Some(Round(1)) && broadcast.floor() < Round(1) && broadcast.reign.is_some()
        })
    },
};

const COLD: Small = Small {
    members: 0,
    warm: false,
    sends: &[(0, 1)],
    faults: &[(Fault::Join, 3)],
    witnesses: &[DELIVERED],
    ..SMALL
};
const CALM: Small =
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
const TWO: Small = Small {
    members: 4,
    sends: &[(2, 1)],
    faults: &[(Fault::Crash, 2)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, PULLED, FILLER_DEAD],
    ..SMALL
};
const ROOTS: Small = Small { sends: &[(2, 2)], mortal: &[0, 3], ..TWO };
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
const AWAY: Small = Small {
    sends: &[(2, 2), (1, 1)],
    faults: &[(Fault::BreakDirect, 1), (Fault::Impatient, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, VOID],
    ..SMALL
};
const SUSPECT: Small = Small {
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
const LEAVES: Small = Small {
    sends: &[(1, 1)],
    faults: &[(Fault::Leave, 2)],
    witnesses: &[DELIVERED, SUCCEEDED, LEFT, MOVED],
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

const SUM: Small = Small {
    kind: Kind::Reduce,
    sends: &[(0, 2), (1, 2), (2, 2), (0, 1), (1, 1), (2, 1)],
    witnesses: &[DELIVERED],
    ..SMALL
};
const SUM_MISMATCH: Small = Small { sends: &[(0, 2), (1, 1), (2, 2)], witnesses: &[MISMATCHED], ..SUM };
const SUM_CRASH: Small = Small {
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::Crash, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HALF_SUMMED, SUMMED_WITHOUT, SEAL_CARRIED],
    ..SUM
};
const SUM_CHAIN: Small = Small {
    fan_out: 1,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HALF_SUMMED, SUMMED_WITHOUT],
    ..SUM_CRASH
};
const SUM_BREAK: Small =
    Small { faults: &[(Fault::Break, 2)], prompt_links: true, witnesses: &[DELIVERED, SPOILED], ..SUM_CRASH };
const SUM_INNER: Small = Small {
    members: 5,
    sends: &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT, SEAL_CARRIED],
    ..SUM_CRASH
};
const SUM_TWO: Small =
    Small { sends: &[(0, 1), (1, 1), (2, 1), (3, 1)], members: 4, faults: &[(Fault::Crash, 2)], ..SUM_INNER };
const SUM_SUSPECT: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT, DEPOSED],
    ..SUM
};
const SUM_JOIN: Small = Small {
    members: 2,
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1)],
    faults: &[(Fault::Join, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUMMED_WITHOUT],
    ..SUM
};
const SUM_LEAVE: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Leave, 2)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT],
    ..SUM
};

const DEEP_TWO: Small =
    Small { members: 5, sends: &[(3, 2)], witnesses: &[DELIVERED, CARRIED, PULLED, FILLER_DEAD], ..TWO };
const DEEP_SEVEN: Small = Small {
    prologue: |_| None,
    mortal: &[0, 1],
    faults: &[(Fault::Crash, 2)],
    witnesses: &[DELIVERED, CARRIED, PULLED, GRANDCHILD],
    ..SEVEN
};
const DEEP_LEAVE: Small = Small {
    sends: &[(1, 2), (0, 1)],
    faults: &[(Fault::Leave, 1), (Fault::Crash, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, LEFT],
    ..SMALL
};
const DEEP_SUSPECT: Small = Small {
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1), (Fault::Crash, 1)],
    sends: &[(1, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, DEPOSED],
    ..SUSPECT
};
const DEEP_SUM: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (3, 1)],
    faults: &[(Fault::Join, 2)],
    ..SUM_JOIN
};

macro_rules! world {
    ($name:literal, $about:literal, $golden:expr, $small:expr) => {
        world!($name, $about, $golden, $small, false)
    };
    ($name:literal, $about:literal, $golden:expr, $small:expr, $deep:expr) => {
        World {
            name: $name,
            about: $about,
            golden: Golden { unique: $golden.0, depth: $golden.1 },
            deep: $deep,
            make: |bugs| Box::new(system(&$small, bugs)),
        }
    };
}

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("zip-cold", "members join, one sends", (1_748, 68), COLD),
        world!("zip-calm", "four broadcasts, nothing goes wrong", (25_305, 46), CALM),
        world!("zip-crash", "a member dies", (33_967, 67), CRASH),
        world!("zip-inner", "an inner member or another dies", (250_596, 67), INNER),
        world!("zip-two", "two die", (439_114, 51), TWO),
        world!("zip-roots", "a root dies, and the next one", (579_537, 67), ROOTS),
        world!("zip-flux", "a member moves while a new root asks", (727_239, 70), FLUX),
        world!("zip-breaks", "connections break", (37_744, 31), BREAKS),
        world!("zip-away", "a sender is away too long", (3_539, 30), AWAY),
        world!("zip-suspect", "one is declared dead that lives", (280_502, 57), SUSPECT),
        world!("zip-joins", "two join", (81_936, 74), JOINS),
        world!("zip-join-crash", "one joins, one dies", (92_790, 51), JOIN_CRASH),
        world!("zip-leaves", "two leave", (55_645, 60), LEAVES),
        world!("zip-expire", "one nears the end of its life", (351_853, 96), EXPIRE),
        world!("zip-expire-crash", "one nears the end of its life, one dies", (638_753, 55), EXPIRE_CRASH),
        world!("zip-reshape", "the fan-out changes", (25_528, 40), RESHAPE),
        world!("sum-calm", "two reduces, nothing goes wrong", (346, 31), SUM),
        world!("sum-crash", "a reduce, a member dies", (32_202, 56), SUM_CRASH),
        world!("sum-inner", "a reduce, an inner member or another dies", (396_873, 52), SUM_INNER),
        world!("sum-mismatch", "values of different sizes", (62, 15), SUM_MISMATCH),
        world!("sum-chain", "a reduce along a chain, a member dies", (22_450, 49), SUM_CHAIN),
        world!("sum-two", "a reduce, two die", (1_063_893, 54), SUM_TWO),
        world!("sum-suspect", "a reduce, one is declared dead that lives", (140_163, 53), SUM_SUSPECT),
        world!("sum-break", "a reduce, links break", (19_057, 42), SUM_BREAK),
        world!("sum-join", "two reduces, one joins", (2_925, 36), SUM_JOIN),
        world!("sum-leave", "a reduce, two leave", (52_789, 58), SUM_LEAVE),
        world!("deep-two", "two of five die in the midst of a broadcast", (0, 0), DEEP_TWO, true),
        world!("deep-seven", "two of seven die", (0, 0), DEEP_SEVEN, true),
        world!("deep-leave", "one leaves, one dies, two send", (0, 0), DEEP_LEAVE, true),
        world!("deep-suspect", "one is declared dead that lives, one dies", (0, 0), DEEP_SUSPECT, true),
        world!("deep-sum", "two reduces, two join", (0, 0), DEEP_SUM, true),
        world!("zip-seven", "root and its child die", (382_814, 59), SEVEN),
    ]
}

//! What must be seen in channels.

use std::sync::Arc;

use cirrus_core::channel::{Failure, Frame, Head, Missing};
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::member::{self, Outcome, Phase, Reduction};

use crate::system::Witness;
use crate::zip::{Fault, Mesh, Process};

pub(super) fn members(mesh: &Mesh) -> impl Iterator<Item = (MemberId, &Arc<Process>)> {
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

pub(super) const DELIVERED: Witness<Mesh> = Witness {
    name: "a round is delivered by all",
    seen: |mesh| {
        mesh.applications().count() > 0 && mesh.applications().all(|(_, it)| !it.delivered.is_empty())
    },
};
pub(super) const HALF: Witness<Mesh> = Witness {
    name: "a member has half a round",
    seen: |mesh| {
        others(mesh).any(|it| it.machine.broadcast.rounds.iter().any(|(_, held)| held.end.is_none()))
    },
};
pub(super) const SUCCEEDED: Witness<Mesh> = Witness {
    name: "a new root's term goes on",
    seen: |mesh| {
        let second = |it: &Process| it.machine.broadcast.term().0.serial > 2;
        members(mesh).any(|(_, it)| second(it) && it.machine.broadcast.carried().is_some())
    },
};
pub(super) const CARRIED: Witness<Mesh> = Witness {
    name: "a round of an earlier term goes on",
    seen: |mesh| {
        let carried = |it: &Process| {
            let broadcast = &it.machine.broadcast;
            broadcast.carried() > Some(Round(0)) && broadcast.floor() < Round(1) && broadcast.reign.is_some()
        };
        members(mesh).any(|(_, it)| carried(it))
    },
};
pub(super) const PULLED: Witness<Mesh> = Witness {
    name: "a root fetches a round that only one below it has",
    seen: |mesh| {
        let asked =
            |it: &Process| it.machine.broadcast.reign.is_some() && it.machine.broadcast.pulling.is_some();
        members(mesh).any(|(_, it)| asked(it))
    },
};
pub(super) const VOID: Witness<Mesh> = Witness {
    name: "a round is aborted for all",
    seen: |mesh| {
        members(mesh).count() > 1
            && members(mesh).all(|(_, it)| it.delivered.iter().any(|(_, whole)| !*whole))
    },
};
pub(super) const DEPOSED: Witness<Mesh> = Witness {
    name: "one who is deposed believes to be root beside the new one",
    seen: |mesh| roots(mesh) > 1,
};
pub(super) const FENCED: Witness<Mesh> = Witness {
    name: "one who lives was declared dead, and its broadcast is indeterminate",
    seen: |mesh| {
        let ended = |it: &&Arc<Process>| it.machine.phase == Phase::Ended(member::End::Fenced);
        let unknown = |(_, outcome): &(_, Outcome)| *outcome == Outcome::Indeterminate;
        mesh.processes.iter().filter(ended).any(|it| it.outcomes.iter().any(unknown))
    },
};
pub(super) const OUTSIDER: Witness<Mesh> = Witness {
    name: "a member relays a round that it is not in",
    seen: |mesh| {
        members(mesh).any(|(member, it)| {
            let outside = |(_, held): (_, &member::broadcast::Held<_>)| held.head.cut < member.stamp;
            !it.machine.links.children.is_empty() && it.machine.broadcast.rounds.iter().any(outside)
        })
    },
};
pub(super) const LEFT: Witness<Mesh> = Witness {
    name: "one has left in the midst of a round",
    seen: |mesh| {
        let left = |it: &Arc<Process>| it.machine.phase == Phase::Ended(member::End::Left);
        let open = |it: &Arc<Process>| it.machine.broadcast.position() > it.machine.broadcast.floor();
        mesh.processes.iter().any(left) && members(mesh).any(|(_, it)| open(it))
    },
};
pub(super) const MOVED: Witness<Mesh> = Witness {
    name: "a member changes its parent in the midst of a round",
    seen: |mesh| {
        let moving = |it: &Process| {
            let waits = it.machine.links.parent.is_some() && it.machine.links.up().is_none();
            waits && it.machine.broadcast.position() > it.machine.broadcast.floor()
        };
        others(mesh).any(|it| moving(it))
    },
};
pub(super) const FILLER_DEAD: Witness<Mesh> = Witness {
    name: "who fills the hole of a dead one is dead",
    seen: |mesh| {
        mesh.controller.tree.members().any(|member| {
            let dead = mesh.of(member).is_some_and(|process| !process.alive);
            dead && mesh.controller.record(member).is_some_and(|it| it.version.0.serial > 12)
        })
    },
};
pub(super) const GRANDCHILD: Witness<Mesh> = Witness {
    name: "root and its child are dead, and only a grandchild has the round",
    seen: |mesh| {
        let dead = |address: usize| !mesh.processes[address].alive;
        let has = |it: &Process| it.machine.broadcast.position() >= Round(1);
        let holders = members(mesh).filter(|(_, it)| has(it)).count();
        dead(0) && dead(1) && holders == 1 && (has(&mesh.processes[3]) || has(&mesh.processes[4]))
    },
};
pub(super) const ABROAD: Witness<Mesh> = Witness {
    name: "two fan-outs at once in the midst of a round",
    seen: |mesh| {
        let open = |it: &Process| it.machine.broadcast.position() > it.machine.broadcast.floor();
        mesh.controller.tree.reshapes_to().is_some() && members(mesh).any(|(_, it)| open(it))
    },
};
pub(super) const RELAYED: Witness<Mesh> = Witness {
    name: "a link by relay carries a round",
    seen: |mesh| {
        let by_relay = |it: &Process| {
            let up = it.machine.links.parent.as_ref().is_some_and(|uplink| uplink.parent.relay);
            up && it.machine.links.up().is_some()
        };
        let open = |it: &Process| it.machine.broadcast.position() > it.machine.broadcast.floor();
        mesh.wires.values().any(|wire| wire.relay && wire.down.iter().any(|it| matches!(it, Frame::Chunk(_))))
            || others(mesh).any(|it| by_relay(it) && open(it))
    },
};
pub(super) const SPOILED: Witness<Mesh> = Witness {
    name: "an attempt at a reduce has come to nothing",
    seen: |mesh| {
        let spoiled = |it: &Frame<_, _>| matches!(it, Frame::Spoiled { .. });
        mesh.wires.values().any(|wire| wire.up.iter().any(spoiled))
    },
};
pub(super) const HALF_SUMMED: Witness<Mesh> = Witness {
    name: "one is gone of whose values a half was combined",
    seen: |mesh| {
        let half = |it: &Process| it.machine.reduce.sent > 0 && it.machine.reduce.whole.is_none();
        mesh.processes.iter().any(|it| !it.alive && half(it))
    },
};
pub(super) const SUMMED_WITHOUT: Witness<Mesh> = Witness {
    name: "a result without one who is gone",
    seen: |mesh| {
        let without = |(head, _): &(_, bool)| {
            let head: &Head = head;
            let seal = head.sealed.as_ref().filter(|seal| seal.failure.is_none());
            seal.is_some_and(|seal| (seal.census.count as usize) < mesh.processes.len())
        };
        members(mesh).any(|(_, it)| it.delivered.iter().any(without))
    },
};
pub(super) const MISMATCHED: Witness<Mesh> = Witness {
    name: "values of different sizes have no result",
    seen: |mesh| {
        let differ = |(_, outcome): &(_, _)| matches!(outcome, Reduction::Failed(Failure::Mismatch, _));
        members(mesh).all(|(_, it)| it.reduced.iter().any(differ))
    },
};
pub(super) const GIVEN_UP: Witness<Mesh> = Witness {
    name: "a reduce is given up, and all are told",
    seen: |mesh| {
        let churn = |(_, outcome): &(_, _)| matches!(outcome, Reduction::Failed(Failure::Churn, _));
        members(mesh).all(|(_, it)| it.reduced.iter().any(churn))
    },
};
pub(super) const SEAL_CARRIED: Witness<Mesh> = Witness {
    name: "a result that an earlier root sealed goes on",
    seen: |mesh| {
        members(mesh).any(|(_, it)| {
            let broadcast = &it.machine.broadcast;
            broadcast.carried() == Some(Round(1)) && broadcast.floor() < Round(1) && broadcast.reign.is_some()
        })
    },
};

/// Whether one of those who stay was told such a thing of a reduce.
fn any_told(mesh: &Mesh, what: fn(&Reduction) -> bool) -> bool {
    members(mesh).any(|(_, it)| it.reduced.iter().any(|(_, outcome)| what(outcome)))
}

fn missing(outcome: &Reduction) -> Option<&Missing> {
    match outcome {
        Reduction::Sealed(missing) | Reduction::Failed(_, missing) => Some(missing),
        Reduction::Late | Reduction::Indeterminate => None,
    }
}

pub(super) const CALLED_LATE: Witness<Mesh> = Witness {
    name: "a call comes after its round",
    seen: |mesh| any_told(mesh, |it| *it == Reduction::Late),
};
pub(super) const STRICT_FAILED: Witness<Mesh> = Witness {
    name: "a strict reduce fails, and the next one does not",
    seen: |mesh| {
        let failed = |it: &Reduction| matches!(it, Reduction::Failed(Failure::Incomplete, _));
        any_told(mesh, failed) && members(mesh).all(|(_, it)| it.delivered.iter().any(|(_, whole)| *whole))
    },
};
pub(super) const ROOT_NAMED: Witness<Mesh> = Witness {
    name: "a new root names the one before it",
    seen: |mesh| any_told(mesh, |it| missing(it).is_some_and(|it| it.departed.iter().any(|it| it.slot == 0))),
};
pub(super) const MORE: Witness<Mesh> = Witness {
    name: "more are missing than may be named",
    seen: |mesh| any_told(mesh, |it| missing(it).is_some_and(|missing| missing.more > 0)),
};
pub(super) const LATE_NAMED: Witness<Mesh> = Witness {
    name: "a result without one who is late",
    seen: |mesh| any_told(mesh, |it| matches!(it, Reduction::Sealed(missing) if !missing.late.is_empty())),
};
pub(super) const LATE_TOLD: Witness<Mesh> = Witness {
    name: "one who is late is told so, though others have a result",
    seen: |mesh| any_told(mesh, |it| *it == Reduction::Late),
};
pub(super) const ALL_IN: Witness<Mesh> = Witness {
    name: "a result of all in spite of a deadline",
    seen: |mesh| any_told(mesh, |it| matches!(it, Reduction::Sealed(missing) if missing.is_empty())),
};
pub(super) const TOO_FEW: Witness<Mesh> = Witness {
    name: "too few have given a value by the deadline, and the root waits on",
    seen: |mesh| {
        let waits = |it: &Process| it.machine.reduce.at.attempt > 1 && !it.machine.reduce.at.cut_off;
        mesh.budget.contains_key(&Fault::Hurry) && members(mesh).any(|(_, it)| waits(it))
    },
};
pub(super) const BOTH_MISSING: Witness<Mesh> = Witness {
    name: "one has departed and another one is late",
    seen: |mesh| {
        any_told(mesh, |it| missing(it).is_some_and(|it| !it.late.is_empty() && !it.departed.is_empty()))
    },
};
pub(super) const AHEAD: Witness<Mesh> = Witness {
    name: "one has come to the next barrier, another has not passed this one",
    seen: |mesh| {
        let staying = || mesh.staying().map(|(_, process)| process);
        let passed = |it: &Process| it.reduced.len();
        let furthest = staying().filter(|it| !it.machine.reduce.calls.is_empty()).map(|it| passed(it)).max();
        furthest.is_some_and(|most| staying().any(|it| passed(it) < most))
    },
};

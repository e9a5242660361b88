//! A controller that was restarted, alone, fed anything: registrations that agree, or contradict each other.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{ProbeId, Registration, Role, Standing, Tenancy, ToController};
use cirrus_core::controller::{Channel, Config, Event, Timer};
use cirrus_core::ids::{
    AssignmentVersion, CallId, ControllerEpoch, FanOut, LinkId, MachineId, MemberId, Millis, Place, Stamp,
    Term,
};
use cirrus_core::tree::Edge;

use super::{Golden, World, ids};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::Address;

/// Nothing more is tried behind this many stamps of the new life.
const STAMPS: u32 = 6;

const fn member(serial: u32, slot: u32) -> MemberId {
    MemberId { stamp: Stamp { epoch: ControllerEpoch(1), serial }, slot }
}

/// No daemon ever comes to this machine.
const ALONE: Tenancy = Tenancy::Lambda(MachineId(0));

const ROOT: MemberId = member(1, 0);
const LEFT: MemberId = member(3, 1);
const RIGHT: MemberId = member(6, 2);
/// It had the slot of one of them before.
const PREDECESSOR: MemberId = member(2, 2);
const LAST: MemberId = member(9, 3);

fn edge(member: MemberId, link: u32) -> Edge {
    Edge { member, link: LinkId(ids::stamp(link)) }
}

/// How a member stands that has heard of all there is.
fn standing(term: u32) -> Standing {
    Standing { term: Term(ids::stamp(term)), reigns: false, cut: ids::stamp(6), next: None }
}

fn seat(
    version: u32,
    place: u32,
    parent: Option<Edge>,
    children: &[Edge],
    standing: Standing,
) -> Registration<Address> {
    let version = AssignmentVersion(ids::stamp(version));
    let children = children.to_vec();
    Registration {
        address: 0,
        role: Role::Both,
        tenancy: ALONE,
        version,
        place: Some(Place(place)),
        parent,
        relay: false,
        children,
        leaving: false,
        standing,
    }
}

fn claims() -> Vec<(MemberId, Registration<Address>)> {
    let reigns = |standing| Standing { reigns: true, next: Some(ids::stamp(9)), ..standing };
    let children = [edge(LEFT, 4), edge(RIGHT, 7)];
    let up = |link| Some(edge(ROOT, link));
    let never = Registration {
        version: AssignmentVersion::default(),
        place: None,
        ..seat(0, 0, None, &[], Standing::default())
    };
    vec![
        (ROOT, seat(8, 0, None, &children, reigns(standing(2)))),
        // It has been told of the last one in the place of the left one.
        (ROOT, seat(12, 0, None, &[edge(LAST, 11), edge(RIGHT, 7)], reigns(standing(2)))),
        (LEFT, seat(5, 1, up(4), &[], standing(2))),
        // It has heard of another root.
        (LEFT, seat(5, 1, up(4), &[], standing(10))),
        (LEFT, Registration { leaving: true, ..seat(5, 1, up(4), &[], standing(2)) }),
        (RIGHT, seat(8, 2, up(7), &[], standing(2))),
        // It has not heard of its seat.
        (RIGHT, never.clone()),
        (PREDECESSOR, never),
        (LAST, seat(12, 1, up(11), &[], standing(2))),
    ]
}

pub(crate) fn pool(bugs: Bugs) -> Pool<Channel<Address>> {
    let mut events = vec![
        Event::Join { call: CallId(0), address: 0, role: Role::Both, tenancy: ALONE },
        Event::Reshape(FanOut(1)),
    ];
    events.extend([Event::Timer(Timer::Recovery), Event::Restarted]);
    for (member, registration) in claims() {
        events.push(Event::From { member, message: ToController::Hello(registration) });
    }
    for member in [ROOT, LEFT, LAST] {
        events.extend([Event::Suspected(member), Event::Disconnected(member), Event::Expiring(member)]);
        let mut say = |message| events.push(Event::From { member, message });
        say(ToController::Leave);
        let second = |serial| Stamp { epoch: ControllerEpoch(2), serial };
        say(ToController::Noted(AssignmentVersion(second(4))));
        say(ToController::Report(LinkId(ids::stamp(7))));
        if member == LEFT {
            say(ToController::CallRoll);
        }
        events.extend([3, 4].map(|probe| Event::Timer(Timer::Probe(member, ProbeId(second(probe))))));
    }
    let config = Config {
        members_max: 4,
        probe: Millis(1000),
        reconnect: Millis(100),
        one_receiver: false,
        scan: 4,
        departed_max: 0,
        reshape: Millis(10),
        chain_max: 4,
        recovery: Millis(5000),
        bugs,
    };
    let far = |channel: &Channel<Address>| {
        let drawn = u32::MAX - channel.tree.stamps_left();
        let waiting = channel.recovery.as_ref().map_or(0, |recovery| recovery.joins.len());
        drawn > STAMPS || waiting > 1
    };
    let new = || Channel::new(ControllerEpoch(2), FanOut(2));
    let first = vec![Event::Restarted];
    Pool { part: Part::Controller, config, events, new, first, far, witnesses: WITNESSES }
}

const WITNESSES: &[Witness<Fed<Channel<Address>>>] = &[
    Witness {
        name: "the root goes on in its term",
        seen: |fed| fed.machine.reign.is_some_and(|reign| reign.term.0.epoch == ControllerEpoch(1)),
    },
    Witness {
        name: "a new term begins",
        seen: |fed| fed.machine.reign.is_some_and(|reign| reign.term.0.epoch == ControllerEpoch(2)),
    },
    Witness {
        name: "two claim one place",
        seen: |fed| {
            let claims = fed.machine.recovery.as_ref().map(|it| &it.claims);
            claims.is_some_and(|claims| {
                let place = |slot: u32| claims.get(&slot).map(|claim| claim.registration.place);
                place(1).is_some() && place(1) == place(3)
            })
        },
    },
    Witness {
        name: "a silent place is filled",
        seen: |fed| fed.machine.tree.root() == Some(LEFT) && fed.machine.tree.member(Place(1)).is_some(),
    },
    Witness {
        name: "one who waited joins",
        seen: |fed| fed.machine.tree.members().any(|it| it.stamp.epoch == ControllerEpoch(2)),
    },
];

/// A daemon, another one of its machine, and lambdas that lodge, or have not heard that they do.
fn machines(bugs: Bugs) -> Pool<Channel<Address>> {
    const SHARED: MachineId = MachineId(1);
    let lambda = |seat| Registration { tenancy: Tenancy::Lambda(SHARED), ..seat };
    let daemon = |seat| Registration { tenancy: Tenancy::Daemon(SHARED), ..seat };
    let lodges = |host, link| {
        let lodging = Registration { place: None, ..seat(8, 0, Some(edge(host, link)), &[], standing(2)) };
        lambda(lodging)
    };
    let below = [edge(LEFT, 10), edge(RIGHT, 11)];
    let claims = vec![
        (ROOT, seat(8, 0, None, &[edge(LAST, 4)], standing(2))),
        // The daemon, with both of its lambdas; and one that was declared dead.
        (LAST, daemon(seat(12, 1, Some(edge(ROOT, 4)), &below, standing(2)))),
        (member(5, 4), daemon(seat(5, 1, Some(edge(ROOT, 4)), &[], standing(2)))),
        (LEFT, lodges(LAST, 10)),
        // It knows of its place only.
        (LEFT, lambda(seat(5, 1, Some(edge(ROOT, 4)), &[], standing(2)))),
        (RIGHT, lodges(LAST, 11)),
        // It has lodged with the one before.
        (RIGHT, lodges(member(5, 4), 7)),
    ];
    let mut events = vec![Event::Timer(Timer::Recovery)];
    for (member, registration) in claims {
        events.push(Event::From { member, message: ToController::Hello(registration) });
    }
    for tenancy in [Tenancy::Lambda(SHARED), Tenancy::Daemon(SHARED)] {
        events.push(Event::Join { call: CallId(0), address: 0, role: Role::Both, tenancy });
    }
    for member in [LAST, LEFT] {
        events.push(Event::Suspected(member));
        events.push(Event::From { member, message: ToController::Leave });
    }
    let config = Config { members_max: 6, ..pool(bugs).config };
    Pool { config, events, witnesses: MACHINES, ..pool(bugs) }
}

const MACHINES: &[Witness<Fed<Channel<Address>>>] = &[
    Witness {
        name: "two lodge with the daemon, over the links that they had",
        seen: |fed| {
            let lodgers = fed.machine.tree.lodgers(LAST).map(|edge| edge.link);
            lodgers.eq([10, 11].map(|link| LinkId(ids::stamp(link))))
        },
    },
    Witness {
        name: "two daemons of one machine call",
        seen: |fed| {
            let claims = fed.machine.recovery.iter().flat_map(|it| it.claims.iter());
            claims.filter(|(_, claim)| claim.registration.tenancy.is_daemon()).count() == 2
        },
    },
    Witness {
        name: "lambdas are found without their daemon",
        seen: |fed| fed.machine.tree.place(LEFT).is_some() && fed.machine.tree.place(RIGHT).is_some(),
    },
];

/// Two who handle results in different slots: one was declared dead, and the other one came after it. The rest only gives.
fn handlers(bugs: Bugs) -> Pool<Channel<Address>> {
    let gives = |seat| Registration { role: Role::Sender, ..seat };
    let below = [edge(LEFT, 4), edge(RIGHT, 7)];
    let claims = [
        (ROOT, gives(seat(8, 0, None, &below, standing(2)))),
        (LEFT, seat(5, 1, Some(edge(ROOT, 4)), &[], standing(2))),
        (RIGHT, seat(8, 2, Some(edge(ROOT, 7)), &[], standing(2))),
        (LAST, gives(seat(12, 1, Some(edge(ROOT, 11)), &[], standing(2)))),
    ];
    let mut events = vec![Event::Timer(Timer::Recovery)];
    for (member, registration) in claims {
        events.push(Event::From { member, message: ToController::Hello(registration) });
    }
    for role in [Role::Sender, Role::Both] {
        events.push(Event::Join { call: CallId(0), address: 0, role, tenancy: ALONE });
    }
    for member in [LEFT, RIGHT] {
        events.push(Event::Suspected(member));
        events.push(Event::From { member, message: ToController::Leave });
    }
    let config = Config { one_receiver: true, ..pool(bugs).config };
    Pool { config, events, witnesses: HANDLERS, ..pool(bugs) }
}

const HANDLERS: &[Witness<Fed<Channel<Address>>>] = &[
    Witness {
        name: "one comes back that has a successor",
        seen: |fed| {
            let claims = fed.machine.recovery.as_ref().map(|it| &it.claims);
            claims.is_some_and(|claims| claims.get(&1).is_some() && claims.get(&2).is_some())
        },
    },
    Witness {
        name: "the newest handles results after the restart",
        seen: |fed| fed.machine.recovery.is_none() && fed.machine.handler == Some(RIGHT),
    },
    Witness {
        name: "another one handles results when it is gone",
        seen: |fed| fed.machine.handler.is_some_and(|it| it.stamp.epoch == ControllerEpoch(2)),
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    let machines = World {
        name: "controller-restart-daemon",
        about: "a controller that was restarted finds daemons",
        golden: Golden { unique: 2_671, depth: 28 },
        deep: false,
        make: |bugs| Box::new(machines(bugs)),
    };
    let handlers = World {
        name: "controller-restart-handler",
        about: "a controller that was restarted finds two who handle results",
        golden: Golden { unique: 478, depth: 13 },
        deep: false,
        make: |bugs| Box::new(handlers(bugs)),
    };
    vec![
        machines,
        handlers,
        World {
            name: "controller-restart",
            about: "a controller that was restarted, fed anything",
            golden: Golden { unique: 594_516, depth: 115 },
            deep: false,
            make: |bugs| Box::new(pool(bugs)),
        },
    ]
}

//! A channel's controller alone, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Cut, Pace, Probe, ProbeId, Role, Tenancy, ToController};
use cirrus_core::controller::{Channel, Config, Event, Timer};
use cirrus_core::ids::{AssignmentVersion, CallId, FanOut, LinkId, MachineId, MemberId, Millis};
use cirrus_core::member::Member;

use super::{Golden, World, ids};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::{Address, Piece};

/// Nothing more is tried behind this many stamps.
const STAMPS: u32 = 16;

/// No daemon ever comes to this machine.
const ALONE: Tenancy = Tenancy::Lambda(MachineId(0));

fn join(tenancy: Tenancy) -> Event<Address> {
    Event::Join { call: CallId(0), address: 0, role: Role::Both, tenancy }
}

/// One that has not heard anything.
fn stranger() -> Member<Address, Piece> {
    Member::new(0, Role::Both, ALONE)
}

pub(crate) fn pool(bugs: Bugs) -> Pool<Channel<Address>> {
    // Some of these come to be members, some are so at the same time, and some have the slot of another.
    let members = [(1, 0), (3, 1), (6, 2), (6, 1), (9, 0)];
    let members = members.map(|(serial, slot)| MemberId { stamp: ids::stamp(serial), slot });
    let stamps = [4, 7, 9, 10].map(ids::stamp);
    let mut events = vec![join(ALONE), Event::Reshape(FanOut(1))];
    events.push(Event::Timer(Timer::Reshape));
    for member in members {
        events.extend([Event::Suspected(member), Event::Disconnected(member), Event::Expiring(member)]);
        let mut say = |message| events.push(Event::From { member, message });
        say(ToController::Leave);
        say(ToController::Hello(stranger().registration()));
        say(ToController::Noted(AssignmentVersion(ids::stamp(9))));
        say(ToController::CallRoll);
        say(ToController::CheckRoll(Cut { until: ids::stamp(6), ..Cut::default() }));
        for missed in members {
            say(ToController::Missing(missed));
        }
        for stamp in stamps {
            say(ToController::Report(LinkId(stamp)));
            say(ToController::Answer(Probe { id: ProbeId(stamp), about: None }));
        }
        events.extend(stamps.map(|stamp| Event::Timer(Timer::Probe(member, ProbeId(stamp)))));
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
        drawn > STAMPS
    };
    let new = || Channel::new(ids::stamp(0).epoch, FanOut(2));
    Pool { part: Part::Controller, config, events, new, first: Vec::new(), far, witnesses: WITNESSES }
}

const WITNESSES: &[Witness<Fed<Channel<Address>>>] = &[
    Witness { name: "three members", seen: |fed| fed.machine.tree.len() == 3 },
    Witness {
        name: "a root after another",
        seen: |fed| fed.machine.reign.is_some_and(|reign| reign.term.0.serial > 2),
    },
    Witness {
        name: "a member is probed",
        seen: |fed| fed.machine.records.iter().flatten().any(|record| record.probe.is_some()),
    },
    Witness {
        name: "one that nears its end is below one that does not",
        seen: |fed| {
            let expiring = |member| fed.machine.record(member).is_some_and(|record| record.expiring);
            let last = fed.machine.tree.members().next_back();
            fed.machine.tree.root().is_some_and(|root| !expiring(root)) && last.is_some_and(expiring)
        },
    },
    Witness { name: "the root has to take note", seen: |fed| !fed.machine.departed.is_empty() },
    Witness { name: "the fan-out changes", seen: |fed| fed.machine.tree.reshapes_to().is_some() },
];

/// Three members whose links are reported, whose answers say about which link, or about another one, and who may go.
fn reported(bugs: Bugs) -> Pool<Channel<Address>> {
    let members = [(1, 0), (3, 1), (6, 2)];
    let members = members.map(|(serial, slot)| MemberId { stamp: ids::stamp(serial), slot });
    let links = [4, 7].map(|serial| LinkId(ids::stamp(serial)));
    let mut events = vec![join(ALONE)];
    for member in members {
        events.push(Event::Suspected(member));
        let mut say = |message| events.push(Event::From { member, message });
        say(ToController::Leave);
        say(ToController::Hello(stranger().registration()));
        for link in links {
            say(ToController::Report(link));
            for probe in [9, 10, 12] {
                let id = ProbeId(ids::stamp(probe));
                say(ToController::Answer(Probe { id, about: Some(link) }));
            }
        }
        // The link that comes of the first relay is reported as well.
        let again = LinkId(ids::stamp(10));
        say(ToController::Report(again));
        say(ToController::Answer(Probe { id: ProbeId(ids::stamp(12)), about: Some(again) }));
    }
    let first = (0..3).map(|_| join(ALONE)).collect();
    Pool { events, first, witnesses: REPORTED, ..pool(bugs) }
}

const REPORTED: &[Witness<Fed<Channel<Address>>>] = &[
    Witness {
        name: "two links go by relay",
        seen: |fed| {
            let relayed = |member| {
                let above = fed.machine.tree.parent(member);
                above.is_some_and(|edge| fed.machine.is_relayed(member, edge.member))
            };
            fed.machine.tree.members().filter(|member| relayed(*member)).count() == 2
        },
    },
    Witness {
        name: "a member that is reached by relay is probed",
        seen: |fed| {
            let mut records = fed.machine.records.iter().flatten();
            records.any(|record| record.probe.is_some() && fed.machine.relays.contains_key(&record.member))
        },
    },
];

/// Lambdas of two machines, to which daemons come and go.
fn machines(bugs: Bugs) -> Pool<Channel<Address>> {
    let lambda = |machine| join(Tenancy::Lambda(MachineId(machine)));
    let mut events = vec![lambda(1), join(Tenancy::Daemon(MachineId(1)))];
    // The fourth is a lambda, or the daemon.
    let members = [(1, 0), (3, 1), (6, 2), (9, 3), (9, 4), (12, 4)];
    let members = members.map(|(serial, slot)| MemberId { stamp: ids::stamp(serial), slot });
    for member in members {
        events.push(Event::Suspected(member));
        events.push(Event::From { member, message: ToController::Leave });
        let probes = (13..=MACHINE_STAMPS).map(|serial| Timer::Probe(member, ProbeId(ids::stamp(serial))));
        events.extend(probes.map(Event::Timer));
    }
    events.extend([members[0], members[1]].map(Event::Expiring));
    let config = Config { members_max: 5, ..pool(bugs).config };
    let far = |channel: &Channel<Address>| {
        let drawn = u32::MAX - channel.tree.stamps_left();
        drawn > MACHINE_STAMPS
    };
    let first = [1, 2, 1].map(lambda).to_vec();
    Pool { config, events, first, far, witnesses: MACHINES, ..pool(bugs) }
}

/// Nothing more is tried behind this many stamps where daemons come and go.
const MACHINE_STAMPS: u32 = 18;

const MACHINES: &[Witness<Fed<Channel<Address>>>] = &[
    Witness {
        name: "three lodge with one daemon",
        seen: |fed| fed.machine.daemons.values().any(|daemon| fed.machine.tree.lodgers(*daemon).count() == 3),
    },
    Witness {
        name: "a daemon is dead, and its machine is missed",
        seen: |fed| {
            let lambdas =
                fed.machine.records.iter().flatten().filter(|it| it.tenancy.machine() == MachineId(1));
            let (mut probed, count) = (0, lambdas.clone().count());
            lambdas.for_each(|record| probed += usize::from(record.probe.is_some()));
            fed.machine.daemons.is_empty() && count > 1 && probed == count
        },
    },
    Witness {
        name: "the first to lodge nears its end",
        seen: |fed| {
            let first = fed.machine.daemons.values().filter_map(|it| fed.machine.tree.lodgers(*it).next());
            first.into_iter().any(|it| fed.machine.record(it.member).is_some_and(|it| it.expiring))
        },
    },
];

/// What rounds have cost: a chain would be quicker, it is not, or only small ones went by.
const PACES: [Pace; 3] = {
    let large =
        Pace { rounds: 1, bytes: 1 << 30, piece: 1 << 20, busy: 20_000_000, quickest: 1000, sender: None };
    let slow = Pace { busy: 40_000_000, ..large };
    let small =
        Pace { rounds: 1000, bytes: 100_000, piece: 100, busy: 1_000_000, quickest: 1000, sender: None };
    [large, slow, small]
};

/// Three machines with daemons, of which the first two have a lambda, and perhaps a lambda that has none. What rounds cost
/// is said by the root, and by others.
fn paced(bugs: Bugs) -> Pool<Channel<Address>> {
    let first = [
        Tenancy::Daemon(MachineId(1)),
        Tenancy::Daemon(MachineId(2)),
        Tenancy::Daemon(MachineId(3)),
        Tenancy::Lambda(MachineId(1)),
        Tenancy::Lambda(MachineId(2)),
    ];
    let member = |serial, slot| MemberId { stamp: ids::stamp(serial), slot };
    let daemons = [member(1, 0), member(3, 1), member(6, 2)];
    let lambdas = [member(9, 3), member(12, 4)];
    let mut events = vec![join(Tenancy::Lambda(MachineId(4))), Event::Reshape(FanOut(3))];
    for member in daemons {
        for pace in PACES {
            for sender in [None, Some(lambdas[0]), Some(lambdas[1])] {
                let message = ToController::Paced(Pace { sender, ..pace });
                events.push(Event::From { member, message });
            }
        }
        events.push(Event::From { member, message: ToController::Leave });
    }
    events.push(Event::From { member: lambdas[1], message: ToController::Leave });
    let config = Config { members_max: 6, ..pool(bugs).config };
    let far = |channel: &Channel<Address>| u32::MAX - channel.tree.stamps_left() > PACED_STAMPS;
    let first = first.map(join).to_vec();
    Pool { config, events, first, far, witnesses: PACED, ..pool(bugs) }
}

/// Nothing more is tried behind this many stamps where a chain comes and goes.
const PACED_STAMPS: u32 = 31;

const PACED: &[Witness<Fed<Channel<Address>>>] = &[
    Witness { name: "a chain", seen: |fed| fed.machine.tree.fan_out() == FanOut(1) },
    Witness {
        name: "a chain that ends where the values come from",
        seen: |fed| {
            let second = fed.machine.daemon(MachineId(2));
            let last = fed.machine.tree.members().next_back();
            fed.machine.tree.fan_out() == FanOut(1) && second.is_some() && second == last
        },
    },
    Witness {
        name: "a chain was tried and given up",
        seen: |fed| {
            let known = fed.machine.pacing.as_ref();
            known.is_some_and(|it| it.chain.is_some()) && fed.machine.tree.fan_out() > FanOut(1)
        },
    },
    Witness {
        name: "a chain has been given up since somebody joined that may share a machine",
        seen: |fed| {
            let alone = |it| fed.machine.record(it).is_some_and(|record| !record.tenancy.is_daemon());
            let known = fed.machine.pacing.as_ref().is_some_and(|it| it.places == fed.machine.tree.len());
            known && fed.machine.tree.members().any(alone) && fed.machine.tree.fan_out() > FanOut(1)
        },
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    let machines = World {
        name: "controller-daemon",
        about: "machines whose daemons come and go",
        golden: Golden { unique: 91_193, depth: 12 },
        deep: false,
        make: |bugs| Box::new(machines(bugs)),
    };
    let reported = World {
        name: "controller-relay",
        about: "links are reported whose ends both live",
        golden: Golden { unique: 13_290, depth: 13 },
        deep: false,
        make: |bugs| Box::new(reported(bugs)),
    };
    let paced = World {
        name: "controller-pace",
        about: "what rounds cost makes a chain of machines, or a tree",
        golden: Golden { unique: 350_006, depth: 16 },
        deep: false,
        make: |bugs| Box::new(paced(bugs)),
    };
    vec![
        paced,
        reported,
        machines,
        World {
            name: "controller",
            about: "a channel's controller fed anything",
            golden: Golden { unique: 210_844, depth: 19 },
            deep: false,
            make: |bugs| Box::new(pool(bugs)),
        },
    ]
}

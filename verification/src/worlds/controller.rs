//! A channel's controller alone, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{ProbeId, Role, ToController};
use cirrus_core::controller::{Channel, Config, Event, Timer};
use cirrus_core::ids::{AssignmentVersion, CallId, FanOut, LinkId, MemberId, Millis};

use super::{Golden, World, ids};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::Address;

/// Nothing more is tried behind this many stamps.
const STAMPS: u32 = 16;

pub(crate) fn pool(bugs: Bugs) -> Pool<Channel<Address>> {
    // Some of these come to be members, some are so at the same time, and some have the slot of another.
    let members = [(1, 0), (3, 1), (6, 2), (6, 1), (9, 0)];
    let members = members.map(|(serial, slot)| MemberId { stamp: ids::stamp(serial), slot });
    let stamps = [4, 7, 9, 10].map(ids::stamp);
    let mut events =
        vec![Event::Join { call: CallId(0), address: 0, role: Role::Both }, Event::Reshape(FanOut(1))];
    events.push(Event::Timer(Timer::Reshape));
    for member in members {
        events.extend([Event::Suspected(member), Event::Expiring(member)]);
        let mut say = |message| events.push(Event::From { member, message });
        say(ToController::Leave);
        say(ToController::Hello(AssignmentVersion::default()));
        say(ToController::Noted(AssignmentVersion(ids::stamp(9))));
        say(ToController::CallRoll);
        for missed in members {
            say(ToController::Missing(missed));
        }
        for stamp in stamps {
            say(ToController::Report(LinkId(stamp)));
            say(ToController::Answer(ProbeId(stamp)));
        }
        events.extend(stamps.map(|stamp| Event::Timer(Timer::Probe(member, ProbeId(stamp)))));
    }
    let config =
        Config { members_max: 4, probe: Millis(1000), scan: 4, departed_max: 0, reshape: Millis(10), bugs };
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

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![World {
        name: "controller",
        about: "a channel's controller fed anything",
        golden: Golden { unique: 210_844, depth: 19 },
        deep: false,
        make: |bugs| Box::new(pool(bugs)),
    }]
}

//! A member that loses its controller, again and again, fed anything.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Assign, Parent, Probe, Role, Tenancy, ToMember};
use cirrus_core::ids::{AssignmentVersion, ControllerEpoch, LinkId, MachineId, MemberId, Place};
use cirrus_core::member::{Config, End, Event, Line, Member, Phase, Timer};
use cirrus_core::tree::Edge;

use super::{Golden, World, ids, zip};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::{Address, Piece};

type Machine = Member<Address, Piece>;

/// Nothing more is tried behind so many losses.
const LOSSES: u32 = 4;

pub(crate) fn pool(bugs: Bugs) -> Pool<Machine> {
    let member = |serial, slot| MemberId { stamp: ids::stamp(serial), slot };
    let (link, version) = (LinkId(ids::stamp(4)), AssignmentVersion(ids::stamp(5)));
    let edge = Edge { member: member(1, 0), link };
    let parent = Some(Parent { edge, address: 0, relay: false });
    let seat = Assign { version, place: Some(Place(1)), parent, children: Vec::new(), roster: None };
    let words = [ToMember::Assign(seat), ToMember::Probe(Probe::default()), ToMember::Fenced];
    let mut events = vec![Event::Controller(ToMember::Welcome(member(3, 1)))];
    events.extend(words.map(Event::Controller));
    events.extend([ToMember::Released].map(Event::Controller));
    events.extend([0, 1, u32::MAX].map(|luck| Event::ControllerLost { luck }));
    events.extend([1, 2].map(|epoch| Event::ControllerUp { epoch: ControllerEpoch(epoch) }));
    events.extend((0..LOSSES).map(|losses| Event::Timer(Timer::Reregister(losses))));
    events.extend([Event::LinkUp(link), Event::LinkDown(link)]);
    let piece = Piece {
        sender: 1,
        sequence: cirrus_core::ids::Sequence(1),
        index: 0,
        with: Arc::default(),
        roll: None,
    };
    events.extend([Event::Send(vec![piece]), Event::Leave, Event::Timer(Timer::Drain)]);
    let config: Config = zip::calm(bugs).setup.member;
    let far = |member: &Machine| member.contact.losses >= LOSSES || member.broadcast.sender.sequence.0 > 1;
    let (new, first) = (|| Member::new(1, Role::Both, Tenancy::Lambda(MachineId(0))), Vec::new());
    Pool { part: Part::Member, config, events, new, first, far, witnesses: WITNESSES }
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness {
        name: "it has a link and has lost the controller",
        seen: |fed| fed.machine.links.up().is_some() && fed.machine.contact.line == Line::Waiting,
    },
    Witness { name: "it has called in vain several times", seen: |fed| fed.machine.contact.losses > 2 },
    Witness {
        name: "it has gone over to a later life of the controller",
        seen: |fed| fed.machine.contact.epoch == ControllerEpoch(2) && fed.machine.contact.line == Line::Up,
    },
    Witness {
        name: "it has left at its deadline",
        seen: |fed| fed.machine.phase == Phase::Ended(End::Overdue),
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![World {
        name: "member-contact",
        about: "a member that loses its controller, fed anything",
        golden: Golden { unique: 402, depth: 19 },
        deep: false,
        make: |bugs| Box::new(pool(bugs)),
    }]
}

//! A root that hands results to one member, fed anything.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Assign, Census, Cut, Resume, Role, Roster, Tenancy, ToMember, Try, Unnamed};
use cirrus_core::ids::{AssignmentVersion, MachineId, MemberId, Place, Round, Sequence, Term};
use cirrus_core::member::{Config, Event, Kind, Member, Timer};

use super::{Golden, World, ids, zip};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::zip::{Address, Piece};

type Machine = Member<Address, Piece>;

pub(crate) fn pool(bugs: Bugs) -> Pool<Machine> {
    let member = |serial, slot| MemberId { stamp: ids::stamp(serial), slot };
    let (me, handlers, term) = (member(1, 0), [member(2, 1), member(3, 2)], Term(ids::stamp(4)));
    let roster = |departed| Roster {
        term,
        all: Cut { until: me.stamp, census: Census::of(me), daemons: 0 },
        departed,
        unnamed: Unnamed::default(),
        departed_daemons: Vec::new(),
        recount: None,
    };
    let seat = |serial, departed| Assign {
        version: AssignmentVersion(ids::stamp(serial)),
        place: Some(Place(0)),
        parent: None,
        children: Vec::new(),
        roster: Some(roster(departed)),
    };
    let gone = vec![(AssignmentVersion(ids::stamp(6)), handlers[0])];
    let words = [
        ToMember::Welcome(me),
        ToMember::Assign(seat(5, Vec::new())),
        ToMember::Assign(seat(6, gone)),
        ToMember::Gone(handlers[0]),
    ];
    let mut events: Vec<Event<Address, Piece>> = words.map(Event::Controller).into();
    let value = Piece { sender: 1, sequence: Sequence(1), index: 0, with: Arc::default(), roll: None };
    events.push(Event::Reduce(vec![value.clone()]));
    for attempt in 0..2 {
        let at = Try { round: Round(1), attempt, cut_off: false };
        events.push(Event::Combined { term, at, index: 0, value: value.clone() });
    }
    for from in handlers {
        for position in [0, 1].map(Round) {
            let resume = Resume { term, position, partial: None };
            events.push(Event::Collected { from, resume });
        }
        events.push(Event::SubmitterDown(from));
    }
    events.push(Event::Timer(Timer::HandlerLost(term, Round(1))));
    let calm: Config = zip::calm(bugs).setup.member;
    let config = Config { kind: Kind::Handled, ..calm };
    let far = |member: &Machine| member.reduce.answered > Round(0);
    let new = || Member::new(1, Role::Sender, Tenancy::Lambda(MachineId(0)));
    Pool { part: Part::Member, config, events, new, first: Vec::new(), far, witnesses: WITNESSES }
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness {
        name: "a result is kept for whoever comes",
        seen: |fed| fed.machine.reduce.kept.as_ref().is_some_and(|kept| kept.offered.is_none()),
    },
    Witness {
        name: "one calls while another may have taken the result",
        seen: |fed| {
            let offered = fed.machine.reduce.kept.as_ref().and_then(|kept| kept.offered);
            offered.is_some_and(|offered| fed.machine.reduce.handler.is_some_and(|it| it.member != offered))
        },
    },
    Witness {
        name: "a result goes round",
        seen: |fed| fed.machine.reduce.answered > Round(0) && fed.machine.reduce.kept.is_none(),
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![World {
        name: "member-handled",
        about: "a root that hands results to one, fed anything",
        golden: Golden { unique: 103, depth: 10 },
        deep: false,
        make: |bugs| Box::new(pool(bugs)),
    }]
}

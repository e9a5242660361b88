//! A member alone, fed anything: as a child, as a parent, as a root, in two terms.

use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{
    Assign, Census, Chunk, Contribution, Cut, Frame, Head, Origin, Parent, Piece as Part, Probe, Report,
    Resume, Role, Roster, RoundId, Share, Spoil, Submit, Sync, Tenancy, ToMember, Try,
};
use cirrus_core::ids::{
    AssignmentVersion, ControllerEpoch, LinkId, MachineId, MemberId, Millis, Place, Round, Sequence, Term,
};
use cirrus_core::member::{Config, Deadline, Event, Kind, Member, Phase, Timer};
use cirrus_core::tree::Edge;

use super::{Golden, World, ids};
use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally;
use crate::zip::{Address, Piece};

type Machine = Member<Address, Piece>;

const fn member(serial: u32, slot: u32) -> MemberId {
    let epoch = ControllerEpoch(1);
    MemberId { stamp: cirrus_core::ids::Stamp { epoch, serial }, slot }
}

const ME: MemberId = member(3, 1);
const PARENT: MemberId = member(1, 0);
const CHILD: MemberId = member(6, 2);

fn link(serial: u32) -> LinkId {
    LinkId(ids::stamp(serial))
}

fn edge(member: MemberId, serial: u32) -> Edge {
    Edge { member, link: link(serial) }
}

fn piece(sequence: u32, index: u32) -> Piece {
    Piece { sender: 0, sequence: Sequence(sequence), index, with: Arc::default(), roll: None }
}

fn head(term: u32) -> Head {
    let id = RoundId { term: Term(ids::stamp(term)), round: Round(1) };
    Head {
        id,
        cut: ids::stamp(6),
        origin: Some(Origin { member: PARENT, sequence: Sequence(1) }),
        sealed: None,
    }
}

fn sync(term: u32, floor: u64, carried: Option<u64>) -> Sync<Address> {
    let carried = carried.map(Round);
    Sync {
        term: Term(ids::stamp(term)),
        root: 0,
        cut: ids::stamp(6),
        floor: Round(floor),
        floor_cut: ids::stamp(1),
        prior: Term::default(),
        carried,
        attempt: Try::default(),
    }
}

/// The child's report: of this term, with the rounds up to this one.
fn report(term: u32, best: u64) -> Report {
    let done = vec![Census::of(CHILD); usize::try_from(best).unwrap_or(0)];
    Report {
        term: Term(ids::stamp(term)),
        cut: ids::stamp(6),
        synced: Census::of(CHILD),
        best: Round(best),
        seen: Round(best),
        floor: Round(0),
        floor_cut: ids::stamp(0),
        prior: Term::default(),
        done,
    }
}

/// As a child of one, as its parent's parent over another link, and as a root.
fn assigns() -> [Assign<Address>; 3] {
    let assign = |serial, parent: Option<u32>, children: &[Edge], roster| Assign {
        version: AssignmentVersion(ids::stamp(serial)),
        place: Some(Place(u32::from(parent.is_some()))),
        parent: parent.map(|serial| Parent { edge: edge(PARENT, serial), address: 0, relay: false }),
        children: children.to_vec(),
        roster,
    };
    let both = Census::of(ME).plus(Census::of(CHILD));
    let all = Cut { until: ids::stamp(6), census: both, daemons: 0 };
    let roster = Roster { term: Term(ids::stamp(12)), all, ..Roster::default() };
    [
        assign(5, Some(4), &[], None),
        assign(8, Some(4), &[edge(CHILD, 7)], None),
        assign(12, None, &[edge(CHILD, 7)], Some(roster)),
    ]
}

fn frames() -> Vec<Event<Address, Piece>> {
    let mut events = Vec::new();
    let mut frame = |serial, frame| events.push(Event::Frame { link: link(serial), frame });
    for serial in [4, 9] {
        for term in [2, 10] {
            frame(serial, Frame::Sync(sync(term, 0, None)));
            frame(serial, Frame::Sync(sync(term, 1, Some(0))));
            for (index, last) in [(0, false), (1, true)] {
                let chunk = |term_of_round| Chunk {
                    term: Term(ids::stamp(term)),
                    head: head(term_of_round),
                    index,
                    piece: Part::Part(piece(term_of_round, index), last),
                };
                frame(serial, Frame::Chunk(chunk(2)));
            }
        }
    }
    frame(4, Frame::Pull { term: Term(ids::stamp(10)), from: Round(1) });
    for term in [2, 12] {
        frame(7, Frame::Resume(Resume { term: Term(ids::stamp(term)), position: Round(0), partial: None }));
        frame(7, Frame::Report(report(term, 0)));
        frame(7, Frame::Report(report(term, 1)));
    }
    // It has heard from an earlier root that everybody has the round.
    let known = Report { floor: Round(1), done: Vec::new(), ..report(2, 1) };
    frame(7, Frame::Report(known));
    frame(7, Frame::Attach);
    events
}

/// Values for reduces, and what becomes of them.
fn values() -> Vec<Event<Address, Piece>> {
    let mut events = vec![Event::Reduce(vec![piece(1, 0)]), Event::Reduce(vec![piece(1, 0), piece(1, 1)])];
    let term = Term(ids::stamp(12));
    for attempt in [0, 1] {
        let at = Try { round: Round(1), attempt, cut_off: attempt == 1 };
        let whole = || Some(Share { census: Census::of(CHILD), ..Share::default() });
        let nobody = Some(Share::default());
        let given = [Some(piece(1, 0)), Some(piece(1, 1))];
        // Two pieces in the first attempt, and one or none in the second.
        let (pieces, why) = match given {
            [first, second] if attempt == 0 => ([(0, first, None), (1, second, whole())], Spoil::Mismatch),
            [first, _] => ([(0, first, whole()), (0, None, nobody)], Spoil::Moved),
        };
        for (index, payload, whole) in pieces {
            let contribution = Contribution { term, at, index, payload, whole };
            events.push(Event::Frame { link: link(7), frame: Frame::Contribution(contribution) });
        }
        events.push(Event::Frame { link: link(7), frame: Frame::Spoiled { term, at, why } });
        events.extend([0, 1].map(|index| Event::Combined { term, at, index, value: piece(1, index) }));
    }
    events.push(Event::Timer(Timer::RoundDeadline(term, Round(1))));
    events
}

pub(crate) fn pool(kind: Kind, witnesses: &'static [Witness<Fed<Machine>>], bugs: Bugs) -> Pool<Machine> {
    let mut events =
        vec![Event::Controller(ToMember::Welcome(ME)), Event::ControllerUp { epoch: ControllerEpoch(1) }];
    events.extend(assigns().map(|assign| Event::Controller(ToMember::Assign(assign))));
    events.extend([ToMember::Probe(Probe::default()), ToMember::Fenced].map(Event::Controller));
    events.extend([4, 7].map(|serial| Event::LinkDown(link(serial))));
    events.extend([4, 9].map(|serial| Event::LinkUp(link(serial))));
    events.extend([4, 7].map(|serial| Event::Timer(Timer::Attach(link(serial)))));
    events.push(Event::Timer(Timer::Redial(link(4))));
    events.extend(frames());
    let root = Term(ids::stamp(12));
    for (index, last) in [(0, false), (1, true)] {
        let submit = Submit { term: root, sequence: Sequence(1), index, payload: piece(1, index), last };
        events.push(Event::Submitted { from: CHILD, submit });
    }
    events.extend([Event::SubmitterDown(CHILD), Event::Timer(Timer::Submission(CHILD, Sequence(1)))]);
    let up = Term(ids::stamp(10));
    events.extend([Event::RootUp(up), Event::RootDown(up), Event::Timer(Timer::RedialRoot(up))]);
    events.push(Event::Go { term: up, sequence: Sequence(1), index: 1 });
    events.extend([Event::Send(vec![piece(1, 0)]), Event::Receive(1), Event::Leave]);
    if kind == Kind::Reduce {
        events.extend(values());
    }
    let config = Config {
        kind,
        attempts_max: 1,
        strict: false,
        missing_max: 1,
        deadline: Some(Deadline { after: Millis(1000), quorum: 1 }),
        window: 1,
        buffer: 1,
        senders_max: 2,
        handler: Millis(1000),
        attach: Millis(1000),
        redial: Millis(100),
        submission: Millis(1000),
        recontact: Millis(100),
        recontact_max: Millis(400),
        drain: Millis(1000),
        bugs,
    };
    let far = |member: &Machine| {
        member.broadcast.wanted > 1 || member.broadcast.sender.sequence.0 > 1 || member.broadcast.taken.0 > 1
    };
    let first = Vec::new();
    let new = || Member::new(0, Role::Both, Tenancy::Lambda(MachineId(0)));
    Pool { part: tally::Part::Member, config, events, new, first, far, witnesses }
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness {
        name: "the root goes on with what was carried",
        seen: |fed| {
            fed.machine.broadcast.reign.is_some() && fed.machine.broadcast.carried() == Some(Round(1))
        },
    },
    Witness {
        name: "half a round of an old term in a new one",
        seen: |fed| {
            let term = fed.machine.broadcast.term();
            fed.machine
                .broadcast
                .rounds
                .iter()
                .any(|(_, held)| held.end.is_none() && held.head.id.term < term)
        },
    },
    Witness { name: "it waits to be let go", seen: |fed| fed.machine.phase == Phase::Leaving },
];

const SUMS: &[Witness<Fed<Machine>>] = &[
    Witness {
        name: "a result is sealed",
        seen: |fed| fed.machine.broadcast.rounds.iter().any(|(_, held)| held.head.sealed.is_some()),
    },
    Witness { name: "an attempt came to nothing", seen: |fed| fed.machine.reduce.spoiled.is_some() },
    Witness {
        name: "a piece is combined and another one is to come",
        seen: |fed| fed.machine.reduce.sent == 1 && fed.machine.reduce.whole.is_none(),
    },
];

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        World {
            name: "member",
            about: "a member fed anything",
            golden: Golden { unique: 22_501, depth: 51 },
            deep: false,
            make: |bugs| Box::new(pool(Kind::Broadcast, WITNESSES, bugs)),
        },
        World {
            name: "member-sum",
            about: "a member of a reduce channel fed anything",
            golden: Golden { unique: 288_728, depth: 59 },
            deep: false,
            make: |bugs| Box::new(pool(Kind::Reduce, SUMS, bugs)),
        },
    ]
}

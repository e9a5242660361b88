//! One member's shuffles, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Assign, Census, Cut, Present, Role, Roll, Roster, RoundId, ToMember};
use cirrus_core::direct::{Have, Limits, LineEvent, Timer};
use cirrus_core::ids::{AssignmentVersion, MemberId, Millis, Place, Position, Round, Term};
use cirrus_core::member::Phase;
use cirrus_core::shuffle::{Config, Event, Parcel, Shuffle, What};

use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally::Part;
use crate::worlds::{Golden, World, ids};
use crate::zip::Address;
use crate::zip::beside::shuffles::Piece;

type Machine = Shuffle<Address, Piece>;

fn member(serial: u32, slot: u32) -> MemberId {
    MemberId { stamp: ids::stamp(serial), slot }
}

fn round(number: u64) -> RoundId {
    RoundId { term: Term(ids::stamp(2)), round: Round(number) }
}

/// Who the machine is, who is in its rounds, who is in none, and who joined after the cut.
fn people() -> [MemberId; 4] {
    [member(1, 0), member(3, 1), member(4, 2), member(9, 3)]
}

/// The first of them: the machine in this role, all others in the opposite one.
fn roll(role: Role, number: usize) -> Roll<Address> {
    let others = if role.sends() { Role::Receiver } else { Role::Sender };
    let present = people().into_iter().zip(0..).take(number);
    let present = present.map(|(member, address)| {
        let role = if address == 0 { role } else { others };
        Present { member, address, role }
    });
    let present: Vec<_> = present.collect();
    let census = present.iter().map(|it| Census::of(it.member)).fold(Census::default(), Census::plus);
    Roll { at: Cut { until: ids::stamp(9), census, daemons: 0 }, present }
}

/// The same, if somebody is gone.
fn without(gone: MemberId, mut roll: Roll<Address>) -> Roll<Address> {
    roll.present.retain(|it| it.member != gone);
    roll
}

/// The same of a controller that was started again and has heard of the first alone.
fn restarted(mut roll: Roll<Address>) -> Roll<Address> {
    roll.at.until = ids::stamp(1);
    roll
}

/// The words of the controller.
fn words(role: Role) -> Vec<ToMember<Address>> {
    let [_, other, stranger, _] = people();
    let assign = |serial: u32, all: Option<Cut>| {
        let term = Term(ids::stamp(2));
        let roster = all.map(|all| Roster { term, all, ..Roster::default() });
        let version = AssignmentVersion(ids::stamp(serial));
        ToMember::Assign(Assign {
            version,
            place: Some(Place(0)),
            parent: None,
            children: Vec::new(),
            roster,
        })
    };
    vec![
        assign(5, Some(roll(role, 2).at)),
        assign(6, None),
        ToMember::Roll(roll(role, 2)),
        ToMember::Roll(without(other, roll(role, 2))),
        ToMember::Roll(restarted(without(other, roll(role, 2)))),
        ToMember::Gone(other),
        ToMember::Gone(stranger),
        ToMember::Fenced,
    ]
}

/// Whether more than so much came from somebody, or was taken by somebody.
fn beyond(machine: &Machine, came: u64, taken: u64) -> bool {
    let mut peers = machine.lines.peers.iter();
    peers.any(|(_, peer)| peer.inbox.next > Position(came) || peer.out.first > Position(taken))
}

pub(crate) fn pool(role: Role, bugs: Bugs) -> Pool<Machine> {
    let [me, other, stranger, _] = people();
    let mut events: Vec<_> = words(role).into_iter().map(Event::Controller).collect();
    for number in [1, 2] {
        // In the second one there is somebody who will not hear of it.
        let roll = if number == 1 {
            roll(role, 2)
        } else {
            Roll { present: roll(role, 4).present, ..roll(role, 2) }
        };
        let mut roll = roll;
        roll.present.retain(|it| it.member != stranger);
        events.push(Event::Roster { round: round(number), cut: ids::stamp(4), roll });
    }
    events.push(Event::Roster { round: round(2), cut: ids::stamp(4), roll: without(me, roll(role, 2)) });
    let piece = Piece { from: 0, round: round(1), to: me, nth: 0 };
    events.extend([Event::ControllerUp, Event::Convened, Event::Shuffle, Event::End, Event::Leave]);
    events.extend([0, 7].map(|receiver| Event::Push { receiver, piece }));
    events.extend([Event::Take(1), Event::Timer(Timer::Silence)]);
    for it in [other, stranger] {
        events.extend([LineEvent::Up(it), LineEvent::Down(it), LineEvent::Called(it)].map(Event::Line));
        events.extend([LineEvent::CallerDown(it), LineEvent::Refused(it)].map(Event::Line));
        events.extend([Timer::Missing(it), Timer::Redial(it)].map(Event::Timer));
        for (taken, next) in [(0, 0), (0, 1), (1, 1), (7, 9)] {
            let have = Have { taken: Position(taken), next: Position(next) };
            events.push(Event::Line(LineEvent::Have { from: it, have }));
        }
        for position in [0, 1].map(Position) {
            for (number, what) in [(1, What::Piece(piece)), (1, What::End), (2, What::Piece(piece))] {
                let item = Parcel { round: round(number), what };
                events.push(Event::Line(LineEvent::Item { from: it, position, item }));
            }
        }
    }
    let config = Config {
        limits: Limits { window: 1, strangers_max: 1, redial: Millis(100), missing: Millis(1000), bugs },
        rosters_max: 2,
    };
    let first = vec![Event::Controller(ToMember::Welcome(me))];
    // Counters stay small; what a sender gets is of no concern.
    let far = if role.sends() {
        |machine: &Machine| machine.wanted > 0 || beyond(machine, 0, 0)
    } else {
        |machine: &Machine| machine.wanted > 1 || beyond(machine, 2, 1)
    };
    Pool { part: Part::Shuffle, config, events, new: Shuffle::default, first, far, witnesses: WITNESSES }
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness { name: "a round is under way", seen: |fed| fed.machine.open.is_some() },
    Witness { name: "a stranger waits", seen: |fed| !fed.machine.lines.strangers.is_empty() },
    Witness { name: "a root asks", seen: |fed| fed.machine.convener.asked },
    Witness { name: "a root has convened", seen: |fed| fed.machine.convener.under_way },
    Witness { name: "one is gone", seen: |fed| fed.machine.lines.peers.iter().any(|(_, peer)| peer.gone) },
    Witness { name: "it leaves", seen: |fed| fed.machine.phase == Phase::Leaving },
];

/// A receiver whose second roster is older than the first: its root was replaced before it went out. Somebody has
/// joined in between.
pub(crate) fn older(bugs: Bugs) -> Pool<Machine> {
    let [me, other, ..] = people();
    let whole = roll(Role::Receiver, 2);
    let rosters = [(1, true), (2, false), (3, true)].map(|(number, all)| {
        let mut roll = whole.clone();
        if !all {
            roll.at.until = ids::stamp(2);
            roll.present.retain(|it| it.member == me);
        }
        Event::Roster { round: round(number), cut: ids::stamp(9), roll }
    });
    let mut events: Vec<_> = rosters.into();
    events.extend([Event::Shuffle, Event::Take(1), Event::Line(LineEvent::Called(other))]);
    for number in [1, 3] {
        for position in [0, 1].map(Position) {
            let item = Parcel { round: round(number), what: What::End };
            events.push(Event::Line(LineEvent::Item { from: other, position, item }));
        }
    }
    let far = |machine: &Machine| machine.wanted > 1 || beyond(machine, 2, 1);
    Pool { events, far, witnesses: NEWCOMER, ..pool(Role::Receiver, bugs) }
}

const NEWCOMER: &[Witness<Fed<Machine>>] = &[Witness {
    name: "the next roster is older than one who is known",
    seen: |fed| {
        let next = fed.machine.rosters.first();
        let known = |it: MemberId| next.is_some_and(|roster| it.stamp > roster.until);
        fed.machine.lines.peers.iter().any(|(it, _)| known(*it))
    },
}];

pub(super) fn worlds() -> [World; 3] {
    [
        World {
            name: "shuffle-takes",
            about: "a receiver's shuffles fed anything",
            golden: Golden { unique: 86_379, depth: 64 },
            deep: false,
            make: |bugs| Box::new(pool(Role::Receiver, bugs)),
        },
        World {
            name: "shuffle-gives",
            about: "a sender's shuffles fed anything",
            golden: Golden { unique: 158_001, depth: 115 },
            deep: false,
            make: |bugs| Box::new(pool(Role::Sender, bugs)),
        },
        World {
            name: "shuffle-older",
            about: "a receiver's shuffles, one of them by an older roster",
            golden: Golden { unique: 1_980, depth: 22 },
            deep: false,
            make: |bugs| Box::new(older(bugs)),
        },
    ]
}

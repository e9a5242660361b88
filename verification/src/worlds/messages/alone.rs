//! One member's messages, fed anything.

use cirrus_core::bug::Bugs;
use cirrus_core::channel::{Census, Cut, Present, Role, Roll, ToMember};
use cirrus_core::direct::{Have, Limits, LineEvent, Timer};
use cirrus_core::ids::{MemberId, Millis, Position};
use cirrus_core::member::Phase;
use cirrus_core::messages::{Config, Event, Messages, Part};

use crate::pool::{Fed, Pool};
use crate::system::Witness;
use crate::tally;
use crate::worlds::{Golden, World, ids};
use crate::zip::Address;
use crate::zip::beside::messages::Piece;

type Machine = Messages<Address, Piece>;

fn member(serial: u32, slot: u32) -> MemberId {
    MemberId { stamp: ids::stamp(serial), slot }
}

/// Who the machine is, who is in every roll, who joins later, and who was in none and is gone.
fn people() -> [MemberId; 4] {
    [member(1, 0), member(3, 1), member(5, 2), member(2, 2)]
}

/// The roll when so many of them were there.
fn roll(number: usize) -> Roll<Address> {
    let present = people().into_iter().zip(0..).take(number);
    let present: Vec<_> =
        present.map(|(member, address)| Present { member, address, role: Role::Both }).collect();
    let census = present.iter().map(|it| Census::of(it.member)).fold(Census::default(), Census::plus);
    let until = present.iter().map(|it| it.member.stamp).max().unwrap_or_default();
    Roll { at: Cut { until, census, daemons: 0 }, present }
}

fn beyond(machine: &Machine, came: u64, sent: u64) -> bool {
    let mut peers = machine.lines.peers.iter();
    peers.any(|(_, peer)| peer.inbox.next > Position(came) || peer.out.until() > Position(sent))
}

/// What the machine can be told about a member, over direct connections and otherwise.
fn about(it: MemberId, sends: bool) -> Vec<Event<Address, Piece>> {
    let piece = Piece { from: 0, to: people()[0], nth: 0, index: 0 };
    let lines = [LineEvent::Up(it), LineEvent::Down(it), LineEvent::Called(it), LineEvent::CallerDown(it)];
    let lines = lines.into_iter().chain([LineEvent::Refused(it)]);
    let mut events: Vec<_> = lines.map(Event::Line).collect();
    events.extend([Timer::Missing(it), Timer::Redial(it), Timer::Silence].map(Event::Timer));
    if sends {
        events.extend([1, 2, 3].map(|count| Event::Send { to: it, pieces: vec![piece; count] }));
        for (taken, next) in [(0, 0), (0, 1), (1, 1), (2, 2), (7, 9)] {
            let have = Have { taken: Position(taken), next: Position(next) };
            events.push(Event::Line(LineEvent::Have { from: it, have }));
        }
    } else {
        events.push(Event::Receive { from: it });
        for (position, last) in [(0, false), (0, true), (1, false), (1, true), (2, true)] {
            let (position, item) = (Position(position), Part { piece, last });
            events.push(Event::Line(LineEvent::Item { from: it, position, item }));
        }
    }
    events
}

pub(crate) fn pool(sends: bool, bugs: Bugs) -> Pool<Machine> {
    let [me, other, later, gone] = people();
    let words = [
        ToMember::Roll(roll(2)),
        ToMember::Roll(roll(3)),
        ToMember::Gone(other),
        ToMember::Gone(later),
        ToMember::Fenced,
    ];
    let mut events: Vec<_> = words.into_iter().map(Event::Controller).collect();
    events.extend([Event::ControllerUp, Event::Leave, Event::Receive { from: me }]);
    events.extend([other, later].into_iter().flat_map(|it| about(it, sends)));
    events.push(Event::Line(LineEvent::Called(gone)));
    events.push(Event::Send { to: gone, pieces: vec![Piece { from: 0, to: gone, nth: 0, index: 0 }] });
    let limits = Limits { window: 0, strangers_max: 1, redial: Millis(100), missing: Millis(1000), bugs };
    let config = Config { limits, talks_max: 2, messages_max: 1, pieces_max: 2 };
    let first = vec![Event::Controller(ToMember::Welcome(me))];
    // Counters stay small.
    let far = if sends {
        |machine: &Machine| beyond(machine, 0, 3)
    } else {
        |machine: &Machine| beyond(machine, 3, 0)
    };
    Pool {
        part: tally::Part::Messages,
        config,
        events,
        new: Messages::default,
        first,
        far,
        witnesses: WITNESSES,
    }
}

fn talks(fed: &Fed<Machine>, of: impl Fn(&cirrus_core::messages::Talk<Piece>) -> bool) -> bool {
    fed.machine.talks.iter().any(|(_, talk)| of(talk))
}

const WITNESSES: &[Witness<Fed<Machine>>] = &[
    Witness { name: "a stranger waits", seen: |fed| !fed.machine.lines.strangers.is_empty() },
    Witness { name: "it waits for the roll", seen: |fed| fed.machine.asked },
    Witness {
        name: "a call waits for the roll",
        seen: |fed| talks(fed, |talk| talk.wanted + talk.unanswered() > 0) && fed.machine.asked,
    },
    Witness { name: "one is gone", seen: |fed| fed.machine.lines.peers.iter().any(|(_, peer)| peer.gone) },
    Witness { name: "it leaves", seen: |fed| fed.machine.phase == Phase::Leaving },
];

pub(super) fn worlds() -> [World; 2] {
    [
        World {
            name: "message-takes",
            about: "a receiver of messages fed anything",
            golden: Golden { unique: 45_427, depth: 76 },
            deep: false,
            make: |bugs| Box::new(pool(false, bugs)),
        },
        World {
            name: "message-gives",
            about: "a sender of messages fed anything",
            golden: Golden { unique: 30_371, depth: 113 },
            deep: false,
            make: |bugs| Box::new(pool(true, bugs)),
        },
    ]
}

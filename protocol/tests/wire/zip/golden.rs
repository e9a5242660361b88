//! The encoders against bytes that were made from `FORMAT.md` by something else.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use cirrus_core::channel::{
    Assign, Census, Chunk, Contribution, Cut, Failure, Frame, Head, Missing, Origin, Pace, Parent, Piece,
    Present, Probe, ProbeId, Recount, Registration, Report, Resume, Role, Roll, Roster, RoundId, Seal, Share,
    Spoil, Standing, Submit, Sync, Tenancy, ToController, ToMember, Try, Unnamed,
};
use cirrus_core::controller;
use cirrus_core::direct::Have;
use cirrus_core::directory::{ChannelName, Refusal};
use cirrus_core::ids::{
    AssignmentVersion, CallId, ControllerEpoch, JobId, LinkId, MachineId, MemberId, Millis, Place, Position,
    Round, Sequence, Stamp, Term,
};
use cirrus_core::member::Kind;
use cirrus_core::messages::Part;
use cirrus_core::shuffle::{Parcel, What};
use cirrus_core::tree::Edge;
use cirrus_protocol::frame::{DEFAULT_BODY_LIMIT, Decoded, decode};
use cirrus_protocol::handshake::{End, Handshake, Nonce, Proof, transcript};
use cirrus_protocol::zip::{
    Address, Again, ControllerReply, ControllerRequest, Join, PeerMessage, Purpose, decode_roll, encode_roll,
};

use super::Message;

fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = include_str!("../../../testdata/zip.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(" = ").unwrap();
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            (name, bytes.collect())
        })
        .collect()
}

const fn stamp(epoch: u32, serial: u32) -> Stamp {
    Stamp { epoch: ControllerEpoch(epoch), serial }
}

const fn member(epoch: u32, serial: u32, slot: u32) -> MemberId {
    MemberId { stamp: stamp(epoch, serial), slot }
}

const CHANNEL: Stamp = stamp(3, 9);
const ME: MemberId = member(3, 21, 5);
const OTHER: MemberId = member(4, 22, 6);
const THIRD: MemberId = member(4, 23, 7);
const LINK: LinkId = LinkId(stamp(4, 31));
const OTHER_LINK: LinkId = LinkId(stamp(4, 32));
const VERSION: AssignmentVersion = AssignmentVersion(stamp(4, 30));
const TERM: Term = Term(stamp(4, 33));
const OLD: Term = Term(stamp(3, 18));
const CENSUS: Census = Census { count: 2, weight: 0x1122_3344_5566_7788 };
const LARGER: Census = Census { count: 3, weight: 0xFFEE_DDCC_BBAA_9988 };
const PACE: Pace = Pace {
    rounds: 3,
    bytes: 0x0011_2233_4455_6677,
    piece: 1 << 20,
    busy: 1_000_000_007,
    quickest: 250,
    sender: Some(OTHER),
};
const CUT: Cut = Cut { until: stamp(4, 22), census: CENSUS, daemons: 1 };
const LATER: Cut = Cut { until: stamp(4, 23), census: LARGER, daemons: 2 };
const JOB: JobId = JobId(0x0102_0304_0506_0708);

fn address() -> Address {
    Address::new(["10.0.0.1:4100", "[::1]:4100", "unix:/run/cirrus"]).unwrap()
}

fn other_address() -> Address {
    Address::new(["10.0.0.2:4100"]).unwrap()
}

fn name(name: &str) -> ChannelName {
    ChannelName(name.into())
}

/// The numbers from `first` on.
fn rising(first: u8) -> [u8; 32] {
    core::array::from_fn(|at| first + at as u8)
}

fn handshakes() -> Vec<(&'static str, Handshake)> {
    vec![
        ("handshake/open", Handshake::Open { job: JOB, nonce: Nonce(rising(0)) }),
        ("handshake/challenge", Handshake::Challenge { nonce: Nonce(rising(100)) }),
        ("handshake/proof", Handshake::Proof(Proof(rising(200)))),
        ("handshake/admitted", Handshake::Admitted(Proof(rising(200)))),
        ("handshake/denied", Handshake::Denied),
    ]
}

fn edges() -> Vec<Edge> {
    vec![Edge { member: OTHER, link: LINK }, Edge { member: THIRD, link: OTHER_LINK }]
}

fn leaf() -> Registration<Address> {
    Registration {
        address: other_address(),
        role: Role::Receiver,
        tenancy: Tenancy::Lambda(MachineId(7)),
        version: VERSION,
        place: None,
        parent: Some(Edge { member: OTHER, link: LINK }),
        relay: true,
        children: Vec::new(),
        leaving: true,
        standing: Standing { term: TERM, reigns: false, cut: CUT.until, next: None },
    }
}

fn to_controller() -> Vec<(&'static str, ToController<Address>)> {
    let next = Some(LATER.until);
    let root = Registration {
        address: address(),
        role: Role::Both,
        tenancy: Tenancy::Daemon(MachineId(0x0102_0304_0506_0708)),
        version: VERSION,
        place: Some(Place(0)),
        parent: None,
        relay: false,
        children: edges(),
        leaving: false,
        standing: Standing { term: TERM, reigns: true, cut: CUT.until, next },
    };
    let probe = |about| Probe { id: ProbeId(stamp(4, 34)), about };
    vec![
        ("hello, root", ToController::Hello(root)),
        ("hello, leaf", ToController::Hello(leaf())),
        ("report link", ToController::Report(LINK)),
        ("answer", ToController::Answer(probe(Some(LINK)))),
        ("answer, about nothing", ToController::Answer(probe(None))),
        ("leave", ToController::Leave),
        ("noted", ToController::Noted(VERSION)),
        ("counted", ToController::Counted(VERSION)),
        ("daemons noted", ToController::DaemonsNoted(VERSION)),
        ("call roll", ToController::CallRoll),
        ("check roll", ToController::CheckRoll(CUT)),
        ("missing", ToController::Missing(OTHER)),
        ("paced", ToController::Paced(PACE)),
    ]
}

fn requests() -> Vec<(&'static str, ControllerRequest)> {
    let join = |call, channel, kind, (address, role, tenancy)| {
        let call = CallId(call);
        ControllerRequest::Join(Join { call, name: name(channel), kind, address, role, tenancy })
    };
    let again = ControllerRequest::Again(Again {
        channel: CHANNEL,
        member: ME,
        name: name("gradients"),
        kind: Kind::Reduce,
        registration: leaf(),
    });
    let from = |message| ControllerRequest::From { channel: CHANNEL, member: ME, message };
    let (lambda, daemon) = (Tenancy::Lambda(MachineId(7)), Tenancy::Daemon(MachineId(8)));
    let mut all = vec![
        ("join, broadcast, both", join(77, "gradients", Kind::Broadcast, (address(), Role::Both, lambda))),
        (
            "join, reduce, sender, nowhere",
            join(78, "é", Kind::Reduce, (Address::default(), Role::Sender, daemon)),
        ),
        (
            "join, handled, sender, nowhere",
            join(78, "é", Kind::Handled, (Address::default(), Role::Sender, daemon)),
        ),
        ("again", again),
        ("alive", ControllerRequest::Alive),
        ("expiring", ControllerRequest::Expiring { channel: CHANNEL, member: ME }),
    ];
    all.extend(to_controller().into_iter().map(|(name, message)| (name, from(message))));
    all
}

fn roll() -> Roll<Address> {
    let present = vec![
        Present { member: ME, address: address(), role: Role::Both },
        Present { member: OTHER, address: other_address(), role: Role::Sender },
        Present { member: THIRD, address: Address::default(), role: Role::Receiver },
    ];
    Roll { at: LATER, present }
}

fn to_member() -> Vec<(&'static str, ToMember<Address>)> {
    let departed = vec![
        (AssignmentVersion(stamp(4, 35)), member(3, 19, 2)),
        (AssignmentVersion(stamp(4, 36)), member(3, 20, 3)),
    ];
    let daemons = vec![(AssignmentVersion(stamp(4, 38)), member(3, 17, 4))];
    let recount = Recount { version: AssignmentVersion(stamp(4, 37)), cuts: [CUT, LATER] };
    let recount = Some(Box::new(recount));
    let assign = |place, parent, children, roster| {
        ToMember::Assign(Assign { version: VERSION, place: Some(Place(place)), parent, children, roster })
    };
    let parent = Parent { edge: Edge { member: OTHER, link: LINK }, address: address(), relay: true };
    let below = vec![Edge { member: THIRD, link: OTHER_LINK }];
    let roster = |all, departed: Vec<_>, departed_daemons, recount| {
        let count = u32::try_from(departed.len()).unwrap();
        let unnamed = Unnamed { count, until: AssignmentVersion(stamp(4, count)) };
        Some(Roster { term: TERM, all, departed, unnamed, departed_daemons, recount })
    };
    let probe = Probe { id: ProbeId(stamp(4, 34)), about: Some(LINK) };
    vec![
        ("welcome", ToMember::Welcome(ME)),
        ("assign, root", assign(0, None, edges(), roster(LATER, departed, daemons, recount))),
        (
            "assign, root, nothing to note",
            assign(0, None, Vec::new(), roster(CUT, Vec::new(), Vec::new(), None)),
        ),
        ("assign, inner", assign(6, Some(parent), below, None)),
        ("probe", ToMember::Probe(probe)),
        ("fenced", ToMember::Fenced),
        ("released", ToMember::Released),
        ("roll", ToMember::Roll(roll())),
        ("gone", ToMember::Gone(OTHER)),
    ]
}

fn replies() -> Vec<(&'static str, ControllerReply)> {
    let call = CallId(77);
    let refusals = [
        ("refused: unknown job", Refusal::UnknownJob),
        ("refused: wrong token", Refusal::WrongToken),
        ("refused: unknown channel", Refusal::UnknownChannel),
        ("refused: wrong kind", Refusal::WrongKind),
        ("refused: too many channels", Refusal::TooManyChannels),
        ("refused: too many jobs", Refusal::TooManyJobs),
        ("refused: no room", Refusal::NoRoom),
        ("refused: job open", Refusal::JobOpen),
        ("refused: recovering", Refusal::Recovering),
        ("refused: second daemon", Refusal::Channel(controller::Refusal::SecondDaemon)),
        ("refused: full", Refusal::Channel(controller::Refusal::Full)),
        ("refused: ids exhausted", Refusal::Channel(controller::Refusal::IdsExhausted)),
        ("refused: handler taken", Refusal::Channel(controller::Refusal::HandlerTaken)),
    ];
    let to = |message| ControllerReply::To { channel: CHANNEL, member: ME, message };
    let mut all = vec![
        ("hello", ControllerReply::Hello { epoch: ControllerEpoch(9), lease: Millis(1500) }),
        ("accepted", ControllerReply::Accepted { call, channel: CHANNEL, member: ME }),
        ("rejected", ControllerReply::Rejected(Refusal::UnknownChannel)),
    ];
    all.extend(refusals.map(|(name, reason)| (name, ControllerReply::Refused { call, reason })));
    all.extend(to_member().into_iter().map(|(name, message)| (name, to(message))));
    all
}

fn chunks() -> Vec<(&'static str, Chunk<Bytes>)> {
    let chunk = |begun, origin, sealed, piece| {
        let id = RoundId { term: begun, round: Round(42) };
        let head = Head { id, cut: CUT.until, origin, sealed };
        Chunk { term: TERM, head, index: 7, piece }
    };
    let part = |last| Piece::Part(Bytes::from_static(b"payload"), last);
    let until = AssignmentVersion(stamp(4, 36));
    let failed = |failure| {
        let missing = Missing { late: Vec::new(), departed: vec![THIRD], more: 0 };
        let seal = Seal { census: Census::default(), missing, until, failure: Some(failure) };
        chunk(TERM, None, Some(seal), Piece::Void)
    };
    let missing = Missing { late: vec![OTHER], departed: vec![THIRD, member(3, 20, 3)], more: 9 };
    let seal = Seal { census: CENSUS, missing, until, failure: None };
    let origin = Some(Origin { member: ME, sequence: Sequence(8) });
    vec![
        ("chunk, of a broadcast", chunk(OLD, origin, None, part(false))),
        ("chunk, last of a reduce", chunk(TERM, None, Some(seal), part(true))),
        ("chunk, void: incomplete", failed(Failure::Incomplete)),
        ("chunk, void: churn", failed(Failure::Churn)),
        ("chunk, void: mismatch", failed(Failure::Mismatch)),
        ("chunk, void: unhandled", failed(Failure::Unhandled)),
        ("chunk, handled", chunk(TERM, None, None, Piece::Handled)),
    ]
}

fn contributions() -> Vec<(&'static str, Contribution<Bytes>)> {
    let contribution = |attempt, cut_off, payload: Option<&'static str>, whole| {
        let at = Try { round: Round(42), attempt, cut_off };
        let payload = payload.map(|text| Bytes::from_static(text.as_bytes()));
        Contribution { term: TERM, at, index: 7, payload, whole }
    };
    let share = Share { census: LARGER, daemons: Census { count: 1, weight: 5 }, late: vec![OTHER] };
    vec![
        ("contribution, more", contribution(2, false, Some("values"), None)),
        ("contribution, last", contribution(2, true, Some("values"), Some(share))),
        ("contribution, none yet", contribution(0, false, None, None)),
    ]
}

fn link_frames() -> Vec<(&'static str, Frame<Address, Bytes>)> {
    let attempt = |round, attempt, cut_off| Try { round: Round(round), attempt, cut_off };
    let resume = |partial| Frame::Resume(Resume { term: TERM, position: Round(41), partial });
    let report = Report {
        term: TERM,
        cut: CUT.until,
        synced: CENSUS,
        best: Round(44),
        seen: Round(45),
        floor: Round(41),
        floor_cut: ME.stamp,
        prior: OLD,
        done: vec![CENSUS, LARGER],
    };
    let sync = |root, carried, attempt| {
        Frame::Sync(Sync {
            term: TERM,
            root,
            cut: CUT.until,
            floor: Round(41),
            floor_cut: ME.stamp,
            prior: OLD,
            carried,
            attempt,
        })
    };
    let spoiled = |at, why| Frame::Spoiled { term: TERM, at, why };
    let mut all = vec![
        ("attach", Frame::Attach),
        ("resume", resume(Some((RoundId { term: OLD, round: Round(42) }, 3)))),
        ("resume, whole", resume(None)),
        ("report", Frame::Report(report)),
        ("sync", sync(address(), Some(Round(44)), attempt(45, 2, true))),
        ("sync, not carried", sync(Address::default(), None, attempt(0, 0, false))),
        ("spoiled: moved", spoiled(attempt(45, 2, false), Spoil::Moved)),
        ("spoiled: mismatch", spoiled(attempt(45, 2, true), Spoil::Mismatch)),
        ("pull", Frame::Pull { term: TERM, from: Round(43) }),
    ];
    all.extend(chunks().into_iter().map(|(name, chunk)| (name, Frame::Chunk(chunk))));
    all.extend(contributions().into_iter().map(|(name, it)| (name, Frame::Contribution(it))));
    all
}

fn peer_messages() -> Vec<(&'static str, PeerMessage)> {
    let channel = CHANNEL;
    let submit = |index, payload: &'static [u8], last| {
        let payload = Bytes::from_static(payload);
        let submit = Submit { term: TERM, sequence: Sequence(8), index, payload, last };
        PeerMessage::Submit { channel, submit }
    };
    let item = |position, what| {
        let item = Parcel { round: RoundId { term: TERM, round: Round(42) }, what };
        PeerMessage::Item { channel, position: Position(position), item }
    };
    let caller = |purpose| PeerMessage::Caller { channel, from: ME, to: OTHER, purpose };
    let part = |position, piece: &'static str, last| {
        let part = Part { piece: Bytes::from_static(piece.as_bytes()), last };
        PeerMessage::Part { channel, position: Position(position), part }
    };
    let resume = Resume { term: TERM, position: Round(41), partial: None };
    let have = Have { taken: Position(98), next: Position(101) };
    let mut all = vec![
        ("sender", PeerMessage::Sender { channel, term: TERM, from: ME }),
        ("submit", submit(7, b"payload", false)),
        ("submit, last and empty", submit(8, b"", true)),
        ("collect", PeerMessage::Collect { channel, resume }),
        ("hand", PeerMessage::Hand { channel, chunk: chunks().swap_remove(1).1 }),
        ("go", PeerMessage::Go { channel, term: TERM, sequence: Sequence(8), index: 7 }),
        ("caller, shuffle", caller(Purpose::Shuffle)),
        ("caller, messages", caller(Purpose::Messages)),
        ("part", part(99, "message", false)),
        ("part, last", part(100, "", true)),
        ("item, piece", item(99, What::Piece(Bytes::from_static(b"records")))),
        ("item, end", item(100, What::End)),
        ("have", PeerMessage::Have { channel, have }),
        ("caller fenced", PeerMessage::Fenced { channel }),
    ];
    all.extend(
        link_frames()
            .into_iter()
            .map(|(name, frame)| (name, PeerMessage::Link { channel, link: LINK, frame })),
    );
    all
}

pub(super) fn messages() -> Vec<(&'static str, Message)> {
    let mut all = Vec::new();
    all.extend(handshakes().into_iter().map(|(name, message)| (name, Message::Handshake(message))));
    all.extend(requests().into_iter().map(|(name, message)| (name, Message::Request(message))));
    all.extend(replies().into_iter().map(|(name, message)| (name, Message::Reply(message))));
    all.extend(peer_messages().into_iter().map(|(name, message)| (name, Message::Peer(message))));
    all
}

#[test]
fn every_message_is_its_vector_and_nothing_else() {
    let mut vectors = vectors();
    for (name, message) in messages() {
        let expected = vectors.remove(name).unwrap_or_else(|| panic!("no vector for {name}"));
        let mut bytes = Vec::new();
        message.clone().into_frame().encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
        assert_eq!(bytes, expected, "{name}");
        let decoded = decode(&mut BytesMut::from(expected.as_slice()), DEFAULT_BODY_LIMIT);
        let Ok(Decoded::Frame(frame)) = decoded else { panic!("{name}: {decoded:?}") };
        assert_eq!(Message::read(&frame), message, "{name}");
    }
    let expected = Bytes::from(vectors.remove("roll as a payload").unwrap());
    assert_eq!(encode_roll(&roll()), expected);
    assert_eq!(decode_roll(expected), Ok(roll()));
    for (name, end) in [("transcript/caller", End::Caller), ("transcript/called", End::Called)] {
        let expected = vectors.remove(name).unwrap();
        assert_eq!(transcript(end, JOB, Nonce(rising(0)), Nonce(rising(100))), expected[..], "{name}");
    }
    // What is keyed is computed by the transport, which is held against these.
    vectors.retain(|name, _| !name.starts_with("proof/"));
    assert!(vectors.is_empty(), "vectors that nothing was compared with: {:?}", vectors.keys());
}

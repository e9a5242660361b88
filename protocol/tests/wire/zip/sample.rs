//! Arbitrary messages of channels.

use bytes::Bytes;
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
use cirrus_protocol::handshake::{Handshake, Nonce, Proof};
use cirrus_protocol::zip::{Address, Again, ControllerReply, ControllerRequest, Join, PeerMessage, Purpose};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::Message;
use crate::sample::bytes;

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<(u32, u32)>().prop_map(|(epoch, serial)| Stamp { epoch: ControllerEpoch(epoch), serial })
}

fn term() -> impl Strategy<Value = Term> {
    stamp().prop_map(Term)
}

fn link() -> impl Strategy<Value = LinkId> {
    stamp().prop_map(LinkId)
}

fn version() -> impl Strategy<Value = AssignmentVersion> {
    stamp().prop_map(AssignmentVersion)
}

fn channel() -> impl Strategy<Value = Stamp> {
    stamp()
}

fn round() -> impl Strategy<Value = Round> {
    any::<u64>().prop_map(Round)
}

fn member() -> impl Strategy<Value = MemberId> {
    (stamp(), any::<u32>()).prop_map(|(stamp, slot)| MemberId { stamp, slot })
}

fn members() -> impl Strategy<Value = Vec<MemberId>> {
    vec(member(), 0..4)
}

fn edge() -> impl Strategy<Value = Edge> {
    (member(), link()).prop_map(|(member, link)| Edge { member, link })
}

fn census() -> impl Strategy<Value = Census> {
    any::<(u32, u64)>().prop_map(|(count, weight)| Census { count, weight })
}

fn cut() -> impl Strategy<Value = Cut> {
    (stamp(), census(), any::<u32>()).prop_map(|(until, census, daemons)| Cut { until, census, daemons })
}

fn pace() -> impl Strategy<Value = Pace> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>());
    (numbers, of(member())).prop_map(|((rounds, bytes, piece, busy, quickest), sender)| Pace {
        rounds,
        bytes,
        piece,
        busy,
        quickest,
        sender,
    })
}

fn address() -> impl Strategy<Value = Address> {
    vec("[a-zé0-9:./ ]{1,20}", 0..4)
        .prop_map(|candidates| Address::new(candidates.iter().map(String::as_str)).unwrap())
}

fn name() -> impl Strategy<Value = ChannelName> {
    ".{0,40}".prop_map(|name| ChannelName(name.into()))
}

fn kind() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Broadcast, Kind::Reduce])
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Sender, Role::Receiver, Role::Both])
}

fn tenancy() -> impl Strategy<Value = Tenancy> {
    any::<(bool, u64)>().prop_map(|(daemon, machine)| match daemon {
        true => Tenancy::Daemon(MachineId(machine)),
        false => Tenancy::Lambda(MachineId(machine)),
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    select(vec![
        Refusal::UnknownJob,
        Refusal::WrongToken,
        Refusal::UnknownChannel,
        Refusal::WrongKind,
        Refusal::TooManyChannels,
        Refusal::TooManyJobs,
        Refusal::NoRoom,
        Refusal::JobOpen,
        Refusal::Recovering,
        Refusal::Channel(controller::Refusal::SecondDaemon),
        Refusal::Channel(controller::Refusal::Full),
        Refusal::Channel(controller::Refusal::IdsExhausted),
    ])
}

fn probe() -> impl Strategy<Value = Probe> {
    (stamp(), of(link())).prop_map(|(id, about)| Probe { id: ProbeId(id), about })
}

fn standing() -> impl Strategy<Value = Standing> {
    (term(), any::<bool>(), stamp(), of(stamp())).prop_map(|(term, reigns, cut, next)| Standing {
        term,
        reigns,
        cut,
        next,
    })
}

fn registration() -> impl Strategy<Value = Registration<Address>> {
    let flags = any::<(bool, bool)>();
    let seat = (version(), of(any::<u32>()));
    (address(), role(), tenancy(), seat, of(edge()), vec(edge(), 0..4), flags, standing()).prop_map(
        |(address, role, tenancy, (version, place), parent, children, (relay, leaving), standing)| {
            Registration {
                address,
                role,
                tenancy,
                version,
                place: place.map(Place),
                parent,
                relay,
                children,
                leaving,
                standing,
            }
        },
    )
}

fn to_controller() -> impl Strategy<Value = ToController<Address>> {
    prop_oneof![
        registration().prop_map(ToController::Hello),
        link().prop_map(ToController::Report),
        probe().prop_map(ToController::Answer),
        Just(ToController::Leave),
        version().prop_map(ToController::Noted),
        version().prop_map(ToController::Counted),
        version().prop_map(ToController::DaemonsNoted),
        Just(ToController::CallRoll),
        cut().prop_map(ToController::CheckRoll),
        member().prop_map(ToController::Missing),
        pace().prop_map(ToController::Paced),
    ]
}

fn request() -> impl Strategy<Value = ControllerRequest> {
    prop_oneof![
        (any::<u64>(), name(), kind(), address(), role(), tenancy()).prop_map(
            |(call, name, kind, address, role, tenancy)| {
                ControllerRequest::Join(Join { call: CallId(call), name, kind, address, role, tenancy })
            }
        ),
        (channel(), member(), name(), kind(), registration()).prop_map(
            |(channel, member, name, kind, registration)| {
                ControllerRequest::Again(Again { channel, member, name, kind, registration })
            }
        ),
        Just(ControllerRequest::Alive),
        (channel(), member()).prop_map(|(channel, member)| ControllerRequest::Expiring { channel, member }),
        (channel(), member(), to_controller())
            .prop_map(|(channel, member, message)| ControllerRequest::From { channel, member, message }),
    ]
}

fn roster() -> impl Strategy<Value = Roster> {
    let recount =
        (version(), cut(), cut()).prop_map(|(version, cut, next)| Recount { version, cuts: [cut, next] });
    let unnamed = (any::<u32>(), version()).prop_map(|(count, until)| Unnamed { count, until });
    let departed = || vec((version(), member()), 0..4);
    (term(), cut(), departed(), unnamed, departed(), of(recount.prop_map(Box::new))).prop_map(
        |(term, all, departed, unnamed, departed_daemons, recount)| Roster {
            term,
            all,
            departed,
            unnamed,
            departed_daemons,
            recount,
        },
    )
}

fn assign() -> impl Strategy<Value = Assign<Address>> {
    let parent =
        (edge(), address(), any::<bool>()).prop_map(|(edge, address, relay)| Parent { edge, address, relay });
    (version(), of(any::<u32>()), of(parent), vec(edge(), 0..4), of(roster())).prop_map(
        |(version, place, parent, children, roster)| Assign {
            version,
            place: place.map(Place),
            parent,
            children,
            roster,
        },
    )
}

pub(crate) fn roll() -> impl Strategy<Value = Roll<Address>> {
    let present =
        (member(), address(), role()).prop_map(|(member, address, role)| Present { member, address, role });
    (cut(), vec(present, 0..6)).prop_map(|(at, present)| Roll { at, present })
}

fn to_member() -> impl Strategy<Value = ToMember<Address>> {
    prop_oneof![
        member().prop_map(ToMember::Welcome),
        assign().prop_map(ToMember::Assign),
        probe().prop_map(ToMember::Probe),
        Just(ToMember::Fenced),
        Just(ToMember::Released),
        roll().prop_map(ToMember::Roll),
        member().prop_map(ToMember::Gone),
    ]
}

fn reply() -> impl Strategy<Value = ControllerReply> {
    let call = || any::<u64>().prop_map(CallId);
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(epoch, millis)| ControllerReply::Hello {
            epoch: ControllerEpoch(epoch),
            lease: Millis(millis),
        }),
        (call(), channel(), member()).prop_map(|(call, channel, member)| ControllerReply::Accepted {
            call,
            channel,
            member
        }),
        (call(), refusal()).prop_map(|(call, reason)| ControllerReply::Refused { call, reason }),
        refusal().prop_map(ControllerReply::Rejected),
        (channel(), member(), to_member()).prop_map(|(channel, member, message)| ControllerReply::To {
            channel,
            member,
            message
        }),
    ]
}

fn round_id() -> impl Strategy<Value = RoundId> {
    (term(), round()).prop_map(|(term, round)| RoundId { term, round })
}

fn attempt() -> impl Strategy<Value = Try> {
    (round(), any::<u32>(), any::<bool>()).prop_map(|(round, attempt, cut_off)| Try {
        round,
        attempt,
        cut_off,
    })
}

fn seal() -> impl Strategy<Value = Seal> {
    let missing = (members(), members(), any::<u32>()).prop_map(|(late, departed, more)| Missing {
        late,
        departed,
        more,
    });
    let failure = of(select(vec![Failure::Incomplete, Failure::Churn, Failure::Mismatch]));
    (census(), missing, version(), failure).prop_map(|(census, missing, until, failure)| Seal {
        census,
        missing,
        until,
        failure,
    })
}

fn chunk() -> impl Strategy<Value = Chunk<Bytes>> {
    let origin = (member(), any::<u32>())
        .prop_map(|(member, sequence)| Origin { member, sequence: Sequence(sequence) });
    let head = (round_id(), stamp(), of(origin), of(seal())).prop_map(|(id, cut, origin, sealed)| Head {
        id,
        cut,
        origin,
        sealed,
    });
    let piece = prop_oneof![
        (bytes(), any::<bool>()).prop_map(|(payload, last)| Piece::Part(payload, last)),
        Just(Piece::Void),
    ];
    (term(), head, any::<u32>(), piece).prop_map(|(term, head, index, piece)| Chunk {
        term,
        head,
        index,
        piece,
    })
}

fn contribution() -> impl Strategy<Value = Contribution<Bytes>> {
    let share = (census(), census(), members());
    let share = share.prop_map(|(census, daemons, late)| Share { census, daemons, late });
    (term(), attempt(), any::<u32>(), of(bytes()), of(share))
        .prop_map(|(term, at, index, payload, whole)| Contribution { term, at, index, payload, whole })
}

fn report() -> impl Strategy<Value = Report> {
    let rounds = (round(), round(), round());
    (term(), stamp(), census(), rounds, stamp(), term(), vec(census(), 0..4)).prop_map(
        |(term, cut, synced, (best, seen, floor), floor_cut, prior, done)| Report {
            term,
            cut,
            synced,
            best,
            seen,
            floor,
            floor_cut,
            prior,
            done,
        },
    )
}

fn sync() -> impl Strategy<Value = Sync<Address>> {
    (term(), address(), stamp(), round(), stamp(), term(), of(round()), attempt()).prop_map(
        |(term, root, cut, floor, floor_cut, prior, carried, attempt)| Sync {
            term,
            root,
            cut,
            floor,
            floor_cut,
            prior,
            carried,
            attempt,
        },
    )
}

fn link_frame() -> impl Strategy<Value = Frame<Address, Bytes>> {
    let why = select(vec![Spoil::Moved, Spoil::Mismatch]);
    prop_oneof![
        Just(Frame::Attach),
        (term(), round(), of((round_id(), any::<u32>())))
            .prop_map(|(term, position, partial)| Frame::Resume(Resume { term, position, partial })),
        report().prop_map(Frame::Report),
        sync().prop_map(Frame::Sync),
        chunk().prop_map(Frame::Chunk),
        contribution().prop_map(Frame::Contribution),
        (term(), attempt(), why).prop_map(|(term, at, why)| Frame::Spoiled { term, at, why }),
        (term(), round()).prop_map(|(term, from)| Frame::Pull { term, from }),
    ]
}

fn peer() -> impl Strategy<Value = PeerMessage> {
    let sequence = || any::<u32>().prop_map(Sequence);
    let position = || any::<u64>().prop_map(Position);
    let submit = (term(), sequence(), any::<u32>(), bytes(), any::<bool>())
        .prop_map(|(term, sequence, index, payload, last)| Submit { term, sequence, index, payload, last });
    let what = prop_oneof![bytes().prop_map(What::Piece), Just(What::End)];
    let item = (round_id(), what).prop_map(|(round, what)| Parcel { round, what });
    let purpose = select(vec![Purpose::Shuffle, Purpose::Messages]);
    let part = (bytes(), any::<bool>()).prop_map(|(piece, last)| Part { piece, last });
    let collect = (term(), round());
    let collect = collect.prop_map(|(term, position)| Resume { term, position, partial: None });
    let have = (position(), position()).prop_map(|(taken, next)| Have { taken, next });
    prop_oneof![
        8 => (channel(), link(), link_frame())
            .prop_map(|(channel, link, frame)| PeerMessage::Link { channel, link, frame }),
        1 => (channel(), term(), member())
            .prop_map(|(channel, term, from)| PeerMessage::Sender { channel, term, from }),
        1 => (channel(), submit).prop_map(|(channel, submit)| PeerMessage::Submit { channel, submit }),
        1 => (channel(), term(), sequence(), any::<u32>()).prop_map(|(channel, term, sequence, index)| {
            PeerMessage::Go { channel, term, sequence, index }
        }),
        1 => (channel(), collect).prop_map(|(channel, resume)| PeerMessage::Collect { channel, resume }),
        1 => (channel(), chunk()).prop_map(|(channel, chunk)| PeerMessage::Hand { channel, chunk }),
        1 => (channel(), member(), member(), purpose).prop_map(|(channel, from, to, purpose)| {
            PeerMessage::Caller { channel, from, to, purpose }
        }),
        1 => (channel(), position(), part)
            .prop_map(|(channel, position, part)| PeerMessage::Part { channel, position, part }),
        1 => (channel(), position(), item)
            .prop_map(|(channel, position, item)| PeerMessage::Item { channel, position, item }),
        1 => (channel(), have).prop_map(|(channel, have)| PeerMessage::Have { channel, have }),
        1 => channel().prop_map(|channel| PeerMessage::Fenced { channel }),
    ]
}

fn handshake() -> impl Strategy<Value = Handshake> {
    let nonce = || any::<[u8; 32]>().prop_map(Nonce);
    let proof = || any::<[u8; 32]>().prop_map(Proof);
    prop_oneof![
        (any::<u64>(), nonce()).prop_map(|(job, nonce)| Handshake::Open { job: JobId(job), nonce }),
        nonce().prop_map(|nonce| Handshake::Challenge { nonce }),
        proof().prop_map(Handshake::Proof),
        proof().prop_map(Handshake::Admitted),
        Just(Handshake::Denied),
    ]
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => handshake().prop_map(Message::Handshake),
        2 => request().prop_map(Message::Request),
        2 => reply().prop_map(Message::Reply),
        4 => peer().prop_map(Message::Peer),
    ]
}

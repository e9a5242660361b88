//! What messages are made of: ids, lists, and the structures that several of them hold.
//!
//! A structure's fields follow each other in the order in which they are listed here. The lists name every field, so a
//! field that is new in `core` does not compile until it has its place on the wire.

use alloc::boxed::Box;
use alloc::vec::Vec;

use cirrus_core::channel::{
    Assign, Census, Cut, Pace, Parent, Present, Probe, ProbeId, Recount, Registration, Role, Roll, Roster,
    Standing, Tenancy, Unnamed,
};
use cirrus_core::controller;
use cirrus_core::directory::{ChannelName, Refusal};
use cirrus_core::ids::{
    AssignmentVersion, ControllerEpoch, LinkId, MachineId, MemberId, Place, Position, Round, Sequence, Stamp,
    Term,
};
use cirrus_core::member::Kind;
use cirrus_core::tree::Edge;

use super::address::Address;
use crate::error::FormatError;
use crate::fields::{Reader, Writer, too_short};

/// The most entries of any list.
pub const LIST_MAX: u32 = 1 << 20;
/// The longest name of a channel, in bytes.
pub const NAME_LIMIT: usize = 255;

/// What has a place in a body.
pub(super) trait Part: Sized {
    /// It takes no fewer bytes than this.
    const LEAST: usize;
    fn write(&self, out: Writer) -> Writer;
    fn read(body: &mut Reader) -> Result<Self, FormatError>;
}

impl Writer {
    pub(super) fn part(self, part: &impl Part) -> Self {
        part.write(self)
    }
}

impl Reader {
    pub(super) fn part<T: Part>(&mut self) -> Result<T, FormatError> {
        T::read(self)
    }
}

/// A structure is its fields, in this order.
macro_rules! structure {
    ($($type:ty { $($field:ident: $part:ty),+ })*) => {$(
        impl Part for $type {
            const LEAST: usize = 0_usize$(.saturating_add(<$part as Part>::LEAST))+;

            fn write(&self, out: Writer) -> Writer {
                let Self { $($field),+ } = self;
                out$(.part($field))+
            }

            fn read(body: &mut Reader) -> Result<Self, FormatError> {
                Ok(Self { $($field: body.part()?),+ })
            }
        }
    )*};
}

/// An id is what is inside.
macro_rules! id {
    ($($id:ident($inner:ty))*) => {$(
        impl Part for $id {
            const LEAST: usize = <$inner>::LEAST;

            fn write(&self, out: Writer) -> Writer {
                out.part(&self.0)
            }

            fn read(body: &mut Reader) -> Result<Self, FormatError> {
                Ok(Self(body.part()?))
            }
        }
    )*};
}

/// A choice is one byte.
macro_rules! choice {
    ($($type:ident, $unknown:literal { $($pattern:pat => $number:literal => $value:expr),+ $(,)? })*) => {$(
        impl Part for $type {
            const LEAST: usize = 1;

            fn write(&self, out: Writer) -> Writer {
                out.u8(match self {
                    $($pattern => $number),+
                })
            }

            fn read(body: &mut Reader) -> Result<Self, FormatError> {
                match body.u8()? {
                    $($number => Ok($value),)+
                    _ => Err(FormatError::Corrupt($unknown)),
                }
            }
        }
    )*};
}

pub(super) use {choice, structure};

impl<A: Part, B: Part> Part for (A, B) {
    const LEAST: usize = A::LEAST.saturating_add(B::LEAST);

    fn write(&self, out: Writer) -> Writer {
        out.part(&self.0).part(&self.1)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok((body.part()?, body.part()?))
    }
}

impl Part for bool {
    const LEAST: usize = 1;

    fn write(&self, out: Writer) -> Writer {
        out.flag(*self)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        body.flag()
    }
}

impl Part for u32 {
    const LEAST: usize = 4;

    fn write(&self, out: Writer) -> Writer {
        out.u32(*self)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        body.u32()
    }
}

impl Part for u64 {
    const LEAST: usize = 8;

    fn write(&self, out: Writer) -> Writer {
        out.u64(*self)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        body.u64()
    }
}

/// One byte says whether it is there.
impl<T: Part> Part for Option<T> {
    const LEAST: usize = 1;

    fn write(&self, out: Writer) -> Writer {
        match self {
            Some(part) => out.flag(true).part(part),
            None => out.flag(false),
        }
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(if body.flag()? { Some(body.part()?) } else { None })
    }
}

impl<T: Part> Part for Box<T> {
    const LEAST: usize = T::LEAST;

    fn write(&self, out: Writer) -> Writer {
        out.part(&**self)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(Self::new(body.part()?))
    }
}

/// Their number, then one behind the other. The number is held against the limit, and against what is left of the body,
/// before there is room made for them.
impl<T: Part> Part for Vec<T> {
    const LEAST: usize = 4;

    fn write(&self, out: Writer) -> Writer {
        let out = out.u32(u32::try_from(self.len()).unwrap_or(u32::MAX));
        self.iter().fold(out, Writer::part)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        let count = body.u32()?;
        if count > LIST_MAX {
            return Err(FormatError::Limit { what: "a list", found: count.into(), limit: LIST_MAX.into() });
        }
        let count = count as usize;
        let needed = count.saturating_mul(T::LEAST);
        if needed > body.remaining() {
            return Err(too_short(needed, body.remaining()));
        }
        let mut list = Self::with_capacity(count);
        for _ in 0..count {
            list.push(body.part()?);
        }
        Ok(list)
    }
}

/// A stamp as one number that keeps their order: the controller's life in the upper half.
pub(super) fn stamp_number(stamp: Stamp) -> u64 {
    u64::from(stamp.epoch.0) << 32 | u64::from(stamp.serial)
}

/// The stamp of this number.
pub(super) fn stamp_of(number: u64) -> Stamp {
    Stamp { epoch: ControllerEpoch((number >> 32) as u32), serial: number as u32 }
}

impl Part for Stamp {
    const LEAST: usize = 8;

    fn write(&self, out: Writer) -> Writer {
        out.u64(stamp_number(*self))
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok(stamp_of(body.u64()?))
    }
}

impl Part for ChannelName {
    const LEAST: usize = 4;

    fn write(&self, out: Writer) -> Writer {
        out.text(&self.0)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        let name: Box<str> = body.text_up_to("a channel's name", NAME_LIMIT)?;
        Ok(Self(name))
    }
}

id! {
    AssignmentVersion(Stamp)
    LinkId(Stamp)
    MachineId(u64)
    Place(u32)
    Position(u64)
    ProbeId(Stamp)
    Round(u64)
    Sequence(u32)
    Term(Stamp)
}

choice! {
    Kind, "a channel of an unknown kind" {
        Self::Broadcast => 0 => Self::Broadcast,
        Self::Reduce => 1 => Self::Reduce,
        Self::Handled => 2 => Self::Handled,
    }
    Role, "an unknown role in a shuffle" {
        Self::Sender => 0 => Self::Sender,
        Self::Receiver => 1 => Self::Receiver,
        Self::Both => 2 => Self::Both,
    }
    Refusal, "a refusal for an unknown reason" {
        Self::UnknownJob => 1 => Self::UnknownJob,
        Self::WrongToken => 2 => Self::WrongToken,
        Self::UnknownChannel => 3 => Self::UnknownChannel,
        Self::WrongKind => 4 => Self::WrongKind,
        Self::TooManyChannels => 5 => Self::TooManyChannels,
        Self::TooManyJobs => 6 => Self::TooManyJobs,
        Self::NoRoom => 7 => Self::NoRoom,
        Self::JobOpen => 8 => Self::JobOpen,
        Self::Recovering => 11 => Self::Recovering,
        Self::Channel(controller::Refusal::SecondDaemon) => 12 => Self::Channel(controller::Refusal::SecondDaemon),
        Self::Channel(controller::Refusal::HandlerTaken) => 13 => Self::Channel(controller::Refusal::HandlerTaken),
        Self::Channel(controller::Refusal::Full) => 9 => Self::Channel(controller::Refusal::Full),
        Self::Channel(controller::Refusal::IdsExhausted) => 10 => Self::Channel(controller::Refusal::IdsExhausted),
    }
}

structure! {
    MemberId { stamp: Stamp, slot: u32 }
    Edge { member: MemberId, link: LinkId }
    Census { count: u32, weight: u64 }
    Cut { until: Stamp, census: Census, daemons: u32 }
    Pace { rounds: u32, bytes: u64, piece: u32, busy: u64, quickest: u32, sender: Option<MemberId> }
    Probe { id: ProbeId, about: Option<LinkId> }
    Parent<Address> { edge: Edge, address: Address, relay: bool }
    Recount { version: AssignmentVersion, cuts: [Cut; 2] }
    Unnamed { count: u32, until: AssignmentVersion }
    Roster {
        term: Term,
        all: Cut,
        departed: Vec<(AssignmentVersion, MemberId)>,
        unnamed: Unnamed,
        departed_daemons: Vec<(AssignmentVersion, MemberId)>,
        recount: Option<Box<Recount>>
    }
    Assign<Address> {
        version: AssignmentVersion,
        place: Option<Place>,
        parent: Option<Parent<Address>>,
        children: Vec<Edge>,
        roster: Option<Roster>
    }
    Present<Address> { member: MemberId, address: Address, role: Role }
    Roll<Address> { at: Cut, present: Vec<Present<Address>> }
    Standing { term: Term, reigns: bool, cut: Stamp, next: Option<Stamp> }
    Registration<Address> {
        address: Address,
        role: Role,
        tenancy: Tenancy,
        version: AssignmentVersion,
        place: Option<Place>,
        parent: Option<Edge>,
        relay: bool,
        children: Vec<Edge>,
        leaving: bool,
        standing: Standing
    }
}

/// What it is, and then where.
impl Part for Tenancy {
    const LEAST: usize = 9;

    fn write(&self, out: Writer) -> Writer {
        out.flag(self.is_daemon()).part(&self.machine())
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        let (daemon, machine) = (body.flag()?, body.part()?);
        Ok(if daemon { Self::Daemon(machine) } else { Self::Lambda(machine) })
    }
}

impl<T: Part> Part for [T; 2] {
    const LEAST: usize = T::LEAST.saturating_mul(2);

    fn write(&self, out: Writer) -> Writer {
        self.iter().fold(out, Writer::part)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        Ok([body.part()?, body.part()?])
    }
}

impl Writer {
    /// The channel that a frame belongs to.
    pub(super) fn in_channel(self, channel: Stamp) -> Self {
        self.header_channel(stamp_number(channel))
    }

    /// Who speaks to the controller, or is spoken to.
    pub(super) fn of_member(self, member: MemberId) -> Self {
        let MemberId { stamp, slot } = member;
        self.header_link(stamp_number(stamp)).header_chunk(slot)
    }
}

impl Reader {
    pub(super) fn channel(&mut self) -> Stamp {
        stamp_of(self.header_channel())
    }

    pub(super) fn member(&mut self) -> MemberId {
        MemberId { stamp: stamp_of(self.header_link()), slot: self.header_chunk() }
    }
}

//! What a lambda and the daemon of its machine say to each other about one channel.
//!
//! ```text
//!  lambda                              daemon
//!    |--- Lodge(channel, what for) ----->|   it joins the channel, if it has not
//!    |<-- Lodged(who, segment) ----------|
//!    |--- Ready ------------------------>|
//!    |<-- a byte, beside it two files ---|   the segment, and the lambda's ledger
//!    |<-- Seated ------------------------|   the daemon has its place
//!    |--- Lease(bytes) ----------------->|
//!    |<-- Leased(slab), or Full ---------|
//!    |<-- Taken, either way ------------>|   how many descriptors of a line
//!    |--- Left ------------------------->|   it is no member any more; what it still reads it holds
//! ```
//!
//! On other connections of theirs, the lines, [`Line`](LodgingMessage::Line) comes first, and then what members say to each
//! other.

use bytes::BytesMut;
use cirrus_core::directory::ChannelName;
use cirrus_core::ids::{CallId, Millis};
use cirrus_core::member::{Deadline, Kind};

use super::kind;
use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// A lambda's channel, for its daemon to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lodge {
    /// What it is called.
    pub name: ChannelName,
    /// What it is for.
    pub kind: Kind,
    /// Of reduces: all or nothing.
    pub strict: bool,
    /// Of reduces: when they go on without the late.
    pub deadline: Option<Deadline>,
    /// How values are combined: the number of an operator that the daemon knows; 0 where nothing is combined.
    pub operator: u32,
}

/// Why a daemon takes nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// The channel is for something else than the lambda says.
    OtherPurpose,
    /// It does not know the operator.
    UnknownOperator,
    /// It has no memory, or no files, for another channel or lambda.
    NoMemory,
}

/// From one to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LodgingMessage {
    /// To the daemon: the first word on a connection.
    Lodge(Lodge),
    /// To the daemon: hand the files over.
    Ready,
    /// To the daemon: the first word on a line.
    Line {
        /// Of which lodging.
        lodging: u64,
        /// What only that lambda was told.
        secret: [u8; 32],
        /// Its number; the lambda gives none twice.
        connection: u32,
    },
    /// To the daemon: room for so many bytes.
    Lease {
        /// Names it in the answer.
        call: CallId,
        /// How many.
        bytes: u64,
    },
    /// Either way: so many descriptors of a line were taken.
    Taken {
        /// Which line.
        connection: u32,
        /// How many.
        count: u64,
        /// No more will be.
        over: bool,
    },
    /// To the daemon: the lambda has left the channel.
    Left,
    /// To the lambda: it may lodge.
    Lodged {
        /// Names the lodging on lines.
        lodging: u64,
        /// To be shown on lines.
        secret: [u8; 32],
        /// The number of the segment.
        segment: u64,
    },
    /// To the lambda: the daemon has its place in the channel.
    Seated,
    /// To the lambda: a slab to write to.
    Leased {
        /// As asked.
        call: CallId,
        /// Its number in the ledger.
        slot: u32,
        /// Where it begins.
        begin: u64,
        /// How many bytes it has.
        bytes: u64,
    },
    /// To the lambda: there is no room.
    Full {
        /// As asked.
        call: CallId,
        /// How many bytes are free.
        free: u64,
    },
    /// To the lambda: it may not lodge.
    TurnedAway(TurnedAway),
}

impl LodgingMessage {
    /// The frame that carries it, its body written into `buffer`.
    #[must_use]
    pub fn into_frame(self, buffer: &mut BytesMut) -> Frame {
        let out = Writer::within(buffer);
        let (out, kind) = match self {
            Self::Lodge(Lodge { name, kind, strict, deadline, operator }) => {
                let out = out.part(&name).part(&kind).flag(strict).u32(operator).flag(deadline.is_some());
                let out = match deadline {
                    Some(Deadline { after, quorum }) => out.u32(after.0).u32(quorum),
                    None => out,
                };
                (out, kind::LODGE)
            }
            Self::Ready => (out, kind::READY),
            Self::Line { lodging, secret, connection } => {
                (out.header_call(lodging).header_chunk(connection).array(&secret), kind::LINE)
            }
            Self::Lease { call, bytes } => (out.call(call).u64(bytes), kind::LEASE),
            Self::Taken { connection, count, over } => {
                (out.header_chunk(connection).u64(count).flag(over), kind::TAKEN)
            }
            Self::Left => (out, kind::LODGER_LEFT),
            Self::Lodged { lodging, secret, segment } => {
                (out.header_call(lodging).array(&secret).u64(segment), kind::LODGED)
            }
            Self::Seated => (out, kind::SEATED),
            Self::Leased { call, slot, begin, bytes } => {
                (out.call(call).u32(slot).u64(begin).u64(bytes), kind::LEASED)
            }
            Self::Full { call, free } => (out.call(call).u64(free), kind::FULL),
            Self::TurnedAway(why) => {
                let number = match why {
                    TurnedAway::OtherPurpose => 0,
                    TurnedAway::UnknownOperator => 1,
                    TurnedAway::NoMemory => 2,
                };
                (out.u8(number), kind::TURNED_AWAY)
            }
        };
        out.frame_from(kind, buffer)
    }
}

impl TryFrom<Frame> for LodgingMessage {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let message = match kind {
            kind::LODGE => Self::Lodge(Lodge {
                name: body.part()?,
                kind: body.part()?,
                strict: body.flag()?,
                operator: body.u32()?,
                deadline: match body.flag()? {
                    true => Some(Deadline { after: Millis(body.u32()?), quorum: body.u32()? }),
                    false => None,
                },
            }),
            kind::READY => Self::Ready,
            kind::LINE => Self::Line {
                lodging: body.header_call(),
                connection: body.header_chunk(),
                secret: body.array()?,
            },
            kind::LEASE => Self::Lease { call: body.call(), bytes: body.u64()? },
            kind::TAKEN => {
                Self::Taken { connection: body.header_chunk(), count: body.u64()?, over: body.flag()? }
            }
            kind::LODGER_LEFT => Self::Left,
            kind::LODGED => {
                Self::Lodged { lodging: body.header_call(), secret: body.array()?, segment: body.u64()? }
            }
            kind::SEATED => Self::Seated,
            kind::LEASED => {
                Self::Leased { call: body.call(), slot: body.u32()?, begin: body.u64()?, bytes: body.u64()? }
            }
            kind::FULL => Self::Full { call: body.call(), free: body.u64()? },
            kind::TURNED_AWAY => Self::TurnedAway(match body.u8()? {
                0 => TurnedAway::OtherPurpose,
                1 => TurnedAway::UnknownOperator,
                2 => TurnedAway::NoMemory,
                _ => {
                    return Err(FormatError::Corrupt(
                        "a reason to take nobody in that this version does not know",
                    ));
                }
            }),
            _ => {
                return Err(FormatError::Corrupt(
                    "a frame that is not a word between a lambda and its daemon",
                ));
            }
        };
        body.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn all() -> Vec<LodgingMessage> {
        let secret = core::array::from_fn(|at| u8::try_from(at).unwrap());
        let lodge = |deadline, operator| {
            let name = ChannelName("news".into());
            LodgingMessage::Lodge(Lodge { name, kind: Kind::Reduce, strict: true, deadline, operator })
        };
        vec![
            lodge(None, 0x0102_0304),
            lodge(Some(Deadline { after: Millis(7), quorum: 9 }), 0),
            LodgingMessage::Ready,
            LodgingMessage::Line { lodging: 3, secret, connection: 4 },
            LodgingMessage::Lease { call: CallId(5), bytes: 6 },
            LodgingMessage::Taken { connection: 7, count: 8, over: true },
            LodgingMessage::Left,
            LodgingMessage::Lodged { lodging: 9, secret, segment: 10 },
            LodgingMessage::Seated,
            LodgingMessage::Leased { call: CallId(11), slot: 12, begin: 13, bytes: 14 },
            LodgingMessage::Full { call: CallId(15), free: 16 },
            LodgingMessage::TurnedAway(TurnedAway::OtherPurpose),
            LodgingMessage::TurnedAway(TurnedAway::UnknownOperator),
            LodgingMessage::TurnedAway(TurnedAway::NoMemory),
        ]
    }

    fn frame(message: LodgingMessage) -> Frame {
        message.into_frame(&mut BytesMut::new())
    }

    #[test]
    fn what_is_said_is_heard_and_nothing_else_is() {
        for message in all() {
            let said = frame(message.clone());
            assert_eq!(LodgingMessage::try_from(said.clone()), Ok(message.clone()));
            let body = said.body.clone().into_bytes();
            for length in 0..body.len() {
                let cut = Frame { body: body.slice(..length).into(), ..said.clone() };
                assert!(LodgingMessage::try_from(cut).is_err(), "{message:?}, {length} bytes");
            }
            let longer = Frame { body: Bytes::from([&body[..], &[0]].concat()).into(), ..said.clone() };
            assert!(LodgingMessage::try_from(longer).is_err(), "{message:?}");
            assert!(LodgingMessage::try_from(Frame { link: 1, ..said }).is_err(), "{message:?}");
        }
        assert!(LodgingMessage::try_from(Frame { kind: kind::JOIN, ..Frame::default() }).is_err());
    }

    #[test]
    fn it_lies_as_the_format_says() {
        let [lodge, with_deadline] = [0, 1].map(|nth| frame(all()[nth].clone()).body.into_bytes());
        assert_eq!(&lodge[..], b"\x04\0\0\0news\x01\x01\x04\x03\x02\x01\0");
        assert_eq!(&with_deadline[..], b"\x04\0\0\0news\x01\x01\0\0\0\0\x01\x07\0\0\0\x09\0\0\0");
        let line = frame(all()[3].clone());
        assert_eq!((line.kind, line.call, line.chunk, line.body.len()), (0x0803, 3, 4, 32));
        let leased = frame(all()[9].clone());
        assert_eq!((leased.kind, leased.call), (0x0813, 11));
        assert_eq!(&leased.body.into_bytes()[..], b"\x0c\0\0\0\x0d\0\0\0\0\0\0\0\x0e\0\0\0\0\0\0\0");
        assert_eq!(&frame(all()[5].clone()).body.into_bytes()[..], b"\x08\0\0\0\0\0\0\0\x01");
    }
}

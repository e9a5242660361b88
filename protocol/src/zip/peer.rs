//! What members say to each other: on a link of the tree, to the root, and past the tree.
//!
//! A round's number and a chunk's are in the header. The payload is the rest of the body, so that it is sent from where
//! it lies and stays where it arrived.

use bytes::{Bytes, BytesMut};
use cirrus_core::channel::{
    Chunk, Contribution, Frame as LinkFrame, Head, Piece, Resume, RoundId, Submit, Try,
};
use cirrus_core::direct::Have;
use cirrus_core::ids::{LinkId, MemberId, Position, Round, Sequence, Stamp, Term};
use cirrus_core::messages::Part;
use cirrus_core::shuffle::{Parcel, What};

use super::address::Address;
use super::kind;
use super::parts::{stamp_number, stamp_of};
use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// What a connection past the tree is for. Two members may have one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Records of shuffles.
    Shuffle,
    /// Messages.
    Messages,
}

/// From one member to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerMessage {
    /// On a link of the tree. A connection that begins with `Attach` is this link.
    Link {
        /// Of which channel.
        channel: Stamp,
        /// Which link.
        link: LinkId,
        /// What.
        frame: LinkFrame<Address, Bytes>,
    },
    /// The first word on a connection to a root: who has something to send.
    Sender {
        /// In which channel.
        channel: Stamp,
        /// The term in which the other one is the root.
        term: Term,
        /// Who calls.
        from: MemberId,
    },
    /// A piece of a broadcast, from its sender to the root.
    Submit {
        /// In which channel.
        channel: Stamp,
        /// The piece.
        submit: Submit<Bytes>,
    },
    /// From the root to a sender: go on.
    Go {
        /// In which channel.
        channel: Stamp,
        /// The term in which it is the root.
        term: Term,
        /// With which broadcast.
        sequence: Sequence,
        /// From which piece on.
        index: u32,
    },
    /// From who handles results to the root: which its application has.
    Collect {
        /// In which channel.
        channel: Stamp,
        /// What it has.
        resume: Resume,
    },
    /// From the root to who handles results: a piece of one.
    Hand {
        /// In which channel.
        channel: Stamp,
        /// The piece.
        chunk: Chunk<Bytes>,
    },
    /// The first word on a connection past the tree: who calls whom.
    Caller {
        /// In which channel.
        channel: Stamp,
        /// Who calls.
        from: MemberId,
        /// Whom it means to reach: another process may listen at that address now.
        to: MemberId,
        /// What for.
        purpose: Purpose,
    },
    /// Records, from who called for a shuffle.
    Item {
        /// In which channel.
        channel: Stamp,
        /// Which of the things that it has for the other one.
        position: Position,
        /// What.
        item: Parcel<Bytes>,
    },
    /// A part of a message, from who called for messages.
    Part {
        /// In which channel.
        channel: Stamp,
        /// Which of the things that it has for the other one.
        position: Position,
        /// The part.
        part: Part<Bytes>,
    },
    /// To who called: how far the other one is.
    Have {
        /// In which channel.
        channel: Stamp,
        /// How far.
        have: Have,
    },
    /// To who called: it was declared dead. Nothing follows on this connection.
    Fenced {
        /// In which channel.
        channel: Stamp,
    },
}

/// What the payload of a chunk is.
mod piece {
    pub(super) const MORE: u8 = 0;
    pub(super) const LAST: u8 = 1;
    pub(super) const VOID: u8 = 2;
    pub(super) const HANDLED: u8 = 3;
}

/// What a thing past the tree is.
mod item {
    pub(super) const PIECE: u8 = 0;
    pub(super) const END: u8 = 1;
}

impl PeerMessage {
    /// The frame that carries it, its body but for the payload written into `buffer`.
    #[must_use]
    pub fn into_frame(self, buffer: &mut BytesMut) -> Frame {
        let out = Writer::within(buffer);
        let (out, kind) = match self {
            Self::Link { channel, link, frame } => {
                write_frame(out.in_channel(channel).header_link(stamp_number(link.0)), frame)
            }
            Self::Sender { channel, term, from } => {
                (out.in_channel(channel).part(&term).part(&from), kind::SENDER)
            }
            Self::Submit { channel, submit: Submit { term, sequence, index, payload, last } } => {
                let out = out.in_channel(channel).header_call(sequence.0.into()).header_chunk(index);
                (out.part(&term).flag(last).tail(payload), kind::SUBMIT)
            }
            Self::Go { channel, term, sequence, index } => {
                let out = out.in_channel(channel).header_call(sequence.0.into()).header_chunk(index);
                (out.part(&term), kind::GO)
            }
            Self::Collect { channel, resume } => (out.in_channel(channel).part(&resume), kind::COLLECT),
            Self::Hand { channel, chunk } => (write_chunk(out.in_channel(channel), chunk), kind::HAND),
            Self::Caller { channel, from, to, purpose } => {
                (out.in_channel(channel).part(&from).part(&to).part(&purpose), kind::CALLER)
            }
            Self::Item { channel, position, item: Parcel { round, what } } => {
                let out = out.in_channel(channel).header_call(position.0).part(&round);
                let out = match what {
                    What::Piece(payload) => out.u8(item::PIECE).tail(payload),
                    What::End => out.u8(item::END),
                };
                (out, kind::ITEM)
            }
            Self::Part { channel, position, part: Part { piece, last } } => {
                let out = out.in_channel(channel).header_call(position.0);
                (out.flag(last).tail(piece), kind::PART)
            }
            Self::Have { channel, have } => (out.in_channel(channel).part(&have), kind::HAVE),
            Self::Fenced { channel } => (out.in_channel(channel), kind::CALLER_FENCED),
        };
        out.frame_from(kind, buffer)
    }
}

fn write_frame(out: Writer, frame: LinkFrame<Address, Bytes>) -> (Writer, u16) {
    match frame {
        LinkFrame::Attach => (out, kind::ATTACH),
        LinkFrame::Resume(resume) => (out.part(&resume), kind::RESUME),
        LinkFrame::Report(report) => (out.part(&report), kind::REPORT),
        LinkFrame::Sync(sync) => (out.part(&sync), kind::SYNC),
        LinkFrame::Chunk(chunk) => (write_chunk(out, chunk), kind::CHUNK),
        LinkFrame::Contribution(Contribution { term, at, index, payload, whole }) => {
            let Try { round, attempt, cut_off } = at;
            let out = out.header_call(round.0).header_chunk(index);
            let out = out.part(&term).part(&attempt).part(&cut_off).part(&whole);
            let out = match payload {
                Some(payload) => out.flag(true).tail(payload),
                None => out.flag(false),
            };
            (out, kind::CONTRIBUTION)
        }
        LinkFrame::Spoiled { term, at, why } => (out.part(&term).part(&at).part(&why), kind::SPOILED),
        LinkFrame::Pull { term, from } => (out.part(&term).part(&from), kind::PULL),
    }
}

fn write_chunk(out: Writer, chunk: Chunk<Bytes>) -> Writer {
    let Chunk { term, head, index, piece } = chunk;
    let Head { id: RoundId { term: begun, round }, cut, origin, sealed } = head;
    let out = out.header_call(round.0).header_chunk(index);
    let out = out.part(&term).part(&begun).part(&cut).part(&origin).part(&sealed);
    match piece {
        Piece::Part(payload, false) => out.u8(piece::MORE).tail(payload),
        Piece::Part(payload, true) => out.u8(piece::LAST).tail(payload),
        Piece::Void => out.u8(piece::VOID),
        Piece::Handled => out.u8(piece::HANDLED),
    }
}

impl TryFrom<Frame> for PeerMessage {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let channel = body.channel();
        let message = match kind {
            kind::SENDER => Self::Sender { channel, term: body.part()?, from: body.part()? },
            kind::SUBMIT => Self::Submit {
                channel,
                submit: Submit {
                    sequence: sequence(&mut body)?,
                    index: body.header_chunk(),
                    term: body.part()?,
                    last: body.flag()?,
                    payload: body.rest(),
                },
            },
            kind::GO => Self::Go {
                channel,
                sequence: sequence(&mut body)?,
                index: body.header_chunk(),
                term: body.part()?,
            },
            kind::COLLECT => Self::Collect { channel, resume: body.part()? },
            kind::HAND => Self::Hand { channel, chunk: read_chunk(&mut body)? },
            kind::CALLER => {
                let (from, to, purpose) = (body.part()?, body.part()?, body.part()?);
                Self::Caller { channel, from, to, purpose }
            }
            kind::ITEM => {
                let (position, round) = (Position(body.header_call()), body.part()?);
                let what = match body.u8()? {
                    item::PIECE => What::Piece(body.rest()),
                    item::END => What::End,
                    _ => return Err(FormatError::Corrupt("an unknown thing past the tree")),
                };
                Self::Item { channel, position, item: Parcel { round, what } }
            }
            kind::PART => {
                let position = Position(body.header_call());
                let (last, piece) = (body.flag()?, body.rest());
                Self::Part { channel, position, part: Part { piece, last } }
            }
            kind::HAVE => Self::Have { channel, have: body.part()? },
            kind::CALLER_FENCED => Self::Fenced { channel },
            kind => {
                let link = LinkId(stamp_of(body.header_link()));
                Self::Link { channel, link, frame: read_frame(kind, &mut body)? }
            }
        };
        body.end()?;
        Ok(message)
    }
}

fn sequence(body: &mut Reader) -> Result<Sequence, FormatError> {
    let number = u32::try_from(body.header_call());
    number.map(Sequence).map_err(|_| FormatError::Corrupt("a broadcast beyond the last one"))
}

fn read_frame(kind: u16, body: &mut Reader) -> Result<LinkFrame<Address, Bytes>, FormatError> {
    Ok(match kind {
        kind::ATTACH => LinkFrame::Attach,
        kind::RESUME => LinkFrame::Resume(body.part()?),
        kind::REPORT => LinkFrame::Report(body.part()?),
        kind::SYNC => LinkFrame::Sync(body.part()?),
        kind::CHUNK => LinkFrame::Chunk(read_chunk(body)?),
        kind::CONTRIBUTION => {
            let (round, index) = (Round(body.header_call()), body.header_chunk());
            let term = body.part()?;
            let at = Try { round, attempt: body.part()?, cut_off: body.part()? };
            let whole = body.part()?;
            let payload = if body.flag()? { Some(body.rest()) } else { None };
            LinkFrame::Contribution(Contribution { term, at, index, payload, whole })
        }
        kind::SPOILED => LinkFrame::Spoiled { term: body.part()?, at: body.part()?, why: body.part()? },
        kind::PULL => LinkFrame::Pull { term: body.part()?, from: body.part()? },
        _ => return Err(FormatError::Corrupt("a frame that is not a message between members")),
    })
}

fn read_chunk(body: &mut Reader) -> Result<Chunk<Bytes>, FormatError> {
    let (round, index) = (Round(body.header_call()), body.header_chunk());
    let (term, begun) = (body.part()?, body.part()?);
    let id = RoundId { term: begun, round };
    let head = Head { id, cut: body.part()?, origin: body.part()?, sealed: body.part()? };
    let piece = match body.u8()? {
        piece::MORE => Piece::Part(body.rest(), false),
        piece::LAST => Piece::Part(body.rest(), true),
        piece::VOID => Piece::Void,
        piece::HANDLED => Piece::Handled,
        _ => return Err(FormatError::Corrupt("a piece of a round of an unknown kind")),
    };
    Ok(Chunk { term, head, index, piece })
}

//! What the controller says to a process.

use bytes::BytesMut;
use cirrus_core::channel::ToMember;
use cirrus_core::directory::Refusal;
use cirrus_core::ids::{CallId, ControllerEpoch, MemberId, Millis, Stamp};

use super::address::Address;
use super::kind;
use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// From the controller to a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ControllerReply {
    /// The first word of all.
    Hello {
        /// Which life of the controller this is.
        epoch: ControllerEpoch,
        /// From now on, a process of which nothing is heard for this long has its members probed.
        lease: Millis,
    },
    /// The request to join is granted: this member is the process's.
    Accepted {
        /// Which request.
        call: CallId,
        /// In which channel.
        channel: Stamp,
        /// Who it is.
        member: MemberId,
    },
    /// The request to join is refused.
    Refused {
        /// Which request.
        call: CallId,
        /// Why.
        reason: Refusal,
    },
    /// What came on this connection is not for its process to say. It is closed, and nothing more on it counts.
    Rejected(Refusal),
    /// To one of its members.
    To {
        /// In which channel.
        channel: Stamp,
        /// Which.
        member: MemberId,
        /// What.
        message: ToMember<Address>,
    },
}

impl ControllerReply {
    /// The frame that carries it, its body written into `buffer`.
    #[must_use]
    pub fn into_frame(self, buffer: &mut BytesMut) -> Frame {
        let out = Writer::within(buffer);
        let (out, kind) = match self {
            Self::Hello { epoch: ControllerEpoch(epoch), lease: Millis(millis) } => {
                (out.u32(epoch).u32(millis), kind::HELLO_BACK)
            }
            Self::Accepted { call, channel, member } => {
                (out.call(call).in_channel(channel).of_member(member), kind::ACCEPTED)
            }
            Self::Refused { call, reason } => (out.call(call).part(&reason), kind::REFUSED),
            Self::Rejected(reason) => (out.part(&reason), kind::REJECTED),
            Self::To { channel, member, message } => {
                let out = out.in_channel(channel).of_member(member);
                match message {
                    ToMember::Welcome(member) => (out.part(&member), kind::WELCOME),
                    ToMember::Assign(assign) => (out.part(&assign), kind::ASSIGN),
                    ToMember::Probe(probe) => (out.part(&probe), kind::PROBE),
                    ToMember::Fenced => (out, kind::FENCED),
                    ToMember::Released => (out, kind::RELEASED),
                    ToMember::Roll(roll) => (out.part(&roll), kind::ROLL),
                    ToMember::Gone(member) => (out.part(&member), kind::GONE),
                }
            }
        };
        out.frame_from(kind, buffer)
    }
}

impl TryFrom<Frame> for ControllerReply {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let reply = match kind {
            kind::HELLO_BACK => {
                Self::Hello { epoch: ControllerEpoch(body.u32()?), lease: Millis(body.u32()?) }
            }
            kind::ACCEPTED => {
                Self::Accepted { call: body.call(), channel: body.channel(), member: body.member() }
            }
            kind::REFUSED => Self::Refused { call: body.call(), reason: body.part()? },
            kind::REJECTED => Self::Rejected(body.part()?),
            kind => Self::To {
                channel: body.channel(),
                member: body.member(),
                message: message(kind, &mut body)?,
            },
        };
        body.end()?;
        Ok(reply)
    }
}

fn message(kind: u16, body: &mut Reader) -> Result<ToMember<Address>, FormatError> {
    Ok(match kind {
        kind::WELCOME => ToMember::Welcome(body.part()?),
        kind::ASSIGN => ToMember::Assign(body.part()?),
        kind::PROBE => ToMember::Probe(body.part()?),
        kind::FENCED => ToMember::Fenced,
        kind::RELEASED => ToMember::Released,
        kind::ROLL => ToMember::Roll(body.part()?),
        kind::GONE => ToMember::Gone(body.part()?),
        _ => return Err(FormatError::Corrupt("a frame that is not a word of a controller of channels")),
    })
}

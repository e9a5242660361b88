//! What a process says to the controller.

use bytes::BytesMut;
use cirrus_core::channel::{Registration, Role, Tenancy, ToController};
use cirrus_core::directory::{self, ChannelName, Credential};
use cirrus_core::ids::{CallId, ChannelId, MemberId, Stamp};
use cirrus_core::member::Kind;

use super::address::Address;
use super::kind;
use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// Somebody wants to join a channel. Whose job it is was shown when the connection was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    /// Names the request in the answer.
    pub call: CallId,
    /// Which channel.
    pub name: ChannelName,
    /// What it takes that to be for.
    pub kind: Kind,
    /// Where the newcomer listens.
    pub address: Address,
    /// What it does in a shuffle.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
}

impl Join {
    /// The same for a directory, with what the connection has shown.
    #[must_use]
    pub fn with(self, credential: Credential) -> directory::Join<Address> {
        let Self { call, name, kind, address, role, tenancy } = self;
        directory::Join { call, credential, name, kind, address, role, tenancy }
    }
}

/// A member calls again, to a controller that may have been restarted and know nothing of its channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Again {
    /// In which channel it is.
    pub channel: Stamp,
    /// Who it is.
    pub member: MemberId,
    /// What the channel is called.
    pub name: ChannelName,
    /// What it is for.
    pub kind: Kind,
    /// How the member stands: what its machine says by `ToController::Hello`.
    pub registration: Registration<Address>,
}

impl Again {
    /// The same for a directory, with what the connection has shown.
    #[must_use]
    pub fn with(self, credential: Credential) -> directory::Again<Address> {
        let Self { channel, member, name, kind, registration } = self;
        let channel = ChannelId { job: credential.job, stamp: channel };
        directory::Again { credential, channel, name, kind, member, registration }
    }
}

/// From a process to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ControllerRequest {
    /// It wants to join a channel. Answered by `Accepted` or `Refused`.
    Join(Join),
    /// A member calls again: its first word on a new connection.
    Again(Again),
    /// It has had nothing to say for a while, and lives.
    Alive,
    /// One of its members nears the end of its life.
    Expiring {
        /// In which channel.
        channel: Stamp,
        /// Which.
        member: MemberId,
    },
    /// One of its members says something.
    From {
        /// In which channel.
        channel: Stamp,
        /// Which.
        member: MemberId,
        /// What.
        message: ToController<Address>,
    },
}

impl ControllerRequest {
    /// The frame that carries it, its body written into `buffer`.
    #[must_use]
    pub fn into_frame(self, buffer: &mut BytesMut) -> Frame {
        let out = Writer::within(buffer);
        let (out, kind) = match self {
            Self::Join(Join { call, name, kind, address, role, tenancy }) => {
                let out = out.call(call).part(&name).part(&kind);
                (out.part(&address).part(&role).part(&tenancy), kind::JOIN)
            }
            Self::Again(Again { channel, member, name, kind, registration }) => {
                let out = out.in_channel(channel).of_member(member);
                (out.part(&name).part(&kind).part(&registration), kind::AGAIN)
            }
            Self::Alive => (out, kind::ALIVE),
            Self::Expiring { channel, member } => (out.in_channel(channel).of_member(member), kind::EXPIRING),
            Self::From { channel, member, message } => {
                let out = out.in_channel(channel).of_member(member);
                match message {
                    ToController::Hello(registration) => (out.part(&registration), kind::HELLO),
                    ToController::Report(link) => (out.part(&link), kind::REPORT_LINK),
                    ToController::Answer(probe) => (out.part(&probe), kind::ANSWER),
                    ToController::Leave => (out, kind::LEAVE),
                    ToController::Noted(version) => (out.part(&version), kind::NOTED),
                    ToController::Counted(version) => (out.part(&version), kind::COUNTED),
                    ToController::DaemonsNoted(version) => (out.part(&version), kind::DAEMONS_NOTED),
                    ToController::CallRoll => (out, kind::CALL_ROLL),
                    ToController::CheckRoll(at) => (out.part(&at), kind::CHECK_ROLL),
                    ToController::Paced(pace) => (out.part(&pace), kind::PACED),
                    ToController::Missing(member) => (out.part(&member), kind::MISSING),
                }
            }
        };
        out.frame_from(kind, buffer)
    }
}

impl TryFrom<Frame> for ControllerRequest {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let request = match kind {
            kind::JOIN => Self::Join(Join {
                call: body.call(),
                name: body.part()?,
                kind: body.part()?,
                address: body.part()?,
                role: body.part()?,
                tenancy: body.part()?,
            }),
            kind::AGAIN => Self::Again(Again {
                channel: body.channel(),
                member: body.member(),
                name: body.part()?,
                kind: body.part()?,
                registration: body.part()?,
            }),
            kind::ALIVE => Self::Alive,
            kind::EXPIRING => Self::Expiring { channel: body.channel(), member: body.member() },
            kind => Self::From {
                channel: body.channel(),
                member: body.member(),
                message: message(kind, &mut body)?,
            },
        };
        body.end()?;
        Ok(request)
    }
}

fn message(kind: u16, body: &mut Reader) -> Result<ToController<Address>, FormatError> {
    Ok(match kind {
        kind::HELLO => ToController::Hello(body.part()?),
        kind::REPORT_LINK => ToController::Report(body.part()?),
        kind::ANSWER => ToController::Answer(body.part()?),
        kind::LEAVE => ToController::Leave,
        kind::NOTED => ToController::Noted(body.part()?),
        kind::COUNTED => ToController::Counted(body.part()?),
        kind::DAEMONS_NOTED => ToController::DaemonsNoted(body.part()?),
        kind::CALL_ROLL => ToController::CallRoll,
        kind::CHECK_ROLL => ToController::CheckRoll(body.part()?),
        kind::PACED => ToController::Paced(body.part()?),
        kind::MISSING => ToController::Missing(body.part()?),
        _ => return Err(FormatError::Corrupt("a frame that is not a message to a controller of channels")),
    })
}

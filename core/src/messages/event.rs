//! What can happen to a member's messages, and what they ask their shell to do.

use alloc::vec::Vec;

use crate::channel::{ToController, ToMember};
use crate::direct::{self, Limits};
use crate::ids::MemberId;
use crate::member::End;

/// Limits and time-outs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Those of the direct connections. The window is in parts, for each pair.
    pub limits: Limits,
    /// About how many members calls may be under way at once.
    pub talks_max: u32,
    /// How many messages to one member may wait for their answer, and how many of one may be waited for.
    pub messages_max: u32,
    /// Into how many pieces a message may be cut: the same at all members of a channel.
    pub pieces_max: u32,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Part<P> {
    /// Its bytes.
    pub piece: P,
    /// With it the message is whole.
    pub last: bool,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event<A, P> {
    /// The controller says something: every word of it, also those that are for the channel's member.
    Controller(ToMember<A>),
    /// The connection to the controller stands again.
    ControllerUp,
    /// The application has a message for a member. It is lent until the answer.
    Send {
        /// For whom.
        to: MemberId,
        /// The message, in pieces.
        pieces: Vec<P>,
    },
    /// The application waits for the next message of a member. If it stops waiting, the shell keeps the answer for the
    /// next time.
    Receive {
        /// Of whom.
        from: MemberId,
    },
    /// The application wants to leave.
    Leave,
    /// Something happens on a direct connection.
    Line(direct::LineEvent<Part<P>>),
    /// A timer fired.
    Timer(direct::Timer),
}

/// What a member's messages ask their shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A, P> {
    /// Say this to the controller. What finds no connection is lost.
    ToController(ToController<A>),
    /// Something is to be done on direct connections.
    Line(direct::LineEffect<A, Part<P>>),
    /// To the application: what became of a message. The k-th answer about a member is for the k-th message to it.
    Sent {
        /// For whom it was.
        to: MemberId,
        /// What became of it.
        outcome: Outcome,
    },
    /// To the application, which waits for it: the next message of a member.
    Received {
        /// Whose.
        from: MemberId,
        /// The message; `None` if the member is gone, and no more will come.
        pieces: Option<Vec<P>>,
    },
    /// To the application: its call cannot be taken, and nothing has changed.
    Refused(Refusal),
    /// All messages that the member has sent are answered: the channel's member may leave.
    Drained,
    /// To the application: this member's time in the channel is over, and with it every wait for a message.
    Ended(End),
}

impl<A, P> From<direct::LineEffect<A, Part<P>>> for Effect<A, P> {
    fn from(effect: direct::LineEffect<A, Part<P>>) -> Self {
        Self::Line(effect)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// The receiver's application has it.
    Delivered,
    /// The receiver is gone. Perhaps its application had it before; that binds nobody any more.
    Lost,
    /// The member's own time ended before it knew.
    Indeterminate,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// There is nothing to send: a message has at least one piece.
    Empty,
    /// The message has more pieces than it may.
    TooLong,
    /// So many messages to this member, or waits for one of it, are under way already: one will be answered.
    Full,
    /// Calls about as many members are under way as may be.
    TooMany,
    /// A member does not talk to itself.
    Oneself,
    /// The member is not in the channel, or is leaving it.
    NotSeated,
}

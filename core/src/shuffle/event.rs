//! What can happen to a shuffle, and what it asks its shell to do.

use alloc::vec::Vec;

use crate::channel::{Roll, RoundId, ToController, ToMember};
use crate::direct::{self, Limits};
use crate::ids::{MemberId, Stamp};
use crate::member::End;

/// Limits and time-outs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Those of the direct connections. The window is in pieces, for each pair.
    pub limits: Limits,
    /// How many rosters may wait until the application calls.
    pub rosters_max: u32,
}

/// What one member has for another in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum What<P> {
    /// Records.
    Piece(P),
    /// There are no more. Only now those before count.
    End,
}

/// The same, with the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Parcel<P> {
    /// The round that it belongs to.
    pub round: RoundId,
    /// What it is.
    pub what: What<P>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event<A, P> {
    /// The controller says something: every word of it, also those that are for the channel's member.
    Controller(ToMember<A>),
    /// The connection to the controller stands again.
    ControllerUp,
    /// The channel delivers a roster: a broadcast that somebody was asked for by [`Effect::Convene`].
    Roster {
        /// Which broadcast. The number alone could be given again by another root.
        round: RoundId,
        /// Who is in that broadcast, and so hears of it: members whose stamp is not above this one.
        cut: Stamp,
        /// What was sent.
        roll: Roll<A>,
    },
    /// The broadcast that was asked for has ended, in whatever way.
    Convened,
    /// The application begins its next shuffle.
    Shuffle,
    /// The application has records for a receiver.
    Push {
        /// The number of the receiver among those of the round, from 0.
        receiver: u32,
        /// The records.
        piece: P,
    },
    /// The application has no more records for this round.
    End,
    /// The application can take so many pieces more.
    Take(u32),
    /// The application wants to leave.
    Leave,
    /// Something happens on a direct connection.
    Line(direct::LineEvent<Parcel<P>>),
    /// A timer fired.
    Timer(direct::Timer),
}

/// What a shuffle asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A, P> {
    /// Say this to the controller. What finds no connection is lost.
    ToController(ToController<A>),
    /// Let the channel's member broadcast this, and answer with [`Event::Convened`].
    Convene(Roll<A>),
    /// The channel may deliver so many rosters more.
    Receive(u32),
    /// Something is to be done on direct connections.
    Line(direct::LineEffect<A, Parcel<P>>),
    /// To the application: its shuffle has begun.
    Begun {
        /// Which round it is.
        round: RoundId,
        /// How many receivers there are. Which of them a record is for is said by its hash, modulo this.
        receivers: u32,
    },
    /// To the application: records. Whether they count is said when the round ends.
    Deliver {
        /// The round.
        round: RoundId,
        /// Whose they are.
        from: MemberId,
        /// The records.
        piece: P,
    },
    /// To the application: all has come that will come in this round. What these had sent does not count.
    Received {
        /// The round.
        round: RoundId,
        /// Senders that are gone and had not ended: the round is complete if there are none.
        lost: Vec<MemberId>,
    },
    /// To the application: its records have been taken, but for those for receivers that are gone.
    Sent {
        /// The round.
        round: RoundId,
        /// Receivers that are gone and had not said that they have everything. The others have it.
        lost: Vec<MemberId>,
    },
    /// To the application: there is room again for records for this receiver.
    Room {
        /// The number of the receiver.
        receiver: u32,
    },
    /// To the application: its call cannot be taken, and nothing has changed.
    Refused(Refusal),
    /// The rounds that the member was in are done: the channel's member may leave.
    Drained,
    /// To the application: this member's time in the channel is over, and with it the round that was under way.
    Ended(End),
}

impl<A, P> From<direct::LineEffect<A, Parcel<P>>> for Effect<A, P> {
    fn from(effect: direct::LineEffect<A, Parcel<P>>) -> Self {
        Self::Line(effect)
    }
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// The shuffle before it is not done.
    Busy,
    /// The member is not in the channel, or is leaving it.
    NotSeated,
    /// No shuffle is under way to which this member still sends.
    NotSending,
    /// There is no receiver of that number.
    NoReceiver,
    /// So much is under way to this receiver already: there will be room.
    Full,
}

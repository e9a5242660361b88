//! What can happen to a directory, and what it asks its shell to do.

use super::ChannelName;
use crate::bug::Bugs;
use crate::channel::{Registration, Role, Tenancy, ToController};
use crate::controller;
use crate::ids::{CallId, ChannelId, ControllerEpoch, FanOut, JobId, MemberId, Millis};
use crate::member::Kind;

/// Limits, and what all channels have in common.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// No more jobs than this.
    pub jobs_max: u32,
    /// No more members than this are set aside for all jobs together.
    pub members_max: u64,
    /// Of a new channel's tree.
    pub fan_out: FanOut,
    /// Of all channels. Their `members_max` holds where a job allows more, their `departed_max` for those that reduce,
    /// and their `recovery` is also how long a restarted directory takes up channels of before.
    pub channel: controller::Config,
}

impl Config {
    pub(super) fn bugs(&self) -> Bugs {
        self.channel.bugs
    }
}

/// What is left of a job's secret: its SHA-256, or another digest of 32 bytes that only the token has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Token(pub [u8; 32]);

/// What a connection has shown when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Credential {
    /// The job that it belongs to, as it says.
    pub job: JobId,
    /// The token that it has proven to have.
    pub token: Token,
}

/// What a job may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Channels at a time.
    pub channels_max: u32,
    /// Members in each of them.
    pub members_max: u32,
}

impl Limits {
    /// How many members that is at most, in all channels.
    #[must_use]
    pub fn reserve(self) -> u64 {
        u64::from(self.channels_max).saturating_mul(self.members_max.into())
    }
}

/// Somebody wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Join<A> {
    /// Names the request in the answer.
    pub call: CallId,
    /// What its connection has shown.
    pub credential: Credential,
    /// Which channel.
    pub name: ChannelName,
    /// What it takes that to be for.
    pub kind: Kind,
    /// Where the newcomer listens.
    pub address: A,
    /// What it does in a shuffle.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
}

/// A member calls again: the first thing that it says on a new connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Again<A> {
    /// What its connection has shown.
    pub credential: Credential,
    /// In which channel it is, as it says.
    pub channel: ChannelId,
    /// What that is called.
    pub name: ChannelName,
    /// What it is for.
    pub kind: Kind,
    /// Who it is, as it says.
    pub member: MemberId,
    /// How it stands.
    pub registration: Registration<A>,
}

/// What can happen to a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event<A> {
    /// Its process was started.
    Started {
        /// The epoch on disk: that of its last life, if it has had one.
        last: Option<ControllerEpoch>,
    },
    /// This epoch is on disk.
    Persisted(ControllerEpoch),
    /// This epoch could not be written, or may not have been.
    PersistFailed(ControllerEpoch),
    /// Who administers opens a job.
    Open {
        /// Names the request in the answer.
        call: CallId,
        /// The job.
        job: JobId,
        /// What its members must show.
        token: Token,
        /// What it may have.
        limits: Limits,
    },
    /// Who administers closes a job, and with it all its channels.
    Close {
        /// Names the request in the answer.
        call: CallId,
        /// The job.
        job: JobId,
    },
    /// Somebody wants to join a channel.
    Join(Join<A>),
    /// A member calls again.
    Again(Again<A>),
    /// A member says something, on a connection on which it has joined or called again.
    From {
        /// What its connection has shown.
        credential: Credential,
        /// In which channel, as it says.
        channel: ChannelId,
        /// Who it is, as it says.
        member: MemberId,
        /// What.
        message: ToController<A>,
    },
    /// A member's lease ran out, or its machine's daemon misses it.
    Suspected {
        /// In which channel.
        channel: ChannelId,
        /// The member.
        member: MemberId,
    },
    /// The connection to a member has ended.
    Disconnected {
        /// In which channel.
        channel: ChannelId,
        /// The member.
        member: MemberId,
    },
    /// A member nears the end of its life.
    Expiring {
        /// In which channel.
        channel: ChannelId,
        /// The member.
        member: MemberId,
    },
    /// A channel's fan-out shall be this from now on.
    Reshape {
        /// Which channel.
        channel: ChannelId,
        /// Children of a place.
        fan_out: FanOut,
    },
    /// A timer of a channel fired.
    Timer {
        /// Of which channel.
        channel: ChannelId,
        /// Which.
        timer: controller::Timer,
    },
    /// The directory's own timer fired: the members of before have had time to call a controller of this epoch.
    WindowEnds(ControllerEpoch),
}

/// What a directory asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A> {
    /// Write this epoch in the place of the one on disk, whole or not at all, then say `Persisted` or `PersistFailed`.
    Persist(ControllerEpoch),
    /// From here on it can be called.
    Ready(ControllerEpoch),
    /// It has no epoch of its own, and answers nobody. Whoever has started it looks after its disk.
    CannotBegin,
    /// Say [`Event::WindowEnds`] of this epoch after this long.
    SetWindow {
        /// Which.
        epoch: ControllerEpoch,
        /// How long.
        after: Millis,
    },
    /// The job is open.
    Opened(CallId),
    /// The job is closed.
    Closed(CallId),
    /// The request is refused; nothing has changed.
    Refuse {
        /// Which.
        call: CallId,
        /// Why.
        reason: Refusal,
    },
    /// Say so to the connection on which this came, and close it: nothing that comes on it counts.
    Reject(Refusal),
    /// A channel asks for this.
    Channel {
        /// Which.
        channel: ChannelId,
        /// What.
        effect: controller::Effect<A>,
    },
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// There is no such job, or not any more.
    UnknownJob,
    /// That is not the job's token.
    WrongToken,
    /// The job has no such channel.
    UnknownChannel,
    /// The channel is for something else.
    WrongKind,
    /// The job has as many channels as it may.
    TooManyChannels,
    /// There are as many jobs as there may be.
    TooManyJobs,
    /// The job would need more members than are left to be set aside.
    NoRoom,
    /// The job is open, with another token or other limits.
    JobOpen,
    /// The controller was restarted and waits for the jobs and channels of before: ask again.
    Recovering,
    /// The channel refuses it.
    Channel(controller::Refusal),
}

//! What can happen to a channel, and what it asks its shell to do.

use crate::bug::Bugs;
use crate::channel::{ProbeId, Role, Tenancy, ToController, ToMember};
use crate::ids::{CallId, FanOut, MemberId, Millis};

/// Limits and time-outs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// No more members than this.
    pub members_max: u32,
    /// How long a probed member may take to answer.
    pub probe: Millis,
    /// How long a member may take to call again when its connection to the controller has ended.
    pub reconnect: Millis,
    /// How many departures from before its reign a new root is told of: as many as a reduce may name, else none.
    pub departed_max: u32,
    /// One lambda at most receives, in a channel of reduces: the results are for it.
    pub one_receiver: bool,
    /// How many of the last places are looked at for a member that is good for a place with children.
    pub scan: u32,
    /// How long after each step of a change of fan-out the next one follows.
    pub reshape: Millis,
    /// The most machines that become a chain for large values; 0 for none.
    pub chain_max: u32,
    /// How long a restarted controller waits for its members.
    pub recovery: Millis,
    /// Seeded bugs.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub bugs: Bugs,
}

impl Default for Config {
    /// For broadcasts among up to a thousand members of one data centre.
    fn default() -> Self {
        Self {
            members_max: 1000,
            probe: Millis(2000),
            reconnect: Millis(500),
            departed_max: 0,
            one_receiver: false,
            scan: 16,
            reshape: Millis(100),
            chain_max: 64,
            recovery: Millis(10_000),
            bugs: Bugs::default(),
        }
    }
}

/// What can happen to a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<A> {
    /// Somebody wants to join.
    Join {
        /// Names the request in the answer.
        call: CallId,
        /// Where the newcomer listens.
        address: A,
        /// What it does in a shuffle.
        role: Role,
        /// Who it is on its machine.
        tenancy: Tenancy,
    },
    /// A member says something.
    From {
        /// Who.
        member: MemberId,
        /// What.
        message: ToController<A>,
    },
    /// A member's lease ran out, or its machine's daemon misses it.
    Suspected(MemberId),
    /// The connection to a member has ended. It calls again at once if it lives.
    Disconnected(MemberId),
    /// A member nears the end of its life: it should have nobody below it when it goes. A controller that was
    /// restarted must be told again.
    Expiring(MemberId),
    /// The fan-out shall be this from now on.
    Reshape(FanOut),
    /// The controller was restarted: the members of this channel, which is new to it, will call.
    Restarted,
    /// A timer fired.
    Timer(Timer),
}

/// What a channel asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A> {
    /// The connection of this call is that of this member from now on.
    Accept {
        /// The request to join.
        call: CallId,
        /// Who it is.
        member: MemberId,
    },
    /// The request to join is refused; nothing has changed.
    Refuse {
        /// The request to join.
        call: CallId,
        /// Why.
        reason: Refusal,
    },
    /// Say this to a member. What finds no connection is lost: a member that calls again is told anew.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: ToMember<A>,
    },
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// Never mind this timer.
    ClearTimer(Timer),
}

/// Why somebody may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// The channel has as many members as it may.
    Full,
    /// This life of the controller has given all its ids.
    IdsExhausted,
    /// The machine has a daemon in this channel. It may be dead and not have been missed yet.
    SecondDaemon,
    /// The channel has somebody who handles its results. It may be dead and not have been missed yet.
    HandlerTaken,
}

/// A channel's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timer {
    /// The answer to a probe is due.
    Probe(MemberId, ProbeId),
    /// The next step of a change of fan-out is due.
    Reshape,
    /// The members of a restarted controller have had time to call.
    Recovery,
}

//! What travels in a channel: between the controller and a member, and between two members.
//!
//! ```text
//!      Assign, Probe, Fenced, Released, Roll, Gone           Sync, Chunk, Pull
//!  controller ------------------------------> member   parent -----------------> child
//!             <------------------------------                 <-----------------
//!    Hello, Report, Answer, Leave, Noted, Counted,        Attach, Resume, Report, Contribution
//!    DaemonsNoted, CallRoll, CheckRoll, Missing, Paced
//! ```
//!
//! Everything from the controller is absolute: a newer word replaces all older ones, so that one lost with its
//! connection needs no trace, and one that comes twice changes nothing.

mod census;
mod frame;
mod pace;
mod registration;
mod roll;
mod seal;
mod tenancy;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ids::{AssignmentVersion, LinkId, MemberId, Place, Stamp, Term};
use crate::tree::Edge;

pub use census::Census;
pub use frame::{
    Chunk, Contribution, Frame, Head, Origin, Piece, Report, Resume, RoundId, Share, Spoil, Submit, Sync, Try,
};
pub use pace::Pace;
pub use registration::{Registration, Standing};
pub use roll::{Present, Role, Roll};
pub use seal::{Failure, Missing, Seal};
pub use tenancy::Tenancy;

/// Who is counted: the members whose stamp is not above a bound, and what they add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cut {
    /// The newest stamp that counts. Members that joined later wait for a later cut.
    pub until: Stamp,
    /// The living members up to there.
    pub census: Census,
    /// How many of them are daemons, which have no values.
    pub daemons: u32,
}

impl Cut {
    /// The same with a newcomer.
    #[must_use]
    pub fn plus(self, member: MemberId, tenancy: Tenancy) -> Self {
        Self {
            until: self.until.max(member.stamp),
            census: self.census.plus(Census::of(member)),
            daemons: self.daemons.saturating_add(tenancy.is_daemon().into()),
        }
    }

    /// The same without one of them.
    #[must_use]
    pub fn minus(self, member: MemberId, daemon: bool) -> Self {
        Self {
            census: self.census.minus(Census::of(member)),
            daemons: self.daemons.saturating_sub(daemon.into()),
            ..self
        }
    }

    /// How many of them have values.
    #[must_use]
    pub fn lambdas(&self) -> u32 {
        self.census.count.saturating_sub(self.daemons)
    }
}

/// What a root has to know of its channel's membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roster {
    /// Its reign.
    pub term: Term,
    /// All the living.
    pub all: Cut,
    /// Who has departed since a root last took note, and in which version. In a channel of reduces these may be
    /// departures from before this reign: of them only the names are new to the root, it never counted them.
    pub departed: Vec<(AssignmentVersion, MemberId)>,
    /// In a channel of reduces: how many more there are, whose names nobody keeps.
    pub unnamed: Unnamed,
    /// Daemons that have departed in this reign, likewise. No value of theirs can be missing.
    pub departed_daemons: Vec<(AssignmentVersion, MemberId)>,
    /// After the controller was restarted, until the root has taken note.
    pub recount: Option<Box<Recount>>,
}

/// Departures that are counted, and not named. Some of them may have been told of in a round already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Unnamed {
    /// How many.
    pub count: u32,
    /// The newest of them.
    pub until: AssignmentVersion,
}

impl Unnamed {
    /// The same, and so many more, the newest of which is that of this version.
    #[must_use]
    pub fn plus(self, count: u32, until: AssignmentVersion) -> Self {
        if count == 0 {
            return self;
        }
        Self { count: self.count.saturating_add(count), until: self.until.max(until) }
    }

    /// Those of which no round up to this version has told.
    #[must_use]
    pub fn after(self, told: AssignmentVersion) -> Self {
        if self.until > told { self } else { Self::default() }
    }
}

/// Who is left of those whom a root counts, when its controller has forgotten who has departed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Recount {
    /// Who departs in a later version is told by name again.
    pub version: AssignmentVersion,
    /// Those up to the cut that the root had when it registered, and those up to the one that it was to have next: it
    /// may have come to that boundary meanwhile.
    pub cuts: [Cut; 2],
}

/// Where a member sits, and who is next to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Assign<A> {
    /// A newer one replaces an older one, whole.
    pub version: AssignmentVersion,
    /// The member's place; `None` for a lambda that lodges with the daemon of its machine.
    pub place: Option<Place>,
    /// Its parent, or its daemon, and how to reach it; `None` for the root.
    pub parent: Option<Parent<A>>,
    /// Those below it, who will call: a daemon's lambdas by slot, then its children by place.
    pub children: Vec<Edge>,
    /// For the root.
    pub roster: Option<Roster>,
}

/// The upper end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Parent<A> {
    /// Who, over which link.
    pub edge: Edge,
    /// Where it listens.
    pub address: A,
    /// It is to be called by way of a relay: the two cannot reach each other.
    pub relay: bool,
}

/// Which probe of a member it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ProbeId(pub Stamp);

/// A question whether somebody is there, and its answer, which repeats it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Probe {
    /// Which.
    pub id: ProbeId,
    /// The link that was reported, if that is why it is asked.
    pub about: Option<LinkId>,
}

/// What the controller says to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ToMember<A> {
    /// You are this member of the channel.
    Welcome(MemberId),
    /// You sit here.
    Assign(Assign<A>),
    /// Are you there? Answer at once.
    Probe(Probe),
    /// You were declared dead: what you hold of this channel binds nobody, and you may join anew.
    Fenced,
    /// You have left.
    Released,
    /// These are in the channel.
    Roll(Roll<A>),
    /// This one is not in the channel any more.
    Gone(MemberId),
}

/// What a member says to the controller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ToController<A> {
    /// It has called again, and this is how it stands.
    Hello(Registration<A>),
    /// The other end of this link cannot be reached.
    Report(LinkId),
    /// It is there.
    Answer(Probe),
    /// It wants to leave, and is done with everything it had begun.
    Leave,
    /// A root has taken note of who had departed by this version, and of a recount; in a reduce, has named them in a
    /// round.
    Noted(AssignmentVersion),
    /// A root that reduces will count who had departed by this version, and not name them: they are more than it may.
    Counted(AssignmentVersion),
    /// A root does not count the daemons any more that had departed by this version.
    DaemonsNoted(AssignmentVersion),
    /// It wants to know who is in the channel.
    CallRoll,
    /// It wants to know who is in the channel, if that has changed since this moment.
    CheckRoll(Cut),
    /// It cannot reach this one.
    Missing(MemberId),
    /// A root says what its rounds have cost.
    Paced(Pace),
}

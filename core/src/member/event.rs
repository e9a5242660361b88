//! What can happen to a member, and what it asks its shell to do.

use alloc::vec::Vec;

use crate::bug::Bugs;
use crate::channel::{
    Chunk, Failure, Frame, Head, Missing, Pace, Resume, Submit, ToController, ToMember, Try,
};
use crate::ids::{ControllerEpoch, LinkId, MemberId, Millis, Round, Sequence, Term};

/// What a channel is for. One name is one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Kind {
    /// Members send to all.
    Broadcast,
    /// All members' values are combined, and all get the result.
    Reduce,
    /// All members' values are combined for the one lambda that receives. The others only give.
    Handled,
}

impl Kind {
    /// Whether members' values are combined.
    #[must_use]
    pub const fn reduces(self) -> bool {
        match self {
            Self::Broadcast => false,
            Self::Reduce | Self::Handled => true,
        }
    }

    /// Whether they are combined for one.
    #[must_use]
    pub const fn is_handled(self) -> bool {
        match self {
            Self::Broadcast | Self::Reduce => false,
            Self::Handled => true,
        }
    }
}

/// Limits and time-outs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// What the channel is for.
    pub kind: Kind,
    /// Rounds that may be under way at once.
    pub window: u32,
    /// Rounds that are kept for an application which has not asked for them.
    pub buffer: u32,
    /// Senders of whom a root keeps note in its term. With fewer than there are members, some may wait for ever.
    pub senders_max: u32,
    /// How many attempts at a reduce may come to nothing, because somebody died or a link broke in the midst of them,
    /// before it fails.
    pub attempts_max: u32,
    /// A reduce fails if one who was counted departs before it is sealed; else the result is sealed without it.
    pub strict: bool,
    /// How many of those who are missing a reduce may name: of the late, and of those who have departed.
    pub missing_max: u32,
    /// When a reduce goes on without the late; `None` if it waits for everybody.
    pub deadline: Option<Deadline>,
    /// Where one handles the results: how long one is kept when there is nobody who does.
    pub handler: Millis,
    /// How long a link may take to come about before it is reported.
    pub attach: Millis,
    /// The pause before a link is made again.
    pub redial: Millis,
    /// How long a sender may be away in the middle of a broadcast before that is aborted.
    pub submission: Millis,
    /// The longest pause before a controller that was lost is called the first time.
    pub recontact: Millis,
    /// The longest pause at all. Whoever has not called when a restarted controller has waited long enough is dead for it.
    pub recontact_max: Millis,
    /// How long one who wants to leave may take to finish what it has begun.
    pub drain: Millis,
    /// Seeded bugs.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub bugs: Bugs,
}

impl Default for Config {
    /// For broadcasts among up to a thousand members of one data centre.
    fn default() -> Self {
        Self {
            kind: Kind::Broadcast,
            window: 4,
            buffer: 4,
            senders_max: 1000,
            attempts_max: 8,
            strict: false,
            missing_max: 16,
            deadline: None,
            handler: Millis(10_000),
            attach: Millis(2000),
            redial: Millis(100),
            submission: Millis(10_000),
            recontact: Millis(100),
            recontact_max: Millis(2000),
            drain: Millis(60_000),
            bugs: Bugs::default(),
        }
    }
}

/// Any so many by a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Deadline {
    /// How long after the root has heard of the first value of a round the others may come. If there are not enough by
    /// then, as long again.
    pub after: Millis,
    /// How many values are enough.
    pub quorum: u32,
}

/// What can happen to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event<A, P> {
    /// The controller says something.
    Controller(ToMember<A>),
    /// The controller has taken the call, and has said which life of it this is.
    ControllerUp {
        /// That one.
        epoch: ControllerEpoch,
    },
    /// The connection to the controller broke, or was not made.
    ControllerLost {
        /// Any number, so that not all call again at the same moment.
        luck: u32,
    },
    /// The parent has taken the call.
    LinkUp(LinkId),
    /// A link broke, or the call was not taken.
    LinkDown(LinkId),
    /// A neighbour says something.
    Frame {
        /// Over which link.
        link: LinkId,
        /// What.
        frame: Frame<A, P>,
    },
    /// The root of this term has taken the call.
    RootUp(Term),
    /// The connection to the root of this term broke, or was not made.
    RootDown(Term),
    /// The root takes the rest of a broadcast.
    Go {
        /// The term in which it is the root.
        term: Term,
        /// Which broadcast.
        sequence: Sequence,
        /// The first piece that the root lacks.
        index: u32,
    },
    /// To the root: a piece of a sender's broadcast.
    Submitted {
        /// The sender.
        from: MemberId,
        /// The piece.
        submit: Submit<P>,
    },
    /// To the root: who handles results has called, or has taken one.
    Collected {
        /// Who.
        from: MemberId,
        /// What it has.
        resume: Resume,
    },
    /// To who handles results: a piece of one, from the root.
    Handed(Chunk<P>),
    /// To the root: a sender's connection broke, or that of who handles results.
    SubmitterDown(MemberId),
    /// The application sends something to all.
    Send(Vec<P>),
    /// The application gives its value for its next reduce.
    Reduce(Vec<P>),
    /// Values were combined.
    Combined {
        /// As in the effect.
        term: Term,
        /// As in the effect.
        at: Try,
        /// As in the effect.
        index: u32,
        /// What came of it.
        value: P,
    },
    /// As a root: what rounds have cost since this was said last.
    Paced(Pace),
    /// The application can take so many rounds more.
    Receive(u32),
    /// The application wants to leave.
    Leave,
    /// A timer fired.
    Timer(Timer),
}

/// What a member asks its shell to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A, P> {
    /// Say this to the controller. What finds no connection is lost.
    ToController(ToController<A>),
    /// Call the controller.
    CallController,
    /// Close the connection to the controller; [`Event::ControllerLost`] follows.
    HangController,
    /// Call the parent.
    Dial {
        /// The link to be.
        link: LinkId,
        /// Where the parent listens.
        address: A,
        /// By way of a relay, which both can reach.
        relay: bool,
    },
    /// Say this over a link.
    Send {
        /// Which.
        link: LinkId,
        /// What.
        frame: Frame<A, P>,
    },
    /// Close a link, or refuse the call that named it. Nothing more is heard of it.
    Hang(LinkId),
    /// Call the root.
    DialRoot {
        /// Its term.
        term: Term,
        /// Where it listens.
        address: A,
    },
    /// Close the connection to the root of this term.
    HangRoot(Term),
    /// Send a piece to the root.
    Submit(Submit<P>),
    /// To a sender: go on with your broadcast.
    Go {
        /// The sender.
        to: MemberId,
        /// The term in which this member is the root.
        term: Term,
        /// Which broadcast.
        sequence: Sequence,
        /// The first piece that is missing.
        index: u32,
    },
    /// To the root, from who handles results: this is what it has.
    Collect(Resume),
    /// To who handles results: a piece of one.
    Hand {
        /// Who.
        to: MemberId,
        /// The piece.
        chunk: Chunk<P>,
    },
    /// Close the connection of a sender, or of who handles results.
    HangSubmitter(MemberId),
    /// To the application: a round, whole or aborted.
    Deliver {
        /// Which, whose, and who is in it.
        head: Head,
        /// Its pieces, or nothing where it was aborted.
        pieces: Option<Vec<P>>,
    },
    /// To the application: what became of its broadcast.
    Sent {
        /// Which.
        sequence: Sequence,
        /// What became of it.
        outcome: Outcome,
    },
    /// Combine these, in this order, and answer with [`Event::Combined`].
    Combine {
        /// The term.
        term: Term,
        /// For which attempt.
        at: Try,
        /// Which piece of it.
        index: u32,
        /// One piece each.
        inputs: Vec<P>,
    },
    /// To the application: what became of a reduce that it gave a value to. What it lent is its own again.
    Reduced {
        /// Which.
        round: Round,
        /// What became of it.
        outcome: Reduction,
    },
    /// To the application: its call cannot be taken, and nothing has changed.
    Refused(Refusal),
    /// To the application: this member's time in the channel is over.
    Ended(End),
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

/// What became of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// Everybody who is in this round and stays has it, or will have it, as long as this member stays: if it should be
    /// declared dead right away, what it had seen binds nobody.
    Sealed(Round),
    /// Nobody has it, or will have it.
    Aborted,
    /// The member's time ended before it knew.
    Indeterminate,
}

/// What became of a reduce, for a member that gave a value to it. But for `Late` and `Indeterminate` it is the same for
/// all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reduction {
    /// There is a result with this member's value in it, and these are missing from it.
    Sealed(Missing),
    /// There is none, for this reason; and these had departed before.
    Failed(Failure, Missing),
    /// The round was over before this member gave its value, which is in no result.
    Late,
    /// The member's time ended before it knew.
    Indeterminate,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// The broadcast before it is not done.
    Busy,
    /// There is nothing to send: a broadcast has at least one piece.
    Empty,
    /// The member is not in the channel, or is leaving it.
    NotSeated,
    /// The channel is for something else.
    WrongKind,
    /// The member is a daemon, which has no application.
    Daemon,
}

/// How a member's time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum End {
    /// It left.
    Left,
    /// It was declared dead.
    Fenced,
    /// It wanted to leave and was not let go in time. For the others it has died.
    Overdue,
}

/// A member's timers. They name what they belong to, so that a late firing means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timer {
    /// The link should stand by now.
    Attach(LinkId),
    /// Call the parent again.
    Redial(LinkId),
    /// Call the root again.
    RedialRoot(Term),
    /// The sender should have come back by now.
    Submission(MemberId, Sequence),
    /// All should have given their values by now.
    RoundDeadline(Term, Round),
    /// Somebody should have come for the result by now.
    HandlerLost(Term, Round),
    /// Call the controller again, after so many calls that came to nothing.
    Reregister(u32),
    /// The member should have left by now.
    Drain,
}

//! Frames between members: on the links of the tree, and from a sender to the root.

use alloc::vec::Vec;

use super::{Census, Seal};
use crate::ids::{MemberId, Round, Sequence, Stamp, Term};

/// A round, for ever: the number alone may be given again by a root that did not know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RoundId {
    /// The term in which it was begun.
    pub term: Term,
    /// Its number.
    pub round: Round,
}

/// Whose broadcast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Origin {
    /// The sender.
    pub member: MemberId,
    /// Which of its broadcasts.
    pub sequence: Sequence,
}

/// What is known of a round before its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Head {
    /// Which round.
    pub id: RoundId,
    /// Who is in it: the members whose stamp is not above this one.
    pub cut: Stamp,
    /// Whose it is; `None` for a reduce, and for a round of which nothing but its number was left.
    pub origin: Option<Origin>,
    /// What has become of it, if it is a reduce.
    pub sealed: Option<Seal>,
}

/// A part of a round's payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Piece<P> {
    /// Bytes, and whether they are the last.
    Part(P, bool),
    /// There will be no more: the round is aborted for everybody.
    Void,
    /// The round is whole, and its bytes are with who handles them.
    Handled,
}

/// A piece with its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Chunk<P> {
    /// The term that both ends of the link are in.
    pub term: Term,
    /// Its round.
    pub head: Head,
    /// Which piece of it, from 0.
    pub index: u32,
    /// The bytes.
    pub piece: Piece<P>,
}

/// An attempt at a reduce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Try {
    /// The round.
    pub round: Round,
    /// Which attempt at it, from 0.
    pub attempt: u32,
    /// The deadline has passed: everybody gives what it has now, and who has nothing is late.
    pub cut_off: bool,
}

/// Why an attempt comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Spoil {
    /// Somebody who had sent something has other neighbours now.
    Moved,
    /// Members have given values of different sizes. Another attempt would not help.
    Mismatch,
}

/// Whose values some members have combined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Share {
    /// Those.
    pub census: Census,
    /// Daemons that are counted, and have no values.
    pub daemons: Census,
    /// Who is counted and had given none when it was cut off; no more than a head may name.
    pub late: Vec<MemberId>,
}

/// A piece of what a member and those below it have, combined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Contribution<P> {
    /// The term.
    pub term: Term,
    /// In which attempt.
    pub at: Try,
    /// Which piece, from 0.
    pub index: u32,
    /// The values; `None` if there are none, or none yet: then it only says that somebody has given one.
    pub payload: Option<P>,
    /// With the last piece: whose values these are.
    pub whole: Option<Share>,
}

/// How the term stands, from the root down to everybody. Only the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sync<A> {
    /// The term.
    pub term: Term,
    /// Where its root listens to those who have something to send.
    pub root: A,
    /// Who is counted: members whose stamp is not above this one.
    pub cut: Stamp,
    /// Everybody has these rounds; nobody need keep them.
    pub floor: Round,
    /// Who was in the last of these.
    pub floor_cut: Stamp,
    /// The last term before this one that has gone on, as far as the sender knows.
    pub prior: Term,
    /// Once the root knows what everybody has: the last round of earlier terms that goes on. What lies behind it and
    /// was not finished is void.
    pub carried: Option<Round>,
    /// The newest attempt at a reduce, if the first one was not enough.
    pub attempt: Try,
}

/// What the members below a link have together. Only the newest counts.
///
/// It is sent when all children that a member was assigned have reported, and is made of their reports and its own
/// state. What it says of a member stays true whatever comes later: that is why sums made at different times, over a
/// tree in motion, can be trusted as soon as they count everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// The term.
    pub term: Term,
    /// Who is counted.
    pub cut: Stamp,
    /// Those who are in this term, and refuse what an earlier root says.
    pub synced: Census,
    /// The last round of which one of them has a complete copy, and all before it.
    pub best: Round,
    /// The last round of which one of them has seen anything.
    pub seen: Round,
    /// The rounds up to here are everybody's.
    pub floor: Round,
    /// Who was in the last of these.
    pub floor_cut: Stamp,
    /// The last term before this one that has gone on. Reports that differ in this are not added up.
    pub prior: Term,
    /// Those who have the first round above the floor, the second, and so on.
    pub done: Vec<Census>,
}

/// From where on a child needs its parent's rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Resume {
    /// The term that the child is in.
    pub term: Term,
    /// The last round that it has, with all before it.
    pub position: Round,
    /// The round behind that, and how many pieces of it there are.
    pub partial: Option<(RoundId, u32)>,
}

/// What travels on a link of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Frame<A, P> {
    /// Up: the child is there. The link that it names is how the parent knows it.
    Attach,
    /// Up: send what follows.
    Resume(Resume),
    /// Up: this is what we have.
    Report(Report),
    /// Down: this is how the term stands.
    Sync(Sync<A>),
    /// Down: a piece of a round. Up: the same, where the parent has asked for it.
    Chunk(Chunk<P>),
    /// Up: values for a reduce.
    Contribution(Contribution<P>),
    /// Up: an attempt at a reduce has come to nothing.
    Spoiled {
        /// The term.
        term: Term,
        /// Which attempt.
        at: Try,
        /// Why.
        why: Spoil,
    },
    /// Down: send up what you have from this round on.
    Pull {
        /// The term.
        term: Term,
        /// The first round that the parent lacks.
        from: Round,
    },
}

/// A piece on its way from a sender to the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Submit<P> {
    /// The term in which the receiver is the root.
    pub term: Term,
    /// Which of the sender's broadcasts.
    pub sequence: Sequence,
    /// Which piece of it, from 0.
    pub index: u32,
    /// The bytes.
    pub payload: P,
    /// Whether they are the last.
    pub last: bool,
}

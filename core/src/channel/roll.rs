//! The roll of a channel: who is in it, where, and for what.

use alloc::vec::Vec;

use super::Cut;
use crate::ids::MemberId;

/// What a member does in a channel of shuffles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Role {
    /// It gives records.
    Sender,
    /// It gets those that are meant for it.
    Receiver,
    /// Both.
    #[default]
    Both,
}

impl Role {
    /// Whether it gives records.
    #[must_use]
    pub fn sends(self) -> bool {
        match self {
            Self::Sender | Self::Both => true,
            Self::Receiver => false,
        }
    }

    /// Whether it gets records.
    #[must_use]
    pub fn receives(self) -> bool {
        match self {
            Self::Receiver | Self::Both => true,
            Self::Sender => false,
        }
    }
}

/// One line of the roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Present<A> {
    /// Who.
    pub member: MemberId,
    /// Where it listens.
    pub address: A,
    /// For what it is there.
    pub role: Role,
}

/// Who is in a channel at a moment.
///
/// Stamps rise: whoever is not in it and has a stamp that is not above [`until`](Cut::until) is gone for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roll<A> {
    /// The moment. As long as the root is told of the same one, the roll is the same.
    pub at: Cut,
    /// The members, by slot.
    pub present: Vec<Present<A>>,
}

impl<A> Roll<A> {
    /// The line of a member, if it is in.
    #[must_use]
    pub fn line(&self, member: MemberId) -> Option<&Present<A>> {
        let line = self.present.binary_search_by_key(&member.slot, |it| it.member.slot).ok()?;
        self.present.get(line).filter(|it| it.member == member)
    }

    /// Whether a member that has been in the channel was not any more when this was called.
    #[must_use]
    pub fn lacks(&self, member: MemberId) -> bool {
        member.stamp <= self.at.until && self.line(member).is_none()
    }
}

//! What a reduce has come to: whose values its result holds, who is missing from it, or why there is none.
//!
//! It is a part of the round's head, so that all who see the round see the same (R1).

use alloc::vec::Vec;

use super::Census;
use crate::ids::{AssignmentVersion, MemberId};

/// Who was counted and is not in a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Missing {
    /// They are there, and had given no value when the deadline had passed. All of them.
    pub late: Vec<MemberId>,
    /// They have departed since the round before was sealed: they left, or were declared dead. The latest of them, as
    /// many as a head may name.
    pub departed: Vec<MemberId>,
    /// How many more have departed, at most: over a change of root some of them may be counted in two rounds.
    pub more: u32,
}

impl Missing {
    /// Whether everybody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.late.is_empty() && !self.lacks_departed()
    }

    /// Whether somebody has departed who was counted.
    #[must_use]
    pub fn lacks_departed(&self) -> bool {
        !self.departed.is_empty() || self.more > 0
    }
}

/// Why a reduce has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Failure {
    /// Somebody who was counted is missing, and the channel is strict.
    Incomplete,
    /// Too many attempts came to nothing, because members died or links broke in the midst of them.
    Churn,
    /// Members have given values of different sizes.
    Mismatch,
    /// There was a result, and in time nobody who handles it.
    Unhandled,
}

/// What a reduce has come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Seal {
    /// Whose values are in the result; nobody's where there is none.
    pub census: Census,
    /// Who is not in it.
    pub missing: Missing,
    /// Departures up to this version have been named, here or before.
    pub until: AssignmentVersion,
    /// Why there is no result, if there is none.
    pub failure: Option<Failure>,
}

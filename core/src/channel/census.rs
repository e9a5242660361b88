//! A set of members in sixteen bytes.
//!
//! Sets of this kind are added up along a tree whose members die and move meanwhile, so a member may be counted
//! twice, or not at all. A plain count would let the two cancel out; here every member has a weight of its own, and a
//! sum is that of a given set only if it is made of exactly that set's members (up to a chance of one in 2^64 for
//! sets that nobody chose with intent: stamps are given by the controller).

use crate::ids::MemberId;

/// How many members there are, and the sum of their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Census {
    /// How many.
    pub count: u32,
    /// The sum of their weights, without carry.
    pub weight: u64,
}

impl Census {
    /// The set of one.
    #[must_use]
    pub fn of(member: MemberId) -> Self {
        Self { count: 1, weight: weight(member) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count.wrapping_add(other.count), weight: self.weight.wrapping_add(other.weight) }
    }

    /// Without those of `other`, who must be in it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { count: self.count.wrapping_sub(other.count), weight: self.weight.wrapping_sub(other.weight) }
    }
}

/// Spreads stamps that differ in few bits over all 64 (the finalizer of MurmurHash3).
fn weight(member: MemberId) -> u64 {
    let mut word = u64::from(member.stamp.epoch.0) << 32 | u64::from(member.stamp.serial);
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

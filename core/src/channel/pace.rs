//! What rounds have cost.

use crate::ids::MemberId;

/// What a root's rounds have cost since it last said so: the sum over times in which at least one was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pace {
    /// How many ended.
    pub rounds: u32,
    /// Bytes of their payloads, each counted once however many it went to.
    pub bytes: u64,
    /// Bytes of the largest piece.
    pub piece: u32,
    /// Microseconds from the first sign of a round until everybody had it, rounds side by side counted once.
    pub busy: u64,
    /// Microseconds that the quickest small round took; 0 if there was none.
    pub quickest: u32,
    /// Whose they were, if they were all of one sender.
    pub sender: Option<MemberId>,
}

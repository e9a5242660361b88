//! Messages from one member of a channel to another.

use cirrus_core::ids::MemberId;

use crate::zip::Address;

/// A piece of a message says of which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The sending process.
    pub from: Address,
    /// The receiver.
    pub to: MemberId,
    /// Which of the messages to it, from 0.
    pub nth: u32,
    /// Which piece of it, from 0.
    pub index: u32,
}

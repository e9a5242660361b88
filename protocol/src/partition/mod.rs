//! Partition files: rows of training data in independent blocks.
//!
//! A file of about 10 MB holds a header and a directory ([`layout`]), then blocks of about 8,192 rows. A block is
//! the unit of lease, order and checking: its directory entry has all that is needed to fetch it with a ranged
//! read and to verify it. A block has its own **dictionary**, the sorted keys that occur in it, and its rows refer
//! to positions in there. So a learner works on a small dense array; the encoded dictionary is what it asks the
//! store for, as it is; and data with frequent keys takes far fewer bytes than its keys would.
//!
//! [`PartitionBuilder`] writes; [`Partition`] reads the directory, [`Block`] one block, into a [`DecodedBlock`].
//! Which rows go into which file, and where files lie, is the caller's.

mod block;
#[cfg(any(test, feature = "std"))]
mod bound;
mod build;
pub mod layout;
mod read;
#[cfg(test)]
mod tests;

pub use block::{Block, DecodedBlock};
#[cfg(any(test, feature = "std"))]
pub use bound::entropy_bound;
pub use build::{BlockBuilder, EncodedBlock, EncodedPartition, PartitionBuilder};
pub use layout::{BlockEntry, Header};
pub use read::Partition;

/// The most bits of a key: a builder keeps 1.5 bits for each key that there can be.
pub const MAX_HASH_BITS: u8 = 30;
/// The most blocks of a partition file.
pub const MAX_BLOCKS: u32 = 1 << 16;
/// The most rows of a block.
pub const MAX_BLOCK_ROWS: u32 = 1 << 16;
/// The most nonzeros of a block.
pub const MAX_BLOCK_NONZEROS: u32 = 1 << 21;
/// The most nonzeros of a row. A [`PartitionBuilder`] closes a block that has as many, so that a row always fits.
pub const MAX_ROW_NONZEROS: u32 = 1 << 20;
/// The rows of a block unless its writer has a reason for another number.
pub const BLOCK_ROWS: u32 = 8192;

/// What a label may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelKind {
    /// 0 or 1; takes a bit.
    Binary,
    /// Any finite number; takes an f32.
    Real,
}

/// What all blocks of a partition have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Keys are below 2^`hash_bits`; 1 to [`MAX_HASH_BITS`].
    pub hash_bits: u8,
    /// What a label may be.
    pub labels: LabelKind,
}

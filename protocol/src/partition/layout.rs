//! Header and directory of a partition file, as they lie in its first bytes.
//!
//! All integers are little-endian and need no alignment: the structs are read in place, from whatever buffer a
//! storage hands out. What a field may hold is checked here, too, so that nobody else has to.

use super::{LabelKind, MAX_BLOCK_NONZEROS, MAX_BLOCK_ROWS, MAX_BLOCKS, MAX_HASH_BITS, Shape};
use crate::error::FormatError;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// The first 8 bytes of a partition file.
pub const MAGIC: [u8; 8] = *b"CIRRUS-P";

/// The version of the partition format that this program reads and writes.
pub const FORMAT_VERSION: u16 = 1;

/// Length of the header.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// Length of a directory entry.
pub const ENTRY_BYTES: usize = size_of::<BlockEntry>();

/// Length of the checksum behind the directory.
pub(super) const CHECKSUM_BYTES: usize = size_of::<U32>();

/// The name of the header in errors.
pub(super) const HEADER: &str = "header of a partition file";

/// The first 64 bytes of a partition file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub version: U16,
    /// Keys are below 2^`hash_bits`.
    pub hash_bits: u8,
    /// The kind of labels: 0 binary, 1 real.
    pub labels: u8,
    /// Blocks, and entries of the directory.
    pub blocks: U32,
    /// Rows of all blocks.
    pub rows: U64,
    /// Nonzeros of all blocks.
    pub nonzeros: U64,
    /// Rows with a label above 0.
    pub positives: U64,
    /// Length of the whole file.
    pub bytes: U64,
    /// Zero.
    pub reserved: [u8; 16],
}

/// One entry of the directory.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct BlockEntry {
    /// Where the block starts in the file.
    pub offset: U64,
    /// Length of the block in bytes.
    pub length: U32,
    /// Its rows.
    pub rows: U32,
    /// Its nonzeros.
    pub nonzeros: U32,
    /// Keys in its dictionary.
    pub keys: U32,
    /// Its rows with a label above 0.
    pub positives: U32,
    /// CRC-32C of its bytes.
    pub crc: U32,
}

impl Header {
    /// Refuses what is not the header of a partition file of this version; what its blocks have in common.
    pub(super) fn check(&self) -> Result<Shape, FormatError> {
        if self.magic != MAGIC {
            return Err(FormatError::BadMagic { what: "partition file", found: self.magic });
        }
        if self.version != FORMAT_VERSION {
            return Err(FormatError::Version {
                what: "partition file",
                found: self.version.get().into(),
                supported: FORMAT_VERSION.into(),
            });
        }
        limit("the number of blocks of a partition", self.blocks.get(), MAX_BLOCKS)?;
        if self.reserved != [0; 16] {
            return Err(FormatError::Corrupt("a reserved byte of a partition's header is not 0"));
        }
        let labels = LabelKind::from_code(self.labels)?;
        let shape = Shape { hash_bits: self.hash_bits, labels };
        shape.check().map(|()| shape)
    }

    /// Length of header, directory and checksum.
    pub(super) fn directory_bytes(&self) -> usize {
        // At most 64 + 32 * MAX_BLOCKS + 4.
        (self.blocks.get() as usize)
            .saturating_mul(ENTRY_BYTES)
            .saturating_add(HEADER_BYTES)
            .saturating_add(CHECKSUM_BYTES)
    }
}

impl BlockEntry {
    /// Refuses counts that no block of `shape` has.
    pub(super) fn check(&self, shape: Shape) -> Result<(), FormatError> {
        limit("the number of rows of a block", self.rows.get(), MAX_BLOCK_ROWS)?;
        limit("the number of nonzeros of a block", self.nonzeros.get(), MAX_BLOCK_NONZEROS)?;
        limit("the number of keys of a block", self.keys.get(), self.nonzeros.get().min(shape.keys()))?;
        limit("the number of positive rows of a block", self.positives.get(), self.rows.get())?;
        if self.rows == 0 { Err(FormatError::Corrupt("a block without rows")) } else { Ok(()) }
    }
}

impl Shape {
    /// Refuses hash bits out of range.
    pub(super) fn check(self) -> Result<(), FormatError> {
        if self.hash_bits == 0 {
            return Err(FormatError::Corrupt("0 hash bits; at least 1 is needed"));
        }
        limit("the number of hash bits", self.hash_bits, MAX_HASH_BITS)
    }

    /// The number of keys that there can be.
    pub(super) fn keys(self) -> u32 {
        1u32.wrapping_shl(self.hash_bits.into())
    }
}

impl LabelKind {
    /// The number for this kind in a header.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Binary => 0,
            Self::Real => 1,
        }
    }

    fn from_code(code: u8) -> Result<Self, FormatError> {
        match code {
            0 => Ok(Self::Binary),
            1 => Ok(Self::Real),
            _ => Err(FormatError::Corrupt("labels of an unknown kind")),
        }
    }
}

/// Refuses a count above its limit.
pub(super) fn limit<T: Into<u64>>(what: &'static str, found: T, limit: T) -> Result<(), FormatError> {
    let (found, limit) = (found.into(), limit.into());
    if found > limit { Err(FormatError::Limit { what, found, limit }) } else { Ok(()) }
}

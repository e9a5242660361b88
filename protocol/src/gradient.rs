//! An update: the sums that a worker computed for some keys, on its way into a model.
//!
//! A header of 16 bytes, the keys, then one column of `f32` after the other, each with one number a key. The keys
//! are a sequence of key lists (see [`keys`](crate::keys)) that stand in the update, or the name of a read of the
//! same session that asked for the same keys, so that they need not travel twice. Keys that stand in the update
//! as no bytes at all mean every cell of the model, in order, as they do in a read.
//!
//! Columns are viewed where they lie, at any alignment: [`F32`] is four bytes that load as one `f32`. Reading an
//! update checks that its length is exactly what its header says; decoding the keys, and holding their number
//! against [`Update::count`], is left to who has a limit for them: the model's table.

use alloc::vec::Vec;
use cirrus_core::ids::CallId;
pub use zerocopy::little_endian::F32;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::FormatError;

/// Bytes in front of the keys.
pub const HEADER_BYTES: usize = 16;
/// The most columns in an update.
pub const COLUMNS_MAX: usize = 8;

const INLINE: u16 = 0;
const OF_READ: u16 = 1;

/// Which keys an update is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReference<'a> {
    /// A sequence of key lists; empty: every cell.
    Inline(&'a [u8]),
    /// The keys that this read of the same session asked for.
    OfRead(CallId),
}

/// An update, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    keys: KeyReference<'a>,
    columns: usize,
    count: usize,
    values: &'a [F32],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    columns: U16,
    reference: U16,
    count: U32,
    /// The length of the keys in bytes, or the number of the read.
    keys: U64,
}

/// Appends an update to `out`.
///
/// # Errors
/// `Unwritable` when there are more than [`COLUMNS_MAX`] columns, none, columns of different lengths, or more than
/// `u32::MAX` keys; `out` is unchanged then.
pub fn encode(keys: KeyReference<'_>, columns: &[&[f32]], out: &mut Vec<u8>) -> Result<(), FormatError> {
    let count = columns.first().map_or(0, |column| column.len());
    if columns.is_empty() || columns.len() > COLUMNS_MAX {
        return Err(FormatError::Unwritable("an update has between 1 and 8 columns"));
    }
    if columns.iter().any(|column| column.len() != count) {
        return Err(FormatError::Unwritable("the columns of an update differ in length"));
    }
    let Ok(rows) = u32::try_from(count) else {
        return Err(FormatError::Unwritable("an update has more keys than a u32 can count"));
    };
    let (reference, number, list) = match keys {
        KeyReference::Inline(list) => (INLINE, list.len() as u64, list),
        KeyReference::OfRead(call) => (OF_READ, call.0, [].as_slice()),
    };
    let header = Header {
        columns: U16::new(columns.len() as u16),
        reference: U16::new(reference),
        count: U32::new(rows),
        keys: U64::new(number),
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(list);
    for column in columns {
        append_floats(column, out);
    }
    Ok(())
}

/// Appends an update to `out` that is `update` with its keys standing in it, whatever it referred to before.
///
/// # Errors
/// As [`Update::parse`] when `update` is none.
pub fn encode_with_keys(update: &[u8], keys: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
    let Update { columns, count, values, .. } = Update::parse(update)?;
    let header = Header {
        columns: U16::new(u16::try_from(columns).unwrap_or(u16::MAX)),
        reference: U16::new(INLINE),
        count: U32::new(u32::try_from(count).unwrap_or(u32::MAX)),
        keys: U64::new(keys.len() as u64),
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(keys);
    out.extend_from_slice(values.as_bytes());
    Ok(())
}

impl<'a> Update<'a> {
    /// Reads an update in place.
    ///
    /// # Errors
    /// `Truncated`, `Limit` or `Corrupt` when the bytes are not exactly one update.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let Ok((header, rest)) = Header::ref_from_prefix(bytes) else {
            return Err(too_short(HEADER_BYTES as u64, bytes));
        };
        let columns = usize::from(header.columns.get());
        if columns == 0 {
            return Err(FormatError::Corrupt("an update without columns"));
        }
        if columns > COLUMNS_MAX {
            return Err(FormatError::Limit {
                what: "number of columns of an update",
                found: columns as u64,
                limit: COLUMNS_MAX as u64,
            });
        }
        let number = header.keys.get();
        let (keys, values) = match header.reference.get() {
            INLINE => {
                let split = usize::try_from(number).ok().and_then(|length| rest.split_at_checked(length));
                let Some((list, values)) = split else {
                    return Err(too_short(number.saturating_add(HEADER_BYTES as u64), bytes));
                };
                (KeyReference::Inline(list), values)
            }
            OF_READ => (KeyReference::OfRead(CallId(number)), rest),
            _ => return Err(FormatError::Corrupt("an update that refers to its keys in an unknown way")),
        };
        let values = view_floats(values)?;
        let numbers = u64::from(header.count.get()).saturating_mul(columns as u64);
        if values.len() as u64 != numbers {
            return Err(FormatError::Corrupt("the length of an update is not what its header says"));
        }
        Ok(Self { keys, columns, count: values.len().checked_div(columns).unwrap_or_default(), values })
    }

    /// Which keys it is for.
    #[must_use]
    pub fn keys(&self) -> KeyReference<'a> {
        self.keys
    }

    /// How many columns there are, at least 1.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many keys it is for: the length of every column.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// A column from 0, in the order of the keys; `None` when there are not that many.
    #[must_use]
    pub fn column(&self, index: usize) -> Option<&'a [F32]> {
        let start = self.count.checked_mul(index)?;
        let column = self.values.get(start..start.checked_add(self.count)?)?;
        (index < self.columns).then_some(column)
    }
}

/// Views bytes (cells, for one) as numbers, where they lie.
///
/// # Errors
/// `Corrupt` when the length is not a multiple of 4.
pub fn view_floats(bytes: &[u8]) -> Result<&[F32], FormatError> {
    <[F32]>::ref_from_bytes(bytes).map_err(|_| FormatError::Corrupt("f32 numbers that end within a number"))
}

/// Appends numbers as they travel: `f32`, little-endian.
pub fn append_floats(numbers: &[f32], out: &mut Vec<u8>) {
    #[cfg(target_endian = "little")]
    out.extend_from_slice(numbers.as_bytes());
    #[cfg(not(target_endian = "little"))]
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn too_short(needed: u64, bytes: &[u8]) -> FormatError {
    FormatError::Truncated { what: "an update", needed, found: bytes.len() as u64 }
}

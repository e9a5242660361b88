//! Reading a block.
//!
//! [`Block::verify_and_parse`] finds the parts and holds their counts against the directory entry, so that
//! [`Block::decode_into`] knows all sizes before it touches a buffer. Decoding is three tight loops over the
//! nonzeros: unpack the gaps in groups of a fixed width, patch the exceptions, add up each row. A row's last id
//! bounds the others, so one comparison a row checks them all.

use super::{BlockEntry, LabelKind, Shape, layout::limit};
use crate::{
    checksum,
    error::FormatError,
    keys::{self, KeyLimit, add_up},
    packed::{Packed, take},
};
use alloc::vec::Vec;
use half::f16;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// The first bytes of a block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct BlockHeader {
    /// A code of [`lengths`].
    pub(super) lengths: u8,
    /// A code of [`values`].
    pub(super) values: u8,
    pub(super) zero: U16,
    /// The length of every row, if all are equal.
    pub(super) row_length: U32,
    /// Values other than 1, if they are exceptions.
    pub(super) exceptions: U32,
}

/// How row lengths are stored.
pub(super) mod lengths {
    /// All are equal.
    pub(in super::super) const EQUAL: u8 = 0;
    /// A packed array.
    pub(in super::super) const PACKED: u8 = 1;
}

/// How values are stored.
pub(super) mod values {
    /// All are 1.
    pub(in super::super) const ONES: u8 = 0;
    /// All but a few are 1.
    pub(in super::super) const EXCEPTIONS: u8 = 1;
    /// Half precision, because no value loses by it.
    pub(in super::super) const F16: u8 = 2;
    /// Single precision.
    pub(in super::super) const F32: u8 = 3;
}

/// A block in its encoded form: its checksum verified, its parts found.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    shape: Shape,
    entry: BlockEntry,
    key_list: &'a [u8],
    row_lengths: RowLengths<'a>,
    labels: &'a [u8],
    ids: Packed<'a>,
    values: Values<'a>,
}

#[derive(Clone, Copy, Debug)]
enum RowLengths<'a> {
    Equal(u32),
    Packed(Packed<'a>),
}

#[derive(Clone, Copy, Debug)]
enum Values<'a> {
    Ones,
    Exceptions { gaps: Packed<'a>, values: &'a [[u8; 4]] },
    F16(&'a [[u8; 2]]),
    F32(&'a [[u8; 4]]),
}

/// The rows of a block. The buffers are kept and filled again with the next block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedBlock {
    /// The dictionary: the keys that occur in the block, sorted and unique.
    pub keys: Vec<u32>,
    /// The dictionary as an encoded key list, ready to be sent.
    pub key_list: Vec<u8>,
    /// Row `r` has the nonzeros `row_starts[r]..row_starts[r + 1]`; one more than there are rows.
    pub row_starts: Vec<u32>,
    /// Per nonzero the position of its key in `keys`, rising within a row.
    pub ids: Vec<u32>,
    /// Per nonzero its value; empty if all are 1.
    pub values: Vec<f32>,
    /// Per row its label; 0 or 1 if labels are binary.
    pub labels: Vec<f32>,
    /// Positions of exceptional values, while decoding.
    positions: Vec<u32>,
}

const WHAT: &str = "block";

impl<'a> Block<'a> {
    /// Verifies the checksum of `bytes`, the block that `entry` describes in a partition of `shape`, and finds
    /// its parts.
    ///
    /// # Errors
    /// If they are cut short or damaged, or disagree with `entry` or `shape`.
    pub fn verify_and_parse(bytes: &'a [u8], entry: &BlockEntry, shape: Shape) -> Result<Self, FormatError> {
        entry.check(shape)?;
        let mut rest = bytes;
        let mut rest = take(&mut rest, entry.length.get() as usize, WHAT)?;
        if rest.len() != bytes.len() {
            return Err(FormatError::Corrupt("more bytes than the block's entry says"));
        }
        checksum::verify(WHAT, bytes, entry.crc.get())?;
        let header = take(&mut rest, size_of::<BlockHeader>(), WHAT)?;
        let header = BlockHeader::read_from_bytes(header).map_err(|_| FormatError::Corrupt(WHAT))?;
        if header.zero != 0 {
            return Err(FormatError::Corrupt("a reserved byte of a block's header is not 0"));
        }
        let rows = entry.rows.get() as usize;
        let key_list = take_key_list(&mut rest, entry.keys.get())?;
        let row_lengths = RowLengths::take_from(&mut rest, header, entry)?;
        let label_bytes = match shape.labels {
            LabelKind::Binary => rows.div_ceil(8),
            LabelKind::Real => rows.saturating_mul(4),
        };
        let labels = take(&mut rest, label_bytes, "labels of a block")?;
        let ids = Packed::take_from(&mut rest, entry.nonzeros.get() as usize)?;
        let values = Values::take_from(&mut rest, header, entry)?;
        if !rest.is_empty() {
            return Err(FormatError::Corrupt("a block is longer than its parts"));
        }
        Ok(Self { shape, entry: *entry, key_list, row_lengths, labels, ids, values })
    }

    /// Decodes all rows into `out`, whose buffers are used again: once they have grown, nothing is allocated.
    ///
    /// # Errors
    /// If a part breaks a rule of the format; `out` then has no meaning.
    pub fn decode_into(&self, out: &mut DecodedBlock) -> Result<(), FormatError> {
        self.decode_keys(out)?;
        self.decode_ids(out)?;
        self.decode_labels(out)?;
        self.decode_values(out)
    }

    fn decode_keys(&self, out: &mut DecodedBlock) -> Result<(), FormatError> {
        out.key_list.clear();
        out.key_list.extend_from_slice(self.key_list);
        let limit = KeyLimit { count: self.entry.keys.get(), key_max: self.shape.keys().saturating_sub(1) };
        keys::decode(self.key_list, limit, &mut out.keys).map(|_| ())
    }

    fn decode_ids(&self, out: &mut DecodedBlock) -> Result<(), FormatError> {
        let nonzeros = self.entry.nonzeros.get();
        out.ids.resize(nonzeros as usize, 0);
        self.ids.unpack(&mut out.ids)?;
        out.row_starts.resize((self.entry.rows.get() as usize).saturating_add(1), 0);
        let (first, lengths) = out.row_starts.split_first_mut().ok_or(FormatError::Corrupt(WHAT))?;
        *first = 0;
        // The end of the highest row so far: no id is above it, whatever the gaps are.
        let mut above = 0;
        match self.row_lengths {
            RowLengths::Equal(length) => {
                let mut end = 0u32;
                for start in lengths {
                    end = end.wrapping_add(length); // rows * length = nonzeros was checked
                    *start = end;
                }
                for row in out.ids.chunks_exact_mut((length as usize).max(1)) {
                    above = add_up(row).max(above);
                }
            }
            RowLengths::Packed(packed) => {
                packed.unpack(lengths)?;
                let mut end = 0u32;
                let mut rest = out.ids.as_mut_slice();
                for start in lengths {
                    let row = rest.split_off_mut(..*start as usize);
                    above = add_up(row.ok_or(FormatError::Corrupt(LENGTHS))?).max(above);
                    end = end.wrapping_add(*start); // a row that was cut off is no longer than what was left
                    *start = end;
                }
                if !rest.is_empty() {
                    return Err(FormatError::Corrupt(LENGTHS));
                }
            }
        }
        limit("the position of a key in a block", above, self.entry.keys.get().into())
    }

    fn decode_labels(&self, out: &mut DecodedBlock) -> Result<(), FormatError> {
        out.labels.clear();
        match self.shape.labels {
            LabelKind::Binary => {
                let bits = self.labels.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
                out.labels.extend(bits.take(self.entry.rows.get() as usize).map(f32::from));
            }
            LabelKind::Real => {
                let (labels, _) = self.labels.as_chunks();
                out.labels.extend(labels.iter().map(|label| f32::from_le_bytes(*label)));
                check_finite(&out.labels)?;
            }
        }
        let positives = out.labels.iter().filter(|label| **label > 0.0).count();
        if positives as u64 != u64::from(self.entry.positives.get()) {
            return Err(FormatError::Corrupt("a block has another number of positive labels than its entry"));
        }
        Ok(())
    }

    fn decode_values(&self, out: &mut DecodedBlock) -> Result<(), FormatError> {
        out.values.clear();
        match self.values {
            Values::Ones => {}
            Values::Exceptions { gaps, values } => {
                out.values.resize(self.entry.nonzeros.get() as usize, 1.0);
                out.positions.resize(gaps.count(), 0);
                gaps.unpack(&mut out.positions)?;
                let end = add_up(&mut out.positions);
                limit("the position of a value in a block", end, self.entry.nonzeros.get().into())?;
                for (position, value) in out.positions.iter().zip(values) {
                    if let Some(exception) = out.values.get_mut(*position as usize) {
                        *exception = f32::from_le_bytes(*value);
                    }
                }
            }
            Values::F16(halves) => {
                out.values.extend(halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()));
            }
            Values::F32(values) => out.values.extend(values.iter().map(|value| f32::from_le_bytes(*value))),
        }
        check_finite(&out.values)
    }
}

const LENGTHS: &str = "the row lengths of a block do not sum to its nonzeros";

impl<'a> RowLengths<'a> {
    fn take_from(rest: &mut &'a [u8], header: BlockHeader, entry: &BlockEntry) -> Result<Self, FormatError> {
        let length = header.row_length.get();
        match header.lengths {
            lengths::EQUAL => {
                let sum = u64::from(length).saturating_mul(entry.rows.get().into());
                if sum == u64::from(entry.nonzeros.get()) {
                    Ok(Self::Equal(length))
                } else {
                    Err(FormatError::Corrupt(LENGTHS))
                }
            }
            lengths::PACKED if length == 0 => {
                Packed::take_from(rest, entry.rows.get() as usize).map(Self::Packed)
            }
            _ => Err(FormatError::Corrupt("row lengths of an unknown kind")),
        }
    }
}

impl<'a> Values<'a> {
    fn take_from(rest: &mut &'a [u8], header: BlockHeader, entry: &BlockEntry) -> Result<Self, FormatError> {
        const VALUES: &str = "values of a block";
        let (nonzeros, exceptions) = (entry.nonzeros.get() as usize, header.exceptions.get());
        match header.values {
            values::EXCEPTIONS => {
                limit("the number of exceptional values of a block", exceptions, entry.nonzeros.get())?;
                let gaps = Packed::take_from(rest, exceptions as usize)?;
                let values = take(rest, (exceptions as usize).saturating_mul(4), VALUES)?;
                Ok(Self::Exceptions { gaps, values: values.as_chunks().0 })
            }
            _ if exceptions != 0 => Err(FormatError::Corrupt("exceptional values where there can be none")),
            values::ONES => Ok(Self::Ones),
            values::F16 => Ok(Self::F16(take(rest, nonzeros.saturating_mul(2), VALUES)?.as_chunks().0)),
            values::F32 => Ok(Self::F32(take(rest, nonzeros.saturating_mul(4), VALUES)?.as_chunks().0)),
            _ => Err(FormatError::Corrupt("values of an unknown kind")),
        }
    }
}

fn take_key_list<'a>(rest: &mut &'a [u8], keys: u32) -> Result<&'a [u8], FormatError> {
    let whole = *rest;
    let (count, _) = keys::take_list(rest)?;
    if count != keys {
        return Err(FormatError::Corrupt("a block's dictionary has another number of keys than its entry"));
    }
    Ok(whole.get(..whole.len().saturating_sub(rest.len())).unwrap_or_default())
}

fn check_finite(numbers: &[f32]) -> Result<(), FormatError> {
    // Without an early end, the compiler checks several at a time.
    let finite = numbers.iter().fold(true, |finite, number| finite & number.is_finite());
    if finite { Ok(()) } else { Err(FormatError::Corrupt("a number is infinite or not a number")) }
}

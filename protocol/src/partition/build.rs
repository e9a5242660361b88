//! Writing blocks and partition files.
//!
//! A builder refuses what a reader would refuse, row by row, so that finishing cannot fail. The dictionary comes
//! from a bitmap of all possible keys: a key's position is the number of bits set before it, one look into a table
//! of counts and one count within a word, where sorting all keys of a block would take several times as long.
//! The same rows give the same bytes.

use super::{
    BlockEntry, Header, LabelKind, MAX_BLOCK_NONZEROS, MAX_BLOCK_ROWS, MAX_BLOCKS, MAX_ROW_NONZEROS, Shape,
    block::{BlockHeader, lengths, values},
    layout::{FORMAT_VERSION, MAGIC, limit},
};
use crate::{checksum, error::FormatError, keys, manifest::PartitionInfo, packed};
use alloc::{string::String, vec::Vec};
use half::f16;
use zerocopy::{IntoBytes, little_endian::U16};

/// A finished block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBlock {
    /// What it has in common with the blocks of its partition.
    pub shape: Shape,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its entry, with offset 0.
    pub entry: BlockEntry,
}

/// A finished partition file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPartition {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Its header.
    pub header: Header,
}

impl EncodedPartition {
    /// What the manifest says of it, under the given object name.
    #[must_use]
    pub fn info(&self, name: String) -> PartitionInfo {
        let Header { blocks, rows, nonzeros, positives, bytes, .. } = self.header;
        PartitionInfo {
            name,
            bytes: bytes.get(),
            directory_bytes: self.header.directory_bytes() as u64,
            rows: rows.get(),
            nonzeros: nonzeros.get(),
            positives: positives.get(),
            blocks: blocks.get(),
        }
    }
}

/// Collects the rows of one block after the other.
#[derive(Clone, Debug)]
pub struct BlockBuilder {
    shape: Shape,
    labels: Vec<f32>,
    row_lengths: Vec<u32>,
    /// Of all rows, one after the other, sorted within each.
    keys: Vec<u32>,
    /// One for each of `keys`.
    values: Vec<f32>,
    /// A bit for each key that there can be: it occurs in the block.
    seen: Vec<u64>,
    /// The row that is being added: key and value, in an integer that sorts by key.
    row: Vec<u64>,
}

impl BlockBuilder {
    /// A builder without rows.
    ///
    /// # Errors
    /// If `shape.hash_bits` is out of range.
    pub fn new(shape: Shape) -> Result<Self, FormatError> {
        shape.check()?;
        Ok(Self {
            shape,
            labels: Vec::new(),
            row_lengths: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            seen: alloc::vec![0; shape.keys().div_ceil(64) as usize],
            row: Vec::new(),
        })
    }

    /// Adds a row. Its features may come in any order; the values of equal keys are summed.
    ///
    /// # Errors
    /// If a key, value or label is out of range, or the block is full; the row is then not added.
    pub fn push_row(&mut self, label: f32, features: &[(u32, f32)]) -> Result<(), FormatError> {
        limit("the number of rows of a block", self.rows().saturating_add(1), MAX_BLOCK_ROWS)?;
        limit("the number of features of a row", features.len() as u64, MAX_ROW_NONZEROS.into())?;
        let nonzeros = u64::from(self.nonzeros()).saturating_add(features.len() as u64);
        limit("the number of nonzeros of a block", nonzeros, MAX_BLOCK_NONZEROS.into())?;
        match self.shape.labels {
            LabelKind::Binary if label != 0.0 && label != 1.0 => {
                return Err(FormatError::Unwritable("a binary label that is neither 0 nor 1"));
            }
            LabelKind::Real if !label.is_finite() => {
                return Err(FormatError::Unwritable("a label that is infinite or not a number"));
            }
            LabelKind::Binary | LabelKind::Real => {}
        }
        self.row.clear();
        for (key, value) in features {
            limit("a key", *key, self.shape.keys().saturating_sub(1))?;
            self.row.push(u64::from(*key) << 32 | u64::from(value.to_bits()));
        }
        // By value, too: a sum is then the same in whatever order the features come.
        self.row.sort_unstable();
        let start = self.keys.len();
        for pair in &self.row {
            let (key, value) = ((pair >> 32) as u32, f32::from_bits(*pair as u32));
            match (self.keys.get(start..).and_then(<[u32]>::last), self.values.last_mut()) {
                (Some(last), Some(sum)) if *last == key => *sum += value,
                _ => {
                    self.keys.push(key);
                    self.values.push(value);
                }
            }
        }
        if !self.values.iter().skip(start).all(|value| value.is_finite()) {
            self.keys.truncate(start);
            self.values.truncate(start);
            return Err(FormatError::Unwritable("a value that is infinite or not a number"));
        }
        self.labels.push(label);
        self.row_lengths.push(self.keys.len().saturating_sub(start) as u32);
        Ok(())
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.labels.len() as u32
    }

    /// Nonzeros so far.
    #[must_use]
    pub fn nonzeros(&self) -> u32 {
        self.keys.len() as u32
    }

    /// Encodes the rows and starts the next block; `None` without rows.
    pub fn finish(&mut self) -> Option<EncodedBlock> {
        let first_length = *self.row_lengths.first()?;
        let equal = self.row_lengths.iter().all(|length| *length == first_length);
        let (dictionary, ids) = self.take_dictionary();
        let (value_kind, exceptions, value_bytes) = encode_values(&self.values);
        let header = BlockHeader {
            lengths: if equal { lengths::EQUAL } else { lengths::PACKED },
            values: value_kind,
            zero: U16::ZERO,
            row_length: if equal { first_length } else { 0 }.into(),
            exceptions: exceptions.into(),
        };
        let mut bytes = Vec::from(header.as_bytes());
        // A bitmap yields sorted and unique keys: this cannot fail.
        keys::encode(&dictionary, &mut bytes).ok()?;
        if !equal {
            packed::encode(&self.row_lengths, &mut bytes);
        }
        self.encode_labels(&mut bytes);
        packed::encode(&ids, &mut bytes);
        bytes.extend_from_slice(&value_bytes);
        let entry = BlockEntry {
            offset: 0.into(),
            length: (bytes.len() as u32).into(),
            rows: self.rows().into(),
            nonzeros: self.nonzeros().into(),
            keys: (dictionary.len() as u32).into(),
            positives: (self.labels.iter().filter(|label| **label > 0.0).count() as u32).into(),
            crc: checksum::crc32c(&bytes).into(),
        };
        self.labels.clear();
        self.row_lengths.clear();
        self.keys.clear();
        self.values.clear();
        Some(EncodedBlock { shape: self.shape, bytes, entry })
    }

    /// The sorted keys of all rows, and per nonzero the gap between its position in there and the one before it
    /// in its row. Leaves the bitmap clear.
    fn take_dictionary(&mut self) -> (Vec<u32>, Vec<u32>) {
        let place = |key: u32| ((key >> 6) as usize, 1u64.wrapping_shl(key)); // the shift is taken modulo 64
        for (word, bit) in self.keys.iter().map(|key| place(*key)) {
            if let Some(word) = self.seen.get_mut(word) {
                *word |= bit;
            }
        }
        let mut dictionary = Vec::new();
        let mut before = Vec::with_capacity(self.seen.len());
        for (index, word) in self.seen.iter().enumerate() {
            before.push(dictionary.len() as u32);
            let mut bits = *word;
            while bits != 0 {
                dictionary.push((index as u32) << 6 | bits.trailing_zeros());
                bits &= bits.wrapping_sub(1);
            }
        }
        let mut gaps = Vec::with_capacity(self.keys.len());
        let mut rest = self.keys.as_slice();
        for length in &self.row_lengths {
            let mut next = 0u32; // the lowest position that may follow in this row
            for key in rest.split_off(..*length as usize).unwrap_or_default() {
                let (word, bit) = place(*key);
                let within = self.seen.get(word).map_or(0, |word| (word & bit.wrapping_sub(1)).count_ones());
                let id = before.get(word).map_or(0, |before| before.wrapping_add(within));
                gaps.push(id.wrapping_sub(next));
                next = id.wrapping_add(1);
            }
        }
        self.seen.fill(0);
        (dictionary, gaps)
    }

    fn encode_labels(&self, bytes: &mut Vec<u8>) {
        match self.shape.labels {
            LabelKind::Binary => bytes.extend(self.labels.chunks(8).map(|labels| {
                labels.iter().rev().fold(0u8, |byte, label| byte << 1 | u8::from(*label > 0.0))
            })),
            LabelKind::Real => bytes.extend(self.labels.iter().flat_map(|label| label.to_le_bytes())),
        }
    }
}

/// The smallest form of `all`: its code, the number of exceptions, the bytes.
fn encode_values(all: &[f32]) -> (u8, u32, Vec<u8>) {
    let mut gaps = Vec::new();
    let mut exceptions = Vec::new();
    let mut gap = 0u32;
    for value in all {
        if *value == 1.0 {
            gap = gap.wrapping_add(1);
        } else {
            gaps.push(gap);
            exceptions.extend_from_slice(&value.to_le_bytes());
            gap = 0;
        }
    }
    if gaps.is_empty() {
        return (values::ONES, 0, Vec::new());
    }
    let mut patched = Vec::new();
    packed::encode(&gaps, &mut patched);
    patched.append(&mut exceptions);
    let halves = all.iter().all(|value| f16::from_f32(*value).to_f32().to_bits() == value.to_bits());
    let whole = all.len().saturating_mul(if halves { 2 } else { 4 });
    if patched.len() < whole {
        (values::EXCEPTIONS, gaps.len() as u32, patched)
    } else if halves {
        (values::F16, 0, all.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect())
    } else {
        (values::F32, 0, all.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// Collects the rows of one partition file after the other.
#[derive(Clone, Debug)]
pub struct PartitionBuilder {
    block: BlockBuilder,
    block_rows: u32,
    /// The finished blocks, their offsets counted from the first of them.
    blocks: Vec<u8>,
    entries: Vec<BlockEntry>,
}

impl PartitionBuilder {
    /// A builder without rows, which closes a block at `block_rows` rows, or sooner if its rows are very long.
    ///
    /// # Errors
    /// If `shape.hash_bits` or `block_rows` is out of range.
    pub fn new(shape: Shape, block_rows: u32) -> Result<Self, FormatError> {
        if block_rows == 0 {
            return Err(FormatError::Unwritable("blocks of 0 rows; at least 1 is needed"));
        }
        limit("the number of rows of a block", block_rows, MAX_BLOCK_ROWS)?;
        Ok(Self { block: BlockBuilder::new(shape)?, block_rows, blocks: Vec::new(), entries: Vec::new() })
    }

    /// Adds a row, as [`BlockBuilder::push_row`].
    ///
    /// # Errors
    /// As [`BlockBuilder::push_row`], and if the file is full.
    pub fn push_row(&mut self, label: f32, features: &[(u32, f32)]) -> Result<(), FormatError> {
        self.check_room(1)?;
        self.block.push_row(label, features)?;
        if self.block.rows() >= self.block_rows || self.block.nonzeros() >= MAX_ROW_NONZEROS {
            self.close_block();
        }
        Ok(())
    }

    /// Adds a block that was built elsewhere, behind the rows so far: blocks can be built side by side.
    ///
    /// # Errors
    /// If the block is of another shape, or the file is full.
    pub fn push_block(&mut self, block: EncodedBlock) -> Result<(), FormatError> {
        if block.shape != self.block.shape {
            return Err(FormatError::Unwritable("a block of another shape than its partition"));
        }
        let open = u64::from(self.block.rows() > 0);
        self.check_room(open.saturating_add(1))?;
        self.close_block();
        self.append(block);
        Ok(())
    }

    /// Refuses `more` blocks that the directory has no room for.
    fn check_room(&self, more: u64) -> Result<(), FormatError> {
        let blocks = (self.entries.len() as u64).saturating_add(more);
        limit("the number of blocks of a partition", blocks, MAX_BLOCKS.into())
    }

    fn close_block(&mut self) {
        if let Some(block) = self.block.finish() {
            self.append(block);
        }
    }

    fn append(&mut self, EncodedBlock { bytes, mut entry, .. }: EncodedBlock) {
        entry.offset = (self.blocks.len() as u64).into();
        self.entries.push(entry);
        self.blocks.extend_from_slice(&bytes);
    }

    /// Bytes of the blocks that are closed: the size of the file so far, give or take a block.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.len()
    }

    /// Closes the open block, encodes the file and starts the next; `None` without rows.
    pub fn finish(&mut self) -> Option<EncodedPartition> {
        self.close_block();
        if self.entries.is_empty() {
            return None;
        }
        let sum = |count: fn(&BlockEntry) -> u32| {
            self.entries.iter().fold(0u64, |sum, entry| sum.saturating_add(count(entry).into()))
        };
        let mut header = Header {
            magic: MAGIC,
            version: FORMAT_VERSION.into(),
            hash_bits: self.block.shape.hash_bits,
            labels: self.block.shape.labels.code(),
            blocks: (self.entries.len() as u32).into(),
            rows: sum(|entry| entry.rows.get()).into(),
            nonzeros: sum(|entry| entry.nonzeros.get()).into(),
            positives: sum(|entry| entry.positives.get()).into(),
            bytes: 0.into(),
            reserved: [0; 16],
        };
        let directory_bytes = header.directory_bytes();
        let length = directory_bytes.saturating_add(self.blocks.len());
        header.bytes = (length as u64).into();
        for entry in &mut self.entries {
            entry.offset = entry.offset.get().saturating_add(directory_bytes as u64).into();
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(self.entries.as_bytes());
        bytes.extend_from_slice(&checksum::crc32c(&bytes).to_le_bytes());
        bytes.append(&mut self.blocks);
        self.entries.clear();
        Some(EncodedPartition { bytes, header })
    }
}

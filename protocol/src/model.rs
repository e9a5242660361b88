//! Model files: the nonzero weights of a trained model, and all that is needed to predict with them.
//!
//! ```text
//! 0   [u8; 8]  magic "CIRRUS-M"
//! 8   u16      version
//! 10  u8       hash bits
//! 11  u8       zero
//! 12  u32      length of the metadata
//! 16  u32      length of the key list
//! 20  u32      keys
//! 24           metadata (JSON), key list, weights (f32 each), CRC-32C of all before
//! ```
//! A model is small beside the data, so it is read and checked as a whole. What its metadata mean is `ml`'s.

use crate::{
    checksum,
    error::FormatError,
    keys::{self, KeyLimit},
    manifest::Schema,
    packed::take,
    partition::MAX_HASH_BITS,
};
use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use serde::{Deserialize, Serialize};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32},
};

/// The first 8 bytes of a model file.
pub const MAGIC: [u8; 8] = *b"CIRRUS-M";

/// The version of the model file that this program reads and writes.
pub const FORMAT_VERSION: u16 = 1;

const WHAT: &str = "model file";

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U16,
    hash_bits: u8,
    zero: u8,
    metadata_bytes: U32,
    key_list_bytes: U32,
    keys: U32,
}

/// A trained linear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Keys are below 2^`hash_bits`; the bias is key 2^`hash_bits`.
    pub hash_bits: u8,
    /// How it was made, and how raw rows become keys.
    pub metadata: ModelMetadata,
    /// Keys with a weight, sorted and unique.
    pub keys: Vec<u32>,
    /// The weight of each key: finite, not 0.
    pub weights: Vec<f32>,
}

/// How a model was made: the JSON part of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelMetadata {
    /// The kind of model, as in `logistic_regression`.
    pub model: String,
    /// How raw rows become keys and values.
    pub schema: Schema,
    /// The optimiser's name.
    pub optimizer: String,
    /// The optimiser's parameters by name; finite.
    pub parameters: BTreeMap<String, f64>,
    /// The run.
    pub training: TrainingInfo,
}

/// The run that made a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingInfo {
    /// Passes over the training rows.
    pub passes: u32,
    /// Rows learnt from, each pass counted.
    pub rows: u64,
    /// Worker processes; 0 when it was trained in one process without a store.
    pub workers: u32,
    /// Seed of the order of blocks.
    pub seed: u64,
    /// Mean progressive log loss of the last pass; finite.
    pub loss: f64,
}

impl Model {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`FormatError::Unwritable`] where [`decode`](Self::decode) would refuse it.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        self.check().map_err(FormatError::Unwritable)?;
        let metadata = serde_json::to_vec(&self.metadata).map_err(|error| invalid(&error))?;
        let mut key_list = Vec::new();
        keys::encode(&self.keys, &mut key_list)?;
        let length = |bytes: usize| {
            u32::try_from(bytes)
                .map(U32::new)
                .map_err(|_| FormatError::Unwritable("a model of more than 4 GiB"))
        };
        let header = Header {
            magic: MAGIC,
            version: FORMAT_VERSION.into(),
            hash_bits: self.hash_bits,
            zero: 0,
            metadata_bytes: length(metadata.len())?,
            key_list_bytes: length(key_list.len())?,
            keys: length(self.keys.len())?,
        };
        let mut bytes = Vec::from(header.as_bytes());
        bytes.extend_from_slice(&metadata);
        bytes.extend_from_slice(&key_list);
        bytes.extend(self.weights.iter().flat_map(|weight| weight.to_le_bytes()));
        bytes.extend_from_slice(&checksum::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`FormatError::BadMagic`], [`FormatError::Version`], [`FormatError::Truncated`], [`FormatError::Checksum`];
    /// and, for a file that was written wrong, [`FormatError::Json`], [`FormatError::Limit`] and
    /// [`FormatError::Corrupt`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut rest = bytes;
        let header = take(&mut rest, size_of::<Header>(), WHAT)?;
        let header = Header::read_from_bytes(header).map_err(|_| FormatError::Corrupt(WHAT))?;
        let (found, supported) = (header.version.get().into(), FORMAT_VERSION.into());
        if header.magic != MAGIC {
            return Err(FormatError::BadMagic { what: WHAT, found: header.magic });
        }
        if found != supported {
            return Err(FormatError::Version { what: WHAT, found, supported });
        }
        let lengths =
            [header.metadata_bytes, header.key_list_bytes, header.keys].map(|length| length.get() as usize);
        let [metadata_bytes, key_list_bytes, count] = lengths;
        let metadata = take(&mut rest, metadata_bytes, "metadata of a model file")?;
        let key_list = take(&mut rest, key_list_bytes, "keys of a model file")?;
        let weights = take(&mut rest, count.saturating_mul(4), "weights of a model file")?;
        let (covered, _) = bytes.split_at_checked(bytes.len().saturating_sub(rest.len())).unwrap_or_default();
        let stored = take(&mut rest, 4, "checksum of a model file")?;
        let stored = stored.first_chunk().copied().map_or(0, u32::from_le_bytes);
        checksum::verify(WHAT, covered, stored)?;
        if !rest.is_empty() {
            return Err(FormatError::Corrupt("bytes behind the end of a model file"));
        }
        let mut model = Self {
            hash_bits: header.hash_bits,
            metadata: serde_json::from_slice(metadata).map_err(|error| invalid(&error))?,
            keys: Vec::new(),
            weights: weights.as_chunks().0.iter().map(|weight| f32::from_le_bytes(*weight)).collect(),
        };
        let limit = KeyLimit { count: header.keys.get(), key_max: u32::MAX };
        if keys::decode(key_list, limit, &mut model.keys)? != key_list_bytes || header.zero != 0 {
            return Err(FormatError::Corrupt("the parts of a model file are not as long as its header says"));
        }
        model.check().map_err(FormatError::Corrupt)?;
        Ok(model)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.hash_bits == 0 || self.hash_bits > MAX_HASH_BITS {
            return Err("a model's hash bits are out of range");
        }
        if self.keys.len() != self.weights.len() {
            return Err("a model has another number of keys than of weights");
        }
        if self.keys.last().is_some_and(|key| *key > 1u32.wrapping_shl(self.hash_bits.into())) {
            return Err("a model has a weight for a key out of range");
        }
        if !self.weights.iter().all(|weight| weight.is_finite() && *weight != 0.0) {
            return Err("a model has a weight that is 0, infinite or not a number");
        }
        if !self
            .metadata
            .parameters
            .values()
            .chain([&self.metadata.training.loss])
            .all(|number| number.is_finite())
        {
            return Err("a model's metadata have a number that is infinite or not a number");
        }
        Ok(())
    }
}

fn invalid(error: &serde_json::Error) -> FormatError {
    FormatError::Json { what: "metadata of a model file", detail: error.to_string() }
}

#[cfg(test)]
mod tests;

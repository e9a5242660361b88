//! Records of a sort: 100 bytes each, of which the first 10 are the key, and the manifest of a folder that holds some.
//!
//! The records are those of the well-known sort benchmarks. A file of records is nothing but records, one after the
//! other. Keys are compared byte by byte, so a key is a number of 80 bits whose first byte counts most. The manifest is
//! a JSON text, written last: a reader sees all parts of a folder or none. As in the manifest of a dataset, unknown
//! fields and other versions are refused.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::checksum::crc32c;
use crate::error::FormatError;
use crate::manifest_text;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 100;
/// Bytes of a record's key, its first ones.
pub const KEY_BYTES: usize = 10;
/// The version of the manifest that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// Bits that a key leaves free in a `u128`.
const FREE_BITS: u32 = 128 - 8 * KEY_BYTES as u32;

/// One record.
pub type Record = [u8; RECORD_BYTES];

/// A record's key: a number below 2^80. Records are in order when these are.
#[inline]
#[must_use]
pub fn key(record: &Record) -> u128 {
    let first = record.first_chunk().copied().unwrap_or_default();
    u128::from_be_bytes(first) >> FREE_BITS
}

/// What a record adds to the checksum of the records of a folder: the sum of the CRC-32C of each, modulo 2^64, which does
/// not depend on their order.
#[inline]
#[must_use]
pub fn checksum(record: &Record) -> u64 {
    u64::from(crc32c(record))
}

/// Records of a folder, by its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsManifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// [`RECORD_BYTES`].
    pub record_bytes: u32,
    /// Records in all.
    pub records: u64,
    /// Whether the records are in order, through all parts.
    pub sorted: bool,
    /// The files, in order.
    pub parts: Vec<RecordsPart>,
}

/// One file of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsPart {
    /// Name of the object, relative to the manifest.
    pub name: String,
    /// Records in it.
    pub records: u64,
}

impl RecordsManifest {
    /// Of these parts.
    ///
    /// # Errors
    /// [`FormatError::Unwritable`] where [`decode`](Self::decode) would refuse it.
    pub fn new(parts: Vec<RecordsPart>, sorted: bool) -> Result<Self, FormatError> {
        let records = total(&parts).ok_or(FormatError::Unwritable("more records than can be counted"))?;
        let (format_version, record_bytes) = (FORMAT_VERSION, RECORD_BYTES as u32);
        let manifest = Self { format_version, record_bytes, records, sorted, parts };
        manifest.check().map_err(FormatError::Unwritable)?;
        Ok(manifest)
    }

    /// The JSON text.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        self.check().map_err(FormatError::Unwritable)?;
        manifest_text::encode(WHAT, self)
    }

    /// Reads the JSON text.
    ///
    /// # Errors
    /// [`FormatError::Version`] with both versions; [`FormatError::Json`] with line and column, also for an unknown
    /// field; [`FormatError::Corrupt`] if it does not add up.
    pub fn decode(json: &[u8]) -> Result<Self, FormatError> {
        let manifest: Self = manifest_text::decode(WHAT, FORMAT_VERSION, json)?;
        manifest.check().map_err(FormatError::Corrupt)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.format_version != FORMAT_VERSION {
            return Err("a manifest of another version");
        }
        if self.record_bytes != RECORD_BYTES as u32 {
            return Err("records of another length than 100 bytes");
        }
        if total(&self.parts) != Some(self.records) {
            return Err("the number of records is not the sum over the parts");
        }
        if !self.parts.iter().all(|part| manifest_text::is_inside(&part.name)) {
            return Err("the name of a part does not lie below its manifest");
        }
        Ok(())
    }
}

const WHAT: &str = "manifest of records";

/// Records in all, where their bytes can be counted.
fn total(parts: &[RecordsPart]) -> Option<u64> {
    let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.records))?;
    sum.checked_mul(RECORD_BYTES as u64).map(|_| sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::{collection, prelude::*};

    fn part(name: &str, records: u64) -> RecordsPart {
        RecordsPart { name: name.into(), records }
    }

    const GOLDEN: &str = r#"{
  "format_version": 1,
  "record_bytes": 100,
  "records": 12,
  "sorted": true,
  "parts": [
    {
      "name": "part-00000-00000.records",
      "records": 5
    },
    {
      "name": "part-00001-00000.records",
      "records": 7
    }
  ]
}
"#;

    fn example() -> RecordsManifest {
        let parts = vec![part("part-00000-00000.records", 5), part("part-00001-00000.records", 7)];
        RecordsManifest::new(parts, true).unwrap()
    }

    #[test]
    fn golden_text() {
        assert_eq!(core::str::from_utf8(&example().encode().unwrap()).unwrap(), GOLDEN);
        assert_eq!(RecordsManifest::decode(GOLDEN.as_bytes()), Ok(example()));
    }

    #[test]
    fn what_is_not_understood_or_does_not_add_up_is_refused() {
        let changes = [
            (r#""format_version": 1"#, r#""format_version": 2"#, "version 2"),
            (r#""record_bytes": 100"#, r#""record_bytes": 64"#, "another length"),
            (r#""records": 12"#, r#""records": 13"#, "not the sum"),
            (r#""sorted": true,"#, r#""sorted": true, "salt": 1,"#, "`salt`"),
            (r#""sorted": true,"#, "", "`sorted`"),
            (r#""part-00001-00000.records""#, r#""../part""#, "does not lie below"),
        ];
        for (old, new, word) in changes {
            let error = RecordsManifest::decode(GOLDEN.replacen(old, new, 1).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        for length in 0..GOLDEN.trim_end().len() {
            RecordsManifest::decode(&GOLDEN.as_bytes()[..length]).unwrap_err();
        }
        assert!(RecordsManifest::new(vec![part("a", u64::MAX / 2), part("b", 0)], true).is_err());
        assert!(RecordsManifest::new(vec![part("a", u64::MAX), part("b", 1)], true).is_err());
    }

    proptest! {
        #[test]
        fn keys_compare_as_their_bytes(a in collection::vec(0..3_u8, 10), b in collection::vec(0..3_u8, 10), rest: u8) {
            let record = |key: &[u8]| {
                let mut record = [rest; RECORD_BYTES];
                record[..KEY_BYTES].copy_from_slice(key);
                record
            };
            prop_assert_eq!(key(&record(&a)).cmp(&key(&record(&b))), a.cmp(&b));
        }
    }
}

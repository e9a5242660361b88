//! Records to be sorted or looked at: which files there are, and whether they are whole.
//!
//! The records of a folder have positions, from the first of the first file to the last of the last: in the order of
//! the manifest, if there is one, else of the files' names. A share is a range of positions, so that all workers agree on
//! who reads what.

use std::ops::Range;

use bytes::Bytes;
use cirrus_protocol::manifest::MANIFEST_NAME;
use cirrus_protocol::records::{RECORD_BYTES, RecordsManifest};
use serde::{Deserialize, Serialize};

use super::error::{SortError, folder_of};
use super::output::CLAIM;
use crate::object::{ObjectError, ObjectFault, ObjectStore};

/// Positions are below 2 to the power of this.
pub const POSITION_BITS: u32 = 48;

const BYTES: u64 = RECORD_BYTES as u64;

/// The records of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    files: Vec<File>,
    records: u64,
    /// By its manifest, they are in order.
    sorted: bool,
}

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    key: String,
    /// The position of its first record.
    first: u64,
    records: u64,
}

impl Input {
    /// Looks what is in a folder, by its manifest or else by its files.
    ///
    /// # Errors
    /// `NoInput`, `Truncated`, `Length`, `Manifest`; `Claimed`, if it is not finished; `TooMany`, `Object`.
    pub async fn open(store: &dyn ObjectStore) -> Result<Self, SortError> {
        let files = store.list("").await?;
        let folder = || folder_of(store);
        if files.iter().any(|file| file.key == CLAIM) {
            return Err(SortError::Claimed { claim: store.describe(CLAIM) });
        }
        let manifest = files.iter().any(|file| file.key == MANIFEST_NAME);
        let mut input = Self { files: Vec::new(), records: 0, sorted: false };
        if manifest {
            let file = store.describe(MANIFEST_NAME);
            let manifest = RecordsManifest::decode(&store.get(MANIFEST_NAME).await?);
            let manifest = manifest.map_err(|source| SortError::Manifest { file, source })?;
            input.sorted = manifest.sorted;
            for part in manifest.parts {
                let expected = part.records * BYTES; // As many as a manifest may have.
                let found = match files.binary_search_by(|file| file.key.as_str().cmp(&part.name)) {
                    Ok(at) => files[at].bytes,
                    Err(_) => {
                        let object = store.describe(&part.name);
                        return Err(ObjectError { object, fault: ObjectFault::NotFound }.into());
                    }
                };
                if found != expected {
                    return Err(SortError::Length { file: store.describe(&part.name), found, expected });
                }
                input.push(part.name, part.records);
            }
        } else {
            for file in files {
                if file.bytes % BYTES != 0 {
                    return Err(SortError::Truncated { file: store.describe(&file.key), bytes: file.bytes });
                }
                input.push(file.key, file.bytes / BYTES);
            }
            if input.files.is_empty() {
                return Err(SortError::NoInput { folder: folder() });
            }
        }
        if input.records >> POSITION_BITS != 0 {
            return Err(SortError::TooMany { folder: folder(), records: input.records });
        }
        Ok(input)
    }

    fn push(&mut self, key: String, records: u64) {
        self.files.push(File { key, first: self.records, records });
        self.records += records;
    }

    /// Records in all.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.records * BYTES
    }

    /// Whether the manifest says that they are in order.
    #[must_use]
    pub fn sorted(&self) -> bool {
        self.sorted
    }

    /// The files, in order: their keys, and the positions of their records.
    pub fn files(&self) -> impl Iterator<Item = (&str, Range<u64>)> {
        self.files.iter().map(|file| (file.key.as_str(), file.first..file.first + file.records))
    }

    /// What worker `rank` of `size` reads.
    #[must_use]
    pub fn share(&self, rank: u32, size: u32) -> Range<u64> {
        let edge = |rank: u32| {
            let edge = u128::from(self.records) * u128::from(rank) / u128::from(size.max(1));
            u64::try_from(edge).unwrap_or(self.records)
        };
        edge(rank)..edge(rank + 1)
    }

    /// Reads records from the beginning of `positions` on: as many of them as the file has in which the first one is, and
    /// at most `limit`.
    ///
    /// # Errors
    /// `Object`, also if the file has been cut short meanwhile.
    pub async fn read(
        &self,
        store: &dyn ObjectStore,
        positions: Range<u64>,
        limit: u64,
    ) -> Result<Bytes, SortError> {
        let at = self.files.partition_point(|file| file.first + file.records <= positions.start);
        let Some(file) = self.files.get(at) else { return Ok(Bytes::new()) };
        let from = positions.start - file.first;
        let to = positions.end.saturating_sub(file.first).min(file.records).min(from.saturating_add(limit));
        if to <= from {
            return Ok(Bytes::new());
        }
        Ok(store.get_range(&file.key, from * BYTES..to * BYTES).await?)
    }
}

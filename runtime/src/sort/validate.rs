//! Whether records are in order, and the same as others: what the sort benchmarks ask of a result.
//!
//! Each file is looked at by itself, as many at a time as there are threads, and what is known of it is a few numbers:
//! its first and its last key, how often a key is below or like the one before it, how many records there are, and their
//! checksum. What lies between two files follows from these.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use cirrus_protocol::records::{RECORD_BYTES, checksum, key};

use super::error::SortError;
use super::input::Input;
use crate::io::IoThread;
use crate::object::ObjectStore;
use crate::pool::WorkPool;

/// Records that are read at once.
const READ_RECORDS: u64 = 40_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files.
    pub files: u64,
    /// Records.
    pub records: u64,
    /// Their checksum, which does not depend on their order.
    pub checksum: u64,
    /// How often a key is like the one before it.
    pub duplicates: u64,
    /// How often a key is below the one before it.
    pub disorders: u64,
    /// The first such record: its file, and its number in it, from 0 on.
    pub first_disorder: Option<(String, u64)>,
}

impl Findings {
    /// Whether these are the same records as others, in whatever order.
    #[must_use]
    pub fn same_records(&self, others: &Self) -> bool {
        (self.records, self.checksum) == (others.records, others.checksum)
    }
}

/// What was found in one file.
#[derive(Clone, Debug, Default)]
struct Found {
    /// The first and the last key.
    ends: Option<(u128, u128)>,
    records: u64,
    checksum: u64,
    duplicates: u64,
    disorders: u64,
    first_disorder: Option<u64>,
}

impl Found {
    fn look(&mut self, records: &[u8]) {
        let (records, _) = records.as_chunks::<RECORD_BYTES>();
        for record in records {
            let key = key(record);
            let (first, last) = self.ends.unwrap_or((key, key));
            if self.records > 0 {
                self.duplicates += u64::from(key == last);
                if key < last {
                    self.disorders += 1;
                    self.first_disorder.get_or_insert(self.records);
                }
            }
            self.ends = Some((first, key));
            self.records += 1;
            self.checksum = self.checksum.wrapping_add(checksum(record));
        }
    }
}

/// Looks at all records of a folder. `progress` is told how many bytes were seen so far; its error ends it.
///
/// # Errors
/// Those of [`Input::open`]; `Object`; that of `progress`.
pub fn validate<E: From<SortError>>(
    store: &Arc<dyn ObjectStore>,
    io: &Arc<IoThread>,
    pool: &Arc<WorkPool>,
    mut progress: impl FnMut(u64) -> Result<(), E>,
) -> Result<Findings, E> {
    let input = Arc::new(io.block_on(Input::open(store.as_ref()))?);
    let files: Vec<(String, Range<u64>)> =
        input.files().map(|(key, range)| (key.to_owned(), range)).collect();
    let (reading, from, at) = (Arc::clone(io), Arc::clone(store), Arc::clone(&input));
    let look = move |(key, positions): (String, Range<u64>)| {
        let found = look_at(&reading, from.as_ref(), &at, positions);
        (key, found)
    };
    let window = NonZeroUsize::new(pool.threads() + 1).unwrap_or(NonZeroUsize::MIN);
    let (mut all, mut last) = (Findings::default(), None);
    for looked in pool.map_ordered(files, window, look) {
        let (file, found) = looked.map_err(SortError::from)?;
        let found = found?;
        if let (Some(last), Some((first, _))) = (last, found.ends) {
            all.duplicates += u64::from(first == last);
            if first < last {
                all.disorders += 1;
                all.first_disorder.get_or_insert((file.clone(), 0));
            }
        }
        last = found.ends.map(|(_, last)| last).or(last);
        if let Some(nth) = found.first_disorder {
            all.first_disorder.get_or_insert((file, nth));
        }
        all.files += 1;
        all.records += found.records;
        all.checksum = all.checksum.wrapping_add(found.checksum);
        all.duplicates += found.duplicates;
        all.disorders += found.disorders;
        progress(all.records * RECORD_BYTES as u64)?;
    }
    Ok(all)
}

fn look_at(
    io: &IoThread,
    store: &dyn ObjectStore,
    input: &Input,
    mut positions: Range<u64>,
) -> Result<Found, SortError> {
    let mut found = Found::default();
    while positions.start < positions.end {
        let read = io.block_on(input.read(store, positions.clone(), READ_RECORDS))?;
        found.look(&read);
        positions.start += (read.len() / RECORD_BYTES) as u64;
    }
    Ok(found)
}

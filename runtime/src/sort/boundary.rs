//! Which worker gets which records: boundaries between their ranges of keys, from a sample of the input.
//!
//! A record is compared by its key and, behind it, by its position in the input. So no two are equal, the ranges can be
//! about equally large whatever the keys are, also if all are the same, and records of one key stay in the order in which
//! they were: the result does not depend on the number of workers.
//!
//! The sample is of short runs of records from all over the input, each at a place of its own within an equal part of it,
//! so that neither an input that is in order nor one with a rhythm misleads it. It is the same for the same input.

use cirrus_protocol::records::{RECORD_BYTES, key};
use serde::{Deserialize, Serialize};

use super::error::SortError;
use super::input::{Input, POSITION_BITS};
use super::random::mix;
use crate::object::ObjectStore;

/// Runs of records that are read for a sample.
const RUNS: u64 = 1024;
/// Records of each.
const RUN_RECORDS: u64 = 64;

/// A record's place in the order: its key, and where it stood.
#[inline]
#[must_use]
pub fn place(key: u128, position: u64) -> u128 {
    key << POSITION_BITS | u128::from(position)
}

/// The places at which ranges begin, but for the first: in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries(Vec<u128>);

impl Boundaries {
    /// For so many ranges of about the same number of records.
    ///
    /// # Errors
    /// `Object`.
    pub async fn sample(store: &dyn ObjectStore, input: &Input, ranges: u32) -> Result<Self, SortError> {
        let records = input.records();
        let runs = records.div_ceil(RUN_RECORDS).min(RUNS);
        let mut sample = Vec::new();
        for run in 0..runs {
            let part = input.share(run as u32, runs as u32);
            let room = (part.end - part.start).saturating_sub(RUN_RECORDS);
            let mut from = part.start + mix(run) % (room + 1);
            let to = part.end.min(from + RUN_RECORDS);
            while from < to {
                let read = input.read(store, from..to, RUN_RECORDS).await?;
                let (read, _) = read.as_chunks::<RECORD_BYTES>();
                if read.is_empty() {
                    break; // There are no files without an end.
                }
                sample.extend((from..).zip(read).map(|(position, record)| place(key(record), position)));
                from += read.len() as u64;
            }
        }
        Ok(Self::of(sample, ranges))
    }

    /// From the places of a sample.
    #[must_use]
    pub fn of(mut sample: Vec<u128>, ranges: u32) -> Self {
        sample.sort_unstable();
        let (length, ranges) = (sample.len(), ranges.max(1) as usize);
        let at = |range: usize| sample.get(range * length / ranges).copied().unwrap_or(u128::MAX);
        Self((1..ranges).map(at).collect())
    }

    /// How many ranges there are.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.0.len() + 1
    }

    /// In which range a place lies.
    #[inline]
    #[must_use]
    pub fn range_of(&self, place: u128) -> usize {
        self.0.partition_point(|boundary| *boundary <= place)
    }
}

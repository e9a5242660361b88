//! Records that look random: each follows from a seed and its number, so that the same seed gives the same bytes however
//! many threads write them and however they are cut into files.
//!
//! A record is a key of 10 bytes, its number as 8 bytes, the highest first, and 82 bytes that look random.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::records::{KEY_BYTES, RECORD_BYTES, Record, RecordsManifest, RecordsPart};

use super::error::SortError;
use super::output::{PART_BYTES, Target, part_name};
use super::random::Random;
use crate::io::IoThread;
use crate::object::ObjectStore;
use crate::pool::WorkPool;

/// Which records.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// How many.
    pub records: u64,
    /// Another seed gives others.
    pub seed: u64,
    /// Keys are not spread evenly: of any two lengths of leading zero bits up to 80 one is as likely as the other, so that
    /// one key of eighty is smaller than 2, and many are the same.
    pub skewed: bool,
}

impl Recipe {
    /// One of them.
    #[must_use]
    pub fn record(&self, number: u64) -> Record {
        let mut random = Random::new(self.seed, number);
        let key = u128::from(random.draw()) << 16 | u128::from(random.draw() >> 48);
        let key = if self.skewed { key >> (random.draw() % 81) } else { key };
        let mut record = [0; RECORD_BYTES];
        let (head, filler) = record.split_at_mut(KEY_BYTES + 8);
        head[..KEY_BYTES].copy_from_slice(&key.to_be_bytes()[16 - KEY_BYTES..]);
        head[KEY_BYTES..].copy_from_slice(&number.to_be_bytes());
        for bytes in filler.chunks_mut(8) {
            bytes.copy_from_slice(&random.draw().to_le_bytes()[..bytes.len()]);
        }
        record
    }

    /// Writes all of them into an empty folder, as files of about 32 MiB and a manifest, on the pool's threads. `progress`
    /// is told how many bytes were written so far; if it answers with an error the folder is left as it was.
    ///
    /// # Errors
    /// `Occupied`, `Claimed`, `Object`; nothing is left then.
    pub fn write<E: From<SortError>>(
        &self,
        store: &Arc<dyn ObjectStore>,
        io: &IoThread,
        pool: &Arc<WorkPool>,
        mut progress: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<RecordsManifest, E> {
        let target = io.block_on(Target::claim(Arc::clone(store)))?;
        let written = self.write_parts(store, io, pool, &mut progress);
        let finished = written.and_then(|parts| Ok(io.block_on(target.finish(parts, false))?));
        if finished.is_err() {
            // The first error counts.
            let _ = io.block_on(target.undo());
        }
        finished
    }

    fn write_parts<E: From<SortError>>(
        &self,
        store: &Arc<dyn ObjectStore>,
        io: &IoThread,
        pool: &Arc<WorkPool>,
        progress: &mut impl FnMut(u64) -> Result<(), E>,
    ) -> Result<Vec<RecordsPart>, E> {
        let (recipe, per_part) = (*self, (PART_BYTES / RECORD_BYTES) as u64);
        let make = move |from: u64| {
            let to = recipe.records.min(from.saturating_add(per_part));
            let mut bytes = Vec::with_capacity((to - from) as usize * RECORD_BYTES);
            (from..to).for_each(|number| bytes.extend_from_slice(&recipe.record(number)));
            Bytes::from(bytes)
        };
        // As many as there are threads are made while one is written.
        let window = std::num::NonZeroUsize::new(pool.threads()).unwrap_or(std::num::NonZeroUsize::MIN);
        let starts = (0..self.records).step_by(per_part as usize);
        let (mut parts, mut written) = (Vec::new(), 0);
        for (part, bytes) in (0..).zip(pool.map_ordered(starts, window, make)) {
            let bytes = bytes.map_err(SortError::from)?;
            let (name, length) = (part_name(0, part), bytes.len() as u64);
            io.block_on(store.put(&name, bytes)).map_err(SortError::from)?;
            parts.push(RecordsPart { name, records: length / RECORD_BYTES as u64 });
            written += length;
            progress(written)?;
        }
        Ok(parts)
    }
}

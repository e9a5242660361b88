//! Decoded blocks of a dataset: one at a time, or fetched ahead of the computation.
//!
//! Every block is verified against its checksum before a row of it is used. [`BlockReader`] reads one block and
//! waits; [`Prefetcher`] works through a queue of wanted blocks and hands them out in the order asked, with the
//! storage's latency hidden behind the work on earlier blocks; [`BlockIterator`] is the same for callers that are
//! not async. Which blocks are wanted is decided elsewhere (leases, or an order from a seed).

mod prefetch;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use cirrus_core::ids::BlockId;
use cirrus_protocol::partition::{Block, DecodedBlock};

use crate::dataset::{DatasetError, DatasetPart, EncodedBlock};
use crate::io::IoThread;

pub use prefetch::{BlockIterator, FetchedBlock, PrefetchOptions, PrefetchStatistics, Prefetcher};

/// Reads single blocks on the calling thread, into one buffer that is used again.
#[derive(Debug)]
pub struct BlockReader {
    part: Arc<DatasetPart>,
    io: Arc<IoThread>,
    block: DecodedBlock,
}

impl BlockReader {
    /// A reader of one side of a dataset.
    #[must_use]
    pub fn new(part: Arc<DatasetPart>, io: Arc<IoThread>) -> Self {
        Self { part, io, block: DecodedBlock::default() }
    }

    /// Reads, verifies and decodes one block.
    ///
    /// # Errors
    /// [`DatasetError`] when there is no such block, its bytes cannot be read or are not those that were written.
    pub fn read(&mut self, id: BlockId) -> Result<&DecodedBlock, DatasetError> {
        let encoded = self.io.block_on(self.part.fetch(id))?;
        decode(&encoded, &mut self.block)?;
        Ok(&self.block)
    }
}

/// Verifies and decodes fetched bytes.
fn decode(encoded: &EncodedBlock, out: &mut DecodedBlock) -> Result<(), DatasetError> {
    Block::verify_and_parse(&encoded.bytes, &encoded.entry, encoded.shape)
        .and_then(|block| block.decode_into(out))
        .map_err(|source| DatasetError::Format { object: encoded.object.clone(), source })
}

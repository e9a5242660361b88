//! How training and evaluation in one process read blocks.

use std::sync::Arc;

use cirrus_core::ids::BlockId;
use cirrus_runtime::blocks::{BlockIterator, PrefetchOptions};
use cirrus_runtime::dataset::DatasetPart;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::pool::WorkPool;

/// What reads and decodes blocks ahead of the computation.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Decodes.
    pub pool: Arc<WorkPool>,
    /// Drives the storage.
    pub io: Arc<IoThread>,
    /// How far ahead.
    pub prefetch: PrefetchOptions,
}

impl Reading {
    /// The blocks `ids` of one side of a dataset, in that order.
    pub fn blocks<I>(&self, part: &Arc<DatasetPart>, ids: I) -> BlockIterator<I::IntoIter>
    where
        I: IntoIterator<Item = BlockId>,
    {
        let (part, pool, io) = (Arc::clone(part), Arc::clone(&self.pool), Arc::clone(&self.io));
        BlockIterator::new(part, ids, pool, io, self.prefetch)
    }
}

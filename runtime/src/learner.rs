//! What a worker does with one block, behind a trait.
//!
//! The worker's shell leases blocks, fetches and decodes them, reads cells from the store and sends updates; the
//! [`Learner`] turns (block, cells) into an update and knows nothing of network or storage. A learner
//! must be a function of its arguments and of the job alone, never of what it saw before: then a block that is
//! computed again after a crash, by whichever worker, is the same gradient under the same name.

use std::sync::Arc;

use cirrus_core::ids::GradientName;
use cirrus_protocol::gradient::KeyReference;
use cirrus_protocol::job::BlockReport;
use cirrus_protocol::partition::DecodedBlock;

/// Computes updates from blocks. One per worker process; owns its reused buffers.
pub trait Learner: Send {
    /// Writes into `keys` (cleared first) the cells that `block` needs, the bias included: a sequence of key lists,
    /// for example the block's own and one with the bias behind it.
    fn keys(&self, block: &DecodedBlock, keys: &mut Vec<u8>);

    /// Learns from one block.
    ///
    /// `name` says which pass, block and part this is: random choices (the order of rows) come from the job's seed
    /// and `name` alone. `cells` holds one cell per key of [`Learner::keys`], in key order, as
    /// [`crate::table::Table::read`] wrote them. The update for the same keys is written into `update` (cleared
    /// first) with [`cirrus_protocol::gradient::encode`], which is given `reference` as it is.
    ///
    /// # Errors
    /// [`LearnError::Cells`] when `cells` does not fit the keys, [`LearnError::Diverged`] when the model left the
    /// finite numbers.
    fn learn(
        &mut self,
        name: GradientName,
        block: &DecodedBlock,
        cells: &[u8],
        reference: KeyReference<'_>,
        update: &mut Vec<u8>,
    ) -> Result<BlockReport, LearnError>;
}

/// Makes a learner from a job description (JSON text).
pub type LearnerFactory = Arc<dyn Fn(&[u8]) -> Result<Box<dyn Learner>, LearnError> + Send + Sync>;

/// Why a learner could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// The job description cannot be used.
    #[error("job description: {0}")]
    Description(String),
    /// The store sent cells that do not fit the block's keys.
    #[error("the store sent {found} bytes of cells, expected {expected}: is it serving another model?")]
    Cells {
        /// Bytes received.
        found: u64,
        /// Bytes that the keys ask for.
        expected: u64,
    },
    /// A weight or the loss is no longer a finite number.
    #[error("the model diverged in pass {}, block {}/{}: {detail}; lower the learning rate",
        name.pass.0, name.block.partition, name.block.block)]
    Diverged {
        /// Where it was seen.
        name: GradientName,
        /// What was not finite.
        detail: String,
    },
}

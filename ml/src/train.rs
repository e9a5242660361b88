//! Training in one process, without a store and without workers.
//!
//! It uses the very learner of the workers and the very table of the store, one after the other: after each block
//! the table holds what a store would hold whose only worker reads again after each of its updates, bit for bit.

use std::time::Duration;

use cirrus_core::ids::{CallId, GradientName, Pass};
use cirrus_protocol::error::FormatError;
use cirrus_protocol::gradient::{KeyReference, Update};
use cirrus_protocol::job::BlockReport;
use cirrus_protocol::model::{Model, TrainingInfo};
use cirrus_protocol::partition::DecodedBlock;
use cirrus_runtime::dataset::{Dataset, DatasetError, Side};
use cirrus_runtime::learner::{LearnError, Learner};
use cirrus_runtime::table::{Origin, Table, TableError};
use serde::Serialize;

use crate::export::{self, ExportError};
use crate::job::TrainJob;
use crate::reading::Reading;
use crate::{learner, order, table};

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A block cannot be learnt from, or the model diverged.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The table refused an update.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An update does not read back.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The table does not make a model.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The job was written for other keys.
    #[error("the job's hash_bits is {job}, the dataset was loaded with {dataset}: use the dataset's")]
    HashBits {
        /// The job's.
        job: u8,
        /// The dataset's.
        dataset: u8,
    },
    /// There is nothing to learn from.
    #[error("the dataset has no training rows")]
    NoRows,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The pass that is under way, from 0.
    pub pass: Pass,
    /// Blocks learnt from in this pass.
    pub blocks: u64,
    /// Blocks of a pass.
    pub blocks_in_pass: u64,
    /// Rows learnt from and their summed loss, in this pass.
    pub so_far: BlockReport,
    /// How long blocks were waited for, in all passes: what prefetching could not hide.
    pub waited: Duration,
}

/// A finished pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PassSummary {
    /// Rows learnt from.
    pub rows: u64,
    /// Mean progressive loss: of each row before it was learnt, in nats.
    pub loss: f64,
}

/// What training gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// The passes, in order.
    pub passes: Vec<PassSummary>,
}

/// A learner and a table face to face.
pub struct LocalTrainer {
    learner: Box<dyn Learner>,
    table: Box<dyn Table>,
    keys: Vec<u8>,
    cells: Vec<u8>,
    update: Vec<u8>,
}

impl LocalTrainer {
    /// A trainer with an untrained model.
    #[must_use]
    pub fn new(job: &TrainJob) -> Self {
        Self {
            learner: learner::new(job),
            table: table::new(job),
            keys: Vec::new(),
            cells: Vec::new(),
            update: Vec::new(),
        }
    }

    /// Learns from one block.
    ///
    /// # Errors
    /// [`TrainError::Learn`] when the model diverged or the block's labels are not those of the model.
    pub fn learn(&mut self, name: GradientName, block: &DecodedBlock) -> Result<BlockReport, TrainError> {
        self.learner.keys(block, &mut self.keys);
        self.table.check_keys(&self.keys)?;
        self.cells.clear();
        self.table.read(&self.keys, &mut self.cells);
        // There is one read, the last one: its number is of no meaning.
        let reference = KeyReference::OfRead(CallId(0));
        let report = self.learner.learn(name, block, &self.cells, reference, &mut self.update)?;
        let update = Update::parse(&self.update)?;
        self.table.check_update(&self.keys, update)?;
        let rows = block.labels.len() as u32;
        self.table.apply(&self.keys, update, Origin { pass: name.pass, rows });
        Ok(report)
    }

    /// All cells of the model, as [`export`] takes them.
    pub fn cells(&mut self) -> &[u8] {
        self.cells.clear();
        self.table.read(&[], &mut self.cells);
        &self.cells
    }
}

/// Trains on the training rows of `dataset`, in this process. `progress` is told after each block.
///
/// # Errors
/// [`TrainError`]; a diverged model names the pass and block in which it was seen.
pub fn train_local(
    job: &TrainJob,
    dataset: &Dataset,
    reading: &Reading,
    mut progress: impl FnMut(&Progress),
) -> Result<Trained, TrainError> {
    let manifest = dataset.manifest();
    if job.hash_bits() != manifest.hash_bits {
        return Err(TrainError::HashBits { job: job.hash_bits(), dataset: manifest.hash_bits });
    }
    let part = dataset.part(Side::Train);
    let ids: Vec<_> = part.blocks().collect();
    if ids.is_empty() {
        return Err(TrainError::NoRows);
    }
    let passes = (0..job.passes()).map(Pass);
    let order = {
        let (ids, seed) = (ids.clone(), job.seed());
        passes.clone().flat_map(move |pass| order::of_blocks(seed, pass, ids.iter().copied()))
    };
    // One iterator over all passes: while a pass ends, blocks of the next are on their way.
    let mut blocks = reading.blocks(&part, order);
    let mut trainer = LocalTrainer::new(job);
    let mut summaries = Vec::new();
    for pass in passes {
        let mut state = Progress {
            pass,
            blocks: 0,
            blocks_in_pass: ids.len() as u64,
            so_far: BlockReport::default(),
            waited: Duration::ZERO,
        };
        for _ in 0..ids.len() {
            let Some(block) = blocks.next() else { break };
            let block = block?;
            state.waited = blocks.statistics().stall;
            let report = trainer.learn(GradientName { pass, block: block.id(), part: 0 }, &block)?;
            state.blocks += 1;
            state.so_far.rows += report.rows;
            state.so_far.loss_sum += report.loss_sum;
            progress(&state);
        }
        let BlockReport { rows, loss_sum } = state.so_far;
        summaries.push(PassSummary { rows, loss: loss_sum / rows as f64 });
    }
    let training = TrainingInfo {
        passes: job.passes(),
        rows: summaries.iter().map(|pass| pass.rows).sum(),
        workers: 0,
        seed: job.seed(),
        loss: summaries.last().map_or(0.0, |pass| pass.loss),
    };
    let model = export::model(job, trainer.cells(), manifest.schema.clone(), training)?;
    Ok(Trained { model, passes: summaries })
}

#[cfg(test)]
mod tests;

//! What a worker computes for one block: cells in, an update out.
//!
//! A function of the block, its name, the cells and the job; buffers are kept between blocks, results are not. The
//! local cells are a copy of the store's for the block's keys; the kernel walks over the rows and moves them
//! ([`crate::model`]), and the effective gradients between start and end are the update ([`crate::optimizer`]).

use std::sync::Arc;

use cirrus_core::ids::GradientName;
use cirrus_protocol::gradient::{self, KeyReference, view_floats};
use cirrus_protocol::job::BlockReport;
use cirrus_protocol::keys;
use cirrus_protocol::partition::DecodedBlock;
use cirrus_runtime::learner::{LearnError, Learner, LearnerFactory};

use crate::job::TrainJob;
use crate::model::{Model, Rows, Scratch};
use crate::optimizer::{Floats, Optimizer, WithOptimizer, cells_of, columns};
use crate::order;

/// Makes learners from the JSON text of a job ([`TrainJob::from_json`]).
#[must_use]
pub fn factory() -> LearnerFactory {
    Arc::new(|text| {
        let job = TrainJob::from_json(text).map_err(|error| LearnError::Description(error.to_string()))?;
        Ok(new(&job))
    })
}

/// A learner for `job`.
#[must_use]
pub fn new(job: &TrainJob) -> Box<dyn Learner> {
    struct New<'a>(&'a TrainJob);
    impl WithOptimizer for New<'_> {
        type Output = Box<dyn Learner>;
        fn call<O: Optimizer>(self, optimizer: O) -> Box<dyn Learner> {
            Box::new(BlockLearner::new(self.0, optimizer))
        }
    }
    job.optimizer().dispatch(New(job))
}

/// A learner with its buffers.
#[derive(Debug)]
struct BlockLearner<O: Optimizer> {
    job: TrainJob,
    optimizer: O,
    /// The key list that holds the bias alone.
    bias: Vec<u8>,
    cells: Vec<O::Local>,
    order: Vec<u32>,
    scratch: Scratch<O::Local>,
    /// The update's columns, one behind the other.
    columns: Vec<f32>,
}

impl<O: Optimizer> BlockLearner<O> {
    fn new(job: &TrainJob, optimizer: O) -> Self {
        let mut bias = Vec::new();
        // One key is sorted and unique.
        let encoded = keys::encode(&[job.bias_key()], &mut bias);
        debug_assert_eq!(encoded, Ok(()));
        Self {
            job: job.clone(),
            optimizer,
            bias,
            cells: Vec::new(),
            order: Vec::new(),
            scratch: Scratch::default(),
            columns: Vec::new(),
        }
    }
}

impl<O: Optimizer> Learner for BlockLearner<O> {
    fn keys(&self, block: &DecodedBlock, keys: &mut Vec<u8>) {
        keys.clear();
        keys.extend_from_slice(&block.key_list);
        keys.extend_from_slice(&self.bias);
    }

    fn learn(
        &mut self,
        name: GradientName,
        block: &DecodedBlock,
        cells: &[u8],
        reference: KeyReference<'_>,
        update: &mut Vec<u8>,
    ) -> Result<BlockReport, LearnError> {
        let count = block.keys.len() + 1;
        let expected = count * O::Cell::COUNT * size_of::<f32>();
        let start = view_floats(cells).unwrap_or_default();
        if cells.len() != expected {
            return Err(LearnError::Cells { found: cells.len() as u64, expected: expected as u64 });
        }
        if let Some(label) = block.labels.iter().find(|label| **label != 0.0 && **label != 1.0) {
            let text = format!("logistic_regression needs labels of 0 and 1, the dataset has {label}");
            return Err(LearnError::Description(text));
        }
        let optimizer = self.optimizer.scaled(self.job.rate_factor(name.pass));
        self.cells.clear();
        self.cells.extend(cells_of::<O::Cell>(start).map(|cell| optimizer.begin(cell)));
        let order = self.job.shuffle().then(|| {
            order::of_rows(self.job.seed(), name, block.labels.len() as u32, &mut self.order);
            self.order.as_slice()
        });
        let rows = Rows { block, order };
        let loss_sum = self.job.model().learn(optimizer, rows, &mut self.cells, &mut self.scratch);

        let diverged = |detail: &str| LearnError::Diverged { name, detail: detail.to_owned() };
        if !loss_sum.is_finite() {
            return Err(diverged("the loss is not finite"));
        }
        columns::fill(self.optimizer, start, &self.cells, &mut self.columns);
        let columns: Vec<_> = self.columns.chunks_exact(count).collect();
        if !columns::accepted::<O, _>(columns.iter().map(|column| column.iter().copied())) {
            return Err(diverged("a weight is not finite"));
        }
        update.clear();
        gradient::encode(reference, &columns, update)
            .map_err(|error| LearnError::Description(error.to_string()))?;
        Ok(BlockReport { rows: block.labels.len() as u64, loss_sum })
    }
}

#[cfg(test)]
mod tests;

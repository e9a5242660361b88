//! From the cells of a table to a model: what is left of training when it is over.

use std::iter;

use cirrus_protocol::error::FormatError;
use cirrus_protocol::gradient::view_floats;
use cirrus_protocol::manifest::Schema;
use cirrus_protocol::model::{Model, ModelMetadata, TrainingInfo};

use crate::job::TrainJob;
use crate::optimizer::{Floats, Optimizer, WithOptimizer, cells_of};

/// Why cells do not make a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExportError {
    /// There are not as many as the job's model has.
    #[error("{found} bytes of cells, the job's model has {expected}: is the store serving another model?")]
    Cells {
        /// Bytes found.
        found: usize,
        /// Bytes that the model has.
        expected: usize,
    },
    /// They are no numbers.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A weight is not a finite number.
    #[error("the weight of key {key} is {weight}: the model diverged; lower the learning rate")]
    NotFinite {
        /// The key; the bias is the last.
        key: usize,
        /// Its weight.
        weight: f32,
    },
}

/// The weights in `cells`, which are those of the whole table as it reads them: one a key, the bias last.
///
/// # Errors
/// [`ExportError`].
pub fn weights(job: &TrainJob, cells: &[u8]) -> Result<Vec<f32>, ExportError> {
    struct Weights<'a>(&'a TrainJob, &'a [u8]);
    impl WithOptimizer for Weights<'_> {
        type Output = Result<Vec<f32>, ExportError>;
        fn call<O: Optimizer>(self, optimizer: O) -> Self::Output {
            let Self(job, cells) = self;
            let expected = job.cells() * O::Cell::COUNT * size_of::<f32>();
            if cells.len() != expected {
                return Err(ExportError::Cells { found: cells.len(), expected });
            }
            let cells = cells_of(view_floats(cells)?);
            Ok(cells.map(|cell| O::weight(optimizer.begin(cell))).collect())
        }
    }
    let weights = job.optimizer().dispatch(Weights(job, cells))?;
    match weights.iter().position(|weight| !weight.is_finite()) {
        Some(key) => Err(ExportError::NotFinite { key, weight: weights[key] }),
        None => Ok(weights),
    }
}

/// The model that training left in `cells` (see [`weights`]), with what is needed to predict with it.
///
/// # Errors
/// [`ExportError`].
pub fn model(
    job: &TrainJob,
    cells: &[u8],
    schema: Schema,
    training: TrainingInfo,
) -> Result<Model, ExportError> {
    let all = weights(job, cells)?;
    let (keys, weights) = iter::zip(0_u32.., all).filter(|(_, weight)| *weight != 0.0).unzip();
    let description = job.description();
    let metadata = ModelMetadata {
        model: description.model.as_str().to_owned(),
        schema,
        optimizer: description.optimizer.as_str().to_owned(),
        parameters: job.parameters(),
        training,
    };
    Ok(Model { hash_bits: job.hash_bits(), metadata, keys, weights })
}

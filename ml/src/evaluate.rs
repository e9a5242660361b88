//! Evaluation on rows that were held out.

use cirrus_runtime::dataset::{Dataset, DatasetError, Side};

use crate::metrics::{Accumulator, Metrics};
use crate::predict::{PredictError, Predictor};
use crate::reading::Reading;

/// Why a model could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model does not fit the dataset.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// There is nothing to evaluate on.
    #[error("the dataset has no {0} rows; load it with a test part")]
    NoRows(&'static str),
    /// A prediction is not a finite number.
    #[error("a prediction is not a finite number: the model diverged or the rows hold extreme values")]
    NotFinite,
}

/// The metrics of `predictor` on one side of a dataset.
///
/// # Errors
/// [`EvaluateError`].
pub fn evaluate(
    predictor: &Predictor,
    dataset: &Dataset,
    side: Side,
    reading: &Reading,
) -> Result<Metrics, EvaluateError> {
    predictor.check(dataset)?;
    let part = dataset.part(side);
    let mut accumulator = Accumulator::default();
    let mut margins = Vec::new();
    for block in reading.blocks(&part, part.blocks().collect::<Vec<_>>()) {
        let block = block?;
        predictor.margins(&block, &mut margins)?;
        if !margins.iter().all(|margin| margin.is_finite()) {
            return Err(EvaluateError::NotFinite);
        }
        for (margin, label) in margins.iter().zip(&block.labels) {
            accumulator.add(*margin, *label > 0.5);
        }
    }
    accumulator.metrics().ok_or(EvaluateError::NoRows(match side {
        Side::Train => "training",
        Side::Test => "test",
    }))
}

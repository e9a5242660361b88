//! Predictions of a trained model, for blocks of a dataset and for single rows.

use cirrus_protocol::model::Model;
use cirrus_protocol::partition::DecodedBlock;
use cirrus_runtime::dataset::Dataset;

use crate::model::ModelName;
use crate::model::sigmoid::sigmoid;

/// A model's weights, laid out to be looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictor {
    hash_bits: u8,
    /// One weight a key, and the bias as the last.
    weights: Vec<f32>,
}

/// Why a model cannot predict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredictError {
    /// The model is of a kind that this program does not know.
    #[error("the model is a {found:?}, this program predicts with logistic_regression")]
    UnknownModel {
        /// As the model calls itself.
        found: String,
    },
    /// A key that the model does not have.
    #[error("feature key {key}, the model's are below {keys}: was the model trained on another dataset?")]
    Key {
        /// The key.
        key: u32,
        /// The model's keys are below this.
        keys: u32,
    },
    /// A dataset was loaded with other keys: the same feature has another number there.
    #[error("the model has 2^{model} features, the dataset 2^{dataset}: load it with the model's number")]
    HashBits {
        /// The model's.
        model: u8,
        /// The dataset's.
        dataset: u8,
    },
}

impl Predictor {
    /// Lays out a model's weights: 4 bytes for each of 2^`hash_bits` keys, whether or not it has a weight.
    ///
    /// # Errors
    /// [`PredictError::UnknownModel`] by name, [`PredictError::Key`] for a weight behind the bias.
    pub fn new(model: &Model) -> Result<Self, PredictError> {
        if model.metadata.model != ModelName::LogisticRegression.as_str() {
            return Err(PredictError::UnknownModel { found: model.metadata.model.clone() });
        }
        let mut predictor =
            Self { hash_bits: model.hash_bits, weights: vec![0.0; (1 << model.hash_bits) + 1] };
        for (&key, &weight) in model.keys.iter().zip(&model.weights) {
            let keys = predictor.keys();
            let place = predictor.weights.get_mut(key as usize);
            *place.ok_or(PredictError::Key { key, keys })? = weight;
        }
        Ok(predictor)
    }

    /// Checks that a dataset has the features of the model.
    ///
    /// # Errors
    /// [`PredictError::HashBits`] if it was loaded with another number of them.
    pub fn check(&self, dataset: &Dataset) -> Result<(), PredictError> {
        match dataset.manifest().hash_bits {
            bits if bits == self.hash_bits => Ok(()),
            dataset => Err(PredictError::HashBits { model: self.hash_bits, dataset }),
        }
    }

    /// The log odds of label 1 for a row, given as (key, value) in any order.
    ///
    /// # Errors
    /// [`PredictError::Key`] for a key that the model cannot have.
    pub fn margin(&self, features: &[(u32, f32)]) -> Result<f32, PredictError> {
        let keys = self.keys();
        if let Some(&(key, _)) = features.iter().find(|(key, _)| *key >= keys) {
            return Err(PredictError::Key { key, keys });
        }
        Ok(self.sum(features.iter().copied()))
    }

    /// The log odds of label 1 for each row of a block; `margins` is replaced by them.
    ///
    /// # Errors
    /// [`PredictError::Key`] for a key that the model cannot have.
    pub fn margins(&self, block: &DecodedBlock, margins: &mut Vec<f32>) -> Result<(), PredictError> {
        let keys = self.keys();
        if let Some(&key) = block.keys.last().filter(|key| **key >= keys) {
            return Err(PredictError::Key { key, keys });
        }
        margins.clear();
        margins.extend(block.row_starts.windows(2).map(|row| {
            let span = row[0] as usize..row[1] as usize;
            let keys = block.ids[span.clone()].iter().map(|id| block.keys[*id as usize]);
            match block.values.get(span) {
                Some(values) if !block.values.is_empty() => self.sum(keys.zip(values.iter().copied())),
                _ => self.sum(keys.map(|key| (key, 1.0))),
            }
        }));
        Ok(())
    }

    /// The first number that is not a feature key; the bias stands in its place.
    fn keys(&self) -> u32 {
        // There are at most 2^30 keys.
        self.weights.len() as u32 - 1
    }

    fn sum(&self, features: impl Iterator<Item = (u32, f32)>) -> f32 {
        let bias = f64::from(self.weights[self.weights.len() - 1]);
        let product = |(key, x): (u32, f32)| f64::from(self.weights[key as usize]) * f64::from(x);
        features.map(product).fold(bias, |sum, product| sum + product) as f32
    }
}

/// The probability of label 1 at a margin.
#[must_use]
pub fn probability(margin: f32) -> f32 {
    sigmoid(margin).0
}

#[cfg(test)]
mod tests;

//! What to train and how: the one description that `train`, the store and the workers share.
//!
//! [`Description`] is the JSON text with everything optional that has a default; [`TrainJob`] is the same, checked
//! and complete. A parameter that is unknown, out of range or without effect (say `adagrad_initial` beside `sgd`)
//! is refused by name, so that no run differs from what its author believed. What is sent to others is
//! [`TrainJob::to_json`], in which no default is left to the reader.

use std::collections::BTreeMap;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Logistic, ModelName};
use crate::optimizer::{Adagrad, AnyOptimizer, OptimizerName, Sgd};

/// Keys have at most this many bits.
pub use cirrus_protocol::partition::MAX_HASH_BITS;

const HASH_BITS_EXPECTED: &str = "1 to 30";

/// A training job as its author writes it. Absent parameters take the defaults of [`TrainJob`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What is learnt; `logistic_regression` if absent.
    #[serde(default)]
    pub model: ModelName,
    /// How it is learnt; `adagrad` if absent.
    #[serde(default)]
    pub optimizer: OptimizerName,
    /// Keys are below 2^`hash_bits`: the dataset's. 0 in a description that leaves it to the dataset.
    #[serde(default, deserialize_with = "given_bits")]
    pub hash_bits: u8,
    /// Passes over the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<u32>,
    /// Where all random choices come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Learning rate of the first pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// What the rate is multiplied by from pass to pass; at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_decay: Option<f64>,
    /// What AdaGrad's sums of squared gradients start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adagrad_initial: Option<f64>,
    /// Strength of the L1 penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// Strength of the L2 penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// Whether the rows of a block are taken in a random order, another in each pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<bool>,
}

/// A text that says how many bits there are says a number that can be: 0 is left for those that do not say.
fn given_bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let bits = u8::deserialize(deserializer)?;
    if (1..=MAX_HASH_BITS).contains(&bits) {
        Ok(bits)
    } else {
        Err(D::Error::invalid_value(Unexpected::Unsigned(bits.into()), &HASH_BITS_EXPECTED))
    }
}

impl Description {
    /// Reads the JSON text, whoever has written it. What is in it is not checked against each other yet.
    ///
    /// # Errors
    /// [`JobError::Json`], which names the parameter and its line.
    pub fn from_json(text: &[u8]) -> Result<Self, JobError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let description = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| JobError::Json(error.to_string()))?;
        deserializer.end().map_err(|error| JobError::Json(error.to_string()))?;
        Ok(description)
    }
}

/// A training job, checked and complete. Made from a [`Description`] or from JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainJob {
    description: Description,
    model: Logistic,
    optimizer: AnyOptimizer,
    passes: u32,
    seed: u64,
    rate_decay: f64,
    shuffle: bool,
}

/// Why a job description cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JobError {
    /// It is not the JSON text of a job description: bad syntax, an unknown parameter, a value of another type.
    #[error("not a job description: {0}")]
    Json(String),
    /// A parameter is out of range.
    #[error("{name} is {found}, expected {expected}")]
    OutOfRange {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A parameter would change nothing.
    #[error("{name} has no effect {because}: leave it out")]
    Ineffective {
        /// The parameter.
        name: &'static str,
        /// With what it has no effect.
        because: &'static str,
    },
}

/// Checks a parameter, and that it survives the way into single precision.
fn in_range(
    name: &'static str,
    value: f64,
    expected: &'static str,
    accept: impl Fn(f64) -> bool,
) -> Result<f32, JobError> {
    let single = value as f32;
    if single.is_finite() && accept(value) && accept(f64::from(single)) {
        Ok(single)
    } else {
        Err(JobError::OutOfRange { name, found: value, expected })
    }
}

impl TryFrom<Description> for TrainJob {
    type Error = JobError;

    /// Checks a description and fills in its defaults.
    fn try_from(mut description: Description) -> Result<Self, JobError> {
        let d = &mut description;
        let bits = d.hash_bits;
        if bits == 0 || bits > MAX_HASH_BITS {
            let found = f64::from(bits);
            return Err(JobError::OutOfRange { name: "hash_bits", found, expected: HASH_BITS_EXPECTED });
        }
        let passes = *d.passes.get_or_insert(Self::PASSES);
        if passes == 0 {
            return Err(JobError::OutOfRange { name: "passes", found: 0.0, expected: "at least 1" });
        }
        if d.rate_decay.is_some_and(|decay| decay != 1.0) && passes == 1 {
            return Err(JobError::Ineffective { name: "rate_decay", because: "with a single pass" });
        }
        let rate_decay = *d.rate_decay.get_or_insert(if passes == 1 { 1.0 } else { Self::RATE_DECAY });
        in_range("rate_decay", rate_decay, "above 0, at most 1", |v| v > 0.0 && v <= 1.0)?;

        let positive = |name, value| in_range(name, value, "a number above 0", |v| v > 0.0);
        let optimizer = match d.optimizer {
            OptimizerName::Sgd => {
                if d.adagrad_initial.is_some() {
                    let because = "beside the optimizer sgd";
                    return Err(JobError::Ineffective { name: "adagrad_initial", because });
                }
                AnyOptimizer::Sgd(Sgd { rate: positive("rate", *d.rate.get_or_insert(Self::SGD_RATE))? })
            }
            OptimizerName::Adagrad => AnyOptimizer::Adagrad(Adagrad {
                rate: positive("rate", *d.rate.get_or_insert(Self::ADAGRAD_RATE))?,
                initial: positive(
                    "adagrad_initial",
                    *d.adagrad_initial.get_or_insert(Self::ADAGRAD_INITIAL),
                )?,
            }),
        };
        let penalty = |name, value| in_range(name, value, "a number of at least 0", |v| v >= 0.0);
        let model = match d.model {
            ModelName::LogisticRegression => Logistic {
                l1: penalty("l1", *d.l1.get_or_insert(0.0))?,
                l2: penalty("l2", *d.l2.get_or_insert(0.0))?,
            },
        };
        let seed = *d.seed.get_or_insert(0);
        let shuffle = *d.shuffle.get_or_insert(false);
        Ok(Self { description, model, optimizer, passes, seed, rate_decay, shuffle })
    }
}

impl TrainJob {
    /// Passes unless told otherwise.
    pub const PASSES: u32 = 5;
    /// Rate of [`Sgd`] unless told otherwise.
    pub const SGD_RATE: f64 = 0.01;
    /// Rate of [`Adagrad`] unless told otherwise.
    pub const ADAGRAD_RATE: f64 = 0.1;
    /// What the rate is multiplied by from pass to pass unless told otherwise; 1 with a single pass.
    pub const RATE_DECAY: f64 = 0.9;
    /// Start of [`Adagrad`]'s sums unless told otherwise.
    pub const ADAGRAD_INITIAL: f64 = 1.0;

    /// Reads and checks the JSON text of a [`Description`].
    ///
    /// # Errors
    /// [`JobError`], which names the parameter.
    pub fn from_json(text: &[u8]) -> Result<Self, JobError> {
        Self::try_from(Description::from_json(text)?)
    }

    /// The JSON text with all parameters in it; [`TrainJob::from_json`] gives an equal job.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Finite numbers, strings and booleans: writing them into memory does not fail.
        serde_json::to_string(&self.description).unwrap_or_default()
    }

    /// The description with all defaults filled in.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The model with its parameters.
    #[must_use]
    pub fn model(&self) -> Logistic {
        self.model
    }

    /// The optimiser with its parameters.
    #[must_use]
    pub fn optimizer(&self) -> AnyOptimizer {
        self.optimizer
    }

    /// Keys are below 2^`hash_bits`.
    #[must_use]
    pub fn hash_bits(&self) -> u8 {
        self.description.hash_bits
    }

    /// The key of the bias, the last of the model.
    #[must_use]
    pub fn bias_key(&self) -> u32 {
        1 << self.hash_bits()
    }

    /// Cells of the model: one a key, and the bias.
    #[must_use]
    pub fn cells(&self) -> usize {
        (1 << self.hash_bits()) + 1
    }

    /// Passes over the training rows.
    #[must_use]
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Where all random choices come from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the rows of a block are taken in a random order.
    #[must_use]
    pub fn shuffle(&self) -> bool {
        self.shuffle
    }

    /// What the rate is multiplied by in pass `pass`: `rate_decay^pass`.
    #[must_use]
    pub fn rate_factor(&self, pass: cirrus_core::ids::Pass) -> f32 {
        (0..pass.0.min(self.passes)).fold(1.0, |factor, _| factor * self.rate_decay) as f32
    }

    /// The parameters by name, as a model file keeps them.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, f64> {
        let d = &self.description;
        let shuffle = d.shuffle.map(|on| f64::from(u8::from(on)));
        [
            ("rate", d.rate),
            ("rate_decay", d.rate_decay),
            ("adagrad_initial", d.adagrad_initial),
            ("l1", d.l1),
            ("l2", d.l2),
            ("shuffle", shuffle),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests;

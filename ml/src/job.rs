//! What to train and how: the one description that `train`, the store and the workers share.
//!
//! [`Description`] is the JSON text with everything optional that has a default; [`TrainJob`] is the same, checked
//! and complete. A parameter that is unknown, out of range or without effect (say `momentum` beside `sgd`)
//! is refused by name, so that no run differs from what its author believed. What is sent to others is
//! [`TrainJob::to_json`], in which no default is left to the reader.

use std::collections::BTreeMap;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Logistic, ModelName};
use crate::optimizer::{
    Adagrad, Adam, AnyOptimizer, Ftrl, Momentum, Nesterov, NormalizedAdagrad, OptimizerName, Penalty, Sgd,
};

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
    /// What the sums of squared gradients of AdaGrad, normalised or not, start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adagrad_initial: Option<f64>,
    /// What momentum and Nesterov keep of a velocity from step to step; below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// What Adam keeps of its mean gradient from step to step; below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adam_beta1: Option<f64>,
    /// What Adam keeps of its mean squared gradient from step to step; below 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adam_beta2: Option<f64>,
    /// What keeps Adam's divisor from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adam_epsilon: Option<f64>,
    /// What lowers FTRL's first rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ftrl_beta: Option<f64>,
    /// Strength of the L1 penalty: of the mean loss; with FTRL, of the summed loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// Strength of the L2 penalty: of the mean loss; with FTRL, of the summed loss.
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
        because: String,
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

/// Checks the parameters of the optimiser, fills in their defaults, and refuses those of others.
fn optimizer(d: &mut Description, penalty: Penalty) -> Result<AnyOptimizer, JobError> {
    use OptimizerName::{
        Adagrad as A, Adam as M, Ftrl as F, Momentum as V, Nesterov as N, NormalizedAdagrad as G,
    };
    let own: [(&'static str, Option<f64>, &[OptimizerName]); 6] = [
        ("adagrad_initial", d.adagrad_initial, &[A, G]),
        ("momentum", d.momentum, &[V, N]),
        ("adam_beta1", d.adam_beta1, &[M]),
        ("adam_beta2", d.adam_beta2, &[M]),
        ("adam_epsilon", d.adam_epsilon, &[M]),
        ("ftrl_beta", d.ftrl_beta, &[F]),
    ];
    for (name, given, optimizers) in own {
        if given.is_some() && !optimizers.contains(&d.optimizer) {
            let because = format!("beside the optimizer {}", d.optimizer.as_str());
            return Err(JobError::Ineffective { name, because });
        }
    }
    let positive = |name, value| in_range(name, value, "a number above 0", |v| v > 0.0);
    let kept = |name, value| in_range(name, value, "at least 0, below 1", |v| (0.0..1.0).contains(&v));
    let rate = positive("rate", *d.rate.get_or_insert(TrainJob::default_rate(d.optimizer)))?;
    let mut initial =
        || positive("adagrad_initial", *d.adagrad_initial.get_or_insert(TrainJob::ADAGRAD_INITIAL));
    let momentum = |given: &mut Option<f64>| -> Result<Momentum, JobError> {
        Ok(Momentum { rate, momentum: kept("momentum", *given.get_or_insert(TrainJob::MOMENTUM))? })
    };
    Ok(match d.optimizer {
        OptimizerName::Sgd => AnyOptimizer::Sgd(Sgd { rate }),
        V => AnyOptimizer::Momentum(momentum(&mut d.momentum)?),
        N => AnyOptimizer::Nesterov(Nesterov(momentum(&mut d.momentum)?)),
        A => AnyOptimizer::Adagrad(Adagrad { rate, initial: initial()? }),
        G => AnyOptimizer::NormalizedAdagrad(NormalizedAdagrad { rate, initial: initial()? }),
        M => AnyOptimizer::Adam(Adam {
            rate,
            beta1: kept("adam_beta1", *d.adam_beta1.get_or_insert(TrainJob::ADAM_BETA1))?,
            beta2: kept("adam_beta2", *d.adam_beta2.get_or_insert(TrainJob::ADAM_BETA2))?,
            epsilon: positive("adam_epsilon", *d.adam_epsilon.get_or_insert(TrainJob::ADAM_EPSILON))?,
        }),
        F => {
            let beta = positive("ftrl_beta", *d.ftrl_beta.get_or_insert(TrainJob::FTRL_BETA))?;
            AnyOptimizer::Ftrl(Ftrl { rate, beta, penalty })
        }
    })
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
        let ineffective = |name, because: &str| JobError::Ineffective { name, because: because.to_owned() };
        if d.rate_decay.is_some_and(|decay| decay != 1.0) {
            if passes == 1 {
                return Err(ineffective("rate_decay", "with a single pass"));
            }
            if d.optimizer == OptimizerName::Ftrl {
                return Err(ineffective(
                    "rate_decay",
                    "beside the optimizer ftrl, whose rates fall by themselves",
                ));
            }
        }
        let steady = passes == 1 || d.optimizer == OptimizerName::Ftrl;
        let rate_decay = *d.rate_decay.get_or_insert(if steady { 1.0 } else { Self::RATE_DECAY });
        in_range("rate_decay", rate_decay, "above 0, at most 1", |v| v > 0.0 && v <= 1.0)?;
        let strength = |name, value| in_range(name, value, "a number of at least 0", |v| v >= 0.0);
        let penalty = Penalty {
            l1: strength("l1", *d.l1.get_or_insert(0.0))?,
            l2: strength("l2", *d.l2.get_or_insert(0.0))?,
        };
        let optimizer = optimizer(d, penalty)?;
        let model = match d.model {
            // FTRL's own rule holds its penalties.
            ModelName::LogisticRegression if d.optimizer == OptimizerName::Ftrl => Logistic::default(),
            ModelName::LogisticRegression => Logistic { penalty },
        };
        let seed = *d.seed.get_or_insert(0);
        let shuffle = *d.shuffle.get_or_insert(false);
        Ok(Self { description, model, optimizer, passes, seed, rate_decay, shuffle })
    }
}

impl TrainJob {
    /// Passes unless told otherwise.
    pub const PASSES: u32 = 5;
    /// What the rate is multiplied by from pass to pass unless told otherwise; 1 with a single pass, and
    /// with [`Ftrl`].
    pub const RATE_DECAY: f64 = 0.9;
    /// Start of [`Adagrad`]'s sums unless told otherwise.
    pub const ADAGRAD_INITIAL: f64 = 1.0;
    /// What [`Momentum`] keeps of a velocity unless told otherwise.
    pub const MOMENTUM: f64 = 0.9;
    /// What [`Adam`] keeps of its mean gradient unless told otherwise.
    pub const ADAM_BETA1: f64 = 0.9;
    /// What [`Adam`] keeps of its mean squared gradient unless told otherwise.
    pub const ADAM_BETA2: f64 = 0.999;
    /// What keeps [`Adam`]'s divisor from 0 unless told otherwise.
    pub const ADAM_EPSILON: f64 = 1e-8;
    /// What lowers [`Ftrl`]'s first rates unless told otherwise.
    pub const FTRL_BETA: f64 = 1.0;

    /// The rate unless told otherwise.
    #[must_use]
    pub fn default_rate(optimizer: OptimizerName) -> f64 {
        match optimizer {
            OptimizerName::Sgd => 0.01,
            OptimizerName::Momentum | OptimizerName::Nesterov | OptimizerName::Adam => 0.001,
            OptimizerName::Adagrad | OptimizerName::NormalizedAdagrad | OptimizerName::Ftrl => 0.1,
        }
    }

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
            ("momentum", d.momentum),
            ("adam_beta1", d.adam_beta1),
            ("adam_beta2", d.adam_beta2),
            ("adam_epsilon", d.adam_epsilon),
            ("ftrl_beta", d.ftrl_beta),
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

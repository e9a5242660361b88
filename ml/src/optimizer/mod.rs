//! Optimisers: how a gradient changes a cell, on a worker and in the store.
//!
//! A **cell** holds a weight and whatever the optimiser remembers about it, side by side, so that one cache miss
//! fetches both. A worker takes many local [`Optimizer::step`]s on a copy of the store's cells. What it then sends
//! is the **effective gradient** ([`Optimizer::update`]): the one gradient that moves the cell from where it
//! started to where it ended, in the optimiser's own terms. The store's [`Optimizer::apply`] gives the worker's
//! own result (to rounding) when nothing happened in between, and does the sensible thing when something did.
//!
//! The choice of the optimiser is made once a message ([`crate::learner`], [`crate::table`]); all loops over cells
//! are generic and compiled for each. The L1 and L2 penalties are taken up late: [`Penalty`].
//!
//! To add an optimiser: one file here, and a variant in [`OptimizerName`] and [`AnyOptimizer`]; its parameters go
//! into [`crate::job`], and a loop that does the same in plain Python into `ml/testdata/optimizers/golden.py`.

mod adagrad;
mod adam;
pub mod columns;
mod ftrl;
mod momentum;
mod nesterov;
mod normalized;
mod penalty;
mod sgd;
#[cfg(test)]
pub(crate) mod tests;

use core::fmt::Debug;

pub use adagrad::{Adagrad, AdagradCell};
pub use adam::{Adam, AdamCell};
use cirrus_protocol::gradient::F32;
pub use ftrl::{Ftrl, FtrlCell};
pub use momentum::{Momentum, MomentumCell};
pub use nesterov::Nesterov;
pub use normalized::{NormalizedAdagrad, NormalizedCell};
pub use penalty::Penalty;
use serde::{Deserialize, Serialize};
pub use sgd::{Sgd, SgdCell};

/// How many cells the inner loops take together, so that the compiler turns them into vector code.
pub const LANES: usize = 8;

/// The optimisers by name, as job descriptions spell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Stochastic gradient descent with one rate for all weights: [`Sgd`].
    Sgd,
    /// With a velocity for each weight: [`Momentum`].
    Momentum,
    /// With velocities that look one step ahead: [`Nesterov`].
    Nesterov,
    /// A rate for each weight, falling with its gradients so far: [`Adagrad`].
    #[default]
    Adagrad,
    /// The same, whatever the unit of a feature: [`NormalizedAdagrad`].
    NormalizedAdagrad,
    /// Means of gradients and their squares: [`Adam`].
    Adam,
    /// Weights that follow from all gradients, exactly 0 where those are weak: [`Ftrl`].
    Ftrl,
}

impl OptimizerName {
    /// The name as it is spelt in job descriptions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Momentum => "momentum",
            Self::Nesterov => "nesterov",
            Self::Adagrad => "adagrad",
            Self::NormalizedAdagrad => "normalized_adagrad",
            Self::Adam => "adam",
            Self::Ftrl => "ftrl",
        }
    }
}

/// An optimiser with its parameters, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyOptimizer {
    /// See [`Sgd`].
    Sgd(Sgd),
    /// See [`Momentum`].
    Momentum(Momentum),
    /// See [`Nesterov`].
    Nesterov(Nesterov),
    /// See [`Adagrad`].
    Adagrad(Adagrad),
    /// See [`NormalizedAdagrad`].
    NormalizedAdagrad(NormalizedAdagrad),
    /// See [`Adam`].
    Adam(Adam),
    /// See [`Ftrl`].
    Ftrl(Ftrl),
}

/// Code that is generic over the optimiser, to be called with the one that was chosen.
pub trait WithOptimizer {
    /// What it answers.
    type Output;
    /// Runs with `optimizer`.
    fn call<O: Optimizer>(self, optimizer: O) -> Self::Output;
}

impl AnyOptimizer {
    /// Calls `code` with the optimiser that was chosen.
    pub fn dispatch<W: WithOptimizer>(self, code: W) -> W::Output {
        match self {
            Self::Sgd(optimizer) => code.call(optimizer),
            Self::Momentum(optimizer) => code.call(optimizer),
            Self::Nesterov(optimizer) => code.call(optimizer),
            Self::Adagrad(optimizer) => code.call(optimizer),
            Self::NormalizedAdagrad(optimizer) => code.call(optimizer),
            Self::Adam(optimizer) => code.call(optimizer),
            Self::Ftrl(optimizer) => code.call(optimizer),
        }
    }
}

/// How a gradient changes a cell.
pub trait Optimizer: Copy + Debug + Send + Sync + 'static {
    /// A weight (or what it follows from) with the optimiser's memory of it, in the store and on the wire.
    type Cell: Floats + Debug + PartialEq + Send + Sync + 'static;
    /// A cell in a worker's hands, with what the update will have to tell.
    type Local: Copy + Debug + PartialEq + Send + Sync + 'static;
    /// One key's part of an update, one value a column.
    type Update: Floats + Debug + PartialEq;

    /// A cell before its first gradient; its weight is 0.
    fn initial(self) -> Self::Cell;

    /// The same optimiser with its rate multiplied by `factor`, for local steps in a later pass.
    #[must_use]
    fn scaled(self, factor: f32) -> Self;

    /// A cell as a worker takes it up.
    fn begin(self, cell: Self::Cell) -> Self::Local;

    /// The cell that is left when the worker is alone.
    fn end(self, local: Self::Local) -> Self::Cell;

    /// The weight in a cell.
    fn weight(local: Self::Local) -> f32;

    /// What a cell does, before its weight is used, when its feature has this value.
    #[inline(always)]
    fn meet(self, local: Self::Local, _value: f32) -> Self::Local {
        local
    }

    /// One local step against `gradient`.
    fn step(self, local: Self::Local, gradient: f32) -> Self::Local;

    /// What the penalties of `steps` rows without this feature do, by the rate that the weight has now.
    fn penalise(self, local: Self::Local, penalty: Penalty, steps: f64) -> Self::Local;

    /// The effective gradient that leads from `start` to `end`.
    fn update(self, start: Self::Cell, end: Self::Local) -> Self::Update;

    /// Whether the store may apply an update with `value` in the `column`th column: it is finite, and a sum of
    /// squares is not negative.
    fn accepts(column: usize, value: f32) -> bool;

    /// The store's step: `cell` may have moved since the worker read it.
    fn apply(self, cell: Self::Cell, update: Self::Update) -> Self::Cell;
}

/// A few `f32`s that travel together: a cell, or one key's part of an update.
pub trait Floats: Copy {
    /// How many; at least 1.
    const COUNT: usize;
    /// From values in their order on the wire; `get(i)` gives the `i`th of [`Floats::COUNT`].
    fn from_fn(get: impl FnMut(usize) -> f32) -> Self;
    /// The `i`th value, `i` below [`Floats::COUNT`].
    fn get(self, i: usize) -> f32;
}

impl<const N: usize> Floats for [f32; N] {
    const COUNT: usize = N;

    #[inline(always)]
    fn from_fn(get: impl FnMut(usize) -> f32) -> Self {
        core::array::from_fn(get)
    }

    #[inline(always)]
    fn get(self, i: usize) -> f32 {
        // A choice among all, where an index would go through memory and spoil vector code.
        (1..N).fold(self[0], |value, k| if i == k { self[k] } else { value })
    }
}

/// Makes a struct of `f32`s travel in the order given.
macro_rules! floats {
    ($cell:ident: $($field:ident),+) => {
        impl Floats for $cell {
            const COUNT: usize = [$(stringify!($field)),+].len();

            #[inline(always)]
            fn from_fn(mut get: impl FnMut(usize) -> f32) -> Self {
                let mut next = 0..;
                Self { $($field: get(next.next().unwrap_or_default())),+ }
            }

            #[inline(always)]
            fn get(self, i: usize) -> f32 {
                Floats::get([$(self.$field),+], i)
            }
        }
    };
}
use floats;

/// The cells in `floats`, one after the other as they travel; what is left over at the end is ignored.
pub fn cells_of<C: Floats>(floats: &[F32]) -> impl ExactSizeIterator<Item = C> + '_ {
    floats.chunks_exact(C::COUNT).map(|values| C::from_fn(|i| values[i].get()))
}

/// `weight` moved against `change`, where a result that is only the rounding error of the difference becomes 0.
///
/// A worker's L1 step ends at exactly 0, but the effective gradient that says so has been rounded four times on its
/// way; without this the store's weight would miss 0 by the last bits, and the model would not be sparse.
#[inline(always)]
fn moved(weight: f32, change: f32) -> f32 {
    let result = weight - change;
    if result.abs() < weight.abs() * (4.0 * f32::EPSILON) { 0.0 } else { result }
}

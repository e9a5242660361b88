//! Optimisers: how a gradient changes a cell, on a worker and in the store.
//!
//! A **cell** holds a weight and whatever the optimiser remembers about it, side by side, so that one cache miss
//! fetches both. A worker takes many local [`Optimizer::step`]s on a copy of the store's cells. What it then sends
//! is the **effective gradient** ([`Optimizer::update`]): the one gradient that moves the cell from where it
//! started to where it ended, in the optimiser's own terms. The store's [`Optimizer::apply`] gives the worker's
//! own result (to rounding) when nothing happened in between, and does the sensible thing when something did.
//!
//! The choice of the optimiser is made once a message ([`crate::learner`], [`crate::table`]); all loops over cells
//! are generic and compiled for each.
//!
//! To add an optimiser: one file here, and a variant in [`OptimizerName`] and [`AnyOptimizer`]; its parameters go
//! into [`crate::job`].

mod adagrad;
pub mod columns;
mod sgd;
#[cfg(test)]
mod tests;

use core::fmt::Debug;

pub use adagrad::{Adagrad, AdagradCell};
use cirrus_protocol::gradient::F32;
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
    /// A rate for each weight, falling with its gradients so far: [`Adagrad`].
    #[default]
    Adagrad,
}

impl OptimizerName {
    /// The name as it is spelt in job descriptions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adagrad => "adagrad",
        }
    }
}

/// An optimiser with its parameters, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyOptimizer {
    /// See [`Sgd`].
    Sgd(Sgd),
    /// See [`Adagrad`].
    Adagrad(Adagrad),
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
            Self::Adagrad(optimizer) => code.call(optimizer),
        }
    }
}

/// How a gradient changes a cell.
pub trait Optimizer: Copy + Debug + Send + Sync + 'static {
    /// A weight with the optimiser's memory of it.
    type Cell: Floats + Debug + PartialEq + Send + Sync + 'static;
    /// One key's part of an update, one value a column.
    type Update: Floats + Debug + PartialEq;

    /// A cell before its first gradient; its weight is 0.
    fn initial(self) -> Self::Cell;

    /// The weight in a cell.
    fn weight(cell: Self::Cell) -> f32;

    /// The same optimiser with its rate multiplied by `factor`, for local steps in a later pass.
    #[must_use]
    fn scaled(self, factor: f32) -> Self;

    /// One local step against `gradient`.
    fn step(self, cell: Self::Cell, gradient: f32) -> Self::Cell;

    /// The L1 part of a step, taken after [`Optimizer::step`]: the weight moves towards 0 by `l1` times the rate
    /// that the step had, and stops at 0 instead of crossing it (truncated gradient: Langford, Li, Zhang 2009).
    fn shrink(self, cell: Self::Cell, l1: f32) -> Self::Cell;

    /// The effective gradient that leads from `start` to `end`.
    fn update(self, start: Self::Cell, end: Self::Cell) -> Self::Update;

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

/// `weight` moved towards 0 by `distance`, at most to 0.
#[inline(always)]
fn towards_zero(weight: f32, distance: f32) -> f32 {
    let left = weight.abs() - distance;
    if left <= 0.0 { 0.0 } else { left.copysign(weight) }
}

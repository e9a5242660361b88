//! Stochastic gradient descent: one rate for all weights, nothing remembered.
//!
//! A cell is the weight alone. Effective gradients add up whatever their order, so concurrent workers' updates are
//! a plain sum; nothing damps them, which is why the rate must be small enough for all workers together.

use super::{Floats, Optimizer, Penalty, moved};

/// Plain stochastic gradient descent, `w -= rate * gradient`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate.
    pub rate: f32,
}

/// A weight.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct SgdCell {
    /// The weight.
    pub weight: f32,
}

impl Floats for SgdCell {
    const COUNT: usize = 1;

    #[inline(always)]
    fn from_fn(mut get: impl FnMut(usize) -> f32) -> Self {
        Self { weight: get(0) }
    }

    #[inline(always)]
    fn get(self, _: usize) -> f32 {
        self.weight
    }
}

impl Optimizer for Sgd {
    type Cell = SgdCell;
    type Local = SgdCell;
    /// The sum of gradients.
    type Update = [f32; 1];

    #[inline(always)]
    fn initial(self) -> SgdCell {
        SgdCell { weight: 0.0 }
    }

    fn scaled(self, factor: f32) -> Self {
        Self { rate: self.rate * factor }
    }

    #[inline(always)]
    fn begin(self, cell: SgdCell) -> SgdCell {
        cell
    }

    #[inline(always)]
    fn end(self, local: SgdCell) -> SgdCell {
        local
    }

    #[inline(always)]
    fn weight(local: SgdCell) -> f32 {
        local.weight
    }

    #[inline(always)]
    fn step(self, cell: SgdCell, gradient: f32) -> SgdCell {
        SgdCell { weight: cell.weight - self.rate * gradient }
    }

    #[inline(always)]
    fn penalise(self, cell: SgdCell, penalty: Penalty, steps: f64) -> SgdCell {
        SgdCell { weight: penalty.after(cell.weight, self.rate, steps) }
    }

    #[inline(always)]
    fn update(self, start: SgdCell, end: SgdCell) -> [f32; 1] {
        [(start.weight - end.weight) / self.rate]
    }

    #[inline(always)]
    fn accepts(_: usize, value: f32) -> bool {
        value.is_finite()
    }

    #[inline(always)]
    fn apply(self, cell: SgdCell, [gradient]: [f32; 1]) -> SgdCell {
        SgdCell { weight: moved(cell.weight, self.rate * gradient) }
    }
}

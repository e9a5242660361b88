//! FTRL-proximal: weights that follow from all gradients so far, and are exactly 0 where those are weak.
//!
//! McMahan et al., "Ad click prediction: a view from the trenches" (2013), algorithm 1. A cell holds no weight but
//! what it follows from; both penalties are part of the rule that makes the weight, so no row needs to shrink any.
//! They stand against the sum over all rows, not against the mean: `l1` is about the size of the gradient sum that a
//! feature, or the bias, must have to count at all.
//!
//! An update is the effective gradient: the one that, taken in one step from where the worker started, leads to where
//! it ended. The store takes it from the weight that it has; races are damped as in [`super::Adagrad`].

use super::adagrad::share;
use super::{Floats, Optimizer, Penalty, floats};

/// `s = (sqrt(n + g^2) - sqrt(n)) / rate; z += g - s w; n += g^2`, and `w` is 0 where `|z| <= l1`, else
/// `-(z - sign(z) l1) / ((beta + sqrt(n)) / rate + l2)`; each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ftrl {
    /// The learning rate.
    pub rate: f32,
    /// What lowers the first rates; above 0.
    pub beta: f32,
    /// Both penalties.
    pub penalty: Penalty,
}

/// What a weight follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(8))]
pub struct FtrlCell {
    /// The gradients so far, less what holds the weight where it was.
    pub z: f32,
    /// The squared gradients so far.
    pub squares: f32,
}

floats!(FtrlCell: z, squares);

/// A cell in a worker's hands, with the weight that follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FtrlLocal {
    /// The cell.
    pub cell: FtrlCell,
    /// The weight.
    pub weight: f32,
}

impl Ftrl {
    #[inline(always)]
    fn solve(self, cell: FtrlCell) -> f32 {
        let beyond = cell.z.abs() - self.penalty.l1;
        let weight = beyond / ((self.beta + cell.squares.sqrt()) / self.rate + self.penalty.l2);
        if beyond > 0.0 { -weight.copysign(cell.z) } else { 0.0 }
    }

    /// What holds a weight where it is while its sum of squares grows.
    #[inline(always)]
    fn hold(self, before: f32, after: f32, weight: f32) -> f32 {
        (after.sqrt() - before.sqrt()) / self.rate * weight
    }
}

impl Optimizer for Ftrl {
    type Cell = FtrlCell;
    type Local = FtrlLocal;
    /// The effective gradient; the sum of squared gradients; the sum that the worker started from.
    type Update = [f32; 3];

    #[inline(always)]
    fn initial(self) -> FtrlCell {
        FtrlCell { z: 0.0, squares: 0.0 }
    }

    /// Itself: weights follow from `z` by the rate, so another rate would change weights that nobody touches.
    fn scaled(self, _: f32) -> Self {
        self
    }

    #[inline(always)]
    fn begin(self, cell: FtrlCell) -> FtrlLocal {
        FtrlLocal { cell, weight: self.solve(cell) }
    }

    #[inline(always)]
    fn end(self, local: FtrlLocal) -> FtrlCell {
        local.cell
    }

    #[inline(always)]
    fn weight(local: FtrlLocal) -> f32 {
        local.weight
    }

    #[inline(always)]
    fn step(self, FtrlLocal { cell, weight }: FtrlLocal, gradient: f32) -> FtrlLocal {
        let squares = cell.squares + gradient * gradient;
        let z = cell.z + gradient - self.hold(cell.squares, squares, weight);
        self.begin(FtrlCell { z, squares })
    }

    /// Nothing: its penalties are in every weight already.
    #[inline(always)]
    fn penalise(self, local: FtrlLocal, _: Penalty, _: f64) -> FtrlLocal {
        local
    }

    #[inline(always)]
    fn update(self, start: FtrlCell, end: FtrlLocal) -> [f32; 3] {
        let held = self.hold(start.squares, end.cell.squares, self.solve(start));
        [end.cell.z - start.z + held, end.cell.squares - start.squares, start.squares]
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        value.is_finite() & ((column == 0) | (value >= 0.0))
    }

    #[inline(always)]
    fn apply(self, cell: FtrlCell, [gradient, added, base]: [f32; 3]) -> FtrlCell {
        let squares = cell.squares + added;
        let share = share(added, cell.squares - base);
        let z = cell.z + share * gradient - self.hold(cell.squares, squares, self.solve(cell));
        FtrlCell { z, squares }
    }
}

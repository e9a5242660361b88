//! Normalised AdaGrad: AdaGrad that does not care in which unit a feature was measured.
//!
//! Ross, Mineiro, Langford, "Normalized online learning" (2013), algorithm NAG, without its one factor for all
//! weights (which the rate takes up): a cell also remembers the largest value that its feature ever had. A feature
//! that is multiplied by a constant gets a weight divided by it, and predictions stay what they were. When a larger
//! value comes, the weight shrinks before it is used, so that the new value does not blow up the prediction. Where
//! all values are 1 it is [`super::Adagrad`].
//!
//! Updates travel in units of the weight times the scale, which a larger value leaves alone; races are damped as with
//! AdaGrad.

use super::adagrad::share;
use super::{Floats, Optimizer, Penalty, floats, moved};

/// `squares += gradient^2; w -= rate * gradient / (scale * sqrt(initial * scale^2 + squares))`, each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalizedAdagrad {
    /// The learning rate.
    pub rate: f32,
    /// What is added to the sum of squared gradients, for a feature whose largest value is 1; above 0.
    pub initial: f32,
}

/// A weight, the sum of its squared gradients, and the largest value of its feature.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct NormalizedCell {
    /// The weight.
    pub weight: f32,
    /// All squared gradients so far.
    pub squares: f32,
    /// The largest absolute value so far; 0 before the first.
    pub scale: f32,
}

floats!(NormalizedCell: weight, squares, scale);

impl NormalizedAdagrad {
    /// What the gradient is divided by, for a weight that is multiplied by its scale.
    #[inline(always)]
    fn root(self, squares: f32, scale: f32) -> f32 {
        (self.initial * (scale * scale) + squares).sqrt()
    }
}

impl Optimizer for NormalizedAdagrad {
    type Cell = NormalizedCell;
    type Local = NormalizedCell;
    /// The effective gradient of the scaled weight; the sum of squared gradients; the sum that the worker started
    /// from; the scale in the end.
    type Update = [f32; 4];

    #[inline(always)]
    fn initial(self) -> NormalizedCell {
        NormalizedCell { weight: 0.0, squares: 0.0, scale: 0.0 }
    }

    fn scaled(self, factor: f32) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    #[inline(always)]
    fn begin(self, cell: NormalizedCell) -> NormalizedCell {
        cell
    }

    #[inline(always)]
    fn end(self, local: NormalizedCell) -> NormalizedCell {
        local
    }

    #[inline(always)]
    fn weight(local: NormalizedCell) -> f32 {
        local.weight
    }

    #[inline(always)]
    fn meet(self, cell: NormalizedCell, value: f32) -> NormalizedCell {
        let value = value.abs();
        if value > cell.scale {
            NormalizedCell { weight: cell.weight * (cell.scale / value), scale: value, ..cell }
        } else {
            cell
        }
    }

    #[inline(always)]
    fn step(self, cell: NormalizedCell, gradient: f32) -> NormalizedCell {
        let squares = cell.squares + gradient * gradient;
        let divisor = cell.scale * self.root(squares, cell.scale);
        // A scale of 0: there was no value but 0, and so no gradient.
        let way = if divisor > 0.0 { self.rate * gradient / divisor } else { 0.0 };
        NormalizedCell { weight: cell.weight - way, squares, ..cell }
    }

    #[inline(always)]
    fn penalise(self, cell: NormalizedCell, penalty: Penalty, steps: f64) -> NormalizedCell {
        let divisor = cell.scale * self.root(cell.squares, cell.scale);
        let rate = if divisor > 0.0 { self.rate / divisor } else { 0.0 };
        NormalizedCell { weight: penalty.after(cell.weight, rate, steps), ..cell }
    }

    #[inline(always)]
    fn update(self, start: NormalizedCell, end: NormalizedCell) -> [f32; 4] {
        let way = start.weight * start.scale - end.weight * end.scale;
        let root = if end.scale > 0.0 { self.root(end.squares, end.scale) / end.scale } else { 0.0 };
        [way * root / self.rate, end.squares - start.squares, start.squares, end.scale]
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        value.is_finite() & ((column == 0) | (value >= 0.0))
    }

    #[inline(always)]
    fn apply(self, cell: NormalizedCell, [gradient, added, base, scale]: [f32; 4]) -> NormalizedCell {
        let squares = cell.squares + added;
        let scale = scale.max(cell.scale);
        if scale == 0.0 {
            return NormalizedCell { squares, ..cell };
        }
        let share = share(added, cell.squares - base);
        let way = self.rate * share * gradient * scale / self.root(squares, scale);
        NormalizedCell { weight: moved(cell.weight * cell.scale, way) / scale, squares, scale }
    }
}

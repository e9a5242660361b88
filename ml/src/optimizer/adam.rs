//! Adam: means of gradients and of their squares, older ones faded.
//!
//! Kingma, Ba, "Adam: a method for stochastic optimization" (2015), for sparse rows: a weight's means fade, and its
//! steps are counted, when it is touched. Penalties act on the weight and stay out of the means (Loshchilov, Hutter,
//! "Decoupled weight decay regularization", 2019).
//!
//! Means are linear in what they start from, so the store composes the updates of workers that race as if one had
//! come after the other. The weight's way is damped as in [`super::Adagrad`], by how many steps others have taken
//! meanwhile.

use super::adagrad::share;
use super::{Floats, Optimizer, Penalty, floats, moved};

/// `m = beta1 m + (1 - beta1) g; s = beta2 s + (1 - beta2) g^2; w -= rate * (m / (1 - beta1^t)) / (sqrt(s / (1 -
/// beta2^t)) + epsilon)`, each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub rate: f32,
    /// What is kept of the mean gradient from step to step; at least 0, below 1.
    pub beta1: f32,
    /// What is kept of the mean squared gradient from step to step; at least 0, below 1.
    pub beta2: f32,
    /// What keeps the divisor from 0; above 0.
    pub epsilon: f32,
}

/// A weight, its means, and how many steps they are of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub struct AdamCell {
    /// The weight.
    pub weight: f32,
    /// The mean gradient, drawn towards the 0 that it started from.
    pub mean: f32,
    /// The mean squared gradient, drawn towards 0 as well.
    pub square: f32,
    /// Steps so far. Beyond 2^24 single ones are lost in rounding; by then both means have long forgotten their start.
    pub count: f32,
}

floats!(AdamCell: weight, mean, square, count);

/// A cell in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamLocal {
    /// The cell, its count as it was read.
    pub cell: AdamCell,
    /// Steps since then.
    pub steps: f32,
    /// `beta1` to the power of all steps.
    mean_left: f32,
    /// `beta2` to the power of all steps.
    square_left: f32,
}

impl Optimizer for Adam {
    type Cell = AdamCell;
    type Local = AdamLocal;
    /// The weight's way in units of the rate; what came to the mean, and to the mean square; the steps; the count
    /// that the worker started from.
    type Update = [f32; 5];

    #[inline(always)]
    fn initial(self) -> AdamCell {
        AdamCell { weight: 0.0, mean: 0.0, square: 0.0, count: 0.0 }
    }

    fn scaled(self, factor: f32) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    #[inline(always)]
    fn begin(self, cell: AdamCell) -> AdamLocal {
        let [mean_left, square_left] = [self.beta1, self.beta2].map(|beta| beta.powf(cell.count));
        AdamLocal { cell, steps: 0.0, mean_left, square_left }
    }

    #[inline(always)]
    fn end(self, local: AdamLocal) -> AdamCell {
        AdamCell { count: local.cell.count + local.steps, ..local.cell }
    }

    #[inline(always)]
    fn weight(local: AdamLocal) -> f32 {
        local.cell.weight
    }

    #[inline(always)]
    fn step(self, local: AdamLocal, gradient: f32) -> AdamLocal {
        let Self { rate, beta1, beta2, epsilon } = self;
        let (mean_left, square_left) = (local.mean_left * beta1, local.square_left * beta2);
        let mean = beta1 * local.cell.mean + (1.0 - beta1) * gradient;
        let square = beta2 * local.cell.square + (1.0 - beta2) * (gradient * gradient);
        let divisor = (square / (1.0 - square_left)).sqrt() + epsilon;
        let weight = local.cell.weight - rate * (mean / (1.0 - mean_left)) / divisor;
        let cell = AdamCell { weight, mean, square, ..local.cell };
        AdamLocal { cell, steps: local.steps + 1.0, mean_left, square_left }
    }

    #[inline(always)]
    fn penalise(self, mut local: AdamLocal, penalty: Penalty, steps: f64) -> AdamLocal {
        local.cell.weight = penalty.after(local.cell.weight, self.rate, steps);
        local
    }

    #[inline(always)]
    fn update(self, start: AdamCell, end: AdamLocal) -> [f32; 5] {
        let way = (start.weight - end.cell.weight) / self.rate;
        let mean = end.cell.mean - self.beta1.powf(end.steps) * start.mean;
        let square = end.cell.square - self.beta2.powf(end.steps) * start.square;
        [way, mean, square.max(0.0), end.steps, start.count]
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        value.is_finite() & ((column < 2) | (value >= 0.0))
    }

    #[inline(always)]
    fn apply(self, cell: AdamCell, [way, mean, square, steps, base]: [f32; 5]) -> AdamCell {
        let share = share(steps, cell.count - base);
        AdamCell {
            weight: moved(cell.weight, self.rate * share * way),
            mean: self.beta1.powf(steps) * cell.mean + mean,
            square: self.beta2.powf(steps) * cell.square + square,
            count: cell.count + steps,
        }
    }
}

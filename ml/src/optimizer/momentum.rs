//! Gradient descent with momentum: every weight has a velocity of its own.
//!
//! Polyak, "Some methods of speeding up the convergence of iteration methods" (1964), as Sutskever et al. (2013) write
//! it. A velocity fades when its own weight is touched, not with every row: what the rows of rare features have
//! gathered is not lost between them.
//!
//! Steps are linear in what they start from. An update says by how many steps it came about, so the store knows how
//! much of the velocity that it finds (others may have changed it) those steps would have carried into the weight,
//! and how much of it is left after them. Gradients of workers that race add up, as in [`super::Sgd`].

use super::{Floats, Optimizer, Penalty, floats, moved};

/// `velocity = momentum * velocity + gradient; w -= rate * velocity`, each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// The learning rate.
    pub rate: f32,
    /// What is kept of a velocity from step to step; at least 0, below 1.
    pub momentum: f32,
}

/// A weight and its velocity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(8))]
pub struct MomentumCell {
    /// The weight.
    pub weight: f32,
    /// The gradients so far, older ones faded.
    pub velocity: f32,
}

floats!(MomentumCell: weight, velocity);

/// A cell in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumLocal {
    /// The cell.
    pub cell: MomentumCell,
    /// Steps since the worker got it.
    pub steps: f32,
}

impl MomentumLocal {
    /// The update from `start` to here: the weight's way in units of `rate`, the velocity at the end and at the
    /// start, and the steps.
    #[inline(always)]
    pub(super) fn update(self, start: MomentumCell, rate: f32) -> [f32; 4] {
        [(start.weight - self.cell.weight) / rate, self.cell.velocity, start.velocity, self.steps]
    }
}

impl Momentum {
    /// How much of a velocity is left after `steps` steps, and how much of it they carry into the weight.
    #[inline(always)]
    pub(super) fn fading(self, steps: f32) -> (f32, f32) {
        let left = self.momentum.powf(steps);
        (left, self.momentum * (1.0 - left) / (1.0 - self.momentum))
    }

    /// The rate that a constant gradient sees in the end: penalties move weights by it.
    #[inline(always)]
    pub(super) fn lasting_rate(self) -> f32 {
        self.rate / (1.0 - self.momentum)
    }
}

impl Optimizer for Momentum {
    type Cell = MomentumCell;
    type Local = MomentumLocal;
    /// The weight's way in units of the rate; the velocity at the end, and at the start; the steps.
    type Update = [f32; 4];

    #[inline(always)]
    fn initial(self) -> MomentumCell {
        MomentumCell { weight: 0.0, velocity: 0.0 }
    }

    fn scaled(self, factor: f32) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    #[inline(always)]
    fn begin(self, cell: MomentumCell) -> MomentumLocal {
        MomentumLocal { cell, steps: 0.0 }
    }

    #[inline(always)]
    fn end(self, local: MomentumLocal) -> MomentumCell {
        local.cell
    }

    #[inline(always)]
    fn weight(local: MomentumLocal) -> f32 {
        local.cell.weight
    }

    #[inline(always)]
    fn step(self, MomentumLocal { cell, steps }: MomentumLocal, gradient: f32) -> MomentumLocal {
        let velocity = self.momentum * cell.velocity + gradient;
        let weight = cell.weight - self.rate * velocity;
        MomentumLocal { cell: MomentumCell { weight, velocity }, steps: steps + 1.0 }
    }

    #[inline(always)]
    fn penalise(self, mut local: MomentumLocal, penalty: Penalty, steps: f64) -> MomentumLocal {
        local.cell.weight = penalty.after(local.cell.weight, self.lasting_rate(), steps);
        local
    }

    #[inline(always)]
    fn update(self, start: MomentumCell, end: MomentumLocal) -> [f32; 4] {
        end.update(start, self.rate)
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        value.is_finite() & ((column < 3) | (value >= 0.0))
    }

    #[inline(always)]
    fn apply(self, cell: MomentumCell, [way, end, start, steps]: [f32; 4]) -> MomentumCell {
        let (left, carried) = self.fading(steps);
        // What others have added to the velocity since the worker read it.
        let raced = cell.velocity - start;
        MomentumCell {
            weight: moved(cell.weight, self.rate * (way + carried * raced)),
            velocity: end + left * raced,
        }
    }
}

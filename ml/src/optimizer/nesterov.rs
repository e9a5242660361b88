//! Nesterov's accelerated gradient: momentum that looks one step ahead.
//!
//! In the form of Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013),
//! rewritten for the weights at which gradients are taken (as Bengio et al. 2013 do). Velocities, and what happens to
//! them when workers race, are those of [`Momentum`].

use super::momentum::{Momentum, MomentumCell, MomentumLocal};
use super::{Optimizer, Penalty, moved};

/// `velocity = momentum * velocity + gradient; w -= rate * (gradient + momentum * velocity)`, each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nesterov(pub Momentum);

impl Optimizer for Nesterov {
    type Cell = MomentumCell;
    type Local = MomentumLocal;
    /// As that of [`Momentum`].
    type Update = [f32; 4];

    #[inline(always)]
    fn initial(self) -> MomentumCell {
        self.0.initial()
    }

    fn scaled(self, factor: f32) -> Self {
        Self(self.0.scaled(factor))
    }

    #[inline(always)]
    fn begin(self, cell: MomentumCell) -> MomentumLocal {
        self.0.begin(cell)
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
        let Momentum { rate, momentum } = self.0;
        let velocity = momentum * cell.velocity + gradient;
        let weight = cell.weight - rate * (gradient + momentum * velocity);
        MomentumLocal { cell: MomentumCell { weight, velocity }, steps: steps + 1.0 }
    }

    #[inline(always)]
    fn penalise(self, local: MomentumLocal, penalty: Penalty, steps: f64) -> MomentumLocal {
        self.0.penalise(local, penalty, steps)
    }

    #[inline(always)]
    fn update(self, start: MomentumCell, end: MomentumLocal) -> [f32; 4] {
        end.update(start, self.0.rate)
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        Momentum::accepts(column, value)
    }

    #[inline(always)]
    fn apply(self, cell: MomentumCell, [way, end, start, steps]: [f32; 4]) -> MomentumCell {
        let (left, carried) = self.0.fading(steps);
        let raced = cell.velocity - start;
        let ahead = self.0.momentum * carried * raced;
        MomentumCell { weight: moved(cell.weight, self.0.rate * (way + ahead)), velocity: end + left * raced }
    }
}

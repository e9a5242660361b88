//! AdaGrad: a rate for each weight, falling with the gradients that it has seen.
//!
//! Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization" (2011), the
//! diagonal form. A worker's update carries, beside the effective gradient (`G`), the sum of its squared gradients
//! (`D`) and the sum that it started from (`B`). What others have added to the cell's sum since then, `S`, tells the
//! store how much of the way this update wanted to go has been gone already by updates that raced with it: the
//! store goes `D / (D + S)` of it. So updates that race are averaged, each coordinate by itself and weighted by what
//! was learnt about it, and updates about different rows' rare features all count in full. Without this, workers
//! that start from the same cells add up their steps and overshoot on every feature that all of them see.

use super::{Floats, Optimizer, Penalty, moved};

/// `squares += gradient^2; w -= rate * gradient / sqrt(squares)`, each weight by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The learning rate.
    pub rate: f32,
    /// What a cell's sum of squares starts from; above 0, so that no division by 0 can occur.
    pub initial: f32,
}

/// A weight and the sum of its squared gradients, in one aligned cell: one load, one store, one cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(8))]
pub struct AdagradCell {
    /// The weight.
    pub weight: f32,
    /// The initial value and all squared gradients so far.
    pub squares: f32,
}

impl Floats for AdagradCell {
    const COUNT: usize = 2;

    #[inline(always)]
    fn from_fn(mut get: impl FnMut(usize) -> f32) -> Self {
        Self { weight: get(0), squares: get(1) }
    }

    #[inline(always)]
    fn get(self, i: usize) -> f32 {
        if i == 0 { self.weight } else { self.squares }
    }
}

impl Optimizer for Adagrad {
    type Cell = AdagradCell;
    type Local = AdagradCell;
    /// `G`, the effective gradient; `D`, the sum of squared gradients; `B`, the sum that the worker started from.
    type Update = [f32; 3];

    #[inline(always)]
    fn initial(self) -> AdagradCell {
        AdagradCell { weight: 0.0, squares: self.initial }
    }

    fn scaled(self, factor: f32) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    #[inline(always)]
    fn begin(self, cell: AdagradCell) -> AdagradCell {
        cell
    }

    #[inline(always)]
    fn end(self, local: AdagradCell) -> AdagradCell {
        local
    }

    #[inline(always)]
    fn weight(local: AdagradCell) -> f32 {
        local.weight
    }

    #[inline(always)]
    fn step(self, cell: AdagradCell, gradient: f32) -> AdagradCell {
        let squares = cell.squares + gradient * gradient;
        AdagradCell { weight: cell.weight - self.rate * gradient / squares.sqrt(), squares }
    }

    #[inline(always)]
    fn penalise(self, cell: AdagradCell, penalty: Penalty, steps: f64) -> AdagradCell {
        let rate = self.rate / cell.squares.sqrt();
        AdagradCell { weight: penalty.after(cell.weight, rate, steps), ..cell }
    }

    #[inline(always)]
    fn update(self, start: AdagradCell, end: AdagradCell) -> [f32; 3] {
        let gradient = (start.weight - end.weight) * end.squares.sqrt() / self.rate;
        [gradient, end.squares - start.squares, start.squares]
    }

    #[inline(always)]
    fn accepts(column: usize, value: f32) -> bool {
        value.is_finite() & ((column == 0) | (value >= 0.0))
    }

    #[inline(always)]
    fn apply(self, cell: AdagradCell, [gradient, added, base]: [f32; 3]) -> AdagradCell {
        let squares = cell.squares + added;
        let share = share(added, cell.squares - base);
        AdagradCell { weight: moved(cell.weight, self.rate * share * gradient / squares.sqrt()), squares }
    }
}

/// How much of its way an update goes that learnt `added`, when others have learnt `raced` since it began: 0, or less
/// after a restart, when it did not race with any.
#[inline(always)]
pub(super) fn share(added: f32, raced: f32) -> f32 {
    // Divided in any case, then chosen: a choice is vector code, a division under a condition is not.
    let share = added / (added + raced);
    if raced > 0.0 { share } else { 1.0 }
}

//! The L1 and L2 penalties, taken up late.
//!
//! Penalties act on every weight at every row, whether the row has its feature or not: what is minimised is the mean
//! loss of the rows plus `l1 |w| + l2/2 w^2`. Nobody walks over all weights for each row. Between two visits a
//! weight's own rate does not change, so what the rows in between would have done to it has a closed form, which is
//! taken up when the weight is next looked at, by a worker or by the store ([`crate::table`]).

/// The strengths of the penalties, each at least 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Penalty {
    /// Of the absolute weight.
    pub l1: f32,
    /// Of half the squared weight.
    pub l2: f32,
}

impl Penalty {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.l1 == 0.0 && self.l2 == 0.0
    }

    /// `weight` after `steps` rows that do not have its feature: each multiplies it by `1 - rate l2` (at least 0) and
    /// then moves it towards 0 by `rate l1`, never across. (Truncated gradient: Langford, Li, Zhang 2009.)
    #[inline]
    #[must_use]
    pub fn after(self, weight: f32, rate: f32, steps: f64) -> f32 {
        if steps == 0.0 || weight == 0.0 {
            return weight;
        }
        let rate = f64::from(rate);
        let (shrinkage, pull) = ((rate * f64::from(self.l2)).min(1.0), rate * f64::from(self.l1));
        // (1 - shrinkage)^steps - 1, and the sum of its powers below `steps`.
        let lost = (steps * (-shrinkage).ln_1p()).exp_m1();
        let powers = if shrinkage == 0.0 { steps } else { -lost / shrinkage };
        let left = f64::from(weight.abs()) * (1.0 + lost) - pull * powers;
        if left <= 0.0 { 0.0 } else { (left as f32).copysign(weight) }
    }
}

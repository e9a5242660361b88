//! The logistic function and the loss that goes with it, from one exponential.
//!
//! Only additions, multiplications, divisions and moves of bits: the same bits on every processor and with every
//! system library, which the exponential of the standard library does not promise.

/// The bits of 1.5 * 2^23 added to a small number leave its nearest integer in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients c of exp(r) = 1 + r + r^2 (c0 + c1 r + ... + c4 r^4) for |r| <= ln(2)/2, fitted at 200 Chebyshev
/// nodes; relative error 1.1e-8 before rounding.
const EXPONENTIAL: [f32; 5] = [0.5, 0.166_665_76, 0.041_666_467, 0.008_363_175, 0.001_393_364_4];

/// exp(-x) for x >= 0, to within 2 units in the last place; below exp(-87) it stays there, NaN included.
#[inline(always)]
#[must_use]
pub fn exp_negative(x: f32) -> f32 {
    let x = (-x).max(-87.0);
    let rounded = x * core::f32::consts::LOG2_E + ROUND;
    let exponent = rounded - ROUND;
    let r = x - exponent * LN2_HIGH - exponent * LN2_LOW;
    let [c0, c1, c2, c3, c4] = EXPONENTIAL;
    let r2 = r * r;
    let polynomial = (c0 + c1 * r) + ((c2 + c3 * r) + c4 * r2) * r2;
    let mantissa = (1.0 + r) + r2 * polynomial;
    mantissa * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// 1 / (1 + exp(-z)), and exp(-|z|) for [`LossSum::add`].
#[inline(always)]
#[must_use]
pub fn sigmoid(z: f32) -> (f32, f32) {
    let e = exp_negative(z.abs());
    (if z >= 0.0 { 1.0 } else { e } / (1.0 + e), e)
}

/// A sum of logistic losses, ln(1 + exp(z)) - y z for a label y of 0 or 1.
///
/// ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|)). The sum of the logarithms is the logarithm of a product: factors
/// lie between 1 and 2, so 512 of them fit in an f64, and a row costs one multiplication.
#[derive(Clone, Copy, Debug)]
pub struct LossSum {
    sum: f64,
    product: f64,
    factors: u32,
}

impl Default for LossSum {
    fn default() -> Self {
        Self { sum: 0.0, product: 1.0, factors: 0 }
    }
}

impl LossSum {
    /// Adds the loss of a row with margin `z` and label `y`; `e` is exp(-|z|) as [`sigmoid`] gives it. A margin
    /// that is not finite makes the sum not finite.
    #[inline(always)]
    pub fn add(&mut self, z: f32, y: f32, e: f32) {
        self.sum += f64::from(z.max(0.0) - y * z);
        self.product *= 1.0 + f64::from(e);
        self.factors += 1;
        if self.factors == 512 {
            self.sum += self.product.ln();
            self.product = 1.0;
            self.factors = 0;
        }
    }

    /// The sum so far.
    #[must_use]
    pub fn total(self) -> f64 {
        self.sum + self.product.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::{LossSum, exp_negative, sigmoid};

    #[test]
    fn the_exponential_is_accurate_over_its_whole_range() {
        for i in 0..=870_000_u32 {
            let x = i as f32 * 1e-4;
            let exact = (-f64::from(x)).exp();
            let error = (f64::from(exp_negative(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp(-{x}): relative error {error:e}");
        }
    }

    #[test]
    fn the_sigmoid_holds_at_its_ends_and_is_symmetric() {
        assert_eq!(sigmoid(0.0).0, 0.5);
        assert_eq!(sigmoid(200.0).0, 1.0);
        assert_eq!(sigmoid(f32::INFINITY).0, 1.0);
        assert!(sigmoid(-200.0).0 > 0.0 && sigmoid(f32::NEG_INFINITY).0 < 1e-37);
        for i in -2000..2000_i16 {
            let z = f32::from(i) * 0.01;
            let exact = 1.0 / (1.0 + (-f64::from(z)).exp());
            let (p, e) = sigmoid(z);
            let error = (f64::from(p) - exact).abs();
            assert!(error < 1.2e-7 && error < 5e-7 * exact, "{z}: {error:e}");
            assert!((f64::from(e) - (-f64::from(z.abs())).exp()).abs() < 1e-6);
        }
    }

    #[test]
    fn the_loss_sum_is_the_sum_of_losses() {
        let mut sum = LossSum::default();
        let mut exact = 0.0;
        for i in 0..5000_u16 {
            let z = (f32::from(i) - 2500.0) * 0.01;
            let y = f32::from(u8::from(i % 3 == 0));
            sum.add(z, y, sigmoid(z).1);
            let m = f64::from(if y == 1.0 { -z } else { z });
            exact += m.max(0.0) + (-m.abs()).exp().ln_1p();
        }
        assert!((sum.total() - exact).abs() < 1e-7 * exact, "{} {exact}", sum.total());
    }

    #[test]
    fn a_margin_that_is_not_finite_shows_in_the_loss() {
        for z in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for y in [0.0, 1.0] {
                let mut sum = LossSum::default();
                sum.add(z, y, sigmoid(z).1);
                sum.add(1.0, 1.0, sigmoid(1.0).1);
                assert!(!sum.total().is_finite(), "{z} {y}");
            }
        }
    }
}

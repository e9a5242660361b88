//! Numbers, combined one by one. Whole numbers wrap; of floating-point numbers a NaN among them makes the sum and the
//! product NaN, and is passed over for the smallest and the largest.
//!
//! Arrays are little-endian and may lie anywhere. The loops are over pairs of equal length, so that the compiler turns
//! them into vector instructions; they are memory-bound from there on.

use core::marker::PhantomData;

use bytes::{Bytes, BytesMut};

use super::Operator;

/// A number that can be combined.
pub trait Number: Copy + Send + Sync + 'static {
    /// Its bytes.
    type Array: AsRef<[u8]>;
    /// How many they are.
    const BYTES: usize;
    /// The number of as many bytes, little-endian; of another number of bytes, zero.
    fn read(bytes: &[u8]) -> Self;
    /// Its bytes, little-endian.
    fn write(self) -> Self::Array;
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// The product.
    fn times(self, other: Self) -> Self;
    /// The smaller one.
    fn smaller(self, other: Self) -> Self;
    /// The larger one.
    fn larger(self, other: Self) -> Self;
}

macro_rules! number {
    ($($number:ty: $plus:expr, $times:expr, $smaller:expr, $larger:expr;)*) => {$(
        impl Number for $number {
            type Array = [u8; size_of::<Self>()];
            const BYTES: usize = size_of::<Self>();

            fn read(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }

            fn write(self) -> Self::Array {
                self.to_le_bytes()
            }

            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }

            fn times(self, other: Self) -> Self {
                $times(self, other)
            }

            fn smaller(self, other: Self) -> Self {
                $smaller(self, other)
            }

            fn larger(self, other: Self) -> Self {
                $larger(self, other)
            }
        }
    )*};
}

number! {
    f32: core::ops::Add::add, core::ops::Mul::mul, Self::min, Self::max;
    f64: core::ops::Add::add, core::ops::Mul::mul, Self::min, Self::max;
    i32: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max;
    i64: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max;
    u64: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max;
}

/// Combines arrays of numbers one by one.
#[derive(Clone, Copy, Debug)]
pub struct Elementwise<N, F> {
    combine: F,
    number: PhantomData<fn(N) -> N>,
}

/// With any function of two numbers, which must be associative.
pub fn elementwise<N: Number, F: Fn(N, N) -> N + Send + Sync + 'static>(combine: F) -> Elementwise<N, F> {
    Elementwise { combine, number: PhantomData }
}

/// Their sum.
#[must_use]
pub fn sum<N: Number>() -> impl Operator {
    elementwise(N::plus)
}

/// Their product.
#[must_use]
pub fn product<N: Number>() -> impl Operator {
    elementwise(N::times)
}

/// The smallest.
#[must_use]
pub fn min<N: Number>() -> impl Operator {
    elementwise(N::smaller)
}

/// The largest.
#[must_use]
pub fn max<N: Number>() -> impl Operator {
    elementwise(N::larger)
}

impl<N: Number, F: Fn(N, N) -> N + Send + Sync + 'static> Operator for Elementwise<N, F> {
    fn element_bytes(&self) -> Option<usize> {
        Some(N::BYTES)
    }

    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        let (first, others) = pieces.split_first()?;
        let fits = |piece: &Bytes| piece.len() == first.len() && piece.len().is_multiple_of(N::BYTES);
        if !others.iter().all(fits) {
            return None;
        }
        let mut all = BytesMut::from(&first[..]);
        for other in others {
            let pairs = all.chunks_exact_mut(N::BYTES).zip(other.chunks_exact(N::BYTES));
            for (all, other) in pairs {
                let number = (self.combine)(N::read(all), N::read(other)).write();
                all.copy_from_slice(number.as_ref());
            }
        }
        Some(all.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<N: Number>(numbers: &[N]) -> Bytes {
        numbers.iter().flat_map(|number| number.write().as_ref().to_vec()).collect::<Vec<u8>>().into()
    }

    fn check<N: Number + PartialEq + core::fmt::Debug>(
        operator: impl Operator,
        inputs: &[&[N]],
        expected: &[N],
    ) {
        let inputs: Vec<Bytes> = inputs.iter().map(|input| bytes(input)).collect();
        assert_eq!(operator.combine(&inputs), Some(bytes(expected)));
    }

    #[test]
    fn each_is_what_its_name_says() {
        check::<i64>(sum::<i64>(), &[&[1, i64::MAX], &[2, 1], &[3, 0]], &[6, i64::MIN]);
        check::<i32>(product::<i32>(), &[&[3, -2], &[5, 7]], &[15, -14]);
        check::<u64>(min::<u64>(), &[&[3, 9], &[5, 7]], &[3, 7]);
        check::<f32>(max::<f32>(), &[&[3.5, f32::NAN], &[-1.0, 2.0]], &[3.5, 2.0]);
        check::<f64>(sum::<f64>(), &[&[0.5], &[0.25]], &[0.75]);
    }

    #[test]
    fn what_does_not_fit_is_nothing_and_stays_so() {
        let sum = sum::<i64>();
        let [one, two, half] = [&[1_i64][..], &[1, 2]]
            .map(bytes)
            .into_iter()
            .chain([Bytes::from_static(b"1234")])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(sum.combine(&[one.clone(), two]), None);
        assert_eq!(sum.combine(&[half.clone(), half]), None);
        assert_eq!(super::super::combine(&sum, vec![one, Bytes::new()]), Bytes::new());
        assert_eq!(super::super::combine(&sum, vec![Bytes::new(), Bytes::new()]), Bytes::new());
    }
}

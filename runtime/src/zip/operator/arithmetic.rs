//! Numbers, combined one by one. Whole numbers wrap; of floating-point numbers a NaN among them makes the sum and the
//! product NaN, and is passed over for the smallest and the largest.
//!
//! Arrays are little-endian and may lie anywhere. The loops are over pairs of equal length, so that the compiler turns
//! them into vector instructions; they are memory-bound from there on.

use core::marker::PhantomData;
use core::ops;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Operator;
use crate::zip::payload::Payload;

/// How many bytes of a value are combined before the next ones are: what is being made of them stays in the nearest cache.
const BLOCK: usize = 8 << 10;

/// A number that can be combined.
pub trait Number: Copy + Send + Sync + 'static {
    /// Its bytes.
    type Array: AsRef<[u8]>;
    /// How many they are.
    const BYTES: usize;
    /// By which number other processes know this kind of numbers; 0 if they do not.
    const NUMBER: u32 = 0;
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
    /// Its part, if it is shared by so many, at least one; rounded towards zero.
    fn shared_by(self, many: u32) -> Self;
}

macro_rules! number {
    ($($number:ty, $known:literal: $plus:expr, $times:expr, $smaller:expr, $larger:expr, $shared:expr;)*) => {$(
        impl Number for $number {
            type Array = [u8; size_of::<Self>()];
            const BYTES: usize = size_of::<Self>();
            const NUMBER: u32 = $known;

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

            fn shared_by(self, many: u32) -> Self {
                $shared(self, many)
            }
        }
    )*};
}

number! {
    f32, 1: ops::Add::add, ops::Mul::mul, Self::min, Self::max, |sum, many| sum / many as f32;
    f64, 2: ops::Add::add, ops::Mul::mul, Self::min, Self::max, |sum, many| sum / f64::from(many);
    // More than i32 counts are more than there can be, and share nothing.
    i32, 3: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max, |sum, many| {
        i32::try_from(many).map_or(0, |many| sum / many)
    };
    i64, 4: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max, |sum, many| sum / i64::from(many);
    u64, 5: Self::wrapping_add, Self::wrapping_mul, Ord::min, Ord::max, |sum, many| sum / u64::from(many);
}

/// More than there are kinds of numbers: an operator's number is this often what it does, and the kind of its numbers.
const NUMBERS: u32 = 16;
const SUM: u32 = 1;
const PRODUCT: u32 = 2;
const MIN: u32 = 3;
const MAX: u32 = 4;

/// Combines arrays of numbers one by one.
#[derive(Clone, Copy, Debug)]
pub struct Elementwise<N, F> {
    combine: F,
    /// As which operator of these numbers it is known.
    what: u32,
    number: PhantomData<fn(N) -> N>,
}

/// With any function of two numbers, which must be associative.
pub fn elementwise<N: Number, F: Fn(N, N) -> N + Send + Sync + 'static>(combine: F) -> Elementwise<N, F> {
    known(0, combine)
}

fn known<N: Number, F: Fn(N, N) -> N + Send + Sync + 'static>(what: u32, combine: F) -> Elementwise<N, F> {
    Elementwise { combine, what, number: PhantomData }
}

/// The operator that has this number in all processes.
pub(in crate::zip) fn numbered(number: u32) -> Option<Arc<dyn Operator>> {
    fn of<N: Number>(what: u32) -> Option<Arc<dyn Operator>> {
        Some(match what {
            SUM => Arc::new(sum::<N>()),
            PRODUCT => Arc::new(product::<N>()),
            MIN => Arc::new(min::<N>()),
            MAX => Arc::new(max::<N>()),
            _ => return None,
        })
    }
    let what = number / NUMBERS;
    match number % NUMBERS {
        f32::NUMBER => of::<f32>(what),
        f64::NUMBER => of::<f64>(what),
        i32::NUMBER => of::<i32>(what),
        i64::NUMBER => of::<i64>(what),
        u64::NUMBER => of::<u64>(what),
        _ => None,
    }
}

/// Their sum.
#[must_use]
pub fn sum<N: Number>() -> impl Operator {
    known(SUM, N::plus)
}

/// Their sum, shared by the members whose values are in it. The sum of whole numbers may wrap.
#[must_use]
pub fn mean<N: Number>() -> impl Operator {
    Mean(known(SUM, N::plus))
}

/// Their product.
#[must_use]
pub fn product<N: Number>() -> impl Operator {
    known(PRODUCT, N::times)
}

/// The smallest.
#[must_use]
pub fn min<N: Number>() -> impl Operator {
    known(MIN, N::smaller)
}

/// The largest.
#[must_use]
pub fn max<N: Number>() -> impl Operator {
    known(MAX, N::larger)
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
        let others: Vec<&[u8]> = others.iter().map(|other| &other[..]).collect();
        self.accumulate(&mut all, None, &others);
        Some(all.freeze())
    }

    fn combine_into(&self, pieces: &[&[u8]], out: &mut [u8]) -> bool {
        let fits = |piece: &&[u8]| piece.len() == out.len() && piece.len().is_multiple_of(N::BYTES);
        let Some((first, others)) = pieces.split_first().filter(|_| pieces.iter().all(fits)) else {
            return false;
        };
        self.accumulate(out, Some(first), others);
        true
    }

    fn number(&self) -> u32 {
        if self.what == 0 || N::NUMBER == 0 { 0 } else { self.what * NUMBERS + N::NUMBER }
    }
}

impl<N: Number, F: Fn(N, N) -> N> Elementwise<N, F> {
    /// Combines what is in `all`, or first put into it, with others of the same length.
    fn accumulate(&self, all: &mut [u8], first: Option<&[u8]>, others: &[&[u8]]) {
        const { assert!(BLOCK.is_multiple_of(8), "a block is whole numbers") };
        for (nth, block) in all.chunks_mut(BLOCK).enumerate() {
            let (begin, end) = (nth * BLOCK, nth * BLOCK + block.len());
            if let Some(first) = first {
                block.copy_from_slice(&first[begin..end]);
            }
            for other in others {
                let pairs = block.chunks_exact_mut(N::BYTES).zip(other[begin..end].chunks_exact(N::BYTES));
                for (all, other) in pairs {
                    let number = (self.combine)(N::read(all), N::read(other)).write();
                    all.copy_from_slice(number.as_ref());
                }
            }
        }
    }
}

/// Adds up, and shares in the end.
struct Mean<F, N>(Elementwise<N, F>);

impl<N: Number, F: Fn(N, N) -> N + Send + Sync + 'static> Operator for Mean<F, N> {
    fn element_bytes(&self) -> Option<usize> {
        self.0.element_bytes()
    }

    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        self.0.combine(pieces)
    }

    fn combine_into(&self, pieces: &[&[u8]], out: &mut [u8]) -> bool {
        self.0.combine_into(pieces, out)
    }

    /// The sum's: what it is shared by is found out in the end, by each member.
    fn number(&self) -> u32 {
        self.0.number()
    }

    fn finish(&self, value: Payload, members: u32) -> Payload {
        let share = |piece: &Bytes| {
            let mut piece = BytesMut::from(&piece[..]);
            for bytes in piece.chunks_exact_mut(N::BYTES) {
                let number = N::read(bytes).shared_by(members.max(1)).write();
                bytes.copy_from_slice(number.as_ref());
            }
            piece.freeze()
        };
        Payload::new(value.pieces().iter().map(share).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

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

    /// As one would write it who has all the time in the world.
    fn naive<N: Number>(arrays: &[Vec<N>], combine: fn(N, N) -> N) -> Bytes {
        let place = |at: usize| arrays.iter().map(|array| array[at]).reduce(combine).unwrap();
        bytes(&(0..arrays[0].len()).map(place).collect::<Vec<N>>())
    }

    fn agree<N: Number>(arrays: &[Vec<N>]) {
        let inputs: Vec<Bytes> = arrays.iter().map(|array| bytes(array)).collect();
        assert_eq!(sum::<N>().combine(&inputs).unwrap(), naive(arrays, N::plus));
        assert_eq!(mean::<N>().combine(&inputs).unwrap(), naive(arrays, N::plus));
        assert_eq!(product::<N>().combine(&inputs).unwrap(), naive(arrays, N::times));
        assert_eq!(min::<N>().combine(&inputs).unwrap(), naive(arrays, N::smaller));
        assert_eq!(max::<N>().combine(&inputs).unwrap(), naive(arrays, N::larger));
        // Where the bytes lie does not matter.
        let moved = |input: &Bytes| Bytes::from([&[0], &input[..]].concat()).slice(1..);
        let moved: Vec<Bytes> = inputs.iter().map(moved).collect();
        assert_eq!(sum::<N>().combine(&moved), sum::<N>().combine(&inputs));
    }

    /// Two to five arrays of the same length.
    fn arrays<N: Clone + core::fmt::Debug + 'static>(
        number: impl Strategy<Value = N> + Clone + 'static,
    ) -> impl Strategy<Value = Vec<Vec<N>>> {
        (2..6_usize, 1..70_usize).prop_flat_map(move |(many, length)| vec(vec(number.clone(), length), many))
    }

    proptest! {
        #[test]
        fn arrays_are_combined_as_by_hand(
            f32s in arrays(any::<f32>()),
            f64s in arrays(any::<f64>()),
            i32s in arrays(any::<i32>()),
            i64s in arrays(any::<i64>()),
            u64s in arrays(any::<u64>()),
        ) {
            agree(&f32s);
            agree(&f64s);
            agree(&i32s);
            agree(&i64s);
            agree(&u64s);
        }
    }

    #[test]
    fn an_operator_is_found_again_by_its_number_and_combines_into_what_is_there() {
        let operators: [Box<dyn Operator>; 4] = [
            Box::new(sum::<i64>()),
            Box::new(product::<f32>()),
            Box::new(min::<u64>()),
            Box::new(max::<i32>()),
        ];
        // More than a block, and not a whole number of them.
        let value = |seed: u8| {
            Bytes::from((0..20_008).map(|at: u32| (at as u8).wrapping_mul(seed) & 0x3F).collect::<Vec<u8>>())
        };
        let pieces = [value(3), value(5), value(7)];
        for operator in operators {
            let found = numbered(operator.number()).unwrap();
            assert_eq!(found.number(), operator.number());
            let mut out = vec![0xEE; 20_008];
            let slices: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
            assert!(found.combine_into(&slices, &mut out));
            assert_eq!(operator.combine(&pieces).unwrap(), out);
            assert!(!found.combine_into(&slices, &mut out[..8]), "they are not as long");
        }
        assert_eq!(mean::<f64>().number(), sum::<f64>().number());
        let own = elementwise::<i64, _>(|one, _| one);
        assert_eq!(own.number(), 0, "nobody else knows it");
        assert!([0, 16, 6, 16 * 5 + 1, u32::MAX].into_iter().all(|number| numbered(number).is_none()));
    }

    #[test]
    fn a_mean_is_shared_in_the_end() {
        let payload = |numbers: &[i64]| Payload::new(vec![bytes(&numbers[..1]), bytes(&numbers[1..])]);
        assert_eq!(mean::<i64>().finish(payload(&[9, -9, 0]), 2), payload(&[4, -4, 0]));
        let halves = Payload::new(vec![bytes(&[1.5_f32])]);
        assert_eq!(mean::<f32>().finish(Payload::new(vec![bytes(&[6.0_f32])]), 4), halves);
        assert_eq!(sum::<f32>().finish(halves.clone(), 4), halves);
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

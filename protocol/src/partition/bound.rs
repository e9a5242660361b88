//! The yardstick for the size of a partition: what rows of uniformly hashed keys need at least.
//!
//! Logarithms are `std`'s, and so this is the one part of the crate that needs it.
extern crate std;

use alloc::vec::Vec;

/// The least number of bits that can tell apart all sets of rows of the given lengths, with any keys below
/// 2^`hash_bits`: the sum over the rows of log2 of the binomial coefficient (2^`hash_bits`, length).
///
/// Real data goes below it, as frequent keys make some rows far more likely than others.
#[must_use]
pub fn entropy_bound(row_lengths: impl IntoIterator<Item = u32>, hash_bits: u8) -> f64 {
    let keys = f64::from(hash_bits).exp2();
    // bits[n] = log2 C(keys, n), continued as far as the longest row needs.
    let mut bits: Vec<f64> = Vec::from([0.0]);
    let mut sum = 0.0;
    for length in row_lengths {
        while let (Some(last), true) = (bits.last(), bits.len() <= length as usize) {
            let chosen = bits.len() as f64;
            bits.push(last + ((keys - chosen + 1.0) / chosen).log2());
        }
        sum += bits.get(length as usize).copied().unwrap_or_default();
    }
    sum
}

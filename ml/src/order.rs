//! The order of blocks in a pass and of rows in a block: a function of the seed and the name of what is ordered.
//!
//! The generator and the permutation are written out here and held against golden numbers: the same seed gives the
//! same order in every version of the program. Orders of different passes and blocks come from streams of their own,
//! so that it does not matter who asks for which, or whether anybody asked before (a block that is learnt again
//! after a crash is learnt in the same order).

use cirrus_core::ids::{BlockId, GradientName, Pass};

/// What an order is for; keeps the streams of different uses apart.
const BLOCKS: u64 = 1;
const ROWS: u64 = 2;

/// The blocks of a pass in the order in which they are given out.
#[must_use]
pub fn of_blocks(seed: u64, pass: Pass, blocks: impl IntoIterator<Item = BlockId>) -> Vec<BlockId> {
    let mut blocks: Vec<_> = blocks.into_iter().collect();
    shuffle(&mut SplitMix::stream(seed, &[BLOCKS, u64::from(pass.0)]), &mut blocks);
    blocks
}

/// Fills `order` with the numbers of `rows` rows in the order in which the gradient `name` learns from them.
pub fn of_rows(seed: u64, name: GradientName, rows: u32, order: &mut Vec<u32>) {
    let GradientName { pass, block, part } = name;
    let words = [ROWS, pass.0.into(), block.partition.into(), block.block.into(), part.into()];
    order.clear();
    order.extend(0..rows);
    shuffle(&mut SplitMix::stream(seed, &words), order);
}

/// Fisher and Yates' shuffle in Durstenfeld's form, from the back.
fn shuffle<T>(random: &mut SplitMix, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        // No order is longer than a u32 counts: blocks and rows are numbered with them.
        let bound = u32::try_from(i + 1).unwrap_or(u32::MAX);
        items.swap(i, random.below(bound) as usize);
    }
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix(u64);

impl SplitMix {
    /// A generator of its own for each seed and sequence of words.
    fn stream(seed: u64, words: &[u64]) -> Self {
        words.iter().fold(Self(seed), |mut state, word| {
            state.0 ^= word;
            Self(state.next())
        })
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`, each equally likely (Lemire, "Fast random integer generation in an
    /// interval", 2019). `bound` is not 0.
    fn below(&mut self, bound: u32) -> u32 {
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = (self.next() >> 32) * u64::from(bound);
            if product as u32 >= reject_below {
                return (product >> 32) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests;

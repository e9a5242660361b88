//! Models: what is learnt from a row.
//!
//! A model walks over the rows of one block and changes **local cells**: one for each key of the block's
//! dictionary, at the key's position in it, and the bias behind them. So the kernel works on a compact array that
//! mostly stays in the processor's second-level cache, whatever the size of the whole model. Loops are generic over
//! the optimiser; nothing is chosen inside a row.
//!
//! To add a model: one file here, and its name in [`ModelName`].

pub mod logistic;
pub mod sigmoid;

use core::fmt::Debug;

use cirrus_protocol::partition::DecodedBlock;
pub use logistic::Logistic;
use serde::{Deserialize, Serialize};

use crate::optimizer::{LANES, Optimizer};

/// The models by name, as job descriptions and model files spell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelName {
    /// Sparse logistic regression: [`Logistic`].
    #[default]
    LogisticRegression,
}

impl ModelName {
    /// The name as it is spelt in job descriptions and model files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogisticRegression => "logistic_regression",
        }
    }
}

/// A model that learns from rows, one after the other.
pub trait Model: Copy + Debug + Send + Sync + 'static {
    /// Steps through `rows`, changing `cells`; the sum of the rows' losses, each computed before its row was
    /// learnt (progressive loss: it needs no held-out rows, because every row is new when it is predicted).
    ///
    /// `cells` holds one cell a key of the block and the bias as the last. If a row's loss is not finite, so is
    /// not the sum.
    ///
    /// # Panics
    /// If `cells` has fewer cells than that. The decoder of blocks guarantees that each id is below the count of
    /// the block's keys and occurs once in its row.
    fn learn<O: Optimizer>(
        self,
        optimizer: O,
        rows: Rows<'_>,
        cells: &mut [O::Local],
        scratch: &mut Scratch<O::Local>,
    ) -> f64;
}

/// The rows of a block, in the order in which to take them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The block.
    pub block: &'a DecodedBlock,
    /// Row numbers, each once; `None` takes the rows as they lie.
    pub order: Option<&'a [u32]>,
}

/// A kernel's buffers, used again for each block: one row's cells and values in groups of [`LANES`].
#[derive(Debug)]
pub struct Scratch<C> {
    cells: Vec<[C; LANES]>,
    values: Vec<[f32; LANES]>,
    /// For each cell of the block, how many rows' penalties are in it.
    penalised: Vec<u32>,
}

impl<C: Copy> Default for Scratch<C> {
    fn default() -> Self {
        Self { cells: Vec::new(), values: Vec::new(), penalised: Vec::new() }
    }
}

impl<C: Copy> Scratch<C> {
    /// Makes room for the longest row of `block`. Places beyond a row's end hold cells that are computed with and
    /// thrown away; `filler` is where they start from.
    fn fit(&mut self, block: &DecodedBlock, filler: C) {
        let longest = block.row_starts.windows(2).map(|row| row[1].saturating_sub(row[0])).max().unwrap_or(0);
        let groups = (longest as usize).div_ceil(LANES);
        self.cells.clear();
        self.cells.resize(groups, [filler; LANES]);
        self.values.clear();
        self.values.resize(groups, [0.0; LANES]);
        self.penalised.clear();
        self.penalised.resize(block.keys.len(), 0);
    }
}

#[cfg(test)]
mod tests;

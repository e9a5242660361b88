//! Batches of rows, in the order of the source, become blocks of rows, in the same order.
//!
//! [`Blocks`] is the seam between the two ordered maps of a load and runs on the calling thread: it cuts the stream of
//! rows into blocks without copying a row, and keeps what is known of the source as a whole ([`Tally`]), so that
//! faults, labels and statistics come out as if the file had been read line by line. Each side of the split has
//! blocks of its own; a block is a run of that side's consecutive rows.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cirrus_protocol::error::FormatError;
use cirrus_protocol::partition::{BlockBuilder, EncodedBlock, MAX_BLOCK_NONZEROS, Shape};
use cirrus_runtime::dataset::Side;
use cirrus_runtime::pool::JobPanicked;

use super::error::{LineError, LoadError};
use super::options::OnError;
use super::rows::{Batch, DESCRIBED_LINES, Label, Rows};
use super::statistics::ColumnTally;

/// A batch and where it comes from.
#[derive(Debug)]
pub(super) struct Placed {
    /// Its rows.
    pub(super) batch: Batch,
    /// Lines of the source before it.
    pub(super) lines_before: u64,
    /// Bytes of the source that were read when it was.
    pub(super) bytes_read: u64,
}

/// What is known of the sources so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Statistics of the training rows.
    pub(super) columns: Vec<ColumnTally>,
    /// The first malformed lines.
    pub(super) described: Vec<LineError>,
    /// Rows of the present source.
    pub(super) rows: u64,
    /// Malformed lines of the present source.
    pub(super) skipped: u64,
    /// Where each label was first seen, in the order of [`Label`].
    labels: [Option<String>; 4],
}

impl Tally {
    /// Adds a batch of `file`.
    fn add(&mut self, file: &Arc<str>, placed: &mut Placed, on_error: OnError) -> Result<(), LoadError> {
        let Placed { batch, lines_before, .. } = placed;
        self.rows += batch.rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
        self.skipped += batch.malformed;
        for (line, fault) in batch.faults.drain(..) {
            let error = LineError::new(file, *lines_before + line + 1, fault);
            if on_error == OnError::Fail {
                return Err(LoadError::Line(Box::new(error)));
            }
            if self.described.len() < DESCRIBED_LINES {
                self.described.push(error);
            }
        }
        for (first, line) in self.labels.iter_mut().zip(batch.labels) {
            if let (None, Some(line)) = (&first, line) {
                *first = Some(format!("{file}:{}", *lines_before + line + 1));
            }
        }
        if let (Some(zero), Some(minus_one)) =
            (&self.labels[Label::Zero as usize], &self.labels[Label::MinusOne as usize])
        {
            return Err(LoadError::MixedLabels { zero: zero.clone(), minus_one: minus_one.clone() });
        }
        for (mine, others) in self.columns.iter_mut().zip(&batch.columns) {
            mine.merge(others);
        }
        Ok(())
    }
}

/// The rows of one block.
#[derive(Debug, Default)]
pub(super) struct BlockRows {
    runs: Vec<(Arc<Rows>, Range<usize>)>,
    rows: usize,
    features: usize,
}

impl BlockRows {
    /// Takes rows from `start` on until the block is full; how many.
    fn take(&mut self, rows: &Arc<Rows>, start: usize, block_rows: usize) -> usize {
        let room = (MAX_BLOCK_NONZEROS as usize).saturating_sub(self.features);
        let mut count = (rows.len() - start).min(block_rows - self.rows);
        if rows.features_of(start..start + count) > room {
            count = (0..count).take_while(|more| rows.features_of(start..start + more + 1) <= room).count();
            // A row that is too large for any block is refused where it is encoded.
            count = count.max(usize::from(self.rows == 0));
        }
        if count > 0 {
            let run = start..start + count;
            self.rows += count;
            self.features += rows.features_of(run.clone());
            self.runs.push((Arc::clone(rows), run));
        }
        count
    }

    /// Encodes them, in order.
    fn encode(&self, builder: &mut BlockBuilder) -> Result<Option<EncodedBlock>, FormatError> {
        for (rows, run) in &self.runs {
            for (label, features) in rows.iter(run.clone()) {
                // Rows to learn from have a label; the format refused those without.
                builder.push_row(label.value().unwrap_or_default(), features)?;
            }
        }
        Ok(builder.finish())
    }
}

/// Builders between two blocks: each holds a table over all keys, which is not to be made anew for each block.
#[derive(Debug)]
pub(super) struct Builders {
    shape: Shape,
    idle: Mutex<Vec<BlockBuilder>>,
}

impl Builders {
    /// No builder yet.
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, idle: Mutex::default() }
    }

    /// Encodes a block; `None` if it has no rows.
    pub(super) fn encode(&self, block: &BlockRows) -> Result<Option<EncodedBlock>, FormatError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let builder = idle().pop();
        let mut builder = builder.map_or_else(|| BlockBuilder::new(self.shape), Ok)?;
        let encoded = block.encode(&mut builder)?;
        idle().push(builder);
        Ok(encoded)
    }
}

/// Cuts the rows of `batches` into blocks.
pub(super) struct Blocks<'a, I> {
    /// Where rows come from, in order.
    pub(super) batches: I,
    /// The source's name.
    pub(super) file: Arc<str>,
    /// What becomes of malformed lines.
    pub(super) on_error: OnError,
    /// Rows of a full block.
    pub(super) block_rows: usize,
    /// What is known so far.
    pub(super) tally: &'a mut Tally,
    /// Told after each batch, with the bytes read.
    pub(super) progress: &'a mut dyn FnMut(&Tally, u64),
    /// One open block a side.
    pub(super) open: [BlockRows; 2],
    /// Full blocks.
    pub(super) ready: VecDeque<(Side, BlockRows)>,
    /// There are no more batches.
    pub(super) ended: bool,
}

impl<I> Blocks<'_, I>
where
    I: Iterator<Item = Result<Result<Placed, LoadError>, JobPanicked>>,
{
    /// Adds the next batch; at the end, closes the open blocks.
    fn advance(&mut self) -> Result<(), LoadError> {
        let Some(placed) = self.batches.next() else {
            self.ended = true;
            for side in [Side::Train, Side::Test] {
                self.close(side);
            }
            return Ok(());
        };
        let mut placed = placed??;
        self.tally.add(&self.file, &mut placed, self.on_error)?;
        for (side, rows) in [Side::Train, Side::Test].into_iter().zip(placed.batch.rows) {
            let rows = Arc::new(rows);
            let mut start = 0;
            while start < rows.len() {
                let taken = self.open[side as usize].take(&rows, start, self.block_rows);
                start += taken;
                if taken == 0 || self.open[side as usize].rows == self.block_rows {
                    self.close(side);
                }
            }
        }
        (self.progress)(self.tally, placed.bytes_read);
        Ok(())
    }

    fn close(&mut self, side: Side) {
        let block = std::mem::take(&mut self.open[side as usize]);
        if block.rows > 0 {
            self.ready.push_back((side, block));
        }
    }
}

impl<I> Iterator for Blocks<'_, I>
where
    I: Iterator<Item = Result<Result<Placed, LoadError>, JobPanicked>>,
{
    type Item = Result<(Side, BlockRows), LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            if let Err(error) = self.advance() {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_before_they_hold_too_many_features() {
        let half = MAX_BLOCK_NONZEROS as usize / 2;
        let rows = Arc::new(Rows::of_lengths(&[half - 1, half, 1, 1, half, half, 3 * half, 1]));
        let mut sizes = Vec::new();
        let mut start = 0;
        while start < rows.len() {
            let mut block = BlockRows::default();
            let taken = block.take(&rows, start, 3);
            assert_eq!((block.rows, block.features), (taken, rows.features_of(start..start + taken)));
            sizes.push(taken);
            start += taken;
        }
        assert_eq!(sizes, [3, 2, 1, 1, 1]);
    }
}

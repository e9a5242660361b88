//! Rows of a file one by one, by a schema that is known: what prediction reads.
//!
//! The same parsers as in a load, so that a row has the same features in both. Labels may be missing, and a file with
//! named columns may have them in another order, and others besides.

use std::sync::Arc;

use cirrus_protocol::manifest::Schema;
use cirrus_runtime::dataset::Side;

use super::compress::Input;
use super::error::{LineError, LoadError};
use super::open;
use super::options::OnError;
use super::rows::{Batch, ChunkParser, Division, Labels, Reading};
use super::source::{CHUNK_BYTES, Source};

/// Rows of an input.
pub struct RawRows {
    source: Source,
    parser: Arc<dyn ChunkParser>,
    batch: Batch,
    /// Lines before the batch.
    lines_before: u64,
    /// The next row of the batch.
    next: usize,
    failed: bool,
}

/// A row as its file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawRow<'a> {
    /// 0 or 1, if the row has a label.
    pub label: Option<f32>,
    /// Keys and values, in any order; values of equal keys add up.
    pub features: &'a [(u32, f32)],
}

impl RawRows {
    /// Opens an input whose rows are of `schema`, with keys below 2^`hash_bits`.
    ///
    /// # Errors
    /// The input cannot be read, or lacks a column.
    pub fn open(input: Input, schema: &Schema, hash_bits: u8) -> Result<Self, LoadError> {
        let mut source = Source::new(input, CHUNK_BYTES)?;
        let parser = open(&mut source, schema, hash_bits, Labels::Optional)?;
        Ok(Self { source, parser, batch: Batch::default(), lines_before: 0, next: 0, failed: false })
    }

    /// The next row; `None` at the end. Blank lines are no rows.
    ///
    /// # Errors
    /// [`LoadError::Line`] for a malformed line, after the rows before it. There are no rows after an error.
    pub fn next_row(&mut self) -> Result<Option<RawRow<'_>>, LoadError> {
        let reading = Reading { division: Division::All(Side::Train), on_error: OnError::Fail };
        while self.next == self.batch.rows[Side::Train as usize].len() && !self.failed {
            // The batch ends at its first fault.
            if let Some((line, fault)) = self.batch.faults.pop() {
                self.failed = true;
                let error = LineError::new(self.source.input().name(), self.lines_before + line + 1, fault);
                return Err(LoadError::Line(Box::new(error)));
            }
            let chunk = self.source.next(&*self.parser).inspect_err(|_| self.failed = true)?;
            let Some(chunk) = chunk else { break };
            self.batch = self.parser.parse(&chunk.text, reading);
            (self.lines_before, self.next) = (chunk.lines_before, 0);
        }
        let row = self.batch.rows[Side::Train as usize].iter(self.next..self.next + 1).next();
        self.next += usize::from(row.is_some());
        Ok(row.map(|(label, features)| RawRow { label: label.value(), features }))
    }
}

impl std::fmt::Debug for RawRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawRows").field("source", &self.source).finish_non_exhaustive()
    }
}

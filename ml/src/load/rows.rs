//! From the text of a chunk to rows, for every format alike.
//!
//! A format says where a record ends and what one record means ([`RowParser`]); everything else is here, once: the
//! walk over the records, the choice between training and test, statistics, and what becomes of malformed records.
//! The walk is compiled for each format, the call into it ([`ChunkParser`]) is dynamic, once a chunk. A chunk's rows
//! are a function of its text alone, so chunks can be parsed on any thread in any order.

use std::ops::Range;

use cirrus_runtime::dataset::Side;

use super::error::Fault;
use super::hash::{Purpose, hash, salt};
use super::statistics::ColumnTally;

/// How many malformed lines are described; all are counted.
pub(super) const DESCRIBED_LINES: usize = 10;

/// A row's label, as it was spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// 0, negative.
    Zero,
    /// -1, negative.
    MinusOne,
    /// 1, positive.
    One,
    /// Rows to predict need none.
    Missing,
}

impl Label {
    /// The label that a text spells: 0, 1 or -1, in any spelling of these numbers.
    #[inline]
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"0" => return Some(Self::Zero),
            b"1" | b"+1" => return Some(Self::One),
            b"-1" => return Some(Self::MinusOne),
            _ => {}
        }
        let value = super::number::finite(text)?;
        [(0.0, Self::Zero), (1.0, Self::One), (-1.0, Self::MinusOne)]
            .into_iter()
            .find_map(|(number, label)| (value == number).then_some(label))
    }

    /// 1 or 0; `None` when it is missing.
    pub(super) fn value(self) -> Option<f32> {
        match self {
            Self::Zero | Self::MinusOne => Some(0.0),
            Self::One => Some(1.0),
            Self::Missing => None,
        }
    }
}

/// Whether rows need a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// Rows to learn from do.
    Required,
    /// Rows to predict do not.
    Optional,
}

/// How rows are divided between the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// All to one.
    All(Side),
    /// By a hash of the record's bytes: equal records stay together, wherever they stand.
    ByHash {
        /// The hash's seed.
        seed: u64,
        /// How many of a hundred rows are test rows.
        percent: u8,
    },
}

impl Division {
    /// By a hash that differs with `seed`.
    pub(super) fn by_hash(percent: u8, seed: u64) -> Self {
        Self::ByHash { seed: salt(Purpose::Split, "") ^ seed, percent }
    }

    #[inline]
    fn side(self, record: &[u8]) -> Side {
        match self {
            Self::All(side) => side,
            Self::ByHash { seed, percent } => {
                let of_a_hundred = ((hash(seed, record) >> 32) * 100) >> 32;
                if of_a_hundred < u64::from(percent) { Side::Test } else { Side::Train }
            }
        }
    }
}

/// What becomes of a malformed line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It ends the load.
    #[default]
    Fail,
    /// It is left out and counted; the first ten are reported.
    Skip,
}

/// How to read the records of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Where rows go.
    pub(super) division: Division,
    /// What becomes of malformed lines.
    pub(super) on_error: OnError,
}

/// Rows, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Rows {
    features: Vec<(u32, f32)>,
    ends: Vec<usize>,
    labels: Vec<Label>,
}

impl Rows {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// How many features rows have together.
    pub(super) fn features_of(&self, rows: Range<usize>) -> usize {
        self.start(rows.end) - self.start(rows.start)
    }

    /// Rows by position: label, and features in any order, with repeated keys where hashes collide.
    pub(super) fn iter(&self, rows: Range<usize>) -> impl Iterator<Item = (Label, &[(u32, f32)])> {
        let mut start = self.start(rows.start);
        let ends = self.ends.get(rows.clone()).unwrap_or_default();
        let labels = self.labels.get(rows).unwrap_or_default();
        labels.iter().zip(ends).map(move |(label, end)| {
            let features = self.features.get(start..*end).unwrap_or_default();
            start = *end;
            (*label, features)
        })
    }

    /// Rows of so many features, which are not there.
    #[cfg(test)]
    pub(super) fn of_lengths(lengths: &[usize]) -> Self {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        Self { features: Vec::new(), ends: ends.collect(), labels: vec![Label::One; lengths.len()] }
    }

    /// Where the features of row `row` start, which is where those of the row before end.
    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default()
    }
}

/// Where a format puts what it finds in one record.
#[derive(Debug)]
pub(super) struct RowParts<'a> {
    /// Features of this and earlier rows.
    pub(super) features: &'a mut Vec<(u32, f32)>,
    /// Numbers for the statistics: column and value.
    pub(super) numbers: &'a mut Vec<(usize, f32)>,
    /// Columns without a value, for the statistics.
    pub(super) missing: &'a mut Vec<usize>,
}

/// What a format has to say.
pub(super) trait RowParser: Send + Sync + 'static {
    /// What it keeps from record to record of one chunk, mostly buffers.
    type Scratch: Default;

    /// Where the record that starts at `from` ends: the position of its line feed, or the end of `text`.
    #[inline]
    fn record_end(&self, text: &[u8], from: usize, _scratch: &mut Self::Scratch) -> usize {
        memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |length| from + length)
    }

    /// Where the last record of `text` that surely ends does: behind its line feed.
    fn last_record_end(&self, text: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', text).map(|position| position + 1)
    }

    /// Reads one record, without its line end. `None` where there is no row (a blank line).
    fn parse_row(
        &self,
        record: &[u8],
        row: &mut RowParts<'_>,
        scratch: &mut Self::Scratch,
    ) -> Result<Option<Label>, Fault>;

    /// The columns that statistics are kept of, with whether they are numeric.
    fn columns(&self) -> Vec<(String, bool)>;
}

/// A [`RowParser`], one call a chunk.
pub(super) trait ChunkParser: Send + Sync {
    /// Reads all records of `text`.
    fn parse(&self, text: &[u8], reading: Reading) -> Batch;
    /// As [`RowParser::last_record_end`].
    fn last_record_end(&self, text: &[u8]) -> Option<usize>;
    /// As [`RowParser::columns`].
    fn columns(&self) -> Vec<(String, bool)>;
}

/// What one chunk holds. Lines count from 0 at its start.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Its rows by side, in the order of [`Side`].
    pub(super) rows: [Rows; 2],
    /// Malformed records; with [`OnError::Fail`], reading ended at the first.
    pub(super) malformed: u64,
    /// The first of them, with their lines.
    pub(super) faults: Vec<(u64, Fault)>,
    /// The first line with each [`Label`], in the order of that type.
    pub(super) labels: [Option<u64>; 4],
    /// Statistics of the training rows.
    pub(super) columns: Vec<ColumnTally>,
}

impl<P: RowParser> ChunkParser for P {
    fn parse(&self, text: &[u8], reading: Reading) -> Batch {
        let columns =
            RowParser::columns(self).iter().map(|(_, numeric)| ColumnTally::new(*numeric)).collect();
        let mut batch = Batch { columns, ..Batch::default() };
        let mut scratch = P::Scratch::default();
        let (mut numbers, mut missing) = (Vec::new(), Vec::new());
        let mut lines = LineCounter { text, position: 0, lines: 0 };
        let mut from = 0;
        while from < text.len() {
            let end = self.record_end(text, from, &mut scratch);
            let record = text.get(from..end).unwrap_or_default();
            let record = record.strip_suffix(b"\r").unwrap_or(record);
            let side = reading.division.side(record);
            let rows = &mut batch.rows[side as usize];
            let before = rows.features.len();
            numbers.clear();
            missing.clear();
            let mut row =
                RowParts { features: &mut rows.features, numbers: &mut numbers, missing: &mut missing };
            match self.parse_row(record, &mut row, &mut scratch) {
                Ok(Some(label)) => {
                    rows.ends.push(rows.features.len());
                    rows.labels.push(label);
                    if batch.labels[label as usize].is_none() {
                        batch.labels[label as usize] = Some(lines.before(from));
                    }
                    if side == Side::Train {
                        tally(&mut batch.columns, &numbers, &missing);
                    }
                }
                Ok(None) => {}
                Err(fault) => {
                    rows.features.truncate(before);
                    batch.malformed += 1;
                    if batch.faults.len() < DESCRIBED_LINES {
                        batch.faults.push(located(lines.before(from), record, fault));
                    }
                    if reading.on_error == OnError::Fail {
                        return batch;
                    }
                }
            }
            from = end + 1;
        }
        batch
    }

    fn last_record_end(&self, text: &[u8]) -> Option<usize> {
        RowParser::last_record_end(self, text)
    }

    fn columns(&self) -> Vec<(String, bool)> {
        RowParser::columns(self)
    }
}

/// Adds a training row to the statistics.
#[inline]
fn tally(columns: &mut [ColumnTally], numbers: &[(usize, f32)], missing: &[usize]) {
    for (column, value) in numbers {
        if let Some(column) = columns.get_mut(*column) {
            column.add(*value);
        }
    }
    for column in missing {
        if let Some(column) = columns.get_mut(*column) {
            column.missing += 1;
        }
    }
}

/// The line and column of a fault in `record`, which starts in line `line` and may span several.
#[cold]
fn located(line: u64, record: &[u8], fault: Fault) -> (u64, Fault) {
    let before = record.get(..fault.offset).unwrap_or(record);
    let inner = memchr::memchr_iter(b'\n', before).count() as u64;
    let start = memchr::memrchr(b'\n', before).map_or(0, |position| position + 1);
    (line + inner, Fault { offset: fault.offset - start, ..fault })
}

/// Counts lines only where somebody asks.
struct LineCounter<'a> {
    text: &'a [u8],
    position: usize,
    lines: u64,
}

impl LineCounter<'_> {
    /// Line feeds before `position`, which never goes back.
    fn before(&mut self, position: usize) -> u64 {
        let passed = self.text.get(self.position..position).unwrap_or_default();
        self.lines += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.position = position;
        self.lines
    }
}

//! LIBSVM: `label index:value index:value ... # comment`, one row a line.
//!
//! Indices are ids that somebody has chosen: 1-based, at most 2^b, never hashed again; the key of an index is
//! index - 1. They may come in any order. An index that occurs twice in a row is refused: the format has no meaning
//! for it, and readers elsewhere disagree (last one wins, or the sum). A value of 0 is what absent features have
//! anyway and is not stored. Fields are set apart by any number of spaces or tabs. `qid:` (ranking) is refused.

use std::sync::Arc;

use cirrus_protocol::manifest::Schema;

use super::error::{Fault, LoadError};
use super::hash::first_word;
use super::number::{digits_value, finite, leading_digits, leading_integer};
use super::options::LoadOptions;
use super::rows::{Label, Labels, RowParser, RowParts};
use super::{Head, Loader, Opened};

/// The format.
pub(super) struct Libsvm;

impl Loader for Libsvm {
    fn name(&self) -> &'static str {
        "libsvm"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["libsvm", "svm", "svmlight"]
    }

    fn looks_like(&self, head: &[u8]) -> bool {
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let Some(line) = lines.find(|line| !line.is_empty() && !line.starts_with(b"#")) else { return false };
        let mut fields = line.split(|byte| is_space(*byte)).filter(|field| !field.is_empty());
        let label = fields.next().and_then(finite);
        let colon = fields.next().and_then(|field| field.get(leading_integer(field)?.1));
        label.is_some() && colon == Some(&b':')
    }

    fn schema(&self, _head: &Head<'_>, options: &LoadOptions) -> Result<Schema, LoadError> {
        options.columns.refuse_all("LIBSVM files")?;
        Ok(Schema::Libsvm)
    }

    fn open(
        &self,
        schema: &Schema,
        _head: &Head<'_>,
        hash_bits: u8,
        labels: Labels,
    ) -> Option<Result<Opened, LoadError>> {
        let Schema::Libsvm = schema else { return None };
        Some(Ok(Opened { parser: Arc::new(LibsvmParser { hash_bits, labels }), header_bytes: 0 }))
    }
}

struct LibsvmParser {
    hash_bits: u8,
    labels: Labels,
}

impl RowParser for LibsvmParser {
    type Scratch = ();

    #[inline]
    fn parse_row(&self, record: &[u8], row: &mut RowParts<'_>, (): &mut ()) -> Result<Option<Label>, Fault> {
        let mut at = space(record);
        let Some((label, length)) = self.label(record, at)? else { return Ok(None) };
        at += length;
        let index_max = 1_u64 << self.hash_bits;
        let first = row.features.len();
        let (mut before, mut rising, mut zeros) = (0, true, false);
        loop {
            let rest = record.get(at..).unwrap_or_default();
            let rest = rest.get(space(rest)..).unwrap_or_default();
            at = record.len() - rest.len();
            if matches!(rest, [] | [b'#', ..]) {
                break;
            }
            let word = first_word(rest);
            let (index, digits) = match leading_digits(word) {
                0 | 8 => leading_integer(rest).unwrap_or((0, 0)),
                digits => (u64::from(digits_value(word, digits)), digits),
            };
            let Some((b':', after)) = rest.get(digits..).and_then(<[u8]>::split_first) else {
                return Err(not_a_feature(record, at, digits));
            };
            if index == 0 || index > index_max {
                return Err(self.bad_index(record, at, digits));
            }
            let (value, length) = match after {
                [b'1'] | [b'1', b' ', ..] => (1.0, 1),
                _ => value(after).ok_or_else(|| bad_value(record, at + digits + 1))?,
            };
            row.features.push(((index - 1) as u32, value));
            rising &= index > before;
            zeros |= value == 0.0;
            before = index;
            at += digits + 1 + length;
        }
        if !rising {
            check_unique(record, row.features.get_mut(first..).unwrap_or_default())?;
        }
        if zeros {
            drop_zeros(row.features, first);
        }
        Ok(Some(label))
    }

    fn columns(&self) -> Vec<(String, bool)> {
        Vec::new()
    }
}

impl LibsvmParser {
    /// The label at `at` and its length; `None` when there is no row.
    #[inline]
    fn label(&self, record: &[u8], at: usize) -> Result<Option<(Label, usize)>, Fault> {
        let text = token(record, at);
        if matches!(text, [] | [b'#', ..]) {
            return Ok(None);
        }
        match Label::parse(text) {
            Some(label) => Ok(Some((label, text.len()))),
            None if self.labels == Labels::Optional && text.contains(&b':') => Ok(Some((Label::Missing, 0))),
            None => Err(Fault::at(at, text, "a label, 0 or 1 (or -1 or 1)")),
        }
    }

    #[cold]
    fn bad_index(&self, record: &[u8], at: usize, digits: usize) -> Fault {
        let index = record.get(at..at + digits).unwrap_or_default();
        let bits = self.hash_bits;
        let expected = if index.iter().all(|digit| *digit == b'0') {
            "an index of 1 or more (indices are 1-based)".to_owned()
        } else {
            format!("an index of at most 2^{bits} = {} (or more hash bits)", 1_u64 << bits)
        };
        Fault::at(at, index, expected)
    }
}

/// Whether a byte sets fields apart.
#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\x0B' | b'\x0C')
}

/// How many bytes at the start of `text` are space.
#[inline]
fn space(text: &[u8]) -> usize {
    match text {
        [] => 0,
        [b' ', next, ..] if !is_space(*next) => 1,
        _ => text.iter().take_while(|byte| is_space(**byte)).count(),
    }
}

/// What stands at `at` up to the next space.
#[inline]
fn token(record: &[u8], at: usize) -> &[u8] {
    let rest = record.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| is_space(*byte)).unwrap_or(rest.len());
    &rest[..length]
}

/// The value at the start of `text` and its length.
#[inline]
fn value(text: &[u8]) -> Option<(f32, usize)> {
    let text = token(text, 0);
    Some((finite(text)?, text.len()))
}

/// Drops the features from position `first` on whose value is 0.
fn drop_zeros(features: &mut Vec<(u32, f32)>, first: usize) {
    let mut kept = first;
    for position in first..features.len() {
        if features[position].1 != 0.0 {
            features.swap(kept, position);
            kept += 1;
        }
    }
    features.truncate(kept);
}

/// Refuses an index that occurs twice in a row; its features become sorted.
fn check_unique(record: &[u8], features: &mut [(u32, f32)]) -> Result<(), Fault> {
    features.sort_unstable_by_key(|feature| feature.0);
    let Some(twice) = features.windows(2).find(|pair| pair[0].0 == pair[1].0) else { return Ok(()) };
    let index = u64::from(twice[0].0) + 1;
    let mut starts = (1..record.len()).filter(|at| {
        let here = token(record, *at);
        is_space(record[*at - 1]) && leading_integer(here).is_some_and(|(found, _)| found == index)
    });
    // A row of `predict` may start with its first feature; then that is the first occurrence.
    let first =
        if token(record, 0).contains(&b':') && leading_integer(record).is_some_and(|(i, _)| i == index) {
            Some(0)
        } else {
            starts.next()
        };
    let at = starts.next().or(first).unwrap_or(0);
    Err(Fault::at(at, token(record, at), "each index once in a row"))
}

#[cold]
fn not_a_feature(record: &[u8], at: usize, digits: usize) -> Fault {
    let found = token(record, at);
    if found.starts_with(b"qid:") {
        return Fault::at(at, found, "index:value (ranking groups are not supported; remove `qid:`)");
    }
    Fault::at(
        at,
        found,
        if digits == 0 { "index:value" } else { "a colon behind the index, as in index:value" },
    )
}

#[cold]
fn bad_value(record: &[u8], at: usize) -> Fault {
    Fault::at(at, token(record, at), "a finite number as the value")
}

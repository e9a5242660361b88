//! CSV: rows of fields, each column with a role; the first line names the columns.
//!
//! | role | becomes |
//! |---|---|
//! | label | 0 or 1 (-1 counts as 0) |
//! | categorical | value 1 at the key of the text's hash under the column's salt; an empty field is a category, too |
//! | numeric | the number at the key of the column's name; an empty field: value 1 at a key that says so |
//! | ignored | nothing |
//! | pair of columns | value 1 at the key of both texts together |
//!
//! Texts are compared byte by byte: spaces count, and so does the spelling of numbers in categorical columns. A
//! number 0 is what absent features have and is not stored. Quoting is that of RFC 4180 ([`record`]). Columns are
//! found by name ([`roles`]), so a file to predict may have them in another order, and others besides.

mod record;
mod roles;

use std::sync::Arc;

use cirrus_protocol::manifest::Schema;

use super::error::{Fault, LoadError, shown};
use super::hash::{hash, key, pair};
use super::number::finite;
use super::options::LoadOptions;
use super::rows::{Label, Labels, RowParser, RowParts};
use super::{Head, Loader, Opened};
use record::{Records, field, last_end};
use roles::{Layout, Role};

/// The format.
pub(super) struct Csv;

impl Loader for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "tsv"]
    }

    fn looks_like(&self, head: &[u8]) -> bool {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.iter().any(|byte| matches!(byte, b',' | b'\t'))
    }

    fn schema(&self, head: &Head<'_>, options: &LoadOptions) -> Result<Schema, LoadError> {
        roles::schema(head, &options.columns).map(Schema::Csv)
    }

    fn open(
        &self,
        schema: &Schema,
        head: &Head<'_>,
        hash_bits: u8,
        labels: Labels,
    ) -> Option<Result<Opened, LoadError>> {
        let Schema::Csv(schema) = schema else { return None };
        Some(Layout::new(schema, head, hash_bits, labels).map(|layout| Opened {
            header_bytes: layout.header_bytes,
            parser: Arc::new(CsvParser { layout, hash_bits, labels }),
        }))
    }
}

struct CsvParser {
    layout: Layout,
    hash_bits: u8,
    labels: Labels,
}

/// What is kept within a chunk.
#[derive(Debug, Default)]
struct Scratch {
    records: Records,
    /// Hashes of the values that pairs use.
    hashes: Vec<u64>,
}

impl RowParser for CsvParser {
    type Scratch = Scratch;

    #[inline]
    fn record_end(&self, text: &[u8], from: usize, scratch: &mut Scratch) -> usize {
        scratch.records.end(text, from, self.layout.delimiter)
    }

    fn last_record_end(&self, text: &[u8]) -> Option<usize> {
        last_end(text, self.layout.delimiter)
    }

    #[inline]
    fn parse_row(
        &self,
        record: &[u8],
        row: &mut RowParts<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<Label>, Fault> {
        if record.is_empty() {
            return Ok(None);
        }
        scratch.hashes.resize(self.layout.slots, 0);
        let mut label = Label::Missing;
        let mut next = Some(0);
        for (index, plan) in self.layout.fields.iter().enumerate() {
            let Some(at) = next else { return Err(self.wrong_count(record, index)) };
            let (value, after) = field(record, at, self.layout.delimiter)?;
            let value = &*value;
            next = after;
            match plan.role {
                Role::Unused => {}
                Role::Label => label = self.label(value, at)?,
                Role::Category => {
                    let hash = hash(plan.salt, value);
                    row.features.push((key(hash, self.hash_bits), 1.0));
                    if value.is_empty() {
                        row.missing.push(plan.column);
                    }
                    if let Some(slot) = plan.slot {
                        scratch.hashes[slot] = hash;
                    }
                    continue;
                }
                Role::Number { present, missing } => {
                    if value.is_empty() {
                        row.features.push((missing, 1.0));
                        row.missing.push(plan.column);
                    } else {
                        let number = finite(value).ok_or_else(|| self.bad_number(index, value, at))?;
                        row.numbers.push((plan.column, number));
                        if number != 0.0 {
                            row.features.push((present, number));
                        }
                    }
                }
            }
            if let Some(slot) = plan.slot {
                scratch.hashes[slot] = hash(plan.salt, value);
            }
        }
        if next.is_some() {
            return Err(self.wrong_count(record, self.layout.fields.len()));
        }
        for (first, second) in &self.layout.pairs {
            let hash = pair(scratch.hashes[*first], scratch.hashes[*second]);
            row.features.push((key(hash, self.hash_bits), 1.0));
        }
        Ok(Some(label))
    }

    fn columns(&self) -> Vec<(String, bool)> {
        self.layout.columns.clone()
    }
}

impl CsvParser {
    #[inline]
    fn label(&self, value: &[u8], at: usize) -> Result<Label, Fault> {
        match Label::parse(value) {
            Some(label) => Ok(label),
            None if self.labels == Labels::Optional && value.is_empty() => Ok(Label::Missing),
            None => Err(Fault::at(at, value, "a label, 0 or 1 (or -1 or 1)")),
        }
    }

    #[cold]
    fn bad_number(&self, index: usize, value: &[u8], at: usize) -> Fault {
        let name = shown(self.layout.names.get(index).map_or(&b""[..], |name| name.as_bytes()));
        Fault::at(at, value, format!("a finite number or nothing in the numeric column {name}"))
    }

    /// The record has another number of fields than the file; it is sound up to field `sound`.
    #[cold]
    fn wrong_count(&self, record: &[u8], sound: usize) -> Fault {
        let mut count = 0;
        let mut next = Some(0);
        let mut offset = record.len();
        while let Some(at) = next {
            if count == sound {
                offset = at;
            }
            count += 1;
            next = match field(record, at, self.layout.delimiter) {
                Ok((_, next)) => next,
                Err(fault) => return fault,
            };
        }
        let fields = self.layout.fields.len();
        let source = if self.layout.header_bytes > 0 { "the header" } else { "the first line" };
        let plural = if count == 1 { "" } else { "s" };
        Fault {
            offset,
            found: format!("{count} field{plural}"),
            expected: format!("{fields} fields, as in {source}").into(),
        }
    }
}

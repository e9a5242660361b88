//! What a user can say about a load. What would have no effect is refused by name, where it becomes known.

use cirrus_protocol::partition::{BLOCK_ROWS, MAX_BLOCK_ROWS, MAX_HASH_BITS};

use super::error::{LoadError, listed};
pub use super::rows::OnError;

/// The most bytes that a partition is asked to have.
const MAX_PARTITION_BYTES: u64 = 1 << 30;

/// How to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The format's name; `None` recognises it by the file's name and first bytes.
    pub format: Option<String>,
    /// Keys are below 2^`hash_bits`.
    pub hash_bits: u8,
    /// What becomes of malformed lines.
    pub on_error: OnError,
    /// A partition is closed once it has so many bytes.
    pub partition_bytes: u64,
    /// Rows of a block.
    pub block_rows: u32,
    /// Where the test rows come from.
    pub test: TestSplit,
    /// The columns' roles, for formats that have columns.
    pub columns: ColumnOptions,
    /// Replace the dataset at the target, once the new one is whole.
    pub overwrite: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            format: None,
            hash_bits: 20,
            on_error: OnError::Fail,
            partition_bytes: 10_000_000,
            block_rows: BLOCK_ROWS,
            test: TestSplit::RowHash { percent: 10, seed: 0 },
            columns: ColumnOptions::default(),
            overwrite: false,
        }
    }
}

/// Where the test rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestSplit {
    /// All rows of this file (a path or URL), of the same format; the source's own rows are all training rows.
    File(String),
    /// Rows of the source, chosen by a hash of the line's bytes: equal lines are on the same side, and a row's side
    /// does not depend on where it stands.
    RowHash {
        /// How many of a hundred rows, 0 to 99.
        percent: u8,
        /// Another seed chooses other rows.
        seed: u64,
    },
}

/// The roles of named columns. A column that is named nowhere is categorical, but only if `categorical` is empty:
/// who lists categories lists all columns, so that none is left out by oversight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    /// The column to predict; `label` unless given.
    pub label: Option<String>,
    /// Columns whose text is a category.
    pub categorical: Vec<String>,
    /// Columns whose number is a value.
    pub numeric: Vec<String>,
    /// Columns that are no features by themselves; pairs may use them.
    pub ignored: Vec<String>,
    /// Pairs of columns whose combined text is a category of its own.
    pub pairs: Vec<[String; 2]>,
    /// Between fields; unless given, a tab in `.tsv` files and a comma in others.
    pub delimiter: Option<char>,
    /// Whether the first line names the columns (else they are `1`, `2`, ...); so it is unless given.
    pub header: Option<bool>,
}

impl ColumnOptions {
    /// Refuses whatever is set, for a format without named columns.
    pub(super) fn refuse_all(&self, on: &'static str) -> Result<(), LoadError> {
        let set = [
            ("label", self.label.is_some()),
            ("categorical", !self.categorical.is_empty()),
            ("numeric", !self.numeric.is_empty()),
            ("ignored", !self.ignored.is_empty()),
            ("pairs", !self.pairs.is_empty()),
            ("delimiter", self.delimiter.is_some()),
            ("header", self.header.is_some()),
        ];
        match set.into_iter().find(|(_, set)| *set) {
            Some((option, _)) => Err(LoadError::Ineffective { option, on }),
            None => Ok(()),
        }
    }
}

impl LoadOptions {
    /// Refuses values out of range; those that depend on the format are checked with the file at hand.
    pub(super) fn check(&self, formats: &[&'static str]) -> Result<(), LoadError> {
        if let Some(name) = self.format.as_deref().filter(|name| !formats.contains(name)) {
            let expected = listed(formats.iter());
            return Err(LoadError::Option { option: "format", found: format!("`{name}`"), expected });
        }
        let percent = match self.test {
            TestSplit::RowHash { percent, .. } => u64::from(percent),
            TestSplit::File(_) => 0,
        };
        let ranges = [
            ("hash_bits", u64::from(self.hash_bits), 1, u64::from(MAX_HASH_BITS)),
            ("partition_bytes", self.partition_bytes, 1, MAX_PARTITION_BYTES),
            ("block_rows", u64::from(self.block_rows), 1, u64::from(MAX_BLOCK_ROWS)),
            ("test percent", percent, 0, 99),
        ];
        for (option, found, low, high) in ranges {
            if !(low..=high).contains(&found) {
                let expected = format!("{low} to {high}");
                return Err(LoadError::Option { option, found: found.to_string(), expected });
            }
        }
        Ok(())
    }
}

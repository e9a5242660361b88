//! Why a dataset could not be loaded: which file and line, what was there, what was expected, what to do.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use cirrus_protocol::error::FormatError;
use cirrus_runtime::object::{ObjectError, UrlError};
use cirrus_runtime::pool::JobPanicked;

/// At most so many bytes of the input are repeated in a message.
const SHOWN_BYTES: usize = 40;
/// At most so many column names are listed in a message.
const SHOWN_NAMES: usize = 40;

/// A load failed. Nothing was added to the target, and a dataset that was there before is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A line is malformed.
    #[error("{0}")]
    Line(Box<LineError>),
    /// The input cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The input.
        file: Arc<str>,
        /// The operating system's words.
        source: io::Error,
    },
    /// A place leads nowhere.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Compressed input ends too early.
    #[error("{file}: the {compression} data ends in the middle; fetch the file again")]
    Truncated {
        /// The input.
        file: Arc<str>,
        /// How it is compressed.
        compression: &'static str,
    },
    /// Compressed input cannot be decompressed.
    #[error("{file}: the {compression} data is damaged ({source}); fetch the file again")]
    Damaged {
        /// The input.
        file: Arc<str>,
        /// How it is compressed.
        compression: &'static str,
        /// The decompressor's words.
        source: io::Error,
    },
    /// The input has no bytes.
    #[error("{file}: the file is empty")]
    Empty {
        /// The input.
        file: Arc<str>,
    },
    /// There is nothing to learn from or, in a test file, to judge by.
    #[error("{file}: no {part} rows in {lines} lines ({skipped} malformed lines skipped){}", first.as_ref().map(|e| format!("; the first: {e}")).unwrap_or_default())]
    NoRows {
        /// The input.
        file: Arc<str>,
        /// `training` or `test`.
        part: &'static str,
        /// Lines read.
        lines: u64,
        /// Malformed lines.
        skipped: u64,
        /// The first malformed line.
        first: Option<Box<LineError>>,
    },
    /// Neither name nor first bytes tell the format.
    #[error("{file}: the format is not recognised; name it (known: {known})")]
    UnknownFormat {
        /// The input.
        file: Arc<str>,
        /// The formats there are.
        known: String,
    },
    /// A record does not end.
    #[error("{file}:{line}: no end of the record within {limit} bytes; is a quotation mark left open?")]
    RecordTooLong {
        /// The input.
        file: Arc<str>,
        /// Where the record starts.
        line: u64,
        /// The longest record that is read.
        limit: usize,
    },
    /// A column is not in the file.
    #[error("{file}: no column `{column}` (named as {role}); the columns are {columns}")]
    MissingColumn {
        /// The input.
        file: Arc<str>,
        /// The column's name.
        column: String,
        /// What it was named for.
        role: &'static str,
        /// The columns of the file.
        columns: String,
    },
    /// The columns or their roles do not fit together.
    #[error("{file}: {problem}")]
    Columns {
        /// The input.
        file: Arc<str>,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// One file uses both 0 and -1 as the label of negative rows, so it may have three classes.
    #[error("labels 0 ({zero}) and -1 ({minus_one}) occur together; label rows by 0 and 1 or by -1 and 1")]
    MixedLabels {
        /// File and line of the first label 0.
        zero: String,
        /// File and line of the first label -1.
        minus_one: String,
    },
    /// An option has a value that it cannot have.
    #[error("`{option}` is {found}, expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: String,
        /// Which values there are.
        expected: String,
    },
    /// An option would change nothing.
    #[error("`{option}` has no effect on {on}; leave it out")]
    Ineffective {
        /// The option's name.
        option: &'static str,
        /// The format or option that makes it so.
        on: &'static str,
    },
    /// The test file has the bytes of the training file.
    #[error("{test} and {train} are the same rows; a test of rows that were learnt from says nothing")]
    TestIsTrain {
        /// The training file.
        train: Arc<str>,
        /// The test file.
        test: Arc<str>,
    },
    /// There is a dataset at the target.
    #[error("{target} exists already; choose another place or ask for overwriting")]
    Exists {
        /// The manifest's full name.
        target: String,
    },
    /// The target cannot be read or written.
    #[error(transparent)]
    Storage(#[from] ObjectError),
    /// Rows cannot be written in the partition format.
    #[error("{file}: {source}")]
    Format {
        /// The input.
        file: Arc<str>,
        /// What the format says.
        source: FormatError,
    },
    /// A fault of this program.
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
}

/// What is wrong with one line of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: expected {expected}, found {found}")]
pub struct LineError {
    /// The input.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u64,
    /// Byte in the line, from 1.
    pub column: u64,
    /// What stands there, shortened and escaped.
    pub found: String,
    /// What should.
    pub expected: Cow<'static, str>,
}

impl LineError {
    /// A fault in line `line` of `file`.
    pub(super) fn new(file: &Arc<str>, line: u64, fault: Fault) -> Self {
        let Fault { offset, found, expected } = fault;
        Self { file: Arc::clone(file), line, column: offset as u64 + 1, found, expected }
    }
}

/// What is wrong with a record, seen from inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Byte in the record, from 0.
    pub(super) offset: usize,
    /// See [`LineError::found`].
    pub(super) found: String,
    /// See [`LineError::expected`].
    pub(super) expected: Cow<'static, str>,
}

impl Fault {
    /// At `offset` stands `found`.
    #[cold]
    pub(super) fn at(offset: usize, found: &[u8], expected: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, found: shown(found), expected: expected.into() }
    }
}

/// Bytes of the input as they may stand in a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let head = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if head.len() < bytes.len() { "..." } else { "" };
    // Quotation marks are what a CSV file is full of: shown as they are.
    let shown = head.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'");
    format!("`{shown}{more}`")
}

/// Names for a message.
pub(super) fn listed<T: fmt::Display>(names: impl ExactSizeIterator<Item = T>) -> String {
    let more = names.len().saturating_sub(SHOWN_NAMES);
    let mut text = names.take(SHOWN_NAMES).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

//! Loading: from text to a dataset of partitions and a manifest.
//!
//! A file is cut into chunks of whole lines (`source`), which are parsed on the threads of a work pool (`rows`), put
//! into blocks in the order of the file (`blocks`), encoded block by block on the same pool (`pipeline`), and
//! written as partitions with the manifest last (`target`). The result is the same bytes for any number of threads.
//!
//! | to read | file |
//! |---|---|
//! | LIBSVM | `libsvm.rs` |
//! | CSV | `csv.rs` |
//!
//! A new format is one more file that implements `Loader` and one more line in `FORMATS`. [`RawRows`] reads rows of a
//! file for prediction, by the schema that a dataset or a model remembers.

mod blocks;
mod compress;
mod csv;
mod error;
pub mod hash;
mod libsvm;
mod number;
mod options;
mod pipeline;
mod raw;
mod rows;
mod source;
mod statistics;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use cirrus_protocol::manifest::Schema;

pub use compress::Input;
pub use error::{LineError, LoadError};
pub use options::{ColumnOptions, LoadOptions, OnError, TestSplit};
pub use pipeline::{LoadReport, Progress, load};
pub use raw::{RawRow, RawRows};
pub use target::Target;

use error::{Fault, listed};
use rows::{ChunkParser, Labels};
use source::Source;

/// All formats. The first one that knows a file's name, else the first one that knows its content, reads it.
const FORMATS: [&dyn Loader; 2] = [&libsvm::Libsvm, &csv::Csv];

/// An input format.
trait Loader: Sync {
    /// Its name among the options.
    fn name(&self) -> &'static str;

    /// Endings of file names, in lower case, without a dot and without that of a compression.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether a text that starts with `head` may be of this format.
    fn looks_like(&self, head: &[u8]) -> bool;

    /// What a file and the user's options amount to: all that later files of the same kind need.
    fn schema(&self, head: &Head<'_>, options: &LoadOptions) -> Result<Schema, LoadError>;

    /// Prepares to read a file; `None` if the schema belongs to another format.
    fn open(
        &self,
        schema: &Schema,
        head: &Head<'_>,
        hash_bits: u8,
        labels: Labels,
    ) -> Option<Result<Opened, LoadError>>;
}

/// A file as it is seen before any row is read.
struct Head<'a> {
    file: &'a Arc<str>,
    /// The start of its text.
    text: &'a [u8],
    /// That is all of its text.
    whole: bool,
}

/// A file that is ready to be read.
struct Opened {
    parser: Arc<dyn ChunkParser>,
    /// Length of what stands before the first row.
    header_bytes: usize,
}

impl<'a> Head<'a> {
    fn new(source: &'a Source) -> Self {
        let (text, whole) = source.head();
        Self { file: source.input().name(), text, whole }
    }

    /// The ending of the file's name, in lower case, after that of a compression.
    fn extension(&self) -> Option<String> {
        let name = self.file.to_lowercase();
        let name =
            [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        Path::new(name).extension().and_then(|ending| ending.to_str()).map(str::to_owned)
    }

    /// A fault in the first line.
    fn line_error(&self, fault: Fault) -> LoadError {
        LoadError::Line(Box::new(LineError::new(self.file, 1, fault)))
    }
}

/// The format of a file that a user wants to load.
fn recognise(head: &Head<'_>, options: &LoadOptions) -> Result<&'static dyn Loader, LoadError> {
    let find = |accepts: &dyn Fn(&dyn Loader) -> bool| FORMATS.into_iter().find(|format| accepts(*format));
    let found = match &options.format {
        Some(name) => find(&|format| format.name() == name),
        None => {
            let extension = head.extension();
            let by_name = |format: &dyn Loader| {
                extension.as_deref().is_some_and(|ending| format.extensions().contains(&ending))
            };
            find(&by_name).or_else(|| find(&|format| format.looks_like(head.text)))
        }
    };
    found.ok_or_else(|| LoadError::UnknownFormat {
        file: Arc::clone(head.file),
        known: listed(FORMATS.iter().map(|format| format.name())),
    })
}

/// Prepares to read a file by its schema, behind its header.
fn open(
    source: &mut Source,
    schema: &Schema,
    hash_bits: u8,
    labels: Labels,
) -> Result<Arc<dyn ChunkParser>, LoadError> {
    let head = Head::new(source);
    let opened = FORMATS.into_iter().find_map(|format| format.open(schema, &head, hash_bits, labels));
    let unknown = || LoadError::UnknownFormat {
        file: Arc::clone(head.file),
        known: listed(FORMATS.iter().map(|format| format.name())),
    };
    let opened = opened.ok_or_else(unknown)??;
    source.skip(opened.header_bytes);
    Ok(opened.parser)
}

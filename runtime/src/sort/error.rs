//! Why records could not be generated, sorted or looked at.

use cirrus_protocol::error::FormatError;

use crate::object::{ObjectError, ObjectStore};
use crate::pool::JobPanicked;
use crate::zip::ZipError;

/// Why it ended without a result. What had been written is left to whoever has claimed the place: see
/// [`Target::undo`](super::output::Target::undo).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SortError {
    /// An object cannot be read or written.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The workers do not reach each other, or one of them is gone.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// Computing has failed, by a mistake in here.
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
    /// The manifest cannot be read or written.
    #[error("{file}: {source}")]
    Manifest {
        /// The manifest.
        file: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A file does not consist of whole records.
    #[error(
        "{file} has {bytes} bytes, which are no whole number of records of 100 bytes: {} bytes are left over at its end; \
         write or fetch it again",
        bytes % 100
    )]
    Truncated {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// A file is not as long as the manifest says.
    #[error("{file} has {found} bytes, {expected} are expected by the manifest; write or fetch it again")]
    Length {
        /// The file.
        file: String,
        /// Its length.
        found: u64,
        /// Its length by the manifest.
        expected: u64,
    },
    /// There is nothing to sort or to look at.
    #[error("{folder} holds no records; `cirrus sort generate` makes some")]
    NoInput {
        /// The folder.
        folder: String,
    },
    /// There are more records than can be numbered.
    #[error("{folder} holds {records} records, 2^48 at most can be sorted at once")]
    TooMany {
        /// The folder.
        folder: String,
        /// How many.
        records: u64,
    },
    /// Somebody writes there, or was killed when it did.
    #[error(
        "{claim} exists: something is being written there, or was cut short; if nothing runs any more, remove the folder"
    )]
    Claimed {
        /// The object that says so.
        claim: String,
    },
    /// There is something where the result was to be written.
    #[error("{folder} is not empty, it holds {holds}; name a folder that is empty or not there")]
    Occupied {
        /// The folder.
        folder: String,
        /// One of the things there.
        holds: String,
    },
    /// The workers of a sort are not those that it was planned for.
    #[error("{found} workers are there, {expected} were expected: {why}; start the sort again")]
    Workers {
        /// How many were planned for.
        expected: u32,
        /// How many there are.
        found: u32,
        /// What has happened.
        why: String,
    },
    /// Records have arrived that were not to, or have not arrived.
    #[error("{place}: {found} where {expected} was expected; start the sort again")]
    Wrong {
        /// What was looked at.
        place: String,
        /// What it should have been.
        expected: String,
        /// What it was.
        found: String,
    },
    /// The Redis server does not do what it is asked.
    #[error("Redis at {server}: {reason}")]
    Redis {
        /// Where, without a password.
        server: String,
        /// In the words of the server or of its client.
        reason: String,
    },
    /// A part of this program that was not built in.
    #[error("the exchange by Redis is not built in; build with the feature `redis`")]
    NotBuiltIn,
}

/// The folder of a store, for people.
pub(super) fn folder_of(store: &dyn ObjectStore) -> String {
    store.describe("").trim_end_matches('/').to_owned()
}

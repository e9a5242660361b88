//! Object storage: whole objects by name, written atomically, read whole or by range.
//!
//! The promise that everything above rests on: whoever reads an object sees all the bytes of one `put` or is told
//! that there is none, whatever crashes in between. What is built of several objects (a dataset) becomes whole
//! by writing its manifest last; that is left to the writer.
//!
//! | object store | file |
//! |---|---|
//! | a folder of this machine | [`local`] |
//! | a prefix of a bucket, with the feature `s3` | `s3` |
//! | wrappers that run out of space or answer late, for tests and measurements | [`faulty`] |
//!
//! [`url`] says which of them a URL leads to; [`reader`] reads one object as a stream.
//!
//! Calls are futures that run inside a tokio runtime; [`crate::io::IoThread`] lends one to callers that are not
//! async. What a store that is far away fails to answer it is asked again, a bounded number of times: see there.

pub mod faulty;
pub mod local;
pub mod reader;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod url;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;

pub use local::LocalFolder;
pub use url::{UrlError, local_path, open, open_object};

/// The answer to a call on an object store, to be awaited inside a tokio runtime.
pub type ObjectFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ObjectError>> + Send + 'a>>;

/// A place that keeps objects by key.
///
/// A key is a relative name with `/` between its parts; parts are not empty and do not start with a dot. Other keys
/// are refused with [`ObjectFault::BadName`].
pub trait ObjectStore: Send + Sync {
    /// The whole object.
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes>;

    /// Exactly the bytes of `range`; [`ObjectFault::Short`] when the object ends before it does.
    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes>;

    /// Stores an object, replacing an older one in one step. Durable when it answers.
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()>;

    /// As [`ObjectStore::put`], but [`ObjectFault::Exists`] when there is one already. Of several callers one wins.
    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()>;

    /// All objects whose key starts with `prefix`, ordered by key.
    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>>;

    /// Removes an object. One that is not there counts as removed.
    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()>;

    /// What is known of an object without reading it.
    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo>;

    /// Removes what puts that were cut short have left right below `folder` (a key without its last part; empty: at the
    /// top). There is nothing to do where no put leaves anything.
    fn remove_unfinished<'a>(&'a self, _folder: &'a str, _whose: Unfinished) -> ObjectFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The object's full name, for messages to people.
    fn describe(&self, key: &str) -> String;
}

/// Whose unfinished puts are to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Anybody's: the caller knows that nobody is putting anything there.
    Everybodys,
    /// Those that nobody can be putting any more: their writer is gone, or, where that cannot be told, they were begun
    /// a day ago.
    OfTheDead,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A call on an object store failed: which object, and what happened.
#[derive(Debug, thiserror::Error)]
#[error("{object}: {fault}")]
pub struct ObjectError {
    /// The object's full name.
    pub object: String,
    /// What happened.
    #[source]
    pub fault: ObjectFault,
}

/// What can happen to a call on an object store.
#[derive(Debug, thiserror::Error)]
pub enum ObjectFault {
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// There is one already, and it was not to be replaced.
    #[error("exists already")]
    Exists,
    /// There is no space left, or a quota is used up. Nothing was stored.
    #[error("no space left on the device; free some or choose another place")]
    Full,
    /// This process may not do that.
    #[error("permission denied")]
    Denied,
    /// The object ends before the bytes that were asked for.
    #[error("truncated: has {found} bytes, bytes {} to {} were asked for", asked.start, asked.end)]
    Short {
        /// The range asked for.
        asked: Range<u64>,
        /// The object's size.
        found: u64,
    },
    /// The key is not one.
    #[error("not an object name: parts between `/` must not be empty or start with a dot")]
    BadName,
    /// A storage that is far away did not do it: what it said, what was tried, and what to do.
    #[error("{0}")]
    Remote(String),
    /// Anything else, in the words of the storage.
    #[error("{0}")]
    Other(std::io::Error),
}

impl From<std::io::Error> for ObjectFault {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied,
            _ => Self::Other(error),
        }
    }
}

/// Refuses what is not a key.
fn check_key(key: &str) -> Result<(), ObjectFault> {
    let sound = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
    if key.split('/').all(sound) { Ok(()) } else { Err(ObjectFault::BadName) }
}

//! Object storage: whole objects by name, written atomically, read whole or by range.
//!
//! The promise that everything above rests on: whoever reads an object sees all the bytes of one `put` or is told
//! that there is none, whatever crashes in between. What is built of several objects (a dataset) becomes whole
//! by writing its manifest last; that is left to the writer.
//!
//! | object store | file |
//! |---|---|
//! | a folder of this machine | [`local`] |
//! | a wrapper that runs out of space, for tests | [`faulty`] |
//!
//! Calls are futures that run inside a tokio runtime; [`crate::io::IoThread`] lends one to callers that are not
//! async. Nothing is retried here.

pub mod faulty;
pub mod local;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

pub use local::LocalFolder;

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
    /// top), and nothing that somebody is still putting. There is nothing to do where no put leaves anything.
    fn remove_unfinished<'a>(&'a self, _folder: &'a str) -> ObjectFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The object's full name, for messages to people.
    fn describe(&self, key: &str) -> String;
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

/// A URL or path that leads to no object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is known to nobody here.
    #[error("{url}: {scheme}:// is not built in; use a plain path or file:///path")]
    Scheme {
        /// The URL as given.
        url: String,
        /// The part before `://`.
        scheme: String,
    },
    /// The URL cannot be read.
    #[error("{url}: {reason}")]
    Malformed {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Opens the folder that `url` names (a plain path or `file:///path`) as an object store. The folder need not exist.
///
/// # Errors
/// [`UrlError`] when the scheme is not built in or the URL is malformed.
pub fn open(url: &str) -> Result<Arc<dyn ObjectStore>, UrlError> {
    Ok(Arc::new(LocalFolder::new(local_path(url)?)))
}

/// Opens the single object that `url` names: the store of its folder, and its key in there.
///
/// # Errors
/// As [`open`]; also when the URL does not end in a name.
pub fn open_object(url: &str) -> Result<(Arc<dyn ObjectStore>, String), UrlError> {
    let (folder, name) = match url.rfind('/') {
        Some(slash) => url.split_at(slash + 1),
        None => ("./", url),
    };
    if check_key(name).is_err() {
        let reason = "does not end in the name of an object (not empty, no dot in front)";
        return Err(UrlError::Malformed { url: url.to_owned(), reason });
    }
    let key = if url.starts_with("file://") { percent_decoded(url, name)? } else { name.to_owned() };
    Ok((open(folder)?, key))
}

/// The local path behind a plain path or a `file://` URL.
fn local_path(url: &str) -> Result<String, UrlError> {
    let malformed = |reason| UrlError::Malformed { url: url.to_owned(), reason };
    if url.is_empty() {
        return Err(malformed("a path is expected"));
    }
    match url.split_once("://") {
        None => Ok(url.to_owned()),
        Some(("file", path)) if path.starts_with('/') => percent_decoded(url, path),
        Some(("file", _)) => Err(malformed("three slashes are expected after file:, no host name")),
        Some((scheme, _)) => Err(UrlError::Scheme { url: url.to_owned(), scheme: scheme.to_owned() }),
    }
}

/// `text` with `%XX` replaced by the byte it stands for.
fn percent_decoded(url: &str, text: &str) -> Result<String, UrlError> {
    let malformed = |reason| UrlError::Malformed { url: url.to_owned(), reason };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, tail) = match (first, after) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
                match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => (high * 16 + low, tail),
                    _ => return Err(malformed("two hexadecimal digits are expected after %")),
                }
            }
            (b'%', _) => return Err(malformed("two hexadecimal digits are expected after %")),
            (byte, tail) => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| malformed("is not UTF-8 once decoded"))
}

/// Refuses what is not a key.
fn check_key(key: &str) -> Result<(), ObjectFault> {
    let sound = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
    if key.split('/').all(sound) { Ok(()) } else { Err(ObjectFault::BadName) }
}

//! Which object store a URL leads to.
//!
//! | URL | leads to |
//! |---|---|
//! | a path, `file:///path` | a folder of this machine |
//! | `s3://bucket/prefix` | a prefix of a bucket, with the feature `s3` |

use std::sync::Arc;

use super::{LocalFolder, ObjectStore, check_key};

/// A URL or path that leads to no object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is known to nobody here.
    #[error("{url}: there is no {scheme}://; use a plain path, file:///path or s3://bucket/prefix")]
    Scheme {
        /// The URL as given.
        url: String,
        /// The part before `://`.
        scheme: String,
    },
    /// This program was built without what the scheme needs.
    #[error(
        "{url}: this program was built without the feature {feature}; build it with `--features {feature}`"
    )]
    NotBuiltIn {
        /// The URL as given.
        url: String,
        /// The feature that is missing.
        feature: &'static str,
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

/// Opens the folder that `url` names as an object store. Nothing needs to be there, and nobody is asked yet.
///
/// # Errors
/// [`UrlError`] when the scheme is not known or not built in, or the URL is malformed.
pub fn open(url: &str) -> Result<Arc<dyn ObjectStore>, UrlError> {
    match url.split_once("://") {
        Some(("s3", place)) => open_bucket(url, place),
        Some(_) | None => Ok(Arc::new(LocalFolder::new(path(url)?))),
    }
}

#[cfg(feature = "s3")]
fn open_bucket(url: &str, place: &str) -> Result<Arc<dyn ObjectStore>, UrlError> {
    let malformed = |reason| UrlError::Malformed { url: url.to_owned(), reason };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    if bucket.is_empty() {
        return Err(malformed("a bucket is expected, as in s3://bucket/prefix"));
    }
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !bucket.chars().all(in_name) {
        return Err(malformed("a bucket's name has letters, digits, dots and dashes only"));
    }
    if !prefix.is_empty() && check_key(prefix).is_err() {
        return Err(malformed("parts between `/` must not be empty or start with a dot"));
    }
    Ok(Arc::new(super::s3::S3Folder::new(bucket, prefix)))
}

#[cfg(not(feature = "s3"))]
fn open_bucket(url: &str, _place: &str) -> Result<Arc<dyn ObjectStore>, UrlError> {
    Err(UrlError::NotBuiltIn { url: url.to_owned(), feature: "s3" })
}

/// Opens the single object that `url` names: the store of its folder, and its key in there.
///
/// # Errors
/// As [`open`]; also when the URL does not end in a name.
pub fn open_object(url: &str) -> Result<(Arc<dyn ObjectStore>, String), UrlError> {
    let reason = "does not end in the name of an object (not empty, no dot in front)";
    let malformed = || UrlError::Malformed { url: url.to_owned(), reason };
    let (folder, name) = match url.rfind('/') {
        Some(slash) => url.split_at(slash + 1),
        None => ("./", url),
    };
    // In s3://bucket the bucket is no object.
    if check_key(name).is_err() || folder.ends_with("://") {
        return Err(malformed());
    }
    let key = if url.starts_with("file://") { percent_decoded(url, name)? } else { name.to_owned() };
    Ok((open(folder)?, key))
}

/// The path behind a plain path or a `file://` URL; `None` for what is not on this machine.
///
/// # Errors
/// As [`open`].
pub fn local_path(url: &str) -> Result<Option<String>, UrlError> {
    if url.starts_with("s3://") { Ok(None) } else { path(url).map(Some) }
}

/// The local path behind a plain path or a `file://` URL.
fn path(url: &str) -> Result<String, UrlError> {
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

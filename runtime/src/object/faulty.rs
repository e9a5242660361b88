//! Wrappers that misbehave: one runs out of space, so that what happens on a full disk can be tested anywhere; one
//! answers late, as storage does that is far away.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{ObjectError, ObjectFault, ObjectFuture, ObjectInfo, ObjectStore, Unfinished};

/// Passes everything on until `limit` bytes were written in all; the `put` that would exceed it, and every later one
/// with at least one byte, fails with [`ObjectFault::Full`] and stores nothing. Reads go on.
pub struct FailAfter {
    inner: Arc<dyn ObjectStore>,
    left: AtomicU64,
}

impl FailAfter {
    /// `inner` with room for `limit` bytes more.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, limit: u64) -> Self {
        Self { inner, left: AtomicU64::new(limit) }
    }

    /// Takes room for an object; what is left is lost once something did not fit, as on a device that is full.
    fn reserve(&self, key: &str, bytes: &Bytes) -> Result<(), ObjectError> {
        let length = bytes.len() as u64;
        let take = |left: u64| Some(left.saturating_sub(length));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(before) if before >= length => Ok(()),
            _ => Err(ObjectError { object: self.inner.describe(key), fault: ObjectFault::Full }),
        }
    }
}

impl ObjectStore for FailAfter {
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        self.inner.get(key)
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes> {
        self.inner.get_range(key, range)
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            self.reserve(key, &bytes)?;
            self.inner.put(key, bytes).await
        })
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            self.reserve(key, &bytes)?;
            self.inner.put_if_absent(key, bytes).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>> {
        self.inner.list(prefix)
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        self.inner.delete(key)
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo> {
        self.inner.head(key)
    }

    fn remove_unfinished<'a>(&'a self, folder: &'a str, whose: Unfinished) -> ObjectFuture<'a, ()> {
        self.inner.remove_unfinished(folder, whose)
    }

    fn describe(&self, key: &str) -> String {
        self.inner.describe(key)
    }
}

/// Passes everything on; each read of bytes begins `delay` later.
pub struct Late {
    inner: Arc<dyn ObjectStore>,
    delay: Duration,
}

impl Late {
    /// `inner`, further away by `delay`.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, delay: Duration) -> Self {
        Self { inner, delay }
    }
}

impl ObjectStore for Late {
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            self.inner.get(key).await
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            tokio::time::sleep(self.delay).await;
            self.inner.get_range(key, range).await
        })
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.inner.put(key, bytes)
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.inner.put_if_absent(key, bytes)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>> {
        self.inner.list(prefix)
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        self.inner.delete(key)
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo> {
        self.inner.head(key)
    }

    fn remove_unfinished<'a>(&'a self, folder: &'a str, whose: Unfinished) -> ObjectFuture<'a, ()> {
        self.inner.remove_unfinished(folder, whose)
    }

    fn describe(&self, key: &str) -> String {
        self.inner.describe(key)
    }
}

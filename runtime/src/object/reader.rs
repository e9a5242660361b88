//! One object as a stream of bytes, for callers that are not async: text to load, rows to predict.
//!
//! Ranges of it are fetched ahead, several on their way at once, so that the storage's latency is hidden as long as
//! the reader is slower than they come. Memory: as many ranges as are on their way.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{ObjectError, ObjectStore};
use crate::io::IoThread;

/// Bytes asked for at once.
const RANGE_BYTES: u64 = 1 << 20;
/// Ranges on their way, or waiting to be read.
const AHEAD: usize = 8;

/// An object that is being read.
pub struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    key: Arc<str>,
    io: Handle,
    /// What was not asked for yet.
    left: Range<u64>,
    coming: VecDeque<JoinHandle<Result<Bytes, ObjectError>>>,
    here: Bytes,
    bytes: u64,
}

impl ObjectReader {
    /// Opens an object; its storage is driven by `io`, which must live as long.
    ///
    /// # Errors
    /// When there is none, or the storage fails.
    pub fn open(store: Arc<dyn ObjectStore>, key: &str, io: &IoThread) -> Result<Self, ObjectError> {
        let bytes = io.block_on(store.head(key))?.bytes;
        Ok(Self {
            store,
            key: key.into(),
            io: io.handle().clone(),
            left: 0..bytes,
            coming: VecDeque::new(),
            here: Bytes::new(),
            bytes,
        })
    }

    /// The object's size.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes
    }

    fn fetch_ahead(&mut self) {
        while self.coming.len() < AHEAD && !self.left.is_empty() {
            let range = self.left.start..self.left.end.min(self.left.start + RANGE_BYTES);
            self.left.start = range.end;
            let (store, key) = (Arc::clone(&self.store), Arc::clone(&self.key));
            let fetch = async move { store.get_range(&key, range).await };
            self.coming.push_back(self.io.spawn(fetch));
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.here.is_empty() {
            self.fetch_ahead();
            let Some(next) = self.coming.pop_front() else { return Ok(0) };
            self.here = self.io.block_on(next).map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        let count = buffer.len().min(self.here.len());
        self.here.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.coming.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader")
            .field("object", &self.store.describe(&self.key))
            .finish_non_exhaustive()
    }
}

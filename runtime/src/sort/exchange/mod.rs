//! Ways to exchange records: each worker has some for each other, and gets what the others have for it.
//!
//! | exchange | file |
//! |---|---|
//! | a shuffle: from process to process | [`zip`] |
//! | by way of an object store, the others' to be read when all are written | [`store`] |
//! | by way of a Redis server, the same way | `redis`, with the feature `redis` |
//!
//! What a worker has for itself does not pass through any of them. All of them are called at the same time, by all
//! workers, once.

#[cfg(feature = "redis")]
pub mod redis;
pub mod store;
pub mod zip;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cirrus_protocol::records::RECORD_BYTES;
use serde::{Deserialize, Serialize};

use super::error::SortError;
use super::team::Team;
use crate::object::{self, ObjectFault};

/// Records by worker, in pieces of whole ones: of each other worker, or for each.
pub type Pieces = Vec<Vec<Bytes>>;

/// The answer of an exchange.
pub type Exchanging<'a> = Pin<Box<dyn Future<Output = Result<Pieces, SortError>> + Send + 'a>>;

/// A way to exchange records.
pub trait Exchange: Send + Sync {
    /// Gives each worker what is in its place, by rank, and answers with what each has for this one, by rank and in the order
    /// in which it was given. Counts the bytes that have found their way.
    ///
    /// # Errors
    /// Whatever is wrong with the way; `Workers`, if one of them is gone.
    fn exchange<'a>(&'a self, team: &'a Team, outgoing: Pieces, moved: &'a Moved) -> Exchanging<'a>;
}

/// How many bytes have been moved so far.
#[derive(Clone, Debug, Default)]
pub struct Moved(Arc<AtomicU64>);

impl Moved {
    /// So many more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which way, so that a worker process can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A shuffle.
    Zip,
    /// A Redis server, by its URL, and what its keys begin with.
    Redis {
        /// `redis://HOST:PORT`, with a password in it if it wants one.
        url: String,
        /// Nobody else has keys that begin so.
        prefix: String,
    },
    /// An object store, by its URL, that nobody else uses.
    Store {
        /// As for [`object::open`].
        url: String,
    },
}

impl Way {
    /// Takes it.
    ///
    /// # Errors
    /// `Object`, if the URL leads to no store; `Redis`, if it is no URL; `NotBuiltIn`.
    pub fn open(&self) -> Result<Box<dyn Exchange>, SortError> {
        match self {
            Self::Zip => Ok(Box::new(zip::ByZip)),
            Self::Store { url } => {
                let store = object::open(url).map_err(|error| object::ObjectError {
                    object: url.clone(),
                    fault: ObjectFault::Other(std::io::Error::other(error)),
                })?;
                Ok(Box::new(store::ByStore::new(store)))
            }
            #[cfg(feature = "redis")]
            Self::Redis { url, prefix } => Ok(Box::new(redis::ByRedis::new(url, prefix)?)),
            #[cfg(not(feature = "redis"))]
            Self::Redis { .. } => Err(SortError::NotBuiltIn),
        }
    }
}

/// That what was received consists of whole records.
fn whole(from: usize, pieces: &[Bytes]) -> Result<(), SortError> {
    match pieces.iter().find(|piece| piece.len() % RECORD_BYTES != 0) {
        None => Ok(()),
        Some(piece) => Err(SortError::Wrong {
            place: format!("records of worker {from}"),
            expected: format!("a multiple of {RECORD_BYTES} bytes"),
            found: format!("{} bytes", piece.len()),
        }),
    }
}

//! What a store keeps in object storage: its newest epoch, and its newest whole snapshots.
//!
//! A snapshot's name is its state, `snapshot-EPOCH-COUNT`, so that names sort by age. The newest that is whole
//! counts; one that is damaged is passed over with a warning for the one before it. Older ones than the last two
//! are removed after a newer one is durable.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::ids::{StoreEpoch, Version};
use cirrus_protocol::snapshot::Snapshot;
use cirrus_protocol::store::NAMES_MAX;

use crate::object::{ObjectError, ObjectFault, ObjectStore};

/// The object that holds the newest epoch, as decimal text.
const EPOCH: &str = "epoch";
/// What the names of snapshots start with.
const SNAPSHOT: &str = "snapshot-";
/// How many snapshots are kept.
const KEPT: usize = 2;

/// A store's folder in object storage.
#[derive(Clone)]
pub struct Disk {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The epoch on disk cannot be read, so that no new one can be chosen.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Object storage failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The epoch is not a number.
    #[error("{object}: {found:?} is not an epoch; remove the store's folder to start anew")]
    Epoch {
        /// The object's full name.
        object: String,
        /// What it holds.
        found: String,
    },
}

impl Disk {
    /// The store's objects start with `prefix`, for example `store/`.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: impl Into<String>) -> Self {
        Self { objects, prefix: prefix.into() }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The newest epoch and the newest whole snapshot.
    ///
    /// # Errors
    /// When storage fails, or the epoch is unreadable. A damaged snapshot is no error.
    pub async fn load(&self) -> Result<(Option<StoreEpoch>, Option<Snapshot>), DiskError> {
        let epoch = match self.objects.get(&self.key(EPOCH)).await {
            Ok(bytes) => Some(self.parse_epoch(&bytes)?),
            Err(error) if matches!(error.fault, ObjectFault::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        for key in self.snapshots().await?.into_iter().rev() {
            let bytes = self.objects.get(&key).await?;
            match Snapshot::parse(bytes, NAMES_MAX) {
                Ok(snapshot) => return Ok((epoch, Some(snapshot))),
                Err(error) => {
                    tracing::warn!("{}: {error}; going back to the one before", self.objects.describe(&key));
                }
            }
        }
        Ok((epoch, None))
    }

    fn parse_epoch(&self, bytes: &Bytes) -> Result<StoreEpoch, DiskError> {
        let text = String::from_utf8_lossy(bytes);
        text.trim().parse().map(StoreEpoch).map_err(|_| DiskError::Epoch {
            object: self.objects.describe(&self.key(EPOCH)),
            found: text.chars().take(40).collect(),
        })
    }

    /// The keys of all snapshots, oldest first.
    async fn snapshots(&self) -> Result<Vec<String>, ObjectError> {
        let found = self.objects.list(&self.key(SNAPSHOT)).await?;
        Ok(found.into_iter().map(|object| object.key).collect())
    }

    /// Puts an epoch on disk.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn write_epoch(&self, epoch: StoreEpoch) -> Result<(), ObjectError> {
        self.objects.put(&self.key(EPOCH), epoch.0.to_string().into()).await
    }

    /// Puts a snapshot on disk, and removes those that are no longer needed.
    ///
    /// # Errors
    /// When storage fails; earlier snapshots are still there.
    pub async fn write_snapshot(&self, version: Version, bytes: Bytes) -> Result<(), ObjectError> {
        let name = format!("{SNAPSHOT}{:010}-{:020}", version.epoch.0, version.count);
        self.objects.put(&self.key(&name), bytes).await?;
        let all = self.snapshots().await?;
        for old in all.iter().rev().skip(KEPT) {
            self.objects.delete(old).await?;
        }
        Ok(())
    }
}

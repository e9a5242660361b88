//! Objects below a prefix of a bucket, by the S3 protocol: Amazon's own, or any server that speaks it.
//!
//! | what | file |
//! |---|---|
//! | whom to ask, in whose name, how patiently | [`client`] |
//! | reads, by ranges, several at once | `read` |
//! | writes, large ones in parts, conditional ones decided once | `write` |
//! | what goes wrong, in words | `fault` |
//!
//! S3 keeps the promise of [`super`]: an object appears whole under its name, and of several conditional writers one
//! wins. What it does not promise is to answer. A request that is refused for now, cut or lost is sent again by the
//! client library, after pauses that grow, at most [`client::ATTEMPTS`] times and for as long as its budget for
//! repeats lasts, so that many workers do not beat a server that is down. A body that ends early is asked for again
//! here, as often. A write that may have been done when its answer was lost is told from another's by a mark that it
//! carries (`write`).

pub mod client;
mod fault;
mod read;
mod write;

use std::ops::Range;

use aws_sdk_s3::Client;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{ObjectError, ObjectFault, ObjectFuture, ObjectInfo, ObjectStore, Unfinished, check_key};
use client::{Connected, Settings};

/// A prefix of a bucket as an object store. Nobody is asked before the first call.
pub struct S3Folder {
    bucket: String,
    /// In front of all keys, without a `/` at its end; may be empty.
    prefix: String,
    settings: Settings,
    connected: OnceCell<Connected>,
}

impl S3Folder {
    /// Objects whose names begin with `prefix` (without a `/` at either end) and `/`; all of the bucket's if it is
    /// empty.
    #[must_use]
    pub fn new(bucket: &str, prefix: &str) -> Self {
        Self::with(bucket, prefix, Settings::default())
    }

    /// As [`S3Folder::new`], with settings that come before the environment's.
    #[must_use]
    pub fn with(bucket: &str, prefix: &str, settings: Settings) -> Self {
        Self { bucket: bucket.to_owned(), prefix: prefix.to_owned(), settings, connected: OnceCell::new() }
    }

    /// The object's name in the bucket.
    fn full(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    /// The key behind an object's name in the bucket, if it is one of ours.
    fn key_of<'a>(&self, full: &'a str) -> Option<&'a str> {
        let key = match self.prefix.as_str() {
            "" => full,
            prefix => full.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        // Markers of folders, and what other programs hide, are no objects of ours.
        check_key(key).is_ok().then_some(key)
    }

    async fn connected(&self) -> Result<&Connected, ObjectFault> {
        self.connected.get_or_try_init(|| client::connect(&self.bucket, &self.settings)).await
    }

    async fn client(&self) -> Result<&Client, ObjectFault> {
        Ok(&self.connected().await?.client)
    }

    /// Runs `work` on the object called `key`, whose full name goes with whatever is wrong.
    fn on<'a, T, F>(&'a self, key: &'a str, work: impl FnOnce(String) -> F + Send + 'a) -> ObjectFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = Result<T, ObjectFault>> + Send + 'a,
    {
        Box::pin(async move {
            let done = match check_key(key) {
                Ok(()) => work(self.full(key)).await,
                Err(fault) => Err(fault),
            };
            done.map_err(|fault| ObjectError { object: self.describe(key), fault })
        })
    }

    /// Makes the bucket, unless it is there.
    #[cfg(feature = "testing")]
    pub(super) async fn create_bucket(&self) -> Result<(), ObjectFault> {
        let connected = self.connected().await?;
        match connected.client.create_bucket().bucket(&self.bucket).send().await {
            Err(error) if fault::status(&error) != Some(409) => Err(connected.fault(error)),
            _ => Ok(()),
        }
    }

    /// How many uploads in parts of the bucket are neither complete nor given up.
    ///
    /// # Errors
    /// When the storage does not say.
    #[cfg(feature = "testing")]
    pub async fn uploads(&self) -> Result<usize, ObjectFault> {
        let connected = self.connected().await?;
        let listed = connected.client.list_multipart_uploads().bucket(&self.bucket).send().await;
        Ok(listed.map_err(|error| connected.fault(error))?.uploads().len())
    }

    async fn look(&self, full: &str) -> Result<u64, ObjectFault> {
        let connected = self.connected().await?;
        let found = connected.client.head_object().bucket(&self.bucket).key(full).send().await;
        let found = found.map_err(|error| connected.fault(error))?;
        Ok(found.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0))
    }

    async fn remove(&self, full: &str) -> Result<(), ObjectFault> {
        let connected = self.connected().await?;
        match connected.client.delete_object().bucket(&self.bucket).key(full).send().await {
            Ok(_) => Ok(()),
            Err(error) => match connected.fault(error) {
                ObjectFault::NotFound => Ok(()),
                fault => Err(fault),
            },
        }
    }

    async fn list_all(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectFault> {
        let connected = self.connected().await?;
        // The folder alone is asked for with its `/`: another one may have a name that only begins so.
        let start = self.full(prefix);
        let mut pages =
            connected.client.list_objects_v2().bucket(&self.bucket).prefix(start).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(|error| connected.fault(error))?.contents() {
                if let Some(key) = object.key().and_then(|full| self.key_of(full)) {
                    let bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                    found.push(ObjectInfo { key: key.to_owned(), bytes });
                }
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }
}

impl ObjectStore for S3Folder {
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        self.on(key, move |full| async move { self.read_all(&full).await })
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes> {
        self.on(key, move |full| async move { self.read_range(&full, range).await })
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.on(key, move |full| async move { self.write(&full, bytes, write::Publish::Replace).await })
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.on(key, move |full| async move { self.write(&full, bytes, write::Publish::IfAbsent).await })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>> {
        Box::pin(async move {
            let listed = self.list_all(prefix).await;
            listed.map_err(|fault| ObjectError { object: self.describe(prefix), fault })
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        self.on(key, move |full| async move { self.remove(&full).await })
    }

    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo> {
        self.on(key, move |full| async move {
            Ok(ObjectInfo { key: key.to_owned(), bytes: self.look(&full).await? })
        })
    }

    fn remove_unfinished<'a>(&'a self, folder: &'a str, whose: Unfinished) -> ObjectFuture<'a, ()> {
        Box::pin(async move {
            let removed = self.abort_unfinished(folder, whose).await;
            removed.map_err(|fault| ObjectError { object: self.describe(folder), fault })
        })
    }

    fn describe(&self, key: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.full(key))
    }
}

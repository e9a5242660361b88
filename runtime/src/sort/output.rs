//! Where records are written: into a folder that nobody else has, all of them or none.
//!
//! A folder is claimed before anything is written: an object says that something is being written there, and of several
//! who try one gets it. Parts follow, then the manifest, then the claim goes. A reader that finds a claim, or no manifest,
//! knows that it does not see the whole. What was begun and failed is undone by whoever has the claim.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::manifest::MANIFEST_NAME;
use cirrus_protocol::records::{RECORD_BYTES, RecordsManifest, RecordsPart};

use super::error::{SortError, folder_of};
use crate::object::{ObjectError, ObjectFault, ObjectStore, Unfinished};

/// The object that says that something is being written.
pub const CLAIM: &str = "unfinished";
/// Bytes of a part, but for the last of a worker.
pub const PART_BYTES: usize = (32 << 20) / RECORD_BYTES * RECORD_BYTES;

/// A folder that is being written.
pub struct Target {
    store: Arc<dyn ObjectStore>,
}

impl Target {
    /// Makes a folder one's own, which must be empty.
    ///
    /// # Errors
    /// `Occupied`; `Claimed` by somebody else, who may be gone; `Object`.
    pub async fn claim(store: Arc<dyn ObjectStore>) -> Result<Self, SortError> {
        match store.head(CLAIM).await {
            Ok(_) => return Err(SortError::Claimed { claim: store.describe(CLAIM) }),
            Err(ObjectError { fault: ObjectFault::NotFound, .. }) => is_empty(store.as_ref()).await?,
            Err(error) => return Err(error.into()),
        }
        let text = "records are being written here; without `manifest.json` they are not complete\n";
        match store.put_if_absent(CLAIM, Bytes::from_static(text.as_bytes())).await {
            Err(ObjectError { fault: ObjectFault::Exists, .. }) => {
                return Err(SortError::Claimed { claim: store.describe(CLAIM) });
            }
            claimed => claimed?,
        }
        // Somebody who knows nothing of claims may have come in between.
        if let Err(error) = is_empty(store.as_ref()).await {
            store.delete(CLAIM).await?;
            return Err(error);
        }
        Ok(Self { store })
    }

    /// Says what is there, once all is.
    ///
    /// # Errors
    /// `Manifest`, `Object`. It is still to be undone then.
    pub async fn finish(&self, parts: Vec<RecordsPart>, sorted: bool) -> Result<RecordsManifest, SortError> {
        let unfit = |source| SortError::Manifest { file: self.store.describe(MANIFEST_NAME), source };
        let manifest = RecordsManifest::new(parts, sorted).map_err(unfit)?;
        let text = manifest.encode().map_err(unfit)?;
        self.store.put_if_absent(MANIFEST_NAME, text.into()).await?;
        self.store.delete(CLAIM).await?;
        Ok(manifest)
    }

    /// Removes all that was written. Nobody may be writing any more.
    ///
    /// # Errors
    /// `Object`: what that names is left, and the claim too.
    pub async fn undo(&self) -> Result<(), SortError> {
        let unfinished = self.store.remove_unfinished("", Unfinished::Everybodys).await;
        for object in self.store.list("").await? {
            if is_part(&object.key) || object.key == MANIFEST_NAME {
                self.store.delete(&object.key).await?;
            }
        }
        unfinished?;
        Ok(self.store.delete(CLAIM).await?)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.store.describe("")).finish()
    }
}

/// The name of a part: names are in the order of the records.
#[must_use]
pub fn part_name(worker: u32, part: u32) -> String {
    format!("part-{worker:05}-{part:05}.records")
}

fn is_part(key: &str) -> bool {
    let numbers = key.strip_prefix("part-").and_then(|rest| rest.strip_suffix(".records")?.split_once('-'));
    let number = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(worker, part)| number(worker) && number(part))
}

/// There may be a claim, nothing else.
async fn is_empty(store: &dyn ObjectStore) -> Result<(), SortError> {
    let objects = store.list("").await?;
    match objects.into_iter().find(|object| object.key != CLAIM) {
        Some(object) => Err(SortError::Occupied { folder: folder_of(store), holds: object.key }),
        None => Ok(()),
    }
}

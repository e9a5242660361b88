//! How many lives a controller has had: the only thing of it that survives.

use std::sync::{Arc, Mutex, PoisonError};

use cirrus_core::ids::ControllerEpoch;

use crate::object::{ObjectError, ObjectFault, ObjectStore};

/// The object that holds the epoch, as decimal text.
const EPOCH: &str = "controller-epoch";

/// Where the epoch of the newest life is kept.
#[derive(Clone)]
pub enum Epochs {
    /// In object storage, durable when it is written. No two controllers may share it.
    Kept(Arc<dyn ObjectStore>),
    /// As long as this value and its clones live: for a controller inside a process, which nothing outlives.
    Lent(Arc<Mutex<Option<ControllerEpoch>>>),
}

/// The epoch on disk cannot be read or written, so that no life can begin.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// Object storage failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// What is there is not an epoch.
    #[error("{object}: {found:?} is not an epoch; remove it only if no process of an earlier life is left")]
    Unreadable {
        /// The object's full name.
        object: String,
        /// What it holds.
        found: String,
    },
}

impl std::fmt::Debug for Epochs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kept(objects) => f.debug_tuple("Kept").field(&objects.describe(EPOCH)).finish(),
            Self::Lent(epoch) => f.debug_tuple("Lent").field(epoch).finish(),
        }
    }
}

impl Epochs {
    /// The epoch of the newest life, if there was one.
    pub(super) async fn last(&self) -> Result<Option<ControllerEpoch>, EpochError> {
        let objects = match self {
            Self::Kept(objects) => objects,
            Self::Lent(epoch) => return Ok(*epoch.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        let bytes = match objects.get(EPOCH).await {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.fault, ObjectFault::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let number = text.trim().parse().map(|number| Some(ControllerEpoch(number)));
        number.map_err(|_| EpochError::Unreadable {
            object: objects.describe(EPOCH),
            found: text.chars().take(40).collect(),
        })
    }

    /// Puts an epoch in the place of the one before.
    pub(super) async fn write(&self, epoch: ControllerEpoch) -> Result<(), EpochError> {
        match self {
            Self::Kept(objects) => Ok(objects.put(EPOCH, epoch.0.to_string().into()).await?),
            Self::Lent(kept) => {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
                Ok(())
            }
        }
    }
}

//! Why a worker ends before its job does.

use crate::dataset::DatasetError;
use crate::job::process::ProcessError;
use crate::learner::LearnError;
use crate::object::UrlError;
use crate::pool::JobPanicked;

/// A worker ended for a reason.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It found no job, or lost its coordinator.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The dataset's place cannot be opened.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The dataset cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The learner cannot go on.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// A job on a thread of its own panicked.
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
    /// No thread could be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The store refused something that no repeat would change.
    #[error("the data store refused: {0}")]
    Refused(String),
    /// The store could not be reached for too long.
    #[error("the data store at {store} could not be reached in {attempts} attempts")]
    StoreGone {
        /// Its address.
        store: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The store has no room.
    #[error("the data store has no room for more workers or names")]
    StoreFull,
    /// This worker counts as dead.
    #[error("this worker counts as dead: another process has its place")]
    Fenced,
}

impl WorkerError {
    /// Whether every other worker would fail in the same way, so that the job cannot be done.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Url(_) | Self::Dataset(_) | Self::Learn(_) | Self::Panicked(_) => true,
            Self::Refused(_) | Self::StoreFull => true,
            Self::Process(_) | Self::Thread(_) | Self::StoreGone { .. } | Self::Fenced => false,
        }
    }
}

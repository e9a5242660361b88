//! The store as a process of a job: asks the coordinator what to hold, holds it, and says when it is ready.

use bytes::Bytes;
use cirrus_protocol::job::{JobRequest, Role};
use cirrus_transport::{FrameReceiver, FrameSender, Transport};

use super::description::StoreDescription;
use super::process::{Place, ProcessError};
use crate::object::{self, UrlError};
use crate::store::disk::Disk;
use crate::store::{Admission, StoreError, StoreServer};
use crate::table::TableFactory;

/// A store process ended for a reason.
#[derive(Debug, thiserror::Error)]
pub enum StoreProcessError {
    /// It found no job.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The job's folder cannot be opened.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves a job's store on a free port of the loopback interface until the coordinator stops it or is gone.
///
/// # Errors
/// When there is no job, or the store cannot serve.
pub async fn run<T: Transport>(
    place: &Place,
    transport: &T,
    listen_at: &str,
    tables: TableFactory,
) -> Result<(), StoreProcessError> {
    let (connection, job) = place.report(transport, Role::Store).await?;
    let description: StoreDescription = serde_json::from_slice(&job).map_err(ProcessError::from)?;
    let server = StoreServer {
        disk: Disk::new(object::open(&description.folder)?, "store/"),
        config: description.config(),
        model: Bytes::from(description.model.clone()),
        tables,
        admission: Admission::default(),
    };
    let (mut sender, mut receiver) = (connection.sender, connection.receiver);
    let (ready, told) = tokio::sync::oneshot::channel();
    let serving = server.serve(transport, listen_at, |address, epoch| {
        // The other end is waited for below, in the same task.
        let _ = ready.send(JobRequest::StoreReady { store: address.to_owned(), epoch });
    });
    let keep_in_touch = async {
        if let Ok(message) = told.await {
            sender.send(message.into_frame()).await.map_err(ProcessError::from)?;
        }
        // Nothing more is said; the end of the connection is the end of the job.
        while receiver.next().await.map_err(ProcessError::from)?.is_some() {}
        Ok::<(), StoreProcessError>(())
    };
    tokio::select! {
        served = serving => Ok(served?),
        gone = keep_in_touch => gone,
    }
}

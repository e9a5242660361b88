//! How a launched process finds its job: the coordinator's address and its own place come in the environment.

use bytes::Bytes;
use cirrus_core::ids::{Incarnation, WorkerId};
use cirrus_core::store::Sender;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::job::{JobReply, JobRequest, Role};
use cirrus_transport::{Connection, FrameReceiver, FrameSender, Transport, TransportError};

use crate::fleet::launcher::{INCARNATION_VARIABLE, PARENT_VARIABLE, SLOT_VARIABLE, die_with_parent};

/// Environment variable with the coordinator's address, host:port.
pub const COORDINATOR_VARIABLE: &str = "CIRRUS_COORDINATOR";

/// A launched process' place in its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its slot and life.
    pub from: Sender,
    /// The coordinator's address.
    pub coordinator: String,
}

/// A process cannot take part in a job.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A variable is missing or no number.
    #[error(
        "{name} is not set to what a coordinator would set: this command is started by `cirrus train`, not by hand"
    )]
    Environment {
        /// The variable.
        name: &'static str,
    },
    /// The launching process has ended.
    #[error(transparent)]
    Orphan(std::io::Error),
    /// The coordinator cannot be reached, or is gone.
    #[error("the coordinator: {0}")]
    Transport(#[from] TransportError),
    /// The coordinator closed the connection before it told anything.
    #[error("the coordinator at {0} closed the connection")]
    Closed(String),
    /// The description cannot be used.
    #[error("the job's description: {0}")]
    Description(#[from] serde_json::Error),
}

impl Place {
    /// Reads the place from the environment, and makes sure that this process ends with the one that launched it.
    ///
    /// # Errors
    /// When a variable is not set, or the launching process has ended already.
    pub fn from_environment() -> Result<Self, ProcessError> {
        let text = |name| std::env::var(name).map_err(|_| ProcessError::Environment { name });
        let number = |name| text(name)?.parse::<u32>().map_err(|_| ProcessError::Environment { name });
        die_with_parent(number(PARENT_VARIABLE)?).map_err(ProcessError::Orphan)?;
        let worker = WorkerId(number(SLOT_VARIABLE)?);
        let incarnation = Incarnation(number(INCARNATION_VARIABLE)?);
        Ok(Self { from: Sender { worker, incarnation }, coordinator: text(COORDINATOR_VARIABLE)? })
    }

    /// Connects to the coordinator, says who this is, and is told about the job.
    ///
    /// # Errors
    /// When the coordinator is gone or says something else.
    pub async fn report<T: Transport>(
        &self,
        transport: &T,
        role: Role,
    ) -> Result<(Connection<T::Sender, T::Receiver>, Bytes), ProcessError> {
        let mut connection = transport.connect(&self.coordinator).await?;
        let hello = JobRequest::Hello { role, from: self.from, pid: std::process::id() };
        connection.sender.send(hello.into_frame()).await?;
        match connection.receiver.next().await? {
            None => Err(ProcessError::Closed(self.coordinator.clone())),
            Some(frame) => match JobReply::try_from(frame) {
                Ok(JobReply::Welcome { job }) => Ok((connection, job)),
                Ok(_) => Err(malformed(&connection.peer, FormatError::Corrupt("not a welcome")).into()),
                Err(source) => Err(malformed(&connection.peer, source).into()),
            },
        }
    }
}

/// What came on a job's connection is not one of its messages.
pub(super) fn malformed(peer: &std::sync::Arc<str>, source: FormatError) -> TransportError {
    TransportError::Format { peer: peer.clone(), source }
}

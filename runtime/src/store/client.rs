//! A client of a data store: reads, updates and questions over one connection.
//!
//! [`StoreClient`] is for whoever is not a worker of a job: the coordinator, tools, benchmarks and programs that use
//! the store by themselves. (A job's worker is driven by `cirrus_core::worker`, which decides when to read, to send
//! again and to connect again; none of that is decided here.) Requests may be sent ahead: [`StoreClient::send`]
//! only queues, [`StoreClient::flush`] writes all at once, and answers come in the order in which the store gives
//! them. Every wait ends by the deadline given at the start, with an error that names the store.

use std::time::Duration;

use bytes::Bytes;
use cirrus_core::ids::{CallId, GradientName, StoreEpoch, Version};
use cirrus_core::store::{Marker, Sender};
use cirrus_protocol::error::FormatError;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::store::{Refusal, StoreReply, StoreRequest, StoreStatistics};
use cirrus_transport::{Connection, FrameSender, Transport, TransportError, auth};
use tokio::time::timeout;

use super::eager::Eager;

/// One connection to a store.
#[derive(Debug)]
pub struct StoreClient<T: Transport> {
    connection: Connection<T::Sender, T::Receiver>,
    eager: Eager,
    deadline: Duration,
    last_call: CallId,
    epoch: StoreEpoch,
}

/// A call on a store failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("the data store: {0}")]
    Transport(#[from] TransportError),
    /// The store closed the connection.
    #[error("the data store at {0} closed the connection; is it being stopped or restarted?")]
    Closed(String),
    /// No answer in time.
    #[error("the data store at {store} did not answer within {}", seconds(*waited))]
    Late {
        /// Its address.
        store: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The store refused.
    #[error("the data store refused: {}", describe(.0))]
    Refused(Refusal),
    /// The store answered something else than what was asked for.
    #[error("the data store answered out of turn; do both ends run the same version?")]
    OutOfTurn,
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A refusal in words.
#[must_use]
pub fn describe(refusal: &Refusal) -> String {
    use cirrus_core::store::Reason;
    match refusal {
        Refusal::Rule(Reason::Fenced) => "this worker counts as dead, another has its place".to_owned(),
        Refusal::Rule(Reason::WrongEpoch(epoch)) => format!("the store lives in epoch {} now", epoch.0),
        Refusal::Rule(Reason::NotOpen) => "no session was opened on this connection".to_owned(),
        Refusal::Rule(Reason::NotReady) => "it is not ready yet".to_owned(),
        Refusal::Rule(Reason::Full) => "a limit of the store is reached".to_owned(),
        Refusal::UnknownRead(call) => format!("the keys of read {} are not kept any more", call.0),
        Refusal::Unfit(text) | Refusal::Failed(text) => text.clone(),
    }
}

impl<T: Transport> StoreClient<T> {
    /// Connects. Every later wait ends after `deadline`, too.
    ///
    /// # Errors
    /// When nobody answers at `address` in time.
    pub async fn connect(transport: &T, address: &str, deadline: Duration) -> Result<Self, ClientError> {
        Self::connect_as(transport, address, deadline, None).await
    }

    /// Connects and shows `credential`, if there is one: what a store with a token asks for first.
    ///
    /// # Errors
    /// When nobody answers at `address` in time, or the store and this client do not have the same token.
    pub async fn connect_as(
        transport: &T,
        address: &str,
        deadline: Duration,
        credential: Option<Credential>,
    ) -> Result<Self, ClientError> {
        let late = || ClientError::Late { store: address.to_owned(), waited: deadline };
        let connecting = async {
            let mut connection = transport.connect(address).await?;
            if let Some(credential) = credential {
                auth::prove(&mut connection, credential).await?;
            }
            Ok::<_, TransportError>(connection)
        };
        let connection = timeout(deadline, connecting).await.map_err(|_| late())??;
        Ok(Self { connection, eager: Eager::default(), deadline, last_call: CallId(0), epoch: StoreEpoch(0) })
    }

    /// Names the next request.
    pub fn next_call(&mut self) -> CallId {
        self.last_call = CallId(self.last_call.0.wrapping_add(1));
        self.last_call
    }

    /// The epoch of the session; 0 before [`StoreClient::open`].
    #[must_use]
    pub fn epoch(&self) -> StoreEpoch {
        self.epoch
    }

    /// Queues a request; nothing is written.
    ///
    /// # Errors
    /// When it is longer than a frame may be.
    pub fn send(&mut self, request: StoreRequest) -> Result<(), ClientError> {
        Ok(self.connection.sender.queue(request.into_frame())?)
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// When the connection is gone or the store takes nothing in time.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        match timeout(self.deadline, self.connection.sender.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(self.late()),
        }
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the connection ends, or none comes in time. A refusal is an answer.
    pub async fn receive(&mut self) -> Result<StoreReply, ClientError> {
        match timeout(self.deadline, self.eager.next(&mut self.connection.receiver)).await {
            Err(_) => Err(self.late()),
            Ok(Ok(Some(frame))) => Ok(StoreReply::try_from(frame).map_err(|source| self.malformed(source))?),
            Ok(Ok(None)) => Err(ClientError::Closed(self.connection.peer.to_string())),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    fn late(&self) -> ClientError {
        ClientError::Late { store: self.connection.peer.to_string(), waited: self.deadline }
    }

    fn malformed(&self, source: FormatError) -> TransportError {
        TransportError::Format { peer: self.connection.peer.clone(), source }
    }

    /// Sends one request and waits for its answer.
    async fn ask(&mut self, request: StoreRequest) -> Result<StoreReply, ClientError> {
        self.send(request)?;
        self.flush().await?;
        match self.receive().await? {
            StoreReply::Refused { reason, .. } => Err(ClientError::Refused(reason)),
            reply => Ok(reply),
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As every call; refused when `from` is fenced or the model is another.
    pub async fn open(&mut self, from: Sender, model: Bytes) -> Result<Version, ClientError> {
        let call = self.next_call();
        match self.ask(StoreRequest::Open { from, call, model }).await? {
            StoreReply::Opened { version, .. } => {
                self.epoch = version.epoch;
                Ok(version)
            }
            _ => Err(ClientError::OutOfTurn),
        }
    }

    /// Cells of these keys (a sequence of key lists; empty: all), as a round of this session.
    ///
    /// # Errors
    /// As every call.
    pub async fn get(&mut self, keys: Bytes) -> Result<(CallId, Version, Bytes), ClientError> {
        let (call, epoch) = (self.next_call(), self.epoch);
        values(self.ask(StoreRequest::Read { call, epoch, keys }).await?)
    }

    /// Sends an update and reads the cells for the next round, in one write.
    ///
    /// # Errors
    /// As every call. When the read is refused, the update may count all the same: its name protects it from being
    /// applied twice if it is sent again.
    pub async fn push_and_get(
        &mut self,
        name: GradientName,
        rows: u32,
        update: Bytes,
        keys: Bytes,
    ) -> Result<(CallId, Version, Bytes), ClientError> {
        let (push, read, epoch) = (self.next_call(), self.next_call(), self.epoch);
        self.send(StoreRequest::Push { call: push, epoch, name, rows, update })?;
        self.send(StoreRequest::Read { call: read, epoch, keys })?;
        self.flush().await?;
        let mut got = None;
        let mut acknowledged = false;
        while !(acknowledged && got.is_some()) {
            match self.receive().await? {
                StoreReply::Acknowledged { .. } => acknowledged = true,
                StoreReply::Refused { reason, .. } => return Err(ClientError::Refused(reason)),
                reply => got = Some(values(reply)?),
            }
        }
        got.ok_or(ClientError::OutOfTurn)
    }

    /// Cells as they are, outside any session.
    ///
    /// # Errors
    /// As every call.
    pub async fn peek(&mut self, keys: Bytes) -> Result<(Version, Bytes), ClientError> {
        let call = self.next_call();
        let (_, version, cells) = values(self.ask(StoreRequest::Peek { call, keys }).await?)?;
        Ok((version, cells))
    }

    /// What is recorded.
    ///
    /// # Errors
    /// As every call.
    pub async fn recorded(&mut self) -> Result<Marker, ClientError> {
        let call = self.next_call();
        match self.ask(StoreRequest::Recorded { call }).await? {
            StoreReply::RecordedNames { marker, .. } => Ok(marker),
            _ => Err(ClientError::OutOfTurn),
        }
    }

    /// What the store has done in this life.
    ///
    /// # Errors
    /// As every call.
    pub async fn statistics(&mut self) -> Result<StoreStatistics, ClientError> {
        let call = self.next_call();
        match self.ask(StoreRequest::Statistics { call }).await? {
            StoreReply::Statistics { statistics, .. } => Ok(statistics),
            _ => Err(ClientError::OutOfTurn),
        }
    }

    /// Has the present state put on disk.
    ///
    /// # Errors
    /// As every call; refused when the disk takes nothing.
    pub async fn snapshot(&mut self) -> Result<Version, ClientError> {
        let call = self.next_call();
        match self.ask(StoreRequest::Snapshot { call }).await? {
            StoreReply::SnapshotTaken { version, .. } => Ok(version),
            _ => Err(ClientError::OutOfTurn),
        }
    }
}

fn values(reply: StoreReply) -> Result<(CallId, Version, Bytes), ClientError> {
    match reply {
        StoreReply::Values { call, version, cells } => Ok((call, version, cells)),
        _ => Err(ClientError::OutOfTurn),
    }
}

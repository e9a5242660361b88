//! Frames between the tasks of one process: no system call, no port, the same order of events in every run.
//!
//! A [`Memory`] is a set of addresses of its own, so that tests do not see each other. A connection is a bounded
//! pipe of bytes each way, so that what is sent is cut into frames, checked and held against the limits by the same
//! code as on a socket, and a sender waits as it would there when the other end does not read.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cirrus_protocol::frame::DEFAULT_BODY_LIMIT;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::Connection;
use crate::error::TransportError;
use crate::medium::{Acceptor, Medium, Stream};
use crate::stream::{StreamReceiver, StreamSender};

/// Connections that may wait to be accepted at one address.
const BACKLOG: usize = 64;

/// The in-memory transport. Clones share their addresses. An address is any text; `*` listens at a free one.
#[derive(Clone, Debug)]
pub struct Memory {
    body_limit: u32,
    pipe_bytes: usize,
    pub(crate) addresses: Arc<Mutex<Addresses>>,
}

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    listeners: BTreeMap<String, mpsc::Sender<MemoryStream>>,
    /// The number for the next free address, or end of a connection.
    next: u64,
}

/// One end of an in-memory connection.
pub type MemoryConnection = Connection<StreamSender<DuplexStream>, StreamReceiver<DuplexStream>>;

/// One end of an in-memory stream of bytes.
type MemoryStream = Stream<DuplexStream, DuplexStream>;

/// Listens for in-memory connections.
#[derive(Debug)]
pub struct MemoryAcceptor {
    address: String,
    waiting: mpsc::Receiver<MemoryStream>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(DEFAULT_BODY_LIMIT, 64 << 10)
    }
}

impl Memory {
    /// Frames with bodies of at most `body_limit` bytes; a connection holds `pipe_bytes` in each direction before
    /// its sender waits.
    #[must_use]
    pub fn new(body_limit: u32, pipe_bytes: usize) -> Self {
        Self { body_limit, pipe_bytes, addresses: Arc::default() }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        // Nothing is half done when a holder panics: every change is one insertion.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two ends that are connected with each other, without an address.
    #[must_use]
    pub fn pair(&self, names: [&str; 2]) -> [MemoryConnection; 2] {
        self.streams(names).map(|Stream { read, write, peer }| Connection {
            sender: StreamSender::new(write, peer.clone(), self.body_limit),
            receiver: StreamReceiver::new(read, peer.clone(), self.body_limit),
            peer,
        })
    }

    fn streams(&self, names: [&str; 2]) -> [MemoryStream; 2] {
        // One pipe for each direction: a dropped sender then ends its own direction only.
        let (there, here) = (duplex(self.pipe_bytes), duplex(self.pipe_bytes));
        let [first, second] = names.map(Arc::<str>::from);
        [
            Stream { write: there.0, read: here.1, peer: second },
            Stream { write: here.0, read: there.1, peer: first },
        ]
    }
}

impl Medium for Memory {
    type Read = DuplexStream;
    type Write = DuplexStream;
    type Acceptor = MemoryAcceptor;

    fn body_limit(&self) -> u32 {
        self.body_limit
    }

    async fn open(&self, address: &str) -> Result<MemoryStream, TransportError> {
        let refused = || TransportError::Connect {
            address: address.into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let (listener, number) = {
            let mut addresses = self.addresses();
            addresses.next += 1;
            (addresses.listeners.get(address).cloned().ok_or_else(refused)?, addresses.next)
        };
        let [near, far] = self.streams([&format!("client {number}"), address]);
        listener.send(far).await.map_err(|_| refused())?;
        Ok(near)
    }

    async fn bind(&self, address: &str) -> Result<MemoryAcceptor, TransportError> {
        let (listener, waiting) = mpsc::channel(BACKLOG);
        let mut addresses = self.addresses();
        let address = if address == "*" {
            addresses.next += 1;
            format!("listener {}", addresses.next)
        } else {
            address.to_owned()
        };
        if addresses.listeners.get(&address).is_some_and(|listener| !listener.is_closed()) {
            return Err(TransportError::AddressInUse { address });
        }
        addresses.listeners.insert(address.clone(), listener);
        Ok(MemoryAcceptor { address, waiting })
    }
}

impl Acceptor for MemoryAcceptor {
    type Read = DuplexStream;
    type Write = DuplexStream;

    fn address(&self) -> &str {
        &self.address
    }

    async fn next(&mut self) -> Result<MemoryStream, TransportError> {
        self.waiting.recv().await.ok_or_else(|| TransportError::Accept {
            address: self.address.clone(),
            source: io::ErrorKind::NotConnected.into(),
        })
    }
}

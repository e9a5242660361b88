//! Bytes over TCP: between machines, and between the processes of one.
//!
//! Nagle's algorithm is off, since senders gather what belongs together by themselves. The system sizes the buffers of
//! a connection as it goes, up to several megabytes; to ask for a size would end that, and could ask for no more than a
//! limit that is smaller by default. Keep-alive, time-outs and connecting again are the runtime's business.

use std::io;
use std::sync::Arc;

use cirrus_protocol::frame::DEFAULT_BODY_LIMIT;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::error::TransportError;
use crate::medium::{Acceptor, Medium, Stream};

/// The TCP transport. An address is `host:port`; port 0 listens at any free one.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// The longest body of a frame, in bytes, that is sent or accepted.
    pub body_limit: u32,
}

impl Default for Tcp {
    fn default() -> Self {
        Self { body_limit: DEFAULT_BODY_LIMIT }
    }
}

/// Listens for TCP connections.
#[derive(Debug)]
pub struct TcpAcceptor {
    listener: TcpListener,
    address: String,
}

impl Medium for Tcp {
    type Read = OwnedReadHalf;
    type Write = OwnedWriteHalf;
    type Acceptor = TcpAcceptor;

    fn body_limit(&self) -> u32 {
        self.body_limit
    }

    async fn open(&self, address: &str) -> Result<Stream<OwnedReadHalf, OwnedWriteHalf>, TransportError> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.and_then(|stream| split(stream, address.into()));
        stream.map_err(|source| TransportError::Connect { address: address.into(), source })
    }

    async fn bind(&self, address: &str) -> Result<TcpAcceptor, TransportError> {
        let refused = |source| TransportError::listening(address, source);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?.to_string();
        Ok(TcpAcceptor { listener, address })
    }
}

impl Acceptor for TcpAcceptor {
    type Read = OwnedReadHalf;
    type Write = OwnedWriteHalf;

    fn address(&self) -> &str {
        &self.address
    }

    async fn next(&mut self) -> Result<Stream<OwnedReadHalf, OwnedWriteHalf>, TransportError> {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // A connection that takes no option any more is gone already.
                    if let Ok(stream) = split(stream, peer.to_string().into()) {
                        return Ok(stream);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(source) => return Err(TransportError::Accept { address: self.address.clone(), source }),
            }
        }
    }
}

fn split(stream: TcpStream, peer: Arc<str>) -> io::Result<Stream<OwnedReadHalf, OwnedWriteHalf>> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok(Stream { read, write, peer })
}

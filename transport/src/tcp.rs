//! Frames over TCP: between machines, and between the processes of one.
//!
//! Nagle's algorithm is off, since senders gather what belongs together by themselves. Keep-alive, time-outs and
//! connecting again are the runtime's business.

use std::io;
use std::sync::Arc;

use cirrus_protocol::frame::DEFAULT_BODY_LIMIT;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::error::TransportError;
use crate::stream::{StreamReceiver, StreamSender};
use crate::{Connection, Listener, Transport};

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

/// One end of a TCP connection.
pub type TcpConnection = Connection<StreamSender<OwnedWriteHalf>, StreamReceiver<OwnedReadHalf>>;

/// Listens for TCP connections.
#[derive(Debug)]
pub struct TcpAcceptor {
    listener: TcpListener,
    address: String,
    body_limit: u32,
}

impl Transport for Tcp {
    type Sender = StreamSender<OwnedWriteHalf>;
    type Receiver = StreamReceiver<OwnedReadHalf>;
    type Listener = TcpAcceptor;

    async fn connect(&self, address: &str) -> Result<TcpConnection, TransportError> {
        let stream = TcpStream::connect(address).await;
        let connection = stream.and_then(|stream| split(stream, address.into(), self.body_limit));
        connection.map_err(|source| TransportError::Connect { address: address.into(), source })
    }

    async fn listen(&self, address: &str) -> Result<TcpAcceptor, TransportError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => TransportError::AddressInUse { address: address.into() },
            _ => TransportError::Listen { address: address.into(), source },
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?.to_string();
        Ok(TcpAcceptor { listener, address, body_limit: self.body_limit })
    }
}

impl Listener for TcpAcceptor {
    type Sender = StreamSender<OwnedWriteHalf>;
    type Receiver = StreamReceiver<OwnedReadHalf>;

    fn address(&self) -> &str {
        &self.address
    }

    async fn accept(&mut self) -> Result<TcpConnection, TransportError> {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // A connection that takes no option any more is gone already.
                    if let Ok(connection) = split(stream, peer.to_string().into(), self.body_limit) {
                        return Ok(connection);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(source) => return Err(TransportError::Accept { address: self.address.clone(), source }),
            }
        }
    }
}

fn split(stream: TcpStream, peer: Arc<str>, body_limit: u32) -> io::Result<TcpConnection> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let sender = StreamSender::new(write, peer.clone(), body_limit);
    let receiver = StreamReceiver::new(read, peer.clone(), body_limit);
    Ok(Connection { sender, receiver, peer })
}

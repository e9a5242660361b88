//! Carrying bytes, and how whatever does carries frames.
//!
//! A [`Medium`] opens streams of bytes and listens for them. Every medium is a [`Transport`]: frames are cut out of its
//! streams by `stream`, in one place. A medium may stand on another one ([`tls`](crate::tls), [`faults`](crate::faults))
//! and change what becomes of the bytes, since it sees no frames.

use core::future::Future;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::TransportError;
use crate::stream::{StreamReceiver, StreamSender};
use crate::{Connection, Listener, Transport};

/// A way to carry bytes.
pub trait Medium: Clone + Send + Sync + 'static {
    /// What comes from the other end.
    type Read: AsyncRead + Unpin + Send + 'static;
    /// What goes to the other end. Dropped, it ends that direction and no other, behind what was flushed.
    type Write: AsyncWrite + Unpin + Send + 'static;
    /// Waits for streams.
    type Acceptor: Acceptor<Read = Self::Read, Write = Self::Write>;

    /// The longest body of a frame, in bytes, that is sent or accepted.
    fn body_limit(&self) -> u32;

    /// Opens a stream to who listens at `address`.
    ///
    /// # Errors
    /// As [`Transport::connect`].
    fn open(
        &self,
        address: &str,
    ) -> impl Future<Output = Result<Stream<Self::Read, Self::Write>, TransportError>> + Send;

    /// Begins to listen at `address`.
    ///
    /// # Errors
    /// As [`Transport::listen`].
    fn bind(&self, address: &str) -> impl Future<Output = Result<Self::Acceptor, TransportError>> + Send;
}

/// Waits for streams. Dropped, it accepts no more.
pub trait Acceptor: Send + 'static {
    /// As in [`Medium`].
    type Read: AsyncRead + Unpin + Send + 'static;
    /// As in [`Medium`].
    type Write: AsyncWrite + Unpin + Send + 'static;

    /// As [`Listener::address`].
    fn address(&self) -> &str;

    /// The next stream. Cancelling loses none.
    ///
    /// # Errors
    /// As [`Listener::accept`].
    fn next(
        &mut self,
    ) -> impl Future<Output = Result<Stream<Self::Read, Self::Write>, TransportError>> + Send;
}

/// One end of a stream of bytes.
#[derive(Debug)]
pub struct Stream<R, W> {
    /// From the other end.
    pub read: R,
    /// To the other end.
    pub write: W,
    /// The other end's address, for people.
    pub peer: Arc<str>,
}

impl<R, W> Stream<R, W> {
    fn framed(self, body_limit: u32) -> Connection<StreamSender<W>, StreamReceiver<R>> {
        let Self { read, write, peer } = self;
        let sender = StreamSender::new(write, peer.clone(), body_limit);
        let receiver = StreamReceiver::new(read, peer.clone(), body_limit);
        Connection { sender, receiver, peer }
    }
}

/// Listens for frames on any medium.
#[derive(Debug)]
pub struct StreamListener<A> {
    acceptor: A,
    body_limit: u32,
}

impl<M: Medium> Transport for M {
    type Sender = StreamSender<M::Write>;
    type Receiver = StreamReceiver<M::Read>;
    type Listener = StreamListener<M::Acceptor>;

    async fn connect(
        &self,
        address: &str,
    ) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        Ok(self.open(address).await?.framed(self.body_limit()))
    }

    async fn listen(&self, address: &str) -> Result<Self::Listener, TransportError> {
        let acceptor = self.bind(address).await?;
        Ok(StreamListener { acceptor, body_limit: self.body_limit() })
    }
}

impl<A: Acceptor> Listener for StreamListener<A> {
    type Sender = StreamSender<A::Write>;
    type Receiver = StreamReceiver<A::Read>;

    fn address(&self) -> &str {
        self.acceptor.address()
    }

    async fn accept(&mut self) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        Ok(self.acceptor.next().await?.framed(self.body_limit))
    }
}

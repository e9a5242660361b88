//! Moving frames between two ends, whatever lies between them.
//!
//! A [`Transport`] opens connections and listens for them; a connection is a sender and a receiver of frames that
//! live in different tasks if need be. All traits are dispatched statically: code that speaks to a store is written
//! once over `T: Transport`, and its tests run over [`memory`] while a job runs over [`tcp`].
//!
//! Queueing is apart from writing: a server takes what [`FrameReceiver::try_next_buffered`] has, queues an answer
//! to each, and writes them all at once. Back-pressure is the medium's own: [`FrameSender::flush`] waits until the
//! other end takes the bytes, and nothing is read before somebody asks for the next frame.
//!
//! What a frame means, how long to wait and whether to try again is left to the runtime. To add a transport, implement
//! [`Medium`] in a file of its own and list it here: whatever carries a stream of bytes gets its frames from `stream`.
//!
//! | module | what |
//! |---|---|
//! | [`tcp`], [`unix`], [`memory`] | media |
//! | [`tls`] | another medium, encrypted |
//! | [`faults`] | another medium, with faults: for tests |
//! | [`shared`] | memory that processes of one machine share, and connections on which it is named instead of sent |
//! | [`auth`] | whether who is at the other end has the job's token; on any transport |

use core::future::Future;
use std::sync::Arc;

use cirrus_protocol::frame::Frame;

pub mod auth;
pub mod error;
pub mod faults;
mod medium;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod shared;
mod stream;
pub mod tcp;
pub mod tls;
#[cfg(unix)]
pub mod unix;

pub use error::TransportError;
pub use medium::{Acceptor, Medium, Stream, StreamListener};
pub use stream::{StreamReceiver, StreamSender};

/// A way to carry frames.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Sends on a connection.
    type Sender: FrameSender;
    /// Receives from a connection.
    type Receiver: FrameReceiver;
    /// Waits for connections.
    type Listener: Listener<Sender = Self::Sender, Receiver = Self::Receiver>;

    /// Opens a connection to who listens at `address`.
    ///
    /// # Errors
    /// `Connect` when nobody does. There is no time limit here: an address that swallows packets takes as long as
    /// the system lets it.
    fn connect(
        &self,
        address: &str,
    ) -> impl Future<Output = Result<Connection<Self::Sender, Self::Receiver>, TransportError>> + Send;

    /// Begins to listen at `address`.
    ///
    /// # Errors
    /// `AddressInUse`, or `Listen` when the address cannot be listened at.
    fn listen(&self, address: &str) -> impl Future<Output = Result<Self::Listener, TransportError>> + Send;
}

/// Waits for connections. Dropped, it accepts no more; those that it accepted live on.
pub trait Listener: Send + 'static {
    /// As in [`Transport`].
    type Sender: FrameSender;
    /// As in [`Transport`].
    type Receiver: FrameReceiver;

    /// Where others reach it: the real port if any free one was asked for.
    fn address(&self) -> &str;

    /// The next connection. Cancelling loses none.
    ///
    /// # Errors
    /// `Accept`, when the system cannot give one; the listener goes on listening.
    fn accept(
        &mut self,
    ) -> impl Future<Output = Result<Connection<Self::Sender, Self::Receiver>, TransportError>> + Send;
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection<S, R> {
    /// To the other end.
    pub sender: S,
    /// From the other end.
    pub receiver: R,
    /// The other end's address, for people.
    pub peer: Arc<str>,
}

/// Sends frames. Dropped, it ends the stream: the other end receives what was flushed, and then the clean end.
pub trait FrameSender: Send + 'static {
    /// Puts a frame behind those that wait to be written; writes nothing.
    ///
    /// # Errors
    /// `Unsendable` when the frame is longer than the limit of this transport; the queue is unchanged then.
    fn queue(&mut self, frame: Frame) -> Result<(), TransportError>;

    /// How many bytes wait to be written. A server that answers whatever comes should flush before this outgrows
    /// what it is willing to hold.
    fn queued_bytes(&self) -> usize;

    /// Writes all frames that wait, in as few writes as the system takes. If it is cancelled, the next one goes on
    /// at the byte where this one stopped.
    ///
    /// # Errors
    /// `Broken`, when the other end takes no more.
    fn flush(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Queues one frame and flushes.
    ///
    /// # Errors
    /// Those of [`queue`](Self::queue) and [`flush`](Self::flush).
    fn send(&mut self, frame: Frame) -> impl Future<Output = Result<(), TransportError>> + Send {
        async {
            self.queue(frame)?;
            self.flush().await
        }
    }
}

/// Receives frames.
pub trait FrameReceiver: Send + 'static {
    /// The next frame, or `None` when the other end has closed the connection behind a whole frame. Cancelling
    /// loses nothing. The frame's body is a slice of the buffer that the bytes arrived in.
    ///
    /// # Errors
    /// - `Cut`: the other end closed the connection in the middle of a frame.
    /// - `Format`: what came is not a frame, or a longer one than the limit of this transport.
    /// - `Broken`: the connection is gone.
    ///
    /// They are final: asked again, it answers the same.
    fn next(&mut self) -> impl Future<Output = Result<Option<Frame>, TransportError>> + Send;

    /// A frame that has arrived already, without waiting and without asking the system.
    ///
    /// # Errors
    /// `Format`, as in [`next`](Self::next).
    fn try_next_buffered(&mut self) -> Result<Option<Frame>, TransportError>;

    /// From now on, frames with longer bodies than this are refused. Answers what the limit was.
    fn set_body_limit(&mut self, limit: u32) -> u32;
}

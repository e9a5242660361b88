//! Frames between a lodger and its host: by a Unix socket, and long payloads by descriptor where they lie in the segment.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::frame::{Body, Frame};
use cirrus_protocol::zip::{DESCRIBED, DESCRIPTOR_BYTES, Descriptor};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::line::{EVERY, Line, Taken};
use super::table::Lie;
use crate::error::TransportError;
use crate::stream::{StreamReceiver, StreamSender};
use crate::{Connection, FrameReceiver, FrameSender};

/// A shorter payload is sent: it costs no more than its descriptor.
const LEAST: usize = 4 << 10;

/// One end of what is shared: the host with one of its lodgers in mind, or a lodger.
pub(super) trait Side: Send + Sync + 'static {
    /// A descriptor of bytes that lie in the segment, for the other end, which will hold them from now on.
    fn describe(&self, bytes: &Bytes) -> Option<Descriptor>;

    /// What the other end has described. This end holds it from now on.
    fn accept(self: Arc<Self>, descriptor: Descriptor) -> Result<Bytes, Lie>;
}

/// A connection over a socket before anything is shared on it.
pub type Plain = Connection<StreamSender<OwnedWriteHalf>, StreamReceiver<OwnedReadHalf>>;

/// From here on payloads are described, and `says` hears what was taken.
pub(super) fn share(
    Connection { sender, receiver, peer }: Plain,
    side: Arc<dyn Side>,
    line: Arc<Line>,
    (connection, says): (u32, mpsc::UnboundedSender<Taken>),
) -> Connection<SharedSender, SharedReceiver> {
    let sender = SharedSender { inner: sender, side: Arc::clone(&side), line };
    let taken = Counter { taken: Taken { connection, count: 0, over: false }, says };
    let receiver = SharedReceiver { inner: receiver, side, taken, peer: Arc::clone(&peer), lied: None };
    Connection { sender, receiver, peer }
}

/// Sends frames, and describes what need not be sent.
pub struct SharedSender {
    inner: StreamSender<OwnedWriteHalf>,
    side: Arc<dyn Side>,
    line: Arc<Line>,
}

impl SharedSender {
    fn described(&self, frame: Frame) -> Frame {
        let [head, tail] = frame.body.into_pieces();
        let describe = || self.side.describe(&tail).map(|it| (it.slot, it));
        let descriptor = if tail.len() < LEAST { None } else { self.line.send(describe) };
        match descriptor {
            Some(descriptor) => {
                let body = Body::new(head, Bytes::copy_from_slice(&descriptor.to_bytes()));
                Frame { kind: frame.kind | DESCRIBED, body, ..frame }
            }
            None => Frame { body: Body::new(head, tail), ..frame },
        }
    }
}

impl FrameSender for SharedSender {
    fn queue(&mut self, frame: Frame) -> Result<(), TransportError> {
        let frame = self.described(frame);
        self.inner.queue(frame)
    }

    fn queued_bytes(&self) -> usize {
        self.inner.queued_bytes()
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        self.inner.flush().await
    }
}

/// Says what was taken; dropped, that it was all.
struct Counter {
    taken: Taken,
    says: mpsc::UnboundedSender<Taken>,
}

impl Counter {
    fn one(&mut self) {
        self.taken.count += 1;
        if self.taken.count.is_multiple_of(EVERY) {
            let _ = self.says.send(self.taken);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // If nobody hears it, all that was shared is gone.
        let _ = self.says.send(Taken { over: true, ..self.taken });
    }
}

/// Receives frames, and sees what is described where it lies.
pub struct SharedReceiver {
    inner: StreamReceiver<OwnedReadHalf>,
    side: Arc<dyn Side>,
    taken: Counter,
    peer: Arc<str>,
    /// The other end has lied, and nothing more of it is heard.
    lied: Option<Lie>,
}

impl SharedReceiver {
    fn truth(&self) -> Result<(), TransportError> {
        match self.lied {
            Some(source) => Err(TransportError::Lie { peer: self.peer.clone(), source }),
            None => Ok(()),
        }
    }

    fn seen(&mut self, frame: Frame) -> Result<Frame, TransportError> {
        if frame.kind & DESCRIBED == 0 {
            return Ok(frame);
        }
        let mut head = frame.body.into_bytes();
        let described = match head.len().checked_sub(DESCRIPTOR_BYTES) {
            Some(at) => <[u8; DESCRIPTOR_BYTES]>::try_from(&head.split_off(at)[..]).map_err(|_| Lie::Short),
            None => Err(Lie::Short),
        };
        match described
            .and_then(|descriptor| Arc::clone(&self.side).accept(Descriptor::from_bytes(descriptor)))
        {
            Ok(tail) => {
                self.taken.one();
                Ok(Frame { kind: frame.kind & !DESCRIBED, body: Body::new(head, tail), ..frame })
            }
            Err(lie) => {
                self.lied = Some(lie);
                Err(TransportError::Lie { peer: self.peer.clone(), source: lie })
            }
        }
    }
}

impl FrameReceiver for SharedReceiver {
    async fn next(&mut self) -> Result<Option<Frame>, TransportError> {
        self.truth()?;
        match self.inner.next().await? {
            Some(frame) => self.seen(frame).map(Some),
            None => Ok(None),
        }
    }

    fn try_next_buffered(&mut self) -> Result<Option<Frame>, TransportError> {
        self.truth()?;
        match self.inner.try_next_buffered()? {
            Some(frame) => self.seen(frame).map(Some),
            None => Ok(None),
        }
    }

    fn set_body_limit(&mut self, limit: u32) -> u32 {
        self.inner.set_body_limit(limit)
    }
}

impl fmt::Debug for SharedSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSender").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedReceiver").field("inner", &self.inner).finish_non_exhaustive()
    }
}

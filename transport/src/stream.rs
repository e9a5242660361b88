//! Frames over any stream of bytes.
//!
//! **Sending.** Headers and short pieces of bodies are copied into one staging buffer, long pieces are kept as they
//! are; a flush writes both, in order, by vectored writes. So many small frames leave in one write, and a large
//! array leaves from where it lies.
//!
//! **Receiving.** One read fetches whatever has arrived, up to [`READ_BYTES`]. Bodies are slices of that buffer. A
//! larger body arrives in memory that was reserved for it when its header had been checked, and for nothing else; only
//! what came along with the header is moved there, and behind one large frame, where another one is likely, no more is
//! fetched with a header than [`GLANCE_BYTES`]. A small body that is kept keeps the buffer (about [`READ_BYTES`]) alive.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cirrus_protocol::frame::{Decoded, Frame, HEADER_BYTES, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::TransportError;
use crate::{FrameReceiver, FrameSender};

#[cfg(test)]
mod tests;

/// A piece of a body up to this long is copied behind its header: cheaper than one more slice in a write.
const COPY_BYTES: usize = 4 << 10;
/// How much to ask the system for when little is missing.
const READ_BYTES: usize = 64 << 10;
/// How much to ask the system for behind a large frame.
const GLANCE_BYTES: usize = 4 << 10;
/// How many pieces go into one vectored write.
const SLICES_MAX: usize = 64;

/// Sends frames into a stream of bytes.
#[derive(Debug)]
pub struct StreamSender<W> {
    stream: W,
    peer: Arc<str>,
    limit: u32,
    /// To be written, in order; none is empty.
    pieces: VecDeque<Bytes>,
    /// To be written behind `pieces`.
    staging: BytesMut,
    queued: usize,
}

impl<W> StreamSender<W> {
    /// Sends to `peer` frames with bodies of at most `limit` bytes.
    pub(crate) fn new(stream: W, peer: Arc<str>, limit: u32) -> Self {
        Self { stream, peer, limit, pieces: VecDeque::new(), staging: BytesMut::new(), queued: 0 }
    }

    /// What it sends into.
    #[cfg(all(target_os = "linux", not(cirrus_loom)))]
    pub(crate) fn stream(&self) -> &W {
        &self.stream
    }

    fn stage(&mut self, bytes: &[u8]) {
        self.staging.extend_from_slice(bytes);
        self.queued += bytes.len();
    }

    /// Makes what is staged a piece of its own, so that other pieces can follow.
    fn seal_staging(&mut self) {
        if !self.staging.is_empty() {
            self.pieces.push_back(self.staging.split().freeze());
        }
    }

    /// Forgets the first `count` bytes of `pieces`: they are written.
    fn written(&mut self, mut count: usize) {
        self.queued -= count;
        while let Some(first) = self.pieces.front_mut() {
            let step = count.min(first.len());
            first.advance(step);
            count -= step;
            if !first.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> FrameSender for StreamSender<W> {
    fn queue(&mut self, frame: Frame) -> Result<(), TransportError> {
        let header = match frame.header(self.limit) {
            Ok(header) => header,
            Err(source) => return Err(TransportError::Unsendable { peer: self.peer.clone(), source }),
        };
        let trailer = frame.trailer();
        self.stage(&header);
        for piece in frame.body.into_pieces() {
            if piece.len() <= COPY_BYTES {
                self.stage(&piece);
            } else {
                self.seal_staging();
                self.queued += piece.len();
                self.pieces.push_back(piece);
            }
        }
        if let Some(trailer) = trailer {
            self.stage(&trailer);
        }
        Ok(())
    }

    fn queued_bytes(&self) -> usize {
        self.queued
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        self.seal_staging();
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
            }
            let filled = &slices[..self.pieces.len().min(SLICES_MAX)];
            let broken = |source| TransportError::Broken { peer: self.peer.clone(), source };
            match self.stream.write_vectored(filled).await {
                Ok(0) => return Err(broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.written(count),
                Err(source) => return Err(broken(source)),
            }
        }
        // A stream that encrypts has a buffer of its own.
        let flushed = self.stream.flush().await;
        flushed.map_err(|source| TransportError::Broken { peer: self.peer.clone(), source })
    }
}

/// Receives frames from a stream of bytes.
#[derive(Debug)]
pub struct StreamReceiver<R> {
    stream: R,
    peer: Arc<str>,
    limit: u32,
    /// What has arrived and was not asked for yet.
    buffer: BytesMut,
    /// How many bytes must be in the buffer before it can hold a frame.
    needed: usize,
    /// How many bytes the last frame took.
    last: usize,
    /// The connection broke, for this reason. The system would tell it once, and then of a clean end.
    broken: Option<io::ErrorKind>,
}

impl<R> StreamReceiver<R> {
    /// Receives from `peer` frames with bodies of at most `limit` bytes.
    pub(crate) fn new(stream: R, peer: Arc<str>, limit: u32) -> Self {
        Self { stream, peer, limit, buffer: BytesMut::new(), needed: HEADER_BYTES, last: 0, broken: None }
    }

    /// What it receives from, if nothing of that has been read and not been asked for.
    #[cfg(all(target_os = "linux", not(cirrus_loom)))]
    pub(crate) fn idle_stream(&self) -> Option<&R> {
        self.buffer.is_empty().then_some(&self.stream)
    }
}

impl<R> StreamReceiver<R> {
    /// How much to ask the system for.
    fn room(&self) -> usize {
        let missing = self.needed.saturating_sub(self.buffer.len());
        if self.needed > READ_BYTES {
            missing // Anything more would outgrow the memory that the body shall stay in.
        } else if self.last > READ_BYTES {
            missing.max(GLANCE_BYTES)
        } else {
            READ_BYTES
        }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> FrameReceiver for StreamReceiver<R> {
    async fn next(&mut self) -> Result<Option<Frame>, TransportError> {
        loop {
            if let Some(frame) = self.try_next_buffered()? {
                return Ok(Some(frame));
            }
            if let Some(kind) = self.broken {
                return Err(TransportError::Broken { peer: self.peer.clone(), source: kind.into() });
            }
            let room = self.room();
            self.buffer.reserve(room);
            let read = self.stream.read_buf(&mut (&mut self.buffer).limit(room)).await;
            let (peer, received, needed) = (self.peer.clone(), self.buffer.len(), self.needed);
            match read {
                Ok(0) if received == 0 => return Ok(None),
                Ok(0) => return Err(TransportError::Cut { peer, received, needed }),
                Ok(_) => {}
                Err(source) => {
                    self.broken = Some(source.kind());
                    return Err(TransportError::Broken { peer, source });
                }
            }
        }
    }

    fn try_next_buffered(&mut self) -> Result<Option<Frame>, TransportError> {
        let before = self.buffer.len();
        match decode(&mut self.buffer, self.limit) {
            Ok(Decoded::Frame(frame)) => {
                self.last = before - self.buffer.len();
                self.needed = HEADER_BYTES;
                Ok(Some(frame))
            }
            Ok(Decoded::Incomplete { needed }) => {
                self.needed = needed;
                Ok(None)
            }
            Err(source) => Err(TransportError::Format { peer: self.peer.clone(), source }),
        }
    }

    fn set_body_limit(&mut self, limit: u32) -> u32 {
        core::mem::replace(&mut self.limit, limit)
    }
}

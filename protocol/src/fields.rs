//! The fields of a message body, in order: little-endian numbers, and byte strings behind their length.
//!
//! Writing cannot fail. Reading checks every length against the bytes that are there, hands out byte strings as
//! slices of the body that it was given, and ends with [`Reader::end`], so that a body with anything behind its
//! last field is refused: a message has exactly one encoding.

use alloc::string::String;
use bytes::buf::Chain;
use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::Sender;

use crate::error::FormatError;
use crate::frame::{Body, Flags, Frame};

/// The numbers in a frame's header whose meaning depends on its kind.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Header {
    channel: u64,
    link: u64,
    call: u64,
    chunk: u32,
}

/// Builds a frame: its fixed fields first, then at most one array that stays where it is.
#[derive(Default)]
pub(crate) struct Writer {
    head: BytesMut,
    tail: Bytes,
    header: Header,
}

impl Writer {
    /// Writes into a buffer that is used again and again, so that a frame costs no allocation of its own. What is in
    /// it is discarded; [`frame_from`](Self::frame_from) gives it back.
    pub(crate) fn within(buffer: &mut BytesMut) -> Self {
        let mut head = core::mem::take(buffer);
        head.clear();
        Self { head, ..Self::default() }
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.head.put_u8(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.head.put_u32_le(value);
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.head.put_u64_le(value);
        self
    }

    pub(crate) fn f64(mut self, value: f64) -> Self {
        self.head.put_f64_le(value);
        self
    }

    pub(crate) fn array(mut self, value: &[u8; 32]) -> Self {
        self.head.put_slice(value);
        self
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.u8(value.into())
    }

    pub(crate) fn version(self, version: Version) -> Self {
        self.u32(version.epoch.0).u64(version.count)
    }

    pub(crate) fn sender(self, sender: Sender) -> Self {
        self.u32(sender.worker.0).u32(sender.incarnation.0)
    }

    pub(crate) fn name(self, name: GradientName) -> Self {
        self.u32(name.pass.0).u32(name.block.partition).u32(name.block.block).u32(name.part)
    }

    /// A text behind its length. What does not fit into `TEXT_LIMIT` is cut off at a character's boundary.
    pub(crate) fn text(self, text: &str) -> Self {
        let end = text.floor_char_boundary(TEXT_LIMIT);
        let kept = text.get(..end).unwrap_or_default();
        let mut longer = self.u32(u32::try_from(kept.len()).unwrap_or_default());
        longer.head.extend_from_slice(kept.as_bytes());
        longer
    }

    pub(crate) fn tail(self, tail: Bytes) -> Self {
        Self { tail, ..self }
    }

    /// Sets the header's call, which is no part of the body.
    pub(crate) fn call(self, call: CallId) -> Self {
        self.header_call(call.0)
    }

    /// Sets the header's channel.
    pub(crate) fn header_channel(mut self, channel: u64) -> Self {
        self.header.channel = channel;
        self
    }

    /// Sets the header's link.
    pub(crate) fn header_link(mut self, link: u64) -> Self {
        self.header.link = link;
        self
    }

    /// Sets the header's call.
    pub(crate) fn header_call(mut self, call: u64) -> Self {
        self.header.call = call;
        self
    }

    /// Sets the header's chunk.
    pub(crate) fn header_chunk(mut self, chunk: u32) -> Self {
        self.header.chunk = chunk;
        self
    }

    pub(crate) fn frame(self, kind: u16) -> Frame {
        self.frame_from(kind, &mut BytesMut::new())
    }

    /// The frame; what is left of the buffer that was written into is put back.
    pub(crate) fn frame_from(mut self, kind: u16, buffer: &mut BytesMut) -> Frame {
        let body = Body::new(self.head.split().freeze(), self.tail);
        *buffer = self.head;
        let Header { channel, link, call, chunk } = self.header;
        Frame { kind, flags: Flags::NONE, channel, link, call, chunk, body }
    }
}

/// The longest text in a message, in bytes: an address, or a reason for people to read.
pub(crate) const TEXT_LIMIT: usize = 4096;

/// Takes a frame apart.
pub(crate) struct Reader {
    body: Chain<Bytes, Bytes>,
    /// What of the header was not taken.
    header: Header,
}

impl From<Frame> for Reader {
    fn from(frame: Frame) -> Self {
        let Frame { kind: _, flags: _, channel, link, call, chunk, body } = frame;
        Self { body: body.into_buf(), header: Header { channel, link, call, chunk } }
    }
}

impl From<Bytes> for Reader {
    fn from(body: Bytes) -> Self {
        Self { body: Body::from(body).into_buf(), header: Header::default() }
    }
}

fn truncated(error: &TryGetError) -> FormatError {
    too_short(error.requested, error.available)
}

pub(crate) fn too_short(needed: usize, found: usize) -> FormatError {
    FormatError::Truncated { what: "a message", needed: needed as u64, found: found as u64 }
}

impl Reader {
    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.body.try_get_u8().map_err(|error| truncated(&error))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.body.try_get_u32_le().map_err(|error| truncated(&error))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.body.try_get_u64_le().map_err(|error| truncated(&error))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, FormatError> {
        self.body.try_get_f64_le().map_err(|error| truncated(&error))
    }

    pub(crate) fn array(&mut self) -> Result<[u8; 32], FormatError> {
        let mut value = [0; 32];
        self.body.try_copy_to_slice(&mut value).map_err(|error| truncated(&error))?;
        Ok(value)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, FormatError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormatError::Corrupt("a truth value that is neither 0 nor 1")),
        }
    }

    pub(crate) fn epoch(&mut self) -> Result<StoreEpoch, FormatError> {
        Ok(StoreEpoch(self.u32()?))
    }

    pub(crate) fn version(&mut self) -> Result<Version, FormatError> {
        Ok(Version { epoch: self.epoch()?, count: self.u64()? })
    }

    pub(crate) fn sender(&mut self) -> Result<Sender, FormatError> {
        Ok(Sender { worker: WorkerId(self.u32()?), incarnation: Incarnation(self.u32()?) })
    }

    pub(crate) fn name(&mut self) -> Result<GradientName, FormatError> {
        Ok(GradientName { pass: Pass(self.u32()?), block: self.block()?, part: self.u32()? })
    }

    pub(crate) fn block(&mut self) -> Result<BlockId, FormatError> {
        Ok(BlockId { partition: self.u32()?, block: self.u32()? })
    }

    pub(crate) fn text(&mut self) -> Result<String, FormatError> {
        self.text_up_to("text in a message", TEXT_LIMIT)
    }

    /// A text of at most `limit` bytes; `what` it is.
    pub(crate) fn text_up_to<T: for<'a> From<&'a str>>(
        &mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<T, FormatError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > limit {
            return Err(FormatError::Limit { what, found: length as u64, limit: limit as u64 });
        }
        if length > self.remaining() {
            return Err(too_short(length, self.remaining()));
        }
        let text = self.body.copy_to_bytes(length);
        let text =
            core::str::from_utf8(&text).map_err(|_| FormatError::Corrupt("a text that is not UTF-8"))?;
        Ok(text.into())
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.body.copy_to_bytes(self.body.remaining())
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.body.remaining()
    }

    /// The header's call.
    pub(crate) fn call(&mut self) -> CallId {
        CallId(self.header_call())
    }

    /// The header's channel.
    pub(crate) fn header_channel(&mut self) -> u64 {
        core::mem::take(&mut self.header.channel)
    }

    /// The header's link.
    pub(crate) fn header_link(&mut self) -> u64 {
        core::mem::take(&mut self.header.link)
    }

    /// The header's call.
    pub(crate) fn header_call(&mut self) -> u64 {
        core::mem::take(&mut self.header.call)
    }

    /// The header's chunk.
    pub(crate) fn header_chunk(&mut self) -> u32 {
        core::mem::take(&mut self.header.chunk)
    }

    /// Refuses a body that goes on, and a header with more in it than was taken.
    pub(crate) fn end(self) -> Result<(), FormatError> {
        if self.body.has_remaining() {
            return Err(FormatError::Corrupt("bytes behind the end of a message"));
        }
        if self.header != Header::default() {
            return Err(FormatError::Corrupt("a header field that this kind of frame does not use is not 0"));
        }
        Ok(())
    }
}

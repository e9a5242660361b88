//! The fields of a message body, in order: little-endian numbers, and byte strings behind their length.
//!
//! Writing cannot fail. Reading checks every length against the bytes that are there, hands out byte strings as
//! slices of the body that it was given, and ends with [`Reader::end`], so that a body with anything behind its
//! last field is refused: a message has exactly one encoding.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::buf::Chain;
use bytes::{Buf, BufMut, Bytes, TryGetError};
use cirrus_core::ids::{BlockId, CallId, GradientName, Incarnation, Pass, StoreEpoch, Version, WorkerId};
use cirrus_core::store::Sender;

use crate::error::FormatError;
use crate::frame::{Body, Frame};

/// Builds a frame: its fixed fields first, then at most one array that stays where it is.
#[derive(Default)]
pub(crate) struct Writer {
    head: Vec<u8>,
    tail: Bytes,
    call: u64,
}

impl Writer {
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
        Self { call: call.0, ..self }
    }

    pub(crate) fn frame(self, kind: u16) -> Frame {
        Frame { kind, call: self.call, body: Body::new(self.head.into(), self.tail), ..Frame::default() }
    }
}

/// The longest text in a message, in bytes: an address, or a reason for people to read.
pub(crate) const TEXT_LIMIT: usize = 4096;

/// Takes a body apart.
pub(crate) struct Reader(Chain<Bytes, Bytes>);

impl From<Body> for Reader {
    fn from(body: Body) -> Self {
        Self(body.into_buf())
    }
}

fn truncated(error: &TryGetError) -> FormatError {
    too_short(error.requested, error.available)
}

fn too_short(needed: usize, found: usize) -> FormatError {
    FormatError::Truncated { what: "a message", needed: needed as u64, found: found as u64 }
}

impl Reader {
    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.0.try_get_u8().map_err(|error| truncated(&error))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.0.try_get_u32_le().map_err(|error| truncated(&error))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.0.try_get_u64_le().map_err(|error| truncated(&error))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, FormatError> {
        self.0.try_get_f64_le().map_err(|error| truncated(&error))
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
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > TEXT_LIMIT {
            return Err(FormatError::Limit {
                what: "text in a message",
                found: length as u64,
                limit: TEXT_LIMIT as u64,
            });
        }
        if length > self.0.remaining() {
            return Err(too_short(length, self.0.remaining()));
        }
        let text = self.0.copy_to_bytes(length);
        let text =
            core::str::from_utf8(&text).map_err(|_| FormatError::Corrupt("a text that is not UTF-8"))?;
        Ok(text.into())
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.0.copy_to_bytes(self.0.remaining())
    }

    /// Refuses a body that goes on.
    pub(crate) fn end(self) -> Result<(), FormatError> {
        if self.0.has_remaining() {
            return Err(FormatError::Corrupt("bytes behind the end of a message"));
        }
        Ok(())
    }
}

/// Refuses a frame that uses header fields which its kind does not use.
pub(crate) fn check_header(frame: &Frame, uses_call: bool) -> Result<(), FormatError> {
    let unused = [frame.channel, frame.link, frame.chunk.into(), if uses_call { 0 } else { frame.call }];
    if unused != [0; 4] {
        return Err(FormatError::Corrupt("a header field that this kind of frame does not use is not 0"));
    }
    Ok(())
}

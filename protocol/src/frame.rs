//! A frame: the 48-byte header in front of every message, and its body.
//!
//! The header says how long the body is, so a reader can cut a stream into frames without knowing any message.
//! Its own checksum comes last: a stray byte can therefore not turn into a wrong length. A length is held
//! against the reader's limit before anything is allocated for it, and [`decode`] leaves its buffer as it was
//! when it fails, so that a broken stream stays broken.
//!
//! A body to be sent may consist of two pieces (see [`Body`]), so that a message's fixed fields can stand in
//! front of a large array that is written from where it lies. What the kinds of frames mean is left to
//! [`store`](crate::store) and [`job`](crate::job); the layout in bytes is in `FORMAT.md`.

use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum;
use crate::error::FormatError;

/// The first four bytes of every frame: `CIRR`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"CIRR");
/// The version of the wire format that this crate speaks.
pub const VERSION: u16 = 1;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 48;
/// Bytes of the checksum behind the body of a frame with [`Flags::PAYLOAD_CRC`].
pub const TRAILER_BYTES: usize = 4;
/// The longest body that a reader should accept unless it has reasons for another limit: 256 MiB, a whole
/// model of 2^25 cells of 8 bytes.
pub const DEFAULT_BODY_LIMIT: u32 = 1 << 28;

/// Properties of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// No property.
    pub const NONE: Self = Self(0);
    /// A CRC-32C of the body follows the body.
    pub const PAYLOAD_CRC: Self = Self(1);

    /// Whether all of `other`'s properties are among these.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// As in the header.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// # Errors
    /// `Corrupt` when a bit is set that has no meaning in this version.
    pub fn from_bits(bits: u32) -> Result<Self, FormatError> {
        if bits & !Self::PAYLOAD_CRC.0 != 0 {
            return Err(FormatError::Corrupt("a frame flag that this version does not know"));
        }
        Ok(Self(bits))
    }
}

/// A frame's bytes behind the header: two pieces, one after the other, either of which may be empty.
///
/// Where the seam lies means nothing: bodies are equal when their bytes are, and a received body has none.
#[derive(Clone, Debug, Default)]
pub struct Body {
    head: Bytes,
    tail: Bytes,
}

impl Body {
    /// `head` followed by `tail`.
    #[must_use]
    pub fn new(head: Bytes, tail: Bytes) -> Self {
        Self { head, tail }
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len().saturating_add(self.tail.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// The two pieces, in order.
    #[must_use]
    pub fn into_pieces(self) -> [Bytes; 2] {
        [self.head, self.tail]
    }

    /// The bytes in one piece; copies them only when neither piece is empty.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let length = self.len();
        self.into_buf().copy_to_bytes(length)
    }

    /// To read from, across the seam.
    pub(crate) fn into_buf(self) -> bytes::buf::Chain<Bytes, Bytes> {
        self.head.chain(self.tail)
    }

    fn checksum(&self) -> u32 {
        checksum::crc32c_append(checksum::crc32c(&self.head), &self.tail)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { head: Bytes::new(), tail: bytes }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.head.iter().chain(&self.tail).eq(other.head.iter().chain(&other.tail))
    }
}

impl Eq for Body {}

/// One message on its way. What the numbers mean depends on `kind`; a number that a kind does not use is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Which message the body holds.
    pub kind: u16,
    /// How the body is protected.
    pub flags: Flags,
    /// The channel or session it belongs to.
    pub channel: u64,
    /// The link or incarnation it belongs to.
    pub link: u64,
    /// The call or round it belongs to.
    pub call: u64,
    /// Which piece of a larger whole.
    pub chunk: u32,
    /// The message.
    pub body: Body,
}

/// The header as it lies in memory and on the wire, but for its checksum.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Fields {
    magic: U32,
    version: U16,
    kind: U16,
    flags: U32,
    length: U32,
    channel: U64,
    link: U64,
    call: U64,
    chunk: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    fields: Fields,
    crc: U32,
}

impl Frame {
    /// The header that belongs in front of the body.
    ///
    /// # Errors
    /// `Limit` when the body is longer than `limit`, which the reader at the other end would refuse.
    pub fn header(&self, limit: u32) -> Result<[u8; HEADER_BYTES], FormatError> {
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        check_length(length, limit)?;
        let fields = Fields {
            magic: U32::new(MAGIC),
            version: U16::new(VERSION),
            kind: U16::new(self.kind),
            flags: U32::new(self.flags.bits()),
            length: U32::new(length),
            channel: U64::new(self.channel),
            link: U64::new(self.link),
            call: U64::new(self.call),
            chunk: U32::new(self.chunk),
        };
        let crc = U32::new(checksum::crc32c(fields.as_bytes()));
        Ok(zerocopy::transmute!(Header { fields, crc }))
    }

    /// The checksum that belongs behind the body, if the flags ask for one.
    #[must_use]
    pub fn trailer(&self) -> Option<[u8; TRAILER_BYTES]> {
        self.flags.contains(Flags::PAYLOAD_CRC).then(|| self.body.checksum().to_le_bytes())
    }

    /// The whole frame as one array, appended to `out`. A transport writes the pieces from where they lie.
    ///
    /// # Errors
    /// Those of [`header`](Self::header); `out` is unchanged then.
    pub fn encode(&self, limit: u32, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend_from_slice(&self.header(limit)?);
        out.extend_from_slice(&self.body.head);
        out.extend_from_slice(&self.body.tail);
        out.extend_from_slice(self.trailer().as_ref().map_or(&[], |trailer| trailer.as_slice()));
        Ok(())
    }
}

/// What the front of a buffer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame, which was taken out of the buffer.
    Frame(Frame),
    /// Not yet a whole frame.
    Incomplete {
        /// How many bytes the buffer must hold, in all, before another try can get further.
        needed: usize,
    },
}

/// Takes the first frame out of `buffer`. Its body is a slice of the buffer's memory, not a copy.
///
/// # Errors
/// - `BadMagic`, `Version`, `Checksum`, `Corrupt`: the stream is not one of frames of this version.
/// - `Limit`: the body is longer than `limit`.
///
/// The buffer is unchanged then, and the error is final: where the next frame starts is unknown.
pub fn decode(buffer: &mut BytesMut, limit: u32) -> Result<Decoded, FormatError> {
    let Ok((header, _)) = Header::ref_from_prefix(buffer) else {
        check_start(buffer)?;
        return Ok(Decoded::Incomplete { needed: HEADER_BYTES });
    };
    let length = header.check(limit)?;
    let flags = Flags::from_bits(header.fields.flags.get())?;
    let trailer = if flags.contains(Flags::PAYLOAD_CRC) { TRAILER_BYTES } else { 0 };
    let needed = HEADER_BYTES.saturating_add(length).saturating_add(trailer);
    let Some(sealed) = buffer.get(HEADER_BYTES..needed) else {
        return Ok(Decoded::Incomplete { needed });
    };
    if let Some((body, stated)) = sealed.split_last_chunk::<TRAILER_BYTES>().filter(|_| trailer > 0) {
        checksum::verify("frame body", body, u32::from_le_bytes(*stated))?;
    }
    let fields = &header.fields;
    let mut frame = Frame {
        kind: fields.kind.get(),
        flags,
        channel: fields.channel.get(),
        link: fields.link.get(),
        call: fields.call.get(),
        chunk: fields.chunk.get(),
        body: Body::default(),
    };
    let mut taken = buffer.split_to(needed);
    taken.advance(HEADER_BYTES);
    taken.truncate(length);
    frame.body = Body::from(taken.freeze());
    Ok(Decoded::Frame(frame))
}

impl Header {
    /// The length of the body, once the header is known to be sound.
    fn check(&self, limit: u32) -> Result<usize, FormatError> {
        check_start(self.as_bytes())?;
        checksum::verify("frame header", self.fields.as_bytes(), self.crc.get())?;
        let length = self.fields.length.get();
        check_length(length, limit)?;
        usize::try_from(length).map_err(|_| FormatError::Corrupt("a length beyond this machine's memory"))
    }
}

/// Refuses what does not start like a frame of this version, as soon as there are bytes enough to tell.
fn check_start(bytes: &[u8]) -> Result<(), FormatError> {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(());
    };
    if u32::from_le_bytes(*magic) != MAGIC {
        let mut found = [0; 8];
        found.iter_mut().zip(bytes).for_each(|(found, byte)| *found = *byte);
        return Err(FormatError::BadMagic { what: "frame", found });
    }
    match rest.first_chunk::<2>().map(|version| u16::from_le_bytes(*version)) {
        Some(found) if found != VERSION => {
            Err(FormatError::Version { what: "frame", found: found.into(), supported: VERSION.into() })
        }
        _ => Ok(()),
    }
}

fn check_length(length: u32, limit: u32) -> Result<(), FormatError> {
    if length > limit {
        return Err(FormatError::Limit { what: "frame body", found: length.into(), limit: limit.into() });
    }
    Ok(())
}

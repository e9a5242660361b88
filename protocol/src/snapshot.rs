//! A store's snapshot: a model with exactly the named updates in it, as one object in storage.
//!
//! It is written in one go with the table last, so that a table of any size appends itself to the buffer that
//! becomes the object. Both checksums are verified before anything else is believed. The table is opaque here;
//! the model's description stands beside it, so that a store that comes back can make the table again before any
//! worker has told it which.

use alloc::vec::Vec;
use bytes::Bytes;
use cirrus_core::ids::{Pass, StoreEpoch, Version};
use cirrus_core::store::Marker;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::FormatError;
use crate::{checksum, names};

/// The first four bytes of a snapshot.
pub const MAGIC: [u8; 4] = *b"CSNP";
/// The version of the format that this crate writes and reads.
pub const VERSION: u16 = 1;
/// Bytes of a snapshot's header.
pub const HEADER_BYTES: usize = 48;

/// A snapshot that was read. Its arrays are slices of the object's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it covers.
    pub marker: Marker,
    /// The model's description, JSON.
    pub model: Bytes,
    /// The table, as it wrote itself.
    pub table: Bytes,
}

/// The header as it lies in the object, but for its checksum.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Fields {
    magic: [u8; 4],
    version: U16,
    reserved: U16,
    epoch: U32,
    closed: U32,
    count: U64,
    model_bytes: U32,
    names_bytes: U32,
    table_bytes: U64,
    body_crc: U32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    fields: Fields,
    crc: U32,
}

/// Appends a snapshot to `out`. `table` is called once and appends the table.
///
/// # Errors
/// `Unwritable` when the model's description or the names are longer than 4 GiB, or when `table` took bytes away.
/// What `out` holds behind its former length means nothing then.
pub fn encode(
    marker: &Marker,
    model: &[u8],
    table: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(model);
    let names_start = out.len();
    names::encode(&marker.names, out);
    let table_start = out.len();
    table(out);
    let Some(table_bytes) = out.len().checked_sub(table_start) else {
        return Err(FormatError::Unwritable("a table that takes bytes out of the snapshot it is part of"));
    };
    let Some((place, body)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<HEADER_BYTES>)
    else {
        return Err(FormatError::Unwritable("a snapshot without a header"));
    };
    let fields = Fields {
        magic: MAGIC,
        version: U16::new(VERSION),
        reserved: U16::new(0),
        epoch: U32::new(marker.version.epoch.0),
        closed: U32::new(marker.closed.0),
        count: U64::new(marker.version.count),
        model_bytes: short_length(model.len())?,
        names_bytes: short_length(table_start.saturating_sub(names_start))?,
        table_bytes: U64::new(table_bytes as u64),
        body_crc: U32::new(checksum::crc32c(body)),
    };
    let crc = U32::new(checksum::crc32c(fields.as_bytes()));
    *place = zerocopy::transmute!(Header { fields, crc });
    Ok(())
}

fn short_length(length: usize) -> Result<U32, FormatError> {
    let too_long = FormatError::Unwritable("a model's description or set of names of 4 GiB");
    u32::try_from(length).map(U32::new).map_err(|_| too_long)
}

impl Snapshot {
    /// Reads a snapshot; `object` must be exactly one.
    ///
    /// # Errors
    /// `BadMagic`, `Version`, `Truncated`, `Checksum` or `Corrupt` when it is not, `Limit` when it has more than
    /// `names_max` names.
    pub fn parse(mut object: Bytes, names_max: u32) -> Result<Self, FormatError> {
        let start = object.clone();
        let Ok((header, body)) = Header::ref_from_prefix(&start) else {
            return Err(too_short(HEADER_BYTES as u64, &object));
        };
        let fields = &header.fields;
        header.check()?;
        let [model, names] = [fields.model_bytes, fields.names_bytes].map(|length| length.get() as usize);
        let parts = [model as u64, names as u64, fields.table_bytes.get(), HEADER_BYTES as u64];
        let needed = parts.into_iter().fold(0, u64::saturating_add);
        if needed > object.len() as u64 {
            return Err(too_short(needed, &object));
        }
        if needed < object.len() as u64 {
            return Err(FormatError::Corrupt("bytes behind the end of a snapshot"));
        }
        checksum::verify("snapshot", body, fields.body_crc.get())?;
        // The lengths were added up above: none of these is past the end.
        let _header = object.split_to(HEADER_BYTES);
        let model = object.split_to(model);
        let names = object.split_to(names);
        let marker = Marker {
            version: Version { epoch: StoreEpoch(fields.epoch.get()), count: fields.count.get() },
            closed: Pass(fields.closed.get()),
            names: names::decode(&names, names_max)?,
        };
        Ok(Self { marker, model, table: object })
    }
}

impl Header {
    fn check(&self) -> Result<(), FormatError> {
        let fields = &self.fields;
        if fields.magic != MAGIC {
            let mut found = [0; 8];
            found.iter_mut().zip(self.as_bytes()).for_each(|(found, byte)| *found = *byte);
            return Err(FormatError::BadMagic { what: "snapshot", found });
        }
        let version = fields.version.get();
        if version != VERSION {
            let (found, supported) = (version.into(), VERSION.into());
            return Err(FormatError::Version { what: "snapshot", found, supported });
        }
        checksum::verify("snapshot header", fields.as_bytes(), self.crc.get())?;
        if fields.reserved.get() != 0 {
            return Err(FormatError::Corrupt("a reserved field of a snapshot that is not 0"));
        }
        Ok(())
    }
}

fn too_short(needed: u64, object: &[u8]) -> FormatError {
    FormatError::Truncated { what: "a snapshot", needed, found: object.len() as u64 }
}

//! Reading header and directory of a partition file, in place.
//!
//! What has passed here adds up: the blocks follow each other without a gap to the end of the file, and their
//! counts sum to the header's. Fetching the bytes is the caller's.

use super::{
    BlockEntry, Header, Shape,
    layout::{CHECKSUM_BYTES, HEADER, HEADER_BYTES},
};
use crate::{checksum, error::FormatError};
use bytes::Bytes;
use zerocopy::FromBytes;

/// Header and directory of a partition file, checked.
#[derive(Clone, Debug)]
pub struct Partition {
    header: Header,
    shape: Shape,
    /// The entries alone.
    directory: Bytes,
}

impl Partition {
    /// Length of header and directory, from the first [`HEADER_BYTES`] of a file.
    ///
    /// # Errors
    /// If they are not the header of a partition file of this version.
    pub fn directory_bytes(header: &[u8]) -> Result<usize, FormatError> {
        let header = read_header(header)?;
        header.check()?;
        Ok(header.directory_bytes())
    }

    /// Checks header and directory at the start of `bytes`; what follows them is not looked at.
    ///
    /// # Errors
    /// If they are cut short, damaged, of another version, or if their counts do not add up.
    pub fn parse(mut bytes: Bytes) -> Result<Self, FormatError> {
        let header = read_header(&bytes)?;
        let shape = header.check()?;
        let length = header.directory_bytes();
        if bytes.len() < length {
            let (needed, found) = (length as u64, bytes.len() as u64);
            return Err(FormatError::Truncated { what: "directory of a partition file", needed, found });
        }
        bytes.truncate(length);
        let stored = bytes.split_off(length.saturating_sub(CHECKSUM_BYTES));
        let stored = stored.first_chunk().copied().map_or(0, u32::from_le_bytes);
        checksum::verify("directory of a partition file", &bytes, stored)?;
        let partition = Self { header, shape, directory: bytes.split_off(HEADER_BYTES) };
        partition.check_sums(length as u64)?;
        Ok(partition)
    }

    fn check_sums(&self, directory_bytes: u64) -> Result<(), FormatError> {
        let (mut end, mut rows, mut nonzeros, mut positives) = (directory_bytes, 0u64, 0u64, 0u64);
        for entry in self.entries() {
            entry.check(self.shape)?;
            if entry.offset != end {
                return Err(FormatError::Corrupt("a block does not start where the one before it ends"));
            }
            // Far from overflow: there are at most 2^16 blocks, and their counts have 32 bits.
            end = end.saturating_add(entry.length.get().into());
            rows = rows.saturating_add(entry.rows.get().into());
            nonzeros = nonzeros.saturating_add(entry.nonzeros.get().into());
            positives = positives.saturating_add(entry.positives.get().into());
        }
        let header = &self.header;
        let sums = [end, rows, nonzeros, positives];
        if sums != [header.bytes, header.rows, header.nonzeros, header.positives].map(|sum| sum.get()) {
            return Err(FormatError::Corrupt("a partition's header disagrees with its directory"));
        }
        Ok(())
    }

    /// The header: length of the file, and the counts of all blocks together.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What all its blocks have in common.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its blocks, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[BlockEntry] {
        // Entries need no alignment, and the directory is a whole number of them: this cannot fail.
        <[BlockEntry]>::ref_from_bytes(&self.directory).unwrap_or_default()
    }
}

fn read_header(bytes: &[u8]) -> Result<Header, FormatError> {
    let found = bytes.len() as u64;
    let short = |_| FormatError::Truncated { what: HEADER, needed: HEADER_BYTES as u64, found };
    Header::read_from_prefix(bytes).map(|(header, _)| header).map_err(short)
}

//! Records on their way to those whose ranges they lie in: copied once, into pieces that can be sent.

use bytes::Bytes;
use cirrus_protocol::records::{RECORD_BYTES, key};

use super::boundary::{Boundaries, place};

/// Bytes of a piece, but for the last of a range: whole records, and no more than a channel sends at once.
pub const PIECE_BYTES: usize = (256 << 10) / RECORD_BYTES * RECORD_BYTES;

/// Memory of a piece: what was let go holds a piece that arrives, with what is said in front of it.
const PIECE_MEMORY: usize = PIECE_BYTES + 1024;

/// Records by range.
#[derive(Debug)]
pub struct Partition<'a> {
    boundaries: &'a Boundaries,
    /// The position of the next record.
    position: u64,
    full: Vec<Vec<Bytes>>,
    filling: Vec<Vec<u8>>,
}

impl<'a> Partition<'a> {
    /// Of records from this position on.
    #[must_use]
    pub fn new(boundaries: &'a Boundaries, position: u64) -> Self {
        let ranges = boundaries.ranges();
        Self { boundaries, position, full: vec![Vec::new(); ranges], filling: vec![Vec::new(); ranges] }
    }

    /// Adds the next records, whole ones.
    pub fn add(&mut self, records: &[u8]) {
        let (records, _) = records.as_chunks::<RECORD_BYTES>();
        for record in records {
            let range = self.boundaries.range_of(place(key(record), self.position));
            self.position += 1;
            let piece = &mut self.filling[range];
            if piece.len() == PIECE_BYTES || piece.capacity() == 0 {
                let full = std::mem::replace(piece, Vec::with_capacity(PIECE_MEMORY));
                if !full.is_empty() {
                    self.full[range].push(full.into());
                }
            }
            piece.extend_from_slice(record);
        }
    }

    /// The records of each range, in pieces of whole ones, none of which is empty.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<Bytes>> {
        for (full, rest) in self.full.iter_mut().zip(self.filling) {
            if !rest.is_empty() {
                full.push(rest.into());
            }
        }
        self.full
    }
}

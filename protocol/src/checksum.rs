//! The one checksum of all formats: CRC-32C (CRC-32/ISCSI, reflected polynomial 0x82F63B78).
//!
//! It finds every error burst of up to 32 bits. It is no protection against an adversary: what passes is still
//! decoded with every check. With the feature `std` the processor's own instructions compute it; without, tables
//! (there is no safe way to ask a processor what it can do, and `crc-fast` does not build, without `std`).

use crate::error::FormatError;

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// CRC-32C of bytes whose checksum is `sum`, followed by `bytes`.
#[cfg(feature = "std")]
#[must_use]
pub fn crc32c_append(sum: u32, bytes: &[u8]) -> u32 {
    use crc_fast::{CrcAlgorithm, Digest};
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!sum));
    digest.update(bytes);
    // The library answers 64 bits for all its algorithms; a 32-bit one fills the lower half.
    digest.finalize() as u32
}

/// CRC-32C of bytes whose checksum is `sum`, followed by `bytes`.
#[cfg(not(feature = "std"))]
#[must_use]
pub fn crc32c_append(sum: u32, bytes: &[u8]) -> u32 {
    table::crc32c_append(sum, bytes)
}

/// Compares the checksum of `bytes` with the `stored` one.
///
/// # Errors
/// [`FormatError::Checksum`] with both values and the name `what`.
pub fn verify(what: &'static str, bytes: &[u8], stored: u32) -> Result<(), FormatError> {
    let computed = crc32c(bytes);
    if computed == stored { Ok(()) } else { Err(FormatError::Checksum { what, stored, computed }) }
}

/// Slicing by 8 (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC
/// Generators", 2005): eight bytes a step, one table for each of their positions.
#[cfg(any(test, not(feature = "std")))]
mod table {
    /// `TABLES[k][b]`: what byte `b` adds to the checksum when `k` more bytes follow in the same step.
    const TABLES: [[u32; 256]; 8] = tables();

    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // runs in the compiler, where both are errors
    const fn tables() -> [[u32; 256]; 8] {
        let mut tables = [[0; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82F6_3B78 * (crc & 1));
                bit += 1;
            }
            tables[0][byte] = crc;
            byte += 1;
        }
        let mut index = 256;
        while index < 8 * 256 {
            let shorter = tables[index / 256 - 1][index % 256];
            tables[index / 256][index % 256] = (shorter >> 8) ^ tables[0][(shorter & 255) as usize];
            index += 1;
        }
        tables
    }

    fn step(position: usize, byte: u8) -> u32 {
        TABLES.get(position).and_then(|table| table.get(usize::from(byte))).copied().unwrap_or_default()
    }

    pub(super) fn crc32c_append(sum: u32, bytes: &[u8]) -> u32 {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let mut crc = !sum;
        for &[a, b, c, d, e, f, g, h] in chunks {
            let [a, b, c, d] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
            crc = step(7, a) ^ step(6, b) ^ step(5, c) ^ step(4, d);
            crc ^= step(3, e) ^ step(2, f) ^ step(1, g) ^ step(0, h);
        }
        for &byte in rest {
            crc = (crc >> 8) ^ step(0, byte ^ (crc as u8));
        }
        !crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn known_answers() {
        // The check value of the CRC catalogue, and RFC 3720 B.4.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn tables_and_instructions_agree_however_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for length in (0..200).chain([1000, 2999, 3000]) {
            let (head, tail) = bytes[..length].split_at(length / 3);
            let library = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[..length]) as u32;
            assert_eq!(table::crc32c_append(0, &bytes[..length]), library, "length {length}");
            assert_eq!(table::crc32c_append(table::crc32c_append(0, head), tail), library, "length {length}");
            assert_eq!(crc32c_append(crc32c(head), tail), library, "length {length}");
        }
    }
}

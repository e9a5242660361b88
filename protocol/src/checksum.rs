//! The one checksum of all formats: CRC-32C (CRC-32/ISCSI, reflected polynomial 0x82F63B78).
//!
//! It finds every error burst of up to 32 bits. It is no protection against an adversary: what passes is still
//! decoded with every check. With the feature `std` the processor's own instructions compute it (`crc-fast`);
//! without, tables do (`crc`): there is no safe way to ask a processor what it can do without `std`.

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
    by_tables(sum, bytes)
}

#[cfg(any(test, not(feature = "std")))]
fn by_tables(sum: u32, bytes: &[u8]) -> u32 {
    use crc::{CRC_32_ISCSI, Crc, Table};
    static TABLES: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
    // The library takes the state as the catalogue writes it, which is mirrored in a reflected checksum.
    let mut digest = TABLES.digest_with_initial((!sum).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// Compares the checksum of `bytes` with the `stored` one.
///
/// # Errors
/// [`FormatError::Checksum`] with both values and the name `what`.
pub fn verify(what: &'static str, bytes: &[u8], stored: u32) -> Result<(), FormatError> {
    let computed = crc32c(bytes);
    if computed == stored { Ok(()) } else { Err(FormatError::Checksum { what, stored, computed }) }
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
            assert_eq!(by_tables(0, &bytes[..length]), library, "length {length}");
            assert_eq!(by_tables(by_tables(0, head), tail), library, "length {length}");
            assert_eq!(crc32c_append(crc32c(head), tail), library, "length {length}");
        }
    }
}

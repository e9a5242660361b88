//! The one hash of the loaders: features to keys, rows to parts.
//!
//! It is fixed for ever: models and datasets of different days must agree on it, and the golden values in the tests
//! come from a second implementation. It folds 16 bytes at a time by one 64 x 64 bit multiplication (the scheme of
//! wyhash, with constants and finish of our own), reads bytes little-endian, and is no defence against an adversary.
//!
//! With `fold(x, y) = low 64 bits of xy ^ high 64 bits of xy`, and K the first 256 binary digits of pi's fraction:
//! 1. `s = seed ^ K0`.
//! 2. For each 16 bytes, as two integers a and b: `s = fold(a ^ K1, b ^ s)`. The last group holds 0 to 16 bytes,
//!    padded with zeros; all before it are full.
//! 3. The result is `fold(s ^ K2, length ^ K3)`.
//!
//! A feature's key is the top b bits. Each column hashes its values with a seed of its own ([`salt`]), so that equal
//! strings of different columns share a weight only by collision.

const K0: u64 = 0x243F_6A88_85A3_08D3;
const K1: u64 = 0x1319_8A2E_0370_7344;
const K2: u64 = 0xA409_3822_299F_31D0;
const K3: u64 = 0x082E_FA98_EC4E_6C89;

/// What a salt is for. The numbers are part of the hash's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Values of a categorical column.
    Category = 1,
    /// The one key of a numeric column.
    Number = 2,
    /// The one key that says that a numeric column has no value in this row.
    Missing = 3,
    /// Values of a pair of columns.
    Pair = 4,
    /// Rows, to choose between training and test.
    Split = 5,
}

/// Hashes `bytes` under `seed`; the module's head has the definition.
#[must_use]
#[inline]
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ K0;
    let mut rest = bytes;
    while rest.len() > 16 {
        let (group, after) = rest.split_at(16);
        state = fold(first_word(group) ^ K1, first_word(&group[8..]) ^ state);
        rest = after;
    }
    let second = rest.get(8..).map_or(0, first_word);
    state = fold(first_word(rest) ^ K1, second ^ state);
    fold(state ^ K2, bytes.len() as u64 ^ K3)
}

/// The seed under which a column's values are hashed. For [`Purpose::Number`] and [`Purpose::Missing`] it is itself
/// the feature's hash.
#[must_use]
pub fn salt(purpose: Purpose, column: &str) -> u64 {
    hash(purpose as u64, column.as_bytes())
}

/// The hash of a pair's value from the hashes of the two columns' values under their own salts.
#[must_use]
#[inline]
pub fn pair(first: u64, second: u64) -> u64 {
    let state = fold(first ^ K1, second ^ Purpose::Pair as u64 ^ K0);
    fold(state ^ K2, 16 ^ K3)
}

/// The key of a hash among 2^`bits`: its top bits. `bits` is 1 to 32.
#[must_use]
#[inline]
pub fn key(hash: u64, bits: u8) -> u32 {
    (hash >> (64 - u32::from(bits))) as u32
}

/// The first eight bytes as a little-endian integer, padded with zeros where there are fewer.
#[must_use]
#[inline]
pub(super) fn first_word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    // Two overlapping reads cover 4 to 7 bytes, three cover 1 to 3: what they share is equal, so `|` joins them.
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*high)) << (8 * (bytes.len() - 4));
        return u64::from(u32::from_le_bytes(*low)) | high;
    }
    match *bytes {
        [] => 0,
        [a] => u64::from(a),
        [a, b, ..] => u64::from(a) | u64::from(b) << 8 | bytes.get(2).map_or(0, |c| u64::from(*c) << 16),
    }
}

#[inline]
fn fold(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a second implementation, in integers of any size. A change of any of these breaks every stored model.
    const GOLDEN: [(u64, &[u8], u64); 11] = [
        (0, b"", 0x4540_359C_0D1A_DC75),
        (0, b"a", 0xE1A0_60D3_C796_C2C9),
        (1, b"a", 0x5E5F_484A_6E7D_99FE),
        (0, b"abc", 0xB35D_EBF3_C348_B095),
        (0, b"abcd", 0x7D02_0A26_CF6A_4E14),
        (0, b"abcdefg", 0xD042_F078_471F_6F81),
        (0, b"abcdefgh", 0x9698_075E_B3C4_552C),
        (0, b"abcdefghi", 0xA393_2478_D160_A17C),
        (7, b"0123456789abcdef", 0xB9EF_F8AA_7818_A181),
        (7, b"0123456789abcdefg", 0x2275_DB5E_AFC1_F6C3),
        (u64::MAX, &ALL_BYTES, 0xC83B_7D73_91F1_FAE2),
    ];

    const ALL_BYTES: [u8; 256] = {
        let mut bytes = [0; 256];
        let mut index = 0;
        while index < 256 {
            bytes[index] = index as u8;
            index += 1;
        }
        bytes
    };

    #[test]
    fn hashes_are_what_they_always_were() {
        for (seed, bytes, expected) in GOLDEN {
            assert_eq!(hash(seed, bytes), expected, "{seed} {bytes:?}");
        }
    }

    #[test]
    fn features_are_what_they_always_were() {
        let origin = hash(salt(Purpose::Category, "origin"), b"LAX");
        assert_eq!(origin, 0xF073_E889_E820_BA6E);
        assert_eq!(hash(salt(Purpose::Category, "destination"), b"LAX"), 0x6F01_FE9A_D94E_9CF6);
        assert_eq!(hash(salt(Purpose::Category, "origin"), b""), 0x01C6_1E0B_CB45_928D);
        assert_eq!(salt(Purpose::Number, "distance"), 0xB280_20C3_FF1D_193D);
        assert_eq!(salt(Purpose::Missing, "distance"), 0xC2F7_2E52_654F_3B01);
        let hour = hash(salt(Purpose::Category, "hour"), b"17");
        assert_eq!(pair(origin, hour), 0xEA47_483D_5CE2_E6C7);
        assert_eq!(key(origin, 20), 0xF073E);
        assert_eq!(key(origin, 1), 1);
    }

    #[test]
    fn a_pair_is_the_hash_of_both_hashes() {
        let both = [5_u64.to_le_bytes(), 9_u64.to_le_bytes()].concat();
        assert_eq!(pair(5, 9), hash(Purpose::Pair as u64, &both));
        assert_ne!(pair(5, 9), pair(9, 5));
    }

    #[test]
    fn keys_fill_the_table_evenly() {
        // 2^16 strings into 2^16 keys hit a share of 1 - 1/e of them; the deviation of that count is about 65.
        let salt = salt(Purpose::Category, "column");
        for suffix in ["", "-suffix-of-seventeen"] {
            let mut keys: Vec<u32> =
                (0..1 << 16).map(|i| key(hash(salt, format!("{i}{suffix}").as_bytes()), 16)).collect();
            keys.sort_unstable();
            keys.dedup();
            assert!(keys.len().abs_diff(41_427) < 400, "{}", keys.len());
        }
    }

    #[test]
    fn every_bit_of_the_input_matters() {
        let zeros = [0; 40];
        for length in 1..=zeros.len() {
            let plain = hash(0, &zeros[..length]);
            for bit in 0..8 * length {
                let mut flipped = zeros;
                flipped[bit / 8] ^= 1 << (bit % 8);
                let changed = (hash(0, &flipped[..length]) ^ plain).count_ones();
                assert!(changed > 8, "{length} bytes, bit {bit}: {changed} bits of the hash changed");
            }
        }
    }
}

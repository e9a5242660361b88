//! Key lists: the one encoding of sorted unique `u32` keys, in blocks, on the wire and in model files.
//!
//! ```text
//! 0  u32  count
//! 4       packed array of `count` gaps: the first key, then key - previous - 1
//! ```
//! A gap cannot express an unsorted or repeated key, so what decodes is sorted and unique; the last key is held
//! against the reader's limit, and so all are. Lists may follow each other in a *sequence* (a block's dictionary,
//! then the bias), sorted and unique as a whole: a sender adds a key without encoding the others again.

use crate::{
    error::FormatError,
    packed::{self, Packed, take},
};
use alloc::vec::Vec;

const UNSORTED: &str = "key lists that follow each other are not sorted";

/// What a reader of keys accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimit {
    /// The most keys.
    pub count: u32,
    /// The highest key, inclusive.
    pub key_max: u32,
}

/// Appends the key list of `keys` to `out`.
///
/// # Errors
/// [`FormatError::Unwritable`] if `keys` are not sorted and unique; `out` is then as before.
pub fn encode(keys: &[u32], out: &mut Vec<u8>) -> Result<(), FormatError> {
    let mut gaps = Vec::with_capacity(keys.len());
    let mut next = 0u64; // the lowest key that may follow
    for key in keys {
        let gap = u64::from(*key)
            .checked_sub(next)
            .ok_or(FormatError::Unwritable("keys are not sorted and unique"))?;
        gaps.push(gap as u32);
        next = u64::from(*key).wrapping_add(1);
    }
    out.extend_from_slice(&(keys.len() as u32).to_le_bytes());
    packed::encode(&gaps, out);
    Ok(())
}

/// Decodes the key list at the start of `bytes`; `out` is replaced by its keys. Bytes used.
///
/// # Errors
/// [`FormatError::Truncated`], [`FormatError::Limit`] before anything is allocated beyond `limit.count`, and
/// [`FormatError::Corrupt`]. `out` then holds no meaningful keys.
pub fn decode(bytes: &[u8], limit: KeyLimit, out: &mut Vec<u32>) -> Result<usize, FormatError> {
    decode_after(bytes, limit, 0, out)
}

/// Decodes all of `bytes`, a sequence of key lists; `out` is replaced by the keys of all, sorted and unique.
///
/// # Errors
/// As [`decode`], with `limit` holding for all lists together.
pub fn decode_sequence(bytes: &[u8], limit: KeyLimit, out: &mut Vec<u32>) -> Result<(), FormatError> {
    let mut rest = bytes;
    let mut start = 0;
    while !rest.is_empty() {
        let used = decode_after(rest, limit, start, out)?;
        rest = rest.get(used..).unwrap_or_default();
        start = out.len();
    }
    out.truncate(start);
    Ok(())
}

/// Decodes a key list over `out[start..]`, as the continuation of the keys before.
fn decode_after(
    bytes: &[u8],
    limit: KeyLimit,
    start: usize,
    out: &mut Vec<u32>,
) -> Result<usize, FormatError> {
    let mut rest = bytes;
    let (count, gaps) = take_list(&mut rest)?;
    let total = (start as u64).saturating_add(count.into());
    // Keys are unique: there are no more of them than there are numbers.
    let most = u64::from(limit.count).min(u64::from(limit.key_max).saturating_add(1));
    if total > most {
        return Err(FormatError::Limit { what: "the number of keys", found: total, limit: most });
    }
    out.resize(usize::try_from(total).unwrap_or(usize::MAX), 0);
    let (before, keys) = out.split_at_mut_checked(start).unwrap_or_default();
    gaps.unpack(keys)?;
    let last = add_up(keys).saturating_sub(1);
    if last > limit.key_max.into() {
        return Err(FormatError::Limit { what: "a key", found: last, limit: limit.key_max.into() });
    }
    if before.last().zip(keys.first()).is_some_and(|(before, first)| before >= first) {
        return Err(FormatError::Corrupt(UNSORTED));
    }
    Ok(bytes.len().saturating_sub(rest.len()))
}

/// Takes a key list off the front of `bytes`: its count, and the packed gaps.
pub(crate) fn take_list<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Packed<'a>), FormatError> {
    let count = take(bytes, 4, "key list")?.first_chunk().copied().map_or(0, u32::from_le_bytes);
    let gaps = Packed::take_from(bytes, usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok((count, gaps))
}

/// Turns gaps into the rising numbers that they stand for, in place; the number after the last, 0 if there are
/// none. It is exact, even if the numbers overflow 32 bits: who bounds it has bounded them all.
#[inline(always)]
pub(crate) fn add_up(gaps: &mut [u32]) -> u64 {
    let mut next = 0u64;
    for number in gaps {
        let value = next.wrapping_add((*number).into());
        *number = value as u32;
        next = value.wrapping_add(1);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, vec};
    use proptest::prelude::*;

    const ANY: KeyLimit = KeyLimit { count: u32::MAX, key_max: u32::MAX };

    fn encoded(keys: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(keys, &mut bytes).unwrap();
        bytes
    }

    fn key_sets() -> impl Strategy<Value = Vec<u32>> {
        (0u32..32).prop_flat_map(|shift| {
            proptest::collection::btree_set(any::<u32>().prop_map(move |key| key >> shift), 0..200)
                .prop_map(|keys: BTreeSet<u32>| keys.into_iter().collect())
        })
    }

    proptest! {
        #[test]
        fn round_trip(keys in key_sets()) {
            let bytes = encoded(&keys);
            let mut out = vec![9; 5];
            prop_assert_eq!(decode(&bytes, ANY, &mut out), Ok(bytes.len()));
            prop_assert_eq!(&out, &keys);
            let limit = KeyLimit { count: keys.len() as u32, key_max: keys.last().copied().unwrap_or(0) };
            prop_assert_eq!(decode(&bytes, limit, &mut out), Ok(bytes.len()));
        }

        #[test]
        fn sequences_are_one_list(keys in key_sets(), cut in any::<prop::sample::Index>()) {
            let (head, tail) = keys.split_at(cut.index(keys.len() + 1));
            let mut out = vec![9; 500];
            prop_assert_eq!(decode_sequence(&[encoded(head), encoded(tail)].concat(), ANY, &mut out), Ok(()));
            prop_assert_eq!(&out, &keys);
            if !head.is_empty() && !tail.is_empty() {
                let swapped = [encoded(tail), encoded(head)].concat();
                prop_assert_eq!(decode_sequence(&swapped, ANY, &mut out), Err(FormatError::Corrupt(UNSORTED)));
                let limit = KeyLimit { count: keys.len() as u32 - 1, ..ANY };
                let both = [encoded(head), encoded(tail)].concat();
                let refused = matches!(decode_sequence(&both, limit, &mut out), Err(FormatError::Limit { .. }));
                prop_assert!(refused);
            }
        }

        #[test]
        fn any_bytes_are_sorted_keys_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let limit = KeyLimit { count: 1000, key_max: 1 << 20 };
            let mut out = Vec::new();
            if decode(&bytes, limit, &mut out).is_ok() {
                prop_assert!(out.is_sorted_by(|a, b| a < b) && out.iter().all(|key| *key <= limit.key_max));
            }
            prop_assert!(out.capacity() <= 1000);
        }

        #[test]
        fn truncation_is_named(keys in key_sets(), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&keys);
            let result = decode(&bytes[..cut.index(bytes.len())], ANY, &mut Vec::new());
            let named = matches!(result, Err(FormatError::Truncated { .. }));
            prop_assert!(named, "{result:?}");
        }
    }

    #[test]
    fn an_empty_sequence_has_no_keys() {
        let mut out = vec![1];
        assert_eq!(decode_sequence(&[], ANY, &mut out), Ok(()));
        assert!(out.is_empty());
    }

    #[test]
    fn limits_hold_before_allocation() {
        let bytes = encoded(&[3, 5, 1000]);
        let mut out = Vec::new();
        let few = decode(&bytes, KeyLimit { count: 2, ..ANY }, &mut out);
        assert_eq!(few, Err(FormatError::Limit { what: "the number of keys", found: 3, limit: 2 }));
        let low = decode(&bytes, KeyLimit { key_max: 999, ..ANY }, &mut out);
        assert_eq!(low, Err(FormatError::Limit { what: "a key", found: 1000, limit: 999 }));
        // Four billion consecutive keys take 20 bytes: it is the reader's limit that refuses them.
        let mut vast = encoded(&[]);
        vast[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut out = Vec::new();
        let result = decode(&vast, KeyLimit { count: 1 << 20, ..ANY }, &mut out);
        assert!(matches!(result, Err(FormatError::Limit { found: 0xFFFF_FFFF, .. })), "{result:?}");
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn sums_beyond_32_bits_are_found() {
        let mut bytes = 3u32.to_le_bytes().to_vec();
        packed::encode(&[1 << 31, 1 << 31, 5], &mut bytes);
        let result = decode(&bytes, ANY, &mut Vec::new());
        assert!(matches!(result, Err(FormatError::Limit { what: "a key", .. })), "{result:?}");
    }

    #[test]
    fn unsorted_and_repeated_keys_cannot_be_written() {
        let mut out = vec![1];
        for keys in [[2, 1], [3, 3], [0, 0], [u32::MAX, u32::MAX]] {
            assert!(matches!(encode(&keys, &mut out), Err(FormatError::Unwritable(_))));
        }
        assert_eq!(out, [1]);
    }

    #[test]
    fn the_lowest_and_the_highest_key() {
        let mut out = Vec::new();
        assert_eq!(decode(&encoded(&[0, u32::MAX]), ANY, &mut out).map(|_| out), Ok(vec![0, u32::MAX]));
    }
}

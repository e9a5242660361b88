//! Packed arrays: `u32` values in a fixed number of bits, the few larger ones patched afterwards.
//!
//! ```text
//! 0  u8   width      bits of every low part, 0 to 32
//! 1  u8   high       bits of an exception's high part; width + high <= 32
//! 2  u8   gap        bits of the gap before an exception, 0 to 32
//! 3  u8   zero
//! 4  u32  exceptions
//! 8       low parts, gaps, high parts: each a stream of bits, lowest first, filled up to a whole byte
//!         8 zero bytes, so that 8 bytes can be loaded at every value
//! ```
//! Patched frame of reference (Zukowski et al., "Super-Scalar RAM-CPU Cache Compression", 2006). The number of
//! values is not in the array: it is the caller's, who bounds it before there is anything to allocate.

use crate::error::FormatError;
use alloc::vec::Vec;

const HEADER_BYTES: usize = 8;
/// Zero bytes at the end. A value of 32 bits may start at bit 7: 8 bytes cover it.
const PADDING: usize = 8;

/// Cuts the first `length` bytes off `bytes`.
pub(crate) fn take<'a>(
    bytes: &mut &'a [u8],
    length: usize,
    what: &'static str,
) -> Result<&'a [u8], FormatError> {
    let found = bytes.len() as u64;
    bytes.split_off(..length).ok_or(FormatError::Truncated { what, needed: length as u64, found })
}

/// A packed array in its encoded form, its lengths checked.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    count: usize,
    exceptions: usize,
    low: Stream<'a>,
    gaps: Stream<'a>,
    high: Stream<'a>,
}

impl<'a> Packed<'a> {
    /// Takes a packed array of `count` values off the front of `bytes`.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], and [`FormatError::Corrupt`] if a width is out of range.
    pub fn take_from(bytes: &mut &'a [u8], count: usize) -> Result<Self, FormatError> {
        const WHAT: &str = "packed array";
        let found = bytes.len() as u64;
        let header = take(bytes, HEADER_BYTES, WHAT)?;
        let &[width, high, gap, zero, a, b, c, d] = header else { return Err(FormatError::Corrupt(WHAT)) };
        let exceptions = u32::from_le_bytes([a, b, c, d]);
        if zero != 0 || width.saturating_add(high) > 32 || gap > 32 {
            return Err(FormatError::Corrupt("a packed array has values of more than 32 bits"));
        }
        if u64::from(exceptions) > count as u64 {
            return Err(FormatError::Corrupt("a packed array has more exceptions than values"));
        }
        let low_bytes = stream_bytes(count as u64, width);
        let gap_bytes = stream_bytes(exceptions.into(), gap);
        let high_bytes = stream_bytes(exceptions.into(), high);
        let behind_gaps = low_bytes.saturating_add(gap_bytes);
        let end = behind_gaps.saturating_add(high_bytes).saturating_add(PADDING as u64);
        let streams = usize::try_from(end).ok().and_then(|end| bytes.split_off(..end));
        let needed = end.saturating_add(HEADER_BYTES as u64);
        let streams = streams.ok_or(FormatError::Truncated { what: WHAT, needed, found })?;
        // Each may read on into what follows: nothing is cut off between them and the padding.
        let behind = |start: u64| streams.get(start as usize..).unwrap_or_default();
        Ok(Self {
            count,
            exceptions: exceptions as usize,
            low: Stream { bytes: streams, width },
            gaps: Stream { bytes: behind(low_bytes), width: gap },
            high: Stream { bytes: behind(behind_gaps), width: high },
        })
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Decodes all values over `out`, which must be [`count`](Self::count) long.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] if an exception lies behind the last value.
    pub fn unpack(&self, out: &mut [u32]) -> Result<(), FormatError> {
        let Self { mut low, mut gaps, mut high, .. } = *self;
        low.unpack(out);
        let (mut gap_batch, mut high_batch) = ([0; BATCH], [0; BATCH]);
        let mut position = 0usize;
        let mut left = self.exceptions;
        while left > 0 {
            let batch = left.min(BATCH);
            let gap_batch = gap_batch.get_mut(..batch).unwrap_or_default();
            let high_batch = high_batch.get_mut(..batch).unwrap_or_default();
            gaps.unpack(gap_batch);
            high.unpack(high_batch);
            for (gap, high) in gap_batch.iter().zip(high_batch) {
                position = position.saturating_add(*gap as usize);
                let behind = FormatError::Corrupt("an exception behind the end of a packed array");
                // With a width of 32, a high part has no bits and is 0, however far it is shifted.
                *out.get_mut(position).ok_or(behind)? |= high.wrapping_shl(low.width.into());
                position = position.saturating_add(1);
            }
            left = left.saturating_sub(batch);
        }
        Ok(())
    }
}

/// Decodes a packed array of `count` values at the start of `bytes`; `out` is replaced by them. Bytes used.
///
/// The caller bounds `count`: an array of equal values takes 16 bytes however long it is.
///
/// # Errors
/// [`FormatError::Truncated`], and [`FormatError::Corrupt`] if a width or an exception is out of range.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<u32>) -> Result<usize, FormatError> {
    let mut rest = bytes;
    let packed = Packed::take_from(&mut rest, count)?;
    out.resize(count, 0);
    packed.unpack(out)?;
    Ok(bytes.len().saturating_sub(rest.len()))
}

/// Bytes of a stream of `count` values.
fn stream_bytes(count: u64, width: u8) -> u64 {
    count.saturating_mul(width.into()).div_ceil(8)
}

/// Exceptions that are decoded at a time.
const BATCH: usize = 64;

/// Values of one width, one behind the other; at least [`PADDING`] bytes follow.
#[derive(Clone, Copy, Debug)]
struct Stream<'a> {
    bytes: &'a [u8],
    width: u8,
}

impl Stream<'_> {
    /// Decodes the next values. Their number is a multiple of 8, or they are the last.
    fn unpack(&mut self, out: &mut [u32]) {
        let unpack = UNPACK.get(usize::from(self.width)).copied().unwrap_or(unpack::<0>);
        unpack(self.bytes, out);
        let used = (out.len() / 8).wrapping_mul(self.width.into());
        self.bytes = self.bytes.get(used..).unwrap_or_default();
    }
}

/// Decodes as many values as `out` takes.
type Unpack = fn(&[u8], &mut [u32]);

/// Decoders by width: with the width known, the compiler unrolls a group of 8 values into loads and shifts
/// without a branch or a bounds check.
const UNPACK: [Unpack; 33] = {
    macro_rules! table {
        ($($width:literal)*) => { [$(unpack::<$width>),*] };
    }
    table!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
};

/// Eight values of `WIDTH` bits take `WIDTH` bytes: every group starts at a whole byte.
fn unpack<const WIDTH: usize>(bytes: &[u8], out: &mut [u32]) {
    let (groups, rest) = out.as_chunks_mut::<8>();
    let mut start = 0usize;
    for group in groups {
        let window = bytes.get(start..start.wrapping_add(WIDTH.wrapping_add(PADDING))).unwrap_or_default();
        for (index, value) in group.iter_mut().enumerate() {
            *value = load::<WIDTH>(window, index);
        }
        start = start.wrapping_add(WIDTH);
    }
    let window = bytes.get(start..).unwrap_or_default();
    for (index, value) in rest.iter_mut().enumerate() {
        *value = load::<WIDTH>(window, index);
    }
}

/// Value `index` of `window`.
#[inline(always)]
fn load<const WIDTH: usize>(window: &[u8], index: usize) -> u32 {
    let bit = index.wrapping_mul(WIDTH);
    let word = window
        .get(bit / 8..)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |word| u64::from_le_bytes(*word));
    let mask = 1u64.wrapping_shl(WIDTH as u32).wrapping_sub(1);
    (word >> (bit % 8) & mask) as u32
}

/// Appends the packed array of `values` to `out`, in the width that makes it smallest.
///
/// There must be fewer than 2^32 values.
pub fn encode(values: &[u32], out: &mut Vec<u8>) {
    let Plan { width, gap, high, exceptions } = Plan::smallest(values);
    out.extend_from_slice(&[width, high, gap, 0]);
    out.extend_from_slice(&(exceptions.len() as u32).to_le_bytes());
    let mask = 1u64.wrapping_shl(width.into()).wrapping_sub(1) as u32;
    write(values.iter().map(|value| value & mask), width, out);
    write(exceptions.iter().map(|exception| exception.gap), gap, out);
    write(exceptions.iter().map(|exception| exception.high), high, out);
    out.extend_from_slice(&[0; PADDING]);
}

/// A value that does not fit: the number of values since the exception before it, and its high part.
#[derive(Clone, Copy, Debug)]
struct Exception {
    gap: u32,
    high: u32,
}

/// How an array is packed.
#[derive(Clone, Debug)]
struct Plan {
    width: u8,
    gap: u8,
    high: u8,
    exceptions: Vec<Exception>,
}

impl Plan {
    fn with_width(values: &[u32], width: u8) -> Self {
        let mut exceptions = Vec::new();
        let (mut gap, mut gaps, mut highs) = (0u32, 0, 0);
        for value in values {
            let high = value.checked_shr(width.into()).unwrap_or(0);
            if high == 0 {
                gap = gap.wrapping_add(1);
            } else {
                exceptions.push(Exception { gap, high });
                gaps |= gap;
                highs |= high;
                gap = 0;
            }
        }
        Self { width, gap: bit_length(gaps), high: bit_length(highs), exceptions }
    }

    /// The plan with the fewest bytes. What the gaps of a width take is known only from a walk over the values;
    /// their mean bounds it from below, and only widths whose bound beats the best plan are walked.
    fn smallest(values: &[u32]) -> Self {
        // How many values have each bit length, and where the last of them is.
        let mut lengths = [(0u32, 0usize); 33];
        for (position, value) in values.iter().enumerate() {
            if let Some((count, last)) = lengths.get_mut(usize::from(bit_length(*value))) {
                *count = count.wrapping_add(1);
                *last = position;
            }
        }
        let longest = lengths.iter().rposition(|(count, _)| *count != 0).unwrap_or(0) as u8;
        // The least bytes by width; from the widest down, so that the exceptions and the last of them add up.
        let mut bounds = Vec::with_capacity(lengths.len());
        let (mut exceptions, mut last) = (0u32, 0usize);
        for (length, (count, position)) in
            lengths.iter().enumerate().take(usize::from(longest).wrapping_add(1)).rev()
        {
            let width = length as u8;
            let skipped = (last as u64).wrapping_add(1).saturating_sub(exceptions.into());
            let gap = bit_length(skipped.div_ceil(u64::from(exceptions.max(1))) as u32);
            let high = longest.saturating_sub(width);
            bounds.push((stream_sum(values.len(), width, exceptions, gap, high), width));
            exceptions = exceptions.wrapping_add(*count);
            last = last.max(*position);
        }
        bounds.sort_unstable();
        let mut best = Self { width: longest, gap: 0, high: 0, exceptions: Vec::new() };
        for (bytes, width) in bounds {
            if bytes >= best.bytes(values.len()) {
                break;
            }
            let plan = Self::with_width(values, width);
            if plan.bytes(values.len()) < best.bytes(values.len()) {
                best = plan;
            }
        }
        best
    }

    fn bytes(&self, count: usize) -> u64 {
        stream_sum(count, self.width, self.exceptions.len() as u32, self.gap, self.high)
    }
}

/// Bytes of the three streams of an array.
fn stream_sum(count: usize, width: u8, exceptions: u32, gap: u8, high: u8) -> u64 {
    stream_bytes(count as u64, width)
        .saturating_add(stream_bytes(exceptions.into(), gap))
        .saturating_add(stream_bytes(exceptions.into(), high))
}

fn bit_length(value: u32) -> u8 {
    u32::BITS.wrapping_sub(value.leading_zeros()) as u8
}

/// Appends `values`, each below 2^`width`, as a stream filled up to a whole byte.
fn write(values: impl Iterator<Item = u32>, width: u8, out: &mut Vec<u8>) {
    // `held` holds `bits` bits, fewer than 32 between two values.
    let (mut held, mut bits) = (0u64, 0u32);
    for value in values {
        held |= u64::from(value).wrapping_shl(bits);
        bits = bits.wrapping_add(width.into());
        if bits >= 32 {
            out.extend_from_slice(&(held as u32).to_le_bytes());
            held >>= 32;
            bits = bits.wrapping_sub(32);
        }
    }
    let rest = held.to_le_bytes();
    out.extend(rest.iter().take(bits.div_ceil(8) as usize));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// Arrays of many small and few large values, of every length around a group of 8.
    fn arrays() -> impl Strategy<Value = Vec<u32>> {
        (0u32..=32, 0u32..=32, 1u32..200).prop_flat_map(|(small, large, rarity)| {
            let below = |bits: u32| 0..=(1u64 << bits).wrapping_sub(1) as u32;
            proptest::collection::vec(prop_oneof![rarity => below(small), 1 => below(large)], 0..300)
        })
    }

    fn encoded(values: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn round_trip(values in arrays(), behind in proptest::collection::vec(any::<u8>(), 0..3)) {
            let mut bytes = encoded(&values);
            let length = bytes.len();
            bytes.extend_from_slice(&behind);
            let mut out = vec![7; 3];
            prop_assert_eq!(decode(&bytes, values.len(), &mut out), Ok(length));
            prop_assert_eq!(out, values);
        }

        #[test]
        fn no_width_is_smaller(values in arrays()) {
            let chosen = Plan::smallest(&values);
            for width in 0..=32 {
                let plan = Plan::with_width(&values, width);
                prop_assert!(chosen.bytes(values.len()) <= plan.bytes(values.len()), "{chosen:?} {plan:?}");
            }
            prop_assert_eq!(encoded(&values).len() as u64, chosen.bytes(values.len()) + 16);
        }

        #[test]
        fn truncation_is_named(values in arrays(), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&values);
            let short = &bytes[..cut.index(bytes.len())];
            let result = decode(short, values.len(), &mut Vec::new());
            let named = matches!(result, Err(FormatError::Truncated { found, .. }) if found == short.len() as u64);
            prop_assert!(named, "{result:?}");
        }

        #[test]
        fn any_bytes_are_an_array_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..300) {
            let mut out = Vec::new();
            if let Ok(used) = decode(&bytes, count, &mut out) {
                prop_assert!(used <= bytes.len());
                prop_assert_eq!(out.len(), count);
            }
        }
    }

    #[test]
    fn every_width_and_every_remainder() {
        for width in 0..=32u32 {
            for count in 0..40u32 {
                let top = (1u64 << width).wrapping_sub(1) as u32;
                let values: Vec<u32> = (0..count).map(|i| i.wrapping_mul(0x9E37_79B9) & top).collect();
                let mut out = Vec::new();
                assert_eq!(decode(&encoded(&values), count as usize, &mut out).map(|_| out), Ok(values));
            }
        }
    }

    #[test]
    fn broken_headers_are_refused() {
        let good = encoded(&[1, 2, 3, 1 << 20]);
        let corrupt = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes.extend_from_slice(&[0; 64]);
            decode(&bytes, 4, &mut Vec::new())
        };
        assert!(matches!(corrupt(0, 33), Err(FormatError::Corrupt(_))), "width");
        assert!(matches!(corrupt(1, 32), Err(FormatError::Corrupt(_))), "width and high part");
        assert!(matches!(corrupt(2, 33), Err(FormatError::Corrupt(_))), "gap");
        assert!(matches!(corrupt(3, 1), Err(FormatError::Corrupt(_))), "zero");
        assert!(matches!(corrupt(4, 5), Err(FormatError::Corrupt(_))), "exceptions");
        assert!(matches!(corrupt(4, 4), Err(FormatError::Corrupt(_))), "an exception behind the end");
    }
}

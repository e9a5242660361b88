//! Numbers in text: digits eight at a time, decimal fractions exactly.
//!
//! Both work on the word of [`first_word`], eight bytes of text in one integer. A decimal whose digits fit 24 bits
//! and whose power of ten is an `f32` is one exact division, hence correctly rounded (Clinger 1990); all other
//! spellings go to the standard library, which rounds correctly, too.

use super::hash::first_word;

const ZEROS: u64 = 0x3030_3030_3030_3030;
/// Powers of ten that `f32` holds exactly and that a fraction of up to eight digits needs.
const POWERS: [f32; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
const INTEGER_POWERS: [u32; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many of the word's bytes, from the first, are decimal digits: 0 to 8.
#[inline]
pub(super) fn leading_digits(word: u64) -> usize {
    let x = word ^ ZEROS;
    // A byte's top bit is set unless the byte is 0 to 9; no carry crosses a byte.
    let others = (((x & 0x7F7F_7F7F_7F7F_7F7F) + 0x7676_7676_7676_7676) | x) & 0x8080_8080_8080_8080;
    (others.trailing_zeros() / 8) as usize
}

/// The number that the word's first `count` bytes spell; they are digits, `count` is 1 to 8.
#[inline]
pub(super) fn digits_value(word: u64, count: usize) -> u32 {
    // Zeros move in front of the digits, then neighbours are joined: to pairs, to fours, to eight.
    let x = (word ^ ZEROS) << (64 - 8 * count);
    let pairs = x.wrapping_mul(10).wrapping_add(x >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    (low.wrapping_add(high) >> 32) as u32
}

/// The unsigned integer at the start of `text` and its length in bytes; `None` without a digit. An integer above
/// `u64` is answered as `u64::MAX`.
#[inline]
pub(super) fn leading_integer(text: &[u8]) -> Option<(u64, usize)> {
    let word = first_word(text);
    match leading_digits(word) {
        0 => None,
        8 => {
            let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let digits = std::str::from_utf8(&text[..count]).ok()?;
            Some((digits.parse().unwrap_or(u64::MAX), count))
        }
        count => Some((u64::from(digits_value(word, count)), count)),
    }
}

/// The finite number that all of `text` spells, rounded to `f32`. `None` for anything else: also for NaN, infinity
/// and what rounds to infinity.
#[inline]
pub(super) fn finite(text: &[u8]) -> Option<f32> {
    if let Some(value) = short_decimal(text) {
        return Some(value);
    }
    std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f32| value.is_finite())
}

/// `[-]digits[.digits]` with a significand of at most 24 bits.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f32> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let word = first_word(text);
    let whole = leading_digits(word);
    if whole == 0 || whole == 8 {
        return None;
    }
    let mut significand = digits_value(word, whole);
    let mut decimals = 0;
    match &text[whole..] {
        [] => {}
        [b'.', fraction @ ..] => {
            let word = first_word(fraction);
            decimals = leading_digits(word);
            if decimals == 0 || decimals != fraction.len() || whole + decimals > 8 {
                return None;
            }
            significand = significand * INTEGER_POWERS[decimals] + digits_value(word, decimals);
        }
        _ => return None,
    }
    if significand > 1 << f32::MANTISSA_DIGITS {
        return None;
    }
    let value = significand as f32 / POWERS[decimals];
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_end_at_the_first_byte_that_is_none() {
        for (text, count, value) in [
            (&b"1"[..], 1, 1),
            (b"12345678", 8, 12_345_678),
            (b"99999999", 8, 99_999_999),
            (b"00000007:1 ", 8, 7),
            (b"1048576:", 7, 1_048_576),
            (b"12/4", 2, 12),
            (b"12:4", 2, 12),
            (b"3\xB04", 1, 3),
            (b"3\x004", 1, 3),
        ] {
            let word = first_word(text);
            assert_eq!(leading_digits(word), count, "{text:?}");
            assert_eq!(digits_value(word, count), value, "{text:?}");
        }
        assert_eq!(leading_digits(first_word(b"")), 0);
        assert_eq!(leading_digits(first_word(b":1")), 0);
    }

    #[test]
    fn long_integers_saturate() {
        assert_eq!(leading_integer(b"123456789012:1"), Some((123_456_789_012, 12)));
        assert_eq!(leading_integer(b"99999999999999999999999 "), Some((u64::MAX, 23)));
        assert_eq!(leading_integer(b"x1"), None);
    }

    #[test]
    fn what_is_no_finite_number_is_refused() {
        let wrong = ["", "-", ".", "-.", "1.2.3", "1x", " 1", "1 ", "0x10", "1e", "--1", "1,5"];
        let infinite = ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e39", "-1e39", "1e999"];
        for text in wrong.iter().chain(&infinite) {
            assert_eq!(finite(text.as_bytes()), None, "{text}");
        }
        assert_eq!(finite(b"1\xFF"), None);
    }

    proptest! {
        #[test]
        fn decimals_are_what_the_standard_library_makes_of_them(
            negative: bool, whole in 0u32..=99_999_999, fraction in proptest::option::of("[0-9]{1,9}"),
        ) {
            let sign = if negative { "-" } else { "" };
            let text = fraction.map_or(format!("{sign}{whole}"), |f| format!("{sign}{whole}.{f}"));
            let expected: f32 = text.parse().unwrap();
            prop_assert_eq!(finite(text.as_bytes()).map(f32::to_bits), Some(expected.to_bits()));
        }

        #[test]
        fn any_text_agrees_with_the_standard_library(text in "[-+0-9.eEinfa]{0,12}") {
            let expected = text.parse::<f32>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(finite(text.as_bytes()).map(f32::to_bits), expected.map(f32::to_bits));
        }

        #[test]
        fn every_number_survives_its_shortest_spelling(value in any::<f32>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(finite(value.to_string().as_bytes()).map(f32::to_bits), Some(value.to_bits()));
            prop_assert_eq!(finite(format!("{value:e}").as_bytes()).map(f32::to_bits), Some(value.to_bits()));
        }
    }
}

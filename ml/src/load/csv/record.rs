//! Records and fields of CSV text, after RFC 4180.
//!
//! A field that starts with a quotation mark ends at the next one that is not doubled; delimiters and line feeds in
//! between belong to it. A quotation mark inside a field that does not start with one is malformed, and so is text
//! behind a closing one. Malformed or not, where a record ends is decided here alone, by one rule for the cutting
//! into chunks and for the reading: a line feed ends it unless it is inside a quoted field.

use std::borrow::Cow;

use super::super::error::Fault;

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Finds ends of records in one text. It remembers where the next quotation mark is, so that text with few of them
/// is searched at the speed of [`memchr`].
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The first quotation mark at or behind the last record's start; `None` if not looked for yet.
    quote: Option<usize>,
}

impl Records {
    /// The position of the line feed that ends the record at `from`, or the length of `text`.
    #[inline]
    pub(super) fn end(&mut self, text: &[u8], from: usize, delimiter: u8) -> usize {
        let mut position = from;
        loop {
            let line_end = find(text, position, b'\n');
            let quote = match self.quote {
                Some(quote) if quote >= position => quote,
                _ => *self.quote.insert(find(text, position, b'"')),
            };
            if quote >= line_end {
                return line_end;
            }
            let opens = quote == from || text[quote - 1] == delimiter;
            position = if opens { closing(text, quote + 1) + 1 } else { quote + 1 };
            if position >= text.len() {
                return text.len();
            }
        }
    }
}

/// Where the last record that surely ends in `text` does: behind its line feed.
pub(super) fn last_end(text: &[u8], delimiter: u8) -> Option<usize> {
    if memchr::memchr(b'"', text).is_none() {
        return memchr::memrchr(b'\n', text).map(|position| position + 1);
    }
    let mut records = Records::default();
    let mut last = None;
    let mut from = 0;
    while from < text.len() {
        let end = records.end(text, from, delimiter);
        if end == text.len() {
            break;
        }
        from = end + 1;
        last = Some(from);
    }
    last
}

fn find(text: &[u8], from: usize, byte: u8) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    memchr::memchr(byte, rest).map_or(text.len(), |position| from + position)
}

/// The position of the quotation mark that ends the quoted text at `from`; the length of `text` without one.
fn closing(text: &[u8], mut from: usize) -> usize {
    loop {
        let quote = find(text, from, b'"');
        if text.get(quote + 1) != Some(&b'"') {
            return quote.min(text.len());
        }
        from = quote + 2;
    }
}

/// The field of `record` at `at`, and where the next one starts; `None` when it was the last.
///
/// # Errors
/// The field is malformed.
#[inline]
pub(super) fn field(
    record: &[u8],
    at: usize,
    delimiter: u8,
) -> Result<(Cow<'_, [u8]>, Option<usize>), Fault> {
    let rest = record.get(at..).unwrap_or_default();
    let length = plain_length(rest, delimiter);
    match rest.get(length) {
        None => Ok((Cow::Borrowed(rest), None)),
        Some(b'"') => quoted(record, at, length, delimiter),
        Some(_) => Ok((Cow::Borrowed(&rest[..length]), Some(at + length + 1))),
    }
}

/// How many bytes stand before the first delimiter or quotation mark, eight at a time: fields are short.
#[inline]
fn plain_length(text: &[u8], delimiter: u8) -> usize {
    let (delimiters, quotes) = (ONES * u64::from(delimiter), ONES * u64::from(b'"'));
    let mut words = text.chunks_exact(8);
    let mut length = 0;
    for word in words.by_ref() {
        // A chunk has eight bytes.
        let word = super::super::hash::first_word(word);
        // The lowest marked byte is the first that became zero; higher marks may be wrong and are not used.
        let (a, b) = (word ^ delimiters, word ^ quotes);
        let marks = ((a.wrapping_sub(ONES) & !a) | (b.wrapping_sub(ONES) & !b)) & TOPS;
        if marks != 0 {
            return length + (marks.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let tail = words.remainder();
    length + tail.iter().position(|byte| *byte == delimiter || *byte == b'"').unwrap_or(tail.len())
}

/// As [`field`], for a field with a quotation mark `before` bytes behind its start.
#[cold]
fn quoted(
    record: &[u8],
    at: usize,
    before: usize,
    delimiter: u8,
) -> Result<(Cow<'_, [u8]>, Option<usize>), Fault> {
    let rest = &record[at..];
    if before > 0 {
        let expected = "no quotation mark inside a field (quote the whole field and double the mark)";
        return Err(Fault::at(at + before, &rest[before..], expected));
    }
    let close = closing(rest, 1);
    if close == rest.len() {
        return Err(Fault::at(at, rest, "a closing quotation mark"));
    }
    let inner = &rest[1..close];
    let value = if memchr::memchr(b'"', inner).is_none() {
        Cow::Borrowed(inner)
    } else {
        let mut plain = Vec::with_capacity(inner.len());
        let mut pair = false;
        for byte in inner {
            // Inside, marks come in pairs: of each, one is kept.
            pair = *byte == b'"' && !pair;
            if !pair {
                plain.push(*byte);
            }
        }
        Cow::Owned(plain)
    };
    match rest.get(close + 1) {
        None => Ok((value, None)),
        Some(byte) if *byte == delimiter => Ok((value, Some(at + close + 2))),
        Some(_) => {
            let expected = "a delimiter or the end of the line behind a closing quotation mark";
            Err(Fault::at(at + close + 1, &rest[close + 1..], expected))
        }
    }
}

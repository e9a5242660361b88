//! Rust source as the rules read it: text, and the same text with comments and literals blanked out.
//!
//! Blanking keeps every line break and every column, so that a place in one text is the same place in the other.
//! What is left is only code: a brace in it is a block's, a word in it is really used. No macro is expanded; the
//! rules are about what people write and read.

use std::ops::Range;

/// One file.
pub(crate) struct Source {
    /// From the root of the checkout, with `/`.
    pub(crate) path: String,
    /// As it is on disk.
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked out.
    pub(crate) code: String,
    /// Whether the whole file is a test: in a `tests` folder, or declared as a test module.
    pub(crate) test_file: bool,
}

impl Source {
    /// Reads a text; whether another file declares it as a test module is up to the caller.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let test_file = path.split('/').any(|part| part == "tests" || part == "tests.rs");
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text), test_file }
    }

    /// The code outside tests: what is inside them is blank, too.
    pub(crate) fn product_code(&self) -> String {
        if self.test_file {
            return keep(&self.code, &[]);
        }
        keep(&self.code, &complement(&self.test_items(), self.code.len()))
    }

    /// The code inside tests.
    pub(crate) fn test_code(&self) -> String {
        if self.test_file {
            return self.code.clone();
        }
        keep(&self.code, &self.test_items())
    }

    /// Where the items behind `#[cfg(test)]` are.
    pub(crate) fn test_items(&self) -> Vec<Range<usize>> {
        let mut items: Vec<Range<usize>> = Vec::new();
        for marker in ["#[cfg(test)]", "#[cfg(all(test"] {
            for (start, _) in self.code.match_indices(marker) {
                let rest = start + marker.len();
                items.push(start..item_end(&self.code, rest));
            }
        }
        items.sort_by_key(|item| item.start);
        items
    }

    /// The line, from 1, of a place.
    pub(crate) fn line(&self, place: usize) -> usize {
        line(&self.code, place)
    }

    /// Names of the modules that are declared as tests but lie in files of their own.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let items = self.test_items();
        let declared = items.iter().filter_map(|item| {
            let words: Vec<&str> = self.code.get(item.clone())?.split_whitespace().collect();
            let module = words.iter().position(|word| *word == "mod")?;
            words.get(module + 1)?.strip_suffix(';').map(str::to_owned)
        });
        declared.collect()
    }
}

/// The line, from 1, of a place in a text.
pub(crate) fn line(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

/// Where a word stands by itself, not as a part of a longer name.
pub(crate) fn words<'text>(code: &'text str, word: &'text str) -> impl Iterator<Item = usize> + 'text {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(place, _)| place).filter(move |place| {
        let before = place.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(place + word.len()).copied();
        !before.is_some_and(in_name) && !after.is_some_and(in_name)
    })
}

/// Whether a byte can be part of a name.
pub(crate) fn in_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Where the item that begins at `from` ends: behind its block, or behind the `;` that it has in place of one.
pub(crate) fn item_end(code: &str, from: usize) -> usize {
    match body(code, from) {
        Some(block) => block.end,
        None => code[from..].find(';').map_or(code.len(), |end| from + end + 1),
    }
}

/// The block of the item that begins at `from`, braces included; `None` when a `;` ends it first.
pub(crate) fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let mut depth = 0_i32;
    for (place, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth <= 0 => return None,
            b'{' if depth <= 0 => return Some(place..block_end(code, place)),
            _ => {}
        }
    }
    None
}

/// Behind the brace that closes the one at `open`.
fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_i32;
    for (place, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    code.len()
}

/// The text with everything outside `ranges` blank.
fn keep(text: &str, ranges: &[Range<usize>]) -> String {
    let mut kept: Vec<u8> = text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect();
    for range in ranges {
        kept[range.clone()].copy_from_slice(&text.as_bytes()[range.clone()]);
    }
    String::from_utf8(kept).expect("whole items are kept, so characters are too")
}

/// What lies between sorted ranges, which may overlap.
fn complement(ranges: &[Range<usize>], length: usize) -> Vec<Range<usize>> {
    let mut between = Vec::new();
    let mut from = 0;
    for range in ranges {
        if range.start > from {
            between.push(from..range.start);
        }
        from = from.max(range.end);
    }
    between.push(from..length);
    between
}

/// Blanks comments and the insides of literals.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut place = 0;
    while place < bytes.len() {
        let end = literal_end(bytes, place);
        for byte in &mut code[place..end.max(place)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        // A name is taken whole, so that the `r` at its end opens no raw string.
        let name = bytes[place..].iter().take_while(|byte| in_name(**byte)).count();
        place = if end > place { end } else { place + name.max(1) };
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Where the comment or literal that begins at `place` ends; `place` itself when none begins there.
fn literal_end(bytes: &[u8], place: usize) -> usize {
    let rest = &bytes[place..];
    if rest.starts_with(b"//") {
        return place + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return place + comment_length(rest);
    }
    let prefix =
        [&b"br"[..], b"cr", b"r"].into_iter().find(|prefix| rest.starts_with(prefix)).map_or(0, <[u8]>::len);
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if prefix > 0 && rest.get(prefix + hashes) == Some(&b'"') {
        let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
        let inside = &rest[prefix + hashes + 1..];
        let length = inside.windows(close.len()).position(|window| window == close).unwrap_or(inside.len());
        return (place + prefix + hashes + 1 + length + close.len()).min(bytes.len());
    }
    match rest.first() {
        Some(b'"') => place + quoted_length(rest, b'"'),
        // A lifetime has no closing quote behind its first character.
        Some(b'\'') if rest.get(1) == Some(&b'\\') => place + quoted_length(rest, b'\''),
        Some(b'\'') => {
            let character = rest.get(1).map_or(1, |first| match first {
                0..0xc0 => 1,
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            });
            if rest.get(1 + character) == Some(&b'\'') { place + character + 2 } else { place }
        }
        _ => place,
    }
}

/// Length of a block comment, those inside it included.
fn comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut place) = (0_u32, 0);
    while place < rest.len() {
        if rest[place..].starts_with(b"/*") {
            depth += 1;
            place += 2;
        } else if rest[place..].starts_with(b"*/") {
            depth -= 1;
            place += 2;
            if depth == 0 {
                return place;
            }
        } else {
            place += 1;
        }
    }
    place
}

/// Length of a literal with escapes, both quotes included.
fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut place = 1;
    while place < rest.len() && rest[place] != quote {
        place += if rest[place] == b'\\' { 2 } else { 1 };
    }
    (place + 1).min(rest.len())
}

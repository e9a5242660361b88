//! An input as a sequence of chunks, each of whole records.
//!
//! Chunks are cut on one thread and parsed on many. Where they are cut depends on the text and the chunk size alone,
//! so what is made of them does, too. A byte order mark at the start of the text is no part of it.

use std::sync::Arc;

use super::compress::Input;
use super::error::LoadError;
use super::rows::ChunkParser;

/// Text of a chunk, unless a test wants less.
pub(super) const CHUNK_BYTES: usize = 2 << 20;
/// Text that is looked at before the format is known. A header line must fit.
pub(super) const HEAD_BYTES: usize = 256 << 10;
/// The longest record.
pub(super) const RECORD_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whole records of an input.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Their text.
    pub(super) text: Vec<u8>,
    /// Lines of the input before it.
    pub(super) lines_before: u64,
    /// Bytes of the input, as it is stored, that were read so far.
    pub(super) bytes_read: u64,
}

/// Cuts an input into chunks.
#[derive(Debug)]
pub(super) struct Source {
    input: Input,
    chunk_bytes: usize,
    /// Text that was read and is in no chunk yet.
    pending: Vec<u8>,
    /// All text was read.
    ended: bool,
    lines: u64,
    text_bytes: u64,
}

impl Source {
    /// Reads the start of the text.
    pub(super) fn new(mut input: Input, chunk_bytes: usize) -> Result<Self, LoadError> {
        let mut pending = vec![0; HEAD_BYTES];
        let filled = input.fill(&mut pending)?;
        pending.truncate(filled);
        let ended = filled < HEAD_BYTES;
        if pending.starts_with(BYTE_ORDER_MARK) {
            pending.drain(..BYTE_ORDER_MARK.len());
        }
        if pending.is_empty() {
            return Err(LoadError::Empty { file: Arc::clone(input.name()) });
        }
        Ok(Self { input, chunk_bytes, pending, ended, lines: 0, text_bytes: 0 })
    }

    /// The input.
    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// The input, when all is read.
    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// The start of the text that is in no chunk yet, and whether it is all there is.
    pub(super) fn head(&self) -> (&[u8], bool) {
        (&self.pending, self.ended)
    }

    /// Lines in the chunks so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of text in the chunks so far.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Leaves out the next `bytes` of the text, a header.
    pub(super) fn skip(&mut self, bytes: usize) {
        let skipped: Vec<u8> = self.pending.drain(..bytes.min(self.pending.len())).collect();
        self.count(&skipped);
    }

    /// All chunks; none after an error.
    pub(super) fn chunks(
        &mut self,
        parser: &dyn ChunkParser,
    ) -> impl Iterator<Item = Result<Chunk, LoadError>> {
        let mut failed = false;
        std::iter::from_fn(move || {
            let chunk = if failed { None } else { self.next(parser).transpose() };
            failed = matches!(chunk, Some(Err(_)));
            chunk
        })
    }

    /// The next whole records; `None` at the end.
    pub(super) fn next(&mut self, parser: &dyn ChunkParser) -> Result<Option<Chunk>, LoadError> {
        let mut text = std::mem::take(&mut self.pending);
        let mut wanted = self.chunk_bytes;
        let end = loop {
            if text.len() < wanted && !self.ended {
                let before = text.len();
                text.resize(wanted, 0);
                let filled = self.input.fill(text.get_mut(before..).unwrap_or_default())?;
                text.truncate(before + filled);
                self.ended = text.len() < wanted;
            }
            if self.ended && text.len() <= wanted {
                break text.len();
            }
            let visible = text.get(..wanted).unwrap_or(&text);
            if let Some(end) = parser.last_record_end(visible) {
                break end;
            }
            if wanted >= RECORD_BYTES {
                let (file, line) = (Arc::clone(self.input.name()), self.lines + 1);
                return Err(LoadError::RecordTooLong { file, line, limit: RECORD_BYTES });
            }
            wanted = (2 * wanted).min(RECORD_BYTES);
        };
        if text.is_empty() {
            return Ok(None);
        }
        self.pending = text.split_off(end);
        let lines_before = self.lines;
        self.count(&text);
        Ok(Some(Chunk { text, lines_before, bytes_read: self.input.bytes_read() }))
    }

    fn count(&mut self, text: &[u8]) {
        self.text_bytes += text.len() as u64;
        // The last line may lack its end; no text at all is no line.
        let unended = text.last().is_some_and(|last| *last != b'\n');
        self.lines += memchr::memchr_iter(b'\n', text).count() as u64 + u64::from(unended);
    }
}

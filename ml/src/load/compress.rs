//! Input bytes: opened, decompressed by their first bytes, counted and summed on the way.
//!
//! Compression is recognised by content, never by name. gzip files of several members and Zstandard files of several
//! frames are read to the end. Input that ends in the middle of one is an error of its own, so that half a download
//! is never taken for a whole file.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use cirrus_protocol::checksum::crc32c_append;
use cirrus_protocol::manifest::{Compression, SourceInfo};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object;
use cirrus_runtime::object::reader::ObjectReader;
use flate2::bufread::MultiGzDecoder;

use super::error::LoadError;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Compressed bytes fetched at once.
const BUFFER_BYTES: usize = 256 << 10;

/// An input to load from: a name for messages, and its bytes.
pub struct Input {
    name: Arc<str>,
    length: Option<u64>,
    text: Text,
}

enum Text {
    Plain(Raw),
    Gzip(MultiGzDecoder<BufReader<Raw>>),
    Zstd(zstd::Decoder<'static, BufReader<Raw>>),
}

/// Bytes as they are stored: the first few again, then the others.
type Raw = io::Chain<Cursor<Vec<u8>>, Counted>;

struct Counted {
    source: Box<dyn Read + Send>,
    bytes: u64,
    crc32c: u32,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes += count as u64;
        self.crc32c = crc32c_append(self.crc32c, &buffer[..count]);
        Ok(count)
    }
}

impl Input {
    /// Opens a file, by a path or URL. Storage is driven by `io`.
    ///
    /// # Errors
    /// [`LoadError::Read`] when it cannot be read, [`LoadError::Empty`] when it has no bytes; [`LoadError::Storage`]
    /// and [`LoadError::Url`] for what is in object storage.
    pub fn open(place: &str, io: &IoThread) -> Result<Self, LoadError> {
        Self::open_within(place, io, |source| source)
    }

    /// As [`Input::open`], with `around` between what is read and its reader.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn open_within(
        place: &str,
        io: &IoThread,
        around: impl FnOnce(Box<dyn Read + Send>) -> Box<dyn Read + Send>,
    ) -> Result<Self, LoadError> {
        let Some(path) = object::local_path(place)? else {
            let (store, key) = object::open_object(place)?;
            let object = ObjectReader::open(store, &key, io)?;
            return Self::new(place, Some(object.length()), around(Box::new(object)));
        };
        let name = path.as_str();
        let failed = |source| LoadError::Read { file: name.into(), source };
        let file = File::open(name).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // Pipes and devices have no length that means anything.
        Self::new(name, metadata.is_file().then_some(metadata.len()), around(Box::new(file)))
    }

    /// Takes any source of bytes; `length` is how many there are, if known, for progress.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub fn new(name: &str, length: Option<u64>, source: Box<dyn Read + Send>) -> Result<Self, LoadError> {
        let name: Arc<str> = name.into();
        let mut counted = Counted { source, bytes: 0, crc32c: 0 };
        let failed = |source| LoadError::Read { file: Arc::clone(&name), source };
        let mut first = Vec::new();
        counted.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first).map_err(failed)?;
        if first.is_empty() {
            return Err(LoadError::Empty { file: name });
        }
        let (gzip, zstd) = (first.starts_with(&GZIP_MAGIC), first.starts_with(&ZSTD_MAGIC));
        let raw = Cursor::new(first).chain(counted);
        let buffered = |raw| BufReader::with_capacity(BUFFER_BYTES, raw);
        let text = if gzip {
            Text::Gzip(MultiGzDecoder::new(buffered(raw)))
        } else if zstd {
            Text::Zstd(zstd::Decoder::with_buffer(buffered(raw)).map_err(failed)?)
        } else {
            Text::Plain(raw)
        };
        Ok(Self { name, length, text })
    }

    /// The name for messages.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How many bytes there are as stored, if known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many bytes were taken from the source so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.raw().get_ref().1.bytes
    }

    /// What the manifest says of the input, once it is read to its end.
    pub(super) fn into_info(self, rows: u64, skipped: u64) -> SourceInfo {
        let compression = match self.text {
            Text::Plain(_) => Compression::Plain,
            Text::Gzip(_) => Compression::Gzip,
            Text::Zstd(_) => Compression::Zstd,
        };
        let Counted { bytes, crc32c, .. } = *self.raw().get_ref().1;
        SourceInfo { path: self.name.to_string(), bytes, crc32c, compression, rows, skipped }
    }

    /// Fills `buffer` with text; a shorter count than its length means the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, LoadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let result = match &mut self.text {
                Text::Plain(raw) => raw.read(rest),
                Text::Gzip(decoder) => decoder.read(rest),
                Text::Zstd(decoder) => decoder.read(rest),
            };
            match result {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    fn raw(&self) -> &Raw {
        match &self.text {
            Text::Plain(raw) => raw,
            Text::Gzip(decoder) => decoder.get_ref().get_ref(),
            Text::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    fn failed(&self, source: io::Error) -> LoadError {
        let file = Arc::clone(&self.name);
        let compression = match &self.text {
            Text::Plain(_) => return LoadError::Read { file, source },
            Text::Gzip(_) => "gzip",
            Text::Zstd(_) => "zstd",
        };
        // What the operating system or object storage refuses is no fault of the data.
        let by_storage = source.get_ref().is_some_and(|cause| cause.is::<object::ObjectError>());
        if source.raw_os_error().is_some() || by_storage {
            return LoadError::Read { file, source };
        }
        match source.kind() {
            io::ErrorKind::UnexpectedEof => LoadError::Truncated { file, compression },
            _ => LoadError::Damaged { file, compression, source },
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

//! The load itself: chunks are parsed, rows put into blocks, blocks encoded, in order, on the threads of the pool.
//!
//! Two ordered maps stand one behind the other: from chunks to rows, and from [`Blocks`] of rows to encoded blocks. The
//! calling thread draws from the second; in doing so it reads the file, cuts blocks and hands both kinds of jobs to
//! the pool. Each map keeps the order and each job is a pure function, so the output does not depend on timing.
//! Windows bound what is in flight: at most `2 * threads` chunks and as many blocks.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cirrus_protocol::manifest::{FORMAT_VERSION, Manifest, Schema, SourceInfo};
use cirrus_protocol::partition::{LabelKind, Shape};
use cirrus_runtime::dataset::Side;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::pool::WorkPool;

use super::blocks::{BlockRows, Blocks, Builders, Placed, Tally};
use super::compress::Input;
use super::error::{LineError, LoadError};
use super::options::{LoadOptions, TestSplit};
use super::rows::{ChunkParser, Division, Labels, Reading};
use super::source::{CHUNK_BYTES, Chunk, Source};
use super::statistics::ColumnTally;
use super::target::{Target, Writer};
use super::{FORMATS, Head, Loader, open, recognise};

/// How far a load has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read, as they are stored.
    pub bytes: u64,
    /// Bytes there are in all, if known.
    pub bytes_total: Option<u64>,
    /// Rows read.
    pub rows: u64,
    /// Malformed lines skipped.
    pub skipped: u64,
}

/// What a load did.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The dataset: rows, positives and nonzeros of both parts, sources, columns.
    pub manifest: Manifest,
    /// The first malformed lines that were skipped, at most ten. The manifest says how many there were.
    pub skipped: Vec<LineError>,
    /// Bytes of text, decompressed.
    pub text_bytes: u64,
    /// From the first byte read to the manifest written.
    pub time: Duration,
}

impl LoadReport {
    /// Millions of bytes of text in a second.
    #[must_use]
    pub fn megabytes_per_second(&self) -> f64 {
        self.text_bytes as f64 / 1e6 / self.time.as_secs_f64().max(1e-9)
    }
}

/// Loads `input` into `target`; `progress` is told from time to time how far it has come.
///
/// # Errors
/// [`LoadError`] says what was wrong and where. The target then holds what it held before.
pub fn load(
    input: Input,
    target: &Target<'_>,
    options: &LoadOptions,
    pool: &Arc<WorkPool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<LoadReport, LoadError> {
    load_in_chunks(input, target, options, pool, progress, CHUNK_BYTES)
}

/// [`load`] with another chunk size.
pub(super) fn load_in_chunks(
    input: Input,
    target: &Target<'_>,
    options: &LoadOptions,
    pool: &Arc<WorkPool>,
    progress: &mut dyn FnMut(Progress),
    chunk_bytes: usize,
) -> Result<LoadReport, LoadError> {
    let start = Instant::now();
    options.check(&FORMATS.map(Loader::name))?;
    let (schema, train, test) = files(input, options, chunk_bytes, target.io)?;
    let shape = Shape { hash_bits: options.hash_bits, labels: LabelKind::Binary };
    let mut writer = Writer::start(target, shape, options)?;
    let lengths =
        [Some(&train), test.as_ref()].into_iter().flatten().map(|file| file.source.input().length());
    let mut load = Load {
        options,
        pool,
        builders: Arc::new(Builders::new(shape)),
        writer: &mut writer,
        tally: Tally::default(),
        before: Progress { bytes_total: lengths.sum(), ..Progress::default() },
        progress,
        text_bytes: 0,
    };
    match load.run(schema, train, test) {
        Ok(manifest) => {
            let (skipped, text_bytes) = (load.tally.described, load.text_bytes);
            Ok(LoadReport { manifest, skipped, text_bytes, time: start.elapsed() })
        }
        Err(error) => {
            writer.discard();
            Err(error)
        }
    }
}

/// A file that is ready to be read.
struct SourceFile {
    source: Source,
    parser: Arc<dyn ChunkParser>,
    division: Division,
    /// It must have rows of this side.
    side: Side,
}

/// Opens the source and, if there is one, the test file.
fn files(
    input: Input,
    options: &LoadOptions,
    chunk_bytes: usize,
    io: &IoThread,
) -> Result<(Schema, SourceFile, Option<SourceFile>), LoadError> {
    let source = Source::new(input, chunk_bytes)?;
    let head = Head::new(&source);
    let schema = recognise(&head, options)?.schema(&head, options)?;
    let ready = |mut source: Source, side, division| {
        let parser = open(&mut source, &schema, options.hash_bits, Labels::Required)?;
        Ok::<_, LoadError>(SourceFile { source, parser, division, side })
    };
    let (division, test) = match &options.test {
        TestSplit::RowHash { percent, seed } => (Division::by_hash(*percent, *seed), None),
        TestSplit::File(place) => {
            let test = Source::new(Input::open(place, io)?, chunk_bytes)?;
            (Division::All(Side::Train), Some(ready(test, Side::Test, Division::All(Side::Test))?))
        }
    };
    let train = ready(source, Side::Train, division)?;
    Ok((schema, train, test))
}

struct Load<'a, 'w> {
    options: &'a LoadOptions,
    pool: &'a Arc<WorkPool>,
    builders: Arc<Builders>,
    writer: &'a mut Writer<'w>,
    tally: Tally,
    /// Where the load stood before the present file.
    before: Progress,
    progress: &'a mut dyn FnMut(Progress),
    text_bytes: u64,
}

impl Load<'_, '_> {
    fn run(
        &mut self,
        schema: Schema,
        train: SourceFile,
        test: Option<SourceFile>,
    ) -> Result<Manifest, LoadError> {
        let columns = train.parser.columns();
        self.tally.columns = columns.iter().map(|(_, numeric)| ColumnTally::new(*numeric)).collect();
        let source = self.read(train)?;
        let test_source = test.map(|test| self.read(test)).transpose()?;
        if let Some(test) = test_source.as_ref().filter(|test| same_bytes(&source, test)) {
            let (train, test) = (source.path.as_str().into(), test.path.as_str().into());
            return Err(LoadError::TestIsTrain { train, test });
        }
        let (train, test) = self.writer.finish()?;
        let columns = columns.into_iter().zip(&self.tally.columns);
        let columns = columns.map(|((name, _), tally)| tally.finish(name, train.rows)).collect();
        let (format_version, hash_bits) = (FORMAT_VERSION, self.options.hash_bits);
        let manifest =
            Manifest { format_version, source, test_source, schema, hash_bits, train, test, columns };
        self.writer.commit(&manifest)?;
        Ok(manifest)
    }

    /// Loads all rows of one file.
    fn read(&mut self, file: SourceFile) -> Result<SourceInfo, LoadError> {
        let SourceFile { mut source, parser, division, side } = file;
        let name = Arc::clone(source.input().name());
        let reading = Reading { division, on_error: self.options.on_error };
        let window = NonZeroUsize::MIN.saturating_add(2 * self.pool.threads());
        let (before, progress) = (self.before, &mut *self.progress);
        let mut after_batch = |tally: &Tally, bytes| {
            progress(Progress {
                bytes: before.bytes + bytes,
                bytes_total: before.bytes_total,
                rows: before.rows + tally.rows,
                skipped: before.skipped + tally.skipped,
            });
        };
        (self.tally.rows, self.tally.skipped) = (0, 0);
        let batches = self.pool.map_ordered(source.chunks(&*parser), window, {
            let parser = Arc::clone(&parser);
            move |chunk: Result<Chunk, LoadError>| {
                let Chunk { text, lines_before, bytes_read } = chunk?;
                Ok(Placed { batch: parser.parse(&text, reading), lines_before, bytes_read })
            }
        });
        let blocks = Blocks {
            batches,
            file: Arc::clone(&name),
            on_error: self.options.on_error,
            block_rows: self.options.block_rows as usize,
            tally: &mut self.tally,
            progress: &mut after_batch,
            open: Default::default(),
            ready: VecDeque::new(),
            ended: false,
        };
        let encoded = self.pool.map_ordered(blocks, window, {
            let (builders, file) = (Arc::clone(&self.builders), Arc::clone(&name));
            move |block: Result<(Side, BlockRows), LoadError>| {
                let (side, rows) = block?;
                let format = |source| LoadError::Format { file: Arc::clone(&file), source };
                Ok::<_, LoadError>((side, builders.encode(&rows).map_err(format)?))
            }
        });
        for block in encoded {
            // A block of rows is never empty.
            if let (side, Some(block)) = block?? {
                self.writer.push(side, block)?;
            }
        }
        self.text_bytes += source.text_bytes();
        let (lines, skipped) = (source.lines(), self.tally.skipped);
        if self.writer.rows(side) == 0 {
            let part = if side == Side::Train { "training" } else { "test" };
            let first = self.tally.described.first().cloned().map(Box::new);
            return Err(LoadError::NoRows { file: name, part, lines, skipped, first });
        }
        let info = source.into_input().into_info(self.tally.rows, skipped);
        self.before.bytes += info.bytes;
        self.before.rows += info.rows;
        self.before.skipped += skipped;
        Ok(info)
    }
}

fn same_bytes(a: &SourceInfo, b: &SourceInfo) -> bool {
    (a.bytes, a.crc32c) == (b.bytes, b.crc32c)
}

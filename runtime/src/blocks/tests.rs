//! Blocks read one by one and ahead: the right rows, in order, within bounds, and no damaged byte unnoticed.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cirrus_protocol::manifest::{Compression, MANIFEST_NAME, Manifest, Part, Schema, SourceInfo};
use cirrus_protocol::partition::{LabelKind, PartitionBuilder, Shape};

use super::*;
use crate::dataset::{Dataset, Side};
use crate::object::{LocalFolder, ObjectFuture, ObjectInfo, ObjectStore};
use crate::pool::WorkPool;

pub(crate) const BLOCK_ROWS: u32 = 50;
pub(crate) const BLOCKS: u32 = 6;
pub(crate) const PARTITIONS: u32 = 3;

/// Row `row` of the test data has this key, alone and with label 0; so a block shows which rows it holds.
pub(crate) fn key_of(row: u32) -> u32 {
    row * 7
}

/// Writes three partitions of six blocks of 50 rows below `set/`.
pub(crate) async fn write_dataset(store: &dyn ObjectStore) {
    let shape = Shape { hash_bits: 16, labels: LabelKind::Binary };
    let mut builder = PartitionBuilder::new(shape, BLOCK_ROWS).unwrap();
    let mut train = Part::default();
    for partition in 0..PARTITIONS {
        let rows = partition * BLOCKS * BLOCK_ROWS..(partition + 1) * BLOCKS * BLOCK_ROWS;
        for row in rows {
            builder.push_row(0.0, &[(key_of(row), 1.0)]).unwrap();
        }
        let encoded = builder.finish().unwrap();
        let name = format!("train-{partition:05}");
        let info = encoded.info(name.clone());
        train.rows += info.rows;
        train.nonzeros += info.nonzeros;
        train.partitions.push(info);
        store.put(&format!("set/{name}"), Bytes::from(encoded.bytes)).await.unwrap();
    }
    let source = SourceInfo {
        path: "rows.txt".to_owned(),
        bytes: 1,
        crc32c: 0,
        compression: Compression::Plain,
        rows: train.rows,
        skipped: 0,
    };
    let manifest = Manifest {
        format_version: cirrus_protocol::manifest::FORMAT_VERSION,
        source,
        test_source: None,
        schema: Schema::Libsvm,
        hash_bits: 16,
        train,
        test: Part::default(),
        columns: Vec::new(),
    };
    store.put(&format!("set/{MANIFEST_NAME}"), Bytes::from(manifest.encode().unwrap())).await.unwrap();
}

/// A local folder that counts reads of blocks, and lets a test look on before each.
struct Watched {
    folder: LocalFolder,
    /// Reads that start at 0, that is, of directories.
    directory_reads: AtomicUsize,
    /// Directories are served only after this many reads were started at once.
    directories_together: usize,
    /// Reads that do not start at 0, that is, of blocks.
    block_reads: AtomicUsize,
    /// Blocks are served only after this many reads were started at once.
    together: usize,
}

impl ObjectStore for Watched {
    fn get<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, Bytes> {
        self.folder.get(key)
    }
    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> ObjectFuture<'a, Bytes> {
        Box::pin(async move {
            let (reads, together) = match range.start {
                0 => (&self.directory_reads, self.directories_together),
                _ => (&self.block_reads, self.together),
            };
            reads.fetch_add(1, Ordering::SeqCst);
            while reads.load(Ordering::SeqCst) < together {
                tokio::task::yield_now().await;
            }
            self.folder.get_range(key, range).await
        })
    }
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.folder.put(key, bytes)
    }
    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> ObjectFuture<'a, ()> {
        self.folder.put_if_absent(key, bytes)
    }
    fn list<'a>(&'a self, prefix: &'a str) -> ObjectFuture<'a, Vec<ObjectInfo>> {
        self.folder.list(prefix)
    }
    fn delete<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ()> {
        self.folder.delete(key)
    }
    fn head<'a>(&'a self, key: &'a str) -> ObjectFuture<'a, ObjectInfo> {
        self.folder.head(key)
    }
    fn describe(&self, key: &str) -> String {
        self.folder.describe(key)
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<Watched>,
    io: Arc<IoThread>,
    pool: Arc<WorkPool>,
}

impl Fixture {
    fn new(together: usize) -> Self {
        Self::with(together, 0)
    }

    fn with(together: usize, directories_together: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Watched {
            folder: LocalFolder::new(folder.path()),
            directory_reads: AtomicUsize::new(0),
            directories_together,
            block_reads: AtomicUsize::new(0),
            together,
        };
        let io = IoThread::start().unwrap();
        io.block_on(write_dataset(&store));
        let pool = WorkPool::new(NonZeroUsize::new(2).unwrap()).unwrap();
        Self { folder, store: Arc::new(store), io: Arc::new(io), pool: Arc::new(pool) }
    }

    fn open(&self) -> Result<Dataset, DatasetError> {
        self.io.block_on(Dataset::open(Arc::clone(&self.store) as Arc<dyn ObjectStore>, "set"))
    }

    fn part(&self) -> Arc<DatasetPart> {
        self.open().unwrap().part(Side::Train)
    }

    fn iterate(&self, ids: Vec<BlockId>, buffer_bytes: u32) -> BlockIterator<std::vec::IntoIter<BlockId>> {
        let options = PrefetchOptions { buffer_bytes };
        BlockIterator::new(self.part(), ids, Arc::clone(&self.pool), Arc::clone(&self.io), options)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("set").join(name)
    }

    /// Encoded length of the longest block.
    fn block_bytes(&self) -> u32 {
        let part = self.part();
        let lengths = part.blocks().map(|id| self.io.block_on(part.entry(id)).unwrap().0.length.get());
        lengths.max().unwrap()
    }
}

fn expected_keys(id: BlockId) -> Vec<u32> {
    let first = (id.partition * BLOCKS + id.block) * BLOCK_ROWS;
    (first..first + BLOCK_ROWS).map(key_of).collect()
}

/// All blocks, last first.
fn backwards(part: &DatasetPart) -> Vec<BlockId> {
    let mut ids: Vec<_> = part.blocks().collect();
    ids.reverse();
    ids
}

#[test]
fn the_manifest_tells_all_blocks() {
    let fixture = Fixture::new(0);
    let part = fixture.part();
    assert_eq!(part.blocks_of_partitions().collect::<Vec<_>>(), [BLOCKS; 3]);
    let ids: Vec<_> = part.blocks().collect();
    assert_eq!(ids.len(), 18);
    assert_eq!(ids[7], BlockId { partition: 1, block: 1 });
    assert_eq!(fixture.open().unwrap().part(Side::Test).blocks().count(), 0);
}

#[test]
fn single_blocks_hold_their_rows() {
    let fixture = Fixture::new(0);
    let mut reader = BlockReader::new(fixture.part(), Arc::clone(&fixture.io));
    for id in backwards(&fixture.part()) {
        let block = reader.read(id).unwrap();
        assert_eq!(block.keys, expected_keys(id));
        assert_eq!(block.row_starts.len(), 51);
    }
    let missing = BlockId { partition: 2, block: BLOCKS };
    let error = reader.read(missing).unwrap_err();
    assert!(error.to_string().ends_with("set has no block 2/6"), "{error}");
}

#[test]
fn blocks_come_in_the_order_asked() {
    let fixture = Fixture::new(0);
    let ids = backwards(&fixture.part());
    let mut blocks = fixture.iterate(ids.clone(), PrefetchOptions::default().buffer_bytes);
    let mut bytes = 0;
    for id in ids {
        let block = blocks.next().unwrap().unwrap();
        assert_eq!(block.id(), id);
        assert_eq!(block.keys, expected_keys(id));
        bytes += u64::from(fixture.io.block_on(fixture.part().entry(id)).unwrap().0.length.get());
    }
    assert!(blocks.next().is_none());
    let statistics = blocks.statistics();
    assert_eq!((statistics.blocks, statistics.bytes), (18, bytes));
}

#[test]
fn at_least_four_reads_are_on_their_way_at_once() {
    // The storage answers nobody before four have asked.
    let fixture = Fixture::new(4);
    let ids: Vec<_> = fixture.part().blocks().collect();
    let buffer_bytes = fixture.block_bytes() * 4;
    assert_eq!(fixture.iterate(ids, buffer_bytes).map(Result::unwrap).count(), 18);
}

#[test]
fn directories_are_read_side_by_side() {
    // The storage answers nobody before all partitions were asked for.
    let fixture = Fixture::with(0, PARTITIONS as usize);
    let ids: Vec<_> = fixture.part().blocks().collect();
    assert_eq!(fixture.iterate(ids, 1 << 20).map(Result::unwrap).count(), 18);
    assert_eq!(fixture.store.directory_reads.load(Ordering::SeqCst), PARTITIONS as usize, "each once");
}

#[test]
fn what_is_fetched_ahead_is_bounded_in_bytes() {
    let fixture = Fixture::new(0);
    let ids: Vec<_> = fixture.part().blocks().collect();
    let buffer_bytes = fixture.block_bytes() * 3;
    let mut blocks = fixture.iterate(ids, buffer_bytes);
    for yielded in 1..=18 {
        let _block = blocks.next().unwrap().unwrap();
        // Handed out, decoded and waiting, and encoded: no more than that was ever asked for. Three blocks of less
        // than the longest may leave room for one more.
        let most = yielded + prefetch::DECODED_AHEAD + 4;
        let drive = async {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        };
        fixture.io.block_on(drive);
        let started = fixture.store.block_reads.load(Ordering::SeqCst);
        assert!((yielded..=most).contains(&started), "{started} reads started for {yielded} blocks");
    }
}

#[test]
fn a_block_larger_than_the_buffer_still_comes() {
    let fixture = Fixture::new(0);
    let ids: Vec<_> = fixture.part().blocks().collect();
    assert_eq!(fixture.iterate(ids, 1).map(Result::unwrap).count(), 18);
}

#[test]
fn a_consumer_that_keeps_its_blocks_stops_nothing() {
    let fixture = Fixture::new(0);
    let ids: Vec<_> = fixture.part().blocks().collect();
    let kept: Vec<_> = fixture.iterate(ids, fixture.block_bytes()).map(Result::unwrap).collect();
    assert!(kept.iter().all(|block| block.keys == expected_keys(block.id())));
    assert_eq!(kept.len(), 18);
}

#[test]
fn buffers_are_used_again() {
    let fixture = Fixture::new(0);
    let ids: Vec<_> = fixture.part().blocks().collect();
    let places: std::collections::BTreeSet<_> = fixture
        .iterate(ids, PrefetchOptions::default().buffer_bytes)
        .map(|block| block.unwrap().keys.as_ptr() as usize)
        .collect();
    assert!(places.len() <= prefetch::DECODED_AHEAD + 2, "{} buffers for 18 blocks", places.len());
}

#[tokio::test]
async fn a_caller_that_stops_waiting_loses_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFolder::new(folder.path()));
    write_dataset(store.as_ref()).await;
    let part = Dataset::open(store, "set").await.unwrap().part(Side::Train);
    let pool = Arc::new(WorkPool::new(NonZeroUsize::MIN).unwrap());
    let runtime = tokio::runtime::Handle::current();
    let mut prefetcher = Prefetcher::new(Arc::clone(&part), pool, &runtime, PrefetchOptions::default());
    let ids: Vec<_> = part.blocks().collect();
    ids.iter().for_each(|id| prefetcher.want(*id));
    let mut seen = Vec::new();
    while prefetcher.outstanding() > 0 {
        tokio::select! {
            biased;
            block = prefetcher.next() => seen.push(block.unwrap().unwrap().id()),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen, ids);
    assert!(prefetcher.next().await.is_none());
}

#[test]
fn a_flipped_bit_is_an_error_in_its_place() {
    let fixture = Fixture::new(0);
    let ids: Vec<_> = fixture.part().blocks().collect();
    let (entry, _) = fixture.io.block_on(fixture.part().entry(ids[8])).unwrap();
    let path = fixture.path("train-00001");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = entry.offset.get() + u64::from(entry.length.get() / 2);
    bytes[usize::try_from(middle).unwrap()] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();

    let outcomes: Vec<_> = fixture.iterate(ids, PrefetchOptions::default().buffer_bytes).collect();
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), index == 8, "block {index}: {outcome:?}");
    }
    let text = outcomes[8].as_ref().unwrap_err().to_string();
    assert!(text.starts_with(&format!("{} block 2: ", path.display())), "{text}");
    assert!(text.contains("CRC"), "{text}");
}

#[test]
fn a_truncated_partition_says_where_it_ends() {
    let fixture = Fixture::new(0);
    let part = fixture.part();
    let last = BlockId { partition: 0, block: BLOCKS - 1 };
    let path = fixture.path("train-00000");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let mut reader = BlockReader::new(Arc::clone(&part), Arc::clone(&fixture.io));
    let text = reader.read(last).unwrap_err().to_string();
    assert!(text.contains(&format!("has {} bytes", bytes.len() - 1)), "{text}");

    // Cut within the directory.
    std::fs::write(&path, &bytes[..70]).unwrap();
    let mut reader = BlockReader::new(fixture.part(), Arc::clone(&fixture.io));
    let text = reader.read(last).unwrap_err().to_string();
    assert!(text.contains("train-00000: truncated: has 70 bytes"), "{text}");
}

#[test]
fn a_replaced_partition_is_refused() {
    let fixture = Fixture::new(0);
    let shape = Shape { hash_bits: 16, labels: LabelKind::Binary };
    let mut builder = PartitionBuilder::new(shape, BLOCK_ROWS).unwrap();
    for row in 0..BLOCKS * BLOCK_ROWS - 1 {
        builder.push_row(1.0, &[(row, 1.0)]).unwrap();
    }
    std::fs::write(fixture.path("train-00002"), builder.finish().unwrap().bytes).unwrap();
    let mut reader = BlockReader::new(fixture.part(), Arc::clone(&fixture.io));
    let text = reader.read(BlockId { partition: 2, block: 0 }).unwrap_err().to_string();
    assert!(text.contains("has 299 rows, the manifest says 300"), "{text}");
}

#[test]
fn a_dataset_without_manifest_or_of_another_version_is_named() {
    let fixture = Fixture::new(0);
    let path = fixture.path(MANIFEST_NAME);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"format_version\": 1", "\"format_version\": 9", 1)).unwrap();
    let error = fixture.open().unwrap_err().to_string();
    assert!(error.contains("manifest.json") && error.contains('9') && error.contains('1'), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = fixture.open().unwrap_err().to_string();
    assert_eq!(error, format!("{}: not found", path.display()));
}

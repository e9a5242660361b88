//! Whole loads into a folder, read back through the partition format.

mod csv;
mod files;
mod libsvm;
mod target;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::manifest::{MANIFEST_NAME, Manifest};
use cirrus_protocol::partition::{Block, DecodedBlock, Partition};
use cirrus_runtime::dataset::Side;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::{LocalFolder, ObjectStore};
use cirrus_runtime::pool::WorkPool;
use tempfile::TempDir;

use super::pipeline::load_in_chunks;
use super::*;

/// A label with sorted features.
type Row = (f32, Vec<(u32, f32)>);

/// A folder to load into, and what a load needs.
struct Place {
    folder: TempDir,
    store: Arc<dyn ObjectStore>,
    io: IoThread,
    pool: Arc<WorkPool>,
    chunk_bytes: usize,
}

impl Place {
    fn new() -> Self {
        Self::with_threads(2)
    }

    fn with_threads(threads: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalFolder::new(folder.path().join("dataset")));
        let pool = Arc::new(WorkPool::new(NonZeroUsize::new(threads).unwrap()).unwrap());
        Self { folder, store, io: IoThread::start().unwrap(), pool, chunk_bytes: source::CHUNK_BYTES }
    }

    fn load(
        &self,
        name: &str,
        text: impl AsRef<[u8]>,
        options: &LoadOptions,
    ) -> Result<LoadReport, LoadError> {
        self.load_watched(name, text, options, &mut |_| {})
    }

    fn load_watched(
        &self,
        name: &str,
        text: impl AsRef<[u8]>,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<LoadReport, LoadError> {
        let target = Target { store: &self.store, prefix: "", io: &self.io };
        load_in_chunks(input(name, text)?, &target, options, &self.pool, progress, self.chunk_bytes)
    }

    /// Writes a file beside the dataset.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// All objects by name.
    fn objects(&self) -> BTreeMap<String, Bytes> {
        let objects = self.io.block_on(self.store.list("")).unwrap();
        let get = |key: String| (key.clone(), self.io.block_on(self.store.get(&key)).unwrap());
        objects.into_iter().map(|object| get(object.key)).collect()
    }

    fn manifest(&self) -> Manifest {
        Manifest::decode(&self.objects()[MANIFEST_NAME]).unwrap()
    }

    /// The blocks of one side, as rows.
    fn blocks(&self, side: Side) -> Vec<Vec<Row>> {
        let (objects, manifest) = (self.objects(), self.manifest());
        let part = if side == Side::Train { &manifest.train } else { &manifest.test };
        let mut blocks = Vec::new();
        for info in &part.partitions {
            let bytes = &objects[&info.name];
            assert_eq!(bytes.len() as u64, info.bytes);
            let partition = Partition::parse(bytes.clone()).unwrap();
            for entry in partition.entries() {
                let start = entry.offset.get() as usize;
                let bytes = &bytes[start..start + entry.length.get() as usize];
                let mut decoded = DecodedBlock::default();
                Block::verify_and_parse(bytes, entry, partition.shape())
                    .unwrap()
                    .decode_into(&mut decoded)
                    .unwrap();
                blocks.push(rows_of(&decoded));
            }
        }
        blocks
    }

    fn rows(&self, side: Side) -> Vec<Row> {
        self.blocks(side).concat()
    }
}

fn rows_of(block: &DecodedBlock) -> Vec<Row> {
    let row = |row: usize| {
        let range = block.row_starts[row] as usize..block.row_starts[row + 1] as usize;
        let value = |at: usize| block.values.get(at).copied().unwrap_or(1.0);
        range.map(|at| (block.keys[block.ids[at] as usize], value(at))).collect()
    };
    block.labels.iter().enumerate().map(|(at, label)| (*label, row(at))).collect()
}

fn input(name: &str, text: impl AsRef<[u8]>) -> Result<Input, LoadError> {
    let text = text.as_ref().to_vec();
    Input::new(name, Some(text.len() as u64), Box::new(Cursor::new(text)))
}

/// All rows are training rows.
fn no_split() -> LoadOptions {
    LoadOptions { test: TestSplit::RowHash { percent: 0, seed: 0 }, ..LoadOptions::default() }
}

/// Loads a text that is refused, and returns the message; the target must be empty after it.
fn refused(name: &str, text: impl AsRef<[u8]>, options: &LoadOptions) -> String {
    let place = Place::with_threads(1);
    let error = place.load(name, text, options).unwrap_err();
    assert_eq!(place.objects(), BTreeMap::new(), "{error}");
    error.to_string()
}

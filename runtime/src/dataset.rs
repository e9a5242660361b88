//! A prepared dataset in object storage: its manifest, and the block directories of its partitions.
//!
//! [`Dataset::open`] reads the manifest, which was written last: a dataset that can be opened is whole. Directories
//! are read once each, when their first block is asked for, and held against the manifest, so that a partition that
//! was replaced behind its back is refused before a row of it is used. Contents of blocks are checked where they
//! are decoded, in [`crate::blocks`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::ids::BlockId;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::manifest::{MANIFEST_NAME, Manifest, PartitionInfo};
use cirrus_protocol::partition::{BlockEntry, Partition, Shape};
use tokio::sync::OnceCell;

use crate::object::{ObjectError, ObjectStore};
use crate::pool::JobPanicked;

/// Which side of the split between rows to learn from and rows held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Rows to learn from.
    Train,
    /// Rows held out.
    Test,
}

/// Why a dataset, or a block of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The storage failed, or an object is missing or truncated.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// An object's bytes are not what they should be.
    #[error("{object}: {source}")]
    Format {
        /// The object's full name, and the block if one block is meant.
        object: String,
        /// What is wrong with the bytes.
        source: FormatError,
    },
    /// A partition is not the one that the manifest describes.
    #[error(
        "{object} has {found} {what}, the manifest says {expected}: was it replaced? load the dataset again"
    )]
    Mismatch {
        /// The partition's full name.
        object: String,
        /// What was compared.
        what: &'static str,
        /// The value in the partition.
        found: u64,
        /// The value in the manifest.
        expected: u64,
    },
    /// The dataset has no such block.
    #[error("{object} has no block {}/{}", id.partition, id.block)]
    NoSuchBlock {
        /// The dataset's full name.
        object: String,
        /// The block asked for.
        id: BlockId,
    },
    /// Decoding a block panicked: a bug, reported instead of spread.
    #[error(transparent)]
    Panicked(#[from] JobPanicked),
}

/// A dataset whose manifest was read.
#[derive(Clone)]
pub struct Dataset {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    manifest: Manifest,
}

impl Dataset {
    /// Reads the manifest of the dataset below `prefix` (empty: the store is the dataset's own folder).
    ///
    /// # Errors
    /// [`DatasetError::Object`] when there is no manifest, [`DatasetError::Format`] when it is of another version
    /// or damaged.
    pub async fn open(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, DatasetError> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        let key = below(&prefix, MANIFEST_NAME);
        let text = store.get(&key).await?;
        let manifest = Manifest::decode(&text)
            .map_err(|source| DatasetError::Format { object: store.describe(&key), source })?;
        Ok(Self { store, prefix, manifest })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// One side of the split, ready to have its blocks read.
    #[must_use]
    pub fn part(&self, side: Side) -> Arc<DatasetPart> {
        let part = match side {
            Side::Train => &self.manifest.train,
            Side::Test => &self.manifest.test,
        };
        let partitions = part
            .partitions
            .iter()
            .map(|info| PartitionFile {
                key: below(&self.prefix, &info.name),
                info: info.clone(),
                directory: OnceCell::new(),
            })
            .collect();
        Arc::new(DatasetPart {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            hash_bits: self.manifest.hash_bits,
            partitions,
        })
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("name", &self.store.describe(&self.prefix)).finish_non_exhaustive()
    }
}

/// One side of a dataset: blocks by id.
pub struct DatasetPart {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    hash_bits: u8,
    partitions: Vec<PartitionFile>,
}

struct PartitionFile {
    key: String,
    info: PartitionInfo,
    directory: OnceCell<Partition>,
}

/// A block's bytes as they were fetched, not verified yet.
#[derive(Clone, Debug)]
pub(crate) struct EncodedBlock {
    pub(crate) object: String,
    pub(crate) bytes: Bytes,
    pub(crate) entry: BlockEntry,
    pub(crate) shape: Shape,
}

impl DatasetPart {
    /// How many blocks each partition has: `block` of a [`BlockId`] is below the number at `partition`.
    pub fn blocks_of_partitions(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.partitions.iter().map(|partition| partition.info.blocks)
    }

    /// All blocks, in the order of storage.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        (0..).zip(&self.partitions).flat_map(|(partition, file)| {
            (0..file.info.blocks).map(move |block| BlockId { partition, block })
        })
    }

    /// The directory's entry of a block: its place, length and counts.
    ///
    /// # Errors
    /// As for reading any part of the dataset: see [`DatasetError`].
    pub async fn entry(&self, id: BlockId) -> Result<(BlockEntry, Shape), DatasetError> {
        let (_, entry, shape) = self.locate(id).await?;
        Ok((entry, shape))
    }

    /// Whether the directory that lists this block was read already, or there is none: then nothing need be fetched to
    /// find it.
    pub(crate) fn is_listed(&self, id: BlockId) -> bool {
        let file = usize::try_from(id.partition).ok().and_then(|index| self.partitions.get(index));
        file.is_none_or(|file| file.directory.initialized())
    }

    /// Fetches a block's bytes with one ranged read.
    pub(crate) async fn fetch(&self, id: BlockId) -> Result<EncodedBlock, DatasetError> {
        let (file, entry, shape) = self.locate(id).await?;
        let start = entry.offset.get();
        let end = start.saturating_add(u64::from(entry.length.get()));
        let bytes = self.store.get_range(&file.key, start..end).await?;
        let object = format!("{} block {}", self.store.describe(&file.key), id.block);
        Ok(EncodedBlock { object, bytes, entry, shape })
    }

    async fn locate(&self, id: BlockId) -> Result<(&PartitionFile, BlockEntry, Shape), DatasetError> {
        let missing = || DatasetError::NoSuchBlock { object: self.store.describe(&self.prefix), id };
        let file = usize::try_from(id.partition).ok().and_then(|index| self.partitions.get(index));
        let file = file.ok_or_else(missing)?;
        let directory = file.directory.get_or_try_init(|| self.read_directory(file)).await?;
        let entry = usize::try_from(id.block).ok().and_then(|index| directory.entries().get(index));
        Ok((file, *entry.ok_or_else(missing)?, directory.shape()))
    }

    /// Reads a partition's header and directory and holds them against the manifest.
    async fn read_directory(&self, file: &PartitionFile) -> Result<Partition, DatasetError> {
        let bytes = self.store.get_range(&file.key, 0..file.info.directory_bytes).await?;
        let object = || self.store.describe(&file.key);
        let directory =
            Partition::parse(bytes).map_err(|source| DatasetError::Format { object: object(), source })?;
        let header = directory.header();
        let compared = [
            ("hash bits", u64::from(header.hash_bits), u64::from(self.hash_bits)),
            ("blocks", u64::from(header.blocks.get()), u64::from(file.info.blocks)),
            ("rows", header.rows.get(), file.info.rows),
            ("bytes", header.bytes.get(), file.info.bytes),
        ];
        for (what, found, expected) in compared {
            if found != expected {
                return Err(DatasetError::Mismatch { object: object(), what, found, expected });
            }
        }
        Ok(directory)
    }
}

impl fmt::Debug for DatasetPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetPart")
            .field("name", &self.store.describe(&self.prefix))
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}

/// The key of `name` below `prefix`.
fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

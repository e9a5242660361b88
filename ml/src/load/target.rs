//! Where a dataset is written: partitions as they fill, the manifest last.
//!
//! A reader sees the old dataset, the new one, or none, never a mixture: partitions get names that no earlier load used
//! (`g0-train-00000.cirrus`, the next load at the same place `g1-...`), the manifest names them and appears in one
//! step, and only then are files of earlier loads removed, also those that a killed load left. What it left half
//! written nobody can read: that goes before, for it takes room. A load that fails removes its own. Two loads into one
//! place at the same time are told apart by their files: one of them is refused.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::manifest::{MANIFEST_NAME, Manifest, Part};
use cirrus_protocol::partition::{EncodedBlock, PartitionBuilder, Shape};
use cirrus_runtime::dataset::Side;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::{ObjectError, ObjectFault, ObjectStore, Unfinished};
use cirrus_runtime::pool::JobPanicked;

use super::error::LoadError;
use super::options::LoadOptions;

/// Where to load to.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The object store.
    pub store: &'a Arc<dyn ObjectStore>,
    /// In front of all keys; empty if the store is the dataset's own folder.
    pub prefix: &'a str,
    /// Drives the store.
    pub io: &'a IoThread,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.store.describe(&self.key(MANIFEST_NAME)))
            .finish_non_exhaustive()
    }
}

impl Target<'_> {
    fn key(&self, name: &str) -> String {
        match self.prefix.trim_end_matches('/') {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }
}

type Putting = Pin<Box<dyn Future<Output = Result<(), LoadError>>>>;

/// Writes one dataset.
pub(super) struct Writer<'a> {
    target: Target<'a>,
    overwrite: bool,
    partition_bytes: u64,
    generation: u32,
    sides: [SideWriter; 2],
    /// Keys that this load has written or begun to.
    written: Vec<String>,
    /// The put that goes on in the background.
    putting: Option<Putting>,
}

struct SideWriter {
    builder: PartitionBuilder,
    rows: u64,
    part: Part,
}

impl<'a> Writer<'a> {
    /// Looks what is at the target.
    ///
    /// # Errors
    /// [`LoadError::Exists`] when that is a dataset, unless it is to be overwritten.
    pub(super) fn start(target: &Target<'a>, shape: Shape, options: &LoadOptions) -> Result<Self, LoadError> {
        let manifest = target.key(MANIFEST_NAME);
        match target.io.block_on(target.store.head(&manifest)) {
            Ok(_) if !options.overwrite => {
                return Err(LoadError::Exists { target: target.store.describe(&manifest) });
            }
            Ok(_) | Err(ObjectError { fault: ObjectFault::NotFound, .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = target.prefix.trim_end_matches('/');
        // What cannot be removed harms nobody; whether this load can write shows soon enough.
        let _ = target.io.block_on(target.store.remove_unfinished(folder, Unfinished::OfTheDead));
        let side = || {
            let builder = PartitionBuilder::new(shape, options.block_rows)?;
            Ok(SideWriter { builder, rows: 0, part: Part::default() })
        };
        let unfit =
            |source: FormatError| LoadError::Format { file: target.store.describe("").into(), source };
        let mut writer = Self {
            target: *target,
            overwrite: options.overwrite,
            partition_bytes: options.partition_bytes,
            generation: 0,
            sides: [side().map_err(unfit)?, side().map_err(unfit)?],
            written: Vec::new(),
            putting: None,
        };
        let earlier = writer.generations()?.into_iter().map(|(generation, _)| generation).max();
        writer.generation = earlier.map_or(0, |last| last.saturating_add(1));
        Ok(writer)
    }

    /// Rows so far.
    pub(super) fn rows(&self, side: Side) -> u64 {
        self.sides[side as usize].rows
    }

    /// Adds the next block of a side.
    pub(super) fn push(&mut self, side: Side, block: EncodedBlock) -> Result<(), LoadError> {
        let this = &mut self.sides[side as usize];
        this.rows += u64::from(block.entry.rows.get());
        let place = || self.target.store.describe(&self.target.key(side_name(side)));
        this.builder
            .push_block(block)
            .map_err(|source| LoadError::Format { file: place().into(), source })?;
        if this.builder.bytes() as u64 >= self.partition_bytes { self.write_partition(side) } else { Ok(()) }
    }

    /// Writes what is left; both sides, train first.
    pub(super) fn finish(&mut self) -> Result<(Part, Part), LoadError> {
        self.write_partition(Side::Train)?;
        self.write_partition(Side::Test)?;
        self.settle()?;
        let [train, test] = &self.sides;
        Ok((train.part.clone(), test.part.clone()))
    }

    /// Makes the dataset appear, then removes what earlier loads left.
    pub(super) fn commit(&mut self, manifest: &Manifest) -> Result<(), LoadError> {
        let key = self.target.key(MANIFEST_NAME);
        let target = self.target;
        let text = manifest
            .encode()
            .map_err(|source| LoadError::Format { file: target.store.describe(&key).into(), source })?;
        let put = if self.overwrite {
            target.store.put(&key, text.into())
        } else {
            target.store.put_if_absent(&key, text.into())
        };
        target.io.block_on(put).map_err(exists_or)?;
        // The dataset is whole now, and this load's no matter what becomes of older files.
        self.written.clear();
        for (generation, key) in self.generations().unwrap_or_default() {
            if generation < self.generation {
                let _ = target.io.block_on(target.store.delete(&key));
            }
        }
        Ok(())
    }

    /// Removes what this load has written, after a failure.
    pub(super) fn discard(&mut self) {
        // The first failure is what the user is told; these objects belong to no dataset in any case.
        let _ = self.settle();
        for key in self.written.drain(..) {
            let _ = self.target.io.block_on(self.target.store.delete(&key));
        }
    }

    /// Writes the open partition of a side, if it has rows, in the background: one at a time.
    fn write_partition(&mut self, side: Side) -> Result<(), LoadError> {
        let this = &mut self.sides[side as usize];
        let Some(partition) = this.builder.finish() else { return Ok(()) };
        let name = partition_name(self.generation, side, this.part.partitions.len());
        let key = self.target.key(&name);
        let info = partition.info(name);
        this.part.rows += info.rows;
        this.part.nonzeros += info.nonzeros;
        this.part.positives += info.positives;
        this.part.partitions.push(info);
        self.settle()?;
        let (store, put_key) = (Arc::clone(self.target.store), key.clone());
        let put = self.target.io.handle().spawn(async move {
            store.put_if_absent(&put_key, Bytes::from(partition.bytes)).await.map_err(exists_or)
        });
        self.written.push(key);
        self.putting = Some(Box::pin(async move {
            put.await.unwrap_or_else(|lost| Err(JobPanicked(lost.to_string()).into()))
        }));
        Ok(())
    }

    /// Waits for the put in the background.
    fn settle(&mut self) -> Result<(), LoadError> {
        let Some(putting) = self.putting.take() else { return Ok(()) };
        self.target.io.block_on(putting).inspect_err(|error| {
            // A failed put may have left something, unless it found another load's object.
            if matches!(error, LoadError::Exists { .. }) {
                self.written.pop();
            }
        })
    }

    /// Partition files at the target, by whatever load, with their generations.
    fn generations(&self) -> Result<Vec<(u32, String)>, LoadError> {
        let objects = self.target.io.block_on(self.target.store.list(&self.target.key("g")))?;
        let prefix = self.target.key("");
        let generation = |key: &str| partition_generation(key.strip_prefix(prefix.as_str())?);
        Ok(objects.into_iter().filter_map(|object| Some((generation(&object.key)?, object.key))).collect())
    }
}

fn exists_or(error: ObjectError) -> LoadError {
    match error.fault {
        ObjectFault::Exists => LoadError::Exists { target: error.object },
        _ => error.into(),
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Train => "train",
        Side::Test => "test",
    }
}

fn partition_name(generation: u32, side: Side, number: usize) -> String {
    format!("g{generation}-{}-{number:05}.cirrus", side_name(side))
}

/// The generation in a name that [`partition_name`] gave; `None` for any other name.
fn partition_generation(name: &str) -> Option<u32> {
    let (generation, rest) = name.strip_prefix('g')?.split_once('-')?;
    let generation = generation.parse().ok()?;
    let (side, number) = rest.strip_suffix(".cirrus")?.split_once('-')?;
    let side = [Side::Train, Side::Test].into_iter().find(|known| side_name(*known) == side)?;
    let number = number.parse().ok()?;
    (partition_name(generation, side, number) == name).then_some(generation)
}

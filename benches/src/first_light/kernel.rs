//! The training kernel on decoded blocks, and training from blocks on disk without a store.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cirrus_core::ids::{GradientName, Pass};
use cirrus_ml::job::{Description, TrainJob};
use cirrus_ml::model::{Model, Rows, Scratch};
use cirrus_ml::optimizer::{Optimizer, WithOptimizer};
use cirrus_ml::reading::Reading;
use cirrus_ml::train::{LocalTrainer, train_local};
use cirrus_protocol::partition::DecodedBlock;
use cirrus_runtime::blocks::{BlockReader, PrefetchOptions};
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object;
use cirrus_runtime::pool::WorkPool;

use super::{Options, figure};

/// Blocks that are kept decoded: enough to leave the caches.
const BLOCKS: usize = 64;

type Error = Box<dyn std::error::Error>;

pub(super) fn measure(dataset: &Path, options: &Options) -> Result<(), Error> {
    let io = Arc::new(IoThread::start()?);
    let url = dataset.to_str().ok_or("the folder's name is not UTF-8")?;
    let dataset = io.block_on(Dataset::open(object::open(url)?, ""))?;
    let part = dataset.part(Side::Train);
    let mut reader = BlockReader::new(Arc::clone(&part), Arc::clone(&io));
    let ids: Vec<_> = part.blocks().take(BLOCKS).collect();
    let mut blocks = Vec::new();
    for id in &ids {
        blocks.push(reader.read(*id)?.clone());
    }
    let rows: usize = blocks.iter().map(|block| block.labels.len()).sum();
    let nonzeros: usize = blocks.iter().map(|block| block.ids.len()).sum();
    let keys: usize = blocks.iter().map(|block| block.keys.len()).sum();
    figure("nonzeros a row", format!("{:.1}", nonzeros as f64 / rows as f64));
    figure("keys a block (average)", keys / blocks.len());

    let job = TrainJob::try_from(Description { hash_bits: options.bits, ..Description::default() })?;
    let seconds = job.optimizer().dispatch(Kernel { job: &job, blocks: &blocks, repeat: options.repeat });
    report("kernel alone, decoded blocks", rows, nonzeros, seconds);

    let mut trainer = LocalTrainer::new(&job);
    let seconds = best(options.repeat, || {
        for (id, block) in ids.iter().zip(&blocks) {
            trainer.learn(GradientName { pass: Pass(0), block: *id, part: 0 }, block)?;
        }
        Ok::<(), Error>(())
    })?;
    report("kernel and table, decoded blocks", rows, nonzeros, seconds);

    let seconds = best(options.repeat, || {
        for id in &ids {
            reader.read(*id)?;
        }
        Ok::<(), Error>(())
    })?;
    report("fetching, checking and decoding blocks, one thread", rows, nonzeros, seconds);

    let reading = Reading {
        pool: Arc::new(WorkPool::new(NonZeroUsize::MIN)?),
        io,
        prefetch: PrefetchOptions::default(),
    };
    let once = TrainJob::try_from(Description {
        hash_bits: options.bits,
        passes: Some(1),
        ..Description::default()
    })?;
    let all = dataset.manifest().train.rows as usize;
    let nonzeros = dataset.manifest().train.nonzeros as usize;
    let seconds = best(options.repeat, || train_local(&once, &dataset, &reading, |_| ()).map(drop))?;
    report("training from blocks on disk, no store", all, nonzeros, seconds);
    Ok(())
}

/// The least time of several runs, in seconds.
pub(super) fn best<E>(repeat: u32, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut least = f64::INFINITY;
    for _ in 0..repeat.max(1) {
        let began = Instant::now();
        run()?;
        least = least.min(began.elapsed().as_secs_f64());
    }
    Ok(least)
}

pub(super) fn report(name: &str, rows: usize, nonzeros: usize, seconds: f64) {
    let rate = rows as f64 / seconds / 1e6;
    let each = seconds * 1e9 / nonzeros as f64;
    figure(name, format!("{rate:.2} M rows/s, {each:.2} ns a nonzero"));
}

/// Learns from each block with cells of its own, as a worker does, and nothing else.
struct Kernel<'a> {
    job: &'a TrainJob,
    blocks: &'a [DecodedBlock],
    repeat: u32,
}

impl WithOptimizer for Kernel<'_> {
    type Output = f64;

    fn call<O: Optimizer>(self, optimizer: O) -> f64 {
        let fresh = optimizer.begin(optimizer.initial());
        let mut cells: Vec<Vec<O::Local>> =
            self.blocks.iter().map(|block| vec![fresh; block.keys.len() + 1]).collect();
        let mut scratch = Scratch::default();
        let mut loss = 0.0;
        let seconds = best(self.repeat, || {
            for (block, cells) in self.blocks.iter().zip(&mut cells) {
                loss += self.job.model().learn(optimizer, Rows { block, order: None }, cells, &mut scratch);
            }
            Ok::<(), core::convert::Infallible>(())
        });
        assert!(loss.is_finite(), "the kernel must have worked");
        seconds.unwrap_or(f64::INFINITY)
    }
}

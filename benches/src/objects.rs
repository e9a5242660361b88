//! Training from storage that is far away: each read takes 10 ms longer, with blocks fetched ahead and without.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cirrus_core::ids::{GradientName, Pass};
use cirrus_ml::job::{Description, TrainJob};
use cirrus_ml::load::{Input, LoadOptions, Target, TestSplit, load};
use cirrus_ml::order;
use cirrus_ml::reading::Reading;
use cirrus_ml::train::{LocalTrainer, train_local};
use cirrus_runtime::blocks::{BlockReader, PrefetchOptions};
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::faulty::Late;
use cirrus_runtime::object::{self, ObjectStore};
use cirrus_runtime::pool::WorkPool;
use clap::Args;

use crate::first_light::{figure, synthetic};

type Error = Box<dyn std::error::Error>;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Rows of the synthetic training data, 39 features a row.
    #[arg(long, default_value_t = 500_000)]
    rows: u64,
    /// Hash bits: the model has 2^BITS weights.
    #[arg(long, default_value_t = 20)]
    bits: u8,
    /// How much longer each read takes.
    #[arg(long, default_value_t = 10)]
    milliseconds: u64,
    /// Room for blocks that are fetched ahead.
    #[arg(long, default_value_t = PrefetchOptions::default().buffer_bytes)]
    buffer_bytes: u32,
    /// Passes of each run.
    #[arg(long, default_value_t = 3)]
    passes: u32,
    /// Repetitions, the ways by turns; the best counts.
    #[arg(long, default_value_t = 5)]
    repeat: u32,
}

/// One way to read, and the best that has come of it.
struct Way {
    name: &'static str,
    dataset: Dataset,
    ahead: bool,
    seconds: f64,
    waited: f64,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let files = synthetic::write(folder.path(), options.rows, options.bits)?;
    let place = folder.path().join("dataset");
    let io = Arc::new(IoThread::start()?);
    let name = |path: &Path| path.to_str().map(str::to_owned).ok_or("the folder's name is not UTF-8");
    let near = object::open(&name(&place)?)?;
    let loading = LoadOptions {
        hash_bits: options.bits,
        test: TestSplit::File(name(&files.test)?),
        ..LoadOptions::default()
    };
    let target = Target { store: &near, prefix: "", io: &io };
    let pool = Arc::new(WorkPool::new(NonZeroUsize::MIN)?);
    load(Input::open(&name(&files.train)?, &io)?, &target, &loading, &pool, &mut |_| ())?;
    let delay = Duration::from_millis(options.milliseconds);
    let far: Arc<dyn ObjectStore> = Arc::new(Late::new(Arc::clone(&near), delay));
    let open = |store: &Arc<dyn ObjectStore>| io.block_on(Dataset::open(Arc::clone(store), ""));
    let way = |name, dataset, ahead| Way { name, dataset, ahead, seconds: f64::INFINITY, waited: 0.0 };
    let mut ways = [
        way("local folder, fetched ahead", open(&near)?, true),
        way("each read later, fetched ahead", open(&far)?, true),
        way("each read later, one block after the other", open(&far)?, false),
    ];
    let reading = Reading {
        pool,
        io: Arc::clone(&io),
        prefetch: PrefetchOptions { buffer_bytes: options.buffer_bytes },
    };
    let description =
        Description { hash_bits: options.bits, passes: Some(options.passes), ..Description::default() };
    let job = TrainJob::try_from(description)?;
    for _ in 0..options.repeat.max(1) {
        for way in &mut ways {
            let (seconds, waited) =
                if way.ahead { ahead(&job, way, &reading)? } else { one_by_one(&job, way, &reading)? };
            if seconds < way.seconds {
                (way.seconds, way.waited) = (seconds, waited);
            }
        }
    }
    report(&ways, options);
    Ok(())
}

fn report(ways: &[Way], options: &Options) {
    let train = ways.first().map(|way| &way.dataset.manifest().train);
    let bytes: u64 = train.iter().flat_map(|train| &train.partitions).map(|part| part.bytes).sum();
    let blocks: u64 =
        train.iter().flat_map(|train| &train.partitions).map(|part| u64::from(part.blocks)).sum();
    let rows = train.map_or(0, |train| train.rows) * u64::from(options.passes);
    figure("each read takes longer by", format!("{} ms", options.milliseconds));
    figure("buffer", format!("{} bytes", options.buffer_bytes));
    figure("a block on average", format!("{} bytes", bytes / blocks.max(1)));
    let local = ways.first().map_or(f64::NAN, |way| way.seconds);
    for way in ways {
        let speed = format!(
            "{:.2} M rows/s, {:.1} % of local; waited {:.1} % of the time",
            rows as f64 / way.seconds / 1e6,
            local / way.seconds * 100.0,
            way.waited / way.seconds * 100.0
        );
        figure(way.name, speed);
    }
}

/// As `cirrus train --workers 0` does it.
fn ahead(job: &TrainJob, way: &Way, reading: &Reading) -> Result<(f64, f64), Error> {
    let (began, mut waited) = (Instant::now(), Duration::ZERO);
    train_local(job, &way.dataset, reading, |at| waited = at.waited)?;
    Ok((began.elapsed().as_secs_f64(), waited.as_secs_f64()))
}

/// The same blocks in the same order, each asked for when it is needed.
fn one_by_one(job: &TrainJob, way: &Way, reading: &Reading) -> Result<(f64, f64), Error> {
    let part = way.dataset.part(Side::Train);
    let mut reader = BlockReader::new(Arc::clone(&part), Arc::clone(&reading.io));
    let mut trainer = LocalTrainer::new(job);
    let (began, mut waited) = (Instant::now(), Duration::ZERO);
    for pass in (0..job.passes()).map(Pass) {
        for block in order::of_blocks(job.seed(), pass, part.blocks()) {
            let asked = Instant::now();
            let decoded = reader.read(block)?;
            waited += asked.elapsed();
            trainer.learn(GradientName { pass, block, part: 0 }, decoded)?;
        }
    }
    Ok((began.elapsed().as_secs_f64(), waited.as_secs_f64()))
}

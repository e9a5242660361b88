//! `cirrus sort run`: records sorted by several processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cirrus_core::directory::Limits;
use cirrus_runtime::object::{self, ObjectStore};
use cirrus_runtime::sort::boundary::Boundaries;
use cirrus_runtime::sort::exchange::Way;
use cirrus_runtime::sort::input::Input;
use cirrus_runtime::sort::output::Target;
use cirrus_runtime::sort::team::deadline;
use cirrus_runtime::sort::worker::{Phase, Plan, Report, Seconds};
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_runtime::zip::controller::{Controller, ControllerSpec, Epochs, Job};
use cirrus_transport::tcp::Tcp;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;
use tokio::time::timeout;

use super::message::{Task, Word};
use super::redis_server::RedisServer;
use super::size;
use super::workers::Workers;
use crate::command::{cores, grouped, print_json, print_text, process};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::own_process;
use crate::scratch::Scratch;
use crate::{Output, place, progress};

/// How many processes find room in a controller's channels.
const WORKERS_MAX: i64 = 1000;

/// What a worker takes beside its records, at most.
const WORKER_BYTES: u64 = 100 << 20;

/// Sorts a folder of records in several processes, which exchange them.
///
/// Each process reads its share, deals it out by ranges of keys that were found by a sample, exchanges it for what is in its
/// own range, sorts that, and writes it. The result is what a stable sort gives, whatever the number of processes; it is
/// there whole, with its manifest, or not at all. The processes hold all records in memory, and a third more.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus sort run records --out sorted\n  \
    cirrus sort run records --out sorted --workers 8 --exchange store\n  \
    cirrus sort run records --out sorted --exchange redis --redis 127.0.0.1:6379")]
pub(crate) struct Arguments {
    /// The folder of records, a path or URL: by its manifest, or else all files in it.
    input: String,
    /// The folder for the result, a path or URL, which must be empty or not there.
    #[arg(long, value_name = "FOLDER")]
    out: String,
    /// Processes that sort [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=WORKERS_MAX))]
    workers: Option<u32>,
    /// How records change hands.
    #[arg(long, value_enum, default_value_t = Exchange::Zip)]
    exchange: Exchange,
    /// With --exchange redis: a server that runs, as host:port or redis://... [default: one is started]
    #[arg(long, value_name = "ADDRESS")]
    redis: Option<String>,
}

impl Arguments {
    fn worker_count(&self) -> u32 {
        self.workers.unwrap_or_else(|| u32::try_from(cores().get()).unwrap_or(1))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Exchange {
    /// From process to process, by a shuffle.
    Zip,
    /// By way of a Redis server.
    Redis,
    /// By way of files beside the result, as with object storage.
    Store,
}

impl Exchange {
    fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Redis => "redis",
            Self::Store => "store",
        }
    }
}

/// What has come of a sort.
struct Sorted {
    records: u64,
    bytes: u64,
    files: usize,
    seconds: Seconds,
    total: f64,
    largest: u64,
    peak_memory_bytes: u64,
}

/// What is needed to exchange, for as long as this is held.
struct Means {
    way: Way,
    server: Option<RedisServer>,
    folder: Option<Scratch>,
}

impl Means {
    async fn remove(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
        if let Some(folder) = self.folder {
            folder.remove().await;
        }
    }
}

/// What a sort has started.
#[derive(Default)]
struct Started {
    workers: Option<Workers>,
    means: Option<Means>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if arguments.redis.is_some() && arguments.exchange != Exchange::Redis {
        return Err(Failure::Usage("--redis has an effect with --exchange redis only".to_owned()));
    }
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    let sorted = process::runtime()?.block_on(sort(arguments, &interrupt, output))?;
    report(arguments, &sorted, output)
}

async fn sort(arguments: &Arguments, interrupt: &Interrupt, output: Output) -> Result<Sorted, Failure> {
    let began = Instant::now();
    let (from, to) = (object::open(&arguments.input)?, object::open(&arguments.out)?);
    let input = Input::open(from.as_ref()).await?;
    enough_memory(input.bytes(), arguments.worker_count(), arguments.exchange)?;
    let target = Target::claim(to).await?;
    let mut started = Started::default();
    let working = with_workers(arguments, input, from, &mut started, output);
    let worked = tokio::select! {
        reports = working => reports,
        () = interrupt.pressed() => Err(Failure::Interrupted),
    };
    interrupt.patient(true);
    if let Some(workers) = started.workers {
        workers.kill().await;
    }
    // Now nobody writes any more, neither into the result nor into what was needed for it.
    if let Some(means) = started.means {
        means.remove().await;
    }
    let finished = match worked {
        Ok((reports, memory)) => finish(&target, reports, memory, began).await,
        Err(failure) => Err(failure),
    };
    if finished.is_err() {
        // The first error counts. A folder that holds nothing is all that is left; another one stays.
        let _ = target.undo().await;
        place::remove_if_empty(&arguments.out);
    }
    finished
}

async fn finish(
    target: &Target,
    mut reports: Vec<Report>,
    peak_memory_bytes: u64,
    began: Instant,
) -> Result<Sorted, Failure> {
    reports.sort_by_key(|report| report.rank);
    let seconds = reports.iter().fold(Seconds::default(), |all, report| all.max(report.seconds));
    let largest = reports.iter().map(Report::records).max().unwrap_or_default();
    let parts: Vec<_> = reports.into_iter().flat_map(|report| report.parts).collect();
    let files = parts.len();
    let manifest = target.finish(parts, true).await?;
    let (records, bytes) = (manifest.records, manifest.records * u64::from(manifest.record_bytes));
    let total = began.elapsed().as_secs_f64();
    Ok(Sorted { records, bytes, files, seconds, total, largest, peak_memory_bytes })
}

/// How much memory a sort takes: the records, and a third of that for their order, for shares that are larger than others
/// and for what cannot be used again; parts that are put together; and what a Redis server keeps.
fn memory_needed(bytes: u64, workers: u32, exchange: Exchange) -> u64 {
    let kept = if exchange == Exchange::Redis { bytes / 10 * 11 } else { 0 };
    let beside = WORKER_BYTES.min((16 << 20) + bytes / u64::from(workers.max(1)));
    (bytes / 3 * 4).saturating_add(kept).saturating_add(u64::from(workers) * beside)
}

/// Refuses what the system would end half-way, with a signal.
fn enough_memory(bytes: u64, workers: u32, exchange: Exchange) -> Result<(), Failure> {
    let needed = memory_needed(bytes, workers, exchange);
    match own_process::available_memory_bytes() {
        Some(available) if needed > available => Err(Failure::Failed(format!(
            "sorting {} with {workers} workers takes about {} of memory, {} are free; sort less at once",
            size::of_bytes(bytes),
            size::of_bytes(needed),
            size::of_bytes(available)
        ))),
        _ => Ok(()),
    }
}

/// Has the workers sort; what each has done, and the most memory that one of them had.
async fn with_workers(
    arguments: &Arguments,
    input: Input,
    from: Arc<dyn ObjectStore>,
    started: &mut Started,
    output: Output,
) -> Result<(Vec<Report>, u64), Failure> {
    let count = arguments.worker_count();
    let token = token()?;
    let means = started.means.insert(means(arguments, &token).await?);
    let boundaries = Boundaries::sample(from.as_ref(), &input, count).await?;
    let job = Job::new(ONLY_JOB, &token, Limits { channels_max: 2, members_max: count });
    let spec = ControllerSpec::new(process::LISTEN_AT, job, Epochs::Lent(Arc::default()));
    let controller = Controller::start(&Tcp::default(), spec).await?;
    let (records, bytes) = (input.records(), input.bytes());
    let task = Task {
        plan: Plan { input, boundaries, way: means.way.clone() },
        from: arguments.input.clone(),
        to: arguments.out.clone(),
        workers: count,
        controller: controller.address().to_owned(),
        token,
    };
    // It ends with the runtime, which is this command's.
    tokio::spawn(controller.run());
    let workers = started.workers.insert(Workers::start(&task).await?);
    let (reports, memory) = Watch::new(bytes, output).until_done(workers, count).await?;
    let written: u64 = reports.iter().map(Report::records).sum();
    if written != records {
        let (written, records) = (grouped(written), grouped(records));
        let text = format!("{written} records were written, {records} were read; start the sort again");
        return Err(Failure::Failed(text));
    }
    Ok((reports, memory))
}

/// A secret of this sort.
fn token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes ready for the exchange.
async fn means(arguments: &Arguments, token: &str) -> Result<Means, Failure> {
    match arguments.exchange {
        Exchange::Zip => Ok(Means { way: Way::Zip, server: None, folder: None }),
        Exchange::Redis => {
            let server = match &arguments.redis {
                Some(address) => RedisServer::at(address)?,
                None => RedisServer::start(token).await?,
            };
            // Other sorts may be at the same server; the token itself is nobody else's to know.
            let prefix =
                format!("cirrus-sort:{}:{}", std::process::id(), token.get(..16).unwrap_or_default());
            let way = Way::Redis { url: server.url().to_owned(), prefix };
            Ok(Means { way, server: Some(server), folder: None })
        }
        Exchange::Store => {
            let folder = Scratch::beside(&arguments.out)?;
            let way = Way::Store { url: folder.place().to_owned() };
            Ok(Means { way, server: None, folder: Some(folder) })
        }
    }
}

/// What the user sees while the workers work.
struct Watch {
    bytes: u64,
    bar: ProgressBar,
    talks: bool,
    reached: Option<Phase>,
}

impl Watch {
    fn new(bytes: u64, output: Output) -> Self {
        let bar = progress::of_phases(output, bytes.saturating_mul(5));
        Self { bytes, talks: !output.quiet && bar.is_hidden(), bar, reached: None }
    }

    async fn until_done(mut self, workers: &mut Workers, count: u32) -> Result<(Vec<Report>, u64), Failure> {
        let (mut reports, mut done, mut memory) = (Vec::new(), vec![false; count as usize], 0);
        while reports.len() < count as usize {
            let patience = deadline(self.bytes);
            let heard = timeout(patience, workers.hear()).await;
            let (number, word) = heard.map_err(|_| silent(&done, patience))??;
            match word {
                Some(Word::Progress(phase, bytes)) => self.progress(phase, bytes),
                Some(Word::Done { report, peak_memory_bytes }) => {
                    memory = memory.max(peak_memory_bytes);
                    reports.push(report);
                    done[number] = true;
                }
                Some(Word::Failed(text)) => {
                    return Err(Failure::Failed(format!("worker {number}: {text}")));
                }
                None if done[number] => {}
                None => {
                    let how = workers.end_of(number).await?;
                    let text = format!("{how}; the sort has ended, and nothing is left of it");
                    return Err(Failure::Failed(text));
                }
            }
        }
        self.bar.finish_and_clear();
        Ok((reports, memory))
    }

    fn progress(&mut self, phase: Phase, bytes: u64) {
        if self.reached != Some(phase) {
            self.reached = Some(phase);
            let name = name_of(phase);
            self.bar.set_prefix(name);
            if self.talks {
                eprintln!("{name}");
            }
        }
        self.bar.inc(bytes);
    }
}

/// Workers that live and do nothing: stopped, or cut off from where they read or write.
fn silent(done: &[bool], patience: Duration) -> Failure {
    let silent =
        done.iter().zip(0..).filter(|(done, _)| !**done).map(|(_, number): (_, u32)| number.to_string());
    let silent: Vec<String> = silent.collect();
    let text =
        format!("nothing was heard for {patience:?} of workers {}; start the sort again", silent.join(", "));
    Failure::Failed(text)
}

fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Download => "download",
        Phase::Partition => "partition",
        Phase::Exchange => "exchange",
        Phase::Sort => "sort",
        Phase::Upload => "upload",
    }
}

fn report(arguments: &Arguments, sorted: &Sorted, output: Output) -> Result<(), Failure> {
    let Sorted { records, bytes, files, seconds, total, largest, peak_memory_bytes } = sorted;
    let exchange = arguments.exchange.name();
    let phases = [
        ("download", seconds.download),
        ("partition", seconds.partition),
        ("exchange", seconds.exchange),
        ("sort", seconds.sort),
        ("upload", seconds.upload),
    ];
    if output.json {
        return print_json(&json!({
            "records": records,
            "bytes": bytes,
            "files": files,
            "exchange": exchange,
            "seconds": seconds,
            "total_seconds": total,
            "largest_share_records": largest,
            "peak_memory_bytes_of_a_worker": peak_memory_bytes,
        }));
    }
    let mut table = format!(
        "{}: {} records ({}) in {files} files, exchanged by {exchange}\n",
        arguments.out,
        grouped(*records),
        size::of_bytes(*bytes)
    );
    for (name, seconds) in phases.into_iter().chain([("total", *total)]) {
        let rate = size::gigabytes_per_second(*bytes, seconds);
        table.push_str(&format!("  {name:<10} {seconds:>8.3} s {rate:>8.2} GB/s\n"));
    }
    print_text(&table)
}

//! `sort`: records sorted by processes of one machine, by each way to exchange them, and what a socket carries.
//!
//! Every result is validated against its input. Of several rounds the best of each figure counts, and in each round all
//! ways are measured one after the other. The object storage is a folder of this machine's disk, which flushes each object:
//! a service over a network would take longer. The floor of an exchange are the bytes that change hands (a worker's own do
//! not), over one loopback TCP stream whose ends do nothing else.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::first_light::command::{Cirrus, number};
use crate::first_light::figure;

type Error = Box<dyn std::error::Error>;

const PHASES: [&str; 5] = ["download", "partition", "exchange", "sort", "upload"];
/// Bytes of a write and of a read on the stream that is measured.
const CHUNK: usize = 256 << 10;
/// Bytes that it carries.
const STREAM_BYTES: usize = 4 << 30;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Bytes of records.
    #[arg(long, default_value_t = 2_000_000_000)]
    bytes: u64,
    /// Worker processes.
    #[arg(long, default_value_t = 8)]
    workers: u32,
    /// Rounds; the best of each figure counts.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Where there is room for three times the records [default: the folder for temporary files]
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// The best figures of one way: seconds of each phase, and of all.
#[derive(Clone, Copy)]
struct Best {
    phases: [f64; PHASES.len()],
    total: f64,
    memory: f64,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let (cores, workers) = (std::thread::available_parallelism()?, options.workers);
    println!("machine: {cores} cores; {} bytes of records, {workers} workers", options.bytes);
    let cirrus = Cirrus::build()?;
    let input = folder.path().join("in");
    let bytes = options.bytes.to_string();
    let generated = cirrus.run(&words(&["sort", "generate", "--bytes", &bytes, "--out"], &input, &[]))?;
    figure("generate", format!("{:.2} s", generated.1));
    let mut ways = vec![("zip", None), ("store", None)];
    match has_redis() {
        true => ways.insert(1, ("redis", None)),
        false => println!(
            "redis-server is not installed, so that way is not measured (apt-get install redis-server)"
        ),
    }
    let mut stream = 0_f64;
    for round in 0..options.repeat.max(1) as usize {
        stream = stream.max(one_stream()?);
        // None of them is always the one that finds the disk at rest.
        for nth in 0..ways.len() {
            let at = (round + nth) % ways.len();
            let (way, best) = &mut ways[at];
            let found = sort(&cirrus, &input, &folder.path().join("out"), way, workers)?;
            let before: Best = best.unwrap_or(found);
            *best = Some(before.min(found));
        }
    }
    figure("one loopback TCP stream", format!("{:.2} GB/s", stream / 1e9));
    let moved = options.bytes as f64 * f64::from(workers.saturating_sub(1)) / f64::from(workers.max(1));
    let floor = moved / stream;
    figure("bytes that change hands, over that", format!("{:.2} GB, {floor:.2} s", moved / 1e9));
    let all: Vec<(&str, Best)> = ways.into_iter().filter_map(|(way, best)| Some((way, best?))).collect();
    table(&all, floor);
    Ok(())
}

fn table(all: &[(&str, Best)], floor: f64) {
    println!(
        "\n| seconds | {} | total | exchange, by zip's | total, by zip's | MB a worker |",
        PHASES.join(" | ")
    );
    println!("|---|{}", "---|".repeat(PHASES.len() + 4));
    let Some((_, zip)) = all.first() else { return };
    for (way, best) in all {
        let phases: Vec<String> = best.phases.iter().map(|seconds| format!("{seconds:.2}")).collect();
        println!(
            "| {way} | {} | {:.2} | {:.2}x | {:.2}x | {:.0} |",
            phases.join(" | "),
            best.total,
            best.exchange() / zip.exchange(),
            best.total / zip.total,
            best.memory / 1e6,
        );
    }
    let share = floor / zip.exchange() * 100.0;
    println!("\nthe exchange by zip runs at {share:.0} % of what one loopback TCP stream carries");
}

impl Best {
    fn exchange(&self) -> f64 {
        self.phases[2]
    }

    fn min(self, other: Self) -> Self {
        let mut phases = self.phases;
        phases.iter_mut().zip(other.phases).for_each(|(best, found)| *best = best.min(found));
        Self { phases, total: self.total.min(other.total), memory: self.memory.min(other.memory) }
    }
}

/// Arguments around a path.
fn words<'a>(before: &[&'a str], path: &'a Path, behind: &[&'a str]) -> Vec<&'a OsStr> {
    let behind = behind.iter().map(|word| OsStr::new(*word));
    before.iter().map(|word| OsStr::new(*word)).chain([path.as_os_str()]).chain(behind).collect()
}

/// Sorts once, and validates what has come of it.
fn sort(cirrus: &Cirrus, input: &Path, out: &Path, way: &str, workers: u32) -> Result<Best, Error> {
    let workers = workers.to_string();
    let mut arguments =
        words(&["sort", "run"], input, &["--workers", &workers, "--exchange", way, "--quiet"]);
    arguments.extend([OsStr::new("--out"), out.as_os_str()]);
    let (report, _) = cirrus.run(&arguments)?;
    let mut validate = words(&["sort", "validate"], out, &["--quiet", "--against"]);
    validate.push(input.as_os_str());
    let (valid, _) = cirrus.run(&validate)?;
    if valid["records"] != report["records"] || valid["records"].as_u64() == Some(0) {
        return Err(format!("{way}: {valid} is not {report}").into());
    }
    std::fs::remove_dir_all(out)?;
    let mut phases = [0.0; PHASES.len()];
    for (seconds, phase) in phases.iter_mut().zip(PHASES) {
        *seconds = number(&report, &["seconds", phase])?;
    }
    let memory = number(&report, &["peak_memory_bytes_of_a_worker"])?;
    Ok(Best { phases, total: number(&report, &["total_seconds"])?, memory })
}

/// Bytes a second through one loopback TCP stream.
fn one_stream() -> Result<f64, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sends = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let chunk = vec![1; CHUNK];
        for _ in 0..STREAM_BYTES / CHUNK {
            stream.write_all(&chunk)?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let (mut chunk, mut received) = (vec![0; CHUNK], 0);
    let began = Instant::now();
    loop {
        match stream.read(&mut chunk)? {
            0 => break,
            count => received += count,
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    sends.join().map_err(|_| "the sender has panicked")??;
    Ok(received as f64 / seconds)
}

fn has_redis() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("redis-server").is_file())
}

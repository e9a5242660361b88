//! `cirrus`: the command line, and the program that workers and stores run.
//!
//! Parses, shows and writes; what a command does is in `cirrus-ml` and `cirrus-runtime`. Results go to standard
//! output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

mod command;
mod curve;
mod display;
mod failure;
mod interrupt;
mod job_folder;
mod own_process;
mod place;
mod progress;
mod report;
mod scratch;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use command::Command;

/// Trains models on short-lived workers that share a data store. Nothing to provision.
#[derive(Parser)]
#[command(
    name = "cirrus",
    version,
    after_help = "Examples:\n  \
        cirrus demo                                   the whole of it on 200,000 flights\n  \
        cirrus load clicks.libsvm                     text to a dataset, clicks.cirrus\n  \
        cirrus train clicks.cirrus --workers 4        a model, clicks.model\n  \
        cirrus evaluate clicks.model clicks.cirrus    how good it is on rows it has not seen\n  \
        cirrus predict clicks.model new.libsvm        a probability for each row\n  \
        cirrus store job.json                         a data store for programs of your own\n  \
        cirrus zip demo                               channels between processes, one of which is killed\n  \
        cirrus sort run records --out sorted          records sorted by several processes\n\n\
        `cirrus COMMAND --help` explains each with more examples."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// One JSON document on standard output instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// No progress on standard error.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// More of what happens on standard error; twice for still more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// How a command shows what it does.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Whether moving progress may be drawn.
    fn draws(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments = Arguments::parse();
    let level = ["warn", "info", "debug"][usize::from(arguments.verbose.min(2))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
    let output = Output { json: arguments.json, quiet: arguments.quiet };
    match command::run(arguments.command, output, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

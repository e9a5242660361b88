//! The commands, one file each.

mod controller;
mod daemon;
mod demo;
mod evaluate;
mod inspect;
mod load;
mod predict;
mod process;
mod sort;
mod store;
mod train;
mod zip;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cirrus_ml::reading::Reading;
use cirrus_protocol::manifest::MANIFEST_NAME;
use cirrus_protocol::model::Model;
use cirrus_runtime::blocks::PrefetchOptions;
use cirrus_runtime::dataset::{Dataset, DatasetError};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::{self, ObjectError, ObjectFault};
use cirrus_runtime::pool::WorkPool;
use clap::Subcommand;

use crate::Output;
use crate::failure::{Failure, with};
use crate::place;

#[derive(Subcommand)]
pub(crate) enum Command {
    Load(load::Arguments),
    Train(train::Arguments),
    Evaluate(evaluate::Arguments),
    Predict(predict::Arguments),
    Inspect(inspect::Arguments),
    Demo(demo::Arguments),
    Controller(controller::Arguments),
    Daemon(daemon::Arguments),
    Store(store::Arguments),
    #[command(subcommand)]
    Zip(zip::Command),
    #[command(subcommand)]
    Sort(sort::Command),
    /// A worker of a job. Started by `cirrus train`.
    #[command(hide = true)]
    Worker,
    /// The data store of a job. Started by `cirrus train`.
    #[command(hide = true)]
    JobStore,
}

pub(crate) fn run(command: Command, output: Output, started: Instant) -> Result<(), Failure> {
    match command {
        Command::Load(arguments) => load::run(&arguments, output),
        Command::Train(arguments) => train::run(&arguments, output),
        Command::Evaluate(arguments) => evaluate::run(&arguments, output),
        Command::Predict(arguments) => predict::run(&arguments, output),
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Demo(arguments) => demo::run(&arguments, output),
        Command::Controller(arguments) => controller::run(&arguments, output),
        Command::Daemon(arguments) => daemon::run(&arguments, output),
        Command::Store(arguments) => store::run(&arguments, output),
        Command::Zip(command) => zip::run(command, output),
        Command::Sort(command) => sort::run(command, output),
        Command::Worker => process::worker(started),
        Command::JobStore => process::store(),
    }
}

/// How many threads are worth starting.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// What reads blocks for a command of one process.
fn reading() -> Result<Reading, Failure> {
    Ok(Reading {
        pool: Arc::new(WorkPool::new(cores()).map_err(with("cannot start threads"))?),
        io: Arc::new(IoThread::start().map_err(with("cannot start a thread"))?),
        prefetch: PrefetchOptions::default(),
    })
}

fn open_dataset(url: &str, io: &IoThread) -> Result<Dataset, Failure> {
    let opened = io.block_on(Dataset::open(object::open(url)?, ""));
    opened.map_err(|error| match error {
        DatasetError::Object(ObjectError { fault: ObjectFault::NotFound, .. }) => {
            Failure::Failed(format!("{error}\n  is {url} a dataset? `cirrus load` makes one of a text file"))
        }
        error => error.into(),
    })
}

/// Whether a place is a dataset: a folder, or, where there are no folders, one with a manifest.
fn is_dataset(url: &str, io: &IoThread) -> Result<bool, Failure> {
    if place::local(url)?.is_some() {
        return Ok(place::is_folder(url));
    }
    match io.block_on(object::open(url)?.head(MANIFEST_NAME)) {
        Ok(_) => Ok(true),
        Err(ObjectError { fault: ObjectFault::NotFound, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn read_model(url: &str, io: &IoThread) -> Result<Model, Failure> {
    let (store, key) = object::open_object(url)?;
    let bytes = io.block_on(store.get(&key))?;
    Model::decode(&bytes).map_err(|error| Failure::Failed(format!("{url}: {error}")))
}

fn write_model(url: &str, model: &Model, io: &IoThread) -> Result<u64, Failure> {
    let (store, key) = object::open_object(url)?;
    let bytes = Bytes::from(model.encode()?);
    let length = bytes.len() as u64;
    io.block_on(store.put(&key, bytes))?;
    Ok(length)
}

/// Prints a JSON document on standard output.
fn print_json(document: &serde_json::Value) -> Result<(), Failure> {
    print_text(&format!("{document:#}\n"))
}

/// Prints text on standard output; a reader that has gone, or a full disk behind it, is an error.
fn print_text(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(with("cannot write to standard output"))
}

/// A big number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        cases.iter().for_each(|(number, text)| assert_eq!(grouped(*number), *text));
    }
}

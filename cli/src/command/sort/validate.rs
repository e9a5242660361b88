//! `cirrus sort validate`: whether records are in order, and the same as others.

use std::sync::Arc;
use std::time::Instant;

use cirrus_protocol::records::RECORD_BYTES;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object;
use cirrus_runtime::pool::WorkPool;
use cirrus_runtime::sort::input::Input;
use cirrus_runtime::sort::validate::{Findings, validate};
use clap::Args;
use serde_json::json;

use crate::command::{cores, grouped, print_json, print_text};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::{Output, progress};

/// Reads all records of a folder and checks that they are in order, within files and from one to the next.
///
/// It counts them, counts keys that are like the one before, and adds up a checksum (the sum of the CRC-32C of each record)
/// that does not depend on their order. With --against both must be those of another folder: nothing was lost, added or
/// changed. It ends non-zero if anything is wrong.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus sort validate sorted\n  \
    cirrus sort validate sorted --against records")]
pub(crate) struct Arguments {
    /// The folder, a path or URL.
    folder: String,
    /// What was sorted: the same records, in any order.
    #[arg(long, value_name = "FOLDER")]
    against: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let began = Instant::now();
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    let looked = |folder: &str| look(folder, &interrupt, output);
    let found = looked(&arguments.folder)?;
    let name = &arguments.folder;
    if let Some((file, record)) = &found.first_disorder {
        return Err(Failure::Failed(format!(
            "{name} is not in order: {} keys are below the one before, the first that of record {record} (from 0) of {file}",
            grouped(found.disorders)
        )));
    }
    let mut as_in = String::new();
    if let Some(against) = &arguments.against {
        let expected = looked(against)?;
        if !found.same_records(&expected) {
            return Err(Failure::Failed(format!(
                "{name} does not hold the records of {}: expected {} with checksum {:016x}, found {} with checksum {:016x}",
                against,
                grouped(expected.records),
                expected.checksum,
                grouped(found.records),
                found.checksum,
            )));
        }
        as_in = format!(", as in {}", against);
    }
    let checksum = format!("{:016x}", found.checksum);
    if output.json {
        return print_json(&json!({
            "files": found.files,
            "records": found.records,
            "duplicate_keys": found.duplicates,
            "checksum": checksum,
            "against": arguments.against,
            "seconds": began.elapsed().as_secs_f64(),
        }));
    }
    print_text(&format!(
        "{name}: {} records in {} files, in order, {} duplicate keys, checksum {checksum}{as_in}\n",
        grouped(found.records),
        grouped(found.files),
        grouped(found.duplicates),
    ))
}

fn look(folder: &str, interrupt: &Interrupt, output: Output) -> Result<Findings, Failure> {
    let io = Arc::new(IoThread::start().map_err(with("cannot start a thread"))?);
    let pool = Arc::new(WorkPool::new(cores()).map_err(with("cannot start threads"))?);
    let store = object::open(folder)?;
    let bytes = io.block_on(Input::open(store.as_ref()))?.records() * RECORD_BYTES as u64;
    let bar = progress::of_bytes(output);
    bar.set_message(format!("reading {}", folder));
    bar.set_length(bytes);
    let found = validate::<Failure>(&store, &io, &pool, |bytes| {
        bar.set_position(bytes);
        if interrupt.is_set() { Err(Failure::Interrupted) } else { Ok(()) }
    });
    bar.finish_and_clear();
    found
}

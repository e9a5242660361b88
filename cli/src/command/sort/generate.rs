//! `cirrus sort generate`: records to sort.

use std::sync::Arc;
use std::time::Instant;

use cirrus_protocol::records::RECORD_BYTES;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object;
use cirrus_runtime::pool::WorkPool;
use cirrus_runtime::sort::generate::Recipe;
use clap::Args;
use serde_json::json;

use super::size;
use crate::command::{cores, grouped, print_json, print_text};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::{Output, place, progress};

/// Makes records to sort: the same bytes for the same seed, on any machine.
///
/// Keys look random and are spread evenly. A record is its key of 10 bytes, its number as 8 bytes, and 82 bytes that look
/// random. They are written as files of about 32 MiB and a manifest.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus sort generate --bytes 2GB --out records\n  \
    cirrus sort generate --records 1000000 --seed 7 --out million\n  \
    cirrus sort generate --bytes 500MiB --skewed --out skewed")]
pub(crate) struct Arguments {
    /// How many records.
    #[arg(long, value_name = "N", required_unless_present = "bytes")]
    records: Option<u64>,
    /// As many whole records as fit into this: 2GB, 512MiB, 100000.
    #[arg(long, value_name = "SIZE", value_parser = size::records, conflicts_with = "records")]
    bytes: Option<u64>,
    /// The folder, a path or URL, which must be empty or not there.
    #[arg(long, value_name = "FOLDER")]
    out: String,
    /// Another seed gives other records.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Keys of all magnitudes alike instead of evenly spread: most are small, and many the same.
    #[arg(long)]
    skewed: bool,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let records = arguments.bytes.or(arguments.records).unwrap_or_default();
    let Some(bytes) = records.checked_mul(RECORD_BYTES as u64) else {
        return Err(Failure::Usage(format!("--records {records}: more bytes than can be counted")));
    };
    let recipe = Recipe { records, seed: arguments.seed, skewed: arguments.skewed };
    let began = Instant::now();
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    let io = IoThread::start().map_err(with("cannot start a thread"))?;
    let pool = Arc::new(WorkPool::new(cores()).map_err(with("cannot start threads"))?);
    let store = object::open(&arguments.out)?;
    let bar = progress::of_bytes(output);
    bar.set_message("generating");
    bar.set_length(bytes);
    let written = recipe.write::<Failure>(&store, &io, &pool, |bytes| {
        bar.set_position(bytes);
        if interrupt.is_set() { Err(Failure::Interrupted) } else { Ok(()) }
    });
    bar.finish_and_clear();
    let manifest = written.inspect_err(|_| {
        // A folder that holds nothing is all that is left; another one stays.
        place::remove_if_empty(&arguments.out);
    })?;
    let seconds = began.elapsed().as_secs_f64();
    if output.json {
        return print_json(&json!({
            "records": records,
            "bytes": bytes,
            "files": manifest.parts.len(),
            "seconds": seconds,
        }));
    }
    print_text(&format!(
        "{}: {} records ({}) in {} files; {seconds:.2} s, {:.2} GB/s\n",
        arguments.out,
        grouped(records),
        size::of_bytes(bytes),
        manifest.parts.len(),
        size::gigabytes_per_second(bytes, seconds),
    ))
}

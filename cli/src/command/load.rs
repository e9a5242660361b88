//! `cirrus load`: text to a dataset.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cirrus_ml::load::{
    ColumnOptions, Input, LoadError, LoadOptions, LoadReport, OnError, Target, TestSplit, load,
};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object;
use cirrus_runtime::pool::WorkPool;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{cores, grouped, print_json, print_text};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::place::{self, beside};
use crate::{Output, progress};

/// Reads CSV or LIBSVM text and writes a dataset that `train` reads fast.
///
/// Plain, gzip or zstd. A dataset is a folder of compact binary partitions and a manifest; it appears whole or not
/// at all. LIBSVM indices are kept as they are, from 1 to 2^BITS. The values of CSV columns are hashed to 2^BITS
/// features, each column by itself.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus load clicks.libsvm --test clicks.test.libsvm\n  \
    cirrus load flights.csv.zst --label delayed --numeric distance \\\n      \
    --categorical day,hour,origin --pairs origin:hour,origin:day\n  \
    cirrus load clicks.tsv --out clicks --label 1 --no-header --on-error skip\n  \
    cirrus load s3://bucket/raw/clicks.tsv.gz --out s3://bucket/clicks --label 1 --no-header")]
pub(crate) struct Arguments {
    /// The text file: a path, or a URL (s3://bucket/name, file:///path).
    input: String,
    /// The dataset's folder, a path or URL [default: the input's name with the ending .cirrus]
    #[arg(long, value_name = "FOLDER")]
    out: Option<String>,
    /// The test rows come from this file, and all rows of the input are for training.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["test_percent", "split_seed"])]
    test: Option<String>,
    /// How many of a hundred rows are test rows, chosen by a hash of the line.
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    test_percent: u8,
    /// Another seed chooses other test rows.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    split_seed: u64,
    /// The format of the text: libsvm or csv [default: recognised by name and content]
    #[arg(long)]
    format: Option<String>,
    /// Features are numbered below 2^BITS.
    #[arg(long, default_value_t = 20)]
    bits: u8,
    /// CSV: the column to predict, with 0 and 1 or -1 and 1 in it [default: label]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// CSV: columns whose text is a category [default: all that are not named otherwise]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categorical: Vec<String>,
    /// CSV: columns whose number is a value.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    numeric: Vec<String>,
    /// CSV: columns that are no features by themselves.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// CSV: pairs of columns whose combined text is a category of its own, as a:b,c:d.
    #[arg(long, value_name = "PAIRS", value_delimiter = ',', value_parser = pair)]
    pairs: Vec<[String; 2]>,
    /// CSV: what stands between fields [default: a tab in .tsv files, else a comma]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// CSV: the first line is data; columns are called 1, 2, ...
    #[arg(long)]
    no_header: bool,
    /// What becomes of a malformed line.
    #[arg(long, value_enum, default_value_t = Malformed::Fail)]
    on_error: Malformed,
    /// A partition is closed once it has this many bytes.
    #[arg(long, value_name = "BYTES", default_value_t = LoadOptions::default().partition_bytes)]
    partition_bytes: u64,
    /// Rows in a block, the unit that a worker learns from at once.
    #[arg(long, value_name = "ROWS", default_value_t = LoadOptions::default().block_rows)]
    block_rows: u32,
    /// Threads that parse [default: one a core]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Replace a dataset that is there already.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Malformed {
    /// The load ends with the line's number and what is wrong.
    Fail,
    /// The line is left out; they are counted and the first ones shown.
    Skip,
}

fn pair(text: &str) -> Result<[String; 2], String> {
    match text.split_once(':') {
        Some((first, second)) if !first.is_empty() && !second.is_empty() => {
            Ok([first.to_owned(), second.to_owned()])
        }
        _ => Err("a pair of columns is written as first:second".to_owned()),
    }
}

impl Arguments {
    fn options(&self) -> LoadOptions {
        LoadOptions {
            format: self.format.clone(),
            hash_bits: self.bits,
            on_error: match self.on_error {
                Malformed::Fail => OnError::Fail,
                Malformed::Skip => OnError::Skip,
            },
            partition_bytes: self.partition_bytes,
            block_rows: self.block_rows,
            test: match &self.test {
                Some(file) => TestSplit::File(file.clone()),
                None => TestSplit::RowHash { percent: self.test_percent, seed: self.split_seed },
            },
            columns: ColumnOptions {
                label: self.label.clone(),
                categorical: self.categorical.clone(),
                numeric: self.numeric.clone(),
                ignored: self.ignore.clone(),
                pairs: self.pairs.clone(),
                delimiter: self.delimiter,
                header: self.no_header.then_some(false),
            },
            overwrite: self.overwrite,
        }
    }
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let out = arguments.out.clone().unwrap_or_else(|| beside(&arguments.input, "cirrus"));
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    let io = IoThread::start().map_err(with("cannot start a thread"))?;
    // The file reads until the user interrupts.
    let input = Input::open_within(&arguments.input, &io, |source| Box::new(interrupt.wrap(source)))?;
    let threads = arguments.threads.unwrap_or_else(cores);
    let report = into_dataset(input, &out, &arguments.options(), threads, (&io, &interrupt), output)?;
    let (train, test) = (&report.manifest.train, &report.manifest.test);
    if output.json {
        return print_json(&json!({
            "dataset": out,
            "train": { "rows": train.rows, "positives": train.positives, "nonzeros": train.nonzeros },
            "test": { "rows": test.rows, "positives": test.positives, "nonzeros": test.nonzeros },
            "skipped_lines": report.manifest.source.skipped,
            "skipped": report.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "text_bytes": report.text_bytes,
            "seconds": report.time.as_secs_f64(),
            "megabytes_per_second": report.megabytes_per_second(),
        }));
    }
    for error in &report.skipped {
        eprintln!("skipped: {error}");
    }
    let skipped = match report.manifest.source.skipped {
        0 => String::new(),
        lines => format!(", {} malformed lines skipped", grouped(lines)),
    };
    print_text(&format!(
        "{}: {} training rows, {} test rows{skipped}; {:.1} s, {:.0} MB/s\n",
        out,
        grouped(train.rows),
        grouped(test.rows),
        report.time.as_secs_f64(),
        report.megabytes_per_second()
    ))
}

/// Loads with a progress bar.
pub(super) fn into_dataset(
    input: Input,
    out: &str,
    options: &LoadOptions,
    threads: NonZeroUsize,
    (io, interrupt): (&IoThread, &Interrupt),
    output: Output,
) -> Result<LoadReport, Failure> {
    let pool = Arc::new(WorkPool::new(threads).map_err(with("cannot start threads"))?);
    let store = object::open(out)?;
    let bar = progress::of_bytes(output);
    bar.set_message("loading");
    let mut on_progress = |at: cirrus_ml::load::Progress| {
        if let Some(total) = at.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(at.bytes);
    };
    let target = Target { store: &store, prefix: "", io };
    let loaded = load(input, &target, options, &pool, &mut on_progress);
    bar.finish_and_clear();
    loaded.map_err(|error| {
        // A folder that holds nothing is all that is left of a load that failed; another one stays.
        place::remove_if_empty(out);
        if interrupt.is_set() { Failure::Interrupted } else { refused(error) }
    })
}

/// What is wrong with an option is wrong usage; the option is named as the user wrote it.
fn refused(error: LoadError) -> Failure {
    let text = error.to_string();
    let (LoadError::Option { option, .. } | LoadError::Ineffective { option, .. }) = error else {
        return Failure::Failed(text);
    };
    let flag = match option {
        "hash_bits" => "bits",
        "ignored" => "ignore",
        "header" => "no-header",
        other => other,
    };
    let flag = format!("--{}", flag.replace(['_', ' '], "-"));
    Failure::Usage(text.replacen(&format!("`{option}`"), &flag, 1))
}

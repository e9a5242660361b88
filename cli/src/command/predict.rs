//! `cirrus predict`: a probability for each row.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cirrus_ml::load::{Input, RawRows};
use cirrus_ml::predict::{Predictor, probability};
use cirrus_protocol::model::Model;
use cirrus_runtime::dataset::Side;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::{self, ObjectStore};
use clap::Args;
use serde_json::json;

use super::{grouped, is_dataset, open_dataset, print_json, read_model, reading};
use crate::Output;
use crate::failure::{Failure, with};
use crate::place;

/// Writes the probability of label 1 for each row, one a line, in the order of the rows.
///
/// Rows are text of the format that the model was trained on; a label is allowed and ignored. A dataset's test rows
/// will do, too.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus predict clicks.model new.libsvm > probabilities.txt\n  \
    cirrus predict flights.model flights-2002.csv.gz --out probabilities.txt\n  \
    cirrus predict clicks.model clicks.cirrus    the test rows of a dataset")]
pub(crate) struct Arguments {
    /// The model.
    model: String,
    /// The rows: a text file or a dataset, by a path or URL.
    rows: String,
    /// Where the probabilities go, a path or URL [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if output.json && arguments.out.is_none() {
        return Err(Failure::Usage("--json goes with --out: both would write to standard output".to_owned()));
    }
    let io = IoThread::start().map_err(with("cannot start a thread"))?;
    let model = read_model(&arguments.model, &io)?;
    let predictor = Predictor::new(&model)?;
    let mut writer = Writer::open(arguments.out.as_deref())?;
    if is_dataset(&arguments.rows, &io)? {
        of_dataset(&predictor, &arguments.rows, &mut writer)?;
    } else {
        of_text(&predictor, &model, &arguments.rows, &mut writer, &io)?;
    }
    let rows = writer.finish(&io)?;
    match &arguments.out {
        Some(out) if output.json => print_json(&json!({ "rows": rows, "out": out })),
        Some(out) if !output.quiet => {
            eprintln!("{out}: {} probabilities", grouped(rows));
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn of_dataset(predictor: &Predictor, folder: &str, writer: &mut Writer) -> Result<(), Failure> {
    let reading = reading()?;
    let dataset = open_dataset(folder, &reading.io)?;
    predictor.check(&dataset)?;
    let part = dataset.part(Side::Test);
    let mut margins = Vec::new();
    for block in reading.blocks(&part, part.blocks().collect::<Vec<_>>()) {
        predictor.margins(&*block?, &mut margins)?;
        margins.iter().try_for_each(|margin| writer.write(*margin))?;
    }
    Ok(())
}

fn of_text(
    predictor: &Predictor,
    model: &Model,
    file: &str,
    writer: &mut Writer,
    io: &IoThread,
) -> Result<(), Failure> {
    let mut rows = RawRows::open(Input::open(file, io)?, &model.metadata.schema, model.hash_bits)?;
    while let Some(row) = rows.next_row()? {
        writer.write(predictor.margin(row.features)?)?;
    }
    Ok(())
}

/// Where probabilities go on their way out.
enum Sink {
    /// As they come.
    Stream(Box<dyn Write>),
    /// Into a file that gets its name when it is whole.
    File(tempfile::NamedTempFile, PathBuf),
    /// Into memory, to be put into object storage by one call.
    Object(Vec<u8>, Arc<dyn ObjectStore>, String),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::File(file, _) => file.write(bytes),
            Self::Object(memory, ..) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::File(file, _) => file.flush(),
            Self::Object(memory, ..) => memory.flush(),
        }
    }
}

/// Probabilities on their way out. A file or object appears under its name only when it is whole.
struct Writer {
    out: BufWriter<Sink>,
    rows: u64,
}

impl Writer {
    fn open(place: Option<&str>) -> Result<Self, Failure> {
        let sink = match place {
            None => Sink::Stream(Box::new(io::stdout())),
            Some(place) => match place::local(place)? {
                Some(path) => Self::open_file(path)?,
                None => {
                    let (store, key) = object::open_object(place)?;
                    Sink::Object(Vec::new(), store, key)
                }
            },
        };
        Ok(Self { out: BufWriter::new(sink), rows: 0 })
    }

    fn open_file(path: PathBuf) -> Result<Sink, Failure> {
        let failed = || with(path.display());
        if path.exists() && !path.is_file() {
            // A device or a pipe is written to as it is.
            let device = File::options().write(true).open(&path).map_err(failed())?;
            return Ok(Sink::Stream(Box::new(device)));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
        Ok(Sink::File(file, path))
    }

    fn write(&mut self, margin: f32) -> Result<(), Failure> {
        self.rows += 1;
        writeln!(self.out, "{}", probability(margin)).map_err(with("cannot write the probabilities"))
    }

    fn finish(self, io: &IoThread) -> Result<u64, Failure> {
        let sink = self.out.into_inner().map_err(|error| error.into_error());
        let mut sink = sink.map_err(with("cannot write the probabilities"))?;
        sink.flush().map_err(with("cannot write the probabilities"))?;
        match sink {
            Sink::Stream(_) => {}
            Sink::File(file, path) => {
                file.persist(&path).map_err(|error| with(path.display())(error.error))?;
            }
            Sink::Object(bytes, store, key) => io.block_on(store.put(&key, bytes.into()))?,
        }
        Ok(self.rows)
    }
}

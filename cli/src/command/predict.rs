//! `cirrus predict`: a probability for each row.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cirrus_ml::load::{Input, RawRows};
use cirrus_ml::predict::{Predictor, probability};
use cirrus_protocol::model::Model;
use cirrus_runtime::dataset::Side;
use clap::Args;
use serde_json::json;

use super::{grouped, open_dataset, print_json, read_model, reading};
use crate::Output;
use crate::failure::{Failure, with};

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
    /// The rows: a text file or a dataset.
    rows: PathBuf,
    /// Where the probabilities go [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if output.json && arguments.out.is_none() {
        return Err(Failure::Usage("--json goes with --out: both would write to standard output".to_owned()));
    }
    let io = cirrus_runtime::io::IoThread::start().map_err(with("cannot start a thread"))?;
    let model = read_model(&arguments.model, &io)?;
    let predictor = Predictor::new(&model)?;
    let mut writer = Writer::open(arguments.out.as_deref())?;
    if arguments.rows.is_dir() {
        of_dataset(&predictor, &arguments.rows, &mut writer)?;
    } else {
        of_text(&predictor, &model, &arguments.rows, &mut writer)?;
    }
    let rows = writer.finish()?;
    match &arguments.out {
        Some(out) if output.json => print_json(&json!({ "rows": rows, "out": out })),
        Some(out) if !output.quiet => {
            eprintln!("{}: {} probabilities", out.display(), grouped(rows));
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

fn of_dataset(predictor: &Predictor, folder: &Path, writer: &mut Writer) -> Result<(), Failure> {
    let reading = reading()?;
    let dataset = open_dataset(&super::text(folder)?, &reading.io)?;
    predictor.check(&dataset)?;
    let part = dataset.part(Side::Test);
    let mut margins = Vec::new();
    for block in reading.blocks(&part, part.blocks().collect::<Vec<_>>()) {
        predictor.margins(&*block?, &mut margins)?;
        margins.iter().try_for_each(|margin| writer.write(*margin))?;
    }
    Ok(())
}

fn of_text(predictor: &Predictor, model: &Model, file: &Path, writer: &mut Writer) -> Result<(), Failure> {
    let mut rows = RawRows::open(Input::open(file)?, &model.metadata.schema, model.hash_bits)?;
    while let Some(row) = rows.next_row()? {
        writer.write(predictor.margin(row.features)?)?;
    }
    Ok(())
}

/// Probabilities on their way out. A file appears under its name only when it is whole.
struct Writer {
    out: BufWriter<Box<dyn Write>>,
    file: Option<(tempfile::TempPath, PathBuf)>,
    rows: u64,
}

impl Writer {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { out: BufWriter::new(Box::new(std::io::stdout())), file: None, rows: 0 });
        };
        let failed = || with(path.display());
        if path.exists() && !path.is_file() {
            // A device or a pipe is written to as it is.
            let device = File::options().write(true).open(path).map_err(failed())?;
            return Ok(Self { out: BufWriter::new(Box::new(device)), file: None, rows: 0 });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, temporary) = tempfile::NamedTempFile::new_in(folder).map_err(failed())?.into_parts();
        let file_and_name = Some((temporary, path.to_path_buf()));
        Ok(Self { out: BufWriter::new(Box::new(file)), file: file_and_name, rows: 0 })
    }

    fn write(&mut self, margin: f32) -> Result<(), Failure> {
        self.rows += 1;
        writeln!(self.out, "{}", probability(margin)).map_err(with("cannot write the probabilities"))
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.out.flush().map_err(with("cannot write the probabilities"))?;
        if let Some((temporary, path)) = self.file {
            temporary.persist(&path).map_err(|error| with(path.display())(error.error))?;
        }
        Ok(self.rows)
    }
}

//! Whole commands of the release binary, as users run them; what they say with `--json` is what is printed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::{Files, Options, figure};

type Error = Box<dyn std::error::Error>;

/// The release binary.
pub(crate) struct Cirrus(PathBuf);

impl Cirrus {
    /// Builds it, and tells where it is.
    pub(crate) fn build() -> Result<Self, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = Command::new(cargo)
            .args([
                "build",
                "--release",
                "--package",
                "cirrus",
                "--message-format",
                "json-render-diagnostics",
            ])
            .current_dir(root)
            .stdout(Stdio::piped())
            .spawn()?
            .wait_with_output()?;
        let messages = String::from_utf8(built.stdout)?;
        let executable = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|message| Some(message.get("executable")?.as_str()?.to_owned()))
            .next_back();
        Ok(Self(executable.ok_or("cargo built no `cirrus`")?.into()))
    }

    /// A command that has no arguments yet.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// Runs a command; what it said, and its wall time in seconds.
    pub(crate) fn run(&self, arguments: &[&OsStr]) -> Result<(Value, f64), Error> {
        let began = Instant::now();
        let output = Command::new(&self.0).args(arguments).arg("--json").output()?;
        let seconds = began.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok((serde_json::from_slice(&output.stdout)?, seconds))
    }

    /// Where it is, to run it in the background.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn bytes(&self) -> std::io::Result<u64> {
        Ok(std::fs::metadata(&self.0)?.len())
    }
}

/// Loads the files as a user would, and shows how small the dataset is.
pub(super) fn load(cirrus: &Cirrus, files: &Files, dataset: &Path, options: &Options) -> Result<(), Error> {
    let bits = options.bits.to_string();
    for threads in ["1", "2"] {
        let mut best = f64::INFINITY;
        let mut bytes = 0.0;
        for _ in 0..options.repeat.max(1) {
            let mut arguments: Vec<&OsStr> = vec!["load".as_ref(), files.train.as_ref()];
            arguments.extend([
                "--test".as_ref(),
                files.test.as_os_str(),
                "--out".as_ref(),
                dataset.as_os_str(),
            ]);
            arguments.extend(["--bits", &bits, "--threads", threads, "--overwrite"].map(OsStr::new));
            let (report, seconds) = cirrus.run(&arguments)?;
            bytes = number(&report, &["text_bytes"])?;
            best = best.min(seconds);
        }
        figure(
            &format!("cirrus load, LIBSVM, {threads} threads"),
            format!("{:.0} MB/s of text", bytes / best / 1e6),
        );
    }
    let (report, _) = cirrus.run(&["inspect".as_ref(), dataset.as_os_str()])?;
    let [size, bound] =
        ["bytes_per_nonzero", "bound_bytes_per_nonzero"].map(|name| number(&report, &["train", name]));
    let (size, bound) = (size?, bound?);
    let text =
        format!("{size:.3} beside a bound of {bound:.3} for uniformly hashed indices ({:.2}x)", size / bound);
    figure("bytes a nonzero", text);
    Ok(())
}

/// Trains as a user would, without a store, with one worker and a store, and with several workers.
pub(super) fn train(cirrus: &Cirrus, dataset: &Path, folder: &Path, options: &Options) -> Result<(), Error> {
    let model = folder.join("model");
    let passes = options.passes.to_string();
    let mut alone = 0.0;
    for workers in ["0", "1", "2", "4"] {
        let mut best: Option<Value> = None;
        for _ in 0..options.repeat.max(1) {
            let mut arguments: Vec<&OsStr> = vec!["train".as_ref(), dataset.as_os_str(), "--out".as_ref()];
            arguments.push(model.as_os_str());
            arguments.extend(["--workers", workers, "--passes", &passes, "--quiet"].map(OsStr::new));
            arguments.extend(options.parameters().iter().map(OsStr::new));
            let (report, _) = cirrus.run(&arguments)?;
            let faster = best.as_ref().map_or(Ok(true), |best| {
                Ok::<_, Error>(number(&report, &["rows_per_second"])? > number(best, &["rows_per_second"])?)
            })?;
            if faster {
                best = Some(report);
            }
        }
        let Some(report) = best else { continue };
        let rate = number(&report, &["rows_per_second"])?;
        if workers == "0" {
            alone = rate;
        }
        let (loss, auc) =
            (number(&report, &["held_out", "log_loss"])?, number(&report, &["held_out", "auc"])?);
        let text = format!(
            "{:.2} M rows/s ({:.0} % of no store), log loss {loss:.4}, AUC {auc:.4}",
            rate / 1e6,
            rate / alone * 100.0
        );
        figure(&format!("cirrus train, {workers} workers, {passes} passes"), text);
        workers_took(&report)?;
    }
    figure("binary, stripped", format!("{:.1} MB", cirrus.bytes()? as f64 / 1e6));
    Ok(())
}

/// Shares of a worker's time, its memory and its start.
fn workers_took(report: &Value) -> Result<(), Error> {
    let Some([first, ..]) = report["worker_processes"].as_array().map(Vec::as_slice) else { return Ok(()) };
    let seconds = number(report, &["seconds"])?;
    let share = |name: &str| Ok::<_, Error>(number(first, &[name])? / seconds / 1e4);
    let text = format!(
        "learning {:.0} %, decoding {:.0} %, waiting for blocks {:.0} %, for the store {:.0} % of the time; \
         {:.0} MB sent, {:.0} MB received",
        share("learn_micros")?,
        share("decode_micros")?,
        share("fetch_wait_micros")?,
        share("store_wait_micros")?,
        number(first, &["sent_bytes"])? / 1e6,
        number(first, &["received_bytes"])? / 1e6
    );
    figure("  its first worker", text);
    let text = format!(
        "{:.1} MB at most, ready {:.1} ms after its start",
        number(first, &["peak_memory_bytes"])? / 1e6,
        number(first, &["start_micros"])? / 1e3
    );
    figure("  its memory and start", text);
    Ok(())
}

/// A number in a document, by its path.
pub(crate) fn number(document: &Value, path: &[&str]) -> Result<f64, Error> {
    let found = path.iter().try_fold(document, |at, name| at.get(name));
    found.and_then(Value::as_f64).ok_or_else(|| format!("no number {path:?} in {document}").into())
}

//! The same files and split with scikit-learn and Vowpal Wabbit, in the same run, from text on disk to a model:
//! reading is included on all sides, evaluation on none.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::command::{Cirrus, number};
use super::{Files, Options, figure};

type Error = Box<dyn std::error::Error>;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/first_light/peers.py");
const PACKAGES: [&str; 4] = ["numpy", "scipy", "scikit-learn==1.9.1", "vowpalwabbit==9.11.9"];

pub(super) fn measure(cirrus: &Cirrus, files: &Files, folder: &Path, options: &Options) -> Result<(), Error> {
    let python = install()?;
    let dataset = folder.join("peer-dataset");
    let (bits, passes) = (options.bits.to_string(), options.passes.to_string());
    let mut load: Vec<&OsStr> = vec!["load".as_ref(), files.train.as_ref(), "--test".as_ref()];
    load.extend([files.test.as_os_str(), "--out".as_ref(), dataset.as_os_str()]);
    load.extend(["--bits", &bits, "--overwrite"].map(OsStr::new));
    let (_, loading) = cirrus.run(&load)?;
    let model = folder.join("peer-model");
    let mut train: Vec<&OsStr> =
        vec!["train".as_ref(), dataset.as_os_str(), "--out".as_ref(), model.as_os_str()];
    train.extend(["--workers", "2", "--passes", &passes, "--quiet"].map(OsStr::new));
    train.extend(options.parameters().iter().map(OsStr::new));
    let (trained, training) = cirrus.run(&train)?;
    let ours = loading + training;
    let [loss, auc] = ["log_loss", "auc"].map(|name| number(&trained, &["held_out", name]));
    let text = format!(
        "{ours:.2} s ({loading:.2} load, {training:.2} train and evaluate), log loss {:.4}, AUC {:.4}",
        loss?, auc?
    );
    figure(&format!("cirrus, text to model, 2 workers and a store, {passes} passes"), text);
    for (peer, name) in
        [("sklearn", "scikit-learn SGDClassifier, averaged"), ("vw", "Vowpal Wabbit, cache file")]
    {
        let output = Command::new(&python)
            .arg(SCRIPT)
            .arg(peer)
            .args([&files.train, &files.test])
            .args([&passes, &bits])
            .args((peer == "vw").then_some(folder))
            .output()?;
        if !output.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let seconds = number(&report, &["seconds"])?;
        let text = format!(
            "{seconds:.2} s ({:.1}x ours), log loss {:.4}, AUC {:.4}",
            seconds / ours,
            number(&report, &["log_loss"])?,
            number(&report, &["auc"])?
        );
        figure(&format!("{name}, {passes} passes"), text);
    }
    Ok(())
}

/// A Python with the peers in it, below `target`, so that it is made once and goes with `cargo clean`.
fn install() -> Result<PathBuf, Error> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

//! `first-light`: from a text file to a trained model, stage by stage.
//!
//! | file | measures |
//! |---|---|
//! | [`synthetic`] | nothing: it writes the data, with a known truth |
//! | [`kernel`] | learning from decoded blocks; from blocks on disk; decoding alone |
//! | [`command`] | whole commands: load, inspect, train with a store, evaluate |
//! | [`peers`] | the same data and split with scikit-learn and Vowpal Wabbit |

pub(crate) mod command;
mod kernel;
mod peers;
pub(crate) mod synthetic;

use std::path::PathBuf;

use clap::Args;

/// What to measure, and on what.
#[derive(Args)]
pub(crate) struct Options {
    /// Rows of the synthetic training data (39 features a row; a tenth as many test rows are added).
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Hash bits: the model has 2^BITS weights.
    #[arg(long, default_value_t = 20)]
    bits: u8,
    /// Passes over the data for whole training runs.
    #[arg(long, default_value_t = 3)]
    passes: u32,
    /// Repetitions of each measurement; the best counts.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Measure scikit-learn and Vowpal Wabbit in the same run (installs them into target/peers with pip).
    #[arg(long)]
    peers: bool,
    /// A LIBSVM file to train on instead of synthetic data.
    #[arg(long, requires = "test")]
    train: Option<PathBuf>,
    /// The test rows that go with --train.
    #[arg(long, requires = "train")]
    test: Option<PathBuf>,
}

impl Options {
    /// Parameters of training that suit the data. The synthetic data has many features that say little: AdaGrad
    /// starts with smaller steps.
    fn parameters(&self) -> &'static [&'static str] {
        if self.train.is_none() { &["--adagrad-initial", "100"] } else { &[] }
    }
}

/// The text files that a run works on.
pub(crate) struct Files {
    pub(crate) train: PathBuf,
    pub(crate) test: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let files = match (&options.train, &options.test) {
        (Some(train), Some(test)) => Files { train: train.canonicalize()?, test: test.canonicalize()? },
        _ => synthetic::write(folder.path(), options.rows, options.bits)?,
    };
    println!("machine: {} cores", std::thread::available_parallelism()?);
    println!("data: {} and {}", files.train.display(), files.test.display());
    let cirrus = command::Cirrus::build()?;
    let dataset = folder.path().join("dataset");
    command::load(&cirrus, &files, &dataset, options)?;
    kernel::measure(&dataset, options)?;
    crate::store::rounds::measure(&cirrus, options.repeat)?;
    command::train(&cirrus, &dataset, folder.path(), options)?;
    if options.peers {
        peers::measure(&cirrus, &files, folder.path(), options)?;
    }
    Ok(())
}

/// Prints one figure.
pub(crate) fn figure(name: &str, value: impl std::fmt::Display) {
    println!("{name:<64} {value}");
}

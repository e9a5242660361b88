//! `cirrus evaluate`: how good a model is on rows that it has not seen.

use cirrus_ml::evaluate::evaluate;
use cirrus_ml::metrics::Metrics;
use cirrus_ml::predict::Predictor;
use cirrus_runtime::dataset::Side;
use clap::Args;
use serde_json::{Value, json};

use super::{grouped, open_dataset, print_json, print_text, read_model, reading};
use crate::Output;
use crate::failure::Failure;

/// Says how good a model is: log loss and AUC, beside what a model that knows only the base rate would get.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus evaluate clicks.model clicks.cirrus\n  \
    cirrus evaluate clicks.model clicks.cirrus --train    on the rows it was trained on")]
pub(crate) struct Arguments {
    /// The model.
    model: String,
    /// The dataset, with a test part.
    dataset: String,
    /// Evaluate on the training rows instead.
    #[arg(long)]
    train: bool,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let reading = reading()?;
    let model = read_model(&arguments.model, &reading.io)?;
    let dataset = open_dataset(&arguments.dataset, &reading.io)?;
    let side = if arguments.train { Side::Train } else { Side::Test };
    let metrics = evaluate(&Predictor::new(&model)?, &dataset, side, &reading)?;
    if output.json { print_json(&as_json(&metrics)) } else { print_text(&as_text(&metrics)) }
}

pub(super) fn as_json(metrics: &Metrics) -> Value {
    json!({
        "rows": metrics.rows,
        "positives": metrics.positives,
        "log_loss": metrics.log_loss,
        "auc": metrics.auc,
        "base_rate_log_loss": metrics.base_rate_log_loss,
    })
}

pub(super) fn as_text(metrics: &Metrics) -> String {
    let auc = metrics.auc.map_or("undefined".to_owned(), |auc| format!("{auc:.4}"));
    format!(
        "held out: log loss {:.4} (the base rate alone: {:.4}), AUC {auc}, {} rows\n",
        metrics.log_loss,
        metrics.base_rate_log_loss,
        grouped(metrics.rows)
    )
}

//! `cirrus demo`: the whole of it on real data, with a worker killed half-way.

use std::sync::{Arc, Mutex, PoisonError};

use cirrus_ml::distributed::Distribution;
use cirrus_ml::job::{Description, TrainJob};
use cirrus_ml::load::{ColumnOptions, Input, LoadOptions};
use cirrus_ml::metrics::Metrics;
use cirrus_protocol::job::Role;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::job::Progress;
use cirrus_runtime::object;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::train::{Plan, Run, train, workers_json};
use super::{cores, evaluate, grouped, load, open_dataset, print_json, print_text, reading, write_model};
use crate::failure::{Failure, with};
use crate::interrupt::Interrupt;
use crate::place::within;
use crate::{Output, curve, report};

/// Every 15th flight of the first half of 2001 in the United States; see examples/flights/SOURCE.md.
const FLIGHTS: &[u8] = include_bytes!("../../../examples/flights/flights-2001.csv.zst");
/// Worse than this is not what this data gives.
const WORST_LOG_LOSS: f64 = 0.44;
const WORST_AUC: f64 = 0.735;
const PASSES: u32 = 6;
/// Pairs with the day have few rows each: their weights are held back a little.
const L2: f64 = 0.000_01;
/// Small blocks: workers that race learn from a fresher model, and there are enough blocks to see one worker's death.
const BLOCK_ROWS: u32 = 256;
/// Columns whose pairs say more than both alone.
const PAIRS: [[&str; 2]; 8] = [
    ["origin", "hour"],
    ["destination", "hour"],
    ["origin", "day"],
    ["destination", "day"],
    ["day", "hour"],
    ["day", "quarter"],
    ["origin", "quarter"],
    ["destination", "quarter"],
];

/// Trains on 200,000 flights that come with this program, and kills a worker half-way.
///
/// Loads the flights, starts a data store and worker processes, trains, evaluates on rows that were held out, and
/// writes a report. Ends non-zero if the model is worse than it should be.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus demo\n  \
    cirrus demo --workers 2 --passes 3 --out /tmp/demo")]
pub(crate) struct Arguments {
    /// The folder, a path or URL, for the dataset, the model and report.html. What an earlier demo left there is replaced.
    #[arg(long, value_name = "FOLDER", default_value = "cirrus-demo")]
    out: String,
    /// Worker processes.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Passes over the training rows.
    #[arg(long, value_name = "N", default_value_t = PASSES)]
    passes: u32,
}

/// What the demo did to whom.
#[derive(Clone, Copy, Default)]
struct Kill {
    blocks: u64,
    victim: Option<(u32, u32)>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let say = |line: &str| {
        if !output.quiet {
            eprintln!("{line}");
        }
    };
    let folder = arguments.out.as_str();
    let dataset = within(folder, "flights");
    let interrupt = Interrupt::listen().map_err(with("cannot listen for Ctrl-C"))?;
    let reading = reading()?;
    let loaded = load_flights(&dataset, (&reading.io, &interrupt), output)?;
    let manifest = &loaded.manifest;
    say(&format!(
        "loaded {} training and {} test rows of flights in {:.1} s",
        grouped(manifest.train.rows),
        grouped(manifest.test.rows),
        loaded.time.as_secs_f64()
    ));

    let opened = open_dataset(&dataset, &reading.io)?;
    let description = Description {
        hash_bits: manifest.hash_bits,
        passes: Some(arguments.passes),
        l2: Some(L2),
        ..Description::default()
    };
    let plan = Plan {
        job: TrainJob::try_from(description).map_err(|error| Failure::Usage(error.to_string()))?,
        dataset,
        model: within(folder, "flights.model"),
        workers: arguments.workers,
        staleness_bound: None,
        window: Distribution::window_for(arguments.workers),
        snapshot_interval: Distribution::SNAPSHOT_INTERVAL,
    };
    let blocks = manifest.train.partitions.iter().map(|partition| u64::from(partition.blocks)).sum::<u64>();
    say(&format!(
        "training {} passes over {blocks} blocks with {} worker processes and a data store",
        arguments.passes, arguments.workers
    ));
    let kill = Arc::new(Mutex::new(Kill::default()));
    let killer = killer(Arc::clone(&kill), blocks * u64::from(arguments.passes), !output.quiet);
    let run = train(&plan, &opened, &reading, output, Some(&interrupt), killer)?;
    write_model(&plan.model, &run.trained.model, &reading.io)?;
    let kill = *kill.lock().unwrap_or_else(PoisonError::into_inner);
    let page = within(folder, "report.html");
    let figures = figures(&run, arguments.workers, kill);
    let html = report::page("Cirrus: flights of 2001", &run.curve, &figures)?;
    let (store, key) = object::open_object(&page)?;
    reading.io.block_on(store.put(&key, html.into()))?;
    show(&run, &page, kill, output)?;
    judge(run.metrics.as_ref())
}

fn load_flights(
    place: &str,
    (io, interrupt): (&IoThread, &Interrupt),
    output: Output,
) -> Result<cirrus_ml::load::LoadReport, Failure> {
    let options = LoadOptions {
        block_rows: BLOCK_ROWS,
        overwrite: true,
        columns: ColumnOptions {
            label: Some("delayed".to_owned()),
            categorical: ["day", "weekday", "hour", "quarter", "origin", "destination", "distance"]
                .map(str::to_owned)
                .to_vec(),
            pairs: PAIRS.iter().map(|pair| pair.map(str::to_owned)).collect(),
            ..ColumnOptions::default()
        },
        ..LoadOptions::default()
    };
    let input =
        Input::new("flights-2001.csv.zst", Some(FLIGHTS.len() as u64), Box::new(interrupt.wrap(FLIGHTS)))?;
    load::into_dataset(input, place, &options, cores(), (io, interrupt), output)
}

/// Kills the process of one worker when half of all blocks are done, as a machine that fails would.
fn killer(kill: Arc<Mutex<Kill>>, blocks: u64, says: bool) -> impl FnMut(&Progress) + Send + 'static {
    let mut alive = std::collections::BTreeMap::new();
    move |progress: &Progress| match progress {
        Progress::Launched { role: Role::Worker, slot, process_id: Some(id), .. } => {
            alive.insert(slot.0, *id);
        }
        Progress::Ended { role: Role::Worker, slot, .. } => {
            alive.remove(&slot.0);
        }
        Progress::Block { .. } => {
            let mut kill = kill.lock().unwrap_or_else(PoisonError::into_inner);
            kill.blocks += 1;
            if kill.blocks < blocks / 2 || kill.victim.is_some() {
                return;
            }
            let Some((worker, id)) = alive.iter().next_back().map(|(worker, id)| (*worker, *id)) else {
                return;
            };
            let process = i32::try_from(id).ok().and_then(Pid::from_raw);
            if process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok()) {
                kill.victim = Some((worker, id));
                if says {
                    let done = kill.blocks;
                    eprintln!(
                        "{done} of {blocks} blocks are done: killing worker {worker} (process {id}, SIGKILL)"
                    );
                }
            }
        }
        Progress::Launched { .. }
        | Progress::Ended { .. }
        | Progress::StoreReady { .. }
        | Progress::PassDone(_) => {}
    }
}

/// What the report's table says.
fn figures(run: &Run, workers: u32, kill: Kill) -> Vec<(&'static str, String)> {
    let mut figures = Vec::new();
    if let Some(metrics) = &run.metrics {
        figures.push(("Held-out log loss", format!("{:.4}", metrics.log_loss)));
        figures.push(("Log loss of the base rate", format!("{:.4}", metrics.base_rate_log_loss)));
        figures.push(("Held-out AUC", format!("{:.4}", metrics.auc.unwrap_or(0.0))));
    }
    figures.push(("Rows learned from", grouped(run.rows())));
    figures.push(("Rows per second", grouped(run.rows_per_second() as u64)));
    figures.push(("Worker processes", workers.to_string()));
    if let Some((worker, _)) = kill.victim {
        figures.push(("Killed half-way", format!("worker {worker}")));
    }
    figures
}

fn show(run: &Run, page: &str, kill: Kill, output: Output) -> Result<(), Failure> {
    let peak = run.outcome.iter().flat_map(|outcome| &outcome.workers);
    let peak = peak.map(|(_, took)| took.peak_memory_bytes).max().unwrap_or(0);
    let gradients = run.outcome.as_ref().map(|outcome| outcome.store);
    if output.json {
        return print_json(&json!({
            "held_out": run.metrics.as_ref().map(evaluate::as_json),
            "rows": run.rows(),
            "seconds": run.seconds,
            "rows_per_second": run.rows_per_second(),
            "peak_memory_bytes_of_a_worker": peak,
            "killed": kill.victim.map(|(worker, id)| json!({ "worker": worker, "process": id })),
            "gradients": gradients.map(|store| json!({
                "applied": store.applied,
                "refused_as_duplicates": store.duplicates,
            })),
            "passes": run.trained.passes.iter().map(|pass| pass.loss).collect::<Vec<_>>(),
            "worker_processes": run.outcome.as_ref().map(workers_json),
            "report": page,
        }));
    }
    let losses: Vec<f64> = run.curve.iter().map(|(_, loss)| *loss).collect();
    let gradients = gradients.map(|store| {
        format!(
            "gradients: {} applied, each once; {} came twice and were refused\n",
            grouped(store.applied),
            store.duplicates
        )
    });
    print_text(&format!(
        "\nprogressive loss over {} rows:\n{}\n{}{}speed: {} rows/s; peak memory of a worker: {:.1} MB\nreport: {}\n",
        grouped(run.rows()),
        curve::draw(&losses, 64, 6),
        run.metrics.as_ref().map(evaluate::as_text).unwrap_or_default(),
        gradients.unwrap_or_default(),
        grouped(run.rows_per_second() as u64),
        peak as f64 / 1e6,
        page
    ))
}

/// Whether the model is as good as this data allows.
fn judge(metrics: Option<&Metrics>) -> Result<(), Failure> {
    let Some(metrics) = metrics else { return Err(Failure::Failed("no rows were held out".to_owned())) };
    let auc = metrics.auc.unwrap_or(0.0);
    if metrics.log_loss <= WORST_LOG_LOSS && auc >= WORST_AUC {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the model is worse than it should be: log loss {:.4} (at most {WORST_LOG_LOSS}), AUC {auc:.4} (at least \
         {WORST_AUC}); were there too few passes?",
        metrics.log_loss
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_held_against_both_bounds() {
        let judged = |log_loss, auc| {
            judge(Some(&Metrics { rows: 2, positives: 1, log_loss, base_rate_log_loss: 0.5, auc }))
        };
        assert!(judged(WORST_LOG_LOSS, Some(WORST_AUC)).is_ok());
        for (log_loss, auc) in
            [(0.4401, Some(0.76)), (f64::NAN, Some(0.76)), (0.42, Some(0.7349)), (0.42, None)]
        {
            let said = judged(log_loss, auc);
            let Err(Failure::Failed(text)) = said else { panic!("{log_loss} {auc:?} passes: {said:?}") };
            assert!(text.contains("worse than it should be: log loss") && text.contains("AUC"), "{text}");
        }
        assert!(judge(None).is_err());
    }
}

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_core::ids::Pass;
use cirrus_protocol::manifest::{
    Compression, FORMAT_VERSION, MANIFEST_NAME, Manifest, Part, Schema, SourceInfo,
};
use cirrus_protocol::partition::{LabelKind, PartitionBuilder, Shape};
use cirrus_runtime::blocks::PrefetchOptions;
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::{LocalFolder, ObjectStore};
use cirrus_runtime::pool::WorkPool;

use super::{TrainError, train_local};
use crate::evaluate::{EvaluateError, evaluate};
use crate::job::TrainJob;
use crate::predict::Predictor;
use crate::reading::Reading;
use crate::testing::{Row, planted_rows};

fn reading() -> Reading {
    let threads = NonZeroUsize::new(2).unwrap();
    Reading {
        pool: Arc::new(WorkPool::new(threads).unwrap()),
        io: Arc::new(IoThread::start().unwrap()),
        prefetch: PrefetchOptions::default(),
    }
}

/// Writes `rows` as partitions of two blocks of 100 rows.
fn part(name: &str, rows: &[Row], files: &mut Vec<(String, Vec<u8>)>) -> Part {
    let shape = Shape { hash_bits: 6, labels: LabelKind::Binary };
    let mut part = Part::default();
    for (i, rows) in rows.chunks(200).enumerate() {
        let mut builder = PartitionBuilder::new(shape, 100).unwrap();
        rows.iter().for_each(|(label, features)| builder.push_row(*label, features).unwrap());
        let encoded = builder.finish().unwrap();
        let info = encoded.info(format!("{name}-{i}"));
        part.rows += info.rows;
        part.nonzeros += info.nonzeros;
        part.positives += info.positives;
        files.push((info.name.clone(), encoded.bytes));
        part.partitions.push(info);
    }
    part
}

fn dataset(folder: &Path, train: &[Row], test: &[Row], reading: &Reading) -> Dataset {
    let mut files = Vec::new();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        source: SourceInfo {
            path: "planted".to_owned(),
            bytes: 0,
            crc32c: 0,
            compression: Compression::Plain,
            rows: (train.len() + test.len()) as u64,
            skipped: 0,
        },
        test_source: None,
        schema: Schema::Libsvm,
        hash_bits: 6,
        train: part("train", train, &mut files),
        test: part("test", test, &mut files),
        columns: Vec::new(),
    };
    files.push((MANIFEST_NAME.to_owned(), manifest.encode().unwrap()));
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFolder::new(folder));
    for (name, bytes) in files {
        reading.io.block_on(store.put(&name, Bytes::from(bytes))).unwrap();
    }
    reading.io.block_on(Dataset::open(store, "")).unwrap()
}

fn job(parameters: &str) -> TrainJob {
    TrainJob::from_json(format!(r#"{{"hash_bits": 6, "rate": 0.3{parameters}}}"#).as_bytes()).unwrap()
}

#[test]
fn training_finds_a_planted_model_and_says_how_far_it_is() {
    let (folder, reading) = (tempfile::tempdir().unwrap(), reading());
    let dataset = dataset(folder.path(), &planted_rows(1, 6050), &planted_rows(2, 2000), &reading);
    let mut heard = Vec::new();
    let trained = train_local(&job(r#", "passes": 3"#), &dataset, &reading, |p| heard.push(*p)).unwrap();

    assert_eq!(heard.len(), 3 * 61);
    let last = heard.last().unwrap();
    assert_eq!((last.pass, last.blocks, last.blocks_in_pass, last.so_far.rows), (Pass(2), 61, 61, 6050));
    assert_eq!(trained.passes.len(), 3);
    assert!(trained.passes.iter().all(|pass| pass.rows == 6050));
    assert!(trained.passes.is_sorted_by(|a, b| a.loss > b.loss), "{:?}", trained.passes);
    assert_eq!(trained.model.metadata.training.rows, 3 * 6050);
    assert_eq!(trained.model.metadata.training.loss, trained.passes[2].loss);

    let predictor = Predictor::new(&trained.model).unwrap();
    let test = evaluate(&predictor, &dataset, Side::Test, &reading).unwrap();
    assert_eq!(test.rows, 2000);
    // The planted model itself reaches about 0.53 and the base rate 0.69.
    assert!(test.log_loss < 0.56 && test.base_rate_log_loss > 0.65, "{test:?}");
    assert!(test.auc.unwrap() > 0.78, "{test:?}");
    let train = evaluate(&predictor, &dataset, Side::Train, &reading).unwrap();
    assert!(train.log_loss < trained.passes[0].loss, "{train:?}");
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let (folder, reading) = (tempfile::tempdir().unwrap(), reading());
    let dataset = dataset(folder.path(), &planted_rows(1, 1500), &[], &reading);
    let train = |parameters: &str| {
        let trained = train_local(&job(parameters), &dataset, &reading, |_| ()).unwrap();
        trained.model.weights.iter().map(|weight| weight.to_bits()).collect::<Vec<_>>()
    };
    let model = train(r#", "seed": 1, "shuffle": true"#);
    assert_eq!(model, train(r#", "seed": 1, "shuffle": true"#));
    assert_ne!(model, train(r#", "seed": 2, "shuffle": true"#));
    assert_ne!(model, train(r#", "seed": 1"#));
}

#[test]
fn a_dataset_that_does_not_fit_is_refused() {
    let (folder, reading) = (tempfile::tempdir().unwrap(), reading());
    let dataset = dataset(folder.path(), &[], &planted_rows(2, 10), &reading);
    let other = TrainJob::from_json(br#"{"hash_bits": 7}"#).unwrap();
    let error = train_local(&other, &dataset, &reading, |_| ()).unwrap_err();
    assert!(matches!(error, TrainError::HashBits { job: 7, dataset: 6 }), "{error}");
    let error = train_local(&job(""), &dataset, &reading, |_| ()).unwrap_err();
    assert!(matches!(error, TrainError::NoRows), "{error}");
    let predictor = Predictor::new(&cirrus_protocol::model::Model {
        keys: vec![64],
        weights: vec![1.0],
        ..train_on_one_row(&reading)
    });
    let error = evaluate(&predictor.unwrap(), &dataset, Side::Train, &reading).unwrap_err();
    assert!(matches!(error, EvaluateError::NoRows("training")), "{error}");
}

fn train_on_one_row(reading: &Reading) -> cirrus_protocol::model::Model {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), &planted_rows(3, 1), &[], reading);
    train_local(&job(""), &dataset, reading, |_| ()).unwrap().model
}

#[test]
fn a_diverged_model_stops_training_and_names_the_block() {
    let (folder, reading) = (tempfile::tempdir().unwrap(), reading());
    let rows: Vec<Row> = (0..300)
        .map(|i| (f32::from(u8::from(i % 2 == 0)), vec![(i % 7, 3e38), (20 + i % 5, -3e38)]))
        .collect();
    let dataset = dataset(folder.path(), &rows, &[], &reading);
    let error = train_local(&job(r#", "optimizer": "sgd""#), &dataset, &reading, |_| ()).unwrap_err();
    assert!(matches!(error, TrainError::Learn(_)), "{error}");
    assert!(error.to_string().contains("pass 0, block "), "{error}");
}

use cirrus_protocol::manifest::Schema;
use cirrus_protocol::model::{Model, TrainingInfo};
use proptest::prelude::*;

use super::{PredictError, Predictor, probability};
use crate::job::TrainJob;
use crate::testing::{block, rows};
use crate::{export, table};

fn untrained(hash_bits: u8) -> Model {
    let job = TrainJob::from_json(format!(r#"{{"hash_bits": {hash_bits}}}"#).as_bytes()).unwrap();
    let mut cells = Vec::new();
    table::new(&job).read(&[], &mut cells);
    let training = TrainingInfo { passes: 5, rows: 1, workers: 0, seed: 0, loss: 0.5 };
    export::model(&job, &cells, Schema::Libsvm, training).unwrap()
}

fn model(weights: &[(u32, f32)]) -> Model {
    Model {
        keys: weights.iter().map(|(key, _)| *key).collect(),
        weights: weights.iter().map(|(_, weight)| *weight).collect(),
        ..untrained(6)
    }
}

#[test]
fn a_margin_is_weights_times_values_and_the_bias() {
    let predictor = Predictor::new(&model(&[(3, 0.5), (17, -2.0), (64, 0.25)])).unwrap();
    assert_eq!(predictor.margin(&[]), Ok(0.25));
    assert_eq!(predictor.margin(&[(17, 1.0), (3, 3.0), (5, 9.0)]), Ok(-0.25));
    assert_eq!(predictor.margin(&[(3, 1.0), (3, 1.0)]), Ok(1.25), "repeated keys add up");
    assert_eq!(probability(0.0), 0.5);
    assert!((probability(-0.25) - 0.437_823_5).abs() < 1e-6);
}

#[test]
fn an_untrained_model_has_no_weights() {
    let model = untrained(6);
    assert!(model.keys.is_empty() && model.weights.is_empty());
    assert_eq!(model.metadata.model, "logistic_regression");
    assert_eq!(model.metadata.optimizer, "adagrad");
    assert_eq!(Model::decode(&model.encode().unwrap()).unwrap(), model);
}

#[test]
fn keys_that_the_model_cannot_have_are_refused() {
    let predictor = Predictor::new(&model(&[(64, 0.25)])).unwrap();
    let refused = PredictError::Key { key: 64, keys: 64 };
    assert_eq!(predictor.margin(&[(3, 1.0), (64, 1.0)]), Err(refused.clone()), "the bias is no feature");
    let larger = block(7, &[(1.0, vec![(64, 1.0)])]);
    assert_eq!(predictor.margins(&larger, &mut Vec::new()), Err(refused));
    assert_eq!(Predictor::new(&model(&[(65, 1.0)])), Err(PredictError::Key { key: 65, keys: 64 }));
}

#[test]
fn a_model_of_another_kind_is_refused_by_name() {
    let mut softmax = model(&[]);
    softmax.metadata.model = "softmax".to_owned();
    let error = Predictor::new(&softmax).unwrap_err();
    assert!(error.to_string().contains("softmax"), "{error}");
}

proptest! {
    #[test]
    fn blocks_and_single_rows_agree(
        rows in prop_oneof![rows(true), rows(false)],
        weights in proptest::collection::vec(-2.0_f32..2.0, 65),
    ) {
        let weights: Vec<_> = (0..).zip(weights).collect();
        let predictor = Predictor::new(&model(&weights)).unwrap();
        let mut margins = vec![1.0];
        predictor.margins(&block(6, &rows), &mut margins).unwrap();
        let single: Vec<_> = rows.iter().map(|(_, row)| predictor.margin(row).unwrap()).collect();
        prop_assert_eq!(margins, single);
    }
}

#[test]
fn cells_that_make_no_model_are_refused() {
    let job = TrainJob::from_json(br#"{"hash_bits": 4, "optimizer": "sgd"}"#).unwrap();
    let error = export::weights(&job, &[0; 64]).unwrap_err();
    assert!(matches!(error, export::ExportError::Cells { found: 64, expected: 68 }), "{error}");
    let mut cells = vec![0; 68];
    cells[64..].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = export::weights(&job, &cells).unwrap_err();
    assert!(matches!(error, export::ExportError::NotFinite { key: 16, .. }), "{error}");
}

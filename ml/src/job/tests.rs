use cirrus_core::ids::Pass;

use super::{Description, JobError, TrainJob};
use crate::model::Logistic;
use crate::optimizer::{Adagrad, AnyOptimizer, OptimizerName, Sgd};

fn job(text: &str) -> Result<TrainJob, JobError> {
    TrainJob::from_json(text.as_bytes())
}

#[test]
fn defaults_are_filled_in_and_written_out() {
    let job = job(r#"{"hash_bits": 20}"#).unwrap();
    let optimizer =
        Adagrad { rate: TrainJob::ADAGRAD_RATE as f32, initial: TrainJob::ADAGRAD_INITIAL as f32 };
    assert_eq!(job.optimizer(), AnyOptimizer::Adagrad(optimizer));
    assert_eq!(job.model(), Logistic::default());
    assert_eq!((job.passes(), job.seed(), job.hash_bits()), (TrainJob::PASSES, 0, 20));
    assert_eq!((job.bias_key(), job.cells()), (1 << 20, (1 << 20) + 1));
    let text = job.to_json();
    for name in ["model", "optimizer", "passes", "seed", "rate", "rate_decay", "adagrad_initial", "l1", "l2"]
    {
        assert!(text.contains(&format!("\"{name}\"")), "{name} is missing in {text}");
    }
    assert_eq!(TrainJob::from_json(text.as_bytes()).unwrap(), job);
    // What is written out is never refused as without effect, whatever the defaults were filled in beside.
    for parameters in [r#""passes": 1"#, r#""optimizer": "sgd""#, r#""optimizer": "sgd", "passes": 1"#] {
        let job = TrainJob::from_json(format!(r#"{{"hash_bits": 8, {parameters}}}"#).as_bytes()).unwrap();
        assert_eq!(TrainJob::from_json(job.to_json().as_bytes()).unwrap(), job);
    }
}

#[test]
fn parameters_arrive() {
    let job = job(
        r#"{"hash_bits": 8, "optimizer": "sgd", "rate": 0.25, "l1": 0.5, "l2": 0.125, "passes": 3, "seed": 7,
            "rate_decay": 0.5, "shuffle": true}"#,
    )
    .unwrap();
    assert_eq!(job.optimizer(), AnyOptimizer::Sgd(Sgd { rate: 0.25 }));
    assert_eq!(job.model(), Logistic { l1: 0.5, l2: 0.125 });
    assert_eq!((job.passes(), job.seed(), job.shuffle()), (3, 7, true));
    assert_eq!([0, 1, 2].map(|pass| job.rate_factor(Pass(pass))), [1.0, 0.5, 0.25]);
    let parameters = job.parameters();
    let names: Vec<_> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["l1", "l2", "rate", "rate_decay", "shuffle"]);
    assert_eq!(parameters["rate"], 0.25);
}

#[test]
fn a_text_that_is_no_description_is_refused_by_field_and_line() {
    for (text, words) in [
        ("{\n\"momentum\": 0.9}", ["unknown field `momentum`", "line 2"]),
        ("{\"optimizer\":\n\"adam\"}", ["optimizer: unknown variant `adam`", "line 2"]),
        ("{\"model\":\n\"softmax\"}", ["model: unknown variant `softmax`", "line 2"]),
        (
            "{\"l1\": 0,\n \"rate\": \"fast\"}",
            ["rate: invalid type: string \"fast\", expected f64", "line 2"],
        ),
        ("{\"passes\":\n\n-1}", ["passes: invalid value: integer `-1`", "line 3"]),
        ("{\"hash_bits\":\n0}", ["hash_bits: invalid value: integer `0`, expected 1 to 30", "line 2"]),
        ("{\"hash_bits\":\n31}", ["hash_bits: invalid value: integer `31`, expected 1 to 30", "line 2"]),
        ("{\"rate\": 0.1,\n\n \"rate\": 0.2}", ["duplicate field `rate`", "line 3"]),
        ("{\"rate\":\n}", ["rate: expected value", "line 2"]),
        ("{}\n{}", ["trailing characters", "line 2"]),
        ("[\n0.1]", ["not a job description", "line 2"]),
    ] {
        let error = Description::from_json(text.as_bytes()).unwrap_err();
        assert!(matches!(error, JobError::Json(_)), "{text}: {error:?}");
        let error = error.to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
    }
}

#[test]
fn a_description_may_leave_the_bits_to_the_dataset_and_a_job_may_not() {
    let description = Description::from_json(br#"{"rate": 0.1}"#).unwrap();
    assert_eq!(description, Description { rate: Some(0.1), ..Description::default() });
    let error = job(r#"{"rate": 0.1}"#).unwrap_err();
    assert_eq!(error.to_string(), "hash_bits is 0, expected 1 to 30");
}

#[test]
fn parameters_without_effect_are_refused_by_name() {
    let error = job(r#"{"hash_bits": 8, "optimizer": "sgd", "adagrad_initial": 0.1}"#).unwrap_err();
    assert_eq!(error.to_string(), "adagrad_initial has no effect beside the optimizer sgd: leave it out");
    let error = job(r#"{"hash_bits": 8, "passes": 1, "rate_decay": 0.5}"#).unwrap_err();
    assert_eq!(error.to_string(), "rate_decay has no effect with a single pass: leave it out");
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let good = Description { hash_bits: 8, ..Description::default() };
    type Change = fn(&mut Description);
    let cases: [(&str, Change); 16] = [
        ("hash_bits", |d| d.hash_bits = 0),
        ("hash_bits", |d| d.hash_bits = 31),
        ("passes", |d| d.passes = Some(0)),
        ("rate", |d| d.rate = Some(0.0)),
        ("rate", |d| d.rate = Some(-0.1)),
        ("rate", |d| d.rate = Some(f64::NAN)),
        ("rate", |d| d.rate = Some(1e-60)),
        ("rate", |d| d.rate = Some(1e60)),
        ("rate", |d| (d.optimizer, d.rate) = (OptimizerName::Sgd, Some(f64::INFINITY))),
        ("adagrad_initial", |d| d.adagrad_initial = Some(0.0)),
        ("l1", |d| d.l1 = Some(-1e-9)),
        ("l1", |d| d.l1 = Some(f64::NAN)),
        ("l2", |d| d.l2 = Some(-1.0)),
        ("l2", |d| d.l2 = Some(f64::INFINITY)),
        ("rate_decay", |d| d.rate_decay = Some(0.0)),
        ("rate_decay", |d| d.rate_decay = Some(1.5)),
    ];
    assert!(TrainJob::try_from(good.clone()).is_ok());
    for (name, change) in cases {
        let mut bad = good.clone();
        change(&mut bad);
        match TrainJob::try_from(bad) {
            Err(JobError::OutOfRange { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

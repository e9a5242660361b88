use cirrus_core::ids::Pass;

use super::{Description, JobError, TrainJob};
use crate::model::Logistic;
use crate::optimizer::{Adagrad, Adam, AnyOptimizer, Ftrl, Momentum, Nesterov, OptimizerName, Penalty, Sgd};

fn job(text: &str) -> Result<TrainJob, JobError> {
    TrainJob::from_json(text.as_bytes())
}

#[test]
fn defaults_are_filled_in_and_written_out() {
    let job = job(r#"{"hash_bits": 20}"#).unwrap();
    let optimizer = Adagrad {
        rate: TrainJob::default_rate(OptimizerName::Adagrad) as f32,
        initial: TrainJob::ADAGRAD_INITIAL as f32,
    };
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
    for parameters in [
        r#""passes": 1"#,
        r#""optimizer": "sgd""#,
        r#""optimizer": "sgd", "passes": 1"#,
        r#""optimizer": "momentum""#,
        r#""optimizer": "nesterov""#,
        r#""optimizer": "normalized_adagrad""#,
        r#""optimizer": "adam""#,
        r#""optimizer": "ftrl""#,
    ] {
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
    assert_eq!(job.model(), Logistic { penalty: Penalty { l1: 0.5, l2: 0.125 } });
    assert_eq!((job.passes(), job.seed(), job.shuffle()), (3, 7, true));
    assert_eq!([0, 1, 2].map(|pass| job.rate_factor(Pass(pass))), [1.0, 0.5, 0.25]);
    let parameters = job.parameters();
    let names: Vec<_> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["l1", "l2", "rate", "rate_decay", "shuffle"]);
    assert_eq!(parameters["rate"], 0.25);
}

#[test]
fn every_optimizer_gets_its_parameters() {
    let of = |parameters: &str| job(&format!(r#"{{"hash_bits": 8, {parameters}}}"#)).unwrap();
    let momentum = Momentum { rate: 0.25, momentum: 0.5 };
    let given = of(r#""optimizer": "momentum", "rate": 0.25, "momentum": 0.5"#);
    assert_eq!(given.optimizer(), AnyOptimizer::Momentum(momentum));
    let given = of(r#""optimizer": "nesterov", "rate": 0.25, "momentum": 0.5"#);
    assert_eq!(given.optimizer(), AnyOptimizer::Nesterov(Nesterov(momentum)));
    let given =
        of(r#""optimizer": "adam", "rate": 0.25, "adam_beta1": 0, "adam_beta2": 0.5, "adam_epsilon": 0.125"#);
    assert_eq!(
        given.optimizer(),
        AnyOptimizer::Adam(Adam { rate: 0.25, beta1: 0.0, beta2: 0.5, epsilon: 0.125 })
    );
    assert_eq!(given.parameters()["adam_beta2"], 0.5);
    // FTRL's penalties are its own; the model adds none.
    let given = of(r#""optimizer": "ftrl", "ftrl_beta": 0.5, "l1": 2, "l2": 0.25"#);
    let penalty = Penalty { l1: 2.0, l2: 0.25 };
    assert_eq!(given.optimizer(), AnyOptimizer::Ftrl(Ftrl { rate: 0.1, beta: 0.5, penalty }));
    assert_eq!(given.model(), Logistic::default());
    assert_eq!(given.rate_factor(Pass(3)), 1.0);
}

#[test]
fn a_text_that_is_no_description_is_refused_by_field_and_line() {
    for (text, words) in [
        ("{\n\"inertia\": 0.9}", ["unknown field `inertia`", "line 2"]),
        ("{\"optimizer\":\n\"lamb\"}", ["optimizer: unknown variant `lamb`", "line 2"]),
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
    for (parameter, optimizers) in [
        ("adagrad_initial", ["sgd", "momentum", "nesterov", "adam", "ftrl"].as_slice()),
        ("momentum", &["sgd", "adagrad", "normalized_adagrad", "adam", "ftrl"]),
        ("adam_beta1", &["sgd", "momentum", "nesterov", "adagrad", "normalized_adagrad", "ftrl"]),
        ("adam_beta2", &["adagrad"]),
        ("adam_epsilon", &["adagrad"]),
        ("ftrl_beta", &["sgd", "momentum", "nesterov", "adagrad", "normalized_adagrad", "adam"]),
    ] {
        for optimizer in optimizers {
            let text = format!(r#"{{"hash_bits": 8, "optimizer": "{optimizer}", "{parameter}": 0.5}}"#);
            let error = job(&text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{parameter} has no effect beside the optimizer {optimizer}: leave it out")
            );
        }
    }
    let error = job(r#"{"hash_bits": 8, "optimizer": "ftrl", "rate_decay": 0.5}"#).unwrap_err();
    assert!(error.to_string().starts_with("rate_decay has no effect beside the optimizer ftrl"), "{error}");
    let error = job(r#"{"hash_bits": 8, "passes": 1, "rate_decay": 0.5}"#).unwrap_err();
    assert_eq!(error.to_string(), "rate_decay has no effect with a single pass: leave it out");
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let good = Description { hash_bits: 8, ..Description::default() };
    type Change = fn(&mut Description);
    let cases: [(&str, Change); 21] = [
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
        ("momentum", |d| (d.optimizer, d.momentum) = (OptimizerName::Momentum, Some(1.0))),
        ("momentum", |d| (d.optimizer, d.momentum) = (OptimizerName::Nesterov, Some(-0.1))),
        ("adam_beta1", |d| (d.optimizer, d.adam_beta1) = (OptimizerName::Adam, Some(0.999_999_999_9))),
        ("adam_epsilon", |d| (d.optimizer, d.adam_epsilon) = (OptimizerName::Adam, Some(0.0))),
        ("ftrl_beta", |d| (d.optimizer, d.ftrl_beta) = (OptimizerName::Ftrl, Some(0.0))),
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

//! `cirrus train`, `evaluate` and `predict`: what comes of them, and what they refuse.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{blocks, cirrus, contents, names, with_dataset};

#[test]
fn parameters_that_change_nothing_or_make_no_sense_are_refused_by_name() {
    let folder = with_dataset(600);
    let before = contents(folder.path());
    for (options, words) in [
        ("--optimizer sgd --adagrad-initial 1", "--adagrad-initial has no effect beside the optimizer sgd"),
        ("--workers 0 --staleness sync", "--staleness has no effect with --workers 0"),
        ("--workers 0 --window 2", "--window has no effect with --workers 0"),
        ("--workers 0 --snapshot-interval 1", "--snapshot-interval has no effect with --workers 0"),
        ("--passes 1 --rate-decay 0.5", "--rate-decay has no effect with a single pass"),
        ("--passes 0", "--passes is 0, expected at least 1"),
        ("--rate 0", "--rate is 0, expected a number above 0"),
        ("--rate -1", "--rate is -1"),
        ("--rate nan", "--rate is NaN"),
        ("--rate-decay 1.5", "--rate-decay is 1.5"),
        ("--adagrad-initial 0", "--adagrad-initial is 0"),
        ("--l1 -1", "--l1 is -1, expected a number of at least 0"),
        ("--l2=-0.5", "--l2 is -0.5, expected a number of at least 0"),
        ("--l2 inf", "--l2 is inf"),
        ("--window 0", "--window"),
        ("--snapshot-interval 0", "--snapshot-interval"),
        ("--staleness often", "--staleness"),
        ("--optimizer lamb", "normalized-adagrad"),
        ("--momentum 0.9", "--momentum has no effect beside the optimizer adagrad"),
        ("--optimizer momentum --momentum 1", "--momentum is 1, expected at least 0, below 1"),
        ("--optimizer adam --ftrl-beta 1", "--ftrl-beta has no effect beside the optimizer adam"),
        ("--optimizer ftrl --adam-beta1 0.9", "--adam-beta1 has no effect beside the optimizer ftrl"),
        ("--optimizer ftrl --rate-decay 0.5", "--rate-decay has no effect beside the optimizer ftrl"),
        ("--inertia 0.9", "--inertia"),
    ] {
        cirrus(folder.path(), &format!("train rows.cirrus {options}")).fails(2, &[words, "--help"]);
    }
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_training_that_diverges_says_so_and_writes_no_model() {
    let folder = with_dataset(600);
    for workers in [0, 1] {
        let line = format!("train rows.cirrus --quiet --workers {workers} --optimizer sgd --rate 1e38");
        cirrus(folder.path(), &line).fails(1, &["diverged"]);
        assert_eq!(names(folder.path()), ["rows.cirrus", "rows.libsvm"]);
    }
}

/// Trains, and answers with what was printed as JSON.
fn train(folder: &Path, options: &str) -> Value {
    cirrus(folder, &format!("train rows.cirrus --quiet --json {options}")).json()
}

#[test]
fn json_says_what_the_job_did() {
    let folder = with_dataset(6000);
    let blocks = blocks(folder.path(), "rows.cirrus");
    let found = train(folder.path(), "--workers 2 --passes 3");
    let gradients = &found["gradients"];
    assert_eq!(gradients["applied"], 3 * blocks, "{found}");
    assert_eq!(gradients["acknowledged"], 3 * blocks, "{found}");
    assert_eq!(gradients["refused_as_duplicates"], 0, "{found}");
    assert_eq!((&found["store_epochs"], &found["workers"]), (&1.into(), &2.into()), "{found}");
    assert!(found["rows_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{found}");
    let workers = found["worker_processes"].as_array().expect("a list");
    assert_eq!(workers.len(), 2, "{found}");
    let positive = |worker: &Value, name: &str| worker[name].as_u64().is_some_and(|number| number > 0);
    for worker in workers {
        assert!(positive(worker, "peak_memory_bytes") && positive(worker, "start_micros"), "{worker}");
    }
    let learned: u64 = workers.iter().filter_map(|worker| worker["blocks"].as_u64()).sum();
    assert_eq!(learned, 3 * blocks, "{found}");
    let rows = found["passes"].as_array().expect("a list").iter().map(|pass| pass["rows"].as_u64());
    assert_eq!(rows.sum::<Option<u64>>(), found["rows"].as_u64(), "{found}");
    assert!(
        found["held_out"]["log_loss"].as_f64() < found["held_out"]["base_rate_log_loss"].as_f64(),
        "{found}"
    );
    assert!(folder.path().join("rows.model").is_file());
}

#[test]
fn one_worker_and_one_seed_give_the_same_model_bit_for_bit() {
    let folder = with_dataset(6000);
    let model = |options: &str| {
        train(folder.path(), options);
        fs::read(folder.path().join("rows.model")).expect("there is a model")
    };
    for options in [
        "--workers 1 --seed 3",
        "--workers 1 --seed 3 --shuffle --l1 1e-6 --optimizer momentum",
        "--workers 0 --seed 3",
    ] {
        let first = model(options);
        for _ in 0..3 {
            assert!(model(options) == first, "{options}");
        }
    }
    assert!(model("--workers 1 --seed 3") != model("--workers 1 --seed 4"), "the seed changes nothing");
}

#[test]
fn every_optimizer_learns_alone_and_through_a_store() {
    let folder = with_dataset(6000);
    for optimizer in ["sgd", "momentum", "nesterov", "adagrad", "normalized-adagrad", "adam", "ftrl"] {
        let losses = ["--workers 0", "--workers 2 --window 1"].map(|workers| {
            let found = train(folder.path(), &format!("--optimizer {optimizer} {workers}"));
            let held_out = &found["held_out"];
            let [loss, base] =
                ["log_loss", "base_rate_log_loss"].map(|name| held_out[name].as_f64().expect("a number"));
            assert!(loss < base - 0.01, "{optimizer} {workers}: {held_out}");
            let inspected = cirrus(folder.path(), "inspect rows.model --json").json();
            assert_eq!(inspected["optimizer"], optimizer.replace('-', "_"), "{inspected}");
            loss
        });
        assert!((losses[0] - losses[1]).abs() < 0.05, "{optimizer}: {losses:?}");
    }
}

#[test]
fn a_job_file_says_what_options_would() {
    let folder = with_dataset(600);
    let model = |options: &str| {
        train(folder.path(), &format!("--workers 0 {options}"));
        fs::read(folder.path().join("rows.model")).expect("there is a model")
    };
    let job = |text: &str| crate::run::write(folder.path(), "job.json", text);
    job(r#"{"optimizer": "sgd", "rate": 0.05, "passes": 3, "seed": 7, "shuffle": true}"#);
    let by_options =
        |rate: &str| model(&format!("--optimizer sgd --rate {rate} --passes 3 --seed 7 --shuffle"));
    assert!(model("--job job.json") == by_options("0.05"), "the file counts");
    assert!(model("--job job.json --rate 0.02") == by_options("0.02"), "an option wins");
    assert!(model("--job job.json --passes 2") != by_options("0.05"), "an option counts beside a file");
    job(r#"{"rate": -1}"#);
    assert!(
        model("--job job.json --rate 0.2") == model("--rate 0.2"),
        "what an option replaces is not looked at"
    );
}

#[test]
fn a_job_file_that_cannot_be_used_is_named_with_line_and_field() {
    let folder = with_dataset(600);
    let before = contents(folder.path());
    let refused = |text: &str, options: &str, code: i32, words: &[&str]| {
        let file = crate::run::write(folder.path(), "job.json", text);
        cirrus(folder.path(), &format!("train rows.cirrus --job job.json {options}")).fails(code, words);
        fs::remove_file(file).expect("it was written");
    };
    let unknown = ["error: job.json: ", "unknown field `inertia`", "`rate`", "line 2 column 10"];
    refused("{\"rate\": 1,\n \"inertia\": 0.9}", "", 2, &unknown);
    let wrong_type =
        ["error: job.json: ", "rate: invalid type: string \"fast\", expected f64", "line 3 column 16"];
    refused("{\n  \"l1\": 1,\n  \"rate\": \"fast\"\n}", "", 2, &wrong_type);
    let twice = ["error: job.json: ", "duplicate field `rate`", "line 2 column 6"];
    refused("{\"rate\": 1,\n\"rate\": 2}", "", 2, &twice);
    refused(r#"{"rate": }"#, "", 2, &["error: job.json: ", "line 1 column 10"]);
    refused("[0.1]", "", 2, &["error: job.json: "]);
    refused(r#"{"hash_bits": 40}"#, "", 2, &["error: job.json: ", "hash_bits", "`40`, expected 1 to 30"]);
    refused(r#"{"hash_bits": 9}"#, "", 1, &["hash_bits is 9", "10"]);
    // Out of range, or without effect: a field of the file, unless an option has said it.
    let rate = "rate is -1, expected a number above 0";
    refused(r#"{"rate": -1}"#, "", 2, &[&format!("error: job.json: {rate}")]);
    refused(r#"{"rate": -1}"#, "--l1 1", 2, &[&format!("error: job.json: {rate}")]);
    refused(r#"{"rate": 1}"#, "--rate -1", 2, &[&format!("error: --{rate}")]);
    let initial = "adagrad_initial has no effect beside the optimizer sgd";
    refused(r#"{"adagrad_initial": 1}"#, "--optimizer sgd", 2, &[&format!("error: job.json: {initial}")]);
    let initial = "--adagrad-initial has no effect beside the optimizer sgd";
    refused(r#"{"optimizer": "sgd"}"#, "--adagrad-initial 1", 2, &[initial]);
    cirrus(folder.path(), "train rows.cirrus --job no.json").fails(1, &["no.json", "No such file"]);
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn every_kind_of_staleness_learns() {
    // With enough blocks that few of them are under way at a time, and a rate that stays as it is, so many passes come
    // close to the best model there is, in whatever order the workers come.
    const PASSES: u64 = 100;
    let folder = with_dataset(24_000);
    let expected = PASSES * blocks(folder.path(), "rows.cirrus");
    let line = |options: &str| format!("--passes {PASSES} --rate-decay 1 {options}");
    let alone = train(folder.path(), &line("--workers 0"));
    assert!(alone["gradients"].is_null() && alone["worker_processes"].is_null(), "{alone}");
    let loss = |found: &Value| found["held_out"]["log_loss"].as_f64().expect("there are test rows");
    let base = alone["held_out"]["base_rate_log_loss"].as_f64().expect("there are test rows");
    assert!(loss(&alone) < 0.9 * base, "{alone}");
    for options in ["async", "sync", "0", "2", "sync --window 3", "async --window 4"] {
        let found = train(folder.path(), &line(&format!("--workers 3 --staleness {options}")));
        assert_eq!(found["gradients"]["applied"], expected, "{options}: {found}");
        assert!((loss(&found) - loss(&alone)).abs() < 0.02, "{options}: {} {}", loss(&found), loss(&alone));
    }
}

/// The log loss of probabilities, for the labels of LIBSVM text.
fn log_loss(probabilities: &str, text: &str) -> f64 {
    assert_eq!(probabilities.lines().count(), text.lines().count());
    let mut sum = 0.0;
    for (probability, row) in probabilities.lines().zip(text.lines()) {
        let probability: f64 = probability.parse().expect("a probability is a number");
        assert!((0.0..=1.0).contains(&probability), "{probability}");
        sum -= if row.starts_with('1') { probability.ln() } else { (-probability).ln_1p() };
    }
    sum / text.lines().count() as f64
}

#[test]
fn evaluate_and_predict_agree() {
    let folder = with_dataset(3000);
    let test = crate::run::rows(1000, 2);
    crate::run::write(folder.path(), "test.libsvm", &test);
    cirrus(folder.path(), "load rows.libsvm --bits 10 --test test.libsvm --out split").ok();
    cirrus(folder.path(), "train split --quiet --workers 1").ok();
    let found = cirrus(folder.path(), "evaluate split.model split --json").json();
    assert_eq!(found["rows"], 1000);
    let evaluated = found["log_loss"].as_f64().expect("a number");

    let of_text = cirrus(folder.path(), "predict split.model test.libsvm").ok().out;
    assert!(
        (log_loss(&of_text, &test) - evaluated).abs() < 1e-5,
        "{} {evaluated}",
        log_loss(&of_text, &test)
    );
    let of_dataset = cirrus(folder.path(), "predict split.model split").ok().out;
    assert_eq!(of_dataset, of_text);
    let ran = cirrus(folder.path(), "predict split.model test.libsvm --out probabilities.txt --json");
    assert_eq!(ran.json()["rows"], 1000);
    let written = fs::read_to_string(folder.path().join("probabilities.txt")).expect("it was written");
    assert_eq!(written, of_text);
    // A label is not looked at.
    let unlabelled: String = test.lines().map(|row| format!("{}\n", &row[1..].trim_start())).collect();
    crate::run::write(folder.path(), "new.libsvm", unlabelled);
    assert_eq!(cirrus(folder.path(), "predict split.model new.libsvm").ok().out, of_text);
}

#[test]
fn an_l1_penalty_makes_a_sparser_model() {
    let folder = with_dataset(6000);
    let weights = |options: &str| {
        let found = train(folder.path(), options);
        let inspected = cirrus(folder.path(), "inspect rows.model --json").json();
        assert_eq!(inspected["weights"], found["weights"]);
        found["weights"].as_u64().expect("a number")
    };
    // Also through the store, as long as an update meets the cells that it was computed from.
    for workers in ["--workers 0", "--workers 1 --window 1"] {
        // All 300 features occur, and there is the bias.
        let (plain, sparse) =
            (weights(&format!("{workers} --l2 0.001")), weights(&format!("{workers} --l1 0.006")));
        assert_eq!(plain, 301, "{workers}");
        assert!(sparse < plain * 9 / 10 && sparse > 1, "{workers}: {sparse}");
    }
}

#[test]
fn a_model_of_other_features_is_refused() {
    let folder = with_dataset(600);
    cirrus(folder.path(), "load rows.libsvm --bits 12 --out other").ok();
    train(folder.path(), "--workers 0");
    cirrus(folder.path(), "evaluate rows.model other").fails(1, &["10", "12"]);
    cirrus(folder.path(), "predict rows.model other").fails(1, &["10", "12"]);
}

#[test]
fn a_model_goes_only_where_a_file_can_be() {
    let folder = with_dataset(600);
    train(folder.path(), "--workers 1 --out a/b/new.model");
    assert!(folder.path().join("a/b/new.model").is_file());
    for workers in [0, 1] {
        let line = format!("train rows.cirrus --quiet --workers {workers} --out");
        cirrus(folder.path(), &format!("{line} a")).fails(1, &["a"]);
        cirrus(folder.path(), &format!("{line} rows.libsvm/new.model")).fails(1, &["rows.libsvm"]);
        assert_eq!(names(folder.path()), ["a", "rows.cirrus", "rows.libsvm"]);
    }
}

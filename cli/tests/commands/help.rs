//! What every command has in common: help by example, results on one stream and errors on the other, readers that go
//! away and devices that are full.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::run::{Ran, cirrus, command, folder, with_dataset};

const COMMANDS: [&str; 11] = [
    "load",
    "train",
    "evaluate",
    "predict",
    "inspect",
    "demo",
    "controller",
    "daemon",
    "store",
    "zip",
    "sort",
];

#[test]
fn every_command_teaches_by_example() {
    let folder = folder();
    let overview = cirrus(folder.path(), "--help").ok();
    assert!(overview.out.contains("Examples:"), "{}", overview.out);
    for name in COMMANDS {
        let ran = cirrus(folder.path(), &format!("{name} --help")).ok();
        assert_eq!(ran.err, "");
        let (_, examples) = ran.out.split_once("Examples:").expect("there are examples");
        let of_this =
            examples.lines().filter(|line| line.trim_start().starts_with(&format!("cirrus {name}")));
        assert!(of_this.count() > 0, "{examples}");
        assert!(overview.out.contains(&format!("\n  {name}")), "{}", overview.out);
    }
    assert!(
        !overview.out.contains("\n  worker") && !overview.out.contains("\n  job-store"),
        "{}",
        overview.out
    );
    let version = cirrus(folder.path(), "--version").ok();
    assert_eq!(version.out.trim(), format!("cirrus {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_code_2_on_standard_error() {
    let folder = folder();
    cirrus(folder.path(), "").fails(2, &["Usage"]);
    cirrus(folder.path(), "fly").fails(2, &["fly"]);
    for name in COMMANDS {
        cirrus(folder.path(), &format!("{name} --bogus")).fails(2, &["--bogus"]);
    }
    cirrus(folder.path(), "predict a.model rows.libsvm --json").fails(2, &["--json", "--out"]);
}

#[test]
fn what_is_not_there_is_code_1_on_standard_error() {
    let folder = folder();
    for line in ["load no.libsvm", "train no", "evaluate no.model no", "predict no.model no", "inspect no"] {
        cirrus(folder.path(), line).fails(1, &["error: ", "no"]);
    }
    for line in ["worker", "job-store"] {
        cirrus(folder.path(), line).fails(1, &["started by `cirrus train`, not by hand"]);
    }
    assert!(crate::run::names(folder.path()).is_empty());
}

#[test]
fn results_and_progress_are_apart() {
    let folder = with_dataset(2000);
    let ran = cirrus(folder.path(), "train rows.cirrus --workers 1 --passes 2").ok();
    assert!(ran.out.contains("held out: log loss") && !ran.out.contains("pass 1/2"), "{ran:?}");
    assert!(ran.err.contains("pass 1/2: loss") && ran.err.contains("pass 2/2: loss"), "{ran:?}");
    let ran = cirrus(folder.path(), "train rows.cirrus --workers 1 --passes 2 --quiet --json").ok();
    assert_eq!(ran.err, "");
    assert_eq!(ran.json()["passes"].as_array().map(Vec::len), Some(2));
    for line in ["evaluate rows.model rows.cirrus --json", "inspect rows.model --json"] {
        let ran = cirrus(folder.path(), line).ok();
        assert_eq!(ran.err, "");
        assert!(ran.json().is_object());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let folder = with_dataset(8000);
    cirrus(folder.path(), "train rows.cirrus --quiet --workers 0 --passes 1").ok();
    let line = ["predict", "rows.model", "rows.libsvm"];
    let mut child = command(folder.path(), &line).spawn().expect("cirrus starts");
    let mut out = BufReader::with_capacity(64, child.stdout.take().expect("it is a pipe"));
    let mut first = String::new();
    out.read_line(&mut first).expect("probabilities are text");
    assert!(
        first.trim().parse::<f32>().is_ok_and(|probability| (0.0..=1.0).contains(&probability)),
        "{first}"
    );
    drop(out);
    let mut err = String::new();
    child.stderr.take().expect("it is a pipe").read_to_string(&mut err).expect("messages are text");
    let status = child.wait().expect("it can be waited for");
    assert!(status.code().is_some(), "{status}");
    assert_eq!(err, "");
}

#[test]
fn a_full_device_is_an_error() {
    let folder = with_dataset(2000);
    cirrus(folder.path(), "train rows.cirrus --quiet --workers 0 --passes 1").ok();
    cirrus(folder.path(), "predict rows.model rows.cirrus --out /dev/full")
        .fails(1, &["cannot write the probabilities", "No space left"]);
    for line in [
        "load rows.libsvm --overwrite",
        "train rows.cirrus --quiet --workers 1 --passes 1",
        "train rows.cirrus --quiet --workers 1 --passes 1 --json",
        "evaluate rows.model rows.cirrus",
        "inspect rows.cirrus --json",
        "predict rows.model rows.cirrus",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let full = File::options().write(true).open("/dev/full").expect("Linux has this device");
        let output = command(folder.path(), &arguments).stdout(full).output().expect("cirrus starts");
        Ran::of(&output).fails(1, &["cannot write", "No space left"]);
    }
}

//! Ctrl-C: code 130, and nobody and nothing left behind, whenever it comes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

use crate::job::{Process, Running};
use crate::run::{cirrus, contents, folder, names, rows, until, with_dataset, write};

/// A job that does not end by itself.
const ENDLESS: &str = "train rows.cirrus --workers 3 --passes 1000000 --snapshot-interval 0.1";

/// It ends as interrupted, and nothing of it is left.
#[track_caller]
fn nothing_is_left(running: Running, children: &[Process], folder: &Path, names_before: &[&str]) {
    // Who is pressed again in its last moment ends without a word.
    running.end().fails(130, &[]);
    for child in children {
        assert!(!child.lives(), "{child:?} is left");
    }
    assert_eq!(names(folder), names_before);
}

#[test]
fn a_job_ends_in_order_wherever_it_is() {
    let folder = with_dataset(4000);
    let before = ["rows.cirrus", "rows.libsvm"];
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::start(folder.path(), ENDLESS);
        running.until_says("pass 3/");
        let children = running.children();
        assert_eq!(children.len(), 4, "{children:?}");
        running.signal(signal);
        nothing_is_left(running, &children, folder.path(), &before);
    }
    // While it starts: from its folder on there is something to clean up.
    for processes in 0..4 {
        let running = Running::start(folder.path(), ENDLESS);
        until("the job's folder", || (names(folder.path()).len() > before.len()).then_some(()));
        let enough = || Some(running.children()).filter(|children| children.len() >= processes);
        let children = until("the processes", enough);
        running.signal(Signal::INT);
        nothing_is_left(running, &children, folder.path(), &before);
    }
}

#[test]
fn pressing_again_does_not_disturb_the_cleaning_up() {
    let folder = with_dataset(4000);
    let mut running = Running::start(folder.path(), ENDLESS);
    running.until_says("pass 3/");
    let children = running.children();
    until("its end", || {
        running.signal(Signal::INT);
        running.has_ended().then_some(())
    });
    nothing_is_left(running, &children, folder.path(), &["rows.cirrus", "rows.libsvm"]);
}

#[test]
fn a_model_that_was_there_stays() {
    let folder = with_dataset(4000);
    cirrus(folder.path(), "train rows.cirrus --quiet --workers 0 --passes 1").ok();
    let before = contents(folder.path());
    let mut running = Running::start(folder.path(), ENDLESS);
    running.until_says("pass 3/");
    running.signal(Signal::INT);
    running.end().fails(130, &["interrupted"]);
    assert_eq!(contents(folder.path()), before);
}

/// A load in the middle of its text: it has written a partition and waits for more, from a pipe that is held open.
fn half_way(folder: &Path, options: &str, partition: &str) -> (Running, File) {
    let pipe = folder.join("pipe.libsvm");
    if !pipe.exists() {
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("pipes can be made here");
    }
    let line = format!("load pipe.libsvm --out data --partition-bytes 20000 --block-rows 512 {options}");
    let running = Running::start(folder, &line);
    let mut text = File::options().write(true).open(&pipe).expect("the load opens it, too");
    let more = rows(10_000, 1);
    let partition = folder.join("data").join(partition);
    until("a partition", || {
        text.write_all(more.as_bytes()).expect("the load reads");
        partition.exists().then_some(())
    });
    (running, text)
}

#[test]
fn a_load_leaves_no_half_dataset() {
    let folder = folder();
    let (running, mut text) = half_way(folder.path(), "", "g0-train-00000.cirrus");
    running.signal(Signal::INT);
    // The next text that comes is not read any more.
    until("the end of reading", || text.write_all(b"1 1:1\n").is_err().then_some(()));
    nothing_is_left(running, &[], folder.path(), &["pipe.libsvm"]);
    // With its last end closed the pipe forgets what the load has not read.
    drop(text);

    write(folder.path(), "rows.libsvm", rows(4000, 2));
    cirrus(folder.path(), "load rows.libsvm --out data").ok();
    let before = contents(&folder.path().join("data"));
    let (running, mut text) = half_way(folder.path(), "--overwrite", "g1-train-00000.cirrus");
    running.signal(Signal::INT);
    until("the end of reading", || text.write_all(b"1 1:1\n").is_err().then_some(()));
    running.end().fails(130, &["interrupted"]);
    assert_eq!(contents(&folder.path().join("data")), before);
}

#[test]
fn pressing_again_ends_a_load_that_waits_for_its_text() {
    let folder = folder();
    write(folder.path(), "rows.libsvm", rows(4000, 2));
    cirrus(folder.path(), "load rows.libsvm --out data").ok();
    let inspected = || cirrus(folder.path(), "inspect data --json").json();
    let before = inspected();
    let (mut running, text) = half_way(folder.path(), "--overwrite", "g1-train-00000.cirrus");
    until("its end", || {
        running.signal(Signal::INT);
        running.has_ended().then_some(())
    });
    assert_eq!(running.end().code, Some(130));
    drop(text);
    // What was there is there; what came too late is removed by whoever loads next.
    assert_eq!(inspected(), before);
    cirrus(folder.path(), "load rows.libsvm --out data --overwrite").ok();
    let left = names(&folder.path().join("data"));
    assert_eq!(left, ["g2-test-00000.cirrus", "g2-train-00000.cirrus", "manifest.json"]);
}

#[test]
fn the_demo_ends_in_order() {
    let folder = folder();
    let mut running = Running::start(folder.path(), "demo --passes 1000000");
    running.until_says("pass 2/");
    let children = running.children();
    assert_eq!(children.len(), 5, "{children:?}");
    until("its end", || {
        running.signal(Signal::INT);
        running.has_ended().then_some(())
    });
    nothing_is_left(running, &children, folder.path(), &["cirrus-demo"]);
    assert_eq!(names(&folder.path().join("cirrus-demo")), ["flights"]);
    let manifest = fs::metadata(folder.path().join("cirrus-demo/flights/manifest.json"));
    assert!(manifest.is_ok_and(|manifest| manifest.is_file()));
}

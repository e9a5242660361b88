//! Processes of a job that are killed, and strangers on its ports: the job comes to the same end, with every block
//! learnt from once.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::job::Running;
use crate::run::{Random, blocks, cirrus, names, until, with_dataset};

/// With a rate that stays as it is, so many passes come close to the best model there is: what is left of the
/// differences between two undisturbed runs is a tenth of what the tests allow.
const PASSES: u64 = 250;
const ROWS: usize = 24_000;

fn line(workers: u32) -> String {
    format!("train rows.cirrus --json --workers {workers} --passes {PASSES} --rate-decay 1")
}

fn loss(found: &Value) -> f64 {
    found["held_out"]["log_loss"].as_f64().unwrap_or_else(|| panic!("no loss: {found}"))
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no {name}: {of}"))
}

/// The model is as good as that of the run that nobody disturbed.
#[track_caller]
fn agree(found: &Value, undisturbed: &Value) {
    let (found, undisturbed) = (loss(found), loss(undisturbed));
    assert!((found - undisturbed).abs() < 0.002, "{found}, undisturbed {undisturbed}");
}

/// Whatever happened to the workers: every block of every pass was applied once, and every acknowledgement that a
/// worker passed on is of one of them.
#[track_caller]
fn all_blocks_once(folder: &Path, found: &Value) {
    let gradients = &found["gradients"];
    let (applied, acknowledged) = (number(gradients, "applied"), number(gradients, "acknowledged"));
    assert_eq!(applied, PASSES * blocks(folder, "rows.cirrus"), "{gradients}");
    let duplicates = number(gradients, "refused_as_duplicates");
    assert!((applied..=applied + duplicates).contains(&acknowledged), "{gradients}");
    let rows = &cirrus(folder, "inspect rows.cirrus --json").json()["train"]["rows"];
    assert_eq!(Some(number(found, "rows")), rows.as_u64().map(|rows| rows * PASSES));
}

/// Kills workers, one after the other, each when it has come a random way on from where it was found.
fn kill_workers(running: &Running, times: u32, random: &mut Random) {
    for _ in 0..times {
        let way = random.below(200);
        let worker = running.worker(|alive| random.below(alive as u64) as usize);
        let start = worker.waits().unwrap_or(0);
        until("a worker's progress", || {
            worker.waits().is_none_or(|waits| waits >= start + way).then_some(())
        });
        worker.kill();
        until("a worker's end", || (!worker.lives()).then_some(()));
    }
}

#[test]
fn workers_killed_ten_times_change_nothing() {
    let folder = with_dataset(ROWS);
    let undisturbed = cirrus(folder.path(), &line(3)).json();
    all_blocks_once(folder.path(), &undisturbed);
    let mut running = Running::start(folder.path(), &line(3));
    running.until_says("pass 1/");
    kill_workers(&running, 10, &mut Random(1));
    let ran = running.end().ok();
    assert_eq!(ran.err.matches("was killed by signal 9; it is started again").count(), 10, "{}", ran.err);
    let found = ran.json();
    all_blocks_once(folder.path(), &found);
    agree(&found, &undisturbed);
    assert_eq!(found["store_epochs"], 1);
    let lives = found["worker_processes"].as_array().expect("a list").iter();
    assert!(lives.map(|worker| number(worker, "incarnation")).max() > Some(1), "{found}");
    assert_eq!(names(folder.path()), ["rows.cirrus", "rows.libsvm", "rows.model"]);
}

#[test]
fn a_worker_alone_may_be_killed_too() {
    let folder = with_dataset(ROWS);
    let undisturbed = cirrus(folder.path(), &line(1)).json();
    let mut running = Running::start(folder.path(), &line(1));
    running.until_says("pass 1/");
    kill_workers(&running, 3, &mut Random(2));
    let ran = running.end().ok();
    assert_eq!(ran.err.matches("worker 0 was killed by signal 9").count(), 3, "{}", ran.err);
    all_blocks_once(folder.path(), &ran.json());
    agree(&ran.json(), &undisturbed);
}

/// The store's newest snapshot, by its name, if there is one.
fn newest_snapshot(folder: &Path) -> Option<String> {
    let job = names(folder).into_iter().find(|name| name.starts_with(".cirrus-job-"))?;
    let entries = fs::read_dir(folder.join(job).join("store")).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("snapshot-")).max()
}

#[test]
fn a_killed_store_comes_back_from_its_snapshot() {
    let folder = with_dataset(ROWS);
    let undisturbed = cirrus(folder.path(), &line(2)).json();
    let mut running = Running::start(folder.path(), &format!("{} --snapshot-interval 0.05", line(2)));
    for epoch in 1..=3 {
        let of_epoch = format!("snapshot-{epoch:010}-");
        until("a snapshot of this epoch", || {
            newest_snapshot(folder.path()).filter(|name| name.starts_with(&of_epoch))
        });
        running.store().kill();
        running.until_says(&format!("the data store is back from its snapshot, in epoch {}", epoch + 1));
    }
    let ran = running.end().ok();
    assert_eq!(ran.err.matches("the data store was killed by signal 9").count(), 3, "{}", ran.err);
    assert!(!ran.err.contains("in epoch 4; 0 blocks of pass 1 "), "{}", ran.err);
    let found = ran.json();
    assert_eq!(found["store_epochs"], 4);
    agree(&found, &undisturbed);
    // Each pass has had each of its rows, those that the snapshot had not covered once more.
    let per_pass = number(&undisturbed, "rows") / PASSES;
    let passes = found["passes"].as_array().expect("a list");
    assert_eq!(passes.len() as u64, PASSES);
    for pass in passes {
        assert!(number(pass, "rows") >= per_pass, "{found}");
    }
    assert!(
        number(&found["gradients"], "applied") <= PASSES * blocks(folder.path(), "rows.cirrus"),
        "{found}"
    );
    // The workers have waited for the store.
    for worker in found["worker_processes"].as_array().expect("a list") {
        assert_eq!(worker["incarnation"], 1, "{worker}");
    }
    assert_eq!(names(folder.path()), ["rows.cirrus", "rows.libsvm", "rows.model"]);
}

#[test]
fn store_and_workers_may_die_together() {
    let folder = with_dataset(ROWS);
    let undisturbed = cirrus(folder.path(), &line(2)).json();
    let mut running = Running::start(folder.path(), &format!("{} --snapshot-interval 0.05", line(2)));
    running.until_says("pass 20/");
    for child in running.children() {
        child.kill();
    }
    running.until_says("in epoch 2");
    let found = running.end().ok().json();
    assert_eq!(found["store_epochs"], 2);
    agree(&found, &undisturbed);
}

#[test]
fn nobody_outlives_the_process_that_was_started() {
    let folder = with_dataset(2000);
    let mut running = Running::start(folder.path(), "train rows.cirrus --workers 3 --passes 1000000");
    running.until_says("pass 2/");
    let children = running.children();
    assert_eq!(children.len(), 4, "{children:?}");
    running.signal(Signal::KILL);
    until("the end of all", || children.iter().all(|child| !child.lives()).then_some(()));
    assert_eq!(running.end().code, None);
}

#[test]
fn what_a_killed_job_has_left_is_removed_by_the_next() {
    let folder = with_dataset(2000);
    let job_folders = || {
        let mut names = names(folder.path());
        names.retain(|name| name.starts_with(".cirrus-job-"));
        names
    };
    let endless = |model: &str| {
        let line =
            format!("train rows.cirrus --workers 1 --passes 1000000 --snapshot-interval 0.05 --out {model}");
        let mut running = Running::start(folder.path(), &line);
        running.until_says("pass 2/");
        running
    };
    let running = endless("a.model");
    let of_running = job_folders();
    let killed = endless("b.model");
    assert_eq!(job_folders().len(), 2, "both are running");
    let children = killed.children();
    killed.signal(Signal::KILL);
    until("the end of all", || children.iter().all(|child| !child.lives()).then_some(()));
    assert_eq!(killed.end().code, None);
    assert_eq!(job_folders().len(), 2, "nobody was left who could have removed it");
    until("the end of the folder", || {
        cirrus(folder.path(), "train rows.cirrus --quiet --workers 1 --passes 1").ok();
        (job_folders() == of_running).then_some(())
    });
    // Its own is where it was, and its snapshots go on.
    let snapshot = newest_snapshot(folder.path());
    until("a snapshot", || newest_snapshot(folder.path()).filter(|newest| snapshot.as_ref() < Some(newest)));
    running.signal(Signal::INT);
    running.end().fails(130, &["interrupted"]);
    assert_eq!(names(folder.path()), ["rows.cirrus", "rows.libsvm", "rows.model"]);
}

/// Connects to a port and says nonsense until the other end has had enough.
fn nonsense(port: u16, random: &mut Random) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let bytes: Vec<u8> = (0..4096).map(|_| random.below(256) as u8).collect();
    // It may be cut off before it has said all; an answer or an end, it must come.
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"", "nonsense was answered");
}

#[test]
fn strangers_on_the_ports_change_nothing() {
    let folder = with_dataset(ROWS);
    let model = || fs::read(folder.path().join("rows.model")).expect("there is a model");
    cirrus(folder.path(), &line(1)).ok();
    let undisturbed = model();
    let mut running = Running::start(folder.path(), &line(1));
    running.until_says("pass 2/");
    let store = until("the store's port", || running.store().ports().pop());
    let coordinator = until("the coordinator's port", || running.this().ports().pop());
    let mut random = Random(3);
    let mut half = Vec::new();
    for port in [store, coordinator] {
        for _ in 0..5 {
            nonsense(port, &mut random);
        }
        // One who says half a frame and stays.
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        let message = cirrus_protocol::store::StoreRequest::Stop.into_frame();
        let header = message.header(1024).expect("it is short");
        stream.write_all(&header[..20]).expect("the other end waits for more");
        half.push(stream);
    }
    let ran = running.end().ok();
    all_blocks_once(folder.path(), &ran.json());
    assert_eq!(ran.json()["store_epochs"], 1);
    assert!(!ran.err.contains("started again"), "{}", ran.err);
    assert!(model() == undisturbed, "the model is another one");
}

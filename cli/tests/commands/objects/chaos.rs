//! Training over storage that fails: every tenth request is lost, refused or cut, one answer of a hundred ends early.

use cirrus_runtime::object::testing::{Faults, Proxy};
use serde_json::Value;

use super::{bucket, cirrus_at, server};
use crate::run::folder;

const PASSES: u64 = 4;
/// Of the first 150 requests 22 fail, and the answers to three end early, the first of them to the twelfth.
const FAULTS: Faults =
    Faults { seed: 20, failing: 100, truncated: 10, delay: std::time::Duration::ZERO, answer: None };

fn held_out(found: &Value) -> f64 {
    found["held_out"]["log_loss"].as_f64().expect("there are test rows")
}

/// The flights that come with the program, in small blocks.
const LOAD: &str = "--label delayed --categorical day,weekday,hour,quarter,origin,destination,distance \
    --pairs origin:hour,destination:hour,origin:day,destination:day,day:hour,day:quarter --block-rows 1024";

#[test]
fn storage_that_fails_changes_no_bit_and_loses_no_block() {
    let server = server();
    let store = bucket(&server, "chaos");
    let folder = folder();
    let proxy = Proxy::start(server.port(), FAULTS).unwrap();
    let direct = |line: &str| cirrus_at(&server.endpoint(), folder.path(), line).ok();
    let through = |line: &str| cirrus_at(&proxy.endpoint(), folder.path(), line).ok();
    let flights = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/flights/flights-2001.csv.zst");
    std::fs::copy(flights, folder.path().join("flights.csv.zst")).unwrap();
    direct(&format!("load flights.csv.zst {LOAD} --out s3://chaos/flights"));
    let inspected = direct("inspect --json s3://chaos/flights").json();
    let blocks = inspected["train"]["blocks"].as_u64().expect("a dataset has blocks");
    let train =
        format!("train s3://chaos/flights --l2 0.03 --passes {PASSES} --snapshot-interval 0.2 --json");

    let calm = direct(&format!("{train} --workers 1 --out s3://chaos/calm.model")).json();
    through(&format!("{train} --workers 1 --out s3://chaos/one.model"));
    let io = cirrus_runtime::io::IoThread::start().unwrap();
    let model = |name: &str| io.block_on(store.get(name)).unwrap();
    assert!(model("calm.model") == model("one.model"), "the same bits as without faults");

    // In rounds, so that what four workers do to the loss is not what their races do.
    let four = format!("{train} --workers 4 --staleness sync --out s3://chaos/four.model");
    let four = through(&four).json();
    assert_eq!(four["gradients"]["applied"], blocks * PASSES, "every block is applied once: {four}");
    assert_eq!(four["store_epochs"], 1);
    let apart = (held_out(&four) - held_out(&calm)).abs();
    assert!(
        apart <= 0.002,
        "{} without faults, {} with four workers and faults",
        held_out(&calm),
        held_out(&four)
    );

    let passed = proxy.passed();
    assert!(passed.failed * 20 > passed.requests && passed.truncated > 0, "{passed:?}");
}

//! Training over storage that fails: every tenth request is lost, refused or cut, one answer of a hundred ends early.

use cirrus_runtime::object::testing::{Faults, Proxy};
use serde_json::Value;

use super::{bucket, cirrus_at, server};
use crate::run::{blocks, with_dataset};

const PASSES: u64 = 6;
/// Of the first 150 requests 22 fail, and the answers to three end early, the first of them to the twelfth.
const FAULTS: Faults =
    Faults { seed: 20, failing: 100, truncated: 10, delay: std::time::Duration::ZERO, answer: None };

fn held_out(found: &Value) -> f64 {
    found["held_out"]["log_loss"].as_f64().expect("there are test rows")
}

#[test]
fn storage_that_fails_changes_no_bit_and_loses_no_block() {
    let server = server();
    let store = bucket(&server, "chaos");
    let folder = with_dataset(12_000);
    let proxy = Proxy::start(server.port(), FAULTS).unwrap();
    let direct = |line: &str| cirrus_at(&server.endpoint(), folder.path(), line).ok();
    let through = |line: &str| cirrus_at(&proxy.endpoint(), folder.path(), line).ok();
    direct("load rows.libsvm --bits 10 --block-rows 512 --out s3://chaos/rows.cirrus");
    let options = format!("--passes {PASSES} --snapshot-interval 0.1 --json");

    let calm =
        direct(&format!("train s3://chaos/rows.cirrus --workers 1 {options} --out s3://chaos/calm.model"))
            .json();
    through(&format!("train s3://chaos/rows.cirrus --workers 1 {options} --out s3://chaos/one.model"));
    let io = cirrus_runtime::io::IoThread::start().unwrap();
    let model = |name: &str| io.block_on(store.get(name)).unwrap();
    assert!(model("calm.model") == model("one.model"), "the same bits as without faults");

    let four =
        through(&format!("train s3://chaos/rows.cirrus --workers 4 {options} --out s3://chaos/four.model"))
            .json();
    let to_do = blocks(folder.path(), "rows.cirrus") * PASSES;
    assert_eq!(four["gradients"]["applied"], to_do, "every block is applied once: {four}");
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

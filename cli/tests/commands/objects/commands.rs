//! Every command that takes a place takes one in a bucket.

use super::{bucket, cirrus_at, command_at, server};
use crate::run::{Ran, contents, folder, names, rows, write};

#[test]
fn a_dataset_a_model_and_probabilities_live_in_a_bucket() {
    let server = server();
    let store = bucket(&server, "desk");
    let folder = folder();
    let at = server.endpoint();
    let run = |line: &str| cirrus_at(&at, folder.path(), line).ok();
    write(folder.path(), "rows.libsvm", rows(4000, 1));
    let io = cirrus_runtime::io::IoThread::start().unwrap();
    let put = |name: &str| {
        io.block_on(store.put(name, std::fs::read(folder.path().join("rows.libsvm")).unwrap().into()))
    };
    put("raw/rows.libsvm").unwrap();

    run("load rows.libsvm --bits 10 --block-rows 256 --partition-bytes 20000");
    run("load s3://desk/raw/rows.libsvm --bits 10 --block-rows 256 --partition-bytes 20000");
    let again = cirrus_at(&at, folder.path(), "load s3://desk/raw/rows.libsvm --bits 10")
        .fails(1, &["s3://desk/raw/rows.cirrus/manifest.json"]);
    drop(again);
    for (name, bytes) in contents(&folder.path().join("rows.cirrus")) {
        let name = name.file_name().unwrap().to_str().unwrap();
        let found = io.block_on(store.get(&format!("raw/rows.cirrus/{name}"))).unwrap();
        // The manifest names its source.
        assert!(name == "manifest.json" || found == bytes, "{name}");
    }
    let inspected = run("inspect --json s3://desk/raw/rows.cirrus").json();
    assert_eq!(inspected["kind"], "dataset");
    let partition = "s3://desk/raw/rows.cirrus/g0-train-00000.cirrus";
    assert_eq!(run(&format!("inspect --json {partition}")).json()["kind"], "partition");

    run("train rows.cirrus --workers 1 --passes 2 --out local.model");
    run("train s3://desk/raw/rows.cirrus --workers 1 --passes 2 --snapshot-interval 0.05");
    let model = io.block_on(store.get("raw/rows.model")).unwrap();
    assert!(model == std::fs::read(folder.path().join("local.model")).unwrap(), "the same bits");
    let left = io.block_on(store.list("raw/")).unwrap();
    assert!(left.iter().all(|object| !object.key.contains(".job-")), "{left:?}");

    let local = run("evaluate local.model rows.cirrus --json").json();
    assert_eq!(run("evaluate s3://desk/raw/rows.model s3://desk/raw/rows.cirrus --json").json(), local);
    let here = run("predict local.model rows.libsvm").out;
    run("predict s3://desk/raw/rows.model s3://desk/raw/rows.libsvm --out s3://desk/out/probabilities");
    assert_eq!(io.block_on(store.get("out/probabilities")).unwrap(), here.as_bytes());
    assert_eq!(names(folder.path()), ["local.model", "rows.cirrus", "rows.libsvm"]);
}

#[test]
fn records_are_sorted_in_a_bucket() {
    let server = server();
    let store = bucket(&server, "sort");
    let folder = folder();
    let run = |line: &str| cirrus_at(&server.endpoint(), folder.path(), line);
    run("sort generate --records 200000 --out s3://sort/records").ok();
    run("sort run s3://sort/records --out s3://sort/sorted --workers 2").ok();
    run("sort validate s3://sort/sorted --against s3://sort/records").ok();
    run("sort run s3://sort/records --out s3://sort/by-store --workers 2 --exchange store").ok();
    run("sort validate s3://sort/by-store --against s3://sort/records").ok();
    run("sort run s3://sort/records --out s3://sort/sorted").fails(1, &["s3://sort/sorted"]);
    let io = cirrus_runtime::io::IoThread::start().unwrap();
    let left = io.block_on(store.list("")).unwrap();
    let ours = ["records/", "sorted/", "by-store/"];
    assert!(left.iter().all(|object| ours.iter().any(|folder| object.key.starts_with(folder))), "{left:?}");
    assert!(left.iter().all(|object| !object.key.ends_with("unfinished")), "{left:?}");
}

#[test]
fn without_credentials_a_command_says_where_they_come_from() {
    let server = server();
    let folder = folder();
    let mut command = command_at(&server.endpoint(), folder.path(), "inspect s3://desk/rows.model");
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("HOME", folder.path());
    let ran = Ran::of(&command.output().expect("cirrus starts"));
    ran.fails(
        1,
        &[
            "s3://desk/rows.model/manifest.json: there are no credentials",
            "AWS_ACCESS_KEY_ID",
            "aws configure",
        ],
    );
    let mut command = command_at(&server.endpoint(), folder.path(), "inspect s3://desk/rows.model");
    command.env("CIRRUS_S3_PATH_STYLE", "perhaps");
    Ran::of(&command.output().unwrap())
        .fails(1, &["CIRRUS_S3_PATH_STYLE is \"perhaps\"; expected true or false"]);
}

//! Datasets and models that are not what they were: whoever reads them says which file it is and what is wrong.

use std::fs;
use std::path::Path;

use crate::run::{Ran, cirrus, contents, names, with_dataset};

/// The partition files of a side.
fn partition(folder: &Path, side: &str) -> String {
    let names = names(&folder.join("rows.cirrus"));
    let found = names.iter().find(|name| name.contains(side));
    format!("rows.cirrus/{}", found.expect("every side has a partition"))
}

/// Changes the bytes of a file.
fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file is there");
    edit(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
}

/// What every command says that reads training rows.
fn all_that_read(folder: &Path) -> Vec<Ran> {
    let lines = [
        "train rows.cirrus --quiet --workers 0 --out new.model",
        "train rows.cirrus --quiet --workers 2 --out new.model",
        "evaluate rows.model rows.cirrus --train",
        "inspect rows.cirrus",
    ];
    lines.into_iter().map(|line| cirrus(folder, line)).collect()
}

/// A dataset and a model of it.
fn trained() -> tempfile::TempDir {
    let folder = with_dataset(4000);
    cirrus(folder.path(), "train rows.cirrus --quiet --workers 0 --passes 1").ok();
    folder
}

#[test]
fn a_truncated_partition_is_named() {
    let folder = trained();
    let name = partition(folder.path(), "train");
    let path = folder.path().join(&name);
    let whole = fs::read(&path).expect("the file is there");
    for length in [whole.len() - 1, whole.len() / 2, 63, 0] {
        fs::write(&path, &whole[..length]).expect("the file can be written");
        let before = contents(folder.path());
        for ran in all_that_read(folder.path()) {
            ran.fails(1, &[&name]);
        }
        cirrus(folder.path(), &format!("inspect {name}")).fails(1, &[&name]);
        assert_eq!(contents(folder.path()), before);
    }
    fs::remove_file(&path).expect("it is there");
    for ran in all_that_read(folder.path()) {
        ran.fails(1, &[&name, "not found"]);
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let folder = trained();
    let name = partition(folder.path(), "train");
    let path = folder.path().join(&name);
    let whole = fs::read(&path).expect("the file is there");
    // Magic, header, directory, first block, the middle, the last byte.
    for place in [0, 17, 70, 2000, whole.len() / 2, whole.len() - 1] {
        change(&path, |bytes| bytes[place] ^= 4);
        for ran in all_that_read(folder.path()) {
            ran.fails(1, &[&name]);
        }
        cirrus(folder.path(), &format!("inspect {name}")).fails(1, &[&name]);
        fs::write(&path, &whole).expect("the file can be written");
    }
    // The test rows are another file's.
    let test = partition(folder.path(), "test");
    change(&folder.path().join(&test), |bytes| bytes[2000] ^= 4);
    cirrus(folder.path(), "evaluate rows.model rows.cirrus").fails(1, &[&test, "damaged"]);
    cirrus(folder.path(), "predict rows.model rows.cirrus --out new.txt").fails(1, &[&test, "damaged"]);
    cirrus(folder.path(), "evaluate rows.model rows.cirrus --train").ok();
    assert!(!folder.path().join("new.txt").exists());
}

#[test]
fn a_partition_of_another_dataset_is_refused() {
    let folder = trained();
    let (train, test) = (partition(folder.path(), "train"), partition(folder.path(), "test"));
    fs::copy(folder.path().join(test), folder.path().join(&train)).expect("files can be copied");
    for ran in all_that_read(folder.path()) {
        ran.fails(1, &[&train]);
    }
}

#[test]
fn a_manifest_of_another_version_says_both_versions() {
    let folder = trained();
    let path = folder.path().join("rows.cirrus/manifest.json");
    let text = fs::read_to_string(&path).expect("the manifest is text");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("the manifest is JSON");
    manifest["format_version"] = 99.into();
    fs::write(&path, manifest.to_string()).expect("the file can be written");
    let words = &["rows.cirrus/manifest.json", "version 99", "version 1"];
    for ran in all_that_read(folder.path()) {
        ran.fails(1, words);
    }
    cirrus(folder.path(), "predict rows.model rows.cirrus").fails(1, words);
    cirrus(folder.path(), "inspect rows.cirrus/manifest.json").fails(1, words);
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    let folder = trained();
    let path = folder.path().join("rows.cirrus/manifest.json");
    let whole = fs::read(&path).expect("the manifest is there");
    for garbage in
        [&b""[..], b"garbage", b"{\"format_version\": 1}", b"\xff\xfe\x00", &whole[..whole.len() / 2]]
    {
        fs::write(&path, garbage).expect("the file can be written");
        for ran in all_that_read(folder.path()) {
            ran.fails(1, &["rows.cirrus/manifest.json"]);
        }
    }
    fs::remove_file(&path).expect("it is there");
    for ran in all_that_read(folder.path()) {
        ran.fails(1, &["rows.cirrus/manifest.json", "not found", "`cirrus load`"]);
    }
}

#[test]
fn a_model_that_is_none_is_refused() {
    let folder = trained();
    let path = folder.path().join("rows.model");
    let whole = fs::read(&path).expect("the model is there");
    let refused = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).expect("the file can be written");
        let lines =
            ["evaluate rows.model rows.cirrus", "predict rows.model rows.libsvm", "inspect rows.model"];
        for line in lines {
            cirrus(folder.path(), line).fails(1, &[&["rows.model"], words].concat());
        }
    };
    let changed = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        bytes
    };
    // The version is the two bytes behind the magic.
    refused(&changed(8, 9), &["version 9", "version 1"]);
    refused(&changed(whole.len() / 2, whole[whole.len() / 2] ^ 1), &["damaged"]);
    refused(&changed(0, b'X'), &[]);
    for length in [whole.len() - 1, whole.len() / 2, 23, 0] {
        refused(&whole[..length], &[]);
    }
    let dataset = fs::read(folder.path().join(partition(folder.path(), "test"))).expect("it is there");
    fs::write(&path, dataset).expect("the file can be written");
    cirrus(folder.path(), "evaluate rows.model rows.cirrus").fails(1, &["rows.model", "not a model"]);
}

#[test]
fn inspect_gives_bytes_a_nonzero_beside_the_bound() {
    let folder = trained();
    for place in ["rows.cirrus".to_owned(), partition(folder.path(), "train")] {
        let found = cirrus(folder.path(), &format!("inspect --json {place}")).json();
        let sizes = if found["kind"] == "dataset" { &found["train"] } else { &found };
        let number = |name: &str| sizes[name].as_f64().unwrap_or_else(|| panic!("no {name}: {found}"));
        assert!((number("bytes") / number("nonzeros") - number("bytes_per_nonzero")).abs() < 1e-9, "{found}");
        assert!(number("bound_bytes_per_nonzero") > 0.1, "{found}");
    }
    let found = cirrus(folder.path(), "inspect --json rows.model").json();
    assert_eq!((&found["kind"], &found["hash_bits"]), (&"model".into(), &10.into()));
}

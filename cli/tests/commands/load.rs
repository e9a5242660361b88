//! `cirrus load`: what is no row is said with its place, and a load that fails leaves nothing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::run::{Ran, cirrus, contents, folder, names, rows, write};

/// Loads a text that cannot be loaded: the error has all of `words` in it, and nothing new is in the folder.
#[track_caller]
fn refuses(name: &str, text: impl AsRef<[u8]>, options: &str, code: i32, words: &[&str]) {
    let folder = folder();
    write(folder.path(), name, text);
    cirrus(folder.path(), &format!("load {name} --out new {options}")).fails(code, words);
    assert_eq!(names(folder.path()), [name], "{options}");
}

#[test]
fn a_malformed_line_is_named_with_its_place() {
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        ("a.libsvm", "1 1:1\n0 2:x\n", "", &["a.libsvm:2:5:", "expected a finite number", "`x`"]),
        ("a.libsvm", "1 1:1\n0 2\n", "", &["a.libsvm:2:", "expected", "`2`"]),
        ("a.libsvm", "1 1:1\n\n0 7:1 3:1 x:1\n", "", &["a.libsvm:3:11:", "expected index:value", "`x:1`"]),
        ("a.csv", "label,a,b\n1,2,3\n0,x\n", "", &["a.csv:3:", "expected 3 fields", "2 fields"]),
        ("a.csv", "label,a\n1,2\n0,x\n", "--numeric a", &["a.csv:3:3:", "numeric column `a`", "`x`"]),
        ("a.csv", "label,a\n1,2\n1,\"x\n", "", &["a.csv:3:3:", "expected a closing quotation mark"]),
        ("a.csv", "label,a\n1,2\n1,x\"y\n", "", &["a.csv:3:", "no quotation mark inside a field"]),
    ];
    for (name, text, options, words) in cases {
        refuses(name, text, options, 1, words);
    }
}

#[test]
fn a_label_is_one_of_two() {
    let words = &["a.libsvm:2:1:", "0 or 1 (or -1 or 1)", "`2`"];
    refuses("a.libsvm", "1 1:1\n2 2:1\n", "", 1, words);
    refuses("a.csv", "a,label\n5,1\n6,yes\n", "", 1, &["a.csv:3:3:", "0 or 1 (or -1 or 1)", "`yes`"]);
    let words = &["labels 0 (a.libsvm:3)", "-1 (a.libsvm:2)"];
    refuses("a.libsvm", "1 1:1\n-1 2:1\n0 3:1\n", "", 1, words);
}

#[test]
fn indices_go_from_1_to_the_number_of_features() {
    refuses("a.libsvm", "1 1:1\n0 0:1\n", "--bits 4", 1, &["a.libsvm:2:3:", "1-based", "`0`"]);
    refuses("a.libsvm", "1 1:1\n0 17:1\n", "--bits 4", 1, &["a.libsvm:2:3:", "2^4 = 16", "`17`"]);
    let folder = folder();
    write(folder.path(), "a.libsvm", "1 1:1\n0 16:1\n");
    cirrus(folder.path(), "load a.libsvm --bits 4 --test-percent 0").ok();
    let found = cirrus(folder.path(), "inspect --json a.cirrus").json();
    assert_eq!((&found["train"]["rows"], &found["train"]["nonzeros"]), (&2.into(), &2.into()));
}

#[test]
fn values_are_finite() {
    for value in ["nan", "NaN", "inf", "-inf", "1e39"] {
        let words = &["a.libsvm:1:5:", "expected a finite number", value];
        refuses("a.libsvm", format!("1 3:{value}\n"), "", 1, words);
        let words = &["a.csv:2:3:", "expected a finite number", value];
        refuses("a.csv", format!("label,a\n1,{value}\n"), "--numeric a", 1, words);
    }
}

#[test]
fn there_must_be_rows() {
    refuses("a.libsvm", "", "", 1, &["a.libsvm", "the file is empty"]);
    refuses("a.csv", "", "", 1, &["a.csv", "the file is empty"]);
    refuses("a.csv", "label,a,b\n", "", 1, &["a.csv", "no training rows"]);
    refuses("a.libsvm", "x\ny\n", "--on-error skip", 1, &["no training rows in 2 lines", "2 malformed"]);
    let folder = folder();
    cirrus(folder.path(), "load missing.libsvm").fails(1, &["missing.libsvm", "No such file"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_missing_column_is_named_beside_those_that_are_there() {
    let text = "y,a,b\n1,2,3\n0,4,5\n";
    let there = "the columns are `y`, `a`, `b`";
    refuses("a.csv", text, "", 1, &["no column `label`", there]);
    refuses("a.csv", text, "--label y --numeric zz", 1, &["no column `zz`", "numeric", there]);
    refuses("a.csv", text, "--label y --pairs a:zz", 1, &["no column `zz`", "pair", there]);
    refuses("a.csv", text, "--label y --numeric a --categorical a", 1, &["`a` is named twice"]);
}

#[test]
fn skipped_lines_are_counted_and_shown() {
    let folder = folder();
    write(folder.path(), "a.libsvm", "1 1:1\n0 2:x\n0 3:1\nhello\n1 4:1\n");
    let ran = cirrus(folder.path(), "load a.libsvm --on-error skip --test-percent 0").ok();
    assert!(ran.out.contains("3 training rows") && ran.out.contains("2 malformed lines skipped"), "{ran:?}");
    assert!(
        ran.err.contains("skipped: a.libsvm:2:5:") && ran.err.contains("skipped: a.libsvm:4:"),
        "{ran:?}"
    );
    let line = "load a.libsvm --on-error skip --test-percent 0 --overwrite --json";
    let found = cirrus(folder.path(), line).json();
    assert_eq!(found["skipped_lines"], 2);
    assert_eq!(found["train"]["rows"], 3);
    assert_eq!(found["skipped"].as_array().map(Vec::len), Some(2));
}

#[test]
fn compressed_text_that_ends_too_early_is_no_text() {
    let text = rows(4000, 1);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory can be written");
    let gzip = gzip.finish().expect("memory can be written");
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flights/flights-2001.csv.zst");
    let zstd = fs::read(flights).expect("the flights are in the checkout");
    for part in [3, 2] {
        let (gzip, zstd) = (&gzip[..gzip.len() * (part - 1) / part], &zstd[..zstd.len() * (part - 1) / part]);
        refuses("a.libsvm.gz", gzip, "", 1, &["a.libsvm.gz", "the gzip data ends in the middle"]);
        let words = &["a.csv.zst", "the zstd data ends in the middle"];
        refuses("a.csv.zst", zstd, "--label delayed", 1, words);
    }
    let mut damaged = gzip.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    refuses("a.libsvm.gz", damaged, "", 1, &["a.libsvm.gz"]);
    let folder = folder();
    write(folder.path(), "a.libsvm.gz", &gzip);
    let ran = cirrus(folder.path(), "load a.libsvm.gz --test-percent 0").ok();
    assert!(ran.out.contains("4,000 training rows"), "{ran:?}");
}

#[test]
fn a_dataset_is_replaced_only_when_asked_and_only_by_a_whole_one() {
    let folder = folder();
    let (good, bad) = (rows(2000, 1), "1 1:1\nnonsense\n");
    write(folder.path(), "a.libsvm", &good);
    cirrus(folder.path(), "load a.libsvm --out data").ok();
    let before = contents(&folder.path().join("data"));
    let unchanged = || assert_eq!(contents(&folder.path().join("data")), before);

    cirrus(folder.path(), "load a.libsvm --out data").fails(1, &["data/manifest.json", "exists already"]);
    unchanged();
    write(folder.path(), "a.libsvm", good + bad);
    cirrus(folder.path(), "load a.libsvm --out data --overwrite").fails(1, &["a.libsvm:2002:1:"]);
    unchanged();
    write(folder.path(), "a.libsvm", "1 1:1\n0 2:1\n");
    cirrus(folder.path(), "load a.libsvm --out data --overwrite --test-percent 0").ok();
    let found = cirrus(folder.path(), "inspect data --json").json();
    assert_eq!((&found["train"]["rows"], &found["test"]["rows"]), (&2.into(), &0.into()));
    assert_eq!(names(&folder.path().join("data")).len(), 2, "nothing of the first dataset is left");
}

#[test]
fn options_that_are_unknown_or_change_nothing_are_refused_by_name() {
    let text = "1 1:1\n0 2:1\n";
    for (options, name) in [
        ("--bogus", "--bogus"),
        ("--label x", "--label"),
        ("--categorical x", "--categorical"),
        ("--numeric x", "--numeric"),
        ("--ignore x", "--ignore"),
        ("--pairs x:y", "--pairs"),
        ("--pairs x", "--pairs"),
        ("--delimiter ;", "--delimiter"),
        ("--no-header", "--no-header"),
        ("--test a.libsvm --test-percent 3", "--test-percent"),
        ("--test a.libsvm --split-seed 3", "--split-seed"),
        ("--bits 0", "--bits is 0, expected 1 to 30"),
        ("--bits 31", "--bits is 31, expected 1 to 30"),
        ("--test-percent 100", "--test-percent is 100, expected 0 to 99"),
        ("--block-rows 0", "--block-rows is 0"),
        ("--partition-bytes 0", "--partition-bytes is 0"),
        ("--format xml", "--format is `xml`, expected `libsvm`, `csv`"),
        ("--threads 0", "--threads"),
    ] {
        refuses("a.libsvm", text, options, 2, &[name, "--help"]);
    }
}

/// Runs `cirrus` where no file may have more than so many blocks of 512 bytes: a disk that is full, as far as a program
/// can see.
fn with_little_room(folder: &Path, blocks: u32, line: &str) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {line}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_cirrus")]).current_dir(folder);
    Ran::of(&shell.output().expect("there is a shell"))
}

#[test]
fn a_disk_without_room_ends_a_command_and_leaves_nothing() {
    let folder = folder();
    write(folder.path(), "a.libsvm", rows(20_000, 1));
    with_little_room(folder.path(), 16, "load a.libsvm").fails(1, &["a.cirrus/g0-train-00000", "too large"]);
    assert_eq!(names(folder.path()), ["a.libsvm"]);

    cirrus(folder.path(), "load a.libsvm --bits 10").ok();
    cirrus(folder.path(), "train a.cirrus --quiet --workers 0 --passes 1").ok();
    let before = contents(folder.path());
    for (line, file) in [
        ("load a.libsvm --overwrite", "a.cirrus/g1-train-00000"),
        ("train a.cirrus --quiet --workers 0 --out new.model", "new.model"),
        ("train a.cirrus --quiet --workers 1", "a.model"),
        ("predict a.model a.cirrus --out new.txt", "probabilities"),
    ] {
        with_little_room(folder.path(), 1, line).fails(1, &[file, "too large"]);
        assert_eq!(contents(folder.path()), before, "{line}");
    }
}

#[test]
fn a_load_removes_what_a_killed_one_has_left_half_written() {
    let folder = folder();
    write(folder.path(), "a.libsvm", rows(2000, 1));
    let data = folder.path().join("a.cirrus");
    fs::create_dir(&data).expect("there is room for a folder");
    let left = [".g0-train-00000.cirrus.1-0.partial", ".manifest.json.4000000000-2.partial"];
    for name in left {
        write(&data, name, "half");
    }
    // A load that runs holds its file locked; others are not a load's.
    let held = ".g0-test-00000.cirrus.1-1.partial";
    let strangers = [".a.partial", ".gitignore"];
    for name in strangers.into_iter().chain([held]) {
        write(&data, name, "all");
    }
    let running = fs::File::open(data.join(held)).expect("it was written");
    running.lock().expect("files can be locked here");
    let dataset = ["g0-test-00000.cirrus", "g0-train-00000.cirrus", "manifest.json"];
    cirrus(folder.path(), "load a.libsvm --test-percent 10").ok();
    assert_eq!(names(&data), [&strangers[..1], &[held], &strangers[1..], &dataset].concat());
    drop(running);

    let before = contents(folder.path());
    cirrus(folder.path(), "load a.libsvm").fails(1, &["exists already"]);
    assert_eq!(contents(folder.path()), before, "a load that is refused removes nothing");
    cirrus(folder.path(), "load a.libsvm --overwrite").ok();
    assert!(!data.join(held).exists());
    assert!(strangers.iter().all(|name| data.join(name).is_file()));
}

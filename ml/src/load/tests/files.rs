//! Files as a whole: compression, recognition, splitting, skipping, order, progress, rows to predict.

use std::io::Write;

use cirrus_protocol::checksum::crc32c;
use cirrus_protocol::manifest::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Distinct rows, `count` of them.
fn lines(count: usize) -> Vec<String> {
    (0..count).map(|row| format!("{} {}:1 {}:0.25", row % 2, row + 1, row + 5000)).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    // With a checksum, as the zstd command writes it.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_text_is_read_to_its_end() {
    let text = lines(3000).join("\n");
    let (first, second) = text.as_bytes().split_at(text.len() / 3);
    let place = Place::new();
    place.load("rows.libsvm", &text, &no_split()).unwrap();
    let expected = place.rows(Side::Train);
    for (name, bytes, compression) in [
        ("rows.libsvm.gz", gzip(text.as_bytes()), Compression::Gzip),
        ("rows.libsvm.gz", [gzip(first), gzip(b""), gzip(second)].concat(), Compression::Gzip),
        ("rows.libsvm.zst", zstd(text.as_bytes()), Compression::Zstd),
        ("rows.libsvm.zst", [zstd(first), zstd(second)].concat(), Compression::Zstd),
        // The name does not matter.
        ("rows.libsvm", zstd(text.as_bytes()), Compression::Zstd),
        ("rows.svm.gz", text.clone().into_bytes(), Compression::Plain),
    ] {
        let place = Place::new();
        let report = place.load(name, &bytes, &no_split()).unwrap();
        assert_eq!(place.rows(Side::Train), expected, "{name}");
        let source = report.manifest.source;
        assert_eq!((source.compression, source.path.as_str()), (compression, name));
        assert_eq!((source.bytes, source.crc32c), (bytes.len() as u64, crc32c(&bytes)));
        assert_eq!(report.text_bytes, text.len() as u64);
    }
}

#[test]
fn truncated_and_damaged_compressed_text_is_refused() {
    let text = lines(20_000).join("\n");
    for (compression, bytes) in [("gzip", gzip(text.as_bytes())), ("zstd", zstd(text.as_bytes()))] {
        for length in [5, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
            let message = refused("rows.libsvm", &bytes[..length], &no_split());
            let expected = format!("rows.libsvm: the {compression} data ends in the middle");
            assert!(message.starts_with(&expected), "{length} of {}: {message}", bytes.len());
        }
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 0x55;
        let message = refused("rows.libsvm", &damaged, &no_split());
        // Damaged data may also end early.
        assert!(message.starts_with(&format!("rows.libsvm: the {compression} data")), "{message}");
    }
    let garbage = [gzip(b"1 1:1\n"), b"something else behind it".to_vec()].concat();
    let message = refused("rows.libsvm", garbage, &no_split());
    assert!(message.starts_with("rows.libsvm: the gzip data is damaged"), "{message}");
}

#[test]
fn inputs_without_rows_are_refused() {
    for (name, text, expected) in [
        ("a.csv", "", "a.csv: the file is empty"),
        ("a.csv", "\u{feff}", "a.csv: the file is empty"),
        ("a.csv", "label,a\n", "a.csv: no training rows in 1 lines (0 malformed lines skipped)"),
        ("a.csv", "label,a", "a.csv: no training rows in 1 lines (0 malformed lines skipped)"),
        ("a.libsvm", "\n# nothing\n", "a.libsvm: no training rows in 2 lines (0 malformed lines skipped)"),
    ] {
        assert_eq!(refused(name, text, &no_split()), expected);
    }
    assert_eq!(refused("a.csv", gzip(b""), &no_split()), "a.csv: the file is empty");
    let skip = LoadOptions { on_error: OnError::Skip, ..no_split() };
    let message = refused("a.libsvm", "x 1:1\ny\n", &skip);
    assert!(
        message.contains("no training rows in 2 lines (2 malformed lines skipped); the first: a.libsvm:1:1:")
    );
}

#[test]
fn inputs_that_cannot_be_read_are_refused() {
    let place = Place::new();
    let missing = place.folder.path().join("missing.csv").display().to_string();
    assert!(matches!(Input::open(&missing, &place.io), Err(LoadError::Read { .. })));
    let folder = place.folder.path().display().to_string();
    assert!(matches!(Input::open(&folder, &place.io), Err(LoadError::Read { .. })));
    let options = LoadOptions { test: TestSplit::File(missing), ..LoadOptions::default() };
    let message = refused("a.libsvm", "1 1:1\n", &options);
    assert!(message.contains("missing.csv: cannot be read:"), "{message}");
}

#[test]
fn formats_are_recognised_by_name_then_by_content() {
    let format = |name: &str, text: &str| {
        let place = Place::with_threads(1);
        place.load(name, text, &no_split()).map(|report| report.manifest.schema)
    };
    for (name, text, libsvm) in [
        ("rows.svm", "1\n", true),
        ("rows.svmlight.zstd", "1\n", true),
        ("ROWS.LIBSVM.GZ", "1\n", true),
        ("rows.csv", "label,a\n1,x\n", false),
        ("rows.tsv.zst", "label\ta\n1\tx\n", false),
        ("rows.txt", "# comment\n\n-1 3:1 4:1\n", true),
        ("rows", "label,a\n1,3:4\n", false),
    ] {
        let schema = format(name, text).unwrap();
        assert_eq!(matches!(schema, Schema::Libsvm), libsvm, "{name} {schema:?}");
    }
    let message = format("rows.txt", "what is this\n").unwrap_err().to_string();
    assert_eq!(message, "rows.txt: the format is not recognised; name it (known: `libsvm`, `csv`)");
    let options = LoadOptions { format: Some("parquet".into()), ..no_split() };
    let message = refused("rows.txt", "1 1:1\n", &options);
    assert_eq!(message, "`format` is `parquet`, expected `libsvm`, `csv`");
}

#[test]
fn options_out_of_range_are_refused() {
    type Set = fn(&mut LoadOptions);
    let cases: [(&str, Set); 8] = [
        ("`hash_bits` is 0, expected 1 to 30", |options| options.hash_bits = 0),
        ("`hash_bits` is 31, expected 1 to 30", |options| options.hash_bits = 31),
        ("`block_rows` is 0, expected 1 to 65536", |options| options.block_rows = 0),
        ("`block_rows` is 65537, expected 1 to 65536", |options| options.block_rows = 65_537),
        ("`partition_bytes` is 0, expected 1 to", |options| options.partition_bytes = 0),
        ("`partition_bytes` is 18446744073709551615, expected", |options| options.partition_bytes = u64::MAX),
        ("`test percent` is 100, expected 0 to 99", |options| {
            options.test = TestSplit::RowHash { percent: 100, seed: 0 };
        }),
        ("`test percent` is 255, expected 0 to 99", |options| {
            options.test = TestSplit::RowHash { percent: 255, seed: 0 };
        }),
    ];
    for (expected, set) in cases {
        let mut options = no_split();
        set(&mut options);
        let message = refused("rows.libsvm", "1 1:1\n", &options);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn the_split_goes_by_content_not_by_position() {
    let mut lines = lines(5000);
    let options =
        |percent, seed| LoadOptions { test: TestSplit::RowHash { percent, seed }, ..LoadOptions::default() };
    let sides = |lines: &[String], options: &LoadOptions| {
        let place = Place::new();
        let report = place.load("rows.libsvm", lines.join("\n"), options).unwrap();
        let sides = [Side::Train, Side::Test].map(|side| place.rows(side));
        assert_eq!(
            [report.manifest.train.rows, report.manifest.test.rows],
            [0, 1].map(|i| sides[i].len() as u64)
        );
        sides
    };
    let sorted = |mut rows: Vec<Row>| {
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows
    };
    let [train, test] = sides(&lines, &options(10, 0));
    assert_eq!(train.len() + test.len(), lines.len());
    // The standard deviation of the count is 21.
    assert!(test.len().abs_diff(500) < 100, "{}", test.len());
    lines.reverse();
    let [_, reversed] = sides(&lines, &options(10, 0));
    assert_eq!(sorted(reversed), sorted(test.clone()));
    // Windows line ends are not part of the line, and equal lines stay together.
    let doubled: Vec<String> = lines.iter().flat_map(|line| [format!("{line}\r"), line.clone()]).collect();
    let [_, twice] = sides(&doubled, &options(10, 0));
    assert_eq!(sorted(twice), sorted([test.clone(), test.clone()].concat()));
    let [_, other] = sides(&lines, &options(10, 1));
    assert_ne!(sorted(other), sorted(test));
    let [_, none] = sides(&lines, &options(0, 0));
    assert_eq!(none, []);
}

#[test]
fn a_test_file_gives_all_test_rows_and_nothing_else_does() {
    let place = Place::new();
    let (train, test) = (lines(500).join("\n"), lines(700)[500..].join("\n"));
    let path = place.file("test.libsvm.zst", zstd(test.as_bytes()));
    let options = LoadOptions { test: TestSplit::File(path.clone()), ..LoadOptions::default() };
    let report = place.load("train.libsvm", &train, &options).unwrap();
    let keys = |side| place.rows(side).iter().map(|row| row.1[0].0).collect::<Vec<_>>();
    assert_eq!(keys(Side::Train), (0..500).collect::<Vec<_>>());
    assert_eq!(keys(Side::Test), (500..700).collect::<Vec<_>>());
    let source = report.manifest.test_source.unwrap();
    assert_eq!((source.rows, source.path), (200, path));
    assert_eq!(report.manifest.source.rows, 500);
}

#[test]
fn test_files_that_prove_nothing_are_refused() {
    let place = Place::new();
    let text = lines(50).join("\n");
    let options = |path: String| LoadOptions { test: TestSplit::File(path), ..LoadOptions::default() };
    let same = place.file("same.libsvm", &text);
    let message = refused("train.libsvm", &text, &options(same));
    assert!(message.contains("are the same rows"), "{message}");
    let none = place.file("none.libsvm", "# nothing\n");
    let message = refused("train.libsvm", &text, &options(none));
    assert!(message.contains("none.libsvm: no test rows in 1 lines"), "{message}");
    let mixed = place.file("mixed.libsvm", "-1 1:1\n");
    let message = refused("train.libsvm", &text, &options(mixed));
    assert!(message.starts_with("labels 0 (train.libsvm:1) and -1 ("), "{message}");
    let other = place.file("other.csv", "label,b\n1,x\n");
    let message = refused("train.csv", "label,a\n1,x\n", &options(other));
    assert!(message.contains("other.csv: no column `a` (named as categorical)"), "{message}");
}

#[test]
fn malformed_lines_are_skipped_counted_and_described() {
    let place = Place::new();
    let mut text = String::new();
    for row in 1..=100 {
        text.push_str(&if row % 5 == 0 {
            format!("1 x{row}\n")
        } else {
            format!("1 {row}:1 {}:1\n", row + 1000)
        });
    }
    let options = LoadOptions { on_error: OnError::Skip, ..no_split() };
    let report = place.load("rows.libsvm", &text, &options).unwrap();
    let source = report.manifest.source;
    assert_eq!((source.rows, source.skipped), (80, 20));
    let described: Vec<_> = report.skipped.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(described, (1..=10).map(|n| (5 * n, 3)).collect::<Vec<_>>());
    let keys: Vec<u32> = place.rows(Side::Train).iter().map(|row| row.1[0].0 + 1).collect();
    assert_eq!(keys, (1..=100).filter(|row| row % 5 != 0).collect::<Vec<_>>());
}

#[test]
fn a_fault_far_down_has_its_own_line_number() {
    let mut lines = lines(20_000);
    lines[17_654] = "1 7".into();
    let mut place = Place::new();
    place.chunk_bytes = 10_000;
    let error = place.load("rows.libsvm", lines.join("\n"), &no_split()).unwrap_err();
    assert!(error.to_string().starts_with("rows.libsvm:17655:3: "), "{error}");
    assert_eq!(place.objects(), BTreeMap::new());
}

#[test]
fn a_record_without_end_is_refused_before_memory_runs_out() {
    let text = ["label,a\n1,x\n1,\"", &"y".repeat(source::RECORD_BYTES + 1)].concat();
    let message = refused("a.csv", text, &no_split());
    assert!(message.starts_with("a.csv:3: no end of the record within 16777216 bytes"), "{message}");
}

#[test]
fn the_output_is_the_same_for_any_number_of_threads() {
    let mut csv = String::from("label,a,b,n\n");
    for row in 0..6000 {
        csv.push_str(&format!("{},{},\"{}\",{}\n", row % 2, row % 17, row % 311, row * row % 1009));
    }
    let libsvm = lines(6000).join("\n");
    let mut options = LoadOptions { block_rows: 100, partition_bytes: 5000, ..LoadOptions::default() };
    for (name, text) in [("rows.csv", &csv), ("rows.libsvm", &libsvm)] {
        if name == "rows.csv" {
            options.columns.numeric = vec!["n".into()];
            options.columns.pairs = vec![["a".into(), "b".into()]];
        } else {
            options.columns = ColumnOptions::default();
        }
        let mut outputs = (1..=4).map(|threads| {
            let mut place = Place::with_threads(threads);
            place.chunk_bytes = 5000;
            place.load(name, text, &options).unwrap();
            place.objects()
        });
        let first = outputs.next().unwrap();
        assert!(first.len() > 5, "{name}: only {} files", first.len());
        assert!(outputs.all(|output| output == first), "{name}");
    }
}

#[test]
fn rows_keep_their_order_in_blocks_of_the_wanted_size() {
    let mut place = Place::new();
    place.chunk_bytes = 700;
    let options = LoadOptions { block_rows: 64, partition_bytes: 1, ..no_split() };
    let report = place.load("rows.libsvm", lines(1000).join("\n"), &options).unwrap();
    let blocks = place.blocks(Side::Train);
    let sizes: Vec<usize> = blocks.iter().map(Vec::len).collect();
    assert_eq!(sizes, [vec![64; 15], vec![40]].concat());
    let keys: Vec<u32> = blocks.concat().iter().map(|row| row.1[0].0).collect();
    assert_eq!(keys, (0..1000).collect::<Vec<_>>());
    // One block fills a partition of a byte.
    let train = &report.manifest.train;
    assert_eq!((train.partitions.len(), train.rows, train.nonzeros, train.positives), (16, 1000, 2000, 500));
}

#[test]
fn progress_rises_to_the_end() {
    let mut place = Place::new();
    place.chunk_bytes = 5000;
    let text = lines(3000).join("\n");
    let test = place.file("test.libsvm", lines(3100)[3000..].join("\n"));
    let total = text.len() as u64 + std::fs::metadata(&test).unwrap().len();
    let options = LoadOptions { test: TestSplit::File(test), ..LoadOptions::default() };
    let mut seen = Vec::new();
    place.load_watched("rows.libsvm", &text, &options, &mut |progress| seen.push(progress)).unwrap();
    assert!(seen.len() > 10, "{}", seen.len());
    assert!(seen.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes && pair[0].rows < pair[1].rows));
    let end = Progress { bytes: total, bytes_total: Some(total), rows: 3100, skipped: 0 };
    assert_eq!(seen.last(), Some(&end));
}

/// A label, if there is one, and the features.
type Raw = (Option<f32>, Vec<(u32, f32)>);

fn raw_rows(schema: &Schema, text: &str) -> Result<Vec<Raw>, LoadError> {
    let mut rows = RawRows::open(input("predict", text)?, schema, 20)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next_row()? {
        let mut features = row.features.to_vec();
        features.sort_by_key(|feature| feature.0);
        all.push((row.label, features));
    }
    Ok(all)
}

#[test]
fn rows_to_predict_have_the_features_of_loaded_rows() {
    let text = "label,a,b,n\n1,x,\"y,z\",5\n0,,q,\n";
    let place = Place::new();
    let mut options = no_split();
    options.columns.numeric = vec!["n".into()];
    options.columns.pairs = vec![["a".into(), "b".into()]];
    let schema = place.load("rows.csv", text, &options).unwrap().manifest.schema;
    let loaded = place.rows(Side::Train);
    let labelled: Vec<_> = loaded.iter().map(|(label, features)| (Some(*label), features.clone())).collect();
    let bare: Vec<_> = loaded.iter().map(|(_, features)| (None, features.clone())).collect();
    assert_eq!(raw_rows(&schema, text).unwrap(), labelled);
    // Another order, another column, no label.
    assert_eq!(raw_rows(&schema, "n,more,b,a\n5,?,\"y,z\",x\n\n,?,q,\n").unwrap(), bare);
    assert_eq!(raw_rows(&schema, "label,a,b,n\n,x,\"y,z\",5\n,,q,\n").unwrap(), bare);
    let missing = raw_rows(&schema, "label,a,n\n1,x,5\n").unwrap_err().to_string();
    assert!(missing.starts_with("predict: no column `b`"), "{missing}");
}

#[test]
fn rows_to_predict_may_have_no_label() {
    let rows = raw_rows(&Schema::Libsvm, "3:1 1:2\n1 4:1\n-1 5:1\n0 6:0\n\n7:1 # end").unwrap();
    let expected = [
        (None, vec![(0, 2.0), (2, 1.0)]),
        (Some(1.0), vec![(3, 1.0)]),
        (Some(0.0), vec![(4, 1.0)]),
        (Some(0.0), vec![]),
        (None, vec![(6, 1.0)]),
    ];
    assert_eq!(rows, expected);
    let twice = raw_rows(&Schema::Libsvm, "3:1 4:1 3:1\n").unwrap_err().to_string();
    assert!(twice.starts_with("predict:1:9: expected each index once"), "{twice}");
}

#[test]
fn a_malformed_row_to_predict_ends_the_rows_before_it() {
    let mut rows =
        RawRows::open(input("predict", "1 1:1\n1 2:1\n1 x\n1 3:1\n").unwrap(), &Schema::Libsvm, 20).unwrap();
    assert!(rows.next_row().unwrap().is_some());
    assert!(rows.next_row().unwrap().is_some());
    let error = rows.next_row().unwrap_err().to_string();
    assert!(error.starts_with("predict:3:3: "), "{error}");
    assert_eq!(rows.next_row().unwrap(), None);
}

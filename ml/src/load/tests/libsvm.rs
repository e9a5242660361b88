//! LIBSVM: what its lines mean, and every way in which they can be wrong.

use super::*;
use proptest::prelude::*;

fn rows(text: &str) -> Vec<Row> {
    let place = Place::with_threads(1);
    place.load("rows.libsvm", text, &no_split()).unwrap();
    place.rows(Side::Train)
}

#[test]
fn indices_are_one_based_and_kept() {
    let text = "1 1:1 5:1 1048576:1\n0 2:1\n";
    assert_eq!(rows(text), [(1.0, vec![(0, 1.0), (4, 1.0), (1_048_575, 1.0)]), (0.0, vec![(1, 1.0)])]);
}

#[test]
fn all_spellings_of_a_row_are_one_row() {
    let expected = [(1.0, vec![(2, 1.0), (6, 0.5)])];
    for text in [
        "1 3:1 7:0.5\n",
        "1 3:1 7:0.5",
        "1 3:1 7:0.5\r\n",
        "+1 3:1.0 7:.5\n",
        "1.0 3:1 7:5e-1 \n",
        "  1\t3:1  \t 7:0.50\t\r\n",
        "1 7:0.5 3:1\n",
        "1 3:1 7:0.5 # a comment with 9:9\n",
        "1 3:1 7:0.5 #\n",
        "1 0003:1 00000000007:0.5\n",
        "\n# a comment\n   \n1 3:1 7:0.5\n\n",
        "\u{feff}1 3:1 7:0.5\n",
    ] {
        assert_eq!(rows(text), expected, "{text:?}");
    }
}

#[test]
fn negative_rows_are_0_or_minus_1() {
    let labels = |text| rows(text).into_iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(labels("0 1:1\n1 1:1\n"), [0.0, 1.0]);
    assert_eq!(labels("-1 1:1\n+1 1:1\n-1.0 1:1\n"), [0.0, 1.0, 0.0]);
    let message = refused("rows.libsvm", "1 1:1\n-1 1:1\n0 1:1\n", &no_split());
    assert!(message.contains("rows.libsvm:3") && message.contains("rows.libsvm:2"), "{message}");
}

#[test]
fn zeros_are_not_stored() {
    assert_eq!(rows("1 1:0 2:3 4:-0.0 5:0e5\n0 1:0\n"), [(1.0, vec![(1, 3.0)]), (0.0, vec![])]);
}

#[test]
fn a_row_without_features_is_a_row() {
    assert_eq!(rows("1\n0 1:1\n"), [(1.0, vec![]), (0.0, vec![(0, 1.0)])]);
}

#[test]
fn malformed_lines_are_named_with_place_and_reason() {
    let long = format!("1 {}:1\n", "1".repeat(60));
    for (line, column, found, expected) in [
        ("2 1:1", 1, "`2`", "a label, 0 or 1"),
        ("nan 1:1", 1, "`nan`", "a label, 0 or 1"),
        ("0.5 1:1", 1, "`0.5`", "a label, 0 or 1"),
        ("1:1 2:1", 1, "`1:1`", "a label, 0 or 1"),
        ("  x", 3, "`x`", "a label, 0 or 1"),
        ("1 0:1", 3, "`0`", "an index of 1 or more"),
        ("1 5:1 0000000000:1", 7, "`0000000000`", "an index of 1 or more"),
        ("1 1048577:1", 3, "`1048577`", "an index of at most 2^20 = 1048576"),
        ("1 99999999999999999999999:1", 3, "`99999999999999999999999`", "an index of at most 2^20"),
        (long.trim_end(), 3, "1111...`", "an index of at most 2^20"),
        ("1 -3:1", 3, "`-3:1`", "index:value"),
        ("1 a:1", 3, "`a:1`", "index:value"),
        ("1 3", 3, "`3`", "a colon behind the index"),
        ("1 3 :1", 3, "`3`", "a colon behind the index"),
        ("1 3.5:1", 3, "`3.5:1`", "a colon behind the index"),
        ("1 3:", 5, "nothing", "a finite number"),
        ("1 3: 1", 5, "nothing", "a finite number"),
        ("1 3:x", 5, "`x`", "a finite number"),
        ("1 3:1:1", 5, "`1:1`", "a finite number"),
        ("1 3:nan", 5, "`nan`", "a finite number"),
        ("1 3:NaN 4:1", 5, "`NaN`", "a finite number"),
        ("1 3:inf", 5, "`inf`", "a finite number"),
        ("1 3:-Infinity", 5, "`-Infinity`", "a finite number"),
        ("1 3:1e39", 5, "`1e39`", "a finite number"),
        ("1 3:1#", 5, "`1#`", "a finite number"),
        ("1 3:\u{e9}\u{1}", 5, "`\\xc3\\xa9\\x01`", "a finite number"),
        ("1 3:1 3:1", 7, "`3:1`", "each index once in a row"),
        ("1 3:1 4:1 3:2", 11, "`3:2`", "each index once in a row"),
        ("1 3:0 03:1", 7, "`03:1`", "each index once in a row"),
        ("1 qid:7 3:1", 3, "`qid:7`", "index:value (ranking groups are not supported"),
    ] {
        let message = refused("dir/rows.libsvm", format!("1 1:1\n\n{line}\n0 1:1\n"), &no_split());
        let place = format!("dir/rows.libsvm:3:{column}: expected {expected}");
        assert!(message.starts_with(&place), "{line:?}\n{message}\n{place}");
        assert!(
            message.ends_with(&format!("found {found}")) || message.ends_with(found),
            "{line:?}\n{message}"
        );
    }
}

#[test]
fn the_highest_index_depends_on_the_bits() {
    let place = Place::with_threads(1);
    let options = LoadOptions { hash_bits: 3, ..no_split() };
    place.load("rows.libsvm", "1 8:1\n", &options).unwrap();
    assert_eq!(place.rows(Side::Train), [(1.0, vec![(7, 1.0)])]);
    let message = refused("rows.libsvm", "1 9:1\n", &options);
    assert!(message.contains("2^3 = 8"), "{message}");
}

#[test]
fn columns_are_no_options_of_this_format() {
    type Set = fn(&mut ColumnOptions);
    let cases: [(&str, Set); 7] = [
        ("label", |columns| columns.label = Some("y".into())),
        ("categorical", |columns| columns.categorical = vec!["a".into()]),
        ("numeric", |columns| columns.numeric = vec!["a".into()]),
        ("ignored", |columns| columns.ignored = vec!["a".into()]),
        ("pairs", |columns| columns.pairs = vec![["a".into(), "b".into()]]),
        ("delimiter", |columns| columns.delimiter = Some(',')),
        ("header", |columns| columns.header = Some(false)),
    ];
    for (name, set) in cases {
        let mut options = no_split();
        set(&mut options.columns);
        let message = refused("rows.libsvm", "1 1:1\n", &options);
        assert!(message.contains(&format!("`{name}` has no effect on LIBSVM files")), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any rows, in any order within the row, cut into chunks anywhere, come back as they were.
    #[test]
    fn rows_come_back(
        rows in proptest::collection::vec(
            (any::<bool>(), proptest::collection::hash_map(0u32..1 << 20, any::<f32>(), 0..20)), 1..40),
        chunk_bytes in 1usize..300,
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (label, features) in rows {
            text.push_str(if label { "1" } else { "-1" });
            let mut kept = Vec::new();
            for (key, value) in features {
                let value = if value.is_finite() { value } else { 1.0 };
                text.push_str(&format!(" {}:{value}", key + 1));
                if value != 0.0 {
                    kept.push((key, value));
                }
            }
            text.push('\n');
            kept.sort_by_key(|feature| feature.0);
            expected.push((f32::from(u8::from(label)), kept));
        }
        let mut place = Place::with_threads(1);
        place.chunk_bytes = chunk_bytes;
        place.load("rows", &text, &LoadOptions { format: Some("libsvm".into()), ..no_split() }).unwrap();
        prop_assert_eq!(place.rows(Side::Train), expected);
    }

    /// No bytes make it panic, and with skipping each line is a row, a blank or counted.
    #[test]
    fn any_bytes_are_rows_or_malformed_lines(text in "[-+01:.#e \t\r\nq2-9]{1,200}") {
        let place = Place::with_threads(1);
        let options =
            LoadOptions { format: Some("libsvm".into()), on_error: OnError::Skip, ..no_split() };
        match place.load("rows", &text, &options) {
            Ok(report) => prop_assert!(
                report.manifest.source.rows + report.manifest.source.skipped <= text.split('\n').count() as u64
            ),
            Err(LoadError::NoRows { .. } | LoadError::MixedLabels { .. }) => {}
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

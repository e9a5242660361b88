//! CSV: what columns become, how text is quoted, and every way in which it can be wrong.

use super::hash::{Purpose, hash, key, pair, salt};
use super::*;
use proptest::prelude::*;

fn category(column: &str, value: &str) -> (u32, f32) {
    (key(hash(salt(Purpose::Category, column), value.as_bytes()), 20), 1.0)
}

fn of_pair(a: (&str, &str), b: (&str, &str)) -> (u32, f32) {
    let value = |(column, text): (&str, &str)| hash(salt(Purpose::Category, column), text.as_bytes());
    (key(pair(value(a), value(b)), 20), 1.0)
}

fn number(column: &str, value: f32) -> (u32, f32) {
    (key(salt(Purpose::Number, column), 20), value)
}

fn missing(column: &str) -> (u32, f32) {
    (key(salt(Purpose::Missing, column), 20), 1.0)
}

fn row<const N: usize>(label: f32, mut features: [(u32, f32); N]) -> Row {
    features.sort_by_key(|feature| feature.0);
    (label, features.to_vec())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn columns(label: &str, categorical: &[&str], numeric: &[&str]) -> LoadOptions {
    let columns = ColumnOptions {
        label: Some(label.into()),
        categorical: names(categorical),
        numeric: names(numeric),
        ..ColumnOptions::default()
    };
    LoadOptions { columns, ..no_split() }
}

fn rows(name: &str, text: impl AsRef<[u8]>, options: &LoadOptions) -> Vec<Row> {
    let place = Place::with_threads(1);
    place.load(name, text, options).unwrap();
    place.rows(Side::Train)
}

#[test]
fn columns_become_features_by_their_roles() {
    let mut options = columns("late", &["from", "to"], &["miles"]);
    options.columns.ignored = names(&["hour", "note"]);
    options.columns.pairs = vec![["from".into(), "hour".into()]];
    let text = "hour,from,late,to,miles,note\n7,LAX,1,JFK,2475,x\n8,JFK,0,JFK,,y\n9,,0,LAX,0,z\n";
    let expected = [
        row(
            1.0,
            [
                category("from", "LAX"),
                category("to", "JFK"),
                number("miles", 2475.0),
                of_pair(("from", "LAX"), ("hour", "7")),
            ],
        ),
        row(
            0.0,
            [
                category("from", "JFK"),
                category("to", "JFK"),
                missing("miles"),
                of_pair(("from", "JFK"), ("hour", "8")),
            ],
        ),
        row(0.0, [category("from", ""), category("to", "LAX"), of_pair(("from", ""), ("hour", "9"))]),
    ];
    assert_eq!(rows("flights.csv", text, &options), expected);
}

#[test]
fn equal_texts_of_different_columns_share_no_weight() {
    let rows = rows("a.csv", "label,a,b\n1,x,x\n", &no_split());
    assert_eq!(rows[0].1.len(), 2);
    assert_ne!(category("a", ""), category("b", ""));
    assert_ne!(missing("a").0, category("a", "").0);
}

#[test]
fn columns_without_a_role_are_categories_unless_categories_are_listed() {
    let text = "a,label,b\nx,1,y\n";
    let expected = [row(1.0, [category("a", "x"), category("b", "y")])];
    assert_eq!(rows("a.csv", text, &no_split()), expected);
    let message = refused("a.csv", text, &columns("label", &["a"], &[]));
    assert_eq!(message, "a.csv: no role for the columns `b`; name them as categorical, numeric or ignored");
}

#[test]
fn quoting_delimiters_and_line_ends_follow_the_rfc() {
    let expected = |value| [row(1.0, [category("a", value)])];
    for (text, value) in [
        ("label,a\n1,x\n", "x"),
        ("label,a\r\n1,x\r\n", "x"),
        ("label,a\n1,x", "x"),
        ("\u{feff}label,a\n1,x", "x"),
        ("\"label\",\"a\"\n\"1\",\"x\"\n", "x"),
        ("label,a\n\n1,x\n\n\n", "x"),
        ("label,a\n1,\"x,y\"\n", "x,y"),
        ("label,a\n1,\"x\ny\"\r\n", "x\ny"),
        ("label,a\n1,\"x\r\ny\"", "x\r\ny"),
        ("label,a\n1,\"say \"\"hi\"\"\"\n", "say \"hi\""),
        ("label,a\n1,\"\"\"\"\n", "\""),
        ("label,a\n1,\"\"\n", ""),
        ("label,a\n1,\n", ""),
        ("label,a\n1, x \n", " x "),
    ] {
        assert_eq!(rows("a.csv", text, &no_split()), expected(value), "{text:?}");
    }
    let bytes = rows("a.csv", b"label,a\n1,\xFF\xFE\n", &no_split());
    assert_eq!(bytes[0].1, [(key(hash(salt(Purpose::Category, "a"), b"\xFF\xFE"), 20), 1.0)]);
}

#[test]
fn delimiters_can_be_chosen_and_are_a_tab_in_tsv_files() {
    let expected = [row(1.0, [category("a", "x,y")])];
    assert_eq!(rows("a.tsv", "label\ta\n1\tx,y\n", &no_split()), expected);
    assert_eq!(rows("a.TSV.gz", "label\ta\n1\tx,y\n", &no_split()), expected);
    let mut options = no_split();
    options.columns.delimiter = Some(';');
    assert_eq!(rows("a.csv", "label;a\n1;x,y\n", &options), expected);
    for delimiter in ['"', '\n', '\u{e9}'] {
        options.columns.delimiter = Some(delimiter);
        let message = refused("a.csv", "label,a\n1,x\n", &options);
        assert!(message.starts_with("`delimiter` is"), "{message}");
    }
}

#[test]
fn without_a_header_columns_are_numbered() {
    let mut options = columns("2", &[], &["3"]);
    options.columns.header = Some(false);
    let expected = [row(1.0, [category("1", "x"), number("3", 5.0)])];
    assert_eq!(rows("a.csv", "x,1,5\n", &options), expected);
}

#[test]
fn malformed_lines_are_named_with_place_and_reason() {
    let options = columns("label", &["a"], &["n"]);
    let long = "y".repeat(50);
    for (line, column, found, expected) in [
        ("2,x,1".to_owned(), 1, "`2`", "a label, 0 or 1"),
        (",x,1".to_owned(), 1, "nothing", "a label, 0 or 1"),
        ("yes,x,1".to_owned(), 1, "`yes`", "a label, 0 or 1"),
        ("1,x,nan".to_owned(), 5, "`nan`", "a finite number or nothing in the numeric column `n`"),
        ("1,x,-inf".to_owned(), 5, "`-inf`", "a finite number or nothing in the numeric column `n`"),
        ("1,x,1e99".to_owned(), 5, "`1e99`", "a finite number or nothing in the numeric column `n`"),
        ("1,x, 5".to_owned(), 5, "` 5`", "a finite number or nothing in the numeric column `n`"),
        (format!("1,x,{long}"), 5, "yyy...`", "a finite number or nothing in the numeric column `n`"),
        ("1,\"x\ny\",z".to_owned(), 4, "`z`", "a finite number or nothing in the numeric column `n`"),
        ("1,x".to_owned(), 4, "2 fields", "3 fields, as in the header"),
        ("1".to_owned(), 2, "1 field", "3 fields, as in the header"),
        ("1,x,5,6,7".to_owned(), 7, "5 fields", "3 fields, as in the header"),
        ("1,x\"y,5".to_owned(), 4, "`\"y,5`", "no quotation mark inside a field"),
        ("1,\"x\"y,5".to_owned(), 6, "`y,5`", "a delimiter or the end of the line"),
        ("1,\"x,5".to_owned(), 3, "`\"x,5", "a closing quotation mark"),
    ] {
        let message = refused("a.csv", format!("label,a,n\n1,x,5\n\n{line}\n0,x,5\n"), &options);
        // The column is that of the line in which the fault stands.
        let line_number = 4 + line.split('\n').count() - 1;
        let place = format!("a.csv:{line_number}:{column}: expected {expected}");
        assert!(message.starts_with(&place), "{line:?}\n{message}\n{place}");
        assert!(message.contains(found), "{line:?}\n{message}");
    }
}

#[test]
fn files_without_the_columns_are_refused_with_those_they_have() {
    let text = "label,a,b\n1,x,5\n";
    for (options, column, role) in [
        (columns("late", &[], &[]), "late", "label"),
        (columns("label", &["a", "c"], &["b"]), "c", "categorical"),
        (columns("label", &["a"], &["n"]), "n", "numeric"),
    ] {
        let message = refused("a.csv", text, &options);
        let expected =
            format!("a.csv: no column `{column}` (named as {role}); the columns are `label`, `a`, `b`");
        assert_eq!(message, expected);
    }
    let mut options = no_split();
    options.columns.ignored = names(&["c"]);
    assert!(refused("a.csv", text, &options).contains("no column `c` (named as ignored)"));
    options.columns = ColumnOptions { pairs: vec![["a".into(), "c".into()]], ..ColumnOptions::default() };
    assert!(refused("a.csv", text, &options).contains("no column `c` (named as one of a pair)"));
}

#[test]
fn roles_that_make_no_sense_are_refused() {
    let text = "label,a,b\n1,x,5\n";
    let with = |change: fn(&mut ColumnOptions)| {
        let mut options = no_split();
        change(&mut options.columns);
        refused("a.csv", text, &options)
    };
    let pairs = |pairs: &[[&str; 2]]| {
        let mut options = no_split();
        options.columns.pairs = pairs.iter().map(|pair| pair.map(str::to_owned)).collect();
        refused("a.csv", text, &options)
    };
    for (message, expected) in [
        (with(|columns| columns.numeric = names(&["b", "b"])), "column `b` is named twice"),
        (with(|columns| columns.ignored = names(&["label"])), "column `label` is named twice"),
        (with(|columns| columns.ignored = names(&["a", "b"])), "no column to learn from"),
        (pairs(&[["a", "a"]]), "the pair `a:a` pairs a column with itself"),
        (pairs(&[["a", "label"]]), "the pair `a:label` contains the label"),
        (pairs(&[["a", "b"], ["b", "a"]]), "the pair `b:a` is named twice"),
        (refused("a.csv", "label,a,a\n1,x,y\n", &no_split()), "two columns are called `a`"),
        (refused("a.csv", b"label,\xFF\n1,x\n", &no_split()), "column names in UTF-8"),
        (refused("a.csv", "label,\"a\n1,x\n", &no_split()), "a closing quotation mark"),
        (refused("a.csv", "a".repeat(300_000), &no_split()), "the first line does not end within"),
    ] {
        assert!(message.starts_with("a.csv:") && message.contains(expected), "{message}");
    }
}

#[test]
fn statistics_are_those_of_the_training_rows() {
    let place = Place::new();
    let mut options = columns("label", &["c"], &["n"]);
    options.test = TestSplit::File(place.file("test.csv", "n,c,label\n1000,,1\n"));
    let report = place.load("a.csv", "label,c,n\n1,x,1\n0,,2\n0,y,\n1,z,6\n", &options).unwrap();
    let [c, n] = &report.manifest.columns[..] else { panic!("{:?}", report.manifest.columns) };
    assert_eq!((c.name.as_str(), c.present, c.numeric), ("c", 3, None));
    assert_eq!((n.name.as_str(), n.present), ("n", 3));
    let numeric = n.numeric.unwrap();
    assert_eq!((numeric.minimum, numeric.maximum, numeric.mean), (1.0, 6.0, 3.0));
    assert!((numeric.deviation - (14.0_f64 / 3.0).sqrt()).abs() < 1e-12);
}

/// The reference for where records end: one byte after the other.
fn record_ends(text: &[u8]) -> Vec<usize> {
    let (mut ends, mut quoted, mut start) = (Vec::new(), false, true);
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' if quoted && text.get(at + 1) == Some(&b'"') => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if start => quoted = true,
            b'\n' if !quoted => ends.push(at),
            _ => {}
        }
        start = !quoted && matches!(text[at], b',' | b'\n');
        at += 1;
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any fields, quoted or not, cut into chunks anywhere, come back as they were.
    #[test]
    fn fields_come_back(
        fields in proptest::collection::vec(("[a\",\n\r ]{0,12}", any::<bool>(), any::<bool>()), 1..40),
        chunk_bytes in 1usize..100,
    ) {
        let mut text = String::from("label,a\n");
        let mut expected = Vec::new();
        for (field, quote, label) in fields {
            let label = u8::from(label);
            if quote || field.contains(['"', ',', '\n', '\r']) {
                text.push_str(&format!("{label},\"{}\"\n", field.replace('"', "\"\"")));
            } else {
                text.push_str(&format!("{label},{field}\n"));
            }
            expected.push(row(f32::from(label), [category("a", &field)]));
        }
        let mut place = Place::with_threads(1);
        place.chunk_bytes = chunk_bytes;
        place.load("a.csv", &text, &no_split()).unwrap();
        prop_assert_eq!(place.rows(Side::Train), expected);
    }

    /// Whatever the text, sound or not, it falls into the same rows and malformed lines however it is cut.
    #[test]
    fn malformed_text_is_cut_the_same_everywhere(text in "[01a\",\n]{1,120}", chunk_bytes in 1usize..40) {
        let ends = record_ends(text.as_bytes());
        let mut outcomes = Vec::new();
        for chunk_bytes in [chunk_bytes, source::CHUNK_BYTES] {
            let mut place = Place::with_threads(1);
            place.chunk_bytes = chunk_bytes;
            let options = LoadOptions { on_error: OnError::Skip, ..no_split() };
            match place.load("a.csv", format!("label,a\n{text}"), &options) {
                Ok(report) => {
                    let source = report.manifest.source;
                    let records = ends.len() as u64 + u64::from(ends.last() != Some(&(text.len() - 1)));
                    prop_assert!(source.rows + source.skipped <= records);
                    outcomes.push(Some((place.rows(Side::Train), source, report.skipped)));
                }
                Err(LoadError::NoRows { .. }) => outcomes.push(None),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }
}

//! The manifest of a loaded dataset: the JSON text `manifest.json`, written last and whole.
//!
//! A dataset exists when its manifest does: a reader sees all of it or none. Unknown fields are refused, so that a
//! field that a reader would ignore needs a new format version; another version is refused with both numbers.

use crate::{error::FormatError, manifest_text, partition::MAX_HASH_BITS};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The version of the manifest that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// The object's name within the folder or prefix of a dataset.
pub const MANIFEST_NAME: &str = "manifest.json";

/// All that is known of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Where the rows came from.
    pub source: SourceInfo,
    /// Where the test rows came from, if not from `source`.
    pub test_source: Option<SourceInfo>,
    /// How raw rows become keys and values.
    pub schema: Schema,
    /// Keys are below 2^`hash_bits`.
    pub hash_bits: u8,
    /// Rows to learn from.
    pub train: Part,
    /// Rows held out.
    pub test: Part,
    /// Statistics of the training rows' columns, in the schema's order; may be empty.
    pub columns: Vec<ColumnStatistics>,
}

/// An input file, to recognise it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceInfo {
    /// As the user gave it.
    pub path: String,
    /// Length in bytes, compressed if it is.
    pub bytes: u64,
    /// CRC-32C of these bytes.
    pub crc32c: u32,
    /// Compression of the file.
    pub compression: Compression,
    /// Rows that were loaded.
    pub rows: u64,
    /// Malformed rows that were skipped, as the user asked.
    pub skipped: u64,
}

/// How a source file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// How a raw row becomes keys and values: what `predict` needs to read rows again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// `label index:value ...`; indices are 1-based, a key is its index - 1.
    Libsvm,
    /// Columns, hashed by name and value.
    Csv(CsvSchema),
}

/// The roles of a CSV file's columns, by name (or by position from `1` if there is no header line).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSchema {
    /// The column to predict.
    pub label: String,
    /// Columns whose text is a category.
    pub categorical: Vec<String>,
    /// Columns whose number is a value.
    pub numeric: Vec<String>,
    /// Pairs of columns whose combination is a category of its own.
    pub pairs: Vec<[String; 2]>,
    /// Between fields; an ASCII character.
    pub delimiter: char,
    /// The first line names the columns.
    pub header: bool,
}

/// One side of the split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its partitions, in order: a partition's number is its position.
    pub partitions: Vec<PartitionInfo>,
    /// Rows in all.
    pub rows: u64,
    /// Nonzeros in all.
    pub nonzeros: u64,
    /// Rows with a label above 0.
    pub positives: u64,
}

/// One partition file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionInfo {
    /// Name of the object, relative to the manifest.
    pub name: String,
    /// Length of the file.
    pub bytes: u64,
    /// Length of header and directory, to fetch them in one read.
    pub directory_bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Nonzeros in it.
    pub nonzeros: u64,
    /// Rows with a label above 0.
    pub positives: u64,
    /// Blocks in it.
    pub blocks: u32,
}

/// Statistics of one column of the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnStatistics {
    /// The column's name.
    pub name: String,
    /// Rows that have a value.
    pub present: u64,
    /// Of a numeric column.
    pub numeric: Option<NumericStatistics>,
}

/// Range and moments of a numeric column; all finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericStatistics {
    /// Lowest value.
    pub minimum: f64,
    /// Highest value.
    pub maximum: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the population.
    pub deviation: f64,
}

impl Manifest {
    /// The JSON text.
    ///
    /// # Errors
    /// [`FormatError::Unwritable`] where [`decode`](Self::decode) would refuse it.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        self.check().map_err(FormatError::Unwritable)?;
        manifest_text::encode("manifest", self)
    }

    /// Reads the JSON text.
    ///
    /// # Errors
    /// [`FormatError::Version`] with both versions; [`FormatError::Json`] with line and column, also for an unknown
    /// field; [`FormatError::Corrupt`] if the counts do not add up.
    pub fn decode(json: &[u8]) -> Result<Self, FormatError> {
        let manifest: Self = manifest_text::decode("manifest", FORMAT_VERSION, json)?;
        manifest.check().map_err(FormatError::Corrupt)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.format_version != FORMAT_VERSION {
            return Err("a manifest of another version");
        }
        if self.hash_bits == 0 || self.hash_bits > MAX_HASH_BITS {
            return Err("a manifest's hash bits are out of range");
        }
        if let Schema::Csv(csv) = &self.schema
            && !csv.delimiter.is_ascii()
        {
            return Err("a manifest's delimiter is not an ASCII character");
        }
        let numbers = self.columns.iter().filter_map(|column| column.numeric);
        if !numbers.flat_map(|n| [n.minimum, n.maximum, n.mean, n.deviation]).all(f64::is_finite) {
            return Err("a manifest's column statistics are infinite or not a number");
        }
        self.train.check()?;
        self.test.check()
    }
}

impl Part {
    fn check(&self) -> Result<(), &'static str> {
        let sum = |count: fn(&PartitionInfo) -> u64| {
            self.partitions.iter().try_fold(0u64, |sum, partition| sum.checked_add(count(partition)))
        };
        let sums = [sum(|p| p.rows), sum(|p| p.nonzeros), sum(|p| p.positives)];
        if sums != [Some(self.rows), Some(self.nonzeros), Some(self.positives)] {
            return Err("a manifest's totals are not the sums of its partitions");
        }
        if !self.partitions.iter().all(|partition| manifest_text::is_inside(&partition.name)) {
            return Err("the name of a partition does not lie below its manifest");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::{format, vec};
    use proptest::{collection, option, prelude::*};

    const GOLDEN: &str = include_str!("../testdata/manifest.json");

    fn part(name: &str, rows: u64) -> Part {
        let partition = PartitionInfo {
            name: name.into(),
            bytes: 1000 + rows,
            directory_bytes: 100,
            rows,
            nonzeros: 7 * rows,
            positives: rows / 4,
            blocks: 1,
        };
        Part { rows, nonzeros: 7 * rows, positives: rows / 4, partitions: vec![partition] }
    }

    fn example() -> Manifest {
        let names = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
        Manifest {
            format_version: 1,
            source: SourceInfo {
                path: "flights.csv.zst".into(),
                bytes: 2_900_000,
                crc32c: 0xE306_9283,
                compression: Compression::Zstd,
                rows: 1000,
                skipped: 1,
            },
            test_source: None,
            schema: Schema::Csv(CsvSchema {
                label: "late".into(),
                categorical: names(&["origin", "hour"]),
                numeric: names(&["distance"]),
                pairs: vec![["origin".into(), "hour".into()]],
                delimiter: ',',
                header: true,
            }),
            hash_bits: 20,
            train: part("train-00000.cirrus", 900),
            test: part("test-00000.cirrus", 100),
            columns: vec![
                ColumnStatistics { name: "origin".into(), present: 900, numeric: None },
                ColumnStatistics {
                    name: "distance".into(),
                    present: 899,
                    numeric: Some(NumericStatistics {
                        minimum: 11.0,
                        maximum: 4962.0,
                        mean: 701.5,
                        deviation: 0.1,
                    }),
                },
            ],
        }
    }

    #[test]
    fn golden_text() {
        assert_eq!(core::str::from_utf8(&example().encode().unwrap()).unwrap(), GOLDEN);
        assert_eq!(Manifest::decode(GOLDEN.as_bytes()), Ok(example()));
    }

    #[test]
    fn another_version_is_named_whatever_else_it_says() {
        let future = br#"{"format_version": 7, "shards": [], "train": "moved"}"#;
        let error = Manifest::decode(future).unwrap_err();
        assert_eq!(error, FormatError::Version { what: "manifest", found: 7, supported: 1 });
        let text = error.to_string();
        assert!(text.contains("version 7") && text.contains("version 1"), "{text}");
    }

    #[test]
    fn unknown_and_missing_fields_are_refused_with_their_line() {
        let unknown = GOLDEN.replacen("\"hash_bits\"", "\"salt\": 1,\n  \"hash_bits\"", 1);
        let inner = GOLDEN.replacen("\"header\"", "\"quote\": 1, \"header\"", 1);
        let missing = GOLDEN.replacen("  \"hash_bits\": 20,\n", "", 1);
        for (json, word) in [(unknown, "`salt`"), (inner, "`quote`"), (missing, "`hash_bits`")] {
            let Err(FormatError::Json { detail, .. }) = Manifest::decode(json.as_bytes()) else {
                panic!("{word}")
            };
            assert!(detail.contains(word) && detail.contains("line"), "{detail}");
        }
    }

    #[test]
    fn what_does_not_add_up_is_neither_read_nor_written() {
        let breaks: [fn(&mut Manifest); 8] = [
            |m| m.train.rows += 1,
            |m| m.test.nonzeros = 0,
            |m| m.train.partitions[0].positives = u64::MAX,
            |m| m.hash_bits = 0,
            |m| m.hash_bits = 31,
            |m| m.train.partitions[0].name = "../train".into(),
            |m| m.train.partitions[0].name = "/train".into(),
            |m| m.schema = Schema::Csv(CsvSchema { delimiter: '→', ..csv(m) }),
        ];
        for (index, change) in breaks.iter().enumerate() {
            let mut manifest = example();
            change(&mut manifest);
            assert!(matches!(manifest.encode(), Err(FormatError::Unwritable(_))), "{index}");
            let json = serde_json::to_vec(&manifest).unwrap();
            assert!(matches!(Manifest::decode(&json), Err(FormatError::Corrupt(_))), "{index}");
        }
        let mut manifest = example();
        manifest.columns[1].numeric =
            Some(NumericStatistics { minimum: f64::NAN, ..manifest.columns[1].numeric.unwrap() });
        assert!(matches!(manifest.encode(), Err(FormatError::Unwritable(_))));
    }

    fn csv(manifest: &Manifest) -> CsvSchema {
        match &manifest.schema {
            Schema::Csv(csv) => csv.clone(),
            Schema::Libsvm => panic!("the example is CSV"),
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for length in 0..GOLDEN.trim_end().len() {
            let result = Manifest::decode(&GOLDEN.as_bytes()[..length]);
            assert!(matches!(result, Err(FormatError::Json { .. })), "{length}: {result:?}");
        }
    }

    prop_compose! {
        fn sources()(path in ".*", bytes: u64, crc32c: u32, rows: u64, skipped: u64, kind in 0..3usize) -> SourceInfo {
            let compression = [Compression::Plain, Compression::Gzip, Compression::Zstd][kind];
            SourceInfo { path, bytes, crc32c, compression, rows, skipped }
        }
    }

    prop_compose! {
        fn parts()(counts in collection::vec(any::<[u32; 6]>(), 0..5)) -> Part {
            let partitions: Vec<_> = counts.iter().enumerate().map(|(index, n)| PartitionInfo {
                name: format!("part/{index}"),
                bytes: n[0].into(),
                directory_bytes: n[1].into(),
                rows: n[2].into(),
                nonzeros: n[3].into(),
                positives: n[4].into(),
                blocks: n[5],
            }).collect();
            let sum = |count: fn(&PartitionInfo) -> u64| partitions.iter().map(count).sum();
            Part { rows: sum(|p| p.rows), nonzeros: sum(|p| p.nonzeros), positives: sum(|p| p.positives), partitions }
        }
    }

    prop_compose! {
        fn schemas()(
            names in collection::vec(".*", 1..4), delimiter in proptest::char::range('\0', '\x7f'), header: bool, svm: bool,
        ) -> Schema {
            let pairs = names.iter().map(|name| [name.clone(), names[0].clone()]).collect();
            let csv = CsvSchema {
                label: names[0].clone(), categorical: names.clone(), numeric: names.clone(), pairs, delimiter, header,
            };
            if svm { Schema::Libsvm } else { Schema::Csv(csv) }
        }
    }

    fn columns() -> impl Strategy<Value = Vec<ColumnStatistics>> {
        let number = || any::<f64>().prop_filter("finite", |number| number.is_finite());
        let numbers =
            (number(), number(), number(), number()).prop_map(|(minimum, maximum, mean, deviation)| {
                NumericStatistics { minimum, maximum, mean, deviation }
            });
        let column = (".*", any::<u64>(), option::of(numbers))
            .prop_map(|(name, present, numeric)| ColumnStatistics { name, present, numeric });
        collection::vec(column, 0..4)
    }

    proptest! {
        #[test]
        fn round_trip(
            source in sources(), test_source in option::of(sources()), schema in schemas(), hash_bits in 1u8..=30,
            train in parts(), test in parts(), columns in columns(),
        ) {
            let manifest = Manifest {
                format_version: FORMAT_VERSION, source, test_source, schema, hash_bits, train, test, columns,
            };
            prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()), Ok(manifest));
        }
    }
}

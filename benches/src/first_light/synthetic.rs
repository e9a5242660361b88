//! Data like advertisement clicks, with a planted logistic model: 39 categorical columns, from a handful of values
//! to a million, values drawn by a power law; each value hashes to one of 2^bits features.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::Files;

const COLUMNS: u64 = 39;

/// SplitMix64 (Steele, Lea, Flood 2014): enough for data, the same everywhere.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in [0, 1) from 53 bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// How many values a column has: 4 to 1,000,000, evenly on a logarithmic scale.
fn values_of(column: u64) -> f64 {
    4.0 * 250_000f64.powf(column as f64 / (COLUMNS - 1) as f64)
}

/// Writes `rows` training rows and a tenth as many test rows as LIBSVM text.
pub(crate) fn write(folder: &Path, rows: u64, bits: u8) -> std::io::Result<Files> {
    let files = Files { train: folder.join("train.libsvm"), test: folder.join("test.libsvm") };
    write_rows(&files.train, 0..rows, bits)?;
    write_rows(&files.test, rows..rows + rows / 10, bits)?;
    Ok(files)
}

fn write_rows(path: &Path, rows: std::ops::Range<u64>, bits: u8) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut features = Vec::new();
    for row in rows {
        features.clear();
        let mut margin = -1.2;
        for column in 0..COLUMNS {
            let draw = unit(mix(row * COLUMNS + column));
            // The exponent makes the first values of a column frequent and the last ones rare.
            let value = (values_of(column) * draw.powi(3)) as u64;
            let name = mix((column << 32 | value) ^ 0x5eed);
            features.push((name & ((1 << bits) - 1)) + 1);
            margin += (unit(mix(name)) - 0.5) * 0.7;
        }
        features.sort_unstable();
        features.dedup();
        let positive = unit(mix(row ^ 0x1abe1)) < 1.0 / (1.0 + (-margin).exp());
        write!(out, "{}", u8::from(positive))?;
        for feature in &features {
            write!(out, " {feature}:1")?;
        }
        writeln!(out)?;
    }
    out.flush()
}

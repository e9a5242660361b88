//! Statistics of the training rows' columns: how many values, and of numbers their range and moments.
//!
//! Each chunk keeps its own and they are merged in the order of the source, so that they do not depend on which
//! thread read what. Mean and variance follow Welford (1962) within a chunk and Chan, Golub and LeVeque (1979)
//! between chunks, which lose no digits where the mean is far from zero.

use cirrus_protocol::manifest::{ColumnStatistics, NumericStatistics};

/// What is known of one column so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnTally {
    /// Rows without a value.
    pub(super) missing: u64,
    moments: Option<Moments>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    count: u64,
    mean: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
    minimum: f64,
    maximum: f64,
}

impl ColumnTally {
    /// A column without rows.
    pub(super) fn new(numeric: bool) -> Self {
        let none =
            Moments { count: 0, mean: 0.0, squares: 0.0, minimum: f64::INFINITY, maximum: f64::NEG_INFINITY };
        Self { missing: 0, moments: numeric.then_some(none) }
    }

    /// Adds a value of a numeric column.
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        let Some(moments) = &mut self.moments else { return };
        let value = f64::from(value);
        moments.count += 1;
        let off = value - moments.mean;
        moments.mean += off / moments.count as f64;
        moments.squares += off * (value - moments.mean);
        moments.minimum = moments.minimum.min(value);
        moments.maximum = moments.maximum.max(value);
    }

    /// Adds the rows of another tally of the same column.
    pub(super) fn merge(&mut self, other: &Self) {
        self.missing += other.missing;
        let (Some(mine), Some(others)) = (&mut self.moments, &other.moments) else { return };
        if others.count == 0 {
            return;
        }
        let (a, b) = (mine.count as f64, others.count as f64);
        let off = others.mean - mine.mean;
        mine.count += others.count;
        mine.mean += off * b / (a + b);
        mine.squares += others.squares + off * off * a * b / (a + b);
        mine.minimum = mine.minimum.min(others.minimum);
        mine.maximum = mine.maximum.max(others.maximum);
    }

    /// What the manifest says of the column `name`, of which `rows` were tallied.
    pub(super) fn finish(&self, name: String, rows: u64) -> ColumnStatistics {
        let numeric = self.moments.filter(|moments| moments.count > 0).map(|moments| NumericStatistics {
            minimum: moments.minimum,
            maximum: moments.maximum,
            mean: moments.mean,
            deviation: (moments.squares / moments.count as f64).sqrt(),
        });
        ColumnStatistics { name, present: rows.saturating_sub(self.missing), numeric }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(values: &[f32]) -> ColumnTally {
        let mut tally = ColumnTally::new(true);
        values.iter().for_each(|value| tally.add(*value));
        tally
    }

    #[test]
    fn moments_are_those_of_the_textbook() {
        let statistics = tally(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).finish("x".into(), 10);
        let numeric = statistics.numeric.unwrap();
        assert_eq!((numeric.minimum, numeric.maximum), (2.0, 9.0));
        assert!((numeric.mean - 5.0).abs() < 1e-12 && (numeric.deviation - 2.0).abs() < 1e-12, "{numeric:?}");
    }

    #[test]
    fn merged_chunks_are_as_one() {
        let values: Vec<f32> = (0..1000).map(|i| 1e6 + (i * i % 97) as f32).collect();
        let whole = tally(&values).finish("x".into(), 1000).numeric.unwrap();
        let mut merged = ColumnTally::new(true);
        for chunk in values.chunks(77) {
            merged.merge(&tally(chunk));
        }
        merged.merge(&tally(&[]));
        let merged = merged.finish("x".into(), 1000).numeric.unwrap();
        assert!((whole.mean - merged.mean).abs() < 1e-6, "{whole:?} {merged:?}");
        assert!((whole.deviation - merged.deviation).abs() < 1e-6, "{whole:?} {merged:?}");
        assert_eq!((whole.minimum, whole.maximum), (merged.minimum, merged.maximum));
    }

    #[test]
    fn a_column_without_numbers_has_no_range() {
        let mut tally = tally(&[]);
        tally.missing = 3;
        let statistics = tally.finish("x".into(), 3);
        assert_eq!((statistics.present, statistics.numeric), (0, None));
        assert_eq!(ColumnTally::new(false).finish("c".into(), 3).numeric, None);
    }
}

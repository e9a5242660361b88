//! How good predictions of a yes or no are: log loss, area under the ROC curve, and what knowing nothing would give.
//!
//! Predictions are taken as margins (log odds): near certainty probabilities run out of digits and tie, margins do
//! not. Accumulators of parts of the data merge.

use serde::Serialize;

/// Collects predictions and what came true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accumulator {
    /// Per row the margin's bits in an order that integers understand, and the label in the lowest bit.
    scores: Vec<u64>,
    positives: u64,
    loss_sum: f64,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Rows predicted.
    pub rows: u64,
    /// Rows whose label is 1.
    pub positives: u64,
    /// Mean negative logarithm of the probability given to the true label, in nats.
    pub log_loss: f64,
    /// The log loss of a model that always predicts the share of positives among these rows.
    pub base_rate_log_loss: f64,
    /// The chance that a random positive scores above a random negative, ties counting half; `None` if there are not
    /// both.
    pub auc: Option<f64>,
}

impl Accumulator {
    /// Adds a row: its predicted margin, and whether its label is 1.
    pub fn add(&mut self, margin: f32, positive: bool) {
        self.scores.push(u64::from(ordered(margin)) << 1 | u64::from(positive));
        self.positives += u64::from(positive);
        let against = f64::from(if positive { -margin } else { margin });
        self.loss_sum += against.max(0.0) + (-against.abs()).exp().ln_1p();
    }

    /// Adds all rows of another part.
    pub fn merge(&mut self, other: &Self) {
        self.scores.extend_from_slice(&other.scores);
        self.positives += other.positives;
        self.loss_sum += other.loss_sum;
    }

    /// The metrics of all rows so far; `None` without rows.
    #[must_use]
    pub fn metrics(&self) -> Option<Metrics> {
        let rows = self.scores.len() as u64;
        (rows > 0).then(|| Metrics {
            rows,
            positives: self.positives,
            log_loss: self.loss_sum / rows as f64,
            base_rate_log_loss: base_rate_log_loss(rows, self.positives),
            auc: self.auc(),
        })
    }

    /// Exact: all pairs of a positive and a negative are counted, by sorting.
    fn auc(&self) -> Option<f64> {
        let negatives = self.scores.len() as u64 - self.positives;
        if self.positives == 0 || negatives == 0 {
            return None;
        }
        let mut scores = self.scores.clone();
        scores.sort_unstable();
        // Twice the pairs won, so that a tie is a whole number.
        let mut won = 0_u128;
        let mut negatives_below = 0_u64;
        for ties in scores.chunk_by(|a, b| a >> 1 == b >> 1) {
            let positives: u64 = ties.iter().map(|score| score & 1).sum();
            let negatives = ties.len() as u64 - positives;
            won += u128::from(positives) * u128::from(2 * negatives_below + negatives);
            negatives_below += negatives;
        }
        Some(won as f64 / 2.0 / (self.positives as f64 * negatives as f64))
    }
}

/// The log loss of predicting `positives / rows` for every row: the entropy of the labels, in nats.
#[must_use]
pub fn base_rate_log_loss(rows: u64, positives: u64) -> f64 {
    let share = |count: u64| count as f64 / rows as f64;
    [positives, rows.saturating_sub(positives)]
        .into_iter()
        .filter(|count| *count > 0)
        .map(|count| -share(count) * share(count).ln())
        .sum()
}

/// Bits that compare as the numbers do; both zeros are one.
fn ordered(number: f32) -> u32 {
    let bits = (number + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

#[cfg(test)]
mod tests;

use proptest::prelude::*;

use super::{Accumulator, base_rate_log_loss};

fn collect(rows: &[(f32, bool)]) -> Accumulator {
    let mut accumulator = Accumulator::default();
    rows.iter().for_each(|(margin, positive)| accumulator.add(*margin, *positive));
    accumulator
}

/// All pairs of a positive and a negative, one by one.
fn brute_force_auc(rows: &[(f32, bool)]) -> Option<f64> {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (positive, _) in rows.iter().filter(|row| row.1) {
        for (negative, _) in rows.iter().filter(|row| !row.1) {
            pairs += 1.0;
            won += if positive > negative { 1.0 } else { f64::from(u8::from(positive == negative)) / 2.0 };
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

proptest! {
    #[test]
    fn metrics_are_those_of_their_definitions(
        rows in proptest::collection::vec(
            (prop_oneof![-4.0_f32..4.0, (-3_i8..3).prop_map(f32::from), Just(-0.0), Just(0.0)], any::<bool>()),
            1..60,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let metrics = collect(&rows).metrics().unwrap();
        let loss: f64 = rows.iter().map(|(margin, positive)| {
            let p = 1.0 / (1.0 + (-f64::from(*margin)).exp());
            -(if *positive { p } else { 1.0 - p }).ln()
        }).sum();
        prop_assert!((metrics.log_loss - loss / rows.len() as f64).abs() < 1e-12);
        match (metrics.auc, brute_force_auc(&rows)) {
            (Some(auc), Some(expected)) => prop_assert!((auc - expected).abs() < 1e-12, "{auc} {expected}"),
            (auc, expected) => prop_assert_eq!(auc, expected),
        }
        let (head, tail) = rows.split_at(cut.index(rows.len()));
        let mut merged = collect(tail);
        merged.merge(&collect(head));
        let merged = merged.metrics().unwrap();
        prop_assert_eq!((merged.rows, merged.positives, merged.auc), (metrics.rows, metrics.positives, metrics.auc));
        prop_assert!((merged.log_loss - metrics.log_loss).abs() < 1e-12);
    }
}

#[test]
fn no_information_gives_half_and_the_base_rate() {
    let rows: Vec<_> = (0..10).map(|i| (-(4.0_f32.ln()), i < 2)).collect();
    let metrics = collect(&rows).metrics().unwrap();
    assert_eq!(metrics.auc, Some(0.5));
    assert!((metrics.log_loss - metrics.base_rate_log_loss).abs() < 1e-7);
    assert!((metrics.base_rate_log_loss - 0.500_402_423_538_188).abs() < 1e-12);
}

#[test]
fn one_sided_labels_have_no_auc_and_no_rows_no_metrics() {
    assert_eq!(collect(&[(1.0, true), (2.0, true)]).metrics().unwrap().auc, None);
    assert_eq!(base_rate_log_loss(7, 7), 0.0);
    assert_eq!(Accumulator::default().metrics(), None);
}

#[test]
fn extreme_margins_keep_their_order_and_a_finite_loss() {
    let metrics =
        collect(&[(300.0, true), (200.0, false), (-200.0, true), (-300.0, false)]).metrics().unwrap();
    assert_eq!(metrics.auc, Some(0.75));
    assert_eq!(metrics.log_loss, 100.0);
}

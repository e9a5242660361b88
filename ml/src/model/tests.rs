use cirrus_protocol::partition::DecodedBlock;
use proptest::prelude::*;

use super::{Logistic, Model, Rows, Scratch};
use crate::optimizer::tests::{all, golden, numbers};
use crate::optimizer::{Adagrad, AdagradCell, Optimizer, Penalty, Sgd, SgdCell, WithOptimizer};
use crate::testing::{Row, block, planted_rows, rows};

const PLAIN: Logistic = penalised(0.0, 0.0);

const fn penalised(l1: f32, l2: f32) -> Logistic {
    Logistic { penalty: Penalty { l1, l2 } }
}

fn learn<O: Optimizer>(model: Logistic, optimizer: O, block: &DecodedBlock, cells: &mut [O::Local]) -> f64 {
    model.learn(optimizer, Rows { block, order: None }, cells, &mut Scratch::default())
}

/// Trains from untrained cells for some passes; the cells and the sum of losses.
fn train<O: Optimizer>(
    model: Logistic,
    optimizer: O,
    block: &DecodedBlock,
    passes: u32,
) -> (Vec<O::Local>, f64) {
    let mut cells = vec![optimizer.begin(optimizer.initial()); block.keys.len() + 1];
    let loss = (0..passes).map(|_| learn(model, optimizer, block, &mut cells)).sum();
    (cells, loss)
}

/// The objective of one row, in double precision, from its definition.
fn objective(weights: &[f64], bias: f64, row: &Row) -> f64 {
    let (label, features) = row;
    let product = |(k, x): &(u32, f32)| weights[*k as usize] * f64::from(*x);
    let z = features.iter().map(product).sum::<f64>() + bias;
    z.exp().ln_1p() - f64::from(*label) * z
}

proptest! {
    /// A step of plain SGD is the gradient times the rate: it must be what finite differences of the loss say. The
    /// penalty of the row follows it.
    #[test]
    fn the_gradient_is_that_of_the_objective(
        (label, features) in (prop_oneof![Just(0.0_f32), Just(1.0)],
            proptest::collection::btree_map(0_u32..64, prop_oneof![Just(1.0_f32), -3.0_f32..3.0], 1..20)),
        weights in proptest::collection::vec(-0.5_f32..0.5, 65),
        l2 in prop_oneof![Just(0.0_f32), 0.0_f32..2.0],
    ) {
        let row: Row = (label, features.into_iter().collect());
        let one = block(6, std::slice::from_ref(&row));
        let rate = 1.0 / 64.0;
        let mut cells: Vec<_> = one.keys.iter().map(|key| SgdCell { weight: weights[*key as usize] }).collect();
        cells.push(SgdCell { weight: weights[64] });
        let before = cells.clone();
        learn(penalised(0.0, l2), Sgd { rate }, &one, &mut cells);

        let exact: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
        let h = 1e-5;
        for (i, (before, after)) in before.iter().zip(&cells).enumerate() {
            let key = one.keys.get(i).map(|key| *key as usize);
            let at = |h: f64| {
                let (mut weights, mut bias) = (exact.clone(), exact[64]);
                match key {
                    Some(key) => weights[key] += h,
                    None => bias += h,
                }
                objective(&weights, bias, &row)
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            let kept = if key.is_some() { 1.0 - f64::from(rate * l2) } else { 1.0 };
            let stepped = (f64::from(before.weight) - f64::from(after.weight) / kept) / f64::from(rate);
            prop_assert!((numeric - stepped).abs() < 1e-4 * (1.0 + numeric.abs()), "{key:?}: {numeric} {stepped}");
        }
    }

    /// The path for values of 1 and the one for any values agree to the bit.
    #[test]
    fn implicit_and_written_ones_give_the_same_bits(rows in rows(true), l1 in prop_oneof![Just(0.0_f32), Just(0.1)]) {
        let implicit = block(6, &rows);
        prop_assert!(implicit.values.is_empty());
        let mut written = implicit.clone();
        written.values = vec![1.0; written.ids.len()];
        let model = penalised(l1, 0.01);
        let adagrad = Adagrad { rate: 0.5, initial: 0.5 };
        prop_assert_eq!(train(model, adagrad, &implicit, 2), train(model, adagrad, &written, 2));
        prop_assert_eq!(train(model, Sgd { rate: 0.1 }, &implicit, 2), train(model, Sgd { rate: 0.1 }, &written, 2));
    }

    /// The code with a penalty does without a penalty what the code without one does.
    #[test]
    fn a_penalty_of_zero_is_no_penalty(rows in rows(false)) {
        let block = block(6, &rows);
        let adagrad = Adagrad { rate: 0.5, initial: 0.5 };
        let with = train(penalised(f32::MIN_POSITIVE, 0.0), adagrad, &block, 2);
        prop_assert_eq!(with, train(PLAIN, adagrad, &block, 2));
    }

    /// Rows of any length, full groups or not, against a loop over plain numbers.
    #[test]
    fn the_kernel_does_what_a_plain_loop_does(rows in rows(false), ones in rows(true)) {
        for rows in [rows, ones] {
            let block = block(6, &rows);
            let (cells, loss) = train(penalised(0.02, 0.1), Adagrad { rate: 0.2, initial: 1.0 }, &block, 1);
            let (weights, expected) = plain_loop(&rows);
            for (i, cell) in cells.iter().enumerate() {
                let weight = weights[block.keys.get(i).map_or(64, |key| *key as usize)];
                prop_assert!((f64::from(cell.weight) - weight).abs() < 1e-5, "{i}: {cell:?} {weight}");
            }
            prop_assert!((loss - expected).abs() < 1e-5 * (1.0 + expected), "{loss} {expected}");
        }
    }

    #[test]
    fn an_order_is_the_same_as_rows_that_lie_in_it(rows in rows(false), seed in any::<u64>()) {
        let mut order = Vec::new();
        crate::order::of_rows(seed, Default::default(), rows.len() as u32, &mut order);
        let permuted: Vec<_> = order.iter().map(|row| rows[*row as usize].clone()).collect();
        let adagrad = Adagrad { rate: 0.2, initial: 1.0 };
        let by_order = {
            let block = block(6, &rows);
            let mut cells = vec![adagrad.begin(adagrad.initial()); block.keys.len() + 1];
            let taken = Rows { block: &block, order: Some(&order) };
            let loss = PLAIN.learn(adagrad, taken, &mut cells, &mut Scratch::default());
            (cells, loss)
        };
        prop_assert_eq!(by_order, train(PLAIN, adagrad, &block(6, &permuted), 1));
    }
}

/// One pass with AdaGrad at rate 0.2 from 1, l1 = 0.02, l2 = 0.1, in double precision: 64 weights and the bias.
fn plain_loop(rows: &[Row]) -> (Vec<f64>, f64) {
    let (mut weights, mut squares, mut loss) = (vec![0.0; 65], vec![1.0; 65], 0.0);
    for (label, features) in rows {
        let features: Vec<_> = features.iter().filter(|(_, x)| *x != 0.0).collect();
        let z = features.iter().map(|(k, x)| weights[*k as usize] * f64::from(*x)).sum::<f64>() + weights[64];
        loss += z.exp().ln_1p() - f64::from(*label) * z;
        let error = 1.0 / (1.0 + (-z).exp()) - f64::from(*label);
        for (k, x) in features {
            let k = *k as usize;
            let g = error * f64::from(*x);
            squares[k] += g * g;
            weights[k] -= 0.2 / f64::sqrt(squares[k]) * g;
        }
        for (w, squares) in weights.iter_mut().zip(&squares).take(64) {
            let rate = 0.2 / f64::sqrt(*squares);
            *w *= 1.0 - rate * 0.1;
            *w = w.signum() * (w.abs() - rate * 0.02).max(0.0);
        }
        squares[64] += error * error;
        weights[64] -= 0.2 / f64::sqrt(squares[64]) * error;
    }
    (weights, loss)
}

fn golden_block() -> DecodedBlock {
    let rows = [
        (1.0, vec![(0, 1.0), (2, 2.0)]),
        (0.0, vec![(1, 0.5), (3, 1.0)]),
        (1.0, vec![(0, 1.0), (1, 1.0)]),
        (0.0, vec![(2, -1.0), (3, 3.0)]),
        (1.0, vec![(0, 2.0), (3, 1.0)]),
    ];
    block(2, &rows)
}

fn assert_close(found: impl IntoIterator<Item = f32>, expected: &[f64]) {
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 3e-6, "{found}, expected {expected}");
    }
}

#[test]
fn three_passes_are_those_of_an_independent_implementation() {
    struct Passes(Logistic);
    impl WithOptimizer for Passes {
        type Output = (Vec<f32>, f64);
        fn call<O: Optimizer>(self, optimizer: O) -> Self::Output {
            let (cells, loss) = train(self.0, optimizer, &golden_block(), 3);
            (cells.into_iter().map(O::weight).collect(), loss)
        }
    }
    let cases = golden();
    let number = |case: &serde_json::Value, name: &str| case[name].as_f64().unwrap();
    for (name, _) in all(Penalty::default()) {
        let cases = cases["regression"][name].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let penalty = Penalty { l1: number(case, "l1") as f32, l2: number(case, "l2") as f32 };
            let (_, optimizer) = all(penalty).into_iter().find(|(other, _)| *other == name).unwrap();
            // FTRL's penalties are its own.
            let model = if name == "ftrl" { PLAIN } else { Logistic { penalty } };
            let (weights, loss) = optimizer.dispatch(Passes(model));
            assert_close(weights, &numbers(&case["weights"]));
            assert_close([loss as f32], &[number(case, "loss")]);
        }
    }
}

/// The penalties pull towards 0 from both sides, however strong, and leave the bias alone.
#[test]
fn penalties_pull_towards_zero_and_spare_the_bias() {
    // A pair of rows that contradict each other: the loss alone would pull weights 0 and 1 to 0 slowly.
    let block = block(2, &[(1.0, vec![(0, 1.0), (1, 1.0)]), (0.0, vec![(0, 1.0), (1, 1.0)])]);
    let start = |weight| {
        let cell = |weight| AdagradCell { weight, squares: 1.0 };
        vec![cell(weight), cell(-weight), cell(0.0)]
    };
    let adagrad = Adagrad { rate: 0.1, initial: 1.0 };
    for model in [penalised(0.0, 0.5), penalised(0.5, 0.0)] {
        let (mut plain, mut penalised) = (start(2.0), start(2.0));
        for _ in 0..10 {
            learn(PLAIN, adagrad, &block, &mut plain);
            learn(model, adagrad, &block, &mut penalised);
        }
        assert!(penalised[0].weight < plain[0].weight - 0.1 && penalised[0].weight >= 0.0, "{penalised:?}");
        assert!(penalised[1].weight > plain[1].weight + 0.1 && penalised[1].weight <= 0.0, "{penalised:?}");
        for _ in 0..3000 {
            learn(model, adagrad, &block, &mut penalised);
        }
        assert!(penalised.iter().all(|cell| cell.weight.abs() < 0.05), "{model:?}: {penalised:?}");
    }
    // Rows without features teach the bias alone: no penalty reaches it.
    let only_bias = crate::testing::block(2, &[(1.0, vec![]), (1.0, vec![])]);
    let strong = penalised(5.0, 5.0);
    assert_eq!(train(strong, adagrad, &only_bias, 50).0, train(PLAIN, adagrad, &only_bias, 50).0);
}

#[test]
fn l1_makes_weights_of_noise_exactly_zero() {
    // Keys 60 to 63 say nothing about the label.
    let mut random = crate::testing::Random(5);
    let mut rows = planted_rows(1, 4000);
    rows.iter_mut().for_each(|(_, features)| features.push((60 + random.below(4), 1.0)));
    let block = block(6, &rows);
    let adagrad = Adagrad { rate: 0.3, initial: 1.0 };
    let zeros = |model| train(model, adagrad, &block, 2).0.iter().filter(|cell| cell.weight == 0.0).count();
    assert_eq!(zeros(PLAIN), 0);
    let sparse = zeros(penalised(0.02, 0.0));
    assert!((5..30).contains(&sparse), "{sparse} weights are 0");
}

#[test]
fn a_model_that_leaves_the_finite_numbers_shows_it_in_the_loss() {
    let block = block(2, &[(1.0, vec![(0, 1.0)]), (0.0, vec![(0, 1.0), (1, 1.0)])]);
    let mut cells = vec![SgdCell { weight: f32::INFINITY }; 3];
    assert!(!learn(PLAIN, Sgd { rate: 0.1 }, &block, &mut cells).is_finite());
    let mut cells = vec![SgdCell { weight: f32::NAN }; 3];
    assert!(!learn(PLAIN, Sgd { rate: 0.1 }, &block, &mut cells).is_finite());
}

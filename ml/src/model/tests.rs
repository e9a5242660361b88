use cirrus_protocol::partition::DecodedBlock;
use proptest::prelude::*;

use super::{Logistic, Model, Rows, Scratch};
use crate::optimizer::{Adagrad, AdagradCell, Optimizer, Sgd, SgdCell};
use crate::testing::{Row, block, planted_rows, rows};

const PLAIN: Logistic = Logistic { l1: 0.0, l2: 0.0 };

fn learn<O: Optimizer>(model: Logistic, optimizer: O, block: &DecodedBlock, cells: &mut [O::Cell]) -> f64 {
    model.learn(optimizer, Rows { block, order: None }, cells, &mut Scratch::default())
}

/// Trains from untrained cells for some passes; the cells and the sum of losses.
fn train<O: Optimizer>(
    model: Logistic,
    optimizer: O,
    block: &DecodedBlock,
    passes: u32,
) -> (Vec<O::Cell>, f64) {
    let mut cells = vec![optimizer.initial(); block.keys.len() + 1];
    let loss = (0..passes).map(|_| learn(model, optimizer, block, &mut cells)).sum();
    (cells, loss)
}

/// The objective of one row, in double precision, from its definition.
fn objective(weights: &[f64], bias: f64, row: &Row, l2: f64) -> f64 {
    let (label, features) = row;
    let product = |(k, x): &(u32, f32)| weights[*k as usize] * f64::from(*x);
    let z = features.iter().map(product).sum::<f64>() + bias;
    let squares: f64 = features.iter().map(|(k, _)| weights[*k as usize].powi(2)).sum();
    z.exp().ln_1p() - f64::from(*label) * z + l2 / 2.0 * squares
}

proptest! {
    /// A step of plain SGD is the gradient times the rate: it must be what finite differences of the objective say.
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
        learn(Logistic { l1: 0.0, l2 }, Sgd { rate }, &one, &mut cells);

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
                objective(&weights, bias, &row, f64::from(l2))
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            let stepped = f64::from((before.weight - after.weight) / rate);
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
        let model = Logistic { l1, l2: 0.01 };
        let adagrad = Adagrad { rate: 0.5, initial: 0.5 };
        prop_assert_eq!(train(model, adagrad, &implicit, 2), train(model, adagrad, &written, 2));
        prop_assert_eq!(train(model, Sgd { rate: 0.1 }, &implicit, 2), train(model, Sgd { rate: 0.1 }, &written, 2));
    }

    /// The code with an L1 step does without a penalty what the code without one does.
    #[test]
    fn a_penalty_of_zero_is_no_penalty(rows in rows(false)) {
        let block = block(6, &rows);
        let adagrad = Adagrad { rate: 0.5, initial: 0.5 };
        let with = train(Logistic { l1: f32::MIN_POSITIVE, l2: 0.0 }, adagrad, &block, 2);
        prop_assert_eq!(with, train(PLAIN, adagrad, &block, 2));
    }

    /// Rows of any length, full groups or not, against a loop over plain numbers.
    #[test]
    fn the_kernel_does_what_a_plain_loop_does(rows in rows(false), ones in rows(true)) {
        for rows in [rows, ones] {
            let block = block(6, &rows);
            let (cells, loss) = train(Logistic { l1: 0.05, l2: 0.1 }, Adagrad { rate: 0.2, initial: 1.0 }, &block, 1);
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
            let mut cells = vec![adagrad.initial(); block.keys.len() + 1];
            let taken = Rows { block: &block, order: Some(&order) };
            let loss = PLAIN.learn(adagrad, taken, &mut cells, &mut Scratch::default());
            (cells, loss)
        };
        prop_assert_eq!(by_order, train(PLAIN, adagrad, &block(6, &permuted), 1));
    }
}

/// One pass with AdaGrad at rate 0.2 from 1, l1 = 0.05, l2 = 0.1, in double precision: 64 weights and the bias.
fn plain_loop(rows: &[Row]) -> (Vec<f64>, f64) {
    let (mut weights, mut squares, mut loss) = (vec![0.0; 65], vec![1.0; 65], 0.0);
    for (label, features) in rows {
        let features: Vec<_> = features.iter().filter(|(_, x)| *x != 0.0).collect();
        let z = features.iter().map(|(k, x)| weights[*k as usize] * f64::from(*x)).sum::<f64>() + weights[64];
        loss += z.exp().ln_1p() - f64::from(*label) * z;
        let error = 1.0 / (1.0 + (-z).exp()) - f64::from(*label);
        for (k, x) in features {
            let k = *k as usize;
            let g = error * f64::from(*x) + 0.1 * weights[k];
            squares[k] += g * g;
            let rate = 0.2 / f64::sqrt(squares[k]);
            let w: f64 = weights[k] - rate * g;
            weights[k] = w.signum() * (w.abs() - rate * 0.05).max(0.0);
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

// Golden values, in double precision:
// python3 -c 'import numpy as np
// X=np.array([[1,0,2,0],[0,.5,0,1],[1,1,0,0],[0,0,-1,3],[2,0,0,1]]);y=np.array([1,0,1,0,1])
// def run(l1,l2,ada):
//   w=np.zeros(5);s=np.ones(5);loss=0
//   for _ in range(3):
//     for x,t in zip(X,y):
//       x=np.append(x,1);m=x!=0;z=w@x;loss+=np.logaddexp(0,z)-t*z
//       g=(1/(1+np.exp(-z))-t)*x+l2*w*(np.arange(5)<4);s[m]+=g[m]**2
//       r=.5/np.sqrt(s) if ada else np.full(5,.1);w[m]-=(r*g)[m]
//       k=m&(np.arange(5)<4);w[k]=(np.sign(w)*np.maximum(abs(w)-r*l1,0))[k]
//   print(w.tolist(),s.tolist(),loss)
// run(0,0,1);run(0,.3,1);run(.2,.1,1);run(0,0,0);run(.2,.1,0)'
#[test]
fn three_passes_are_those_of_an_independent_implementation() {
    let block = golden_block();
    let adagrad = Adagrad { rate: 0.5, initial: 1.0 };
    let weights = |cells: &[AdagradCell]| cells.iter().map(|cell| cell.weight).collect::<Vec<_>>();
    let squares = |cells: &[AdagradCell]| cells.iter().map(|cell| cell.squares).collect::<Vec<_>>();

    let (cells, loss) = train(PLAIN, adagrad, &block, 3);
    assert_close(weights(&cells), &[1.1991989988, 0.1064981131, 0.6662613593, -0.7366212203, 0.2398153434]);
    assert_close(squares(&cells), &[2.6504858091, 1.5561467887, 2.2059902104, 2.8842707712, 2.7229243954]);
    assert_close([loss as f32], &[5.7386394742]);

    let (cells, loss) = train(Logistic { l1: 0.0, l2: 0.3 }, adagrad, &block, 3);
    assert_close(weights(&cells), &[0.8667545231, 0.1126112849, 0.5076378159, -0.4850225841, 0.2610085995]);
    assert_close(squares(&cells), &[2.1468598151, 1.6878339839, 2.0746237226, 3.0890305551, 2.9182010642]);
    assert_close([loss as f32], &[6.2985396748]);

    let (cells, loss) = train(Logistic { l1: 0.2, l2: 0.1 }, adagrad, &block, 3);
    assert_close(weights(&cells), &[0.6982580777, 0.0471959475, 0.4118668365, -0.3405449211, 0.2556208247]);
    assert_close(squares(&cells), &[3.1454879854, 1.6814973395, 2.4110054731, 4.3681502116, 3.2777460293]);
    assert_close([loss as f32], &[7.2091668159]);

    let (cells, loss) = train(PLAIN, Sgd { rate: 0.1 }, &block, 3);
    let expected = [0.5005420464, 0.0568592091, 0.3328199620, -0.3316258441, 0.1212723878];
    assert_close(cells.iter().map(|cell| cell.weight), &expected);
    assert_close([loss as f32], &[8.2153925919]);

    let (cells, loss) = train(Logistic { l1: 0.2, l2: 0.1 }, Sgd { rate: 0.1 }, &block, 3);
    let expected = [0.3378516536, 0.0216952699, 0.2402661231, -0.1897408359, 0.1216829894];
    assert_close(cells.iter().map(|cell| cell.weight), &expected);
    assert_close([loss as f32], &[8.9367410474]);
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
    for model in [Logistic { l1: 0.0, l2: 0.5 }, Logistic { l1: 0.5, l2: 0.0 }] {
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
    let strong = Logistic { l1: 5.0, l2: 5.0 };
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
    let sparse = zeros(Logistic { l1: 0.2, l2: 0.0 });
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

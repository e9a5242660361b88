use proptest::prelude::*;

use super::{Adagrad, AdagradCell, Floats, Optimizer, Sgd, SgdCell, moved, towards_zero};

const GRADIENTS: [f32; 5] = [0.5, -0.25, 1.0, 0.0, -2.0];

fn close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, expected {expected}");
}

// Golden values of both tests, in double precision:
// python3 -c 'import numpy as np
// g=[.5,-.25,1,0,-2]; w=v=0.; s=1.
// for x in g: s+=x*x; w-=.1*x/np.sqrt(s); v-=.1*x; print(w,s,v)
// w,s=.3,1.
// for x in g: s+=x*x; r=.1/np.sqrt(s); w-=r*x; w=np.sign(w)*max(abs(w)-r*.5,0); print(w,s)'

#[test]
fn steps_are_those_of_an_independent_implementation() {
    let adagrad = Adagrad { rate: 0.1, initial: 1.0 };
    let golden = [
        (-0.044_721_359_549_995_794, 1.25, -0.05),
        (-0.022_899_570_526_396_552, 1.3125, -0.025),
        (-0.088_659_165_448_539_47, 2.3125, -0.125),
        (-0.088_659_165_448_539_47, 2.3125, -0.125),
        (-0.009_056_190_231_740_327, 6.3125, 0.075),
    ];
    let (mut a, mut s) = (adagrad.initial(), Sgd { rate: 0.1 }.initial());
    for (gradient, (weight, squares, sgd)) in GRADIENTS.into_iter().zip(golden) {
        a = adagrad.step(a, gradient);
        s = Sgd { rate: 0.1 }.step(s, gradient);
        close(a.weight, weight);
        close(a.squares, squares);
        close(s.weight, sgd);
    }
}

#[test]
fn steps_with_l1_are_those_of_an_independent_implementation() {
    let adagrad = Adagrad { rate: 0.1, initial: 1.0 };
    let golden = [
        0.210_557_280_900_008_41,
        0.188_735_491_876_409_17,
        0.090_096_099_493_194_79,
        0.057_216_302_032_123_33,
        0.116_918_533_444_722_67,
    ];
    let mut cell = AdagradCell { weight: 0.3, squares: 1.0 };
    for (gradient, weight) in GRADIENTS.into_iter().zip(golden) {
        cell = adagrad.shrink(adagrad.step(cell, gradient), 0.5);
        close(cell.weight, weight);
    }
}

#[test]
fn l1_stops_at_zero_from_both_sides() {
    for (weight, distance, expected) in [
        (0.3, 0.1, 0.2),
        (-0.3, 0.1, -0.2),
        (0.3, 0.4, 0.0),
        (-0.3, 0.4, 0.0),
        (0.0, 0.1, 0.0),
        (0.3, 0.0, 0.3),
    ] {
        assert!((towards_zero(weight, distance) - expected).abs() < 1e-7, "{weight} {distance}");
    }
    assert!(towards_zero(f32::NAN, 0.1).is_nan(), "a weight that is lost is not hidden");
}

#[test]
fn a_difference_that_is_rounding_error_is_zero() {
    assert_eq!(moved(0.3, 0.3 * (1.0 + f32::EPSILON)), 0.0);
    assert_eq!(moved(-0.3, -0.3 * (1.0 - f32::EPSILON)), 0.0);
    assert_ne!(moved(0.3, 0.3 * (1.0 + 1e-5)), 0.0);
    assert_eq!(moved(0.0, 1e-20), -1e-20);
    assert!(moved(f32::NAN, 0.0).is_nan() && moved(f32::INFINITY, 0.0).is_infinite());
}

#[test]
fn updates_that_would_spoil_a_cell_are_not_accepted() {
    assert!((0..3).all(|column| Adagrad::accepts(column, 0.0) && Adagrad::accepts(column, 1.0)));
    assert!(Adagrad::accepts(0, -1.0) && Sgd::accepts(0, -1.0), "gradients have both signs");
    assert!(!Adagrad::accepts(1, -0.1) && !Adagrad::accepts(2, -0.1), "sums of squares do not");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!Sgd::accepts(0, bad) && (0..3).all(|column| !Adagrad::accepts(column, bad)));
    }
}

#[test]
fn of_two_concurrent_workers_the_later_is_damped() {
    let adagrad = Adagrad { rate: 0.1, initial: 1.0 };
    let start = adagrad.initial();
    let [one, other] = [0.8, 1.5].map(|g| (0..20).fold(start, |cell, _| adagrad.step(cell, g)));
    let [u, v] = [one, other].map(|end| adagrad.update(start, end));
    let both = adagrad.apply(adagrad.apply(start, u), v);
    let reverse = adagrad.apply(adagrad.apply(start, v), u);
    let sum = one.weight + other.weight;
    assert_eq!(both.squares, reverse.squares, "what is remembered does not depend on the order");
    for cell in [both, reverse] {
        assert!(cell.weight < one.weight.min(other.weight), "both count");
        assert!(cell.weight > sum, "together they go less far than each by itself: {} {sum}", cell.weight);
    }
    // What others have added since the worker read: 9 - 6. The update goes 4 / (4 + 3) of its way.
    let cell = adagrad.apply(AdagradCell { weight: 1.0, squares: 9.0 }, [2.0, 4.0, 6.0]);
    close(cell.weight, 1.0 - 0.1 * (4.0 / 7.0) * 2.0 / 13.0_f64.sqrt());
    assert_eq!(cell.squares, 13.0);
    // A cell that was put back to before the read (a store that restarted) raced with nobody.
    let cell = adagrad.apply(AdagradCell { weight: 1.0, squares: 5.0 }, [2.0, 4.0, 6.0]);
    close(cell.weight, 1.0 - 0.1 * 2.0 / 3.0);
    // An update that taught nothing moves nothing, and is no division of 0 by 0.
    let cell = AdagradCell { weight: 1.0, squares: 5.0 };
    assert_eq!(adagrad.apply(cell, [0.0, 0.0, 5.0]), cell);
    assert_eq!(adagrad.apply(cell, [0.0, 0.0, 3.0]), cell);
    // Without memory, updates add up.
    let sgd = Sgd { rate: 0.1 };
    let sum = sgd.apply(sgd.apply(sgd.initial(), [2.0]), [3.0]);
    close(sum.weight, -0.5);
}

/// Many local steps, then the effective gradient applied to the start, must arrive at the local end.
fn round_trip<O: Optimizer>(optimizer: O, start: O::Cell, gradients: &[f32], l1: f32) -> (O::Cell, O::Cell) {
    let local = gradients.iter().fold(start, |cell, g| optimizer.shrink(optimizer.step(cell, *g), l1));
    let update = optimizer.update(start, local);
    assert!((0..O::Update::COUNT).all(|column| O::accepts(column, update.get(column))));
    (local, optimizer.apply(start, update))
}

proptest! {
    #[test]
    fn without_staleness_the_store_arrives_where_the_worker_did(
        weight in -2.0_f32..2.0,
        squares in 0.1_f32..100.0,
        gradients in proptest::collection::vec(-1.0_f32..1.0, 0..50),
        l1 in prop_oneof![Just(0.0_f32), Just(0.5)],
        rate in 0.001_f32..1.0,
    ) {
        let tolerance = 1e-6 * (1.0 + weight.abs());
        let (local, applied) =
            round_trip(Adagrad { rate, initial: 1.0 }, AdagradCell { weight, squares }, &gradients, l1);
        prop_assert!((local.weight - applied.weight).abs() <= tolerance, "{local:?} {applied:?}");
        prop_assert!((local.squares - applied.squares).abs() <= 1e-6 * local.squares);
        prop_assert_eq!(local.weight == 0.0, applied.weight == 0.0, "zeros arrive as zeros");
        let (local, applied) = round_trip(Sgd { rate }, SgdCell { weight }, &gradients, l1);
        prop_assert!((local.weight - applied.weight).abs() <= tolerance, "{local:?} {applied:?}");
    }

    #[test]
    fn cells_survive_the_way_over_the_wire(weight in any::<f32>(), squares in any::<f32>()) {
        let cell = AdagradCell { weight, squares };
        let back = AdagradCell::from_fn(|i| cell.get(i));
        prop_assert_eq!(back.weight.to_bits(), weight.to_bits());
        prop_assert_eq!(back.squares.to_bits(), squares.to_bits());
    }
}

#[test]
fn a_scaled_optimizer_steps_by_the_scaled_rate() {
    let (full, half) = (Adagrad { rate: 0.2, initial: 1.0 }, Adagrad { rate: 0.1, initial: 1.0 });
    assert_eq!(full.scaled(0.5).step(full.initial(), 0.7), half.step(half.initial(), 0.7));
    assert_eq!(Sgd { rate: 0.2 }.scaled(0.5), Sgd { rate: 0.1 });
    // The store knows the full rate alone; what a scaled worker did arrives all the same.
    let local = full.scaled(0.5).step(full.initial(), 0.7);
    let applied = full.apply(full.initial(), full.update(full.initial(), local));
    assert!((applied.weight - local.weight).abs() < 1e-7);
}

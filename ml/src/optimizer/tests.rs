use proptest::prelude::*;
use serde_json::Value;

use super::{
    Adagrad, AdagradCell, Adam, AnyOptimizer, Floats, Ftrl, Momentum, Nesterov, NormalizedAdagrad, Optimizer,
    Penalty, Sgd, WithOptimizer, moved,
};

/// What `ml/testdata/optimizers/golden.py` printed.
pub(crate) fn golden() -> Value {
    serde_json::from_str(include_str!("../../testdata/optimizers/golden.json")).unwrap()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The optimisers of the golden values, by name.
pub(crate) fn all(penalty: Penalty) -> [(&'static str, AnyOptimizer); 7] {
    let momentum = Momentum { rate: 0.05, momentum: 0.5 };
    [
        ("sgd", AnyOptimizer::Sgd(Sgd { rate: 0.1 })),
        ("momentum", AnyOptimizer::Momentum(momentum)),
        ("nesterov", AnyOptimizer::Nesterov(Nesterov(momentum))),
        ("adagrad", AnyOptimizer::Adagrad(Adagrad { rate: 0.5, initial: 1.0 })),
        (
            "normalized_adagrad",
            AnyOptimizer::NormalizedAdagrad(NormalizedAdagrad { rate: 0.5, initial: 1.0 }),
        ),
        ("adam", AnyOptimizer::Adam(Adam { rate: 0.1, beta1: 0.8, beta2: 0.9, epsilon: 1e-8 })),
        ("ftrl", AnyOptimizer::Ftrl(Ftrl { rate: 0.5, beta: 1.0, penalty })),
    ]
}

fn close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, expected {expected}");
}

/// Values of a feature and the gradients that they had, as in the golden values.
const STEPS: [(f32, f32); 6] = [(1.0, 0.5), (0.5, -0.25), (2.0, 1.0), (1.0, 0.0), (-4.0, -2.0), (1.0, 0.75)];

fn walk<O: Optimizer>(optimizer: O, from: O::Cell, steps: &[(f32, f32)]) -> O::Local {
    steps.iter().fold(optimizer.begin(from), |local, (value, gradient)| {
        optimizer.step(optimizer.meet(local, *value), *gradient)
    })
}

#[test]
fn steps_are_those_of_an_independent_implementation() {
    struct Steps(Vec<f64>);
    impl WithOptimizer for Steps {
        type Output = ();
        fn call<O: Optimizer>(self, optimizer: O) {
            for (count, expected) in (1..).zip(&self.0) {
                close(O::weight(walk(optimizer, optimizer.initial(), &STEPS[..count])), *expected);
            }
            assert_eq!(self.0.len(), STEPS.len());
        }
    }
    for (name, optimizer) in all(Penalty::default()) {
        optimizer.dispatch(Steps(numbers(&golden()["steps"][name])));
    }
}

#[test]
fn penalties_taken_up_late_are_those_taken_row_by_row() {
    let cases = golden()["late"].as_array().unwrap().clone();
    for case in &cases {
        let number = |name: &str| case[name].as_f64().unwrap();
        let penalty = Penalty { l1: number("l1") as f32, l2: number("l2") as f32 };
        close(
            penalty.after(number("weight") as f32, number("rate") as f32, number("steps")),
            number("after"),
        );
    }
    assert_eq!(cases.len(), 32);
    assert!(Penalty { l1: 0.1, l2: 0.1 }.after(f32::NAN, 0.1, 3.0).is_nan(), "what is lost is not hidden");
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
    struct Accepts(&'static [usize]);
    impl WithOptimizer for Accepts {
        type Output = ();
        fn call<O: Optimizer>(self, _: O) {
            for column in 0..O::Update::COUNT {
                assert!(O::accepts(column, 0.0) && O::accepts(column, 1.0));
                assert_eq!(O::accepts(column, -1.0), self.0.contains(&column), "column {column}");
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    assert!(!O::accepts(column, bad));
                }
            }
        }
    }
    // Ways, gradients, velocities and means have both signs; sums of squares, counts and scales do not.
    let signed: [&[usize]; 7] = [&[0], &[0, 1, 2], &[0, 1, 2], &[0], &[0], &[0, 1], &[0]];
    for ((_, optimizer), signed) in all(Penalty::default()).into_iter().zip(signed) {
        optimizer.dispatch(Accepts(signed));
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

/// Equal updates race: the second of two goes half of its way where races are damped.
#[test]
fn races_are_damped_by_what_others_have_learnt() {
    struct Race;
    impl WithOptimizer for Race {
        type Output = [f32; 2];
        fn call<O: Optimizer>(self, optimizer: O) -> [f32; 2] {
            let start = optimizer.end(walk(optimizer, optimizer.initial(), &STEPS));
            let update = optimizer.update(start, walk(optimizer, start, &[(1.0, 0.4); 50]));
            let once = optimizer.apply(start, update);
            let weight = |cell| O::weight(optimizer.begin(cell));
            [once, optimizer.apply(once, update)].map(|cell| weight(start) - weight(cell))
        }
    }
    for (name, optimizer) in all(Penalty::default()) {
        let [once, twice] = optimizer.dispatch(Race);
        let expected = match name {
            "sgd" | "momentum" | "nesterov" => 1.9..2.1,
            _ => 1.2..1.6,
        };
        assert!(expected.contains(&(twice / once)), "{name}: {once} once, {twice} in a race");
    }
}

/// Velocities and means are linear in what they start from: updates of workers that race, whose gradients do not
/// depend on the cells, compose to what the steps of one after those of the other give.
#[test]
fn what_is_remembered_composes_as_if_nobody_had_raced() {
    struct Compose;
    impl WithOptimizer for Compose {
        type Output = ();
        fn call<O: Optimizer>(self, optimizer: O) {
            let start = optimizer.end(walk(optimizer, optimizer.initial(), &STEPS));
            let (one, other) = STEPS.split_at(2);
            let [u, v] = [one, other].map(|steps| optimizer.update(start, walk(optimizer, start, steps)));
            let raced = optimizer.apply(optimizer.apply(start, u), v);
            let in_turn = optimizer.end(walk(optimizer, start, &STEPS));
            // The first of an Adam cell is its weight, whose way is damped.
            let first = usize::from(O::Cell::COUNT == 4);
            for i in first..O::Cell::COUNT {
                close(raced.get(i), in_turn.get(i).into());
            }
        }
    }
    for (name, optimizer) in all(Penalty::default()) {
        if ["sgd", "momentum", "nesterov", "adam"].contains(&name) {
            optimizer.dispatch(Compose);
        }
    }
}

#[test]
fn a_unit_changes_nothing_where_steps_are_normalised() {
    let optimizer = NormalizedAdagrad { rate: 0.5, initial: 1.0 };
    // A feature in units of a 64th: values and gradients are 64 times as large.
    let larger = STEPS.map(|(value, gradient)| (value * 64.0, gradient * 64.0));
    let [plain, scaled] = [STEPS, larger].map(|steps| walk(optimizer, optimizer.initial(), &steps));
    assert_eq!(plain.weight, scaled.weight * 64.0);
    assert_ne!(plain.weight, 0.0);
    // Where values are 1 it is AdaGrad, to the rounding.
    let adagrad = Adagrad { rate: 0.5, initial: 1.0 };
    let ones = STEPS.map(|(_, gradient)| (1.0, gradient));
    let (one, other) = (walk(optimizer, optimizer.initial(), &ones), walk(adagrad, adagrad.initial(), &ones));
    close(one.weight, other.weight.into());
    // A feature without a value but 0 has no gradient, and moves nothing.
    let still = walk(optimizer, optimizer.initial(), &[(0.0, 0.0); 3]);
    assert_eq!(optimizer.apply(still, optimizer.update(still, still)), still);
}

#[test]
fn gradients_that_cancel_leave_an_ftrl_weight_at_zero() {
    let optimizer = Ftrl { rate: 0.5, beta: 1.0, penalty: Penalty { l1: 0.6, l2: 0.0 } };
    let weak = walk(optimizer, optimizer.initial(), &[(1.0, 0.5), (1.0, -0.4), (1.0, 0.4)]);
    assert_eq!(Ftrl::weight(weak), 0.0);
    let strong = walk(optimizer, optimizer.initial(), &[(1.0, 0.5); 3]);
    assert!(Ftrl::weight(strong) < -0.1);
}

/// Many local steps, then the effective gradient applied to the start, must arrive at the local end.
struct RoundTrip<'a> {
    before: &'a [(f32, f32)],
    steps: &'a [(f32, f32)],
    penalty: Penalty,
}

impl WithOptimizer for RoundTrip<'_> {
    type Output = Result<(), TestCaseError>;
    fn call<O: Optimizer>(self, optimizer: O) -> Self::Output {
        let start = optimizer.end(walk(optimizer, optimizer.initial(), self.before));
        let local = self.steps.iter().fold(optimizer.begin(start), |local, (value, gradient)| {
            optimizer.penalise(optimizer.step(optimizer.meet(local, *value), *gradient), self.penalty, 3.0)
        });
        let update = optimizer.update(start, local);
        for column in 0..O::Update::COUNT {
            prop_assert!(O::accepts(column, update.get(column)), "{:?} {update:?}", optimizer);
        }
        let applied = optimizer.begin(optimizer.apply(start, update));
        let (local, applied) =
            ((O::weight(local), optimizer.end(local)), (O::weight(applied), optimizer.end(applied)));
        let tolerance = 4e-6 * (1.0 + local.0.abs());
        prop_assert!((local.0 - applied.0).abs() <= tolerance, "{local:?} {applied:?}");
        prop_assert_eq!(local.0 == 0.0, applied.0 == 0.0, "zeros arrive as zeros: {:?} {:?}", local, applied);
        for i in 0..O::Cell::COUNT {
            let (one, other) = (local.1.get(i), applied.1.get(i));
            prop_assert!((one - other).abs() <= 1e-5 * (1.0 + one.abs()), "{local:?} {applied:?}");
        }
        Ok(())
    }
}

/// Values and gradients of a coordinate.
fn steps(count: core::ops::Range<usize>) -> impl Strategy<Value = Vec<(f32, f32)>> {
    let value = prop_oneof![Just(1.0_f32), 0.1_f32..3.0];
    proptest::collection::vec((value, -1.0_f32..1.0).prop_map(|(x, e)| (x, x * e)), count)
}

proptest! {
    #[test]
    fn without_staleness_the_store_arrives_where_the_worker_did(
        before in steps(0..20),
        steps in steps(0..50),
        l1 in prop_oneof![Just(0.0_f32), Just(0.05)],
        l2 in prop_oneof![Just(0.0_f32), Just(0.1)],
    ) {
        let penalty = Penalty { l1, l2 };
        for (_, optimizer) in all(Penalty::default()) {
            optimizer.dispatch(RoundTrip { before: &before, steps: &steps, penalty })?;
        }
    }

    #[test]
    fn it_does_not_matter_when_penalties_are_taken_up(
        weight in -2.0_f32..2.0, l1 in 0.0_f32..0.1, l2 in 0.0_f32..0.5, steps in (0_u32..500, 0_u32..500),
    ) {
        let penalty = Penalty { l1, l2 };
        let parts = [steps.0, steps.1].into_iter().fold(weight, |w, steps| penalty.after(w, 0.1, steps.into()));
        let whole = penalty.after(weight, 0.1, (steps.0 + steps.1).into());
        prop_assert!((parts - whole).abs() <= 1e-6, "{parts} {whole}");
    }

    #[test]
    fn cells_survive_the_way_over_the_wire(values in proptest::array::uniform4(any::<f32>())) {
        struct Wire([f32; 4]);
        impl WithOptimizer for Wire {
            type Output = bool;
            fn call<O: Optimizer>(self, _: O) -> bool {
                let cell = O::Cell::from_fn(|i| self.0[i]);
                (0..O::Cell::COUNT).all(|i| cell.get(i).to_bits() == self.0[i].to_bits())
            }
        }
        for (name, optimizer) in all(Penalty::default()) {
            prop_assert!(optimizer.dispatch(Wire(values)), "{name}");
        }
    }
}

#[test]
fn a_scaled_optimizer_steps_by_the_scaled_rate() {
    struct Scaled;
    impl WithOptimizer for Scaled {
        type Output = [f32; 3];
        fn call<O: Optimizer>(self, full: O) -> [f32; 3] {
            let (start, half) = (full.initial(), full.scaled(0.5));
            let [whole, local] = [full, half].map(|optimizer| walk(optimizer, start, &[(1.0, 0.7)]));
            // The store knows the full rate alone; what a scaled worker did arrives all the same.
            let applied = full.begin(full.apply(start, full.update(start, local)));
            [whole, local, applied].map(O::weight)
        }
    }
    for (name, optimizer) in all(Penalty::default()) {
        let [whole, local, applied] = optimizer.dispatch(Scaled);
        // Another rate would change FTRL's weights where nobody steps.
        close(local, f64::from(whole) * if name == "ftrl" { 1.0 } else { 0.5 });
        close(applied, local.into());
    }
}

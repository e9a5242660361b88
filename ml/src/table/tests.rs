use cirrus_core::ids::{BlockId, CallId, GradientName, Pass};
use cirrus_protocol::gradient::{KeyReference, Update, encode, view_floats};
use cirrus_protocol::keys;
use cirrus_runtime::table::{Origin, Table, TableError};
use proptest::prelude::*;

use super::{LISTS, new};
use crate::job::TrainJob;
use crate::optimizer::{AdagradCell, Penalty, cells_of};
use crate::testing::{Row, block, planted_rows};

const ORIGIN: Origin = Origin { pass: Pass(0), rows: 100 };

fn job(parameters: &str) -> TrainJob {
    TrainJob::from_json(format!(r#"{{"hash_bits": 4{parameters}}}"#).as_bytes()).unwrap()
}

fn key_list(keys: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    keys::encode(keys, &mut bytes).unwrap();
    bytes
}

fn update(columns: &[&[f32]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(KeyReference::Inline(&[]), columns, &mut bytes).unwrap();
    bytes
}

fn read(table: &mut dyn Table, keys: &[u8]) -> Vec<AdagradCell> {
    let mut bytes = Vec::new();
    table.read(keys, &mut bytes);
    cells_of(view_floats(&bytes).unwrap()).collect()
}

#[test]
fn updates_reach_their_keys_and_no_other() {
    let mut table = new(&job(r#", "rate": 0.5, "adagrad_initial": 1"#));
    let keys = [key_list(&[2, 7]), key_list(&[16])].concat();
    let bytes = update(&[&[1.0, -2.0, 0.5], &[3.0, 8.0, 0.0], &[1.0; 3]]);
    let update = Update::parse(&bytes).unwrap();
    table.check_keys(&keys).unwrap();
    table.check_update(&keys, update).unwrap();
    table.apply(&keys, update, ORIGIN);

    let cell = |weight, squares| AdagradCell { weight, squares };
    let touched = [cell(-0.25, 4.0), cell(1.0 / 3.0, 9.0), cell(-0.25, 1.0)];
    assert_eq!(read(table.as_mut(), &keys), touched);
    let mut all = vec![cell(0.0, 1.0); 17];
    [2, 7, 16].into_iter().zip(touched).for_each(|(key, cell): (usize, _)| all[key] = cell);
    assert_eq!(read(table.as_mut(), &[]), all);
    assert_eq!(read(table.as_mut(), &key_list(&[6, 7])), [cell(0.0, 1.0), cell(1.0 / 3.0, 9.0)]);
}

#[test]
fn an_update_without_keys_is_for_all_cells() {
    let mut table = new(&job(r#", "optimizer": "sgd", "rate": 1"#));
    let column: Vec<f32> = (0_u8..17).map(f32::from).collect();
    let bytes = update(&[&column]);
    let update = Update::parse(&bytes).unwrap();
    table.check_keys(&[]).unwrap();
    table.check_update(&[], update).unwrap();
    table.apply(&[], update, ORIGIN);
    let mut cells = Vec::new();
    table.read(&[], &mut cells);
    let cells: Vec<_> = view_floats(&cells).unwrap().iter().map(|float| -float.get()).collect();
    assert_eq!(cells, column);
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let table = new(&job(""));
    for bytes in [key_list(&[17]), [key_list(&[3]), key_list(&[3])].concat(), vec![1, 2, 3], vec![255; 40]] {
        let error = table.check_keys(&bytes).unwrap_err();
        assert!(matches!(error, TableError::Keys(_)), "{error}");
        // An attacker who skips the check reads nothing and changes nothing.
        let mut table = new(&job(""));
        assert_eq!(read(table.as_mut(), &bytes), []);
    }
    table.check_keys(&key_list(&(0..17).collect::<Vec<_>>())).unwrap();
}

#[test]
fn updates_that_do_not_fit_are_refused() {
    let table = new(&job(""));
    let keys = key_list(&[2, 7]);
    let cases: [(&[&[f32]], &str); 7] = [
        (&[&[1.0, 1.0]], "1 columns"),
        (&[&[1.0; 2], &[1.0; 2], &[1.0; 2], &[1.0; 2]], "4 columns"),
        (&[&[1.0], &[1.0], &[1.0]], "1 values"),
        (&[&[1.0; 3], &[1.0; 3], &[1.0; 3]], "3 values"),
        (&[&[1.0, f32::NAN], &[1.0; 2], &[1.0; 2]], "not finite"),
        (&[&[1.0; 2], &[f32::INFINITY, 1.0], &[1.0; 2]], "not finite"),
        (&[&[1.0; 2], &[1.0, -1.0], &[1.0; 2]], "negative"),
    ];
    for (columns, text) in cases {
        let bytes = update(columns);
        let error = table.check_update(&keys, Update::parse(&bytes).unwrap()).unwrap_err();
        assert!(matches!(error, TableError::Update(_)) && error.to_string().contains(text), "{error}");
    }
    let bytes = update(&[&[1.0; 2], &[1.0; 2], &[1.0; 2]]);
    assert!(table.check_update(&[], Update::parse(&bytes).unwrap()).is_err(), "all keys are 17");
}

#[test]
fn a_snapshot_brings_back_every_bit() {
    let job = job("");
    let mut table = new(&job);
    let bytes = update(&[&[0.3, -0.7], &[0.1, 0.9], &[1.0; 2]]);
    table.apply(&key_list(&[1, 16]), Update::parse(&bytes).unwrap(), ORIGIN);
    let (mut snapshot, mut again) = (vec![9; 3], Vec::new());
    table.snapshot(&mut snapshot);
    let mut other = new(&job);
    other.restore(&snapshot[3..]).unwrap();
    other.snapshot(&mut again);
    assert_eq!(snapshot[3..], again);
    assert_eq!(read(other.as_mut(), &[]), read(table.as_mut(), &[]));

    let mut damaged = again.clone();
    damaged[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    for bad in [&again[1..], &again[8..], &[][..], &damaged] {
        assert!(matches!(other.restore(bad), Err(TableError::Snapshot(_))));
        assert_eq!(
            read(other.as_mut(), &[]),
            read(table.as_mut(), &[]),
            "a refused snapshot changes nothing"
        );
    }
}

/// Planted rows with the first two of their features, as keys below 16.
fn few_keys(seed: u64) -> Vec<Row> {
    let mut rows = planted_rows(seed, 50);
    rows.iter_mut().for_each(|(_, features)| {
        features.truncate(2);
        features.iter_mut().for_each(|(key, _)| *key = *key % 12 % 8 + *key / 12 * 8);
    });
    rows
}

/// For every optimiser, with penalties and without: what a snapshot does not hold would show in the next blocks.
#[test]
fn a_restored_table_learns_on_as_if_nothing_had_happened() {
    let blocks = [1, 2, 3].map(|seed| block(4, &few_keys(seed)));
    let names = ["sgd", "momentum", "nesterov", "adagrad", "normalized_adagrad", "adam", "ftrl"];
    for (name, l1) in names.into_iter().flat_map(|name| [(name, "0"), (name, "1e-4")]) {
        let job = job(&format!(r#", "optimizer": "{name}", "l1": {l1}"#));
        let mut learner = crate::learner::new(&job);
        let mut learn = |table: &mut Box<dyn Table>, number: u32| {
            let block = &blocks[number as usize];
            let name =
                GradientName { pass: Pass(0), block: BlockId { partition: 0, block: number }, part: 0 };
            let (mut keys, mut cells, mut update) = (Vec::new(), Vec::new(), Vec::new());
            learner.keys(block, &mut keys);
            table.read(&keys, &mut cells);
            let reference = KeyReference::OfRead(CallId(1));
            learner.learn(name, block, &cells, reference, &mut update).unwrap();
            table.check_update(&keys, Update::parse(&update).unwrap()).unwrap();
            table.apply(&keys, Update::parse(&update).unwrap(), Origin { pass: Pass(0), rows: 50 });
        };
        let mut table = new(&job);
        learn(&mut table, 0);
        learn(&mut table, 1);
        let mut bytes = Vec::new();
        table.snapshot(&mut bytes);
        let mut restored = new(&job);
        restored.restore(&bytes).unwrap();
        let [went_on, came_back] = [table, restored].map(|mut table| {
            learn(&mut table, 2);
            let mut bytes = Vec::new();
            table.snapshot(&mut bytes);
            bytes
        });
        assert!(went_on == came_back && went_on != bytes, "{name} {l1}");
    }
}

#[test]
fn cells_take_up_the_penalties_of_rows_without_them_when_they_are_looked_at() {
    let job =
        job(r#", "optimizer": "sgd", "rate": 0.1, "l1": 0.01, "l2": 0.02, "passes": 2, "rate_decay": 0.5"#);
    let penalty = Penalty { l1: 0.01, l2: 0.02 };
    let mut table = new(&job);
    let keys = |keys: &[u32]| key_list(keys);
    let apply = |table: &mut Box<dyn Table>, keys: &[u8], column: &[f32], of| {
        let bytes = update(&[column]);
        table.apply(keys, Update::parse(&bytes).unwrap(), of);
    };
    let weights = |table: &mut Box<dyn Table>, keys: &[u8]| {
        let mut bytes = Vec::new();
        table.read(keys, &mut bytes);
        view_floats(&bytes).unwrap().iter().map(|float| float.get()).collect::<Vec<_>>()
    };
    // An update holds its own rows' penalties: what it moves to is what is read.
    apply(&mut table, &keys(&[2, 7, 16]), &[-10.0, -5.0, -10.0], ORIGIN);
    assert_eq!(weights(&mut table, &keys(&[2, 7, 16])), [1.0, 0.5, 1.0]);
    // 30 rows that have nothing to do with key 2, then 40 in a pass at half the rate.
    apply(&mut table, &keys(&[7]), &[0.0], Origin { pass: Pass(0), rows: 30 });
    apply(&mut table, &keys(&[9]), &[-20.0], Origin { pass: Pass(1), rows: 40 });
    let late = |weight, rows: f64| penalty.after(weight, 0.1, rows);
    // A snapshot keeps what is not taken up yet.
    let mut snapshot = Vec::new();
    table.snapshot(&mut snapshot);
    let mut restored = new(&job);
    restored.restore(&snapshot).unwrap();
    for table in [&mut table, &mut restored] {
        // The bias, key 16, is not penalised.
        let expected = [late(1.0, 50.0), late(0.5, 20.0), 2.0, 1.0];
        assert_eq!(weights(table, &keys(&[2, 7, 9, 16])), expected);
        assert_eq!(weights(table, &keys(&[2, 7, 9, 16])), expected, "once");
        // An update meets the cell with all penalties before it.
        apply(table, &keys(&[5]), &[0.0], Origin { pass: Pass(0), rows: 10 });
        apply(table, &keys(&[2]), &[-1.0], Origin { pass: Pass(0), rows: 10 });
        let found = weights(table, &keys(&[2]))[0];
        assert!((found - (late(late(1.0, 50.0), 10.0) + 0.1)).abs() < 1e-6, "{found}");
        let all = weights(table, &[]);
        assert!(all[7] < expected[1] && all[9] < 2.0 && all[16] == 1.0, "{all:?}");
    }
    let rows = snapshot.len() - 17 * 8;
    snapshot[rows..rows + 8].copy_from_slice(&1.0_f64.to_le_bytes());
    assert!(restored.restore(&snapshot).unwrap_err().to_string().contains("more rows"));
}

proptest! {
    /// However many lists are in use at once, each is answered with its own cells.
    #[test]
    fn lists_that_stay_decoded_are_not_mixed_up(
        lists in proptest::collection::vec(proptest::collection::btree_set(0_u32..17, 1..6), 1..3 * LISTS),
        turns in proptest::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut table = new(&job(r#", "optimizer": "sgd", "rate": 1"#));
        let column: Vec<f32> = (0_u8..17).map(f32::from).collect();
        let bytes = update(&[&column]);
        table.apply(&[], Update::parse(&bytes).unwrap(), ORIGIN);
        for turn in turns {
            let keys: Vec<_> = turn.get(&lists).iter().copied().collect();
            let bytes = key_list(&keys);
            prop_assert!(table.check_keys(&[bytes.as_slice(), &[1]].concat()).is_err());
            prop_assert_eq!(table.check_keys(&bytes), Ok(()));
            let mut cells = Vec::new();
            table.read(&bytes, &mut cells);
            let cells: Vec<_> = view_floats(&cells).unwrap().iter().map(|float| -float.get() as u32).collect();
            prop_assert_eq!(cells, keys);
        }
    }
}

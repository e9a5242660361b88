use cirrus_protocol::gradient::{KeyReference, Update, encode, view_floats};
use cirrus_protocol::keys;
use cirrus_runtime::table::{Table, TableError};
use proptest::prelude::*;

use super::{LISTS, new};
use crate::job::TrainJob;
use crate::optimizer::{AdagradCell, cells_of};

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
    table.apply(&keys, update);

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
    table.apply(&[], update);
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
    table.apply(&key_list(&[1, 16]), Update::parse(&bytes).unwrap());
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
        table.apply(&[], Update::parse(&bytes).unwrap());
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

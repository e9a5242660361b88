//! From unsorted records to sorted ones, as std sorts them.

use cirrus_protocol::records::{KEY_BYTES, Record};
use proptest::prelude::*;

use super::*;

/// The records as a stable sort leaves them.
fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| a[..KEY_BYTES].cmp(&b[..KEY_BYTES]));
    records
}

/// Sorts by each way and by several numbers of workers; answers how many records each of five workers got.
async fn sorts_by_every_way(folder: &TempDir, records: Vec<Record>) -> Vec<u64> {
    write(&folder.path().join("in/records"), &records);
    let expected = in_order(records);
    let mut counts = Vec::new();
    for (nth, workers) in [1, 2, 5].into_iter().enumerate() {
        let url = folder.path().join(format!("exchange-{nth}")).display().to_string();
        for (name, way) in [("zip", Way::Zip), ("store", Way::Store { url })] {
            let (from, to) = (at(folder, "in"), at(folder, &format!("{name}-{nth}")));
            counts = sort(&from, &to, workers, way).await.unwrap();
            assert!(super::records(&to).await == expected, "{name}, {workers} workers");
        }
    }
    counts
}

fn made(count: u64, of: impl Fn(u64) -> u64) -> Vec<Record> {
    let recipe = Recipe { records: count, seed: 1, skewed: false };
    let mut records: Vec<Record> = (0..count).map(|number| recipe.record(number)).collect();
    for (number, record) in (0..).zip(&mut records) {
        record[..KEY_BYTES].fill(0);
        record[2..KEY_BYTES].copy_from_slice(&of(number).to_be_bytes());
    }
    records
}

#[track_caller]
fn about_equal(counts: &[u64]) {
    let mean = counts.iter().sum::<u64>() / counts.len() as u64;
    assert!(counts.iter().all(|count| count.abs_diff(mean) < mean / 10), "{counts:?}");
}

#[tokio::test]
async fn random_records_are_sorted_whatever_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { records: 20_000, seed: 7, skewed: false };
    let counts = sorts_by_every_way(&folder, (0..20_000).map(|number| recipe.record(number)).collect()).await;
    about_equal(&counts);
}

#[tokio::test]
async fn skewed_keys_are_sorted_and_evenly_dealt_out() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { records: 20_000, seed: 7, skewed: true };
    let counts = sorts_by_every_way(&folder, (0..20_000).map(|number| recipe.record(number)).collect()).await;
    about_equal(&counts);
}

#[tokio::test]
async fn equal_keys_stay_in_order_and_are_evenly_dealt_out() {
    let folder = tempfile::tempdir().unwrap();
    about_equal(&sorts_by_every_way(&folder, made(20_000, |_| 7)).await);
}

#[tokio::test]
async fn what_is_in_order_or_in_reverse_is_sorted() {
    let folder = tempfile::tempdir().unwrap();
    about_equal(&sorts_by_every_way(&folder, made(10_000, |number| number)).await);
    let folder = tempfile::tempdir().unwrap();
    about_equal(&sorts_by_every_way(&folder, made(10_000, |number| u64::MAX - number)).await);
}

#[tokio::test]
async fn few_records_are_sorted_and_none_too() {
    for count in [0, 1, 3] {
        let folder = tempfile::tempdir().unwrap();
        let counts = sorts_by_every_way(&folder, made(count, |number| 10 - number)).await;
        assert_eq!(counts.iter().sum::<u64>(), count);
    }
}

#[tokio::test]
async fn files_of_any_number_and_length_are_one_input() {
    let folder = tempfile::tempdir().unwrap();
    let all = made(1000, |number| number * 7 % 1000);
    for (name, range) in [("a", 0..10), ("b", 10..10), ("c/d", 10..700), ("e", 700..1000)] {
        write(&folder.path().join("in").join(name), &all[range]);
    }
    sort(&at(&folder, "in"), &at(&folder, "out"), 3, Way::Zip).await.unwrap();
    assert!(records(&at(&folder, "out")).await == in_order(all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sorting_is_that_of_std(
        keys in proptest::collection::vec(prop_oneof![0..4_u64, any::<u64>()], 0..400),
        workers in 1..5_u32,
    ) {
        let records = made(keys.len() as u64, |number| keys[number as usize]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("in/records"), &records);
            sort(&at(&folder, "in"), &at(&folder, "out"), workers, Way::Zip).await.unwrap();
            super::records(&at(&folder, "out")).await
        });
        prop_assert!(found == in_order(records));
    }
}

//! Targets: what is there before, after, and when a load fails.

use cirrus_runtime::object::faulty::FailAfter;
use cirrus_runtime::object::{ObjectError, ObjectFault};

use super::*;

const TEXT: &str = "1 1:1\n0 2:1\n1 3:1\n0 4:1\n";

fn many_partitions() -> LoadOptions {
    LoadOptions { block_rows: 1, partition_bytes: 1, ..no_split() }
}

fn overwriting() -> LoadOptions {
    LoadOptions { overwrite: true, ..many_partitions() }
}

fn first_keys(place: &Place) -> Vec<u32> {
    place.rows(Side::Train).iter().map(|row| row.1[0].0).collect()
}

#[test]
fn a_dataset_is_replaced_only_when_asked() {
    let place = Place::new();
    place.load("rows.libsvm", TEXT, &many_partitions()).unwrap();
    let before = place.objects();
    assert_eq!(before.len(), 5);
    let error = place.load("rows.libsvm", "1 9:1\n", &many_partitions()).unwrap_err();
    assert!(matches!(error, LoadError::Exists { .. }), "{error}");
    assert!(error.to_string().contains("manifest.json exists already"), "{error}");
    assert_eq!(place.objects(), before);
    place.load("rows.libsvm", "1 9:1\n", &overwriting()).unwrap();
    assert_eq!(first_keys(&place), [8]);
    assert_eq!(place.objects().len(), 2, "the old partitions are gone");
}

#[test]
fn a_load_that_fails_leaves_what_was_there() {
    let place = Place::new();
    place.load("rows.libsvm", TEXT, &many_partitions()).unwrap();
    let before = place.objects();
    let error = place.load("rows.libsvm", "1 9:1\n1 8:1\nx\n", &overwriting()).unwrap_err();
    assert!(matches!(error, LoadError::Line(_)), "{error}");
    assert_eq!(place.objects(), before);
}

#[test]
fn a_fault_behind_written_partitions_leaves_nothing() {
    let mut place = Place::new();
    place.chunk_bytes = 30;
    let text = ["1 1:1\n".repeat(2000).as_str(), "1 x\n"].concat();
    let error = place.load("rows.libsvm", text, &many_partitions()).unwrap_err();
    assert!(error.to_string().starts_with("rows.libsvm:2001:3:"), "{error}");
    assert_eq!(place.objects(), BTreeMap::new());
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let place = Place::new();
    place.load("rows.libsvm", "1 9:1\n", &many_partitions()).unwrap();
    let before = place.objects();
    let elsewhere = Place::new();
    elsewhere.load("rows.libsvm", TEXT, &many_partitions()).unwrap();
    let needed: u64 = elsewhere.objects().values().map(|object| object.len() as u64).sum();
    // The last few bytes are the manifest's.
    for room in [0, 1, needed / 4, needed / 2, needed - needed / 8, needed - 1] {
        let store: Arc<dyn ObjectStore> = Arc::new(FailAfter::new(Arc::clone(&place.store), room));
        let target = Target { store: &store, prefix: "", io: &place.io };
        let input = input("rows.libsvm", TEXT).unwrap();
        let error = load(input, &target, &overwriting(), &place.pool, &mut |_| {}).unwrap_err();
        assert!(
            matches!(&error, LoadError::Storage(ObjectError { fault: ObjectFault::Full, .. })),
            "{room} of {needed}: {error}"
        );
        assert_eq!(place.objects(), before, "{room} of {needed}");
    }
}

#[test]
fn files_of_killed_loads_are_removed_and_never_used() {
    let place = Place::new();
    let put = |key: &str| place.io.block_on(place.store.put(key, Bytes::from_static(b"left"))).unwrap();
    put("g0-train-00000.cirrus");
    put("g4-test-00007.cirrus");
    // Not a partition by its name, so not ours to remove.
    for key in ["g0-notes.txt", "g1-train-7.cirrus", "other"] {
        put(key);
    }
    place.load("rows.libsvm", TEXT, &no_split()).unwrap();
    let names: Vec<String> = place.objects().into_keys().collect();
    assert_eq!(
        names,
        ["g0-notes.txt", "g1-train-7.cirrus", "g5-train-00000.cirrus", "manifest.json", "other"]
    );
    assert_eq!(first_keys(&place), [0, 1, 2, 3]);
}

#[test]
fn of_two_loads_at_the_same_time_one_is_refused_and_harms_nothing() {
    let place = Place::new();
    let mut raced = false;
    let outcome = place.load_watched("rows.libsvm", TEXT, &many_partitions(), &mut |_| {
        // While the first batch is under way, another load finishes.
        if !std::mem::replace(&mut raced, true) {
            let other = Place {
                folder: tempfile::tempdir().unwrap(),
                store: Arc::clone(&place.store),
                ..Place::new()
            };
            other.load("rows.libsvm", "1 9:1\n", &many_partitions()).unwrap();
        }
    });
    assert!(matches!(outcome, Err(LoadError::Exists { .. })), "{outcome:?}");
    assert_eq!(first_keys(&place), [8]);
    assert_eq!(place.objects().len(), 2);
}

#[test]
fn datasets_can_live_side_by_side_below_prefixes() {
    let place = Place::new();
    for (prefix, text) in [("a", "1 1:1\n"), ("b/c/", "1 2:1\n")] {
        let target = Target { store: &place.store, prefix, io: &place.io };
        let input = input("rows.libsvm", text).unwrap();
        load(input, &target, &overwriting(), &place.pool, &mut |_| {}).unwrap();
        let input = super::input("rows.libsvm", text).unwrap();
        load(input, &target, &overwriting(), &place.pool, &mut |_| {}).unwrap();
    }
    let names: Vec<String> = place.objects().into_keys().collect();
    let expected =
        ["a/g1-train-00000.cirrus", "a/manifest.json", "b/c/g1-train-00000.cirrus", "b/c/manifest.json"];
    assert_eq!(names, expected);
}

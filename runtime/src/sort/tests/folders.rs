//! Folders that are generated, claimed, looked at and refused; and storage that is full.

use super::*;
use crate::object::faulty::FailAfter;
use crate::object::{ObjectError, ObjectFault};
use crate::sort::output::{CLAIM, PART_BYTES};
use crate::sort::validate::{Findings, validate};

fn look(store: &Store) -> Result<Findings, SortError> {
    let (io, pool) = threads();
    validate(store, &Arc::new(io), &pool, |_| Ok(()))
}

fn names(folder: &TempDir, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join(name)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_generated_follows_from_its_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let records = PART_BYTES as u64 / RECORD_BYTES as u64 + 10;
    let recipe = Recipe { records, seed: 3, skewed: false };
    let (a, b) = (at(&folder, "a"), at(&folder, "b"));
    let manifest = generate(&recipe, &a);
    assert_eq!((manifest.records, manifest.parts.len(), manifest.sorted), (records, 2, false));
    let io = IoThread::start().unwrap();
    let one = Arc::new(WorkPool::new(std::num::NonZeroUsize::MIN).unwrap());
    recipe.write::<SortError>(&b, &io, &one, |_| Ok(())).unwrap();
    let all = io.block_on(super::records(&a));
    assert!(all == io.block_on(super::records(&b)));
    assert!(all.iter().zip(0..).all(|(record, number)| *record == recipe.record(number)));
    assert_ne!(recipe.record(0), Recipe { seed: 4, ..recipe }.record(0));
    assert_eq!(
        names(&folder, "a"),
        ["manifest.json", "part-00000-00000.records", "part-00000-00001.records"]
    );
    // A place that is taken stays as it is.
    let again = recipe.write::<SortError>(&a, &io, &one, |_| Ok(()));
    assert!(matches!(again, Err(SortError::Occupied { .. })), "{again:?}");
    assert!(all == io.block_on(super::records(&a)));
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { records: 10_000, seed: 3, skewed: false };
    let full: Store = Arc::new(FailAfter::new(at(&folder, "full"), 500_000));
    let (io, pool) = threads();
    let error = recipe.write::<SortError>(&full, &io, &pool, |_| Ok(())).unwrap_err();
    let is_full =
        |error: &SortError| matches!(error, SortError::Object(ObjectError { fault: ObjectFault::Full, .. }));
    assert!(is_full(&error) && error.to_string().contains("part-00000-00000.records"), "{error}");
    assert_eq!(names(&folder, "full"), [""; 0]);

    // And by a sort, of which one worker finds room and the other none.
    generate(&recipe, &at(&folder, "in"));
    let full: Store = Arc::new(FailAfter::new(at(&folder, "out"), 700_000));
    let error = io.block_on(sort(&at(&folder, "in"), &full, 2, Way::Zip)).unwrap_err();
    assert!(is_full(&error), "{error}");
    assert!(names(&folder, "out").contains(&CLAIM.to_owned()));
    assert!(matches!(look(&at(&folder, "out")), Err(SortError::Claimed { .. })));
    let taken = io.block_on(Target::claim(at(&folder, "out"))).unwrap_err();
    assert!(matches!(taken, SortError::Claimed { .. }), "{taken}");
}

#[tokio::test]
async fn a_claim_is_for_one_and_is_undone_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(&folder, "out");
    let target = Target::claim(Arc::clone(&store)).await.unwrap();
    let second = Target::claim(Arc::clone(&store)).await.unwrap_err();
    assert!(matches!(second, SortError::Claimed { .. }), "{second}");
    store.put("part-00000-00000.records", vec![0; RECORD_BYTES].into()).await.unwrap();
    std::fs::write(folder.path().join("out/.part-00001-00000.records.9999999-1.partial"), "half").unwrap();
    std::fs::write(folder.path().join("out/part-of-mine"), "a stranger's").unwrap();
    target.undo().await.unwrap();
    assert_eq!(names(&folder, "out"), ["part-of-mine"]);
    let occupied = Target::claim(store).await.unwrap_err();
    assert!(occupied.to_string().contains("it holds part-of-mine"), "{occupied}");
}

#[tokio::test]
async fn input_that_is_not_whole_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        async |name: &str| Input::open(at(&folder, name).as_ref()).await.map(|_| ()).unwrap_err().to_string();
    assert!(open("none").await.contains("holds no records"));
    write(&folder.path().join("cut/a"), &[[1; RECORD_BYTES]; 3]);
    std::fs::write(folder.path().join("cut/b"), [0; 250]).unwrap();
    let text = open("cut").await;
    assert!(text.contains("cut/b has 250 bytes") && text.contains("50 bytes are left over"), "{text}");
    let recipe = Recipe { records: 10, seed: 3, skewed: false };
    let whole = at(&folder, "whole");
    tokio::task::spawn_blocking(move || generate(&recipe, &whole)).await.unwrap();
    let part = folder.path().join("whole/part-00000-00000.records");
    std::fs::File::options().write(true).open(&part).unwrap().set_len(900).unwrap();
    let text = open("whole").await;
    assert!(text.contains("has 900 bytes, 1000 are expected"), "{text}");
    std::fs::remove_file(&part).unwrap();
    let text = open("whole").await;
    assert!(text.contains("part-00000-00000.records: not found"), "{text}");
    std::fs::write(folder.path().join("whole/manifest.json"), "{}").unwrap();
    let text = open("whole").await;
    assert!(text.contains("manifest.json") && text.contains("format_version"), "{text}");
}

#[test]
fn what_is_looked_at_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let record = |key: u8, rest: u8| {
        let mut record = [rest; RECORD_BYTES];
        record[..10].fill(key);
        record
    };
    let written = |name: &str, files: &[&[Record]]| {
        for (nth, file) in files.iter().enumerate() {
            write(&folder.path().join(name).join(nth.to_string()), file);
        }
        look(&at(&folder, name)).unwrap()
    };
    let (a, b, c) = (record(1, 1), record(2, 1), record(2, 2));
    let good = written("good", &[&[a, b], &[], &[c]]);
    let expected = (3, 3, 1, 0, None);
    let told = |found: &Findings| {
        (found.files, found.records, found.duplicates, found.disorders, found.first_disorder.clone())
    };
    assert_eq!(told(&good), expected);
    // The order within a file, and across files.
    let within = written("within", &[&[c, a, b]]);
    assert_eq!(told(&within), (1, 3, 0, 1, Some(("0".to_owned(), 1))));
    let across = written("across", &[&[c, b], &[a]]);
    assert_eq!(told(&across), (2, 3, 1, 1, Some(("1".to_owned(), 0))));
    assert!(good.same_records(&within) && good.same_records(&across));
    // One that is twice there instead of another one, or lacks, or was changed.
    for (name, files) in
        [("twice", vec![a, b, b]), ("lacks", vec![a, b]), ("other", vec![a, b, record(2, 3)])]
    {
        assert!(!good.same_records(&written(name, &[&files])), "{name}");
    }
}

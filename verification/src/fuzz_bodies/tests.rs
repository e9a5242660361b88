//! The committed corpora and random bytes, through the bodies of the fuzz targets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{ALL, run};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_body_has_a_target_and_a_corpus() {
    let bodies: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&fuzz().join("fuzz_targets")), bodies);
    assert_eq!(names_in(&fuzz().join("corpus")), bodies);
}

#[test]
fn the_corpora_hold() {
    for (name, body) in ALL {
        let inputs = std::fs::read_dir(fuzz().join("corpus").join(name)).unwrap();
        let count = inputs.map(|input| body(&std::fs::read(input.unwrap().path()).unwrap())).count();
        assert!(count > 0, "{name} has a corpus");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_bytes_hold(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        ALL.iter().for_each(|(name, _)| run(name, &bytes));
    }
}

//! Places as users name them: paths of this machine, and URLs.

use std::path::{Path, PathBuf};

use cirrus_runtime::object;

use crate::failure::Failure;

/// `place` with its endings for compression and format replaced by `.ending`: `a/b.csv.zst` becomes `a/b.ending`.
pub(crate) fn beside(place: &str, ending: &str) -> String {
    let (folder, name) = split(place.trim_end_matches('/'));
    let mut stem = PathBuf::from(name);
    for endings in [&["gz", "zst"][..], &["libsvm", "svm", "csv", "tsv", "txt", "cirrus"][..]] {
        if stem.extension().is_some_and(|found| endings.iter().any(|ending| found == *ending)) {
            stem.set_extension("");
        }
    }
    format!("{folder}{}.{ending}", stem.display())
}

/// What lies in a folder under a name.
pub(crate) fn within(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

/// The folder in which a place lies.
pub(crate) fn folder_of(place: &str) -> &str {
    match split(place) {
        ("", _) => ".",
        ("/", _) => "/",
        (folder, _) => folder.trim_end_matches('/'),
    }
}

/// The folder, with its `/`, and the name in it.
fn split(place: &str) -> (&str, &str) {
    place.rfind('/').map_or(("", place), |slash| place.split_at(slash + 1))
}

/// The path, if the place is on this machine.
pub(crate) fn local(place: &str) -> Result<Option<PathBuf>, Failure> {
    Ok(object::local_path(place)?.map(PathBuf::from))
}

/// Removes a folder of this machine if nothing is in it.
pub(crate) fn remove_if_empty(place: &str) {
    if let Ok(Some(path)) = local(place) {
        // One that holds something stays.
        let _ = std::fs::remove_dir(path);
    }
}

/// Whether a folder of this machine is there. Elsewhere there are only objects.
pub(crate) fn is_folder(place: &str) -> bool {
    matches!(local(place), Ok(Some(path)) if Path::new(&path).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_output_stands_beside_its_input() {
        let cases = [
            ("data/clicks.csv.zst", "data/clicks.made"),
            ("flights3m.train.libsvm", "flights3m.train.made"),
            ("rows", "rows.made"),
            ("a/clicks.cirrus", "a/clicks.made"),
            ("a/clicks.cirrus/", "a/clicks.made"),
            ("s3://bucket/a.b/clicks.cirrus", "s3://bucket/a.b/clicks.made"),
            ("file:///a/clicks.csv.gz", "file:///a/clicks.made"),
        ];
        cases.iter().for_each(|(place, made)| assert_eq!(beside(place, "made"), *made));
    }

    #[test]
    fn places_lie_in_folders() {
        let cases = [("a", "."), ("/a", "/"), ("a/b", "a"), ("s3://bucket/a", "s3://bucket"), ("/a/b", "/a")];
        cases.iter().for_each(|(place, folder)| assert_eq!(folder_of(place), *folder));
        assert_eq!(within("s3://bucket/", "a"), "s3://bucket/a");
        assert!(local("s3://bucket/a").unwrap().is_none());
        assert_eq!(local("file:///a%20b").unwrap(), Some(PathBuf::from("/a b")));
    }
}

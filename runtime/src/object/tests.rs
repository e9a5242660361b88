//! The promises of the trait, held against the local folder and the wrapper.

use std::sync::Arc;

use super::faulty::FailAfter;
use super::*;
use crate::io::IoThread;

fn folder() -> (tempfile::TempDir, Arc<dyn ObjectStore>, IoThread) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().to_str().unwrap()).unwrap();
    (folder, store, IoThread::start().unwrap())
}

fn names(found: &[ObjectInfo]) -> Vec<&str> {
    found.iter().map(|info| info.key.as_str()).collect()
}

#[test]
fn what_was_put_is_read_back_whole_and_by_range() {
    let (_folder, store, io) = folder();
    io.block_on(async {
        store.put("set/train/0", Bytes::from_static(b"0123456789")).await.unwrap();
        assert_eq!(store.get("set/train/0").await.unwrap(), "0123456789");
        assert_eq!(store.get_range("set/train/0", 3..7).await.unwrap(), "3456");
        assert_eq!(store.get_range("set/train/0", 10..10).await.unwrap(), "");
        assert_eq!(store.head("set/train/0").await.unwrap().bytes, 10);
        store.put("set/train/0", Bytes::from_static(b"new")).await.unwrap();
        assert_eq!(store.get("set/train/0").await.unwrap(), "new");
    });
}

#[test]
fn a_range_past_the_end_says_how_long_the_object_is() {
    let (folder, store, io) = folder();
    io.block_on(async {
        store.put("a", Bytes::from_static(b"12345")).await.unwrap();
        let error = store.get_range("a", 2..9).await.unwrap_err();
        assert!(matches!(error.fault, ObjectFault::Short { found: 5, .. }));
        let expected =
            format!("{}/a: truncated: has 5 bytes, bytes 2 to 9 were asked for", folder.path().display());
        assert_eq!(error.to_string(), expected);
        #[expect(clippy::reversed_empty_ranges, reason = "a damaged directory may ask for one")]
        let backwards = store.get_range("a", 4..2).await.unwrap_err();
        assert!(matches!(backwards.fault, ObjectFault::Short { .. }));
    });
}

#[test]
fn of_two_conditional_puts_one_wins_and_leaves_no_trace_of_the_other() {
    let (folder, store, io) = folder();
    io.block_on(async {
        let (a, b) = tokio::join!(
            store.put_if_absent("lock", Bytes::from_static(b"a")),
            store.put_if_absent("lock", Bytes::from_static(b"b")),
        );
        assert!(a.is_ok() != b.is_ok());
        let (winner, lost) = if a.is_ok() { ("a", b) } else { ("b", a) };
        assert!(matches!(lost.unwrap_err().fault, ObjectFault::Exists));
        assert_eq!(store.get("lock").await.unwrap(), winner);
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are gone");
}

#[test]
fn listing_is_ordered_filtered_and_blind_to_unfinished_writes() {
    let (folder, store, io) = folder();
    io.block_on(async {
        assert_eq!(store.list("").await.unwrap(), []);
        for key in ["set/b", "set/a", "set/deep/c", "settle", "other"] {
            store.put(key, Bytes::from_static(b"x")).await.unwrap();
        }
        std::fs::write(folder.path().join("set/.a.12-0.partial"), b"half").unwrap();
        assert_eq!(names(&store.list("set/").await.unwrap()), ["set/a", "set/b", "set/deep/c"]);
        assert_eq!(names(&store.list("set").await.unwrap()), ["set/a", "set/b", "set/deep/c", "settle"]);
        assert_eq!(names(&store.list("set/deep/").await.unwrap()), ["set/deep/c"]);
        assert_eq!(store.list("nowhere/").await.unwrap(), []);
        store.delete("set/a").await.unwrap();
        store.delete("set/a").await.unwrap();
        assert_eq!(names(&store.list("set/").await.unwrap()), ["set/b", "set/deep/c"]);
    });
}

#[test]
fn what_is_missing_or_misnamed_is_said_by_name() {
    let (folder, store, io) = folder();
    io.block_on(async {
        let error = store.get("manifest.json").await.unwrap_err();
        assert!(matches!(error.fault, ObjectFault::NotFound));
        assert_eq!(error.to_string(), format!("{}/manifest.json: not found", folder.path().display()));
        assert!(matches!(store.head("gone").await.unwrap_err().fault, ObjectFault::NotFound));
        for key in ["", "/etc/passwd", "../up", "a//b", "a/.hidden", "a/"] {
            let error = store.put(key, Bytes::new()).await.unwrap_err();
            assert!(matches!(error.fault, ObjectFault::BadName), "{key}");
        }
        // A file where a folder is needed.
        store.put("file", Bytes::new()).await.unwrap();
        assert!(store.put("file/below", Bytes::new()).await.is_err());
    });
}

#[test]
fn a_full_disk_stores_nothing_more_and_still_reads() {
    let (_folder, store, io) = folder();
    let small = FailAfter::new(Arc::clone(&store), 10);
    io.block_on(async {
        small.put("a", Bytes::from_static(b"123456")).await.unwrap();
        let error = small.put("b", Bytes::from_static(b"12345")).await.unwrap_err();
        assert!(matches!(error.fault, ObjectFault::Full));
        assert!(error.to_string().contains("no space left"), "{error}");
        assert!(small.put_if_absent("c", Bytes::from_static(b"1")).await.is_err(), "full stays full");
        assert_eq!(names(&small.list("").await.unwrap()), ["a"]);
        assert_eq!(small.get("a").await.unwrap(), "123456");
    });
}

#[test]
fn urls_lead_to_folders_or_are_refused_by_name() {
    let text = |url| open(url).map(|store| store.describe("key")).map_err(|error| error.to_string());
    assert_eq!(text("relative/set"), Ok("relative/set/key".to_owned()));
    assert_eq!(text("/data/my set"), Ok("/data/my set/key".to_owned()));
    assert_eq!(text("file:///data/my%20set"), Ok("/data/my set/key".to_owned()));
    #[cfg(not(feature = "s3"))]
    assert_eq!(
        text("s3://bucket/set").unwrap_err(),
        "s3://bucket/set: this program was built without the feature s3; build it with `--features s3`"
    );
    #[cfg(feature = "s3")]
    {
        assert_eq!(text("s3://bucket/set/"), Ok("s3://bucket/set/key".to_owned()));
        assert_eq!(text("s3://bucket"), Ok("s3://bucket/key".to_owned()));
        for url in ["s3://", "s3:///set", "s3://a b/c", "s3://bucket/a//b", "s3://bucket/.a"] {
            assert!(text(url).is_err(), "{url}");
        }
    }
    let refused = text("gs://bucket/set").unwrap_err();
    assert_eq!(
        refused,
        "gs://bucket/set: there is no gs://; use a plain path, file:///path or s3://bucket/prefix"
    );
    for url in ["", "file://host/set", "file:///%4", "file:///%zz", "file:///%ff"] {
        assert!(text(url).is_err(), "{url}");
    }
    let object = |url| open_object(url).map(|(store, key)| store.describe(&key)).ok();
    assert_eq!(object("/models/first"), Some("/models/first".to_owned()));
    assert_eq!(object("file:///models/a%20b"), Some("/models/a b".to_owned()));
    assert_eq!(object("model"), Some("./model".to_owned()));
    assert_eq!(object("/models/"), None);
    assert_eq!(object("gs://bucket/model"), None);
    assert_eq!(object("s3://bucket"), None);
    assert_eq!(local_path("s3://bucket/set").unwrap(), None);
    assert_eq!(local_path("file:///a%20b").unwrap(), Some("/a b".to_owned()));
}

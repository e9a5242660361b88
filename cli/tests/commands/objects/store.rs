//! The promises of the trait, held against a bucket: directly, and through a proxy that loses every tenth request.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::object::s3::S3Folder;
use cirrus_runtime::object::s3::client::Settings;
use cirrus_runtime::object::testing::proxy::Answer;
use cirrus_runtime::object::testing::{Faults, Proxy, S3Server};
use cirrus_runtime::object::{ObjectFault, ObjectInfo, ObjectStore, Unfinished};
use tokio::task::JoinSet;

use super::{bucket, server};

fn names(found: &[ObjectInfo]) -> Vec<&str> {
    found.iter().map(|info| info.key.as_str()).collect()
}

/// Bytes that show where they stand.
fn bytes(length: usize) -> Bytes {
    (0..length.div_ceil(4)).flat_map(|at| (at as u32).to_le_bytes()).take(length).collect::<Vec<_>>().into()
}

fn io() -> IoThread {
    IoThread::start().expect("a thread")
}

fn folder(server: &S3Server, bucket: &str, prefix: &str, endpoint: &str) -> S3Folder {
    let settings = Settings { endpoint: Some(endpoint.to_owned()), ..server.settings() };
    S3Folder::with(bucket, prefix, settings)
}

/// Objects small and large, whole and by ranges, replaced, listed and removed.
async fn whole_and_by_range(store: &dyn ObjectStore) {
    store.put("set/a", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(store.get("set/a").await.unwrap(), "0123456789");
    assert_eq!(store.get_range("set/a", 3..7).await.unwrap(), "3456");
    assert_eq!(store.get_range("set/a", 10..10).await.unwrap(), "");
    assert_eq!(store.head("set/a").await.unwrap(), ObjectInfo { key: "set/a".to_owned(), bytes: 10 });
    store.put("set/a", Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(store.get("set/a").await.unwrap(), "new");
    store.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(store.get("empty").await.unwrap(), "");

    let large = bytes((21 << 20) + 7);
    store.put("large", large.clone()).await.unwrap();
    assert!(store.get("large").await.unwrap() == large);
    let across = (4 << 20) - 5..(13 << 20) + 3;
    let part = store.get_range("large", across.start as u64..across.end as u64).await.unwrap();
    assert!(part == large.slice(across));

    for asked in [2..9, 3..4] {
        let short = store.get_range("set/a", asked).await.unwrap_err();
        assert!(matches!(short.fault, ObjectFault::Short { found: 3, .. }), "{short}");
        assert!(short.to_string().contains("set/a: truncated: has 3 bytes"), "{short}");
    }
    for missing in [store.get("gone").await.err(), store.head("gone").await.err()] {
        assert!(matches!(missing.unwrap().fault, ObjectFault::NotFound));
    }
    for key in ["", "../up", "a//b", "a/.hidden", "a/"] {
        let error = store.put(key, Bytes::new()).await.unwrap_err();
        assert!(matches!(error.fault, ObjectFault::BadName), "{key}");
    }
    store.put("settle", Bytes::new()).await.unwrap();
    assert_eq!(names(&store.list("set").await.unwrap()), ["set/a", "settle"]);
    assert_eq!(names(&store.list("set/").await.unwrap()), ["set/a"]);
    assert_eq!(store.list("nowhere/").await.unwrap(), []);
    store.delete("set/a").await.unwrap();
    store.delete("set/a").await.unwrap();
    assert_eq!(names(&store.list("").await.unwrap()), ["empty", "large", "settle"]);
}

/// Of many conditional writers exactly one is told that it has won, and its object is there.
async fn one_writer_wins(store: &Arc<S3Folder>, key: &str, length: usize) {
    let mut writing = JoinSet::new();
    for writer in 0..6 {
        let (store, key) = (Arc::clone(store), key.to_owned());
        let object = Bytes::from(vec![writer; length]);
        writing.spawn(async move { (writer, store.put_if_absent(&key, object).await) });
    }
    let mut winners = Vec::new();
    while let Some(written) = writing.join_next().await {
        match written.unwrap() {
            (writer, Ok(())) => winners.push(writer),
            (_, Err(error)) => assert!(matches!(error.fault, ObjectFault::Exists), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let found = store.get(key).await.unwrap();
    assert!(found.len() == length && found.iter().all(|byte| *byte == winners[0]));
}

#[test]
fn a_bucket_keeps_the_promises_of_an_object_store() {
    let server = server();
    bucket(&server, "promises");
    let (io, endpoint) = (io(), server.endpoint());
    io.block_on(async {
        whole_and_by_range(&folder(&server, "promises", "below/it", &endpoint)).await;
        let whole = Arc::new(folder(&server, "promises", "", &endpoint));
        assert_eq!(
            names(&whole.list("below/").await.unwrap()).len(),
            3,
            "the prefix is a folder of the bucket"
        );
        one_writer_wins(&whole, "won", 100).await;
        // SeaweedFS does not keep the condition of an object that goes up in parts.
        if !server.checks_signatures() {
            one_writer_wins(&whole, "won-in-parts", 17 << 20).await;
        }
        assert_eq!(whole.uploads().await.unwrap(), 0, "who has lost gives its parts up");

        // More than a page of the listing.
        let mut putting = JoinSet::new();
        for number in 0..1005 {
            let store = Arc::clone(&whole);
            putting.spawn(async move { store.put(&format!("many/{number:04}"), Bytes::new()).await });
            if putting.len() > 8 {
                putting.join_next().await.unwrap().unwrap().unwrap();
            }
        }
        putting.join_all().await.into_iter().for_each(|put| put.unwrap());
        let many = whole.list("many/").await.unwrap();
        assert_eq!((many.len(), many[1004].key.as_str()), (1005, "many/1004"));
    });
}

#[test]
fn what_is_lost_cut_or_refused_for_now_is_asked_for_again() {
    let server = server();
    bucket(&server, "faults");
    let faults = Faults { seed: 5, failing: 100, truncated: 100, ..Faults::default() };
    let proxy = Proxy::start(server.port(), faults).unwrap();
    let io = io();
    io.block_on(async {
        let store = Arc::new(folder(&server, "faults", "", &proxy.endpoint()));
        whole_and_by_range(store.as_ref()).await;
        for round in 0..8 {
            one_writer_wins(&store, &format!("won-{round}"), 100).await;
        }
    });
    let passed = proxy.passed();
    assert!(passed.failed > 5 && passed.truncated > 5, "{passed:?}");
}

#[test]
fn no_part_of_an_upload_that_fails_is_left() {
    let server = server();
    bucket(&server, "parts");
    let denied =
        Answer { containing: "partNumber=2", status: "403 Forbidden", code: "AccessDenied", header: "" };
    let faults = Faults { answer: Some(denied), ..Faults::default() };
    let proxy = Proxy::start(server.port(), faults).unwrap();
    let io = io();
    io.block_on(async {
        let direct = folder(&server, "parts", "", &server.endpoint());
        let store = folder(&server, "parts", "", &proxy.endpoint());
        let error = store.put("large", bytes(20 << 20)).await.unwrap_err().to_string();
        assert!(error.starts_with("s3://parts/large: access denied at http://"), "{error}");
        assert_eq!(direct.uploads().await.unwrap(), 0);
        assert!(matches!(direct.head("large").await.unwrap_err().fault, ObjectFault::NotFound));

        // A caller that stops waiting.
        let putting = direct.put("dropped", bytes(64 << 20));
        tokio::select! {
            biased;
            put = putting => panic!("64 MiB were put at once: {put:?}"),
            () = async { while direct.uploads().await.unwrap() == 0 { tokio::task::yield_now().await; } } => {}
        }
        while direct.uploads().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        // What is new may be somebody's: it is left to those who know that nobody is at it.
        direct.remove_unfinished("", Unfinished::OfTheDead).await.unwrap();
        direct.remove_unfinished("", Unfinished::Everybodys).await.unwrap();
    });
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let server = server();
    bucket(&server, "errors");
    let io = io();
    let said = |store: S3Folder| io.block_on(store.get("model")).unwrap_err().to_string();
    let text = said(folder(&server, "nowhere", "a", &server.endpoint()));
    let endpoint = server.endpoint();
    assert_eq!(
        text,
        format!(
            "s3://nowhere/a/model: there is no bucket nowhere at {endpoint}; create it or correct the URL"
        )
    );
    let answered = |status, code, header| {
        let answer = Some(Answer { containing: "GET /errors/", status, code, header });
        let proxy = Proxy::start(server.port(), Faults { answer, ..Faults::default() }).unwrap();
        said(folder(&server, "errors", "", &proxy.endpoint()))
    };
    let text = answered("403 Forbidden", "AccessDenied", "");
    assert!(text.starts_with("s3://errors/model: access denied at http://127.0.0.1:"), "{text}");
    assert!(text.contains("AccessDenied") && text.contains("s3:GetObject"), "{text}");
    let text = answered("403 Forbidden", "SignatureDoesNotMatch", "");
    assert!(text.contains("check AWS_SECRET_ACCESS_KEY"), "{text}");
    let text = answered("301 Moved Permanently", "PermanentRedirect", "x-amz-bucket-region: eu-west-1\r\n");
    assert!(
        text.contains("is in the region eu-west-1, and us-east-1 was asked; set AWS_REGION=eu-west-1"),
        "{text}"
    );
    let text = answered("400 Bad Request", "InvalidRequest", "");
    assert!(text.contains("answered 400 (InvalidRequest, by the proxy)"), "{text}");
    if server.checks_signatures() {
        let wrong = Some(("test".to_owned(), "wrong".to_owned()));
        let text = said(S3Folder::with("errors", "", Settings { credentials: wrong, ..server.settings() }));
        assert!(text.contains("check AWS_SECRET_ACCESS_KEY"), "{text}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_named_after_some_tries() {
    let server = server();
    let gone = server.endpoint();
    let store = folder(&server, "errors", "", &gone);
    drop(server);
    let text = io().block_on(store.get("model")).unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("s3://errors/model: the server at {gone} cannot be reached")),
        "{text}"
    );
    assert!(text.contains("tried up to 8 times; does it run, and is AWS_ENDPOINT_URL right?"), "{text}");
}

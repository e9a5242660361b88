//! A data store that runs by itself: who watches it, how it ends, what it refuses.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use rustix::process::Signal;

use crate::job::Running;
use crate::run::{cirrus, folder, names, write};

const LINE: &str =
    "store job.json --listen 127.0.0.1:0 --metrics 127.0.0.1:0 --token-file token --snapshot-interval 3600";

/// A folder with a job and a token.
fn prepared() -> tempfile::TempDir {
    let folder = folder();
    write(folder.path(), "token", "a token that is too long to guess");
    write(folder.path(), "job.json", r#"{"hash_bits": 10, "optimizer": "adam"}"#);
    folder
}

/// A store, and where its health is told.
fn store(folder: &Path) -> (Running, String) {
    let mut running = Running::start(folder, LINE);
    let said = running.until_says("its metrics are at http://");
    running.until_says("the data store listens on 127.0.0.1:");
    let (_, page) = said.trim().rsplit_once("http://").expect("it says where");
    (running, page.trim_end_matches("/metrics").to_owned())
}

/// What is answered over HTTP.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: store\r\n\r\n").expect("it is read");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it is answered in text");
    text
}

#[test]
fn a_store_is_watched_and_ends_in_order_and_comes_back() {
    let folder = prepared();
    for (epoch, signal) in [(1, Signal::TERM), (2, Signal::INT), (3, Signal::KILL), (4, Signal::TERM)] {
        let (running, health) = store(folder.path());
        let found = get(&health, "/health");
        assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("ready\n"), "{found}");
        let metrics = get(&health, "/metrics");
        assert!(metrics.contains(&format!("\ncirrus_store_epoch {epoch}\n")), "{metrics}");
        assert!(metrics.contains("# TYPE cirrus_store_applied counter"), "{metrics}");
        assert!(get(&health, "/elsewhere").starts_with("HTTP/1.1 404"));
        running.signal(signal);
        let ran = running.end();
        if signal == Signal::KILL {
            ran.fails_by_signal();
        } else {
            ran.ok();
            let written = names(&folder.path().join("cirrus-store/store"));
            let newest = format!("snapshot-{epoch:010}-{:020}", 0);
            assert!(written.contains(&newest), "{newest} is not among {written:?}");
        }
    }
    assert_eq!(names(folder.path()), ["cirrus-store", "job.json", "token"]);
}

#[test]
fn a_store_that_cannot_be_is_refused_by_name() {
    let folder = prepared();
    let job = |text: &str| write(folder.path(), "job.json", text);
    let line = |options: &str| cirrus(folder.path(), &format!("store job.json --token-file token {options}"));
    line("--memory-max 1kB").fails(1, &["job.json", "--memory-max is 1.00 kB", "lower hash_bits"]);
    line("--memory-max much").fails(2, &["--memory-max"]);
    line("--connections-max 0").fails(2, &["--connections-max"]);
    line("--tls-key key").fails(2, &["--tls-certificates"]);
    write(folder.path(), "pem", "no certificate");
    line("--tls-key pem --tls-certificates pem --tls-authorities pem").fails(1, &["certificate"]);
    line("--tls-key pem --tls-certificates none --tls-authorities pem").fails(1, &["none"]);
    line("--listen nowhere").fails(1, &["nowhere"]);
    line("--metrics nowhere").fails(1, &["/metrics", "nowhere", "host:port"]);
    cirrus(folder.path(), "store job.json").fails(2, &["CIRRUS_TOKEN", "--token-file"]);
    cirrus(folder.path(), "store none.json --token-file token").fails(1, &["none.json"]);
    job(r#"{"hash_bits": 10, "inertia": 1}"#);
    line("").fails(2, &["job.json", "unknown field `inertia`"]);
    job(r#"{"rate": 1}"#);
    line("").fails(2, &["job.json", "hash_bits is 0, expected 1 to 30"]);
    // A snapshot of another model is not taken for one of this.
    let _ = fs::remove_dir_all(folder.path().join("cirrus-store"));
    job(r#"{"hash_bits": 10}"#);
    let (running, _) = store(folder.path());
    running.signal(Signal::TERM);
    running.end().ok();
    job(r#"{"hash_bits": 11}"#);
    line("").fails(1, &["the store cannot be restored", "another description"]);
}

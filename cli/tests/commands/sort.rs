//! Records that are generated, sorted by real processes and validated; and sorts that come to nothing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::job::Running;
use crate::run::{Ran, cirrus, command, contents, folder, names, until, write};

/// A folder with records in `in`.
fn with_records(options: &str) -> TempDir {
    let folder = folder();
    cirrus(folder.path(), &format!("sort generate --out in {options}")).ok();
    folder
}

/// All bytes of a folder's parts.
fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    let mut parts = names(&folder.join(name));
    assert_eq!(parts.remove(0), "manifest.json");
    parts.iter().flat_map(|part| fs::read(folder.join(name).join(part)).expect("it can be read")).collect()
}

/// The records of `in` as a stable sort leaves them.
fn expected(folder: &Path) -> Vec<u8> {
    let all = bytes(folder, "in");
    let mut records: Vec<&[u8]> = all.chunks(100).collect();
    records.sort_by_key(|record| &record[..10]);
    records.concat()
}

#[test]
fn records_are_sorted_by_each_exchange_and_any_number_of_workers() {
    for options in ["--records 50000", "--records 50000 --skewed --seed 7"] {
        let folder = with_records(options);
        let expected = expected(folder.path());
        let ways = [(1, "zip"), (2, "zip"), (8, "zip"), (3, "store")];
        for (workers, exchange) in ways {
            let line =
                format!("sort run in --out out --json --quiet --workers {workers} --exchange {exchange}");
            let ran = cirrus(folder.path(), &line);
            assert_eq!(ran.err, "");
            let found = ran.json();
            assert_eq!((&found["records"], &found["exchange"]), (&50_000.into(), &exchange.into()));
            for phase in ["download", "partition", "exchange", "sort", "upload"] {
                assert!(found["seconds"][phase].as_f64() > Some(0.0), "{found}");
            }
            let largest = found["largest_share_records"].as_u64().expect("a number");
            assert!(largest <= 50_000 / workers * 11 / 10, "{largest} of {workers} workers");
            assert!(bytes(folder.path(), "out") == expected, "{line}");
            let valid = cirrus(folder.path(), "sort validate out --against in --json").json();
            assert_eq!(valid["records"], 50_000);
            fs::remove_dir_all(folder.path().join("out")).expect("it is there");
        }
        assert_eq!(names(folder.path()), ["in"]);
    }
}

#[test]
fn what_is_generated_follows_from_the_seed() {
    let folder = with_records("--bytes 1MB --seed 3");
    cirrus(folder.path(), "sort generate --records 10000 --seed 3 --out again").ok();
    cirrus(folder.path(), "sort generate --records 10000 --out other").ok();
    let of_in = bytes(folder.path(), "in");
    assert_eq!(of_in.len(), 1_000_000);
    assert!(of_in == bytes(folder.path(), "again"));
    assert!(of_in != bytes(folder.path(), "other"));
    let ran = cirrus(folder.path(), "sort generate --records 5 --out in");
    ran.fails(1, &["in is not empty", "manifest.json"]);
    cirrus(folder.path(), "sort generate --out none").fails(2, &["--records"]);
    cirrus(folder.path(), "sort generate --out none --bytes much").fails(2, &["whole number and a unit"]);
    assert_eq!(names(folder.path()), ["again", "in", "other"]);
}

#[test]
fn equal_keys_and_no_records_are_sorted_too() {
    let folder = folder();
    let records = (0..3000_u32).flat_map(|nth| {
        let mut record = [b'k'; 100];
        record[50..54].copy_from_slice(&nth.to_le_bytes());
        record
    });
    let records: Vec<u8> = records.collect();
    fs::create_dir(folder.path().join("equal")).expect("there is room");
    write(&folder.path().join("equal"), "records", &records);
    let found = cirrus(folder.path(), "sort run equal --out sorted --workers 4 --json").json();
    assert!(found["largest_share_records"].as_u64() < Some(900), "{found}");
    assert!(bytes(folder.path(), "sorted") == records);
    let valid = cirrus(folder.path(), "sort validate sorted --against equal --json").json();
    assert_eq!(valid["duplicate_keys"], 2999);

    cirrus(folder.path(), "sort generate --records 0 --out none").ok();
    cirrus(folder.path(), "sort run none --out nothing --workers 3").ok();
    assert_eq!(names(&folder.path().join("nothing")), ["manifest.json"]);
    let valid = cirrus(folder.path(), "sort validate nothing --against none").ok();
    assert!(valid.out.contains("0 records in 0 files, in order"), "{}", valid.out);
}

#[test]
fn what_is_not_sorted_or_not_the_same_is_said_so() {
    let folder = with_records("--records 3000");
    cirrus(folder.path(), "sort validate in").fails(1, &["in is not in order", "part-00000-00000.records"]);
    cirrus(folder.path(), "sort run in --out out").ok();
    let part = folder.path().join("out/part-00000-00000.records");
    let mut records = fs::read(&part).expect("it is there");
    records[99] ^= 1;
    fs::write(&part, &records).expect("there is room");
    cirrus(folder.path(), "sort validate out").ok();
    let ran = cirrus(folder.path(), "sort validate out --against in");
    ran.fails(1, &["out does not hold the records of in", "expected 3,000", "found 3,000"]);
    fs::write(&part, &records[..1050]).expect("there is room");
    cirrus(folder.path(), "sort validate out").fails(1, &["part-00000-00000.records has 1050 bytes"]);
}

#[test]
fn what_cannot_be_sorted_is_refused_by_name_and_nothing_is_left() {
    let folder = with_records("--records 3000");
    fs::create_dir(folder.path().join("cut")).expect("there is room");
    write(&folder.path().join("cut"), "a", [0; 250]);
    fs::create_dir(folder.path().join("full")).expect("there is room");
    write(&folder.path().join("full"), "mine", "text");
    let fails = |line: &str, words: &[&str]| drop(cirrus(folder.path(), line).fails(1, words));
    fails("sort run cut --out out", &["cut/a has 250 bytes", "100 bytes", "50 bytes are left over"]);
    fails("sort run none --out out", &["none holds no records", "cirrus sort generate"]);
    fails("sort run in --out full", &["full is not empty, it holds mine"]);
    fails("sort run in --out in", &["in is not empty"]);
    fails("sort validate full", &["full/mine has 4 bytes"]);
    cirrus(folder.path(), "sort run in --out out --redis 127.0.0.1:1").fails(2, &["--exchange redis"]);
    cirrus(folder.path(), "sort run in --out out --workers 0").fails(2, &["--workers"]);
    cirrus(folder.path(), "sort worker").fails(1, &["not to be started by hand"]);
    cirrus(folder.path(), "sort redis-server").fails(1, &["not to be started by hand"]);
    // More than any machine has: a file with a hole in it.
    fs::create_dir(folder.path().join("huge")).expect("there is room");
    let huge = File::create(folder.path().join("huge/a")).expect("there is room");
    if huge.set_len(8_000_000_000_000).is_ok() {
        fails("sort run huge --out out", &["8.00 TB", "of memory", "are free"]);
    }
    drop(huge);
    // Somebody else is at it, or was killed.
    write(folder.path(), "out-of-another", "");
    fs::create_dir(folder.path().join("begun")).expect("there is room");
    write(&folder.path().join("begun"), "unfinished", "");
    fails("sort run in --out begun", &["begun/unfinished exists", "remove the folder"]);
    fails("sort validate begun", &["begun/unfinished exists"]);
    assert_eq!(names(folder.path()), ["begun", "cut", "full", "huge", "in", "out-of-another"]);
}

/// A sort of 100 MB by eight workers that has begun to read.
fn begun(folder: &Path, exchange: &str) -> Running {
    let line = format!("sort run in --out out --workers 8 --exchange {exchange}");
    let mut running = Running::start(folder, &line);
    running.until_says("download");
    running
}

#[test]
fn a_worker_that_is_killed_ends_the_sort_and_nothing_is_left() {
    let folder = with_records("--bytes 100MB");
    for exchange in ["zip", "store"] {
        let running = begun(folder.path(), exchange);
        let workers = running.workers(8);
        workers[3].kill();
        running.end().fails(1, &["worker ", "was killed by signal 9", "nothing is left of it"]);
        assert!(workers.iter().all(|worker| !worker.lives()), "{workers:?}");
        assert_eq!(names(folder.path()), ["in"], "{exchange}");
    }
    // Before they have found each other.
    let running = Running::start(folder.path(), "sort run in --out out --workers 3");
    running.worker(|_| 0).kill();
    running.end().fails(1, &["was killed by signal 9"]);
    assert_eq!(names(folder.path()), ["in"]);
}

#[test]
fn a_worker_that_hangs_ends_the_sort_too() {
    let folder = with_records("--bytes 100MB");
    let mut running = begun(folder.path(), "zip");
    let workers = running.workers(8);
    // By now all have found each other; before, it would take them longer.
    running.until_says("exchange");
    workers[3].stop();
    running.end().fails(1, &["7 workers are there, 8 were expected", "start the sort again"]);
    assert!(workers.iter().all(|worker| !worker.lives()), "{workers:?}");
    assert_eq!(names(folder.path()), ["in"]);
}

#[test]
fn a_sort_that_is_interrupted_or_killed_leaves_no_process() {
    let folder = with_records("--bytes 100MB");
    for exchange in ["zip", "store"] {
        let running = begun(folder.path(), exchange);
        let workers = running.workers(8);
        running.signal(Signal::INT);
        running.end().fails(130, &["interrupted"]);
        assert!(workers.iter().all(|worker| !worker.lives()), "{workers:?}");
        assert_eq!(names(folder.path()), ["in"], "{exchange}");
    }
    let running = begun(folder.path(), "zip");
    let workers = running.workers(8);
    running.signal(Signal::KILL);
    until("their end", || workers.iter().all(|worker| !worker.lives()).then_some(()));
    running.end().fails_by_signal();
    // What was begun says so, and is nobody's input.
    cirrus(folder.path(), "sort validate out").fails(1, &["out/unfinished exists", "remove the folder"]);
}

/// Whether there is a server to test with; tells whoever reads the test's output if there is none.
fn redis_is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).any(|folder| folder.join("redis-server").is_file());
    if !installed {
        eprintln!("redis-server is not installed: the exchange by Redis is tested without a server only");
    }
    installed
}

#[test]
fn without_a_redis_server_it_is_said_what_to_do() {
    let folder = with_records("--records 3000");
    let line = "sort run in --out out --workers 2 --exchange redis";
    let arguments: Vec<&str> = line.split(' ').collect();
    let output = command(folder.path(), &arguments).env("PATH", "").output().expect("cirrus starts");
    Ran::of(&output).fails(1, &["redis-server is not installed", "apt-get install", "--redis HOST:PORT"]);
    // Nobody listens there.
    let refused = cirrus(folder.path(), &format!("{line} --redis 127.0.0.1:1"));
    refused.fails(1, &["Redis at 127.0.0.1:1", "refused"]);
    cirrus(folder.path(), &format!("{line} --redis http://a")).fails(1, &["redis://HOST:PORT"]);
    // Somebody listens who is no Redis.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it listens").to_string();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody calls");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("it listens");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    cirrus(folder.path(), &format!("{line} --redis {address}")).fails(1, &["Redis at 127.0.0.1:"]);
    stranger.join().expect("it does not panic");
    assert_eq!(names(folder.path()), ["in"]);
}

#[test]
fn records_are_exchanged_by_a_redis_server_that_ends_with_the_sort() {
    if !redis_is_installed() {
        return;
    }
    let folder = with_records("--bytes 20MB");
    let mut running = Running::start(folder.path(), "sort run in --out out --workers 4 --exchange redis");
    running.until_says("partition");
    let children = running.children();
    assert!(children.len() > 1, "a server and workers: {children:?}");
    running.end().ok();
    until("their end", || children.iter().all(|child| !child.lives()).then_some(()));
    assert!(bytes(folder.path(), "out") == expected(folder.path()));
    assert_eq!(names(folder.path()), ["in", "out"]);

    fs::remove_dir_all(folder.path().join("out")).expect("it is there");
    for signal in [Signal::INT, Signal::KILL] {
        let mut running = Running::start(folder.path(), "sort run in --out out --workers 4 --exchange redis");
        running.until_says("download");
        let children = running.children();
        running.signal(signal);
        until("their end", || children.iter().all(|child| !child.lives()).then_some(()));
        running.end();
    }
}

/// A server that a test has started. Dropped, it ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_redis_server_that_runs_is_left_as_it_was() {
    if !redis_is_installed() {
        return;
    }
    let folder = with_records("--records 30000");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = free.local_addr().expect("it listens").port().to_string();
    drop(free);
    let started = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .stdout(Stdio::null())
        .spawn();
    let _server = Server(started.expect("it starts"));
    let ask = |what: &str| {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
        stream.write_all(format!("{what}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    until("an answer", || ask("SET mine 1").filter(|answer| answer.starts_with("+OK")));
    let line = format!("sort run in --out out --workers 3 --exchange redis --redis 127.0.0.1:{port}");
    cirrus(folder.path(), &line).ok();
    assert!(bytes(folder.path(), "out") == expected(folder.path()));
    assert_eq!(ask("DBSIZE"), Some(":1\r\n+OK\r\n".to_owned()));
}

#[test]
fn all_of_a_folder_is_written_or_nothing() {
    let folder = with_records("--records 3000");
    // A result that cannot be written, since a file is in the place of its folder.
    write(folder.path(), "out", "text");
    let before = contents(folder.path());
    let ran = cirrus(folder.path(), "sort run in --out out --workers 2");
    ran.fails(1, &["out"]);
    cirrus(folder.path(), "sort generate --records 3 --out out").fails(1, &["out"]);
    assert_eq!(contents(folder.path()), before);
}

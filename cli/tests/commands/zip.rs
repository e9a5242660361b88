//! Channels between real processes, one of which is killed.

use std::io::{Read, Write};
use std::path::Path;

use rustix::process::Signal;

use crate::job::Running;
use crate::run::{Ran, cirrus, folder, names, write};

const TOKEN: &str = "a token that is too long to guess";

/// A controller at a free port, and where that is.
fn controller(folder: &Path, listen: &str) -> (Running, String) {
    let line = format!("controller --listen {listen} --token-file token");
    let mut running = Running::start(folder, &line);
    let said = running.until_says("listens on ");
    let (_, address) = said.trim().rsplit_once(' ').expect("it says where");
    (running, address.to_owned())
}

#[test]
fn the_demo_kills_one_of_eight_and_the_others_have_their_sum() {
    let folder = folder();
    let mut running = Running::start(folder.path(), "zip demo --json --trace traces");
    running.until_says("have joined");
    let children = running.children();
    assert_eq!(children.len(), 8, "{children:?}");
    let ran = running.end();
    let found = ran.json();
    assert_eq!(found["processes"], 8);
    assert!(
        found["killed"]["member"].as_str().is_some_and(|name| ran.err.contains(&format!("without {name}")))
    );
    assert!(found["from_kill_to_sum_ms"].as_f64() > Some(0.0), "{found}");
    assert!(children.iter().all(|child| !child.lives()), "{children:?}");
    assert_eq!(names(folder.path()), ["traces"]);
    // What happened to each is recorded, of the one that was killed too; and no recording is written over.
    let traces = names(&folder.path().join("traces"));
    let of_members = (1..=8).map(|number| format!("member-{number}.trace"));
    let expected: Vec<String> = ["controller.trace".to_owned()].into_iter().chain(of_members).collect();
    assert_eq!(traces, expected);
    for trace in traces {
        let text = std::fs::read_to_string(folder.path().join("traces").join(&trace)).expect("it is text");
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|first| first.contains("\"recording\":{\"format\":1,")), "{trace}");
        assert!(lines.filter(|line| line.contains("\"event\":")).count() > 50, "{trace}");
    }
    let again = cirrus(folder.path(), "zip demo --trace traces");
    again.fails(1, &["traces/controller.trace", "not written over"]);
}

#[test]
fn the_demo_meets_at_a_controller_that_may_have_been_killed() {
    let folder = folder();
    write(folder.path(), "token", TOKEN);
    let (first, address) = controller(folder.path(), "127.0.0.1:0");
    let demo = format!("zip demo --quiet --controller {address} --token-file token");
    cirrus(folder.path(), &demo).ok();
    first.this().kill();
    first.end().fails_by_signal();
    // The next life has the next number, and listens where the first did.
    let (second, _) = controller(folder.path(), &address);
    cirrus(folder.path(), &demo).ok();
    let epoch = std::fs::read_to_string(folder.path().join("cirrus-controller/controller-epoch"));
    assert_eq!(epoch.expect("it is text"), "2");
    // Who has another token is told so, and leaves nothing behind.
    write(folder.path(), "other", "a token of another controller");
    let refused = format!("zip demo --quiet --controller {address} --token-file other");
    cirrus(folder.path(), &refused).fails(1, &["was not admitted"]);
    second.signal(Signal::INT);
    second.end().fails(130, &["interrupted"]);
    assert_eq!(names(folder.path()), ["cirrus-controller", "other", "token"]);
}

#[test]
fn a_controller_leads_to_those_whom_nobody_can_call() {
    let folder = folder();
    write(folder.path(), "token", TOKEN);
    let line = "controller --listen 127.0.0.1:0 --token-file token --relay 127.0.0.1:0";
    let mut running = Running::start(folder.path(), line);
    let said = running.until_says("processes that cannot be called at 127.0.0.1:");
    let relay = said.trim().rsplit(' ').next().expect("it says where").to_owned();
    std::net::TcpStream::connect(&relay).expect("it listens");
    // Where somebody listens already, it cannot.
    let taken = cirrus(folder.path(), &line.replace("--relay 127.0.0.1:0", &format!("--relay {relay}")));
    taken.fails(1, &[&relay, "in use"]);
    running.signal(Signal::INT);
    running.end().fails(130, &["interrupted"]);
}

#[test]
fn a_controller_says_what_it_counts() {
    let folder = folder();
    write(folder.path(), "token", TOKEN);
    let line = "controller --listen 127.0.0.1:0 --token-file token --metrics 127.0.0.1:0";
    let mut running = Running::start(folder.path(), line);
    let said = running.until_says("its metrics are at http://");
    let address = said.trim().rsplit_once("http://").and_then(|(_, it)| it.strip_suffix("/metrics"));
    let mut stream = std::net::TcpStream::connect(address.expect("it says where")).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("it answers");
    assert!(
        page.contains("# TYPE cirrus_zip_controller_epoch gauge\ncirrus_zip_controller_epoch 1\n"),
        "{page}"
    );
    running.signal(Signal::INT);
    running.end().fails(130, &["interrupted"]);
    let taken = cirrus(folder.path(), &line.replace("--metrics 127.0.0.1:0", "--metrics nowhere"));
    taken.fails(1, &["nowhere", "host:port"]);
}

#[test]
fn the_demo_runs_with_a_daemon_which_leaves_nothing_behind() {
    let folder = folder();
    write(folder.path(), "token", TOKEN);
    let (controller, address) = controller(folder.path(), "127.0.0.1:0");
    let line = format!("daemon --controller {address} --token-file token --socket daemon.socket");
    let start = || {
        let mut running = Running::start(folder.path(), &line);
        running.until_says("listens on daemon.socket");
        running
    };
    let demo = format!("zip demo --json --controller {address} --token-file token");
    let with_daemon = || {
        let arguments: Vec<&str> = demo.split_whitespace().collect();
        let mut command = crate::run::command(folder.path(), &arguments);
        Ran::of(&command.env("CIRRUS_DAEMON", "daemon.socket").output().expect("cirrus starts"))
    };
    // One that is killed leaves its file, and those who look for it do without.
    let first = start();
    assert_eq!(with_daemon().json()["processes"], 8);
    first.this().kill();
    first.end().fails_by_signal();
    assert!(names(folder.path()).contains(&"daemon.socket".to_owned()));
    assert_eq!(with_daemon().json()["processes"], 8);
    // The next one takes the file's place, and removes it in the end.
    let second = start();
    cirrus(folder.path(), &line).fails(1, &["daemon.socket", "in use"]);
    assert_eq!(with_daemon().json()["processes"], 8);
    second.signal(Signal::INT);
    second.end().fails(130, &["interrupted"]);
    controller.signal(Signal::INT);
    controller.end().fails(130, &["interrupted"]);
    assert_eq!(names(folder.path()), ["cirrus-controller", "token"]);
    // It wants to be found, and to be let in.
    let nowhere = format!("daemon --controller {address} --token-file token");
    cirrus(folder.path(), &nowhere).fails(2, &["CIRRUS_DAEMON", "--socket"]);
    cirrus(folder.path(), &line).fails(1, &[&address]);
    assert_eq!(names(folder.path()), ["cirrus-controller", "token"]);
}

#[test]
fn a_demo_that_is_interrupted_leaves_nobody() {
    let folder = folder();
    let mut running = Running::start(folder.path(), "zip demo");
    running.until_says("have joined");
    let children = running.children();
    running.signal(Signal::INT);
    running.end().fails(130, &["interrupted"]);
    crate::run::until("their end", || children.iter().all(|child| !child.lives()).then_some(()));
}

#[test]
fn a_controller_wants_a_token_that_cannot_be_guessed() {
    let folder = folder();
    write(folder.path(), "short", "secret");
    cirrus(folder.path(), "controller --token-file short").fails(2, &["6 characters", "16 at least"]);
    cirrus(folder.path(), "controller").fails(2, &["CIRRUS_TOKEN", "--token-file"]);
    cirrus(folder.path(), "controller --token-file none").fails(1, &["none"]);
    assert_eq!(names(folder.path()), ["short"]);
    write(folder.path(), "token", TOKEN);
    let nowhere = "controller --listen 127.0.0.1:0 --token-file token --trace none/controller.trace";
    cirrus(folder.path(), nowhere).fails(1, &["none/controller.trace", "make its folder first"]);
    assert_eq!(names(folder.path()), ["short", "token"]);
    cirrus(folder.path(), "zip member").fails(1, &["not to be started by hand"]);
}

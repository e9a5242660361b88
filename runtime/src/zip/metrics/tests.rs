//! What is counted of real channels, and who can read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cirrus_core::channel::Role;
use cirrus_core::directory::Limits;
use cirrus_protocol::handshake::Credential;
use cirrus_transport::auth;
use cirrus_transport::memory::Memory;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::io::IoThread;
use crate::zip::controller::{Controller, ControllerSpec, Epochs, Job};
use crate::zip::{Completeness, ONLY_JOB, Settings, Zip, ZipError, operator};

const TOKEN: &str = "a token that is too long to guess";
const LIMITS: Limits = Limits { channels_max: 4, members_max: 8 };

/// The samples of a text, by name and labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(name, value)| (name, value.parse().expect("a number")))
        .collect()
}

async fn round(zip: Zip<Memory>, count: usize) -> Result<(), ZipError> {
    let sums = zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await?;
    let records = zip.shuffle("records", Role::Both).await?;
    let news = zip.broadcast("news").await?;
    records.gathered(count).await?;
    sums.gathered(count).await?;
    let all = news.gathered(count).await?;
    sums.all_reduce(vec![0; 1 << 16]).await?;
    records.shuffle(|receivers| (0..receivers).map(|_| vec![vec![7; 100].into()]).collect()).await?;
    let (me, first, last) = (news.member(), all[0], all[count - 1]);
    if me == last {
        news.send(vec![1; 5000]).await?;
        news.send_to(first, &b"a word"[..]).await?;
    } else {
        news.receive().await?;
    }
    if me == first {
        news.receive_from(last).await?;
    }
    // Who has joined first stays to the end, and misses the others' values.
    if me == first {
        while sums.members().await?.len() > 1 {
            sums.all_reduce(vec![0; 8]).await?;
        }
    }
    sums.leave().await?;
    records.leave().await?;
    news.leave().await
}

/// A channel of two members, with a controller: what each of the three has counted.
async fn counted() -> [Metrics; 3] {
    let (medium, process) = (Memory::default(), IoThread::start().unwrap());
    let all: [Metrics; 3] = Default::default();
    let epochs = Epochs::Lent(Arc::new(Mutex::new(None)));
    let mut spec = ControllerSpec::new("controller", Job::new(ONLY_JOB, TOKEN, LIMITS), epochs);
    spec.metrics = Some(all[0].clone());
    let controller = Controller::start(&medium, spec).await.unwrap();
    let address = controller.address().to_owned();
    process.handle().spawn(controller.run());
    let members = all[1..].iter().map(|metrics| {
        let (medium, address, process) = (medium.clone(), address.clone(), IoThread::start().unwrap());
        let settings = Settings { metrics: Some(metrics.clone()), ..Settings::default() };
        let credential = Credential { job: ONLY_JOB, token: auth::digest(TOKEN) };
        let task = process.handle().spawn(async move {
            round(Zip::over(medium, &address, credential, "*", settings).await?, 2).await
        });
        (process, task)
    });
    for (_process, task) in members.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    all
}

#[tokio::test]
async fn what_happens_is_counted_under_the_names_of_the_table() {
    let all = counted().await;
    let texts = all.each_ref().map(Metrics::render);
    let mut found = BTreeSet::new();
    for text in &texts {
        let mut lines = text.lines();
        while let Some(help) = lines.find_map(|line| line.strip_prefix("# HELP ")) {
            let (name, help) = help.split_once(' ').unwrap();
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).unwrap();
            let row =
                TABLE.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is in no table"));
            assert_eq!((help, kind), (row.help, format!("{name} {}", row.kind).as_str()));
            found.insert(name.to_owned());
        }
    }
    let missing: Vec<&str> = TABLE.iter().map(|row| row.name).filter(|name| !found.contains(*name)).collect();
    assert!(missing.is_empty(), "never counted: {missing:?}");

    let controller = samples(&texts[0]);
    let value = |name: &str| controller[&format!("cirrus_zip_controller_{name}")[..]];
    assert_eq!([value("epoch"), value("joins_total"), value("deaths_total")], [1.0, 6.0, 0.0]);
    assert!(value("assignments_total") >= 6.0 && value("sent_bytes_total") > 0.0, "{}", texts[0]);
    for text in &texts[1..] {
        let member = samples(text);
        let value = |name: &str, labels: &str| member[&format!("cirrus_zip_{name}{{{labels}}}")[..]];
        let kinds = [("news", "broadcast"), ("records", "shuffle"), ("sums", "reduce")];
        for (channel, kind) in kinds {
            let labels = format!("channel=\"{channel}\",kind=\"{kind}\"");
            assert!(value("rounds_completed_total", &labels) >= 1.0, "{text}");
            assert_eq!(value("rounds_aborted_total", &labels), 0.0, "{text}");
            assert_eq!(value("held_rounds_limit", &format!("channel=\"{channel}\"")), 8.0);
            assert_eq!(value("seats_ended_total", &format!("channel=\"{channel}\",end=\"left\"")), 1.0);
        }
        // Half of the value at least goes over the link, either way.
        let sent =
            value("sent_bytes_total", "channel=\"sums\"") + value("received_bytes_total", "channel=\"sums\"");
        assert!(sent >= f64::from(1 << 16), "{text}");
        assert!(value("call_seconds_count", "channel=\"sums\",call=\"a reduce\"") >= 1.0, "{text}");
    }
}

#[test]
fn the_guide_has_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observe.md");
    let guide = std::fs::read_to_string(file).unwrap();
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| `cirrus_zip_")).collect();
    let row = |row: &Row| format!("| `{}` | {} | {} | {} |", row.name, row.kind, row.labels, row.help);
    let expected: Vec<String> = TABLE.iter().map(row).collect();
    assert_eq!(rows, expected, "write this into docs/observe.md:\n{}", expected.join("\n"));
}

/// What is answered to a request, in one piece.
async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn they_are_to_be_had_over_http() {
    let metrics = Metrics::default();
    let _counts = metrics.directory();
    let server = MetricsServer::start("127.0.0.1:0", metrics.clone()).await.unwrap();
    let address = server.address();
    let page = ask(address, "GET /metrics").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("text/plain; version=0.0.4"), "{page}");
    assert!(
        page.ends_with(&metrics.render()) && page.contains("\ncirrus_zip_controller_members 0\n"),
        "{page}"
    );
    assert!(ask(address, "GET /health").await.ends_with("\r\n\r\nok\n"));
    assert!(ask(address, "GET /else").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
    assert!(ask(address, "GET /a b").await.starts_with("HTTP/1.1 400 "));
    let taken = MetricsServer::start(&address.to_string(), metrics.clone()).await.unwrap_err().to_string();
    assert!(taken.contains(&address.to_string()) && taken.contains("is free"), "{taken}");
    let none = MetricsServer::start("nowhere", metrics).await.unwrap_err().to_string();
    assert!(none.contains("nowhere") && none.contains("host:port"), "{none}");
}

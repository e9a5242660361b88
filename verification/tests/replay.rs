//! Recordings of real channels, as they are and as somebody has edited them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cirrus_core::channel::Role;
use cirrus_core::directory::Limits;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::recording::{VERSION, seal};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::zip::controller::{Controller, ControllerSpec, Epochs, Job};
use cirrus_runtime::zip::{Completeness, ONLY_JOB, Recording, Settings, Zip, ZipError, operator};
use cirrus_transport::auth;
use cirrus_transport::memory::Memory;
use cirrus_verification::replay::{Fault, Rejected, Report, replay};
use cirrus_verification::tally::{Part, Tally};
use tokio::task::JoinHandle;

const TOKEN: &str = "a token that is too long to guess";
/// Whatever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { channels_max: 4, members_max: 8 };
const MEMBERS: usize = 3;

/// What a process is told.
enum Order {
    /// Take part in one round of everything.
    Round,
    /// Give a value to the next reduce, and leave when it is there.
    Last,
}

async fn join(medium: Memory, controller: String, file: PathBuf) -> Result<Seats, ZipError> {
    let credential = Credential { job: ONLY_JOB, token: auth::digest(TOKEN) };
    let recording = Some(Recording::create(file).expect("the file is new"));
    let settings = Settings { deadline: PATIENCE, recording, ..Settings::default() };
    let zip = Zip::over(medium, &controller, credential, "*", settings).await?;
    let sums = zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await?;
    let records = zip.shuffle("records", Role::Both).await?;
    let news = zip.broadcast("news").await?;
    Ok(Seats { sums, records, news })
}

struct Seats {
    sums: cirrus_runtime::zip::ReduceChannel,
    records: cirrus_runtime::zip::ShuffleChannel,
    news: cirrus_runtime::zip::BroadcastChannel,
}

impl Seats {
    async fn take(&self, order: Order) -> Result<(), ZipError> {
        if matches!(order, Order::Last) {
            let reduced = self.sums.all_reduce(vec![0; 4096]).await?;
            assert_eq!((reduced.members, reduced.missing.departed.len()), (MEMBERS as u32 - 1, 1));
            self.records.leave().await?;
            self.news.leave().await?;
            return self.sums.leave().await;
        }
        self.records.gathered(MEMBERS).await?;
        let all = self.news.gathered(MEMBERS).await?;
        self.sums.gathered(MEMBERS).await?;
        self.sums.all_reduce(vec![1; 100_000]).await?;
        let many = |receivers| (0..receivers).map(|to| vec![vec![to as u8; 9].into()]).collect();
        self.records.shuffle(many).await?;
        let (me, first, last) = (self.news.member(), all[0], all[MEMBERS - 1]);
        if me == last {
            self.news.send(vec![2; 1000]).await?;
            self.news.send_to(first, &b"a word"[..]).await
        } else {
            self.news.receive().await?;
            if me == first {
                self.news.receive_from(last).await?;
            }
            Ok(())
        }
    }
}

async fn all(tasks: Vec<JoinHandle<Result<(), ZipError>>>) {
    for task in tasks {
        tokio::time::timeout(PATIENCE, task)
            .await
            .expect("it hangs")
            .expect("it panicked")
            .expect("it works");
    }
}

/// Records a controller and three processes, one of which dies with its runtime in the midst of it. Their files.
async fn record(folder: &Path) -> Vec<PathBuf> {
    let (medium, process) = (Memory::default(), IoThread::start().expect("a thread"));
    let mut files = vec![folder.join("controller")];
    let epochs = Epochs::Lent(Arc::new(Mutex::new(None)));
    let mut spec = ControllerSpec::new("controller", Job::new(ONLY_JOB, TOKEN, LIMITS), epochs);
    spec.recording = Some(Recording::create(&files[0]).expect("the file is new"));
    let controller = Controller::start(&medium, spec).await.expect("it listens");
    let address = controller.address().to_owned();
    process.handle().spawn(controller.run());
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let process = IoThread::start().expect("a thread");
        files.push(folder.join(format!("member-{number}")));
        let join = join(medium.clone(), address.clone(), files[number + 1].clone());
        let seats = process.handle().spawn(join).await.expect("it did not panic").expect("it joins");
        members.push((process, Arc::new(seats)));
    }
    let order = |members: &[(IoThread, Arc<Seats>)], order: fn() -> Order| {
        let tasks = members.iter().map(|(process, seats)| {
            let seats = Arc::clone(seats);
            process.handle().spawn(async move { seats.take(order()).await })
        });
        tasks.collect::<Vec<_>>()
    };
    all(order(&members, || Order::Round)).await;
    let victim = members.remove(1);
    let last = order(&members, || Order::Last);
    drop(victim);
    all(last).await;
    files
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).expect("it is there").lines().map(str::to_owned).collect()
}

fn play(lines: &[String]) -> Result<Report, Box<Rejected>> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    replay(text.as_bytes(), &mut |_| {})
}

/// The same with the right checksums.
fn sealed(lines: &[String]) -> Vec<String> {
    let mut sum = 0;
    let seal = |line: &String| {
        let mut bytes = line.rsplit_once(",\"sum\":").map_or(line.as_str(), |it| it.0).as_bytes().to_vec();
        sum = seal(sum, &mut bytes);
        String::from_utf8(bytes).expect("it was text").trim_end().to_owned()
    };
    lines.iter().map(seal).collect()
}

/// The place of the first line with this in it.
fn place(lines: &[String], text: &str) -> usize {
    lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("there is no {text}"))
}

#[tokio::test]
async fn what_real_processes_did_they_do_again_and_no_edit_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = record(folder.path()).await;
    let mut tally = Tally::default();
    for file in &files {
        let report = play(&lines(file)).unwrap_or_else(|rejected| panic!("{}: {rejected}", file.display()));
        assert_eq!((report.cut, &report.header.cirrus[..]), (false, env!("CARGO_PKG_VERSION")));
        assert!(report.machines.iter().all(|machine| machine.events > 0), "{:?}", report.machines);
        tally.merge(&report.tally);
    }
    let held = |part| tally.part(part).iter().filter(|count| count.holds > 0).count();
    let parts = [Part::Directory, Part::Controller, Part::Member, Part::Messages, Part::Shuffle];
    assert!(parts.into_iter().all(|part| held(part) > 3), "{:?}", parts.map(held));

    // Neither the token nor what opens its channels is in there.
    let digest = serde_json::to_string(&auth::digest(TOKEN)).expect("it is a list of numbers");
    for file in &files {
        let text = std::fs::read_to_string(file).expect("it is there");
        assert!(!text.contains(TOKEN) && !text.contains(&digest));
    }
    // Nor are payloads: a reduce of 100,000 bytes is.
    assert!(lines(&files[1]).iter().map(String::len).sum::<usize>() < 100_000);
    every_line_is_held_to(&lines(&files[0]));
    every_line_is_held_to(&lines(&files[1]));
    edits_are_told_apart(&lines(&files[MEMBERS]));
}

/// A digit of a line is another one, whichever line it is.
fn every_line_is_held_to(whole: &[String]) {
    for place in 0..whole.len() {
        let mut edited = whole.to_vec();
        let from = edited[place].find("\"machine\":").map_or(0, |at| at + 12);
        let digit =
            edited[place][from..].find(|it: char| it.is_ascii_digit()).expect("there is a digit") + from;
        let other = if &edited[place][digit..=digit] == "7" { "8" } else { "7" };
        edited[place].replace_range(digit..=digit, other);
        let rejected = play(&edited[..=place]).expect_err("it was edited");
        assert!(rejected.edited || matches!(rejected.fault, Fault::Format(_)), "{rejected}");
        assert_eq!(rejected.line, place as u64 + 1, "{rejected}");
        let rejected = play(&edited).expect_err("it was edited");
        assert_eq!(rejected.line, place as u64 + 1, "{rejected}");
    }
}

fn edits_are_told_apart(whole: &[String]) {
    let edit = |place: usize, from: &str, to: &str| {
        let mut lines = whole.to_vec();
        lines[place] = lines[place].replacen(from, to, 1);
        assert_ne!(lines[place], whole[place], "{from}");
        lines
    };
    let at = place(whole, "{\"SetTimer\":");
    // An effect, with and without the right checksums.
    let (from, to) = ("\"after\":", "\"after\":9");
    let edited = edit(at, from, to);
    let rejected = play(&edited).expect_err("an effect is another one");
    assert_eq!((rejected.line, rejected.edited), (at as u64 + 1, true));
    let Fault::Differs(difference) = &rejected.fault else { panic!("{rejected}") };
    assert!(difference.recorded.as_ref().is_some_and(|it| it.contains(to)), "{rejected}");
    assert!(difference.now.as_ref().is_some_and(|it| !it.contains(to)), "{rejected}");
    let rejected = play(&sealed(&edited)).expect_err("an effect is another one");
    assert_eq!((rejected.line, rejected.edited), (at as u64 + 1, false));
    assert!(matches!(rejected.fault, Fault::Differs(_)), "{rejected}");
    // What no machine looks at.
    let rejected = play(&edit(at, "\"us\":", "\"us\":1")).expect_err("the time is another one");
    assert_eq!((rejected.line, &rejected.fault, rejected.edited), (at as u64 + 1, &Fault::Edited, true));
    // A line is gone, and one is there twice.
    let mut fewer = whole.to_vec();
    fewer.remove(at);
    assert_eq!(play(&fewer).expect_err("a line is gone").line, at as u64 + 1);
    let mut more = whole.to_vec();
    more.insert(at, whole[at].clone());
    assert_eq!(play(&more).expect_err("a line is there twice").line, at as u64 + 2);
    // What is no line, of another version, or of no machine.
    for (place, from, to, says) in [
        (at, "{\"us\"", "{us", "key must be a string"),
        (0, "\"format\":1", "\"format\":2", "version 2"),
        (0, "\"recording\"", "\"record\"", "unknown field `record`"),
        (1, "\"made\":{\"Member\"", "\"made\":{\"Someone\"", "unknown variant `Someone`"),
        (at, "\"machine\":", "\"machine\":9", "has not begun"),
        (at, "\"event\":{\"", "\"event\":{\"Un", "unknown variant `Un"),
    ] {
        let rejected = play(&sealed(&edit(place, from, to))).expect_err(says);
        assert_eq!(rejected.line, place as u64 + 1, "{rejected}");
        assert!(rejected.to_string().contains(says), "{says}: {rejected}");
    }
    assert!(
        play(&edit(0, "\"format\":1", "\"format\":2"))
            .expect_err("it is newer")
            .to_string()
            .contains(&format!("version {VERSION}"))
    );
    assert_eq!(play(&whole[1..]).expect_err("the header is gone").line, 1);
    assert!(play(&[]).expect_err("it is empty").to_string().contains("nothing in it"));
    // Bytes that are no text, and half a line at the end.
    assert!(matches!(
        replay(&b"\xff\xfe\n"[..], &mut |_| {}).expect_err("no text").fault,
        Fault::Unreadable(_)
    ));
    let text = whole[..=at].join("\n");
    assert!(!replay(text.as_bytes(), &mut |_| {}).expect("only the end of the line is missing").cut);
    let half = &text.as_bytes()[..text.len() - whole[at].len() / 2];
    let report = replay(half, &mut |_| {}).expect("the process was killed");
    assert!(report.cut && report.machines.iter().map(|it| it.events).sum::<u64>() > 0);
}

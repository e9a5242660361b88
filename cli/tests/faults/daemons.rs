//! Machines' daemons: lied to, and what is left of them when all are dead.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use bytes::{Bytes, BytesMut};
use cirrus_core::directory::ChannelName;
use cirrus_core::ids::CallId;
use cirrus_core::member::Kind as Purpose;
use cirrus_protocol::frame::Frame;
use cirrus_protocol::handshake::Credential;
use cirrus_protocol::zip::{DESCRIBED, Descriptor, Lodge, LodgingMessage};
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_transport::shared::{Lodging, Plain};
use cirrus_transport::unix::Unix;
use cirrus_transport::{FrameReceiver as _, FrameSender as _, Transport as _, auth};

use crate::member::{Kind, Order, Report, Sum};
use crate::processes::{Controller, Member, Process, TOKEN, Way, gather};
use crate::rounds::{NEWS, SUMS};

/// A daemon at this socket.
fn daemon(controller: &Controller, socket: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cirrus"));
    command.args(["daemon", "--controller", &controller.address, "--socket", socket]);
    command.args(["--token-file", "token", "--memory", "2048"]);
    command.current_dir(controller.folder()).env_remove("RUST_LOG");
    let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
    process.until_says("the daemon of this machine listens on");
    process
}

/// A socket's name that is no file and that no other test has.
fn name(test: &str) -> String {
    format!("@cirrus-faults-{}-{test}", std::process::id())
}

fn lodgers(controller: &Controller, socket: &str, channel: &str, kinds: &[Kind]) -> Vec<Member> {
    let way = Way::Lodging(socket.to_owned());
    let members = kinds.iter().map(|_| Member::start(&way, &controller.address, TOKEN)).collect();
    gather(members, channel, kinds)
}

#[track_caller]
fn share(members: &mut [Member], channel: &str, shared: bool) {
    for member in members {
        member.does(Order::Shares { channel: channel.into(), shared });
    }
}

/// All give a value of so many numbers.
fn give(members: &mut [Member], count: usize) -> Vec<u64> {
    let order = |(at, member): (usize, &mut Member)| {
        member.order(Order::Sum { channel: SUMS.into(), factor: 1 << at, count })
    };
    members.iter_mut().enumerate().map(order).collect()
}

/// R1, R2: all see the same, with everybody's value in it once, and nobody missing.
#[track_caller]
fn have_all(members: &mut [Member], orders: Vec<u64>) {
    let (count, mut first) = (members.len(), None);
    for (member, order) in members.iter_mut().zip(orders) {
        let seen = member.all(order);
        let [Report::Sum(sum)] = &seen[..] else { panic!("it was one round: {seen:?}") };
        let round = sum.round;
        let whole = Sum {
            round,
            factors: (1 << count) - 1,
            right: true,
            members: u32::try_from(count).expect("they are few"),
            missing: Vec::new(),
        };
        assert_eq!(*sum, whole, "R1, R2: {}", member.name);
        assert_eq!(*first.get_or_insert(round), round, "R1: the same round");
    }
}

/// Numbers of files without a name that a process shares, in the system's words: device and inode.
fn segments(id: u32) -> Vec<(u64, u64)> {
    let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else { return Vec::new() };
    let of = |path: std::path::PathBuf| {
        let to = fs::read_link(&path).ok()?;
        to.to_str()?.starts_with("/memfd:cirrus-").then(|| fs::metadata(&path).ok()).flatten()
    };
    files.filter_map(|file| of(file.ok()?.path())).map(|it| (it.dev(), it.ino())).collect()
}

/// Whether any process has one of these files open or mapped.
fn anybody_has(files: &[(u64, u64)]) -> bool {
    let processes = fs::read_dir("/proc")
        .expect("there is one")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    processes.into_iter().any(|id| {
        let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap_or_default();
        let mapped = maps.lines().filter(|line| line.contains("/memfd:cirrus-")).any(|line| {
            let inode = line.split_whitespace().nth(4).and_then(|it| it.parse().ok());
            files.iter().any(|(_, file)| Some(*file) == inode)
        });
        mapped || segments(id).iter().any(|file| files.contains(file))
    })
}

/// Whether the system knows of a socket of this name.
fn is_socket(name: &str) -> bool {
    let table = fs::read_to_string("/proc/net/unix").expect("there is one");
    table.lines().any(|line| line.split_whitespace().nth(7) == Some(name))
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("it can be read").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = fs::read_dir(folder).expect("it is there").map(name).collect();
    names.sort();
    names
}

/// All are killed at once: what they shared is gone with them, but for the file of a socket that has a path. Whoever
/// starts there next takes it over, and leaves nothing itself.
#[track_caller]
fn nothing_is_left(socket: &str) {
    let mut controller = Controller::start();
    let before = files(controller.folder());
    let running = daemon(&controller, socket);
    let mut members = lodgers(&controller, socket, SUMS, &[Kind::Sum; 3]);
    share(&mut members, SUMS, true);
    let orders: Vec<u64> = give(&mut members, 500_000);
    members.iter_mut().zip(orders).for_each(|(member, order)| {
        assert!(matches!(member.hear(order), Report::Sum(_)), "rounds go on and on");
    });
    let shared = segments(running.id());
    assert!(!shared.is_empty() && anybody_has(&shared) && is_socket(socket), "it shares memory: {shared:?}");
    members.iter().for_each(|member| member.kill());
    running.kill();
    controller.kill();
    drop((members, running)); // Their ends are waited for.
    assert!(!anybody_has(&shared), "a segment is left");
    assert!(!is_socket(socket), "a socket is left");
    assert_eq!(files(controller.folder()), before, "a file is left");
    // They come again.
    controller.restart();
    let mut running = daemon(&controller, socket);
    let mut members = lodgers(&controller, socket, SUMS, &[Kind::Sum; 3]);
    share(&mut members, SUMS, true);
    members[0].does(Order::Last { channel: SUMS.into() });
    let orders = give(&mut members, 500_000);
    have_all(&mut members, orders);
    drop(members);
    running.interrupt();
    assert_eq!(files(controller.folder()), before);
}

#[test]
fn nothing_is_left_of_the_dead() {
    nothing_is_left(&name("left"));
}

#[test]
fn the_file_of_a_dead_daemon_is_taken_over() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("socket");
    nothing_is_left(path.to_str().expect("it is text"));
    assert!(files(folder.path()).is_empty(), "a daemon that ends takes its file with it");
}

/// A lambda that does not do what the library does.
struct Liar {
    socket: String,
    /// Kept, so that it lodges.
    end: Plain,
    /// Kept likewise.
    _lodging: std::sync::Arc<Lodging>,
    number: u64,
    secret: [u8; 32],
    segment: u64,
    lines: u32,
}

async fn call(socket: &str) -> Plain {
    let mut end = Unix::default().connect(socket).await.expect("it listens");
    let credential = Credential { job: ONLY_JOB, token: auth::digest(TOKEN) };
    auth::prove(&mut end, credential).await.expect("it is let in");
    end
}

async fn say(end: &mut Plain, message: LodgingMessage) {
    end.sender.send(message.into_frame(&mut BytesMut::new())).await.expect("it listens");
}

impl Liar {
    async fn lodge(socket: &str, channel: &str) -> Self {
        let mut end = call(socket).await;
        let name = ChannelName(channel.into());
        let lodge = Lodge { name, kind: Purpose::Broadcast, strict: false, deadline: None, operator: 0 };
        say(&mut end, LodgingMessage::Lodge(lodge)).await;
        let LodgingMessage::Lodged { lodging, secret, segment } = hear(&mut end).await else {
            panic!("it may lodge")
        };
        say(&mut end, LodgingMessage::Ready).await;
        let kept = Lodging::take_over(&end, segment, ()).await.expect("it is handed over");
        Self { socket: socket.to_owned(), end, _lodging: kept, number: lodging, secret, segment, lines: 0 }
    }

    /// A slab of its own.
    async fn lease(&mut self, bytes: u64) -> Descriptor {
        say(&mut self.end, LodgingMessage::Lease { call: CallId(1), bytes }).await;
        loop {
            if let LodgingMessage::Leased { slot, begin, bytes, .. } = hear(&mut self.end).await {
                return Descriptor { segment: self.segment, begin, bytes, slot };
            }
        }
    }

    /// Describes something on a new line. Answers when that was closed.
    async fn describe(&mut self, body: Bytes) {
        let mut line = call(&self.socket).await;
        let (lodging, secret, connection) = (self.number, self.secret, self.lines);
        self.lines += 1;
        say(&mut line, LodgingMessage::Line { lodging, secret, connection }).await;
        let frame = Frame { kind: DESCRIBED, body: body.into(), ..Frame::default() };
        line.sender.send(frame).await.expect("it listens");
        while let Ok(Some(_)) = line.receiver.next().await {}
    }
}

async fn hear(end: &mut Plain) -> LodgingMessage {
    let frame = end.receiver.next().await.expect("it answers").expect("it answers");
    frame.try_into().expect("it answers as it should")
}

/// A lambda names bytes that are not its to name. Its line is closed, the daemon says by name what was wrong with it, and the
/// others' broadcasts go on.
#[test]
fn a_daemon_is_not_disturbed_by_a_lambda_that_lies() {
    let (controller, socket) = (Controller::start(), name("lies"));
    let running = daemon(&controller, &socket);
    let mut members = lodgers(&controller, &socket, NEWS, &[Kind::Broadcast; 3]);
    share(&mut members, NEWS, true);
    let receivers: Vec<u64> =
        members[1..].iter_mut().map(|it| it.order(Order::Receive { channel: NEWS.into() })).collect();
    let sender = members[0].order(Order::Send { channel: NEWS.into(), first: 0, bytes: 600_000 });
    let go_on = |members: &mut [Member]| {
        for (member, order) in members[1..].iter_mut().zip(&receivers) {
            for _ in 0..5 {
                let report = member.hear(*order);
                assert!(matches!(&report, Report::Came(it) if it.right), "{report:?}");
            }
        }
    };
    go_on(&mut members);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is one");
    let (mut liar, mut other) =
        runtime.block_on(async { (Liar::lodge(&socket, NEWS).await, Liar::lodge(&socket, "other").await) });
    let (own, others) = runtime.block_on(async { (liar.lease(100_000).await, other.lease(100_000).await) });
    let bytes = 2048 << 20;
    let lies = [
        (Descriptor { begin: bytes, ..own }, "names bytes beyond the segment"),
        (Descriptor { bytes: bytes / 2, ..own }, "names bytes outside of any slab"),
        (others, "belongs to segment"),
    ];
    for (descriptor, words) in lies {
        runtime.block_on(liar.describe(Bytes::copy_from_slice(&descriptor.to_bytes())));
        running.until_says(words);
        go_on(&mut members);
    }
    runtime.block_on(liar.describe(Bytes::from_static(b"cut off")));
    running.until_says("is cut off");
    // It has its slab until it is gone: another one's is not its own.
    let mut second = runtime.block_on(Liar::lodge(&socket, NEWS));
    runtime.block_on(second.describe(Bytes::copy_from_slice(&own.to_bytes())));
    running.until_says("names a slab that its sender does not hold");
    go_on(&mut members);
    members[0].does(Order::Last { channel: NEWS.into() });
    members[0].all(sender);
    for (member, order) in members[1..].iter_mut().zip(receivers) {
        assert!(member.all(order).iter().all(|report| matches!(report, Report::Came(it) if it.right)));
    }
}

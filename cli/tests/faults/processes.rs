//! Real processes: a controller and members, which can be given orders, killed, stopped and looked into.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use cirrus_runtime::fleet::launcher::PARENT_VARIABLE;
use cirrus_runtime::zip::daemon::DAEMON_VARIABLE;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::member::{CONTROLLER_VARIABLE, FAULTY_VARIABLE, Kind, Line, Order, Report, TEST, TOKEN_VARIABLE};

/// What all members have to show.
pub(crate) const TOKEN: &str = "a token that is too long to guess";
/// Whatever takes longer than this hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The deadline of calls that are to end by themselves, in milliseconds.
const CALLS_MS: u64 = 50_000;

/// What a process has written so far.
#[derive(Default)]
struct Log {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl Log {
    /// Reads a stream in the background.
    fn of(stream: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut text = kept.text.lock().expect("nobody panics with it");
                text.0.push_str(&line);
                text.0.push('\n');
                kept.more.notify_all();
            }
            kept.text.lock().expect("nobody panics with it").1 = true;
            kept.more.notify_all();
        });
        log
    }

    /// Waits for a line with this in it.
    #[track_caller]
    fn until_says(&self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut text = self.text.lock().expect("nobody panics with it");
        loop {
            if let Some(line) = text.0.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!text.1 && !left.is_zero(), "it does not say {words:?}: {}", text.0);
            text = self.more.wait_timeout(text, left).expect("nobody panics with it").0;
        }
    }
}

/// A process. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    handle: Handle,
}

/// What a process is reached by, as long as that lives.
#[derive(Clone)]
pub(crate) struct Handle {
    id: u32,
    log: Arc<Log>,
}

impl std::ops::Deref for Process {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Process {
    /// Ctrl-C, and waits for its end.
    pub(crate) fn interrupt(&mut self) {
        self.handle.signal(Signal::INT);
        self.child.wait().expect("it is a child of this process");
    }

    /// Its standard error is kept.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let log = Log::of(child.stderr.take().expect("it is a pipe"));
        let handle = Handle { id: child.id(), log };
        Self { child, handle }
    }
}

impl Handle {
    /// The system's number of it.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Another one.
    pub(crate) fn handle(&self) -> Self {
        self.clone()
    }

    /// Signal 9.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// It lives, and does nothing any more until it is told to go on.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw).expect("it is a process id");
        kill_process(id, signal).expect("it is there, if only as a zombie");
    }

    /// Waits for a line of standard error with this in it.
    #[track_caller]
    pub(crate) fn until_says(&self, words: &str) -> String {
        self.log.until_says(words)
    }

    /// A figure of its memory, in bytes: `VmRSS` is what it has now, `VmHWM` the most that it has had.
    pub(crate) fn memory(&self, figure: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("it has memory");
        let kilobytes = line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB");
        kilobytes.parse::<usize>().expect("it is a number") << 10
    }

    /// Ports of this machine on which it listens.
    pub(crate) fn ports(&self) -> Vec<u16> {
        crate::proc::listening(self.id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process is connected with others.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// As all processes of this machine are.
    Plain,
    /// It can be cut off by an order.
    Faulty,
    /// In a network namespace.
    Inside(String),
    /// It may have a daemon, which listens at this Unix socket.
    Lodging(String),
}

impl Way {
    fn command(&self, program: &OsStr) -> Command {
        let Self::Inside(namespace) = self else { return Command::new(program) };
        let mut command = Command::new("ip");
        // It becomes the program itself: signals reach that.
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

/// A controller, which can be killed and started again at the same address.
pub(crate) struct Controller {
    folder: TempDir,
    way: Way,
    pub(crate) address: String,
    process: Option<Process>,
}

impl Controller {
    /// At any free port of this machine.
    pub(crate) fn start() -> Self {
        Self::start_at(Way::Plain, "127.0.0.1")
    }

    /// At any free port of this host.
    pub(crate) fn start_at(way: Way, host: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        fs::write(folder.path().join("token"), TOKEN).expect("there is room for a file");
        let mut controller = Self { folder, way, address: format!("{host}:0"), process: None };
        controller.restart();
        controller
    }

    /// Its next life.
    pub(crate) fn restart(&mut self) {
        let mut command = self.way.command(env!("CARGO_BIN_EXE_cirrus").as_ref());
        command.args(["controller", "--token-file", "token", "--listen", &self.address]);
        command.current_dir(self.folder.path()).env_remove("RUST_LOG");
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        let said = process.until_says("listens on ");
        let (_, address) = said.trim().rsplit_once(' ').expect("it says where");
        self.address = address.to_owned();
        self.process = Some(process);
    }

    /// Signal 9.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// The folder in which it runs: its token is there, in the file `token`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// A process that can join channels.
    pub(crate) fn member(&self) -> Member {
        Member::start(&Way::Plain, &self.address, TOKEN)
    }

    /// Processes that join a channel, each after the one before, until so many are there.
    pub(crate) fn members(&self, channel: &str, kinds: &[Kind]) -> Vec<Member> {
        let members = kinds.iter().map(|_| self.member()).collect();
        gather(members, channel, kinds)
    }
}

/// A process that is a member.
pub(crate) struct Member {
    process: Process,
    orders: ChildStdin,
    reports: mpsc::Receiver<(u64, Report)>,
    /// Reports that were not asked for yet.
    kept: VecDeque<(u64, Report)>,
    given: u64,
    /// Who it is in the channel that it has joined last.
    pub(crate) name: String,
}

impl std::ops::Deref for Member {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Member {
    /// A process that has not joined anything.
    pub(crate) fn start(way: &Way, controller: &str, token: &str) -> Self {
        let program = std::env::current_exe().expect("this program is a file");
        let mut command = way.command(program.as_os_str());
        command
            .args(["--exact", TEST, "--nocapture"])
            .env(CONTROLLER_VARIABLE, controller)
            .env(TOKEN_VARIABLE, token)
            .env(PARENT_VARIABLE, std::process::id().to_string());
        if matches!(way, Way::Faulty) {
            command.env(FAULTY_VARIABLE, "yes");
        }
        match way {
            Way::Lodging(socket) => command.env(DAEMON_VARIABLE, socket),
            Way::Plain | Way::Faulty | Way::Inside(_) => command.env_remove(DAEMON_VARIABLE),
        };
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let orders = process.child.stdin.take().expect("it is a pipe");
        let words = BufReader::new(process.child.stdout.take().expect("it is a pipe"));
        let (told, reports) = mpsc::channel();
        std::thread::spawn(move || {
            for line in words.lines().map_while(Result::ok).filter(|line| line.starts_with('{')) {
                let Line { order, what } = serde_json::from_str(&line).expect("it is a report");
                if told.send((order, what)).is_err() {
                    return;
                }
            }
        });
        Self { process, orders, reports, kept: VecDeque::new(), given: 0, name: String::new() }
    }

    /// Tells it to do something. Answers with the order's number.
    #[track_caller]
    pub(crate) fn order(&mut self, what: Order) -> u64 {
        self.given += 1;
        let line = serde_json::to_string(&Line { order: self.given, what }).expect("it is text");
        writeln!(self.orders, "{line}").expect("it listens");
        self.given
    }

    /// The next report about an order.
    #[track_caller]
    pub(crate) fn hear(&mut self, order: u64) -> Report {
        if let Some(at) = self.kept.iter().position(|(about, _)| *about == order) {
            return self.kept.remove(at).expect("it is there").1;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.reports.recv_timeout(left) {
                Ok((about, report)) if about == order => return report,
                Ok(other) => self.kept.push_back(other),
                Err(error) => {
                    let log = self.process.handle.log.text.lock().expect("nobody panics with it");
                    panic!("{} says nothing about order {order}: {error}; {}", self.name, log.0);
                }
            }
        }
    }

    /// The next report about an order of a process that is dead, if it had said more.
    pub(crate) fn last_words(&mut self, order: u64) -> Option<Report> {
        self.kept.extend(self.reports.iter());
        let at = self.kept.iter().position(|(about, _)| *about == order)?;
        self.kept.remove(at).map(|(_, report)| report)
    }

    /// Tells it to do something, and waits until that is done.
    #[track_caller]
    pub(crate) fn does(&mut self, what: Order) {
        let order = self.order(what);
        assert_eq!(self.hear(order), Report::Done, "{}", self.name);
    }

    /// Takes a seat.
    #[track_caller]
    pub(crate) fn join(&mut self, channel: &str, kind: Kind) {
        let order = self.order(Order::Join { channel: channel.into(), kind, within_ms: CALLS_MS });
        match self.hear(order) {
            Report::Joined(name) => self.name = name,
            other => panic!("it cannot join: {other:?}"),
        }
    }

    /// Waits until so many are there.
    #[track_caller]
    pub(crate) fn gathered(&mut self, channel: &str, members: usize) {
        self.does(Order::Gathered { channel: channel.into(), members });
    }

    /// Asks who is in a channel, until somebody is not any more: the controller has declared it dead.
    #[track_caller]
    pub(crate) fn until_gone(&mut self, channel: &str, name: &str) {
        let began = Instant::now();
        loop {
            let order = self.order(Order::Members { channel: channel.into() });
            match self.hear(order) {
                Report::Members(there) if there.iter().all(|it| it != name) => return,
                Report::Members(_) => assert!(began.elapsed() < PATIENCE, "{name} is still there"),
                other => panic!("{}: {other:?}", self.name),
            }
        }
    }

    /// All reports about an order up to its end, which must be that it is done.
    #[track_caller]
    pub(crate) fn all(&mut self, order: u64) -> Vec<Report> {
        let (mut all, began) = (Vec::new(), Instant::now());
        loop {
            assert!(began.elapsed() < PATIENCE, "{} goes on and on", self.name);
            match self.hear(order) {
                Report::Done => return all,
                Report::Failed(kind, text) => panic!("{}: {kind}: {text}; after {all:?}", self.name),
                report => all.push(report),
            }
        }
    }
}

/// Has processes join a channel, each after the one before. When this answers, all of them are there.
pub(crate) fn gather(mut members: Vec<Member>, channel: &str, kinds: &[Kind]) -> Vec<Member> {
    for (member, kind) in members.iter_mut().zip(kinds) {
        member.join(channel, *kind);
    }
    for member in &mut members {
        member.gathered(channel, kinds.len());
    }
    members
}

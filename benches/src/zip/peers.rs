//! The same works in Redis, in Gloo and in Open MPI, with as many processes, turn by turn with ours, and beside what the
//! machine cannot beat.
//!
//! A team is as many processes of `peers.py`, which hear orders and answer as our members do. The time of a work is that
//! of the slowest process from a barrier on, divided by the rounds, and the best of several turns. Ours and each peer
//! take their turns one after the other, and who waits for its turn sleeps in the kernel.
//!
//! What is compared: a round of ours is over when all have it and its sender knows. The peers are measured so, too, and
//! where they let rounds run ahead of the slowest process also without that; the table says which. Of a reduce
//! whose result one gets, all know with ours that it has it.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cirrus_core::ids::FanOut;
use cirrus_runtime::io::IoThread;
use serde_json::Value;
use tempfile::TempDir;

use super::floor::Rates;
use super::processes::{Process, Watch};
use super::work::{Way, Work};
use super::{Error, Member, Options, end, host, slowest, start};
use crate::first_light::figure;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/zip/peers.py");
const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/zip/install-peers.sh");
/// The Python environment, where it is made once and goes with `cargo clean`.
const ENVIRONMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers");
/// So long a team may take to be ready, and to answer: whatever takes longer hangs.
const READY: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(900);
/// How often a team that gets ready is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Below this, bytes do not count.
const SMALL: usize = 10_000;

/// Measures all of it and prints the table.
pub(super) fn run(options: &Options) -> Result<(), Error> {
    if options.members < 2 {
        return Err(format!("--members {}: at least 2 are needed beside peers", options.members).into());
    }
    let cores = std::thread::available_parallelism()?;
    let over = if options.daemon { "with a daemon" } else { "over TCP" };
    println!("machine: {cores} cores; {} processes, ours {over}", options.members);
    let io = IoThread::start()?;
    let watch = Watch::start(&io)?;
    let python = install(&watch)?;
    let rates = Rates::measure(options.repeat, options.members)?;
    let folder = folder()?;
    let address = host(&io, FanOut(options.fan_out))?;
    let daemon = options.daemon(&address)?;
    let mut members = start(&address, options, daemon.as_ref())?;
    for member in &members {
        watch.admit(&member.child)?;
    }
    let mut teams = Vec::new();
    let place = Place { watch: &watch, python: &python, folder: folder.path(), options };
    for kind in [Kind::Redis, Kind::Gloo, Kind::MpiSingleCopy, Kind::MpiTwoCopies] {
        match place.team(kind) {
            Ok(team) => teams.push(team),
            Err(reason) => {
                watch.check()?;
                figure(kind.name(), format!("not measured: {reason}"));
            }
        }
    }
    println!();
    let works: &[Work] = if options.daemon { &Work::SHARED } else { &Work::ALL };
    for work in works.iter().copied() {
        for (bytes, rounds) in work.sizes(options.large) {
            let job = Job { work, bytes, rounds, repeat: options.repeat.max(1) };
            let measured = job.measure(&mut members, &mut teams);
            // What an interrupt makes of the processes is not what to tell.
            watch.check()?;
            job.print(&rates, options.members, &measured?);
        }
    }
    let barrier = (0..options.repeat.max(1)).map(|_| slowest(&mut members, "barrier", 0, 500));
    let barrier = barrier.collect::<Result<Vec<_>, _>>()?;
    figure("barrier, cirrus", time(barrier.into_iter().fold(f64::INFINITY, f64::min)));
    teams.into_iter().for_each(Team::end);
    for member in &members {
        watch.discharge(&member.child);
    }
    end(members)
}

/// Installs what is missing, and tells which Python has the clients. What it says is for the terminal; who is missing
/// in spite of it is not measured, and says so.
fn install(watch: &Watch) -> Result<PathBuf, Error> {
    let status = Command::new("sh").args([INSTALL, ENVIRONMENT]).status();
    watch.check()?;
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        println!("not all peers could be installed, see above; those that are there are measured");
    }
    Ok(Path::new(ENVIRONMENT).join("bin/python"))
}

/// Where teams put their files; in memory, as they would by themselves.
fn folder() -> std::io::Result<TempDir> {
    let mut named = tempfile::Builder::new();
    // Open MPI's sockets have their paths below it, which must be short.
    named.prefix("cirrus-");
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { named.tempdir_in(memory) } else { named.tempdir() }
}

/// One line of the table, in the making.
struct Row {
    name: String,
    /// The best seconds a round, or why there are none.
    best: Result<f64, String>,
}

/// A work of one size.
struct Job {
    work: Work,
    bytes: usize,
    rounds: u32,
    repeat: u32,
}

impl Job {
    /// Lets all do it, turn by turn. Who fails is not asked again.
    fn measure(&self, members: &mut [Member], teams: &mut Vec<Team>) -> Result<Vec<Row>, Error> {
        let (order, how) = self.work.ours();
        let mut ours = f64::INFINITY;
        let mut rows = Vec::new();
        for team in &*teams {
            for way in self.work.ways() {
                let how = team.kind.does(way);
                rows.push(Row { name: format!("{}: {how}", team.kind.name()), best: Ok(f64::INFINITY) });
            }
        }
        for _ in 0..self.repeat {
            ours = ours.min(slowest(members, order, self.bytes, self.rounds)?);
            let mut row = rows.iter_mut();
            for team in &mut *teams {
                for (way, row) in self.work.ways().iter().zip(row.by_ref()) {
                    match (&mut row.best, team.slowest(way.order, self.bytes, self.rounds)) {
                        (Ok(best), Ok(seconds)) => *best = best.min(seconds),
                        (best, Err(reason)) => *best = Err(reason.to_string()),
                        (Err(_), Ok(_)) => (),
                    }
                }
            }
        }
        teams.retain(|team| team.failed.is_none());
        rows.insert(0, Row { name: format!("cirrus: {how}"), best: Ok(ours) });
        Ok(rows)
    }

    fn print(&self, rates: &Rates, processes: usize, rows: &[Row]) {
        let size = match self.work {
            Work::Shuffle | Work::Exchange => String::new(),
            _ if self.bytes < 1_000_000 => format!(" of {} B", self.bytes),
            _ => format!(" of {} MB", self.bytes / 1_000_000),
        };
        println!("{}{size}", self.work.name());
        let Some(Row { best: Ok(ours), .. }) = rows.first() else { return };
        for (nth, row) in rows.iter().enumerate() {
            let value = match &row.best {
                Ok(seconds) if nth == 0 => time(*seconds),
                Ok(seconds) => format!("{} ({:.2}x ours)", time(*seconds), seconds / ours),
                Err(reason) => format!("not measured: {reason}"),
            };
            figure(&format!("  {}", row.name), value);
        }
        let (memory, sockets) = rates.floors(self.work, processes, self.bytes);
        for (name, seconds, counts) in [
            // Small messages cost wake-ups, not bytes: a ratio to these would say nothing.
            ("memory in common", memory, self.bytes >= SMALL),
            ("sockets", sockets, true),
        ] {
            let ratio = if counts { format!(" (ours is {:.1}x)", ours / seconds) } else { String::new() };
            let value = time(seconds) + &ratio;
            figure(&format!("  floor, through {name}"), value);
        }
        println!();
    }
}

/// Seconds, for people.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        _ if seconds < 1e-3 => format!("{:.1} us", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    Gloo,
    /// As it comes: where the kernel lets it, a process copies from another's memory.
    MpiSingleCopy,
    /// Through a segment of memory in common: copied in and out.
    MpiTwoCopies,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Gloo => "Gloo",
            Self::MpiSingleCopy => "Open MPI",
            Self::MpiTwoCopies => "Open MPI, CMA off",
        }
    }

    fn does(self, way: &Way) -> &'static str {
        match self {
            Self::Redis => way.redis,
            Self::Gloo => way.gloo,
            Self::MpiSingleCopy | Self::MpiTwoCopies => way.mpi,
        }
    }
}

/// What teams are started with.
struct Place<'a> {
    watch: &'a Watch,
    python: &'a Path,
    folder: &'a Path,
    options: &'a Options,
}

impl Place<'_> {
    /// Starts a team and says what it is.
    fn team(&self, kind: Kind) -> Result<Team, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let control = listener.local_addr()?.port().to_string();
        let processes = match kind {
            Kind::Redis => self.redis(&control)?,
            Kind::Gloo => self.gloo(&control)?,
            Kind::MpiSingleCopy => vec![self.mpi(&control, &[])?],
            // Up to version 4, and from 5 on; each ignores the other's.
            Kind::MpiTwoCopies => {
                let off = ["btl_vader_single_copy_mechanism", "none", "smsc", "^cma,xpmem,knem"];
                vec![self.mpi(&control, &off)?]
            }
        };
        let mut team = Team { kind, lines: Vec::new(), processes, failed: None };
        let facts = team.gather(&listener, self.options.members)?;
        figure(kind.name(), facts);
        Ok(team)
    }

    /// A program that ends when we do.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.python);
        command.args([SCRIPT, "run", name]).current_dir(self.folder).env("TMPDIR", self.folder);
        // Ctrl-C in a terminal is for us: we end them in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A server that keeps nothing, as it comes otherwise, on a port that was free, and its processes.
    fn redis(&self, control: &str) -> Result<Vec<Process>, Error> {
        found("redis-server", "redis-server")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        // Its limits, which large values are beyond.
        let value = (self.options.large + (1 << 20)).max(512 << 20).to_string();
        let mut server = self.program("redis-server");
        server.args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ]);
        server.args(["--proto-max-bulk-len", &value, "--client-query-buffer-limit", "64gb"]);
        server.args(["--client-output-buffer-limit", "pubsub 0 0 0"]).stdout(Stdio::piped());
        let mut server = Process::start(self.watch, &mut server)?;
        let mut said = server.child.stdout.take().ok_or("no pipe")?;
        let mut last = String::new();
        let ready = BufReader::new(&mut said).lines().map_while(Result::ok).any(|line| {
            last.clone_from(&line);
            line.contains("Ready to accept connections")
        });
        if !ready {
            return Err(format!("redis-server ended on port {port}: {last}").into());
        }
        // It says no more, and a pipe that nobody reads stays open for its end.
        server.child.stdout = Some(said);
        let mut processes = self.ranks("redis", &port, control)?;
        // The last to be waited for.
        processes.push(server);
        Ok(processes)
    }

    /// Processes that find each other by files in a folder of their own.
    fn gloo(&self, control: &str) -> Result<Vec<Process>, Error> {
        let folder = self.folder.join("gloo");
        std::fs::create_dir(&folder)?;
        self.ranks("gloo", folder.to_str().ok_or("the folder's name is not UTF-8")?, control)
    }

    /// The processes of a team that we start by ourselves, and where they meet.
    fn ranks(&self, kind: &str, meeting: &str, control: &str) -> Result<Vec<Process>, Error> {
        let count = self.options.members.to_string();
        let rank = |rank: usize| {
            let mut command = Command::new(self.python);
            command.args([SCRIPT, kind, &rank.to_string(), &count, meeting, control]);
            Process::start(self.watch, command.stdin(Stdio::null()).stdout(Stdio::null()))
        };
        (0..self.options.members).map(rank).collect()
    }

    fn mpi(&self, control: &str, parameters: &[&str]) -> Result<Process, Error> {
        found("mpirun", "openmpi-bin")?;
        let folder = self.folder.to_str().ok_or("the folder's name is not UTF-8")?;
        let mut command = self.program("mpirun");
        command.args(["--allow-run-as-root", "--oversubscribe", "-np", &self.options.members.to_string()]);
        // Its segments lie in a folder that is removed, even if it is killed.
        let segments = ["btl_vader_backing_directory", folder, "btl_sm_backing_directory", folder];
        for pair in parameters.chunks_exact(2).chain(segments.chunks_exact(2)) {
            command.arg("--mca").args(pair);
        }
        command.arg(self.python).args([SCRIPT, "mpi", control]);
        Process::start(self.watch, &mut command)
    }
}

/// # Errors
/// A program is not on the PATH: what Debian's package of it is called.
fn found(program: &str, package: &str) -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Ok(());
    }
    Err(format!("there is no {program} on the PATH; install it (on Debian: apt-get install {package})")
        .into())
}

/// An order's way to a process of a team, and its answers.
struct Line {
    orders: TcpStream,
    words: BufReader<TcpStream>,
}

/// Processes of a peer. Those that are left end with this.
struct Team {
    kind: Kind,
    // Before the processes: they end when these are closed.
    lines: Vec<Line>,
    processes: Vec<Process>,
    /// Why it can do no more.
    failed: Option<String>,
}

impl Team {
    /// Waits until all have come, and answers with what the first says of itself.
    fn gather(&mut self, listener: &TcpListener, count: usize) -> Result<String, Error> {
        let limit = Instant::now() + READY;
        listener.set_nonblocking(true)?;
        let mut facts = String::new();
        while self.lines.len() < count {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(ANSWER))?;
                    let mut line = Line { words: BufReader::new(stream.try_clone()?), orders: stream };
                    let word: Value = serde_json::from_str(&line.hear()?)?;
                    if word["rank"] == 0 {
                        facts = word["facts"].as_str().unwrap_or_default().to_owned();
                    }
                    self.lines.push(line);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.processes.iter_mut().any(Process::ended) {
                        return Err("a process ended before it was ready; what it said is above".into());
                    }
                    if Instant::now() > limit {
                        let there = self.lines.len();
                        let text =
                            format!("{there} of {count} processes were ready after {} s", READY.as_secs());
                        return Err(text.into());
                    }
                    std::thread::sleep(LOOK);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(facts)
    }

    /// Tells all what to do; the seconds that the slowest took for each round.
    fn slowest(&mut self, order: &str, bytes: usize, rounds: u32) -> Result<f64, Error> {
        if let Some(reason) = &self.failed {
            return Err(reason.clone().into());
        }
        let done =
            self.lines.iter_mut().try_for_each(|line| Ok(writeln!(line.orders, "{order} {bytes} {rounds}")?));
        let done = done.and_then(|()| {
            self.lines.iter_mut().try_fold(0.0, |slowest, line| {
                Ok::<_, Error>(f64::max(slowest, line.hear()?.trim().parse()?))
            })
        });
        match done {
            Ok(seconds) => Ok(seconds / f64::from(rounds)),
            Err(reason) => {
                self.failed = Some(format!("{order} of {bytes} bytes: {reason}"));
                // Who waits for the one that failed would wait for ever.
                self.processes.clear();
                Err(reason)
            }
        }
    }

    /// Lets all go, and waits for them.
    fn end(mut self) {
        self.lines.clear();
        // A server waits for nobody, and goes last: it ends when it is dropped.
        let server = if self.kind == Kind::Redis { self.processes.pop() } else { None };
        self.processes.into_iter().for_each(Process::join);
        drop(server);
    }
}

impl Line {
    fn hear(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.words.read_line(&mut line) {
            Ok(0) => Err("a process ended early; what it said is above".into()),
            Ok(_) => Ok(line),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(format!("no answer within {} s", ANSWER.as_secs()).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

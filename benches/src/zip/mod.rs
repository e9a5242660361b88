//! `zip`: what channels cost, among processes of one machine, which have no memory in common but for what a daemon lends.
//!
//! | file | what |
//! |---|---|
//! | [`member`] | a process of the channels, which does what it is told and says how long it took |
//! | [`daemon`] | a daemon, which lends them memory in common |
//! | [`controller`] | how fast members join, and what the controller keeps of each |
//! | [`links`] | large values between machines with shaped links, which [`network`] makes |
//! | [`peers`] | the same in Redis, Gloo and Open MPI, in the same run |
//! | [`work`] | what is measured so |
//! | [`floor`] | what the machine cannot beat |
//! | [`processes`] | other programs' processes, which end when we do |
//!
//! All processes do the same a number of times, one after the other, from a barrier on. A figure is the time of the slowest
//! divided by that number, and the best of several such runs. A broadcast ends when its last receiver has all pieces; a
//! reduce is one whose result everybody gets.

mod controller;
pub(crate) mod daemon;
mod floor;
mod links;
pub(crate) mod member;
mod network;
mod peers;
mod processes;
mod work;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use cirrus_core::directory::Limits;
use cirrus_core::ids::FanOut;
use cirrus_runtime::io::IoThread;
use cirrus_runtime::zip::controller::{Controller, ControllerSpec, Epochs, FAN_OUT, Job};
use cirrus_runtime::zip::daemon::DAEMON_VARIABLE;
use cirrus_runtime::zip::{ONLY_JOB, Zip};
use cirrus_transport::tcp::Tcp;
use clap::Args;

use crate::first_light::figure;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Nobody else can reach the controller: any token will do.
const TOKEN: &str = "among processes of a benchmark";

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Processes.
    #[arg(long, default_value_t = 8)]
    members: usize,
    /// Bytes of a large value or broadcast.
    #[arg(long, default_value_t = 100_000_000)]
    large: usize,
    /// Repetitions of each measurement; the best counts.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Measure Redis, Gloo, and Open MPI with and without single copies by the kernel, turn by turn with ours, and print what
    /// this machine cannot beat. Installs what is missing with apt-get, if root, and with pip into target/peers. Needs
    /// memory for some 10 large values a process.
    #[arg(long)]
    peers: bool,
    /// With a daemon on this machine, or on each: values and broadcasts lie in memory that all processes share, copied in or born
    /// there. Shuffles go past it and are not measured. Needs memory for some 3 large values a process.
    #[arg(long)]
    daemon: bool,
    /// Members that may be below each in a channel's tree.
    #[arg(long, default_value_t = FAN_OUT.0, conflicts_with_all = ["controller"], value_parser = clap::value_parser!(u32).range(1..=64))]
    fan_out: u32,
    /// Members live on the runtime of their application, not on a thread of their own: a round is handed over less often,
    /// and an application that computes keeps others waiting.
    #[arg(long, conflicts_with_all = ["controller", "links"])]
    embedded: bool,
    /// Measure the controller alone: joins a second, memory a member.
    #[arg(long, conflicts_with_all = ["peers", "daemon", "members", "large"])]
    controller: bool,
    /// Members that join.
    #[arg(long, default_value_t = 160_000, requires = "controller", value_parser = clap::value_parser!(u64).range(20_000..1_000_000))]
    joins: u64,
    /// Connections that carry them.
    #[arg(long, default_value_t = 8, requires = "controller", value_parser = clap::value_parser!(u64).range(1..1000))]
    connections: u64,
    /// Joins that may be under way on each connection.
    #[arg(long, default_value_t = 256, requires = "controller", value_parser = clap::value_parser!(u64).range(1..10_000))]
    pipelined: u64,
    /// Measure large values between machines whose links are slow: network namespaces with links that `tc` shapes. Needs
    /// root and iproute2; nothing of it is seen outside, and it is removed at the end.
    #[arg(long, conflicts_with_all = ["peers", "members", "controller"])]
    links: bool,
    /// Machines.
    #[arg(long, default_value_t = 4, requires = "links", value_parser = machines)]
    machines: usize,
    /// Processes on each machine.
    #[arg(long, default_value_t = 1, requires = "links", value_parser = clap::value_parser!(u32).range(1..=64))]
    lambdas: u32,
    /// What a link carries each way, in Mbit/s.
    #[arg(long, default_value_t = 400, requires = "links", value_parser = clap::value_parser!(u32).range(1..10_000))]
    megabits: u32,
}

fn machines(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(machines @ 2..=100) => Ok(machines),
        _ => Err("from 2 to 100".to_owned()),
    }
}

impl Options {
    /// A daemon, if there is to be one.
    fn daemon(&self, controller: &str) -> Result<Option<daemon::Running>, Error> {
        // Each process has a value there, there are results of a few rounds, and slabs are larger than what is in them.
        let bytes = (self.members + 8) * self.large / 4 * 5 + (64 << 20);
        self.daemon.then(|| daemon::Running::start(controller, TOKEN, bytes)).transpose()
    }
}

/// A process of the channels.
struct Member {
    child: Child,
    orders: ChildStdin,
    words: BufReader<ChildStdout>,
}

impl Member {
    fn start(controller: &str, options: &Options, socket: Option<&str>) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        if options.embedded {
            command.env(member::EMBEDDED, "1");
        }
        match socket {
            Some(socket) => command.env(DAEMON_VARIABLE, socket),
            None => command.env_remove(DAEMON_VARIABLE),
        };
        Self::spawn(command, controller, options.members)
    }

    /// By a command that runs this program.
    fn spawn(mut command: Command, controller: &str, members: usize) -> Result<Self, Error> {
        let mut child = command
            .arg("zip-member")
            .env(member::CONTROLLER, controller)
            .env(member::TOKEN, TOKEN)
            .env(member::MEMBERS, members.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, words) = (child.stdin.take(), child.stdout.take());
        let (orders, words) = (orders.ok_or("no pipe")?, BufReader::new(words.ok_or("no pipe")?));
        Ok(Self { child, orders, words })
    }

    fn hear(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.words.read_line(&mut line)? {
            0 => Err("a process ended early".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if options.peers {
        return peers::run(options);
    }
    if options.controller {
        return watched(options, controller::run);
    }
    if options.links {
        return watched(options, links::run);
    }
    let over = if options.daemon { "with a daemon" } else { "over TCP" };
    println!(
        "machine: {} cores; {} processes {over}",
        std::thread::available_parallelism()?,
        options.members
    );
    let io = IoThread::start()?;
    let address = host(&io, FanOut(options.fan_out))?;
    if !options.daemon {
        joins(&io, &address)?;
    }
    let daemon = options.daemon(&address)?;
    let mut members = start(&address, options, daemon.as_ref())?;
    let large = options.large;
    let mut measure = |what: &str, bytes: usize, times: u32| -> Result<f64, Error> {
        let mut best = f64::INFINITY;
        for _ in 0..options.repeat {
            best = best.min(slowest(&mut members, what, bytes, times)?);
        }
        Ok(best)
    };
    for (name, times) in [("broadcast", 1.0), ("reduce", 1.0), ("all-reduce", 2.0)] {
        let seconds = measure(name, 100, 500)?;
        figure(&format!("{name} of 100 B"), format!("{:.1} us", seconds * 1e6));
        let seconds = measure(name, large, 3)?;
        // Each byte must leave or enter every process but one, at the least; or both.
        let moved = large as f64 * times * (options.members as f64 - 1.0);
        let rate = moved / seconds / 1e9;
        figure(
            &format!("{name} of {} MB", large / 1_000_000),
            format!("{seconds:.3} s, {rate:.1} GB/s in all"),
        );
    }
    let seconds = measure("barrier", 0, 500)?;
    figure("barrier", format!("{:.1} us", seconds * 1e6));
    if options.daemon {
        for work in ["broadcast:born", "broadcast:read", "reduce:born", "all-reduce:born"] {
            let seconds = measure(work, large, 3)?;
            figure(&format!("{work}, {} MB", large / 1_000_000), format!("{:.1} ms", seconds * 1e3));
        }
        return end(members);
    }
    let seconds = measure("shuffle", 8_000_000, 3)?;
    figure("shuffle of 1 M integers each", format!("{seconds:.3} s"));
    end(members)?;
    let mut took = Vec::new();
    for _ in 0..options.repeat {
        took.extend(kills(&address, options)?);
    }
    took.sort_by(f64::total_cmp);
    let (median, worst) = (took.get(took.len() / 2), took.last());
    if let (Some(median), Some(worst)) = (median, worst) {
        let what = format!("kill -9 to the survivors' next sum, of {} kills", took.len());
        figure(&what, format!("median {:.1} ms, worst {:.1} ms", median * 1e3, worst * 1e3));
    }
    Ok(())
}

/// Measures something that starts processes of which Ctrl-C must reach all.
fn watched(
    options: &Options,
    measure: fn(&Options, &processes::Watch) -> Result<(), Error>,
) -> Result<(), Error> {
    let io = IoThread::start()?;
    let watch = processes::Watch::start(&io)?;
    let measured = measure(options, &watch);
    // Whoever was interrupted hears that, and not what it led to.
    watch.check().and(measured)
}

/// A controller that runs in the background; where it listens.
fn host(io: &IoThread, fan_out: FanOut) -> Result<String, Error> {
    let controller = io.block_on(controller_at("127.0.0.1:0", fan_out))?;
    let address = controller.address().to_owned();
    io.handle().spawn(controller.run());
    Ok(address)
}

async fn controller_at(listen: &str, fan_out: FanOut) -> Result<Controller, Error> {
    let job = Job::new(ONLY_JOB, TOKEN, Limits { channels_max: 8, members_max: 1000 });
    let mut spec = ControllerSpec::new(listen, job, Epochs::Lent(Arc::default()));
    spec.config.fan_out = fan_out;
    Ok(Controller::start(&Tcp::default(), spec).await?)
}

/// Tells all what to do; the seconds that the slowest took for each of so many times.
fn slowest(members: &mut [Member], what: &str, bytes: usize, times: u32) -> Result<f64, Error> {
    for member in &mut *members {
        writeln!(member.orders, "{what} {bytes} {times}")?;
    }
    let mut slowest = 0_f64;
    for member in members {
        slowest = slowest.max(member.hear()?.parse()?);
    }
    Ok(slowest / f64::from(times))
}

fn start(address: &str, options: &Options, daemon: Option<&daemon::Running>) -> Result<Vec<Member>, Error> {
    let socket = daemon.map(|daemon| &*daemon.socket);
    let mut members = Vec::new();
    for _ in 0..options.members {
        members.push(Member::start(address, options, socket)?);
    }
    for member in &mut members {
        member.hear()?;
    }
    Ok(members)
}

fn end(members: Vec<Member>) -> Result<(), Error> {
    for mut member in members {
        drop(member.orders);
        member.child.wait()?;
    }
    Ok(())
}

/// Kills all members but two, one after the other, while they add up 8 KB each, round after round; answers with the seconds
/// from each kill to the last survivor's first sum without the killed one.
fn kills(address: &str, options: &Options) -> Result<Vec<f64>, Error> {
    let mut members = start(address, options, None)?;
    let mut took = Vec::new();
    while members.len() > 2 {
        let left = members.len() - 1;
        for member in &mut members {
            writeln!(member.orders, "survive 8000 {left}")?;
        }
        for member in &mut members {
            member.hear()?;
        }
        // A leaf, an inner one, the root: wherever it happens to sit.
        let mut killed = members.remove(took.len() % members.len());
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        killed.child.kill()?;
        killed.child.wait()?;
        let mut last = began;
        for member in &mut members {
            last = last.max(member.hear()?.parse()?);
        }
        took.push((last - began) as f64 / 1e9);
    }
    end(members)?;
    Ok(took)
}

/// How fast members come and go, one after the other: a join is answered when the member has its place.
fn joins(io: &IoThread, address: &str) -> Result<(), Error> {
    let count = 200;
    io.block_on(async {
        let zip = Zip::connect(address, TOKEN).await?;
        let started = Instant::now();
        let mut seats = Vec::new();
        for _ in 0..count {
            seats.push(zip.broadcast("joins").await?);
        }
        let each = started.elapsed() / count;
        figure("a seat, from the call to its place, one after the other", format!("{} us", each.as_micros()));
        Ok(())
    })
}

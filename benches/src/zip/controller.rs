//! How many members a controller lets in each second, and what it keeps of each.
//!
//! The controller is `cirrus controller`, in a process of its own. Its callers are here: some connections, each of which
//! carries many members, as a platform's front end would, and has so many requests under way. A request is done when the
//! member has been accepted; the assignments that follow, the newcomer's, its parent's and its root's, all come back over
//! these connections, are decoded, and are held against each other at the end: each member has a place, and there is one
//! link for each but the roots.
//!
//! Beside it, the same joins through the machine alone, without sockets: what is left is what frames and system calls cost.

use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use cirrus_core::channel::{Role, Tenancy, ToMember};
use cirrus_core::controller;
use cirrus_core::directory::{
    ChannelName, Config, Credential, Directory, Effect, Event, Join, Limits, Refusal, Token,
};
use cirrus_core::ids::{CallId, ControllerEpoch, FanOut, MachineId};
use cirrus_core::machine::{Effects, Machine as _};
use cirrus_core::member::Kind;
use cirrus_protocol::zip::{Address, ControllerReply, ControllerRequest};
use cirrus_runtime::zip::ONLY_JOB;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::{Connection, FrameReceiver as _, FrameSender as _, Transport, auth};
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::processes::{Process, Watch};
use super::{Error, Options, TOKEN};
use crate::first_light::command::Cirrus;
use crate::first_light::figure;

/// Joins of which the rate is printed.
const STEP: u64 = 20_000;
/// Joins one after the other, for the time of one.
const ALONE: u32 = 5000;
/// Where all members of these connections say that they listen: they are one process.
const LISTENS: &str = "10.0.0.1:40000";

/// What the joins are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// Each member has a channel of its own.
    Unique,
    /// All are in one.
    Shared,
}

impl Naming {
    fn channel(self, nth: u64) -> ChannelName {
        ChannelName(match self {
            Self::Unique => format!("job-{nth}").into(),
            Self::Shared => "all".into(),
        })
    }

    fn what(self) -> &'static str {
        match self {
            Self::Unique => "each in a channel of its own",
            Self::Shared => "all in one channel",
        }
    }

    fn limits(self, joins: u64) -> (u64, u64) {
        match self {
            Self::Unique => (joins + u64::from(ALONE), 1),
            Self::Shared => (1, joins + u64::from(ALONE)),
        }
    }
}

/// Measures all of it and prints it.
pub(super) fn run(options: &Options, watch: &Watch) -> Result<(), Error> {
    println!(
        "machine: {} cores; {} connections over loopback, {} joins under way on each; the controller is a process of its own",
        std::thread::available_parallelism()?,
        options.connections,
        options.pipelined
    );
    let cirrus = Cirrus::build().map_err(|error| error.to_string())?;
    for naming in [Naming::Unique, Naming::Shared] {
        alone(naming, options.joins)?;
        for _ in 0..options.repeat.max(1) {
            live(naming, options, &cirrus, watch)?;
        }
    }
    Ok(())
}

/// The machine without sockets.
fn alone(naming: Naming, joins: u64) -> Result<(), Error> {
    struct Counted(u64);
    impl Effects<Effect<Address>> for Counted {
        fn push(&mut self, effect: Effect<Address>) {
            self.0 += u64::from(matches!(effect, Effect::Channel { .. }));
        }
    }
    let (channels, members) = naming.limits(joins);
    let limits = Limits { channels_max: u32::try_from(channels)?, members_max: u32::try_from(members)? };
    let channel = controller::Config { members_max: limits.members_max, ..controller::Config::default() };
    let config = Config { jobs_max: 1, members_max: limits.reserve(), fan_out: FanOut(2), channel };
    let (job, token) = (ONLY_JOB, Token([7; 32]));
    let (mut directory, mut effects) = (Directory::default(), Counted(0));
    for event in [
        Event::Started { last: None },
        Event::Persisted(ControllerEpoch(1)),
        Event::Open { call: CallId(0), job, token, limits },
    ] {
        directory.step(&config, event, &mut effects);
    }
    let address = Address::new([LISTENS])?;
    let before = resident("self")?;
    let began = cpu("self")?;
    for nth in 0..joins {
        directory.step(
            &config,
            Event::Join(Join {
                call: CallId(nth),
                credential: Credential { job, token },
                name: naming.channel(nth),
                kind: Kind::Broadcast,
                address: address.clone(),
                role: Role::Both,
                tenancy: Tenancy::Lambda(MachineId(nth)),
            }),
            &mut effects,
        );
    }
    let seconds = cpu("self")? - began;
    let bytes = resident("self")?.saturating_sub(before);
    // Each is accepted, welcomed and told its place.
    if effects.0 < joins * 3 {
        return Err(format!("the machine let in fewer than {joins} members").into());
    }
    figure(
        &format!("machine alone, {}", naming.what()),
        format!(
            "{:.2} us, so {:.0} K joins/s; {} bytes a member",
            seconds / joins as f64 * 1e6,
            joins as f64 / seconds / 1e3,
            bytes / joins
        ),
    );
    Ok(())
}

/// A controller that runs, and its callers.
fn live(naming: Naming, options: &Options, cirrus: &Cirrus, watch: &Watch) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let (channels, members) = naming.limits(options.joins);
    let mut command = Command::new(cirrus.path());
    command
        .args(["controller", "--json", "--quiet", "--listen", "127.0.0.1:0", "--folder"])
        .arg(folder.path());
    command.args(["--channels-max", &channels.to_string(), "--members-max", &members.to_string()]);
    command.env("CIRRUS_TOKEN", TOKEN).stdout(Stdio::piped());
    let mut process = Process::start(watch, &mut command)?;
    let pid = process.child.id().to_string();
    let said = process.child.stdout.take().ok_or("no pipe")?;
    // It says one thing, when it listens.
    let first = serde_json::Deserializer::from_reader(said).into_iter::<Value>().next();
    let first = first.ok_or("the controller ended early")??;
    let address = first["address"].as_str().ok_or("the controller does not say where it listens")?;
    let before = resident(&pid)?;
    let run = Arc::new(Run::new(naming, options));
    let measured = Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut callers = Vec::new();
        for nth in 0..options.connections {
            callers.push(Caller::call(address, nth, run.clone()).await?);
        }
        let began = [cpu(&pid)?, cpu("self")?];
        let callers = all(callers, Caller::join_share).await?;
        run.report(resident(&pid)?, before)?;
        let took =
            [cpu(&pid)? - began[0], cpu("self")? - began[1]].map(|time| time / options.joins as f64 * 1e6);
        figure(
            "  time of a core that a join took",
            format!("{:.2} us of the controller's, {:.2} us of its callers'", took[0], took[1]),
        );
        // Nothing changes any more: what is under way is the last.
        let mut callers = all(callers, Caller::hear_out).await?;
        run.check(&callers)?;
        callers.first_mut().ok_or("there are no connections")?.join_alone().await
    });
    // It has nothing to put in order, and would say that it was interrupted.
    let _ = process.child.kill();
    measured
}

/// Lets all callers do something at the same time.
async fn all<F>(callers: Vec<Caller>, work: impl Fn(Caller) -> F) -> Result<Vec<Caller>, Error>
where
    F: Future<Output = Result<Caller, Error>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for caller in callers {
        under_way.spawn(work(caller));
    }
    let mut done = Vec::new();
    while let Some(ended) = under_way.join_next().await {
        done.push(ended??);
    }
    Ok(done)
}

/// What all callers have in common.
struct Run {
    naming: Naming,
    joins: u64,
    connections: u64,
    pipelined: u64,
    began: Instant,
    accepted: AtomicU64,
    /// When so many steps of joins had been accepted.
    steps: Mutex<Vec<Instant>>,
}

impl Run {
    fn new(naming: Naming, options: &Options) -> Self {
        Self {
            naming,
            joins: options.joins,
            connections: options.connections,
            pipelined: options.pipelined,
            began: Instant::now(),
            accepted: AtomicU64::new(0),
            steps: Mutex::default(),
        }
    }

    fn accept(&self, count: u64) {
        let before = self.accepted.fetch_add(count, Ordering::Relaxed);
        let passed = (before + count) / STEP - before / STEP;
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        (0..passed).for_each(|_| steps.push(Instant::now()));
    }

    fn report(&self, now: u64, before: u64) -> Result<(), Error> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let last = steps.last().ok_or("too few joins for a rate")?;
        let rate = |joins: u64, from: Instant, to: Instant| joins as f64 / (to - from).as_secs_f64() / 1e3;
        let starts = std::iter::once(&self.began).chain(steps.iter());
        let each = starts.zip(steps.iter()).map(|(from, to)| format!("{:.0}", rate(STEP, *from, *to)));
        let each = each.collect::<Vec<_>>().join(" ");
        let total = rate(STEP * steps.len() as u64, self.began, *last);
        figure(
            &format!("{} joins, {}", self.joins, self.naming.what()),
            format!("{total:.0} K joins/s; of each {STEP}: {each}"),
        );
        figure(
            "  the controller's resident memory",
            format!(
                "{:.1} MB at first, {:.1} MB with all: {} bytes a member",
                before as f64 / 1e6,
                now as f64 / 1e6,
                now.saturating_sub(before) / self.joins
            ),
        );
        Ok(())
    }

    /// Every member has a place, and what parents and children know of each other agrees in number.
    fn check(&self, callers: &[Caller]) -> Result<(), Error> {
        let seats = callers.iter().flat_map(|caller| &caller.seats).flatten();
        let (mut members, mut parents, mut children) = (0, 0, 0);
        for seat in seats {
            members += 1;
            parents += u64::from(seat.has_parent);
            children += u64::from(seat.children);
        }
        let roots = match self.naming {
            Naming::Unique => self.joins,
            Naming::Shared => 1,
        };
        if (members, parents, children) == (self.joins, self.joins - roots, self.joins - roots) {
            return Ok(());
        }
        let text = format!(
            "{} members were accepted; {members} know their place, {parents} a parent and all together {children} children",
            self.joins
        );
        Err(text.into())
    }
}

/// What a member was last told.
#[derive(Clone, Copy)]
struct Seat {
    has_parent: bool,
    children: u8,
}

/// A connection that carries many members.
struct Caller {
    connection: Connection<<Tcp as Transport>::Sender, <Tcp as Transport>::Receiver>,
    run: Arc<Run>,
    nth: u64,
    address: Address,
    buffer: BytesMut,
    /// What was asked for, and what was answered.
    asked: u64,
    accepted: u64,
    refused: u64,
    /// Of the members that are here: by channel or by slot, whichever tells them apart.
    seats: Vec<Option<Seat>>,
}

impl Caller {
    async fn call(address: &str, nth: u64, run: Arc<Run>) -> Result<Self, Error> {
        let mut connection = Tcp::default().connect(address).await?;
        auth::prove(&mut connection, Credential { job: ONLY_JOB, token: auth::digest(TOKEN) }).await?;
        let (address, buffer) = (Address::new([LISTENS])?, BytesMut::new());
        let (asked, accepted, refused, seats) = (0, 0, 0, Vec::new());
        Ok(Self { connection, run, nth, address, buffer, asked, accepted, refused, seats })
    }

    /// Asks for one more member, or for one of a wrong kind, which is refused.
    fn ask(&mut self, kind: Kind) -> Result<(), Error> {
        // Names that no other connection uses.
        let nth = self.asked * self.run.connections + self.nth;
        self.asked += 1;
        let request = ControllerRequest::Join(cirrus_protocol::zip::Join {
            call: CallId(self.asked),
            name: self.run.naming.channel(nth),
            kind,
            address: self.address.clone(),
            role: Role::Both,
            tenancy: Tenancy::Lambda(MachineId(nth)),
        });
        Ok(self.connection.sender.queue(request.into_frame(&mut self.buffer))?)
    }

    /// Takes in what has come, at least one word; answers how many were accepted.
    async fn hear(&mut self) -> Result<u64, Error> {
        let before = self.accepted;
        let mut next = self.connection.receiver.next().await?;
        if next.is_none() {
            return Err("the controller has closed the connection".into());
        }
        while let Some(frame) = next {
            self.heard(ControllerReply::try_from(frame)?)?;
            next = self.connection.receiver.try_next_buffered()?;
        }
        Ok(self.accepted - before)
    }

    fn heard(&mut self, reply: ControllerReply) -> Result<(), Error> {
        match reply {
            ControllerReply::Accepted { .. } => self.accepted += 1,
            ControllerReply::Refused { reason: Refusal::WrongKind, .. } => self.refused += 1,
            ControllerReply::To { channel, member, message: ToMember::Assign(assign) } => {
                let key = match self.run.naming {
                    Naming::Unique => channel.serial,
                    Naming::Shared => member.slot,
                };
                let key = key as usize;
                if self.seats.len() <= key {
                    self.seats.resize((key + 1).next_power_of_two(), None);
                }
                let children = u8::try_from(assign.children.len())?;
                self.seats[key] = Some(Seat { has_parent: assign.parent.is_some(), children });
            }
            ControllerReply::Hello { .. } | ControllerReply::To { message: ToMember::Welcome(_), .. } => {}
            other => return Err(format!("the controller says {other:?}").into()),
        }
        Ok(())
    }

    /// Joins its share of all members.
    async fn join_share(mut self) -> Result<Self, Error> {
        let run = self.run.clone();
        let share = run.joins / run.connections + u64::from(self.nth < run.joins % run.connections);
        while self.accepted < share {
            while self.asked < share && self.asked - self.accepted < run.pipelined {
                self.ask(Kind::Broadcast)?;
            }
            self.connection.sender.flush().await?;
            let accepted = self.hear().await?;
            run.accept(accepted);
        }
        Ok(self)
    }

    /// Waits until everything is here that was said before: what waits when a request comes is said before what comes
    /// with the next.
    async fn hear_out(mut self) -> Result<Self, Error> {
        self.asked = 0;
        for refused in 1..=2 {
            self.ask(Kind::Reduce)?;
            self.connection.sender.flush().await?;
            while self.refused < refused {
                self.hear().await?;
            }
            // The same name again.
            self.asked -= 1;
        }
        Ok(self)
    }

    /// One after the other: from the request until the answer, behind which the place is written.
    async fn join_alone(&mut self) -> Result<(), Error> {
        self.asked = self.run.joins;
        let mut took = Vec::new();
        for _ in 0..ALONE {
            let (began, wanted) = (Instant::now(), self.accepted + 1);
            self.ask(Kind::Broadcast)?;
            self.connection.sender.flush().await?;
            while self.accepted < wanted {
                self.hear().await?;
            }
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        figure(
            &format!("  {ALONE} more, one after the other"),
            format!("median {:.0} us, 99 of 100 within {:.0} us", at(50), at(99)),
        );
        Ok(())
    }
}

/// How long a process has run on a core in all, in seconds; of the first of its threads, which does all work here.
fn cpu(pid: &str) -> Result<f64, Error> {
    let said = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanoseconds: u64 = said.split(' ').next().ok_or("no time in schedstat")?.parse()?;
    Ok(nanoseconds as f64 / 1e9)
}

/// The resident memory of a process, in bytes.
fn resident(pid: &str) -> Result<u64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

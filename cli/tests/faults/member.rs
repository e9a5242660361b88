//! A process that is a member of channels, as these tests drive it.
//!
//! It is this very program, started again to run the one test in here with the controller's address in its environment.
//! Orders come as lines on standard input, each with a number, and reports go as lines to standard output, with the number
//! of the order that they are about. Every order is a task of its own. The process ends with its standard input.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cirrus_core::channel::Missing;
use cirrus_protocol::handshake::Credential;
use cirrus_runtime::fleet::launcher::{PARENT_VARIABLE, die_with_parent};
use cirrus_runtime::io::IoThread;
use cirrus_runtime::zip::error::in_words;
use cirrus_runtime::zip::{
    BroadcastChannel, Channel, Completeness, HandledChannel, HandlerChannel, ONLY_JOB, ReduceChannel,
    Reduced, Settings, Zip, ZipError, operator,
};
use cirrus_transport::faults::Faulty;
use cirrus_transport::tcp::Tcp;
use cirrus_transport::{Medium, auth};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::processes::Controller;

/// Where the controller is. Without it, this program is no member.
pub(crate) const CONTROLLER_VARIABLE: &str = "CIRRUS_CONTROLLER";
/// What it has to show there.
pub(crate) const TOKEN_VARIABLE: &str = "CIRRUS_TOKEN";
/// If this is set, the process can be cut off: see [`Order::CutOff`].
pub(crate) const FAULTY_VARIABLE: &str = "CIRRUS_FAULTY";
/// The name of the test that is a member.
pub(crate) const TEST: &str = "member::a_member_does_as_it_is_told";

/// Added to a value, this makes a round the last one of all who are in it.
pub(crate) const LAST: i64 = 1 << 20;

/// Which kind of seat.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    Broadcast,
    Sum,
    /// Gives to sums that are for one.
    Give,
    /// Has those sums.
    Handle,
}

/// What a member is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Takes a seat, in which calls end after so many milliseconds: [`Report::Joined`].
    Join {
        channel: String,
        kind: Kind,
        within_ms: u64,
    },
    /// Waits for so many to be there: [`Report::Done`].
    Gathered {
        channel: String,
        members: usize,
    },
    /// Gives `factor` times 1, 2, 3, ..., `count` of them, round after round, until a round is the last one. A
    /// [`Report::Sum`] for each, or, where the sums are for one, a [`Report::Given`].
    Sum {
        channel: String,
        factor: i64,
        count: usize,
    },
    /// Has the results of sums that are for one until the last: a [`Report::Sum`] for each.
    Results {
        channel: String,
        count: usize,
    },
    /// Broadcasts so many bytes, again and again, until it is told that the next is the last. Numbers them from `first`
    /// on. A [`Report::Came`] for each that is sealed, and [`Report::Aborted`] for each that it sends again.
    Send {
        channel: String,
        first: u64,
        bytes: usize,
    },
    /// Offers so many broadcasts, one after the other, whatever becomes of those before: [`Report::Offered`].
    Offer {
        channel: String,
        first: u64,
        count: u32,
        bytes: usize,
    },
    /// Takes broadcasts until the last: a [`Report::Came`] for each.
    Receive {
        channel: String,
    },
    /// The next round that this one begins is the last.
    Last {
        channel: String,
    },
    /// Waits until it shares memory with others of its machine, or does not any more: [`Report::Done`].
    Shares {
        channel: String,
        shared: bool,
    },
    /// Who is there: [`Report::Members`].
    Members {
        channel: String,
    },
    Leave {
        channel: String,
    },
    /// Swallows all that this process says to an address and hears from it; without one, all that it says and hears.
    CutOff {
        address: Option<String>,
    },
    /// Lets it through again.
    LetBack {
        address: Option<String>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Joined(String),
    Sum(Sum),
    /// A value is in a result that somebody else has.
    Given(Vec<String>),
    Came(Broadcast),
    /// A broadcast came to nothing.
    Aborted,
    /// Not sealed within a millisecond, and not even taken.
    Offered {
        given_up: u32,
        refused: u32,
    },
    Members(Vec<String>),
    /// The order is carried out.
    Done,
    /// It ended otherwise: the error's name, and its text.
    Failed(String, String),
}

/// A sum that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) round: u64,
    /// Its first number. Factors are powers of two, so that this says whose values are in it.
    pub(crate) factors: i64,
    /// All other numbers fit that one.
    pub(crate) right: bool,
    pub(crate) members: u32,
    pub(crate) missing: Vec<String>,
}

/// A broadcast that has come, or is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Broadcast {
    pub(crate) round: u64,
    pub(crate) from: String,
    pub(crate) nth: u64,
    /// Every byte is as it was sent.
    pub(crate) right: bool,
}

/// A line of orders, and one of reports.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line<T> {
    pub(crate) order: u64,
    pub(crate) what: T,
}

#[derive(Clone)]
enum Seat {
    Broadcast(BroadcastChannel),
    Sum(ReduceChannel),
    Give(HandledChannel),
    Handle(HandlerChannel),
}

impl Seat {
    fn channel(&self) -> &Channel {
        match self {
            Self::Broadcast(channel) => channel,
            Self::Sum(channel) => channel,
            Self::Give(channel) => channel,
            Self::Handle(channel) => channel,
        }
    }

    fn within(self, after: Duration) -> Self {
        match self {
            Self::Broadcast(channel) => Self::Broadcast(channel.within(after)),
            Self::Sum(channel) => Self::Sum(channel.within(after)),
            Self::Give(channel) => Self::Give(channel.within(after)),
            Self::Handle(channel) => Self::Handle(channel.within(after)),
        }
    }
}

/// The member of a process that has the controller's address; else, that such a process says what it cannot reach.
#[test]
fn a_member_does_as_it_is_told() {
    if let Ok(controller) = std::env::var(CONTROLLER_VARIABLE) {
        let parent = std::env::var(PARENT_VARIABLE).expect("it has a parent").parse();
        die_with_parent(parent.expect("that is a process")).expect("the parent is there");
        let filter = tracing_subscriber::EnvFilter::new("warn");
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        log.with_ansi(false).without_time().init();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system gives a runtime").block_on(obey(controller));
        // Whatever runs on in the background is nobody's any more.
        std::process::exit(0);
    }
    let mut controller = Controller::start();
    let mut member = controller.member();
    controller.kill();
    let order = member.order(Order::Join { channel: "nobody".into(), kind: Kind::Sum, within_ms: 100 });
    assert!(matches!(member.hear(order), Report::Failed(kind, _) if kind == "Transport"));
}

/// How the process reaches others.
enum Way {
    Tcp,
    /// Its members live on a thread of their own, as they do otherwise.
    Faulty(Faulty<Tcp>, IoThread),
}

impl Way {
    fn faulty(&self) -> &Faulty<Tcp> {
        match self {
            Self::Tcp => panic!("start it so that it can be cut off"),
            Self::Faulty(faulty, _) => faulty,
        }
    }
}

fn say(order: u64, what: Report) {
    let line = serde_json::to_string(&Line { order, what }).expect("it is text");
    // The test runner may have begun a line.
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// All that the orders share.
struct Shared {
    controller: String,
    token: String,
    way: Way,
    seats: Mutex<BTreeMap<String, (Seat, Arc<AtomicBool>)>>,
}

impl Shared {
    fn find(&self, channel: &str) -> (Seat, Arc<AtomicBool>) {
        let seats = self.seats.lock().expect("nobody panics with it");
        seats.get(channel).cloned().unwrap_or_else(|| panic!("no seat in {channel}"))
    }
}

async fn obey(controller: String) {
    let token = std::env::var(TOKEN_VARIABLE).expect("it has a token");
    let way = if std::env::var(FAULTY_VARIABLE).is_ok() {
        Way::Faulty(Faulty::new(Tcp::default()), IoThread::start().expect("the system gives a thread"))
    } else {
        Way::Tcp
    };
    let shared = Arc::new(Shared { controller, token, way, seats: Mutex::default() });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("orders are text") {
        let Line { order, what }: Line<Order> = serde_json::from_str(&line).expect("it is an order");
        let shared = shared.clone();
        tokio::spawn(async move {
            let done = carry_out(order, what, &shared).await;
            say(order, done.unwrap_or_else(|error| failed(&error)));
        });
    }
}

fn failed(error: &ZipError) -> Report {
    let kind = format!("{error:?}");
    let kind = kind.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
    Report::Failed(kind.to_owned(), error.to_string())
}

async fn carry_out(order: u64, what: Order, shared: &Shared) -> Result<Report, ZipError> {
    match what {
        Order::Join { channel, kind, within_ms } => {
            let seat = seat(shared, &channel, kind).await?.within(Duration::from_millis(within_ms));
            let name = in_words(seat.channel().member());
            shared.seats.lock().expect("nobody panics with it").insert(channel, (seat, Arc::default()));
            return Ok(Report::Joined(name));
        }
        Order::Gathered { channel, members } => {
            shared.find(&channel).0.channel().gathered(members).await?;
        }
        Order::Sum { channel, factor, count } => {
            let (seat, last) = shared.find(&channel);
            while !sum(order, &seat, (factor, count), &last).await? {}
        }
        Order::Results { channel, count } => {
            let (Seat::Handle(seat), _) = shared.find(&channel) else { panic!("no handler in {channel}") };
            while !summed(order, &seat.result().await?, count) {}
        }
        Order::Send { channel, first, bytes } => {
            let (Seat::Broadcast(seat), last) = shared.find(&channel) else {
                panic!("{channel} is for sums")
            };
            send(order, &seat, (first, bytes), &last).await?;
        }
        Order::Offer { channel, first, count, bytes } => {
            let (Seat::Broadcast(seat), _) = shared.find(&channel) else { panic!("{channel} is for sums") };
            return offer(&seat, (first, count), bytes).await;
        }
        Order::Receive { channel } => {
            let (Seat::Broadcast(seat), _) = shared.find(&channel) else { panic!("{channel} is for sums") };
            receive(order, &seat).await?;
        }
        Order::Last { channel } => shared.find(&channel).1.store(true, Ordering::Relaxed),
        Order::Shares { channel, shared: wanted } => {
            let (seat, _) = shared.find(&channel);
            while seat.channel().array(1).await.is_shared() != wanted {
                tokio::task::yield_now().await;
            }
        }
        Order::Members { channel } => {
            let members = shared.find(&channel).0.channel().members().await?;
            return Ok(Report::Members(members.into_iter().map(in_words).collect()));
        }
        Order::Leave { channel } => shared.find(&channel).0.channel().leave().await?,
        Order::CutOff { address: Some(address) } => shared.way.faulty().block(&address),
        Order::CutOff { address: None } => shared.way.faulty().cut_off(),
        Order::LetBack { address: Some(address) } => shared.way.faulty().heal(&address),
        Order::LetBack { address: None } => shared.way.faulty().let_back(),
    }
    Ok(Report::Done)
}

async fn seat(shared: &Shared, channel: &str, kind: Kind) -> Result<Seat, ZipError> {
    let Shared { controller, token, way, .. } = shared;
    match way {
        Way::Tcp => join(&Zip::connect(controller, token).await?, channel, kind).await,
        Way::Faulty(faulty, thread) => {
            let credential = Credential { job: ONLY_JOB, token: auth::digest(token) };
            let (faulty, controller, channel) = (faulty.clone(), controller.clone(), channel.to_owned());
            let joined = thread.handle().spawn(async move {
                let settings = Settings::default();
                let zip = Zip::over(faulty, &controller, credential, "127.0.0.1:0", settings).await?;
                join(&zip, &channel, kind).await
            });
            joined.await.expect("it does not panic")
        }
    }
}

async fn join<M: Medium>(zip: &Zip<M>, channel: &str, kind: Kind) -> Result<Seat, ZipError> {
    let (sum, survivors) = (operator::sum::<i64>(), Completeness::Survivors);
    Ok(match kind {
        Kind::Broadcast => Seat::Broadcast(zip.broadcast(channel).await?),
        Kind::Sum => Seat::Sum(zip.reduce(channel, sum, survivors).await?),
        Kind::Give => Seat::Give(zip.give(channel, sum, survivors).await?),
        Kind::Handle => Seat::Handle(zip.handle(channel, sum, survivors).await?),
    })
}

/// A factor times 1, 2, 3, ...
fn numbers(factor: i64, count: usize) -> Bytes {
    (1..=count as i64).flat_map(|at| (factor * at).to_le_bytes()).collect::<Vec<u8>>().into()
}

fn names(missing: &Missing) -> Vec<String> {
    missing.departed.iter().chain(&missing.late).map(|member| in_words(*member)).collect()
}

/// One round; whether it is the last.
async fn sum(
    order: u64,
    seat: &Seat,
    (factor, count): (i64, usize),
    last: &AtomicBool,
) -> Result<bool, ZipError> {
    let ends = last.load(Ordering::Relaxed);
    let value = numbers(factor + if ends { LAST } else { 0 }, count);
    let missing = match seat {
        Seat::Sum(seat) => return Ok(summed(order, &seat.all_reduce(value).await?, count)),
        Seat::Give(seat) => seat.reduce(value).await?,
        Seat::Handle(seat) => seat.reduce(value).await?,
        Seat::Broadcast(_) => panic!("there are no sums of broadcasts"),
    };
    say(order, Report::Given(names(&missing)));
    Ok(ends)
}

/// Reports a sum; whether it is the last.
fn summed(order: u64, reduced: &Reduced, count: usize) -> bool {
    let all = reduced.value.clone().into_bytes();
    let first = all.first_chunk().copied().map_or(0, i64::from_le_bytes);
    let (round, members, missing) = (reduced.round.0, reduced.members, names(&reduced.missing));
    let right = all == numbers(first, count);
    let ends = first >= LAST;
    let factors = if ends { first - LAST } else { first };
    say(order, Report::Sum(Sum { round, factors, right, members, missing }));
    ends
}

/// Where the last broadcast says that it is.
const ENDS_AT: usize = 8;

/// A broadcast: its number, whether it is the last, and bytes that follow from its number.
fn text(nth: u64, ends: bool, bytes: usize) -> Bytes {
    let head = nth.to_le_bytes().into_iter().chain([u8::from(ends)]);
    head.chain(pattern(nth, bytes)).collect::<Vec<u8>>().into()
}

fn pattern(nth: u64, bytes: usize) -> impl Iterator<Item = u8> {
    (0..bytes as u64).map(move |at| (at * 31 + nth) as u8)
}

async fn send(
    order: u64,
    seat: &BroadcastChannel,
    (first, bytes): (u64, usize),
    last: &AtomicBool,
) -> Result<(), ZipError> {
    let from = in_words(seat.member());
    let mut nth = first;
    loop {
        let ends = last.load(Ordering::Relaxed);
        match seat.send(text(nth, ends, bytes)).await {
            Ok(round) => {
                let (round, from) = (round.0, from.clone());
                say(order, Report::Came(Broadcast { round, from, nth, right: true }));
                nth += 1;
                if ends {
                    return Ok(());
                }
            }
            Err(ZipError::Aborted { .. }) => say(order, Report::Aborted),
            Err(error) => return Err(error),
        }
    }
}

async fn receive(order: u64, seat: &BroadcastChannel) -> Result<(), ZipError> {
    loop {
        let delivery = match seat.receive().await {
            Ok(delivery) => delivery,
            Err(ZipError::Aborted { .. }) => {
                say(order, Report::Aborted);
                continue;
            }
            Err(error) => return Err(error),
        };
        let (round, from) = (delivery.round.0, in_words(delivery.from));
        // In place: a copy would be counted as memory of the channel.
        let pieces = delivery.payload.pieces();
        let head = pieces.first().map_or(&[][..], |piece| piece.as_ref());
        let nth = head.first_chunk().copied().map_or(u64::MAX, u64::from_le_bytes);
        let ends = head.get(ENDS_AT) == Some(&1);
        let right = pieces
            .iter()
            .flatten()
            .skip(ENDS_AT + 1)
            .copied()
            .eq(pattern(nth, delivery.payload.len() - ENDS_AT - 1));
        say(order, Report::Came(Broadcast { round, from, nth, right }));
        if ends {
            return Ok(());
        }
    }
}

/// Offers broadcasts, whether they are taken or not.
async fn offer(
    seat: &BroadcastChannel,
    (first, count): (u64, u32),
    bytes: usize,
) -> Result<Report, ZipError> {
    let seat = seat.within(Duration::from_millis(1));
    let (mut given_up, mut refused) = (0, 0);
    for nth in 0..count {
        match seat.send(text(first + u64::from(nth), false, bytes)).await {
            Ok(_) => {}
            Err(ZipError::Deadline { .. }) => given_up += 1,
            Err(ZipError::NotTaken { .. }) => refused += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(Report::Offered { given_up, refused })
}

//! The controller of channels as a process: a directory, the connections of those who are in its channels, and a clock.
//!
//! ```text
//!   process                    this shell                        core's directory
//!     | (proof of the token) --> |                                   |
//!     | Join --------------------| Join, with what was shown ------> |
//!     | <------------- Accepted  | <------------------------- Accept |
//!     | <------ Welcome, Assign  | <--------------------------- Send |
//!     x (the connection ends)    | Disconnected(its members) ------> |
//! ```
//!
//! It decides nothing: who is let in, who sits where and who is dead is the [`Directory`]'s. What it knows by itself is
//! which connection is that of which member, and whether a connection speaks: of one that ends, or is silent for the length
//! of a lease, the directory is told. Before it listens, its epoch is on disk and its jobs are open.
//!
//! Nothing waits for a connection here, and every queue has a limit, so that one which is slow or stuck disturbs nobody.

mod connections;
mod epoch;
mod outbox;
mod seats;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use cirrus_core::channel::ToMember;
use cirrus_core::controller;
use cirrus_core::directory::{Config, Credential, Directory, Effect, Event, Limits, Refusal, Token};
use cirrus_core::ids::{CallId, ChannelId, ControllerEpoch, FanOut, JobId, MemberId, Millis};
use cirrus_protocol::zip::{Address, ControllerReply, ControllerRequest};
use cirrus_transport::{Listener, Medium, Transport, TransportError, auth};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::connections::{Admission, News, Peer};
use self::outbox::{Deaf, Inlet};
use self::seats::Seats;
use super::error::in_words;
use super::metrics::Metrics;
use super::recording::Recording;
use super::timers::Timers;
use crate::driver::Driver;

pub use epoch::{EpochError, Epochs};

/// How many members may be below each in a channel's tree, if nobody says.
pub const FAN_OUT: FanOut = FanOut(2);
/// How many machines may become a chain, if nobody says.
pub const CHAIN_MAX: u32 = 64;
/// What may wait to be taken in, of all connections together.
const NEWS_MAX: usize = 64;
/// Steps before what they say is written: it has room where it waits.
const ROUND: usize = 512;

/// Who may have channels, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Its number, which those who belong to it name.
    pub id: JobId,
    /// What is left of its token: see [`Job::new`].
    pub token: Token,
    /// What it may have.
    pub limits: Limits,
}

impl Job {
    /// The job of those who have this token.
    #[must_use]
    pub fn new(id: JobId, token: &str, limits: Limits) -> Self {
        Self { id, token: auth::digest(token), limits }
    }
}

/// What a controller is started with.
#[derive(Clone, Debug)]
pub struct ControllerSpec {
    /// Where it listens.
    pub listen: String,
    /// Who may have channels.
    pub jobs: Vec<Job>,
    /// Where it keeps how many lives it has had.
    pub epochs: Epochs,
    /// How long a process may be silent before its members are suspected.
    pub lease: Millis,
    /// Limits and time-outs of channels.
    pub config: Config,
    /// Where all that happens to it is recorded, if anywhere.
    pub recording: Option<Recording>,
    /// Where what it does is counted, if anywhere.
    pub metrics: Option<Metrics>,
}

impl ControllerSpec {
    /// For one job, and processes in one data centre.
    #[must_use]
    pub fn new(listen: impl Into<String>, job: Job, epochs: Epochs) -> Self {
        let channel = controller::Config {
            members_max: job.limits.members_max,
            // Who dies is noticed by the end of its connection; who is asked may only be waiting for a core.
            probe: Millis(2000),
            reconnect: Millis(25),
            departed_max: 16,
            recovery: Millis(2000),
            chain_max: CHAIN_MAX,
            ..controller::Config::default()
        };
        let config = Config { jobs_max: 1, members_max: job.limits.reserve(), fan_out: FAN_OUT, channel };
        Self {
            listen: listen.into(),
            jobs: vec![job],
            epochs,
            lease: Millis(3000),
            config,
            recording: None,
            metrics: None,
        }
    }
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// It cannot listen.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It has no epoch of its own.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// It has had all lives that there are.
    #[error(
        "this controller has been started 2^32 times: give it another folder, when no process of before is left"
    )]
    EpochsExhausted,
    /// A job cannot be opened.
    #[error("job {} cannot be opened: {reason:?}; raise the controller's limits, or lower the job's", job.0)]
    Job {
        /// Which.
        job: JobId,
        /// Why.
        reason: Refusal,
    },
}

/// A timer of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Channel(ChannelId, controller::Timer),
    Window(ControllerEpoch),
}

/// A connection that was admitted.
#[derive(Debug)]
struct Admitted {
    credential: Credential,
    answers: Inlet,
}

/// A controller that listens.
#[derive(Debug)]
pub struct Controller {
    address: String,
    directory: Driver<Directory<Address>>,
    timers: Timers<Timer>,
    news: mpsc::Receiver<(Peer, News)>,
    accepting: JoinHandle<()>,
    /// What a connection has said, as far as it was not taken in.
    heard: Option<(Peer, std::vec::IntoIter<ControllerRequest>)>,
    /// What the directory shall hear next, and on which connection it came.
    todo: VecDeque<(Option<Peer>, Event<Address>)>,
    peers: HashMap<Peer, Admitted>,
    /// Connections that something waits for that was said since they were woken.
    answered: Vec<Peer>,
    /// On which connection a member is reached.
    seats: Seats,
    /// Requests to join that are not answered: on which connection, and what they are called there.
    joins: BTreeMap<CallId, (Peer, CallId)>,
    calls: u64,
}

impl Controller {
    /// Begins a life: its epoch is on disk, its jobs are open and it listens when this answers.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn start<M: Medium>(medium: &M, spec: ControllerSpec) -> Result<Self, ControllerError> {
        let ControllerSpec { listen, jobs, epochs, lease, config, recording, metrics } = spec;
        let record = recording.map(|recording| recording.directory(&config));
        let counts = metrics.as_ref().map(|metrics| Box::new(metrics.directory()) as _);
        let mut directory = Driver::new(Directory::default(), config).observed(record).observed(counts);
        let mut timers = Timers::default();
        begin(&mut directory, &mut timers, &epochs).await?;
        for Job { id: job, token, limits } in jobs.iter().copied() {
            let opened = directory.step(Event::Open { call: CallId(0), job, token, limits });
            if let Some(Effect::Refuse { reason, .. }) = opened.first() {
                return Err(ControllerError::Job { job, reason: *reason });
            }
        }
        let listener = medium.listen(&listen).await?;
        let address = listener.address().to_owned();
        let (inbox, news) = mpsc::channel(NEWS_MAX);
        let tokens = Arc::new(jobs.iter().map(|job| (job.id, job.token)).collect());
        let epoch = directory.machine().stamp.epoch;
        let traffic = metrics.map(|metrics| metrics.controller_traffic());
        let accepting =
            tokio::spawn(connections::accept(listener, Admission { tokens, epoch, lease, traffic }, inbox));
        Ok(Self {
            address,
            directory,
            timers,
            news,
            accepting,
            heard: None,
            todo: VecDeque::new(),
            peers: HashMap::new(),
            answered: Vec::new(),
            seats: Seats::default(),
            joins: BTreeMap::new(),
            calls: 0,
        })
    }

    /// Where processes reach it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Serves until it is dropped.
    pub async fn run(mut self) {
        loop {
            let idle = self.todo.is_empty() && self.heard.is_none();
            tokio::select! {
                biased;
                timer = self.timers.next() => self.fired(timer),
                Some(news) = self.news.recv(), if idle => self.take_in(news),
                () = std::future::ready(()), if !idle => {}
            }
            self.round();
            // What was said is written before more is.
            tokio::task::yield_now().await;
        }
    }

    /// Takes in what has come and steps the directory, as long as a round may take; then lets connections write.
    fn round(&mut self) {
        for _ in 0..ROUND {
            if let Some((on, event)) = self.todo.pop_front() {
                self.work(on, event);
            } else if let Some((peer, requests)) = &mut self.heard {
                match (*peer, requests.next()) {
                    (peer, Some(request)) => self.said(peer, request),
                    (_, None) => self.heard = None,
                }
            } else if let Ok(news) = self.news.try_recv() {
                self.take_in(news);
            } else {
                break;
            }
        }
        for peer in self.answered.drain(..) {
            if let Some(admitted) = self.peers.get(&peer) {
                admitted.answers.wake();
            }
        }
    }

    fn take_in(&mut self, (peer, news): (Peer, News)) {
        match news {
            News::Admitted(credential, answers) => {
                self.peers.insert(peer, Admitted { credential, answers });
            }
            News::Said(requests) => self.heard = Some((peer, requests.into_iter())),
            News::Lapsed => self.suspect(peer),
            News::Gone => self.ended(peer),
        }
    }

    /// A connection is silent: are its members still there?
    fn suspect(&mut self, peer: Peer) {
        for (channel, member) in self.seats.of(peer) {
            self.step(None, Event::Suspected { channel, member });
        }
    }

    /// A connection is gone: do its members call again?
    fn ended(&mut self, peer: Peer) {
        self.peers.remove(&peer);
        for (channel, member) in self.seats.leave(peer) {
            self.step(None, Event::Disconnected { channel, member });
        }
    }

    /// Who is there was told to go: nothing counts that comes on this connection any more.
    fn forget(&mut self, peer: Peer) {
        self.peers.remove(&peer);
        self.seats.leave(peer);
    }

    fn said(&mut self, peer: Peer, request: ControllerRequest) {
        // Who was told to go says nothing any more.
        let Some(credential) = self.peers.get(&peer).map(|it| it.credential) else { return };
        match request {
            ControllerRequest::Join(join) => {
                self.calls += 1;
                let call = CallId(self.calls);
                self.joins.insert(call, (peer, join.call));
                let join = cirrus_protocol::zip::Join { call, ..join };
                self.step(Some(peer), Event::Join(join.with(credential)));
            }
            ControllerRequest::Again(again) => {
                let again = again.with(credential);
                self.seats.take((again.channel, again.member), peer);
                self.step(Some(peer), Event::Again(again));
            }
            ControllerRequest::Alive => {}
            ControllerRequest::Expiring { channel, member } => {
                let channel = ChannelId { job: credential.job, stamp: channel };
                if self.seats.get((channel, member)) == Some(peer) {
                    self.step(Some(peer), Event::Expiring { channel, member });
                }
            }
            ControllerRequest::From { channel, member, message } => {
                let channel = ChannelId { job: credential.job, stamp: channel };
                // What comes behind the member's next connection was lost with the one before.
                if self.seats.get((channel, member)) == Some(peer) {
                    self.step(Some(peer), Event::From { credential, channel, member, message });
                }
            }
        }
    }

    fn fired(&mut self, timer: Timer) {
        let event = match timer {
            Timer::Channel(channel, timer) => Event::Timer { channel, timer },
            Timer::Window(epoch) => Event::WindowEnds(epoch),
        };
        self.step(None, event);
    }

    /// The directory hears this as soon as all effects of before are carried out.
    fn step(&mut self, on: Option<Peer>, event: Event<Address>) {
        self.todo.push_back((on, event));
    }

    /// Steps the directory, and carries out what it asks for before the next step.
    fn work(&mut self, on: Option<Peer>, event: Event<Address>) {
        let mut effects = self.directory.step(event);
        for effect in effects.drain(..) {
            self.carry_out(on, effect);
        }
        self.directory.recycle(effects);
    }

    fn carry_out(&mut self, on: Option<Peer>, effect: Effect<Address>) {
        match effect {
            // Of the beginning, which is over.
            Effect::Persist(_) | Effect::Ready(_) | Effect::CannotBegin => {}
            Effect::Opened(_) | Effect::Closed(_) => {}
            Effect::SetWindow { epoch, after } => self.timers.set(Timer::Window(epoch), after),
            Effect::Refuse { call, reason } => {
                if let Some((peer, call)) = self.joins.remove(&call) {
                    self.say(peer, ControllerReply::Refused { call, reason });
                }
            }
            Effect::Reject(reason) => {
                if let Some(peer) = on {
                    self.say(peer, ControllerReply::Rejected(reason));
                    self.forget(peer);
                }
            }
            Effect::Channel { channel, effect } => self.of_channel(channel, effect),
        }
    }

    fn of_channel(&mut self, channel: ChannelId, effect: controller::Effect<Address>) {
        match effect {
            controller::Effect::Accept { call, member } => {
                let Some((peer, call)) = self.joins.remove(&call) else { return };
                if self.peers.contains_key(&peer) {
                    self.seats.take((channel, member), peer);
                    self.say(peer, ControllerReply::Accepted { call, channel: channel.stamp, member });
                } else {
                    // Whoever asked has gone meanwhile.
                    self.step(None, Event::Disconnected { channel, member });
                }
            }
            // The directory has made it a refusal of its own.
            controller::Effect::Refuse { .. } => {}
            controller::Effect::Send { to, message } => {
                let over = matches!(message, ToMember::Fenced | ToMember::Released);
                if over {
                    self.note(channel, to, &message);
                }
                if let Some(peer) = self.seats.get((channel, to)) {
                    self.say(peer, ControllerReply::To { channel: channel.stamp, member: to, message });
                }
                if over {
                    self.seats.remove((channel, to));
                }
            }
            controller::Effect::SetTimer { timer, after } => {
                self.timers.set(Timer::Channel(channel, timer), after);
            }
            controller::Effect::ClearTimer(timer) => self.timers.clear(&Timer::Channel(channel, timer)),
        }
    }

    /// For the log: a member has left, or was declared dead.
    fn note(&self, channel: ChannelId, member: MemberId, word: &ToMember<Address>) {
        let listed = self.directory.machine().channels.get(&channel);
        let name = listed.map_or("(over)", |listed| &*listed.name.0);
        let member = in_words(member);
        match word {
            ToMember::Fenced => tracing::info!(channel = name, member, "declared dead"),
            _ => tracing::debug!(channel = name, member, "left"),
        }
    }

    /// Says something on a connection, if it stands. One that takes nothing any more is closed.
    fn say(&mut self, peer: Peer, reply: ControllerReply) {
        let Some(admitted) = self.peers.get(&peer) else { return };
        match admitted.answers.say(reply) {
            Ok(true) => self.answered.push(peer),
            Ok(false) => {}
            Err(Deaf) => self.ended(peer),
        }
    }
}

/// The first steps of a life: its epoch is written before anything else happens.
async fn begin(
    directory: &mut Driver<Directory<Address>>,
    timers: &mut Timers<Timer>,
    epochs: &Epochs,
) -> Result<(), ControllerError> {
    let mut todo = VecDeque::from([Event::Started { last: epochs.last().await? }]);
    while let Some(event) = todo.pop_front() {
        for effect in directory.step(event) {
            match effect {
                Effect::Persist(epoch) => {
                    epochs.write(epoch).await?;
                    todo.push_back(Event::Persisted(epoch));
                }
                Effect::CannotBegin => return Err(ControllerError::EpochsExhausted),
                Effect::SetWindow { epoch, after } => timers.set(Timer::Window(epoch), after),
                Effect::Ready(_) => {}
                // Nobody has asked for anything yet.
                Effect::Opened(_) | Effect::Closed(_) | Effect::Reject(_) => {}
                Effect::Refuse { .. } | Effect::Channel { .. } => {}
            }
        }
    }
    Ok(())
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

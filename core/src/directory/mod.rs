//! Many channels of many jobs: which there are, whose they are, and who may join them.
//!
//! Who administers opens a job with a token and limits, and closes it. Whoever shows the job's token may join its
//! channels by name. A channel comes into being with its first join, for one kind of use, and is forgotten when its last
//! member is gone; under the same name another channel may then begin, with another id.
//!
//! ```text
//!  Join { job, token, name, kind } --> | job -> name -> channel id |
//!  From { job, token, channel, .. } -> |     channel id            | --> one Channel, and no other
//!  Timer { channel, .. } ------------> |                           | <-- its effects, with its id
//! ```
//!
//! When its process is started again it takes up the channels whose members call: [`recovery`].
//!
//! It is a router and decides nothing about trees and members: that is the [`Channel`]'s, which shares nothing with
//! others (M5). So a shell may keep channels on many threads, and ask a directory only for joins and for what is to be
//! forgotten. What a job may have at most is set aside when it is opened, so that nobody can take it from it.
//!
//! Every event is answered with a search by id among the jobs and one among the channels, never a walk through them; only
//! to open a job all jobs are looked at, to close one all its members are told, and after a restart all are looked at
//! once.
//!
//! How somebody proves that it has the token (a challenge, an encrypted connection) is left to the shell: what arrives
//! here is the digest of the token that was proven, and every word of a connection is accompanied by it.

mod event;
pub mod recovery;
pub mod rules;

use alloc::boxed::Box;
use core::fmt::Debug;
use core::hash::Hash;

use crate::bounded::{Map, Queue};
use crate::bug::Bug;
use crate::channel::{ToController, ToMember};
use crate::controller::{self, Channel};
use crate::ids::{CallId, ChannelId, JobId, MemberId, Stamp};
use crate::machine::{Effects, Machine};
use crate::member::Kind;

pub use event::{Again, Config, Credential, Effect, Event, Join, Limits, Refusal, Token};

/// What a channel is called by its job. Whoever reads it from a wire limits its length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChannelName(pub Box<str>);

/// How far a directory is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun.
    #[default]
    Down,
    /// Its epoch is on its way to the disk. It answers nobody.
    Beginning {
        /// There was no life before this one.
        first: bool,
    },
    /// It takes up channels of its earlier lives, and forgets none.
    Recovering,
    /// Who has not called by now is gone.
    Serving,
    /// It has no epoch that is its own, and answers nobody.
    Failed,
}

/// A job that is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job<A> {
    /// Who shows it is of this job.
    pub token: Token,
    /// What it may have.
    pub limits: Limits,
    /// Its channels. Set by a channel's first join, taken out when it is forgotten.
    pub names: Map<ChannelName, ChannelId>,
    /// After a restart: requests to join channels that may still be taken up.
    pub waiting: Queue<Join<A>>,
}

/// A channel and what its job knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listed<A> {
    /// Its name in its job.
    pub name: ChannelName,
    /// What it is for.
    pub kind: Kind,
    /// The channel.
    pub channel: Channel<A>,
}

impl<A: Clone + Debug + Eq + Hash> Listed<A> {
    /// Nobody is in it, and nobody is waited for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.channel.tree.is_empty() && self.channel.recovery.is_none()
    }
}

/// All channels of a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Directory<A> {
    /// How far it is in its life.
    pub phase: Phase,
    /// Its epoch, and the last stamp given to a channel.
    pub stamp: Stamp,
    /// The jobs that are open.
    pub jobs: Map<JobId, Job<A>>,
    /// The channels that somebody is in; while the directory recovers, also those that somebody was in.
    pub channels: Map<ChannelId, Box<Listed<A>>>,
}

impl<A> Default for Directory<A> {
    fn default() -> Self {
        let (jobs, channels) = (Map::default(), Map::default());
        Self { phase: Phase::Down, stamp: Stamp::default(), jobs, channels }
    }
}

/// Puts a channel's effects among those of the directory.
struct Tagged<'a, O> {
    channel: ChannelId,
    out: &'a mut O,
}

impl<A, O: Effects<Effect<A>>> Effects<controller::Effect<A>> for Tagged<'_, O> {
    fn push(&mut self, effect: controller::Effect<A>) {
        // One who is refused need not know of the channel.
        self.out.push(if let controller::Effect::Refuse { call, reason } = effect {
            Effect::Refuse { call, reason: Refusal::Channel(reason) }
        } else {
            Effect::Channel { channel: self.channel, effect }
        });
    }
}

impl<A: Clone + Debug + Eq + Hash> Machine for Directory<A> {
    type Event = Event<A>;
    type Effect = Effect<A>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<A>, out: &mut impl Effects<Effect<A>>) {
        let answers = match self.phase {
            Phase::Recovering | Phase::Serving => true,
            Phase::Down | Phase::Beginning { .. } | Phase::Failed => false,
        };
        if !answers && !Self::is_own(&event) {
            return; // Nobody can call yet.
        }
        match event {
            Event::Started { last } => self.started(config, last, out),
            Event::Persisted(epoch) => self.persisted(config, epoch, out),
            Event::PersistFailed(epoch) => self.persist_failed(config, epoch, out),
            Event::WindowEnds(epoch) => self.window_ends(config, epoch, out),
            Event::Again(again) => self.again(config, again, out),
            Event::Open { call, job, token, limits } => {
                out.push(match self.open(config, job, token, limits) {
                    Ok(()) => Effect::Opened(call),
                    Err(reason) => Effect::Refuse { call, reason },
                });
            }
            Event::Close { call, job } => self.close(config, call, job, out),
            Event::Join(join) => self.join(config, join, out),
            Event::From { credential, channel, member, message } => {
                self.from(config, credential, (channel, member), message, out);
            }
            Event::Suspected { channel, member } => {
                self.route(config, channel, controller::Event::Suspected(member), out);
            }
            Event::Disconnected { channel, member } => {
                self.route(config, channel, controller::Event::Disconnected(member), out);
            }
            Event::Expiring { channel, member } => {
                self.route(config, channel, controller::Event::Expiring(member), out);
            }
            Event::Reshape { channel, fan_out } => {
                self.route(config, channel, controller::Event::Reshape(fan_out), out);
            }
            Event::Timer { channel, timer } => {
                self.route(config, channel, controller::Event::Timer(timer), out);
            }
        }
    }
}

impl<A: Clone + Debug + Eq + Hash> Directory<A> {
    /// The channel that has this name in this job.
    #[must_use]
    pub fn named(&self, job: JobId, name: &ChannelName) -> Option<ChannelId> {
        self.jobs.get(&job)?.names.get(name).copied()
    }

    /// Whether this is the token of an open job.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, credential: Credential) -> Result<&Job<A>, Refusal> {
        let job = self.jobs.get(&credential.job).ok_or(match self.phase {
            Phase::Recovering => Refusal::Recovering, // It may not be open again yet.
            Phase::Down | Phase::Beginning { .. } | Phase::Serving | Phase::Failed => Refusal::UnknownJob,
        })?;
        if job.token == credential.token { Ok(job) } else { Err(Refusal::WrongToken) }
    }

    /// How many members are set aside for all jobs.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.jobs.iter().map(|(_, job)| job.limits.reserve()).fold(0, u64::saturating_add)
    }

    fn open(&mut self, config: &Config, job: JobId, token: Token, limits: Limits) -> Result<(), Refusal> {
        if let Some(open) = self.jobs.get(&job) {
            // Who administers may not have heard the answer.
            let same = open.token == token && open.limits == limits;
            return if same { Ok(()) } else { Err(Refusal::JobOpen) };
        }
        let wanted = self.reserved().saturating_add(limits.reserve());
        if wanted > config.members_max && !config.bugs().has(Bug::JobOvercommitted) {
            return Err(Refusal::NoRoom);
        }
        let (names, waiting) = (Map::default(), Queue::default());
        let opened = self.jobs.insert(config.jobs_max, job, Job { token, limits, names, waiting });
        opened.map_err(|_| Refusal::TooManyJobs)
    }

    /// Ends all channels of a job: their members are out, and are told so.
    fn close(&mut self, config: &Config, call: CallId, job: JobId, out: &mut impl Effects<Effect<A>>) {
        if self.phase == Phase::Recovering {
            // Were it opened again, members of its channels that have not heard of it would take these up once more.
            return out.push(Effect::Refuse { call, reason: Refusal::Recovering });
        }
        // A job that is not there was closed before: who administers may not have heard the answer.
        if let Some(closed) = self.jobs.remove(&job) {
            for (name, channel) in closed.names.iter() {
                if config.bugs().has(Bug::ClosedJobKept) {
                    continue;
                }
                if let Some(listed) = self.channels.remove(channel) {
                    let told = !config.bugs().has(Bug::ClosedUntold);
                    ended(&listed.channel, told)
                        .for_each(|effect| Tagged { channel: *channel, out }.push(effect));
                    let mut joins = listed.channel.recovery.map(|it| it.joins).unwrap_or_default();
                    while let Some((call, ..)) = joins.pop() {
                        out.push(Effect::Refuse { call, reason: Refusal::UnknownJob });
                    }
                }
                if config.bugs().has(Bug::CloseTakesNamesakes) {
                    self.channels.retain(|_, listed| listed.name != *name);
                }
            }
        }
        out.push(Effect::Closed(call));
    }

    fn join(&mut self, config: &Config, join: Join<A>, out: &mut impl Effects<Effect<A>>) {
        let call = join.call;
        match self.seat(config, &join) {
            Ok(channel) => {
                let Join { address, role, tenancy, .. } = join;
                let event = controller::Event::Join { call, address, role, tenancy };
                self.route(config, channel, event, out);
            }
            Err(Refusal::Recovering) => self.hold(join, out),
            Err(reason) => out.push(Effect::Refuse { call, reason }),
        }
    }

    /// The channel for one who wants to join, which comes into being if need be.
    fn seat(&mut self, config: &Config, join: &Join<A>) -> Result<ChannelId, Refusal> {
        match self.admits(join.credential) {
            Err(Refusal::WrongToken) if config.bugs().has(Bug::TokenUnseen) => {}
            admitted => _ = admitted?,
        }
        let Credential { job, .. } = join.credential;
        let (name, kind) = (&join.name, join.kind);
        let shared = || self.channels.iter().find(|(_, listed)| listed.name == *name).map(|(id, _)| *id);
        let known = if config.bugs().has(Bug::NamesShared) { shared() } else { self.named(job, name) };
        if let Some(id) = known
            && let Some(listed) = self.channels.get_mut(&id)
        {
            if config.bugs().has(Bug::KindChanged) {
                listed.kind = kind;
            }
            return if listed.kind == kind { Ok(id) } else { Err(Refusal::WrongKind) };
        }
        if self.phase == Phase::Recovering && !config.bugs().has(Bug::NameBegunAnew) {
            return Err(Refusal::Recovering);
        }
        self.begin(config, job, name.clone(), kind)
    }

    /// A channel without members.
    fn begin(
        &mut self,
        config: &Config,
        job: JobId,
        name: ChannelName,
        kind: Kind,
    ) -> Result<ChannelId, Refusal> {
        let entry = self.jobs.get_mut(&job).ok_or(Refusal::UnknownJob)?;
        let gone = self.stamp.serial > 0 && !self.channels.contains(&ChannelId { job, stamp: self.stamp });
        let reused = gone && config.bugs().has(Bug::ChannelIdReused);
        let stamp = if reused { Some(self.stamp) } else { self.stamp.next() };
        let stamp = stamp.ok_or(Refusal::Channel(controller::Refusal::IdsExhausted))?;
        let id = ChannelId { job, stamp };
        let named = entry.names.insert(entry.limits.channels_max, name.clone(), id);
        named.map_err(|_| Refusal::TooManyChannels)?;
        self.stamp = stamp;
        let channel = Channel::new(stamp.epoch, config.fan_out);
        // How many there may be follows from the jobs' limits.
        let _ = self.channels.insert(u32::MAX, id, Box::new(Listed { name, kind, channel }));
        Ok(id)
    }

    fn from(
        &mut self,
        config: &Config,
        credential: Credential,
        (channel, member): (ChannelId, MemberId),
        message: ToController<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if let Err(reason) = self.admits(credential) {
            return out.push(Effect::Reject(reason));
        }
        if channel.job != credential.job && !config.bugs().has(Bug::ForeignChannelHeard) {
            // The answer goes to who asked, not to the member whose name was used.
            return out.push(Effect::Reject(Refusal::UnknownChannel));
        }
        self.route(config, channel, controller::Event::From { member, message }, out);
    }

    /// The limits and time-outs of a channel of this kind.
    #[must_use]
    pub fn config_of(&self, config: &Config, id: ChannelId, kind: Kind) -> controller::Config {
        config_for(config, self.jobs.get(&id.job).map(|job| job.limits), kind)
    }

    /// Lets a channel take an event, and forgets it if that was its end. What was meant for a channel that is forgotten
    /// was late.
    fn route(
        &mut self,
        config: &Config,
        id: ChannelId,
        event: controller::Event<A>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let Some(listed) = self.channels.get_mut(&id) else { return };
        let config = config_for(config, self.jobs.get(&id.job).map(|job| job.limits), listed.kind);
        listed.channel.step(&config, event, &mut Tagged { channel: id, out });
        let kept = self.phase == Phase::Recovering && !config.bugs.has(Bug::ForgottenInWindow);
        if listed.is_over()
            && !kept
            && !config.bugs.has(Bug::EmptyChannelKept)
            && let Some(listed) = self.channels.remove(&id)
            && let Some(job) = self.jobs.get_mut(&id.job)
        {
            job.names.remove(&listed.name);
        }
    }
}

fn config_for(config: &Config, limits: Option<Limits>, kind: Kind) -> controller::Config {
    let allowed = limits.map(|limits| limits.members_max).unwrap_or_default();
    controller::Config {
        members_max: config.channel.members_max.min(allowed),
        // Only a reduce names who is missing from it.
        departed_max: if kind.reduces() { config.channel.departed_max } else { 0 },
        one_receiver: kind.is_handled(),
        ..config.channel.clone()
    }
}

/// What is left to do for a channel that ends with its job: its timers never mind, its members are told.
fn ended<A: Clone + Debug + Eq + Hash>(
    channel: &Channel<A>,
    told: bool,
) -> impl Iterator<Item = controller::Effect<A>> {
    use controller::{Effect, Timer};
    let probes = channel.records.iter().flatten().filter_map(|record| {
        let probe = record.probe?;
        Some(Effect::ClearTimer(Timer::Probe(record.member, probe)))
    });
    let reshape = channel.tree.reshapes_to().map(|_| Effect::ClearTimer(Timer::Reshape));
    let window = channel.recovery.as_ref().map(|_| Effect::ClearTimer(Timer::Recovery));
    let claims = channel.recovery.iter().flat_map(|recovery| recovery.claims.iter());
    let members = channel.tree.everybody().chain(claims.map(|(_, claim)| claim.member)).filter(move |_| told);
    let fenced = members.map(|to| Effect::Send { to, message: ToMember::Fenced });
    probes.chain(reshape).chain(window).chain(fenced)
}

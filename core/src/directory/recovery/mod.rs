//! A directory's lives: each has its own epoch, on disk before anything is answered, and takes up the channels of the
//! one before (M4).
//!
//! ```text
//!  disk                directory                     members of before
//!   | <-- Persist(e+1) -- |  nothing is answered yet      |  (rounds go on)
//!   | --- Persisted ----> |                               |
//!   |                     | <-- Again(name, old id, seat) |  the channel is there again, under its old id
//!   |                     |  joins wait                   |
//!   |                     |  the window ends              |
//! ```
//!
//! **Epochs** never come twice: the next one is written over the one on disk before it is used. Whether a write took
//! place that was not answered does not matter, since nothing was said in it.
//!
//! **Channels** are taken up as their members call, each once in a life, so that the ids given in it stay unique: while
//! the window is open none is forgotten, and no job closed. Of two lives of one name the later has ended the earlier.
//!
//! Who administers opens the jobs again. Who calls earlier than that is told to call again; so is, while the window is
//! open, one whose job may not have another channel: the limits hold for those of before, too.

pub mod rules;

use alloc::boxed::Box;
use core::fmt::Debug;
use core::hash::Hash;

use super::{Again, Config, Directory, Effect, Event, Join, Listed, Phase, Refusal, Tagged, ended};
use crate::bounded::Queue;
use crate::bug::Bug;
use crate::channel::{ToController, ToMember};
use crate::controller::{self, Channel};
use crate::ids::{ChannelId, ControllerEpoch, Stamp};
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash> Directory<A> {
    /// Another life begins.
    pub(super) fn started(
        &mut self,
        config: &Config,
        last: Option<ControllerEpoch>,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if self.phase != Phase::Down {
            return; // It has begun.
        }
        let next = match last {
            Some(last) if config.bugs().has(Bug::ControllerEpochReused) => Some(last),
            last => last.unwrap_or_default().next(),
        };
        let Some(epoch) = next else { return out.push(Effect::CannotBegin) };
        self.stamp = Stamp { epoch, serial: 0 };
        self.phase = Phase::Beginning { first: last.is_none() };
        out.push(Effect::Persist(epoch));
        if config.bugs().has(Bug::AnsweredBeforePersisted) {
            self.persisted(config, epoch, out);
        }
    }

    /// Its epoch is its own for ever.
    pub(super) fn persisted(
        &mut self,
        config: &Config,
        epoch: ControllerEpoch,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let Phase::Beginning { first } = self.phase else { return };
        if epoch != self.stamp.epoch {
            return; // What an earlier life had asked for.
        }
        self.phase = if first { Phase::Serving } else { Phase::Recovering };
        out.push(Effect::Ready(epoch));
        if !first {
            out.push(Effect::SetWindow { epoch, after: config.channel.recovery });
        }
    }

    /// It may or may not be on disk: whoever is started next will see.
    pub(super) fn persist_failed(
        &mut self,
        config: &Config,
        epoch: ControllerEpoch,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if !matches!(self.phase, Phase::Beginning { .. }) || epoch != self.stamp.epoch {
            return;
        }
        if config.bugs().has(Bug::PersistFailureIgnored) {
            return self.persisted(config, epoch, out);
        }
        self.phase = Phase::Failed;
        out.push(Effect::CannotBegin);
    }

    /// A member calls again.
    pub(super) fn again(&mut self, config: &Config, again: Again<A>, out: &mut impl Effects<Effect<A>>) {
        if let Err(reason) = self.admits(again.credential) {
            return out.push(Effect::Reject(reason));
        }
        let (channel, to) = (again.channel, again.member);
        let own = channel.job == again.credential.job || config.bugs().has(Bug::ForeignChannelHeard);
        let found = match self.channels.get(&channel) {
            _ if !own => Err(Some(Refusal::UnknownChannel)),
            Some(listed) if listed.name != again.name => Err(Some(Refusal::UnknownChannel)),
            Some(listed) if listed.kind != again.kind => Err(Some(Refusal::WrongKind)),
            Some(_) => Ok(channel),
            None => self.take_up(config, &again, out),
        };
        match found {
            Ok(channel) => {
                let message = ToController::Hello(again.registration);
                self.route(config, channel, controller::Event::From { member: to, message }, out);
            }
            Err(Some(reason)) => out.push(Effect::Reject(reason)),
            Err(None) => {
                // M2: it was fenced, or the channel ended with its last member.
                let effect = controller::Effect::Send { to, message: ToMember::Fenced };
                out.push(Effect::Channel { channel, effect });
            }
        }
    }

    /// A channel of an earlier life is there again; `None` for a reason if it has ended.
    fn take_up(
        &mut self,
        config: &Config,
        again: &Again<A>,
        out: &mut impl Effects<Effect<A>>,
    ) -> Result<ChannelId, Option<Refusal>> {
        let (mut id, epoch) = (again.channel, self.stamp.epoch);
        let open = self.phase == Phase::Recovering || config.bugs().has(Bug::TakenUpLate);
        if !open || id.stamp.epoch >= epoch {
            return Err(None);
        }
        let rival = self.named(id.job, &again.name);
        if rival.is_some_and(|rival| rival > id || config.bugs().has(Bug::OlderNameKept)) {
            return Err(None); // It had ended before that one began.
        }
        let displaced = rival.and_then(|rival| Some((rival, self.channels.remove(&rival)?)));
        let Some(job) = self.jobs.get_mut(&id.job) else { return Err(Some(Refusal::Recovering)) };
        if config.bugs().has(Bug::TakenUpAnew)
            && let Some(stamp) = self.stamp.next()
        {
            (self.stamp, id.stamp) = (stamp, stamp);
        }
        let named = job.names.insert(job.limits.channels_max, again.name.clone(), id);
        named.map_err(|_| Some(Refusal::Recovering))?;
        let waiting = core::mem::take(&mut job.waiting);
        let channel = Channel::new(epoch, config.fan_out);
        let listed = Listed { name: again.name.clone(), kind: again.kind, channel };
        let _ = self.channels.insert(u32::MAX, id, Box::new(listed)); // The jobs' limits bound these.
        self.route(config, id, controller::Event::Restarted, out);
        if let Some((rival, listed)) = displaced {
            let mut channel = listed.channel;
            let told = !config.bugs().has(Bug::DisplacedUntold);
            ended(&channel, told).for_each(|effect| Tagged { channel: rival, out }.push(effect));
            while let Some((call, newcomer)) = channel.recovery.as_mut().and_then(|it| it.joins.pop()) {
                let controller::Newcomer { address, role, tenancy } = newcomer;
                self.route(config, id, controller::Event::Join { call, address, role, tenancy }, out);
            }
        }
        self.let_in(config, waiting, out); // Those for this channel wait in it; the others go on waiting.
        Ok(id)
    }

    /// Takes up requests to join that have waited.
    fn let_in(&mut self, config: &Config, mut waiting: Queue<Join<A>>, out: &mut impl Effects<Effect<A>>) {
        while let Some(join) = waiting.pop() {
            self.join(config, join, out);
        }
    }

    /// Who wants to join a channel that may still be taken up waits; in each job as many as may be in it.
    pub(super) fn hold(&mut self, join: Join<A>, out: &mut impl Effects<Effect<A>>) {
        let call = join.call;
        let held = self.jobs.get_mut(&join.credential.job).and_then(|job| {
            let room = u32::try_from(job.limits.reserve()).unwrap_or(u32::MAX);
            job.waiting.push(room, join).ok()
        });
        if held.is_none() {
            out.push(Effect::Refuse { call, reason: Refusal::Recovering });
        }
    }

    /// Channels of which nobody has called by now have ended; so have those that everybody has left.
    pub(super) fn window_ends(
        &mut self,
        config: &Config,
        epoch: ControllerEpoch,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if self.phase != Phase::Recovering || epoch != self.stamp.epoch {
            return; // A timer of another life.
        }
        self.phase = Phase::Serving;
        let (channels, jobs) = (&mut self.channels, &mut self.jobs);
        channels.retain(|id, listed| {
            let over = listed.is_over();
            if over && let Some(job) = jobs.get_mut(&id.job) {
                job.names.remove(&listed.name);
            }
            !over
        });
        let mut all = Queue::default();
        for (_, job) in self.jobs.iter_mut() {
            while let Some(join) = job.waiting.pop() {
                let _ = all.push(u32::MAX, join); // They had a place each.
            }
        }
        if !config.bugs().has(Bug::WaitingForgotten) {
            self.let_in(config, all, out);
        }
    }

    /// Whether this is something that a directory hears of before it answers anybody.
    pub(super) fn is_own(event: &Event<A>) -> bool {
        matches!(event, Event::Started { .. } | Event::Persisted(_) | Event::PersistFailed(_))
    }
}

//! The worker's connection to the store: when it connects again, and what of the work in hand survives.

use super::{Config, Effect, End, Stage, Timer, Worker};
use crate::bug::Bug;
use crate::ids::{CallId, StoreEpoch, Version};
use crate::machine::Effects;
use crate::store::Reason;
use core::fmt::Debug;
use core::hash::Hash;

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Nobody has told the store's address yet.
    Unknown,
    /// There is none, after this many failures in a row.
    Down(u32),
    /// It is being made, after this many failures in a row.
    Connecting(u32),
    /// It stands and the session was asked for, after this many failures in a row.
    Opening(CallId, u32),
    /// The session is open, in this epoch.
    Open(StoreEpoch),
}

impl<P: Clone + Debug + Eq + Hash> Worker<P> {
    /// Connects to the store at the address just told, unless it has a session there already.
    pub(super) fn store_at(&mut self, config: &Config, epoch: StoreEpoch, out: &mut impl Effects<Effect<P>>) {
        if matches!(self.link, Link::Open(open) if open >= epoch) {
            return; // Old news.
        }
        self.take_back(config);
        self.link = Link::Connecting(0);
        out.push(Effect::Connect);
    }

    pub(super) fn connected(&mut self, out: &mut impl Effects<Effect<P>>) {
        if let Link::Connecting(failures) = self.link {
            let call = self.call();
            self.link = Link::Opening(call, failures);
            out.push(Effect::Open { call });
        }
    }

    pub(super) fn disconnected(&mut self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        let failures = match self.link {
            Link::Unknown | Link::Down(_) => return, // It knows.
            Link::Connecting(failures) | Link::Opening(_, failures) => failures.saturating_add(1),
            Link::Open(_) => 0,
        };
        self.take_back(config);
        if failures > config.reconnects_max {
            return self.exit(End::StoreGone, out);
        }
        self.link = Link::Down(failures);
        out.push(Effect::SetTimer { timer: Timer::Reconnect(failures), after: config.reconnect });
    }

    pub(super) fn reconnect(&mut self, failures: u32, out: &mut impl Effects<Effect<P>>) {
        if self.link == Link::Down(failures) {
            self.link = Link::Connecting(failures);
            out.push(Effect::Connect);
        }
    }

    /// A session begins. Updates that were not acknowledged are sent again; in a new epoch nothing that came
    /// from the old one is used, whatever is in hand is read and computed again.
    pub(super) fn opened(
        &mut self,
        config: &Config,
        call: CallId,
        version: Version,
        out: &mut impl Effects<Effect<P>>,
    ) {
        if !matches!(self.link, Link::Opening(asked, _) if asked == call) {
            return; // From an earlier connection.
        }
        if version.epoch < self.seen.epoch {
            // A store that this worker has seen beyond: an old one still runs. Leave it alone (P3).
            return self.disconnected(config, out);
        }
        let new_epoch = version.epoch > self.seen.epoch;
        self.link = Link::Open(version.epoch);
        self.seen = if config.bugs.has(Bug::SeenForgotten) { version } else { self.seen.max(version) };
        self.parked = false;
        self.resuming = !config.bugs.has(Bug::ReadsBeforeResent);
        let keep = !new_epoch || config.bugs.has(Bug::OldEpochUpdateSent);
        for task in self.tasks.iter_mut() {
            match &task.stage {
                Stage::Computed(_) if !keep => task.stage = Stage::Fetched,
                Stage::Computing if !keep => task.stage = Stage::Discarding,
                Stage::Fetching | Stage::Fetched | Stage::Reading(_) | Stage::Ready(_) => {}
                Stage::Computing | Stage::Discarding | Stage::Computed(_) | Stage::Pushing(..) => {}
            }
        }
    }

    /// What the store has not acknowledged, or not answered, is as if it had not been sent.
    fn take_back(&mut self, config: &Config) {
        for task in self.tasks.iter_mut() {
            match &task.stage {
                Stage::Reading(_) | Stage::Ready(_) => task.stage = Stage::Fetched,
                Stage::Pushing(..) if config.bugs.has(Bug::UpdateNotResent) => {}
                Stage::Pushing(_, update) => task.stage = Stage::Computed(update.clone()),
                Stage::Fetching | Stage::Fetched | Stage::Computing => {}
                Stage::Discarding | Stage::Computed(_) => {}
            }
        }
    }

    pub(super) fn refused(
        &mut self,
        config: &Config,
        call: CallId,
        reason: Reason,
        out: &mut impl Effects<Effect<P>>,
    ) {
        let opening = matches!(self.link, Link::Opening(asked, _) if asked == call);
        let asked = opening
            || self.tasks.iter().any(|task| match &task.stage {
                Stage::Reading(asked) | Stage::Pushing(asked, _) => *asked == call,
                Stage::Fetching | Stage::Fetched | Stage::Ready(_) => false,
                Stage::Computing | Stage::Discarding | Stage::Computed(_) => false,
            });
        match reason {
            // Whatever call it answers: this life is over.
            Reason::Fenced => self.exit(End::Fenced, out),
            Reason::Full if asked => self.exit(End::StoreFull, out),
            Reason::WrongEpoch(_) | Reason::NotOpen | Reason::NotReady if asked => {
                self.disconnected(config, out);
            }
            // An answer from an earlier connection.
            Reason::Full | Reason::WrongEpoch(_) | Reason::NotOpen | Reason::NotReady => {}
        }
    }
}

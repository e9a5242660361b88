//! How a member's time in its channel ends.
//!
//! One who wants to leave begins nothing more, finishes what it has begun, and asks to be let go: then nobody misses
//! anything of it. That takes as long as the slowest of the others, or for ever where what it waits for does not come. So
//! it has a deadline, and then leaves as if it died: its calls end without an answer, its links are closed, and the
//! others do what they do about one who is dead. Whoever is told, or finds out, that it was declared dead ends at once.

use core::fmt::Debug;
use core::hash::Hash;

use super::event::{Config, Effect, End, Timer};
use super::{Member, Phase};
use crate::bug::Bug;
use crate::channel::ToController;
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Member<A, P> {
    pub(super) fn leave(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        if self.phase == Phase::Seated {
            self.phase = Phase::Draining;
            out.push(Effect::SetTimer { timer: Timer::Drain, after: config.drain });
            self.rounds(config, out, |_, _, _| {});
        }
    }

    /// B3: it has not got done in time, or nobody lets it go. It does not wait any longer; the others miss it like a dead
    /// one, if they do not hear that it leaves.
    pub(super) fn overdue(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        match self.phase {
            Phase::Draining | Phase::Leaving if !config.bugs.has(Bug::DrainsForEver) => {
                out.push(Effect::ToController(ToController::Leave));
                self.end(End::Overdue, out);
            }
            Phase::Joining | Phase::Seated | Phase::Draining | Phase::Leaving | Phase::Ended(_) => {}
        }
    }

    /// It is not in the channel any more: all links go, and whoever waits is told.
    pub(super) fn end(&mut self, end: End, out: &mut impl Effects<Effect<A, P>>) {
        match self.phase {
            Phase::Draining | Phase::Leaving => out.push(Effect::ClearTimer(Timer::Drain)),
            Phase::Joining | Phase::Seated | Phase::Ended(_) => {}
        }
        self.contact.end(out);
        let uplink = self.links.parent.take().map(|uplink| uplink.parent.edge.link);
        if let Some(link) = uplink {
            out.push(Effect::ClearTimer(Timer::Redial(link)));
        }
        for link in uplink.into_iter().chain(self.links.children.iter().map(|(link, _)| *link)) {
            out.push(Effect::ClearTimer(Timer::Attach(link)));
            out.push(Effect::Hang(link));
        }
        self.links.children = crate::bounded::SmallMap::default();
        self.broadcast.end(out);
        self.reduce.end(out);
        self.phase = Phase::Ended(end);
        out.push(Effect::Ended(end));
    }
}

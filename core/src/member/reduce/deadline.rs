//! Any so many by a deadline: when it has passed, the root cuts the round off.
//!
//! The deadline runs from the first value of which the root hears. Who has a value below it and none of its own says so
//! with an empty contribution, so that in a channel where nobody reduces nothing is sent and no timer runs.
//!
//! ```text
//!   child                  member                      root
//!     | Contribution(0) --->| it has no value yet         |
//!     |                     | Contribution(nothing) ----->|  the deadline is set
//!     |                     |<------ Sync(attempt, cut off)|  it has passed
//!     | Contribution(0) --->| Contribution(0, late: me) ->|  enough values? all others named?
//! ```
//!
//! An attempt that is *cut off* takes what there is: a member without a value gives nothing and is named late. The root
//! seals it if there are enough values and everybody else who is counted is named; if not, it goes on with an attempt
//! that waits for everybody, until the deadline has passed once more. The late are told so when they call: the k-th
//! value of a member is for the k-th round that it is in, also if that is over.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::broadcast::{Broadcast, Env};
use super::super::event::{Effect, Timer};
use super::Reduce;
use crate::bug::{Bug, Bugs};
use crate::channel::{Census, Contribution, Frame, Share, Try};
use crate::ids::{Round, Term};
use crate::machine::Effects;

impl<P: Clone + Debug + Eq + Hash> Reduce<P> {
    /// Whether the member's own value goes into this attempt: it does, or must be waited for, unless it was cut off.
    pub(super) fn lends(&self, bugs: Bugs) -> bool {
        let decided = self.lent.filter(|_| !bugs.has(Bug::LateMixed));
        !self.at.cut_off || decided.unwrap_or(!self.calls.is_empty())
    }

    /// Somebody here or below who is counted has given a value for the open round.
    fn has_some<A: Clone + Debug + Eq + Hash>(&self, env: &Env<'_, A>, broadcast: &Broadcast<A, P>) -> bool {
        let own = !self.calls.is_empty() && env.me.stamp <= broadcast.cut();
        let empty = |share: &Share| share.census.count == 0;
        let open = self.below.iter().filter(|(_, below)| below.at.round == self.at.round);
        own || open.into_iter().any(|(_, below)| !below.whole.as_ref().is_some_and(empty))
    }

    /// Tells the parent so, while the values cannot go up.
    pub(super) fn announce<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let waits = env.config.deadline.is_some() && self.sent == 0 && !self.announced;
        if let Some(link) = env.links.up()
            && waits
            && self.has_some(env, broadcast)
            && !env.config.bugs.has(Bug::BegunUntold)
        {
            self.announced = true;
            let (term, at) = (broadcast.term(), self.at);
            let nothing = Contribution { term, at, index: 0, payload: None, whole: None };
            out.push(Effect::Send { link, frame: Frame::Contribution(nothing) });
        }
    }

    /// The root sets the deadline when somebody has given a value.
    pub(super) fn set_deadline<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(deadline) = env.config.deadline else { return };
        let (term, round) = (broadcast.term(), self.at.round);
        if self.deadline != Some((term, round)) && self.has_some(env, broadcast) {
            self.deadline = Some((term, round));
            out.push(Effect::SetTimer { timer: Timer::RoundDeadline(term, round), after: deadline.after });
        }
    }

    /// The round is sealed.
    pub(super) fn clear_deadline<A>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if let Some((term, round)) = self.deadline.take() {
            out.push(Effect::ClearTimer(Timer::RoundDeadline(term, round)));
        }
    }

    /// The deadline has passed; the next one is set at once.
    pub(in super::super) fn overdue<A: Clone + Debug + Eq + Hash>(
        &mut self,
        broadcast: &mut Broadcast<A, P>,
        term: Term,
        round: Round,
    ) {
        if self.deadline != Some((term, round)) {
            return; // It was cleared.
        }
        self.deadline = None;
        let open = broadcast.reign.is_some() && term == broadcast.term() && round == self.at.round;
        // What is whole waits for room, and what is cut off for those who must answer it.
        if open && self.whole.is_none() && !self.at.cut_off {
            broadcast.hear_of(Try { attempt: self.at.attempt.saturating_add(1), cut_off: true, ..self.at });
        }
    }

    /// Whether what the root has is a result: it holds enough values, and all others who are counted are named.
    pub(super) fn is_result<A>(&self, env: &Env<'_, A>, broadcast: &Broadcast<A, P>) -> bool {
        let (Some(Share { census, daemons, late }), Some(reign)) = (&self.whole, &broadcast.reign) else {
            return false;
        };
        if census.count == 0 {
            return false; // There are only daemons: a round begins when there is a value.
        }
        let all = late.iter().copied().map(Census::of).fold(census.plus(*daemons), Census::plus);
        let quorum = env.config.deadline.map_or(0, |deadline| deadline.quorum.max(1));
        let enough = late.is_empty() || census.count >= quorum || env.config.bugs.has(Bug::QuorumIgnored);
        all == reign.cut.census && enough || env.config.bugs.has(Bug::SealedWithoutSome)
    }
}

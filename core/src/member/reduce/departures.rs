//! Who has departed since the newest sealed round: the root names them in the next one.
//!
//! The controller keeps the departures of a channel until a root says that it has named them, also over a change of
//! root, so that a root can name its predecessor. In its own term a root names those who were counted; of departures
//! from before it does not know who was, and names all that no round has named. What a round's head says (`until`)
//! outlives the root that said it: whoever has the round knows up to where departures are named; and the controller is
//! told so when everybody has it, since a seal that nobody has seen dies with its root. A controller that is restarted
//! forgets what it has kept (and a note to it can be lost: then a root that came after the round which named somebody
//! names that one again): a root that goes on counts those who are not found again, without their names, and one that
//! it appoints knows nothing of them.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::broadcast::{Broadcast, Env};
use super::super::event::Effect;
use crate::bounded::{Full, Queue};
use crate::bug::{Bug, Bugs};
use crate::channel::{Missing, Roster, ToController, Unnamed};
use crate::ids::{AssignmentVersion, MemberId};
use crate::machine::Effects;

/// What a member knows of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Departures {
    /// At the root: since when, and who, the latest last.
    pub unnamed: Queue<(AssignmentVersion, MemberId)>,
    /// At the root: how many others there are than may be named.
    pub more: Unnamed,
    /// At the root: the newest departure that the controller waits to hear of.
    pub unnoted: Option<AssignmentVersion>,
    /// Departures up to this version are named in rounds that this member has.
    pub named: AssignmentVersion,
}

impl Departures {
    /// The root hears who has departed.
    pub(super) fn hear<A, P>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        roster: &Roster,
        out: &mut impl Effects<Effect<A, P>>,
    ) where
        A: Clone + Debug + Eq + Hash,
        P: Clone + Debug + Eq + Hash,
    {
        let reign = broadcast.reign.as_ref().filter(|_| roster.term == broadcast.term());
        let (known, counted) = match reign {
            Some(reign) => (reign.version, reign.cut.until),
            None => {
                self.forget();
                self.more = roster.unnamed.after(self.named);
                (self.named, roster.all.until)
            }
        };
        if let Some(reign) = reign
            && let (Some(recount), Some(left)) = (&roster.recount, reign.left_of(roster.recount.as_deref()))
        {
            // Some whose departure was told are back, if the controller has forgotten that, and others are not found
            // again: how many are gone can still be said, but not who.
            let before = reign.cut.lambdas().saturating_add(self.unnamed.len());
            self.more = self.more.plus(before.saturating_sub(left.lambdas()), recount.version);
            self.unnamed.clear();
        }
        let fresh = roster.departed.iter().filter(|(since, who)| *since > known && who.stamp <= counted);
        let limit = env.config.missing_max;
        for departed in fresh {
            let first = (self.unnamed.len() >= limit).then(|| self.unnamed.pop()).flatten();
            let rest = self.unnamed.push(limit, *departed).err().map(|Full(departed)| departed);
            if let Some((since, _)) = first.or(rest) {
                // The controller need not keep more names than a head may have.
                self.more = self.more.plus(1, since);
                out.push(Effect::ToController(ToController::Counted(since)));
            }
        }
        let kept = (roster.unnamed.count > 0).then_some(roster.unnamed.until);
        self.unnoted = roster.departed.last().map(|(since, _)| *since).max(kept);
    }

    /// Lets the controller forget who was named, once everybody has the round that named them: until then it may be lost
    /// with this root.
    pub(super) fn note<A, P>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) where
        A: Clone + Debug + Eq + Hash,
        P: Clone + Debug + Eq + Hash,
    {
        let early = env.config.bugs.has(Bug::NotedTooEarly);
        let safe = broadcast.floor() == broadcast.position() || early;
        if let Some(newest) = self.unnoted
            && newest <= self.named
            && safe
        {
            self.unnoted = None;
            out.push(Effect::ToController(ToController::Noted(self.named)));
        }
    }

    /// This member is not the root.
    pub(super) fn forget(&mut self) {
        *self = Self { named: self.named, ..Self::default() };
    }

    /// Whom the next round has to name.
    pub(super) fn missing<A>(&self, env: &Env<'_, A>) -> Missing {
        if env.config.bugs.has(Bug::DepartedUnnamed) {
            return Missing::default();
        }
        let departed = self.unnamed.iter().map(|(_, member)| *member).collect();
        Missing { departed, more: self.more.count, ..Missing::default() }
    }

    /// A round has named the departures up to this version.
    pub(super) fn name(&mut self, until: AssignmentVersion, bugs: Bugs) {
        if until > self.named && !bugs.has(Bug::NamedAgain) {
            self.named = until;
            self.unnamed.retain(|(since, _)| *since > until);
            // An older round may come in when a new root fetches what it lacks.
            self.more = self.more.after(until);
        }
    }
}

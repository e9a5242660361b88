//! Reduce: every member's value, combined on the way up, and the result sealed and sent down to all (R1 to R3).
//!
//! A member combines its own value with those of its children, piece by piece, and sends the result up; the last piece
//! says whose values are in it. What the root has is a result if it contains everybody who is counted, and nothing
//! else; then the root sends it down as the broadcast of that round. So the rounds of a reduce channel are broadcasts
//! with the root as the only sender, and inherit their promises: all who stay see the same result, or that there is
//! none, whoever dies meanwhile.
//!
//! ```text
//!   child                  member                    root
//!     | Contribution(0) --->| Combine(own, children) |
//!     |                     | Contribution(0) ------>|  result: everybody in it?
//!     |                     |<------- Chunk (sealed) |
//!     |<---- Chunk (sealed) |                        |
//! ```
//!
//! A result names who is *missing*: those who were counted and have departed since the round before was sealed, the root's
//! predecessor among them (`departures`), and, in a channel with a deadline, the late (`deadline`). A channel can be
//! *strict*: then a round from which somebody has departed has no result, only the names. All of it is in the round's head
//! ([`Seal`](crate::channel::Seal)), so that it is the same for all who see it. The k-th value of a member is for the k-th
//! round that it is in, whatever becomes of others; a value for a round that is over already is answered as late.
//!
//! All get the result, or one member alone (`handling`).
//!
//! A *barrier* is a reduce of one empty piece: nobody has the answer before all who are in the round, and stay, have
//! called (R2). A *gather* is one whose operator appends, in the order of a walk through the tree (R3).
//!
//! Who sent something up and then lost a child, got another one or has another parent says so (`Spoiled`), and the root
//! begins the round again as the next *attempt*. Values of an earlier attempt are never mixed with later ones, and a
//! member's own value is lent to it until the round is sealed.

mod combining;
mod deadline;
mod departures;
mod handling;
pub mod rules;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::broadcast::{Broadcast, Env, after};
use super::event::{Effect, Reduction};
use crate::bounded::{Queue, SmallMap};
use crate::bug::{Bug, Bugs};
use crate::channel::{Contribution, Frame, Missing, Roster, Share, Spoil, Try};
use crate::ids::{LinkId, Round, Term};
use crate::machine::Effects;

pub use departures::Departures;
pub use handling::{Handler, Kept};

/// What a child has sent up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Below<P> {
    /// In which attempt at which round.
    pub at: Try,
    /// Its pieces so far.
    pub pieces: Vec<P>,
    /// Whose values these are; `None` until the last piece.
    pub whole: Option<Share>,
    /// It has said that the attempt has come to nothing.
    pub spoiled: Option<Spoil>,
}

/// A member's part in the reduces of its channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce<P> {
    /// Its own values that are not sealed, the oldest first. They are lent by the application until then.
    pub calls: Queue<Vec<P>>,
    /// The rounds up to here are answered to the application.
    pub answered: Round,
    /// For the last so many of them it has not called yet.
    pub missed: u64,
    /// What the children have sent, in the newest attempt that each has sent of.
    pub below: SmallMap<LinkId, Below<P>>,
    /// The term of all that follows.
    pub term: Term,
    /// The attempt that this member is in.
    pub at: Try,
    /// How many combined pieces have gone up (or, at the root, into the result).
    pub sent: u32,
    /// A piece is being combined.
    pub combining: bool,
    /// The attempt has come to nothing, and why.
    pub spoiled: Option<Spoil>,
    /// What the parent was told of that.
    pub told: Option<(Try, Spoil)>,
    /// All pieces have gone up, and these are whose values they are.
    pub whole: Option<Share>,
    /// In an attempt that is cut off: whether its own value is in it. That is decided with the first piece.
    pub lent: Option<bool>,
    /// The parent knows that somebody here or below has given a value for this attempt.
    pub announced: bool,
    /// At the root: the deadline that is set.
    pub deadline: Option<(Term, Round)>,
    /// At the root: the result so far.
    pub result: Vec<P>,
    /// At the root: the result, until it was taken by who handles it.
    pub kept: Option<Kept<P>>,
    /// At the root: who handles results.
    pub handler: Option<Handler>,
    /// At the root: how many attempts at this round have come to nothing.
    pub failures: u32,
    /// Whom a root has to name.
    pub departures: Departures,
}

impl<P> Default for Reduce<P> {
    fn default() -> Self {
        Self {
            calls: Queue::default(),
            answered: Round(0),
            missed: 0,
            below: SmallMap::default(),
            term: Term::default(),
            at: Try::default(),
            sent: 0,
            combining: false,
            spoiled: None,
            told: None,
            whole: None,
            lent: None,
            announced: false,
            deadline: None,
            result: Vec::new(),
            kept: None,
            handler: None,
            failures: 0,
            departures: Departures::default(),
        }
    }
}

impl<P: Clone + Debug + Eq + Hash> Reduce<P> {
    /// Whether something of this attempt has left this member, or is about to.
    fn is_begun(&self) -> bool {
        self.sent > 0 || self.combining || self.whole.is_some()
    }

    /// The application gives its next value; whether that can be taken.
    pub(super) fn call<A>(
        &mut self,
        window: u32,
        pieces: Vec<P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool {
        if self.missed == 0 {
            return self.calls.push(window, pieces).is_ok();
        }
        // The k-th call is for the k-th round that the member is in, and this one is over.
        self.missed = self.missed.saturating_sub(1);
        let round = Round(self.answered.0.saturating_sub(self.missed));
        out.push(Effect::Reduced { round, outcome: Reduction::Late });
        true
    }

    /// The controller says that this member is the root, or that it is not.
    pub(super) fn roster<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        roster: Option<&Roster>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        for (_, member) in roster.into_iter().flat_map(|roster| &roster.departed) {
            self.handler_gone(*member);
        }
        match roster {
            Some(roster) => self.departures.hear(env, broadcast, roster, out),
            None => self.departures.forget(),
        }
    }

    /// The link to the parent is another one, or was made anew: what went up may be lost.
    pub(super) fn parent_changed(&mut self, bugs: Bugs) {
        self.told = None;
        self.announced = false;
        if self.is_begun() && !bugs.has(Bug::SpoiledUntold) {
            self.spoil(Spoil::Moved);
        }
    }

    /// A child is another one, or was lost: what came from it counts no more.
    pub(super) fn child_changed(&mut self, link: LinkId, bugs: Bugs) {
        if !bugs.has(Bug::HalfContributionKept) {
            self.below.remove(&link);
        }
        if self.is_begun() && !bugs.has(Bug::SpoiledUntold) {
            self.spoil(Spoil::Moved);
        }
    }

    fn spoil(&mut self, why: Spoil) {
        self.spoiled = self.spoiled.max(Some(why));
    }

    /// Begins this attempt.
    fn begin(&mut self, at: Try) {
        if self.at.round != at.round {
            self.failures = 0;
        }
        self.at = at;
        self.sent = 0;
        self.combining = false;
        self.spoiled = None;
        self.whole = None;
        self.lent = None;
        self.announced = false;
        self.result.clear();
    }

    /// A child sends a piece of what it and those below it have.
    pub(super) fn contribution<A>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        link: LinkId,
        contribution: Contribution<P>,
    ) where
        A: Clone + Debug + Eq + Hash,
    {
        let Contribution { term, at, index, payload, whole } = contribution;
        let Some(below) = self.said(env, broadcast, link, (term, at)) else { return };
        let next = u32::try_from(below.pieces.len()).unwrap_or(u32::MAX);
        if index == next && below.whole.is_none() {
            below.pieces.extend(payload);
            below.whole = whole;
        }
    }

    /// A child says that an attempt has come to nothing.
    pub(super) fn spoiled<A>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        link: LinkId,
        (term, at): (Term, Try),
        why: Spoil,
    ) where
        A: Clone + Debug + Eq + Hash,
    {
        if at != self.at && env.config.bugs.has(Bug::EarlySpoilForgotten) {
            return;
        }
        if let Some(below) = self.said(env, broadcast, link, (term, at)) {
            below.spoiled = below.spoiled.max(Some(why));
        }
    }

    /// What a child has said of an attempt, of which this member may not have heard yet. `None` if it is over.
    fn said<A>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        link: LinkId,
        (term, at): (Term, Try),
    ) -> Option<&mut Below<P>>
    where
        A: Clone + Debug + Eq + Hash,
    {
        if term != broadcast.term() || at.round <= broadcast.position() {
            return None; // Of a root that was replaced, or of a round that is sealed.
        }
        broadcast.hear_of(at);
        let mixed = env.config.bugs.has(Bug::AttemptsMixed);
        let newer = self.below.get(&link).is_none_or(|below| below.at < at && !mixed);
        if newer {
            let below = Below { at, pieces: Vec::new(), whole: None, spoiled: None };
            let _ = self.below.insert(env.links.children.len(), link, below); // A child that was assigned has a place.
        }
        self.below.get_mut(&link).filter(|below| below.at == at || mixed)
    }

    /// Does all that follows; whether the rounds must look again.
    pub(super) fn settle<A>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool
    where
        A: Clone + Debug + Eq + Hash,
    {
        self.answer(env, broadcast, out);
        self.departures.note(env, broadcast, out);
        if self.term != broadcast.term() {
            // What was sent and told in another term nobody remembers.
            self.term = broadcast.term();
            self.told = self.told.filter(|_| env.config.bugs.has(Bug::SpoiledToldOnce));
            self.begin(Try::default());
            self.below = SmallMap::default();
            self.forget_kept(out);
        }
        // Before that it is not known whether the round is sealed already.
        if broadcast.carried().is_none_or(|carried| broadcast.position() < carried) {
            self.begin(Try::default());
            return false;
        }
        let open = broadcast.attempt_at(after(broadcast.position()));
        if self.at < open {
            self.begin(open);
        }
        let below = self.below.iter().filter(|(_, below)| below.at == self.at);
        self.spoiled = below.filter_map(|(_, below)| below.spoiled).chain(self.spoiled).max();
        if broadcast.reign.is_some() {
            return self.govern(env, broadcast, out);
        }
        if self.spoiled.is_none() {
            self.combine(env, broadcast, out);
        }
        if let Some(why) = self.spoiled {
            self.tell_spoiled(env, broadcast, why, out);
        }
        false
    }

    fn tell_spoiled<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        why: Spoil,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let told = Some((self.at, why));
        if let Some(link) = env.links.up()
            && self.told != told
        {
            self.told = told;
            out.push(Effect::Send {
                link,
                frame: Frame::Spoiled { term: broadcast.term(), at: self.at, why },
            });
        }
    }

    /// Tells the application of the rounds that are sealed, and gives back what it lent to them.
    pub(super) fn answer<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let position = broadcast.position();
        let fresh =
            broadcast.rounds.iter().filter(|(round, _)| **round > self.answered && **round <= position);
        for (round, held) in fresh {
            let seal = held.head.sealed.as_ref();
            if let Some(seal) = seal {
                self.departures.name(seal.until, env.config.bugs);
            }
            if env.me.stamp > held.head.cut || env.daemon {
                continue; // A round that it is not in has no value of its own; nor has a daemon in any.
            }
            if self.calls.pop().is_none() {
                if env.config.bugs.has(Bug::LateCallKept) {
                    continue;
                }
                self.missed = self.missed.saturating_add(1);
                continue;
            }
            let outcome = match seal.map(|seal| (seal.failure, seal.missing.clone())) {
                Some((_, missing))
                    if missing.late.contains(&env.me) && !env.config.bugs.has(Bug::LateToldSealed) =>
                {
                    Reduction::Late
                }
                Some((None, _)) if env.config.bugs.has(Bug::MissingUntold) => {
                    Reduction::Sealed(Missing::default())
                }
                Some((None, missing)) => Reduction::Sealed(missing),
                Some((Some(failure), missing)) => Reduction::Failed(failure, missing),
                None => Reduction::Indeterminate, // Not a reduce's.
            };
            out.push(Effect::Reduced { round: *round, outcome });
        }
        self.answered = self.answered.max(position);
    }

    /// The member's time is over.
    pub(super) fn end<A>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        while self.calls.pop().is_some() {
            out.push(Effect::Reduced { round: after(self.answered), outcome: Reduction::Indeterminate });
        }
        *self = Self { answered: self.answered, ..Self::default() };
    }
}

//! Combining piece by piece, and what the root does with the result.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::broadcast::{Broadcast, Ending, Env};
use super::super::event::Effect;
use super::{Below, Reduce};
use crate::bug::Bug;
use crate::channel::{Census, Contribution, Failure, Frame, Seal, Share, Spoil, Try};
use crate::ids::Term;
use crate::machine::Effects;

/// What goes into a piece.
enum Inputs<P> {
    /// Something is still to come.
    Lacking,
    /// The values are of different sizes.
    Mismatch,
    /// These, and if it is the last piece, whose values they are.
    Ready(Vec<P>, Option<Share>),
}

impl<P: Clone + Debug + Eq + Hash> Reduce<P> {
    /// What goes into the next piece, in the order of a pre-order walk (R3): the member's own value, which a daemon has
    /// not, then what is below in the order of the assignment, which is a daemon's lambdas by slot before its children by
    /// place.
    fn inputs<A: Clone + Debug + Eq + Hash>(
        &self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
    ) -> Inputs<P> {
        let index = self.sent as usize;
        let mut inputs = Vec::new();
        let mut ends = Vec::new();
        let mut share = Share::default();
        if !self.give_own(env, broadcast, (&mut inputs, &mut ends), &mut share) {
            return Inputs::Lacking;
        }
        let mut children: Vec<_> = env.links.children.iter().collect();
        children.sort_unstable_by_key(|(_, child)| child.nth);
        if env.daemon && env.config.bugs.has(Bug::LodgersLast) {
            children.reverse();
        }
        for (link, _) in children {
            let mixed = env.config.bugs.has(Bug::AttemptsMixed);
            let below: Option<&Below<P>> = self.below.get(link).filter(|below| below.at == self.at || mixed);
            let Some(below) = below else {
                if broadcast.reign.is_some() && env.config.bugs.has(Bug::SealedWithoutSome) {
                    continue;
                }
                return Inputs::Lacking;
            };
            if let Some(whole) = &below.whole {
                share.census = share.census.plus(whole.census);
                share.daemons = share.daemons.plus(whole.daemons);
                share.late.extend_from_slice(&whole.late);
                if whole.census == Census::default() && below.pieces.is_empty() {
                    continue;
                }
            }
            let piece = below.pieces.get(index);
            if piece.is_none() && below.whole.is_none() {
                return Inputs::Lacking;
            }
            inputs.extend(piece.cloned());
            if env.daemon && env.config.bugs.has(Bug::LodgersSummedTwice) {
                inputs.extend(piece.cloned());
            }
            ends.push(below.whole.is_some() && below.pieces.len().checked_sub(1) == Some(index));
        }
        if env.config.bugs.has(Bug::OwnValueLast) {
            inputs.reverse();
        }
        if env.config.bugs.has(Bug::HalfContributionKept) {
            let gone = self.below.iter().filter(|(link, _)| !env.links.children.contains(link));
            let half = gone.filter(|(_, below)| below.whole.is_none());
            inputs.extend(half.filter_map(|(_, below)| below.pieces.get(index)).cloned());
        }
        // With more than a head may name it will not be sealed.
        share.late.truncate(env.config.missing_max as usize);
        let Some(last) = ends.first().copied() else {
            return Inputs::Ready(Vec::new(), Some(share)); // Nobody here is counted, or all are late.
        };
        if ends.iter().any(|end| *end != last) || inputs.len() < ends.len() {
            return Inputs::Mismatch;
        }
        Inputs::Ready(inputs, last.then_some(share))
    }

    /// What the member itself gives: its own value, or its name if it is late, or as a daemon nothing. False as long as
    /// its value is waited for.
    fn give_own<A: Clone + Debug + Eq + Hash>(
        &self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        (inputs, ends): (&mut Vec<P>, &mut Vec<bool>),
        share: &mut Share,
    ) -> bool {
        let (bugs, index) = (env.config.bugs, self.sent as usize);
        if env.me.stamp > broadcast.cut() {
            return true;
        }
        if env.daemon && !(bugs.has(Bug::DaemonLate) && self.at.cut_off) {
            let counts = bugs.has(Bug::DaemonCounted);
            *if counts { &mut share.census } else { &mut share.daemons } = Census::of(env.me);
        } else if !self.lends(bugs) {
            share.late.push(env.me);
        } else {
            let Some(own) = self.calls.first() else { return false };
            // Fewer pieces than the others have: it has ended before this one.
            inputs.extend(own.get(index).cloned());
            ends.push(own.len().checked_sub(1) == Some(index));
            share.census = Census::of(env.me);
        }
        true
    }

    /// Combines the next piece, if all of it is here, and sends it up. Whether that shows that there will be no result.
    pub(super) fn combine<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool {
        if self.combining || self.whole.is_some() || env.links.up().is_none() && broadcast.reign.is_none() {
            return false;
        }
        match self.inputs(env, broadcast) {
            Inputs::Lacking => self.announce(env, broadcast, out),
            Inputs::Mismatch => {
                self.spoil(Spoil::Mismatch);
                return true;
            }
            Inputs::Ready(inputs, whole) if inputs.is_empty() => {
                self.whole.clone_from(&whole);
                if let Some(link) = env.links.up() {
                    let (term, at) = (broadcast.term(), self.at);
                    let contribution = Contribution { term, at, index: 0, payload: None, whole };
                    out.push(Effect::Send { link, frame: Frame::Contribution(contribution) });
                }
            }
            Inputs::Ready(inputs, _) => {
                self.combining = true;
                self.lent = self.at.cut_off.then_some(self.lends(env.config.bugs));
                out.push(Effect::Combine { at: self.at, term: broadcast.term(), index: self.sent, inputs });
            }
        }
        false
    }

    /// A piece was combined.
    pub(in super::super) fn combined<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        (term, at, index): (Term, Try, u32),
        payload: P,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let present = term == broadcast.term() && at == self.at && index == self.sent && self.combining;
        if !present {
            return; // It was for an attempt that has come to nothing.
        }
        self.combining = false;
        // What it was made of is still here: pieces are let go when the attempt ends.
        let Inputs::Ready(_, whole) = self.inputs(env, broadcast) else { return self.spoil(Spoil::Moved) };
        self.sent = self.sent.saturating_add(1);
        self.whole.clone_from(&whole);
        if broadcast.reign.is_some() {
            self.result.push(payload);
        } else if let Some(link) = env.links.up() {
            let contribution = Contribution { term, at, index, payload: Some(payload), whole };
            out.push(Effect::Send { link, frame: Frame::Contribution(contribution) });
        } else {
            self.spoil(Spoil::Moved); // There is nobody to send it to.
        }
    }

    /// The root's duties; whether the rounds must look again.
    pub(super) fn govern<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool {
        if broadcast.reign.is_none() {
            return false;
        }
        if self.kept.is_some() {
            return self.hand(env, broadcast, out);
        }
        self.set_deadline(env, broadcast, out);
        let result = self.is_result(env, broadcast);
        let (room, again) = (broadcast.has_room(env), self.failures < env.config.attempts_max);
        match self.spoiled {
            Some(Spoil::Moved) if again => {
                self.failures = self.failures.saturating_add(1);
                broadcast.hear_of(Try { attempt: self.at.attempt.saturating_add(1), ..self.at });
                true
            }
            Some(Spoil::Moved) if room => {
                self.seal(env, broadcast, Some(Failure::Churn), out);
                true
            }
            Some(Spoil::Mismatch) if room => {
                self.seal(env, broadcast, Some(Failure::Mismatch), out);
                true
            }
            None if result && room => {
                self.seal(env, broadcast, None, out);
                true
            }
            None if self.at.cut_off && self.whole.is_some() && !result => {
                // There were too few.
                let attempt = self.at.attempt.saturating_add(1);
                broadcast.hear_of(Try { attempt, cut_off: false, ..self.at });
                true
            }
            Some(_) => false,
            None => self.combine(env, broadcast, out),
        }
    }

    /// The root ends the round, with its result or without one.
    fn seal<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        failure: Option<Failure>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        self.clear_deadline(out);
        let Some(reign) = &broadcast.reign else { return };
        let Share { census, late, .. } = self.whole.clone().unwrap_or_default();
        let mut missing = self.departures.missing(env);
        let strict = env.config.strict && !env.config.bugs.has(Bug::StrictSealed);
        let incomplete = (strict && missing.lacks_departed()).then_some(Failure::Incomplete);
        let failure = failure.or(incomplete);
        if !env.config.bugs.has(Bug::LateUnnamed) {
            missing.late = late;
        }
        let mut seal = Seal { census: Census::default(), missing, until: reign.version, failure };
        let mut pieces = core::mem::take(&mut self.result);
        let end = if failure.is_some() { Ending::Void } else { Ending::Whole };
        match failure {
            Some(_) => pieces.clear(),
            None => seal.census = census,
        }
        let head = broadcast.head(self.at.round, seal);
        if end == Ending::Whole && env.config.kind.is_handled() && !env.handles {
            return self.keep(env, broadcast, head, pieces, out);
        }
        broadcast.seal(head, pieces, end);
    }
}

//! A member's own broadcasts, from the application's call to its answer.
//!
//! A sender calls the root of its term and sends its first piece; the rest follows when the root takes it. Connections
//! may break and roots change meanwhile: the sender begins again until it sees its own broadcast come down to it. In a
//! new term it waits until it has everything that goes on from earlier ones, so that it knows whether its own is
//! among that; within a term the root knows it by its sequence (B1).

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::event::{Effect, Outcome, Timer};
use super::super::links::Line;
use super::{Broadcast, Ending, Env, count};
use crate::bug::Bug;
use crate::channel::{Origin, Resume, Submit};
use crate::ids::{Round, Sequence, Term};
use crate::machine::Effects;

/// A broadcast that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sending<P> {
    /// Its pieces.
    pub pieces: Vec<P>,
    /// Its first piece went out on the connection that stands.
    pub offered: bool,
}

/// A member as a sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender<P> {
    /// Its newest broadcast, from 1.
    pub sequence: Sequence,
    /// That broadcast, until it is answered.
    pub sending: Option<Sending<P>>,
    /// The connection to the root, in the member's term.
    pub line: Line,
    /// Who handles results: what the root was last told on that connection.
    pub collected: Option<Round>,
    /// Who handles results: one has come for which there was no room. It is asked for again when there is.
    pub crowded: bool,
}

impl<P> Default for Sender<P> {
    fn default() -> Self {
        Self { sequence: Sequence(0), sending: None, line: Line::None, collected: None, crowded: false }
    }
}

impl<P> Sender<P> {
    /// Nothing more will be known of what is under way.
    pub(super) fn end<A>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if self.sending.take().is_some() {
            out.push(Effect::Sent { sequence: self.sequence, outcome: Outcome::Indeterminate });
        }
    }
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Broadcast<A, P> {
    /// Whether a broadcast of this member is not answered.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sender.sending.is_some()
    }

    /// The application sends something.
    pub(in super::super) fn send(&mut self, pieces: Vec<P>) {
        if let Some(sequence) = self.sender.sequence.next() {
            self.sender.sequence = sequence;
            self.sender.sending = Some(Sending { pieces, offered: false });
        }
    }

    /// Brings the own broadcast to the root, as soon as it is known that it is not there already.
    pub(super) fn pursue(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let position = self.position();
        let Some(sync) = &self.sync else { return };
        let known = sync.carried.is_some_and(|carried| position >= carried);
        let term = sync.term;
        if self.sender.sending.is_none() && !env.handles {
            return;
        }
        if !known && !env.config.bugs.has(Bug::ResubmitsEarly) {
            return;
        }
        if self.reign.is_some() {
            return; // It is the root itself.
        }
        match self.sender.line {
            Line::None => {
                self.sender.line = Line::Dialling;
                out.push(Effect::DialRoot { term, address: sync.root.clone() });
            }
            Line::Up if env.handles => self.collect(env, term, out),
            Line::Up => self.offer(term, out),
            Line::Dialling | Line::Waiting => {}
        }
    }

    /// Sends the first piece, once over each connection.
    fn offer(&mut self, term: Term, out: &mut impl Effects<Effect<A, P>>) {
        let Some(sending) = self.sender.sending.as_mut().filter(|sending| !sending.offered) else { return };
        sending.offered = true;
        self.submit(term, 0, 1, out);
    }

    /// Tells the root which results the application has had: it comes for those behind, or has taken one.
    fn collect(&mut self, env: &Env<'_, A>, term: Term, out: &mut impl Effects<Effect<A, P>>) {
        let room = self.has_place(env);
        let again = self.sender.crowded && room;
        // On a new connection it speaks whether there is room or not: the root may wait for nothing but this.
        let silent = self.sender.collected.is_none() && !room && env.config.bugs.has(Bug::CollectsLate);
        if (self.sender.collected != Some(self.taken) || again) && !silent {
            self.sender.collected = Some(self.taken);
            self.sender.crowded = false;
            out.push(Effect::Collect(Resume { term, position: self.taken, partial: None }));
        }
    }

    /// Sends `many` pieces from `first` on.
    fn submit(&self, term: Term, first: u32, many: u32, out: &mut impl Effects<Effect<A, P>>) {
        let Some(sending) = &self.sender.sending else { return };
        let pieces = sending.pieces.iter().skip(first as usize).take(many as usize);
        for (index, payload) in (first..).zip(pieces) {
            let (payload, last) = (payload.clone(), index.saturating_add(1) == count(&sending.pieces));
            let sequence = self.sender.sequence;
            out.push(Effect::Submit(Submit { term, sequence, index, payload, last }));
        }
    }

    /// The root takes the rest.
    pub(in super::super) fn go(
        &mut self,
        term: Term,
        sequence: Sequence,
        index: u32,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        if term == self.term() && sequence == self.sender.sequence && self.sender.line == Line::Up {
            self.submit(term, index, u32::MAX, out);
        }
    }

    /// The root has taken the call.
    pub(in super::super) fn root_up(
        &mut self,
        _: &Env<'_, A>,
        term: Term,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        if term == self.term() && self.sender.line == Line::Dialling {
            self.sender.line = Line::Up;
        } else {
            out.push(Effect::HangRoot(term)); // It was for an older term.
        }
    }

    /// The connection to the root is gone.
    pub(in super::super) fn root_down(
        &mut self,
        env: &Env<'_, A>,
        term: Term,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        if term != self.term() || self.sender.line == Line::None {
            return;
        }
        self.unoffer();
        self.sender.line = Line::Waiting;
        out.push(Effect::SetTimer { timer: Timer::RedialRoot(term), after: env.config.redial });
    }

    /// The pause is over.
    pub(in super::super) fn redial_root(&mut self, term: Term) {
        if term == self.term() && self.sender.line == Line::Waiting {
            self.sender.line = Line::None;
        }
    }

    /// What was offered over a connection that is gone must be offered again.
    fn unoffer(&mut self) {
        self.sender.collected = None;
        self.sender.crowded = false;
        if let Some(sending) = &mut self.sender.sending {
            sending.offered = false;
        }
    }

    /// The root of this term is none any more.
    pub(super) fn leave_root(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        self.unoffer();
        match self.sender.line {
            Line::None => {}
            Line::Dialling | Line::Up => out.push(Effect::HangRoot(self.term())),
            Line::Waiting => out.push(Effect::ClearTimer(Timer::RedialRoot(self.term()))),
        }
        self.sender.line = Line::None;
    }

    /// Answers the application, when its broadcast has come down to it.
    pub(super) fn answer(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        if !self.is_sending() {
            return;
        }
        let origin = Some(Origin { member: env.me, sequence: self.sender.sequence });
        let position = self.position();
        let own = self.rounds.iter().find(|(round, held)| **round <= position && held.head.origin == origin);
        let Some((round, end)) = own.and_then(|(round, held)| Some((*round, held.end?))) else { return };
        let outcome = match end {
            Ending::Whole | Ending::Handled => Outcome::Sealed(round),
            Ending::Void => Outcome::Aborted,
        };
        self.sender.sending = None;
        out.push(Effect::Sent { sequence: self.sender.sequence, outcome });
    }
}

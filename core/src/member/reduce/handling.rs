//! Results for one: who handles them has each before the others hear that there is one.
//!
//! It calls the root of its term, says which results its application has had, and says so again with every one that it
//! takes. What the root has whole it keeps as it is, whoever departs meanwhile, and hands it over; once it was taken the
//! round goes down to everybody, without bytes. So members are told of no result that its handler may not have had.
//!
//! ```text
//!   handler                    root                       others
//!     | Collect(has 4) -------> |  all of round 5 is in it   |
//!     | <----- Hand(5, pieces) |                            |
//!     | Collect(has 5) -------> | Chunk(5, handled) -------->|  their values are given back
//! ```
//!
//! If the root dies the handler has the round or nobody has, and the next root finds that out like of any round. If the
//! handler dies the root keeps its one result for the next, until a deadline. What a handler may have taken is not handed
//! to another one, nor given up, before that handler is known to have departed; of one that is away the root asks the
//! controller.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::broadcast::{Broadcast, Ending, Env};
use super::super::event::{Effect, Timer};
use super::Reduce;
use crate::bug::Bug;
use crate::channel::{Census, Chunk, Failure, Head, Piece, Resume, ToController};
use crate::ids::{MemberId, Round, Term};
use crate::machine::Effects;

/// A result that was not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept<P> {
    /// Of which round, and what it has come to: for ever.
    pub head: Head,
    /// The result.
    pub pieces: Vec<P>,
    /// Who may have taken it.
    pub offered: Option<MemberId>,
    /// It went out on the connection that stands.
    pub sent: bool,
}

/// Who has called for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handler {
    /// Who.
    pub member: MemberId,
    /// Its application has had those up to here.
    pub taken: Round,
}

fn timer(head: &Head) -> Timer {
    Timer::HandlerLost(head.id.term, head.id.round)
}

/// For somebody who handles this result.
fn wait<A: Clone + Debug + Eq + Hash, P>(
    env: &Env<'_, A>,
    head: &Head,
    out: &mut impl Effects<Effect<A, P>>,
) {
    out.push(Effect::SetTimer { timer: timer(head), after: env.config.handler });
}

impl<P: Clone + Debug + Eq + Hash> Reduce<P> {
    /// There is a result: it stays as it is.
    pub(super) fn keep<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        head: Head,
        pieces: Vec<P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        wait(env, &head, out);
        if !env.config.bugs.has(Bug::BoundaryWhileKept) {
            // Its handler goes on to the next round before the others hear of this one, by the cut that it knows: there is
            // no boundary in between.
            broadcast.begin_sealed(head.id.round);
        }
        self.kept = Some(Kept { head, pieces, offered: None, sent: false });
    }

    /// The round ends, whatever it was kept for.
    fn end_kept<A: Clone + Debug + Eq + Hash>(
        &mut self,
        broadcast: &mut Broadcast<A, P>,
        end: Ending,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(Kept { mut head, .. }) = self.kept.take() else { return };
        out.push(Effect::ClearTimer(timer(&head)));
        if let (Ending::Void, Some(seal)) = (end, &mut head.sealed) {
            seal.census = Census::default();
            seal.failure = Some(Failure::Unhandled);
        }
        broadcast.seal(head, Vec::new(), end);
    }

    /// Hands the result over, or goes on once it was taken; whether the rounds must look again.
    pub(super) fn hand<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool {
        let (Some(kept), Some(handler)) = (&mut self.kept, self.handler) else { return false };
        let bugs = env.config.bugs;
        if handler.taken >= kept.head.id.round || kept.sent && bugs.has(Bug::SealedUntaken) {
            self.end_kept(broadcast, Ending::Handled, out);
            return true;
        }
        let other = kept.offered.is_some_and(|offered| offered != handler.member);
        if kept.sent || other && !bugs.has(Bug::HandedTwice) {
            return false;
        }
        kept.sent = true;
        kept.offered = Some(handler.member);
        let (to, term) = (handler.member, kept.head.id.term);
        let last = kept.pieces.len().saturating_sub(1);
        for (index, payload) in kept.pieces.iter().enumerate() {
            let piece = Piece::Part(payload.clone(), index == last);
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            out.push(Effect::Hand { to, chunk: Chunk { term, head: kept.head.clone(), index, piece } });
        }
        false
    }

    /// Somebody calls for results, or has taken one.
    pub(in super::super) fn collected<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &Broadcast<A, P>,
        from: MemberId,
        resume: Resume,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(reign) = &broadcast.reign else { return }; // It will hear who is the root now.
        if !env.config.kind.is_handled() || resume.term != broadcast.term() {
            return;
        }
        if reign.barred.iter().any(|barred| *barred == from) {
            return out.push(Effect::HangSubmitter(from)); // M2
        }
        self.handler = Some(Handler { member: from, taken: resume.position });
        if let Some(kept) = &mut self.kept {
            kept.sent = false;
        }
    }

    /// Its connection is gone: what was under way to it may be lost.
    pub(in super::super) fn handler_down(&mut self, from: MemberId) {
        if self.handler.is_some_and(|handler| handler.member == from) {
            self.handler = None;
            if let Some(kept) = &mut self.kept {
                kept.sent = false;
            }
        }
    }

    /// It has departed: what it has taken binds nobody.
    pub(in super::super) fn handler_gone(&mut self, member: MemberId) {
        self.handler_down(member);
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.offered == Some(member)) {
            kept.offered = None;
        }
    }

    /// The result was kept long enough.
    pub(in super::super) fn unhandled<A: Clone + Debug + Eq + Hash>(
        &mut self,
        env: &Env<'_, A>,
        broadcast: &mut Broadcast<A, P>,
        (term, round): (Term, Round),
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(kept) = &self.kept else { return };
        if (kept.head.id.term, kept.head.id.round) != (term, round) {
            return;
        }
        match kept.offered {
            Some(offered) if !env.config.bugs.has(Bug::UnhandledEarly) => {
                // It may have been taken: only the controller can say that this does not matter any more.
                out.push(Effect::ToController(ToController::Missing(offered)));
                wait(env, &kept.head, out);
            }
            Some(_) | None => self.end_kept(broadcast, Ending::Void, out),
        }
    }

    /// This member is not the root of that term any more.
    pub(super) fn forget_kept<A>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        self.handler = None;
        if let Some(kept) = self.kept.take() {
            out.push(Effect::ClearTimer(timer(&kept.head)));
        }
    }
}

//! What goes over the links of the tree: how the term stands and what others lack, and the report of what is below.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::event::Effect;
use super::{Broadcast, Cursor, Ending, Env, Held, Stream, after, count};
use crate::bounded::SmallMap;
use crate::bug::{Bug, Bugs};
use crate::channel::{Census, Chunk, Frame, Piece, Report};
use crate::ids::{LinkId, Round, Term};
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Broadcast<A, P> {
    /// Tells the children how the term stands, when that has changed.
    pub(super) fn tell(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if self.told == self.sync {
            return;
        }
        self.told.clone_from(&self.sync);
        let Some(sync) = &self.sync else { return };
        for (link, _) in self.streams.iter() {
            out.push(Effect::Send { link: *link, frame: Frame::Sync(sync.clone()) });
        }
    }

    /// Asks a child for what the parent wants, or the root, and this member lacks.
    pub(super) fn pull_on(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let wants = self.pulled.is_some() || self.reign.is_some() && self.carried().is_none();
        let Some(report) = self.aggregate(env).filter(|_| wants) else { return };
        let position = self.position();
        let asked = self.pulling.and_then(|link| self.streams.get(&link)?.report.as_ref());
        if report.best <= position || asked.is_some_and(|asked| asked.best > position) {
            return; // There is nothing to be had, or it is on its way.
        }
        let has = |stream: &Stream| stream.report.as_ref().is_some_and(|it| it.best == report.best);
        let Some((link, _)) = self.streams.iter().find(|(_, stream)| has(stream)) else { return };
        let link = *link;
        self.pulling = Some(link);
        out.push(Effect::Send { link, frame: Frame::Pull { term: report.term, from: after(position) } });
    }

    /// Sends every child what it lacks and is here, and the parent what it has asked for.
    pub(super) fn pump(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let (term, floor) = (self.term(), self.floor());
        // Before it is known which rounds go on, those that somebody has whole certainly do.
        let open = self.carried().is_some();
        let handled = env.config.kind.is_handled();
        for (link, stream) in self.streams.iter_mut() {
            if let Some(next) = &mut stream.next {
                let void = |held: &Held<P>| held.end == Some(Ending::Void);
                let hidden = self.rounds.get(&next.round).is_some_and(void);
                if !hidden || !env.config.bugs.has(Bug::VoidUntold) {
                    pump(&self.rounds, (term, floor), (open, handled), next, *link, out);
                }
            }
        }
        if let (Some(next), Some(link)) = (&mut self.pulled, env.links.up()) {
            pump(&self.rounds, (term, floor), (false, handled), next, link, out);
        }
    }

    /// What this member and those below it have; `None` as long as not all of them have said.
    pub(in super::super) fn aggregate(&self, env: &Env<'_, A>) -> Option<Report> {
        let sync = self.sync.as_ref()?;
        let counted = env.me.stamp <= sync.cut;
        let own = if counted { Census::of(env.me) } else { Census::default() };
        let position = self.position();
        let early = env.config.bugs.has(Bug::ReportedEarly);
        let mut children = Vec::new();
        for (link, _) in env.links.children.iter() {
            let report = self.streams.get(link).and_then(|stream| stream.report.as_ref());
            let agrees = |report: &&Report| sync.carried.is_some() || report.prior == sync.prior;
            match report.filter(|report| report.cut == sync.cut).filter(agrees) {
                Some(report) => children.push(report),
                None if early => {}
                None => return None,
            }
        }
        let mut report = Report {
            term: sync.term,
            cut: sync.cut,
            synced: own,
            best: position,
            // Once the term goes on this tells the root nothing.
            seen: if sync.carried.is_none() { self.seen() } else { position },
            floor: sync.floor,
            floor_cut: sync.floor_cut,
            prior: sync.prior,
            done: Vec::new(),
        };
        for child in &children {
            report.synced = report.synced.plus(child.synced);
            report.best = report.best.max(child.best);
            report.seen = report.seen.max(child.seen);
        }
        // B4: what the application does not take is not had. A root that leaves waits for nobody's application, and begins
        // nothing more that would have to be kept.
        let kept = Round(self.taken.0.saturating_add(env.config.buffer.into()));
        let leaves = env.draining && self.reign.is_some();
        let had = if counted && !leaves { position.min(kept) } else { position };
        let mut round = sync.floor;
        while round < had {
            round = after(round);
            let mut census = own;
            for child in &children {
                let place = round.0.checked_sub(child.floor.0).and_then(|it| it.checked_sub(1));
                let place = place.and_then(|place| usize::try_from(place).ok());
                let Some(below) = place.and_then(|place| child.done.get(place)) else { return Some(report) };
                census = census.plus(*below);
            }
            report.done.push(census);
        }
        Some(report)
    }

    pub(super) fn report_up(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let Some(link) = env.links.up() else { return };
        let Some(report) = self.aggregate(env) else { return };
        let bugs = env.config.bugs;
        let stale = |told: &Report| told != &report && !self.is_floor_alone(told, &report, bugs);
        if self.reported.as_ref().is_none_or(stale) {
            out.push(Effect::Send { link, frame: Frame::Report(report.clone()) });
            self.reported = Some(report);
        }
    }

    /// Whether a report says nothing that the parent was not told, but that the floor has risen. Once the term goes on that
    /// comes from above, and needs no answer.
    fn is_floor_alone(&self, told: &Report, report: &Report, bugs: Bugs) -> bool {
        let risen = report.floor.0.saturating_sub(told.floor.0);
        let risen = usize::try_from(risen).unwrap_or(usize::MAX);
        let rest = |it: &Report| (it.term, it.cut, it.synced, it.best, it.seen, it.prior);
        let same =
            told.done.get(risen..).is_some_and(|done| done == report.done) || bugs.has(Bug::DoneWithheld);
        let goes_on = self.carried().is_some() || bugs.has(Bug::FloorWithheld);
        goes_on && rest(told) == rest(report) && same
    }
}

/// Sends pieces from `next` on, as far as they are here. Of rounds that are not whole only if `open`. Where one handles
/// them no bytes are sent on, only that there are some.
fn pump<A, P: Clone>(
    rounds: &SmallMap<Round, Held<P>>,
    (term, floor): (Term, Round),
    (open, handled): (bool, bool),
    next: &mut Cursor,
    link: LinkId,
    out: &mut impl Effects<Effect<A, P>>,
) {
    loop {
        let Some(held) = rounds.get(&next.round) else {
            if next.round > floor {
                return;
            }
            *next = Cursor { round: after(next.round), index: 0 }; // It will hear that this one is everybody's.
            continue;
        };
        if held.end.is_none() && (!open || handled) {
            return;
        }
        let piece = match held.pieces.get(next.index as usize) {
            _ if held.end == Some(Ending::Handled) || handled && held.end == Some(Ending::Whole) => {
                Piece::Handled
            }
            Some(payload) => {
                let last =
                    held.end == Some(Ending::Whole) && next.index.saturating_add(1) == count(&held.pieces);
                Piece::Part(payload.clone(), last)
            }
            None if held.end == Some(Ending::Void) => Piece::Void,
            None if held.end == Some(Ending::Whole) => {
                *next = Cursor { round: after(next.round), index: 0 };
                continue;
            }
            None => return, // The rest is still to come.
        };
        let ended = matches!(piece, Piece::Void | Piece::Handled | Piece::Part(_, true));
        let chunk = Chunk { term, head: held.head.clone(), index: next.index, piece };
        out.push(Effect::Send { link, frame: Frame::Chunk(chunk) });
        *next = if ended {
            Cursor { round: after(next.round), index: 0 }
        } else {
            Cursor { index: next.index.saturating_add(1), ..*next }
        };
    }
}

//! What the root does: begin its term, number rounds, and learn what everybody has.
//!
//! A root that was replaced and cannot be told so needs no lease to stop it. It runs no further ahead than a window, and
//! the floor no longer rises when one of those whom it counts has gone over to the new root. What it had begun by then
//! binds only those who are still below it; they have it when they report to the new root, so it goes on or is void like
//! any other round. And as long as nobody has gone over it is the root for all, as while the controller is down.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::super::event::{Effect, Kind, Timer};
use super::{Broadcast, Ending, Env, Held, after, count};
use crate::bounded::{Map, Queue};
use crate::bug::Bug;
use crate::channel::{
    Cut, Head, Origin, Recount, Report, Roster, RoundId, Seal, Submit, Sync, ToController, Try,
};
use crate::ids::{AssignmentVersion, MemberId, Round, Sequence, Term};
use crate::machine::Effects;

/// A broadcast whose first piece has come, and that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting<P> {
    /// Whose.
    pub origin: Origin,
    /// Its pieces so far: one from another member, all of its own.
    pub pieces: Vec<P>,
    /// Whether these are all.
    pub whole: bool,
}

/// A broadcast that has a number and is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Which of the sender's.
    pub sequence: Sequence,
    /// Its number.
    pub round: Round,
}

/// What a root knows beside what all members know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reign<P> {
    /// Who is counted.
    pub cut: Cut,
    /// Who will be, from the next boundary between rounds on.
    pub next: Option<Cut>,
    /// The newest roster that was taken note of.
    pub version: AssignmentVersion,
    /// The last round that was numbered.
    pub started: Round,
    /// Broadcasts that wait for a number, in the order in which they came.
    pub waiting: Queue<Waiting<P>>,
    /// By sender: a broadcast that is on its way in.
    pub open: Map<MemberId, Open>,
    /// By sender: its last broadcast that was numbered in this term.
    pub last: Map<MemberId, Sequence>,
    /// Who has departed in this term, the latest; nothing of theirs is taken any more.
    pub barred: Queue<MemberId>,
}

impl<P> Reign<P> {
    /// Those whom a restarted controller does not know any more have departed; whether there are any.
    fn recount(&mut self, recount: Option<&Recount>) -> bool {
        let (Some(recount), Some(left)) = (recount, self.left_of(recount)) else { return false };
        self.version = recount.version;
        self.barred.clear(); // Some of them may be members again; the others find nobody who takes them for one.
        core::mem::replace(&mut self.cut, left) != left
    }

    /// Who is left of those that are counted, by a recount that is new to this root.
    pub(in super::super) fn left_of(&self, recount: Option<&Recount>) -> Option<Cut> {
        let recount = recount.filter(|it| it.version > self.version)?;
        recount.cuts.into_iter().find(|cut| cut.until == self.cut.until)
    }
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Broadcast<A, P> {
    /// The controller says that this member is the root, and who there is.
    pub(in super::super) fn reign(
        &mut self,
        env: &Env<'_, A>,
        version: AssignmentVersion,
        roster: Roster,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        if !roster.departed_daemons.is_empty() {
            // From here on they are not counted; who does not reign counts nobody.
            out.push(Effect::ToController(ToController::DaemonsNoted(version)));
        }
        if roster.term > self.term() {
            return self.begin_reign(env, version, &roster, out);
        }
        let Some(reign) = &mut self.reign else { return };
        let recount = roster.recount.as_deref().filter(|_| !env.config.bugs.has(Bug::RecountIgnored));
        let news = recount.is_some_and(|recount| recount.version > reign.version);
        let recounted = reign.recount(recount);
        if news {
            self.call_senders(env, out);
        }
        let Some(reign) = &mut self.reign else { return };
        let lambdas = roster.departed.iter().map(|departed| (departed, false));
        let departed = lambdas.chain(roster.departed_daemons.iter().map(|departed| (departed, true)));
        let fresh = departed.filter(|((since, _), _)| *since > reign.version);
        let fresh: Vec<(MemberId, bool)> = fresh.map(|((_, member), daemon)| (*member, daemon)).collect();
        for (member, daemon) in &fresh {
            if member.stamp <= reign.cut.until {
                reign.cut = reign.cut.minus(*member, *daemon);
            }
            if reign.barred.len() >= env.config.senders_max {
                reign.barred.pop();
            }
            let _ = reign.barred.push(env.config.senders_max, *member); // There is room now.
        }
        if !fresh.is_empty() || recounted {
            self.try_again(env);
        }
        let Some(reign) = &mut self.reign else { return };
        reign.version = version;
        reign.next = (roster.all.until > reign.cut.until).then_some(roster.all);
        let noted = match env.config.kind {
            Kind::Broadcast => !roster.departed.is_empty() || roster.recount.is_some(),
            Kind::Reduce | Kind::Handled => false, // They are noted when they are named.
        };
        if noted {
            out.push(Effect::ToController(ToController::Noted(version)));
        } else if let Some(recount) = &roster.recount {
            out.push(Effect::ToController(ToController::Noted(recount.version)));
        }
        for (member, _) in fresh {
            self.bar(env, member, out);
        }
    }

    /// This member is the root from now on, and asks what everybody has.
    fn begin_reign(
        &mut self,
        env: &Env<'_, A>,
        version: AssignmentVersion,
        roster: &Roster,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let (term, root) = (roster.term, env.address.clone());
        let (floor, floor_cut, prior) = (self.floor(), self.floor_cut(), self.history.known);
        let (cut, carried, attempt) = (roster.all.until, None, Try::default());
        self.history.enter(term);
        if self.sync.is_none() {
            self.taken = floor;
        }
        self.begin_term(Sync { term, root, cut, floor, floor_cut, prior, carried, attempt }, out);
        self.history.is_counted(term);
        self.reign = Some(Reign {
            cut: roster.all,
            next: None,
            version,
            started: Round(0),
            waiting: Queue::default(),
            open: Map::default(),
            last: Map::default(),
            barred: Queue::default(),
        });
    }

    /// The controller says that this member is not the root.
    pub(in super::super) fn abdicate(&mut self) {
        self.reign = None;
    }

    /// Nothing of one who has departed is taken any more; what is half here is aborted.
    fn bar(&mut self, env: &Env<'_, A>, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let Some(reign) = &mut self.reign else { return };
        if env.config.bugs.has(Bug::DepartedHeard) {
            return;
        }
        reign.waiting.retain(|waiting| waiting.origin.member != member);
        reign.last.remove(&member);
        out.push(Effect::HangSubmitter(member));
        if let Some(open) = reign.open.remove(&member) {
            out.push(Effect::ClearTimer(Timer::Submission(member, open.sequence)));
            self.void(open.round);
        }
    }

    /// Who has departed is not known any more: senders whose broadcasts are not whole have to call again, or are taken
    /// for gone.
    fn call_senders(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let Some(reign) = &mut self.reign else { return };
        if env.config.bugs.has(Bug::HalfBroadcastKept) {
            return;
        }
        let others = reign.waiting.iter().map(|waiting| waiting.origin.member);
        for member in others.filter(|member| *member != env.me) {
            out.push(Effect::HangSubmitter(member));
        }
        reign.waiting.retain(|waiting| waiting.origin.member == env.me);
        for (member, open) in reign.open.iter() {
            out.push(Effect::HangSubmitter(*member));
            let timer = Timer::Submission(*member, open.sequence);
            out.push(Effect::SetTimer { timer, after: env.config.submission });
        }
    }

    /// Ends a round that will never be whole.
    fn void(&mut self, round: Round) {
        if let Some(held) = self.rounds.get_mut(&round)
            && held.end.is_none()
        {
            held.end = Some(Ending::Void);
        }
    }

    /// One step of a root's duties; whether there was any.
    pub(super) fn govern(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) -> bool {
        if self.reign.is_none() {
            return false;
        }
        let (report, position) = (self.aggregate(env), self.position());
        let Some(reign) = &mut self.reign else { return false };
        let Some(sync) = &mut self.sync else { return false };
        if let Some(report) = report {
            let everybody = report.synced == reign.cut.census || env.config.bugs.has(Bug::HalfReportEnough);
            if sync.carried.is_none() && everybody && report.best <= position {
                self.carry_on(env, &report);
                return true;
            }
            if report.done.first() == Some(&reign.cut.census) {
                self.raise_to(env, after(report.floor));
                return true;
            }
        }
        if env.config.bugs.has(Bug::FloorTooEarly) && position > self.floor() {
            self.raise_to(env, position);
            return true;
        }
        let Some(reign) = &mut self.reign else { return false };
        let Some(sync) = &mut self.sync else { return false };
        if sync.carried.is_none() {
            return false;
        }
        // In a channel where nobody sends, who joins need not be counted yet.
        let needed = env.config.kind.reduces() || !reign.waiting.is_empty();
        if sync.floor >= reign.started
            && needed
            && let Some(next) = reign.next.take()
        {
            // A boundary: nothing is under way.
            reign.cut = next;
            sync.cut = next.until;
            self.try_again(env);
            return true;
        }
        self.start(env, out)
    }

    /// Everybody has this round, the root among them.
    fn raise_to(&mut self, env: &Env<'_, A>, floor: Round) {
        let cut = self.rounds.get(&floor).map(|held| held.head.cut);
        self.raise_floor(env, floor, cut.unwrap_or(self.floor_cut()));
    }

    /// Everybody has reported, and this member has all that anybody has: the term can begin.
    fn carry_on(&mut self, env: &Env<'_, A>, report: &Report) {
        let best = report.best;
        self.carry(env, Some(best));
        let (term, cut) = (self.term(), self.cut());
        let Some(reign) = &mut self.reign else { return };
        reign.started = best.max(report.floor);
        // What was begun and nobody has whole is aborted, and everybody is told.
        // A reduce is begun again instead: its values are still lent to it.
        while reign.started < report.seen && !env.config.kind.reduces() {
            let round = after(reign.started);
            reign.started = round;
            let head = Head { id: RoundId { term, round }, cut, origin: None, sealed: None };
            let void = Held { head, pieces: Vec::new(), end: Some(Ending::Void) };
            let _ = self.rounds.insert(u32::MAX, round, void); // No more than the windows of earlier roots.
        }
    }

    /// Others are counted now: what was combined of the open reduce counts the wrong ones.
    fn try_again(&mut self, env: &Env<'_, A>) {
        if env.config.kind.reduces() {
            let last = self.attempt_at(after(self.position()));
            self.hear_of(Try { attempt: last.attempt.saturating_add(1), ..last });
        }
    }

    /// Whether the root may begin another round.
    pub(in super::super) fn has_room(&self, env: &Env<'_, A>) -> bool {
        let Some(reign) = &self.reign else { return false };
        let under_way = reign.started.0.saturating_sub(self.floor().0);
        under_way < env.config.window.into() || env.config.bugs.has(Bug::WindowIgnored)
    }

    /// The head of a reduce with this seal.
    pub(in super::super) fn head(&self, round: Round, seal: Seal) -> Head {
        Head { id: RoundId { term: self.term(), round }, cut: self.cut(), origin: None, sealed: Some(seal) }
    }

    /// What a reduce has come to is settled: from here on the round is under way.
    pub(in super::super) fn begin_sealed(&mut self, round: Round) {
        if let Some(reign) = &mut self.reign {
            reign.started = round;
        }
    }

    /// Sends the round of a reduce down, which has ended.
    pub(in super::super) fn seal(&mut self, head: Head, pieces: Vec<P>, end: Ending) {
        let round = head.id.round;
        self.begin_sealed(round);
        let _ = self.rounds.insert(u32::MAX, round, Held { head, pieces, end: Some(end) }); // The window is the limit.
    }

    /// Numbers the next broadcast, if it may begin.
    fn start(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) -> bool {
        let (term, cut, full) = (self.term(), self.cut(), !self.has_room(env));
        let Some(reign) = &mut self.reign else { return false };
        if env.draining {
            reign.waiting.retain(|waiting| waiting.origin.member == env.me); // The others will ask the next root.
        }
        // B2: a sender is in its own round, or it could not see what became of it.
        let counted = reign.waiting.first().is_some_and(|waiting| waiting.origin.member.stamp <= cut);
        if full || reign.next.is_some() || !counted {
            return false;
        }
        let Some(waiting) = reign.waiting.pop() else { return false };
        let Waiting { origin, pieces, whole } = waiting;
        let round = after(reign.started);
        reign.started = round;
        // It had a place when it came.
        let _ = reign.last.insert(env.config.senders_max, origin.member, origin.sequence);
        if !whole {
            let (sequence, index) = (origin.sequence, count(&pieces));
            let _ = reign.open.insert(env.config.senders_max, origin.member, Open { sequence, round });
            out.push(Effect::Go { to: origin.member, term, sequence, index });
        }
        let head = Head { id: RoundId { term, round }, cut, origin: Some(origin), sealed: None };
        let held = Held { head, pieces, end: whole.then_some(Ending::Whole) };
        let _ = self.rounds.insert(u32::MAX, round, held); // The window is the limit.
        true
    }

    /// A piece of a sender's broadcast.
    pub(in super::super) fn submitted(
        &mut self,
        env: &Env<'_, A>,
        from: MemberId,
        submit: Submit<P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let term = self.term();
        let Some(reign) = &mut self.reign else { return }; // The sender will hear who is the root now.
        let Submit { sequence, index, payload, last, .. } = submit;
        if submit.term != term {
            return;
        }
        if reign.barred.iter().any(|barred| *barred == from) && !env.config.bugs.has(Bug::DepartedHeard) {
            return out.push(Effect::HangSubmitter(from)); // M2
        }
        if let Some(open) = reign.open.get(&from).copied()
            && open.sequence == sequence
        {
            let Some(held) = self.rounds.get_mut(&open.round) else { return };
            let have = count(&held.pieces);
            if index == have {
                held.pieces.push(payload);
                if last {
                    held.end = Some(Ending::Whole);
                    reign.open.remove(&from);
                }
            } else if index == 0 {
                // It has come back and begins again: it may go on where it was.
                out.push(Effect::ClearTimer(Timer::Submission(from, sequence)));
                out.push(Effect::Go { to: from, term, sequence, index: have });
            }
            return;
        }
        let known = reign.last.get(&from).is_some_and(|last| *last >= sequence)
            || reign.waiting.iter().any(|waiting| waiting.origin.member == from);
        let repeated = known && !env.config.bugs.has(Bug::RepeatNumbered);
        let room = reign.last.contains(&from) || reign.last.len() < env.config.senders_max;
        if repeated || index > 0 || env.draining {
            return; // B1: it was numbered already, and the sender will see it. Or the next root will number it.
        }
        let origin = Origin { member: from, sequence };
        let waiting = Waiting { origin, pieces: alloc::vec![payload], whole: last };
        if !room || reign.waiting.push(env.config.senders_max, waiting).is_err() {
            out.push(Effect::HangSubmitter(from)); // It will try again.
        }
    }

    /// The root's own broadcast takes the same way, without a connection.
    pub(super) fn submit_own(&mut self, env: &Env<'_, A>) {
        if self.carried().is_none_or(|carried| self.position() < carried) {
            return; // It may be among what goes on.
        }
        let Some(reign) = &mut self.reign else { return };
        let Some(sending) = &mut self.sender.sending else { return };
        if !sending.offered {
            sending.offered = true;
            let origin = Origin { member: env.me, sequence: self.sender.sequence };
            let waiting = Waiting { origin, pieces: sending.pieces.clone(), whole: true };
            let _ = reign.waiting.push(u32::MAX, waiting); // One at a time.
        }
    }

    /// A sender's connection is gone: it has a while to come back.
    pub(in super::super) fn submitter_down(
        &mut self,
        env: &Env<'_, A>,
        from: MemberId,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(reign) = &mut self.reign else { return };
        if let Some(open) = reign.open.get(&from) {
            let timer = Timer::Submission(from, open.sequence);
            out.push(Effect::SetTimer { timer, after: env.config.submission });
        }
    }

    /// It has not come back.
    pub(in super::super) fn submission_late(&mut self, from: MemberId, sequence: Sequence) {
        let Some(reign) = &mut self.reign else { return };
        if let Some(open) = reign.open.get(&from).copied()
            && open.sequence == sequence
        {
            reign.open.remove(&from);
            self.void(open.round);
        }
    }

    /// The reign of this member's term, for those who look at it.
    #[must_use]
    pub fn reigns(&self) -> Option<Term> {
        self.reign.as_ref().map(|_| self.term())
    }
}

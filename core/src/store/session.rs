//! Sessions and clocks: who takes part, and whose read must wait for whom (P2, P3, P4).

use super::{Config, Effect, Phase, Reason, Reply, Sender, Staleness, Store};
use crate::bounded::Queue;
use crate::bug::Bug;
use crate::ids::{CallId, Clock, Incarnation, StoreEpoch, WorkerId};
use crate::machine::Effects;
use core::fmt::Debug;
use core::hash::Hash;

/// What the store knows of a worker's slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat<P> {
    /// Incarnations below this one are fenced.
    pub floor: Incarnation,
    /// The session of the one incarnation that is accepted.
    pub session: Option<Session<P>>,
}

/// A worker's session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<P> {
    /// Whose.
    pub incarnation: Incarnation,
    /// The newest call taken. Older ones are repeats or come from an earlier connection.
    pub last_call: CallId,
    /// The round that the next read begins.
    pub started: Clock,
    /// Rounds ended: the worker's clock.
    pub ended: Clock,
    /// It has no work in hand, so nobody waits for its clock.
    pub parked: bool,
    /// Reads that wait for the others' clocks, oldest first.
    pub waiting: Queue<Waiting<P>>,
}

/// A read that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting<P> {
    /// The request.
    pub call: CallId,
    /// Its round.
    pub clock: Clock,
    /// What it wants.
    pub keys: P,
}

impl<P: Clone + Debug + Eq + Hash> Store<P> {
    /// Whether the clocks allow a read in this round: nobody who takes part is more than the bound behind.
    #[must_use]
    pub fn may_read(&self, config: &Config, clock: Clock) -> bool {
        let Staleness::Bounded(bound) = config.staleness else { return true };
        let bound = if config.bugs.has(Bug::StalenessOffByOne) { bound.saturating_add(1) } else { bound };
        let needed = Clock(clock.0.saturating_sub(bound));
        self.slowest(None).is_none_or(|slowest| slowest >= needed)
    }

    /// The lowest clock among those who take part, one of them left out.
    #[must_use]
    pub fn slowest(&self, except: Option<WorkerId>) -> Option<Clock> {
        let sessions = self.seats.iter().filter(|(worker, _)| Some(**worker) != except);
        sessions
            .filter_map(|(_, seat)| seat.session.as_ref())
            .filter(|session| !session.parked)
            .map(|session| session.ended)
            .min()
    }

    /// Takes a worker in, unless it is fenced or there is no room. A worker that comes again keeps its clock,
    /// a new one starts with the slowest, so that it holds nobody back who is not held back already.
    pub(super) fn open(
        &mut self,
        config: &Config,
        from: Sender,
        call: CallId,
        out: &mut impl Effects<Effect<P>>,
    ) {
        let refuse = |reason| Effect::Reply { to: from, reply: Reply::Refused { call, reason } };
        if self.phase != Phase::Serving {
            return out.push(refuse(Reason::NotReady));
        }
        let seat = self.seats.get(&from.worker);
        let floor = seat.map_or(Incarnation(0), |seat| seat.floor);
        let before = seat.and_then(|seat| seat.session.as_ref());
        let newest = before.map_or(floor, |session| session.incarnation.max(floor));
        if from.incarnation < newest && !config.bugs.has(Bug::FencedAccepted) {
            return out.push(refuse(Reason::Fenced));
        }
        let again = before.filter(|session| session.incarnation == from.incarnation);
        if again.is_some_and(|session| call <= session.last_call) {
            return; // A repeat of an earlier connection's opening.
        }
        let slowest = self.slowest(Some(from.worker)).unwrap_or_default();
        let ended = again.map_or(slowest, |session| session.ended);
        let parked = again.is_some_and(|session| session.parked);
        let session = Session {
            incarnation: from.incarnation,
            last_call: if config.bugs.has(Bug::StaleCallCounted) { CallId(0) } else { call },
            started: ended,
            ended,
            parked,
            waiting: Queue::default(),
        };
        // A higher incarnation fences all lower ones.
        let seat = Seat { floor: floor.max(from.incarnation), session: Some(session) };
        if self.seats.insert(config.workers_max, from.worker, seat).is_err() {
            return out.push(refuse(Reason::Full));
        }
        out.push(Effect::Reply { to: from, reply: Reply::Opened { call, version: self.version } });
        self.release(config, out); // The reads of the session before wait no more, and hold nobody.
    }

    /// Whether a request may go on; if not, it has been answered, or is a repeat that needs no answer.
    pub(super) fn admit(
        &mut self,
        config: &Config,
        from: Sender,
        epoch: Option<StoreEpoch>,
        call: CallId,
        out: &mut impl Effects<Effect<P>>,
    ) -> bool {
        let refuse = |reason| Effect::Reply { to: from, reply: Reply::Refused { call, reason } };
        if self.phase != Phase::Serving {
            out.push(refuse(Reason::NotReady));
            return false;
        }
        if epoch.is_some_and(|epoch| epoch != self.version.epoch) && !config.bugs.has(Bug::WrongEpochAccepted)
        {
            out.push(refuse(Reason::WrongEpoch(self.version.epoch)));
            return false;
        }
        let Some(seat) = self.seats.get_mut(&from.worker) else {
            out.push(refuse(Reason::NotOpen));
            return false;
        };
        if from.incarnation < seat.floor && !config.bugs.has(Bug::FencedAccepted) {
            out.push(refuse(Reason::Fenced));
            return false;
        }
        // A life that has not opened has no part in the session of the one before it (J1).
        let own = |session: &&mut Session<P>| {
            session.incarnation == from.incarnation || config.bugs.has(Bug::ForeignSession)
        };
        match seat.session.as_mut().filter(own) {
            Some(session) if call <= session.last_call => false, // A repeat (P1), or an earlier connection's.
            Some(session) => {
                session.last_call = call;
                true
            }
            None => {
                out.push(refuse(Reason::NotOpen));
                false
            }
        }
    }

    /// Begins a round. A parked worker first catches up with the slowest: rounds that it did not take part in
    /// have no update of its to miss.
    pub(super) fn read(
        &mut self,
        config: &Config,
        from: Sender,
        epoch: StoreEpoch,
        call: CallId,
        keys: P,
        out: &mut impl Effects<Effect<P>>,
    ) {
        if !self.admit(config, from, Some(epoch), call, out) {
            return;
        }
        let slowest = self.slowest(Some(from.worker));
        let Some(session) = self.session_mut(from.worker) else { return };
        if session.parked {
            session.parked = false;
            session.ended = session.ended.max(slowest.unwrap_or_default());
            session.started = session.ended;
        }
        let clock = session.started;
        if session.waiting.push(config.reads_max, Waiting { call, clock, keys }).is_err() {
            let reply = Reply::Refused { call, reason: Reason::Full };
            return out.push(Effect::Reply { to: from, reply });
        }
        session.started = clock.next().unwrap_or(clock);
        self.release(config, out);
    }

    /// A worker without work takes part in nothing until its next read.
    pub(super) fn park(
        &mut self,
        config: &Config,
        from: Sender,
        call: CallId,
        out: &mut impl Effects<Effect<P>>,
    ) {
        if !self.admit(config, from, None, call, out) {
            return;
        }
        if let Some(session) = self.session_mut(from.worker) {
            session.parked = true;
            session.waiting.clear();
            session.started = session.ended;
        }
        self.release(config, out);
    }

    pub(super) fn leave(&mut self, config: &Config, from: Sender, out: &mut impl Effects<Effect<P>>) {
        if let Some(seat) = self.seats.get_mut(&from.worker)
            && seat.session.as_ref().is_some_and(|session| session.incarnation == from.incarnation)
        {
            seat.session = None;
            self.release(config, out);
        }
    }

    /// Drops the clock of a dead incarnation and refuses what it may still send (P4).
    pub(super) fn fence(&mut self, config: &Config, dead: Sender, out: &mut impl Effects<Effect<P>>) {
        let Some(floor) = dead.incarnation.next() else { return };
        let mut seat = self.seats.remove(&dead.worker).unwrap_or(Seat { floor, session: None });
        seat.floor = seat.floor.max(floor);
        let dies = seat.session.as_ref().is_some_and(|session| session.incarnation <= dead.incarnation);
        if dies && !config.bugs.has(Bug::DeadClockKept) {
            seat.session = None;
        }
        // Full only for a slot that was never heard of: it holds no clock, and its fence comes again when its
        // successor opens.
        let _ = self.seats.insert(config.workers_max, dead.worker, seat);
        if !config.bugs.has(Bug::WaitersForgotten) {
            self.release(config, out);
        }
    }

    /// Counts a round as ended. A duplicate that belongs to no round of this session (it was sent again after
    /// the connection broke) was counted when it came first.
    pub(super) fn end_round(&mut self, worker: WorkerId, duplicate: bool) {
        if let Some(session) = self.session_mut(worker)
            && (!duplicate || session.ended < session.started)
        {
            session.ended = session.ended.next().unwrap_or(session.ended);
            session.started = session.started.max(session.ended);
        }
    }

    /// Serves every waiting read that the clocks now allow.
    pub(super) fn release(&mut self, config: &Config, out: &mut impl Effects<Effect<P>>) {
        let mut looked_at = None;
        while let Some((worker, incarnation, clock)) = self.first_waiting_after(looked_at) {
            if !self.may_read(config, clock) {
                looked_at = Some(worker);
                continue;
            }
            let version = self.version;
            let Some(session) = self.session_mut(worker) else { return };
            if let Some(Waiting { call, clock, keys }) = session.waiting.pop() {
                let to = Sender { worker, incarnation };
                out.push(Effect::Serve { to, call, version, clock, keys });
            }
        }
    }

    /// The first read that waits in a slot behind `after`.
    fn first_waiting_after(&self, after: Option<WorkerId>) -> Option<(WorkerId, Incarnation, Clock)> {
        self.seats.iter().filter(|(worker, _)| after.is_none_or(|after| **worker > after)).find_map(
            |(worker, seat)| {
                let session = seat.session.as_ref()?;
                let first = session.waiting.first()?;
                Some((*worker, session.incarnation, first.clock))
            },
        )
    }

    fn session_mut(&mut self, worker: WorkerId) -> Option<&mut Session<P>> {
        self.seats.get_mut(&worker)?.session.as_mut()
    }
}

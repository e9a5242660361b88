//! Broadcast: rounds from the root to everybody, in order, each whole or not at all (B1 to B4).
//!
//! The root numbers rounds and sends their pieces down as they come. A member that has a round whole may deliver it at
//! once: as long as it stays, it can serve all others. Nobody lets go of a round before everybody has it (the *floor*),
//! and the root learns that from [`Report`]s that are summed up on their way (see [`Census`](crate::channel::Census)).
//!
//! A new root begins a term: [`Sync`] goes down; who has heard it refuses what an earlier root says, and reports. When
//! all members have, the root knows the last round that any of them has whole. It fetches what it lacks (`Pull`), says
//! that these rounds go on (`carried`), and calls void what was begun behind them. So nothing that was delivered to
//! one who stays is lost, and no member has to be asked twice.
//!
//! Who is *in* a round is a matter of its cut: a member whose stamp is above that relays the round and delivers nothing. Nor
//! does a daemon ever: it is counted, so that it has what its lambdas may lack.

mod delivering;
mod governing;
mod history;
mod relaying;
mod sending;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::event::{Config, Effect};
use super::links::Links;
use crate::bounded::SmallMap;
use crate::bug::Bug;
use crate::channel::{Chunk, Frame, Head, Piece, Report, Resume, RoundId, Standing, Sync, Try};
use crate::ids::{LinkId, MemberId, Round, Stamp, Term};
use crate::machine::Effects;

pub use governing::{Open, Reign, Waiting};
pub use history::History;
pub use sending::{Sender, Sending};

/// What the rounds may know of their member.
pub(super) struct Env<'a, A> {
    pub(super) config: &'a Config,
    pub(super) me: MemberId,
    /// The member has no application, and is there for others.
    pub(super) daemon: bool,
    /// The results of reduces are for this member's application alone.
    pub(super) handles: bool,
    pub(super) address: &'a A,
    pub(super) links: &'a Links<A>,
    /// The member is leaving: it begins nothing for others.
    pub(super) draining: bool,
}

/// A round that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held<P> {
    /// What is known of it.
    pub head: Head,
    /// Its pieces so far.
    pub pieces: Vec<P>,
    /// How it ended, if it has.
    pub end: Option<Ending>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// All pieces are there.
    Whole,
    /// It was aborted.
    Void,
    /// It is whole, and its pieces are with who handles them.
    Handled,
}

/// The next piece to send over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Of this round.
    pub round: Round,
    /// This one.
    pub index: u32,
}

/// What is known of a child that has called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stream {
    /// What to send it next; `None` until it has said in this term what it has.
    pub next: Option<Cursor>,
    /// What it has reported in this term.
    pub report: Option<Report>,
}

/// A member's rounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast<A, P> {
    /// How the term stands; `None` before the member has heard of any.
    pub sync: Option<Sync<A>>,
    /// The terms that the member was in.
    pub history: History,
    /// The channel has gone on without this member, which must leave.
    pub behind: bool,
    /// What the children were last told of how the term stands.
    pub told: Option<Sync<A>>,
    /// Rounds that somebody may still need, or the application.
    pub rounds: SmallMap<Round, Held<P>>,
    /// The application has had all rounds up to here that it was in.
    pub taken: Round,
    /// How many rounds the application can take now.
    pub wanted: u32,
    /// Children that have called.
    pub streams: SmallMap<LinkId, Stream>,
    /// What to send up next, if the parent has asked.
    pub pulled: Option<Cursor>,
    /// The child that was asked.
    pub pulling: Option<LinkId>,
    /// The term that the parent has said it is in, on the link that stands.
    pub heard: Option<Term>,
    /// What the parent was last told.
    pub reported: Option<Report>,
    /// While this member is the root.
    pub reign: Option<Reign<P>>,
    /// Its own broadcasts.
    pub sender: Sender<P>,
}

impl<A, P> Default for Broadcast<A, P> {
    fn default() -> Self {
        Self {
            sync: None,
            history: History::default(),
            behind: false,
            told: None,
            rounds: SmallMap::default(),
            taken: Round(0),
            wanted: 0,
            streams: SmallMap::default(),
            pulled: None,
            pulling: None,
            heard: None,
            reported: None,
            reign: None,
            sender: Sender::default(),
        }
    }
}

/// The round behind this one. There are more numbers than rounds.
pub(super) fn after(round: Round) -> Round {
    Round(round.0.saturating_add(1))
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Broadcast<A, P> {
    /// The member's term; the oldest possible one before it has heard of any.
    #[must_use]
    pub fn term(&self) -> Term {
        self.sync.as_ref().map(|sync| sync.term).unwrap_or_default()
    }

    /// Everybody has these rounds.
    #[must_use]
    pub fn floor(&self) -> Round {
        self.sync.as_ref().map(|sync| sync.floor).unwrap_or_default()
    }

    /// Who was in the last of them.
    fn floor_cut(&self) -> Stamp {
        self.sync.as_ref().map(|sync| sync.floor_cut).unwrap_or_default()
    }

    /// Who is counted.
    pub(super) fn cut(&self) -> Stamp {
        self.sync.as_ref().map(|sync| sync.cut).unwrap_or_default()
    }

    /// The rounds of earlier terms that go on, once that is known.
    #[must_use]
    pub fn carried(&self) -> Option<Round> {
        self.sync.as_ref().and_then(|sync| sync.carried)
    }

    /// The last round that this member has, with all before it.
    #[must_use]
    pub fn position(&self) -> Round {
        let mut position = self.floor();
        while self.rounds.get(&after(position)).is_some_and(|held| held.end.is_some()) {
            position = after(position);
        }
        position
    }

    /// What the member knows of the reign that it is under.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            term: self.term(),
            reigns: self.reign.is_some(),
            cut: self.cut(),
            next: self.reign.as_ref().and_then(|reign| reign.next).map(|next| next.until),
        }
    }

    /// The last round of which it has seen anything.
    fn seen(&self) -> Round {
        let last = self.rounds.iter().next_back().map(|(round, _)| *round);
        self.floor().max(last.unwrap_or_default())
    }

    /// The attempt at this round that the member knows of.
    pub(super) fn attempt_at(&self, round: Round) -> Try {
        let newest = self.sync.as_ref().map(|sync| sync.attempt).filter(|newest| newest.round == round);
        newest.unwrap_or(Try { round, ..Try::default() })
    }

    /// There is this attempt.
    pub(super) fn hear_of(&mut self, at: Try) {
        if let Some(sync) = &mut self.sync
            && at.attempt > 0
        {
            sync.attempt = sync.attempt.max(at);
        }
    }

    /// Whether nothing of what this member has begun is open: for a root, whether all have what it has numbered; for who
    /// handles results, whether all know of those that it has had. Without them nothing more is begun, so that comes.
    pub(super) fn is_done(&self, env: &Env<'_, A>) -> bool {
        let (floor, bugs) = (self.floor(), env.config.bugs);
        let numbered = self.reign.is_none() || self.position() == floor || bugs.has(Bug::RootLeavesEarly);
        let handled = !env.handles || self.taken <= floor || bugs.has(Bug::HandlerLeavesEarly);
        !self.is_sending() && self.seen() == self.position() && numbered && handled
    }

    /// The application can take so many rounds more.
    pub(super) fn receive(&mut self, count: u32) {
        self.wanted = self.wanted.saturating_add(count);
    }

    /// A child has called.
    pub(super) fn attached(&mut self, env: &Env<'_, A>, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        let children = env.links.children.len();
        let _ = self.streams.insert(children, link, Stream::default()); // A child that was assigned has a place.
        if let Some(sync) = &self.sync {
            out.push(Effect::Send { link, frame: Frame::Sync(sync.clone()) });
        }
    }

    /// A child's link is gone.
    pub(super) fn detached(&mut self, link: LinkId) {
        self.streams.remove(&link);
        if self.pulling == Some(link) {
            self.pulling = None;
        }
    }

    /// The link to the parent is gone.
    pub(super) fn parent_down(&mut self) {
        self.pulled = None;
        self.heard = None;
        self.reported = None;
    }

    /// Asks the parent for what follows.
    fn ask(&self, env: &Env<'_, A>, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        let position = self.position();
        let partial = self.rounds.get(&after(position)).map(|held| (held.head.id, count(&held.pieces)));
        let partial = partial.filter(|_| !env.config.bugs.has(Bug::ResumeFromStart));
        let resume = Resume { term: self.term(), position, partial };
        out.push(Effect::Send { link, frame: Frame::Resume(resume) });
    }

    /// A child says from where on it needs rounds. It does so again in every term that it hears of from here.
    pub(super) fn resume(&mut self, link: LinkId, resume: Resume) {
        if self.sync.is_none() || resume.term != self.term() {
            return;
        }
        let round = after(resume.position);
        let same = |id: RoundId| self.rounds.get(&round).is_some_and(|held| held.head.id == id);
        let index = resume.partial.filter(|(id, _)| same(*id)).map_or(0, |(_, pieces)| pieces);
        if let Some(stream) = self.streams.get_mut(&link) {
            stream.next = Some(Cursor { round, index });
        }
    }

    /// A child says what it and those below it have.
    pub(super) fn report(&mut self, env: &Env<'_, A>, link: LinkId, report: Report) {
        if report.term != self.term() {
            return; // It will report again when it hears of this one.
        }
        self.learn(report.prior);
        // What is everybody's anywhere is everybody's here.
        self.raise_floor(env, report.floor, report.floor_cut);
        if let Some(stream) = self.streams.get_mut(&link) {
            stream.report = Some(report);
        }
    }

    /// The parent wants what this member, or one below it, has from this round on.
    pub(super) fn pull(&mut self, term: Term, from: Round) {
        if term == self.term() {
            self.pulled = Some(Cursor { round: from, index: 0 });
        }
    }

    /// How the term stands, from the parent.
    pub(super) fn sync(&mut self, env: &Env<'_, A>, sync: Sync<A>, out: &mut impl Effects<Effect<A, P>>) {
        if sync.term < self.term() && !env.config.bugs.has(Bug::OldTermTaken) {
            return; // The word of a root that has been replaced.
        }
        let joins = self.sync.is_none();
        if joins {
            // What came before the member is none of its business.
            self.taken = sync.floor;
        }
        if sync.term != self.term() {
            if joins || sync.carried.is_none() {
                self.history.enter(sync.term);
            }
            // Who hears of a term when it goes on already was not asked in it.
            self.learn(if sync.carried.is_some() { sync.term } else { sync.prior });
            let (floor, floor_cut, prior) = (self.floor(), self.floor_cut(), self.history.known);
            self.begin_term(Sync { floor, floor_cut, prior, carried: None, ..sync.clone() }, out);
        }
        self.learn(sync.prior);
        if let Some(mine) = &mut self.sync {
            mine.cut = mine.cut.max(sync.cut);
            mine.attempt = mine.attempt.max(sync.attempt);
            if env.me.stamp <= mine.cut {
                self.history.is_counted(mine.term);
            }
        }
        self.raise_floor(env, sync.floor, sync.floor_cut);
        self.carry(env, sync.carried);
        if let Some(link) = env.links.up()
            && self.heard != Some(sync.term)
        {
            // The parent knows nothing of this member in this term, or has forgotten it.
            self.heard = Some(sync.term);
            self.reported = None;
            self.ask(env, link, out);
        }
    }

    /// From here on only this term counts.
    fn begin_term(&mut self, sync: Sync<A>, out: &mut impl Effects<Effect<A, P>>) {
        self.leave_root(out);
        self.sync = Some(sync);
        self.reign = None;
        self.pulled = None;
        self.pulling = None;
        self.reported = None;
        for (_, stream) in self.streams.iter_mut() {
            *stream = Stream::default();
        }
    }

    /// A term before this one has gone on. While this one does not, all must agree on which was the last.
    fn learn(&mut self, prior: Term) {
        self.behind |= self.history.lacks(prior);
        self.history.went_on(prior);
        if let Some(sync) = self.sync.as_mut().filter(|sync| sync.carried.is_none()) {
            sync.prior = sync.prior.max(prior);
        }
    }

    /// Everybody has the rounds up to `floor`. Those that this member lacks, it was not counted for.
    fn raise_floor(&mut self, env: &Env<'_, A>, floor: Round, floor_cut: Stamp) {
        let lacks = self.position() < floor && env.me.stamp <= floor_cut;
        if let Some(sync) = &mut self.sync
            && sync.floor < floor
        {
            self.behind |= lacks;
            sync.floor = floor;
            sync.floor_cut = floor_cut;
            self.rounds.retain(|round, held| *round > floor || held.end.is_some());
        }
    }

    /// The root has said which rounds of earlier terms go on: what else was begun in them is void.
    fn carry(&mut self, env: &Env<'_, A>, carried: Option<Round>) {
        let Some(last) = carried else { return };
        let Some(sync) = &mut self.sync else { return };
        if sync.carried.is_none() {
            sync.carried = carried;
            let term = sync.term;
            if !env.config.bugs.has(Bug::PullKept) {
                // What any member has, the root has, and from now on it comes from there.
                (self.pulled, self.pulling) = (None, None);
            }
            self.history.went_on(term);
            self.rounds.retain(|round, held| *round <= last || held.head.id.term == term);
            for (_, stream) in self.streams.iter_mut() {
                // The number that a child was to go on with will be that of another round.
                let kept = env.config.bugs.has(Bug::CursorKept);
                if let Some(next) = stream.next.as_mut().filter(|next| next.round > last && !kept) {
                    next.index = 0;
                }
            }
        }
    }

    /// A piece from the parent.
    pub(super) fn chunk(&mut self, env: &Env<'_, A>, chunk: Chunk<P>) {
        let old = chunk.term != self.term() && !env.config.bugs.has(Bug::OldTermTaken);
        if self.sync.is_none() || old {
            return; // B2: the data of a root that has been replaced.
        }
        self.keep(env, chunk);
    }

    /// A piece from a child that was asked for it.
    pub(super) fn pulled(&mut self, env: &Env<'_, A>, link: LinkId, chunk: Chunk<P>) {
        if chunk.term == self.term() && self.pulling == Some(link) {
            self.keep(env, chunk);
        }
    }

    /// A piece of a result, to the one who handles it: it has the round before anybody else.
    pub(super) fn handed(&mut self, env: &Env<'_, A>, chunk: Chunk<P>) {
        if env.handles && chunk.term == self.term() && self.carried().is_some() {
            let round = chunk.head.id.round;
            self.keep(env, chunk);
            if round > self.position()
                && !self.rounds.contains(&round)
                && !env.config.bugs.has(Bug::HandedForgotten)
            {
                // It has come straight from the root, before the news that everybody has those before.
                self.sender.crowded = true;
            }
        }
    }

    fn keep(&mut self, env: &Env<'_, A>, chunk: Chunk<P>) {
        let (round, id) = (chunk.head.id.round, chunk.head.id);
        if round <= self.position() {
            return; // B1: it has that one.
        }
        let mixed = env.config.bugs.has(Bug::TermsMixed);
        let begun = self.rounds.get(&round).is_some_and(|held| held.head.id == id || mixed);
        if !begun {
            if chunk.index > 0 {
                return; // The beginning of it is lost; the link will be made again.
            }
            // A round of the same number that was begun in another term is not this one, for the children neither.
            for (_, stream) in self.streams.iter_mut() {
                let kept = env.config.bugs.has(Bug::FetchedFromMiddle);
                if let Some(next) = stream.next.as_mut().filter(|next| next.round == round && !kept) {
                    next.index = 0;
                }
            }
            let missing = chunk.head.sealed.as_ref().map(|seal| &seal.missing.departed);
            self.behind |= missing.is_some_and(|departed| departed.contains(&env.me));
            let held = Held { head: chunk.head, pieces: Vec::new(), end: None };
            let room = env.config.window.saturating_add(env.config.buffer);
            if self.rounds.insert(room, round, held).is_err() {
                return; // More than any root may send: the sender breaks its promise, and is not followed.
            }
        }
        let Some(held) = self.rounds.get_mut(&round) else { return };
        let twice = env.config.bugs.has(Bug::PieceTwice) && chunk.index < count(&held.pieces);
        if held.end.is_some() || chunk.index != count(&held.pieces) && !twice {
            return; // It is there already.
        }
        match chunk.piece {
            Piece::Part(payload, last) => {
                held.pieces.push(payload);
                held.end = last.then_some(Ending::Whole);
            }
            Piece::Void => held.end = Some(Ending::Void),
            Piece::Handled => held.end = Some(Ending::Handled),
        }
    }

    /// Does all that follows from what has happened.
    pub(super) fn settle(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        loop {
            self.deliver(env, out);
            self.answer(env, out);
            self.submit_own(env);
            if !self.govern(env, out) {
                break;
            }
        }
        self.pursue(env, out);
        self.tell(out);
        self.pull_on(env, out);
        self.pump(env, out);
        self.report_up(env, out);
    }

    /// The member's time is over.
    pub(super) fn end(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        self.sender.end(out);
        let sequences = Sender { sequence: self.sender.sequence, ..Sender::default() };
        *self = Self { taken: self.taken, sender: sequences, ..Self::default() };
    }
}

/// How many pieces there are.
fn count<P>(pieces: &[P]) -> u32 {
    u32::try_from(pieces.len()).unwrap_or(u32::MAX)
}

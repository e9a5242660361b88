//! A member of a channel: its links to parent and children, and the rounds that run over them.
//!
//! What it does about its neighbours follows from its newest assignment alone. It calls its parent and waits for its
//! children's calls; a link that breaks is made again, one that does not come about is reported to the controller,
//! whose verdict arrives as the next assignment. A frame counts only on a link of the newest assignment.
//!
//! ```text
//!  child                         parent
//!    | Dial(link)          Attach -->|
//!    |<-- Sync                       |        the parent says how the term stands
//!    | Resume ---------------------->|        the child says what it has
//!    |<-- Chunk, Chunk, ...          |        and gets what it lacks, from the very piece
//!    | Report ---------------------->|        as soon as everything below has it
//! ```
//!
//! [`broadcast`] and [`reduce`] decide what travels on the links.

pub mod broadcast;
pub mod contact;
mod event;
mod leaving;
mod links;
pub mod reduce;
pub mod rules;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use crate::bug::Bug;
use crate::channel::{Assign, Frame, Parent, Registration, Report, Role, Tenancy, ToController, ToMember};
use crate::ids::{AssignmentVersion, ControllerEpoch, LinkId, MemberId};
use crate::machine::{Effects, Machine};
use crate::tree::Edge;

use broadcast::{Broadcast, Env};
pub use contact::Contact;
pub use event::{Config, Deadline, Effect, End, Event, Kind, Outcome, Reduction, Refusal, Timer};
pub use links::{Downlink, Line, Links, Uplink};
use reduce::Reduce;

/// What a member is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is not in the channel yet.
    #[default]
    Joining,
    /// It is in the channel.
    Seated,
    /// It wants to leave, and finishes what it has begun.
    Draining,
    /// It waits to be let go.
    Leaving,
    /// It is not in the channel any more.
    Ended(End),
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member<A, P> {
    /// Where it listens.
    pub address: A,
    /// What it does in shuffles.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
    /// Who it is, once it is in the channel.
    pub id: Option<MemberId>,
    /// What it is doing.
    pub phase: Phase,
    /// Its connection to the controller.
    pub contact: Contact,
    /// Its newest assignment.
    pub version: AssignmentVersion,
    /// What it was assigned.
    pub links: Links<A>,
    /// The rounds.
    pub broadcast: Broadcast<A, P>,
    /// What it gives to them, where the channel is for reduces.
    pub reduce: Reduce<P>,
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Machine for Member<A, P> {
    type Event = Event<A, P>;
    type Effect = Effect<A, P>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<A, P>, out: &mut impl Effects<Effect<A, P>>) {
        if let Phase::Ended(_) = self.phase {
            return; // Whatever was still under way to it.
        }
        match event {
            Event::Controller(word) => self.told(config, word, out),
            Event::ControllerUp { epoch } => self.controller_up(config, epoch, out),
            Event::ControllerLost { luck } => self.controller_lost(config, luck, out),
            Event::LinkUp(link) => self.link_up(config, link, out),
            Event::LinkDown(link) => self.link_down(config, link, out),
            Event::Frame { link, frame } => self.frame(config, link, frame, out),
            Event::RootUp(term) => self.rounds(config, out, |it, env, out| it.root_up(env, term, out)),
            Event::RootDown(term) => self.rounds(config, out, |it, env, out| it.root_down(env, term, out)),
            Event::Go { term, sequence, index } => {
                self.rounds(config, out, |it, _, out| it.go(term, sequence, index, out));
            }
            Event::Submitted { from, submit } => {
                self.rounds(config, out, |it, env, out| it.submitted(env, from, submit, out));
            }
            Event::SubmitterDown(from) => {
                self.values(config, out, |it, rounds, env, out| {
                    it.handler_down(from);
                    rounds.submitter_down(env, from, out);
                });
            }
            Event::Collected { from, resume } => {
                self.values(config, out, |it, rounds, env, out| it.collected(env, rounds, from, resume, out));
            }
            Event::Handed(chunk) => self.rounds(config, out, |it, env, _| it.handed(env, chunk)),
            Event::Send(pieces) => self.send(config, pieces, out),
            Event::Reduce(pieces) => self.reduce(config, pieces, out),
            Event::Combined { term, at, index, value } => {
                self.values(config, out, |it, rounds, env, out| {
                    it.combined(env, rounds, (term, at, index), value, out);
                });
            }
            Event::Paced(pace) => {
                if self.broadcast.reign.is_some() {
                    out.push(Effect::ToController(ToController::Paced(pace)));
                }
            }
            Event::Receive(count) => self.rounds(config, out, |it, _, _| it.receive(count)),
            Event::Leave => self.leave(config, out),
            Event::Timer(Timer::Reregister(losses)) => self.contact.call(losses, out),
            Event::Timer(Timer::Drain) => self.overdue(config, out),
            Event::Timer(Timer::Redial(link)) => self.redial(link, out),
            Event::Timer(Timer::Attach(link)) => self.unattached(config, link, out),
            Event::Timer(Timer::RedialRoot(term)) => {
                self.rounds(config, out, |it, _, _| it.redial_root(term));
            }
            Event::Timer(Timer::Submission(from, sequence)) => {
                self.rounds(config, out, |it, _, _| it.submission_late(from, sequence));
            }
            Event::Timer(Timer::RoundDeadline(term, round)) => {
                self.values(config, out, |it, rounds, _, _| it.overdue(rounds, term, round));
            }
            Event::Timer(Timer::HandlerLost(term, round)) => {
                self.values(config, out, |it, rounds, env, out| {
                    it.unhandled(env, rounds, (term, round), out);
                });
            }
        }
    }
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Member<A, P> {
    /// Somebody who listens at `address` and has asked to join, with this part in shuffles and on its machine.
    #[must_use]
    pub fn new(address: A, role: Role, tenancy: Tenancy) -> Self {
        Self {
            address,
            role,
            tenancy,
            id: None,
            phase: Phase::Joining,
            contact: Contact::default(),
            version: AssignmentVersion::default(),
            links: Links::default(),
            broadcast: Broadcast::default(),
            reduce: Reduce::default(),
        }
    }

    /// Lets the rounds take notice of something, and then do all that follows from it.
    fn rounds<O: Effects<Effect<A, P>>>(
        &mut self,
        config: &Config,
        out: &mut O,
        notice: impl FnOnce(&mut Broadcast<A, P>, &Env<'_, A>, &mut O),
    ) {
        self.values(config, out, |_, broadcast, env, out| notice(broadcast, env, out));
    }

    /// What it has together with those below it; `None` as long as not all of these have said.
    fn report(&self, config: &Config) -> Option<Report> {
        let (me, daemon, handles) = (self.id?, self.tenancy.is_daemon(), self.handles(config));
        let draining = self.phase != Phase::Seated;
        let env = Env { config, me, daemon, handles, address: &self.address, links: &self.links, draining };
        self.broadcast.aggregate(&env)
    }

    /// The same, for something that concerns the member's values for a reduce.
    fn values<O: Effects<Effect<A, P>>>(
        &mut self,
        config: &Config,
        out: &mut O,
        notice: impl FnOnce(&mut Reduce<P>, &mut Broadcast<A, P>, &Env<'_, A>, &mut O),
    ) {
        let Some(me) = self.id else { return }; // Not in the channel: nothing of it can concern it.
        let draining = self.phase != Phase::Seated;
        let daemon = self.tenancy.is_daemon();
        let handles = self.handles(config);
        let env = Env { config, me, daemon, handles, address: &self.address, links: &self.links, draining };
        notice(&mut self.reduce, &mut self.broadcast, &env, out);
        if self.broadcast.behind && !config.bugs.has(Bug::LeftBehindStays) {
            // M2: it was declared dead, and the controller may not know it any more.
            out.push(Effect::ToController(ToController::Leave));
            return self.end(End::Fenced, out);
        }
        self.broadcast.settle(&env, out);
        while config.kind.reduces() && self.reduce.settle(&env, &mut self.broadcast, out) {
            self.broadcast.settle(&env, out);
        }
        self.broadcast.free(&env);
        let idle = self.broadcast.is_done(&env) && self.reduce.calls.is_empty();
        if self.phase == Phase::Draining && idle {
            self.phase = Phase::Leaving;
            out.push(Effect::ToController(ToController::Leave));
        }
    }

    /// Whether results are for it.
    pub(super) fn handles(&self, config: &Config) -> bool {
        config.kind.is_handled() && self.role.receives() && !self.tenancy.is_daemon()
    }

    /// All that a controller must know which has forgotten this member.
    #[must_use]
    pub fn registration(&self) -> Registration<A> {
        let mut children: Vec<_> = self.links.children.iter().collect();
        children.sort_unstable_by_key(|(_, child)| child.nth);
        let edge = |(link, child): (&LinkId, &Downlink)| Edge { member: child.member, link: *link };
        Registration {
            address: self.address.clone(),
            role: self.role,
            tenancy: self.tenancy,
            version: self.version,
            place: self.links.place,
            parent: self.links.parent.as_ref().map(|uplink| uplink.parent.edge),
            relay: self.links.parent.as_ref().is_some_and(|uplink| uplink.parent.relay),
            children: children.into_iter().map(edge).collect(),
            leaving: self.phase == Phase::Leaving,
            standing: self.broadcast.standing(),
        }
    }

    /// The connection to the controller stands again: what it may not have heard is said once more.
    fn controller_up(
        &mut self,
        config: &Config,
        epoch: ControllerEpoch,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        if !self.contact.up(config, epoch, out) {
            return;
        }
        out.push(Effect::ToController(ToController::Hello(self.registration())));
        if self.phase == Phase::Leaving && !config.bugs.has(Bug::LeaveLost) {
            out.push(Effect::ToController(ToController::Leave));
        }
    }

    /// Rounds go on without it.
    fn controller_lost(&mut self, config: &Config, luck: u32, out: &mut impl Effects<Effect<A, P>>) {
        if self.id.is_none() {
            return; // There is nothing by which to call again: whoever has asked for it asks anew.
        }
        self.contact.lost(config, luck, out);
        if config.bugs.has(Bug::LostControllerHangs) {
            let up = self.links.up();
            up.into_iter().for_each(|link| self.link_down(config, link, out));
        }
    }

    fn told(&mut self, config: &Config, word: ToMember<A>, out: &mut impl Effects<Effect<A, P>>) {
        if !self.contact.hears() {
            return; // It came on a connection that was given up.
        }
        match word {
            ToMember::Welcome(member) => {
                if self.id.is_none() {
                    self.id = Some(member);
                    self.phase = Phase::Seated;
                    self.contact.epoch = member.stamp.epoch;
                }
            }
            ToMember::Assign(assign) => self.assigned(config, assign, out),
            ToMember::Probe(probe) => out.push(Effect::ToController(ToController::Answer(probe))),
            ToMember::Fenced => self.end(End::Fenced, out),
            ToMember::Released => self.end(End::Left, out),
            ToMember::Gone(member) => self.values(config, out, |it, _, _, _| it.handler_gone(member)),
            ToMember::Roll(_) => {} // For a shuffle beside it.
        }
    }

    /// Takes its seat: old links are let go, new ones made.
    fn assigned(&mut self, config: &Config, assign: Assign<A>, out: &mut impl Effects<Effect<A, P>>) {
        let newer = assign.version > self.version || config.bugs.has(Bug::OldAssignmentTaken);
        if self.id.is_none() || !newer {
            return; // An older word that was late.
        }
        self.version = assign.version;
        self.links.place = assign.place;
        self.take_parent(config, assign.parent, out);
        let links = &mut self.links;
        let kept = |link: LinkId| assign.children.iter().any(|edge| edge.link == link);
        for (link, _) in links.children.iter().filter(|(link, _)| !kept(**link)) {
            out.push(Effect::ClearTimer(Timer::Attach(*link)));
            out.push(Effect::Hang(*link));
            self.broadcast.detached(*link);
            self.reduce.child_changed(*link, config.bugs);
        }
        if !config.bugs.has(Bug::StaleChildKept) {
            links.children.retain(|link, _| kept(*link));
        }
        for (nth, edge) in (0..).zip(assign.children) {
            if let Some(child) = links.children.get_mut(&edge.link) {
                child.nth = nth;
            } else {
                self.reduce.child_changed(edge.link, config.bugs);
                let child = Downlink { member: edge.member, nth, up: false };
                let _ = links.children.insert(u32::MAX, edge.link, child); // The controller sees to the limit.
                let timer = Timer::Attach(edge.link);
                out.push(Effect::SetTimer { timer, after: config.attach });
            }
        }
        let version = assign.version;
        self.values(config, out, |it, rounds, env, out| {
            if config.kind.reduces() {
                it.roster(env, rounds, assign.roster.as_ref(), out);
            }
            match assign.roster {
                Some(roster) => rounds.reign(env, version, roster, out),
                None => rounds.abdicate(),
            }
        });
    }

    fn take_parent(
        &mut self,
        config: &Config,
        parent: Option<Parent<A>>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let same = match (&self.links.parent, &parent) {
            (Some(old), Some(new)) => old.parent.edge.link == new.edge.link,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if same {
            return;
        }
        if let Some(old) = self.links.parent.take() {
            let link = old.parent.edge.link;
            out.push(Effect::ClearTimer(Timer::Attach(link)));
            out.push(Effect::ClearTimer(Timer::Redial(link)));
            out.push(Effect::Hang(link));
            self.broadcast.parent_down();
            self.reduce.parent_changed(config.bugs);
        }
        self.links.parent = parent.map(|parent| {
            let (link, address) = (parent.edge.link, parent.address.clone());
            out.push(Effect::Dial { link, address, relay: parent.relay });
            out.push(Effect::SetTimer { timer: Timer::Attach(link), after: config.attach });
            Uplink { parent, line: Line::Dialling }
        });
    }

    /// The call to the parent was taken.
    fn link_up(&mut self, config: &Config, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        let Some(uplink) = self.links.uplink(link) else {
            return out.push(Effect::Hang(link)); // It was for an older assignment.
        };
        uplink.line = Line::Up;
        out.push(Effect::ClearTimer(Timer::Attach(link)));
        out.push(Effect::Send { link, frame: Frame::Attach });
        self.rounds(config, out, |it, _, _| it.parent_down());
    }

    /// A link broke, or could not be made.
    fn link_down(&mut self, config: &Config, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        if config.bugs.has(Bug::CloseUnnoticed) && self.links.up() == Some(link) {
            return;
        }
        if let Some(uplink) = self.links.uplink(link) {
            if uplink.line == Line::Up {
                out.push(Effect::SetTimer { timer: Timer::Attach(link), after: config.attach });
            }
            uplink.line = Line::Waiting;
            out.push(Effect::SetTimer { timer: Timer::Redial(link), after: config.redial });
            self.reduce.parent_changed(config.bugs);
            self.rounds(config, out, |it, _, _| it.parent_down());
        } else if let Some(child) = self.links.children.get_mut(&link) {
            if child.up {
                child.up = false;
                out.push(Effect::SetTimer { timer: Timer::Attach(link), after: config.attach });
            }
            self.reduce.child_changed(link, config.bugs);
            self.rounds(config, out, |it, _, _| it.detached(link));
        }
    }

    fn redial(&mut self, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        if let Some(uplink) = self.links.uplink(link)
            && uplink.line == Line::Waiting
        {
            uplink.line = Line::Dialling;
            let Parent { address, relay, .. } = uplink.parent.clone();
            out.push(Effect::Dial { link, address, relay });
        }
    }

    /// M3: who is not there is reported, again and again until there is a new assignment or a link.
    fn unattached(&mut self, config: &Config, link: LinkId, out: &mut impl Effects<Effect<A, P>>) {
        let down = match self.links.uplink(link) {
            Some(uplink) => uplink.line != Line::Up,
            None => self.links.children.get(&link).is_some_and(|child| !child.up),
        };
        if down {
            out.push(Effect::ToController(ToController::Report(link)));
            out.push(Effect::SetTimer { timer: Timer::Attach(link), after: config.attach });
        }
    }

    fn frame(
        &mut self,
        config: &Config,
        link: LinkId,
        frame: Frame<A, P>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let stale = config.bugs.has(Bug::StaleFrameTaken) && !self.links.children.contains(&link);
        if self.links.up() == Some(link) || stale {
            match frame {
                Frame::Sync(sync) => self.rounds(config, out, |it, env, out| it.sync(env, sync, out)),
                Frame::Chunk(chunk) => self.rounds(config, out, |it, env, _| it.chunk(env, chunk)),
                Frame::Pull { term, from } => self.rounds(config, out, |it, _, _| it.pull(term, from)),
                // Not a parent's to say.
                Frame::Attach
                | Frame::Resume(_)
                | Frame::Report(_)
                | Frame::Contribution(_)
                | Frame::Spoiled { .. } => {}
            }
            return;
        }
        let Some(child) = self.links.children.get_mut(&link) else {
            return out.push(Effect::Hang(link)); // M2: not a link of this member, or not any more, or not yet.
        };
        match frame {
            Frame::Attach => {
                child.up = true;
                out.push(Effect::ClearTimer(Timer::Attach(link)));
                self.rounds(config, out, |it, env, out| it.attached(env, link, out));
            }
            Frame::Resume(resume) => self.rounds(config, out, |it, _, _| it.resume(link, resume)),
            Frame::Report(report) => self.rounds(config, out, |it, env, _| it.report(env, link, report)),
            Frame::Chunk(chunk) => self.rounds(config, out, |it, env, _| it.pulled(env, link, chunk)),
            Frame::Contribution(contribution) => self.values(config, out, |it, rounds, env, _| {
                it.contribution(env, rounds, link, contribution);
            }),
            Frame::Spoiled { term, at, why } => {
                self.values(config, out, |it, rounds, env, _| it.spoiled(env, rounds, link, (term, at), why));
            }
            Frame::Sync(_) | Frame::Pull { .. } => {} // Not a child's to say.
        }
    }

    fn send(&mut self, config: &Config, pieces: Vec<P>, out: &mut impl Effects<Effect<A, P>>) {
        let refusal = match self.phase {
            Phase::Seated if self.tenancy.is_daemon() => Some(Refusal::Daemon),
            Phase::Seated if config.kind.reduces() => Some(Refusal::WrongKind),
            Phase::Seated if pieces.is_empty() => Some(Refusal::Empty),
            Phase::Seated if self.broadcast.is_sending() => Some(Refusal::Busy),
            Phase::Seated => None,
            Phase::Joining | Phase::Draining | Phase::Leaving | Phase::Ended(_) => Some(Refusal::NotSeated),
        };
        match refusal {
            Some(refusal) => out.push(Effect::Refused(refusal)),
            None => self.rounds(config, out, |it, _, _| it.send(pieces)),
        }
    }

    fn reduce(&mut self, config: &Config, pieces: Vec<P>, out: &mut impl Effects<Effect<A, P>>) {
        let refusal = match self.phase {
            Phase::Seated if self.tenancy.is_daemon() => Some(Refusal::Daemon),
            Phase::Seated if !config.kind.reduces() => Some(Refusal::WrongKind),
            Phase::Seated if pieces.is_empty() => Some(Refusal::Empty),
            Phase::Seated if !self.reduce.call(config.window, pieces, out) => Some(Refusal::Busy),
            Phase::Seated => None,
            Phase::Joining | Phase::Draining | Phase::Leaving | Phase::Ended(_) => Some(Refusal::NotSeated),
        };
        match refusal {
            Some(refusal) => out.push(Effect::Refused(refusal)),
            None => self.rounds(config, out, |_, _, _| {}),
        }
    }
}

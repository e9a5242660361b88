//! Messages from one member to another: in order, each once (D1), whole (D2), and each with an answer (D3).
//!
//! It runs beside a [`Member`](crate::member::Member) of the same channel, whatever that is for. A message goes over the
//! sender's own connection to the receiver, past the tree (see [`direct`](crate::direct)).
//!
//! ```text
//!  application      sender               controller           receiver     application
//!      | Send -------> | CallRoll ---------> |                     |              |   if the receiver is not known
//!      |               | <----------- Roll   |                     |              |   since an earlier roll
//!      |               | Part, Part -----------------------------> | <--- Receive |
//!      |               | Part, the last -------------------------> | Received --->|
//!      | <------- Sent | <----------------------------- "taken"    |              |
//! ```
//!
//! The receiver keeps a window of parts; more come when its application waits for the message, which it gets whole. With
//! the last part it is delivered, and "taken" says so to the sender. Who waits for a message keeps a connection to the
//! member of whom it waits, which tells it when that one is gone; so nobody asks the controller anything as long as all
//! live, and who neither speaks nor waits costs nothing. The roll is called when a member must be known, or calls, whom the
//! newest roll cannot know. Who is gone is the controller's to say.

mod event;
pub mod rules;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use crate::bounded::{Map, Queue};
use crate::bug::Bug;
use crate::channel::{Roll, ToController, ToMember};
use crate::direct::{LineEvent, Lines, Overdue, Through};
use crate::ids::{MemberId, Position};
use crate::machine::{Effects, Machine};
use crate::member::{End, Phase};

pub use event::{Config, Effect, Event, Outcome, Part, Refusal};

/// Calls of the application about a member that are under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Talk<P> {
    /// Messages to it; it is not known yet where it listens.
    pub unsent: Queue<Vec<P>>,
    /// Where the messages end that are under way to it: behind the last part of each.
    pub ends: Queue<Position>,
    /// How many messages of it the application waits for.
    pub wanted: u32,
    /// What has come of the next one.
    pub pieces: Vec<P>,
}

/// A member's messages to others, and from them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Messages<A, P> {
    /// Who it is, once it is in the channel.
    pub id: Option<MemberId>,
    /// What it is doing.
    pub phase: Phase,
    /// The newest roll, without those of whom the controller has said since that they are gone.
    pub roll: Option<Roll<A>>,
    /// The roll was called, and did not come yet.
    pub asked: bool,
    /// By member.
    pub talks: Map<MemberId, Talk<P>>,
    /// The direct connections.
    pub lines: Lines<A, Part<P>>,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whereabouts<A> {
    /// It is in the channel, and listens there.
    Present(A),
    /// It is not in the channel any more.
    Gone,
    /// A newer roll will tell.
    Unknown,
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Machine for Messages<A, P> {
    type Event = Event<A, P>;
    type Effect = Effect<A, P>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<A, P>, out: &mut impl Effects<Effect<A, P>>) {
        if let Phase::Ended(_) = self.phase {
            return; // Whatever was still under way to it.
        }
        match event {
            Event::Controller(word) => self.told(config, word, out),
            Event::ControllerUp => {
                if self.asked {
                    out.push(Effect::ToController(ToController::CallRoll));
                }
            }
            Event::Send { to, pieces } => self.send(config, to, pieces, out),
            Event::Receive { from } => self.receive(config, from, out),
            Event::Leave => {
                if self.phase == Phase::Seated {
                    self.phase = Phase::Draining;
                }
            }
            Event::Line(event) => self.line(config, event, out),
            Event::Timer(timer) => match self.lines.timer(&config.limits, timer, &mut Through::new(out)) {
                Some(Overdue::Missing(peer)) => {
                    out.push(Effect::ToController(ToController::Missing(peer)));
                    if config.limits.bugs.has(Bug::MissedIsGone) {
                        self.gone(config, peer, out);
                    }
                }
                Some(Overdue::Silence) => {
                    if let Some(roll) = self.roll.as_ref()
                        && !config.limits.bugs.has(Bug::SilenceTrusted)
                    {
                        out.push(Effect::ToController(ToController::CheckRoll(roll.at)));
                    }
                }
                None => {}
            },
        }
        let sent = |talk: &Talk<P>| talk.unsent.is_empty() && talk.ends.is_empty();
        if self.phase == Phase::Draining && self.talks.iter().all(|(_, talk)| sent(talk)) {
            self.phase = Phase::Leaving;
            out.push(Effect::Drained);
        }
    }
}

impl<A, P> Default for Messages<A, P> {
    fn default() -> Self {
        Self {
            id: None,
            phase: Phase::Joining,
            roll: None,
            asked: false,
            talks: Map::default(),
            lines: Lines::default(),
        }
    }
}

impl<P> Default for Talk<P> {
    fn default() -> Self {
        Self { unsent: Queue::default(), ends: Queue::default(), wanted: 0, pieces: Vec::new() }
    }
}

impl<P> Talk<P> {
    /// How many messages to the member have no answer.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.unsent.len().saturating_add(self.ends.len())
    }

    fn is_over(&self) -> bool {
        self.unanswered() == 0 && self.wanted == 0
    }
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Messages<A, P> {
    /// Who joined after the newest roll was called has a higher stamp than everybody in it.
    fn whereabouts(&self, member: MemberId) -> Whereabouts<A> {
        if let Some(peer) = self.lines.peers.get(&member) {
            return if peer.gone { Whereabouts::Gone } else { Whereabouts::Present(peer.address.clone()) };
        }
        let Some(roll) = self.roll.as_ref().filter(|roll| member.stamp <= roll.at.until) else {
            return Whereabouts::Unknown;
        };
        roll.line(member).map_or(Whereabouts::Gone, |it| Whereabouts::Present(it.address.clone()))
    }

    fn told(&mut self, config: &Config, word: ToMember<A>, out: &mut impl Effects<Effect<A, P>>) {
        match word {
            ToMember::Welcome(member) => {
                if self.id.is_none() {
                    self.id = Some(member);
                    self.phase = Phase::Seated;
                }
            }
            ToMember::Roll(roll) => self.called(config, roll, out),
            ToMember::Gone(member) => self.gone(config, member, out),
            ToMember::Fenced if config.limits.bugs.has(Bug::FencedGoesOn) => {}
            ToMember::Fenced => self.end(End::Fenced, out),
            ToMember::Released => self.end(End::Left, out),
            ToMember::Assign(_) | ToMember::Probe(_) => {} // For the member.
        }
    }

    /// A member must be known, and is not.
    fn call_roll(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if !self.asked {
            self.asked = true;
            out.push(Effect::ToController(ToController::CallRoll));
        }
    }

    /// The roll: who is here and listens where, and who is gone.
    fn called(&mut self, config: &Config, roll: Roll<A>, out: &mut impl Effects<Effect<A, P>>) {
        let gone = self.lines.peers.iter().map(|(it, _)| *it).filter(|it| roll.lacks(*it));
        let gone: Vec<MemberId> = gone.collect();
        self.lines
            .unlisted(&config.limits, &roll)
            .for_each(|it| out.push(Effect::ToController(ToController::Missing(it))));
        self.roll = Some(roll);
        let answered = core::mem::take(&mut self.asked);
        for member in gone {
            self.gone(config, member, out);
        }
        let about: Vec<MemberId> = self.talks.iter().map(|(member, _)| *member).collect();
        for member in about {
            match self.whereabouts(member) {
                Whereabouts::Present(address) => {
                    self.lines.admit(&config.limits, member, &address, &mut Through::new(out));
                    self.go_on(config, member, out);
                }
                Whereabouts::Gone => self.gone(config, member, out),
                Whereabouts::Unknown => {
                    if answered {
                        // It came after the roll was called; or it never was there, as the controller will say.
                        out.push(Effect::ToController(ToController::Missing(member)));
                    }
                    self.call_roll(out);
                }
            }
        }
        let callers: Vec<MemberId> = self.lines.strangers.iter().map(|(it, ())| *it).collect();
        for caller in callers {
            match self.whereabouts(caller) {
                Whereabouts::Present(address) => {
                    self.lines.admit(&config.limits, caller, &address, &mut Through::new(out));
                }
                // If it was not there when the roll was called, it will call again.
                Whereabouts::Gone => self.lines.refuse(caller, true, &mut Through::new(out)),
                Whereabouts::Unknown => self.lines.refuse(caller, false, &mut Through::new(out)),
            }
        }
    }

    /// The calls about a member, if this one may be added.
    fn talk(
        &mut self,
        config: &Config,
        about: MemberId,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> Option<&mut Talk<P>> {
        let refusal = match () {
            () if self.phase != Phase::Seated => Refusal::NotSeated,
            () if self.id == Some(about) => Refusal::Oneself,
            () if self.talks.contains(&about) => return self.talks.get_mut(&about),
            () if self.talks.insert(config.talks_max, about, Talk::default()).is_err() => Refusal::TooMany,
            () => return self.talks.get_mut(&about),
        };
        out.push(Effect::Refused(refusal));
        None
    }

    fn send(&mut self, config: &Config, to: MemberId, pieces: Vec<P>, out: &mut impl Effects<Effect<A, P>>) {
        if pieces.is_empty() {
            return out.push(Effect::Refused(Refusal::Empty));
        }
        if pieces.len() > config.pieces_max as usize {
            return out.push(Effect::Refused(Refusal::TooLong));
        }
        let Some(talk) = self.talk(config, to, out) else { return };
        if talk.unanswered() >= config.messages_max || talk.unsent.push(config.messages_max, pieces).is_err()
        {
            return out.push(Effect::Refused(Refusal::Full));
        }
        self.turn_to(config, to, out);
    }

    fn receive(&mut self, config: &Config, from: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let Some(talk) = self.talk(config, from, out) else { return };
        if talk.wanted >= config.messages_max {
            return out.push(Effect::Refused(Refusal::Full));
        }
        talk.wanted = talk.wanted.saturating_add(1);
        self.turn_to(config, from, out);
    }

    /// The application wants something of a member.
    fn turn_to(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        match self.whereabouts(member) {
            Whereabouts::Present(address) => {
                self.lines.admit(&config.limits, member, &address, &mut Through::new(out));
                self.go_on(config, member, out);
                if config.limits.bugs.has(Bug::KnownAskedFor) {
                    self.call_roll(out);
                }
            }
            Whereabouts::Gone => self.gone(config, member, out),
            Whereabouts::Unknown => self.call_roll(out),
        }
    }

    /// Goes on with the calls about a member who is there.
    fn go_on(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let Some(talk) = self.talks.get_mut(&member) else { return };
        while let Some(pieces) = talk.unsent.pop() {
            let last = pieces.len().saturating_sub(1);
            for (nth, piece) in pieces.into_iter().enumerate() {
                let part = Part { piece, last: nth == last };
                // So many messages of so many pieces are the limit already.
                let _ = self.lines.offer(&config.limits, u32::MAX, member, part, &mut Through::new(out));
            }
            let end = self.lines.peers.get(&member).map(|peer| peer.out.until());
            let _ = talk.ends.push(config.messages_max, end.unwrap_or_default()); // It was counted.
        }
        self.take(config, member, out);
    }

    /// Takes what has come of a member, as far as the application waits for it.
    fn take(&mut self, config: &Config, from: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let torn = config.limits.bugs.has(Bug::TornDelivered);
        while let Some(talk) = self.talks.get_mut(&from)
            && talk.wanted > 0
            && talk.pieces.len() < config.pieces_max as usize
            && let Some(Part { piece, last }) = self.lines.take(from, &mut Through::new(out))
        {
            talk.pieces.push(piece);
            if last || torn {
                talk.wanted = talk.wanted.saturating_sub(1);
                let pieces = Some(core::mem::take(&mut talk.pieces));
                out.push(Effect::Received { from, pieces });
            }
        }
        self.tidy(config, from, out);
    }

    /// Keeps a connection to whom the application waits for, and forgets calls that are answered.
    fn tidy(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let waits = self.talks.get(&member).is_some_and(|talk| talk.wanted > 0);
        let kept = waits && !config.limits.bugs.has(Bug::WaitsBlindly);
        self.lines.keep(&config.limits, member, kept, &mut Through::new(out));
        if self.talks.get(&member).is_some_and(Talk::is_over) {
            self.talks.remove(&member);
        }
    }

    fn line(&mut self, config: &Config, event: LineEvent<Part<P>>, out: &mut impl Effects<Effect<A, P>>) {
        let about = match &event {
            LineEvent::Refused(_) => {
                if !config.limits.bugs.has(Bug::RefusalIgnored) {
                    out.push(Effect::ToController(ToController::Leave));
                    self.end(End::Fenced, out);
                }
                return;
            }
            LineEvent::Up(it)
            | LineEvent::Down(it)
            | LineEvent::Called(it)
            | LineEvent::CallerDown(it)
            | LineEvent::Have { from: it, .. }
            | LineEvent::Item { from: it, .. } => *it,
        };
        self.lines.event(&config.limits, event, &mut Through::new(out));
        if self.lines.strangers.contains(&about) {
            match self.whereabouts(about) {
                Whereabouts::Present(address) => {
                    self.lines.admit(&config.limits, about, &address, &mut Through::new(out));
                }
                Whereabouts::Gone => self.lines.refuse(about, true, &mut Through::new(out)),
                Whereabouts::Unknown => self.call_roll(out),
            }
        }
        self.answer(config, about, out);
        self.take(config, about, out);
    }

    /// Messages that a member has taken are delivered.
    fn answer(&mut self, config: &Config, to: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let (Some(talk), Some(peer)) = (self.talks.get_mut(&to), self.lines.peers.get(&to)) else { return };
        let early = config.limits.bugs.has(Bug::AnsweredEarly);
        let taken = if early { peer.out.shown_until() } else { peer.out.first };
        while talk.ends.first().is_some_and(|end| *end <= taken) {
            let _ = talk.ends.pop();
            out.push(Effect::Sent { to, outcome: Outcome::Delivered });
        }
    }

    /// The controller's verdict: nothing more goes to this one or comes from it, and who waits for it is told.
    fn gone(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        if config.limits.bugs.has(Bug::VerdictIgnored) {
            return;
        }
        self.lines.gone(&config.limits, member, &mut Through::new(out));
        if let Some(roll) = &mut self.roll {
            roll.present.retain(|it| it.member != member);
        }
        let Some(talk) = self.talks.remove(&member) else { return };
        for _ in 0..talk.unanswered() {
            out.push(Effect::Sent { to: member, outcome: Outcome::Lost });
        }
        if !config.limits.bugs.has(Bug::WaiterForgotten) {
            (0..talk.wanted).for_each(|_| out.push(Effect::Received { from: member, pieces: None }));
        }
    }

    fn end(&mut self, end: End, out: &mut impl Effects<Effect<A, P>>) {
        self.lines.end(&mut Through::new(out));
        for (to, talk) in self.talks.iter() {
            let unanswered = Effect::Sent { to: *to, outcome: Outcome::Indeterminate };
            (0..talk.unanswered()).for_each(|_| out.push(unanswered.clone()));
        }
        *self = Self { id: self.id, phase: Phase::Ended(end), ..Self::default() };
        out.push(Effect::Ended(end));
    }
}

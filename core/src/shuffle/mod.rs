//! Shuffle: every sender's records to the receivers that their hash selects, each once (S1), in rounds that end (S2).
//!
//! It runs beside a [`Member`](crate::member::Member) of the same channel. That one's broadcasts bring the *roster* of
//! each round to everybody, the same ones in the same order at all who stay; so the k-th shuffle of one member is that
//! of all others. Which root asks for a roster, and when, is decided by the [`Convener`]. From there on records go from
//! sender to receiver past the tree (see [`direct`](crate::direct)).
//!
//! ```text
//!  application      sender                              receiver     application
//!      | Push(1, a) -> | Piece a ---------------------------> | a, provisional ->|
//!      | Push(1, b) -> | Piece b -- x   the connection breaks |                  |
//!      |               | <-------------- "I have one"         |                  |
//!      | End --------> | Piece b, End ----------------------> | b ------------->|
//!      | <----- Sent   | <-------------- "taken"              | Received ------>|
//! ```
//!
//! What has arrived is given to the application at once, but counts only if its sender ends: a sender that is gone
//! before is named, and so is a receiver, to the senders. Nobody's records go to another receiver instead. Who is gone
//! is the controller's to say: whoever is missed is reported, until there is a connection or the verdict.
//!
//! No daemon is in a channel that shuffles: records go past it, and no roll names one.
//!
//! There is no attempt in a parcel: nothing is ever sent anew that had arrived, so there is nothing to tell apart.

mod convener;
mod event;
mod round;
pub mod rules;

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Debug;
use core::hash::Hash;

use crate::bounded::Queue;
use crate::bug::Bug;
use crate::channel::{Role, Roll, RoundId, ToController, ToMember};
use crate::direct::{LineEvent, Lines, Overdue, Through};
use crate::ids::{MemberId, Stamp};
use crate::machine::{Effects, Machine};
use crate::member::{End, Phase};

pub use convener::Convener;
pub use event::{Config, Effect, Event, Parcel, Refusal, What};
pub use round::{Half, Open, Roster};

/// A member's shuffles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shuffle<A, P> {
    /// Who it is, once it is in the channel.
    pub id: Option<MemberId>,
    /// What it is doing.
    pub phase: Phase,
    /// The application has called, and its round has not begun.
    pub called: bool,
    /// How many pieces the application can take now.
    pub wanted: u32,
    /// Rosters of rounds that the application has not begun.
    pub rosters: Queue<Roster<A>>,
    /// The round that is under way.
    pub open: Option<Open>,
    /// The direct connections.
    pub lines: Lines<A, Parcel<P>>,
    /// Who is there, and the root's part.
    pub convener: Convener<A>,
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Machine for Shuffle<A, P> {
    type Event = Event<A, P>;
    type Effect = Effect<A, P>;
    type Config = Config;

    fn step(&mut self, config: &Config, event: Event<A, P>, out: &mut impl Effects<Effect<A, P>>) {
        if let Phase::Ended(_) = self.phase {
            return; // Whatever was still under way to it.
        }
        match event {
            Event::Controller(word) => self.told(config, word, out),
            Event::ControllerUp => self.convener.controller_up(out),
            Event::Roster { round, cut, roll } => self.heard(config, round, cut, roll, out),
            Event::Convened => self.convener.under_way = false,
            Event::Shuffle => self.shuffle(out),
            Event::Push { receiver, piece } => self.push(config, receiver, piece, out),
            Event::End => self.end_sending(config, out),
            Event::Take(count) => {
                let waits = self.wanted == 0;
                self.wanted = self.wanted.saturating_add(count);
                if waits {
                    self.take_all(config, out);
                }
            }
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
                    if let Some(roll) = self.convener.roll.as_ref()
                        && !config.limits.bugs.has(Bug::SilenceTrusted)
                    {
                        out.push(Effect::ToController(ToController::CheckRoll(roll.at)));
                    }
                }
                None => {}
            },
        }
        self.settle(config, out);
    }
}

impl<A, P> Default for Shuffle<A, P> {
    fn default() -> Self {
        Self {
            id: None,
            phase: Phase::Joining,
            called: false,
            wanted: 0,
            rosters: Queue::default(),
            open: None,
            lines: Lines::default(),
            convener: Convener::default(),
        }
    }
}

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Shuffle<A, P> {
    /// Does what follows from what has happened.
    fn settle(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        self.verdicts(config, out);
        if self.called && self.open.is_none() {
            self.begin(config, out);
            self.verdicts(config, out); // Of a round of which nobody is left.
        }
        if self.called && self.open.is_none() {
            self.convener.convene(config, out);
        }
        let idle = !self.called && self.open.is_none() && self.rosters.is_empty();
        if self.phase == Phase::Draining && idle {
            self.phase = Phase::Leaving;
            out.push(Effect::Drained);
        }
    }

    fn told(&mut self, config: &Config, word: ToMember<A>, out: &mut impl Effects<Effect<A, P>>) {
        match word {
            ToMember::Welcome(member) => {
                if self.id.is_none() {
                    self.id = Some(member);
                    self.phase = Phase::Seated;
                    out.push(Effect::Receive(config.rosters_max));
                }
            }
            ToMember::Assign(assign) => self.convener.assigned(assign),
            ToMember::Roll(roll) => {
                if !config.limits.bugs.has(Bug::RollUnheeded) {
                    self.missed(config, &roll, out);
                }
                let needed = self.called && self.open.is_none() && self.rosters.is_empty();
                self.convener.called(roll, needed, out);
            }
            ToMember::Gone(member) => self.gone(config, member, out),
            ToMember::Fenced if config.limits.bugs.has(Bug::FencedGoesOn) => {}
            ToMember::Fenced => self.end(End::Fenced, out),
            ToMember::Released => self.end(End::Left, out),
            ToMember::Probe(_) => {} // The member answers.
        }
    }

    /// A roster: connections to its receivers are made at once, the round begins when the application calls.
    fn heard(
        &mut self,
        config: &Config,
        round: RoundId,
        cut: Stamp,
        roll: Roll<A>,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let Some(me) = self.id else { return };
        let counted = me.stamp <= roll.at.until && !config.limits.bugs.has(Bug::LeftOutStays);
        if counted && !roll.present.iter().any(|it| it.member == me) {
            // M2: it was declared dead, which a restarted controller may have forgotten; the others have forgotten how
            // far it is.
            out.push(Effect::ToController(ToController::Leave));
            return self.end(End::Fenced, out);
        }
        if !config.limits.bugs.has(Bug::RollUnheeded) {
            self.missed(config, &roll, out); // Whoever asks now is not told again.
        }
        self.convener.roll = Some(roll.clone());
        let mut present = roll.present;
        // Who came after the broadcast's cut does not hear of this round.
        present.retain(|it| it.member.stamp <= cut || config.limits.bugs.has(Bug::CutIgnored));
        present.sort_unstable_by_key(|it| it.member);
        let roster = Roster { round, until: roll.at.until.min(cut), present };
        let Some(role) = roster.role(me) else {
            return out.push(Effect::Receive(1)); // It joined after the roll was called: the next one is its first.
        };
        for it in &roster.present {
            self.lines.admit(&config.limits, it.member, &it.address, &mut Through::new(out));
            if role.sends() && it.role.receives() {
                self.lines.keep(&config.limits, it.member, true, &mut Through::new(out));
            }
        }
        // No more come than were asked for.
        let _ = self.rosters.push(config.rosters_max, roster);
    }

    fn shuffle(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        let last = self.phase == Phase::Draining && !self.rosters.is_empty();
        if self.phase != Phase::Seated && !last {
            out.push(Effect::Refused(Refusal::NotSeated));
        } else if self.called || self.open.is_some() {
            out.push(Effect::Refused(Refusal::Busy));
        } else {
            self.called = true;
        }
    }

    /// The next round begins, if its roster is there.
    fn begin(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        let (Some(me), Some(roster)) = (self.id, self.rosters.pop()) else { return };
        self.called = false;
        out.push(Effect::Receive(1));
        // A roster may be older than the one before it, if its root was replaced before it went out: who joined in between
        // is in that one, and its streams go on.
        let newcomers = config.limits.bugs.has(Bug::NewcomerForgotten);
        let known = self.lines.peers.iter().map(|(it, _)| *it);
        let known = known.filter(|it| newcomers || it.stamp <= roster.until);
        let forgotten: Vec<MemberId> = known
            .filter(|it| {
                roster.role(*it).is_none() && !self.rosters.iter().any(|later| later.role(*it).is_some())
            })
            .collect();
        for it in forgotten {
            self.lines.forget(it, &mut Through::new(out));
        }
        let role = roster.role(me).unwrap_or_default();
        let with = |wanted: fn(Role) -> bool| {
            roster.present.iter().filter(move |it| wanted(it.role)).map(|it| it.member)
        };
        let knows = |it| self.lines.knows(it);
        let mut receivers: Vec<MemberId> = with(Role::receives).collect();
        if config.limits.bugs.has(Bug::GoneLeftOut) {
            receivers.retain(|it| knows(*it));
        }
        let sending = role.sends().then(|| Half::of(receivers.iter().copied(), knows));
        let receiving = role.receives().then(|| Half::of(with(Role::sends), knows));
        let count = u32::try_from(receivers.len()).unwrap_or(u32::MAX);
        out.push(Effect::Begun { round: roster.round, receivers: count });
        for (sender, ()) in receiving.iter().flat_map(|half| half.awaited.iter()) {
            self.lines.expect(&config.limits, *sender, true, &mut Through::new(out));
        }
        self.open = Some(Open { round: roster.round, receivers, ended: false, sending, receiving });
        self.take_all(config, out);
    }

    fn push(&mut self, config: &Config, receiver: u32, piece: P, out: &mut impl Effects<Effect<A, P>>) {
        let open = self.open.as_ref().filter(|open| open.sending.is_some() && !open.ended);
        let Some(open) = open else { return out.push(Effect::Refused(Refusal::NotSending)) };
        let Some(mut to) = open.receivers.get(receiver as usize).copied() else {
            return out.push(Effect::Refused(Refusal::NoReceiver));
        };
        if config.limits.bugs.has(Bug::RecordRemapped) && !self.lines.knows(to) {
            let alive = open.receivers.iter().find(|it| self.lines.knows(**it));
            to = alive.copied().unwrap_or(to);
        }
        let parcel = Parcel { round: open.round, what: What::Piece(piece) };
        let unbounded = config.limits.bugs.has(Bug::CreditIgnored);
        let limit = if unbounded { u32::MAX } else { config.limits.window };
        if self.lines.offer(&config.limits, limit, to, parcel, &mut Through::new(out)).is_err() {
            out.push(Effect::Refused(Refusal::Full));
        }
    }

    /// The application has no more: every receiver is told so, also those for which there was nothing.
    fn end_sending(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        let open = self.open.as_mut().filter(|open| open.sending.is_some() && !open.ended);
        let Some(open) = open else { return out.push(Effect::Refused(Refusal::NotSending)) };
        open.ended = true;
        // A mark needs no credit.
        let limit = config.limits.window.saturating_add(1);
        for to in &open.receivers {
            let parcel = Parcel { round: open.round, what: What::End };
            let _ = self.lines.offer(&config.limits, limit, *to, parcel, &mut Through::new(out));
        }
    }

    fn line(&mut self, config: &Config, event: LineEvent<Parcel<P>>, out: &mut impl Effects<Effect<A, P>>) {
        let about = match &event {
            LineEvent::Have { from, .. } => Some((*from, true)),
            LineEvent::Item { from, .. } => Some((*from, false)),
            LineEvent::Refused(_) => {
                if !config.limits.bugs.has(Bug::RefusalIgnored) {
                    out.push(Effect::ToController(ToController::Leave));
                    self.end(End::Fenced, out);
                }
                return;
            }
            LineEvent::Up(_) | LineEvent::Down(_) | LineEvent::Called(_) | LineEvent::CallerDown(_) => None,
        };
        let before = about.map(|(peer, _)| self.lines.under_way(peer)).unwrap_or_default();
        self.lines.event(&config.limits, event, &mut Through::new(out));
        match about {
            Some((to, true)) => self.acknowledged(config, to, before, out),
            Some((from, false)) => self.take(config, from, out),
            None => {}
        }
    }

    /// A receiver has taken more than before, perhaps.
    fn acknowledged(
        &mut self,
        config: &Config,
        to: MemberId,
        before: u32,
        out: &mut impl Effects<Effect<A, P>>,
    ) {
        let under_way = self.lines.under_way(to);
        let Some(open) = &mut self.open else { return };
        let Some(half) = &mut open.sending else { return };
        if open.ended {
            if under_way == 0 {
                half.awaited.remove(&to);
            }
        } else if before >= config.limits.window && under_way < config.limits.window {
            open.room(to, out);
        }
    }

    /// Takes from everybody of whom something waits.
    fn take_all(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        let waiting = self.lines.peers.iter().filter(|(_, peer)| !peer.inbox.items.is_empty());
        let waiting: Vec<MemberId> = waiting.map(|(from, _)| *from).collect();
        for from in waiting {
            self.take(config, from, out);
        }
    }

    /// Takes what has come from a sender, as far as the application can.
    fn take(&mut self, config: &Config, from: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let Some(open) = &mut self.open else { return }; // It is for a round that has not begun here.
        let round = open.round;
        while let Some(parcel) = self.lines.next(from) {
            let mut half = open.receiving.as_mut().filter(|half| half.awaited.contains(&from));
            let old = config.limits.bugs.has(Bug::OldRoundTaken);
            match (parcel.round.cmp(&round), &parcel.what) {
                (Ordering::Greater, _) => return, // As soon as that round begins.
                (Ordering::Less, What::Piece(_)) if old => {}
                (Ordering::Less, _) => half = None,
                (Ordering::Equal, What::Piece(_)) if half.is_some() && self.wanted == 0 => {
                    return; // B4: it waits here, and its sender with it once the window is full.
                }
                (Ordering::Equal, _) => {}
            }
            let Some(parcel) = self.lines.take(from, &mut Through::new(out)) else { return };
            let Some(half) = half else { continue }; // M2: not of this round, or not one who sends in it.
            match parcel.what {
                What::Piece(piece) => {
                    self.wanted = self.wanted.saturating_sub(1);
                    out.push(Effect::Deliver { round, from, piece });
                }
                What::End => {
                    half.awaited.remove(&from);
                    self.lines.expect(&config.limits, from, false, &mut Through::new(out));
                }
            }
        }
    }

    /// The controller's verdict: nothing more goes to this one or comes from it.
    fn gone(&mut self, config: &Config, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let bugs = config.limits.bugs;
        if bugs.has(Bug::VerdictIgnored) {
            return;
        }
        let full = self.lines.under_way(member) >= config.limits.window;
        self.lines.gone(&config.limits, member, &mut Through::new(out));
        let Some(open) = &mut self.open else { return };
        if full && !open.ended && !bugs.has(Bug::RoomUntold) {
            open.room(member, out); // What is for it goes nowhere.
        }
        match &mut open.sending {
            Some(half) if bugs.has(Bug::LostReceiverUnnamed) => _ = half.awaited.remove(&member),
            Some(half) => half.lose(member),
            None => {}
        }
        match &mut open.receiving {
            Some(half) if bugs.has(Bug::LostSenderCounted) => _ = half.awaited.remove(&member),
            Some(half) => half.lose(member),
            None => {}
        }
    }

    /// Whoever was there and is not in a newer roll is gone.
    fn missed(&mut self, config: &Config, roll: &Roll<A>, out: &mut impl Effects<Effect<A, P>>) {
        let gone = self.lines.peers.iter().filter(|(it, peer)| !peer.gone && roll.lacks(**it));
        let gone: Vec<MemberId> = gone.map(|(it, _)| *it).collect();
        gone.into_iter().for_each(|it| self.gone(config, it, out));
        self.lines
            .unlisted(&config.limits, roll)
            .for_each(|it| out.push(Effect::ToController(ToController::Missing(it))));
    }

    /// Says how the round has ended, each side by itself.
    fn verdicts(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        let Some(open) = &mut self.open else { return };
        let round = open.round;
        if let Some(half) = open.receiving.take_if(|half| half.awaited.is_empty()) {
            out.push(Effect::Received { round, lost: half.lost });
        }
        let ended = open.ended;
        if let Some(half) = open.sending.take_if(|half| ended && half.awaited.is_empty()) {
            for it in &open.receivers {
                let again = self.rosters.iter().any(|later| later.role(*it).is_some());
                self.lines.keep(&config.limits, *it, again, &mut Through::new(out));
            }
            out.push(Effect::Sent { round, lost: half.lost });
        }
        if open.sending.is_none() && open.receiving.is_none() {
            self.open = None;
        }
    }

    fn end(&mut self, end: End, out: &mut impl Effects<Effect<A, P>>) {
        self.lines.end(&mut Through::new(out));
        *self = Self { id: self.id, phase: Phase::Ended(end), ..Self::default() };
        out.push(Effect::Ended(end));
    }
}

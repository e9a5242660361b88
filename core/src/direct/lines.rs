//! Direct connections: who calls whom, what goes over them, and from where it goes on when one breaks.

use core::fmt::Debug;
use core::hash::Hash;

use super::peer::{Have, Peer};
use crate::bounded::{Full, Map};
use crate::bug::{Bug, Bugs};
use crate::channel::Roll;
use crate::ids::{MemberId, Millis, Position};
use crate::machine::Effects;
use crate::member::Line;

/// Limits and time-outs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// How many things may be under way to a peer, until it takes them; and one more, for a mark that needs no credit.
    pub window: u32,
    /// How many callers may wait whom nobody knows yet.
    pub strangers_max: u32,
    /// The pause before a connection is made again.
    pub redial: Millis,
    /// How long a peer may be missed before that is reported, and how often it is asked who is there while something is
    /// awaited over connections that stand.
    pub missing: Millis,
    /// Seeded bugs.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub bugs: Bugs,
}

impl Limits {
    /// How many things a receiver has room for.
    pub(super) fn room(&self) -> u32 {
        self.window.saturating_add(1)
    }
}

/// What can happen on direct connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event<T> {
    /// A peer has taken the call.
    Up(MemberId),
    /// The connection to a peer broke, or the call was not taken.
    Down(MemberId),
    /// A peer does not take the call, because this member was declared dead.
    Refused(MemberId),
    /// A peer says over the connection to it how far it is.
    Have {
        /// Who.
        from: MemberId,
        /// How far.
        have: Have,
    },
    /// Somebody calls.
    Called(MemberId),
    /// The connection of a caller broke.
    CallerDown(MemberId),
    /// Something comes from a caller.
    Item {
        /// Who.
        from: MemberId,
        /// Which of the things that it has for this member.
        position: Position,
        /// What.
        item: T,
    },
}

/// What is to be done on direct connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect<A, T> {
    /// Call a peer, and tell it who calls.
    Dial {
        /// Whom.
        to: MemberId,
        /// Where it listens.
        address: A,
    },
    /// Close the connection to a peer, or give up calling it. Nothing more is heard of it.
    Hang(MemberId),
    /// Send something over the connection to a peer.
    Send {
        /// To whom.
        to: MemberId,
        /// Which of the things for it.
        position: Position,
        /// What.
        item: T,
    },
    /// Close the connection of a caller, or do not take the call. Nothing more is heard of it.
    HangCaller(MemberId),
    /// The same, and tell the caller that it was declared dead.
    Refuse(MemberId),
    /// Tell a caller how far this member is.
    Have {
        /// Whom.
        to: MemberId,
        /// How far.
        have: Have,
    },
    /// Fire this timer after this long.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long.
        after: Millis,
    },
    /// Never mind this timer.
    ClearTimer(Timer),
}

/// Timers of direct connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timer {
    /// The peer should be there by now.
    Missing(MemberId),
    /// Call the peer again.
    Redial(MemberId),
    /// Something is awaited over connections that stand: it is time to ask whether those at the other end are there.
    Silence,
}

/// What a timer has brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// There is no connection with this one.
    Missing(MemberId),
    /// Of some nothing may have come for long. A process that stands still has connections that stand.
    Silence,
}

/// The direct connections of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lines<A, T> {
    /// Members that this one may talk to.
    pub peers: Map<MemberId, Peer<A, T>>,
    /// Callers of whom it does not know yet whether they are members. They are not answered, so they send nothing.
    pub strangers: Map<MemberId, ()>,
    /// With how many peers a connection stands over which something is awaited.
    pub awaited: u32,
}

impl<A, T> Default for Lines<A, T> {
    fn default() -> Self {
        Self { peers: Map::default(), strangers: Map::default(), awaited: 0 }
    }
}

impl<A: Clone + Debug + Eq + Hash, T: Clone + Debug + Eq + Hash> Lines<A, T> {
    /// Whether somebody is known, and not known to be gone.
    #[must_use]
    pub fn knows(&self, it: MemberId) -> bool {
        self.peers.get(&it).is_some_and(|peer| !peer.gone)
    }

    /// This is a member, and listens there. Its call, if it has called, is answered.
    pub fn admit(
        &mut self,
        limits: &Limits,
        it: MemberId,
        address: &A,
        out: &mut impl Effects<Effect<A, T>>,
    ) {
        if self.peers.contains(&it) {
            return;
        }
        // Whoever knows the members sees to their number.
        let _ = self.peers.insert(u32::MAX, it, Peer::new(address.clone()));
        if self.strangers.remove(&it).is_some() {
            self.called(limits, it, out);
        }
    }

    /// Forgets a peer.
    pub fn forget(&mut self, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        if let Some(mut peer) = self.peers.remove(&it) {
            peer.hang(it, out);
            self.hushed(peer.is_awaited(), out);
        }
    }

    /// A peer is gone: what was for it and from it is void.
    pub fn gone(&mut self, limits: &Limits, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        self.refuse(it, true, out);
        if let Some(peer) = self.peers.get_mut(&it).filter(|peer| !peer.gone) {
            peer.hang(it, out);
            let awaited = peer.is_awaited();
            let address = peer.address.clone();
            *peer = Peer { gone: true, ..Peer::new(address) };
            self.hushed(awaited && !limits.bugs.has(Bug::GoneAwaited), out);
        }
    }

    /// The connection to a peer shall stand, or need not.
    pub fn keep(&mut self, limits: &Limits, it: MemberId, kept: bool, out: &mut impl Effects<Effect<A, T>>) {
        self.tend(limits, it, out, |peer, _| peer.out.kept = kept);
    }

    /// Something is awaited from a peer, or not any more.
    pub fn expect(
        &mut self,
        limits: &Limits,
        it: MemberId,
        expected: bool,
        out: &mut impl Effects<Effect<A, T>>,
    ) {
        self.tend(limits, it, out, |peer, _| peer.inbox.expected = expected);
    }

    /// Sends something to a peer, as soon as it has room; to one that is gone, nothing.
    ///
    /// # Errors
    /// The thing, when `limit` are under way or wait already.
    pub fn offer(
        &mut self,
        limits: &Limits,
        limit: u32,
        to: MemberId,
        item: T,
        out: &mut impl Effects<Effect<A, T>>,
    ) -> Result<(), Full<T>> {
        if !self.knows(to) {
            return Ok(());
        }
        let mut result = Ok(());
        self.tend(limits, to, out, |peer, _| result = peer.out.items.push(limit, item));
        result
    }

    /// A caller of whom it turns out that it is gone (M2), or that nobody knows it.
    pub fn refuse(&mut self, it: MemberId, gone: bool, out: &mut impl Effects<Effect<A, T>>) {
        if self.strangers.remove(&it).is_some() {
            out.push(if gone { Effect::Refuse(it) } else { Effect::HangCaller(it) });
        }
    }

    /// How many things are under way to a peer, or wait until it has room.
    #[must_use]
    pub fn under_way(&self, to: MemberId) -> u32 {
        self.peers.get(&to).map_or(0, |peer| peer.out.items.len())
    }

    /// What comes next from a peer.
    #[must_use]
    pub fn next(&self, from: MemberId) -> Option<&T> {
        self.peers.get(&from)?.inbox.items.first()
    }

    /// Takes what comes next from a peer, which is told so.
    pub fn take(&mut self, from: MemberId, out: &mut impl Effects<Effect<A, T>>) -> Option<T> {
        let inbox = &mut self.peers.get_mut(&from)?.inbox;
        let item = inbox.items.pop()?;
        if inbox.up {
            out.push(Effect::Have { to: from, have: inbox.have() });
        }
        Some(item)
    }

    /// Of whom something is awaited that a roll says nothing of: it is that of a controller which was started again and has
    /// not heard of them.
    pub fn unlisted<'a>(&'a self, limits: &Limits, roll: &'a Roll<A>) -> impl Iterator<Item = MemberId> + 'a {
        let trusts = limits.bugs.has(Bug::UnlistedTrusted);
        let unlisted = |it: MemberId| it.stamp > roll.at.until && roll.line(it).is_none();
        let awaited = self.peers.iter().filter(|(_, peer)| peer.is_awaited());
        awaited.map(|(it, _)| *it).filter(move |it| unlisted(*it) && !trusts)
    }

    /// Takes notice of what has happened.
    pub fn event(&mut self, limits: &Limits, event: Event<T>, out: &mut impl Effects<Effect<A, T>>) {
        match event {
            Event::Refused(_) => {} // Its own time is over: the machine that these belong to ends.
            Event::Up(it) => self.taken(limits, it, out),
            Event::Down(it) => self.tend(limits, it, out, |peer, out| {
                if matches!(peer.out.line, Line::Dialling | Line::Up) {
                    peer.down(limits, it, out);
                }
            }),
            Event::Have { from, have } => {
                self.tend(limits, from, out, |peer, _| peer.out.heard(have, limits.bugs));
            }
            Event::Called(it) => self.called(limits, it, out),
            Event::CallerDown(it) => {
                self.strangers.remove(&it);
                self.tend(limits, it, out, |peer, _| peer.inbox.up = false);
            }
            Event::Item { from, position, item } => self.arrived(limits, from, position, item, out),
        }
    }

    /// A timer fired. What is to be said to the controller, if anything.
    pub fn timer(
        &mut self,
        limits: &Limits,
        timer: Timer,
        out: &mut impl Effects<Effect<A, T>>,
    ) -> Option<Overdue> {
        match timer {
            Timer::Redial(it) => {
                self.tend(limits, it, out, |peer, _| {
                    if peer.out.line == Line::Waiting {
                        peer.out.line = Line::None;
                    }
                });
                None
            }
            Timer::Missing(it) => {
                let missed = self.peers.get(&it).is_some_and(Peer::is_missed);
                if missed {
                    out.push(Effect::SetTimer { timer, after: limits.missing });
                }
                missed.then_some(Overdue::Missing(it))
            }
            Timer::Silence => {
                let awaits = self.awaited > 0;
                if awaits {
                    out.push(Effect::SetTimer { timer, after: limits.missing });
                }
                awaits.then_some(Overdue::Silence)
            }
        }
    }

    /// All connections go.
    pub fn end(&mut self, out: &mut impl Effects<Effect<A, T>>) {
        for (it, peer) in self.peers.iter_mut() {
            peer.hang(*it, out);
        }
        self.strangers.iter().for_each(|(it, ())| out.push(Effect::HangCaller(*it)));
        if self.awaited > 0 {
            out.push(Effect::ClearTimer(Timer::Silence));
        }
        *self = Self::default();
    }

    fn taken(&mut self, limits: &Limits, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        let dialling = self.peers.get(&it).is_some_and(|peer| peer.out.line == Line::Dialling);
        if !dialling {
            return out.push(Effect::Hang(it)); // It was called before it was known to be gone.
        }
        self.tend(limits, it, out, |peer, _| peer.out.line = Line::Up);
    }

    /// M2: who is gone is refused; who is not known waits.
    fn called(&mut self, limits: &Limits, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        match self.peers.get(&it) {
            Some(peer) if peer.gone && !limits.bugs.has(Bug::GoneAnswered) => {
                out.push(Effect::Refuse(it));
            }
            Some(peer) => {
                let have = peer.inbox.have();
                self.tend(limits, it, out, |peer, _| peer.inbox.up = true);
                out.push(Effect::Have { to: it, have });
            }
            None => {
                if self.strangers.insert(limits.strangers_max, it, ()).is_err() {
                    out.push(Effect::HangCaller(it)); // It will call again.
                }
            }
        }
    }

    fn arrived(
        &mut self,
        limits: &Limits,
        from: MemberId,
        position: Position,
        item: T,
        out: &mut impl Effects<Effect<A, T>>,
    ) {
        let speaks = self.peers.get(&from).is_some_and(|peer| peer.inbox.up);
        if !speaks {
            self.strangers.remove(&from);
            return out.push(Effect::HangCaller(from)); // M2: nobody has asked it to send.
        }
        self.tend(limits, from, out, |peer, out| {
            if peer.inbox.arrived(limits, position, item).is_err() {
                peer.inbox.up = false;
                out.push(Effect::HangCaller(from));
            } else if limits.bugs.has(Bug::TakenEarly) {
                let next = peer.inbox.next;
                out.push(Effect::Have { to: from, have: Have { taken: next, next } });
            }
        });
    }

    /// Changes something about a peer, and does what follows from it.
    fn tend<O: Effects<Effect<A, T>>>(
        &mut self,
        limits: &Limits,
        it: MemberId,
        out: &mut O,
        change: impl FnOnce(&mut Peer<A, T>, &mut O),
    ) {
        let Some(peer) = self.peers.get_mut(&it) else { return };
        let (missed, awaited) = (peer.is_missed(), peer.is_awaited());
        change(peer, out);
        peer.pursue(limits, it, out);
        let timer = Timer::Missing(it);
        match (missed, peer.is_missed()) {
            (false, true) => out.push(Effect::SetTimer { timer, after: limits.missing }),
            (true, false) => out.push(Effect::ClearTimer(timer)),
            (true, true) | (false, false) => {}
        }
        match (awaited, peer.is_awaited()) {
            (false, true) => {
                if self.awaited == 0 {
                    out.push(Effect::SetTimer { timer: Timer::Silence, after: limits.missing });
                }
                self.awaited = self.awaited.saturating_add(1);
            }
            (true, false) => self.hushed(true, out),
            (true, true) | (false, false) => {}
        }
    }

    /// Nothing is awaited any more over the connections with one more peer, if anything was.
    fn hushed(&mut self, awaited: bool, out: &mut impl Effects<Effect<A, T>>) {
        if awaited {
            self.awaited = self.awaited.saturating_sub(1);
            if self.awaited == 0 {
                out.push(Effect::ClearTimer(Timer::Silence));
            }
        }
    }
}

//! What one member has for another, and has from it.

use super::lines::{Effect, Limits, Timer};
use crate::bounded::{Full, Queue};
use crate::bug::{Bug, Bugs};
use crate::ids::{MemberId, Position};
use crate::machine::Effects;
use crate::member::Line;

/// How far a receiver is. Only the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Have {
    /// Its application has taken everything before this: the sender may forget it.
    pub taken: Position,
    /// It has received everything before this: the next that it needs.
    pub next: Position,
}

/// What is on its way to a peer, over the connection that this member makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbox<T> {
    /// How the connection stands.
    pub line: Line,
    /// It shall stand even if there is nothing to send.
    pub kept: bool,
    /// The position of the first of `items`.
    pub first: Position,
    /// What the peer has not taken.
    pub items: Queue<T>,
    /// How many of them were sent, on any connection.
    pub shown: u32,
    /// How many of them were sent on this connection, or need not be; `None` until the peer has said what it has.
    pub sent: Option<u32>,
}

/// What has come from a peer, over the connection that it makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inbox<T> {
    /// A connection stands.
    pub up: bool,
    /// Somebody here waits for something from the peer.
    pub expected: bool,
    /// The position behind the last of `items`.
    pub next: Position,
    /// What has come and was not taken.
    pub items: Queue<T>,
}

/// A member that this one may talk to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer<A, T> {
    /// Where it listens.
    pub address: A,
    /// It was declared dead or has left: nothing goes to it or comes from it any more.
    pub gone: bool,
    /// To it.
    pub out: Outbox<T>,
    /// From it.
    pub inbox: Inbox<T>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        let (line, kept, first, items) = (Line::None, false, Position::default(), Queue::default());
        Self { line, kept, first, items, shown: 0, sent: None }
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { up: false, expected: false, next: Position::default(), items: Queue::default() }
    }
}

impl<T> Outbox<T> {
    /// The position behind the last of `items`.
    #[must_use]
    pub fn until(&self) -> Position {
        Position(self.first.0.saturating_add(self.items.len().into()))
    }

    /// The position behind all that was ever sent.
    #[must_use]
    pub fn shown_until(&self) -> Position {
        Position(self.first.0.saturating_add(self.shown.into()))
    }

    fn is_wanted(&self) -> bool {
        self.kept || !self.items.is_empty()
    }

    /// The peer has said how far it is.
    pub(super) fn heard(&mut self, have: Have, bugs: Bugs) {
        let until = self.shown_until();
        if self.line != Line::Up || have.taken > have.next || have.next > until {
            return; // It was not sent that.
        }
        while self.first < have.taken && self.items.pop().is_some() {
            self.first = Position(self.first.0.saturating_add(1));
            self.shown = self.shown.saturating_sub(1);
            self.sent = self.sent.map(|sent| sent.saturating_sub(1));
        }
        if self.sent.is_none() {
            let ahead = have.next.0.saturating_sub(self.first.0);
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX).min(self.shown);
            self.sent = Some(if bugs.has(Bug::SentBelieved) { self.shown } else { ahead });
        }
    }
}

impl<T> Inbox<T> {
    /// How far this member is.
    #[must_use]
    pub fn have(&self) -> Have {
        let taken = Position(self.next.0.saturating_sub(self.items.len().into()));
        Have { taken, next: self.next }
    }

    /// Takes what comes next; what it has already is ignored. `Full` if what comes does not follow, or is more than the
    /// sender may send: then the connection has lost something, or is not what it should be.
    pub(super) fn arrived(&mut self, limits: &Limits, position: Position, item: T) -> Result<(), Full<T>> {
        let again = position < self.next && !limits.bugs.has(Bug::ItemTwice);
        if again {
            return Ok(());
        }
        if position > self.next && !limits.bugs.has(Bug::GapTaken) {
            return Err(Full(item));
        }
        self.items.push(limits.room(), item)?;
        self.next = Position(position.0.saturating_add(1));
        Ok(())
    }
}

impl<A: Clone, T: Clone> Peer<A, T> {
    pub(super) fn new(address: A) -> Self {
        Self { address, gone: false, out: Outbox::default(), inbox: Inbox::default() }
    }

    /// Whether something waits for the peer, and there is no connection.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let to = self.out.is_wanted() && self.out.line != Line::Up;
        let from = self.inbox.expected && !self.inbox.up;
        !self.gone && (to || from)
    }

    /// Whether a connection with the peer stands, and something should come over it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        let to = self.out.is_wanted() && self.out.line == Line::Up;
        let from = self.inbox.expected && self.inbox.up;
        !self.gone && (to || from)
    }

    /// Makes the connection that is wanted, and sends what the peer lacks.
    pub(super) fn pursue(&mut self, limits: &Limits, me: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        let outbox = &mut self.out;
        if self.gone {
            return;
        }
        if outbox.line == Line::None && outbox.is_wanted() {
            outbox.line = Line::Dialling;
            out.push(Effect::Dial { to: me, address: self.address.clone() });
        }
        let Some(sent) = outbox.sent else { return };
        let room = if limits.bugs.has(Bug::CreditIgnored) { u32::MAX } else { limits.room() };
        let until = outbox.items.len().min(room).max(sent);
        for (nth, item) in (0..until.into()).zip(outbox.items.iter()).skip(sent as usize) {
            let position = Position(outbox.first.0.saturating_add(nth));
            out.push(Effect::Send { to: me, position, item: item.clone() });
        }
        outbox.sent = Some(until);
        outbox.shown = outbox.shown.max(until);
    }

    /// The connection to the peer broke, or was not made.
    pub(super) fn down(&mut self, limits: &Limits, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        self.out.sent = None;
        self.out.line = if self.out.is_wanted() {
            out.push(Effect::SetTimer { timer: Timer::Redial(it), after: limits.redial });
            Line::Waiting
        } else {
            Line::None
        };
    }

    /// Closes both connections.
    pub(super) fn hang(&mut self, it: MemberId, out: &mut impl Effects<Effect<A, T>>) {
        match self.out.line {
            Line::None => {}
            Line::Dialling | Line::Up => out.push(Effect::Hang(it)),
            Line::Waiting => out.push(Effect::ClearTimer(Timer::Redial(it))),
        }
        if self.inbox.up {
            out.push(Effect::HangCaller(it));
        }
        if self.is_missed() {
            out.push(Effect::ClearTimer(Timer::Missing(it)));
        }
    }
}

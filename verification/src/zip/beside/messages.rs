//! A process that exchanges messages: its machine, and its application, which follows a script.

use std::sync::Arc;

use cirrus_core::ids::MemberId;
use cirrus_core::member::{self, Phase};
use cirrus_core::messages::{Config, Effect, Event, Messages, Outcome};

use super::Item;
use crate::tally::Part;
use crate::zip::Address;
use crate::zip::run::{Run, step};

/// A piece of a message says of which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The sending process.
    pub from: Address,
    /// The receiver.
    pub to: MemberId,
    /// Which of the messages to it, from 0.
    pub nth: u32,
    /// Which piece of it, from 0.
    pub index: u32,
}

/// A call of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// It sends a message to a process, of so many pieces.
    Say(Address, u32),
    /// It waits for the next message of a process.
    Hear(Address),
}

/// What a channel's messages are like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machines' configuration.
    pub config: Config,
    /// Who does what, each in this order.
    pub script: Vec<(Address, Deed)>,
    /// Applications call without waiting for the answer to the call before.
    pub eager: bool,
}

/// A process's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Talking {
    /// The machine.
    pub machine: Arc<Messages<Address, Piece>>,
    /// How many of its deeds are done.
    pub done: u32,
    /// Messages that were taken from it: for whom, and of how many pieces.
    pub said: Vec<(MemberId, u32)>,
    /// What became of them.
    pub outcomes: Vec<(MemberId, Outcome)>,
    /// Whose messages it waits for, or has waited for.
    pub awaited: Vec<MemberId>,
    /// What came of that.
    pub got: Vec<(MemberId, Option<Vec<Piece>>)>,
}

impl Deed {
    /// The other process.
    #[must_use]
    pub fn with(self) -> Address {
        let (Self::Say(other, _) | Self::Hear(other)) = self;
        other
    }
}

impl Talking {
    /// What its application does next.
    pub(super) fn next(&self, plan: &Plan, address: Address) -> Option<Deed> {
        let mut deeds = plan.script.iter().filter(|(who, _)| *who == address).map(|(_, deed)| *deed);
        deeds.nth(self.done as usize)
    }

    /// Whether its application may call.
    pub(super) fn may_call(&self, plan: &Plan) -> bool {
        let answered = self.said.len() == self.outcomes.len() && self.awaited.len() == self.got.len();
        self.machine.phase == Phase::Seated && (plan.eager || answered)
    }

    /// The messages that it has sent to a member: of how many pieces each.
    pub fn said_to(&self, to: MemberId) -> impl Iterator<Item = u32> {
        self.said.iter().filter(move |(it, _)| *it == to).map(|(_, pieces)| *pieces)
    }

    /// What became of them, as far as is known.
    pub fn outcomes_of(&self, to: MemberId) -> impl Iterator<Item = Outcome> {
        self.outcomes.iter().filter(move |(it, _)| *it == to).map(|(_, outcome)| *outcome)
    }

    /// The messages that it got of a member.
    pub fn got_from(&self, from: MemberId) -> impl Iterator<Item = &Vec<Piece>> {
        self.got.iter().filter(move |(it, _)| *it == from).filter_map(|(_, pieces)| pieces.as_ref())
    }

    /// How many more of its messages it waits for.
    #[must_use]
    pub fn waits_for(&self, from: MemberId) -> usize {
        let awaited = self.awaited.iter().filter(|it| **it == from).count();
        awaited.saturating_sub(self.got.iter().filter(|(it, _)| *it == from).count())
    }
}

impl Run<'_, '_> {
    fn talking(&mut self, address: Address) -> Option<&mut Talking> {
        match self.process(address)?.beside.as_mut()? {
            super::Beside::Messages(it) => Some(Arc::make_mut(it)),
            super::Beside::Shuffles(_) => None,
        }
    }

    /// The application does what comes next in its script.
    pub(in crate::zip) fn do_next(&mut self, address: Address) {
        let setup = self.setup;
        let Some(super::Plan::Messages(plan)) = &setup.beside else { return };
        let Some(deed) = self.talking(address).and_then(|it| it.next(plan, address)) else { return };
        let with = self.mesh.processes.get(deed.with() as usize).and_then(|it| it.machine.id);
        let Some(with) = with else { return };
        let me = self.mesh.processes.get(address as usize).and_then(|it| it.machine.id);
        // No application is on a daemon, and none has anything to say to one.
        let daemons = self.mesh.is_daemon(with) || me.is_some_and(|me| self.mesh.is_daemon(me));
        let Some(it) = self.talking(address) else { return };
        it.done = it.done.saturating_add(1);
        if daemons {
            return;
        }
        match deed {
            Deed::Say(_, count) => {
                let nth = u32::try_from(it.said_to(with).count()).unwrap_or(u32::MAX);
                it.said.push((with, count));
                let pieces = (0..count).map(|index| Piece { from: address, to: with, nth, index });
                let event = Event::Send { to: with, pieces: pieces.collect() };
                if self.talk(address, event)
                    && let Some(it) = self.talking(address)
                {
                    it.said.pop();
                }
            }
            Deed::Hear(_) => {
                it.awaited.push(with);
                if self.talk(address, Event::Receive { from: with })
                    && let Some(it) = self.talking(address)
                {
                    it.awaited.pop();
                }
            }
        }
    }

    /// Steps a member's messages. Whether it refused the call.
    pub(in crate::zip) fn talk(&mut self, address: Address, event: Event<Address, Piece>) -> bool {
        let setup = self.setup;
        let Some(super::Plan::Messages(plan)) = &setup.beside else { return false };
        let Some(process) = self.mesh.processes.get_mut(address as usize).filter(|it| it.alive) else {
            return false;
        };
        let Some(super::Beside::Messages(it)) = &mut Arc::make_mut(process).beside else { return false };
        let (machine, config) = (&mut Arc::make_mut(it).machine, &plan.config);
        let effects = step(Part::Messages, machine, config, event, self.watch, &[], &mut self.mesh.broken);
        let refused = effects.iter().any(|effect| matches!(effect, Effect::Refused(_)));
        for effect in effects {
            match effect {
                Effect::ToController(message) => self.tell_controller(address, message),
                Effect::Line(effect) => self.on_line(address, effect, Item::Part),
                Effect::Sent { to, outcome } => {
                    if let Some(it) = self.talking(address) {
                        it.outcomes.push((to, outcome));
                    }
                }
                Effect::Received { from, pieces } => {
                    if let Some(it) = self.talking(address) {
                        it.got.push((from, pieces));
                    }
                }
                Effect::Refused(_) => {}
                Effect::Ended(end) => self.beside_over(address, end),
                Effect::Drained => self.to(address, member::Event::Leave),
            }
        }
        refused
    }
}

//! A process that shuffles: its machine and its application, which sends as soon as it may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use cirrus_core::channel::{Role, Roll, RoundId};
use cirrus_core::ids::{MemberId, Round, Stamp};
use cirrus_core::member::{self, Phase};
use cirrus_core::shuffle::{Config, Effect, Event, Refusal, Shuffle, What};

use super::Item;
use crate::tally::Part;
use crate::zip::run::{Inner, Run, step};
use crate::zip::{Action, Address, Piece as Payload};

/// More than any application takes.
const PLENTY: u32 = 1000;

/// Records say from whom to whom they are, in which round, and which they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The sending process.
    pub from: Address,
    /// The round.
    pub round: RoundId,
    /// The receiver.
    pub to: MemberId,
    /// Which of those for it.
    pub nth: u32,
}

/// What a channel's shuffles are like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machines' configuration.
    pub config: Config,
    /// The roles of the processes that are in when it begins.
    pub roles: Vec<Role>,
    /// That of those who join later.
    pub joins_as: Role,
    /// Up to which round applications call.
    pub rounds: u64,
    /// Who hears of a later one calls for it, too.
    pub follows: bool,
    /// How many pieces a sender has for each receiver.
    pub pieces: u32,
    /// Whose application takes one piece at a time.
    pub slow: Vec<Address>,
}

/// What a channel says to the shuffle beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// A roster: a round, who hears of it, and the members.
    Roster(RoundId, Stamp, Arc<Roll<Address>>),
    /// The shuffle's own roster has gone its way.
    Convened,
}

/// Which side of a round a verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What was received.
    Received,
    /// What was sent.
    Sent,
}

/// A process's shuffles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shuffling {
    /// The machine.
    pub machine: Arc<Shuffle<Address, Piece>>,
    /// What the channel has said and the shuffle has not heard.
    pub unheard: VecDeque<Word>,
    /// The last round that the application has begun.
    pub begun: RoundId,
    /// Which piece it has for whom next; `None` if it is not sending.
    pub next: Option<u32>,
    /// The rosters that it has let the channel broadcast.
    pub convened: Vec<Arc<Roll<Address>>>,
    /// What it was allowed to send in a round to a member.
    pub pushed: BTreeMap<(RoundId, MemberId), Vec<Piece>>,
    /// What it got in a round from a member.
    pub got: BTreeMap<(RoundId, MemberId), Vec<Piece>>,
    /// How its rounds ended.
    pub verdicts: Vec<(RoundId, Side, Vec<MemberId>)>,
}

impl Shuffling {
    /// What it got from a member in a round.
    #[must_use]
    pub fn got_from(&self, from: MemberId, round: RoundId) -> &[Piece] {
        self.got.get(&(round, from)).map_or(&[], Vec::as_slice)
    }

    /// What it was allowed to send to a member in a round.
    #[must_use]
    pub fn pushed_to(&self, to: MemberId, round: RoundId) -> &[Piece] {
        self.pushed.get(&(round, to)).map_or(&[], Vec::as_slice)
    }

    /// Who was lost in a round, if it has ended.
    #[must_use]
    pub fn verdict(&self, round: RoundId, side: Side) -> Option<&[MemberId]> {
        let of = |(of, about, _): &&(RoundId, Side, Vec<MemberId>)| (*of, *about) == (round, side);
        self.verdicts.iter().find(of).map(|(_, _, lost)| lost.as_slice())
    }

    /// Whether its application may call, and wants to.
    pub(super) fn may_call(&self, plan: &Plan) -> bool {
        let shuffle = &self.machine;
        let waits = !shuffle.rosters.is_empty();
        let seated = shuffle.phase == Phase::Seated || shuffle.phase == Phase::Draining && waits;
        let busy = shuffle.called || shuffle.open.is_some();
        seated && !busy && (self.begun.round < Round(plan.rounds) || plan.follows && waits)
    }
}

impl Run<'_, '_> {
    fn shuffling(&mut self, address: Address) -> Option<&mut Shuffling> {
        match self.process(address)?.beside.as_mut()? {
            super::Beside::Shuffles(it) => Some(Arc::make_mut(it)),
            super::Beside::Messages(_) => None,
        }
    }

    pub(in crate::zip) fn for_shuffle(&mut self, address: Address, event: Event<Address, Piece>) {
        self.todo.push_back(Inner::Shuffle(address, event));
    }

    /// A newcomer's application says how much it can take.
    pub(in crate::zip) fn take_plenty(&mut self, address: Address) {
        let setup = self.setup;
        if let Some(super::Plan::Shuffles(plan)) = &setup.beside {
            let patient = if plan.slow.contains(&address) { 0 } else { PLENTY };
            self.for_shuffle(address, Event::Take(patient));
        }
    }

    /// What the channel has said is heard: a roster, and whether it was this member's own.
    pub(in crate::zip) fn notice(&mut self, address: Address) {
        let Some(it) = self.shuffling(address) else { return };
        let mut heard: Vec<Word> = it.unheard.pop_front().into_iter().collect();
        heard.extend(it.unheard.pop_front_if(|word| *word == Word::Convened));
        for word in heard {
            let event = match word {
                Word::Roster(round, cut, roll) => Event::Roster { round, cut, roll: (*roll).clone() },
                Word::Convened => Event::Convened,
            };
            self.for_shuffle(address, event);
        }
        if self.mesh.live(address).is_some_and(|it| it.has_news()) {
            self.sent(Action::Notice(address));
        }
    }

    /// The channel has delivered a round: in one of shuffles that is a roster.
    pub(in crate::zip) fn roster(&mut self, address: Address, round: RoundId, cut: Stamp, piece: &Payload) {
        let Some(roll) = &piece.roll else { return };
        if let Some(it) = self.shuffling(address) {
            it.unheard.push_back(Word::Roster(round, cut, Arc::clone(roll)));
            self.sent(Action::Notice(address));
        }
    }

    /// A broadcast of this member has ended: in a channel of shuffles that was a roster.
    pub(in crate::zip) fn convened(&mut self, address: Address) {
        match self.shuffling(address) {
            Some(it) if !it.unheard.is_empty() => it.unheard.push_back(Word::Convened),
            Some(_) => self.for_shuffle(address, Event::Convened),
            None => {}
        }
    }

    /// Steps a shuffle. Whether it refused the call because too much is under way.
    pub(in crate::zip) fn shuffle(&mut self, address: Address, event: Event<Address, Piece>) -> bool {
        let setup = self.setup;
        let Some(super::Plan::Shuffles(plan)) = &setup.beside else { return false };
        let Some(process) = self.mesh.processes.get_mut(address as usize).filter(|it| it.alive) else {
            return false;
        };
        let Some(super::Beside::Shuffles(it)) = &mut Arc::make_mut(process).beside else { return false };
        let (machine, config) = (&mut Arc::make_mut(it).machine, &plan.config);
        let effects = step(Part::Shuffle, machine, config, event, self.watch, &[], &mut self.mesh.broken);
        let full = effects.contains(&Effect::Refused(Refusal::Full));
        for effect in effects {
            self.on_shuffle(address, effect);
        }
        self.calls_again(address);
        full
    }

    fn on_shuffle(&mut self, address: Address, effect: Effect<Address, Piece>) {
        match effect {
            Effect::ToController(message) => self.tell_controller(address, message),
            Effect::Convene(roll) => self.convene(address, roll),
            Effect::Receive(count) => self.to(address, member::Event::Receive(count)),
            Effect::Line(effect) => self.on_line(address, effect, Item::Parcel),
            Effect::Begun { round, .. } => {
                if let Some(it) = self.shuffling(address) {
                    it.begun = round;
                    it.next = Some(0);
                }
                self.todo.push_back(Inner::Application(address));
            }
            Effect::Room { .. } => self.todo.push_back(Inner::Application(address)),
            Effect::Deliver { round, from, piece } => {
                if let Some(it) = self.shuffling(address) {
                    it.got.entry((round, from)).or_default().push(piece);
                }
            }
            Effect::Received { round, lost } => self.verdict(address, round, Side::Received, lost),
            Effect::Sent { round, lost } => self.verdict(address, round, Side::Sent, lost),
            Effect::Refused(_) => {}
            Effect::Ended(end) => self.beside_over(address, end),
            Effect::Drained => self.to(address, member::Event::Leave),
        }
    }

    fn convene(&mut self, address: Address, roll: Roll<Address>) {
        let Some(it) = self.shuffling(address) else { return };
        let roll = Arc::new(roll);
        it.convened.push(Arc::clone(&roll));
        let sequence = u32::try_from(it.convened.len()).unwrap_or(u32::MAX);
        self.to(address, member::Event::Send(vec![Payload::of_roll(address, sequence, roll)]));
    }

    fn verdict(&mut self, address: Address, round: RoundId, side: Side, lost: Vec<MemberId>) {
        if let Some(it) = self.shuffling(address) {
            it.verdicts.push((round, side, lost));
        }
    }

    /// The application gives what it has, one piece for each receiver after the other, as far as it may.
    pub(in crate::zip) fn send_on(&mut self, address: Address) {
        let setup = self.setup;
        let Some(super::Plan::Shuffles(plan)) = &setup.beside else { return };
        loop {
            let Some(it) = self.shuffling(address) else { return };
            let (Some(next), Some(open)) = (it.next, &it.machine.open) else { return };
            let count = u32::try_from(open.receivers.len()).unwrap_or(u32::MAX);
            let (nth, receiver) = (next / count.max(1), next % count.max(1));
            let round = open.round;
            let (sends, over) = (open.sending.is_some(), nth >= plan.pieces);
            let Some(to) = open.receivers.get(receiver as usize).copied().filter(|_| sends && !over) else {
                it.next = None;
                if sends {
                    self.for_shuffle(address, Event::End);
                }
                return;
            };
            let piece = Piece { from: address, round, to, nth };
            if self.shuffle(address, Event::Push { receiver, piece }) {
                return;
            }
            if let Some(it) = self.shuffling(address) {
                it.pushed.entry((round, to)).or_default().push(piece);
                it.next = Some(next.saturating_add(1));
            }
        }
    }

    /// An application that may call, or take, does so some time.
    pub(super) fn calls_again(&mut self, address: Address) {
        if self.mesh.can_call(self.setup, address) {
            self.sent(Action::Call(address));
        }
        if self.mesh.can_take(self.setup, address) {
            self.sent(Action::Take(address));
        }
    }
}

/// What is in a parcel, in words.
#[must_use]
pub fn in_words(what: &What<Piece>) -> String {
    match what {
        What::Piece(piece) => format!("piece {}", piece.nth),
        What::End => "the end mark".to_owned(),
    }
}

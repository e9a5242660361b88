//! One action carried out: machines step, and their effects go where a shell would send them.

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::channel::{Roll, RoundId, ToController, ToMember};
use cirrus_core::controller;
use cirrus_core::ids::{CallId, MemberId};
use cirrus_core::member::{self, Member};
use cirrus_core::rule::{Ruled, Step};
use cirrus_core::shuffle::{self, Refusal, Shuffle};

use super::{Action, Address, Group, Piece, Process, Setup, Side, Timer, Word};
use crate::tally::{Broken, Part, Tally};

type MemberEvent = member::Event<Address, Roll<Address>>;
type ShuffleEvent = shuffle::Event<Address, Piece>;
type ShuffleEffect = shuffle::Effect<Address, Piece>;

/// More than any application takes.
const PLENTY: u32 = 1000;

/// An event on its way to a machine.
#[derive(Clone, Debug)]
enum Inner {
    Controller(controller::Event<Address>),
    Member(Address, MemberEvent),
    Shuffle(Address, ShuffleEvent),
    /// An application may go on.
    Application(Address),
}

pub(super) struct Run<'a, 't> {
    pub(super) group: &'a mut Group,
    setup: &'a Setup,
    tally: Option<&'t mut Tally>,
    todo: VecDeque<Inner>,
}

impl Group {
    /// Carries out one action, and what happens at once because of it.
    pub fn apply(&mut self, setup: &Setup, action: &Action, tally: Option<&mut Tally>) {
        self.broken.clear();
        let mut run = Run { group: self, setup, tally, todo: VecDeque::new() };
        run.take(action);
        while let Some(next) = run.prompt() {
            run.take(&next);
        }
    }
}

impl From<Word> for ShuffleEvent {
    fn from(word: Word) -> Self {
        match word {
            Word::Roster(round, cut, roll) => Self::Roster { round, cut, roll },
            Word::Convened => Self::Convened,
        }
    }
}

/// One step of a machine, and what its rules say about it.
fn step<M: Ruled>(
    part: Part,
    machine: &mut Arc<M>,
    config: &M::Config,
    event: M::Event,
    tally: Option<&mut Tally>,
    broken: &mut Vec<Broken>,
) -> Vec<M::Effect> {
    let mut effects = Vec::new();
    match tally {
        None => Arc::make_mut(machine).step(config, event, &mut effects),
        Some(tally) => {
            let before = Arc::clone(machine);
            Arc::make_mut(machine).step(config, event.clone(), &mut effects);
            let after: &M = machine;
            tally.step(
                part,
                &Step { config, before: &*before, event: &event, effects: &effects, after },
                broken,
            );
        }
    }
    effects
}

impl Run<'_, '_> {
    fn take(&mut self, action: &Action) {
        if let Some(left) = action.fault().and_then(|fault| self.group.budget.get_mut(&fault)) {
            *left = left.saturating_sub(1);
        }
        self.begin(action);
        while let Some(inner) = self.todo.pop_front() {
            match inner {
                Inner::Controller(event) => self.controller(event),
                Inner::Member(address, event) => self.member(address, event),
                Inner::Shuffle(address, event) => _ = self.shuffle(address, event),
                Inner::Application(address) => self.send_on(address),
            }
        }
    }

    /// What this world does not leave for later.
    fn prompt(&self) -> Option<Action> {
        let waits = |process: &Arc<Process>| process.listens() && !process.unheard.is_empty();
        let hears = (0..).zip(&self.group.processes).find(|(_, process)| waits(process));
        let hear = hears.filter(|_| self.setup.prompt_rosters).map(|(address, _)| Action::Hear(address));
        hear.or_else(|| self.group.calls().next().filter(|_| self.setup.prompt_calls))
    }

    pub(super) fn process(&mut self, address: Address) -> Option<&mut Process> {
        self.group.processes.get_mut(address as usize).map(Arc::make_mut)
    }

    pub(super) fn for_member(&mut self, address: Address, event: MemberEvent) {
        self.todo.push_back(Inner::Member(address, event));
    }

    pub(super) fn for_shuffle(&mut self, address: Address, event: ShuffleEvent) {
        self.todo.push_back(Inner::Shuffle(address, event));
    }

    pub(super) fn say(&mut self, address: Address, message: ToController<Address>) {
        let Some(process) = self.group.processes.get(address as usize).filter(|it| !it.cut) else { return };
        if let Some(member) = process.member.id {
            self.todo.push_back(Inner::Controller(controller::Event::From { member, message }));
        }
    }

    fn begin(&mut self, action: &Action) {
        match *action {
            Action::Hear(address) => {
                let Some(process) = self.process(address) else { return };
                let mut heard: Vec<Word> = process.unheard.pop_front().into_iter().collect();
                heard.extend(process.unheard.pop_front_if(|word| *word == Word::Convened));
                for word in heard {
                    self.for_shuffle(address, word.into());
                }
            }
            Action::Connect(pair) => self.connect(pair),
            Action::Up(pair) => self.up(pair),
            Action::Down(pair) => self.down(pair),
            Action::Recontact(address) => {
                if let Some(process) = self.process(address) {
                    process.cut = false;
                }
                self.for_member(address, member::Event::ControllerUp);
                self.for_shuffle(address, shuffle::Event::ControllerUp);
            }
            Action::Lapse => {
                if let Some(root) = self.group.controller.tree.root() {
                    self.todo.push_back(Inner::Controller(controller::Event::Suspected(root)));
                }
            }
            Action::Fire(timer) | Action::Hasten(timer) => self.fire(timer),
            Action::Take(address) => self.for_shuffle(address, shuffle::Event::Take(1)),
            Action::Call(address) => self.for_shuffle(address, shuffle::Event::Shuffle),
            Action::Join => self.join(),
            Action::Leave(address) => self.for_shuffle(address, shuffle::Event::Leave),
            Action::Crash(address, kept) => {
                if let Some(process) = self.process(address) {
                    process.alive = false;
                }
                self.close_all(address, kept);
            }
            Action::Break(pair, kept) => {
                let Some(wire) = self.wire(pair) else { return };
                wire.broken = true;
                if !kept {
                    wire.up.clear();
                    wire.down.clear();
                }
            }
            Action::Cut(address) => {
                if let Some(process) = self.process(address) {
                    process.cut = true;
                }
            }
            Action::Fence(address) => self.fence(address),
            Action::Repeat(pair) => {
                let Some(wire) = self.wire(pair) else { return };
                wire.up.extend(wire.up.front().cloned());
                wire.down.extend(wire.down.front().copied());
            }
            Action::Overtake(pair) => {
                let Some(wire) = self.wire(pair) else { return };
                wire.up.rotate_right(usize::from(wire.up.len() > 1));
                wire.down.rotate_right(usize::from(wire.down.len() > 1));
            }
        }
    }

    fn fire(&mut self, timer: Timer) {
        self.group.timers.remove(&timer);
        match timer {
            Timer::Controller(timer) => {
                self.todo.push_back(Inner::Controller(controller::Event::Timer(timer)));
            }
            Timer::Member(address, timer) => self.for_member(address, member::Event::Timer(timer)),
            Timer::Shuffle(address, timer) => self.for_shuffle(address, shuffle::Event::Timer(timer)),
        }
    }

    fn join(&mut self) {
        let address = Address::try_from(self.group.processes.len()).unwrap_or(Address::MAX);
        let role = self.setup.roles.get(address as usize).copied().unwrap_or(self.setup.joins_as);
        self.group.processes.push(Arc::new(Process {
            member: Arc::new(Member::new(address)),
            shuffle: Arc::new(Shuffle::default()),
            alive: true,
            cut: false,
            unheard: VecDeque::new(),
            begun: RoundId::default(),
            next: None,
            pushed: Vec::new(),
            got: Vec::new(),
            verdicts: Vec::new(),
        }));
        let call = CallId(address.into());
        self.todo.push_back(Inner::Controller(controller::Event::Join { call, address, role }));
        let patient = if self.setup.slow.contains(&address) { 0 } else { PLENTY };
        self.for_shuffle(address, shuffle::Event::Take(patient));
    }

    /// The controller probes one that does not hear it, and gives up.
    fn fence(&mut self, address: Address) {
        let Some(process) = self.process(address) else { return };
        process.cut = true;
        let Some(member) = process.member.id else { return };
        self.controller(controller::Event::Suspected(member));
        if let Some(probe) = self.group.controller.record(member).and_then(|record| record.probe) {
            let timer = controller::Timer::Probe(member, probe);
            self.group.timers.remove(&Timer::Controller(timer));
            self.controller(controller::Event::Timer(timer));
        }
    }

    fn controller(&mut self, event: controller::Event<Address>) {
        let join = match &event {
            controller::Event::Join { address, .. } => Some(*address),
            _ => None,
        };
        let (group, config) = (&mut *self.group, &self.setup.controller);
        let tally = self.tally.as_deref_mut();
        let effects = step(Part::Controller, &mut group.controller, config, event, tally, &mut group.broken);
        for effect in effects {
            match effect {
                controller::Effect::Accept { member, .. } => {
                    Arc::make_mut(&mut self.group.seats).extend(join.map(|address| (member, address)));
                }
                controller::Effect::Refuse { .. } => {}
                controller::Effect::Send { to, message } => self.word(to, message),
                controller::Effect::SetTimer { timer, .. } => {
                    self.group.timers.insert(Timer::Controller(timer));
                }
                controller::Effect::ClearTimer(timer) => {
                    self.group.timers.remove(&Timer::Controller(timer));
                }
            }
        }
    }

    /// Every word of the controller is for the member and for the shuffle.
    fn word(&mut self, to: MemberId, word: ToMember<Address>) {
        let Some(address) = self.group.seats.get(&to).copied() else { return };
        if self.group.live(address).is_some_and(|process| !process.cut) {
            self.for_shuffle(address, shuffle::Event::Controller(word.clone()));
            self.for_member(address, member::Event::Controller(word));
        }
    }

    fn member(&mut self, address: Address, event: MemberEvent) {
        if self.group.live(address).is_none() {
            return;
        }
        let Some(process) = self.group.processes.get_mut(address as usize) else { return };
        let (machine, config) = (&mut Arc::make_mut(process).member, &self.setup.member);
        let tally = self.tally.as_deref_mut();
        let effects = step(Part::Member, machine, config, event, tally, &mut self.group.broken);
        for effect in effects {
            self.on_tree(address, effect);
        }
    }

    /// Steps a shuffle. Whether it refused the call because too much is under way.
    fn shuffle(&mut self, address: Address, event: ShuffleEvent) -> bool {
        let Some(process) = self.group.processes.get_mut(address as usize).filter(|it| it.alive) else {
            return false;
        };
        let (machine, config) = (&mut Arc::make_mut(process).shuffle, &self.setup.shuffle);
        let tally = self.tally.as_deref_mut();
        let effects = step(Part::Shuffle, machine, config, event, tally, &mut self.group.broken);
        let full = effects.contains(&shuffle::Effect::Refused(Refusal::Full));
        for effect in effects {
            self.on_shuffle(address, effect);
        }
        full
    }

    fn on_shuffle(&mut self, address: Address, effect: ShuffleEffect) {
        match effect {
            shuffle::Effect::ToController(message) => self.say(address, message),
            shuffle::Effect::Convene(roll) => self.for_member(address, member::Event::Send(vec![roll])),
            shuffle::Effect::Receive(count) => self.for_member(address, member::Event::Receive(count)),
            shuffle::Effect::Line(effect) => self.on_line(address, effect),
            shuffle::Effect::Begun { round, .. } => {
                if let Some(process) = self.process(address) {
                    process.begun = round;
                    process.next = Some(0);
                }
                self.todo.push_back(Inner::Application(address));
            }
            shuffle::Effect::Room { .. } => self.todo.push_back(Inner::Application(address)),
            shuffle::Effect::Deliver { from, piece, .. } => {
                if let Some(process) = self.process(address) {
                    process.got.push((from, piece));
                }
            }
            shuffle::Effect::Received { round, lost } => self.verdict(address, round, Side::Received, lost),
            shuffle::Effect::Sent { round, lost } => self.verdict(address, round, Side::Sent, lost),
            shuffle::Effect::Refused(_) | shuffle::Effect::Ended(_) => {}
            shuffle::Effect::Drained => self.for_member(address, member::Event::Leave),
        }
    }

    fn verdict(&mut self, address: Address, round: RoundId, side: Side, lost: Vec<MemberId>) {
        if let Some(process) = self.process(address) {
            process.verdicts.push((round, side, lost));
        }
    }

    /// The application gives what it has, one piece for each receiver after the other, as far as it may.
    fn send_on(&mut self, address: Address) {
        loop {
            let Some(process) = self.group.processes.get(address as usize) else { return };
            let (Some(next), Some(open)) = (process.next, &process.shuffle.open) else { return };
            let count = u32::try_from(open.receivers.len()).unwrap_or(u32::MAX);
            let (nth, receiver) = (next / count.max(1), next % count.max(1));
            let round = open.round;
            let (sends, over) = (open.sending.is_some(), nth >= self.setup.pieces);
            let Some(to) = open.receivers.get(receiver as usize).copied().filter(|_| sends && !over) else {
                if let Some(process) = self.process(address) {
                    process.next = None;
                }
                if sends {
                    self.for_shuffle(address, shuffle::Event::End);
                }
                return;
            };
            let piece = Piece { from: address, round, to, nth };
            if self.shuffle(address, shuffle::Event::Push { receiver, piece }) {
                return;
            }
            if let Some(process) = self.process(address) {
                process.pushed.push(piece);
                process.next = Some(next.saturating_add(1));
            }
        }
    }
}

//! One action carried out: machines step, and their effects go where a shell would send them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cirrus_core::channel::{Pace, Tenancy, ToMember};
use cirrus_core::controller;
use cirrus_core::ids::{CallId, FanOut, LinkId, Sequence};
use cirrus_core::member::{self, Kind, Member};
use cirrus_core::rule::{RuleName, Ruled, Step};
use cirrus_core::{messages, shuffle};

use super::beside::{self, News};
use super::{
    Action, Address, Check, FromRoot, Mesh, Piece, Plan, Process, RULES, Setup, Timer, ToRoot, Watch, Wire,
};
use crate::tally::Part;

type MemberEvent = member::Event<Address, Piece>;
type MemberEffect = member::Effect<Address, Piece>;

/// An event on its way to a machine.
#[derive(Clone, Debug)]
pub(super) enum Inner {
    Controller(controller::Event<Address>),
    Member(Address, MemberEvent),
    Shuffle(Address, shuffle::Event<Address, beside::shuffles::Piece>),
    Messages(Address, messages::Event<Address, beside::messages::Piece>),
    /// An application that shuffles may go on.
    Application(Address),
}

pub(super) struct Run<'a, 'w> {
    pub(super) mesh: &'a mut Mesh,
    pub(super) setup: &'a Setup,
    pub(super) watch: &'a mut Watch<'w>,
    pub(super) todo: VecDeque<Inner>,
    /// Who calls the controller finds nobody.
    pub(super) unanswered: bool,
}

impl Mesh {
    /// Carries out one action, and what happens at once because of it.
    pub fn apply(&mut self, setup: &Setup, action: &Action, watch: &mut Watch<'_>) {
        self.broken.clear();
        let mut run = Run { mesh: self, setup, watch, todo: VecDeque::new(), unanswered: false };
        run.take(action);
        while let Some(next) = run.prompt() {
            run.take(&next);
        }
    }
}

/// One step of a machine, and what its rules say about it.
pub(super) fn step<M: Ruled>(
    part: Part,
    machine: &mut Arc<M>,
    config: &M::Config,
    event: M::Event,
    watch: &mut Watch<'_>,
    unasked: &[RuleName],
    broken: &mut Vec<crate::tally::Broken>,
) -> Vec<M::Effect> {
    let mut effects = Vec::new();
    match &mut watch.tally {
        None => Arc::make_mut(machine).step(config, event, &mut effects),
        Some(tally) => {
            let before = Arc::clone(machine);
            Arc::make_mut(machine).step(config, event.clone(), &mut effects);
            let after: &M = machine;
            tally.step_except(
                part,
                &Step { config, before: &*before, event: &event, effects: &effects, after },
                unasked,
                broken,
            );
        }
    }
    effects
}

/// All values, one after the other.
fn combine(inputs: Vec<Piece>) -> Piece {
    let mut inputs = inputs.into_iter();
    let mut all = inputs.next().expect("there is something to combine");
    let mut with = all.with.to_vec();
    for input in inputs {
        // Pieces of different places would be a mistake: it shows in the values.
        let place = if input.index == all.index { input.sender } else { Address::MAX };
        with.push((place, input.sequence));
        with.extend(input.with.iter());
    }
    all.with = with.into();
    all
}

impl Run<'_, '_> {
    fn take(&mut self, action: &Action) {
        if let Some(fault) = action.fault()
            && let Some(left) = self.mesh.budget.get_mut(&fault)
        {
            *left = left.saturating_sub(1);
        }
        self.begin(action);
        while let Some(inner) = self.todo.pop_front() {
            match inner {
                Inner::Controller(event) => self.controller(event),
                Inner::Member(address, event) => self.member(address, event),
                Inner::Shuffle(address, event) => _ = self.shuffle(address, event),
                Inner::Messages(address, event) => _ = self.talk(address, event),
                Inner::Application(address) => self.send_on(address),
            }
        }
    }

    /// What this world does not leave for later.
    fn prompt(&self) -> Option<Action> {
        let control = self.setup.prompt_control.then(|| self.mesh.on_control().next()).flatten();
        let links = || self.setup.prompt_links.then(|| self.mesh.on_calls().next()).flatten();
        let tree = || self.setup.prompt_tree.then(|| self.mesh.on_tree().next()).flatten();
        let notices = || self.setup.prompt_notices.then(|| self.mesh.notices().next()).flatten();
        let pipes = || self.setup.prompt_pipes.then(|| self.mesh.pipe_calls().next()).flatten();
        control.or_else(links).or_else(tree).or_else(notices).or_else(pipes)
    }

    pub(super) fn process(&mut self, address: Address) -> Option<&mut Process> {
        self.mesh.processes.get_mut(address as usize).map(Arc::make_mut)
    }

    pub(super) fn wire(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.mesh.wires.get_mut(&link).map(Arc::make_mut)
    }

    /// Something was put on its way, and will arrive with this.
    pub(super) fn sent(&mut self, arrival: Action) {
        self.watch.sent.push(arrival);
    }

    pub(super) fn to(&mut self, address: Address, event: MemberEvent) {
        self.todo.push_back(Inner::Member(address, event));
    }

    fn begin(&mut self, action: &Action) {
        match *action {
            Action::Hear(address) => self.hear(address),
            Action::Say(address) => self.say(address),
            Action::Connect(link) => self.connect(link),
            Action::Up(link) => self.up(link),
            Action::Down(link) => self.down(link),
            Action::ConnectRoot(address) => self.connect_root(address),
            Action::DirectUp(address) => self.direct_up(address),
            Action::DirectDown(address) => self.direct_down(address),
            Action::Lapse => {
                if let Some(root) = self.mesh.controller.tree.root() {
                    self.todo.push_back(Inner::Controller(controller::Event::Suspected(root)));
                }
            }
            Action::Fire(timer) | Action::Hasten(timer) => self.fire(timer),
            Action::Send(address) => self.send(address),
            Action::Join => self.join(None),
            Action::Daemon(machine) => self.join(Some(Tenancy::Daemon(machine))),
            Action::Leave(address) if self.setup.beside.is_some() => self.for_beside(address, News::Leave),
            Action::Leave(address) => self.to(address, member::Event::Leave),
            Action::Fence(address) => self.fence(address),
            Action::Expire(address) => {
                if let Some(member) = self.mesh.live(address).and_then(|process| process.machine.id) {
                    self.todo.push_back(Inner::Controller(controller::Event::Expiring(member)));
                }
            }
            Action::Reshape => {
                let wider = FanOut(self.mesh.controller.tree.fan_out().0 + 1);
                self.todo.push_back(Inner::Controller(controller::Event::Reshape(wider)));
            }
            Action::Pace => self.pace(),
            Action::Restart => self.restart(),
            Action::Crash(address, kept) => self.crash(address, kept),
            Action::Stop(address) => self.stop(address),
            Action::Break(link, kept) => self.cut(link, kept),
            Action::Block(link) => {
                let Some(wire) = self.wire(link) else { return };
                let (one, other) = (wire.child, wire.parent);
                self.mesh.blocked.insert((one.min(other), one.max(other)));
                self.cut(link, false);
            }
            Action::BreakControl(address) => {
                if let Some(process) = self.process(address) {
                    process.control = super::Control { cut: true, ..super::Control::default() };
                }
                self.lost(address);
            }
            Action::Unanswered(address) => {
                let timer = self.mesh.live(address).and_then(|process| process.calls_controller());
                let Some(timer) = timer else { return };
                self.unanswered = true;
                self.fire(Timer::Member(address, timer));
            }
            Action::BreakDirect(address) => self.shut_direct(address, true),
            other => self.past_the_tree(other),
        }
    }

    /// A piece, or a word, of a member reaches the root.
    fn direct_up(&mut self, address: Address) {
        let Some(from) = self.mesh.live(address).and_then(|process| process.machine.id) else { return };
        let Some(direct) = self.process(address).and_then(|process| process.direct.as_mut()) else { return };
        let to = direct.to;
        match direct.up.pop_front() {
            Some(ToRoot::Submit(submit)) => self.to(to, member::Event::Submitted { from, submit }),
            Some(ToRoot::Collect(resume)) => self.to(to, member::Event::Collected { from, resume }),
            None => {}
        }
    }

    /// The root's rounds took so long in a tree that half of it is less, or longer in a chain than in the tree.
    fn pace(&mut self) {
        let root = self.mesh.controller.tree.root().and_then(|root| self.mesh.seats.get(&root).copied());
        let sends = self.setup.sends.first().map(|(address, _)| *address);
        let sender = sends.and_then(|address| self.mesh.live(address)?.machine.id);
        let busy = if self.mesh.controller.tree.fan_out() == FanOut(1) { 40_000_000 } else { 20_000_000 };
        let pace = Pace { rounds: 1, bytes: 1 << 30, piece: 1 << 20, busy, quickest: 0, sender };
        if let Some(root) = root {
            self.to(root, member::Event::Paced(pace));
        }
    }

    /// A link breaks; what was under way is lost, or still arrives.
    fn cut(&mut self, link: LinkId, kept: bool) {
        let Some(wire) = self.wire(link) else { return };
        wire.broken = true;
        if !kept {
            wire.up.clear();
            wire.down.clear();
        }
        self.sent(Action::Up(link));
        self.sent(Action::Down(link));
    }

    fn hear(&mut self, address: Address) {
        let word = self.process(address).and_then(|process| process.control.down.pop_front());
        let Some(word) = word else { return };
        let joins = matches!(word, ToMember::Welcome(_));
        if self.setup.beside.is_some() {
            self.for_beside(address, News::Word(word.clone()));
        }
        self.to(address, member::Event::Controller(word));
        // A shuffle says itself how many rosters it can take.
        if joins && !matches!(self.setup.beside, Some(Plan::Shuffles(_))) {
            self.to(address, member::Event::Receive(self.setup.wanted));
        }
    }

    fn say(&mut self, address: Address) {
        let Some(process) = self.process(address) else { return };
        let Some(message) = process.control.up.pop_front() else { return };
        if let Some(member) = process.machine.id {
            self.todo.push_back(Inner::Controller(controller::Event::From { member, message }));
        }
    }

    fn fire(&mut self, timer: Timer) {
        self.mesh.timers.remove(&timer);
        match timer {
            Timer::Controller(timer) => {
                self.todo.push_back(Inner::Controller(controller::Event::Timer(timer)));
            }
            Timer::Member(address, timer) => self.to(address, member::Event::Timer(timer)),
            Timer::Beside(address, timer) => self.for_beside(address, News::Timer(timer)),
        }
    }

    fn send(&mut self, address: Address) {
        let Some(process) = self.mesh.live(address) else { return };
        let called = process.called();
        let mut planned = self.setup.sends.iter().filter(|(sender, _)| *sender == address);
        let everybody = self.setup.everybody.as_ref().map(|all| &all.pieces);
        let planned = match everybody {
            Some(pieces) => pieces.get(called % pieces.len().max(1)),
            None => planned.nth(called).map(|(_, pieces)| pieces),
        };
        let Some(pieces) = planned else { return };
        let sequence = Sequence(u32::try_from(called + 1).unwrap_or(u32::MAX));
        let piece = |index| Piece { sender: address, sequence, index, with: Arc::default(), roll: None };
        let pieces = (0..*pieces).map(piece).collect();
        self.to(
            address,
            match self.setup.member.kind {
                Kind::Broadcast => member::Event::Send(pieces),
                Kind::Reduce | Kind::Handled => member::Event::Reduce(pieces),
            },
        );
    }

    /// Somebody wants to join: this, or an application.
    fn join(&mut self, tenancy: Option<Tenancy>) {
        let address = Address::try_from(self.mesh.processes.len()).unwrap_or(Address::MAX);
        let role = self.setup.role(address);
        let tenancy = tenancy.unwrap_or(Tenancy::Lambda(self.setup.machine(address)));
        self.mesh.processes.push(Arc::new(Process {
            machine: Arc::new(Member::new(address, role, tenancy)),
            alive: true,
            control: super::Control::default(),
            direct: None,
            delivered: Vec::new(),
            outcomes: Vec::new(),
            results: BTreeSet::new(),
            reduced: Vec::new(),
            beside: self.setup.beside.as_ref().map(Plan::begin),
        }));
        let call = CallId(address.into());
        self.todo.push_back(Inner::Controller(controller::Event::Join { call, address, role, tenancy }));
        self.take_plenty(address);
    }

    /// All that the process had open is closed; the others notice when they have read what is left.
    fn crash(&mut self, address: Address, kept: bool) {
        if let Some(process) = self.process(address) {
            process.alive = false;
            if !kept {
                process.control.up.clear();
            }
            process.control.down.clear();
        }
        self.close_all(address, kept);
    }

    /// A process does nothing any more. Nobody sees that past the tree.
    fn stop(&mut self, address: Address) {
        if let Some(process) = self.process(address) {
            process.alive = false;
            process.control.down.clear();
        }
        self.close_in_tree(address, true);
    }

    pub(super) fn controller(&mut self, event: controller::Event<Address>) {
        let mesh = &mut *self.mesh;
        let config = &self.setup.controller;
        let (machine, unasked) = (&mut mesh.controller, self.watch.unasked);
        let effects = step(Part::Controller, machine, config, event, self.watch, unasked, &mut mesh.broken);
        for effect in effects {
            match effect {
                controller::Effect::Accept { call: CallId(address), member } => {
                    // A process joins once, with its address as the number of the call.
                    let address = Address::try_from(address).unwrap_or(Address::MAX);
                    Arc::make_mut(&mut self.mesh.seats).insert(member, address);
                }
                controller::Effect::Refuse { call: CallId(address), .. } => {
                    let address = Address::try_from(address).unwrap_or(Address::MAX);
                    if let Some(process) = self.process(address) {
                        process.alive = false; // It gives up.
                    }
                }
                controller::Effect::Send { to, message } => self.send_word(to, message),
                controller::Effect::SetTimer { timer, after } => self.set(Timer::Controller(timer), after),
                controller::Effect::ClearTimer(timer) => {
                    self.mesh.timers.remove(&Timer::Controller(timer));
                }
            }
        }
    }

    pub(super) fn set(&mut self, timer: Timer, after: cirrus_core::ids::Millis) {
        self.mesh.timers.insert(timer);
        self.watch.set.push((timer, after));
    }

    fn member(&mut self, address: Address, event: MemberEvent) {
        if self.mesh.live(address).is_none() {
            return;
        }
        let Some(process) = self.mesh.processes.get_mut(address as usize) else { return };
        let machine = &mut Arc::make_mut(process).machine;
        let config = &self.setup.member;
        let effects = step(Part::Member, machine, config, event, self.watch, &[], &mut self.mesh.broken);
        for effect in effects {
            self.effect(address, effect);
        }
    }

    fn effect(&mut self, address: Address, effect: MemberEffect) {
        match effect {
            member::Effect::ToController(message) => self.tell_controller(address, message),
            member::Effect::CallController => self.call_controller(address),
            member::Effect::HangController => {} // There are no two controllers at a time here.
            member::Effect::Dial { link, address: parent, relay } => self.dial(address, link, parent, relay),
            member::Effect::Send { link, frame } => self.send_frame(address, link, frame),
            member::Effect::Hang(link) => self.hang(address, link),
            member::Effect::DialRoot { term, address: to } => self.dial_root(address, term, to),
            member::Effect::HangRoot(term) => {
                let direct = self.mesh.processes.get(address as usize).and_then(|it| it.direct.as_ref());
                if direct.is_some_and(|direct| direct.term == term) {
                    self.shut_direct(address, false);
                }
            }
            member::Effect::Submit(submit) => self.send_root(address, ToRoot::Submit(submit)),
            member::Effect::Collect(resume) => self.send_root(address, ToRoot::Collect(resume)),
            member::Effect::Hand { to, chunk } => self.send_from_root(address, to, FromRoot::Hand(chunk)),
            member::Effect::Go { to, term, sequence, index } => {
                self.send_from_root(address, to, FromRoot::Go(term, sequence, index));
            }
            member::Effect::HangSubmitter(from) => {
                if let Some((sender, direct)) = self.direct_of(from, address) {
                    direct.shut = true;
                    direct.up.clear();
                    self.sent(Action::DirectDown(sender));
                }
            }
            member::Effect::Deliver { head, pieces } => self.deliver(address, head, pieces),
            member::Effect::Sent { sequence, outcome } => {
                self.convened(address);
                if let Some(process) = self.process(address) {
                    process.outcomes.push((sequence, outcome));
                }
            }
            member::Effect::Combine { term, at, index, inputs } => {
                let value = combine(inputs);
                self.to(address, member::Event::Combined { term, at, index, value });
            }
            member::Effect::Reduced { round, outcome } => {
                if let Some(process) = self.process(address) {
                    process.reduced.push((round, outcome));
                }
            }
            member::Effect::Refused(_) => {}
            member::Effect::Ended(end) => {
                self.over(address, end);
                self.close_all(address, true);
            }
            member::Effect::SetTimer { timer, after } => self.set(Timer::Member(address, timer), after),
            member::Effect::ClearTimer(timer) => {
                self.mesh.timers.remove(&Timer::Member(address, timer));
            }
        }
    }

    fn deliver(&mut self, address: Address, head: cirrus_core::channel::Head, pieces: Option<Vec<Piece>>) {
        if let Some(tally) = &mut self.watch.tally {
            for (place, rule) in RULES.iter().enumerate() {
                if let Check::Delivery(check) = rule.check {
                    let process = &self.mesh.processes[address as usize];
                    let verdict = check(self.setup, self.mesh, process, &head, pieces.as_deref());
                    tally.add(Part::Mesh, place, rule.name, verdict, &mut self.mesh.broken);
                }
            }
        }
        let handler = self.setup.member.kind.is_handled();
        if let Some(process) = self.process(address) {
            // Others have the bytes, where one handles them.
            let handled = handler && head.sealed.as_ref().is_some_and(|seal| seal.failure.is_none());
            process.results.extend((handler && pieces.is_some()).then_some(head.id.round));
            process.delivered.push((head.clone(), pieces.is_some() || handled));
        }
        if let Some(piece) = pieces.iter().flatten().next() {
            self.roster(address, head.id, head.cut, piece);
        }
    }
}

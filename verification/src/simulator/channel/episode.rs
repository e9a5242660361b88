//! One channel from its first member to its last proof.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hasher;

use cirrus_core::controller::{self, Channel};
use cirrus_core::direct;
use cirrus_core::ids::{Millis, Round};
use cirrus_core::member;
use cirrus_core::rule::{RuleName, Ruled};

use super::bound::Bound;
use super::plan::{Plan, Planned, What, micros};
use super::queue::{Due, Queue};
use super::{Asked, Failed, Incident, Report, strike};
use crate::digest::{self, Digest};
use crate::simulator::Random;
use crate::tally::{Broken, Part};
use crate::zip::{self, Action, Address, Mesh, Process, Setup, Timer, Watch};

/// How many events before the end are shown when something breaks.
const SHOWN: usize = 60;
/// How many members of an odd state are shown.
const ODD: usize = 12;
/// What is shown of an event.
const WIDTH: usize = 200;

/// Rules of the controller that go through all members.
const LARGE: &[RuleName] = &[
    controller::rules::SPANNING,
    controller::rules::DEGREE,
    controller::rules::DEPTH,
    controller::rules::ROSTER_EXACT,
    controller::rules::TOLD,
];

/// A channel under way.
pub(super) struct Episode {
    pub(super) plan: Plan,
    steps: u64,
    pub(super) mesh: Mesh,
    pub(super) queue: Queue,
    pub(super) now: u64,
    /// Incidents that have not happened, nor been given up.
    open: u32,
    /// Faults may strike.
    faults: bool,
    pub(super) bound: Option<Bound>,
    happened: BTreeSet<Incident>,
    pub(super) report: Report,
    trace: Digest,
    set: Vec<(Timer, Millis)>,
    sent: Vec<Action>,
    /// What happened last, if it is noted.
    last: Option<VecDeque<String>>,
}

impl Episode {
    /// A channel that nobody has joined.
    pub(super) fn new(asked: &Asked, noted: bool) -> Self {
        let plan = Plan::new(asked);
        let mut watch = Watch::default();
        Self {
            mesh: Mesh::new(&plan.setup, &mut watch),
            plan,
            steps: asked.steps,
            queue: Queue::default(),
            now: 0,
            open: 0,
            faults: false,
            bound: None,
            happened: BTreeSet::new(),
            report: Report::default(),
            trace: Digest::default(),
            set: Vec::new(),
            sent: Vec::new(),
            last: noted.then(VecDeque::new),
        }
    }

    /// All of it.
    pub(super) fn run(mut self) -> Result<Report, Box<Failed>> {
        for number in 0..self.plan.members {
            self.queue.plan(u64::from(number) * self.plan.join_gap, Due::Joins);
        }
        if !self.plan.cold {
            let sends = std::mem::take(&mut self.plan.setup.sends); // Nobody sends yet.
            let silent = self.plan.setup.beside.as_ref().map(zip::Plan::silent);
            let beside = std::mem::replace(&mut self.plan.setup.beside, silent);
            self.until_quiet()?;
            self.plan.setup.sends = sends;
            self.plan.setup.beside = beside;
        }
        self.safety()?;
        self.heal()?;
        self.prove()?;
        self.report.trace = self.trace.finish();
        Ok(self.report)
    }

    /// Faults strike until all have, or the steps are used up.
    fn safety(&mut self) -> Result<(), Box<Failed>> {
        self.report.members = u64::from(self.plan.members);
        for Planned { incident, at, .. } in &self.plan.incidents {
            self.queue.plan(self.now + at, Due::Happens(*incident, 0));
            self.open += 1;
        }
        self.faults = true;
        self.reduce_until(Round(u64::MAX));
        self.begin_calls();
        let end = self.report.events + self.steps;
        let members = self.plan.members as usize;
        while self.mesh.processes.len() < members || self.open > 0 && self.report.events < end {
            let Some((at, due)) = self.queue.next() else { break };
            self.happens(at, due)?;
        }
        self.faults = false;
        Ok(())
    }

    /// No more faults: it must become quiet within the bound.
    fn heal(&mut self) -> Result<(), Box<Failed>> {
        // What was not sent by now is not sent any more.
        let mut sent: BTreeMap<Address, usize> = BTreeMap::new();
        let mesh = &self.mesh;
        self.plan.setup.sends.retain(|(address, _)| {
            let count = sent.entry(*address).or_default();
            *count += 1;
            let process = mesh.processes.get(*address as usize);
            process.is_some_and(|process| *count <= process.called())
        });
        self.catch_up();
        self.end_calls();
        self.begin_calls(); // Who has had fewer rounds than others may call for more than it was to.
        let bound = self.bound();
        self.bound = Some(bound);
        self.until_quiet()?;
        let time = (self.now.saturating_sub(bound.since)) * 1000 / bound.time;
        let events = (self.report.events - bound.began) * 1000 / bound.events;
        self.report.healing = (self.report.healing.0.max(time), self.report.healing.1.max(events));
        Ok(())
    }

    /// Somebody sends to all once more, and all get it.
    fn prove(&mut self) -> Result<(), Box<Failed>> {
        let members: Vec<Address> = self.mesh.applications().map(|(_, it)| it.machine.address).collect();
        if self.plan.setup.everybody.is_some() {
            return self.prove_reduce();
        }
        self.prove_beside()?;
        if matches!(self.plan.setup.beside, Some(zip::Plan::Shuffles(_))) {
            return Ok(()); // There nobody broadcasts.
        }
        let mut random = Random::new(self.plan.luck);
        let Some(address) = random.pick(&members).copied() else { return Ok(()) };
        self.plan.setup.sends.push((address, 2));
        self.bound = Some(self.bound());
        if self.mesh.can_send(&self.plan.setup, address) {
            self.report.broadcasts += 1;
            self.take(Action::Send(address))?;
        }
        self.until_quiet()
    }

    /// Goes on until nothing is under way; then all rules are asked.
    pub(super) fn until_quiet(&mut self) -> Result<(), Box<Failed>> {
        while let Some((at, due)) = self.queue.next().or_else(|| self.question()) {
            let waits = matches!(due, Due::Calls(_) | Due::Lapses(_));
            self.happens(at, due)?;
            let now = if waits { at } else { self.now };
            if let Some(bound) = self.bound
                && (now > bound.since + bound.time || self.report.events > bound.began + bound.events)
            {
                return Err(self.failed(Vec::new(), &format!("it does not become quiet: {due:?}")));
            }
        }
        let mut left = Vec::new();
        self.mesh.by_itself(&self.plan.setup, &mut left);
        if let Some(action) = left.first() {
            return Err(self.failed(Vec::new(), &format!("nothing leads to what can still happen: {action}")));
        }
        for timer in self.mesh.timers.iter().filter(|timer| is_question(timer)) {
            self.queue.arm(self.now + self.asks(), *timer);
        }
        self.report.quiet += 1;
        self.trace.write_u64(digest::of(&self.mesh));
        let mut broken = Vec::new();
        for (place, rule) in <Channel<Address> as Ruled>::RULES.iter().enumerate() {
            let verdict = (rule.check)(&self.plan.setup.controller, &self.mesh.controller);
            self.report.tally.add(Part::Controller, place, rule.name, verdict, &mut broken);
        }
        self.mesh.judge(&self.plan.setup, &mut self.report.tally, &mut broken);
        self.held(broken)
    }

    /// When nothing else is under way: a question that is answered with something new.
    fn question(&self) -> Option<(u64, Due)> {
        let mut timers = self.mesh.timers.iter().filter(|timer| is_question(timer));
        let timer = timers.find(|timer| self.mesh.is_due(**timer))?;
        Some((self.now + self.asks(), Due::Fires(*timer)))
    }

    /// How often it is asked whether all are still there.
    fn asks(&self) -> u64 {
        self.plan.setup.beside.as_ref().map_or(0, |plan| micros(plan.limits().missing))
    }

    fn held(&mut self, broken: Vec<Broken>) -> Result<(), Box<Failed>> {
        if broken.is_empty() { Ok(()) } else { Err(self.failed(broken, "a rule is broken")) }
    }

    /// What is due happens, if it still can.
    fn happens(&mut self, at: u64, due: Due) -> Result<(), Box<Failed>> {
        let action = match due {
            Due::Arrives(action) => can_arrive(&self.plan.setup, &self.mesh, action).then_some(action),
            // Who waits for one that lives asks for ever; that is no reason to go on.
            Due::Fires(timer) if is_question(&timer) && !self.faults && !self.mesh.is_due(timer) => None,
            Due::Fires(timer) => self.mesh.timers.contains(&timer).then_some(Action::Fire(timer)),
            Due::Joins => Some(Action::Join),
            Due::Calls(address) => self.call(at, address),
            Due::Lapses(address) => self.lapses(at, address),
            Due::Happens(incident, tries) if self.faults => self.incident(at, incident, tries),
            Due::Happens(..) => None,
        };
        let Some(action) = action else { return Ok(()) };
        self.now = at;
        if let Action::Fire(Timer::Member(_, member::Timer::RoundDeadline(..))) = action
            && !self.faults
        {
            self.follow();
        }
        self.take(action)
    }

    /// Whether the lease of a dead one runs out now. It is asked again as long as its member has a place.
    fn lapses(&mut self, at: u64, address: Address) -> Option<Action> {
        let mesh = &self.mesh;
        let member = mesh.seats.iter().find(|(_, it)| **it == address).map(|(member, _)| *member)?;
        let record = mesh.controller.record(member);
        if record.is_some() || mesh.controller.recovery.is_some() {
            self.queue.plan(at + self.plan.lease, Due::Lapses(address));
        }
        let record = record?;
        let root = mesh.controller.tree.root() == Some(member);
        (root && record.probe.is_none()).then_some(Action::Lapse)
    }

    /// An incident, if it finds whom it concerns; else it is tried again a few times.
    fn incident(&mut self, at: u64, incident: Incident, tries: u32) -> Option<Action> {
        let planned = *self.plan.incidents.iter().find(|it| it.incident == incident)?;
        let again = |episode: &mut Self, after: u64| {
            if tries < strike::TRIES {
                episode.queue.plan(at + after, Due::Happens(incident, tries + 1));
            } else {
                episode.open -= 1;
            }
        };
        let mut random = Random::new(planned.luck.wrapping_add(tries.into()));
        let slowest = self.plan.latency.1;
        match planned.what {
            What::Send(address) => {
                if self.mesh.can_send(&self.plan.setup, address) {
                    self.open -= 1;
                    self.happened.insert(incident);
                    self.report.broadcasts += 1;
                    return Some(Action::Send(address));
                }
                // Its broadcast before that goes on, or it is not there yet, or not any more.
                again(self, slowest * 4);
                None
            }
            What::Call(address) => {
                self.open -= 1;
                let may = self.mesh.can_call(&self.plan.setup, address);
                self.happened.extend(may.then_some(incident));
                may.then_some(Action::Call(address))
            }
            What::Fault(kind) => {
                let action = strike::strike(&self.mesh, kind, &mut random);
                let Some(struck) = action.as_ref().and_then(Action::fault) else {
                    again(self, 1 + random.below(slowest * 4));
                    return None;
                };
                self.happened.insert(incident);
                *self.report.faults.entry(struck).or_default() += 1;
                if struck == kind {
                    self.open -= 1;
                } else {
                    again(self, slowest);
                }
                if let Some(Action::Crash(address, _) | Action::Stop(address)) = action {
                    self.queue.plan(at + self.plan.lease, Due::Lapses(address));
                }
                action
            }
        }
    }

    /// One event: a step of the mesh, what it put on its way is planned, and the rules are asked.
    pub(super) fn take(&mut self, action: Action) -> Result<(), Box<Failed>> {
        if let Some(last) = &mut self.last {
            if last.len() == SHOWN {
                last.pop_front();
            }
            let line: String = self.mesh.describe(&action).chars().take(WIDTH).collect();
            last.push_back(format!("{:>10} us  {line}", self.now));
        }
        match action {
            Action::Join => self.newcomer(),
            Action::Call(address) => self.count_call(address),
            _ => {}
        }
        // Who leaves at its deadline is missed like a dead one, should nobody hear of it.
        if let Action::Fire(Timer::Member(address, member::Timer::Drain))
        | Action::Hasten(Timer::Member(address, member::Timer::Drain)) = action
        {
            self.queue.plan(self.now + self.plan.lease, Due::Lapses(address));
        }
        let members = u64::from(self.mesh.controller.tree.len());
        let unasked = self.unasked(&action, members);
        let mut watch = Watch {
            tally: Some(&mut self.report.tally),
            unasked,
            set: std::mem::take(&mut self.set),
            sent: std::mem::take(&mut self.sent),
        };
        self.mesh.apply(&self.plan.setup, &action, &mut watch);
        (self.set, self.sent) = (watch.set, watch.sent);
        for arrival in self.sent.drain(..) {
            let way = match arrival {
                // An application thinks before it calls again.
                Action::Call(_) => self.plan.think + on_its_way(&self.plan, self.now, &arrival),
                _ => on_its_way(&self.plan, self.now, &arrival),
            };
            self.queue.plan(self.now + way, Due::Arrives(arrival));
        }
        for (timer, after) in self.set.drain(..) {
            self.queue.arm(self.now + micros(after), timer);
        }
        self.report.events += 1;
        self.trace.write_u64(self.now);
        self.trace.write_u64(digest::of(&action));
        let mut broken = std::mem::take(&mut self.mesh.broken);
        if self.report.events.is_multiple_of(1000 + 16 * members) {
            self.mesh.judge(&self.plan.setup, &mut self.report.tally, &mut broken);
        }
        self.held(broken)
    }

    /// The rules that are left out at this step.
    fn unasked(&mut self, action: &Action, members: u64) -> &'static [RuleName] {
        let to_controller = matches!(
            action,
            Action::Say(_)
                | Action::Join
                | Action::Daemon(_)
                | Action::Reshape
                | Action::Pace
                | Action::Lapse
                | Action::Fire(Timer::Controller(_))
        );
        if !to_controller {
            return &[];
        }
        self.report.controller.0 += 1;
        if self.report.controller.0.is_multiple_of(1 + members / 64) {
            self.report.controller.1 += 1;
            return &[];
        }
        LARGE
    }

    /// The members that have other rounds than the root, and the root, a line each.
    fn odd(&self) -> Vec<String> {
        let has = |process: &Process| {
            let broadcast = &process.machine.broadcast;
            (broadcast.term(), broadcast.floor(), broadcast.position())
        };
        let root = self.mesh.controller.tree.root().and_then(|root| self.mesh.of(root)).map(|it| has(it));
        let odd = self.mesh.staying().filter(|(member, process)| {
            Some(has(process)) != root || self.mesh.controller.tree.root() == Some(*member)
        });
        odd.take(ODD)
            .map(|(_, process)| {
                let machine = &process.machine;
                let parent = machine.links.parent.as_ref().map(|it| (it.parent.address, it.line));
                let streams = machine.broadcast.streams.iter();
                let below: Vec<_> = streams
                    .map(|(link, stream)| {
                        (link.0.serial, stream.next, stream.report.as_ref().map(|it| it.best))
                    })
                    .collect();
                let (term, floor, position) = has(process);
                let line = format!(
                    "{} under {parent:?}: term {}, floor {}, has {}, below {below:?}",
                    machine.address, term.0.serial, floor.0, position.0
                );
                line.chars().take(WIDTH).collect()
            })
            .collect()
    }

    pub(super) fn failed(&self, broken: Vec<Broken>, what: &str) -> Box<Failed> {
        let mut last = Vec::new();
        if let Some(lines) = &self.last {
            last.push(self.plan.describe());
            last.extend(lines.iter().cloned());
            last.extend(self.odd());
        }
        Box::new(Failed {
            event: self.report.events,
            broken,
            what: what.to_owned(),
            happened: self.happened.clone(),
            last,
        })
    }
}

/// How long something is on its way: by its luck, which depends on what it is and when it is sent, and on nothing else
/// that happens.
fn on_its_way(plan: &Plan, now: u64, arrival: &Action) -> u64 {
    let (low, high) = plan.latency;
    let luck = plan.luck ^ digest::of(arrival) ^ now.rotate_left(32);
    low + Random::new(luck).below(high - low + 1)
}

/// Whether something that was put on its way still arrives.
fn can_arrive(setup: &Setup, mesh: &Mesh, action: Action) -> bool {
    let direct = |address: Address| mesh.live(address).and_then(|process| process.direct.as_ref());
    match action {
        Action::Hear(address) => mesh.live(address).is_some_and(|it| !it.control.down.is_empty()),
        Action::Say(address) => {
            mesh.processes.get(address as usize).is_some_and(|it| !it.control.up.is_empty())
        }
        Action::Connect(link) => mesh.wires.get(&link).is_some_and(|wire| wire.dialling),
        Action::Up(link) => mesh.wires.get(&link).is_some_and(|wire| wire.reaches_parent()),
        Action::Down(link) => mesh.wires.get(&link).is_some_and(|wire| wire.reaches_child()),
        Action::ConnectRoot(address) => direct(address).is_some_and(|it| it.dialling),
        Action::DirectUp(address) => direct(address).is_some_and(|it| !it.shut && !it.up.is_empty()),
        Action::DirectDown(address) => {
            direct(address).is_some_and(|it| !it.dialling && (it.shut || !it.down.is_empty()))
        }
        Action::Notice(address) => mesh.live(address).is_some_and(|it| it.has_news()),
        Action::ConnectPipe(pair) => mesh.pipes.get(&pair).is_some_and(|pipe| pipe.dialling),
        Action::PipeUp(pair) => mesh.pipes.get(&pair).is_some_and(|pipe| pipe.reaches_called()),
        Action::PipeDown(pair) => mesh.pipes.get(&pair).is_some_and(|pipe| pipe.reaches_caller()),
        Action::Take(address) => mesh.can_take(setup, address),
        Action::Call(address) => mesh.can_call(setup, address),
        Action::Lapse
        | Action::Fire(_)
        | Action::Send(_)
        | Action::Join
        | Action::Daemon(_)
        | Action::Leave(_)
        | Action::Expire(_)
        | Action::Reshape
        | Action::Pace
        | Action::Restart
        | Action::Crash(..)
        | Action::Stop(_)
        | Action::Break(..)
        | Action::Block(_)
        | Action::BreakControl(_)
        | Action::BreakDirect(_)
        | Action::Unanswered(_)
        | Action::Hasten(_)
        | Action::BreakPipe(..)
        | Action::Fence(_)
        | Action::Repeat(_)
        | Action::Overtake(_) => false,
    }
}

/// Whether a timer asks whether all are still there.
fn is_question(timer: &Timer) -> bool {
    matches!(timer, Timer::Beside(_, direct::Timer::Silence))
}

//! A channel under a script: steps become actions of a mesh, and what changes is told.

use cirrus_core::bug::Bugs;
use cirrus_core::ids::{FanOut, LinkId, MemberId};
use cirrus_core::member::{self, Phase};
use cirrus_core::{controller, direct};

use super::changes;
use super::script::{Clock, Sort, Step, Way, Who};
use super::words::Words;
use crate::tally::Tally;
use crate::worlds::{self, zip::calm};
use crate::zip::beside::messages::Deed;
use crate::zip::{Action, Address, Mesh, Plan, Setup, Timer, Watch};

/// No channel of a few members needs more steps to come to rest.
const STEPS_MAX: usize = 2000;

/// A channel in the midst of its story.
pub(super) struct Scene {
    setup: Setup,
    mesh: Mesh,
    tally: Tally,
}

impl Scene {
    /// A channel whose first members are in.
    pub(super) fn new((members, fan_out): (u32, u32), sort: Sort, together: u32) -> Self {
        // As in a world in which nothing goes wrong, but for its size.
        let setup = match sort {
            Sort::Broadcast => calm(Bugs::default()).setup,
            Sort::Reduce(quorum) => worlds::zip::summing(quorum),
            Sort::Messages => worlds::messages::story(),
        };
        let (fan_out, sends, faults) = (FanOut(fan_out), Vec::new(), Default::default());
        let machines = (0..members).map(|member| u64::from(member / together.max(1))).collect();
        let setup = Setup { members, machines, fan_out, sends, faults, ..setup };
        let mesh = Mesh::new(&setup, &mut Watch::default());
        let mut scene = Self { setup, mesh, tally: Tally::default() };
        while let Some(action) = scene.by_itself(|_| true) {
            scene.mesh.apply(&scene.setup, &action, &mut Watch::default());
        }
        scene
    }

    /// The first thing of this sort that happens by itself.
    fn by_itself(&self, sort: impl FnMut(&Action) -> bool) -> Option<Action> {
        let mut actions = Vec::new();
        self.mesh.by_itself(&self.setup, &mut actions);
        actions.into_iter().find(sort)
    }

    /// Takes a step and tells what comes of it.
    pub(super) fn take(&mut self, step: &Step) -> Result<Vec<String>, String> {
        match *step {
            Step::Settle => return self.settle(|_| true),
            Step::SettleControl => {
                return self.settle(|action| matches!(action, Action::Hear(_) | Action::Say(_)));
            }
            Step::Tree => return Ok(vec![self.tree()]),
            Step::Look => return Ok(self.look()),
            Step::Send(who, pieces) => self.setup.sends.push((who, pieces)),
            Step::Say(from, to, pieces) => self.next(from, Deed::Say(to, pieces)),
            Step::HearOf(who, of) => self.next(who, Deed::Hear(of)),
            Step::Join
            | Step::Daemon(_)
            | Step::Leave(_)
            | Step::Reshape
            | Step::Pace
            | Step::Restart
            | Step::Call(_)
            | Step::Crash(..)
            | Step::Break(..)
            | Step::BreakPipe(..)
            | Step::Deliver(_)
            | Step::Connect(_)
            | Step::Fire(_)
            | Step::Lapse => {}
        }
        let action = self.action(step)?;
        // The script says itself what fires.
        let said = matches!(action, Action::Fire(_) | Action::Lapse);
        let taken = if said { None } else { Words(&self.mesh).taken(&action) };
        let mut lines: Vec<String> = taken.into_iter().collect();
        lines.extend(self.apply(&action, true)?.into_iter().map(|line| format!("  {line}")));
        Ok(lines)
    }

    /// What the application of a process does next.
    fn next(&mut self, who: Address, deed: Deed) {
        if let Some(Plan::Messages(plan)) = &mut self.setup.beside {
            plan.script.push((who, deed));
        }
    }

    /// Lets happen what happens by itself.
    fn settle(&mut self, sort: fn(&Action) -> bool) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        for _ in 0..STEPS_MAX {
            let Some(action) = self.by_itself(sort) else { return Ok(lines) };
            lines.extend(Words(&self.mesh).taken(&action));
            lines.extend(self.apply(&action, false)?.into_iter().map(|line| format!("  {line}")));
        }
        Err(format!("it does not come to rest in {STEPS_MAX} steps"))
    }

    /// Carries out an action, asks all rules, and tells what has changed.
    fn apply(&mut self, action: &Action, all: bool) -> Result<Vec<String>, String> {
        let before = self.mesh.clone();
        let mut watch = Watch { tally: Some(&mut self.tally), ..Watch::default() };
        self.mesh.apply(&self.setup, action, &mut watch);
        let set = watch.set;
        let mut broken = self.mesh.broken.clone();
        self.mesh.judge(&self.setup, &mut self.tally, &mut broken);
        if let Some(broken) = broken.first() {
            return Err(format!("breaks {} ({}): {}", broken.rule.promise, broken.rule.name, broken.detail));
        }
        let change = changes::Change { before: &before, after: &self.mesh, action, set: &set };
        Ok(change.lines(all))
    }

    fn action(&self, step: &Step) -> Result<Action, String> {
        let there = |who: Address| match self.mesh.live(who) {
            Some(_) => Ok(who),
            None => Err(format!("member {who} is not there")),
        };
        let action = match *step {
            Step::Join => Action::Join,
            Step::Daemon(of) => Action::Daemon(self.setup.machine(of)),
            Step::Leave(who) => Action::Leave(there(who)?),
            Step::Send(who, _) => Action::Send(there(who)?),
            Step::Say(who, ..) | Step::HearOf(who, _) => Action::Call(there(who)?),
            Step::BreakPipe(from, to) => match self.mesh.pipes.get(&(from, to)) {
                Some(_) => Action::BreakPipe((from, to), false),
                None => return Err("there is no such connection".to_owned()),
            },
            Step::Reshape => Action::Reshape,
            Step::Pace => Action::Pace,
            Step::Restart => Action::Restart,
            Step::Call(who) => {
                let process = self.mesh.live(who).ok_or("that member is not there")?;
                let timer = process.calls_controller().ok_or("that member has not lost its controller")?;
                Action::Fire(Timer::Member(who, timer))
            }
            Step::Crash(who, late) => Action::Crash(there(who)?, late),
            Step::Break(one, other) => {
                Action::Break(self.link(one, other).ok_or("there is no such link")?, false)
            }
            Step::Deliver(way) => self.deliver(way).ok_or("nothing is on its way there")?,
            Step::Connect(way) => self.connect(way).ok_or("nobody calls there")?,
            Step::Fire(clock) => Action::Fire(self.timer(clock).ok_or("that timer is not set")?),
            Step::Lapse => self.by_itself(|it| *it == Action::Lapse).ok_or("no dead root has a lease")?,
            Step::Settle | Step::SettleControl | Step::Tree | Step::Look => {
                return Err("no action".to_owned());
            }
        };
        Ok(action)
    }

    /// The link that stands between two members.
    fn link(&self, one: Address, other: Address) -> Option<LinkId> {
        let stands = self.mesh.wires.iter().find(|(_, wire)| {
            let ends = [(wire.child, wire.parent), (wire.parent, wire.child)];
            ends.contains(&(one, other)) && !wire.dialling && !wire.broken
        });
        stands.map(|(link, _)| *link)
    }

    fn deliver(&self, way: Way) -> Option<Action> {
        let ends = |link: &LinkId| self.mesh.wires.get(link).map(|wire| (wire.child, wire.parent));
        let root_of = |sender: Address| {
            let direct = self.mesh.processes.get(sender as usize)?.direct.as_ref()?;
            Some(direct.to)
        };
        self.by_itself(|action| match (action, way) {
            (Action::Hear(to), Way::Link(Who::Controller, Who::Member(who))) => *to == who,
            (Action::Say(from), Way::Link(Who::Member(who), Who::Controller)) => *from == who,
            (Action::Up(link), Way::Link(Who::Member(from), Who::Member(to))) => {
                ends(link) == Some((from, to))
            }
            (Action::Down(link), Way::Link(Who::Member(from), Who::Member(to))) => {
                ends(link) == Some((to, from))
            }
            (Action::DirectUp(sender), Way::Direct(from, to)) => *sender == from && root_of(from) == Some(to),
            (Action::DirectDown(sender), Way::Direct(from, to)) => *sender == to && root_of(to) == Some(from),
            (Action::PipeUp(pair), Way::Pipe(from, to)) => *pair == (from, to),
            (Action::PipeDown(pair), Way::Pipe(from, to)) => *pair == (to, from),
            _ => false,
        })
    }

    fn connect(&self, way: Way) -> Option<Action> {
        self.by_itself(|action| match (action, way) {
            (Action::Connect(link), Way::Link(Who::Member(child), Who::Member(parent))) => {
                self.mesh.wires.get(link).is_some_and(|wire| (wire.child, wire.parent) == (child, parent))
            }
            (Action::ConnectRoot(sender), Way::Direct(from, _)) => *sender == from,
            (Action::ConnectPipe(pair), Way::Pipe(from, to)) => *pair == (from, to),
            _ => false,
        })
    }

    fn timer(&self, clock: Clock) -> Option<Timer> {
        let address = |member: &MemberId| self.mesh.seats.get(member).copied();
        let wanted = |timer: &Timer| match (clock, timer) {
            (Clock::Probe(who), Timer::Controller(controller::Timer::Probe(member, _))) => {
                address(member) == Some(who)
            }
            (Clock::Reshape, Timer::Controller(controller::Timer::Reshape))
            | (Clock::Recovery, Timer::Controller(controller::Timer::Recovery)) => true,
            (Clock::Attach(who, other), Timer::Member(owner, member::Timer::Attach(link)))
            | (Clock::Redial(who, other), Timer::Member(owner, member::Timer::Redial(link))) => {
                *owner == who && changes::other_end(&self.mesh, who, *link) == Some(other)
            }
            (Clock::Deadline, Timer::Member(_, member::Timer::RoundDeadline(..))) => true,
            (Clock::Missing(who, other), Timer::Beside(owner, direct::Timer::Missing(member)))
            | (Clock::RedialPipe(who, other), Timer::Beside(owner, direct::Timer::Redial(member))) => {
                *owner == who && address(member) == Some(other)
            }
            (Clock::RedialRoot(who), Timer::Member(owner, member::Timer::RedialRoot(_))) => *owner == who,
            (Clock::Submission(who), Timer::Member(_, member::Timer::Submission(from, _))) => {
                address(from) == Some(who)
            }
            _ => false,
        };
        self.mesh.timers.iter().copied().find(wanted)
    }

    /// Who sits below whom.
    pub(super) fn tree(&self) -> String {
        let tree = &self.mesh.controller.tree;
        let reshapes = tree.reshapes_to().map(|to| format!("; on the way to fan-out {}", to.0));
        match tree.root() {
            Some(root) => format!("tree: {}{}", self.branch(root), reshapes.unwrap_or_default()),
            None => "tree: nobody".to_owned(),
        }
    }

    fn branch(&self, member: MemberId) -> String {
        let tree = &self.mesh.controller.tree;
        let below: Vec<String> = tree.children(member).map(|edge| self.branch(edge.member)).collect();
        let mut name = Words(&self.mesh).name(member);
        for lodger in tree.lodgers(member) {
            name += &format!("~{}", Words(&self.mesh).name(lodger.member));
        }
        if below.is_empty() { name } else { format!("{name} ({})", below.join(" ")) }
    }

    /// How everybody stands.
    fn look(&self) -> Vec<String> {
        let lines = (0..).zip(&self.mesh.processes).map(|(address, process): (Address, _)| {
            let broadcast = &process.machine.broadcast;
            let how = match process.machine.phase {
                _ if !process.alive => return format!("member {address}: dead"),
                Phase::Ended(member::End::Left) => return format!("member {address}: has left"),
                Phase::Ended(member::End::Fenced) => return format!("member {address}: fenced"),
                Phase::Ended(member::End::Overdue) => return format!("member {address}: has left unfinished"),
                Phase::Joining => ", joining",
                Phase::Seated => "",
                Phase::Draining | Phase::Leaving => ", leaving",
            };
            let root = if broadcast.reign.is_some() { ", root" } else { "" };
            let term = Words::stamp(broadcast.term().0);
            let (has, floor) = (broadcast.position().0, broadcast.floor().0);
            let half = broadcast.rounds.iter().find(|(_, held)| held.end.is_none()).map(|(round, held)| {
                format!(" and {} of round {}", changes::many(held.pieces.len(), "piece"), round.0)
            });
            let half = half.unwrap_or_default();
            format!("member {address}: term {term}{root}{how}; has round {has}{half}; round {floor} is everybody's")
        });
        lines.collect()
    }
}

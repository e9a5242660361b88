//! What can happen in a channel, in the order of a fair schedule.

use std::collections::BTreeSet;
use std::fmt;

use cirrus_core::ids::{LinkId, MachineId};
use cirrus_core::member::{self, Phase};
use cirrus_core::{controller, direct};

use super::{Address, End, Fault, Mesh, Pair, Setup, Timer, Wire};

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A member takes the controller's next word.
    Hear(Address),
    /// The controller takes a member's next word.
    Say(Address),
    /// A call to a parent arrives, or finds nobody.
    Connect(LinkId),
    /// The parent takes the child's next frame, or notices that the link is gone.
    Up(LinkId),
    /// The child takes the parent's next frame, or notices that the link is gone.
    Down(LinkId),
    /// A sender's call to the root arrives, or finds nobody.
    ConnectRoot(Address),
    /// The root takes a sender's next piece.
    DirectUp(Address),
    /// The sender takes the root's next word, or notices that the connection is gone.
    DirectDown(Address),
    /// The lease of a root that is dead runs out.
    Lapse,
    /// A timer fires.
    Fire(Timer),
    /// An application sends.
    Send(Address),
    /// What runs beside a member hears what the channel says.
    Notice(Address),
    /// A call past the tree arrives, or finds nobody.
    ConnectPipe(Pair),
    /// The called one takes the next thing, or notices that the connection is gone.
    PipeUp(Pair),
    /// The caller takes the next word, or notices that the connection is gone.
    PipeDown(Pair),
    /// A slow application takes something.
    Take(Address),
    /// An application calls what runs beside its member.
    Call(Address),
    /// A new process joins.
    Join,
    /// A machine's daemon joins.
    Daemon(MachineId),
    /// An application leaves.
    Leave(Address),
    /// The controller hears that a member nears the end of its life.
    Expire(Address),
    /// The fan-out becomes larger by one.
    Reshape,
    /// The root says that rounds take longer in this shape of the tree than they should.
    Pace,
    /// A fault: the controller dies, and is started again without what it knew.
    Restart,
    /// A fault: a process dies; what it had sent is lost, or still arrives.
    Crash(Address, bool),
    /// A fault: a process stands still, and its connections past the tree stand.
    Stop(Address),
    /// A fault: a link breaks; what was under way is lost, or still arrives.
    Break(LinkId, bool),
    /// A fault: a link breaks, all under way on it is lost, and its ends cannot reach each other except by relay.
    Block(LinkId),
    /// A fault: a member's connection to the controller breaks, and all under way on it is lost.
    BreakControl(Address),
    /// A fault: a sender's connection to the root breaks, and all under way on it is lost.
    BreakDirect(Address),
    /// A fault: a member calls the controller, and finds nobody.
    Unanswered(Address),
    /// A fault: a timer fires that would not have fired yet.
    Hasten(Timer),
    /// A fault: a connection past the tree breaks; what was under way is lost, or still arrives.
    BreakPipe(Pair, bool),
    /// A fault: a member is cut off from the controller, which declares it dead.
    Fence(Address),
    /// A fault: the next thing on a connection past the tree comes once more, at the end.
    Repeat(Pair),
    /// A fault: the last thing on a connection past the tree comes first.
    Overtake(Pair),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::cluster::compact(&format!("{self:?}")))
    }
}

impl Action {
    /// The fault that it is.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Crash(..) => Some(Fault::Crash),
            Self::Stop(_) => Some(Fault::Stop),
            Self::Break(..) => Some(Fault::Break),
            Self::Block(_) => Some(Fault::Block),
            Self::BreakControl(_) => Some(Fault::BreakControl),
            Self::BreakDirect(_) => Some(Fault::BreakDirect),
            Self::Hasten(Timer::Controller(_)) => Some(Fault::Suspect),
            Self::Hasten(Timer::Member(_, member::Timer::RoundDeadline(..))) => Some(Fault::Hurry),
            Self::Hasten(Timer::Member(_, member::Timer::Drain)) => Some(Fault::Overdue),
            Self::Unanswered(_) => Some(Fault::Unanswered),
            Self::Hasten(Timer::Member(..) | Timer::Beside(..)) => Some(Fault::Impatient),
            Self::BreakPipe(..) => Some(Fault::BreakPipe),
            Self::Fence(_) => Some(Fault::Fence),
            Self::Repeat(_) => Some(Fault::Repeat),
            Self::Overtake(_) => Some(Fault::Overtake),
            Self::Join => Some(Fault::Join),
            Self::Leave(_) => Some(Fault::Leave),
            Self::Expire(_) => Some(Fault::Expire),
            Self::Reshape => Some(Fault::Reshape),
            Self::Pace => Some(Fault::Pace),
            Self::Restart => Some(Fault::Restart),
            Self::Daemon(_) => Some(Fault::Daemon),
            Self::Hear(_)
            | Self::Say(_)
            | Self::Connect(_)
            | Self::Up(_)
            | Self::Down(_)
            | Self::ConnectRoot(_)
            | Self::DirectUp(_)
            | Self::DirectDown(_)
            | Self::Lapse
            | Self::Fire(_)
            | Self::Send(_)
            | Self::Notice(_)
            | Self::ConnectPipe(_)
            | Self::PipeUp(_)
            | Self::PipeDown(_)
            | Self::Take(_)
            | Self::Call(_) => None,
        }
    }

    /// In a word, what kind of step it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hear(_) => "hear",
            Self::Say(_) => "say",
            Self::Connect(_) => "connect",
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::ConnectRoot(_) => "connect to the root",
            Self::DirectUp(_) => "to the root",
            Self::DirectDown(_) => "from the root",
            Self::Lapse => "lapse",
            Self::Fire(Timer::Member(_, member::Timer::Reregister(_))) => "recontact",
            Self::Fire(_) => "timer",
            Self::Send(_) => "send",
            Self::Notice(_) => "notice",
            Self::ConnectPipe(_) => "connect past the tree",
            Self::PipeUp(_) => "up past the tree",
            Self::PipeDown(_) => "down past the tree",
            Self::Take(_) => "take",
            Self::Call(_) => "call",
            _ => self.fault().map_or("", Fault::name),
        }
    }
}

impl Wire {
    /// Whether the parent has something to read or to notice.
    pub(crate) fn reaches_parent(&self) -> bool {
        let gone = self.broken || self.child_end == End::Shut;
        !self.dialling && self.parent_end == End::Open && (gone || !self.up.is_empty())
    }

    /// Whether the child has something to read or to notice.
    pub(crate) fn reaches_child(&self) -> bool {
        let gone = self.broken || self.parent_end == End::Shut;
        !self.dialling && self.child_end == End::Open && (gone || !self.down.is_empty())
    }
}

impl Mesh {
    /// What happens between controller and members without anybody's doing.
    pub(super) fn on_control(&self) -> impl Iterator<Item = Action> {
        let processes = (0..).zip(&self.processes);
        processes.flat_map(|(address, process)| {
            let hears = process.listens() && !process.control.down.is_empty();
            let hear = hears.then_some(Action::Hear(address));
            hear.into_iter().chain((!process.control.up.is_empty()).then_some(Action::Say(address)))
        })
    }

    /// Calls that arrive.
    pub(super) fn on_calls(&self) -> impl Iterator<Item = Action> {
        let calls = self.wires.iter().filter(|(_, wire)| wire.dialling);
        let roots = (0..).zip(&self.processes).filter(|(_, process)| {
            process.listens() && process.direct.as_ref().is_some_and(|direct| direct.dialling)
        });
        calls
            .map(|(link, _)| Action::Connect(*link))
            .chain(roots.map(|(address, _)| Action::ConnectRoot(address)))
    }

    /// What arrives over the tree, and on senders' connections to the root.
    pub(super) fn on_tree(&self) -> impl Iterator<Item = Action> {
        let wires = self.wires.iter().flat_map(|(link, wire)| {
            let up = wire.reaches_parent().then_some(Action::Up(*link));
            up.into_iter().chain(wire.reaches_child().then_some(Action::Down(*link)))
        });
        wires.chain(self.on_direct())
    }

    /// What arrives on senders' connections to the root.
    fn on_direct(&self) -> impl Iterator<Item = Action> {
        let live = (0..).zip(&self.processes).filter(|(_, process)| process.listens());
        live.filter_map(|(address, process)| Some((address, process.direct.as_ref()?))).flat_map(
            |(address, direct)| {
                let up = (!direct.up.is_empty() && !direct.shut).then_some(Action::DirectUp(address));
                let down = !direct.down.is_empty() || direct.shut;
                let down = (down && !direct.dialling).then_some(Action::DirectDown(address));
                up.into_iter().chain(down)
            },
        )
    }

    /// Everything that happens by itself, in the order of a fair schedule.
    pub fn by_itself(&self, setup: &Setup, actions: &mut Vec<Action>) {
        actions.extend(self.on_control());
        actions.extend(self.on_calls());
        for (link, wire) in &self.wires {
            actions.extend(wire.reaches_parent().then_some(Action::Up(*link)));
            actions.extend(wire.reaches_child().then_some(Action::Down(*link)));
        }
        for (address, process) in (0..).zip(&self.processes) {
            if !process.listens() {
                continue;
            }
            if let Some(direct) = &process.direct {
                actions.extend((!direct.up.is_empty() && !direct.shut).then_some(Action::DirectUp(address)));
                let down = !direct.down.is_empty() || direct.shut;
                actions.extend((down && !direct.dialling).then_some(Action::DirectDown(address)));
            }
            let calls = process.calls_controller();
            actions.extend(calls.map(|timer| Action::Fire(Timer::Member(address, timer))));
        }
        self.past_the_tree(setup, actions);
        // Timers that would not fire if those whom they wait for lived.
        let root = self.controller.tree.root().filter(|root| {
            let suspected = self.controller.record(*root).is_some_and(|record| record.probe.is_some());
            !suspected && self.of(*root).is_some_and(|process| !process.listens())
        });
        let mut late = Vec::new();
        for timer in &self.timers {
            match timer {
                Timer::Controller(_) if self.is_due(*timer) => actions.push(Action::Fire(*timer)),
                Timer::Member(..) | Timer::Beside(..) if self.is_due(*timer) => {
                    late.push(Action::Fire(*timer));
                }
                Timer::Controller(_) | Timer::Member(..) | Timer::Beside(..) => {}
            }
        }
        actions.extend(root.map(|_| Action::Lapse));
        actions.append(&mut late);
        for (address, _) in &setup.sends {
            actions.extend(self.can_send(setup, *address).then_some(Action::Send(*address)));
        }
        let all = (0..).zip(&self.processes).filter(|_| setup.everybody.is_some());
        actions.extend(
            all.filter_map(|(address, _)| self.can_send(setup, address).then_some(Action::Send(address))),
        );
        // Nobody gives anything any more, and what there is is enough.
        let waits = |timer: &&Timer| matches!(timer, Timer::Member(_, member::Timer::RoundDeadline(..)));
        if actions.is_empty() && self.has_late(setup) {
            actions.extend(self.timers.iter().filter(waits).map(|timer| Action::Fire(*timer)));
        }
        // What keeps one from leaving will not come.
        let leaves = |timer: &&Timer| {
            let Timer::Member(address, member::Timer::Drain) = timer else { return false };
            self.live(*address).is_some_and(|process| process.machine.phase == Phase::Draining)
        };
        if actions.is_empty() {
            actions.extend(self.timers.iter().filter(leaves).map(|timer| Action::Fire(*timer)));
        }
    }

    /// Whether an application has something to send and may.
    pub(crate) fn can_send(&self, setup: &Setup, address: Address) -> bool {
        let Some(process) = self.live(address).filter(|process| !process.is_daemon()) else { return false };
        if let Some(everybody) = &setup.everybody {
            let machine = &process.machine;
            let known = machine.broadcast.sync.as_ref().zip(machine.id);
            let counted = known.is_some_and(|(sync, me)| me.stamp <= sync.cut);
            let room = machine.reduce.calls.len() < setup.member.window;
            let open = process.next_round() <= everybody.until;
            return machine.phase == Phase::Seated && counted && room && open;
        }
        let planned = setup.sends.iter().filter(|(sender, _)| *sender == address).count();
        let machine = &process.machine;
        let busy = machine.broadcast.is_sending() || !machine.reduce.calls.is_empty();
        machine.phase == Phase::Seated && !busy && process.called() < planned
    }

    /// Whether some have given a value, as many as are enough by a deadline, and the others will not.
    pub(crate) fn has_late(&self, setup: &Setup) -> bool {
        let all = || self.applications();
        let given = all().filter(|(_, process)| !process.machine.reduce.calls.is_empty()).count();
        let enough = setup.member.deadline.is_some_and(|deadline| given >= deadline.quorum as usize);
        given > 0 && enough && given < all().count()
    }

    /// Daemons of machines on which they are of use, since there are two lambdas.
    fn daemons_that_may_come(&self, setup: &Setup) -> impl Iterator<Item = Action> {
        let shared = |machine: &u64| setup.machines.iter().filter(|it| *it == machine).count() > 1;
        let machines: BTreeSet<u64> = setup.machines.iter().copied().filter(shared).collect();
        let machines = machines.into_iter().filter(|_| self.may(Fault::Daemon));
        machines.map(|machine| Action::Daemon(MachineId(machine)))
    }

    /// Whether a timer may fire too early.
    fn may_hasten(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Controller(controller::Timer::Probe(..) | controller::Timer::Recovery) => {
                self.may(Fault::Suspect)
            }
            Timer::Member(
                address,
                member::Timer::Attach(_) | member::Timer::Submission(..) | member::Timer::HandlerLost(..),
            ) => self.may(Fault::Impatient) && self.live(*address).is_some(),
            Timer::Member(address, member::Timer::RoundDeadline(..)) => {
                self.may(Fault::Hurry) && self.live(*address).is_some()
            }
            Timer::Beside(address, direct::Timer::Missing(_)) => {
                self.may(Fault::Impatient) && self.live(*address).is_some()
            }
            Timer::Member(address, member::Timer::Drain) => {
                self.may(Fault::Overdue) && self.live(*address).is_some()
            }
            Timer::Controller(controller::Timer::Reshape)
            | Timer::Beside(_, direct::Timer::Redial(_) | direct::Timer::Silence)
            | Timer::Member(
                _,
                member::Timer::Redial(_) | member::Timer::RedialRoot(_) | member::Timer::Reregister(_),
            ) => false,
        }
    }

    /// Everything that can happen.
    #[must_use]
    pub fn enabled(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = Vec::new();
        self.by_itself(setup, &mut actions);
        for (address, process) in (0..).zip(&self.processes) {
            if !process.listens() {
                continue;
            }
            let mortal = setup.mortal.is_empty() || setup.mortal.contains(&address);
            if self.may(Fault::Crash) && mortal {
                let busy = !process.control.up.is_empty()
                    || self.wires.values().any(|wire| wire.under_way_from(address))
                    || self.pipes.iter().any(|(pair, pipe)| pipe.under_way_from(*pair, address));
                actions.push(Action::Crash(address, false));
                actions.extend(busy.then_some(Action::Crash(address, true)));
            }
            actions.extend((self.may(Fault::Stop) && mortal).then_some(Action::Stop(address)));
            let control =
                self.may(Fault::BreakControl) && !process.control.cut && process.machine.id.is_some();
            actions.extend(control.then_some(Action::BreakControl(address)));
            let calls = self.may(Fault::Unanswered) && process.calls_controller().is_some();
            actions.extend(calls.then_some(Action::Unanswered(address)));
            let direct = process.direct.as_ref().is_some_and(|direct| !direct.dialling && !direct.shut);
            actions.extend((self.may(Fault::BreakDirect) && direct).then_some(Action::BreakDirect(address)));
            let member = process.machine.id.is_some_and(|member| self.controller.tree.contains(member));
            let fence = self.may(Fault::Fence) && mortal && member;
            actions.extend(fence.then_some(Action::Fence(address)));
            let seated = process.phase() == Phase::Seated && (setup.beside.is_none() || mortal);
            let known = process.machine.id.and_then(|member| self.controller.record(member));
            let fresh = self.may(Fault::Expire) && known.is_some_and(|record| !record.expiring);
            actions.extend(fresh.then_some(Action::Expire(address)));
            actions.extend((self.may(Fault::Leave) && seated).then_some(Action::Leave(address)));
        }
        if self.may(Fault::Break) {
            for (link, wire) in self.wires.iter().filter(|(_, wire)| !wire.dialling && !wire.broken) {
                actions.push(Action::Break(*link, false));
                let busy = !wire.up.is_empty() || !wire.down.is_empty();
                actions.extend(busy.then_some(Action::Break(*link, true)));
            }
        }
        if self.may(Fault::Block) {
            let direct = self.wires.iter().filter(|(_, wire)| !wire.dialling && !wire.broken && !wire.relay);
            actions.extend(direct.map(|(link, _)| Action::Block(*link)));
        }
        let early = self.timers.iter().filter(|timer| self.may_hasten(timer) && !self.is_due(**timer));
        actions.extend(early.map(|timer| Action::Hasten(*timer)));
        self.wrong_past_the_tree(&mut actions);
        actions.extend(self.may(Fault::Join).then_some(Action::Join));
        actions.extend(self.daemons_that_may_come(setup));
        actions.extend(self.may(Fault::Reshape).then_some(Action::Reshape));
        actions.extend(self.may(Fault::Pace).then_some(Action::Pace));
        actions.extend(self.may(Fault::Restart).then_some(Action::Restart));
        actions
    }
}

impl Wire {
    fn under_way_from(&self, address: Address) -> bool {
        self.child == address && !self.up.is_empty() || self.parent == address && !self.down.is_empty()
    }
}

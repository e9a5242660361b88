//! What can happen in a channel that shuffles, in the order of a fair schedule.

use cirrus_core::{controller, direct, member};

use super::{Address, Group, Setup, Timer, Wire};
use crate::zip::End;

/// What may go wrong, each with a budget; and choices that are no faults but need a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process dies.
    Crash,
    /// A direct connection breaks.
    Break,
    /// A member is cut off from the controller, and declared dead.
    Fence,
    /// A member is cut off from the controller.
    Cut,
    /// Somebody reports a member that lives.
    Impatient,
    /// Somebody joins.
    Join,
    /// Somebody leaves.
    Leave,
    /// Something comes twice.
    Repeat,
    /// Something overtakes what was before it.
    Overtake,
}

impl Fault {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Break => "break",
            Self::Fence => "wrong verdict",
            Self::Cut => "break of member and controller",
            Self::Impatient => "wrong report",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Repeat => "repeat",
            Self::Overtake => "overtaking",
        }
    }
}

/// A direct connection: who calls whom.
pub type Pair = (Address, Address);

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A shuffle hears of the next roster.
    Hear(Address),
    /// A call arrives, or finds nobody.
    Connect(Pair),
    /// The called one takes the next thing, or notices that the connection is gone.
    Up(Pair),
    /// The caller takes the next word, or notices that the connection is gone.
    Down(Pair),
    /// A member calls the controller again.
    Recontact(Address),
    /// The lease of a root that is dead runs out.
    Lapse,
    /// A timer fires.
    Fire(Timer),
    /// A slow application takes a piece.
    Take(Address),
    /// An application calls.
    Call(Address),
    /// A new process joins.
    Join,
    /// An application leaves.
    Leave(Address),
    /// A fault: a process dies; what it had sent is lost, or still arrives.
    Crash(Address, bool),
    /// A fault: a connection breaks; what was under way is lost, or still arrives.
    Break(Pair, bool),
    /// A fault: a member is cut off from the controller, which declares it dead.
    Fence(Address),
    /// A fault: a member is cut off from the controller.
    Cut(Address),
    /// A fault: a timer fires that would not have fired yet.
    Hasten(Timer),
    /// A fault: the next thing on a connection comes once more, at the end.
    Repeat(Pair),
    /// A fault: the last thing on a connection comes first.
    Overtake(Pair),
}

impl Action {
    /// The fault that it is.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Crash(..) => Some(Fault::Crash),
            Self::Break(..) => Some(Fault::Break),
            Self::Fence(_) => Some(Fault::Fence),
            Self::Cut(_) => Some(Fault::Cut),
            Self::Hasten(_) => Some(Fault::Impatient),
            Self::Join => Some(Fault::Join),
            Self::Leave(_) => Some(Fault::Leave),
            Self::Repeat(_) => Some(Fault::Repeat),
            Self::Overtake(_) => Some(Fault::Overtake),
            Self::Hear(_)
            | Self::Connect(_)
            | Self::Up(_)
            | Self::Down(_)
            | Self::Recontact(_)
            | Self::Lapse
            | Self::Fire(_)
            | Self::Take(_)
            | Self::Call(_) => None,
        }
    }

    /// In a word, what kind of step it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hear(_) => "hear",
            Self::Connect(_) => "connect",
            Self::Up(_) => "up",
            Self::Down(_) => "down",
            Self::Recontact(_) => "recontact",
            Self::Lapse => "lapse",
            Self::Fire(_) => "timer",
            Self::Take(_) => "take",
            Self::Call(_) => "call",
            _ => self.fault().map_or("", Fault::name),
        }
    }
}

impl Wire {
    /// Whether the called one has something to read or to notice.
    pub(super) fn reaches_called(&self) -> bool {
        let gone = self.broken || self.caller_end == End::Shut;
        !self.dialling && self.called_end == End::Open && (gone || !self.up.is_empty())
    }

    /// Whether the caller has something to read or to notice.
    pub(super) fn reaches_caller(&self) -> bool {
        let gone = self.broken || self.called_end == End::Shut;
        !self.dialling && self.caller_end == End::Open && (gone || !self.down.is_empty())
    }
}

impl Group {
    /// Everything that happens by itself, in the order of a fair schedule.
    pub fn by_itself(&self, setup: &Setup, actions: &mut Vec<Action>) {
        let live = || (0..).zip(&self.processes).filter(|(_, process)| process.listens());
        actions.extend(live().filter(|(_, it)| it.cut).map(|(address, _)| Action::Recontact(address)));
        actions.extend(live().filter(|(_, it)| !it.unheard.is_empty()).map(|(who, _)| Action::Hear(who)));
        actions.extend(self.calls());
        for (pair, wire) in &self.wires {
            actions.extend(wire.reaches_called().then_some(Action::Up(*pair)));
            actions.extend(wire.reaches_caller().then_some(Action::Down(*pair)));
        }
        for (address, process) in live() {
            let waits = process.shuffle.open.as_ref().is_some_and(|open| open.receiving.is_some());
            let takes = setup.slow.contains(&address) && waits && process.shuffle.wanted == 0;
            actions.extend(takes.then_some(Action::Take(address)));
            actions.extend(self.can_call(setup, address).then_some(Action::Call(address)));
        }
        let root = self.controller.tree.root().filter(|root| {
            let suspected = self.controller.record(*root).is_some_and(|record| record.probe.is_some());
            !suspected && self.of(*root).is_some_and(|process| !process.listens())
        });
        actions.extend(root.map(|_| Action::Lapse));
        let due = self.timers.iter().filter(|timer| self.is_due(**timer));
        actions.extend(due.map(|timer| Action::Fire(*timer)));
    }

    /// Calls that arrive.
    pub(super) fn calls(&self) -> impl Iterator<Item = Action> {
        self.wires.iter().filter(|(_, wire)| wire.dialling).map(|(pair, _)| Action::Connect(*pair))
    }

    /// Whether an application may call, and wants to.
    fn can_call(&self, setup: &Setup, address: Address) -> bool {
        self.live(address).is_some_and(|process| {
            let shuffle = &process.shuffle;
            let seated = shuffle.phase == member::Phase::Seated
                || shuffle.phase == member::Phase::Draining && !shuffle.rosters.is_empty();
            let busy = shuffle.called || shuffle.open.is_some();
            seated && !busy && process.begun.round.0 < setup.rounds
        })
    }

    /// Whether a timer may fire without anybody's being wronged.
    fn is_due(&self, timer: Timer) -> bool {
        let gone = |address: Option<&Address>| address.is_none_or(|address| self.live(*address).is_none());
        match timer {
            Timer::Controller(controller::Timer::Probe(member, _)) => gone(self.seats.get(&member)),
            Timer::Controller(controller::Timer::Reshape | controller::Timer::Recovery) => true,
            Timer::Member(address, timer) => match timer {
                member::Timer::Redial(_) | member::Timer::RedialRoot(_) => true,
                member::Timer::Submission(from, _) => gone(self.seats.get(&from)),
                member::Timer::RoundDeadline(..) => false, // Of reduces.
                member::Timer::Attach(link) => {
                    let Some(process) = self.live(address) else { return false };
                    let links = &process.member.links;
                    let up = links.parent.as_ref().map(|uplink| uplink.parent.edge);
                    let up = up.filter(|edge| edge.link == link).map(|edge| edge.member);
                    let down = links.children.get(&link).map(|child| child.member);
                    up.or(down).is_none_or(|other| gone(self.seats.get(&other)))
                }
            },
            Timer::Shuffle(_, direct::Timer::Redial(_)) => true,
            Timer::Shuffle(_, direct::Timer::Missing(member)) => {
                !self.controller.tree.contains(member) || gone(self.seats.get(&member))
            }
        }
    }

    /// Everything that can happen.
    #[must_use]
    pub fn enabled(&self, setup: &Setup) -> Vec<Action> {
        let mut actions = Vec::new();
        self.by_itself(setup, &mut actions);
        for (address, process) in (0..).zip(&self.processes).filter(|(_, process)| process.listens()) {
            let member = process.member.id.is_some_and(|member| self.controller.tree.contains(member));
            if setup.mortal.is_empty() || setup.mortal.contains(&address) {
                if self.may(Fault::Crash) {
                    let busy = self.wires.iter().any(|(pair, wire)| wire.under_way_from(*pair, address));
                    actions.push(Action::Crash(address, false));
                    actions.extend(busy.then_some(Action::Crash(address, true)));
                }
                actions.extend((self.may(Fault::Fence) && member).then_some(Action::Fence(address)));
                let seated = process.shuffle.phase == member::Phase::Seated;
                actions.extend((self.may(Fault::Leave) && seated).then_some(Action::Leave(address)));
            }
            let cut = self.may(Fault::Cut) && !process.cut;
            actions.extend(cut.then_some(Action::Cut(address)));
        }
        for (pair, wire) in self.wires.iter().filter(|(_, wire)| !wire.dialling && !wire.broken) {
            let busy = !wire.up.is_empty() || !wire.down.is_empty();
            if self.may(Fault::Break) {
                actions.push(Action::Break(*pair, false));
                actions.extend(busy.then_some(Action::Break(*pair, true)));
            }
            actions.extend((self.may(Fault::Repeat) && busy).then_some(Action::Repeat(*pair)));
            let several = wire.up.len() > 1 || wire.down.len() > 1;
            actions.extend((self.may(Fault::Overtake) && several).then_some(Action::Overtake(*pair)));
        }
        for timer in &self.timers {
            let may = self.may(Fault::Impatient) && matches!(timer, Timer::Shuffle(..));
            actions.extend((may && !self.is_due(*timer)).then_some(Action::Hasten(*timer)));
        }
        actions.extend(self.may(Fault::Join).then_some(Action::Join));
        actions
    }
}

impl Wire {
    fn under_way_from(&self, (caller, called): Pair, address: Address) -> bool {
        caller == address && !self.up.is_empty() || called == address && !self.down.is_empty()
    }
}

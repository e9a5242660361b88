//! What can happen past the tree.

use cirrus_core::channel::ToController;
use cirrus_core::direct;
use cirrus_core::ids::MemberId;
use cirrus_core::member::Phase;

use super::{Beside, Pair, Pipe, Plan};
use crate::zip::{Action, Address, End, Fault, Mesh, Process, Setup};

impl Pipe {
    /// Whether the called one has something to read or to notice.
    pub(crate) fn reaches_called(&self) -> bool {
        let gone = self.broken || self.caller_end == End::Shut;
        !self.dialling && self.called_end == End::Open && (gone || !self.up.is_empty())
    }

    /// Whether the caller has something to read or to notice.
    pub(crate) fn reaches_caller(&self) -> bool {
        let gone = self.broken || self.called_end == End::Shut;
        !self.dialling && self.caller_end == End::Open && (gone || !self.down.is_empty())
    }

    pub(in crate::zip) fn under_way_from(&self, (caller, called): Pair, address: Address) -> bool {
        caller == address && !self.up.is_empty() || called == address && !self.down.is_empty()
    }
}

impl Mesh {
    /// What happens past the tree without anybody's doing.
    pub(in crate::zip) fn past_the_tree(&self, setup: &Setup, actions: &mut Vec<Action>) {
        if setup.beside.is_none() {
            return;
        }
        actions.extend(self.notices());
        actions.extend(self.pipe_calls());
        for (pair, pipe) in &self.pipes {
            actions.extend(pipe.reaches_called().then_some(Action::PipeUp(*pair)));
            actions.extend(pipe.reaches_caller().then_some(Action::PipeDown(*pair)));
        }
        for (address, _) in (0..).zip(&self.processes) {
            actions.extend(self.can_take(setup, address).then_some(Action::Take(address)));
            actions.extend(self.can_call(setup, address).then_some(Action::Call(address)));
        }
    }

    /// What the channel has said and what runs beside a member has not heard.
    pub(in crate::zip) fn notices(&self) -> impl Iterator<Item = Action> {
        let waits = (0..).zip(&self.processes).filter(|(_, it)| it.listens() && it.has_news());
        waits.map(|(address, _)| Action::Notice(address))
    }

    /// Calls past the tree that arrive.
    pub(in crate::zip) fn pipe_calls(&self) -> impl Iterator<Item = Action> {
        self.pipes.iter().filter(|(_, pipe)| pipe.dialling).map(|(pair, _)| Action::ConnectPipe(*pair))
    }

    /// Whether a slow application may take something, and wants to.
    pub(crate) fn can_take(&self, setup: &Setup, address: Address) -> bool {
        let Some(Plan::Shuffles(plan)) = &setup.beside else { return false };
        let shuffle = self.live(address).and_then(|it| it.beside.as_ref()?.shuffle());
        plan.slow.contains(&address)
            && shuffle.is_some_and(|shuffle| {
                let waits = shuffle.open.as_ref().is_some_and(|open| open.receiving.is_some());
                waits && shuffle.wanted == 0
            })
    }

    /// Whether an application may call what runs beside its member, and wants to.
    pub(crate) fn can_call(&self, setup: &Setup, address: Address) -> bool {
        let Some(process) = self.live(address) else { return false };
        match (&setup.beside, &process.beside) {
            (Some(Plan::Shuffles(plan)), Some(Beside::Shuffles(it))) => it.may_call(plan),
            (Some(Plan::Messages(plan)), Some(Beside::Messages(it))) => {
                let deed = it.next(plan, address);
                let there = |other: Address| self.processes.get(other as usize)?.machine.id;
                it.may_call(plan) && deed.is_some_and(|deed| there(deed.with()).is_some())
            }
            _ => false,
        }
    }

    /// Whether a timer of what runs beside a member may fire without anybody's being wronged.
    pub(in crate::zip) fn is_line_due(&self, address: Address, timer: direct::Timer) -> bool {
        match timer {
            direct::Timer::Redial(_) => true,
            direct::Timer::Missing(member) => {
                let lives = self.seats.get(&member).is_some_and(|it| self.live(*it).is_some());
                // A controller that was restarted judges nobody until it knows its members.
                !lives || self.controller.recovery.is_none() && !self.controller.tree.contains(member)
            }
            // Before the verdict it is asked in vain; and once is enough as long as nobody has read it.
            direct::Timer::Silence => self.live(address).is_some_and(|process| {
                let asks = |word: &ToController<Address>| matches!(word, ToController::CheckRoll(_));
                let judged = |it: &MemberId| !self.controller.tree.contains(*it);
                self.controller.recovery.is_none()
                    && !process.control.up.iter().any(asks)
                    && self.stands_still(address).any(|it| it.machine.id.as_ref().is_some_and(judged))
            }),
        }
    }

    /// The processes at the other ends of a process's connections that do nothing any more.
    pub(crate) fn stands_still(&self, address: Address) -> impl Iterator<Item = &Process> {
        let stands = |pipe: &Pipe| {
            !pipe.dialling && !pipe.broken && pipe.caller_end == End::Open && pipe.called_end == End::Open
        };
        let ends =
            self.pipes.iter().filter(move |(_, pipe)| stands(pipe)).filter_map(move |((one, other), _)| {
                let other = if *one == address { Some(other) } else { (*other == address).then_some(one) };
                other.filter(|it| self.live(**it).is_none())
            });
        ends.filter_map(|other| Some(&**self.processes.get(*other as usize)?))
    }

    /// What may go wrong past the tree.
    pub(in crate::zip) fn wrong_past_the_tree(&self, actions: &mut Vec<Action>) {
        for (pair, pipe) in self.pipes.iter().filter(|(_, pipe)| !pipe.dialling && !pipe.broken) {
            let busy = !pipe.up.is_empty() || !pipe.down.is_empty();
            if self.may(Fault::BreakPipe) {
                actions.push(Action::BreakPipe(*pair, false));
                actions.extend(busy.then_some(Action::BreakPipe(*pair, true)));
            }
            actions.extend((self.may(Fault::Repeat) && busy).then_some(Action::Repeat(*pair)));
            let several = pipe.up.len() > 1 || pipe.down.len() > 1;
            actions.extend((self.may(Fault::Overtake) && several).then_some(Action::Overtake(*pair)));
        }
    }
}

impl Process {
    /// Whether the channel has said something that what runs beside its member has not heard.
    pub(crate) fn has_news(&self) -> bool {
        self.beside.as_ref().and_then(Beside::shuffles).is_some_and(|it| !it.unheard.is_empty())
    }

    /// What is being done by what runs beside its member, or by that itself if nothing does.
    pub(crate) fn phase(&self) -> Phase {
        self.beside.as_ref().map_or(self.machine.phase, Beside::phase)
    }
}

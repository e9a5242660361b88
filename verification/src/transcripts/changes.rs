//! What a step has changed: what was said, called, closed, set and delivered.
//!
//! It is read off the two states, so that everything that leaves a machine is seen, whoever caused it.

use std::collections::VecDeque;

use cirrus_core::ids::{LinkId, Millis};
use cirrus_core::member::{self, Outcome, Phase, Reduction};
use cirrus_core::messages;

use super::words::{self, Words};
use crate::zip::{Action, Address, Beside, Direct, End, Mesh, Process, Timer, Wire};

/// A step.
pub(super) struct Change<'a> {
    pub(super) before: &'a Mesh,
    pub(super) after: &'a Mesh,
    pub(super) action: &'a Action,
    /// The timers that were set.
    pub(super) set: &'a [(Timer, Millis)],
}

impl Change<'_> {
    /// What has come of it: all of it, or only what nobody will tell when it arrives.
    pub(super) fn lines(&self, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (address, after) in (0..).zip(&self.after.processes) {
            let before = self.before.processes.get(address as usize);
            self.member(address, before.map(AsRef::as_ref), after, &mut lines);
        }
        if all {
            self.connections(&mut lines);
            self.messages(&mut lines);
            self.timers(&mut lines);
        }
        lines
    }

    fn connections(&self, lines: &mut Vec<String>) {
        for (link, after) in &self.after.wires {
            let before = self.before.wires.get(link);
            if after.dialling && before.is_none_or(|before| !before.dialling) {
                let (child, parent) = (after.child, after.parent);
                lines
                    .push(format!("member {child} calls member {parent} over link {}", Words::stamp(link.0)));
            }
        }
        for ((from, to), pipe) in &self.after.pipes {
            if pipe.dialling && self.before.pipes.get(&(*from, *to)).is_none_or(|before| !before.dialling) {
                lines.push(format!("member {from} calls member {to}, past the tree"));
            }
        }
        for (link, before) in &self.before.wires {
            let after = self.after.wires.get(link).map(AsRef::as_ref);
            self.hangs(*link, before, after, lines);
        }
        for (address, after) in (0..).zip(&self.after.processes) {
            let before = self.before.processes.get(address as usize).and_then(|it| it.direct.as_ref());
            self.direct(address, before, after, lines);
        }
    }

    /// Ends that were closed by those who live.
    fn hangs(&self, link: LinkId, before: &Wire, after: Option<&Wire>, lines: &mut Vec<String>) {
        let alive = |who: Address| self.after.processes.get(who as usize).is_some_and(|it| it.alive);
        let (child, parent) = (before.child, before.parent);
        let closed = [
            (child, parent, before.child_end, after.map(|it| it.child_end), Action::Down(link)),
            (parent, child, before.parent_end, after.map(|it| it.parent_end), Action::Up(link)),
        ];
        for (who, other, was, is, noticed) in closed {
            // A call that came to nothing, or was made again, is told otherwise.
            let ended = was == End::Open && is != Some(End::Open) && !before.dialling;
            if ended && alive(who) && *self.action != noticed {
                lines.push(format!("member {who} hangs up link {} to {other}", Words::stamp(link.0)));
            }
        }
    }

    fn direct(&self, address: Address, before: Option<&Direct>, after: &Process, lines: &mut Vec<String>) {
        let noticed = matches!(self.action, Action::DirectDown(_) | Action::ConnectRoot(_));
        match (before, &after.direct) {
            (None, Some(now)) => lines.push(format!("member {address} calls the root {}", now.to)),
            (Some(was), Some(now)) if was.term != now.term => {
                lines.push(format!("member {address} calls the root {}", now.to));
            }
            (Some(was), Some(now)) if !was.shut && now.shut && self.after.live(now.to).is_some() => {
                lines.push(format!("member {} hangs up on the sender {address}", now.to));
            }
            (Some(was), None) if after.alive && !noticed => {
                lines.push(format!("member {address} hangs up on the root {}", was.to));
            }
            _ => {}
        }
    }

    fn messages(&self, lines: &mut Vec<String>) {
        let words = Words(self.after);
        for (address, after) in (0..).zip(&self.after.processes) {
            let before = self.before.processes.get(address as usize);
            let control = before.map(|it| &it.control);
            let heard = *self.action == Action::Hear(address);
            for word in pushed(control.map(|it| &it.down), &after.control.down, heard) {
                lines.push(format!("controller > {address}: {}", words.to_member(word)));
            }
            let said = *self.action == Action::Say(address);
            for word in pushed(control.map(|it| &it.up), &after.control.up, said) {
                lines.push(format!("{address} > controller: {}", words.to_controller(address, word)));
            }
        }
        for (link, after) in &self.after.wires {
            let before = self.before.wires.get(link);
            let (child, parent) = (after.child, after.parent);
            for frame in pushed(before.map(|it| &it.up), &after.up, *self.action == Action::Up(*link)) {
                lines.push(format!("{child} > {parent}: {}", words.frame(frame)));
            }
            for frame in pushed(before.map(|it| &it.down), &after.down, *self.action == Action::Down(*link)) {
                lines.push(format!("{parent} > {child}: {}", words.frame(frame)));
            }
        }
        for ((from, to), after) in &self.after.pipes {
            let before = self.before.pipes.get(&(*from, *to));
            let taken = *self.action == Action::PipeUp((*from, *to));
            for (_, item) in pushed(before.map(|it| &it.up), &after.up, taken) {
                lines.push(format!("{from} ~ {to}: {}", words::past_the_tree(item)));
            }
            let taken = *self.action == Action::PipeDown((*from, *to));
            for have in pushed(before.map(|it| &it.down), &after.down, taken) {
                lines.push(format!("{to} ~ {from}: {}", words::has(*have)));
            }
        }
        for (address, after) in (0..).zip(&self.after.processes) {
            let before = self.before.processes.get(address as usize).and_then(|it| it.direct.as_ref());
            let Some(now) = &after.direct else { continue };
            let (taken, told) =
                (*self.action == Action::DirectUp(address), *self.action == Action::DirectDown(address));
            for submit in pushed(before.map(|it| &it.up), &now.up, taken) {
                lines.push(format!("{address} => {}: {}", now.to, words::to_root(submit)));
            }
            for word in pushed(before.map(|it| &it.down), &now.down, told) {
                lines.push(format!("{} => {address}: {}", now.to, words::from_root(word)));
            }
        }
    }

    fn timers(&self, lines: &mut Vec<String>) {
        // Whose link it was is known before, if it is gone afterwards.
        for timer in self.before.timers.difference(&self.after.timers) {
            if *self.action != Action::Fire(*timer) && self.owner_lives(timer) {
                lines.push(format!("timer {} is cleared", Words(self.before).timer(timer)));
            }
        }
        for (timer, _) in self.set {
            if self.after.timers.contains(timer) {
                lines.push(format!("timer {} is set", Words(self.after).timer(timer)));
            }
        }
    }

    fn owner_lives(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Controller(_) => true,
            Timer::Member(owner, _) | Timer::Beside(owner, _) => self.after.live(*owner).is_some(),
        }
    }

    /// What is seen of a member: its reign, its application, its end.
    fn member(&self, address: Address, before: Option<&Process>, after: &Process, lines: &mut Vec<String>) {
        let words = Words(self.after);
        self.reign(address, before, after, lines);
        let known = before.map_or(0, |it| it.delivered.len());
        for (head, whole) in after.delivered.iter().skip(known) {
            let void = if *whole { "" } else { " as void" };
            lines.push(format!("member {address} delivers {}{void}", words.round(head)));
        }
        let known = before.map_or(0, |it| it.outcomes.len());
        for (sequence, outcome) in after.outcomes.iter().skip(known) {
            let outcome = match outcome {
                Outcome::Sealed(round) => format!("is sealed as round {}", round.0),
                Outcome::Aborted => "is aborted".to_owned(),
                Outcome::Indeterminate => "is indeterminate".to_owned(),
            };
            lines.push(format!("member {address} learns that its broadcast {} {outcome}", sequence.0));
        }
        self.reduced(address, before, after, lines);
        self.talked(address, before, after, lines);
        if before.is_some_and(|before| before.machine.phase != after.machine.phase) {
            match after.machine.phase {
                Phase::Joining | Phase::Seated | Phase::Leaving => {}
                Phase::Draining => lines.push(format!("member {address} finishes what it has begun")),
                Phase::Ended(member::End::Left) => lines.push(format!("member {address} has left")),
                Phase::Ended(member::End::Overdue) => {
                    lines.push(format!("member {address} ends: it has not been let go in time"));
                }
                Phase::Ended(member::End::Fenced) => {
                    lines.push(format!("member {address} ends: it is fenced"));
                }
            }
        }
    }

    /// What an application learns of its reduces.
    fn reduced(&self, address: Address, before: Option<&Process>, after: &Process, lines: &mut Vec<String>) {
        let words = Words(self.after);
        let known = before.map_or(0, |it| it.reduced.len());
        for (round, outcome) in after.reduced.iter().skip(known) {
            let round = round.0;
            let outcome = match outcome {
                Reduction::Sealed(missing) => {
                    format!("reduce {round} has a result{}", words.missing(missing))
                }
                Reduction::Failed(_, missing) => {
                    format!("reduce {round} has no result{}", words.missing(missing))
                }
                Reduction::Late => format!("its value for reduce {round} is too late"),
                Reduction::Indeterminate => format!("reduce {round} is indeterminate"),
            };
            lines.push(format!("member {address} learns that {outcome}"));
        }
    }

    /// What an application sees of messages to others and from them.
    fn talked(&self, address: Address, before: Option<&Process>, after: &Process, lines: &mut Vec<String>) {
        let words = Words(self.after);
        let talking = |it: &Process| it.beside.as_ref().and_then(Beside::messages).cloned();
        let (was, is) = (before.and_then(talking).unwrap_or_default(), talking(after).unwrap_or_default());
        for (from, pieces) in is.got.iter().skip(was.got.len()) {
            let from = words.name(*from);
            lines.push(match pieces {
                Some(pieces) => {
                    format!("member {address} gets a message of {from}, of {}", many(pieces.len(), "piece"))
                }
                None => format!("member {address} learns that {from} is gone, and waits for it no more"),
            });
        }
        for (to, outcome) in is.outcomes.iter().skip(was.outcomes.len()) {
            let to = words.name(*to);
            let outcome = match outcome {
                messages::Outcome::Delivered => "is delivered",
                messages::Outcome::Lost => "is lost with it",
                messages::Outcome::Indeterminate => "is indeterminate",
            };
            lines.push(format!("member {address} learns that its message to {to} {outcome}"));
        }
    }

    fn reign(&self, address: Address, before: Option<&Process>, after: &Process, lines: &mut Vec<String>) {
        let now = &after.machine.broadcast;
        let was = before.map(|it| &it.machine.broadcast);
        let reigned = was.and_then(member::broadcast::Broadcast::reigns);
        let Some(term) = now.reigns() else {
            if reigned.is_some() && after.alive {
                lines.push(format!("member {address} is the root no more"));
            }
            return;
        };
        if reigned != Some(term) {
            lines.push(format!("member {address} is the root in term {}", Words::stamp(term.0)));
        }
        if let (Some(carried), None) =
            (now.carried(), was.and_then(|it| it.carried()).filter(|_| reigned.is_some()))
        {
            let text = match carried.0 {
                0 => "nothing goes on from before".to_owned(),
                round => format!("rounds up to {round} go on"),
            };
            lines.push(format!("member {address} knows what all have: {text}"));
        }
        for (round, held) in now.rounds.iter().filter(|(_, held)| held.head.id.term == term) {
            let old = was.and_then(|was| was.rounds.get(round)).filter(|old| old.head.id == held.head.id);
            let void = held.end == Some(member::broadcast::Ending::Void);
            if old.is_none() && !void {
                lines.push(format!("member {address} begins {}", Words(self.after).round(&held.head)));
            } else if void && old.is_none_or(|old| old.end.is_none()) {
                lines.push(format!("member {address} calls round {} void", round.0));
            }
        }
        let floor = now.floor();
        if was.is_some_and(|was| was.floor() < floor) {
            lines.push(format!("member {address} knows that all have round {}", floor.0));
        }
    }
}

/// What was put into a queue; `taken` if its first was taken out.
fn pushed<'a, T: PartialEq>(
    before: Option<&VecDeque<T>>,
    after: &'a VecDeque<T>,
    taken: bool,
) -> impl Iterator<Item = &'a T> {
    let left = || before.into_iter().flatten().skip(usize::from(taken));
    let kept = left().count();
    // Else it was emptied.
    let kept = if after.iter().take(kept).eq(left()) { kept } else { 0 };
    after.iter().skip(kept)
}

/// Who is at the other end of a link.
pub(super) fn other_end(mesh: &Mesh, who: Address, link: LinkId) -> Option<Address> {
    if let Some(wire) = mesh.wires.get(&link) {
        return Some(if wire.child == who { wire.parent } else { wire.child });
    }
    let links = &mesh.processes.get(who as usize)?.machine.links;
    let up = links.parent.as_ref().map(|uplink| uplink.parent.edge).filter(|edge| edge.link == link);
    let down = links.children.get(&link).map(|child| child.member);
    mesh.seats.get(&up.map(|edge| edge.member).or(down)?).copied()
}

/// So many of something.
pub(super) fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

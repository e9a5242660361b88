//! What runs beside the members of a simulated channel: shuffles, or messages, or nothing.
//!
//! In a channel of shuffles all applications call for round after round; in one of messages, somebody sends to somebody,
//! who waits for it, now and then. When no more faults strike, rounds that somebody has heard of are those of all, and in
//! the proof there is one more; of messages nobody sends any more that were not sent, and in the proof there is one.
//!
//! Such channels are small, since every pair of members may speak.

use std::sync::Arc;

use cirrus_core::channel::Role;
use cirrus_core::direct::Limits;
use cirrus_core::ids::{MemberId, Millis};
use cirrus_core::member::Phase;
use cirrus_core::{messages, shuffle};

use super::episode::Episode;
use super::plan::{Plan, Planned, What};
use super::queue::Due;
use super::{Asked, Failed};
use crate::simulator::Random;
use crate::zip::beside::Beside;
use crate::zip::beside::messages::{self as talks, Deed, Talking};
use crate::zip::beside::shuffles::{self, Shuffling};
use crate::zip::{self, Action, Address, Process, Setup};

/// No channel in which members speak past the tree has more of them when faults begin.
const MEMBERS_MAX: u32 = 12;
/// No seed plans more messages than this.
const MESSAGES_MAX: u32 = 60;
/// The first incident of the messages.
const FIRST: u32 = 1000;

/// In a third of the channels that do not reduce, members shuffle; in another third, they send messages.
pub(super) fn plan(random: &mut Random, asked: &Asked, plan: &mut Plan, setup: &mut Setup) {
    let (kind, luck) = (random.below(3), random.draw());
    let mut random = Random::new(luck);
    let limits = limits(&mut random, asked, plan.latency.1);
    if setup.everybody.is_some() || kind > 1 {
        return;
    }
    plan.members = plan.members.min(MEMBERS_MAX);
    setup.beside = Some(match kind {
        0 => {
            setup.sends.clear();
            plan.incidents.retain(|planned| matches!(planned.what, What::Fault(_)));
            zip::Plan::Shuffles(shuffles(&mut random, plan.members, limits))
        }
        _ => zip::Plan::Messages(messages(&mut random, asked, plan, limits)),
    });
}

fn limits(random: &mut Random, asked: &Asked, slowest: u64) -> Limits {
    let slowest = u32::try_from(slowest / 1000).unwrap_or(u32::MAX) + 1;
    Limits {
        window: random.between(1, 4),
        strangers_max: random.between(2, 40),
        redial: Millis(random.between(1, 50)),
        missing: Millis(slowest * random.between(2, 30)),
        bugs: asked.bugs,
    }
}

/// All send and receive; or a few do one and the others the other.
fn shuffles(random: &mut Random, members: u32, limits: Limits) -> shuffles::Plan {
    let few = random.between(1, 4).min(members);
    let (few_as, rest) = match random.below(3) {
        0 => (Role::Both, Role::Both),
        1 => (Role::Receiver, Role::Sender),
        _ => (Role::Sender, Role::Receiver),
    };
    let slow = (0..members).filter(|_| random.below(16) == 0).collect();
    shuffles::Plan {
        config: shuffle::Config { limits, rosters_max: random.between(1, 3) },
        roles: (0..members).map(|address| if address < few { few_as } else { rest }).collect(),
        joins_as: if random.below(2) == 0 { few_as } else { rest },
        rounds: random.between(2, 8).into(),
        follows: true,
        pieces: random.between(1, 3),
        slow,
    }
}

/// Somebody sends to somebody, who waits for it then, before or after.
fn messages(random: &mut Random, asked: &Asked, plan: &mut Plan, limits: Limits) -> talks::Plan {
    let span = plan.incidents.iter().map(|it| it.at).max().unwrap_or(0) + plan.latency.1 * 100;
    let mut deeds = Vec::new();
    for number in 0..random.between(4, MESSAGES_MAX) {
        let any = |random: &mut Random| random.between(0, plan.members + 2);
        let (from, to, pieces) = (any(random), any(random), random.between(1, 4));
        let at = [(); 2].map(|()| random.below(span));
        let incident = FIRST + number;
        if asked.only.as_ref().is_none_or(|only| only.contains(&incident)) {
            deeds.push((at[0], incident, from, Deed::Say(to, pieces)));
            deeds.push((at[1], incident, to, Deed::Hear(from)));
        }
    }
    deeds.sort_by_key(|(at, incident, ..)| (*at, *incident));
    for (at, incident, who, _) in &deeds {
        plan.incidents.push(Planned { incident: *incident, at: *at, what: What::Call(*who), luck: *at });
    }
    plan.incidents.sort_by_key(|it| (it.at, it.incident));
    talks::Plan {
        config: messages::Config { limits, talks_max: 64, messages_max: 8, pieces_max: 4 },
        script: deeds.into_iter().map(|(_, _, who, deed)| (who, deed)).collect(),
        eager: true,
    }
}

fn shuffling(process: &Process) -> Option<&Shuffling> {
    process.beside.as_ref()?.shuffles()
}

impl Episode {
    /// Applications begin to call.
    pub(super) fn begin_calls(&mut self) {
        if matches!(self.plan.setup.beside, Some(zip::Plan::Shuffles(_))) {
            for address in 0..u32::try_from(self.mesh.processes.len()).unwrap_or(u32::MAX) {
                self.queue.plan(self.now + 1, Due::Arrives(Action::Call(address)));
            }
        }
    }

    /// What was not called for by now is not any more.
    pub(super) fn end_calls(&mut self) {
        let mesh = &self.mesh;
        match &mut self.plan.setup.beside {
            Some(zip::Plan::Shuffles(plan)) => {
                let begun = mesh.processes.iter().filter_map(|it| shuffling(it));
                plan.rounds = begun.map(|it| it.begun.round.0).max().unwrap_or_default();
            }
            Some(zip::Plan::Messages(plan)) => {
                let done = |who: Address| {
                    let process = mesh.processes.get(who as usize);
                    process.and_then(|it| it.beside.as_ref()?.messages()).map_or(0, |it| it.done)
                };
                let mut left = std::collections::BTreeMap::new();
                plan.script.retain(|(who, _)| {
                    let left = left.entry(*who).or_insert_with(|| done(*who));
                    let kept = *left > 0;
                    *left = left.saturating_sub(1);
                    kept
                });
            }
            None => {}
        }
    }

    /// All shuffle once more, or somebody sends to another, and it is done.
    pub(super) fn prove_beside(&mut self) -> Result<(), Box<Failed>> {
        match self.plan.setup.beside {
            Some(zip::Plan::Shuffles(_)) => self.prove_shuffle(),
            Some(zip::Plan::Messages(_)) => self.prove_message(),
            None => Ok(()),
        }
    }

    fn prove_shuffle(&mut self) -> Result<(), Box<Failed>> {
        self.end_calls();
        let Some(zip::Plan::Shuffles(plan)) = &mut self.plan.setup.beside else { return Ok(()) };
        let last = plan.rounds;
        plan.rounds += 1;
        self.begin_calls();
        self.bound = Some(self.bound());
        self.until_quiet()?;
        let whole = |(_, it): (_, &Arc<Process>)| {
            shuffling(it).is_some_and(|it| it.begun.round.0 > last && it.machine.open.is_none())
        };
        if self.mesh.staying().all(whole) {
            Ok(())
        } else {
            Err(self.failed(Vec::new(), "all have called for a shuffle, and somebody has none"))
        }
    }

    fn prove_message(&mut self) -> Result<(), Box<Failed>> {
        self.end_calls();
        // Who is leaving may wait for the answer to a message that nobody wants.
        let talks = |it: &Process| it.phase() == Phase::Seated && !it.is_daemon();
        let staying = self.mesh.staying().filter(|(_, it)| talks(it));
        let staying: Vec<Address> = staying.map(|(_, it)| it.machine.address).collect();
        let &[from, .., to] = staying.as_slice() else { return Ok(()) };
        // What was sent before comes first.
        let unheard = self.said(from, to).saturating_sub(self.heard(to, from));
        self.act((0..unheard).map(|_| (to, Deed::Hear(from))).collect())?;
        let before = self.heard(to, from);
        self.act(vec![(from, Deed::Say(to, 2)), (to, Deed::Hear(from))])?;
        if self.heard(to, from) > before {
            Ok(())
        } else {
            Err(self.failed(Vec::new(), "a message to one who waits for it is not delivered"))
        }
    }

    /// Applications do this, and it becomes quiet.
    fn act(&mut self, deeds: Vec<(Address, Deed)>) -> Result<(), Box<Failed>> {
        self.bound = Some(self.bound());
        for (who, deed) in deeds {
            if let Some(zip::Plan::Messages(plan)) = &mut self.plan.setup.beside {
                plan.script.push((who, deed));
            }
            if self.mesh.can_call(&self.plan.setup, who) {
                self.take(Action::Call(who))?;
            }
        }
        self.until_quiet()
    }

    fn talking(&self, who: Address, other: Address) -> Option<(&Talking, MemberId)> {
        let other = self.mesh.processes.get(other as usize)?.machine.id?;
        Some((self.mesh.processes.get(who as usize)?.beside.as_ref()?.messages()?, other))
    }

    /// How many messages a process has sent to another.
    fn said(&self, from: Address, to: Address) -> usize {
        self.talking(from, to).map_or(0, |(it, to)| it.said_to(to).count())
    }

    /// How many messages a process has got of another.
    fn heard(&self, to: Address, from: Address) -> usize {
        self.talking(to, from).map_or(0, |(it, from)| it.got_from(from).count())
    }

    /// How often applications have called what runs beside their members.
    pub(super) fn count_call(&mut self, address: Address) {
        let beside = self.mesh.processes.get(address as usize).and_then(|it| it.beside.as_ref());
        match beside {
            Some(Beside::Shuffles(_)) => self.report.shuffles += 1,
            Some(Beside::Messages(_)) => self.report.messages += 1,
            None => {}
        }
    }
}

//! A channel as something that can be explored.

use super::{Action, Check, Fault, Mesh, Plan, RULES, Setup, Watch};
use crate::system::{self, End, System, Witness};
use crate::tally::{Broken, Part, Tally};

/// A small channel.
#[derive(Clone, Debug)]
pub struct Zip {
    /// The machines, what is sent, and the faults.
    pub setup: Setup,
    /// It begins when all its first members are in; else they join as part of it.
    pub warm: bool,
    /// What happens before exploration begins, step by step.
    pub prologue: fn(&Mesh) -> Option<Action>,
    /// The most fair steps to a good end.
    pub steps_max: u32,
    /// What must be seen.
    pub witnesses: &'static [Witness<Mesh>],
}

impl Mesh {
    /// Asks the rules that look at a whole channel.
    pub fn judge(&self, setup: &Setup, tally: &mut Tally, broken: &mut Vec<Broken>) {
        let mut actions = Vec::new();
        self.by_itself(setup, &mut actions);
        for (place, rule) in RULES.iter().enumerate() {
            let check = match rule.check {
                Check::State(check) => check,
                Check::Quiet(check) if actions.is_empty() => check,
                Check::Quiet(_) | Check::Delivery(_) => continue,
            };
            tally.add(Part::Mesh, place, rule.name, check(setup, self), broken);
        }
    }
}

impl System for Zip {
    type State = Mesh;
    type Action = Action;

    fn initial(&self, tally: &mut Tally) -> Mesh {
        let mut watch = Watch { tally: Some(tally), ..Watch::default() };
        let beside = self.setup.beside.as_ref().map(Plan::silent);
        let calm = Setup { sends: Vec::new(), beside, ..self.setup.clone() };
        let mut mesh = Mesh::new(&calm, &mut watch);
        if self.warm {
            let mut actions = Vec::new();
            loop {
                actions.clear();
                mesh.by_itself(&calm, &mut actions);
                let Some(action) = actions.first() else { break };
                mesh.apply(&calm, action, &mut watch);
            }
        }
        mesh.budget.clone_from(&self.setup.faults);
        while let Some(action) = (self.prologue)(&mesh) {
            mesh.apply(&self.setup, &action, &mut watch);
        }
        mesh
    }

    fn enabled(&self, state: &Mesh) -> Vec<Action> {
        state.enabled(&self.setup)
    }

    fn apply(&self, state: &mut Mesh, action: &Action, tally: Option<&mut Tally>) {
        state.apply(&self.setup, action, &mut Watch { tally, ..Watch::default() });
    }

    fn broken(&self, state: &Mesh, tally: &mut Tally) -> Vec<Broken> {
        let mut broken = state.broken.clone();
        state.judge(&self.setup, tally, &mut broken);
        broken
    }

    fn fair(&self, state: &Mesh) -> Option<Action> {
        let mut actions = Vec::new();
        state.by_itself(&self.setup, &mut actions);
        actions.into_iter().next()
    }

    fn end(&self, state: &Mesh) -> Option<End> {
        // What must be true at an end is said by the rules about quiet states.
        Some(End { good: state.broken.is_empty(), steps_max: self.steps_max })
    }

    fn witnesses(&self) -> &'static [Witness<Mesh>] {
        self.witnesses
    }

    fn kind(&self, action: &Action) -> &'static str {
        action.kind()
    }

    fn kinds(&self) -> Vec<&'static str> {
        system::names(&self.setup.faults, Fault::name)
    }

    fn describe(&self, state: &Mesh, action: &Action) -> String {
        state.describe(action)
    }

    fn bounds(&self) -> String {
        let setup = &self.setup;
        let (members, fan_out, sends) = (setup.members, setup.fan_out.0, setup.sends.len());
        let faults = system::in_words(&setup.faults, Fault::name);
        match &setup.beside {
            Some(plan) => format!("{members} members, {}; {faults}", plan.bounds()),
            None => format!("{members} members, fan-out {fan_out}, {sends} broadcasts; {faults}"),
        }
    }
}

impl Mesh {
    /// A line about an action in this state.
    #[must_use]
    pub fn describe(&self, action: &Action) -> String {
        let compact = |text: String| short(&crate::cluster::compact(&text));
        let what = match action {
            Action::Hear(address) => self
                .processes
                .get(*address as usize)
                .and_then(|it| it.control.down.front())
                .map(|it| format!("{it:?}")),
            Action::Say(address) => self
                .processes
                .get(*address as usize)
                .and_then(|it| it.control.up.front())
                .map(|it| format!("{it:?}")),
            Action::Up(link) => self
                .wires
                .get(link)
                .map(|wire| format!("{} to {}: {:?}", wire.child, wire.parent, wire.up.front())),
            Action::Down(link) => self
                .wires
                .get(link)
                .map(|wire| format!("{} to {}: {:?}", wire.parent, wire.child, wire.down.front())),
            Action::PipeUp(pair) => self.pipes.get(pair).map(|pipe| format!("{:?}", pipe.up.front())),
            Action::PipeDown(pair) => self.pipes.get(pair).map(|pipe| format!("{:?}", pipe.down.front())),
            _ => None,
        };
        match what {
            Some(what) => format!("{}: {}", short(&action.to_string()), compact(what)),
            None => short(&action.to_string()),
        }
    }
}

/// Stamps as life.count, and a census as its count.
pub(crate) fn short(text: &str) -> String {
    let mut rest = text;
    let mut short = String::new();
    while let Some((before, stamp)) = rest.split_once("Stamp { epoch: ") {
        short.push_str(before);
        let Some((stamp, after)) = stamp.split_once(" }") else { break };
        let digits = stamp.chars().map(|it| if it.is_ascii_digit() { it } else { ' ' }).collect::<String>();
        let numbers: Vec<&str> = digits.split_whitespace().collect();
        short.push_str(&numbers.join("."));
        rest = after;
    }
    short.push_str(rest);
    short
}

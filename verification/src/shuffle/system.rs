//! A channel that shuffles as something that can be explored.

use super::{Action, Check, Fault, Group, RULES, Setup};
use crate::system::{self, End, System, Witness};
use crate::tally::{Broken, Part, Tally};

/// A small channel that shuffles.
#[derive(Clone, Debug)]
pub struct Shuffles {
    /// The machines, what is sent, and the faults.
    pub setup: Setup,
    /// What happens before exploration begins, step by step.
    pub prologue: fn(&Group) -> Option<Action>,
    /// The most fair steps to a good end.
    pub steps_max: u32,
    /// What must be seen.
    pub witnesses: &'static [Witness<Group>],
}

impl Group {
    /// Asks the rules that look at a whole channel.
    pub fn judge(&self, setup: &Setup, tally: &mut Tally, broken: &mut Vec<Broken>) {
        let mut actions = Vec::new();
        self.by_itself(setup, &mut actions);
        for (place, rule) in RULES.iter().enumerate() {
            let check = match rule.check {
                Check::State(check) => check,
                Check::Quiet(check) if actions.is_empty() => check,
                Check::Quiet(_) => continue,
            };
            tally.add(Part::Group, place, rule.name, check(setup, self), broken);
        }
    }

    /// A line about an action in this state.
    #[must_use]
    pub fn describe(&self, action: &Action) -> String {
        let what = match action {
            Action::Up(pair) => self.wires.get(pair).map(|wire| format!("{:?}", wire.up.front())),
            Action::Down(pair) => self.wires.get(pair).map(|wire| format!("{:?}", wire.down.front())),
            _ => None,
        };
        let compact = |text: &str| crate::zip::short(&crate::cluster::compact(text));
        let action = compact(&format!("{action:?}"));
        what.map_or(action.clone(), |what| format!("{action}: {}", compact(&what)))
    }
}

impl System for Shuffles {
    type State = Group;
    type Action = Action;

    fn initial(&self, tally: &mut Tally) -> Group {
        let mut group = Group::new(&self.setup, Some(tally));
        while let Some(action) = (self.prologue)(&group) {
            group.apply(&self.setup, &action, Some(tally));
        }
        group
    }

    fn enabled(&self, state: &Group) -> Vec<Action> {
        state.enabled(&self.setup)
    }

    fn apply(&self, state: &mut Group, action: &Action, tally: Option<&mut Tally>) {
        state.apply(&self.setup, action, tally);
    }

    fn broken(&self, state: &Group, tally: &mut Tally) -> Vec<Broken> {
        let mut broken = state.broken.clone();
        state.judge(&self.setup, tally, &mut broken);
        broken
    }

    fn fair(&self, state: &Group) -> Option<Action> {
        let mut actions = Vec::new();
        state.by_itself(&self.setup, &mut actions);
        actions.into_iter().next()
    }

    fn end(&self, state: &Group) -> Option<End> {
        // What must be true at an end is said by the rules about quiet states.
        Some(End { good: state.broken.is_empty(), steps_max: self.steps_max })
    }

    fn witnesses(&self) -> &'static [Witness<Group>] {
        self.witnesses
    }

    fn kind(&self, action: &Action) -> &'static str {
        action.kind()
    }

    fn kinds(&self) -> Vec<&'static str> {
        system::names(&self.setup.faults, Fault::name)
    }

    fn describe(&self, state: &Group, action: &Action) -> String {
        state.describe(action)
    }

    fn bounds(&self) -> String {
        let setup = &self.setup;
        let (members, rounds, pieces) = (setup.roles.len(), setup.rounds, setup.pieces);
        let faults = system::in_words(&setup.faults, Fault::name);
        format!("{members} members, {rounds} rounds, {pieces} pieces a pair; {faults}")
    }
}

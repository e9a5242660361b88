//! Rules: the promises of the protocol as functions that anybody can call on a machine.
//!
//! Every machine exports its rules in `RULES` (they look at one state) and `STEP_RULES` (they look at a step:
//! state before, event, effects, state after). Property tests, the model checker, the simulator, the fuzzers
//! and debug builds of the shells call the same ones and count the answers. `Idle` means that the rule had
//! nothing to say; a rule that never answered `Holds` in a run that should exercise it has checked nothing.

use crate::machine::Machine;

/// A rule's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The case that the rule speaks of did not arise.
    Idle,
    /// It arose, and the promise was kept.
    Holds,
    /// It arose, and the promise was broken, in this way.
    Broken(&'static str),
}

impl Verdict {
    /// `Holds` or `Broken(detail)` for a case that did arise.
    #[must_use]
    pub fn from_bool(kept: bool, detail: &'static str) -> Self {
        if kept { Self::Holds } else { Self::Broken(detail) }
    }
}

/// What a rule is called and where its promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleName {
    /// The promise, as in `ARCHITECTURE.md`: `P1`, `J5`, ...
    pub promise: &'static str,
    /// What this rule checks of it, in a few words.
    pub name: &'static str,
}

/// A rule over one state of a machine.
#[derive(Debug)]
pub struct Rule<M: Machine> {
    /// Its name.
    pub name: RuleName,
    /// Looks at a state.
    pub check: fn(&M::Config, &M) -> Verdict,
}

/// One step of a machine, as a rule sees it.
#[derive(Debug)]
pub struct Step<'a, M: Machine> {
    /// The machine's configuration.
    pub config: &'a M::Config,
    /// The state before.
    pub before: &'a M,
    /// What happened.
    pub event: &'a M::Event,
    /// What the machine asked for, in order.
    pub effects: &'a [M::Effect],
    /// The state after.
    pub after: &'a M,
}

/// A rule over one step: for costs, monotonicity, and what a later step could hide.
#[derive(Debug)]
pub struct StepRule<M: Machine> {
    /// Its name.
    pub name: RuleName,
    /// Looks at a step.
    pub check: fn(&Step<'_, M>) -> Verdict,
}

/// A machine with its rules.
pub trait Ruled: Machine + Sized + 'static {
    /// Rules over one state.
    const RULES: &'static [Rule<Self>];
    /// Rules over one step.
    const STEP_RULES: &'static [StepRule<Self>];
}

/// Asks all of a machine's rules about one step and the state it led to.
///
/// `report` is told each rule's name and answer, in a fixed order.
pub fn check_step<M: Ruled>(step: &Step<'_, M>, mut report: impl FnMut(RuleName, Verdict)) {
    for rule in M::RULES {
        report(rule.name, (rule.check)(step.config, step.after));
    }
    for rule in M::STEP_RULES {
        report(rule.name, (rule.check)(step));
    }
}

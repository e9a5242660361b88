//! The hand that steps a machine.
//!
//! A shell owns one [`Driver`]: it gives it events and carries out the effects, in order, before the next event. In
//! builds with debug assertions every step is held against the machine's own rules, the same that the model
//! checker uses; a broken rule there is a bug, and ends the process with the rule's name.

use std::fmt::Debug;

use cirrus_core::machine::Machine;
use cirrus_core::rule::{Ruled, Step, Verdict, check_step};

/// Sees all that happens to a machine.
pub trait Observe<M: Machine>: Debug + Send {
    /// This happens to it now.
    fn event(&mut self, event: &M::Event);
    /// This is what it asks for, in answer to the event before, and as what it is left.
    fn answered(&mut self, machine: &M, effects: &[M::Effect]);
}

/// A machine, its configuration, and the effects of its last step.
#[derive(Debug)]
pub struct Driver<M: Ruled> {
    machine: M,
    config: M::Config,
    effects: Vec<M::Effect>,
    observers: Vec<Box<dyn Observe<M>>>,
}

impl<M: Ruled> Driver<M> {
    /// A machine about to take its first event.
    pub fn new(machine: M, config: M::Config) -> Self {
        Self { machine, config, effects: Vec::new(), observers: Vec::new() }
    }

    /// The same, and every step of it is seen by these, too.
    #[must_use]
    pub fn observed(mut self, by: impl IntoIterator<Item = Box<dyn Observe<M>>>) -> Self {
        self.observers.extend(by);
        self
    }

    /// The machine as it is.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Its configuration.
    pub fn config(&self) -> &M::Config {
        &self.config
    }

    /// Steps the machine; the effects are to be carried out in order. The list is given back to
    /// [`Driver::recycle`] so that steady work allocates nothing.
    pub fn step(&mut self, event: M::Event) -> Vec<M::Effect> {
        let mut effects = core::mem::take(&mut self.effects);
        for observer in &mut self.observers {
            observer.event(&event);
        }
        if cfg!(debug_assertions) {
            let before = self.machine.clone();
            self.machine.step(&self.config, event.clone(), &mut effects);
            // Before the rules are asked: a step that breaks one is the one to be looked at.
            self.answered(&effects);
            let step = Step {
                config: &self.config,
                before: &before,
                event: &event,
                effects: &effects,
                after: &self.machine,
            };
            check_step(&step, |rule, verdict| {
                if let Verdict::Broken(detail) = verdict {
                    panic!("rule {} ({}) is broken by {event:?}: {detail}", rule.promise, rule.name);
                }
            });
        } else {
            self.machine.step(&self.config, event, &mut effects);
            self.answered(&effects);
        }
        effects
    }

    fn answered(&mut self, effects: &[M::Effect]) {
        for observer in &mut self.observers {
            observer.answered(&self.machine, effects);
        }
    }

    /// Takes an emptied list of effects back.
    pub fn recycle(&mut self, mut effects: Vec<M::Effect>) {
        effects.clear();
        self.effects = effects;
    }
}

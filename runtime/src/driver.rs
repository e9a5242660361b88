//! The hand that steps a machine.
//!
//! A shell owns one [`Driver`]: it gives it events and carries out the effects, in order, before the next event. In
//! builds with debug assertions every step is held against the machine's own rules, the same that the model
//! checker uses; a broken rule there is a bug, and ends the process with the rule's name.

use cirrus_core::rule::{Ruled, Step, Verdict, check_step};

/// A machine, its configuration, and the effects of its last step.
#[derive(Debug)]
pub struct Driver<M: Ruled> {
    machine: M,
    config: M::Config,
    effects: Vec<M::Effect>,
}

impl<M: Ruled> Driver<M> {
    /// A machine about to take its first event.
    pub fn new(machine: M, config: M::Config) -> Self {
        Self { machine, config, effects: Vec::new() }
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
        if cfg!(debug_assertions) {
            let before = self.machine.clone();
            self.machine.step(&self.config, event.clone(), &mut effects);
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
        }
        effects
    }

    /// Takes an emptied list of effects back.
    pub fn recycle(&mut self, mut effects: Vec<M::Effect>) {
        effects.clear();
        self.effects = effects;
    }
}

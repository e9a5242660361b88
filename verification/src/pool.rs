//! One machine that is fed every event of a pool in every state: the hostile world.
//!
//! Nothing in a pool need make sense in the state in which it arrives. Ids are few, so that they collide:
//! repeats, requests of dead incarnations and of other epochs, records and timers that nobody waits for. What
//! bounds the space is that a pool is finite and that machines refuse what is stale or full.

use std::fmt::Debug;
use std::sync::Arc;

use cirrus_core::rule::{Ruled, Step};

use crate::cluster::compact;
use crate::system::{End, System, Witness};
use crate::tally::{Broken, Part, Tally};

/// A machine and the events it is fed.
#[derive(Debug)]
pub struct Pool<M: Ruled> {
    /// Whose rules are counted.
    pub part: Part,
    /// The machine's configuration.
    pub config: M::Config,
    /// The events.
    pub events: Vec<M::Event>,
    /// The machine before anything has happened to it.
    pub new: fn() -> M,
    /// Events that are taken before anything else.
    pub first: Vec<M::Event>,
    /// States behind which nothing more is tried, to keep counters small.
    pub far: fn(&M) -> bool,
    /// What must be seen.
    pub witnesses: &'static [Witness<Fed<M>>],
}

impl<M: Ruled> Clone for Pool<M>
where
    M::Config: Clone,
{
    fn clone(&self) -> Self {
        Self {
            part: self.part,
            config: self.config.clone(),
            events: self.events.clone(),
            new: self.new,
            first: self.first.clone(),
            far: self.far,
            witnesses: self.witnesses,
        }
    }
}

/// A machine after some events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fed<M> {
    /// The machine.
    pub machine: Arc<M>,
    /// What the last event broke.
    pub broken: Vec<Broken>,
}

impl<M: Ruled> Pool<M> {
    /// The machine after the events that come first.
    pub fn begin(&self, tally: &mut Tally) -> Fed<M> {
        let mut fed = Fed { machine: Arc::new((self.new)()), broken: Vec::new() };
        for event in &self.first {
            self.feed(&mut fed, event, Some(tally));
        }
        fed
    }

    /// Feeds one event and asks all rules about it.
    pub fn feed(&self, fed: &mut Fed<M>, event: &M::Event, tally: Option<&mut Tally>) {
        let before = Arc::clone(&fed.machine);
        let mut effects = Vec::new();
        Arc::make_mut(&mut fed.machine).step(&self.config, event.clone(), &mut effects);
        let (config, after): (_, &M) = (&self.config, &fed.machine);
        let step = Step { config, before: &*before, event, effects: &effects, after };
        fed.broken.clear();
        if let Some(tally) = tally {
            tally.step(self.part, &step, &mut fed.broken);
        }
    }
}

impl<M> System for Pool<M>
where
    M: Ruled + Send + Sync,
    M::Event: Send + Sync,
    M::Config: Debug + Send + Sync,
{
    type State = Fed<M>;
    type Action = M::Event;

    fn initial(&self, tally: &mut Tally) -> Fed<M> {
        self.begin(tally)
    }

    fn enabled(&self, state: &Fed<M>) -> Vec<M::Event> {
        if (self.far)(&state.machine) { Vec::new() } else { self.events.clone() }
    }

    fn apply(&self, state: &mut Fed<M>, event: &M::Event, tally: Option<&mut Tally>) {
        self.feed(state, event, tally);
    }

    fn broken(&self, state: &Fed<M>, _: &mut Tally) -> Vec<Broken> {
        state.broken.clone()
    }

    fn fair(&self, _: &Fed<M>) -> Option<M::Event> {
        None
    }

    fn end(&self, _: &Fed<M>) -> Option<End> {
        None
    }

    fn witnesses(&self) -> &'static [Witness<Fed<M>>] {
        self.witnesses
    }

    fn kind(&self, _: &M::Event) -> &'static str {
        "event"
    }

    fn kinds(&self) -> Vec<&'static str> {
        vec!["event"]
    }

    fn describe(&self, _: &Fed<M>, event: &M::Event) -> String {
        compact(&format!("{event:?}"))
    }

    fn bounds(&self) -> String {
        format!("any of {} events in any state", self.events.len())
    }
}

//! Worlds: what is explored, in which size, with which faults.
//!
//! A world is small on purpose; many small ones with two or three faults each see more than a large one. Each
//! names its witnesses, and the number of its states and its depth, so that a change of either is seen in review.

/// A world of a family whose `system` makes it of something small. It is too large for every day, if that is said.
macro_rules! world {
    ($name:literal, $about:literal, $golden:expr, $small:expr) => {
        world!($name, $about, $golden, $small, false)
    };
    ($name:literal, $about:literal, $golden:expr, $small:expr, $deep:expr) => {
        $crate::worlds::World {
            name: $name,
            about: $about,
            golden: $crate::worlds::Golden { unique: $golden.0, depth: $golden.1 },
            deep: $deep,
            make: |bugs| Box::new(system(&$small, bugs)),
        }
    };
}

pub(crate) mod contact;
pub(crate) mod controller;
pub(crate) mod directory;
pub(crate) mod fleet;
pub(crate) mod handling;
mod ids;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod member;
pub(crate) mod messages;
mod pipes;
pub(crate) mod restart;
pub(crate) mod shuffle;
pub(crate) mod store;
pub(crate) mod worker;
pub(crate) mod zip;

use cirrus_core::bug::{Bug, Bugs};
use cirrus_core::rule::RuleName;

use crate::check::{self, Failure, Limits, Outcome};
use crate::cluster::{Action, Cluster, Fault, Setup, Watch};
use crate::system::{self, End, System, Witness};
use crate::tally::{Broken, Tally};

/// More unique states than this are never explored: a world that grows beyond fails.
const STATES_MAX: u64 = 20_000_000;
/// The same for a deep world.
const DEEP_STATES_MAX: u64 = 100_000_000;
/// In a deep world it is checked in one state of so many that everything heals.
pub const DEEP_HEALS_ONE_IN: u64 = 64;

/// What a run of a world must count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Golden {
    /// Unique states.
    pub unique: u64,
    /// Depth.
    pub depth: u64,
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    /// What a run must count.
    pub golden: Golden,
    /// It is too large for every day.
    pub deep: bool,
    /// Makes it, with at most one seeded bug.
    make: fn(Bugs) -> Box<dyn Explored>,
}

/// All worlds.
#[must_use]
pub fn all() -> Vec<World> {
    [
        store::worlds(),
        lease::worlds(),
        fleet::worlds(),
        worker::worlds(),
        job::worlds(),
        directory::worlds(),
        controller::worlds(),
        restart::worlds(),
        member::worlds(),
        contact::worlds(),
        handling::worlds(),
        zip::worlds(),
        shuffle::worlds(),
        messages::worlds(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl World {
    /// Explores all of it.
    #[must_use]
    pub fn check(&self) -> Outcome {
        let (states_max, heals_one_in) =
            if self.deep { (DEEP_STATES_MAX, DEEP_HEALS_ONE_IN) } else { (STATES_MAX, 1) };
        (self.make)(Bugs::default()).check(Limits { states_max, heals_one_in, only: None })
    }

    /// The shortest way to something broken when this bug is switched on; to this rule broken, if one is named.
    #[must_use]
    pub fn hunt(&self, bug: Bug, only: Option<RuleName>) -> Option<Failure> {
        (self.make)(Bugs::only(bug)).hunt(only)
    }

    /// Walks from the start by choices, each byte one; what broke, if anything did.
    #[must_use]
    pub fn walk(&self, choices: &[u8]) -> Option<Failure> {
        (self.make)(Bugs::default()).walk(choices)
    }

    /// Its size and its faults.
    #[must_use]
    pub fn bounds(&self) -> String {
        (self.make)(Bugs::default()).bounds()
    }

    /// Serves the explorer until the process is ended.
    pub fn explore(&self, address: &str) {
        (self.make)(Bugs::default()).explore(address);
    }
}

/// A system behind one type.
trait Explored {
    fn check(&self, limits: Limits) -> Outcome;
    fn hunt(&self, only: Option<RuleName>) -> Option<Failure>;
    fn walk(&self, choices: &[u8]) -> Option<Failure>;
    fn bounds(&self) -> String;
    fn explore(&self, address: &str);
}

impl<S: System + Clone> Explored for S {
    fn check(&self, limits: Limits) -> Outcome {
        check::check(self.clone(), limits)
    }

    fn hunt(&self, only: Option<RuleName>) -> Option<Failure> {
        let heals_one_in = u64::from(only.is_none());
        check::shortest(self.clone(), Limits { states_max: STATES_MAX, heals_one_in, only })
    }

    fn walk(&self, choices: &[u8]) -> Option<Failure> {
        let mut tally = Tally::default();
        let mut state = self.initial(&mut tally);
        let mut steps = Vec::new();
        for choice in choices {
            let actions = self.enabled(&state);
            let action = actions.get(usize::from(*choice) % actions.len().max(1))?;
            steps.push(System::describe(self, &state, action));
            self.apply(&mut state, action, Some(&mut tally));
            let broken = self.broken(&state, &mut tally);
            if !broken.is_empty() {
                return Some(Failure { broken, steps });
            }
        }
        None
    }

    fn bounds(&self) -> String {
        System::bounds(self)
    }

    fn explore(&self, address: &str) {
        check::explore(self.clone(), address);
    }
}

/// A job as a system.
#[derive(Clone, Debug)]
pub struct Job {
    /// The machines and the faults.
    pub setup: Setup,
    /// Where exploration begins: as soon as this is so on the fair way from the start. `None` for a cold start.
    pub warm: Option<fn(&Cluster) -> bool>,
    /// The most fair steps to a good end.
    pub steps_max: u32,
    /// What must be seen.
    pub witnesses: &'static [Witness<Cluster>],
}

impl System for Job {
    type State = Cluster;
    type Action = Action;

    fn initial(&self, tally: &mut Tally) -> Cluster {
        let mut cluster = Cluster::new(&self.setup);
        while let Some(action) = self.fair(&cluster) {
            if self.warm.is_none_or(|warm| warm(&cluster)) {
                break;
            }
            self.apply(&mut cluster, &action, Some(tally));
        }
        cluster
    }

    fn enabled(&self, state: &Cluster) -> Vec<Action> {
        state.enabled()
    }

    fn apply(&self, state: &mut Cluster, action: &Action, tally: Option<&mut Tally>) {
        state.apply(&self.setup, action, &mut Watch { tally, set: Vec::new() });
    }

    fn broken(&self, state: &Cluster, tally: &mut Tally) -> Vec<Broken> {
        let mut broken = state.broken.clone();
        state.judge(&self.setup, tally, &mut broken);
        broken
    }

    fn fair(&self, state: &Cluster) -> Option<Action> {
        let mut actions = Vec::new();
        state.by_itself(&mut actions);
        actions.into_iter().next()
    }

    fn end(&self, state: &Cluster) -> Option<End> {
        Some(End { good: state.is_over(), steps_max: self.steps_max })
    }

    fn witnesses(&self) -> &'static [Witness<Cluster>] {
        self.witnesses
    }

    fn kind(&self, action: &Action) -> &'static str {
        action.kind()
    }

    fn kinds(&self) -> Vec<&'static str> {
        system::names(&self.setup.faults, Fault::name)
    }

    fn describe(&self, state: &Cluster, action: &Action) -> String {
        state.describe(action)
    }

    fn bounds(&self) -> String {
        let setup = &self.setup;
        let (workers, blocks, passes) = (setup.fleet.slots, setup.blocks, setup.lease.passes);
        let faults = system::in_words(&setup.faults, Fault::name);
        format!("{workers} workers, {blocks} blocks, {passes} passes; {faults}")
    }
}

/// Fault budgets, as a map.
fn budgets(faults: &[(Fault, u32)]) -> std::collections::BTreeMap<Fault, u32> {
    faults.iter().copied().collect()
}

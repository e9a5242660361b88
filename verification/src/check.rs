//! Exhaustive checks of one world: every order in which everything can happen. The only user of stateright.
//!
//! - One thread, depth first; stateright's own limits are never set, because a run that they cut passes. Our own
//!   cap makes the run fail.
//! - "No rule is broken" is asked once for every unique state; rules over steps were asked when the step was
//!   made. Verdicts are counted.
//! - "Heals": from every state the fair schedule without faults ends well, within a bound. The schedule depends
//!   on the state alone, so the way from a state leads over states whose way is known; each is walked once.
//! - A panic is a broken rule.
//! - The counterexample is searched again breadth first, so that it is a shortest one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cirrus_core::rule::RuleName;
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::digest::{self, BuildDigest};
use crate::system::{End, System};
use crate::tally::{Broken, Tally};

/// "Heals" as a rule.
pub const HEALS: RuleName = RuleName { promise: "P4", name: "everything ends well from everywhere" };
/// "No panic" as a rule.
pub const NO_PANIC: RuleName = RuleName { promise: "all", name: "no machine panics" };

const NO_RULE_BROKEN: &str = "no rule is broken";
const HEALS_ALWAYS: &str = "heals";

/// What a run is allowed and asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More unique states than this make the run fail.
    pub states_max: u64,
    /// In one of so many states it is checked that everything heals; in none of them for 0.
    pub heals_one_in: u64,
    /// The only rule that is asked; `None` for all of them.
    pub only: Option<RuleName>,
}

/// A counterexample.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What its last step broke.
    pub broken: Vec<Broken>,
    /// The steps, to read.
    pub steps: Vec<String>,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Unique states.
    pub unique: u64,
    /// States, each as often as it was reached.
    pub total: u64,
    /// Steps to the state furthest down, the first state included.
    pub depth: u64,
    /// How long it took.
    pub took: Duration,
    /// The cap was hit: the run says nothing.
    pub cut: bool,
    /// Verdicts.
    pub tally: Tally,
    /// Witnesses, and in how many states each was seen.
    pub witnesses: Vec<(&'static str, u64)>,
    /// Kinds of steps, and how often each was taken.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Kinds of steps that should have been taken and were not.
    pub missing_kinds: Vec<&'static str>,
    /// The longest way to a good end, in fair steps.
    pub longest_way: u32,
    /// A counterexample, if there is one.
    pub failure: Option<Failure>,
}

/// What is counted while the checker runs.
#[derive(Debug, Default)]
struct Progress {
    asked: u64,
    /// The cap was hit.
    cut: bool,
    /// Something broken was found; the first is kept, and nothing is looked for behind it.
    failed: bool,
    tally: Tally,
    witnesses: Vec<u64>,
    kinds: BTreeMap<&'static str, u64>,
    /// Fair steps from a state to a good end, by the state's digest.
    ways: HashMap<u64, u32, BuildDigest>,
    longest_way: u32,
}

/// A system as stateright wants it.
struct Checked<S: System> {
    system: S,
    limits: Limits,
    progress: Arc<Mutex<Progress>>,
}

/// A state, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node<T> {
    State(T),
    /// A machine panicked on the way here.
    Panicked(String),
}

impl<S: System> Checked<S> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, state: &S::State, action: &S::Action, tally: Option<&mut Tally>) -> Node<S::State> {
        let mut next = state.clone();
        let stepped = catch_unwind(AssertUnwindSafe(|| self.system.apply(&mut next, action, tally)));
        match stepped {
            Ok(()) => Node::State(next),
            Err(cause) => Node::Panicked(words_of(&*cause)),
        }
    }

    /// What is broken in a state, and counted.
    fn judge(&self, node: &Node<S::State>, tally: &mut Tally) -> Vec<Broken> {
        match node {
            Node::State(state) => {
                let mut broken = self.system.broken(state, tally);
                broken.retain(|broken| self.limits.only.is_none_or(|only| broken.rule == only));
                broken
            }
            Node::Panicked(_) => vec![Broken { rule: NO_PANIC, detail: "a machine panicked" }],
        }
    }

    /// Whether no rule is broken; asked once for each unique state.
    fn no_rule_broken(&self, node: &Node<S::State>) -> bool {
        let mut progress = self.progress();
        let progress = &mut *progress;
        if progress.failed {
            return true;
        }
        progress.asked += 1;
        let broken = self.judge(node, &mut progress.tally);
        if let Node::State(state) = node {
            let witnesses = self.system.witnesses();
            progress.witnesses.resize(witnesses.len(), 0);
            for (count, witness) in progress.witnesses.iter_mut().zip(witnesses) {
                *count += u64::from((witness.seen)(state));
            }
        }
        progress.cut |= progress.asked > self.limits.states_max;
        progress.failed = !broken.is_empty();
        !progress.failed
    }

    /// Whether everything heals; asked once for each unique state.
    fn heals(&self, node: &Node<S::State>) -> bool {
        let mut progress = self.progress();
        let Node::State(state) = node else { return true };
        let one_in = self.limits.heals_one_in;
        if progress.failed || one_in == 0 || one_in > 1 && !digest::of(state).is_multiple_of(one_in) {
            return true;
        }
        progress.failed = !self.ends_well(state, &mut progress);
        !progress.failed
    }

    /// Whether the fair schedule leads from here to a good end within the bound.
    fn ends_well(&self, first: &S::State, progress: &mut Progress) -> bool {
        let Some(End { steps_max, .. }) = self.system.end(first) else { return true };
        let mut walked = Vec::new();
        let mut state = first.clone();
        let rest = loop {
            let name = digest::of(&state);
            if let Some(rest) = progress.ways.get(&name) {
                break *rest;
            }
            if walked.len() > steps_max as usize {
                return false;
            }
            walked.push(name);
            let Some(action) = self.system.fair(&state) else {
                if self.system.end(&state).is_some_and(|end| end.good) {
                    walked.pop();
                    progress.ways.insert(name, 0);
                    break 0;
                }
                return false;
            };
            match self.step(&state, &action, None) {
                Node::State(next) => state = next,
                // That step is found by itself.
                Node::Panicked(_) => return true,
            }
        };
        let mut way = rest;
        for name in walked.into_iter().rev() {
            way += 1;
            progress.ways.insert(name, way);
        }
        progress.longest_way = progress.longest_way.max(way);
        way <= steps_max
    }
}

fn words_of(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}

impl<S: System> Model for Checked<S> {
    type State = Node<S::State>;
    type Action = S::Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![Node::State(self.system.initial(&mut self.progress().tally))]
    }

    fn actions(&self, node: &Self::State, actions: &mut Vec<S::Action>) {
        let Node::State(state) = node else { return };
        let progress = self.progress();
        if !progress.cut && !progress.failed {
            actions.extend(self.system.enabled(state));
        }
    }

    fn next_state(&self, node: &Self::State, action: S::Action) -> Option<Self::State> {
        let Node::State(state) = node else { return None };
        let mut progress = self.progress();
        *progress.kinds.entry(self.system.kind(&action)).or_default() += 1;
        Some(self.step(state, &action, Some(&mut progress.tally)))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_RULE_BROKEN, Self::no_rule_broken),
            Property::always(HEALS_ALWAYS, Self::heals),
        ]
    }

    fn format_action(&self, action: &S::Action) -> String {
        format!("{action:?}")
    }
}

/// Explores a whole system.
pub fn check<S: System + Clone>(system: S, limits: Limits) -> Outcome {
    let began = Instant::now();
    let progress = Arc::new(Mutex::new(Progress::default()));
    let model = Checked { system: system.clone(), limits, progress: Arc::clone(&progress) };
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    let (unique, total) = (checker.unique_state_count() as u64, checker.state_count() as u64);
    let depth = checker.max_depth() as u64;
    drop(checker);
    let progress = std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
    let failed = progress.failed;
    let failure = failed.then(|| shortest(system.clone(), limits)).flatten();
    let names = system.witnesses().iter().map(|witness| witness.name);
    let counts = progress.witnesses.iter().copied().chain(std::iter::repeat(0));
    let missing = system.kinds().into_iter().filter(|kind| !progress.kinds.contains_key(kind));
    Outcome {
        unique,
        total,
        depth,
        took: began.elapsed(),
        // Each unique state is asked once, or something is wrong with this adapter.
        cut: progress.cut || (!failed && progress.asked != unique),
        tally: progress.tally,
        witnesses: names.zip(counts).collect(),
        missing_kinds: missing.collect(),
        kinds: progress.kinds,
        longest_way: progress.longest_way,
        failure,
    }
}

/// The shortest way to something broken, breadth first; `None` when nothing is.
pub fn shortest<S: System + Clone>(system: S, limits: Limits) -> Option<Failure> {
    let progress = Arc::new(Mutex::new(Progress::default()));
    let model = Checked { system: system.clone(), limits, progress: Arc::clone(&progress) };
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    // The way is found by taking its steps again.
    *progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress::default();
    let mut found: Vec<_> = checker.discoveries().into_iter().collect();
    found.sort_by_key(|(name, path)| (path.clone().into_vec().len(), *name));
    let (name, path) = found.into_iter().next()?;
    let path = path.into_vec();
    let judge = Checked { system, limits, progress: Arc::default() };
    let mut steps = Vec::new();
    for (node, action) in &path {
        if let (Node::State(state), Some(action)) = (node, action) {
            steps.push(judge.system.describe(state, action));
        }
        if let Node::Panicked(words) = node {
            steps.push(format!("panic: {words}"));
        }
    }
    let mut broken =
        path.last().map(|(node, _)| judge.judge(node, &mut Tally::default())).unwrap_or_default();
    if name == HEALS_ALWAYS && broken.is_empty() {
        broken.push(Broken { rule: HEALS, detail: "a fair schedule without faults does not end well" });
    }
    Some(Failure { broken, steps })
}

/// Serves stateright's explorer of a system in a browser, until the process is ended.
pub fn explore<S: System>(system: S, address: &str) {
    let limits = Limits { states_max: u64::MAX, heals_one_in: 0, only: None };
    let model = Checked { system, limits, progress: Arc::default() };
    model.checker().serve(address);
}

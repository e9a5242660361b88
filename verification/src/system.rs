//! What can be explored: states, the steps between them, and what must be true of them.
//!
//! Two things are systems: a [`Cluster`](crate::cluster::Cluster) of machines with a network and faults, and a
//! single machine that is fed every event of a [`pool`](crate::pool). The model checker, which knows only this
//! trait, needs no word about either.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use crate::tally::{Broken, Tally};

/// Something that a run must reach, or else the world is too small to check what it claims to check.
#[derive(Debug)]
pub struct Witness<S> {
    /// What is seen, as a sentence.
    pub name: &'static str,
    /// Whether it is seen in this state.
    pub seen: fn(&S) -> bool,
}

/// What can be explored.
pub trait System: Send + Sync + 'static {
    /// A state.
    type State: Clone + Debug + PartialEq + Eq + Hash + Send + Sync + 'static;
    /// A step that leads to another.
    type Action: Clone + Debug + PartialEq + Eq + Send + Sync + 'static;

    /// Where it begins.
    fn initial(&self, tally: &mut Tally) -> Self::State;

    /// What can happen, in a fixed order.
    fn enabled(&self, state: &Self::State) -> Vec<Self::Action>;

    /// What comes of it. Rules over steps are asked and counted on the way, if there is a tally; what they find
    /// broken is kept in the state.
    fn apply(&self, state: &mut Self::State, action: &Self::Action, tally: Option<&mut Tally>);

    /// Everything that is broken in this state: what the step that led here broke, and what rules over whole
    /// states say, which are asked and counted now.
    fn broken(&self, state: &Self::State, tally: &mut Tally) -> Vec<Broken>;

    /// The next step of a fair schedule without faults; `None` when nothing is left to do. It depends on the
    /// state alone.
    fn fair(&self, state: &Self::State) -> Option<Self::Action>;

    /// Whether it may end here, and the most fair steps it may take to get to such an end from anywhere.
    /// `None` for a system that promises no end.
    fn end(&self, state: &Self::State) -> Option<End>;

    /// What must be seen.
    fn witnesses(&self) -> &'static [Witness<Self::State>];

    /// In a word, what kind of step it is.
    fn kind(&self, action: &Self::Action) -> &'static str;

    /// The kinds of steps that must be taken somewhere.
    fn kinds(&self) -> Vec<&'static str>;

    /// A line that tells a person what happens in this state by this action.
    fn describe(&self, state: &Self::State, action: &Self::Action) -> String;

    /// Its size and its faults, in a line.
    fn bounds(&self) -> String;
}

/// Whether a system may end in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// It may end here.
    pub good: bool,
    /// From anywhere, this many fair steps lead to a good end.
    pub steps_max: u32,
}

/// The names of the faults that may happen.
pub fn names<F: Copy>(faults: &BTreeMap<F, u32>, name: fn(F) -> &'static str) -> Vec<&'static str> {
    faults.iter().filter(|(_, count)| **count > 0).map(|(fault, _)| name(*fault)).collect()
}

/// Which faults may happen, and how often, in words.
pub fn in_words<F: Copy>(faults: &BTreeMap<F, u32>, name: fn(F) -> &'static str) -> String {
    let faults = faults.iter().filter(|(_, count)| **count > 0).map(|(fault, count)| match count {
        1 => name(*fault).to_owned(),
        _ => format!("{count} x {}", name(*fault)),
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { "no faults".to_owned() } else { faults.join(", ") }
}

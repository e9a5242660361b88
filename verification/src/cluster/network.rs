//! Links: first in, first out; a break loses a suffix; what an old connection held may arrive late.

use std::collections::VecDeque;

use cirrus_core::ids::GradientName;
use cirrus_core::store;
use cirrus_core::worker;

use super::Payload;

/// How a worker's connection to the store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// There is none.
    #[default]
    None,
    /// It is being made.
    Dialling,
    /// It stands.
    Up,
    /// It broke; the worker has not noticed yet.
    Cut,
}

/// A worker's connection to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// How it stands.
    pub line: Line,
    /// Requests under way on it.
    pub up: VecDeque<store::Event<Payload>>,
    /// Answers under way on it.
    pub down: VecDeque<worker::Event<Payload>>,
    /// Requests of earlier connections that will still reach the store.
    pub late: VecDeque<store::Event<Payload>>,
}

impl Link {
    /// Breaks it: of the requests under way the first `kept` will still arrive, the others never.
    pub fn cut(&mut self, kept: usize) {
        self.line = Line::Cut;
        self.up.truncate(kept);
        self.late.append(&mut self.up);
    }

    /// The worker lets go of it. What it wrote before still arrives, what was on its way to it does not.
    pub fn drop_connection(&mut self) {
        self.line = Line::None;
        self.late.append(&mut self.up);
        self.down.clear();
    }
}

/// Something that a worker process does by itself and that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Bring a block's rows into memory.
    Fetch(GradientName),
    /// Learn from a block.
    Compute(GradientName),
}

//! Descriptors that are under way on a connection, and what becomes of them when it ends.
//!
//! ```text
//!   sender                                       receiver
//!     | descriptor, descriptor, ... -----------> | counts what it takes
//!     | <--------- Taken, now and then, and once it is gone, beside the connection
//!     | what was not taken then is its own again
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::sync::Mutex;

/// A receiver says how far it is after so many descriptors.
pub(super) const EVERY: u64 = 64;

/// How many descriptors of a connection were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Taken {
    /// Which connection of the lodger.
    pub connection: u32,
    /// How many.
    pub count: u64,
    /// No more will be.
    pub over: bool,
}

/// The sending end of one connection.
#[derive(Debug, Default)]
struct UnderWay {
    taken: u64,
    /// The slots of those that follow, in order.
    slots: VecDeque<u32>,
    over: bool,
}

/// Shared by a connection's sender and whoever hears what was taken.
#[derive(Debug)]
pub(super) struct Line(Mutex<UnderWay>);

impl Line {
    /// A descriptor may be sent: `describe` names its slot. Nothing is, once the receiver is gone.
    pub(super) fn send<T>(&self, describe: impl FnOnce() -> Option<(u32, T)>) -> Option<T> {
        let mut line = self.0.lock();
        if line.over {
            return None;
        }
        let (slot, descriptor) = describe()?;
        line.slots.push_back(slot);
        Some(descriptor)
    }
}

/// The sending ends of all connections with one other process.
#[derive(Debug)]
pub(super) struct Lines(Mutex<BTreeMap<u32, Arc<Line>>>);

impl Lines {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// A new connection.
    pub(super) fn open(&self, connection: u32) -> Arc<Line> {
        let line = Arc::new(Line(Mutex::new(UnderWay::default())));
        self.0.lock().insert(connection, Arc::clone(&line));
        line
    }

    /// The receiver says how far it is: the slots of those that it will never take.
    pub(super) fn taken(&self, Taken { connection, count, over }: Taken) -> Vec<u32> {
        let line = {
            let mut lines = self.0.lock();
            if over { lines.remove(&connection) } else { lines.get(&connection).cloned() }
        };
        let Some(line) = line else { return Vec::new() };
        let mut line = line.0.lock();
        while line.taken < count && line.slots.pop_front().is_some() {
            line.taken += 1;
        }
        line.over |= over;
        if over { line.slots.drain(..).collect() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];

    #[test]
    fn what_was_not_taken_comes_back_once_and_nothing_is_sent_after_that() {
        let lines = Lines::new();
        let line = lines.open(3);
        for slot in 10..15 {
            assert_eq!(line.send(|| Some((slot, ()))), Some(()));
        }
        assert_eq!(line.send(|| None::<(u32, ())>), None);
        let taken = |count, over| lines.taken(Taken { connection: 3, count, over });
        assert_eq!(taken(2, false), NONE);
        assert_eq!(taken(1, false), NONE, "one that comes late says nothing");
        assert_eq!(taken(3, true), [13, 14]);
        assert_eq!(taken(3, true), NONE);
        assert_eq!(line.send(|| Some((15, ()))), None);
    }

    #[test]
    fn who_counts_more_than_there_were_gains_nothing() {
        let lines = Lines::new();
        let line = lines.open(1);
        line.send(|| Some((4, ()))).unwrap();
        assert_eq!(lines.taken(Taken { connection: 1, count: u64::MAX, over: false }), NONE);
        assert_eq!(lines.taken(Taken { connection: 2, count: 0, over: true }), NONE);
        line.send(|| Some((5, ()))).unwrap();
        assert_eq!(lines.taken(Taken { connection: 1, count: 1, over: true }), [5]);
    }
}

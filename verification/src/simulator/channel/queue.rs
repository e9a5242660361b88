//! What will happen when: by time, and in the order of planning what is due at the same time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Incident;
use crate::zip::{Action, Address, Timer};

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// Something arrives or is noticed, unless its connection has ended meanwhile.
    Arrives(Action),
    /// A timer fires, unless it was cleared or set anew meanwhile.
    Fires(Timer),
    /// A process comes to join.
    Joins,
    /// This process gives its next value to a reduce, if it may.
    Calls(Address),
    /// Somebody looks whether the lease of this process, which is dead, has run out.
    Lapses(Address),
    /// An incident happens, or is tried again.
    Happens(Incident, u32),
}

/// The queue. Times are in microseconds.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When, which in the order of planning, and where in `things`: small, for a heap moves its items often.
    due: BinaryHeap<Reverse<(u64, u64, u32)>>,
    things: Vec<Due>,
    /// Places of `things` that are free.
    free: Vec<u32>,
    planned: u64,
    armed: BTreeMap<Timer, u64>,
}

impl Queue {
    /// Plans something.
    pub(super) fn plan(&mut self, at: u64, due: Due) {
        self.planned += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.things[place as usize] = due;
                place
            }
            None => {
                self.things.push(due);
                u32::try_from(self.things.len() - 1).expect("fewer than four billion are under way")
            }
        };
        self.due.push(Reverse((at, self.planned, place)));
    }

    /// Sets a timer; if it is set already, this is when it fires.
    pub(super) fn arm(&mut self, at: u64, timer: Timer) {
        self.plan(at, Due::Fires(timer));
        self.armed.insert(timer, self.planned);
    }

    /// The next, and when. A timer that was set anew is left out.
    pub(super) fn next(&mut self) -> Option<(u64, Due)> {
        loop {
            let Reverse((at, number, place)) = self.due.pop()?;
            let due = self.things[place as usize];
            self.free.push(place);
            let Due::Fires(timer) = due else { return Some((at, due)) };
            if self.armed.get(&timer) == Some(&number) {
                self.armed.remove(&timer);
                return Some((at, due));
            }
        }
    }
}

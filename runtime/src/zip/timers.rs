//! The timers of a machine: set by a value, set anew by the same value, cleared by it.

use std::collections::BTreeMap;
use std::time::Duration;

use cirrus_core::ids::Millis;
use tokio::time::{Instant, sleep_until};

/// Timers in the order in which they fire; of those for one moment the one that was set first is first.
#[derive(Debug)]
pub(super) struct Timers<K> {
    order: BTreeMap<(Instant, u64), K>,
    armed: BTreeMap<K, (Instant, u64)>,
    /// How often a timer was set.
    settings: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), armed: BTreeMap::new(), settings: 0 }
    }
}

/// The same span for a clock.
pub(super) fn span(Millis(millis): Millis) -> Duration {
    Duration::from_millis(millis.into())
}

impl<K: Ord + Copy> Timers<K> {
    /// Arms a timer, or arms it anew.
    pub(super) fn set(&mut self, timer: K, after: Millis) {
        self.clear(&timer);
        self.settings += 1;
        let at = (Instant::now() + span(after), self.settings);
        self.order.insert(at, timer);
        self.armed.insert(timer, at);
    }

    pub(super) fn clear(&mut self, timer: &K) {
        if let Some(at) = self.armed.remove(timer) {
            self.order.remove(&at);
        }
    }

    /// The next timer that fires. May be dropped and called again.
    pub(super) async fn next(&mut self) -> K {
        let Some((at, timer)) = self.order.first_key_value().map(|(at, timer)| (*at, *timer)) else {
            return std::future::pending().await;
        };
        sleep_until(at.0).await;
        self.order.remove(&at);
        self.armed.remove(&timer);
        timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fires_in_order_what_is_not_cleared_or_set_again() {
        let mut timers = Timers::default();
        for (timer, after) in [('a', 30), ('b', 20), ('c', 10), ('d', 20)] {
            timers.set(timer, Millis(after));
        }
        timers.clear(&'c');
        timers.set('b', Millis(40));
        let mut fired = String::new();
        while let Ok(timer) = tokio::time::timeout(Duration::from_secs(1), timers.next()).await {
            fired.push(timer);
        }
        assert_eq!(fired, "dab");
        assert!(timers.order.is_empty() && timers.armed.is_empty(), "nothing is kept of what is over");
    }
}

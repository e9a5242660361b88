//! The timers of leases: many, all of the same length, most of them cleared before they fire.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cirrus_core::lease::Timer;
use tokio::time::{Instant, sleep_until};

/// Timers in the order in which they fire. As all are of one length, that is the order in which they were set.
#[derive(Debug)]
pub(super) struct LeaseTimers {
    length: Duration,
    /// Which setting of a timer is the one that counts.
    armed: BTreeMap<Timer, u64>,
    order: VecDeque<(Instant, u64, Timer)>,
    /// How often a timer was set.
    settings: u64,
}

impl LeaseTimers {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, armed: BTreeMap::new(), order: VecDeque::new(), settings: 0 }
    }

    /// Arms a timer, or arms it anew.
    pub(super) fn set(&mut self, timer: Timer) {
        self.settings += 1;
        self.armed.insert(timer, self.settings);
        self.order.push_back((Instant::now() + self.length, self.settings, timer));
        self.forget_cleared();
    }

    pub(super) fn clear(&mut self, timer: &Timer) {
        self.armed.remove(timer);
        self.forget_cleared();
    }

    /// Drops entries at the front that were cleared, or armed anew since.
    fn forget_cleared(&mut self) {
        while self.order.front().is_some_and(|(_, setting, timer)| self.armed.get(timer) != Some(setting)) {
            self.order.pop_front();
        }
    }

    /// The next timer that fires. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Timer {
        let Some((at, _, timer)) = self.order.front().copied() else { return std::future::pending().await };
        sleep_until(at).await;
        self.order.pop_front();
        self.armed.remove(&timer);
        self.forget_cleared();
        timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cirrus_core::ids::{BlockId, Incarnation, Pass, StoreEpoch, WorkerId};
    use cirrus_core::store::Sender;

    fn timer(block: u32) -> Timer {
        let holder = Sender { worker: WorkerId(0), incarnation: Incarnation(1) };
        Timer { holder, epoch: StoreEpoch(1), pass: Pass(0), block: BlockId { partition: 0, block } }
    }

    #[tokio::test(start_paused = true)]
    async fn fires_in_order_what_is_not_cleared_or_set_again() {
        let mut timers = LeaseTimers::new(Duration::from_secs(1));
        (0..4).for_each(|block| timers.set(timer(block)));
        timers.clear(&timer(0));
        timers.clear(&timer(2));
        timers.set(timer(1));
        let mut fired = Vec::new();
        while let Ok(timer) = tokio::time::timeout(Duration::from_secs(10), timers.next()).await {
            fired.push(timer.block.block);
        }
        assert_eq!(fired, [3, 1]);
        assert!(timers.order.is_empty() && timers.armed.is_empty(), "nothing is kept of what is over");
    }
}

//! Who has called and has not proven anything yet: so many at a time, and in a crowd none for long.
//!
//! A connection that says nothing costs a descriptor and a little memory until its time to prove who it is has run out. So
//! that many of them cannot take all descriptors, nor keep those waiting who have something to say, there is room for
//! [`STRANGERS_MAX`]. Who calls when it is taken waits until one of those before is known or gone, or, if they have all been
//! there for [`CROWDED`], takes the place of the first. Honest callers need far less; those who are sent away call again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// How many there may be.
const STRANGERS_MAX: usize = 256;
/// How long one may be there while others wait.
const CROWDED: Duration = Duration::from_millis(300);

/// A place of one, which it holds until it is known.
#[derive(Debug)]
pub(super) struct Stranger {
    /// It is known, or was sent away: whichever was first.
    settled: AtomicBool,
    _room: OwnedSemaphorePermit,
}

impl Stranger {
    /// It has proven who it is, and makes room for others. Whether it may stay: it may just have been sent away.
    pub(super) fn is_known(self: Arc<Self>) -> bool {
        self.settle()
    }

    fn settle(&self) -> bool {
        !self.settled.swap(true, Ordering::Relaxed)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Strangers {
    room: Arc<Semaphore>,
    /// In the order in which they came; some are known by now, or gone.
    came: VecDeque<Came>,
}

#[derive(Debug)]
struct Came {
    since: Instant,
    peer: Arc<str>,
    place: Weak<Stranger>,
    task: AbortHandle,
}

impl Strangers {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(STRANGERS_MAX)), came: VecDeque::new() }
    }

    /// Waits for a place.
    pub(super) async fn place(&mut self) -> Arc<Stranger> {
        loop {
            self.came.retain(|came| came.place.strong_count() > 0);
            let first = self.came.front().map_or_else(Instant::now, |came| came.since);
            tokio::select! {
                biased;
                place = self.room() => return place,
                () = sleep_until(first + CROWDED) => {
                    if let Some(Came { peer, task, place, .. }) = self.came.pop_front()
                        && place.upgrade().is_some_and(|place| place.settle())
                    {
                        tracing::warn!("{peer} has not proven anything, and others wait: the connection is given up");
                        task.abort();
                        // It takes a moment to go; nobody else has to.
                        return self.room().await;
                    }
                }
            }
        }
    }

    /// A place as soon as there is room.
    async fn room(&self) -> Arc<Stranger> {
        match Arc::clone(&self.room).acquire_owned().await {
            Ok(room) => Arc::new(Stranger { settled: AtomicBool::new(false), _room: room }),
            Err(_) => std::future::pending().await, // It is never closed.
        }
    }

    /// One has come, to a place that its task holds, which ends if it is sent away.
    pub(super) fn came(&mut self, peer: Arc<str>, place: Weak<Stranger>, task: AbortHandle) {
        self.came.push_back(Came { since: Instant::now(), peer, place, task });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many, who say nothing until they are known.
    async fn crowd(strangers: &mut Strangers, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = Vec::new();
        for _ in 0..count {
            let place = strangers.place().await;
            let weak = Arc::downgrade(&place);
            let task = tokio::spawn(async move {
                let _place = place;
                std::future::pending::<()>().await;
            });
            strangers.came("somebody".into(), weak, task.abort_handle());
            tasks.push(task);
        }
        tasks
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_takes_the_place_of_who_has_been_there_longest() {
        let mut strangers = Strangers::new();
        let began = Instant::now();
        let mut crowd = crowd(&mut strangers, STRANGERS_MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody waits while there is room");
        let place = strangers.place().await;
        assert!(began.elapsed() >= CROWDED, "they have that long");
        assert!(crowd.remove(0).await.unwrap_err().is_cancelled());
        // The next one does not wait as long again.
        let next = strangers.place().await;
        assert!(began.elapsed() < 2 * CROWDED);
        assert!(crowd.remove(0).await.unwrap_err().is_cancelled());
        assert!(crowd.iter().all(|task| !task.is_finished()));
        drop((place, next));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_stays_and_makes_room() {
        let mut strangers = Strangers::new();
        let place = strangers.place().await;
        let known = tokio::spawn(std::future::pending::<()>());
        strangers.came("somebody".into(), Arc::downgrade(&place), known.abort_handle());
        let crowd = crowd(&mut strangers, STRANGERS_MAX - 1).await;
        let began = Instant::now();
        assert!(place.is_known());
        drop(strangers.place().await);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(!known.is_finished() && crowd.iter().all(|task| !task.is_finished()));
    }
}

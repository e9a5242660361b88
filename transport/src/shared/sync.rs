//! What threads share: the system's atomics and locks, or those of loom, which tries all orders in which they can meet.
//!
//! Whatever is written over this module is checked as it runs: `RUSTFLAGS="--cfg cirrus_loom"` and nothing else makes the
//! difference. (Not `--cfg loom`: that one changes tokio as well, which has no sockets then.)

#[cfg(cirrus_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(cirrus_loom)]
use loom::sync::{Mutex as Lock, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(cirrus_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(cirrus_loom))]
use std::sync::{Mutex as Lock, MutexGuard};

/// A lock. A thread that panicked while it had it has left behind what every single step leaves whole.
#[derive(Debug)]
pub(crate) struct Mutex<T>(Lock<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Lock::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The thread that drives storage for callers that are not async.
//!
//! Loaders and training in one process are plain threads; object stores answer in futures. An [`IoThread`] owns a
//! small tokio runtime and the one thread that drives its timers and sockets, so that any thread can wait for a
//! future ([`IoThread::block_on`]) and background fetches go on while nobody waits. It decides nothing. Servers and
//! workers, which are async themselves, need none.

use std::future::Future;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads that may block in file system calls at the same time.
const BLOCKING_THREADS: usize = 8;

/// A tokio runtime with a thread of its own. Dropping it ends the thread and whatever still runs in it.
#[derive(Debug)]
pub struct IoThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl IoThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread or no poller.
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("cirrus-file")
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("cirrus-io".to_owned()).spawn(move || {
            // Ends by the sender's drop as well; both mean stop.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs `future` to its end on the calling thread, with storage driven in the background.
    ///
    /// # Panics
    /// When called from inside an async task, which must await instead.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// The runtime, for tasks that go on in the background.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread does not panic: it waits for one message and returns.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_fire_while_a_plain_thread_waits() {
        let io = IoThread::start().unwrap();
        let answer = io.block_on(async {
            // What never comes is given up by a timer that somebody must drive.
            let never = std::future::pending::<()>();
            assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
            tokio::task::spawn_blocking(|| 7).await.unwrap()
        });
        assert_eq!(answer, 7);
    }

    #[test]
    fn background_tasks_end_with_the_thread() {
        let io = IoThread::start().unwrap();
        let (held, released) = std::sync::mpsc::channel::<()>();
        io.handle().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(io);
        assert!(released.recv().is_err(), "the task and what it holds are gone");
    }
}

//! The bounded pool of compute threads.
//!
//! Everything that is compute and may take longer than a message (decoding blocks, parsing text, applying updates)
//! runs here, so that the number of busy threads is one number for the whole process. Jobs start in the order in
//! which they were handed in. A job that panics ends itself alone: its caller gets [`JobPanicked`], its thread goes
//! on. The queue itself has no limit; each of the two ways in bounds what it holds: [`WorkPool::map_ordered`] by its
//! window, [`WorkPool::run`] by what its caller awaits.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of named threads that take jobs from one queue. Dropping it finishes all jobs, then joins them.
pub struct WorkPool {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// A job panicked; its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job panicked: {0}")]
pub struct JobPanicked(pub String);

impl WorkPool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// When the operating system gives no thread; those already started end again.
    pub fn new(threads: NonZeroUsize) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut pool = Self { queue: Some(queue), threads: Vec::with_capacity(threads.get()) };
        for index in 0..threads.get() {
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new()
                .name(format!("cirrus-work-{index}"))
                .spawn(move || work(&jobs))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many jobs run at the same time.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Hands in one job. It starts whether or not the future is polled; dropping the future forgets its result.
    ///
    /// # Errors
    /// The future answers [`JobPanicked`] when the job did.
    pub fn run<R, F>(&self, job: F) -> impl Future<Output = Result<R, JobPanicked>> + Send + use<R, F>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // A caller that no longer waits is no error.
        self.submit(move || drop(reply.send(caught(job))));
        async move { answer.await.unwrap_or_else(|_| Err(JobPanicked("the pool ended".to_owned()))) }
    }

    /// Applies `f` to each item, on the pool's threads, and yields the results in the order of the items.
    ///
    /// Items are drawn on the calling thread, and at most `window` of them are drawn but not yet yielded: a slow
    /// consumer stops the source. Not to be iterated inside a job of the same pool, whose threads it would wait for.
    ///
    /// # Errors
    /// An item whose job panicked yields [`JobPanicked`] in its place.
    pub fn map_ordered<I, R, F>(
        self: &Arc<Self>,
        items: I,
        window: NonZeroUsize,
        f: F,
    ) -> Ordered<I::IntoIter, R, F>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
    {
        Ordered {
            pool: Arc::clone(self),
            items: items.into_iter().fuse(),
            f: Arc::new(f),
            window,
            waiting: VecDeque::with_capacity(window.get()),
        }
    }

    fn submit(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(queue) = &self.queue {
            // The threads hold the other end for as long as the pool lives. Were it gone, the job's reply channel
            // would be dropped with it, which its waiter sees.
            let _ = queue.send(Box::new(job));
        }
    }
}

/// One thread: takes jobs until the pool is dropped and the queue is empty.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // The lock is held while waiting for a job, never while running one.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(mpsc::RecvError) => return,
        }
    }
}

/// Runs a job and turns its panic into a value.
fn caught<R>(job: impl FnOnce() -> R) -> Result<R, JobPanicked> {
    // What the job shares with others is behind locks of its own or given up with it.
    catch_unwind(AssertUnwindSafe(job)).map_err(|payload| {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast_ref::<&str>().map_or("no text", |text| text).to_owned(),
        };
        JobPanicked(text)
    })
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        drop(self.queue.take());
        let this = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be a job itself; a thread cannot join itself, it ends right after.
            if thread.thread().id() != this {
                // Jobs' panics are caught, so a thread ends by returning.
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for WorkPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// Results of [`WorkPool::map_ordered`], in the order of the items.
pub struct Ordered<I: Iterator, R, F> {
    pool: Arc<WorkPool>,
    items: std::iter::Fuse<I>,
    f: Arc<F>,
    window: NonZeroUsize,
    waiting: VecDeque<mpsc::Receiver<Result<R, JobPanicked>>>,
}

impl<I, R, F> Iterator for Ordered<I, R, F>
where
    I: Iterator,
    I::Item: Send + 'static,
    R: Send + 'static,
    F: Fn(I::Item) -> R + Send + Sync + 'static,
{
    type Item = Result<R, JobPanicked>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.len() < self.window.get() {
            let Some(item) = self.items.next() else { break };
            let (reply, answer) = mpsc::sync_channel(1);
            let f = Arc::clone(&self.f);
            self.pool.submit(move || drop(reply.send(caught(|| f(item)))));
            self.waiting.push_back(answer);
        }
        let answer = self.waiting.pop_front()?;
        Some(answer.recv().unwrap_or_else(|_| Err(JobPanicked("the pool ended".to_owned()))))
    }
}

impl<I: Iterator, R, F> fmt::Debug for Ordered<I, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordered").field("window", &self.window).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

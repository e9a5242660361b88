//! Where a process's members live: on a thread of their own, so that an application that computes stops nobody.
//!
//! The thread lives as long as anything that holds this: a way into channels, a member, its last words. Who embeds channels
//! in a runtime of its own has them there instead, and must not block it for longer than a lease.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;

/// A runtime, for as long as it is needed.
#[derive(Clone, Debug)]
pub(super) struct Background {
    runtime: Handle,
    /// When the last of these is gone, the thread ends. Nothing is ever sent.
    _needed: Option<mpsc::Sender<()>>,
}

impl Background {
    /// A thread of its own.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (needed, mut unneeded) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("cirrus-zip".to_owned())
            .spawn(move || runtime.block_on(async move { while unneeded.recv().await.is_some() {} }))?;
        Ok(Self { runtime: handle, _needed: Some(needed) })
    }

    /// The runtime that calls this.
    pub(super) fn here() -> Self {
        Self { runtime: Handle::current(), _needed: None }
    }

    /// Does something there. `None` if it panicked, or the runtime is gone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.runtime.spawn(task).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_thread_goes_on_while_others_block_and_ends_when_nobody_needs_it() {
        let background = Background::start().unwrap();
        let (told, answer) = std::sync::mpsc::channel();
        let kept = background.clone();
        let passed_on = kept.clone();
        let tells = async move { drop(tokio::spawn(async move { told.send(passed_on) })) };
        background.run(tells).await.unwrap();
        // This blocks the runtime of the test.
        drop(answer.recv().unwrap());
        drop(background);
        let (held, released) = std::sync::mpsc::channel::<()>();
        let waits = kept.run(async move {
            let waits_for_ever = async move {
                let _held = held;
                std::future::pending::<()>().await;
            };
            drop(tokio::spawn(waits_for_ever));
        });
        waits.await.unwrap();
        drop(kept);
        assert!(released.recv().is_err(), "the thread is gone, and what ran there");
    }
}

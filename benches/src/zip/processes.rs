//! Other programs' processes that end when we do: at the end of their scope, after an error, in a panic, on Ctrl-C and
//! on SIGTERM. After a `kill -9` of this process they end too, because `peers.py` asks the kernel for it.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cirrus_runtime::io::IoThread;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::Error;

/// So long a process may take to end by itself, and then again after it was asked to. Some `mpirun` never do.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often one that ends is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Knows the processes that a signal to us is for as well.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Watched>>);

#[derive(Default)]
struct Watched {
    pids: Vec<Pid>,
    interrupted: bool,
}

impl Watch {
    /// Asks all of them to end on Ctrl-C or SIGTERM: whoever waits for their words then sees the end of those, and gives
    /// up. The second such signal ends this process on the spot.
    pub(super) fn start(io: &IoThread) -> Result<Self, Error> {
        let watch = Self::default();
        let task = watch.clone();
        // Signals need the runtime that drives them.
        let (mut interrupt, mut terminate) = io.block_on(async {
            std::io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
        })?;
        io.handle().spawn(async move {
            for _ in 0..2 {
                tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
                if task.interrupt() {
                    // As a shell says it of one that Ctrl-C has ended.
                    std::process::exit(130);
                }
            }
        });
        Ok(watch)
    }

    /// Whether that was the second time.
    fn interrupt(&self) -> bool {
        let mut watched = self.lock();
        for pid in &watched.pids {
            // Who has ended meanwhile needs no signal.
            let _ = kill_process(*pid, Signal::TERM);
        }
        std::mem::replace(&mut watched.interrupted, true)
    }

    /// # Errors
    /// We were interrupted.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.lock().interrupted {
            Err("interrupted; all processes were told to end".into())
        } else {
            Ok(())
        }
    }

    /// One more that a signal is for.
    ///
    /// # Errors
    /// We were interrupted before it was known.
    pub(super) fn admit(&self, child: &Child) -> Result<(), Error> {
        self.check()?;
        let pid = Pid::from_child(child);
        self.lock().pids.push(pid);
        // Between the two lines above.
        self.check()
    }

    /// One that ends by itself.
    pub(super) fn discharge(&self, child: &Child) {
        let pid = Pid::from_child(child);
        self.lock().pids.retain(|known| *known != pid);
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that ends with this.
pub(super) struct Process {
    pub(super) child: Child,
    watch: Watch,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// The program is not there, or we were interrupted.
    pub(super) fn start(watch: &Watch, command: &mut Command) -> Result<Self, Error> {
        let program = command.get_program().to_owned();
        let child =
            command.spawn().map_err(|error| format!("{} did not start: {error}", program.display()))?;
        let process = Self { child, watch: watch.clone() };
        watch.admit(&process.child)?;
        Ok(process)
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> bool {
        // What cannot be waited for is not there.
        self.child.try_wait().map_or(true, |status| status.is_some())
    }

    /// Waits until it has ended by itself; if it takes too long, it is ended.
    pub(super) fn join(mut self) {
        self.ends_in_time();
    }

    fn ends_in_time(&mut self) -> bool {
        let limit = Instant::now() + PATIENCE;
        while !self.ended() {
            if Instant::now() > limit {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.watch.discharge(&self.child);
        if self.ended() {
            return;
        }
        // It may end between these lines; then there is nothing to do.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !self.ends_in_time() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

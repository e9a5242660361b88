//! Child processes of this machine.
//!
//! No child outlives its launcher, whatever happens:
//! - a handle that is dropped kills its process, and the runtime reaps it;
//! - when the launching process itself is killed, the kernel kills the children, because each asked for that at its
//!   start with [`die_with_parent`]. The kernel's "parent" is the *thread* that started the child, so all children
//!   are started by one thread that lives exactly as long as the launcher.
//!
//! A child's input is empty, its output goes nowhere, and of its standard error the last bytes are kept, to be shown
//! if it fails.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use cirrus_core::ids::{Incarnation, WorkerId};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{
    Command, Exit, ExitCause, INCARNATION_VARIABLE, LaunchError, LaunchFuture, Launched, Launcher,
    PARENT_VARIABLE, SLOT_VARIABLE,
};

/// How much of a child's standard error is kept.
const LAST_WORDS_BYTES: usize = 4096;

/// How long the rest of a dead child's standard error is waited for.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// Asks the kernel to kill this process when the one that launched it ends. To be called first thing in a launched
/// process, on its main thread, with the id in [`PARENT_VARIABLE`].
///
/// # Errors
/// When `parent` is not this process' parent: it ended already, and the caller should end, too.
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the kernel was asked: then somebody else is the parent by now.
    let expected = i32::try_from(parent).ok().and_then(Pid::from_raw);
    if expected.is_some() && getppid() == expected {
        Ok(())
    } else {
        Err(io::Error::other(format!("process {parent}, which launched this one, ended already")))
    }
}

/// Starts child processes on one thread of its own. Dropping it kills those that called [`die_with_parent`].
#[derive(Debug)]
pub struct ProcessLauncher {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    command: std::process::Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl ProcessLauncher {
    /// Starts the launching thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new() -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<Request>();
        let thread = std::thread::Builder::new().name("cirrus-launch".to_owned()).spawn(move || {
            for Request { command, runtime, reply } in inbox {
                let _runtime = runtime.enter();
                let child = tokio::process::Command::from(command).kill_on_drop(true).spawn();
                // A caller that no longer waits drops the child here, which kills it.
                let _ = reply.send(child);
            }
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    async fn start(&self, command: std::process::Command) -> io::Result<Process> {
        let (reply, answer) = oneshot::channel();
        let ended = || io::Error::other("the launching thread ended");
        let requests = self.requests.as_ref().ok_or_else(ended)?;
        requests.send(Request { command, runtime: Handle::current(), reply }).map_err(|_| ended())?;
        let mut child = answer.await.map_err(|_| ended())??;
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let listener =
            child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&last_words))));
        Ok(Process { id: child.id(), child, last_words, listener, exit: None })
    }
}

impl Drop for ProcessLauncher {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // It ends when the channel is closed and does not panic.
            let _ = thread.join();
        }
    }
}

impl Launcher for ProcessLauncher {
    fn launch<'a>(
        &'a self,
        command: &'a Command,
        slot: WorkerId,
        incarnation: Incarnation,
    ) -> LaunchFuture<'a, Result<Box<dyn Launched>, LaunchError>> {
        let mut process = std::process::Command::new(&command.program);
        process
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .env(SLOT_VARIABLE, slot.0.to_string())
            .env(INCARNATION_VARIABLE, incarnation.0.to_string())
            .env(PARENT_VARIABLE, std::process::id().to_string())
            // Ctrl-C in a terminal is for the launching process alone: it ends its children in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Box::pin(async move {
            match self.start(process).await {
                Ok(process) => Ok(Box::new(process) as Box<dyn Launched>),
                Err(reason) => Err(LaunchError { program: command.program.clone(), reason }),
            }
        })
    }
}

/// A child process.
#[derive(Debug)]
struct Process {
    child: Child,
    id: Option<u32>,
    last_words: Arc<Mutex<Vec<u8>>>,
    /// Reads standard error to its end; `None` once it was awaited.
    listener: Option<tokio::task::JoinHandle<()>>,
    exit: Option<ExitCause>,
}

impl Process {
    async fn ended(&mut self) -> Exit {
        let cause = match self.exit {
            Some(cause) => cause,
            None => *self.exit.insert(cause(self.child.wait().await.ok())),
        };
        if let Some(listener) = &mut self.listener {
            // Normally the pipe ends with the process. A grandchild may hold it open; it is not waited for.
            let _ = tokio::time::timeout(LAST_WORDS_WAIT, listener).await;
            self.listener = None;
        }
        let bytes = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        Exit { cause, last_words: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

impl Launched for Process {
    fn process_id(&self) -> Option<u32> {
        self.id
    }

    fn wait(&mut self) -> LaunchFuture<'_, Exit> {
        Box::pin(self.ended())
    }

    fn kill(&mut self) -> LaunchFuture<'_, Exit> {
        Box::pin(async move {
            // Fails only for a process that has ended; `ended` says how.
            let _ = self.child.start_kill();
            self.ended().await
        })
    }
}

/// Keeps the end of what a child writes to its standard error.
async fn listen(mut stderr: ChildStderr, last_words: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 1024];
    // An error ends it like the end of the pipe: there is nothing more to hear.
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(chunk.iter().take(length));
        let surplus = words.len().saturating_sub(LAST_WORDS_BYTES);
        words.drain(..surplus);
    }
}

fn cause(status: Option<ExitStatus>) -> ExitCause {
    let code = status.and_then(|status| status.code());
    let signal = status.and_then(|status| status.signal());
    code.map(ExitCause::Code).or(signal.map(ExitCause::Signal)).unwrap_or(ExitCause::Unknown)
}

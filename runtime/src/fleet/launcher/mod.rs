//! Starting, watching and killing the processes of a job, behind one trait.
//!
//! A launcher is given the command by its caller (the command line passes its own executable) and says nothing about
//! when to start again. Whatever it starts must not outlive it: [`process`] says how that is kept.
//!
//! | launcher | file |
//! |---|---|
//! | processes of this machine | [`process`] |

pub mod process;

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use cirrus_core::ids::{Incarnation, WorkerId};

pub use process::{ProcessLauncher, die_with_parent};

/// Environment variable with the slot's number, a decimal `u32`.
pub const SLOT_VARIABLE: &str = "CIRRUS_SLOT";
/// Environment variable with the incarnation, a decimal `u32`.
pub const INCARNATION_VARIABLE: &str = "CIRRUS_INCARNATION";
/// Environment variable with the process id of the launcher, for [`die_with_parent`]; a decimal `u32`.
pub const PARENT_VARIABLE: &str = "CIRRUS_PARENT";

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Path or name of the program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables added to the launcher's own environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// `program` with `arguments`, and no added variables.
    pub fn new(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, environment: Vec::new() }
    }
}

/// Starts processes.
pub trait Launcher: Send + Sync {
    /// Starts `command` for a slot. The three variables of this module are added to its environment.
    fn launch<'a>(
        &'a self,
        command: &'a Command,
        slot: WorkerId,
        incarnation: Incarnation,
    ) -> LaunchFuture<'a, Result<Box<dyn Launched>, LaunchError>>;
}

/// The answer to a call on a launcher or a launched process.
pub type LaunchFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One launched process. Dropping it kills the process.
pub trait Launched: Send + fmt::Debug {
    /// Its process id, where there is one on this machine.
    fn process_id(&self) -> Option<u32>;

    /// Waits for its end, however it comes. May be dropped and called again; the answer stays the same.
    fn wait(&mut self) -> LaunchFuture<'_, Exit>;

    /// Ends it without asking (SIGKILL) and waits until it is gone. One that ended before is left at that.
    fn kill(&mut self) -> LaunchFuture<'_, Exit>;
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What ended it.
    pub cause: ExitCause,
    /// The end of what it wrote to its standard error, for the message to the user.
    pub last_words: String,
}

/// What ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// It ended by itself with this code; 0 is success.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It ended, and nobody knows how.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            ExitCause::Code(code) => write!(f, "ended with code {code}")?,
            ExitCause::Signal(signal) => write!(f, "was killed by signal {signal}")?,
            ExitCause::Unknown => write!(f, "ended")?,
        }
        match self.last_words.trim_end() {
            "" => Ok(()),
            words => write!(f, ", its last words:\n{words}"),
        }
    }
}

/// A process could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program:?}: {reason}")]
pub struct LaunchError {
    /// The program.
    pub program: OsString,
    /// Why not.
    #[source]
    pub reason: std::io::Error,
}

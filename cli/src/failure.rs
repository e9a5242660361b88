//! How a command ends when it does not end well.

use std::fmt;
use std::process::ExitCode;

/// Why a command failed, in one line for people, and the exit code that goes with it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done.
    Failed(String),
    /// The arguments do not make sense together.
    Usage(String),
    /// The user interrupted it.
    Interrupted,
    /// Whoever read the output has gone: nobody is left to be told.
    OutputClosed,
}

impl Failure {
    /// Tells standard error, and the code to exit with.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(text) => {
                eprintln!("error: {text}");
                ExitCode::FAILURE
            }
            Self::Usage(text) => {
                eprintln!("error: {text}\n\nFor more information, try '--help'.");
                ExitCode::from(2)
            }
            Self::Interrupted => {
                eprintln!("interrupted");
                ExitCode::from(130)
            }
            Self::OutputClosed => ExitCode::FAILURE,
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Fails with `what` in front of the reason.
pub(crate) fn with(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Failed(format!("{what}: {error}")),
    }
}

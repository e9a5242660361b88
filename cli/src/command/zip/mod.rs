//! `cirrus zip`: channels between processes.

mod demo;
mod member;

use clap::Subcommand;

use crate::Output;
use crate::failure::Failure;

/// Channels between processes: broadcasts, reduces, shuffles, whoever dies.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    cirrus zip demo                                  all of it in eight processes, one of which is killed\n  \
    cirrus zip demo --controller 127.0.0.1:4100      the same at a controller that runs")]
pub(crate) enum Command {
    Demo(demo::Arguments),
    /// A process of the demo. Started by `cirrus zip demo`.
    #[command(hide = true)]
    Member,
}

pub(super) fn run(command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments, output),
        Command::Member => member::run(),
    }
}

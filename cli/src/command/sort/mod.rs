//! `cirrus sort`: records of 100 bytes, made, sorted by several processes, and looked at.

mod generate;
mod message;
mod redis_server;
mod run;
pub(super) mod size;
mod validate;
mod worker;
mod workers;

use clap::Subcommand;

use crate::Output;
use crate::failure::Failure;

/// Sorts records of 100 bytes in several processes; makes such records, and checks that they are sorted.
///
/// A record is 100 bytes, of which the first 10 are its key. A folder of records is files of them, one record after the
/// other, and a manifest if there is one; each command writes all of a folder or nothing.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    cirrus sort generate --bytes 2GB --out records\n  \
    cirrus sort run records --out sorted --workers 8\n  \
    cirrus sort validate sorted --against records\n  \
    cirrus sort run records --out again --exchange redis    the same by way of a Redis server\n\n\
    `cirrus sort COMMAND --help` explains each.")]
pub(crate) enum Command {
    Generate(generate::Arguments),
    Run(run::Arguments),
    Validate(validate::Arguments),
    /// A worker of a sort. Started by `cirrus sort run`.
    #[command(hide = true)]
    Worker,
    /// Becomes the Redis server of a sort. Started by `cirrus sort run`.
    #[command(hide = true)]
    RedisServer,
}

pub(super) fn run(command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Generate(arguments) => generate::run(&arguments, output),
        Command::Run(arguments) => run::run(&arguments, output),
        Command::Validate(arguments) => validate::run(&arguments, output),
        Command::Worker => worker::run(),
        Command::RedisServer => redis_server::become_one(),
    }
}

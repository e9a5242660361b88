//! `verify`: holds the machines of `cirrus-core` against their rules. Exit codes: 0 all held, 1 something did not.

mod command;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Most of the time goes into copies of states, which are many small pieces.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Checks the very machines that run in production: exhaustively in small worlds, at random in large ones, and with
/// deliberate bugs that must be caught.
#[derive(Parser)]
#[command(
    name = "verify",
    after_help = "Examples (cargo run --release -p cirrus-verification -- ...):\n  \
        check                           every world of the day, with rules and witnesses\n  \
        check job-crash                 one world\n  \
        check --deep                    the large worlds\n  \
        bugs                            each seeded bug, and what catches it\n  \
        simulate --seed 7 --steps 50000 jobs, in a run that can be repeated\n  \
        simulate --members 1000         a channel of a thousand members\n  \
        replay member.trace             what a real process did, once more\n\
        explore job-crash               a world in the browser"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explores worlds in every order of events, and asks all rules in every state.
    Check {
        /// Only this world.
        world: Option<String>,
        /// The large worlds, which take minutes each, instead of those of every day.
        #[arg(long, conflicts_with = "world")]
        deep: bool,
    },
    /// Switches deliberate bugs on, one after the other; each must be caught by the rule that it names.
    Bugs {
        /// Only this one.
        bug: Option<String>,
    },
    /// Simulates jobs with many workers, or channels with many members: virtual time, seeded faults.
    #[command(after_help = "Examples:\n  \
        simulate --seed 7 --steps 50000              jobs, one after the other\n  \
        simulate --seed 7 --members 1000             one channel\n  \
        simulate --seed 7 --members 1000 --seeds 200 200 channels: a campaign\n\n\
        What a run prints when it fails repeats it, or a smaller run that fails in the same way.")]
    Simulate {
        /// Decides everything. The same seed is the same run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Simulate channels instead of jobs: one for each seed, with so many members at most.
        #[arg(long)]
        members: Option<u32>,
        /// Jobs: steps to take; the one under way is brought to its end. Channels: events after which no more
        /// faults strike; each is brought to its end.
        #[arg(long, default_value_t = 200_000)]
        steps: u64,
        /// How many seeds to run, from SEED on.
        #[arg(long, default_value_t = 1)]
        seeds: u64,
        /// Of a channel's incidents, only these happen: their numbers with commas, or `none`.
        #[arg(long, requires = "members")]
        only: Option<String>,
    },
    /// Plays recordings of real processes again: the same machines, the same events, and the same answers, or the line
    /// where they differ.
    ///
    /// Recordings come from `cirrus controller --trace FILE`, `cirrus zip demo --trace FOLDER`, or the settings of a
    /// process's channels. After each event the machine's rules are asked.
    #[command(after_help = "Examples:\n  \
        cirrus zip demo --trace traces               eight processes and their controller, recorded\n  \
        replay traces/*                              each of them, once more\n  \
        replay --events traces/controller.trace      with every event\n\n\
        A line that was edited is named, with what was recorded and what the machine answers now.")]
    Replay {
        /// The recordings.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Every event, a line each.
        #[arg(long)]
        events: bool,
    },
    /// Serves a world's states in the browser until it is interrupted.
    Explore {
        /// The world.
        world: String,
        /// Where.
        #[arg(long, default_value = "127.0.0.1:3000")]
        address: String,
    },
}

fn main() -> ExitCode {
    let held = match Arguments::parse().command {
        Command::Check { world, deep } => command::check::run(world.as_deref(), deep),
        Command::Bugs { bug } => command::bugs::run(bug.as_deref()),
        Command::Simulate { seed, members: None, steps, seeds, only: _ } => {
            command::simulate::jobs(seed, steps, seeds)
        }
        Command::Simulate { seed, members: Some(members), steps, seeds, only } => {
            command::simulate::channels(seed, members, steps, seeds, only.as_deref())
        }
        Command::Replay { files, events } => command::replay::run(&files, events),
        Command::Explore { world, address } => command::check::explore(&world, &address),
    };
    match held {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

//! Benchmarks: every figure in `benches/RESULTS.md` is printed by a command of this program.
//!
//! These machines are shared and noisy, so each figure is the best of several runs, ratios are taken within one run,
//! and nothing here is ever asserted.

mod first_light;
mod objects;
mod sort;
mod store;
mod zip;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures Cirrus, alone and beside its peers. Build it with --release.
#[derive(Parser)]
#[command(name = "cirrus-benches")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Loading, the training kernel, the store and whole training runs.
    FirstLight(first_light::Options),
    /// Reduces, broadcasts and shuffles among processes, over TCP.
    Zip(zip::Options),
    /// A sort of records, by each way to exchange them, beside what a socket carries.
    Sort(sort::Options),
    /// The data store, from one worker and from hundreds, on one server and on two.
    Store(store::Options),
    /// Training from storage that answers late, with blocks fetched ahead and without.
    Objects(objects::Options),
    /// One of the processes of `zip`.
    #[command(hide = true)]
    ZipMember,
    /// The daemon of the processes of `zip`.
    #[command(hide = true)]
    ZipDaemon,
}

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    match Arguments::parse().bench {
        Bench::FirstLight(options) => first_light::run(&options),
        Bench::Zip(options) => zip::run(&options).map_err(|error| -> Error { error }),
        Bench::Sort(options) => sort::run(&options),
        Bench::Store(options) => store::run(&options),
        Bench::Objects(options) => objects::run(&options),
        Bench::ZipMember => zip::member::run(),
        Bench::ZipDaemon => zip::daemon::run().map_err(|error| -> Error { error }),
    }
}

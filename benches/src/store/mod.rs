//! `store`: what a data store takes, over loopback TCP, from one worker and from many.
//!
//! | file | measures |
//! |---|---|
//! | [`server`] | nothing: it starts `cirrus store` and ends it, and makes minibatches |
//! | [`rounds`] | updates a second and the median round of one worker, by window; bytes an update |
//! | [`crowd`] | hundreds of connections at once: throughput, tail, memory |
//! | [`split`] | one model on two servers beside one |
//!
//! A minibatch is 20 rows of 39 features of 2^19, as small as users make them. Each round sends the update of one and
//! reads the cells of the next in one write.

mod crowd;
pub(crate) mod rounds;
pub(crate) mod server;
mod split;

use clap::Args;

use crate::first_light::command::Cirrus;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Connections of the crowd.
    #[arg(long, default_value_t = 600)]
    connections: u32,
    /// Repetitions of each measurement; the best counts.
    #[arg(long, default_value_t = 3)]
    repeat: u32,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    println!("machine: {} cores", std::thread::available_parallelism()?);
    let cirrus = Cirrus::build()?;
    rounds::measure(&cirrus, options.repeat)?;
    split::measure(&cirrus, options.repeat)?;
    crowd::measure(&cirrus, options.connections)
}

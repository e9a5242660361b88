//! `cirrus worker` and `cirrus job-store`: this program as a process of a job.

use std::time::Instant;

use cirrus_ml::{learner, table};
use cirrus_runtime::job::process::Place;
use cirrus_runtime::job::{store, worker};
use cirrus_transport::tcp::Tcp;

use crate::failure::{Failure, with};
use crate::own_process;

/// Where processes of a job listen: on this machine only, at a free port.
pub(super) const LISTEN_AT: &str = "127.0.0.1:0";

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(with("cannot start the runtime"))
}

/// Works for the job that started this process.
pub(super) fn worker(started: Instant) -> Result<(), Failure> {
    let place = Place::from_environment()?;
    // What the kernel did before `main` counts as start, too.
    let began = own_process::age().and_then(|age| Instant::now().checked_sub(age)).unwrap_or(started);
    let run = worker::run(
        place,
        Tcp::default(),
        learner::factory(),
        began.min(started),
        own_process::peak_memory_bytes,
    );
    Ok(runtime()?.block_on(run)?)
}

/// Holds the model of the job that started this process.
pub(super) fn store() -> Result<(), Failure> {
    let place = Place::from_environment()?;
    Ok(runtime()?.block_on(store::run(&place, &Tcp::default(), LISTEN_AT, table::factory()))?)
}

//! A training job: one coordinator, a store and many workers, each a process of its own.
//!
//! ```text
//!            coordinator (leases, two fleets)
//!          /      |  blocks, results    \  starts, restarts
//!     worker   worker   worker  ...      store
//!          \______|________|______________/
//!              cells and updates
//! ```
//!
//! The coordinator gives blocks to workers and keeps all processes alive; it sees no cell and no update. Workers are
//! stateless: everything they need comes from the coordinator's description, the store and object storage.
//!
//! | file | holds |
//! |---|---|
//! | [`spec`] | what a job is, and what comes of it |
//! | [`description`] | what the processes are told about their job |
//! | [`coordinator`] | the shell of `cirrus_core::lease`, and what joins it to the fleets and the store |
//! | [`process`] | how a launched process finds its job |
//! | [`worker`] | the shell of `cirrus_core::worker` |
//! | [`store`] | the store as a process of a job |

mod connections;
pub mod coordinator;
pub mod description;
pub mod process;
pub mod spec;
pub mod store;
#[cfg(test)]
mod tests;
mod timers;
pub mod worker;

pub use coordinator::{Coordinator, JobControl};
pub use description::{StoreDescription, WorkerDescription};
pub use spec::{JobError, JobOutcome, JobSpec, Progress};

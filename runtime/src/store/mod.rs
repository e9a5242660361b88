//! The data store: a server that holds a model's table, and a client that speaks to it.
//!
//! Which updates count, which reads wait and what a snapshot covers is decided by `cirrus_core::store`; the shard
//! steps that machine and does what it says to the table, the disk and the connections.
//!
//! | file | holds |
//! |---|---|
//! | [`shard`] | the machine, the table, and what is to be sent to whom; no I/O |
//! | [`disk`] | the epoch and the snapshots, in object storage |
//! | [`server`] | connections, timers and writes around one shard |
//! | [`metrics`] | how a store does, as text for Prometheus |
//! | [`client`] | reads, updates and questions, for workers' tools, benchmarks and the coordinator |

pub mod client;
pub mod disk;
mod eager;
pub mod metrics;
pub mod server;
pub mod shard;
#[cfg(test)]
mod tests;

pub use client::StoreClient;
pub use server::{Admission, StoreError, StoreServer};

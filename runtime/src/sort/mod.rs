//! Sorting records of 100 bytes by several workers, over channels or past them.
//!
//! ```text
//!   input            worker 0 .. n-1, each with its share            output
//!   files, whole --> read --> deal out by ranges of keys --> exchange --> sort --> parts, and last a manifest
//!                             `boundary`, `partition`       `exchange`   `order`   `output`
//! ```
//!
//! A sort is planned by whoever starts it ([`worker::Plan`]): it looks which files there are, and samples keys, so that
//! each worker gets about as much. Workers find each other in channels ([`team`]), and one that is gone ends the sort of
//! all with an error; the one who has planned it removes what was written. The result is that of a stable sort of the
//! input, whatever the number of workers and the exchange.
//!
//! | module | what |
//! |---|---|
//! | [`generate`], [`validate`] | records to sort, and whether they are sorted |
//! | [`input`], [`output`] | folders of records |
//! | [`boundary`], [`partition`], [`order`] | whose is what; dealing out; sorting |
//! | [`team`], [`worker`] | the workers, and what one of them does |
//! | [`exchange`] | ways to exchange records |

pub mod boundary;
pub mod error;
pub mod exchange;
pub mod generate;
pub mod input;
pub mod order;
pub mod output;
pub mod partition;
mod random;
pub mod team;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod worker;

pub use error::SortError;

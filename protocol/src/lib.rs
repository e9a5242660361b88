//! The formats of Cirrus: what is written to files and sent between processes, byte by byte.
//!
//! `FORMAT.md` beside this crate's manifest has the offsets. Everything here is a pure function between values and
//! bytes; no module reads a file or a socket. Bytes are never trusted: each decoder checks every count against
//! what the bytes can hold before it allocates, and answers [`error::FormatError`], whatever it is given.
//!
//! | module | format |
//! |---|---|
//! | [`packed`] | bit-packed arrays with exceptions, the building block of the others |
//! | [`keys`] | sorted unique feature keys |
//! | [`partition`] | training data: partition files and the blocks in them |
//! | [`manifest`] | what a loaded dataset consists of |
//! | [`model`] | trained weights |
//! | [`frame`] | the header in front of every message, and how a stream is cut into frames |
//! | [`handshake`] | how both ends of a connection prove that they have a job's token |
//! | [`store`] | messages to and from a data store |
//! | [`job`] | messages to and from the coordinator of a job |
//! | [`zip`] | messages in channels: to and from their controller, and between members |
//! | [`relay`] | messages to and from a relay, which leads to processes that nobody can call |
//! | [`gradient`] | updates: what a worker learned, on its way into the model |
//! | [`names`] | sets of the names of updates |
//! | `recording` | what happened to machines of channels, and what they asked for (feature `recording`) |
//! | [`records`] | records to be sorted, and the manifest of a folder of such |
//! | [`snapshot`] | a store's model and what it covers, in one object |
#![no_std]
#![forbid(unsafe_code)]
// Tests may fail loudly; nothing else may.
#![cfg_attr(
    not(test),
    deny(
        clippy::std_instead_of_core,
        clippy::alloc_instead_of_core,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::wildcard_enum_match_arm,
        unnameable_types
    )
)]
extern crate alloc;

pub mod checksum;
pub mod error;
mod fields;
pub mod frame;
pub mod gradient;
pub mod handshake;
pub mod job;
pub mod keys;
pub mod manifest;
mod manifest_text;
pub mod model;
pub mod names;
pub mod packed;
pub mod partition;
#[cfg(feature = "recording")]
pub mod recording;
pub mod records;
pub mod relay;
pub mod snapshot;
pub mod store;
pub mod zip;

//! Checks of the machines in `cirrus-core`: they run the production machines, never a copy of their logic.
//!
//! | module | what it does |
//! |---|---|
//! | [`cluster`] | a whole job in one value: machines, links, disks, faults |
//! | [`zip`] | a whole channel in one value |
//! | [`lives`] | a directory that dies, with its disk |
//! | [`pool`] | one machine that is fed anything |
//! | [`rules`] | promises that only several machines together show |
//! | [`worlds`] | what is explored, and how large it is |
//! | [`check`] | the model checker |
//! | [`bugs`] | mistakes that the checks must catch |
//! | [`replay`] | recordings of real processes, played again |
//! | [`fuzz_bodies`] | what is done with arbitrary bytes |
//! | `tables` | what each machine does about each event, by its situation: tables, and as tests |
//! | `transcripts` | stories of a channel as text, for readers and as tests |
//! | [`simulator`] | many workers, virtual time, seeded faults |
#![forbid(unsafe_code)]

pub mod bugs;
pub mod check;
pub mod cluster;
pub mod digest;
pub mod fuzz_bodies;
pub mod lives;
pub mod pool;
pub mod replay;
pub mod rules;
pub mod simulator;
pub mod system;
#[cfg(test)]
mod tables;
pub mod tally;
#[cfg(test)]
mod transcripts;
pub mod worlds;
pub mod zip;

//! The command line as its users meet it: real processes, real files, real signals.
//!
//! One module a subject. What is asserted is what a user sees: exit codes, the two output streams, the files that are
//! there afterwards, the processes that are not. The data is made by the tests, the same each time.

mod dataset;
mod demo;
mod help;
mod interrupt;
mod job;
mod kill;
mod load;
mod objects;
#[path = "../proc/mod.rs"]
mod proc;
mod run;
mod sort;
mod store;
mod train;
mod zip;

//! What goes wrong between real processes, and what those who stay must see then, by the names of the promises in
//! `ARCHITECTURE.md`.
//!
//! | file | what |
//! |---|---|
//! | [`member`] | the process that is a member: it does what its standard input says, and tells what came of it |
//! | [`processes`] | a controller and members to give orders to, to kill, to stop, to look into |
//! | [`rounds`] | what all who stay must agree about |
//! | [`links`] | links that can be cut and healed |
//! | [`kills`] | signal 9 in the midst of rounds |
//! | [`stops`] | processes that stand still for longer than a lease |
//! | [`partitions`] | members, and a controller, that nobody can reach for a while |
//! | [`memory`] | one who takes nothing, and one who passes on much: what they hold |
//! | [`daemons`] | a machine's daemon that is lied to, and what is left of the dead |
//! | [`hostile`] | connections of strangers |
//!
//! Members go through rounds without a pause while something is done to one of them, so that it happens in the midst of a
//! round. Nothing waits for time: each wait is for something that is said, and has a deadline of its own.

mod daemons;
mod hostile;
mod kills;
mod links;
mod member;
mod memory;
mod partitions;
#[path = "../proc/mod.rs"]
mod proc;
mod processes;
mod rounds;
mod stops;

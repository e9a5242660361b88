//! Processes that work for a job: started, watched and killed.
//!
//! Which incarnation may live in a slot, and when it is started again, is decided by `cirrus_core::fleet`. The
//! [`shell`] drives that machine and carries out what it says through a [`launcher::Launcher`].

pub mod launcher;
pub mod shell;

pub use shell::{FleetShell, Notice};

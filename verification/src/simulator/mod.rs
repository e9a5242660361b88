//! Many machines on one thread, under a virtual clock and seeded faults.
//!
//! | module | what is simulated |
//! |---|---|
//! | [`job`] | jobs with a store, leases, workers and a disk |
//! | [`channel`] | channels with thousands of members |
//!
//! A seed decides everything, so a run that fails can be repeated. Faults strike for a while, then none does any more,
//! and everything must come to a good end within a bound. A campaign in which a kind of fault never struck, or a rule
//! was never put to the test, has shown nothing and fails.

pub mod channel;
pub mod job;
mod random;

pub use random::Random;

//! Each rule over a cluster, and each machine's rule that no seeded bug is caught by, broken by hand: it holds
//! before and is broken after.

mod cluster;
mod machines;

//! The tree of a channel against a naive one: what it costs, and that it is right in every history.

mod costs;
mod histories;
mod reference;

//! Every decision of Cirrus, as pure state machines.
//!
//! There is no socket, clock, thread or random number in here: a machine takes one event, changes its state
//! and pushes effects (see [`machine`]). The shells in `cirrus-runtime` carry the effects out; the checks in
//! `cirrus-verification` step the very same machines through every order of events that a network and dying
//! processes can produce, and hold them against the rules that each machine exports (see [`rule`]).
//!
//! | machine | decides |
//! |---|---|
//! | [`store`] | which gradients count, which reads must wait, what a snapshot covers |
//! | [`lease`] | who works on which block of the data, and when a pass is over |
//! | [`worker`] | what one worker does next, what it sends again, when it gives up |
//! | [`fleet`] | which incarnation of a process may live in a slot, and when it is started again |
//! | [`directory`] | which channels there are, whose they are, and who may join them |
//! | [`controller`] | who is in a channel, who sits where in its tree, and who is dead |
//! | [`member`] | one member's links, and the broadcasts and reduces that run over them |
//! | [`shuffle`] | whose records have reached whom, and when a round of them is over |
//! | [`messages`] | whether a message from one member to another has arrived, whole and once |
//! | [`tree`] | who sits where in a channel, and who must be told when that changes |
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::std_instead_of_core,
    clippy::alloc_instead_of_core,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    unnameable_types
)]
extern crate alloc;

pub mod bounded;
pub mod bug;
pub mod channel;
pub mod controller;
pub mod direct;
pub mod directory;
pub mod fleet;
pub mod ids;
pub mod lease;
pub mod machine;
pub mod member;
pub mod messages;
pub mod rule;
pub mod shuffle;
pub mod store;
pub mod tree;
pub mod worker;

//! Shells that drive the core machines over transports, and what they stand on: storage, blocks, compute.
//!
//! This crate hosts machine learning without knowing any: [`table::Table`] and [`learner::Learner`] are the two
//! seams through which `cirrus-ml` hands in its models. No decision about membership, order, retries or
//! consistency is taken here; those belong to the machines of `cirrus-core`.
//!
//! | module | holds |
//! |---|---|
//! | [`object`] | object storage behind one trait; the local folder |
//! | [`io`] | the thread that drives storage for callers that are not async |
//! | [`pool`] | the bounded pool of compute threads |
//! | [`dataset`] | a prepared dataset: manifest and block directories |
//! | [`blocks`] | decoded blocks, one by one or fetched ahead |
//! | [`table`], [`learner`] | what a model gives to the store and to a worker |
//! | [`fleet`] | processes that are started, watched and killed |
//! | [`http`] | health and metrics for those who watch |
//! | [`zip`] | channels between processes: their controller, and the library of their members |
//! | [`sort`] | sorting records over channels |
#![forbid(unsafe_code)]

pub mod blocks;
pub mod dataset;
pub mod driver;
pub mod fleet;
pub mod http;
pub mod io;
pub mod job;
pub mod learner;
pub mod object;
pub mod pool;
pub mod sort;
pub mod store;
pub mod table;
pub mod zip;

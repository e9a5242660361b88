//! Cirrus: datasets, models, optimisers, training and prediction.
//!
//! | module | holds |
//! |---|---|
//! | [`load`] | text files into datasets |
//! | [`job`] | what to train and how |
//! | [`optimizer`] | how a gradient changes a weight |
//! | [`model`] | what is learnt from a row |
//! | [`order`] | the order of blocks and rows |
//! | [`learner`], [`table`] | the two sides of training: a worker's and the store's |
//! | [`train`] | both sides in one process |
//! | [`distributed`] | both sides in processes of their own |
//! | [`export`], [`predict`] | from a store's cells to a model, from a model to probabilities |
//! | [`metrics`], [`evaluate`] | how good they are |
//! | [`reading`] | how blocks are read for that |
//!
//! There is no socket here and no thread: the runtime's server and workers are handed a [`table::factory`] and a
//! [`learner::factory`] and do the rest.
#![forbid(unsafe_code)]

pub mod distributed;
pub mod evaluate;
pub mod export;
pub mod job;
pub mod learner;
pub mod load;
pub mod metrics;
pub mod model;
pub mod optimizer;
pub mod order;
pub mod predict;
pub mod reading;
pub mod table;
pub mod train;

#[cfg(test)]
mod testing;

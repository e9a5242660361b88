//! `verify simulate`.

mod channels;
mod jobs;

pub(crate) use channels::run as channels;
pub(crate) use jobs::run as jobs;

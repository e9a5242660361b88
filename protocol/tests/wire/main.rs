//! The wire format: golden vectors, round trips of everything that can be said, and bytes that nobody should send.

mod golden;
mod hostile;
mod round_trip;
mod sample;
mod zip;

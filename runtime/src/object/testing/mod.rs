//! Servers and proxies for tests and measurements of object storage; no part of the product.
//!
//! | what | file |
//! |---|---|
//! | an S3 server of this machine, installed once and stopped again | [`server`] |
//! | a proxy that loses, delays and cuts what passes through it, by a seed | [`proxy`] |

pub mod proxy;
pub mod server;

pub use proxy::{Faults, Passed, Proxy};
pub use server::S3Server;

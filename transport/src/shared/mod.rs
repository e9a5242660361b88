//! Memory that a host and its lodgers share: on one machine a payload is written once and read where it lies.
//!
//! ```text
//!   lodger                               host                                 lodger
//!     | lease --------------------------> |                                     |
//!     | <------------------------- a slab |      segment: one, of all of them   |
//!     | writes to the slab                |                                     |
//!     | descriptor, by the socket ------> | takes it over, checks it            |
//!     |                                   | grants it, descriptor ------------> | reads where it lies
//!     |                                   |            in its ledger: let go <- | drops the view
//! ```
//!
//! A segment is an anonymous file of the system with a sealed size; whoever maps it was handed a descriptor of it. Who
//! holds what is known to the host alone (`table`); what a lodger has let go is a counter in a ledger that it shares with
//! the host and nobody else. So a process that dies leaves nothing behind that has to be repaired, whatever it was
//! doing: the host forgets what it held. Nobody waits for memory: what finds none is sent by the socket.
//!
//! Connections ([`SharedSender`], [`SharedReceiver`]) are Unix sockets that carry frames as any other does; a payload
//! that lies in the segment is named there by a descriptor. The host checks each: whoever names what it does not hold
//! is refused by name ([`Lie`]), and loses its connection.
//!
//! What can meet in several threads or processes (`table`, `ledger`) is written over `sync`, and tried in all orders:
//!
//! ```text
//! RUSTFLAGS="--cfg cirrus_loom" cargo test --package cirrus-transport --lib --release \
//!     --target-dir target/loom -- --nocapture loom
//! ```

#[cfg(not(cirrus_loom))]
mod connection;
#[cfg(not(cirrus_loom))]
mod hold;
#[cfg(not(cirrus_loom))]
mod host;
mod ledger;
#[cfg(not(cirrus_loom))]
mod line;
#[cfg(not(cirrus_loom))]
mod lodging;
#[cfg(all(test, cirrus_loom))]
mod loom_tests;
#[cfg(not(cirrus_loom))]
mod rights;
#[cfg(not(cirrus_loom))]
#[expect(unsafe_code, reason = "mapped memory is reached by its address; each block says why it may be")]
mod segment;
mod space;
mod sync;
mod table;
#[cfg(all(test, not(cirrus_loom)))]
mod tests;

#[cfg(not(cirrus_loom))]
pub use connection::{Plain, SharedReceiver, SharedSender};
#[cfg(not(cirrus_loom))]
pub use hold::Array;
#[cfg(not(cirrus_loom))]
pub use host::{Guest, Host};
#[cfg(not(cirrus_loom))]
pub use line::Taken;
#[cfg(not(cirrus_loom))]
pub use lodging::Lodging;
pub use table::{Full, Lie, Slab};

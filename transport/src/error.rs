//! What can go wrong between two ends, and what to do about it.

use std::io;
use std::sync::Arc;

use cirrus_protocol::error::FormatError;

/// Why a connection could not be made or used. Every message names the other end and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the address is in use; end the process that listens there, or give another port (0 takes any free one)"
    )]
    AddressInUse {
        /// Where.
        address: String,
    },
    /// The address cannot be listened at.
    #[error("cannot listen on {address}: {source}; give an address of this machine as host:port")]
    Listen {
        /// Where.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error(
        "cannot connect to {address}: {source}; check the address, and that the process there is running"
    )]
    Connect {
        /// Where.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// The system gave no connection.
    #[error(
        "cannot accept a connection on {address}: {source}; close connections or raise the limit of open files"
    )]
    Accept {
        /// Where.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// The connection is gone.
    #[error("the connection with {peer} broke: {source}; connect again if that process is still running")]
    Broken {
        /// The other end.
        peer: Arc<str>,
        /// The system's words.
        source: io::Error,
    },
    /// The other end closed the connection in the middle of a frame.
    #[error(
        "{peer} closed the connection after {received} of the {needed} bytes of a frame: it probably died; connect again when it is back"
    )]
    Cut {
        /// The other end.
        peer: Arc<str>,
        /// Bytes of the frame that arrived.
        received: usize,
        /// Bytes that were needed to go on.
        needed: usize,
    },
    /// What came is not what this protocol allows.
    #[error(
        "{peer} sent what is not a frame of this protocol: {source}; close the connection, and run the same version of the program at both ends"
    )]
    Format {
        /// The other end.
        peer: Arc<str>,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A frame is too long to be sent.
    #[error(
        "a frame for {peer} cannot be sent: {source}; split what it carries, or raise the limit at both ends"
    )]
    Unsendable {
        /// The other end.
        peer: Arc<str>,
        /// What is wrong with it.
        source: FormatError,
    },
}

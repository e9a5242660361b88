//! What can go wrong between two ends, and what to do about it.

use core::time::Duration;
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
    /// The other end names shared memory that is not its to name.
    #[cfg(target_os = "linux")]
    #[error(
        "{peer} names shared memory that it may not: {source}; its connection is closed, and nobody else is concerned"
    )]
    Lie {
        /// The other end.
        peer: Arc<str>,
        /// What is wrong with it.
        source: crate::shared::Lie,
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
    /// The other end does not show that it may be here, or will not have this one.
    #[error(
        "{peer} was not admitted, or does not admit this process: it belongs to another job, or has another token for it; give both the same job and token"
    )]
    Denied {
        /// The other end.
        peer: Arc<str>,
    },
    /// Who was called does not have the job's token.
    #[error(
        "{peer} cannot prove that it has the job's token: it may be somebody else's process; check the address"
    )]
    Impostor {
        /// The other end.
        peer: Arc<str>,
    },
    /// The other end does not take part in what every connection begins with.
    #[error(
        "{peer} does not begin with a proof of its token, or ends before it: run the same version of the program at both ends, with a token"
    )]
    Unasked {
        /// The other end.
        peer: Arc<str>,
    },
    /// The other end has not finished what every connection begins with.
    #[error(
        "{peer} was silent for {after:?} where it had to prove who it is: the connection is given up; connect again"
    )]
    Silent {
        /// The other end.
        peer: Arc<str>,
        /// How long it was waited for.
        after: Duration,
    },
    /// The system has no random numbers.
    #[error(
        "cannot prove anything to {peer}: the system has no random numbers; look at what it allows this process to do"
    )]
    NoRandomness {
        /// The other end.
        peer: Arc<str>,
    },
    /// The connection cannot be encrypted.
    #[error(
        "cannot encrypt the connection with {peer}: {source}; give both ends certificates of the same authority, or none"
    )]
    Tls {
        /// The other end.
        peer: Arc<str>,
        /// What is wrong.
        source: io::Error,
    },
    /// A certificate or key is of no use.
    #[error("cannot use the {what}: {detail}; give one in PEM format that is valid for this purpose")]
    Certificate {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl TransportError {
    /// Why an address cannot be listened at.
    pub(crate) fn listening(address: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address: address.into() },
            _ => Self::Listen { address: address.into(), source },
        }
    }
}

//! How two ends show each other that both have a job's token, before anything else is said.
//!
//! ```text
//!  who called                                   who was called
//!    |--- Open(job, nonce) ------------------------>|
//!    |<-- Challenge(nonce) -------------------------|
//!    |--- Proof(HMAC over job and both nonces) ---->|
//!    |<-- Admitted(HMAC over the same) -------------|   or Denied, and the end of the connection
//! ```
//!
//! The token never travels. Both nonces are fresh, so nothing that was heard on one connection is of use on another,
//! and the two proofs begin with different words, so that neither can be sent back as the other. Who was called proves
//! nothing to somebody who has not proven anything. What is keyed with what is in `FORMAT.md`; the computing is the
//! transport's.

/// What a proof is about, for who computes it: a transport needs nothing else of core.
pub use cirrus_core::directory::{Credential, Token};
pub use cirrus_core::ids::JobId;

use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// The numbers by which a frame's header names these messages.
pub mod kind {
    /// [`Handshake::Open`](super::Handshake::Open).
    pub const OPEN: u16 = 0x0001;
    /// [`Handshake::Challenge`](super::Handshake::Challenge).
    pub const CHALLENGE: u16 = 0x0002;
    /// [`Handshake::Proof`](super::Handshake::Proof).
    pub const PROOF: u16 = 0x0003;
    /// [`Handshake::Admitted`](super::Handshake::Admitted).
    pub const ADMITTED: u16 = 0x0004;
    /// [`Handshake::Denied`](super::Handshake::Denied).
    pub const DENIED: u16 = 0x0005;
}

/// No message of a handshake has a longer body, in bytes: what a stranger may make a reader wait for.
pub const BODY_LIMIT: u32 = 40;

/// A number that is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 32]);

/// An HMAC-SHA256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proof(pub [u8; 32]);

/// Whose proof it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Of who called.
    Caller,
    /// Of who was called.
    Called,
}

/// The first messages of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// Who calls means to belong to this job.
    Open {
        /// The job.
        job: JobId,
        /// The caller's nonce.
        nonce: Nonce,
    },
    /// Prove it.
    Challenge {
        /// The nonce of who was called.
        nonce: Nonce,
    },
    /// The caller's proof.
    Proof(Proof),
    /// The proof was right, and here is the one of who was called.
    Admitted(Proof),
    /// There is no such job, or that was not its token. It is not said which.
    Denied,
}

/// What is authenticated: who proves it, in which version, for which job, in this connection.
#[must_use]
pub fn transcript(end: End, job: JobId, caller: Nonce, called: Nonce) -> [u8; 96] {
    let mut bytes = [0; 96];
    let word: &[u8; 16] = match end {
        End::Caller => b"cirrus/1 caller\0",
        End::Called => b"cirrus/1 called\0",
    };
    let job = u128::from(job.0).to_le_bytes();
    let parts = word.iter().chain(&job).chain(&caller.0).chain(&called.0);
    bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
    bytes
}

impl Handshake {
    /// The frame that carries it.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        let out = Writer::default();
        match self {
            Self::Open { job, nonce } => out.u64(job.0).array(&nonce.0).frame(kind::OPEN),
            Self::Challenge { nonce } => out.array(&nonce.0).frame(kind::CHALLENGE),
            Self::Proof(proof) => out.array(&proof.0).frame(kind::PROOF),
            Self::Admitted(proof) => out.array(&proof.0).frame(kind::ADMITTED),
            Self::Denied => out.frame(kind::DENIED),
        }
    }
}

impl TryFrom<Frame> for Handshake {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let message = match kind {
            kind::OPEN => Self::Open { job: JobId(body.u64()?), nonce: Nonce(body.array()?) },
            kind::CHALLENGE => Self::Challenge { nonce: Nonce(body.array()?) },
            kind::PROOF => Self::Proof(Proof(body.array()?)),
            kind::ADMITTED => Self::Admitted(Proof(body.array()?)),
            kind::DENIED => Self::Denied,
            _ => return Err(FormatError::Corrupt("a frame that is no part of a handshake")),
        };
        body.end()?;
        Ok(message)
    }
}

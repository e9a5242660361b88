//! Whether who is at the other end has the job's token: asked on every connection before anything else, of both ends.
//!
//! ```text
//!  caller: prove(connection, credential)        called: admit(connection, the token of a job)
//! ```
//!
//! The messages, and why nobody learns the token from them, are in [`cirrus_protocol::handshake`]. It works on any
//! transport. Whoever has not proven anything can make its other end hold one small buffer for [`WITHIN`], no more.
//!
//! What it does not do: bytes that follow are neither encrypted nor authenticated. Where others can change what is under
//! way, the transport has to be [`Tls`](crate::tls::Tls) as well. A token must be too long to guess: who listens in can
//! try tokens on what was said, in peace.

use core::time::Duration;
use std::net::IpAddr;

use cirrus_protocol::handshake::{
    BODY_LIMIT, Credential, End, Handshake, JobId, Nonce, Proof, Token, transcript,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac};
use tokio::time::timeout;

use crate::error::TransportError;
use crate::{Connection, FrameReceiver, FrameSender};

#[cfg(test)]
mod tests;

/// How long a handshake may take.
pub const WITHIN: Duration = Duration::from_secs(10);

/// What is kept of a token: its SHA-256.
#[must_use]
pub fn digest(token: &str) -> Token {
    let mut kept = Token::default();
    kept.0.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    kept
}

/// Whether an address can be reached from this machine alone: a loopback address or a socket's path. A host's name
/// counts as reachable from elsewhere, but for `localhost`.
#[must_use]
pub fn is_local(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return true };
    if port.parse::<u16>().is_err() {
        return true;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Shows the other end, which was called, that this one has a job's token, and sees that the other one has it, too.
///
/// # Errors
/// - `Denied`: the other end knows no such job, or has another token for it.
/// - `Impostor`: the other end admits this one without having the token.
/// - `Silent`: it took longer than [`WITHIN`].
/// - `Unasked`: the other end says something else. `Format`, `Cut`, `Broken`, as when receiving.
///
/// The connection is of no use then.
pub async fn prove<S: FrameSender, R: FrameReceiver>(
    connection: &mut Connection<S, R>,
    credential: Credential,
) -> Result<(), TransportError> {
    let limit = connection.receiver.set_body_limit(BODY_LIMIT);
    let proven = timeout(WITHIN, proving(connection, credential)).await;
    connection.receiver.set_body_limit(limit);
    proven.unwrap_or_else(|_| Err(silent(connection)))
}

async fn proving<S: FrameSender, R: FrameReceiver>(
    connection: &mut Connection<S, R>,
    credential: Credential,
) -> Result<(), TransportError> {
    let Credential { job, token } = credential;
    let ours = nonce(connection)?;
    connection.sender.send(Handshake::Open { job, nonce: ours }.into_frame()).await?;
    let theirs = match heard(connection).await? {
        Handshake::Challenge { nonce } => nonce,
        other => return Err(answered(connection, &other)),
    };
    let proof = sign(token, End::Caller, job, ours, theirs);
    connection.sender.send(Handshake::Proof(proof).into_frame()).await?;
    match heard(connection).await? {
        Handshake::Admitted(proof) if fits(token, End::Called, job, ours, theirs, proof) => Ok(()),
        Handshake::Admitted(_) => Err(TransportError::Impostor { peer: connection.peer.clone() }),
        other => Err(answered(connection, &other)),
    }
}

/// Lets the other end, which has called, show that it has the token of the job that it names, and shows it the same.
/// `token` is asked once for the token of a job.
///
/// # Errors
/// - `Denied`: it has not shown it, or there is no such job. It was told so.
/// - `Silent`: it took longer than [`WITHIN`].
/// - `Unasked`: it says something else. `Format`, `Cut`, `Broken`, as when receiving.
///
/// The connection is of no use then.
pub async fn admit<S: FrameSender, R: FrameReceiver>(
    connection: &mut Connection<S, R>,
    token: impl FnOnce(JobId) -> Option<Token> + Send,
) -> Result<Credential, TransportError> {
    let limit = connection.receiver.set_body_limit(BODY_LIMIT);
    let admitted = timeout(WITHIN, admitting(connection, token)).await;
    connection.receiver.set_body_limit(limit);
    admitted.unwrap_or_else(|_| Err(silent(connection)))
}

async fn admitting<S: FrameSender, R: FrameReceiver>(
    connection: &mut Connection<S, R>,
    token: impl FnOnce(JobId) -> Option<Token> + Send,
) -> Result<Credential, TransportError> {
    let (job, theirs) = match heard(connection).await? {
        Handshake::Open { job, nonce } => (job, nonce),
        other => return Err(answered(connection, &other)),
    };
    let ours = nonce(connection)?;
    connection.sender.send(Handshake::Challenge { nonce: ours }.into_frame()).await?;
    let proof = match heard(connection).await? {
        Handshake::Proof(proof) => proof,
        other => return Err(answered(connection, &other)),
    };
    // That there is no such job is not told before, so that nobody learns which there are.
    let proven = token(job).filter(|token| fits(*token, End::Caller, job, theirs, ours, proof));
    let Some(token) = proven else {
        connection.sender.send(Handshake::Denied.into_frame()).await?;
        return Err(TransportError::Denied { peer: connection.peer.clone() });
    };
    let proof = sign(token, End::Called, job, theirs, ours);
    connection.sender.send(Handshake::Admitted(proof).into_frame()).await?;
    Ok(Credential { job, token })
}

/// Something that nobody else knows.
///
/// # Errors
/// The system has no random numbers.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    let filled = SystemRandom::new().fill(&mut secret);
    filled.map_err(|_| std::io::Error::other("the system has no random numbers"))?;
    Ok(secret)
}

fn silent<S, R>(connection: &Connection<S, R>) -> TransportError {
    TransportError::Silent { peer: connection.peer.clone(), after: WITHIN }
}

async fn heard<S: FrameSender, R: FrameReceiver>(
    connection: &mut Connection<S, R>,
) -> Result<Handshake, TransportError> {
    let frame = connection.receiver.next().await?;
    let peer = connection.peer.clone();
    match frame.map(Handshake::try_from) {
        Some(Ok(message)) => Ok(message),
        Some(Err(source)) => Err(TransportError::Format { peer, source }),
        None => Err(TransportError::Unasked { peer }),
    }
}

fn answered<S, R>(connection: &Connection<S, R>, message: &Handshake) -> TransportError {
    let peer = connection.peer.clone();
    if *message == Handshake::Denied {
        TransportError::Denied { peer }
    } else {
        TransportError::Unasked { peer }
    }
}

fn nonce<S, R>(connection: &Connection<S, R>) -> Result<Nonce, TransportError> {
    let mut nonce = Nonce([0; 32]);
    // The system has none to give: nothing can be proven.
    let filled = SystemRandom::new().fill(&mut nonce.0);
    filled.map_err(|_| TransportError::NoRandomness { peer: connection.peer.clone() })?;
    Ok(nonce)
}

fn sign(token: Token, end: End, job: JobId, caller: Nonce, called: Nonce) -> Proof {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &token.0);
    let mut proof = Proof([0; 32]);
    proof.0.copy_from_slice(hmac::sign(&key, &transcript(end, job, caller, called)).as_ref());
    proof
}

/// Compares in a time that tells nothing.
fn fits(token: Token, end: End, job: JobId, caller: Nonce, called: Nonce, proof: Proof) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &token.0);
    hmac::verify(&key, &transcript(end, job, caller, called), &proof.0).is_ok()
}

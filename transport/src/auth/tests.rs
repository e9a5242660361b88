//! Who is admitted, and what becomes of who is not.

use bytes::Bytes;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::Frame;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::memory::{Memory, MemoryConnection};
use crate::tcp::Tcp;
use crate::{Listener as _, Transport as _};

const JOB: JobId = JobId(0x0102_0304_0506_0708);

fn pair() -> [MemoryConnection; 2] {
    Memory::default().pair(["near", "far"])
}

fn credential(token: &str) -> Credential {
    Credential { job: JOB, token: digest(token) }
}

fn known(job: JobId) -> Option<Token> {
    (job == JOB).then(|| digest("a token"))
}

#[test]
fn proofs_are_those_of_the_format() {
    let proofs = include_str!("../../../protocol/testdata/zip.txt").lines();
    let mut compared = 0;
    let rising = |first: u8| Nonce(core::array::from_fn(|at| first + at as u8));
    for line in proofs.filter(|line| line.starts_with("proof/")) {
        let (name, expected) = line.split_once(" = ").unwrap();
        let end = if name.starts_with("proof/caller") { End::Caller } else { End::Called };
        let proof = sign(digest("a token"), end, JOB, rising(0), rising(100));
        let hex: String = proof.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "{name}");
        assert!(fits(digest("a token"), end, JOB, rising(0), rising(100), proof));
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[tokio::test]
async fn who_has_the_token_is_admitted_and_knows_by_whom() {
    let [mut near, mut far] = pair();
    let (proven, admitted) = tokio::join!(prove(&mut near, credential("a token")), admit(&mut far, known));
    proven.unwrap();
    assert_eq!(admitted.unwrap(), credential("a token"));
    // The connection is as good as new, for long frames as well.
    let long = Frame { kind: 7, body: Bytes::from(vec![7; 100_000]).into(), ..Frame::default() };
    let (sent, received) = tokio::join!(near.sender.send(long.clone()), far.receiver.next());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(long));
}

#[tokio::test]
async fn it_works_in_tasks_over_sockets() {
    let mut listener = Tcp::default().listen("127.0.0.1:0").await.unwrap();
    let address = listener.address().to_owned();
    let called = tokio::spawn(async move {
        let mut connection = listener.accept().await?;
        admit(&mut connection, known).await
    });
    let caller = tokio::spawn(async move {
        let mut connection = Tcp::default().connect(&address).await?;
        prove(&mut connection, credential("a token")).await
    });
    caller.await.unwrap().unwrap();
    assert_eq!(called.await.unwrap().unwrap().job, JOB);
}

#[tokio::test]
async fn a_wrong_token_and_an_unknown_job_look_the_same() {
    let strangers = [credential("another token"), Credential { job: JobId(1), ..credential("a token") }];
    for stranger in strangers {
        let [mut near, mut far] = pair();
        let (proven, admitted) = tokio::join!(prove(&mut near, stranger), admit(&mut far, known));
        for error in [proven.unwrap_err(), admitted.map(|_| ()).unwrap_err()] {
            assert!(matches!(error, TransportError::Denied { .. }), "{error}");
            assert!(error.to_string().contains("same job and token"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_token_does_not_travel() {
    let [mut near, mut far] = pair();
    let secret = credential("a token").token.0;
    let mut seen = Vec::new();
    let listen = async {
        while let Some(frame) = far.receiver.next().await.unwrap() {
            seen.extend_from_slice(&frame.body.into_bytes());
            far.sender.send(Handshake::Challenge { nonce: Nonce([1; 32]) }.into_frame()).await.unwrap();
        }
    };
    let call = async {
        prove(&mut near, credential("a token")).await.unwrap_err();
        drop(near);
    };
    tokio::join!(listen, call);
    assert_eq!(seen.len(), 40 + 32);
    assert!(!seen.windows(32).any(|window| window == secret));
    assert!(!seen.windows(7).any(|window| window == b"a token"));
}

/// Answers a caller as somebody without the token might.
async fn deceived(impostor: impl Fn(Proof) -> Handshake) -> TransportError {
    let [mut near, mut far] = pair();
    let answer = async {
        far.receiver.next().await.unwrap();
        far.sender.send(Handshake::Challenge { nonce: Nonce([1; 32]) }.into_frame()).await.unwrap();
        let frame = far.receiver.next().await.unwrap().unwrap();
        let Ok(Handshake::Proof(proof)) = Handshake::try_from(frame) else { panic!("no proof") };
        far.sender.send(impostor(proof).into_frame()).await.unwrap();
    };
    let (proven, ()) = tokio::join!(prove(&mut near, credential("a token")), answer);
    proven.unwrap_err()
}

#[tokio::test]
async fn an_impostor_is_found_out() {
    // It makes something up, or sends the caller's own proof back.
    for answer in [|_| Handshake::Admitted(Proof([0; 32])), Handshake::Admitted] {
        let error = deceived(answer).await;
        assert!(matches!(error, TransportError::Impostor { .. }), "{error}");
    }
    let error = deceived(Handshake::Proof).await;
    assert!(matches!(error, TransportError::Unasked { .. }), "{error}");
}

#[tokio::test]
async fn what_was_heard_once_is_of_no_use_again() {
    let [mut near, mut far] = pair();
    let mut heard = Vec::new();
    let called = async {
        // Who listens in between passes on and keeps what the caller says.
        let [mut middle, mut called] = pair();
        let pass = async {
            for _ in 0..2 {
                let frame = far.receiver.next().await.unwrap().unwrap();
                heard.push(frame.clone());
                middle.sender.send(frame).await.unwrap();
                let answer = middle.receiver.next().await.unwrap().unwrap();
                far.sender.send(answer).await.unwrap();
            }
        };
        tokio::join!(pass, admit(&mut called, known)).1
    };
    let (proven, admitted) = tokio::join!(prove(&mut near, credential("a token")), called);
    proven.unwrap();
    admitted.unwrap();
    let [mut again, mut called] = pair();
    for frame in heard {
        again.sender.send(frame).await.unwrap();
    }
    let error = admit(&mut called, known).await.unwrap_err();
    assert!(matches!(error, TransportError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn other_words_are_refused_by_name() {
    for (frame, expected) in [
        (Handshake::Proof(Proof([0; 32])).into_frame(), "does not begin with a proof"),
        (Handshake::Denied.into_frame(), "not admitted"),
        (Frame { kind: 0x0501, ..Frame::default() }, "no part of a handshake"),
    ] {
        let [mut near, mut far] = pair();
        near.sender.send(frame).await.unwrap();
        let error = admit(&mut far, known).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let [near, mut far] = pair();
    drop(near);
    let error = admit(&mut far, known).await.unwrap_err();
    assert!(matches!(error, TransportError::Unasked { .. }), "{error}");
}

#[tokio::test]
async fn a_stranger_cannot_make_us_wait_for_much() {
    let [mut near, mut far] = pair();
    let long =
        Frame { kind: 1, body: Bytes::from(vec![0; BODY_LIMIT as usize + 1]).into(), ..Frame::default() };
    near.sender.send(long).await.unwrap();
    let error = admit(&mut far, known).await.unwrap_err();
    assert!(matches!(error, TransportError::Format { source: FormatError::Limit { .. }, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_falls_silent_is_given_up() {
    let mut whole = Vec::new();
    Handshake::Open { job: JOB, nonce: Nonce([0; 32]) }.into_frame().encode(BODY_LIMIT, &mut whole).unwrap();
    for length in [0, 20, whole.len() - 1, whole.len()] {
        let memory = Memory::default();
        let mut listener = memory.listen("*").await.unwrap();
        let mut stranger = crate::Medium::open(&memory, listener.address()).await.unwrap();
        stranger.write.write_all(&whole[..length]).await.unwrap();
        let mut far = listener.accept().await.unwrap();
        let error = admit(&mut far, known).await.unwrap_err();
        assert!(matches!(error, TransportError::Silent { after: WITHIN, .. }), "{error}");
    }
    let [mut near, _far] = pair();
    let error = prove(&mut near, credential("a token")).await.unwrap_err();
    assert!(matches!(error, TransportError::Silent { .. }), "{error}");
}

#[test]
fn local_addresses_are_known() {
    for local in
        ["127.0.0.1:80", "127.8.0.1:0", "[::1]:80", "localhost:80", "/run/cirrus", "@cirrus", "./a:b"]
    {
        assert!(is_local(local), "{local}");
    }
    for remote in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "host:80", "[fe80::1]:80", ":80"] {
        assert!(!is_local(remote), "{remote}");
    }
}

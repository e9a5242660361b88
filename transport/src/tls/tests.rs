//! What only TLS does.

use std::sync::LazyLock;

use cirrus_protocol::frame::{Body, Frame};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::memory::Memory;
use crate::tcp::Tcp;
use crate::{FrameReceiver as _, FrameSender as _, Listener as _, Transport as _};

/// An authority, and a certificate that it has given for a name, with its key. In PEM format.
struct Papers {
    authority: String,
    certificate: String,
    key: String,
}

fn papers(name: &str) -> Papers {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    Papers { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

fn with<M>(medium: M, trusted: &Papers, shown: &Papers) -> Tls<M> {
    Tls::new(medium, trusted.authority.as_bytes(), shown.certificate.as_bytes(), shown.key.as_bytes())
        .unwrap()
}

/// With papers that both ends trust.
pub(crate) fn encrypted<M>(medium: M) -> Tls<M> {
    static PAPERS: LazyLock<Papers> = LazyLock::new(|| papers(NAME));
    with(medium, &PAPERS, &PAPERS)
}

fn frame() -> Frame {
    Frame { kind: 7, body: Body::from(bytes::Bytes::from_static(b"a secret word")), ..Frame::default() }
}

#[tokio::test]
async fn nothing_can_be_read_on_the_way() {
    let memory = Memory::default();
    let mut beneath = Medium::bind(&memory, "there").await.unwrap();
    let call = async {
        let mut near = encrypted(memory.clone()).connect("there").await.unwrap();
        near.sender.send(frame()).await.unwrap();
    };
    let tls = encrypted(memory.clone());
    let listen = async {
        use tokio::io::{AsyncReadExt as _, duplex};
        // Whoever passes the bytes on keeps them.
        let mut stream = beneath.next().await.unwrap();
        let (ours, theirs) = duplex(64 << 10);
        let (mut from_inside, mut to_inside) = split(ours);
        let mut kept = Vec::new();
        let up = async {
            let mut bytes = [0; 1000];
            while let Ok(read @ 1..) = stream.read.read(&mut bytes).await {
                kept.extend_from_slice(&bytes[..read]);
                to_inside.write_all(&bytes[..read]).await.unwrap();
            }
        };
        let down = async {
            // It may fail when the caller is gone; whether all came is told by the other direction.
            let _ = tokio::io::copy(&mut from_inside, &mut stream.write).await;
            core::future::pending::<()>().await;
        };
        let inside = async {
            let mut stream = tls.acceptor.accept(theirs).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        tokio::select! {
            (inside, ()) = async { tokio::join!(inside, up) } => (inside, kept),
            () = down => panic!("it ended first"),
        }
    };
    let ((), (inside, kept)) = tokio::join!(call, listen);
    let has = |bytes: &[u8]| bytes.windows(13).any(|window| window == b"a secret word");
    assert!(has(&inside));
    assert!(!has(&kept) && kept.len() > inside.len());
}

#[tokio::test]
async fn a_stranger_is_not_taken_for_one_of_ours() {
    let (ours, theirs, named_otherwise) = (papers(NAME), papers(NAME), papers("somebody"));
    let trusting_other = Papers { authority: named_otherwise.authority.clone(), ..papers(NAME) };
    for (trusted, shown) in [(&ours, &theirs), (&trusting_other, &named_otherwise)] {
        let memory = Memory::default();
        let mut listener = with(memory.clone(), trusted, shown).listen("there").await.unwrap();
        let caller = with(memory, trusted, shown);
        let (called, accepted) = tokio::join!(caller.connect("there"), listener.accept());
        let error = called.map(|_| ()).unwrap_err();
        assert!(matches!(error, TransportError::Tls { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        let error = accepted.map(|_| ()).unwrap_err();
        assert!(matches!(error, TransportError::Tls { .. }), "{error}");
    }
}

#[tokio::test]
async fn who_speaks_in_the_clear_is_named_and_disturbs_nobody() {
    let memory = Memory::default();
    let mut listener = encrypted(memory.clone()).listen("there").await.unwrap();
    let mut stranger = memory.connect("there").await.unwrap();
    stranger.sender.send(frame()).await.unwrap();
    let error = listener.accept().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::Tls { .. }), "{error}");
    let tls = encrypted(memory);
    let (near, far) = tokio::join!(tls.connect("there"), listener.accept());
    near.unwrap().sender.send(frame()).await.unwrap();
    assert_eq!(far.unwrap().receiver.next().await.unwrap(), Some(frame()));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_holds_up_nobody_and_is_given_up() {
    let memory = Memory::default();
    let mut listener = encrypted(memory.clone()).listen("there").await.unwrap();
    let _silent = memory.connect("there").await.unwrap();
    let tls = encrypted(memory);
    let (near, far) = tokio::join!(tls.connect("there"), listener.accept());
    near.unwrap();
    far.unwrap();
    let error = listener.accept().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_connection_without_a_farewell_is_broken() {
    let memory = Memory::default();
    let mut listener = encrypted(memory.clone()).listen("there").await.unwrap();
    let tls = encrypted(memory.clone());
    let call = async {
        let stream = memory.open("there").await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        tls.connector.connect(name, join(stream.read, stream.write)).await.unwrap()
    };
    let (near, far) = tokio::join!(call, listener.accept());
    // As the system does for a killed process.
    drop(near.into_inner());
    let error = far.unwrap().receiver.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Broken { .. }), "{error}");
}

#[test]
fn papers_that_are_of_no_use_are_named() {
    let good = papers(NAME);
    let [authority, certificate, key] =
        [&good.authority, &good.certificate, &good.key].map(|pem| pem.as_bytes());
    let cases = [
        (Tls::new(Tcp::default(), b"", certificate, key), "authorities' certificates"),
        (Tls::new(Tcp::default(), authority, key, key), "certificates"),
        (Tls::new(Tcp::default(), authority, certificate, b"nothing"), "private key"),
    ];
    for (refused, expected) in cases {
        let error = refused.map(|_| ()).unwrap_err();
        let TransportError::Certificate { what, .. } = &error else { panic!("{error}") };
        assert_eq!(*what, expected);
    }
}

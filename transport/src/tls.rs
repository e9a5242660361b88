//! TLS 1.3 over another medium, by rustls.
//!
//! Who is called shows a certificate, and who calls checks that an authority which it trusts has given it for the name
//! [`NAME`]: processes come and go at addresses that nobody knows beforehand, so a job has one name and not each of its
//! hosts. Who calls shows none; whether it may be here is asked by [`auth`](crate::auth), inside.
//!
//! A caller that dawdles holds up nobody: handshakes go on beside each other, each no longer than [`WITHIN`], and no
//! more than [`HANDSHAKES_MAX`] at a time. An end without a word of farewell is a broken connection, not a clean end.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, Join, ReadHalf, WriteHalf, join, split};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::auth::WITHIN;
use crate::error::TransportError;
use crate::medium::{Acceptor, Medium, Stream};

#[cfg(test)]
pub(crate) mod tests;

/// The name that certificates are given for.
pub const NAME: &str = "cirrus";
/// Handshakes under way at a listener. Further callers wait.
pub const HANDSHAKES_MAX: usize = 256;

/// A medium, encrypted.
#[derive(Clone)]
pub struct Tls<M> {
    medium: M,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl<M> Tls<M> {
    /// Encrypts `medium`. All in PEM format: the certificates of the `authorities` that are trusted; this process's
    /// `certificates`, its own first; and its private `key`.
    ///
    /// # Errors
    /// `Certificate`, when one of them is of no use.
    pub fn new(
        medium: M,
        authorities: &[u8],
        certificates: &[u8],
        key: &[u8],
    ) -> Result<Self, TransportError> {
        let wrong = |what| move |detail: String| TransportError::Certificate { what, detail };
        let mut roots = RootCertStore::empty();
        for authority in chain(authorities).map_err(wrong("authorities' certificates"))? {
            let added = roots.add(authority).map_err(|error| error.to_string());
            added.map_err(wrong("authorities' certificates"))?;
        }
        let certificates = chain(certificates).map_err(wrong("certificates"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string());
        let key = key.map_err(wrong("private key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let only = [&rustls::version::TLS13];
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&only)
            .and_then(|server| server.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| wrong("certificates")(error.to_string()))?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&only)
            .map_err(|error| wrong("authorities' certificates")(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { medium, connector: Arc::new(client).into(), acceptor: Arc::new(server).into() })
    }
}

/// At least one certificate.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("there is no certificate in it".into()) } else { Ok(chain) }
}

/// Both directions of the medium beneath, encrypted.
type Inner<R, W> = TlsStream<Join<R, W>>;

/// What is read, decrypted.
pub type TlsRead<R, W> = ReadHalf<Inner<R, W>>;

/// Encrypts what is written. Dropped, it says farewell.
#[derive(Debug)]
pub struct TlsWrite<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(WriteHalf<Inner<R, W>>);

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Drop for TlsWrite<R, W> {
    fn drop(&mut self) {
        // What was flushed has left, so that there is room for these few bytes; else, as when nothing was flushed, the
        // other end sees a connection that broke.
        let _ = Pin::new(&mut self.0).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> AsyncWrite for TlsWrite<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A stream whose handshake is done.
type Encrypted<R, W> = Stream<TlsRead<R, W>, TlsWrite<R, W>>;

fn encrypted<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    stream: Inner<R, W>,
    peer: Arc<str>,
) -> Encrypted<R, W> {
    let (read, write) = split(stream);
    Stream { read, write: TlsWrite(write), peer }
}

/// Ends a handshake, in time.
async fn shaken<T>(
    handshake: impl Future<Output = io::Result<T>>,
    peer: &Arc<str>,
) -> Result<T, TransportError> {
    match timeout(WITHIN, handshake).await {
        Ok(shaken) => shaken.map_err(|source| TransportError::Tls { peer: peer.clone(), source }),
        Err(_) => Err(TransportError::Silent { peer: peer.clone(), after: WITHIN }),
    }
}

impl<M: Medium> Medium for Tls<M> {
    type Read = TlsRead<M::Read, M::Write>;
    type Write = TlsWrite<M::Read, M::Write>;
    type Acceptor = TlsListener<M::Acceptor>;

    fn body_limit(&self) -> u32 {
        self.medium.body_limit()
    }

    async fn open(&self, address: &str) -> Result<Encrypted<M::Read, M::Write>, TransportError> {
        let Stream { read, write, peer } = self.medium.open(address).await?;
        let name = ServerName::try_from(NAME)
            .map_err(|error| TransportError::Tls { peer: peer.clone(), source: io::Error::other(error) })?;
        let stream = shaken(self.connector.connect(name, join(read, write)), &peer).await?;
        Ok(encrypted(stream.into(), peer))
    }

    async fn bind(&self, address: &str) -> Result<TlsListener<M::Acceptor>, TransportError> {
        let listener = self.medium.bind(address).await?;
        Ok(TlsListener { listener, acceptor: self.acceptor.clone(), handshakes: JoinSet::new() })
    }
}

/// How a handshake with a caller ended.
type Shaken<A> = Result<Encrypted<<A as Acceptor>::Read, <A as Acceptor>::Write>, TransportError>;

/// Listens for encrypted connections.
pub struct TlsListener<A: Acceptor> {
    listener: A,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Shaken<A>>,
}

impl<A: Acceptor> Acceptor for TlsListener<A> {
    type Read = TlsRead<A::Read, A::Write>;
    type Write = TlsWrite<A::Read, A::Write>;

    fn address(&self) -> &str {
        self.listener.address()
    }

    async fn next(&mut self) -> Result<Encrypted<A::Read, A::Write>, TransportError> {
        loop {
            tokio::select! {
                Some(shaken) = self.handshakes.join_next() => match shaken {
                    Ok(shaken) => return shaken,
                    Err(source) => {
                        let address = self.listener.address().to_owned();
                        return Err(TransportError::Accept { address, source: io::Error::other(source) });
                    }
                },
                stream = self.listener.next(), if self.handshakes.len() < HANDSHAKES_MAX => {
                    let Stream { read, write, peer } = stream?;
                    let acceptor = self.acceptor.clone();
                    self.handshakes.spawn(async move {
                        let stream = shaken(acceptor.accept(join(read, write)), &peer).await?;
                        Ok(encrypted(stream.into(), peer))
                    });
                }
            }
        }
    }
}

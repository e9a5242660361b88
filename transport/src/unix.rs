//! Bytes over Unix sockets: between the processes of one machine, with less work for the system than TCP.
//!
//! An address is a path, with the rights of its file; or `@name`, which is no file, belongs to the machine's network
//! and is gone with the process that listens, however that ends (Linux alone has it). A killed process leaves its file
//! behind; whoever listens next finds that nobody answers there and takes its place. Of two that find it so at the same
//! moment one may lose its place to the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cirrus_protocol::frame::DEFAULT_BODY_LIMIT;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use crate::error::TransportError;
use crate::medium::{Acceptor, Medium, Stream};

#[cfg(test)]
pub(crate) mod tests;

/// The Unix-socket transport.
#[derive(Clone, Copy, Debug)]
pub struct Unix {
    /// The longest body of a frame, in bytes, that is sent or accepted.
    pub body_limit: u32,
}

impl Default for Unix {
    fn default() -> Self {
        Self { body_limit: DEFAULT_BODY_LIMIT }
    }
}

/// Listens for connections at a path. Dropped, it removes the file.
#[derive(Debug)]
pub struct UnixAcceptor {
    listener: UnixListener,
    address: String,
    /// To be removed.
    file: Option<PathBuf>,
}

impl Drop for UnixAcceptor {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // If somebody else has removed it, it is gone.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The path as the system knows it: a name that is no file begins with a zero byte there.
fn path(address: &str) -> PathBuf {
    match address.strip_prefix('@') {
        Some(name) => format!("\0{name}").into(),
        None => address.into(),
    }
}

impl Medium for Unix {
    type Read = OwnedReadHalf;
    type Write = OwnedWriteHalf;
    type Acceptor = UnixAcceptor;

    fn body_limit(&self) -> u32 {
        self.body_limit
    }

    async fn open(&self, address: &str) -> Result<Stream<OwnedReadHalf, OwnedWriteHalf>, TransportError> {
        match UnixStream::connect(path(address)).await {
            Ok(stream) => Ok(split(stream, address.into())),
            Err(source) => Err(TransportError::Connect { address: address.into(), source }),
        }
    }

    async fn bind(&self, address: &str) -> Result<UnixAcceptor, TransportError> {
        let refused = |source| TransportError::listening(address, source);
        let file = path(address);
        let listener = match UnixListener::bind(&file) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(&file).await => {
                std::fs::remove_file(&file).map_err(refused)?;
                UnixListener::bind(&file)
            }
            bound => bound,
        };
        let listener = listener.map_err(refused)?;
        let file = Some(file).filter(|_| !address.starts_with('@'));
        Ok(UnixAcceptor { listener, address: address.into(), file })
    }
}

/// Whether a socket's file is there and nobody listens at it.
async fn is_left_behind(file: &Path) -> bool {
    let refused = UnixStream::connect(file).await.is_err_and(|error| {
        // What is no socket refuses as well.
        error.kind() == io::ErrorKind::ConnectionRefused
    });
    refused && is_socket(file)
}

fn is_socket(file: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(file).is_ok_and(|metadata| metadata.file_type().is_socket())
}

impl Acceptor for UnixAcceptor {
    type Read = OwnedReadHalf;
    type Write = OwnedWriteHalf;

    fn address(&self) -> &str {
        &self.address
    }

    async fn next(&mut self) -> Result<Stream<OwnedReadHalf, OwnedWriteHalf>, TransportError> {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let process = stream.peer_cred().ok().and_then(|it| it.pid());
                    let process = process.map_or_else(|| "a process".into(), |pid| format!("process {pid}"));
                    let peer = format!("{process} at {}", self.address);
                    return Ok(split(stream, peer.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(source) => return Err(TransportError::Accept { address: self.address.clone(), source }),
            }
        }
    }
}

fn split(stream: UnixStream, peer: Arc<str>) -> Stream<OwnedReadHalf, OwnedWriteHalf> {
    let (read, write) = stream.into_split();
    Stream { read, write, peer }
}

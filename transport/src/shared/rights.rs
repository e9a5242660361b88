//! Files handed from one process to another, beside the bytes of a Unix socket.
//!
//! They go with one byte that is part of nothing else. Who waits for them has asked for them, so that it has read all that
//! was said before, and the other end says nothing more until they are there.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// As many as are handed over at once.
pub(super) const FILES: usize = 2;
/// What they go with.
const BYTE: u8 = b'F';

/// Hands these files over.
pub(super) async fn send(socket: &UnixStream, files: [BorrowedFd<'_>; FILES]) -> io::Result<()> {
    let sending = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(SendAncillaryMessage::ScmRights(&files));
        Ok(sendmsg(socket, &[IoSlice::new(&[BYTE])], &mut beside, SendFlags::NOSIGNAL)?)
    };
    match socket.async_io(Interest::WRITABLE, sending).await? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Takes the files that the other end hands over.
pub(super) async fn receive(socket: &UnixStream) -> io::Result<[OwnedFd; FILES]> {
    let receiving = || {
        let (mut byte, mut files) = ([0], Vec::new());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(handed) = message {
                files.extend(handed);
            }
        }
        Ok((got.bytes, byte, files))
    };
    let (bytes, byte, files) = socket.async_io(Interest::READABLE, receiving).await?;
    if bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match <[OwnedFd; FILES]>::try_from(files) {
        Ok(files) if byte == [BYTE] => Ok(files),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "files of shared memory were expected here")),
    }
}

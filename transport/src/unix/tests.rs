//! What only Unix sockets do.

use core::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{FrameReceiver as _, Listener as _, Transport as _};

/// A path that no other test has, short enough for a socket.
pub(crate) fn free_path() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("cirrus-{}-{number}.socket", std::process::id());
    std::env::temp_dir().join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_listener_removes_its_file() {
    let path = free_path();
    let listener = Unix::default().listen(&path).await.unwrap();
    assert!(is_socket(path.as_ref()));
    drop(listener);
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_taken_over() {
    let path = free_path();
    // As a killed process leaves it: closed, the file still there.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(is_socket(path.as_ref()));
    let mut listener = Unix::default().listen(&path).await.unwrap();
    let unix = Unix::default();
    let (near, far) = tokio::join!(unix.connect(&path), listener.accept());
    drop(near.unwrap());
    let mut far = far.unwrap();
    assert!(far.peer.contains(&std::process::id().to_string()), "{}", far.peer);
    assert_eq!(far.receiver.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let path = free_path();
    std::fs::write(&path, "precious").unwrap();
    let error = Unix::default().listen(&path).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_is_no_file() {
    let address = format!("@{}", free_path());
    let unix = Unix::default();
    let mut listener = unix.listen(&address).await.unwrap();
    let (near, far) = tokio::join!(unix.connect(&address), listener.accept());
    near.unwrap();
    far.unwrap();
    assert!(!Path::new(&address[1..]).exists());
    let error = Unix::default().listen(&address).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::AddressInUse { .. }), "{error}");
    drop(listener);
    Unix::default().connect(&address).await.map(|_| ()).unwrap_err();
}

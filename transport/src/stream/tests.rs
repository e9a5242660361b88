//! What every transport does, tested on each by the same code.

mod one;

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use bytes::Bytes;
use cirrus_protocol::checksum::crc32c;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::{Body, Flags, Frame};
use proptest::prelude::*;

use super::*;
use crate::faults::Faulty;
use crate::memory::Memory;
use crate::tcp::Tcp;
use crate::tls::Tls;
use crate::unix::Unix;
use crate::{Connection, Listener, Medium, Transport};

const LIMIT: u32 = 16 << 20;

/// A medium that a test can make.
trait Wire: Medium {
    fn new(body_limit: u32) -> Self;
    /// Where to listen: any free address.
    fn any() -> String;
}

impl Wire for Tcp {
    fn new(body_limit: u32) -> Self {
        Self { body_limit }
    }

    fn any() -> String {
        "127.0.0.1:0".into()
    }
}

impl Wire for Unix {
    fn new(body_limit: u32) -> Self {
        Self { body_limit }
    }

    fn any() -> String {
        crate::unix::tests::free_path()
    }
}

impl Wire for Memory {
    fn new(body_limit: u32) -> Self {
        Self::new(body_limit, 64 << 10)
    }

    fn any() -> String {
        "*".into()
    }
}

impl Wire for Faulty<Memory> {
    fn new(body_limit: u32) -> Self {
        Self::new(<Memory as Wire>::new(body_limit))
    }

    fn any() -> String {
        Memory::any()
    }
}

impl Wire for Tls<Tcp> {
    fn new(body_limit: u32) -> Self {
        crate::tls::tests::encrypted(Tcp { body_limit })
    }

    fn any() -> String {
        Tcp::any()
    }
}

type End<T> = Connection<<T as Transport>::Sender, <T as Transport>::Receiver>;

/// Who connected and who accepted.
async fn connected<T: Wire>() -> (End<T>, End<T>) {
    let transport = T::new(LIMIT);
    let mut listener = transport.listen(&T::any()).await.unwrap();
    let address = listener.address().to_owned();
    let (near, far) = tokio::join!(transport.connect(&address), listener.accept());
    let near = near.unwrap();
    assert_eq!(&*near.peer, address);
    (near, far.unwrap())
}

/// Receives what a stranger writes before it closes the connection.
async fn received_from_stranger<T: Wire>(bytes: &[u8]) -> StreamReceiver<T::Read> {
    let (stranger, us) = connected::<T>().await;
    let mut stream = stranger.sender.stream;
    stream.write_all(bytes).await.unwrap();
    drop(stream);
    us.receiver
}

fn frame(call: u64, body: Body) -> Frame {
    Frame { kind: 7, call, body, ..Frame::default() }
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| ((at * 31) >> 3) as u8).collect()
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(LIMIT, &mut bytes).unwrap();
    bytes
}

/// Asks a future once.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs each generic test on each transport.
macro_rules! on_every_transport {
    ($($name:ident)*) => {
        on_transport! { on_tcp, super::Tcp, $($name)* }
        on_transport! { on_unix_sockets, super::Unix, $($name)* }
        on_transport! { in_memory, super::Memory, $($name)* }
        on_transport! { through_faults, super::Faulty<super::Memory>, $($name)* }
        on_transport! { on_tls, super::Tls<super::Tcp>, $($name)* }
    };
}

macro_rules! on_transport {
    ($module:ident, $transport:ty, $($name:ident)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $name() {
                super::$name::<$transport>().await;
            })*
        }
    };
}

on_every_transport! {
    frames_of_all_sizes_arrive_both_ways
    many_frames_leave_together
    a_dropped_sender_is_a_clean_end_of_one_direction
    half_a_frame_is_not_a_clean_end
    random_bytes_are_named
    another_version_is_named
    a_huge_length_is_named
    a_limit_can_be_changed
    large_bodies_stay_where_they_arrived
    a_damaged_body_is_named
    a_frame_that_is_too_long_is_not_sent
    a_cancelled_flush_loses_nothing
    a_cancelled_next_loses_nothing
    a_sender_learns_that_nobody_receives
    an_address_belongs_to_one_listener
    many_connections_wait_to_be_accepted
}

async fn frames_of_all_sizes_arrive_both_ways<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    let sizes = [0, 1, COPY_BYTES, COPY_BYTES + 1, READ_BYTES, 1_000_003, LIMIT as usize];
    let frames: Vec<Frame> = (0..)
        .zip(sizes)
        .flat_map(|(call, size)| {
            let checked = Frame { flags: Flags::PAYLOAD_CRC, ..frame(call, bytes(size).into()) };
            let cut = Body::new(bytes(size).slice(..size / 3), bytes(size).slice(size / 3..));
            [checked, frame(call, cut)]
        })
        .collect();
    let echo = async {
        while let Some(frame) = far.receiver.next().await.unwrap() {
            far.sender.send(frame).await.unwrap();
        }
        drop(far.sender);
    };
    let exchange = async {
        for frame in &frames {
            near.sender.send(frame.clone()).await.unwrap();
            assert_eq!(near.receiver.next().await.unwrap().as_ref(), Some(frame));
        }
        drop(near.sender);
        assert_eq!(near.receiver.next().await.unwrap(), None);
    };
    tokio::join!(echo, exchange);
}

async fn many_frames_leave_together<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    // More pieces than fit into one vectored write, some copied, some not.
    let frames: Vec<Frame> = (0..3 * SLICES_MAX as u64)
        .map(|call| frame(call, bytes(if call % 3 == 0 { COPY_BYTES + 1 } else { 10 }).into()))
        .collect();
    for frame in &frames {
        near.sender.queue(frame.clone()).unwrap();
    }
    assert_eq!(near.sender.queued_bytes(), frames.iter().map(|frame| encoded(frame).len()).sum::<usize>());
    let receive = async {
        let mut received = Vec::new();
        while received.len() < frames.len() {
            received.push(far.receiver.next().await.unwrap().unwrap());
            while let Some(frame) = far.receiver.try_next_buffered().unwrap() {
                received.push(frame);
            }
        }
        received
    };
    let (sent, received) = tokio::join!(near.sender.flush(), receive);
    sent.unwrap();
    assert_eq!(received, frames);
    assert_eq!(near.sender.queued_bytes(), 0);
}

async fn a_dropped_sender_is_a_clean_end_of_one_direction<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    near.sender.send(frame(1, Body::default())).await.unwrap();
    drop(near.sender);
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(1, Body::default())));
    assert_eq!(far.receiver.next().await.unwrap(), None);
    assert_eq!(far.receiver.next().await.unwrap(), None);
    far.sender.send(frame(2, Body::default())).await.unwrap();
    assert_eq!(near.receiver.next().await.unwrap(), Some(frame(2, Body::default())));
}

async fn half_a_frame_is_not_a_clean_end<T: Wire>() {
    let whole = encoded(&frame(1, bytes(100).into()));
    for (length, expected) in [(1, HEADER_BYTES), (47, HEADER_BYTES), (48, 148), (147, 148)] {
        let mut receiver = received_from_stranger::<T>(&[&whole, &whole[..length]].concat()).await;
        assert_eq!(receiver.next().await.unwrap(), Some(frame(1, bytes(100).into())));
        for _ in 0..2 {
            let error = receiver.next().await.unwrap_err();
            let TransportError::Cut { received, needed, .. } = &error else { panic!("{error}") };
            assert_eq!((*received, *needed), (length, expected));
            assert!(
                error.to_string().contains("in the middle") || error.to_string().contains("after"),
                "{error}"
            );
        }
    }
}

async fn random_bytes_are_named<T: Wire>() {
    let mut receiver = received_from_stranger::<T>(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    for _ in 0..2 {
        let error = receiver.next().await.unwrap_err();
        assert!(
            matches!(error, TransportError::Format { source: FormatError::BadMagic { .. }, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(&*receiver.peer), "{error}");
        receiver.try_next_buffered().unwrap_err();
    }
}

async fn another_version_is_named<T: Wire>() {
    let mut old = encoded(&frame(1, Body::default()));
    old[4..6].copy_from_slice(&[0, 0]);
    let error = received_from_stranger::<T>(&old).await.next().await.unwrap_err();
    let expected = FormatError::Version { what: "frame", found: 0, supported: 1 };
    let TransportError::Format { source, .. } = &error else { panic!("{error}") };
    assert_eq!(*source, expected);
    assert!(error.to_string().contains("version 0") && error.to_string().contains("version 1"), "{error}");
}

async fn a_huge_length_is_named<T: Wire>() {
    let mut huge = encoded(&frame(1, Body::default()));
    huge[12..16].copy_from_slice(&(LIMIT + 1).to_le_bytes());
    let crc = crc32c(&huge[..44]);
    huge[44..48].copy_from_slice(&crc.to_le_bytes());
    let mut receiver = received_from_stranger::<T>(&huge).await;
    let error = receiver.next().await.unwrap_err();
    let TransportError::Format { source: FormatError::Limit { found, limit, .. }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((found, limit), (u64::from(LIMIT) + 1, u64::from(LIMIT)));
    assert!(receiver.buffer.capacity() <= 2 * READ_BYTES, "memory was reserved for it");
}

async fn a_limit_can_be_changed<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    assert_eq!(far.receiver.set_body_limit(10), LIMIT);
    for length in [10, 11] {
        near.sender.send(frame(1, bytes(length).into())).await.unwrap();
    }
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(1, bytes(10).into())));
    let error = far.receiver.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Format { source: FormatError::Limit { .. }, .. }), "{error}");
    assert_eq!(far.receiver.set_body_limit(LIMIT), 10);
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(1, bytes(11).into())));
}

async fn large_bodies_stay_where_they_arrived<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    let send = async {
        for call in 0..10 {
            near.sender.send(frame(call, bytes(300_000).into())).await.unwrap();
        }
    };
    let receive = async {
        for call in 0..10 {
            let mut stays = None;
            let received = core::future::poll_fn(|cx| {
                let polled = pin!(far.receiver.next()).poll(cx);
                if far.receiver.needed > READ_BYTES {
                    // Once there is room for the body, it is not moved any more.
                    let at = far.receiver.buffer.as_ptr() as usize;
                    if far.receiver.buffer.capacity() >= far.receiver.needed {
                        assert_eq!(*stays.get_or_insert(at), at);
                    }
                }
                polled
            });
            assert_eq!(received.await.unwrap(), Some(frame(call, bytes(300_000).into())));
        }
    };
    tokio::join!(send, receive);
}

async fn a_damaged_body_is_named<T: Wire>() {
    let mut damaged = encoded(&Frame { flags: Flags::PAYLOAD_CRC, ..frame(1, bytes(100).into()) });
    damaged[100] ^= 1;
    let error = received_from_stranger::<T>(&damaged).await.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Format { source: FormatError::Checksum { .. }, .. }), "{error}");
}

async fn a_frame_that_is_too_long_is_not_sent<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    let error = near.sender.send(frame(1, bytes(LIMIT as usize + 1).into())).await.unwrap_err();
    assert!(matches!(error, TransportError::Unsendable { .. }), "{error}");
    assert_eq!(near.sender.queued_bytes(), 0);
    near.sender.send(frame(2, Body::default())).await.unwrap();
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(2, Body::default())));
}

async fn a_cancelled_flush_loses_nothing<T: Wire>() {
    let (mut near, mut far) = connected::<T>().await;
    // More than the system and the pipe hold.
    let sent = frame(1, bytes(LIMIT as usize).into());
    near.sender.queue(sent.clone()).unwrap();
    assert!(poll_once(near.sender.flush()).is_pending());
    assert!((1..encoded(&sent).len()).contains(&near.sender.queued_bytes()));
    near.sender.queue(frame(2, Body::default())).unwrap();
    let (flushed, received) = tokio::join!(near.sender.flush(), far.receiver.next());
    flushed.unwrap();
    assert_eq!(received.unwrap(), Some(sent));
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(2, Body::default())));
}

async fn a_cancelled_next_loses_nothing<T: Wire>() {
    let (near, mut far) = connected::<T>().await;
    let whole = encoded(&frame(1, bytes(100_000).into()));
    let mut stream = near.sender.stream;
    for piece in whole.chunks(30_000) {
        assert!(poll_once(far.receiver.next()).is_pending());
        stream.write_all(piece).await.unwrap();
    }
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(1, bytes(100_000).into())));
}

async fn a_sender_learns_that_nobody_receives<T: Wire>() {
    let (mut near, far) = connected::<T>().await;
    drop(far);
    let error = loop {
        // The system may take some before it has heard.
        if let Err(error) = near.sender.send(frame(1, bytes(10_000).into())).await {
            break error;
        }
    };
    assert!(matches!(error, TransportError::Broken { .. }), "{error}");
    assert!(error.to_string().contains(&*near.peer), "{error}");
}

async fn an_address_belongs_to_one_listener<T: Wire>() {
    let transport = T::new(LIMIT);
    let listener = transport.listen(&T::any()).await.unwrap();
    let address = listener.address().to_owned();
    let error = transport.listen(&address).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, TransportError::AddressInUse { address: named } if *named == address),
        "{error}"
    );
    drop(listener);
    let error = transport.connect(&address).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, TransportError::Connect { address: named, .. } if *named == address), "{error}");
    let listener = transport.listen(&address).await.unwrap();
    assert_eq!(listener.address(), address);
}

async fn many_connections_wait_to_be_accepted<T: Wire>() {
    let transport = T::new(LIMIT);
    let mut listener = transport.listen(&T::any()).await.unwrap();
    let address = listener.address().to_owned();
    let call = async {
        let mut near = Vec::new();
        for call in 0..20 {
            let mut end = transport.connect(&address).await.unwrap();
            end.sender.send(frame(call, Body::default())).await.unwrap();
            near.push(end);
        }
        near
    };
    let accept = async {
        for call in 0..20 {
            let mut far = listener.accept().await.unwrap();
            assert_eq!(far.receiver.next().await.unwrap(), Some(frame(call, Body::default())));
        }
    };
    tokio::join!(call, accept);
}

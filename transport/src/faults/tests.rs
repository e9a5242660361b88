//! Faults happen as they were planned.

use core::pin::pin;

use cirrus_protocol::frame::{Body, Frame, HEADER_BYTES};
use tokio::time::Instant;

use super::*;
use crate::memory::{Memory, MemoryConnection};
use crate::{Connection, FrameReceiver, FrameSender, Listener, Transport};

type Near = Connection<<Faulty<Memory> as Transport>::Sender, <Faulty<Memory> as Transport>::Receiver>;

fn frame(call: u64) -> Frame {
    Frame { kind: 7, call, body: Body::from(bytes::Bytes::from_static(b"body")), ..Frame::default() }
}

const FRAME_BYTES: u64 = HEADER_BYTES as u64 + 4;

/// A caller with faults, and a called one without.
async fn connected(faulty: &Faulty<Memory>, plans: Plans) -> (Near, MemoryConnection) {
    let memory = faulty.medium.clone();
    let mut listener = memory.listen("there").await.unwrap();
    faulty.plan("there", plans);
    let near = faulty.connect("there").await.unwrap();
    (near, listener.accept().await.unwrap())
}

fn faulty() -> Faulty<Memory> {
    Faulty::new(Memory::default())
}

fn after(bytes: u64, fault: Fault) -> Plan {
    Plan { fault: Some((bytes, fault)), ..Plan::default() }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn what_is_read_ends_at_the_byte() {
    for (bytes, fault) in
        [(FRAME_BYTES, Fault::End), (FRAME_BYTES + 3, Fault::End), (FRAME_BYTES, Fault::Reset)]
    {
        let plans = Plans { read: after(bytes, fault), ..Plans::default() };
        let (mut near, mut far) = connected(&faulty(), plans).await;
        for call in 0..2 {
            far.sender.send(frame(call)).await.unwrap();
        }
        assert_eq!(near.receiver.next().await.unwrap(), Some(frame(0)));
        let next = near.receiver.next().await;
        match (bytes - FRAME_BYTES, fault) {
            (0, Fault::End) => assert_eq!(next.unwrap(), None),
            (_, Fault::End) => {
                assert!(matches!(next, Err(TransportError::Cut { received: 3, .. })), "{next:?}");
            }
            _ => assert!(matches!(next, Err(TransportError::Broken { .. })), "{next:?}"),
        }
        // The other direction is whole.
        near.sender.send(frame(2)).await.unwrap();
        assert_eq!(far.receiver.next().await.unwrap(), Some(frame(2)));
    }
}

#[tokio::test]
async fn what_is_written_ends_at_the_byte() {
    let plans = Plans { write: after(FRAME_BYTES + 3, Fault::Reset), ..Plans::default() };
    let (mut near, mut far) = connected(&faulty(), plans).await;
    near.sender.send(frame(0)).await.unwrap();
    let error = near.sender.send(frame(1)).await.unwrap_err();
    assert!(matches!(error, TransportError::Broken { .. }), "{error}");
    drop(near);
    assert_eq!(far.receiver.next().await.unwrap(), Some(frame(0)));
    let error = far.receiver.next().await.unwrap_err();
    assert!(matches!(error, TransportError::Cut { received: 3, needed: HEADER_BYTES, .. }), "{error}");
}

#[tokio::test]
async fn silence_tells_nobody() {
    let plans = Plans { read: after(FRAME_BYTES + 3, Fault::Silence), ..Plans::default() };
    let (mut near, mut far) = connected(&faulty(), plans).await;
    for call in 0..2 {
        far.sender.send(frame(call)).await.unwrap();
    }
    assert_eq!(near.receiver.next().await.unwrap(), Some(frame(0)));
    assert!(poll_once(near.receiver.next()).is_pending());
    drop(far);
    assert!(poll_once(near.receiver.next()).is_pending());
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept() {
    let delay = Duration::from_millis(200);
    let plans = Plans { read: Plan { delay, ..Plan::default() }, ..Plans::default() };
    let (mut near, mut far) = connected(&faulty(), plans).await;
    let start = Instant::now();
    far.sender.send(frame(0)).await.unwrap();
    assert_eq!(near.receiver.next().await.unwrap(), Some(frame(0)));
    assert!((delay..2 * delay).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_is_blocked_arrives_when_it_is_healed() {
    let faulty = faulty();
    let (mut near, mut far) = connected(&faulty, Plans::default()).await;
    let mut elsewhere = faulty.medium.listen("elsewhere").await.unwrap();
    faulty.clone().block("there");
    assert!(poll_once(near.sender.send(frame(1))).is_pending());
    far.sender.send(frame(2)).await.unwrap();
    assert!(poll_once(near.receiver.next()).is_pending());
    assert!(poll_once(far.receiver.next()).is_pending());
    assert!(poll_once(faulty.connect("there")).is_pending());
    // Other addresses, and other processes, have nothing to do with it.
    faulty.connect("elsewhere").await.unwrap();
    elsewhere.accept().await.unwrap();
    Faulty::new(faulty.medium.clone()).connect("elsewhere").await.unwrap();
    let healed = async {
        tokio::task::yield_now().await;
        faulty.heal("there");
    };
    let (flushed, came, went, ()) =
        tokio::join!(near.sender.flush(), near.receiver.next(), far.receiver.next(), healed);
    flushed.unwrap();
    assert_eq!((came.unwrap(), went.unwrap()), (Some(frame(2)), Some(frame(1))));
}

#[tokio::test]
async fn who_is_cut_off_says_and_hears_nothing_on_any_connection() {
    let memory = Memory::default();
    let (here, there) = (Faulty::new(memory.clone()), Faulty::new(memory));
    let mut ours = here.listen("here").await.unwrap();
    let mut theirs = there.listen("there").await.unwrap();
    let mut made = here.connect("there").await.unwrap();
    let mut other_of_made = theirs.accept().await.unwrap();
    let mut other_of_taken = there.connect("here").await.unwrap();
    let mut taken = ours.accept().await.unwrap();
    here.clone().cut_off();
    for (near, far) in [(&mut made, &mut other_of_made), (&mut taken, &mut other_of_taken)] {
        assert!(poll_once(near.sender.send(frame(1))).is_pending());
        far.sender.send(frame(2)).await.unwrap();
        assert!(poll_once(near.receiver.next()).is_pending());
        assert!(poll_once(far.receiver.next()).is_pending());
    }
    assert!(poll_once(here.connect("there")).is_pending());
    let back = async {
        tokio::task::yield_now().await;
        here.let_back();
    };
    // Who waits is woken.
    let (heard, ()) = tokio::join!(made.receiver.next(), back);
    assert_eq!(heard.unwrap(), Some(frame(2)));
    assert_eq!(taken.receiver.next().await.unwrap(), Some(frame(2)));
    taken.sender.send(frame(3)).await.unwrap();
    // What it had begun to say when it was cut off was dropped with the future, not lost on the way.
    assert_eq!(other_of_taken.receiver.next().await.unwrap(), Some(frame(1)));
    assert_eq!(other_of_taken.receiver.next().await.unwrap(), Some(frame(3)));
}

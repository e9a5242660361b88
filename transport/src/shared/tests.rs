//! A host and its lodgers over real sockets and real mappings, in one process.

use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::frame::{Body, Frame};
use cirrus_protocol::zip::{DESCRIBED, Descriptor};
use tokio::sync::mpsc;

use super::*;
use crate::unix::Unix;
use crate::unix::tests::free_path;
use crate::{
    Connection, FrameReceiver as _, FrameSender as _, Listener as _, Transport as _, TransportError,
};

type Shared = Connection<SharedSender, SharedReceiver>;

/// A connection, not shared yet: the lodger's end, and the host's.
async fn plain() -> (Plain, Plain) {
    let mut listener = Unix::default().listen(&free_path()).await.unwrap();
    let address = listener.address().to_owned();
    let unix = Unix::default();
    let (called, taken) = tokio::join!(unix.connect(&address), listener.accept());
    (called.unwrap(), taken.unwrap())
}

/// A lodger with one connection to its host.
struct Lodger {
    lodging: Arc<Lodging>,
    guest: Arc<Guest>,
    /// The lodger's end, and the host's.
    ends: (Shared, Shared),
    /// What each end has taken, for the other one.
    said: (mpsc::UnboundedReceiver<Taken>, mpsc::UnboundedReceiver<Taken>),
}

impl Lodger {
    async fn new(host: &Arc<Host>) -> Self {
        let (caller, called) = plain().await;
        let guest = Arc::new(host.admit().unwrap());
        let (handed, lodging) =
            tokio::join!(guest.hand_over(&called), Lodging::take_over(&caller, host.id(), ()));
        handed.unwrap();
        let lodging = lodging.unwrap();
        let ((says, heard_of_lodger), (says_too, heard_of_host)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let ends = (lodging.share(caller, 1, says), guest.share(called, 1, says_too));
        Self { lodging, guest, ends, said: (heard_of_lodger, heard_of_host) }
    }

    fn array(&self, bytes: usize, value: u8) -> Array {
        let mut array = self.lodging.array(self.guest.lease(bytes as u64).unwrap()).unwrap();
        array.fill(value);
        array
    }
}

fn frame(payload: Bytes) -> Frame {
    Frame { kind: 0x0705, link: 3, body: Body::new(Bytes::from_static(b"head"), payload), ..Frame::default() }
}

fn payload(frame: &Frame) -> Bytes {
    frame.body.clone().into_pieces()[1].clone()
}

#[tokio::test]
async fn what_a_lodger_writes_once_all_others_read_where_it_lies() {
    let host = Host::create(64 << 20).unwrap();
    let (mut sender, mut reader) = (Lodger::new(&host).await, Lodger::new(&host).await);
    let array = sender.array(5_000_000, 42);
    sender.ends.0.sender.send(frame(array.freeze())).await.unwrap();
    let at_host = sender.ends.1.receiver.next().await.unwrap().unwrap();
    assert_eq!(at_host, frame(vec![42; 5_000_000].into()));
    reader.ends.1.sender.send(at_host.clone()).await.unwrap();
    let read = reader.ends.0.receiver.next().await.unwrap().unwrap();
    assert_eq!(read, at_host);
    // Nobody has copied: a second look through the host's mapping shows what the reader's shows.
    assert_eq!(host.copied(), 0);
    assert!(host.held() >= 5_000_000);
    let view = payload(&read);
    drop((read, at_host));
    let part = view.slice(4_000_000..4_000_001);
    drop(view);
    assert!(host.held() > 0, "a part of it is still read");
    drop(part);
    assert_eq!(host.held(), 0);
}

#[tokio::test]
async fn what_lies_elsewhere_or_is_short_is_sent() {
    let host = Host::create(1 << 20).unwrap();
    let mut lodger = Lodger::new(&host).await;
    let short = lodger.array(100, 1).freeze();
    for payload in [short, vec![2; 100_000].into(), Bytes::new()] {
        lodger.ends.0.sender.send(frame(payload.clone())).await.unwrap();
        let got = lodger.ends.1.receiver.next().await.unwrap().unwrap();
        assert_eq!(got, frame(payload.clone()));
        lodger.ends.1.sender.send(got).await.unwrap();
        assert_eq!(lodger.ends.0.receiver.next().await.unwrap().unwrap(), frame(payload));
    }
    assert_eq!(host.held(), 0);
}

#[tokio::test]
async fn a_full_segment_says_so_and_has_room_again_when_it_was_let_go() {
    let host = Host::create(1 << 20).unwrap();
    let lodger = Lodger::new(&host).await;
    let kept = lodger.array(900_000, 1);
    let full = lodger.guest.lease(500_000).unwrap_err();
    assert!(full.bytes == 500_000 && full.free < 500_000);
    assert!(host.array(500_000).is_err() && host.lift(&vec![0; 500_000].into()).is_none());
    drop(kept);
    let lifted = host.lift(&vec![9; 500_000].into()).unwrap();
    assert_eq!((&lifted[..], host.copied()), (&[9; 500_000][..], 500_000));
    assert_eq!(host.lift(&lifted).unwrap().as_ptr(), lifted.as_ptr(), "it lies there already");
}

#[tokio::test]
async fn all_that_a_dead_lodger_held_is_free_again() {
    let host = Host::create(8 << 20).unwrap();
    let (mut dead, mut other) = (Lodger::new(&host).await, Lodger::new(&host).await);
    let held = dead.array(1_000_000, 1);
    // One is under way from it, one to it.
    let sent = dead.array(1_000_000, 2).freeze();
    dead.ends.0.sender.send(frame(sent)).await.unwrap();
    let own = other.array(1_000_000, 3).freeze();
    other.ends.0.sender.send(frame(own)).await.unwrap();
    let passed_on = other.ends.1.receiver.next().await.unwrap().unwrap();
    dead.ends.1.sender.send(passed_on.clone()).await.unwrap();
    let Lodger { guest, ends: (its_end, mut at_host), .. } = dead;
    drop(its_end);
    std::mem::forget(held); // It was killed: nothing of it runs any more.
    let descriptor = at_host.receiver.next().await.unwrap().unwrap();
    assert_eq!(payload(&descriptor), vec![2; 1_000_000]);
    drop((descriptor, at_host, guest));
    assert_eq!(payload(&passed_on), vec![3; 1_000_000], "nobody else has lost anything");
    drop(passed_on);
    assert_eq!(host.held(), 0);
}

#[tokio::test]
async fn what_a_connection_does_not_bring_is_free_again() {
    let host = Host::create(8 << 20).unwrap();
    let mut lodger = Lodger::new(&host).await;
    let sent = lodger.array(100_000, 1).freeze();
    let back = host.lift(&vec![2; 100_000].into()).unwrap();
    lodger.ends.0.sender.send(frame(sent)).await.unwrap();
    lodger.ends.1.sender.send(frame(back)).await.unwrap();
    assert!(host.held() >= 200_000);
    // Both ends hang up before they have read anything.
    drop(lodger.ends);
    let (of_lodger, of_host) = (lodger.said.0.recv().await.unwrap(), lodger.said.1.recv().await.unwrap());
    let none = Taken { connection: 1, count: 0, over: true };
    assert_eq!((of_lodger, of_host), (none, none));
    lodger.guest.taken(of_lodger);
    lodger.lodging.taken(of_host);
    assert_eq!(host.held(), 0);
}

/// What the host says of a descriptor that an honest sender would not send.
async fn refused(lodger: Lodger, descriptor: Descriptor) -> Lie {
    let (raw, called) = plain().await;
    let mut at_host = lodger.guest.share(called, 2, mpsc::unbounded_channel().0);
    let mut raw = raw;
    let body = Bytes::copy_from_slice(&descriptor.to_bytes()).into();
    raw.sender.send(Frame { kind: 0x0705 | DESCRIBED, body, ..Frame::default() }).await.unwrap();
    raw.sender.send(frame(Bytes::new())).await.unwrap();
    let TransportError::Lie { source, .. } = at_host.receiver.next().await.unwrap_err() else {
        panic!("another error");
    };
    let again = at_host.receiver.next().await.unwrap_err();
    assert!(
        matches!(again, TransportError::Lie { source: same, .. } if same == source),
        "nothing more is heard"
    );
    source
}

#[tokio::test]
async fn who_lies_is_refused_by_name_and_harms_nobody() {
    let host = Host::create(8 << 20).unwrap();
    let honest = Lodger::new(&host).await;
    let (segment, bytes) = (host.id(), 100_000);
    let slab = honest.guest.lease(bytes).unwrap();
    let theirs = Descriptor { segment, begin: slab.begin, bytes, slot: slab.slot };
    let mut array = honest.lodging.array(slab).unwrap();
    array.fill(7);
    let kept = array.freeze();
    let lies = [
        (Descriptor { segment, begin: 8 << 20, bytes, slot: 0 }, Lie::Beyond { segment: 8 << 20 }),
        (Descriptor { segment, begin: u64::MAX, bytes, slot: 0 }, Lie::Beyond { segment: 8 << 20 }),
        (Descriptor { segment, begin: theirs.begin, bytes: 4 << 20, slot: 0 }, Lie::Outside),
        (Descriptor { segment, begin: 4 << 20, bytes: 4, slot: 0 }, Lie::Outside),
        (theirs, Lie::NotHeld),
        (
            Descriptor { segment: !segment, ..theirs },
            Lie::OtherSegment { found: !segment, expected: segment },
        ),
    ];
    for (descriptor, lie) in lies {
        assert_eq!(refused(Lodger::new(&host).await, descriptor).await, lie);
    }
    // A slab that it had, and has let go.
    let liar = Lodger::new(&host).await;
    let slab = liar.guest.lease(50_000).unwrap();
    drop(liar.lodging.array(slab).unwrap());
    let descriptor = Descriptor { segment, begin: slab.begin, bytes: slab.bytes, slot: slab.slot };
    assert_eq!(refused(liar, descriptor).await, Lie::NotHeld);
    assert_eq!(kept, vec![7; 100_000]);
}

#[tokio::test]
async fn a_descriptor_that_is_cut_off_or_told_to_somebody_who_shares_nothing_is_refused() {
    let host = Host::create(1 << 20).unwrap();
    let lodger = Lodger::new(&host).await;
    let (mut raw, called) = plain().await;
    let mut at_host = lodger.guest.share(called, 2, mpsc::unbounded_channel().0);
    raw.sender
        .send(Frame {
            kind: DESCRIBED,
            body: Bytes::from_static(b"27 bytes, one is missing!!!").into(),
            ..Frame::default()
        })
        .await
        .unwrap();
    let refused = at_host.receiver.next().await.unwrap_err();
    assert!(matches!(refused, TransportError::Lie { source: Lie::Short, .. }), "{refused}");
    // A lodger looks as closely.
    let beyond = Slab { slot: 0, begin: 1 << 20, bytes: 1 };
    assert_eq!(lodger.lodging.array(beyond).unwrap_err(), Lie::Beyond { segment: 1 << 20 });
}

#[tokio::test]
async fn what_is_no_segment_is_not_taken_over() {
    let (mut caller, mut called) = plain().await;
    called.sender.send(frame(Bytes::new())).await.unwrap();
    caller.receiver.next().await.unwrap().unwrap();
    drop(called);
    let gone = Lodging::take_over(&caller, 1, ()).await.unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::UnexpectedEof);
    let (caller, mut called) = plain().await;
    called.sender.send(frame(Bytes::new())).await.unwrap();
    let other = Lodging::take_over(&caller, 1, ()).await.unwrap_err();
    assert_eq!(other.kind(), std::io::ErrorKind::InvalidData);
}

//! What only one of the transports can show.

use super::*;

#[tokio::test]
async fn a_reset_connection_never_looks_like_a_clean_end() {
    let (mut near, far) = connected::<Tcp>().await;
    near.sender.send(frame(1, Body::default())).await.unwrap();
    // As a killed process leaves it: closed whole, with something unread. To drop the sender alone would end the
    // stream first, and that end would be a clean one.
    drop(far.sender.stream.reunite(far.receiver.stream).unwrap());
    for _ in 0..2 {
        let error = near.receiver.next().await.unwrap_err();
        assert!(matches!(error, TransportError::Broken { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let error = Tcp::default().listen("nowhere").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::Listen { .. }), "{error}");
    let error = Tcp::default().connect("nowhere").await.map(|_| ()).unwrap_err();
    assert!(matches!(error, TransportError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn frames_that_arrived_together_are_there_without_waiting() {
    let (mut near, mut far) = connected::<Memory>().await;
    for call in 0..10 {
        near.sender.queue(frame(call, bytes(10).into())).unwrap();
    }
    near.sender.flush().await.unwrap();
    assert_eq!(far.receiver.try_next_buffered().unwrap(), None, "it asked the system");
    assert_eq!(far.receiver.next().await.unwrap().map(|frame| frame.call), Some(0));
    for call in 1..10 {
        assert_eq!(far.receiver.try_next_buffered().unwrap().map(|frame| frame.call), Some(call));
    }
    assert_eq!(far.receiver.try_next_buffered().unwrap(), None);
}

#[tokio::test]
async fn a_slow_reader_stops_its_sender_and_memory_stays_bounded() {
    let memory = Memory::new(LIMIT, 1000);
    let [mut near, mut far] = memory.pair(["near", "far"]);
    for call in 0..100 {
        near.sender.queue(frame(call, bytes(100).into())).unwrap();
    }
    let total = 100 * (HEADER_BYTES + 100);
    assert!(poll_once(near.sender.flush()).is_pending());
    assert_eq!(near.sender.queued_bytes(), total - 1000);
    assert!(poll_once(near.sender.flush()).is_pending());
    assert_eq!(near.sender.queued_bytes(), total - 1000, "the pipe holds more than its bound");
    // A reader that takes one frame makes room for what it read, not for more.
    assert_eq!(far.receiver.next().await.unwrap().map(|frame| frame.call), Some(0));
    assert!(poll_once(near.sender.flush()).is_pending());
    assert_eq!(near.sender.queued_bytes(), total - 2000);
    let receive = async {
        for call in 1..100 {
            assert_eq!(far.receiver.next().await.unwrap().map(|frame| frame.call), Some(call));
        }
    };
    let (flushed, ()) = tokio::join!(near.sender.flush(), receive);
    flushed.unwrap();
}

proptest! {
    #[test]
    fn any_frames_pass_through_any_pipe(
        frames in proptest::collection::vec((any::<u64>(), any::<bool>(), 0_usize..3 * COPY_BYTES, any::<bool>()), 1..20),
        pipe_bytes in 1_usize..5000,
    ) {
        let memory = Memory::new(LIMIT, pipe_bytes);
        let [mut near, mut far] = memory.pair(["near", "far"]);
        let frames: Vec<(Frame, bool)> = frames
            .into_iter()
            .map(|(call, checked, length, flush)| {
                let flags = if checked { Flags::PAYLOAD_CRC } else { Flags::NONE };
                (Frame { flags, ..frame(call, bytes(length).into()) }, flush)
            })
            .collect();
        let send = async {
            for (frame, flush) in &frames {
                near.sender.queue(frame.clone()).unwrap();
                if *flush {
                    near.sender.flush().await.unwrap();
                }
            }
            near.sender.flush().await.unwrap();
            drop(near.sender);
        };
        let receive = async {
            let mut received = Vec::new();
            while let Some(frame) = far.receiver.next().await.unwrap() {
                received.push(frame);
            }
            received
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ((), received) = runtime.block_on(async { tokio::join!(send, receive) });
        prop_assert!(received.iter().eq(frames.iter().map(|(frame, _)| frame)));
    }
}

//! What was written is read again, and no payload is copied on the way.

use bytes::{Bytes, BytesMut};
use cirrus_core::channel::Submit;
use cirrus_protocol::frame::{DEFAULT_BODY_LIMIT, Decoded, decode};
use cirrus_protocol::zip::{PeerMessage, decode_roll, encode_roll};
use proptest::prelude::*;

use super::{Message, sample};

proptest! {
    #[test]
    fn every_message_is_read_as_it_was_written(message in sample::message()) {
        let frame = message.clone().into_frame();
        prop_assert_eq!(&Message::read(&frame), &message);
        let mut bytes = Vec::new();
        frame.encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
        let decoded = decode(&mut BytesMut::from(bytes.as_slice()), DEFAULT_BODY_LIMIT);
        prop_assert_eq!(&decoded, &Ok(Decoded::Frame(frame)));
        let Ok(Decoded::Frame(frame)) = decoded else { panic!("not a frame") };
        prop_assert_eq!(&Message::read(&frame), &message);
    }

    #[test]
    fn rolls_are_payloads(roll in sample::roll()) {
        prop_assert_eq!(decode_roll(encode_roll(&roll)), Ok(roll));
    }
}

fn submit(payload: Bytes) -> PeerMessage {
    let submit =
        Submit { term: Default::default(), sequence: Default::default(), index: 0, payload, last: true };
    PeerMessage::Submit { channel: Default::default(), submit }
}

#[test]
fn a_payload_is_sent_from_where_it_lies_and_stays_where_it_arrived() {
    let payload = Bytes::from(vec![7; 100_000]);
    let frame = submit(payload.clone()).into_frame(&mut BytesMut::new());
    let mut bytes = Vec::new();
    frame.encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    let [_, tail] = frame.body.into_pieces();
    assert_eq!(tail.as_ptr(), payload.as_ptr(), "the payload was copied");
    let mut buffer = BytesMut::from(bytes.as_slice());
    let arrived = buffer.as_ptr_range();
    let Ok(Decoded::Frame(frame)) = decode(&mut buffer, DEFAULT_BODY_LIMIT) else { panic!("not a frame") };
    let Ok(PeerMessage::Submit { submit, .. }) = PeerMessage::try_from(frame) else { panic!("no submit") };
    assert_eq!(submit.payload, payload);
    assert!(arrived.contains(&submit.payload.as_ptr()), "the payload was copied");
}

#[test]
fn fixed_parts_share_one_buffer() {
    let mut buffer = BytesMut::with_capacity(4096);
    let room = buffer.as_ptr_range().start as usize..buffer.as_ptr_range().start as usize + 4096;
    let frames: Vec<_> = (0..100).map(|_| submit(Bytes::new()).into_frame(&mut buffer)).collect();
    for frame in frames {
        let [head, _] = frame.body.into_pieces();
        assert!(room.contains(&(head.as_ptr() as usize)), "a frame has a buffer of its own");
    }
}

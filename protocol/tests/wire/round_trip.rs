//! What was written is read again, and nothing else.

use bytes::{Bytes, BytesMut};
use cirrus_core::ids::CallId;
use cirrus_protocol::frame::{Body, DEFAULT_BODY_LIMIT, Decoded, Frame, decode};
use cirrus_protocol::gradient::{self, COLUMNS_MAX, KeyReference, Update};
use cirrus_protocol::job::{JobReply, JobRequest};
use cirrus_protocol::names;
use cirrus_protocol::snapshot::{self, Snapshot};
use cirrus_protocol::store::{StoreReply, StoreRequest};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::sample;

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    }
    bytes
}

/// The frame as its reader gets it: its body in one piece.
fn sent(frame: &Frame) -> Frame {
    match decode(&mut BytesMut::from(encoded(core::slice::from_ref(frame)).as_slice()), DEFAULT_BODY_LIMIT) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("not a frame: {other:?}"),
    }
}

proptest! {
    #[test]
    fn frames_survive_a_stream_that_is_cut_anywhere(
        frames in vec(sample::frame(), 1..5),
        step in 1_usize..200,
    ) {
        let mut buffer = BytesMut::new();
        let mut received = Vec::new();
        for piece in encoded(&frames).chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match decode(&mut buffer, DEFAULT_BODY_LIMIT).unwrap() {
                    Decoded::Frame(frame) => received.push(frame),
                    Decoded::Incomplete { needed } => {
                        prop_assert!(needed > buffer.len());
                        break;
                    }
                }
            }
        }
        prop_assert_eq!(received, frames);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_body_is_the_same_wherever_its_seam_lies(bytes in sample::bytes(), at in any::<prop::sample::Index>()) {
        let at = at.index(bytes.len() + 1);
        let body = Body::new(bytes.slice(..at), bytes.slice(at..));
        prop_assert_eq!(&body, &Body::from(bytes.clone()));
        prop_assert_eq!(body.len(), bytes.len());
        prop_assert_eq!(body.into_bytes(), bytes);
    }

    #[test]
    fn store_requests(message in sample::store_request()) {
        prop_assert_eq!(&StoreRequest::try_from(message.clone().into_frame()).unwrap(), &message);
        prop_assert_eq!(&StoreRequest::try_from(sent(&message.clone().into_frame())).unwrap(), &message);
    }

    #[test]
    fn store_replies(message in sample::store_reply()) {
        prop_assert_eq!(&StoreReply::try_from(message.clone().into_frame()).unwrap(), &message);
        prop_assert_eq!(&StoreReply::try_from(sent(&message.clone().into_frame())).unwrap(), &message);
    }

    #[test]
    fn job_requests(message in sample::job_request()) {
        prop_assert_eq!(&JobRequest::try_from(message.clone().into_frame()).unwrap(), &message);
        prop_assert_eq!(&JobRequest::try_from(sent(&message.clone().into_frame())).unwrap(), &message);
    }

    #[test]
    fn job_replies(message in sample::job_reply()) {
        prop_assert_eq!(&JobReply::try_from(message.clone().into_frame()).unwrap(), &message);
        prop_assert_eq!(&JobReply::try_from(sent(&message.clone().into_frame())).unwrap(), &message);
    }

    #[test]
    fn updates(
        keys in prop_oneof![
            sample::bytes().prop_map(Ok),
            any::<u64>().prop_map(|call| Err(CallId(call))),
        ],
        numbers in vec(vec(any::<u32>().prop_map(f32::from_bits), 5), 1..=COLUMNS_MAX),
        count in 0_usize..=5,
        before in 0_usize..5,
    ) {
        let columns: Vec<&[f32]> = numbers.iter().map(|column| &column[..count]).collect();
        let reference = match &keys {
            Ok(list) => KeyReference::Inline(list),
            Err(call) => KeyReference::OfRead(*call),
        };
        // At every alignment.
        let mut bytes = vec![0xAA; before];
        gradient::encode(reference, &columns, &mut bytes).unwrap();
        let update = Update::parse(&bytes[before..]).unwrap();
        prop_assert_eq!(update.keys(), reference);
        prop_assert_eq!(update.columns(), columns.len());
        prop_assert_eq!(update.count(), count);
        for (index, column) in columns.iter().enumerate() {
            let read = update.column(index).unwrap().iter().map(|number| number.get().to_bits());
            prop_assert!(read.eq(column.iter().map(|number| number.to_bits())));
        }
        prop_assert!(update.column(columns.len()).is_none());
        // The same update with other keys standing in it.
        let (mut with_keys, mut expected) = (Vec::new(), Vec::new());
        gradient::encode_with_keys(&bytes[before..], &[1, 2, 3], &mut with_keys).unwrap();
        gradient::encode(KeyReference::Inline(&[1, 2, 3]), &columns, &mut expected).unwrap();
        prop_assert_eq!(with_keys, expected);
    }

    #[test]
    fn sets_of_names(set in sample::names()) {
        let mut bytes = Vec::new();
        names::encode(&set, &mut bytes);
        prop_assert_eq!(names::decode(&bytes, set.len() as u32).unwrap(), set);
    }

    #[test]
    fn snapshots(
        marker in sample::marker(),
        model in sample::bytes(),
        table in sample::bytes(),
        before in sample::bytes(),
    ) {
        let mut object = before.to_vec();
        snapshot::encode(&marker, &model, |out| out.extend_from_slice(&table), &mut object).unwrap();
        prop_assert_eq!(&object[..before.len()], &before[..]);
        let object = Bytes::from(object).slice(before.len()..);
        let snapshot = Snapshot::parse(object, marker.names.len() as u32).unwrap();
        prop_assert_eq!(snapshot, Snapshot { marker, model, table });
    }
}

#[test]
fn a_received_body_is_a_slice_of_the_buffer() {
    let body = Bytes::from(vec![7; 100_000]);
    let frame = StoreReply::Values { call: CallId(1), version: Default::default(), cells: body }.into_frame();
    let mut buffer = BytesMut::from(encoded(&[frame]).as_slice());
    let arrived = buffer.as_ptr_range();
    let Ok(Decoded::Frame(frame)) = decode(&mut buffer, DEFAULT_BODY_LIMIT) else { panic!("not a frame") };
    let Ok(StoreReply::Values { cells, .. }) = StoreReply::try_from(frame) else { panic!("not values") };
    assert_eq!(cells.len(), 100_000);
    assert!(arrived.contains(&cells.as_ptr()), "the cells were copied");
}

#[test]
fn a_large_array_is_not_copied_into_a_frame() {
    let update = Bytes::from(vec![7; 100_000]);
    let push = StoreRequest::Push {
        call: CallId(1),
        epoch: Default::default(),
        name: Default::default(),
        rows: 1,
        update: update.clone(),
    };
    let [_, tail] = push.into_frame().body.into_pieces();
    assert_eq!(tail.as_ptr(), update.as_ptr(), "the update was copied");
}

#[test]
fn neighbouring_blocks_share_a_run() {
    let all: Vec<_> = (0..1000_u32)
        .map(|block| cirrus_core::ids::GradientName {
            block: cirrus_core::ids::BlockId { partition: 1, block },
            ..Default::default()
        })
        .collect();
    let mut bytes = Vec::new();
    names::encode(&all, &mut bytes);
    assert_eq!(bytes.len(), 8 + 20);
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let reason = format!("a{}", "é".repeat(5000));
    let Ok(JobRequest::Failed { reason: cut }) =
        JobRequest::try_from(JobRequest::Failed { reason: reason.clone() }.into_frame())
    else {
        panic!("refused")
    };
    assert_eq!(cut.len(), 4095);
    assert!(reason.starts_with(&cut));
}

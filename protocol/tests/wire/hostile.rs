//! Bytes that nobody should send: an error that says what is wrong, never a panic or a wrong message.

use bytes::{Bytes, BytesMut};
use cirrus_core::ids::{BlockId, CallId, GradientName};
use cirrus_core::store::Marker;
use cirrus_protocol::checksum::crc32c;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::{Body, DEFAULT_BODY_LIMIT, Decoded, Flags, Frame, HEADER_BYTES, decode};
use cirrus_protocol::gradient::{self, KeyReference, Update, view_floats};
use cirrus_protocol::job::{self, JobReply, JobRequest};
use cirrus_protocol::names;
use cirrus_protocol::snapshot::{self, Snapshot};
use cirrus_protocol::store::{self, StoreReply, StoreRequest};
use proptest::collection::vec;
use proptest::prelude::*;

const KINDS: [u16; 31] = [
    store::kind::OPEN,
    store::kind::READ,
    store::kind::PUSH,
    store::kind::PARK,
    store::kind::LEAVE,
    store::kind::FENCE,
    store::kind::RECORDED,
    store::kind::CLOSE_PASS,
    store::kind::PEEK,
    store::kind::STATISTICS,
    store::kind::SNAPSHOT,
    store::kind::STOP,
    store::kind::OPENED,
    store::kind::VALUES,
    store::kind::ACKNOWLEDGED,
    store::kind::REFUSED,
    store::kind::RECORDED_NAMES,
    store::kind::STATISTICS_REPLY,
    store::kind::SNAPSHOT_TAKEN,
    job::kind::HELLO,
    job::kind::WANT_LEASE,
    job::kind::DONE,
    job::kind::FAILED,
    job::kind::WORKER_STATISTICS,
    job::kind::STORE_READY,
    job::kind::WELCOME,
    job::kind::GRANT,
    job::kind::DRY,
    job::kind::STORE_AT,
    job::kind::FINISH,
    job::kind::FENCED,
];

fn decode_all(bytes: &[u8]) -> Result<Decoded, FormatError> {
    decode(&mut BytesMut::from(bytes), DEFAULT_BODY_LIMIT)
}

/// A whole frame in bytes whose header has been changed, with a checksum that is right again.
fn forged(frame: &Frame, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    change(&mut bytes);
    let crc = crc32c(&bytes[..44]);
    bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn checked_frame() -> Frame {
    let body = Body::from(Bytes::from_static(b"a body"));
    Frame { kind: 7, flags: Flags::PAYLOAD_CRC, call: 9, body, ..Frame::default() }
}

#[test]
fn every_flipped_bit_of_a_checked_frame_is_noticed() {
    let mut bytes = Vec::new();
    checked_frame().encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let found = decode_all(&bytes);
        let expected = match bit / 8 {
            0..4 => matches!(found, Err(FormatError::BadMagic { .. })),
            4..6 => matches!(found, Err(FormatError::Version { supported: 1, .. })),
            _ => matches!(found, Err(FormatError::Checksum { .. })),
        };
        assert!(expected, "bit {bit}: {found:?}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn an_incomplete_frame_is_waited_for_byte_by_byte() {
    let mut bytes = Vec::new();
    checked_frame().encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
    for length in 0..bytes.len() {
        let needed = if length < HEADER_BYTES { HEADER_BYTES } else { bytes.len() };
        assert_eq!(decode_all(&bytes[..length]), Ok(Decoded::Incomplete { needed }), "{length} bytes");
    }
}

#[test]
fn another_version_is_told_from_its_first_bytes() {
    let bytes = forged(&Frame::default(), |bytes| bytes[4] = 2);
    let expected = FormatError::Version { what: "frame", found: 2, supported: 1 };
    assert_eq!(decode_all(&bytes), Err(expected.clone()));
    assert_eq!(decode_all(&bytes[..6]), Err(expected));
}

#[test]
fn another_protocol_is_told_from_its_first_bytes() {
    let found = decode_all(b"GET / HTTP/1.1\r\n");
    assert_eq!(found, Err(FormatError::BadMagic { what: "frame", found: *b"GET / HT" }));
    assert!(found.unwrap_err().to_string().contains("frame"));
}

#[test]
fn a_length_is_held_against_the_limit_before_anything_is_allocated() {
    let bytes = forged(&Frame::default(), |bytes| bytes[12..16].fill(0xFF));
    let mut buffer = BytesMut::from(bytes.as_slice());
    let capacity = buffer.capacity();
    let refused = FormatError::Limit { what: "frame body", found: u32::MAX.into(), limit: 1000 };
    assert_eq!(decode(&mut buffer, 1000), Err(refused.clone()));
    assert_eq!(buffer.capacity(), capacity);
    assert_eq!(decode(&mut buffer, 1000), Err(refused), "the error is not final");
    let mut out = Vec::new();
    let frame = Frame { body: Body::from(Bytes::from(vec![0; 1001])), ..Frame::default() };
    assert_eq!(
        frame.encode(1000, &mut out),
        Err(FormatError::Limit { what: "frame body", found: 1001, limit: 1000 })
    );
    assert!(out.is_empty());
}

#[test]
fn an_unknown_flag_is_refused() {
    let bytes = forged(&Frame::default(), |bytes| bytes[8] = 2);
    assert!(matches!(decode_all(&bytes), Err(FormatError::Corrupt(_))));
}

#[test]
fn an_unused_header_field_must_be_zero() {
    let changes: [fn(&mut Frame); 4] =
        [|frame| frame.channel = 1, |frame| frame.link = 1, |frame| frame.chunk = 1, |frame| frame.call = 1];
    for change in changes {
        let mut frame = StoreRequest::Stop.into_frame();
        change(&mut frame);
        assert!(matches!(StoreRequest::try_from(frame), Err(FormatError::Corrupt(_))));
    }
}

/// Every reader of messages on one frame; whoever accepts it must write the very same frame.
fn read_as_everything(frame: &Frame) -> u32 {
    let again = [
        StoreRequest::try_from(frame.clone()).map(StoreRequest::into_frame),
        StoreReply::try_from(frame.clone()).map(StoreReply::into_frame),
        JobRequest::try_from(frame.clone()).map(JobRequest::into_frame),
        JobReply::try_from(frame.clone()).map(JobReply::into_frame),
    ];
    let mut readers = 0;
    for again in again.into_iter().flatten() {
        assert_eq!(&again, frame, "a message with two encodings");
        readers += 1;
    }
    readers
}

#[test]
fn no_kind_is_understood_by_two_readers_and_each_by_one() {
    for kind in 0..=u16::MAX {
        let readers = [0, 4, 8, 12, 13, 24, 29, 37, 68, 80].map(|length| {
            let body = Body::from(Bytes::from(vec![0; length]));
            read_as_everything(&Frame { kind, body, ..Frame::default() })
        });
        let most = readers.into_iter().max().unwrap();
        let expected = match kind {
            // An empty reason does not exist; see the next test.
            store::kind::REFUSED => 0,
            _ => u32::from(KINDS.contains(&kind)),
        };
        assert_eq!(most, expected, "kind {kind:#06x}");
    }
}

#[test]
fn refusals_exist_for_known_reasons_only() {
    for reason in 0..=u8::MAX {
        let understood = [0_usize, 4, 8].map(|rest| {
            let mut body = vec![0; 1 + rest];
            body[0] = reason;
            read_as_everything(&Frame {
                kind: store::kind::REFUSED,
                body: Bytes::from(body).into(),
                ..Frame::default()
            })
        });
        assert_eq!(
            understood.into_iter().sum::<u32>(),
            u32::from((1..=8).contains(&reason)),
            "reason {reason}"
        );
    }
}

fn with_text(length: u32, text: &[u8]) -> Frame {
    let body = [&length.to_le_bytes(), text].concat();
    Frame { kind: job::kind::FAILED, body: Bytes::from(body).into(), ..Frame::default() }
}

#[test]
fn texts_are_checked() {
    let long = vec![b'a'; 4097];
    let cases = [
        (with_text(4097, &long), "at most 4096"),
        (with_text(u32::MAX, b"a"), "at most 4096"),
        (with_text(2, b"a"), "cut short"),
        (with_text(1, b"\xFF"), "UTF-8"),
        (with_text(1, b"ab"), "behind the end"),
    ];
    for (frame, expected) in cases {
        let error = JobRequest::try_from(frame).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn update_bytes(columns: u16, reference: u16, count: u32, keys: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&columns.to_le_bytes());
    bytes.extend_from_slice(&reference.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&keys.to_le_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn updates_are_exactly_as_long_as_they_say() {
    let cases = [
        (update_bytes(0, 0, 0, 0, &[]), "without columns"),
        (update_bytes(9, 0, 0, 0, &[]), "at most 8"),
        (update_bytes(1, 2, 0, 0, &[]), "unknown way"),
        (update_bytes(1, 0, 0, 1, &[]), "cut short"),
        (update_bytes(1, 0, 0, u64::MAX, &[]), "cut short"),
        (update_bytes(2, 1, u32::MAX, 0, &[0; 8]), "what its header says"),
        (update_bytes(2, 1, 1, 0, &[0; 4]), "what its header says"),
        (update_bytes(1, 1, 1, 0, &[0; 5]), "within a number"),
        (vec![1; 15], "cut short"),
    ];
    for (bytes, expected) in cases {
        let error = Update::parse(&bytes).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let mut out = Vec::new();
        assert_eq!(gradient::encode_with_keys(&bytes, &[], &mut out), Err(error));
        assert!(out.is_empty());
    }
    assert!(matches!(view_floats(&[0; 7]), Err(FormatError::Corrupt(_))));
}

#[test]
fn updates_that_cannot_be_read_are_not_written() {
    let mut out = vec![1];
    let keys = KeyReference::OfRead(CallId(1));
    let nine: [&[f32]; 9] = [&[]; 9];
    for columns in [&[] as &[&[f32]], &nine, &[&[1.0], &[]]] {
        let refused = gradient::encode(keys, columns, &mut out);
        assert!(matches!(refused, Err(FormatError::Unwritable(_))), "{refused:?}");
    }
    assert_eq!(out, [1]);
}

fn names_bytes(runs: u32, names: u32, values: &[[u32; 5]]) -> Vec<u8> {
    [runs, names].iter().chain(values.as_flattened()).flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn sets_of_names_have_one_form() {
    let cases = [
        (vec![0; 7], "cut short"),
        (names_bytes(1, 1, &[]), "its header says"),
        (names_bytes(0, 1, &[[0, 0, 0, 0, 1]]), "its header says"),
        (names_bytes(1, 2, &[[0, 0, 0, 0, 1]]), "its header says"),
        (names_bytes(1, 0, &[[0, 0, 0, 0, 0]]), "only form"),
        (names_bytes(2, 1, &[[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]), "only form"),
        (names_bytes(2, 2, &[[0, 0, 1, 0, 1], [0, 0, 0, 0, 1]]), "only form"),
        (names_bytes(2, 2, &[[0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]), "only form"),
        (names_bytes(2, 2, &[[0, 0, 0, 0, 1], [0, 0, 1, 0, 1]]), "only form"),
        (names_bytes(2, 1, &[[0, 0, 0, 0, 2], [1, 0, 0, 0, u32::MAX]]), "its header says"),
        (names_bytes(1, 2, &[[0, 0, u32::MAX, 0, 2]]), "beyond the last"),
        (names_bytes(1, u32::MAX, &[[0, 0, 0, 0, u32::MAX]]), "at most 1000"),
        ([names_bytes(1, 1, &[[0, 0, 0, 0, 1]]), vec![0]].concat(), "within a run"),
    ];
    for (bytes, expected) in cases {
        let error = names::decode(&bytes, 1000).unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes:?}: {error}");
    }
}

#[test]
fn names_that_do_not_rise_are_written_but_not_read() {
    let name = |block| GradientName { block: BlockId { partition: 0, block }, ..GradientName::default() };
    let mut bytes = Vec::new();
    names::encode(&[name(2), name(1)], &mut bytes);
    assert!(names::decode(&bytes, 2).is_err());
}

fn small_snapshot() -> Vec<u8> {
    let names = vec![GradientName::default()];
    let marker = Marker { version: Default::default(), closed: Default::default(), names };
    let mut object = Vec::new();
    snapshot::encode(&marker, b"model", |out| out.extend_from_slice(b"table"), &mut object).unwrap();
    object
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_snapshot_is_noticed() {
    let object = small_snapshot();
    for bit in 0..object.len() * 8 {
        let mut damaged = object.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = Snapshot::parse(damaged.into(), 1);
        let expected = match bit / 8 {
            0..4 => matches!(found, Err(FormatError::BadMagic { .. })),
            4..6 => matches!(found, Err(FormatError::Version { supported: 1, .. })),
            _ => matches!(found, Err(FormatError::Checksum { .. })),
        };
        assert!(expected, "bit {bit}: {found:?}");
    }
    for length in 0..object.len() {
        let found = Snapshot::parse(Bytes::copy_from_slice(&object[..length]), 1);
        assert!(matches!(found, Err(FormatError::Truncated { .. })), "{length} bytes: {found:?}");
    }
    let longer = [object.as_slice(), &[0]].concat();
    assert!(matches!(Snapshot::parse(longer.into(), 1), Err(FormatError::Corrupt(_))));
    assert!(matches!(Snapshot::parse(object.into(), 0), Err(FormatError::Limit { limit: 0, .. })));
}

#[test]
fn a_snapshots_lengths_cannot_overflow() {
    let mut object = small_snapshot();
    object[24..40].fill(0xFF);
    let crc = crc32c(&object[..44]);
    object[44..48].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(Snapshot::parse(object.into(), 1), Err(FormatError::Truncated { .. })));
}

#[test]
fn a_table_that_takes_bytes_away_is_noticed() {
    let marker = Marker { version: Default::default(), closed: Default::default(), names: Vec::new() };
    let refused = snapshot::encode(&marker, b"model", |out| out.truncate(3), &mut Vec::new());
    assert!(matches!(refused, Err(FormatError::Unwritable(_))));
}

proptest! {
    #[test]
    fn random_bytes_are_never_a_frame(bytes in vec(any::<u8>(), 0..200)) {
        prop_assume!(!bytes.starts_with(b"CIRR"));
        prop_assert!(!matches!(decode_all(&bytes), Ok(Decoded::Frame(_))));
    }

    #[test]
    fn random_bodies_are_refused_or_written_again_as_they_came(
        kind in prop::sample::select(KINDS.as_slice()),
        call in any::<u64>(),
        body in vec(prop_oneof![3 => Just(0_u8), 1 => 0..9_u8, 1 => any::<u8>()], 0..120),
        seam in any::<prop::sample::Index>(),
    ) {
        let (head, tail) = body.split_at(seam.index(body.len() + 1));
        let body = Body::new(Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail));
        read_as_everything(&Frame { kind, call, body: body.clone(), ..Frame::default() });
        read_as_everything(&Frame { kind, body, ..Frame::default() });
    }

    #[test]
    fn random_updates_names_and_snapshots_do_not_panic(
        bytes in vec(prop_oneof![3 => Just(0_u8), 1 => 0..3_u8, 1 => any::<u8>()], 0..120),
    ) {
        if let Ok(update) = Update::parse(&bytes) {
            let columns: Vec<Vec<f32>> = (0..update.columns())
                .map(|index| update.column(index).unwrap().iter().map(|number| number.get()).collect())
                .collect();
            let mut again = Vec::new();
            let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
            gradient::encode(update.keys(), &columns, &mut again).unwrap();
            prop_assert_eq!(&again, &bytes);
        }
        if let Ok(set) = names::decode(&bytes, 1000) {
            let mut again = Vec::new();
            names::encode(&set, &mut again);
            prop_assert_eq!(&again, &bytes);
        }
        prop_assert!(Snapshot::parse(bytes.into(), 1000).is_err());
    }
}

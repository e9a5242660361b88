//! Bytes that nobody should send in a channel.

use std::collections::BTreeMap;

use bytes::Bytes;
use cirrus_core::channel::{Chunk, Contribution, Frame as LinkFrame, Piece};
use cirrus_core::shuffle::What;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::Frame;
use cirrus_protocol::zip::{
    ADDRESS_LIMIT, Address, ControllerRequest, LIST_MAX, NAME_LIMIT, PeerMessage, decode_roll, kind,
};
use cirrus_protocol::{handshake, zip};
use proptest::collection::vec;
use proptest::prelude::*;

use super::golden::messages;
use super::{Message, sample};

const KINDS: [u16; 49] = [
    handshake::kind::OPEN,
    handshake::kind::CHALLENGE,
    handshake::kind::PROOF,
    handshake::kind::ADMITTED,
    handshake::kind::DENIED,
    kind::JOIN,
    kind::AGAIN,
    kind::ALIVE,
    kind::EXPIRING,
    kind::HELLO,
    kind::REPORT_LINK,
    kind::ANSWER,
    kind::LEAVE,
    kind::NOTED,
    kind::CALL_ROLL,
    kind::MISSING,
    kind::COUNTED,
    kind::DAEMONS_NOTED,
    kind::CHECK_ROLL,
    kind::PACED,
    kind::HELLO_BACK,
    kind::ACCEPTED,
    kind::REFUSED,
    kind::REJECTED,
    kind::WELCOME,
    kind::ASSIGN,
    kind::PROBE,
    kind::FENCED,
    kind::RELEASED,
    kind::ROLL,
    kind::GONE,
    kind::ATTACH,
    kind::RESUME,
    kind::REPORT,
    kind::SYNC,
    kind::CHUNK,
    kind::CONTRIBUTION,
    kind::SPOILED,
    kind::PULL,
    kind::SENDER,
    kind::SUBMIT,
    kind::GO,
    kind::COLLECT,
    kind::HAND,
    kind::CALLER,
    kind::ITEM,
    kind::HAVE,
    kind::PART,
    kind::CALLER_FENCED,
];

/// Whoever accepts a frame must write the very same one; and no two do.
fn accepted(frame: &Frame) -> bool {
    let understood: Vec<Message> = Message::readings(frame).into_iter().flatten().collect();
    assert!(understood.len() <= 1, "{understood:?}");
    for message in &understood {
        assert_eq!(&message.clone().into_frame(), frame, "a message with two encodings");
    }
    !understood.is_empty()
}

fn with_body(frame: &Frame, body: &[u8]) -> Frame {
    Frame { body: Bytes::copy_from_slice(body).into(), ..frame.clone() }
}

/// Whether what stands behind the fixed part may have any length.
fn has_payload(message: &Message) -> bool {
    let Message::Peer(message) = message else { return false };
    match message {
        PeerMessage::Submit { .. } | PeerMessage::Part { .. } => true,
        PeerMessage::Item { item, .. } => matches!(item.what, What::Piece(_)),
        PeerMessage::Link { frame: LinkFrame::Chunk(Chunk { piece, .. }), .. }
        | PeerMessage::Hand { chunk: Chunk { piece, .. }, .. } => matches!(piece, Piece::Part(..)),
        PeerMessage::Link { frame: LinkFrame::Contribution(Contribution { payload, .. }), .. } => {
            payload.is_some()
        }
        _ => false,
    }
}

#[test]
fn every_kind_has_a_vector() {
    let mut seen: Vec<u16> = messages().into_iter().map(|(_, message)| message.into_frame().kind).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, KINDS);
}

#[test]
fn no_other_kind_is_understood() {
    for kind in (0..=u16::MAX).filter(|kind| !KINDS.contains(kind)) {
        for length in [0, 8, 12, 40] {
            let frame = Frame { kind, body: Bytes::from(vec![0; length]).into(), ..Frame::default() };
            assert!(!accepted(&frame), "kind {kind:#06x}");
        }
    }
}

#[test]
fn a_message_that_is_cut_anywhere_or_goes_on_is_refused() {
    for (name, message) in messages() {
        let frame = message.clone().into_frame();
        let body = frame.body.clone().into_bytes();
        for length in 0..body.len() {
            let cut = with_body(&frame, &body[..length]);
            // A payload that is cut is another payload: that it is whole is seen by the frame.
            assert!(!accepted(&cut) || has_payload(&message), "{name}, {length} of {} bytes", body.len());
        }
        let longer = with_body(&frame, &[&body, &[0][..]].concat());
        assert!(!accepted(&longer) || has_payload(&message), "{name}");
    }
}

#[test]
fn a_message_whose_bytes_are_changed_anywhere_is_refused_or_another_one() {
    for (name, message) in messages() {
        let frame = message.clone().into_frame();
        let mut body = frame.body.clone().into_bytes().to_vec();
        for at in 0..body.len() {
            let was = body[at];
            for value in [0, 1, 2, 3, 0x7F, 0x80, 0xFF, was.wrapping_add(1)] {
                body[at] = value;
                let changed = with_body(&frame, &body);
                if accepted(&changed) {
                    assert_eq!(Message::read(&changed) == message, value == was, "{name}, byte {at}");
                }
            }
            body[at] = was;
        }
    }
}

#[test]
fn a_header_field_that_is_not_used_must_be_zero() {
    let changes: [fn(&mut Frame); 4] =
        [|frame| frame.channel = 1, |frame| frame.link = 1, |frame| frame.call = 1, |frame| frame.chunk = 1];
    let (mut used, mut unused) = (0, 0);
    for (name, message) in messages() {
        for change in changes {
            let mut frame = message.clone().into_frame();
            change(&mut frame);
            if accepted(&frame) {
                used += 1;
                assert_ne!(Message::read(&frame), message, "{name}");
            } else {
                unused += 1;
                let corrupt = |reading: &Result<Message, FormatError>| matches!(reading, Err(FormatError::Corrupt(why)) if why.contains("header field"));
                assert!(Message::readings(&frame).iter().any(corrupt), "{name}");
            }
        }
    }
    assert!(used > 0 && unused > 0);
}

#[test]
fn every_count_of_a_list_is_held_against_the_limit_and_the_body() {
    let lists = [
        ("hello, root", 1),
        ("hello, leaf", 1),
        ("assign, root", 3),
        ("assign, inner", 1),
        ("roll", 1),
        ("report", 1),
        ("chunk, last of a reduce", 2),
        ("contribution, last", 1),
    ];
    let messages: BTreeMap<&str, Message> = messages().into_iter().collect();
    for (name, lists) in lists {
        let frame = messages[name].clone().into_frame();
        let body = frame.body.clone().into_bytes();
        let refusals = |count: u32, expected: fn(&FormatError) -> bool| {
            let forged = (0..body.len() - 3).filter(|at| {
                let forged = [&body[..*at], &count.to_le_bytes(), &body[at + 4..]].concat();
                let forged = with_body(&frame, &forged);
                Message::readings(&forged).into_iter().any(|reading| reading.is_err_and(|it| expected(&it)))
            });
            forged.count()
        };
        let beyond = |error: &FormatError| matches!(error, FormatError::Limit { what: "a list", found, .. } if *found > LIST_MAX.into());
        // What is not aligned with a count may look like one as well.
        assert!(refusals(LIST_MAX + 1, beyond) >= lists, "{name}");
        // The least of all entries has twelve bytes; nothing else is as long as so many.
        let short = |error: &FormatError| matches!(error, FormatError::Truncated { needed, .. } if *needed >= u64::from(LIST_MAX) * 12);
        assert!(refusals(LIST_MAX, short) >= lists, "{name}");
    }
}

#[test]
fn a_roll_takes_no_more_memory_than_its_bytes_can_fill() {
    let cut = [0; 24];
    let roll = |count: u32, rest: &[u8]| {
        decode_roll([&cut[..], &count.to_le_bytes(), rest].concat().into()).unwrap_err()
    };
    let least = 12 + 4 + 1;
    let short = |needed, found| FormatError::Truncated { what: "a message", needed, found };
    assert_eq!(roll(LIST_MAX, &[]), short(u64::from(LIST_MAX) * least, 0));
    assert_eq!(roll(2, &[0; 33]), short(34, 33));
    let limit = FormatError::Limit { what: "a list", found: u64::from(LIST_MAX) + 1, limit: LIST_MAX.into() };
    assert_eq!(roll(LIST_MAX + 1, &[]), limit);
}

fn joining(name: &str, address: &str) -> Frame {
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let (role, tenancy) = (vec![0], vec![0; 9]);
    let body = [text(name), vec![0], text(address), role, tenancy].concat();
    Frame { kind: kind::JOIN, call: 1, body: Bytes::from(body).into(), ..Frame::default() }
}

#[test]
fn names_and_addresses_have_a_limit_and_one_form() {
    let cases = [
        (joining(&"é".repeat(NAME_LIMIT / 2 + 1), ""), "at most 255"),
        (joining("", &"a".repeat(ADDRESS_LIMIT + 1)), "at most 512"),
        (joining("", ","), "empty candidate"),
        (joining("", "a,"), "empty candidate"),
        (joining("", ",a"), "empty candidate"),
        (joining("", "a,,b"), "empty candidate"),
        (joining("", "a\nb"), "control character"),
    ];
    for (frame, expected) in cases {
        let error = ControllerRequest::try_from(frame).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (name, address) in [(0, 0), (NAME_LIMIT, ADDRESS_LIMIT)] {
        assert!(accepted(&joining(&"a".repeat(name), &"a".repeat(address))));
    }
}

#[test]
fn an_address_that_nobody_could_read_is_not_made() {
    for candidates in [vec![""], vec!["a,b"], vec!["a", ""], vec!["a\tb"]] {
        let refused = Address::new(candidates);
        assert!(matches!(refused, Err(FormatError::Unwritable(_))), "{refused:?}");
    }
    let long = "a".repeat(ADDRESS_LIMIT / 2);
    assert!(matches!(Address::new([&*long, &long]), Err(FormatError::Limit { found: 513, .. })));
    let two = Address::new(["a", "b"]).unwrap();
    assert_eq!(two.candidates().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(two.to_string(), "a,b");
    assert_eq!(Address::default().candidates().next(), None);
}

#[test]
fn a_sequence_that_is_none_is_refused() {
    let messages: BTreeMap<&str, Message> = messages().into_iter().collect();
    for name in ["submit", "go"] {
        let mut frame = messages[name].clone().into_frame();
        frame.call = 1 << 32;
        assert!(matches!(PeerMessage::try_from(frame), Err(FormatError::Corrupt(_))), "{name}");
    }
}

proptest! {
    #[test]
    fn random_bodies_are_refused_or_written_again_as_they_came(
        kind in prop::sample::select(KINDS.as_slice()),
        header in any::<[bool; 4]>(),
        body in vec(prop_oneof![3 => Just(0_u8), 1 => 0..4_u8, 1 => any::<u8>()], 0..200),
    ) {
        let [channel, link, call, chunk] = header.map(u64::from);
        let body = Bytes::from(body).into();
        accepted(&Frame { kind, channel, link, call, chunk: chunk as u32, body, ..Frame::default() });
    }

    #[test]
    fn damaged_messages_are_refused_or_written_again_as_they_came(
        message in sample::message(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let frame = message.into_frame();
        let mut body = frame.body.clone().into_bytes().to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = value;
            accepted(&with_body(&frame, &body));
            body.truncate(length.index(body.len()));
            accepted(&with_body(&frame, &body));
        }
    }

    #[test]
    fn random_rolls_are_refused_or_written_again_as_they_came(
        bytes in vec(prop_oneof![3 => Just(0_u8), 1 => 0..4_u8, 1 => any::<u8>()], 0..100),
    ) {
        if let Ok(roll) = decode_roll(bytes.clone().into()) {
            prop_assert_eq!(zip::encode_roll(&roll), bytes);
        }
    }
}

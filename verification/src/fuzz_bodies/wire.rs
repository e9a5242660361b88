//! Frames and messages.

use std::fmt::Debug;

use bytes::BytesMut;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::{self, Decoded, Frame};
use cirrus_protocol::gradient::Update;
use cirrus_protocol::handshake::Handshake;
use cirrus_protocol::job::{JobReply, JobRequest};
use cirrus_protocol::names as name_sets;
use cirrus_protocol::store::{StoreReply, StoreRequest};
use cirrus_protocol::zip::{self, ControllerReply, ControllerRequest, PeerMessage};

/// No longer bodies are accepted here.
const BODY_LIMIT: u32 = 1 << 16;

/// All frames at the start of `bytes`.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut buffer = BytesMut::from(bytes);
    let mut frames = Vec::new();
    while let Ok(Decoded::Frame(frame)) = frame::decode(&mut buffer, BODY_LIMIT) {
        frames.push(frame);
    }
    frames
}

pub(super) fn frame(bytes: &[u8]) {
    for frame in frames(bytes) {
        let mut again = Vec::new();
        frame.encode(BODY_LIMIT, &mut again).expect("a frame that was decoded is one that can be sent");
        assert_eq!(frames(&again), [frame]);
    }
}

/// The first two bytes are the frame's kind, the next eight its call, the rest its body.
fn message<M>(bytes: &[u8], into_frame: fn(M) -> Frame)
where
    M: TryFrom<Frame, Error = FormatError> + Clone + PartialEq + Debug,
{
    let Some((kind, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((call, body)) = rest.split_first_chunk::<8>() else { return };
    let (kind, call) = (u16::from_le_bytes(*kind), u64::from_le_bytes(*call));
    let body = bytes::Bytes::copy_from_slice(body).into();
    understood(Frame { kind, call, body, ..Frame::default() }, into_frame);
}

/// What is understood can be said again.
fn understood<M>(frame: Frame, into_frame: fn(M) -> Frame)
where
    M: TryFrom<Frame, Error = FormatError> + Clone + PartialEq + Debug,
{
    if let Ok(message) = M::try_from(frame) {
        let again = M::try_from(into_frame(message.clone())).expect("what was understood is said again");
        // Not a number is not equal to itself.
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
}

pub(super) fn store_request(bytes: &[u8]) {
    message(bytes, StoreRequest::into_frame);
}

pub(super) fn store_reply(bytes: &[u8]) {
    message(bytes, StoreReply::into_frame);
}

pub(super) fn job_request(bytes: &[u8]) {
    message(bytes, JobRequest::into_frame);
}

pub(super) fn job_reply(bytes: &[u8]) {
    message(bytes, JobReply::into_frame);
}

pub(super) fn handshake(bytes: &[u8]) {
    message(bytes, Handshake::into_frame);
}

/// The first byte is the lower half of the frame's kind, the second its channel, link, call and chunk, two bits each,
/// the rest its body.
fn in_channel<M>(family: u16, bytes: &[u8], into_frame: fn(M) -> Frame)
where
    M: TryFrom<Frame, Error = FormatError> + Clone + PartialEq + Debug,
{
    let Some(([kind, header], body)) = bytes.split_first_chunk::<2>() else { return };
    let kind = family | u16::from(*kind);
    let [channel, link, call, chunk] = [0, 2, 4, 6].map(|bit| u64::from(header >> bit & 3));
    let body = bytes::Bytes::copy_from_slice(body).into();
    understood(
        Frame { kind, channel, link, call, chunk: chunk as u32, body, ..Frame::default() },
        into_frame,
    );
}

pub(super) fn controller_request(bytes: &[u8]) {
    in_channel(0x0500, bytes, |message: ControllerRequest| message.into_frame(&mut BytesMut::new()));
}

pub(super) fn controller_reply(bytes: &[u8]) {
    in_channel(0x0600, bytes, |message: ControllerReply| message.into_frame(&mut BytesMut::new()));
}

pub(super) fn peer_message(bytes: &[u8]) {
    in_channel(0x0700, bytes, |message: PeerMessage| message.into_frame(&mut BytesMut::new()));
}

pub(super) fn roll(bytes: &[u8]) {
    if let Ok(roll) = zip::decode_roll(bytes::Bytes::copy_from_slice(bytes)) {
        assert_eq!(zip::encode_roll(&roll), bytes);
    }
}

pub(super) fn update(bytes: &[u8]) {
    if let Ok(update) = Update::parse(bytes) {
        for index in 0..update.columns() {
            assert_eq!(update.column(index).map(<[_]>::len), Some(update.count()));
        }
    }
}

pub(super) fn names(bytes: &[u8]) {
    if let Ok(names) = name_sets::decode(bytes, 1000) {
        assert!(names.len() <= 1000);
        let mut again = Vec::new();
        name_sets::encode(&names, &mut again);
        assert_eq!(name_sets::decode(&again, 1000).as_ref(), Ok(&names));
    }
}

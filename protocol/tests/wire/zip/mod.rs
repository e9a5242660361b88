//! Messages of channels, and the handshake before them.

mod golden;
mod hostile;
mod round_trip;
pub(crate) mod sample;

use std::fmt::Debug;

use bytes::BytesMut;
use cirrus_protocol::error::FormatError;
use cirrus_protocol::frame::Frame;
use cirrus_protocol::handshake::Handshake;
use cirrus_protocol::zip::{ControllerReply, ControllerRequest, PeerMessage};

/// A message, whichever it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Handshake(Handshake),
    Request(ControllerRequest),
    Reply(ControllerReply),
    Peer(PeerMessage),
}

impl Message {
    pub(crate) fn into_frame(self) -> Frame {
        let mut buffer = BytesMut::new();
        match self {
            Self::Handshake(message) => message.into_frame(),
            Self::Request(message) => message.into_frame(&mut buffer),
            Self::Reply(message) => message.into_frame(&mut buffer),
            Self::Peer(message) => message.into_frame(&mut buffer),
        }
    }

    /// What each reader makes of a frame.
    pub(crate) fn readings(frame: &Frame) -> [Result<Self, FormatError>; 4] {
        [
            Handshake::try_from(frame.clone()).map(Self::Handshake),
            ControllerRequest::try_from(frame.clone()).map(Self::Request),
            ControllerReply::try_from(frame.clone()).map(Self::Reply),
            PeerMessage::try_from(frame.clone()).map(Self::Peer),
        ]
    }

    /// The one reading that there is of a frame that one reader understands.
    pub(crate) fn read(frame: &Frame) -> Self {
        let mut understood = Self::readings(frame).into_iter().flatten();
        let message = understood.next().expect("nobody understands it");
        assert_eq!(understood.next(), None, "two readers understand it");
        message
    }
}

//! What is said in channels: between a process and the controller, and between members.
//!
//! ```text
//!  process                         controller          member                            member
//!    |--- Join(name, kind, ...) ----->|                  |--- Attach: "I am this link" ---->|  parent
//!    |<-- Accepted, Welcome, Assign --|                  |<-- Sync, Chunk ----------------->|
//!    |--- Report, Noted, Alive ------>|                  |--- "I send in this term" ------->|  root
//!    |<-- Probe, Assign, Roll --------|                  |--- "I am this member" ---------->|  receiver of a shuffle
//! ```
//!
//! A header names what a frame belongs to, so that whoever passes it on need not look into the body: channel, link or
//! member, round, chunk. A channel is named by its stamp: its job is that of the connection. One connection can carry all
//! members that a process has at a controller. A connection between members begins with who calls (the kinds of [`PeerMessage`] that say so), and is that link's, sender's or
//! peer's from then on.
//!
//! Every message has exactly one encoding. Its fixed part is written into a buffer that is used again and again; a
//! payload is not copied, neither into a frame nor out of one. What the words mean is decided by
//! `cirrus_core::{controller, directory, member, shuffle, messages, direct}`; a word of theirs that changes its fields changes
//! one line here, where the compiler points.

mod address;
mod controller_reply;
mod controller_request;
mod lodging;
mod parts;
mod peer;
mod peer_parts;
mod shared;

use bytes::{Bytes, BytesMut};
use cirrus_core::channel::Roll;

use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use parts::Part as _;

pub use address::{ADDRESS_LIMIT, Address};
pub use controller_reply::ControllerReply;
pub use controller_request::{Again, ControllerRequest, Join};
pub use lodging::{Lodge, LodgingMessage, TurnedAway};
pub use parts::{LIST_MAX, NAME_LIMIT};
pub use peer::{PeerMessage, Purpose};
pub use shared::{DESCRIBED, DESCRIPTOR_BYTES, Descriptor};

/// The numbers by which a frame's header names these messages.
pub mod kind {
    /// [`ControllerRequest::Join`](super::ControllerRequest::Join).
    pub const JOIN: u16 = 0x0501;
    /// [`ControllerRequest::Again`](super::ControllerRequest::Again).
    pub const AGAIN: u16 = 0x0502;
    /// [`ControllerRequest::Alive`](super::ControllerRequest::Alive).
    pub const ALIVE: u16 = 0x0503;
    /// [`ControllerRequest::Expiring`](super::ControllerRequest::Expiring).
    pub const EXPIRING: u16 = 0x0504;
    /// `ToController::Hello`.
    pub const HELLO: u16 = 0x0510;
    /// `ToController::Report`.
    pub const REPORT_LINK: u16 = 0x0511;
    /// `ToController::Answer`.
    pub const ANSWER: u16 = 0x0512;
    /// `ToController::Leave`.
    pub const LEAVE: u16 = 0x0513;
    /// `ToController::Noted`.
    pub const NOTED: u16 = 0x0514;
    /// `ToController::CallRoll`.
    pub const CALL_ROLL: u16 = 0x0515;
    /// `ToController::Missing`.
    pub const MISSING: u16 = 0x0516;
    /// `ToController::Counted`.
    pub const COUNTED: u16 = 0x0517;
    /// `ToController::DaemonsNoted`.
    pub const DAEMONS_NOTED: u16 = 0x0518;
    /// `ToController::CheckRoll`.
    pub const CHECK_ROLL: u16 = 0x0519;
    /// `ToController::Paced`.
    pub const PACED: u16 = 0x051a;
    /// [`ControllerReply::Hello`](super::ControllerReply::Hello).
    pub const HELLO_BACK: u16 = 0x0601;
    /// [`ControllerReply::Accepted`](super::ControllerReply::Accepted).
    pub const ACCEPTED: u16 = 0x0602;
    /// [`ControllerReply::Refused`](super::ControllerReply::Refused).
    pub const REFUSED: u16 = 0x0603;
    /// [`ControllerReply::Rejected`](super::ControllerReply::Rejected).
    pub const REJECTED: u16 = 0x0604;
    /// `ToMember::Welcome`.
    pub const WELCOME: u16 = 0x0610;
    /// `ToMember::Assign`.
    pub const ASSIGN: u16 = 0x0611;
    /// `ToMember::Probe`.
    pub const PROBE: u16 = 0x0612;
    /// `ToMember::Fenced`.
    pub const FENCED: u16 = 0x0613;
    /// `ToMember::Released`.
    pub const RELEASED: u16 = 0x0614;
    /// `ToMember::Roll`.
    pub const ROLL: u16 = 0x0615;
    /// `ToMember::Gone`.
    pub const GONE: u16 = 0x0616;
    /// `Frame::Attach`.
    pub const ATTACH: u16 = 0x0701;
    /// `Frame::Resume`.
    pub const RESUME: u16 = 0x0702;
    /// `Frame::Report`.
    pub const REPORT: u16 = 0x0703;
    /// `Frame::Sync`.
    pub const SYNC: u16 = 0x0704;
    /// `Frame::Chunk`.
    pub const CHUNK: u16 = 0x0705;
    /// `Frame::Contribution`.
    pub const CONTRIBUTION: u16 = 0x0706;
    /// `Frame::Spoiled`.
    pub const SPOILED: u16 = 0x0707;
    /// `Frame::Pull`.
    pub const PULL: u16 = 0x0708;
    /// [`PeerMessage::Sender`](super::PeerMessage::Sender).
    pub const SENDER: u16 = 0x0710;
    /// [`PeerMessage::Submit`](super::PeerMessage::Submit).
    pub const SUBMIT: u16 = 0x0711;
    /// [`PeerMessage::Go`](super::PeerMessage::Go).
    pub const GO: u16 = 0x0712;
    /// [`PeerMessage::Collect`](super::PeerMessage::Collect).
    pub const COLLECT: u16 = 0x0713;
    /// [`PeerMessage::Hand`](super::PeerMessage::Hand).
    pub const HAND: u16 = 0x0714;
    /// [`PeerMessage::Caller`](super::PeerMessage::Caller).
    pub const CALLER: u16 = 0x0720;
    /// [`PeerMessage::Item`](super::PeerMessage::Item).
    pub const ITEM: u16 = 0x0721;
    /// [`PeerMessage::Part`](super::PeerMessage::Part).
    pub const PART: u16 = 0x0723;
    /// [`PeerMessage::Fenced`](super::PeerMessage::Fenced).
    pub const CALLER_FENCED: u16 = 0x0724;
    /// [`PeerMessage::Have`](super::PeerMessage::Have).
    pub const HAVE: u16 = 0x0722;
    /// [`LodgingMessage::Lodge`](super::LodgingMessage::Lodge).
    pub const LODGE: u16 = 0x0801;
    /// [`LodgingMessage::Ready`](super::LodgingMessage::Ready).
    pub const READY: u16 = 0x0802;
    /// [`LodgingMessage::Line`](super::LodgingMessage::Line).
    pub const LINE: u16 = 0x0803;
    /// [`LodgingMessage::Lease`](super::LodgingMessage::Lease).
    pub const LEASE: u16 = 0x0804;
    /// [`LodgingMessage::Taken`](super::LodgingMessage::Taken).
    pub const TAKEN: u16 = 0x0805;
    /// [`LodgingMessage::Left`](super::LodgingMessage::Left).
    pub const LODGER_LEFT: u16 = 0x0806;
    /// [`LodgingMessage::Lodged`](super::LodgingMessage::Lodged).
    pub const LODGED: u16 = 0x0811;
    /// [`LodgingMessage::Seated`](super::LodgingMessage::Seated).
    pub const SEATED: u16 = 0x0812;
    /// [`LodgingMessage::Leased`](super::LodgingMessage::Leased).
    pub const LEASED: u16 = 0x0813;
    /// [`LodgingMessage::Full`](super::LodgingMessage::Full).
    pub const FULL: u16 = 0x0814;
    /// [`LodgingMessage::TurnedAway`](super::LodgingMessage::TurnedAway).
    pub const TURNED_AWAY: u16 = 0x0815;
}

/// A roll as the payload of a broadcast: how the root of a channel of shuffles begins a round.
#[must_use]
pub fn encode_roll(roll: &Roll<Address>) -> Bytes {
    let mut buffer = BytesMut::new();
    let [bytes, _] = Writer::within(&mut buffer).part(roll).frame(kind::ROLL).body.into_pieces();
    bytes
}

/// Reads what [`encode_roll`] wrote.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_roll(bytes: Bytes) -> Result<Roll<Address>, FormatError> {
    let mut body = Reader::from(bytes);
    let roll = Roll::read(&mut body)?;
    body.end()?;
    Ok(roll)
}

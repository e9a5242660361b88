//! How a process that nobody can call is reached: by way of a relay, which both sides can call.
//!
//! ```text
//!  who cannot be called          relay                       who calls
//!    |--- Register(name) -------->|                             |
//!    |<-- Registered -------------|                             |
//!    |                            |<----------- Reach(name) ----|
//!    |<-- Ring(ticket) -----------|                             |
//!    |=== Meet(ticket) ==========>|   another connection        |
//!    |<-- Through ----------------|--------------- Through ---->|
//!    |<========================== whatever frames =============>|
//! ```
//!
//! Each connection begins with a [`handshake`](crate::handshake) with the relay: it carries for members of a job alone. The
//! two make another one with each other behind `Through`, so neither has to trust the relay with more than its time.
//!
//! An address by which a relay is called is a text, `relay:HOST:PORT/NAME`, with the name in hexadecimal digits.

use alloc::string::String;
use core::fmt;

use crate::error::FormatError;
use crate::fields::{Reader, Writer};
use crate::frame::Frame;

/// The numbers by which a frame's header names these messages.
pub mod kind {
    /// [`RelayMessage::Register`](super::RelayMessage::Register).
    pub const REGISTER: u16 = 0x0901;
    /// [`RelayMessage::Registered`](super::RelayMessage::Registered).
    pub const REGISTERED: u16 = 0x0902;
    /// [`RelayMessage::Ring`](super::RelayMessage::Ring).
    pub const RING: u16 = 0x0903;
    /// [`RelayMessage::Reach`](super::RelayMessage::Reach).
    pub const REACH: u16 = 0x0904;
    /// [`RelayMessage::Meet`](super::RelayMessage::Meet).
    pub const MEET: u16 = 0x0905;
    /// [`RelayMessage::Through`](super::RelayMessage::Through).
    pub const THROUGH: u16 = 0x0906;
    /// [`RelayMessage::Unreachable`](super::RelayMessage::Unreachable).
    pub const UNREACHABLE: u16 = 0x0907;
}

/// What an address begins with that leads by way of a relay.
const PREFIX: &str = "relay:";

/// By what a relay knows a process: a number drawn at random, so that nobody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayName(pub u128);

/// Which caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An address that leads by way of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayAddress<'a> {
    /// Where the relay listens.
    pub relay: &'a str,
    /// Whom it shall ring.
    pub name: RelayName,
}

impl<'a> RelayAddress<'a> {
    /// Reads an address; `None` if it does not lead by way of a relay.
    #[must_use]
    pub fn parse(address: &'a str) -> Option<Self> {
        let (relay, name) = address.strip_prefix(PREFIX)?.rsplit_once('/')?;
        Some(Self { relay, name: RelayName(u128::from_str_radix(name, 16).ok()?) })
    }
}

impl fmt::Display for RelayAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelayName(name) = self.name;
        write!(f, "{PREFIX}{}/{name:x}", self.relay)
    }
}

/// To a relay, or from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelayMessage {
    /// Whoever wants to reach this name means this process, on whose connection this comes.
    Register(RelayName),
    /// It is rung from now on.
    Registered,
    /// Somebody waits for this process.
    Ring(Ticket),
    /// This connection shall lead to that process.
    Reach(RelayName),
    /// This connection is for that caller.
    Meet(Ticket),
    /// Behind this, all frames are those of the other end.
    Through,
    /// Nobody has that name or ticket, or nobody answers. The connection is closed.
    Unreachable,
}

impl RelayMessage {
    /// The frame that carries it.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        let out = Writer::default();
        match self {
            Self::Register(name) => named(out, name).frame(kind::REGISTER),
            Self::Registered => out.frame(kind::REGISTERED),
            Self::Ring(Ticket(ticket)) => out.header_call(ticket).frame(kind::RING),
            Self::Reach(name) => named(out, name).frame(kind::REACH),
            Self::Meet(Ticket(ticket)) => out.header_call(ticket).frame(kind::MEET),
            Self::Through => out.frame(kind::THROUGH),
            Self::Unreachable => out.frame(kind::UNREACHABLE),
        }
    }
}

impl TryFrom<Frame> for RelayMessage {
    type Error = FormatError;

    fn try_from(frame: Frame) -> Result<Self, FormatError> {
        let kind = frame.kind;
        let mut body = Reader::from(frame);
        let message = match kind {
            kind::REGISTER => Self::Register(name(&mut body)?),
            kind::REGISTERED => Self::Registered,
            kind::RING => Self::Ring(Ticket(body.header_call())),
            kind::REACH => Self::Reach(name(&mut body)?),
            kind::MEET => Self::Meet(Ticket(body.header_call())),
            kind::THROUGH => Self::Through,
            kind::UNREACHABLE => Self::Unreachable,
            _ => return Err(FormatError::Corrupt("a frame that is none of a relay's")),
        };
        body.end()?;
        Ok(message)
    }
}

/// The low half first.
fn named(out: Writer, RelayName(name): RelayName) -> Writer {
    out.u64(name as u64).u64((name >> 64) as u64)
}

fn name(body: &mut Reader) -> Result<RelayName, FormatError> {
    let (low, high) = (body.u64()?, body.u64()?);
    Ok(RelayName(u128::from(high) << 64 | u128::from(low)))
}

/// An address of this relay and name, as it is told to others.
#[must_use]
pub fn address_by(relay: &str, name: RelayName) -> String {
    alloc::format!("{}", RelayAddress { relay, name })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::frame::{DEFAULT_BODY_LIMIT, Decoded, decode};

    const NAME: RelayName = RelayName(0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10);

    /// Each message, its kind, its call and its body, as they are written in `FORMAT.md`.
    const MESSAGES: [(RelayMessage, u16, u64, &str); 7] = [
        (RelayMessage::Register(NAME), 0x0901, 0, "100f0e0d0c0b0a090807060504030201"),
        (RelayMessage::Registered, 0x0902, 0, ""),
        (RelayMessage::Ring(Ticket(7)), 0x0903, 7, ""),
        (RelayMessage::Reach(NAME), 0x0904, 0, "100f0e0d0c0b0a090807060504030201"),
        (RelayMessage::Meet(Ticket(7)), 0x0905, 7, ""),
        (RelayMessage::Through, 0x0906, 0, ""),
        (RelayMessage::Unreachable, 0x0907, 0, ""),
    ];

    #[test]
    fn every_message_is_its_bytes() {
        for (message, kind, call, body) in MESSAGES {
            let mut bytes = alloc::vec::Vec::new();
            message.into_frame().encode(DEFAULT_BODY_LIMIT, &mut bytes).unwrap();
            let Ok(Decoded::Frame(frame)) = decode(&mut BytesMut::from(&bytes[..]), DEFAULT_BODY_LIMIT)
            else {
                panic!("{message:?} cannot be read");
            };
            let written: String = frame
                .body
                .clone()
                .into_pieces()
                .into_iter()
                .flat_map(|piece| piece.to_vec())
                .map(hex)
                .collect();
            assert_eq!((frame.kind, frame.call, &*written), (kind, call, body), "{message:?}");
            assert_eq!(RelayMessage::try_from(frame.clone()), Ok(message));
            // A byte too many or too few is no such message.
            let longer = Frame { body: bytes::Bytes::from_static(&[0; 17]).into(), ..frame.clone() };
            assert!(RelayMessage::try_from(longer).is_err(), "{message:?}");
            if !body.is_empty() {
                let shorter = Frame { body: bytes::Bytes::from_static(&[0; 15]).into(), ..frame };
                assert!(RelayMessage::try_from(shorter).is_err(), "{message:?}");
            }
        }
    }

    fn hex(byte: u8) -> String {
        alloc::format!("{byte:02x}")
    }

    #[test]
    fn an_address_names_a_relay_and_whom_it_rings() {
        for relay in ["10.0.0.1:4102", "[::1]:4102", "a place/with a slash"] {
            let address = address_by(relay, NAME);
            assert_eq!(RelayAddress::parse(&address), Some(RelayAddress { relay, name: NAME }), "{address}");
        }
        assert_eq!(address_by("relay:1", RelayName(255)), "relay:relay:1/ff");
        for other in ["10.0.0.1:4102", "relay:10.0.0.1:4102", "relay:10.0.0.1:4102/", "relay:x/12g"] {
            assert_eq!(RelayAddress::parse(other), None, "{other}");
        }
    }
}

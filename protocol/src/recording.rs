//! Recordings of machines: what happened to each, when, and what it asked for, one event a line.
//!
//! A recording is JSON lines, so that people can read it with what they have. It begins with a [`Header`]; a machine
//! that begins is a line with all that is needed to make it anew ([`Made`]); every event is a line with the machine's
//! effects. Machines never look at payloads, so a payload is recorded as its [`Fingerprint`] alone: the recording of a
//! large round is small, and replays with fingerprints in the payloads' places. Each line ends with a checksum of all
//! lines up to it: a line that was changed, added or taken away shows at its place.
//!
//! ```text
//! {"us":0,"recording":{"format":1,"cirrus":"0.1.0","process":4711,"unix_ms":1767225600000},"sum":"9ae0daaf"}
//! {"us":18,"machine":1,"made":{"Directory":{"jobs_max":1, ...}},"sum":"19f58b2c"}
//! {"us":30,"machine":1,"event":{"Started":{"last":null}},"effects":[{"Persist":1}],"sum":"e1d28d84"}
//! ```

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use cirrus_core::channel::{Role, Tenancy};
use cirrus_core::{directory, member, messages, shuffle};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::checksum::{crc32c, crc32c_append};
use crate::error::FormatError;
use crate::zip::Address;

/// The version of this format.
pub const VERSION: u32 = 1;

/// What the errors of this format call it.
const WHAT: &str = "a line of a recording";

/// What stands between a line and its checksum.
const SUM: &str = ",\"sum\":\"";
/// What stands behind the checksum.
const END: &str = "\"}";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The version of the program that recorded.
    pub cirrus: String,
    /// The process.
    pub process: u32,
    /// When it began, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// A machine as it began: what is needed to make the same one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Made {
    /// All channels of a controller. Tokens are recorded as numbers, in the order of their appearance.
    Directory(directory::Config),
    /// A member of a channel.
    Member {
        /// The channel's name.
        channel: String,
        /// Where it listens.
        address: Address,
        /// What it does in a shuffle.
        role: Role,
        /// Who it is on its machine.
        tenancy: Tenancy,
        /// Its limits and time-outs.
        config: member::Config,
    },
    /// A member's messages.
    Messages {
        /// The channel's name.
        channel: String,
        /// Their limits and time-outs.
        config: messages::Config,
    },
    /// A member's shuffles.
    Shuffle {
        /// The channel's name.
        channel: String,
        /// Their limits and time-outs.
        config: shuffle::Config,
    },
}

/// For people: what it is, and of which channel.
impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(_) => f.write_str("directory"),
            Self::Member { channel, .. } => write!(f, "member of {channel}"),
            Self::Messages { channel, .. } => write!(f, "messages of {channel}"),
            Self::Shuffle { channel, .. } => write!(f, "shuffles of {channel}"),
        }
    }
}

/// Stands for the bytes of a payload: as many of another content have another one, but for a chance of one in 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// How many bytes.
    pub bytes: u64,
    /// Their CRC-32C.
    pub crc: u32,
}

impl Fingerprint {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, crc: crc32c(bytes) }
    }
}

/// The length, a colon and eight hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.bytes, self.crc)
    }
}

impl FromStr for Fingerprint {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let parts = text.split_once(':');
        let numbers =
            parts.and_then(|(bytes, crc)| Some((bytes.parse().ok()?, u32::from_str_radix(crc, 16).ok()?)));
        let (bytes, crc) = numbers
            .ok_or(FormatError::Corrupt("a payload is recorded as its length, a colon and its CRC-32C"))?;
        Ok(Self { bytes, crc })
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A line, without its checksum.
#[derive(Clone, Debug)]
pub enum Line {
    /// The recording begins.
    Header(Header),
    /// A machine begins.
    Made {
        /// The number by which the recording calls it.
        machine: u32,
        /// What it is.
        made: Box<Made>,
    },
    /// A step of a machine.
    Step {
        /// When, in microseconds since the recording began.
        us: u64,
        /// Which machine.
        machine: u32,
        /// What happened to it.
        event: Value,
        /// What it asked for: a list.
        effects: Value,
    },
}

/// A line as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    us: u64,
    machine: Option<u32>,
    recording: Option<Value>,
    made: Option<Box<Made>>,
    event: Option<Value>,
    effects: Option<Value>,
    #[serde(rename = "sum")]
    _sum: String,
}

/// Ends a line that was begun as an object, with the checksum of it and of all lines before, whose own is `before`.
/// What the checksum is now.
pub fn seal(before: u32, line: &mut Vec<u8>) -> u32 {
    let sum = crc32c_append(before, line);
    line.extend_from_slice(format!("{SUM}{sum:08x}{END}\n").as_bytes());
    sum
}

/// The checksum that a line should have, after lines whose own is `before`, and whether it has that one.
#[must_use]
pub fn check(before: u32, line: &str) -> (u32, bool) {
    let cut = line.strip_suffix(END).and_then(|line| line.rsplit_once(SUM));
    let (text, stored) = cut.unwrap_or((line, ""));
    let sum = crc32c_append(before, text.as_bytes());
    (sum, stored == format!("{sum:08x}"))
}

/// What a line says, whatever its checksum.
///
/// # Errors
/// `Json`, with what is wrong; `Version`, of a header.
pub fn parse(line: &str) -> Result<Line, FormatError> {
    let raw: Raw = serde_json::from_str(line).map_err(|error| invalid(&error.to_string()))?;
    match raw {
        Raw { recording: Some(header), machine: None, made: None, event: None, effects: None, .. } => {
            let found = header.get("format").and_then(Value::as_u64).unwrap_or_default();
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            if found != VERSION {
                return Err(FormatError::Version { what: "the recording", found, supported: VERSION });
            }
            let header = serde_json::from_value(header).map_err(|error| invalid(&error.to_string()))?;
            Ok(Line::Header(header))
        }
        Raw {
            machine: Some(machine), made: Some(made), recording: None, event: None, effects: None, ..
        } => Ok(Line::Made { machine, made }),
        Raw {
            us,
            machine: Some(machine),
            event: Some(event),
            effects: Some(effects),
            recording: None,
            made: None,
            ..
        } => Ok(Line::Step { us, machine, event, effects }),
        Raw { .. } => Err(invalid("it has neither a header, nor a machine, nor an event and its effects")),
    }
}

fn invalid(detail: &str) -> FormatError {
    FormatError::Json { what: WHAT, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        let mut sum = 0;
        let begun = [
            "{\"us\":0,\"recording\":{\"format\":1,\"cirrus\":\"0.1.0\",\"process\":7,\"unix_ms\":1}",
            "{\"us\":1,\"machine\":1,\"made\":{\"Directory\":{\"jobs_max\":1",
            "{\"us\":2,\"machine\":1,\"event\":{\"Started\":{\"last\":null}},\"effects\":[]",
        ];
        let sealed = begun.map(|text| {
            let mut line = text.as_bytes().to_vec();
            sum = seal(sum, &mut line);
            String::from_utf8(line).unwrap().trim_end().to_owned()
        });
        sealed.into()
    }

    /// The places of the lines that do not have the checksum that they should have.
    fn wrong(lines: &[String]) -> Vec<usize> {
        let mut sum = 0;
        let seen = lines.iter().enumerate().filter_map(|(place, line)| {
            let (next, right) = check(sum, line);
            sum = next;
            (!right).then_some(place)
        });
        seen.collect()
    }

    #[test]
    fn what_was_changed_shows_at_its_place_and_behind_it() {
        let whole = lines();
        assert!(wrong(&whole).is_empty());
        for place in 0..3 {
            let mut changed = whole.clone();
            changed[place] = changed[place].replacen("\"us\":", "\"us\":9", 1);
            assert_eq!(wrong(&changed), (place..3).collect::<Vec<_>>());
            let mut fewer = whole.clone();
            fewer.remove(place);
            assert_eq!(wrong(&fewer), (place..2).collect::<Vec<_>>());
        }
        let mut cut = whole[2].clone();
        cut.truncate(40);
        assert_eq!(wrong(&[whole[0].clone(), whole[1].clone(), cut]), [2]);
    }

    #[test]
    fn lines_say_what_they_are_or_what_is_wrong_with_them() {
        let [header, _, step] = <[String; 3]>::try_from(lines()).unwrap();
        assert!(matches!(parse(&header).unwrap(), Line::Header(Header { process: 7, .. })));
        assert!(matches!(parse(&step).unwrap(), Line::Step { us: 2, machine: 1, .. }));
        let newer = header.replace("\"format\":1", "\"format\":2");
        let version = FormatError::Version { what: "the recording", found: 2, supported: VERSION };
        assert_eq!(parse(&newer).unwrap_err(), version);
        for (text, says) in [
            ("", "EOF"),
            ("{}", "missing field `us`"),
            ("{\"us\":1,\"sum\":\"\"}", "neither"),
            ("{\"us\":1,\"machine\":1,\"made\":{\"Teapot\":{}},\"sum\":\"\"}", "Teapot"),
            ("{\"us\":1,\"extra\":1,\"sum\":\"\"}", "extra"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(WHAT), "{text}: {error}");
        }
    }

    #[test]
    fn fingerprints_tell_payloads_apart() {
        let all = [&b""[..], b"a", b"b", b"aa"].map(Fingerprint::of);
        assert_eq!(all.iter().collect::<alloc::collections::BTreeSet<_>>().len(), all.len());
        for fingerprint in all {
            let text = serde_json::to_string(&fingerprint).unwrap();
            assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), fingerprint);
        }
        let bad = ["\"\"", "\"1\"", "\"1:x\"", "\"-1:00000000\"", "1"];
        assert!(bad.iter().all(|text| serde_json::from_str::<Fingerprint>(text).is_err()));
    }
}

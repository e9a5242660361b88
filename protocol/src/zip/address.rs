//! Where a process listens: several candidates, of which whoever calls takes the first that answers.
//!
//! A process knows which of its network's interfaces reached the controller, not which one a neighbour can reach, so
//! it names all that it has. One that nobody can call has none. What a candidate looks like is between the transports
//! at both ends; here it is a text. It is kept as it travels, in one shared allocation: a controller holds one for
//! every member, and copies it into every assignment.

use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::Part;
use crate::error::FormatError;
use crate::fields::{Reader, Writer};

/// The longest address, in bytes, all candidates together.
pub const ADDRESS_LIMIT: usize = 512;

/// What stands between two candidates.
const SEPARATOR: char = ',';

/// Where a process listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// An address of these candidates, the best first.
    ///
    /// # Errors
    /// `Unwritable` when a candidate is empty or has a comma or a control character in it; `Limit` when they are
    /// longer than [`ADDRESS_LIMIT`] together.
    pub fn new<'a>(candidates: impl IntoIterator<Item = &'a str>) -> Result<Self, FormatError> {
        let mut text = alloc::string::String::new();
        for candidate in candidates {
            if candidate.is_empty() || candidate.contains(SEPARATOR) {
                return Err(FormatError::Unwritable("an address that is empty or has a comma in it"));
            }
            if !text.is_empty() {
                text.push(SEPARATOR);
            }
            text.push_str(candidate);
        }
        if text.len() > ADDRESS_LIMIT {
            return Err(too_long(text.len()));
        }
        check(&text).map_err(FormatError::Unwritable)?;
        Ok(Self(text.into()))
    }

    /// Where to call, the best first. None: it cannot be called.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR).filter(|candidate| !candidate.is_empty())
    }
}

/// The candidates with commas between them.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same text.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = alloc::string::String::deserialize(from)?;
        let new = if text.is_empty() { Ok(Self::default()) } else { Self::new(text.split(SEPARATOR)) };
        new.map_err(serde::de::Error::custom)
    }
}

fn too_long(found: usize) -> FormatError {
    FormatError::Limit { what: "an address", found: found as u64, limit: ADDRESS_LIMIT as u64 }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) {
        return Err("an address with a control character in it");
    }
    if !text.is_empty() && text.split(SEPARATOR).any(str::is_empty) {
        return Err("an address with an empty candidate");
    }
    Ok(())
}

impl Part for Address {
    const LEAST: usize = 4;

    fn write(&self, out: Writer) -> Writer {
        out.text(&self.0)
    }

    fn read(body: &mut Reader) -> Result<Self, FormatError> {
        let text: Arc<str> = body.text_up_to("an address", ADDRESS_LIMIT)?;
        check(&text).map_err(FormatError::Corrupt)?;
        Ok(Self(text))
    }
}

//! Arrays to be sent, made where they need not be copied from if there is such a place.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::{Bytes, BytesMut};
use cirrus_transport::shared;

/// An array of bytes that is filled, and then sent from where it lies: `channel.send(array)`. What is in it before it is
/// written to is anything.
pub struct Array(Place);

enum Place {
    /// In memory that the lambdas of this machine share.
    Shared(shared::Array),
    /// In this process's own.
    Own(BytesMut),
}

impl Array {
    pub(super) fn new(shared: Option<shared::Array>, bytes: usize) -> Self {
        Self(shared.map_or_else(|| Place::Own(BytesMut::zeroed(bytes)), Place::Shared))
    }

    /// Whether it lies in memory that the lambdas of this machine share: then sending it copies nothing.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Place::Shared(_))
    }
}

impl From<Array> for Bytes {
    fn from(array: Array) -> Self {
        match array.0 {
            Place::Shared(array) => array.freeze(),
            Place::Own(array) => array.freeze(),
        }
    }
}

impl Deref for Array {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Shared(array) => array,
            Place::Own(array) => array,
        }
    }
}

impl DerefMut for Array {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Place::Shared(array) => array,
            Place::Own(array) => array,
        }
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("bytes", &self.len()).field("shared", &self.is_shared()).finish()
    }
}

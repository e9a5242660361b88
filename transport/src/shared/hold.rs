//! Slabs that this process holds: to write to, and then to read.
#![expect(unsafe_code, reason = "a slab is read and written where it lies; each block says why it may be")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;

use super::segment::Segment;
use super::table::Slab;

/// Whoever can hold slabs: the host, or a lodger.
pub(super) trait Holder: Send + Sync + 'static {
    /// Where they lie.
    fn segment(&self) -> &Segment;

    /// One hold of this slab ends: nothing reads or writes there by it any more.
    fn let_go(&self, slab: Slab);
}

/// A hold of a slab. Dropped, it ends.
struct Hold {
    holder: Arc<dyn Holder>,
    slab: Slab,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holder.let_go(self.slab);
    }
}

impl Hold {
    fn bytes(&self) -> &[u8] {
        // SAFETY: this is a hold of the slab, and lives as long as the slice. Whoever had leased it wrote to it before it
        // told anybody where it is, or has it for itself alone: then `Array` lends it either to read or to write.
        unsafe { self.holder.segment().slice(self.slab.begin, self.slab.bytes) }
    }
}

/// What others have written, to be read where it lies. It is only seen through handles of bytes.
struct View(Hold);

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Bytes that lie in this slab, of which the holder has a hold for them.
pub(super) fn view(holder: Arc<dyn Holder>, slab: Slab) -> Bytes {
    Bytes::from_owner(View(Hold { holder, slab }))
}

/// An array in shared memory, of nobody else until it is [frozen](Self::freeze). What is in it before it is written to is
/// anything.
pub struct Array(Hold);

impl Array {
    /// In a slab that was leased just now.
    pub(super) fn new(holder: Arc<dyn Holder>, slab: Slab) -> Self {
        Self(Hold { holder, slab })
    }

    /// From here on it is only read: by handles that can be sent without a copy.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(View(self.0))
    }
}

impl Deref for Array {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for Array {
    fn deref_mut(&mut self) -> &mut [u8] {
        let Slab { slot: _, begin, bytes } = self.0.slab;
        // SAFETY: the slab was leased for this array, which nobody else has heard of, and `self` is borrowed for as long as
        // the slice lives.
        unsafe { self.0.holder.segment().slice_mut(begin, bytes) }
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Array").field(&self.0.slab).finish()
    }
}

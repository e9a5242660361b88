//! A lodger's end of a segment.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::{fmt, io};

use bytes::Bytes;
use cirrus_protocol::zip::Descriptor;
use tokio::sync::mpsc;

use super::connection::{Plain, SharedReceiver, SharedSender, Side, share};
use super::hold::{Array, Holder, view};
use super::ledger::Ledger;
use super::line::{Lines, Taken};
use super::rights;
use super::segment::Segment;
use super::sync::Mutex;
use super::table::{Lie, Slab};
use crate::Connection;

/// What a lodger shares with its host. It can be used for reading as long as anything in it is held, whatever became of
/// the host.
pub struct Lodging {
    id: u64,
    segment: Segment,
    ledger: Ledger,
    /// What this process holds, by where it begins and how long it is: its slot, and how often.
    held: Mutex<BTreeMap<(u64, u64), (u32, u64)>>,
    lines: Lines,
    /// Dropped with the last hold.
    _keeps: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Lodging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lodging")
            .field("id", &self.id)
            .field("segment", &self.segment)
            .finish_non_exhaustive()
    }
}

impl Lodging {
    /// Takes over what the host hands over on this connection. It must have been asked for, and nothing else follows.
    /// `keeps` lives as long as anything in the segment is held.
    ///
    /// # Errors
    /// What comes is something else, or cannot be mapped.
    pub async fn take_over(
        connection: &Plain,
        id: u64,
        keeps: impl Any + Send + Sync,
    ) -> io::Result<Arc<Self>> {
        let early = || io::Error::new(io::ErrorKind::InvalidData, "something was said instead");
        let socket = connection.receiver.idle_stream().ok_or_else(early)?.as_ref();
        let [segment, ledger] = rights::receive(socket).await?;
        let (segment, ledger) = (Segment::map(segment)?, Ledger::mapped(Segment::map(ledger)?));
        let held = Mutex::new(BTreeMap::new());
        let (lines, _keeps) = (Lines::new(), Box::new(keeps));
        Ok(Arc::new(Self { id, segment, ledger, held, lines, _keeps }))
    }

    /// Whether these bytes lie in the segment.
    #[must_use]
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.segment.offset_of(bytes).is_some()
    }

    /// An array in a slab that the host has leased to this process, and that was not used for anything yet.
    ///
    /// # Errors
    /// `Beyond`: there is no such slab.
    pub fn array(self: &Arc<Self>, slab: Slab) -> Result<Array, Lie> {
        self.holds(slab)?;
        Ok(Array::new(Arc::clone(self) as Arc<dyn Holder>, slab))
    }

    /// Descriptors that the host has taken, or never will.
    pub fn taken(&self, taken: Taken) {
        for slot in self.lines.taken(taken) {
            self.ledger.let_go(slot);
        }
    }

    /// From here on payloads are described on this connection. Its number is one that no other has had; `says` hears what
    /// is taken here, for the host.
    pub fn share(
        self: &Arc<Self>,
        plain: Plain,
        connection: u32,
        says: mpsc::UnboundedSender<Taken>,
    ) -> Connection<SharedSender, SharedReceiver> {
        let line = self.lines.open(connection);
        share(plain, Arc::clone(self) as Arc<dyn Side>, line, (connection, says))
    }

    /// Takes note of a hold that the host has granted.
    fn holds(&self, Slab { slot, begin, bytes }: Slab) -> Result<(), Lie> {
        let segment = self.segment.bytes();
        if begin.checked_add(bytes).is_none_or(|end| end > segment) {
            return Err(Lie::Beyond { segment });
        }
        self.held.lock().entry((begin, bytes)).or_insert((slot, 0)).1 += 1;
        Ok(())
    }
}

impl Holder for Lodging {
    fn segment(&self) -> &Segment {
        &self.segment
    }

    fn let_go(&self, Slab { slot, begin, bytes }: Slab) {
        let mut held = self.held.lock();
        if let Some((_, count)) = held.get_mut(&(begin, bytes)) {
            *count -= 1;
            if *count == 0 {
                held.remove(&(begin, bytes));
            }
        }
        drop(held);
        self.ledger.let_go(slot);
    }
}

impl Side for Lodging {
    fn describe(&self, bytes: &Bytes) -> Option<Descriptor> {
        let (begin, length) = (self.segment.offset_of(bytes)?, bytes.len() as u64);
        let held = self.held.lock();
        let mut around = held.range(..=(begin, u64::MAX)).rev();
        let slot = around.find_map(|((from, long), (slot, _))| {
            (from.checked_add(*long)? >= begin.checked_add(length)?).then_some(*slot)
        })?;
        // It is held by whoever has given the bytes, and from here on by what is under way as well.
        self.ledger.take(slot);
        Some(Descriptor { segment: self.id, begin, bytes: length, slot })
    }

    fn accept(self: Arc<Self>, descriptor: Descriptor) -> Result<Bytes, Lie> {
        let Descriptor { segment, begin, bytes, slot } = descriptor;
        if segment != self.id {
            return Err(Lie::OtherSegment { found: segment, expected: self.id });
        }
        let slab = Slab { slot, begin, bytes };
        self.holds(slab)?;
        Ok(view(self, slab))
    }
}

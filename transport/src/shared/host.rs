//! The host of a segment: it alone knows who holds what.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cirrus_protocol::zip::Descriptor;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::mpsc;

use super::connection::{Plain, SharedReceiver, SharedSender, Side, share};
use super::hold::{Array, Holder, view};
use super::ledger::Ledger;
use super::line::{Lines, Taken};
use super::rights;
use super::segment::Segment;
use super::sync::{AtomicU64, Ordering};
use super::table::{Full, Lie, LodgerId, Slab, Table};
use crate::Connection;

/// So many slabs a segment has at most.
pub(super) const SLOTS: u32 = 4096;

/// A segment and the table of its slabs. It lives as long as anything in it is held in this process.
#[derive(Debug)]
pub struct Host {
    id: u64,
    segment: Segment,
    table: Table,
    copied: AtomicU64,
}

impl Host {
    /// A new segment of so many bytes, which take memory as they are written to.
    ///
    /// # Errors
    /// The system's words, if it has no more files, no address space, or no random numbers.
    pub fn create(bytes: u64) -> io::Result<Arc<Self>> {
        let mut id = [0; 8];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let segment = Segment::create("cirrus-channel", bytes)?;
        let table = Table::new(segment.bytes(), SLOTS);
        Ok(Arc::new(Self { id: u64::from_le_bytes(id), segment, table, copied: AtomicU64::new(0) }))
    }

    /// The number of the segment: no other has it, of this machine or of an earlier life.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segment.bytes()
    }

    /// How many bytes are held by anybody, whole slabs.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.table.held()
    }

    /// How many bytes this process has copied into it.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// An array of the host's own.
    ///
    /// # Errors
    /// `Full`: there is no room for it.
    pub fn array(self: &Arc<Self>, bytes: usize) -> Result<Array, Full> {
        let slab = self.table.lease(None, bytes as u64)?;
        Ok(Array::new(Arc::clone(self) as Arc<dyn Holder>, slab))
    }

    /// The same bytes in the segment: where they lie already, or copied. `None` if there is no room for them.
    #[must_use]
    pub fn lift(self: &Arc<Self>, bytes: &Bytes) -> Option<Bytes> {
        if self.segment.offset_of(bytes).is_some() {
            return Some(bytes.clone());
        }
        let mut array = self.array(bytes.len()).ok()?;
        array.copy_from_slice(bytes);
        self.copied.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Some(array.freeze())
    }

    /// Somebody comes who may read and write here. When the guest is dropped, all that it holds is free again.
    ///
    /// # Errors
    /// The system's words, if it has no more files or memory.
    pub fn admit(self: &Arc<Self>) -> io::Result<Guest> {
        let ledger = Segment::create("cirrus-ledger", u64::from(SLOTS) * 8)?;
        let file = ledger.file().try_clone_to_owned()?;
        let lodger = self.table.admit(Arc::new(Ledger::mapped(ledger)));
        Ok(Guest { host: Arc::clone(self), lodger, ledger: file, lines: Lines::new() })
    }
}

impl Holder for Host {
    fn segment(&self) -> &Segment {
        &self.segment
    }

    fn let_go(&self, slab: Slab) {
        self.table.let_go(slab.begin);
    }
}

/// A lodger, at its host.
#[derive(Debug)]
pub struct Guest {
    host: Arc<Host>,
    lodger: LodgerId,
    ledger: std::os::fd::OwnedFd,
    lines: Lines,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.evict();
    }
}

impl Guest {
    /// The lodger is gone. All that it held is free again, and what its lines may still bring is refused.
    pub fn evict(&self) {
        self.host.table.evict(self.lodger);
    }

    /// Hands the segment and the lodger's ledger over, on a connection on which the other end waits for them and nothing
    /// else is said meanwhile.
    ///
    /// # Errors
    /// The system's words, when the connection is gone.
    pub async fn hand_over(&self, connection: &Plain) -> io::Result<()> {
        use std::os::fd::AsFd as _;
        let socket = connection.sender.stream().as_ref();
        rights::send(socket, [self.host.segment.file(), self.ledger.as_fd()]).await
    }

    /// A slab for the lodger to write to.
    ///
    /// # Errors
    /// `Full`: there is no room for it.
    pub fn lease(&self, bytes: u64) -> Result<Slab, Full> {
        self.host.table.lease(Some(self.lodger), bytes)
    }

    /// The lodger says how many descriptors it has taken.
    pub fn taken(&self, taken: Taken) {
        for slot in self.lines.taken(taken) {
            self.host.table.ungrant(self.lodger, slot);
        }
    }

    /// From here on payloads are described on this connection, whose number the lodger gives, and never twice. `says`
    /// hears what is taken here, for the lodger.
    pub fn share(
        self: &Arc<Self>,
        plain: Plain,
        connection: u32,
        says: mpsc::UnboundedSender<Taken>,
    ) -> Connection<SharedSender, SharedReceiver> {
        let line = self.lines.open(connection);
        share(plain, Arc::clone(self) as Arc<dyn Side>, line, (connection, says))
    }
}

impl Side for Guest {
    fn describe(&self, bytes: &Bytes) -> Option<Descriptor> {
        let begin = self.host.segment.offset_of(bytes)?;
        let Slab { slot, begin, bytes } = self.host.table.grant(self.lodger, begin, bytes.len() as u64)?;
        Some(Descriptor { segment: self.host.id, begin, bytes, slot })
    }

    fn accept(self: Arc<Self>, descriptor: Descriptor) -> Result<Bytes, Lie> {
        let Descriptor { segment, begin, bytes, slot: _ } = descriptor;
        if segment != self.host.id {
            return Err(Lie::OtherSegment { found: segment, expected: self.host.id });
        }
        let slab = self.host.table.take_over(self.lodger, begin, bytes)?;
        Ok(view(Arc::clone(&self.host) as Arc<dyn Holder>, slab))
    }
}

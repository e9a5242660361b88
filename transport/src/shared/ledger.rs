//! What a lodger has let go: a counter for each slab, in memory that the lodger and its host alone can see.
//!
//! ```text
//!   the lodger writes                     the host reads
//!   let go of a view: +1        ------>   it has granted - let go: so many holds are out
//!   a descriptor under way: -1            none: the slab is free, as far as this lodger goes
//! ```
//!
//! A lodger that dies in the middle of anything leaves a number behind that is right. It can lie about nobody but itself.
//! That a slab is written to again happens after everything that was read in it: letting go releases, looking acquires.

#[cfg(not(cirrus_loom))]
use super::segment::Segment;
use super::sync::{AtomicU64, Ordering};

/// Where the counters lie.
#[derive(Debug)]
enum Cells {
    /// In memory that two processes share.
    #[cfg(not(cirrus_loom))]
    Mapped(Segment),
    /// In this process's own.
    #[cfg(cirrus_loom)]
    Own(Box<[AtomicU64]>),
}

/// The counters of one lodger.
#[derive(Debug)]
pub(crate) struct Ledger(Cells);

impl Ledger {
    /// In a segment.
    #[cfg(not(cirrus_loom))]
    pub(crate) fn mapped(segment: Segment) -> Self {
        Self(Cells::Mapped(segment))
    }

    /// For so many slabs, for who shares a process with its host.
    #[cfg(cirrus_loom)]
    pub(crate) fn own(slots: u32) -> Self {
        Self(Cells::Own((0..slots).map(|_| AtomicU64::new(0)).collect()))
    }

    fn cell(&self, slot: u32) -> Option<&AtomicU64> {
        match &self.0 {
            #[cfg(not(cirrus_loom))]
            Cells::Mapped(segment) => segment.counter(slot),
            #[cfg(cirrus_loom)]
            Cells::Own(cells) => cells.get(slot as usize),
        }
    }

    /// The lodger lets go of one hold: it reads there no more.
    pub(crate) fn let_go(&self, slot: u32) {
        if let Some(cell) = self.cell(slot) {
            cell.fetch_add(1, Ordering::Release);
        }
    }

    /// The lodger, which has a hold, takes another one for what is under way.
    pub(crate) fn take(&self, slot: u32) {
        if let Some(cell) = self.cell(slot) {
            cell.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many holds were let go, less those taken.
    pub(crate) fn gone(&self, slot: u32) -> u64 {
        self.cell(slot).map_or(0, |cell| cell.load(Ordering::Acquire))
    }
}

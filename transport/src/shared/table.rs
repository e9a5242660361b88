//! Who holds which slab of a segment. The host alone has this table, so that nobody's death or lie can harm it.
//!
//! ```text
//!   lease            a slab for somebody to write to         granted + 1
//!   descriptor in    a lodger hands over what it holds        its hold becomes the host's
//!   descriptor out   the host lets a lodger read              granted + 1
//!   let go           in the lodger's ledger, at any time      seen when the next one leases
//!   evict            a lodger is dead: all its holds are gone
//! ```
//!
//! A slab is free when the host has no hold and each lodger has let go of all that it was granted. Nobody but the host
//! grants, so what it finds free stays free. Nobody waits for room: there is some or there is not ([`Full`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::Ledger;
use super::space::Space;
use super::sync::Mutex;

/// A lodger of a segment. No number is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LodgerId(pub(crate) u64);

/// A slab, as whoever holds it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slab {
    /// Its number in ledgers.
    pub slot: u32,
    /// Where it begins in the segment.
    pub begin: u64,
    /// How many bytes of it are meant.
    pub bytes: u64,
}

/// There is no room for so many bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no room for {bytes} bytes in shared memory, {free} are free: send them by the socket, or give the daemon more memory"
)]
pub struct Full {
    /// How many were asked for.
    pub bytes: u64,
    /// How many are free, perhaps in pieces.
    pub free: u64,
}

/// Why a descriptor is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// It is not as long as descriptors are.
    #[error("a descriptor of shared memory is cut off")]
    Short,
    /// It names bytes beyond the segment.
    #[error("a descriptor names bytes beyond the segment, which has {segment}")]
    Beyond {
        /// Bytes of the segment.
        segment: u64,
    },
    /// It names bytes of no slab, or of more than one.
    #[error("a descriptor names bytes outside of any slab")]
    Outside,
    /// It names a slab that whoever sent it does not hold, because it never did or has let go of it.
    #[error("a descriptor names a slab that its sender does not hold")]
    NotHeld,
    /// It belongs to another channel, or to an earlier life of this one's memory.
    #[error("a descriptor belongs to segment {found:016x}, expected {expected:016x}")]
    OtherSegment {
        /// The segment that it names.
        found: u64,
        /// This one.
        expected: u64,
    },
}

#[derive(Debug)]
struct Entry {
    slot: u32,
    class: u64,
    /// The host's holds.
    holds: u64,
    /// Who was granted it and may not have let go.
    holders: Vec<LodgerId>,
}

#[derive(Debug)]
struct Lodger {
    ledger: Arc<Ledger>,
    /// By slot: how many holds it ever got, less those that it handed over.
    granted: Vec<u64>,
}

impl Lodger {
    /// Holds that are out. A ledger that says more than can be speaks of nothing that is held.
    fn out(&self, slot: u32) -> u64 {
        let granted = self.granted.get(slot as usize).copied().unwrap_or_default();
        let out = granted.wrapping_sub(self.ledger.gone(slot));
        if out > u64::MAX / 2 { 0 } else { out }
    }

    fn count(&mut self, slot: u32, by: u64) {
        if let Some(granted) = self.granted.get_mut(slot as usize) {
            *granted = granted.wrapping_add(by);
        }
    }
}

#[derive(Debug)]
struct State {
    space: Space,
    /// By where they begin.
    slabs: BTreeMap<u64, Entry>,
    slots: Vec<u32>,
    lodgers: BTreeMap<LodgerId, Lodger>,
    next: u64,
}

/// All slabs of a segment.
#[derive(Debug)]
pub(crate) struct Table {
    bytes: u64,
    slots: u32,
    state: Mutex<State>,
}

impl Table {
    /// Of a segment of so many bytes, in so many slabs at most.
    pub(crate) fn new(bytes: u64, slots: u32) -> Self {
        let state = State {
            space: Space::new(bytes),
            slabs: BTreeMap::new(),
            slots: (0..slots).rev().collect(),
            lodgers: BTreeMap::new(),
            next: 0,
        };
        Self { bytes, slots, state: Mutex::new(state) }
    }

    /// Somebody may hold slabs from now on.
    pub(crate) fn admit(&self, ledger: Arc<Ledger>) -> LodgerId {
        let mut state = self.state.lock();
        state.next += 1;
        let id = LodgerId(state.next);
        let granted = vec![0; self.slots as usize];
        state.lodgers.insert(id, Lodger { ledger, granted });
        id
    }

    /// Somebody is gone, and with it all that it held.
    pub(crate) fn evict(&self, id: LodgerId) {
        let mut state = self.state.lock();
        state.lodgers.remove(&id);
        state.slabs.values_mut().for_each(|slab| slab.holders.retain(|holder| *holder != id));
    }

    /// A slab of so many bytes, held by a lodger, or by the host.
    pub(crate) fn lease(&self, by: Option<LodgerId>, bytes: u64) -> Result<Slab, Full> {
        let state = &mut *self.state.lock();
        state.sweep();
        let full = Full { bytes, free: state.space.free() };
        if by.is_some_and(|id| !state.lodgers.contains_key(&id)) {
            return Err(full); // Whoever is gone needs none.
        }
        let slot = state.slots.pop().ok_or(full)?;
        let Some((begin, class)) = state.space.take(bytes) else {
            state.slots.push(slot);
            return Err(full);
        };
        let entry = Entry { slot, class, holds: u64::from(by.is_none()), holders: Vec::new() };
        state.slabs.insert(begin, entry);
        if let Some(id) = by {
            state.grant(id, begin);
        }
        Ok(Slab { slot, begin, bytes })
    }

    /// A lodger hands over what it holds of these bytes: from here on the host has that hold.
    pub(crate) fn take_over(&self, from: LodgerId, begin: u64, bytes: u64) -> Result<Slab, Lie> {
        let state = &mut *self.state.lock();
        let (start, slot) = state.find(begin, bytes, self.bytes)?;
        let lodger = state.lodgers.get_mut(&from).ok_or(Lie::NotHeld)?;
        let entry = state.slabs.get_mut(&start).ok_or(Lie::Outside)?;
        if !entry.holders.contains(&from) || lodger.out(slot) == 0 {
            return Err(Lie::NotHeld);
        }
        lodger.count(slot, u64::MAX); // One less.
        entry.holds += 1;
        Ok(Slab { slot, begin, bytes })
    }

    /// The host, which has a hold, lets a lodger have one. `None` if it has none, or the lodger is gone.
    pub(crate) fn grant(&self, to: LodgerId, begin: u64, bytes: u64) -> Option<Slab> {
        let state = &mut *self.state.lock();
        let (start, slot) = state.find(begin, bytes, self.bytes).ok()?;
        let held = state.slabs.get(&start).is_some_and(|entry| entry.holds > 0);
        (held && state.grant(to, start)).then_some(Slab { slot, begin, bytes })
    }

    /// What a lodger was granted has not reached it, and will not.
    pub(crate) fn ungrant(&self, to: LodgerId, slot: u32) {
        if let Some(lodger) = self.state.lock().lodgers.get_mut(&to) {
            lodger.count(slot, u64::MAX); // One less.
        }
    }

    /// The host lets go of a hold.
    pub(crate) fn let_go(&self, begin: u64) {
        let state = &mut *self.state.lock();
        let start = state.slabs.range(..=begin).next_back().map(|(start, _)| *start);
        if let Some(entry) = start.and_then(|start| state.slabs.get_mut(&start)) {
            entry.holds = entry.holds.saturating_sub(1);
        }
    }

    /// Bytes that are held by anybody.
    pub(crate) fn held(&self) -> u64 {
        let state = &mut *self.state.lock();
        state.sweep();
        self.bytes.saturating_sub(state.space.free())
    }
}

impl State {
    /// The slab in which these bytes lie, whole.
    fn find(&self, begin: u64, bytes: u64, segment: u64) -> Result<(u64, u32), Lie> {
        let end = begin.checked_add(bytes).filter(|end| *end <= segment).ok_or(Lie::Beyond { segment })?;
        let (start, entry) = self.slabs.range(..=begin).next_back().ok_or(Lie::Outside)?;
        if end > start + entry.class {
            return Err(Lie::Outside);
        }
        Ok((*start, entry.slot))
    }

    fn grant(&mut self, to: LodgerId, start: u64) -> bool {
        let (Some(lodger), Some(entry)) = (self.lodgers.get_mut(&to), self.slabs.get_mut(&start)) else {
            return false;
        };
        lodger.count(entry.slot, 1);
        if !entry.holders.contains(&to) {
            entry.holders.push(to);
        }
        true
    }

    /// Takes back what nobody holds any more.
    fn sweep(&mut self) {
        let (lodgers, space, slots) = (&self.lodgers, &mut self.space, &mut self.slots);
        self.slabs.retain(|begin, entry| {
            let holds = |id: &LodgerId| lodgers.get(id).is_some_and(|lodger| lodger.out(entry.slot) > 0);
            if entry.holds > 0 || entry.holders.iter().any(holds) {
                return true;
            }
            space.give(*begin, entry.class);
            slots.push(entry.slot);
            false
        });
    }
}

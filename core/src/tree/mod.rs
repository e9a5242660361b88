//! The tree of a channel: who sits where, and who must be told when that changes.
//!
//! ```text
//!            0              the parent of place i is (i - 1) / F
//!        /       \
//!       1         2         a join takes the next place, here 6
//!     /   \     /
//!    3     4   5            a leaver's place is taken by the member of the last, here 5
//! ```
//!
//! Members fill the places without a gap, so the tree is complete after every single step (T3) and nothing is
//! ever rebalanced. Each operation touches one or two places, their parents and their children: it is O(F), and
//! it tells exactly the survivors whose [`Assignment`] changed, each once (T4, T7). An edge is a parent and a
//! child; it keeps its link id while both stay the same, also when both move, and gets a fresh one otherwise.
//! The fan-out changes place by place, see `shape`; a machine whose members share one place, see `lodging`.
//!
//! An operation that finds no member, or too few stamps, changes nothing. When to change what, and telling the
//! members, is left to the controller.

mod lodging;
mod restoring;
pub mod rules;
mod shape;
#[cfg(test)]
mod tests;

use crate::ids::{ControllerEpoch, FanOut, LinkId, MemberId, Place, Stamp};
use crate::machine::Effects;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use shape::{Places, Shape};

/// One end of an edge, as the other end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Edge {
    /// Who is there.
    pub member: MemberId,
    /// Over which link.
    pub link: LinkId,
}

/// All that a member needs to know of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// Where it sits; a lodger sits nowhere.
    pub place: Option<Place>,
    /// Who is above, or hosts it; nobody is above the root.
    pub parent: Option<Edge>,
    /// Who is below: its lodgers by slot, then its children by place.
    pub children: Vec<Edge>,
}

/// The members of a channel in their places.
///
/// Takes 40 bytes a member, and from two members on at most 80 with the room in which its two vectors grow. Room
/// is kept for the most members that there have ever been.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tree {
    /// Which place hangs under which. Changed by `reshape` and `reshape_step`, ended when the members are few.
    shape: Shape,
    /// The last stamp given to anything.
    stamp: Stamp,
    /// Who sits where, by place.
    seats: Vec<Seat>,
    /// Where who sits, by the slot of its id.
    slots: Vec<Slot>,
    /// The slot that a joiner gets, when one has been left.
    free: Option<u32>,
    /// Who lodges with whom, by slot. A host without lodgers is not in it.
    lodgings: BTreeMap<MemberId, Vec<Edge>>,
}

/// A place that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seat {
    /// By whom.
    member: MemberId,
    /// The link to the place above. The root has none.
    link: Option<LinkId>,
}

/// What a member's id leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    /// A member.
    Taken {
        /// The rest of its id: another id with this slot is of one who left.
        stamp: Stamp,
        /// Where it sits.
        place: Place,
    },
    /// A member without a place.
    Lodging {
        /// The rest of its id.
        stamp: Stamp,
        /// The slot of its host.
        host: u32,
    },
    /// Nobody any more.
    Free {
        /// The slot that was left before this one, and not given since.
        next: Option<u32>,
    },
}

impl Tree {
    /// A channel without members in a new life of its controller. A fan-out of 0 counts as 1.
    #[must_use]
    pub fn new(epoch: ControllerEpoch, fan_out: FanOut) -> Self {
        Self {
            shape: Shape::new(fan_out),
            stamp: Stamp { epoch, serial: 0 },
            seats: Vec::new(),
            slots: Vec::new(),
            free: None,
            lodgings: BTreeMap::new(),
        }
    }

    /// A stamp that nothing else has or gets; `None` when this life of the controller has no more.
    #[must_use]
    pub fn stamp(&mut self) -> Option<Stamp> {
        self.stamps(1)?.next()
    }

    /// The life of the controller whose stamps it gives.
    #[must_use]
    pub fn epoch(&self) -> ControllerEpoch {
        self.stamp.epoch
    }

    /// How many stamps this life of the controller still has. A join takes 2, a departure at most F + 1, a swap
    /// at most 2F + 2, a step of a reshape 1. Before they run out the controller must begin another life.
    #[must_use]
    pub fn stamps_left(&self) -> u32 {
        u32::MAX.saturating_sub(self.stamp.serial)
    }

    /// Seats a new member at the next place and tells it and its parent. `None` if no stamp or place is left.
    pub fn join(&mut self, out: &mut impl Effects<MemberId>) -> Option<MemberId> {
        let place = Place(self.len());
        place.next()?;
        let slot = self.next_slot()?;
        let parent = self.shape.parent(place).and_then(|above| self.member(above));
        let mut stamps = self.stamps(if parent.is_some() { 2 } else { 1 })?;
        let stamp = stamps.next()?;
        let member = MemberId { stamp, slot };
        if self.slots.is_empty() {
            // Many a channel has one member for long.
            self.seats.reserve_exact(1);
            self.slots.reserve_exact(1);
        }
        self.seats.push(Seat { member, link: stamps.next().map(LinkId) });
        self.fill_slot(slot, Slot::Taken { stamp, place });
        out.push(member);
        if let Some(parent) = parent {
            out.push(parent);
        }
        Some(member)
    }

    /// Removes a member, whether it leaves or died. The member of the last place takes its place; if it has lodgers, they
    /// do.
    ///
    /// Tells those who moved, both their parents, and their new children. False if there is no such member or no
    /// stamp is left.
    pub fn leave(&mut self, member: MemberId, out: &mut impl Effects<MemberId>) -> bool {
        self.remove(member, out).is_some()
    }

    /// Does `leave`; `None` for false.
    fn remove(&mut self, member: MemberId, out: &mut impl Effects<MemberId>) -> Option<()> {
        if let Some(host) = self.lodging(member) {
            self.move_out(member, host.member, out);
            return Some(());
        }
        let hole = self.place(member)?;
        if self.lodgings.contains_key(&member) {
            return self.succeed(member, out);
        }
        self.vacate(hole, out)?;
        self.free_slot(member.slot);
        Some(())
    }

    /// Lets the member of the last place take this one, whoever sat there.
    fn vacate(&mut self, hole: Place, out: &mut impl Effects<MemberId>) -> Option<()> {
        let last = Place(self.len().checked_sub(1)?);
        let above = self.shape.parent(hole);
        if hole == last {
            self.seats.pop()?;
            self.tell(above, out);
        } else {
            let from = self.shape.parent(last);
            let below = self.shape.children(hole, last.0);
            let keeps_link = above == from;
            let fresh = count(below.clone()).saturating_add(u32::from(above.is_some() && !keeps_link));
            let mut links = self.stamps(fresh)?.map(LinkId);
            let filler = self.seats.pop()?;
            let link = match above {
                Some(_) if keeps_link => filler.link,
                Some(_) => links.next(),
                None => None,
            };
            self.sit(hole, Seat { link, ..filler }, out);
            self.tell(above, out);
            self.relink(below, links, out);
            // Who was above the filler lost a child, and may have been told already.
            let told =
                |place| place == hole || Some(place) == above || self.shape.parent(place) == Some(hole);
            self.tell(from.filter(|place| !told(*place)), out);
        }
        self.shape.settle(self.len());
        Some(())
    }

    /// Lets two members change places. Tells them, their parents and their children.
    ///
    /// False if there are no such two members, or no stamp is left.
    pub fn swap(&mut self, a: MemberId, b: MemberId, out: &mut impl Effects<MemberId>) -> bool {
        self.exchange(a, b, out).is_some()
    }

    /// Does `swap`; `None` for false.
    fn exchange(&mut self, a: MemberId, b: MemberId, out: &mut impl Effects<MemberId>) -> Option<()> {
        let (a, b) = (self.place(a)?, self.place(b)?);
        if a == b {
            return None;
        }
        let (upper, lower) = (a.min(b), a.max(b));
        let (above_upper, above_lower) = (self.shape.parent(upper), self.shape.parent(lower));
        let (below_upper, below_lower) = (self.below(upper), self.below(lower));
        let below_upper = below_upper.filter(move |place| *place != lower.0);
        let siblings = above_upper == above_lower;
        let parents = if siblings { 0 } else { 1_u32.saturating_add(u32::from(above_upper.is_some())) };
        let fresh = count(below_upper.clone()).saturating_add(count(below_lower.clone()));
        let (down, up) = (*self.seat(upper)?, *self.seat(lower)?);
        let mut links = self.stamps(fresh.saturating_add(parents))?.map(LinkId);
        let (up_link, down_link) = if siblings {
            (up.link, down.link)
        } else {
            (above_upper.and_then(|_| links.next()), links.next())
        };
        self.sit(upper, Seat { link: up_link, ..up }, out);
        self.sit(lower, Seat { link: down_link, ..down }, out);
        self.tell(above_upper, out);
        // The parent of the lower may be the upper, its parent or its child, and has been told then, or will be.
        let told = |place| place == upper || siblings || self.shape.parent(place) == Some(upper);
        self.tell(above_lower.filter(|place| !told(*place)), out);
        self.relink(below_upper.chain(below_lower), links, out);
        Some(())
    }

    /// Gives the link between a member and its parent or host a new id and tells both. False if there is none, or no
    /// stamp is left.
    pub fn renew(&mut self, member: MemberId, out: &mut impl Effects<MemberId>) -> bool {
        if let Some(host) = self.lodging(member) {
            return self.relink_lodger(member, host.member, out).is_some();
        }
        let place = self.place(member);
        let Some((place, above)) = place.and_then(|place| Some((place, self.shape.parent(place)?))) else {
            return false;
        };
        let Some(links) = self.stamps(1) else { return false };
        self.relink(core::iter::once(place.0), links.map(LinkId), out);
        self.tell(Some(above), out);
        true
    }

    /// Begins to change the fan-out; a target of 0 counts as 1. Nobody is told before the first step.
    ///
    /// False while another change is under way, or if the fan-out is that already. A tree without members is
    /// changed at once.
    pub fn reshape(&mut self, target: FanOut) -> bool {
        let len = self.len();
        self.shape.change(target, len)
    }

    /// Moves one place on with a change of the fan-out. Tells the member there, its old and its new parent, or
    /// nobody if that is the same.
    ///
    /// Answers whether the change is still under way after this step, and false if no stamp is left.
    pub fn reshape_step(&mut self, out: &mut impl Effects<MemberId>) -> bool {
        self.reparent(out).is_some() && self.shape.changes_to().is_some()
    }

    /// Does `reshape_step`; `None` if nothing was done.
    fn reparent(&mut self, out: &mut impl Effects<MemberId>) -> Option<()> {
        let (place, shape) = self.shape.step()?;
        let (old, new) = (self.shape.parent(place), shape.parent(place));
        if old != new {
            let links = self.stamps(1)?.map(LinkId);
            self.relink(core::iter::once(place.0), links, out);
            self.tell(old, out);
            self.tell(new, out);
        }
        self.shape = shape;
        self.shape.settle(self.len());
        Some(())
    }

    /// What a member must know.
    #[must_use]
    pub fn assignment(&self, member: MemberId) -> Option<Assignment> {
        let there = self.contains(member);
        there.then(|| Assignment {
            place: self.place(member),
            parent: self.uplink(member),
            children: self.downlinks(member).collect(),
        })
    }

    /// Where a member sits; a lodger sits nowhere.
    #[must_use]
    pub fn place(&self, member: MemberId) -> Option<Place> {
        match self.slots.get(member.slot as usize)? {
            Slot::Taken { stamp, place } => (*stamp == member.stamp).then_some(*place),
            Slot::Lodging { .. } | Slot::Free { .. } => None,
        }
    }

    /// Who sits at a place.
    #[must_use]
    pub fn member(&self, place: Place) -> Option<MemberId> {
        self.seat(place).map(|seat| seat.member)
    }

    /// Whether the member is in the tree.
    #[must_use]
    pub fn contains(&self, member: MemberId) -> bool {
        self.place(member).is_some() || self.lodging(member).is_some()
    }

    /// The member at place 0.
    #[must_use]
    pub fn root(&self) -> Option<MemberId> {
        self.member(Place(0))
    }

    /// How many members have a place.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.seats.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none. Then nobody lodges either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Who is above a member.
    #[must_use]
    pub fn parent(&self, member: MemberId) -> Option<Edge> {
        let place = self.place(member)?;
        let above = self.member(self.shape.parent(place)?)?;
        Some(Edge { member: above, link: self.seat(place)?.link? })
    }

    /// Who is below a member, by place; without its lodgers.
    pub fn children(&self, member: MemberId) -> impl Iterator<Item = Edge> {
        let places = self.place(member).map(|place| self.below(place));
        places.into_iter().flatten().filter_map(|place| {
            let Seat { member, link } = *self.seat(Place(place))?;
            Some(Edge { member, link: link? })
        })
    }

    /// All members that have a place, by place.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = MemberId> + ExactSizeIterator {
        self.seats.iter().map(|seat| seat.member)
    }

    /// How many children a place may have: during a change the larger of the old and the new fan-out.
    #[must_use]
    pub fn fan_out(&self) -> FanOut {
        self.shape.wide
    }

    /// The fan-out that a change leads to, while one is under way.
    #[must_use]
    pub fn reshapes_to(&self) -> Option<FanOut> {
        self.shape.changes_to()
    }

    /// The steps from the last place, which is as deep as any, to the root. It walks them.
    #[must_use]
    pub fn depth(&self) -> u32 {
        let last = Place(self.len().saturating_sub(1));
        let steps = core::iter::successors(self.shape.parent(last), |place| self.shape.parent(*place));
        u32::try_from(steps.count()).unwrap_or(u32::MAX)
    }

    /// The places below a place.
    fn below(&self, place: Place) -> Places {
        self.shape.children(place, self.len())
    }

    /// What is at a place.
    fn seat(&self, place: Place) -> Option<&Seat> {
        self.seats.get(place.0 as usize)
    }

    /// An entry of the slot table.
    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)
    }

    /// The slot of whoever comes next.
    fn next_slot(&self) -> Option<u32> {
        self.free.or_else(|| u32::try_from(self.slots.len()).ok())
    }

    /// Gives that slot away.
    fn fill_slot(&mut self, slot: u32, to: Slot) {
        match self.slot_mut(slot) {
            Some(entry) => {
                if let Slot::Free { next } = core::mem::replace(entry, to) {
                    self.free = next;
                }
            }
            None => self.slots.push(to),
        }
    }

    /// Nobody has this slot any more.
    fn free_slot(&mut self, slot: u32) {
        let free = Slot::Free { next: self.free };
        if let Some(entry) = self.slot_mut(slot) {
            *entry = free;
            self.free = Some(slot);
        }
    }

    /// Takes the next so many stamps, all or none.
    fn stamps(&mut self, count: u32) -> Option<impl Iterator<Item = Stamp> + use<>> {
        let Stamp { epoch, serial } = self.stamp;
        let last = serial.checked_add(count)?;
        self.stamp.serial = last;
        Some((serial..last).map(move |before| Stamp { epoch, serial: before.saturating_add(1) }))
    }

    /// Puts a member on a place and tells it.
    fn sit(&mut self, place: Place, seat: Seat, out: &mut impl Effects<MemberId>) {
        if let Some(entry) = self.seats.get_mut(place.0 as usize) {
            *entry = seat;
        }
        if let Some(entry) = self.slot_mut(seat.member.slot) {
            *entry = Slot::Taken { stamp: seat.member.stamp, place };
        }
        out.push(seat.member);
    }

    /// Gives the members of these places new links to their parents and tells them.
    fn relink(
        &mut self,
        places: impl Iterator<Item = u32>,
        links: impl Iterator<Item = LinkId>,
        out: &mut impl Effects<MemberId>,
    ) {
        for (place, link) in places.zip(links) {
            if let Some(seat) = self.seats.get_mut(place as usize) {
                seat.link = Some(link);
                out.push(seat.member);
            }
        }
    }

    /// Tells the member of a place, if there is one.
    fn tell(&self, place: Option<Place>, out: &mut impl Effects<MemberId>) {
        if let Some(member) = place.and_then(|place| self.member(place)) {
            out.push(member);
        }
    }
}

/// How many places there are.
fn count(places: impl Iterator<Item = u32>) -> u32 {
    u32::try_from(places.count()).unwrap_or(u32::MAX)
}

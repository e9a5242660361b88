//! Lodgers: members without a place of their own, who hang under the one that has a place for all of their machine.
//!
//! ```text
//!            0               a daemon (here at place 1) has its place's children, and beside them its lodgers: it is
//!        /       \           reached once for all of them
//!       1~~a~b    2
//!     /   \
//!    3     4
//! ```
//!
//! A lodger has a link to its host and nobody below it. It is no child of the tree: it counts neither for the fan-out nor
//! for the depth, never fills a hole and is never the root. Who hosts moves with its lodgers, whose links stay as they
//! are. When the host goes, one of them takes its place and the others join at the end.
//!
//! Where values are combined in the order of a walk, that of a host comes first, then those of its lodgers by slot, then
//! those of its children's subtrees by place (R3).
//!
//! As all operations of a tree these tell those whom they concern, each once, and change nothing if they cannot be done.
//! Who is on which machine is the controller's to know.

use alloc::vec::Vec;

use super::{Edge, Seat, Slot, Tree, count};
use crate::ids::{LinkId, MemberId, Place};
use crate::machine::Effects;

impl Tree {
    /// A new member that lodges with this one. Tells the two. `None` if there is no such host, or no stamp is left.
    pub fn lodge(&mut self, host: MemberId, out: &mut impl Effects<MemberId>) -> Option<MemberId> {
        self.place(host)?;
        let slot = self.next_slot()?;
        let mut stamps = self.stamps(2)?;
        let member = MemberId { stamp: stamps.next()?, slot };
        let link = stamps.next().map(LinkId)?;
        self.fill_slot(slot, Slot::Lodging { stamp: member.stamp, host: host.slot });
        self.take_in(host, Edge { member, link });
        out.push(member);
        out.push(host);
        Some(member)
    }

    /// A new member that takes this one's place, and this one as its lodger. Tells both, and who is above and below.
    ///
    /// `None` if there is no such member, if it has lodgers, or if too few stamps are left.
    pub fn replace(&mut self, member: MemberId, out: &mut impl Effects<MemberId>) -> Option<MemberId> {
        let place = self.place(member)?;
        if self.lodgings.contains_key(&member) {
            return None;
        }
        let slot = self.next_slot()?;
        let (above, below) = (self.shape.parent(place), self.below(place));
        let fresh = count(below.clone()).saturating_add(u32::from(above.is_some()));
        let mut stamps = self.stamps(fresh.saturating_add(2))?;
        let newcomer = MemberId { stamp: stamps.next()?, slot };
        let mut links = stamps.map(LinkId);
        let lodging = links.next()?;
        self.fill_slot(slot, Slot::Taken { stamp: newcomer.stamp, place });
        let link = above.and_then(|_| links.next());
        self.sit(place, Seat { member: newcomer, link }, out);
        self.tell(above, out);
        self.relink(below, links, out);
        *self.slot_mut(member.slot)? = Slot::Lodging { stamp: member.stamp, host: slot };
        self.take_in(newcomer, Edge { member, link: lodging });
        out.push(member);
        Some(newcomer)
    }

    /// A member leaves its place and lodges with another. Tells the two, and those whom its departure concerns.
    ///
    /// False if one of them has no place, if the one that moves has lodgers, or if too few stamps are left.
    pub fn move_in(&mut self, member: MemberId, host: MemberId, out: &mut impl Effects<MemberId>) -> bool {
        self.give_up(member, host, out).is_some()
    }

    /// Does `move_in`; `None` for false.
    fn give_up(&mut self, member: MemberId, host: MemberId, out: &mut impl Effects<MemberId>) -> Option<()> {
        let (hole, _) = (self.place(member)?, self.place(host)?);
        // A departure takes no more than the fan-out and one, and the lodging one.
        let enough = self.stamps_left() >= self.fan_out().0.saturating_add(2);
        if member == host || self.lodgings.contains_key(&member) || !enough {
            return None;
        }
        let mut told = Vec::new();
        self.vacate(hole, &mut told)?;
        let link = self.stamp().map(LinkId)?;
        *self.slot_mut(member.slot)? = Slot::Lodging { stamp: member.stamp, host: host.slot };
        self.take_in(host, Edge { member, link });
        told.push(member);
        if !told.contains(&host) {
            told.push(host);
        }
        told.into_iter().for_each(|member| out.push(member));
        Some(())
    }

    /// Who hosts a lodger, and over which link.
    #[must_use]
    pub fn lodging(&self, member: MemberId) -> Option<Edge> {
        let Slot::Lodging { stamp, host } = *self.slots.get(member.slot as usize)? else { return None };
        let Slot::Taken { place, .. } = *self.slots.get(host as usize)? else { return None };
        let host = self.member(place).filter(|_| stamp == member.stamp)?;
        let lodgers = self.lodgings.get(&host)?;
        let link = lodgers.iter().find(|edge| edge.member == member)?.link;
        Some(Edge { member: host, link })
    }

    /// Who lodges with a member, by slot.
    pub fn lodgers(&self, host: MemberId) -> impl Iterator<Item = Edge> {
        self.lodgings.get(&host).into_iter().flatten().copied()
    }

    /// Who is above a member, or hosts it.
    #[must_use]
    pub fn uplink(&self, member: MemberId) -> Option<Edge> {
        self.parent(member).or_else(|| self.lodging(member))
    }

    /// Who is below a member: its lodgers by slot, and then its children by place. In this order values are combined.
    pub fn downlinks(&self, member: MemberId) -> impl Iterator<Item = Edge> {
        self.lodgers(member).chain(self.children(member))
    }

    /// All members: those that have a place, and then those that lodge.
    pub fn everybody(&self) -> impl Iterator<Item = MemberId> {
        self.members().chain(self.lodgings.values().flatten().map(|edge| edge.member))
    }

    /// Gives the link between a lodger and its host a new id, and tells both.
    pub(super) fn relink_lodger(
        &mut self,
        member: MemberId,
        host: MemberId,
        out: &mut impl Effects<MemberId>,
    ) -> Option<()> {
        let link = self.stamp().map(LinkId)?;
        let lodger = self.lodgings.get_mut(&host)?.iter_mut().find(|edge| edge.member == member)?;
        lodger.link = link;
        out.push(member);
        out.push(host);
        Some(())
    }

    /// A lodger goes. Tells its host.
    pub(super) fn move_out(&mut self, member: MemberId, host: MemberId, out: &mut impl Effects<MemberId>) {
        if let Some(lodgers) = self.lodgings.get_mut(&host) {
            lodgers.retain(|edge| edge.member != member);
            if lodgers.is_empty() {
                self.lodgings.remove(&host);
            }
        }
        self.free_slot(member.slot);
        out.push(host);
    }

    /// A host goes: the first of its lodgers has its place, and the others join at the end. Tells them, and who is above
    /// and below.
    pub(super) fn succeed(&mut self, host: MemberId, out: &mut impl Effects<MemberId>) -> Option<()> {
        let place = self.place(host)?;
        let lodgers = self.lodgings.get(&host)?.clone();
        let (heir, others) = lodgers.split_first()?;
        let (above, below) = (self.shape.parent(place), self.below(place));
        let more = u32::try_from(others.len()).ok()?;
        self.len().checked_add(more)?;
        let fresh = count(below.clone()).saturating_add(u32::from(above.is_some()));
        let mut links = self.stamps(fresh.checked_add(more)?)?.map(LinkId);
        let mut told = Vec::new();
        let link = above.and_then(|_| links.next());
        self.sit(place, Seat { member: heir.member, link }, &mut told);
        self.tell(above, &mut told);
        self.relink(below, &mut links, &mut told);
        for (Edge { member, .. }, link) in others.iter().zip(links) {
            let next = Place(self.len());
            let parent = self.shape.parent(next);
            let seat = Seat { member: *member, link: Some(link) };
            self.seats.push(seat);
            self.sit(next, seat, &mut told);
            self.tell(parent, &mut told);
        }
        self.lodgings.remove(&host);
        self.free_slot(host.slot);
        told.sort_unstable();
        told.dedup();
        told.into_iter().for_each(|member| out.push(member));
        Some(())
    }

    pub(super) fn take_in(&mut self, host: MemberId, lodger: Edge) {
        let lodgers = self.lodgings.entry(host).or_default();
        let at = lodgers.partition_point(|edge| edge.member.slot < lodger.member.slot);
        lodgers.insert(at, lodger);
    }
}

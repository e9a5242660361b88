//! A tree that is put together again from what its members say of themselves.

use alloc::collections::BTreeSet;

use super::{Edge, Seat, Slot, Tree};
use crate::ids::{LinkId, MemberId, Place, Stamp};

impl Tree {
    /// Seats these members, by place, in a tree that has nobody yet, and lets these lodge with these hosts. A link that
    /// both its ends know stays; `known` tells it, given the member and who is above it. All others are new.
    ///
    /// False, and nothing has changed, if somebody is there already, if two have one slot, if a host has no place, or if
    /// too few stamps are left. It takes time and memory for every slot up to the highest.
    pub fn restore(
        &mut self,
        members: &[MemberId],
        lodgers: &[(MemberId, MemberId)],
        known: impl Fn(MemberId, MemberId) -> Option<LinkId>,
    ) -> bool {
        self.seat_all(members, lodgers, known).is_some()
    }

    /// Does `restore`; `None` for false.
    fn seat_all(
        &mut self,
        members: &[MemberId],
        lodgers: &[(MemberId, MemberId)],
        known: impl Fn(MemberId, MemberId) -> Option<LinkId>,
    ) -> Option<()> {
        if !self.slots.is_empty() {
            return None;
        }
        let mut tree = self.clone();
        let everybody = || members.iter().copied().chain(lodgers.iter().map(|(lodger, _)| *lodger));
        let mut used: BTreeSet<Stamp> = everybody().map(|member| member.stamp).collect();
        let mut link = |tree: &mut Self, below: MemberId, above: MemberId| {
            let known = known(below, above).filter(|link| link.0 <= tree.stamp);
            match known.filter(|link| used.insert(link.0)) {
                Some(link) => Some(link),
                None => tree.stamp().map(LinkId),
            }
        };
        let slots =
            everybody().map(|member| member.slot).max().map_or(Some(0), |last| last.checked_add(1))?;
        tree.slots.resize(slots as usize, Slot::Free { next: None });
        for (place, member) in (0..).map(Place).zip(members) {
            tree.give(*member, Slot::Taken { stamp: member.stamp, place })?;
            let above = tree.shape.parent(place);
            let above = above.map(|above| members.get(above.0 as usize).copied());
            let link = match above {
                Some(above) => Some(link(&mut tree, *member, above?)?),
                None => None,
            };
            tree.seats.push(Seat { member: *member, link });
        }
        for (lodger, host) in lodgers {
            tree.give(*lodger, Slot::Lodging { stamp: lodger.stamp, host: host.slot })?;
            tree.place(*host)?;
            let link = link(&mut tree, *lodger, *host)?;
            tree.take_in(*host, Edge { member: *lodger, link });
        }
        for slot in 0..slots {
            let next = tree.free;
            if let Some(Slot::Free { next: entry }) = tree.slot_mut(slot) {
                *entry = next;
                tree.free = Some(slot);
            }
        }
        tree.shape.settle(tree.len());
        *self = tree;
        Some(())
    }

    /// Gives a member the slot of its id, if nobody has it.
    fn give(&mut self, member: MemberId, to: Slot) -> Option<()> {
        let entry = self.slot_mut(member.slot)?;
        match entry {
            Slot::Free { .. } => *entry = to,
            Slot::Taken { .. } | Slot::Lodging { .. } => return None,
        }
        Some(())
    }
}

//! A tree that is put together again from what its members say of themselves.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Seat, Slot, Tree};
use crate::ids::{LinkId, MemberId, Place, Stamp};

impl Tree {
    /// Seats these members, by place, in a tree that has nobody yet. A link that both its ends know stays; `known`
    /// tells it, given the member and who is above it. All others are new.
    ///
    /// False, and nothing has changed, if somebody is there already, if two have one slot, or if too few stamps are
    /// left. It takes time and memory for every slot up to the highest.
    pub fn restore(
        &mut self,
        members: &[MemberId],
        known: impl Fn(MemberId, MemberId) -> Option<LinkId>,
    ) -> bool {
        self.seat_all(members, known).is_some()
    }

    /// Does `restore`; `None` for false.
    fn seat_all(
        &mut self,
        members: &[MemberId],
        known: impl Fn(MemberId, MemberId) -> Option<LinkId>,
    ) -> Option<()> {
        if !self.slots.is_empty() {
            return None;
        }
        let mut tree = self.clone();
        let slots =
            members.iter().map(|member| member.slot).max().map_or(Some(0), |last| last.checked_add(1))?;
        let mut stamps: Vec<Option<(Stamp, Place)>> = Vec::new();
        stamps.resize(slots as usize, None);
        let mut used: BTreeSet<Stamp> = members.iter().map(|member| member.stamp).collect();
        for (place, member) in (0..).map(Place).zip(members) {
            let entry = stamps.get_mut(member.slot as usize)?;
            if entry.replace((member.stamp, place)).is_some() {
                return None;
            }
            let link = match tree.shape.parent(place) {
                Some(above) => {
                    let above = members.get(above.0 as usize)?;
                    let known = known(*member, *above).filter(|link| link.0 <= tree.stamp);
                    Some(match known.filter(|link| used.insert(link.0)) {
                        Some(link) => link,
                        None => LinkId(tree.stamp()?),
                    })
                }
                None => None,
            };
            tree.seats.push(Seat { member: *member, link });
        }
        for (slot, entry) in (0..).zip(stamps) {
            tree.slots.push(match entry {
                Some((stamp, place)) => Slot::Taken { stamp, place },
                None => {
                    let next = tree.free.replace(slot);
                    Slot::Free { next }
                }
            });
        }
        tree.shape.settle(tree.len());
        *self = tree;
        Some(())
    }
}

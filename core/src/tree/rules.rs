//! What a tree promises, as functions of one state; the rules of the controller call them on its channels.
//!
//! They go through all members, and take each fact from another side than the operations do: children are
//! counted from their parents, and depths from the widths of levels.

use super::{Slot, Tree};
use crate::ids::{FanOut, LinkId, Place, Stamp};
use alloc::vec::Vec;

/// T1: the members form one tree. Ids and places lead to each other, everybody but the root has a link to a
/// parent that counts it among its children, lodgers and their hosts know each other, no stamp is in use twice or newer than the last one given, and every
/// slot that nobody has is on the list of free ones.
#[must_use]
pub fn spanning(tree: &Tree) -> bool {
    let mut stamps: Vec<Stamp> = Vec::with_capacity(tree.seats.len().saturating_mul(2));
    for (place, seat) in (0..).map(Place).zip(&tree.seats) {
        let parent = tree.shape.parent(place);
        let hangs = match parent {
            Some(above) => above < place && tree.below(above).filter(|child| *child == place.0).count() == 1,
            None => place == Place(0),
        };
        if !hangs || seat.link.is_some() != parent.is_some() || tree.place(seat.member) != Some(place) {
            return false;
        }
        stamps.push(seat.member.stamp);
        stamps.extend(seat.link.map(|LinkId(stamp)| stamp));
    }
    for (host, lodgers) in &tree.lodgings {
        let by_slot = lodgers.iter().zip(lodgers.iter().skip(1));
        let sorted = by_slot.fold(true, |sorted, (one, next)| sorted && one.member.slot < next.member.slot);
        if lodgers.is_empty() || !sorted || tree.place(*host).is_none() {
            return false;
        }
        for lodger in lodgers {
            let hosted = tree.lodging(lodger.member);
            if hosted.is_none_or(|edge| edge.member != *host || edge.link != lodger.link) {
                return false;
            }
            stamps.extend([lodger.member.stamp, lodger.link.0]);
        }
    }
    stamps.sort_unstable();
    let unique = stamps.windows(2).all(|pair| pair.first() < pair.last());
    let known = stamps.last().is_none_or(|newest| *newest <= tree.stamp);
    unique && known && free_slots(tree) == tree.slots.len().checked_sub(tree.everybody().count())
}

/// How long the list of free slots is; `None` if it leads to one that is not free, or in a circle.
fn free_slots(tree: &Tree) -> Option<usize> {
    let mut length = 0_usize;
    let mut next = tree.free;
    while let Some(slot) = next {
        next = match tree.slots.get(slot as usize)? {
            Slot::Free { next } => *next,
            Slot::Taken { .. } | Slot::Lodging { .. } => return None,
        };
        length = length.checked_add(1).filter(|length| *length <= tree.slots.len())?;
    }
    Some(length)
}

/// T2: nobody has more children than the fan-out, during a change the larger one.
#[must_use]
pub fn degree(tree: &Tree) -> bool {
    let FanOut(most) = tree.fan_out();
    // Parents rise with the places, so the children of one stand side by side; if they did not, `spanning` sees it.
    let mut counted = (None, 0_u32);
    (0..tree.len()).map(Place).all(|place| {
        let parent = tree.shape.parent(place);
        let before = if counted.0 == parent { counted.1 } else { 0 };
        counted = (parent, before.saturating_add(1));
        counted.1 <= most
    })
}

/// T3: the last place is as deep as in the complete tree; during a change, between the complete trees of both
/// fan-outs.
#[must_use]
pub fn depth(tree: &Tree) -> bool {
    let shallowest = complete_depth(tree.shape.wide, tree.len());
    let deepest = complete_depth(tree.shape.narrow, tree.len());
    (shallowest..=deepest).contains(&tree.depth())
}

/// The depth of the last of `len` places that fill level after level.
fn complete_depth(FanOut(fan_out): FanOut, len: u32) -> u32 {
    if fan_out <= 1 {
        return len.saturating_sub(1);
    }
    let (mut depth, mut width, mut room) = (0_u32, 1_u32, 1_u32);
    while room < len {
        width = width.saturating_mul(fan_out);
        room = room.saturating_add(width);
        depth = depth.saturating_add(1);
    }
    depth
}

//! Which place hangs under which: arithmetic on places alone, whoever sits there.
//!
//! ```text
//!  0 1 2 3 4 | 5 6 7 8 9      wide = 3, narrow = 2, boundary = 5
//!    0 0 0 1 | 2 2 3 3 4      the parent of each: (c - 1) / 3 before the boundary, (c - 1) / 2 from it on
//! ```
//!
//! With wide >= narrow, parents rise with the places: inside either part, and across the boundary because
//! (c - 1) / wide <= (c - 1) / narrow. Three things follow.
//!
//! - **Degree.** Nobody has more than `wide` children. If p has children on one side only, that side's formula
//!   gives at most `wide`. If it has some on both, each wide child c has p * narrow + 1 <= p * wide + 1 <= c, and
//!   c < boundary <= a narrow child <= p * narrow + narrow: so all of them lie in the `narrow` places from
//!   p * narrow + 1 on, and are at most `narrow`.
//! - **Depth.** It rises with the place, so the last place is deepest; and it lies between the depths in the
//!   complete trees of `wide` and of `narrow`, because the parent lies between theirs.
//! - **One step of the boundary** changes the formula, and so the parent, of one place.

use crate::ids::{FanOut, Place};
use core::iter::Chain;
use core::ops::Range;

/// The shape of a tree. At rest `wide`, `narrow` and `target` are equal and the boundary is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// The fan-out of the places before the boundary. Never less than `narrow`.
    pub(super) wide: FanOut,
    /// The fan-out of the places from the boundary on. At least 1.
    pub(super) narrow: FanOut,
    /// The first place that hangs by `narrow`.
    pub(super) boundary: Place,
    /// Which of the two remains when the boundary has arrived.
    pub(super) target: FanOut,
}

/// Places in rising order, as numbers.
pub(super) type Places = Chain<Range<u32>, Range<u32>>;

impl Shape {
    /// A complete tree; a fan-out of 0 counts as 1.
    pub(super) fn new(fan_out: FanOut) -> Self {
        let fan_out = at_least_one(fan_out);
        Self { wide: fan_out, narrow: fan_out, boundary: Place(0), target: fan_out }
    }

    /// The fan-out that a change leads to, while one is under way.
    pub(super) fn changes_to(&self) -> Option<FanOut> {
        (self.wide != self.narrow).then_some(self.target)
    }

    /// The place above; the root has none.
    pub(super) fn parent(&self, place: Place) -> Option<Place> {
        let fan_out = if place < self.boundary { self.wide } else { self.narrow };
        place.0.checked_sub(1)?.checked_div(fan_out.0).map(Place)
    }

    /// The places below, among the first `len`.
    pub(super) fn children(&self, place: Place, len: u32) -> Places {
        // Places are less than `len`, so what saturates lies behind all of them.
        let below = |FanOut(fan_out)| {
            let first = place.0.saturating_mul(fan_out).saturating_add(1);
            first..first.saturating_add(fan_out).min(len)
        };
        let (wide, narrow) = (below(self.wide), below(self.narrow));
        (wide.start..wide.end.min(self.boundary.0)).chain(narrow.start.max(self.boundary.0)..narrow.end)
    }

    /// Begins a change of a tree of `len` places. False while another is under way or if there is none to make.
    pub(super) fn change(&mut self, target: FanOut, len: u32) -> bool {
        let target = at_least_one(target);
        if self.wide != self.narrow || self.wide == target {
            return false;
        }
        if target > self.wide {
            *self = Self { wide: target, target, ..*self };
        } else {
            *self = Self { narrow: target, boundary: Place(len), target, ..*self };
        }
        self.settle(len);
        true
    }

    /// The place whose formula is the next to change, and the shape after that. None when no change is under way.
    pub(super) fn step(&self) -> Option<(Place, Self)> {
        let target = self.changes_to()?;
        if target == self.wide {
            let boundary = self.boundary.next()?;
            Some((self.boundary, Self { boundary, ..*self }))
        } else {
            let boundary = Place(self.boundary.0.checked_sub(1)?);
            Some((boundary, Self { boundary, ..*self }))
        }
    }

    /// Ends a change whose boundary has passed all of `len` places, and lets the boundary of a narrowing follow
    /// when the last places go, so that a later join hangs by the target already. Changes nobody's parent.
    pub(super) fn settle(&mut self, len: u32) {
        let Some(target) = self.changes_to() else { return };
        let arrived = if target == self.wide {
            self.boundary.0 >= len
        } else {
            self.boundary = self.boundary.min(Place(len));
            self.boundary.0 == 0
        };
        if arrived {
            *self = Self::new(target);
        }
    }
}

/// A place that may have no child would be the end of the tree.
fn at_least_one(fan_out: FanOut) -> FanOut {
    fan_out.max(FanOut(1))
}

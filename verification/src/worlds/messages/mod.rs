//! Messages between members.

pub(crate) mod alone;

use super::World;

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    alone::worlds().into()
}

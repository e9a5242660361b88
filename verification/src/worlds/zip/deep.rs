//! Worlds that take minutes each.

use super::broadcast::{SEVEN, SUSPECT, TWO};
use super::reduce::SUM_JOIN;
use super::witnesses::*;
use super::{Golden, SMALL, Small, World, system, world};
use crate::zip::Fault;

const DEEP_TWO: Small =
    Small { members: 5, sends: &[(3, 2)], witnesses: &[DELIVERED, CARRIED, PULLED, FILLER_DEAD], ..TWO };
const DEEP_SEVEN: Small = Small {
    prologue: |_| None,
    mortal: &[0, 1],
    faults: &[(Fault::Crash, 2)],
    witnesses: &[DELIVERED, CARRIED, PULLED, GRANDCHILD],
    ..SEVEN
};
const DEEP_LEAVE: Small = Small {
    sends: &[(1, 2), (0, 1)],
    faults: &[(Fault::Leave, 1), (Fault::Crash, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, LEFT],
    ..SMALL
};
const DEEP_SUSPECT: Small = Small {
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1), (Fault::Crash, 1)],
    sends: &[(1, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, DEPOSED],
    ..SUSPECT
};
const DEEP_SUM: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (3, 1)],
    faults: &[(Fault::Join, 2)],
    ..SUM_JOIN
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("deep-two", "two of five die in the midst of a broadcast", (0, 0), DEEP_TWO, true),
        world!("deep-seven", "two of seven die", (0, 0), DEEP_SEVEN, true),
        world!("deep-leave", "one leaves, one dies, two send", (0, 0), DEEP_LEAVE, true),
        world!("deep-suspect", "one is declared dead that lives, one dies", (0, 0), DEEP_SUSPECT, true),
        world!("deep-sum", "two reduces, two join", (0, 0), DEEP_SUM, true),
    ]
}

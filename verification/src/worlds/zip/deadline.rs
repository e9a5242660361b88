//! Reduces with a deadline.

use super::reduce::SUM;
use super::witnesses::*;
use super::{Small, World, system};
use crate::zip::Fault;

/// Somebody's second piece may come when the first ones are combined already without it.
const LATE: Small = Small {
    quorum: Some(2),
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::Hurry, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, LATE_NAMED, LATE_TOLD, ALL_IN],
    ..SUM
};
/// Only the last of a chain ever gives a value, and it is enough.
const LATE_SILENT: Small = Small {
    fan_out: 1,
    quorum: Some(1),
    sends: &[(2, 1), (2, 1)],
    faults: &[],
    witnesses: &[LATE_NAMED],
    ..LATE
};
/// One is not enough: the root waits on, for all or for the next deadline.
const LATE_QUORUM: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Hurry, 2)],
    witnesses: &[DELIVERED, LATE_NAMED, LATE_TOLD, TOO_FEW, ALL_IN],
    ..LATE
};
const LATE_CRASH: Small = Small {
    quorum: Some(1),
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Hurry, 1), (Fault::Crash, 1)],
    prompt_control: true,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, LATE_NAMED, LATE_TOLD, BOTH_MISSING],
    ..LATE
};
const LATE_CHAIN: Small = Small { fan_out: 1, ..LATE_CRASH };
/// One joins and is not counted for the open round.
const LATE_JOIN: Small = Small {
    members: 2,
    fan_out: 1,
    quorum: Some(1),
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Hurry, 1), (Fault::Join, 1)],
    witnesses: &[DELIVERED, LATE_NAMED, LATE_TOLD],
    ..LATE
};
const LATE_BREAK: Small = Small {
    quorum: Some(1),
    fan_out: 1,
    faults: &[(Fault::Hurry, 1), (Fault::Break, 1)],
    sends: &[(0, 2), (1, 2), (2, 2)],
    witnesses: &[DELIVERED, SPOILED, LATE_NAMED, LATE_TOLD],
    ..LATE
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("late", "a reduce with a deadline", (587, 26), LATE),
        world!("late-silent", "two reduces of one, the others are silent", (53, 33), LATE_SILENT),
        world!("late-quorum", "two reduces, a deadline finds too few", (11_741, 39), LATE_QUORUM),
        world!("late-crash", "a reduce with a deadline, a member dies", (11_633, 26), LATE_CRASH),
        world!("late-chain", "the same along a chain", (12_623, 29), LATE_CHAIN),
        world!("late-join", "a reduce with a deadline, one joins", (28_755, 50), LATE_JOIN),
        world!("late-break", "a reduce with a deadline, a link breaks", (24_211, 39), LATE_BREAK),
    ]
}

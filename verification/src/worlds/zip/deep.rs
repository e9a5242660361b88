//! Worlds that take minutes each.

use super::broadcast::{ROOTS, SUSPECT, TWO};
use super::recovery::{FORGETS_TWO, RESTART_CRASH};
use super::reduce::{SUM_JOIN, SUM_TWO};
use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::zip::Fault;

const DEEP_TWO: Small =
    Small { members: 5, sends: &[(3, 2)], witnesses: &[DELIVERED, CARRIED, PULLED, FILLER_DEAD], ..TWO };
const DEEP_ROOTS: Small = Small { sends: &[(2, 2), (1, 1)], ..ROOTS };
const DEEP_RESTART: Small = Small { faults: &[(Fault::Restart, 1), (Fault::Crash, 2)], ..RESTART_CRASH };
const DEEP_LEAVE: Small = Small {
    sends: &[(1, 2), (0, 1)],
    faults: &[(Fault::Leave, 1), (Fault::Crash, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, LEFT],
    ..SMALL
};
const DEEP_SUM: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (3, 1)],
    faults: &[(Fault::Join, 2)],
    ..SUM_JOIN
};
const DEEP_SUM_TWO: Small = Small { members: 5, sends: &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], ..SUM_TWO };
const DEEP_SUSPECT: Small = Small {
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1), (Fault::Crash, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, CARRIED, DEPOSED, FENCED],
    ..SUSPECT
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("deep-two", "two of five die in the midst of a broadcast", (12_649_518, 83), DEEP_TWO, true),
        world!("deep-sum-two", "a reduce, two of five die", (5_985_237, 59), DEEP_SUM_TWO, true),
        world!("deep-roots", "a root dies, and the next one, two send", (3_603_804, 72), DEEP_ROOTS, true),
        world!("deep-restart", "the controller is restarted, two die", (1_422_699, 57), DEEP_RESTART, true),
        world!("deep-sum", "two reduces, two join", (1_868_025, 91), DEEP_SUM, true),
        world!("deep-leave", "one leaves, one dies, two send", (940_218, 58), DEEP_LEAVE, true),
        world!(
            "deep-forgets",
            "the controller forgets a wrong verdict, two send",
            (1_119_608, 63),
            FORGETS_TWO,
            true
        ),
        world!(
            "deep-suspect",
            "a wrong verdict, a broken link, and one dies",
            (19_589_242, 75),
            DEEP_SUSPECT,
            true
        ),
    ]
}

//! Reduces.

use cirrus_core::member::Kind;

use super::witnesses::*;
use super::{SMALL, Small, World, system};
use crate::zip::{Action, Fault};

pub(super) const SUM: Small = Small {
    kind: Kind::Reduce,
    sends: &[(0, 2), (1, 2), (2, 2), (0, 1), (1, 1), (2, 1)],
    witnesses: &[DELIVERED],
    ..SMALL
};
/// The values of the lower two differ, so that the root's first one may be too late; the next round is one of second
/// values.
const SUM_MISMATCH: Small = Small {
    fan_out: 1,
    sends: &[(0, 1), (1, 1), (2, 2), (0, 1), (1, 1), (2, 1)],
    witnesses: &[MISMATCHED, CALLED_LATE],
    ..SUM
};
/// The second values of two below the root differ, and it dies: the next root must hear so again.
const SUM_MISMATCH_CRASH: Small = Small {
    members: 4,
    sends: &[(0, 1), (1, 1), (2, 1), (3, 1), (0, 1), (1, 1), (2, 2), (3, 1)],
    faults: &[(Fault::Crash, 1)],
    mortal: &[0],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[SUCCEEDED, MISMATCHED],
    ..SUM_MISMATCH
};
const SUM_CRASH: Small = Small {
    sends: &[(0, 2), (1, 2), (2, 2)],
    faults: &[(Fault::Crash, 1)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HALF_SUMMED, SUMMED_WITHOUT, SEAL_CARRIED],
    ..SUM
};
/// A round from which one is missing has no result, and the next one has.
const SUM_STRICT: Small = Small {
    strict: true,
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, STRICT_FAILED, ROOT_NAMED],
    ..SUM_CRASH
};
/// Two are missing, and a head has room for one name.
const SUM_NAMES: Small = Small {
    members: 4,
    named: 1,
    strict: false,
    faults: &[(Fault::Crash, 2)],
    sends: &[(0, 1), (1, 1), (2, 1), (3, 1)],
    prologue: |mesh| mesh.processes[3].alive.then_some(Action::Crash(3, false)),
    mortal: &[0, 1],
    witnesses: &[ROOT_NAMED, MORE],
    ..SUM_STRICT
};
/// Two barriers. That the piece is empty nobody sees here.
const BARRIER: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, AHEAD],
    ..SUM_CRASH
};
const SUM_CHAIN: Small = Small {
    fan_out: 1,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, HALF_SUMMED, SUMMED_WITHOUT],
    ..SUM_CRASH
};
const SUM_BREAK: Small =
    Small { faults: &[(Fault::Break, 2)], prompt_links: true, witnesses: &[DELIVERED, SPOILED], ..SUM_CRASH };
/// A second failure is one too many; that members joined before is none.
const SUM_GIVEN_UP: Small = Small { attempts: 1, witnesses: &[DELIVERED, SPOILED, GIVEN_UP], ..SUM_BREAK };
const SUM_INNER: Small = Small {
    members: 5,
    sends: &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)],
    prompt_control: true,
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT, SEAL_CARRIED],
    ..SUM_CRASH
};
/// A link that is given anew, by relay, spoils what went over the old one.
const SUM_RELAY: Small =
    Small { faults: &[(Fault::Block, 1)], witnesses: &[DELIVERED, SPOILED, RELAYED], ..SUM_CRASH };
pub(super) const SUM_TWO: Small =
    Small { sends: &[(0, 1), (1, 1), (2, 1), (3, 1)], members: 4, faults: &[(Fault::Crash, 2)], ..SUM_INNER };
const SUM_SUSPECT: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Suspect, 1), (Fault::Impatient, 1), (Fault::Break, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT, DEPOSED],
    ..SUM
};
pub(super) const SUM_JOIN: Small = Small {
    members: 2,
    sends: &[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1)],
    faults: &[(Fault::Join, 1)],
    prompt_links: true,
    witnesses: &[DELIVERED, SUMMED_WITHOUT],
    ..SUM
};
const SUM_LEAVE: Small = Small {
    sends: &[(0, 1), (1, 1), (2, 1)],
    faults: &[(Fault::Leave, 2)],
    witnesses: &[DELIVERED, SUCCEEDED, SPOILED, SUMMED_WITHOUT],
    ..SUM
};

/// The worlds of this family.
pub(super) fn worlds() -> Vec<World> {
    vec![
        world!("sum-calm", "two reduces, nothing goes wrong", (198, 27), SUM),
        world!("sum-crash", "a reduce, a member dies", (12_996, 47), SUM_CRASH),
        world!("sum-strict", "two strict reduces, a member dies", (5_787, 32), SUM_STRICT),
        world!("sum-barrier", "two barriers, a member dies", (5_787, 32), BARRIER),
        world!("sum-names", "more are missing than may be named", (6_787, 29), SUM_NAMES),
        world!("sum-inner", "a reduce, an inner member or another dies", (130_369, 44), SUM_INNER),
        world!("sum-mismatch", "values of different sizes", (493, 26), SUM_MISMATCH),
        world!(
            "sum-mismatch-crash",
            "values of different sizes, the root dies",
            (26_825, 51),
            SUM_MISMATCH_CRASH
        ),
        world!("sum-chain", "a reduce along a chain, a member dies", (10_223, 42), SUM_CHAIN),
        world!("sum-two", "a reduce, two die", (243_264, 42), SUM_TWO),
        world!("sum-suspect", "a reduce, one is declared dead that lives", (149_774, 47), SUM_SUSPECT),
        world!("sum-break", "a reduce, links break", (24_873, 42), SUM_BREAK),
        world!("sum-given-up", "a reduce, links break too often", (26_775, 38), SUM_GIVEN_UP),
        world!("sum-relay", "a reduce, two cannot reach each other", (98_494, 56), SUM_RELAY),
        world!("sum-join", "two reduces, one joins", (2_009, 33), SUM_JOIN),
        world!("sum-leave", "a reduce, two leave", (21_427, 42), SUM_LEAVE),
    ]
}

//! The machines of a simulated channel, and the daemons that come to them.
//!
//! They are drawn behind everything else, so that a channel to which none comes is the same as if there were none at all.
//! Shuffles go past daemons: to a channel of them none comes.

use super::plan::{Plan, Planned, ROOM, What};
use super::{Asked, Incident};
use crate::simulator::Random;
use crate::zip::{self, Fault, Setup};

/// No more come to a channel than this.
pub(super) const MOST: u32 = 8;
/// The first of the daemons.
const FIRST: Incident = 10_000;

/// Plans both.
pub(super) fn plan(random: &mut Random, asked: &Asked, plan: &mut Plan, setup: &mut Setup) {
    setup.machines = machines(random, plan.members);
    let none = random.below(3) == 0 || matches!(setup.beside, Some(zip::Plan::Shuffles(_)));
    let (count, span) = (random.between(1, MOST), plan.latency.1 << random.below(12));
    for number in 0..count {
        let (incident, at, luck) = (FIRST + number, random.below(span), random.draw());
        if !none && asked.only.as_ref().is_none_or(|only| only.contains(&incident)) {
            plan.incidents.push(Planned { incident, at, what: What::Fault(Fault::Daemon), luck });
        }
    }
    plan.incidents.sort_by_key(|it| (it.at, it.incident));
}

/// On which machine each of the first members is, and those who join later: on that of somebody who is there.
fn machines(random: &mut Random, members: u32) -> Vec<u64> {
    let size = random.pick(&[1_u64, 2, 3, 8, 64]).copied().unwrap_or(1);
    let (members, room) = (u64::from(members), u64::from(ROOM));
    let later = (0..room).map(|number| (number * 7) % members);
    (0..members).chain(later).map(|member| member / size).collect()
}

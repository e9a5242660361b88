//! Who handles the results of a channel of reduces: one lambda at most, and the first that comes.
//!
//! It is the one that receives; all others only give values. Another one may come when it is gone.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::machines::Newcomer;
use super::recovery::Claim;
use super::{Channel, Config, Effect};
use crate::bug::Bug;
use crate::channel::{Role, Tenancy, ToMember};
use crate::machine::Effects;
use crate::rule::{RuleName, Verdict};

/// Results have one handler.
pub const ONE_HANDLER: RuleName = RuleName { promise: "R1", name: "one member at most handles the results" };

fn handles(role: Role, tenancy: Tenancy) -> bool {
    role.receives() && !tenancy.is_daemon()
}

impl<A> Newcomer<A> {
    /// Whether the results would be for it, in a channel where one has them.
    pub(super) fn handles(&self) -> bool {
        handles(self.role, self.tenancy)
    }
}

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// Whether there is somebody already for what the newcomer wants to do.
    pub(super) fn has_handler(&self, config: &Config, newcomer: &Newcomer<A>) -> bool {
        let taken = config.one_receiver && newcomer.handles() && self.handler.is_some();
        taken && !config.bugs.has(Bug::SecondHandlerTaken)
    }
}

/// After a restart one may come back that was declared dead and has a successor: the newest is it.
pub(super) fn one_handler<'a, A>(
    config: &Config,
    mut here: Vec<&'a Claim<A>>,
    out: &mut impl Effects<Effect<A>>,
) -> Vec<&'a Claim<A>> {
    if !config.one_receiver || config.bugs.has(Bug::PredecessorStays) {
        return here;
    }
    let handles = |claim: &&Claim<A>| handles(claim.registration.role, claim.registration.tenancy);
    let newest = here.iter().copied().filter(|claim| handles(claim)).map(|claim| claim.member).max();
    here.retain(|claim| {
        let stays = !handles(claim) || Some(claim.member) == newest;
        if !stays {
            out.push(Effect::Send { to: claim.member, message: ToMember::Fenced });
        }
        stays
    });
    here
}

pub(super) fn one_handler_rule<A: Clone + Debug + Eq + Hash>(
    config: &Config,
    channel: &Channel<A>,
) -> Verdict {
    if !config.one_receiver {
        return Verdict::Idle;
    }
    let records = channel.records.iter().flatten();
    let mut all = records.filter(|record| handles(record.role, record.tenancy)).map(|record| record.member);
    let (first, second) = (all.next(), all.next());
    if first.is_none() && channel.handler.is_none() {
        return Verdict::Idle;
    }
    Verdict::from_bool(
        second.is_none() && first == channel.handler,
        "two handle the results, or one that is gone",
    )
}

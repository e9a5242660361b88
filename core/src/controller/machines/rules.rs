//! What a channel promises about machines and their daemons, as rules.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::{Channel, Config, Event, Timer};
use crate::channel::{Tenancy, ToController};
use crate::ids::MemberId;
use crate::rule::{RuleName, Step, Verdict};

/// A machine has one daemon at most.
pub const ONE_DAEMON: RuleName = RuleName { promise: "T1", name: "a machine has one daemon" };
/// Who has a daemon has no place.
pub const LODGED: RuleName = RuleName { promise: "T1", name: "a machine's lambdas lodge with its daemon" };
/// A daemon's loss reports its machine.
pub const MACHINE_MISSED: RuleName = RuleName { promise: "M3", name: "with its daemon a machine is missed" };

/// How many daemons are on record.
fn daemons<A>(channel: &Channel<A>) -> usize {
    channel.records.iter().flatten().filter(|record| record.tenancy.is_daemon()).count()
}

pub(in super::super) fn one_daemon<A: Clone + Debug + Eq + Hash>(
    _: &Config,
    channel: &Channel<A>,
) -> Verdict {
    let count = daemons(channel);
    if count == 0 && channel.daemons.is_empty() {
        return Verdict::Idle;
    }
    let known = channel.daemons.iter().all(|(machine, member)| {
        channel.record(*member).is_some_and(|record| record.tenancy == Tenancy::Daemon(*machine))
    });
    Verdict::from_bool(known && count == channel.daemons.len(), "a machine has two daemons, or one of no use")
}

pub(in super::super) fn lodged<A: Clone + Debug + Eq + Hash>(_: &Config, channel: &Channel<A>) -> Verdict {
    let mut verdict = Verdict::Idle;
    for record in channel.records.iter().flatten() {
        let machine = match record.tenancy {
            Tenancy::Lambda(machine) => machine,
            Tenancy::Daemon(_) => continue,
        };
        let (host, daemon) = (channel.tree.lodging(record.member), channel.daemon(machine));
        if host.map(|edge| edge.member) != daemon {
            return Verdict::Broken("a lambda does not lodge with the daemon of its machine");
        }
        if daemon.is_some() {
            verdict = Verdict::Holds;
        }
    }
    verdict
}

pub(in super::super) fn machine_missed<A: Clone + Debug + Eq + Hash>(step: &Step<'_, Channel<A>>) -> Verdict {
    let Event::Timer(Timer::Probe(member, _)) = step.event else { return Verdict::Idle };
    if !step.before.tree.contains(*member) || step.after.tree.contains(*member) {
        return Verdict::Idle;
    }
    let mut verdict = Verdict::Idle;
    for lodger in step.before.tree.lodgers(*member) {
        if step.after.record(lodger.member).is_none_or(|record| record.probe.is_none()) {
            return Verdict::Broken("a daemon is dead, and nobody asks whether its lambdas are there");
        }
        verdict = Verdict::Holds;
    }
    verdict
}

/// How many may be told when the lambdas of a machine take a daemon, or lose it; `None` if that is not what happens. The
/// first of them changes places with it. When it comes, each of the others leaves a hole; when it goes, each gets a place.
/// Before that, or after it, those that near their end may change places with others.
pub(in super::super) fn told_at_most<A: Clone + Debug + Eq + Hash>(
    step: &Step<'_, Channel<A>>,
    fan_out: usize,
) -> Option<usize> {
    let unsound = step.before.records.iter().flatten().any(|record| !record.is_sound());
    let swap = |pair: usize| if unsound { pair } else { 0 };
    let gone = |member: &MemberId| {
        let others = step.before.tree.lodgers(*member).count().checked_sub(1)?;
        let inner = swap(fan_out.saturating_mul(2).saturating_add(4));
        let moved = inner.saturating_mul(others.saturating_add(2));
        Some(fan_out.saturating_add(2).saturating_add(others.saturating_mul(2)).saturating_add(moved))
    };
    match step.event {
        Event::Join { tenancy: Tenancy::Daemon(machine), .. } => {
            let lambda = Tenancy::Lambda(*machine);
            let lambdas = step.before.records.iter().flatten().filter(|record| record.tenancy == lambda);
            let others = lambdas.count().checked_sub(1)?;
            let each = fan_out.saturating_add(4).saturating_add(swap(4));
            Some(fan_out.saturating_add(3).saturating_add(others.saturating_mul(each)))
        }
        Event::From { member, message: ToController::Leave } | Event::Timer(Timer::Probe(member, _)) => {
            gone(member)
        }
        Event::Join { .. }
        | Event::From { .. }
        | Event::Suspected(_)
        | Event::Disconnected(_)
        | Event::Expiring(_)
        | Event::Reshape(_)
        | Event::Restarted
        | Event::Timer(Timer::Reshape | Timer::Recovery) => None,
    }
}

/// Whether the daemons that are counted are those on record.
pub(in super::super) fn counted<A>(channel: &Channel<A>) -> bool {
    daemons(channel) == channel.all.daemons as usize
}

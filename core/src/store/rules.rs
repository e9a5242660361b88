//! What a data store promises, as rules: P1 to P5 as far as one store can see them.
//!
//! What only several machines together show (a worker's acknowledgements are among the recorded names, the
//! table holds exactly them) is checked by the cluster in `cirrus-verification`.

use super::{Config, Effect, Event, Phase, Record, Reply, Sender, Staleness, Store};
use crate::ids::Clock;
use crate::rule::{Rule, RuleName, Ruled, Step, StepRule, Verdict};
use core::fmt::Debug;
use core::hash::Hash;

/// An update is applied only under a name that was not recorded before.
pub const APPLIED_ONCE: RuleName = RuleName { promise: "P1", name: "a name is applied once" };
/// What is acknowledged is recorded.
pub const ACKNOWLEDGED_RECORDED: RuleName =
    RuleName { promise: "P1", name: "an acknowledged name is recorded" };
/// The version counts what was applied.
pub const VERSION_COUNTS: RuleName = RuleName { promise: "P1", name: "the version counts the applied" };
/// No read overtakes the slowest worker by more than the bound.
pub const READ_IN_BOUND: RuleName = RuleName { promise: "P2", name: "a read waits for the slowest" };
/// Versions and epochs never go back.
pub const VERSION_RISES: RuleName = RuleName { promise: "P3", name: "the version never falls" };
/// A request for another epoch changes nothing.
pub const EPOCH_MATCHES: RuleName =
    RuleName { promise: "P3", name: "requests of another epoch change nothing" };
/// A repeat, or a request of an earlier connection, changes nothing.
pub const REPEATS_IGNORED: RuleName = RuleName { promise: "P3", name: "repeats change nothing" };
/// No read waits that might go on.
pub const NO_IDLE_WAIT: RuleName = RuleName { promise: "P4", name: "no read waits without a reason" };
/// A fenced incarnation has no session and moves nothing.
pub const FENCED_OUT: RuleName = RuleName { promise: "P4", name: "a fenced worker has no clock" };
/// A request of a fenced incarnation changes nothing.
pub const FENCED_REFUSED: RuleName = RuleName { promise: "P4", name: "a fenced worker is refused" };
/// A snapshot covers exactly what is recorded.
pub const SNAPSHOT_EXACT: RuleName = RuleName { promise: "P5", name: "a snapshot covers what is recorded" };
/// Nothing is served before the epoch is on disk.
pub const EPOCH_FIRST: RuleName = RuleName { promise: "P5", name: "the epoch is on disk before it is used" };
/// A restored store begins an epoch that was never used.
pub const EPOCH_NEW: RuleName = RuleName { promise: "P5", name: "a restart begins a new epoch" };

impl<P: Clone + Debug + Eq + Hash + 'static> Ruled for Store<P> {
    const RULES: &'static [Rule<Self>] =
        &[Rule { name: NO_IDLE_WAIT, check: no_idle_wait }, Rule { name: FENCED_OUT, check: fenced_out }];
    const STEP_RULES: &'static [StepRule<Self>] = &[
        StepRule { name: APPLIED_ONCE, check: applied_once },
        StepRule { name: ACKNOWLEDGED_RECORDED, check: acknowledged_recorded },
        StepRule { name: VERSION_COUNTS, check: version_counts },
        StepRule { name: READ_IN_BOUND, check: read_in_bound },
        StepRule { name: VERSION_RISES, check: version_rises },
        StepRule { name: EPOCH_MATCHES, check: epoch_matches },
        StepRule { name: REPEATS_IGNORED, check: repeats_ignored },
        StepRule { name: FENCED_REFUSED, check: fenced_refused },
        StepRule { name: SNAPSHOT_EXACT, check: snapshot_exact },
        StepRule { name: EPOCH_FIRST, check: epoch_first },
        StepRule { name: EPOCH_NEW, check: epoch_new },
    ];
}

/// `Idle` if nothing was looked at, else whether all of it was right.
fn all(mut checks: impl Iterator<Item = bool>, detail: &'static str) -> Verdict {
    match checks.next() {
        None => Verdict::Idle,
        Some(first) => Verdict::from_bool(first && checks.all(|kept| kept), detail),
    }
}

fn no_idle_wait<P: Clone + Debug + Eq + Hash>(config: &Config, store: &Store<P>) -> Verdict {
    let Staleness::Bounded(bound) = config.staleness else { return Verdict::Idle };
    let sessions = || store.seats.iter().filter_map(|(_, seat)| seat.session.as_ref());
    let slowest = sessions().filter(|session| !session.parked).map(|session| session.ended).min();
    all(
        sessions().filter_map(|session| session.waiting.first()).map(|waiting| {
            slowest.is_some_and(|slowest| slowest < Clock(waiting.clock.0.saturating_sub(bound)))
        }),
        "a read waits although nobody who takes part is too far behind",
    )
}

fn fenced_out<P: Clone + Debug + Eq + Hash>(_: &Config, store: &Store<P>) -> Verdict {
    all(
        store
            .seats
            .iter()
            .filter_map(|(_, seat)| seat.session.as_ref().map(|session| (seat.floor, session)))
            .map(|(floor, session)| session.incarnation >= floor),
        "a fenced incarnation still has a session",
    )
}

fn applied_once<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let names = step
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Apply { name, .. } = effect { Some(name) } else { None });
    all(names.map(|name| !step.before.is_recorded(name)), "a recorded name is applied again")
}

fn acknowledged_recorded<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let names = step.effects.iter().filter_map(|effect| {
        if let Effect::Reply { reply: Reply::Acknowledged { name, .. }, .. } = effect {
            Some(name)
        } else {
            None
        }
    });
    all(names.map(|name| step.after.is_recorded(name)), "a name is acknowledged that is not recorded")
}

fn version_counts<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    if step.before.version.epoch != step.after.version.epoch {
        return Verdict::Idle; // EPOCH_NEW speaks of it.
    }
    let applied = step.effects.iter().filter(|effect| matches!(effect, Effect::Apply { .. })).count() as u64;
    if applied == 0 && step.before.version == step.after.version {
        return Verdict::Idle;
    }
    let counted = step.after.version.count.saturating_sub(step.before.version.count);
    Verdict::from_bool(applied == counted, "the version does not count what was applied")
}

fn read_in_bound<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let Staleness::Bounded(bound) = step.config.staleness else { return Verdict::Idle };
    let slowest = step.after.slowest(None);
    let reads = step
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Serve { clock, .. } = effect { Some(*clock) } else { None });
    all(
        reads.map(|clock| slowest.is_none_or(|slowest| slowest >= Clock(clock.0.saturating_sub(bound)))),
        "a read was served although a worker that takes part is too far behind",
    )
}

fn version_rises<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    if step.before.version == step.after.version {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before.version < step.after.version, "the version fell")
}

fn epoch_matches<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let (Event::Read { epoch, .. } | Event::Push { epoch, .. }) = step.event else { return Verdict::Idle };
    if *epoch == step.before.version.epoch {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "a request for another epoch changed the store")
}

fn repeats_ignored<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let (Event::Open { call, .. }
    | Event::Read { call, .. }
    | Event::Push { call, .. }
    | Event::Park { call, .. }) = step.event
    else {
        return Verdict::Idle;
    };
    if newest_call(step.before, step.event).is_some_and(|newest| *call <= newest) {
        return Verdict::from_bool(
            step.before == step.after,
            "a repeated or outdated request changed the store",
        );
    }
    if step.before == step.after {
        return Verdict::Idle; // Refused.
    }
    let remembered = newest_call(step.after, step.event) == Some(*call);
    Verdict::from_bool(remembered, "a request was taken that could be taken again")
}

/// The newest call that the session of an event's sender has taken.
fn newest_call<P: Clone + Debug + Eq + Hash>(
    store: &Store<P>,
    event: &Event<P>,
) -> Option<crate::ids::CallId> {
    let Sender { worker, incarnation } = event.sender()?;
    let session = store.seats.get(&worker)?.session.as_ref()?;
    (session.incarnation == incarnation).then_some(session.last_call)
}

fn is_fenced<P: Clone + Debug + Eq + Hash>(store: &Store<P>, who: Sender) -> bool {
    who.incarnation < store.floor(who.worker)
}

fn fenced_refused<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let Some(from) = step.event.sender() else { return Verdict::Idle };
    if !is_fenced(step.before, from) {
        return Verdict::Idle;
    }
    Verdict::from_bool(step.before == step.after, "a fenced incarnation changed the store")
}

fn snapshot_exact<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let markers = step.effects.iter().filter_map(|effect| {
        if let Effect::Persist(Record::Snapshot(marker)) = effect { Some(marker) } else { None }
    });
    all(
        markers.map(|marker| *marker == step.after.marker()),
        "a snapshot's marker differs from what is recorded",
    )
}

fn epoch_first<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    if step.after.phase != Phase::Serving || step.before.phase == Phase::Serving {
        return Verdict::Idle;
    }
    let on_disk = matches!(step.event, Event::Persisted(super::RecordId::Epoch(epoch))
        if *epoch == step.after.version.epoch);
    Verdict::from_bool(on_disk, "the store serves before its epoch is on disk")
}

fn epoch_new<P: Clone + Debug + Eq + Hash>(step: &Step<'_, Store<P>>) -> Verdict {
    let Event::Started { last_epoch, snapshot } = step.event else { return Verdict::Idle };
    if step.before == step.after || step.after.phase == Phase::Down {
        return Verdict::Idle; // It had started before, or cannot.
    }
    let used = (*last_epoch).max(snapshot.as_ref().map(|marker| marker.version.epoch));
    let kept = used.is_none_or(|used| used < step.after.version.epoch);
    Verdict::from_bool(kept, "a restarted store goes on in an epoch that was used before")
}

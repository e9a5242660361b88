//! Seeded bugs: each mistake in core that can be switched on, the rule that must catch it, and where.
//!
//! A bug is hunted breadth first, so what is found is a shortest way to anything broken. Its last step must
//! break the rule that is named here; another rule, or none, means that a rule is weaker than its name.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use cirrus_core::bug::Bug;
use cirrus_core::rule::RuleName;
use cirrus_core::{fleet, lease, store, worker};

use crate::check::Failure;
use crate::rules::p2;
use crate::worlds;

/// A bug and what must catch it.
#[derive(Clone, Copy, Debug)]
pub struct Seeded {
    /// The bug.
    pub bug: Bug,
    /// The rule that its shortest counterexample breaks.
    pub rule: RuleName,
    /// The world in which it is hunted.
    pub world: &'static str,
}

const fn seeded(bug: Bug, rule: RuleName, world: &'static str) -> Seeded {
    Seeded { bug, rule, world }
}

/// All of them.
pub const ALL: &[Seeded] = &[
    seeded(Bug::DuplicateApplied, store::rules::APPLIED_ONCE, "store-async"),
    seeded(Bug::RefusedAcknowledged, store::rules::ACKNOWLEDGED_RECORDED, "store-async"),
    seeded(Bug::FencedAccepted, store::rules::FENCED_REFUSED, "store-async"),
    seeded(Bug::ForeignSession, store::rules::REPEATS_IGNORED, "store-async"),
    seeded(Bug::DeadClockKept, store::rules::FENCED_OUT, "store-async"),
    seeded(Bug::StalenessOffByOne, store::rules::READ_IN_BOUND, "store-bsp"),
    seeded(Bug::WaitersForgotten, store::rules::NO_IDLE_WAIT, "store-bsp"),
    seeded(Bug::SnapshotMissesName, store::rules::SNAPSHOT_EXACT, "store-disk"),
    seeded(Bug::EpochReused, store::rules::EPOCH_NEW, "store-start"),
    seeded(Bug::ServesBeforePersisted, store::rules::EPOCH_FIRST, "store-start"),
    seeded(Bug::WrongEpochAccepted, store::rules::EPOCH_MATCHES, "store-async"),
    seeded(Bug::StaleCallCounted, store::rules::REPEATS_IGNORED, "store-async"),
    seeded(Bug::LeaseOfDeadKept, lease::rules::DEAD_HOLDS_NOTHING, "lease"),
    seeded(Bug::PassEndsEarly, lease::rules::PASS_WHOLE, "lease"),
    seeded(Bug::OldEpochDoneCounts, lease::rules::EPOCH_MATCHES, "lease"),
    seeded(Bug::RestoreForgetsBlocks, lease::rules::RESTORE_EXACT, "lease"),
    seeded(Bug::AnyModelCounts, lease::rules::RESULT_OF_EPOCH, "lease"),
    seeded(Bug::GrantToDead, lease::rules::GRANT_TO_LIVING, "lease"),
    seeded(Bug::DoneBeforeAcknowledged, worker::rules::DONE_IS_ACKNOWLEDGED, "worker"),
    seeded(Bug::OldEpochUpdateSent, worker::rules::EPOCH_OF_UPDATE, "worker"),
    seeded(Bug::UpdateNotResent, worker::rules::UPDATE_KEPT, "worker"),
    seeded(Bug::ReadsBeforeResent, p2::NOTHING_MISSED.name, "job-ahead"),
    seeded(Bug::IdleNotParked, worker::rules::IDLE_PARKED, "worker"),
    seeded(Bug::WindowOffByOne, worker::rules::WINDOW, "worker"),
    seeded(Bug::RelaunchBeforeExit, fleet::rules::ONE_LIFE, "fleet"),
    seeded(Bug::IncarnationReused, fleet::rules::LIFE_IS_NEW, "fleet"),
    seeded(Bug::NoBackOff, fleet::rules::BACKS_OFF, "fleet"),
    seeded(Bug::LaunchAfterStop, fleet::rules::STOP_IS_FINAL, "fleet"),
];

/// What became of a hunt.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// What was hunted.
    pub seeded: Seeded,
    /// The shortest counterexample.
    pub failure: Option<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Hunt {
    /// Whether the rule that must catch it did.
    #[must_use]
    pub fn caught(&self) -> bool {
        self.failure.as_ref().is_some_and(|it| it.broken.iter().any(|broken| broken.rule == self.seeded.rule))
    }
}

impl Seeded {
    /// Switches the bug on and looks for the shortest way to something broken.
    ///
    /// # Errors
    /// When there is no such world.
    pub fn hunt(self) -> Result<Hunt, String> {
        let began = Instant::now();
        let worlds = worlds::all();
        let world = worlds.iter().find(|world| world.name == self.world);
        let world = world.ok_or_else(|| format!("there is no world '{}'", self.world))?;
        let failure = world.hunt(self.bug);
        Ok(Hunt { seeded: self, failure, took: began.elapsed() })
    }
}

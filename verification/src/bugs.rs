//! Seeded bugs: each mistake in core that can be switched on, the rule that must catch it, and where.
//!
//! A bug is hunted breadth first, so what is found is a shortest way to anything broken. Its last step must
//! break the rule that is named here; another rule, or none, means that a rule is weaker than its name.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use cirrus_core::bug::Bug;
use cirrus_core::controller::handler;
use cirrus_core::controller::machines::rules as machines;
use cirrus_core::controller::recovery::rules as recovery;
use cirrus_core::directory::recovery::rules as lives;
use cirrus_core::member::contact::rules as contact;
use cirrus_core::member::reduce::rules as results;
use cirrus_core::rule::RuleName;
use cirrus_core::{controller, direct, directory, fleet, lease, member, messages, shuffle, store, worker};

use crate::check::Failure;
use crate::lives as outlived;
use crate::rules::{j1, p1, p2, p3, p4, p5};
use crate::worlds;
use crate::zip::rules as zip;
use crate::zip::rules::{messages as pairs, shuffle as group};

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
    seeded(Bug::VersionNotCounted, store::rules::VERSION_COUNTS, "store-async"),
    seeded(Bug::FailedSnapshotTakesBack, store::rules::VERSION_RISES, "store-disk"),
    seeded(Bug::RestoreForgetsNames, p5::RESTORED_EXACT.name, "job-store"),
    seeded(Bug::LeaseOfDeadKept, lease::rules::DEAD_HOLDS_NOTHING, "lease"),
    seeded(Bug::PassEndsEarly, lease::rules::PASS_WHOLE, "lease"),
    seeded(Bug::OldEpochDoneCounts, lease::rules::EPOCH_MATCHES, "lease"),
    seeded(Bug::RestoreForgetsBlocks, lease::rules::RESTORE_EXACT, "lease"),
    seeded(Bug::AnyModelCounts, lease::rules::RESULT_OF_EPOCH, "lease"),
    seeded(Bug::GrantToDead, lease::rules::GRANT_TO_LIVING, "lease"),
    seeded(Bug::PredecessorTakenBack, lease::rules::GRANT_TO_LIVING, "lease"),
    seeded(Bug::GrantedStaysPending, lease::rules::ONE_PLACE, "lease"),
    seeded(Bug::ReturnedNotGiven, lease::rules::NO_IDLE_BLOCK, "lease"),
    seeded(Bug::ReturnedLost, lease::rules::RETURNED, "lease"),
    seeded(Bug::HeldUnbounded, lease::rules::HELD_BOUNDED, "lease"),
    seeded(Bug::DoneBeforeAcknowledged, worker::rules::DONE_IS_ACKNOWLEDGED, "worker"),
    seeded(Bug::OldEpochUpdateSent, worker::rules::EPOCH_OF_UPDATE, "worker"),
    seeded(Bug::UpdateNotResent, worker::rules::UPDATE_KEPT, "worker"),
    seeded(Bug::ReadsBeforeResent, p2::NOTHING_MISSED.name, "job-ahead"),
    seeded(Bug::IdleNotParked, worker::rules::IDLE_PARKED, "worker"),
    seeded(Bug::WindowOffByOne, worker::rules::WINDOW, "worker"),
    seeded(Bug::FirstEpochNamed, worker::rules::EPOCH_OF_SESSION, "worker"),
    seeded(Bug::SeenForgotten, worker::rules::SEEN_RISES, "worker"),
    seeded(Bug::UpdateMisnamed, p1::NAMED_RIGHT.name, "job-ahead"),
    seeded(Bug::RelaunchBeforeExit, fleet::rules::ONE_LIFE, "fleet"),
    seeded(Bug::IncarnationReused, fleet::rules::LIFE_IS_NEW, "fleet"),
    seeded(Bug::NoBackOff, fleet::rules::BACKS_OFF, "fleet"),
    seeded(Bug::LaunchAfterStop, fleet::rules::STOP_IS_FINAL, "fleet"),
    seeded(Bug::GivesUpLate, fleet::rules::BOUNDED, "fleet"),
    seeded(Bug::EndNotFenced, fleet::rules::ENDED_FENCED, "fleet"),
    seeded(Bug::StopSparesStarting, fleet::rules::STOP_KILLS, "fleet"),
    seeded(Bug::NeighbourNotTold, controller::rules::TOLD, "controller"),
    seeded(Bug::EverybodyTold, controller::rules::LOCAL, "zip-reshape"),
    seeded(Bug::RecordKept, controller::rules::SPANNING, "controller"),
    seeded(Bug::TermKept, controller::rules::TERM_NEW, "controller"),
    seeded(Bug::RosterKeepsDead, controller::rules::ROSTER_EXACT, "controller"),
    seeded(Bug::StrangerHeard, controller::rules::STRANGERS_UNHEARD, "controller"),
    seeded(Bug::FencedNotTold, controller::rules::FENCED_TOLD, "controller"),
    seeded(Bug::AnswerIgnored, controller::rules::ONLY_SILENCE, "controller"),
    seeded(Bug::EndUnnoticed, controller::rules::RECONNECTS, "controller"),
    seeded(Bug::CallUnheeded, controller::rules::RECONNECTS, "controller"),
    seeded(Bug::RollLacksSuspects, controller::rules::ROLL_EXACT, "controller"),
    seeded(Bug::MissingUnheard, controller::rules::MISSED_ANSWERED, "controller"),
    seeded(Bug::GoneUntold, controller::rules::MISSED_ANSWERED, "controller"),
    seeded(Bug::RelayNever, controller::rules::RELAYED, "controller-relay"),
    seeded(Bug::RelayGivenAgain, controller::rules::RELAYED_ONCE, "controller-relay"),
    seeded(Bug::ExpiringKept, controller::rules::MOVED_DOWN, "controller"),
    seeded(Bug::FillerUnsound, controller::rules::FILLER_SOUND, "controller"),
    seeded(Bug::TokenUnseen, directory::rules::TOKEN_NEEDED, "directory"),
    seeded(Bug::ForeignChannelHeard, directory::rules::OWN_JOB, "directory"),
    seeded(Bug::NamesShared, directory::rules::OWN_JOB, "directory"),
    seeded(Bug::KindChanged, directory::rules::ONE_KIND, "directory"),
    seeded(Bug::ClosedJobKept, directory::rules::LISTED, "directory"),
    seeded(Bug::ClosedUntold, directory::rules::CLOSED_TOLD, "directory"),
    seeded(Bug::CloseTakesNamesakes, directory::rules::ISOLATED, "directory"),
    seeded(Bug::ChannelIdReused, directory::rules::ID_NEW, "directory"),
    seeded(Bug::EmptyChannelKept, directory::rules::LISTED, "directory"),
    seeded(Bug::JobOvercommitted, directory::rules::RESERVED, "directory"),
    seeded(Bug::TakenUpAnew, lives::TAKEN_UP, "directory-restart"),
    seeded(Bug::NameBegunAnew, lives::JOINS_HELD, "directory-restart"),
    seeded(Bug::OlderNameKept, lives::NEWER_NAME, "directory-restart"),
    seeded(Bug::DisplacedUntold, lives::GONE_TOLD, "directory-restart"),
    seeded(Bug::TakenUpLate, lives::GONE_TOLD, "directory-restart"),
    seeded(Bug::ForgottenInWindow, lives::KEPT, "directory-restart"),
    seeded(Bug::WaitingForgotten, lives::HELD_ANSWERED, "directory-restart"),
    seeded(Bug::AnsweredBeforePersisted, lives::EPOCH_FIRST, "directory-restart"),
    seeded(Bug::ControllerEpochReused, lives::EPOCH_NEW, "directory-restart"),
    seeded(Bug::PersistFailureIgnored, lives::EPOCH_FIRST, "directory-restart"),
    seeded(Bug::SeatsForgotten, recovery::SEATS_KEPT, "controller-restart"),
    seeded(Bug::LinksForgotten, recovery::LINKS_KEPT, "controller-restart"),
    seeded(Bug::AllToldAgain, recovery::CHANGES_TOLD, "controller-restart"),
    seeded(Bug::JoinNotHeld, recovery::JOINS_WAIT, "controller-restart"),
    seeded(Bug::RollCallLost, recovery::ROLL_ANSWERED, "controller-restart"),
    seeded(Bug::RelayForgotten, zip::AGREED.name, "zip-restart-relay"),
    seeded(Bug::RecountIgnored, zip::ENDS.name, "zip-restart-crash"),
    seeded(Bug::HalfBroadcastKept, zip::ENDS.name, "zip-restart-sender"),
    seeded(Bug::LeftBehindStays, member::rules::LEFT_BEHIND, "zip-restart-forgets"),
    seeded(Bug::SecondDaemonTaken, machines::ONE_DAEMON, "controller-daemon"),
    seeded(Bug::LambdaBeside, machines::LODGED, "controller-daemon"),
    seeded(Bug::LambdasStay, machines::LODGED, "controller-daemon"),
    seeded(Bug::LodgersForgotten, controller::rules::SPANNING, "controller-daemon"),
    seeded(Bug::LodgersUnprobed, machines::MACHINE_MISSED, "zip-daemon-machine"),
    seeded(Bug::LodgersLast, zip::ORDERED.name, "sum-daemon-root"),
    seeded(Bug::LodgingsForgotten, machines::LODGED, "controller-restart-daemon"),
    seeded(Bug::DaemonDelivers, member::rules::INSIDERS, "zip-daemon"),
    seeded(Bug::DaemonCounted, zip::COMBINED_ONCE.name, "sum-daemon"),
    seeded(Bug::DaemonLate, zip::COMPLETE.name, "late-daemon"),
    seeded(Bug::DepartedDaemonsKept, zip::DAEMONS_FORGOTTEN.name, "sum-daemon"),
    seeded(Bug::DaemonNamed, zip::NAMED.name, "sum-daemon"),
    seeded(Bug::LodgersSummedTwice, zip::COMBINED_ONCE.name, "sum-daemon"),
    seeded(Bug::OldAssignmentTaken, member::rules::NEWEST, "member"),
    seeded(Bug::StaleChildKept, member::rules::AS_ASSIGNED, "zip-leaves"),
    seeded(Bug::StaleFrameTaken, member::rules::STRANGERS_UNHEARD, "member"),
    seeded(Bug::RoundsNotFreed, member::rules::BOUNDED, "zip-calm"),
    seeded(Bug::LeaveLost, zip::ENDS.name, "zip-leave-cut"),
    seeded(Bug::LostControllerHangs, contact::ROUNDS_GO_ON, "member-contact"),
    seeded(Bug::AllCallAtOnce, contact::SPREAD, "member-contact"),
    seeded(Bug::PauseNeverGrows, contact::CALLS_AGAIN, "member-contact"),
    seeded(Bug::EarlierLifeBelieved, contact::NO_EARLIER_LIFE, "member-contact"),
    seeded(Bug::DrainsForEver, member::rules::OVERDUE, "member-contact"),
    seeded(Bug::CloseUnnoticed, zip::NO_GHOSTS.name, "zip-breaks"),
    seeded(Bug::VoidUntold, zip::ENDS.name, "zip-crash"),
    seeded(Bug::CursorKept, zip::ENDS.name, "zip-crash"),
    seeded(Bug::FetchedFromMiddle, zip::ENDS.name, "zip-fetched"),
    seeded(Bug::ResumeFromStart, member::rules::RESUMED, "zip-breaks"),
    seeded(Bug::OldTermTaken, member::rules::OLD_TERM_UNHEARD, "member"),
    seeded(Bug::TermsMixed, zip::ENDS.name, "zip-roots"),
    seeded(Bug::PieceTwice, zip::EXACT.name, "zip-inner"),
    seeded(Bug::OutsiderDelivers, member::rules::INSIDERS, "zip-joins"),
    seeded(Bug::ReportedEarly, member::rules::REPORT_WHOLE, "zip-inner"),
    seeded(Bug::FloorWithheld, member::rules::REPORT_FRESH, "member"),
    seeded(Bug::DoneWithheld, member::rules::REPORT_FRESH, "zip-inner"),
    seeded(Bug::HalfReportEnough, member::rules::CARRIED_WHOLE, "zip-flux"),
    seeded(Bug::FloorTooEarly, member::rules::FLOOR_WHOLE, "zip-calm"),
    seeded(Bug::WindowIgnored, member::rules::WINDOW, "zip-calm"),
    seeded(Bug::DepartedHeard, member::rules::DEPARTED_UNHEARD, "zip-suspect"),
    seeded(Bug::RepeatNumbered, member::rules::NUMBERED_ONCE, "zip-away"),
    seeded(Bug::HalfContributionKept, zip::COMBINED_ONCE.name, "sum-chain"),
    seeded(Bug::SpoiledUntold, zip::ENDS.name, "sum-break"),
    seeded(Bug::SpoiledToldOnce, zip::ENDS.name, "sum-mismatch-crash"),
    seeded(Bug::EarlySpoilForgotten, member::rules::SPOIL_HEARD, "member-sum"),
    seeded(Bug::AttemptsMixed, zip::COMBINED_ONCE.name, "sum-chain"),
    seeded(Bug::OwnValueLast, zip::ORDERED.name, "sum-calm"),
    seeded(Bug::SealedWithoutSome, zip::COMPLETE.name, "sum-calm"),
    seeded(Bug::DepartedForgotten, zip::NAMED.name, "sum-crash"),
    seeded(Bug::DroppedUncounted, zip::NAMED.name, "sum-names"),
    seeded(Bug::DepartedUnnamed, zip::NAMED.name, "sum-crash"),
    seeded(Bug::StrictSealed, zip::STRICT.name, "sum-strict"),
    seeded(Bug::NotedTooEarly, zip::NAMED.name, "sum-two"),
    seeded(Bug::NamedAgain, zip::NAMED.name, "sum-strict"),
    seeded(Bug::MissingUntold, zip::TOLD.name, "sum-crash"),
    seeded(Bug::LateToldSealed, zip::TOLD.name, "late"),
    seeded(Bug::SealedUntaken, results::SEALED_TAKEN, "handled"),
    seeded(Bug::HandedTwice, results::HANDED_ONE, "member-handled"),
    seeded(Bug::UnhandledEarly, results::NOT_GIVEN_UP, "handled-crash"),
    seeded(Bug::RootLeavesEarly, member::rules::LEAVES_NOTHING, "zip-leaves"),
    seeded(Bug::HandedForgotten, zip::ENDS.name, "handled-tight"),
    seeded(Bug::BoundaryWhileKept, zip::ENDS.name, "handled-newcomer"),
    seeded(Bug::PaceOfAnybody, controller::pacing::rules::ROOT_PACES, "controller-pace"),
    seeded(Bug::LambdasChained, controller::pacing::rules::MACHINES_CHAINED, "controller-pace"),
    seeded(Bug::ChainKept, controller::pacing::rules::CHAIN_PAYS, "controller-pace"),
    seeded(Bug::CollectsLate, zip::ENDS.name, "handled-tight-break"),
    seeded(Bug::HandlerLeavesEarly, results::TAKEN_KNOWN, "handled-leaves"),
    seeded(Bug::PullKept, results::SEALED_TAKEN, "handled-pulled"),
    seeded(Bug::SecondHandlerTaken, handler::ONE_HANDLER, "handled-next"),
    seeded(Bug::PredecessorStays, handler::ONE_HANDLER, "controller-restart-handler"),
    seeded(Bug::LateUnnamed, zip::COMPLETE.name, "late"),
    seeded(Bug::QuorumIgnored, zip::QUORUM.name, "late-quorum"),
    seeded(Bug::LateMixed, zip::COMBINED_ONCE.name, "late"),
    seeded(Bug::BegunUntold, zip::ENDS.name, "late-silent"),
    seeded(Bug::LateCallKept, zip::CALLED.name, "sum-mismatch"),
    seeded(Bug::ResubmitsEarly, member::rules::OFFERED_NEW, "zip-inner"),
    seeded(Bug::ItemTwice, direct::rules::IN_ORDER, "shuffle-takes"),
    seeded(Bug::GapTaken, direct::rules::IN_ORDER, "shuffle-takes"),
    seeded(Bug::SentBelieved, direct::rules::RESUMED, "shuffle-breaks"),
    seeded(Bug::TakenEarly, group::TAKEN.name, "shuffle-receiver"),
    seeded(Bug::GoneAnswered, direct::rules::REFUSED, "shuffle-takes"),
    seeded(Bug::CreditIgnored, direct::rules::BOUNDED, "shuffle-slow"),
    seeded(Bug::OldRoundTaken, shuffle::rules::OF_THE_ROUND, "shuffle-takes"),
    seeded(Bug::LostSenderCounted, shuffle::rules::END_COUNTS, "shuffle-sender"),
    seeded(Bug::LostReceiverUnnamed, shuffle::rules::LOST_NAMED, "shuffle-gives"),
    seeded(Bug::VerdictIgnored, shuffle::rules::VERDICT_HEARD, "shuffle-takes"),
    seeded(Bug::RecordRemapped, shuffle::rules::NOT_REMAPPED, "shuffle-receiver"),
    seeded(Bug::GoneLeftOut, group::SAME_ROUND.name, "shuffle-receiver"),
    seeded(Bug::RoomUntold, group::ENDS.name, "shuffle-receiver"),
    seeded(Bug::SilenceTrusted, direct::rules::ASKED_IN_SILENCE, "shuffle-takes"),
    seeded(Bug::SilenceTrusted, direct::rules::ASKED_IN_SILENCE, "message-takes"),
    seeded(Bug::GoneAwaited, direct::rules::SILENT_IN_PEACE, "message-takes"),
    seeded(Bug::RollUnheeded, shuffle::rules::VERDICT_HEARD, "shuffle-takes"),
    seeded(Bug::UnlistedTrusted, direct::rules::ASKED_BY_NAME, "message-takes"),
    seeded(Bug::UnlistedTrusted, direct::rules::ASKED_BY_NAME, "shuffle-takes"),
    seeded(Bug::RollSameByStamp, controller::rules::ROLL_CHECKED, "controller"),
    seeded(Bug::MissedIsGone, group::NAMED_GONE.name, "shuffle-apart"),
    seeded(Bug::FencedGoesOn, zip::FENCED_KNOWS.name, "shuffle-sender"),
    seeded(Bug::LeftOutStays, shuffle::rules::LEFT_OUT, "shuffle-takes"),
    seeded(Bug::CutIgnored, shuffle::rules::INSIDERS, "shuffle-takes"),
    seeded(Bug::NewcomerForgotten, shuffle::rules::NEWCOMER_KEPT, "shuffle-older"),
    seeded(Bug::MissedIsGone, pairs::GONE.name, "message-apart"),
    seeded(Bug::WaitsBlindly, pairs::ENDS.name, "message-silent"),
    seeded(Bug::RefusalIgnored, direct::rules::BELIEVED, "message-gives"),
    seeded(Bug::TornDelivered, messages::rules::WHOLE, "message-takes"),
    seeded(Bug::AnsweredEarly, messages::rules::TAKEN, "message-gives"),
    seeded(Bug::WaiterForgotten, messages::rules::ANSWERED, "message-takes"),
    seeded(Bug::VerdictIgnored, messages::rules::VERDICT_HEARD, "message-takes"),
    seeded(Bug::KnownAskedFor, messages::rules::ASKED_IN_NEED, "message-takes"),
    seeded(Bug::RollCalledAnew, shuffle::rules::ASKED_ON_CHANGE, "shuffle-calm"),
];

/// What comes of a bug, if no machine's own rule stops it first: each promise of a whole cluster, the bug that
/// breaks it in the end, and where. Only that rule is asked.
pub const CONSEQUENCES: &[Seeded] = &[
    seeded(Bug::SealedUntaken, zip::HANDLED.name, "handled-break"),
    seeded(Bug::DuplicateApplied, p1::ONCE.name, "job-crash"),
    seeded(Bug::SnapshotMissesName, p1::TABLE_RECORDED.name, "job-store"),
    seeded(Bug::EpochReused, p1::ACKNOWLEDGED_RECORDED.name, "job-store"),
    seeded(Bug::EpochReused, p3::OWN_WRITES.name, "job-store-passes"),
    seeded(Bug::EpochReused, p3::READS_RISE.name, "job-store-passes"),
    seeded(Bug::DeadClockKept, p4::DEAD_CLOCK_GONE.name, "job-crash"),
    seeded(Bug::SnapshotMissesName, p5::SNAPSHOT_WHOLE.name, "job-store"),
    seeded(Bug::PassEndsEarly, p5::CLOSED_WHOLE.name, "job-bsp"),
    seeded(Bug::PassEndsEarly, p5::RESULT_WHOLE.name, "job-bsp"),
    seeded(Bug::RelaunchBeforeExit, j1::ONE_PROCESS.name, "job-suspect"),
    seeded(Bug::FencedAccepted, j1::STORE_ONE_LIFE.name, "job-crash"),
    seeded(Bug::StaleChildKept, zip::AGREED.name, "zip-leaves"),
    seeded(Bug::FencedNotTold, zip::FENCED_KNOWS.name, "zip-suspect"),
    seeded(Bug::RepeatNumbered, zip::ONCE.name, "zip-away"),
    seeded(Bug::RosterKeepsDead, zip::ENDS.name, "zip-crash"),
    seeded(Bug::ItemTwice, group::EXACT.name, "shuffle-hostile"),
    seeded(Bug::GapTaken, group::WHOLE.name, "shuffle-hostile"),
    seeded(Bug::SealedWithoutSome, zip::PASSED.name, "sum-barrier"),
    seeded(Bug::ItemTwice, pairs::EXACT.name, "message-hostile"),
    seeded(Bug::AnsweredEarly, pairs::DELIVERED.name, "message-receiver"),
    seeded(Bug::LeftBehindStays, zip::ALL_HAVE.name, "zip-restart-leaf"),
    seeded(Bug::AnsweredBeforePersisted, outlived::ONE_LIFE.name, "directory-lives"),
    seeded(Bug::ControllerEpochReused, outlived::ONE_LIFE.name, "directory-lives"),
    seeded(Bug::PersistFailureIgnored, outlived::ONE_LIFE.name, "directory-lives"),
    seeded(Bug::AnsweredBeforePersisted, outlived::GIVEN_ONCE.name, "directory-lives"),
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
        self.hunted(None)
    }

    /// The same, but only the rule that is named is asked.
    ///
    /// # Errors
    /// When there is no such world.
    pub fn hunt_alone(self) -> Result<Hunt, String> {
        self.hunted(Some(self.rule))
    }

    fn hunted(self, only: Option<RuleName>) -> Result<Hunt, String> {
        let began = Instant::now();
        let worlds = worlds::all();
        let world = worlds.iter().find(|world| world.name == self.world);
        let world = world.ok_or_else(|| format!("there is no world '{}'", self.world))?;
        let failure = world.hunt(self.bug, only);
        Ok(Hunt { seeded: self, failure, took: began.elapsed() })
    }
}

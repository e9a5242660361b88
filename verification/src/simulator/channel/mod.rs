//! Channels with thousands of members, on one thread, under a virtual clock and seeded faults.
//!
//! A seed is one channel: how many members, which limits and time-outs, who sends what, which kinds of faults may
//! strike, and when (`plan`). Its machines and connections are those of a [`Mesh`](crate::zip::Mesh); what arrives
//! when is decided by a queue in virtual time, never by a look at the whole (`queue`).
//!
//! ```text
//!  joining        safety                           healing          proof
//!  all come in    rounds, messages, and faults     no more faults   one more for all
//!              quiet                                           quiet              quiet
//! ```
//!
//! When it is quiet, nothing is under way and no timer is left. That must come about within a bound that follows from
//! the time-outs and the size, and then the rules over a whole channel are asked. The rules of a machine are asked at
//! every step of it, but for those of the controller that go through all members: they are asked at one step in
//! 1 + members / 64, and when it is quiet. The rule over all members' deliveries, too, is asked now and then and when
//! it is quiet.
//!
//! A run that fails is cut down ([`shrink`](shrink::shrink)) to the incidents and members that it takes to fail.

mod beside;
mod bound;
mod daemons;
mod episode;
mod plan;
mod queue;
mod reducing;
pub mod shrink;
mod strike;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cirrus_core::bug::Bugs;
use cirrus_core::rule::RuleName;
use cirrus_core::{controller, direct, member, shuffle};

use crate::tally::{Broken, Part, Tally};
use crate::zip::Fault;

/// The number of something that is planned to happen, a fault or a broadcast: the same in every run of a seed.
pub type Incident = u32;

/// What to run.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Decides everything. The same seed is the same run.
    pub seed: u64,
    /// No more members than this when faults begin.
    pub members: u32,
    /// After so many events no more faults strike.
    pub steps: u64,
    /// Only these incidents happen.
    pub only: Option<BTreeSet<Incident>>,
    /// Seeded bugs.
    pub bugs: Bugs,
}

impl fmt::Display for Asked {
    /// The options that ask for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {} --members {} --steps {}", self.seed, self.members, self.steps)?;
        if let Some(only) = &self.only {
            let only: Vec<String> = only.iter().map(Incident::to_string).collect();
            write!(f, " --only {}", if only.is_empty() { "none".to_owned() } else { only.join(",") })?;
        }
        Ok(())
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Events that happened.
    pub events: u64,
    /// Members that were in when faults began.
    pub members: u64,
    /// Broadcasts that applications began.
    pub broadcasts: u64,
    /// Values that applications gave to reduces.
    pub reduces: u64,
    /// Calls of applications for shuffles.
    pub shuffles: u64,
    /// Calls of applications to send a message, or to wait for one.
    pub messages: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// Steps of the controller, and at how many of them all its rules were asked.
    pub controller: (u64, u64),
    /// How often it was quiet.
    pub quiet: u64,
    /// The most of its bound that healing took, in thousandths of time and of events.
    pub healing: (u64, u64),
    /// The answers of all rules.
    pub tally: Tally,
    /// A digest of everything that happened, in order.
    pub trace: u64,
}

impl Report {
    /// Adds another run.
    pub fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.members += other.members;
        self.broadcasts += other.broadcasts;
        self.reduces += other.reduces;
        self.shuffles += other.shuffles;
        self.messages += other.messages;
        self.controller.0 += other.controller.0;
        self.controller.1 += other.controller.1;
        self.quiet += other.quiet;
        self.healing.0 = self.healing.0.max(other.healing.0);
        self.healing.1 = self.healing.1.max(other.healing.1);
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.tally.merge(&other.tally);
    }

    /// Fault kinds that never struck.
    #[must_use]
    pub fn missing_faults(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| !self.faults.contains_key(fault)).collect()
    }

    /// Rules of channels that were never put to the test.
    #[must_use]
    pub fn vacuous(&self) -> Vec<RuleName> {
        let of_channel = |part: Part| OF_CHANNELS.contains(&part);
        let vacuous = self.tally.vacuous().into_iter().filter(|(part, _)| of_channel(*part));
        vacuous.map(|(_, rule)| rule).filter(|rule| !CANNOT_ARISE.iter().any(|(it, _)| it == rule)).collect()
    }
}

/// Whose rules are those of channels.
pub const OF_CHANNELS: &[Part] = &[Part::Controller, Part::Member, Part::Mesh, Part::Shuffle, Part::Messages];

const PACED: &str = "simulated channels are seldom of machines that all have daemons; the worlds see it";

/// Rules whose case does not arise in a simulated channel, or not in every campaign, and why.
pub const CANNOT_ARISE: &[(RuleName, &str)] = &[
    (
        controller::recovery::rules::ROLL_ANSWERED,
        "a member must call the roll in the time in which a restarted controller waits, which few channels see; \
     the worlds see it",
    ),
    (controller::pacing::rules::ROOT_PACES, PACED),
    (controller::pacing::rules::MACHINES_CHAINED, PACED),
    (controller::pacing::rules::CHAIN_PAYS, PACED),
    (
        shuffle::rules::LEFT_OUT,
        "one who lives must be declared dead, a round be called without it, and the controller forget it before it \
     hears of that; the worlds see it",
    ),
    (
        shuffle::rules::NEWCOMER_KEPT,
        "a root must be replaced between calling the roll and sending it, and another one send a newer one before, which \
         one channel in thousands sees; a pool sees it",
    ),
    (
        member::reduce::rules::NOT_GIVEN_UP,
        "a handler must take longer than a result is kept, or die with one, which few channels see; the worlds see it",
    ),
    (
        member::reduce::rules::TAKEN_KNOWN,
        "of all members the one that handles results must leave, which few channels see; the worlds see it",
    ),
    (
        member::rules::DEPARTED_UNHEARD,
        "a sender must call the root after its death was told to the root and before it \
     hears of it itself, which one channel in a thousand sees; the worlds see it",
    ),
    (
        direct::rules::BELIEVED,
        "one who lives must be declared dead, not hear of it, and call one who knows it; the worlds see it",
    ),
    (
        direct::rules::ASKED_BY_NAME,
        "one must stand still whom a restarted controller never heard of, and that is the newest of all, which one channel \
         in thousands sees; the pools see it",
    ),
    (
        member::contact::rules::NO_EARLIER_LIFE,
        "an earlier life of the controller does not come back in a simulation; the worlds see it",
    ),
    (
        member::rules::LEFT_BEHIND,
        "one who lives must be declared dead and not hear of it before the controller \
     is restarted, which few channels see; the worlds see it",
    ),
];

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Failed {
    /// After how many events.
    pub event: u64,
    /// What was broken; empty when it does not become quiet.
    pub broken: Vec<Broken>,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The incidents that had happened.
    pub happened: BTreeSet<Incident>,
    /// Its size and limits, and what happened last, to read; only of a run that was told to note it.
    pub last: Vec<String>,
}

impl Failed {
    /// Whether it is the same that is wrong.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.broken.first().map(|it| it.rule) == other.broken.first().map(|it| it.rule)
    }
}

/// Runs a channel from its first member to its last proof.
///
/// # Errors
/// [`Failed`] when a rule is broken, or it does not become quiet.
pub fn run(asked: &Asked) -> Result<Report, Box<Failed>> {
    episode::Episode::new(asked, false).run()
}

/// The same, and notes what happened last before it failed.
///
/// # Errors
/// As [`run`].
pub fn run_noted(asked: &Asked) -> Result<Report, Box<Failed>> {
    episode::Episode::new(asked, true).run()
}

//! Counting the answers of rules.
//!
//! Whoever drives machines (the model checker, the simulator, a fuzzer) reports every step here. A rule that
//! never answered `Holds` in a run that should exercise it has checked nothing, and fails that run.

use cirrus_core::controller::Channel;
use cirrus_core::directory::Directory;
use cirrus_core::fleet::Fleet;
use cirrus_core::lease::Leases;
use cirrus_core::member::Member;
use cirrus_core::messages::Messages;
use cirrus_core::rule::{RuleName, Ruled, Step, Verdict};
use cirrus_core::shuffle::Shuffle;
use cirrus_core::store::Store;
use cirrus_core::worker::Worker;

use crate::cluster::Payload;
use crate::lives;
use crate::rules;
use crate::zip;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The data store's.
    Store,
    /// The leases'.
    Leases,
    /// The fleet's.
    Fleet,
    /// The worker's.
    Worker,
    /// Those that only several machines of a job together show.
    Cluster,
    /// The directory's, of all channels.
    Directory,
    /// The controller's, of a channel.
    Controller,
    /// A channel's member's.
    Member,
    /// Those that only a whole channel shows.
    Mesh,
    /// Those of a member's shuffles.
    Shuffle,
    /// Those of a member's messages to others.
    Messages,
    /// Those that only several lives of a directory show.
    Lives,
}

impl Part {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Store,
        Self::Leases,
        Self::Fleet,
        Self::Worker,
        Self::Cluster,
        Self::Directory,
        Self::Controller,
        Self::Member,
        Self::Mesh,
        Self::Shuffle,
        Self::Messages,
        Self::Lives,
    ];

    /// The names of its rules, in the order in which they are asked.
    #[must_use]
    pub fn rules(self) -> Vec<RuleName> {
        match self {
            Self::Store => names::<Store<Payload>>(),
            Self::Leases => names::<Leases>(),
            Self::Fleet => names::<Fleet>(),
            Self::Worker => names::<Worker<Payload>>(),
            Self::Cluster => rules::RULES.iter().map(|rule| rule.name).collect(),
            Self::Directory => names::<Directory<zip::Address>>(),
            Self::Controller => names::<Channel<zip::Address>>(),
            Self::Member => names::<Member<zip::Address, zip::Piece>>(),
            Self::Mesh => zip::RULES.iter().map(|rule| rule.name).collect(),
            Self::Shuffle => names::<Shuffle<zip::Address, zip::beside::shuffles::Piece>>(),
            Self::Messages => names::<Messages<zip::Address, zip::beside::messages::Piece>>(),
            Self::Lives => lives::RULES.iter().map(|rule| rule.name).collect(),
        }
    }

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Leases => "lease",
            Self::Fleet => "fleet",
            Self::Worker => "worker",
            Self::Cluster => "cluster",
            Self::Directory => "jobs",
            Self::Controller => "control",
            Self::Member => "member",
            Self::Mesh => "channel",
            Self::Shuffle => "shuffle",
            Self::Messages => "message",
            Self::Lives => "lives",
        }
    }
}

fn names<M: Ruled>() -> Vec<RuleName> {
    M::RULES.iter().map(|rule| rule.name).chain(M::STEP_RULES.iter().map(|rule| rule.name)).collect()
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// The rule.
    pub rule: RuleName,
    /// In which way.
    pub detail: &'static str,
}

/// One rule's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The rule.
    pub rule: RuleName,
    /// How often its case did not arise.
    pub idle: u64,
    /// How often the promise was kept.
    pub holds: u64,
    /// How often it was not.
    pub broken: u64,
}

/// The answers of all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    counts: [Vec<Count>; Part::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        let none = |rule| Count { rule, idle: 0, holds: 0, broken: 0 };
        Self { counts: Part::ALL.map(|part| part.rules().into_iter().map(none).collect()) }
    }
}

impl Tally {
    /// Asks all rules of a machine about a step, and adds what is broken to `broken`.
    pub fn step<M: Ruled>(&mut self, part: Part, step: &Step<'_, M>, broken: &mut Vec<Broken>) {
        self.step_except(part, step, &[], broken);
    }

    /// The same, without the rules that are `unasked`.
    pub fn step_except<M: Ruled>(
        &mut self,
        part: Part,
        step: &Step<'_, M>,
        unasked: &[RuleName],
        broken: &mut Vec<Broken>,
    ) {
        let mut place = 0;
        let mut note = |rule: RuleName, ask: &dyn Fn() -> Verdict| {
            if !unasked.contains(&rule) {
                self.add(part, place, rule, ask(), broken);
            }
            place += 1;
        };
        for rule in M::RULES {
            note(rule.name, &|| (rule.check)(step.config, step.after));
        }
        for rule in M::STEP_RULES {
            note(rule.name, &|| (rule.check)(step));
        }
    }

    /// Notes one answer of the rule at `place` among its part's.
    pub fn add(
        &mut self,
        part: Part,
        place: usize,
        rule: RuleName,
        verdict: Verdict,
        broken: &mut Vec<Broken>,
    ) {
        let count = &mut self.counts[part as usize][place];
        match verdict {
            Verdict::Idle => count.idle += 1,
            Verdict::Holds => count.holds += 1,
            Verdict::Broken(detail) => {
                count.broken += 1;
                broken.push(Broken { rule, detail });
            }
        }
    }

    /// Adds another run's answers.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            mine.idle += theirs.idle;
            mine.holds += theirs.holds;
            mine.broken += theirs.broken;
        }
    }

    /// All counts of a part.
    #[must_use]
    pub fn part(&self, part: Part) -> &[Count] {
        &self.counts[part as usize]
    }

    /// The rules that never held.
    #[must_use]
    pub fn vacuous(&self) -> Vec<(Part, RuleName)> {
        let counts =
            Part::ALL.into_iter().flat_map(|part| self.part(part).iter().map(move |count| (part, count)));
        counts.filter(|(_, count)| count.holds == 0).map(|(part, count)| (part, count.rule)).collect()
    }
}

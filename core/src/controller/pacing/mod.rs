//! Tree or chain: between machines the fan-out follows what rounds have cost.
//!
//! A link of a tree carries a value once for each child, a link of a chain once: large values take a chain 1/F of the time.
//! But a chain is as long as it has machines, and small values wait for every one. So a channel begins as a tree, its root
//! says now and then what its rounds have cost ([`Pace`]), and from that follows what a chain would cost; if that is much
//! less, the fan-out becomes 1. What the chain has really cost decides whether it stays.
//!
//! ```text
//!   root                                 controller
//!    | Paced(rounds, bytes, busy) ------> |  a chain would take 0.7 of that, or less
//!    | <----------------- Assign, to all  |  fan-out 1, and whose values they are sits at the end
//!    | Paced(rounds, bytes, busy) ------> |  more than 0.85 of what the tree takes: back to its own fan-out
//! ```
//!
//! A chain is made of machines alone, each with its daemon: processes that may share a machine have nothing to gain. It
//! heals like any tree. Values that go to all come from its end or from its root, and those for one are handled at its
//! root, or a link would carry them twice; it is not judged before that is so. A sender is not made the root, since what
//! others have half sent would be aborted; a reduce is only begun again. What was measured is forgotten when somebody takes
//! a place or leaves one.

pub mod rules;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::{Channel, Config, Effect};
use crate::bug::Bug;
use crate::channel::Pace;
use crate::ids::{FanOut, MemberId};
use crate::machine::Effects;

/// Bytes by which the time of large values is counted.
const MIB: u64 = 1 << 20;
/// So many places are the least of which a chain is another thing than a tree.
const PLACES_MIN: u32 = 3;

/// What rounds take in some shape of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Nanoseconds for a round, however small.
    pub round: u64,
    /// Nanoseconds more for each MiB of it.
    pub mib: u64,
}

/// How far a value goes, and how often a link carries it.
#[derive(Clone, Copy, Debug)]
struct Way {
    hops: u64,
    copies: u64,
}

/// What a channel knows of its shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pacing {
    /// The fan-out of its tree.
    pub own: FanOut,
    /// How many places there were when the following was measured.
    pub places: u32,
    /// What the tree has cost.
    pub tree: Option<Cost>,
    /// What the chain has cost.
    pub chain: Option<Cost>,
    /// Whose the rounds were of which it was told last.
    pub sender: Option<MemberId>,
}

impl Cost {
    /// What was measured.
    #[must_use]
    pub fn measured(pace: &Pace) -> Self {
        let round = u64::from(pace.quickest).saturating_mul(1000);
        let fixed = round.saturating_mul(pace.rounds.into());
        let moving = pace.busy.saturating_mul(1000).saturating_sub(fixed);
        Self { round, mib: share(moving, MIB, pace.bytes) }
    }

    /// Nanoseconds that these rounds take.
    #[must_use]
    pub fn of(self, pace: &Pace) -> u64 {
        let rounds = self.round.saturating_mul(pace.rounds.into());
        rounds.saturating_add(share(self.mib, pace.bytes, MIB))
    }

    /// What the same rounds will take in another shape: each hop takes as long as it did, and so does each byte on a link;
    /// and every hop more keeps a large value waiting for one more piece.
    fn elsewhere(self, pace: &Pace, from: Way, to: Way) -> Self {
        let mib = share(self.mib, to.copies, from.copies);
        let hops = share(self.round, to.hops, from.hops);
        let large = pace.bytes > u64::from(pace.piece).saturating_mul(pace.rounds.into());
        let filling =
            share(mib, u64::from(pace.piece).saturating_mul(to.hops.saturating_sub(from.hops)), MIB);
        Self { round: hops.saturating_add(if large { filling } else { 0 }), mib }
    }
}

/// `amount` x `of` / `whole`, or as much as there can be.
fn share(amount: u64, of: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(of.into());
    product.checked_div(whole.into()).and_then(|it| u64::try_from(it).ok()).unwrap_or(u64::MAX)
}

/// The steps from the last of so many places to the root.
fn depth(places: u32, fan_out: FanOut) -> u64 {
    let up = |place: &u32| place.checked_sub(1)?.checked_div(fan_out.0);
    let way = core::iter::successors(Some(places.saturating_sub(1)), up);
    u64::try_from(way.count()).unwrap_or(u64::MAX).saturating_sub(1)
}

impl Pacing {
    /// Takes note of what the rounds have cost; whether a chain is the better shape.
    fn chains(&mut self, config: &Config, chained: bool, pace: &Pace) -> bool {
        let now = Cost::measured(pace);
        *(if chained { &mut self.chain } else { &mut self.tree }) = Some(now);
        let tree = Way { hops: depth(self.places, self.own), copies: self.own.0.into() };
        let chain = Way { hops: self.places.saturating_sub(1).into(), copies: 1 };
        let in_tree = self.tree.unwrap_or(now.elsewhere(pace, chain, tree)).of(pace);
        let in_chain = self.chain.unwrap_or(now.elsewhere(pace, tree, chain)).of(pace);
        // Not the same bound both ways, or it would change for every little thing.
        let hundredths = if chained { 85 } else { 70 };
        in_chain <= share(in_tree, hundredths, 100) || chained && config.bugs.has(Bug::ChainKept)
    }
}

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// The root says what its rounds have cost.
    pub(super) fn paced(
        &mut self,
        config: &Config,
        member: MemberId,
        pace: &Pace,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let root = self.reign.is_some_and(|reign| reign.root == member);
        let heard = root || config.bugs.has(Bug::PaceOfAnybody);
        if !heard || pace.bytes == 0 || self.tree.reshapes_to().is_some() {
            return;
        }
        let (fan_out, places) = (self.tree.fan_out(), self.tree.len());
        let fresh = Pacing { own: fan_out, places, tree: None, chain: None, sender: None };
        let mut pacing = self.pacing.as_deref().copied().unwrap_or(fresh);
        if pacing.own <= FanOut(1) {
            return; // It is a chain whatever it costs.
        }
        if pacing.places != places {
            pacing = Pacing { own: pacing.own, ..fresh };
        }
        let chained = fan_out == FanOut(1);
        let misplaced = self.misplaced(pace);
        // What a chain costs that begins in the wrong place says nothing of the one that there should be.
        let judged = !chained || misplaced.is_none();
        let chain = self.can_chain(config) && (!judged || pacing.chains(config, chained, pace));
        // Senders that take turns do not change places every time.
        let twice = self.handler.is_some() || pacing.sender == pace.sender;
        pacing.sender = pace.sender;
        let mut told = Vec::new();
        if let Some((one, other)) = misplaced.filter(|_| chain && (twice || !chained)) {
            let _ = self.tree.swap(one, other, &mut told);
        }
        let target = if chain { FanOut(1) } else { pacing.own };
        if self.tree.reshape(target) {
            // There are few, and the attempts of a reduce that this spoils would be as many as its steps.
            while self.tree.reshape_step(&mut told) {}
        }
        self.pacing = Some(alloc::boxed::Box::new(pacing));
        if !told.is_empty() {
            self.tell(config, told, None, out);
        }
    }

    /// Whether it is one of machines, and not of too many.
    fn can_chain(&self, config: &Config) -> bool {
        let few = (PLACES_MIN..=config.chain_max).contains(&self.tree.len());
        let machine = |it: MemberId| self.record(it).is_some_and(|record| record.tenancy.is_daemon());
        few && (self.tree.members().all(machine) || config.bugs.has(Bug::LambdasChained))
    }

    /// The machine from which all values come, or at which they are handled, and whose place it should have in a chain; if it
    /// has another one.
    fn misplaced(&self, pace: &Pace) -> Option<(MemberId, MemberId)> {
        let member = self.handler.or(pace.sender)?;
        let lodging = || self.tree.lodging(member).map(|edge| edge.member);
        let seated = self.tree.place(member).map(|_| member).or_else(lodging)?;
        let (root, last) = (self.tree.root()?, self.tree.members().next_back()?);
        let place = if self.handler.is_some() || seated == root { root } else { last };
        (seated != place).then_some((seated, place))
    }
}

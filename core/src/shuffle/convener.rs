//! Who calls a round: the channel's root, when its own application does.
//!
//! ```text
//!  root's application    Convener           controller          the channel
//!      | Shuffle --------> | CallRoll ---------> |                   |
//!      |                   | <----------- Roll   |                   |    only if the membership changed
//!      |                   | Convene(roll) ------------------------> |    a broadcast
//!      | <- Begun          | <-------------------------------- Roster|    at everybody
//! ```
//!
//! A root that is replaced or dies leaves its broadcast to the channel: it arrives at all who stay, or at nobody. The
//! new root has called as well, and convenes if no roster has come to it. So a roster may come twice: then it serves the
//! next round, of all.

use core::fmt::Debug;
use core::hash::Hash;

use super::event::{Config, Effect};
use crate::bug::Bug;
use crate::channel::{Assign, Cut, Roll, ToController};
use crate::ids::AssignmentVersion;
use crate::machine::Effects;

/// What a member knows of the channel's membership, and does about it when it is the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Convener<A> {
    /// The newest assignment that it has heard of.
    pub version: AssignmentVersion,
    /// Who is in the channel, as the controller tells its root; `None` if it is not the root.
    pub known: Option<Cut>,
    /// The newest roll that it has seen.
    pub roll: Option<Roll<A>>,
    /// It has asked for a newer one.
    pub asked: bool,
    /// A roster of it is being broadcast.
    pub under_way: bool,
}

impl<A> Default for Convener<A> {
    fn default() -> Self {
        let version = AssignmentVersion::default();
        Self { version, known: None, roll: None, asked: false, under_way: false }
    }
}

impl<A: Clone + Debug + Eq + Hash> Convener<A> {
    /// The controller has assigned the member a place.
    pub(super) fn assigned(&mut self, assign: Assign<A>) {
        if assign.version > self.version {
            self.version = assign.version;
            self.known = assign.roster.map(|roster| roster.all);
            self.asked &= self.known.is_some();
        }
    }

    /// The controller has called the roll, or a roster has come.
    pub(super) fn called<P>(&mut self, roll: Roll<A>, needed: bool, out: &mut impl Effects<Effect<A, P>>) {
        let answers = core::mem::take(&mut self.asked);
        self.roll = Some(roll);
        // Whatever has changed meanwhile, this one is good for a round: its members are gone or there.
        if answers && needed && self.known.is_some() {
            self.broadcast(out);
        }
    }

    /// A round is needed, and no roster is there.
    pub(super) fn convene<P>(&mut self, config: &Config, out: &mut impl Effects<Effect<A, P>>) {
        if self.known.is_none() || self.asked || self.under_way {
            return;
        }
        let fresh = self.roll.as_ref().map(|roll| roll.at) == self.known;
        if fresh && !config.limits.bugs.has(Bug::RollCalledAnew) {
            self.broadcast(out);
        } else {
            self.asked = true;
            out.push(Effect::ToController(ToController::CallRoll));
        }
    }

    /// What the controller may not have heard is said once more.
    pub(super) fn controller_up<P>(&self, out: &mut impl Effects<Effect<A, P>>) {
        if self.asked {
            out.push(Effect::ToController(ToController::CallRoll));
        }
    }

    fn broadcast<P>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if let Some(roll) = &self.roll {
            self.under_way = true;
            out.push(Effect::Convene(roll.clone()));
        }
    }
}

//! What members ask of each other's whereabouts: the roll of the channel, and whether one that is missed is gone.
//!
//! ```text
//!  root of a shuffle     controller                  member             controller
//!      | CallRoll -----------> |                        | Missing(it) ------> |  is it a member? then as for a Report
//!      | <---- Roll(who, where)|                        | <-------- Gone(it)  |  if not
//!      | CheckRoll(at) ------> |                        |
//!      | <---- Roll(who, where)|  if it is another one  |
//! ```
//!
//! None of these changes who is in the channel. Nobody is told of a death that it has not asked about: whoever misses a
//! member says so again and again, and hears it then.

use core::fmt::Debug;
use core::hash::Hash;

use super::{Channel, Config, Effect, Record};
use crate::bug::Bug;
use crate::channel::{Cut, Present, Roll, ToMember};
use crate::ids::MemberId;
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// Who is in the channel now, but for daemons: with them nobody has anything to do.
    #[must_use]
    pub fn roll(&self) -> Roll<A> {
        let present = |record: &Record<A>| Present {
            member: record.member,
            address: record.address.clone(),
            role: record.role,
        };
        let lambdas = self.records.iter().flatten().filter(|record| !record.tenancy.is_daemon());
        Roll { at: self.all, present: lambdas.map(present).collect() }
    }

    /// A member wants to know who is there.
    pub(super) fn call_roll(&self, config: &Config, by: MemberId, out: &mut impl Effects<Effect<A>>) {
        let mut roll = self.roll();
        if config.bugs.has(Bug::RollLacksSuspects) {
            let suspected = |it: MemberId| self.record(it).is_some_and(|record| record.probe.is_some());
            roll.present.retain(|it| !suspected(it.member));
        }
        out.push(Effect::Send { to: by, message: ToMember::Roll(roll) });
    }

    /// A member hears nothing of others, and wants to know whether they are still there.
    pub(super) fn check_roll(
        &self,
        config: &Config,
        by: MemberId,
        at: Cut,
        out: &mut impl Effects<Effect<A>>,
    ) {
        let same =
            if config.bugs.has(Bug::RollSameByStamp) { at.until == self.all.until } else { at == self.all };
        if !same {
            self.call_roll(config, by, out);
        }
    }

    /// M3: a member cannot reach another one.
    pub(super) fn missing(
        &mut self,
        config: &Config,
        by: MemberId,
        missed: MemberId,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if self.record(missed).is_some() {
            if !config.bugs.has(Bug::MissingUnheard) {
                self.probe(config, missed, out);
            }
        } else if !config.bugs.has(Bug::GoneUntold) {
            out.push(Effect::Send { to: by, message: ToMember::Gone(missed) });
        }
    }
}

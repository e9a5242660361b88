//! Neighbours that both live and cannot reach each other: from then on their link goes by relay.
//!
//! ```text
//!  one end              controller                other end
//!     | Report(link) ------> | Probe(about link) ----> |
//!     |                      | <-------------- Answer  |     both are there
//!     | <- Assign(new link, by relay)   Assign(new link) -> |
//! ```
//!
//! Who reports is alive, and so is who answers: it is the way between them that is broken (M3). The link gets a new id,
//! under which the child calls by way of a relay, which any host can be that both can reach; whoever it is, is left to
//! the shell. That a pair needs a relay is remembered as long as the two are neighbours, so it is given once; if the
//! link is reported even so, one of the two is asked again whether it is there, and nothing else.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::{Channel, Config, Effect, Timer};
use crate::bug::Bug;
use crate::channel::Probe;
use crate::ids::{LinkId, MemberId};
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// Whether the link between these two goes by relay, if there is one.
    #[must_use]
    pub fn is_relayed(&self, one: MemberId, other: MemberId) -> bool {
        self.relays.get(&one).is_some_and(|relays| relays.contains(&other))
    }

    /// Who is at the other end of a member's link.
    #[must_use]
    pub fn other_end(&self, member: MemberId, link: LinkId) -> Option<MemberId> {
        let above = self.tree.uplink(member).into_iter();
        let edge = above.chain(self.tree.downlinks(member)).find(|edge| edge.link == link)?;
        Some(edge.member)
    }

    /// A member's neighbour is not to be reached.
    pub(super) fn reported(
        &mut self,
        config: &Config,
        member: MemberId,
        link: LinkId,
        out: &mut impl Effects<Effect<A>>,
    ) {
        // A link that is not the member's any more was replaced meanwhile.
        if let Some(accused) = self.other_end(member, link) {
            self.probe_about(config, accused, Some(link), out);
        }
    }

    pub(super) fn answered(
        &mut self,
        config: &Config,
        member: MemberId,
        probe: Probe,
        out: &mut impl Effects<Effect<A>>,
    ) {
        if let Some(record) = self.record_mut(member)
            && record.probe == Some(probe.id)
            && !config.bugs.has(Bug::AnswerIgnored)
        {
            record.probe = None;
            out.push(Effect::ClearTimer(Timer::Probe(member, probe.id)));
            if let Some(link) = probe.about {
                self.relay(config, member, link, out);
            }
        }
    }

    /// Both ends of a link live and one cannot reach the other.
    fn relay(&mut self, config: &Config, member: MemberId, link: LinkId, out: &mut impl Effects<Effect<A>>) {
        let Some(other) = self.other_end(member, link) else { return };
        let has = self.is_relayed(member, other) && !config.bugs.has(Bug::RelayGivenAgain);
        if has || config.bugs.has(Bug::RelayNever) {
            return;
        }
        let above = self.tree.uplink(member).is_some_and(|edge| edge.link == link);
        let mut told = Vec::new();
        if !self.tree.renew(if above { member } else { other }, &mut told) {
            return;
        }
        for (one, another) in [(member, other), (other, member)] {
            let above = self.tree.uplink(one).into_iter();
            let neighbours: Vec<MemberId> =
                above.chain(self.tree.downlinks(one)).map(|edge| edge.member).collect();
            if self.record(one).is_some() {
                let relays = self.relays.entry(one).or_default();
                relays.retain(|it| neighbours.contains(it) && *it != another);
                relays.push(another);
            }
        }
        self.tell(config, told, None, out);
    }
}

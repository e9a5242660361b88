//! What the application gets, in order, and what is let go when nobody needs it.

use core::fmt::Debug;
use core::hash::Hash;

use super::super::event::Effect;
use super::{Broadcast, Ending, Env, after};
use crate::bug::Bug;
use crate::machine::Effects;

impl<A: Clone + Debug + Eq + Hash, P: Clone + Debug + Eq + Hash> Broadcast<A, P> {
    /// Lets go of what nobody needs.
    pub(in super::super) fn free(&mut self, env: &Env<'_, A>) {
        let (floor, taken) = (self.floor(), self.taken);
        if !env.config.bugs.has(Bug::RoundsNotFreed) {
            self.rounds.retain(|round, _| *round > floor || *round > taken);
        }
    }

    /// Whether another round has room here, now or when this step is over and what nobody needs is let go.
    pub(super) fn has_place(&self, env: &Env<'_, A>) -> bool {
        let needed = self.rounds.iter().filter(|(round, _)| **round > self.floor() || **round > self.taken);
        needed.count() < env.config.window.saturating_add(env.config.buffer) as usize
    }

    /// Gives the application what it is in, in order, as far as it can take it.
    pub(super) fn deliver(&mut self, env: &Env<'_, A>, out: &mut impl Effects<Effect<A, P>>) {
        let (position, floor) = (self.position(), self.floor());
        loop {
            let next = after(self.taken);
            let Some(held) = self.rounds.get(&next).filter(|held| held.end.is_some()) else {
                if next > floor {
                    return;
                }
                self.taken = next; // Passed without this member: it was not in it.
                continue;
            };
            if next > position && next > floor {
                return; // One before it is not whole.
            }
            let head = held.head.clone();
            // Who handles results may have come for one that was kept.
            let handles = env.handles && held.end == Some(Ending::Whole);
            let counted = env.me.stamp <= held.head.cut;
            let insider = counted || handles || env.config.bugs.has(Bug::OutsiderDelivers);
            if insider && (!env.daemon || env.config.bugs.has(Bug::DaemonDelivers)) {
                if held.end != Some(Ending::Whole) {
                    out.push(Effect::Deliver { head, pieces: None });
                } else if self.wanted > 0 {
                    self.wanted = self.wanted.saturating_sub(1);
                    out.push(Effect::Deliver { head, pieces: Some(held.pieces.clone()) });
                } else {
                    return; // B4: it waits here, and everybody with it once the buffer is full.
                }
            }
            self.taken = next;
        }
    }
}

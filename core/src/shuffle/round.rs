//! A round that is under way at a member: from whom it still needs something, and who still needs something from it.

use alloc::vec::Vec;

use crate::bounded::Map;
use crate::channel::{Present, Role, RoundId};
use crate::ids::{MemberId, Stamp};
use crate::machine::Effects;
use crate::shuffle::Effect;

/// A roster that the channel has delivered: the members of a round, by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roster<A> {
    /// The round.
    pub round: RoundId,
    /// Whoever joined up to here and is not in it is gone. Of who joined later it says nothing.
    pub until: Stamp,
    /// Who is in it.
    pub present: Vec<Present<A>>,
}

/// One side of a round: that of the sender, or that of the receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Half {
    /// Those who are not done.
    pub awaited: Map<MemberId, ()>,
    /// Those who are gone and were not done.
    pub lost: Vec<MemberId>,
}

/// A round that the application has begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Which.
    pub round: RoundId,
    /// The receivers, by number. It stays as it is: a record is for its receiver or for nobody.
    pub receivers: Vec<MemberId>,
    /// The application has no more records.
    pub ended: bool,
    /// Until the receivers have taken everything, if this member sends.
    pub sending: Option<Half>,
    /// Until the senders have ended, if this member receives.
    pub receiving: Option<Half>,
}

impl<A> Roster<A> {
    /// What somebody does in the round; `None` for who is not in it.
    #[must_use]
    pub fn role(&self, member: MemberId) -> Option<Role> {
        let place = self.present.binary_search_by_key(&member, |it| it.member).ok()?;
        self.present.get(place).map(|it| it.role)
    }
}

impl Open {
    /// To the application: there is room for this receiver.
    pub(super) fn room<A, P>(&self, member: MemberId, out: &mut impl Effects<Effect<A, P>>) {
        let number = self.receivers.binary_search(&member).ok();
        if let Some(receiver) = number.and_then(|it| u32::try_from(it).ok()) {
            out.push(Effect::Room { receiver });
        }
    }
}

impl Half {
    /// Waits for those of whom `alive` says that they are; the others are lost from the start.
    pub(super) fn of(members: impl Iterator<Item = MemberId>, alive: impl Fn(MemberId) -> bool) -> Self {
        let mut half = Self::default();
        for member in members {
            if alive(member) {
                let _ = half.awaited.insert(u32::MAX, member, ()); // As many as there are members.
            } else {
                half.lost.push(member);
            }
        }
        half
    }

    pub(super) fn lose(&mut self, member: MemberId) {
        if self.awaited.remove(&member).is_some() {
            self.lost.push(member);
        }
    }
}

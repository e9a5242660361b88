//! What a daemon's rounds cost while it is the root: measured here, judged by the controller.
//!
//! Time counts while a round is under way: from when the first of it is here until all have it. Rounds side by side share it.

use std::time::Instant;

use bytes::Bytes;
use cirrus_core::channel::Pace;
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::member::{Event, Member};
use cirrus_protocol::zip::Address;

/// A round of no more bytes than this takes as long as one of none.
const SMALL: u64 = 64 << 10;
/// So many bytes or rounds are worth a word to the controller.
const WORTH: (u64, u32) = (16 << 20, 1024);

/// What was measured since the controller was told.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    sum: Pace,
    /// Not all were of one sender.
    mixed: bool,
    /// A round is under way: since when, and what had been counted by then.
    busy: Option<(Instant, u32, u64)>,
    /// The rounds up to here were had by all, and up to there begun.
    seen: Option<(Round, Round)>,
}

impl Pacing {
    /// The member is about to hear this.
    pub(super) fn hears(&mut self, member: &Member<Address, Bytes>, event: &Event<Address, Bytes>) {
        if member.broadcast.reign.is_none() {
            return;
        }
        match event {
            Event::Submitted { from, submit } => self.count(&submit.payload, Some(*from)),
            Event::Send(pieces) => pieces.iter().for_each(|piece| self.count(piece, member.id)),
            _ => {}
        }
    }

    /// The member has done what follows from it; what the controller is to be told, if that is enough by now.
    pub(super) fn stepped(
        &mut self,
        member: &Member<Address, Bytes>,
        now: impl Fn() -> Instant,
    ) -> Option<Pace> {
        let Some(reign) = &member.broadcast.reign else {
            *self = Self::default();
            return None;
        };
        let (floor, started) = (member.broadcast.floor(), reign.started);
        // What was there when its reign began was not measured.
        let (had, begun) = self.seen.replace((floor, started)).unwrap_or((floor, started));
        if started > begun {
            self.count_results(member, started);
        }
        let ended = floor.0.saturating_sub(had.0);
        self.sum.rounds = self.sum.rounds.saturating_add(u32::try_from(ended).unwrap_or(u32::MAX));
        let active = started > floor || !reign.waiting.is_empty() || combines(member);
        let told = ended > 0 && (self.sum.bytes >= WORTH.0 || self.sum.rounds >= WORTH.1);
        match self.busy {
            None if active => self.busy = Some((now(), self.sum.rounds, self.sum.bytes)),
            Some((since, rounds, bytes)) if !active || told => {
                let took = now().saturating_duration_since(since).as_micros();
                self.sum.busy = self.sum.busy.saturating_add(u64::try_from(took).unwrap_or(u64::MAX));
                if self.sum.rounds == rounds + 1 && self.sum.bytes - bytes <= SMALL {
                    let took = u32::try_from(took).unwrap_or(u32::MAX).max(1);
                    let quickest = self.sum.quickest;
                    self.sum.quickest = if quickest == 0 { took } else { quickest.min(took) };
                }
                self.busy = active.then(|| (now(), self.sum.rounds, self.sum.bytes));
            }
            None | Some(_) => {}
        }
        if !told {
            return None;
        }
        self.mixed = false;
        if let Some((_, rounds, bytes)) = &mut self.busy {
            (*rounds, *bytes) = (0, 0);
        }
        Some(std::mem::take(&mut self.sum))
    }

    fn count(&mut self, piece: &Bytes, sender: Option<MemberId>) {
        self.sum.bytes += piece.len() as u64;
        self.sum.piece = self.sum.piece.max(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        if sender != self.sum.sender {
            self.mixed |= self.sum.sender.is_some();
            self.sum.sender = sender.filter(|_| !self.mixed);
        }
    }

    /// A reduce has come to something.
    fn count_results(&mut self, member: &Member<Address, Bytes>, round: Round) {
        let kept = member.reduce.kept.as_ref().filter(|kept| kept.head.id.round == round);
        let held = member.broadcast.rounds.get(&round).filter(|held| held.head.sealed.is_some());
        let pieces = kept.map(|kept| &kept.pieces).or(held.map(|held| &held.pieces));
        for piece in pieces.into_iter().flatten() {
            self.count(piece, None);
        }
    }
}

/// Whether something of the next result is here.
fn combines(member: &Member<Address, Bytes>) -> bool {
    let open = |round: Round| round > member.broadcast.position();
    let below = member.reduce.below.iter().any(|(_, below)| open(below.at.round) && !below.pieces.is_empty());
    below || member.reduce.sent > 0 && open(member.reduce.at.round)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cirrus_core::channel::{Assign, Census, Cut, Role, Roster, Submit, Tenancy, ToMember};
    use cirrus_core::ids::{AssignmentVersion, ControllerEpoch, MachineId, Place, Sequence, Stamp, Term};
    use cirrus_core::machine::Machine as _;
    use cirrus_core::member::Config;

    use super::*;

    const TERM: Term = Term(stamp(4));

    const fn stamp(serial: u32) -> Stamp {
        Stamp { epoch: ControllerEpoch(1), serial }
    }

    /// A daemon that is the root, and nobody below it who would have to report.
    struct Root {
        member: Member<Address, Bytes>,
        pacing: Pacing,
        began: Instant,
        said: Vec<Pace>,
    }

    impl Root {
        fn step(&mut self, at: u64, event: Event<Address, Bytes>) {
            self.pacing.hears(&self.member, &event);
            self.member.step(&Config::default(), event, &mut Vec::new());
            let now = || self.began + Duration::from_micros(at);
            self.said.extend(self.pacing.stepped(&self.member, now));
        }

        /// A broadcast of two pieces of so many bytes, which come at these times.
        fn round(&mut self, from: MemberId, sequence: u32, bytes: usize, at: [u64; 2]) {
            for (index, at) in (0..).zip(at) {
                let payload = Bytes::from(vec![1; bytes]);
                let sequence = Sequence(sequence);
                let submit = Submit { term: TERM, sequence, index, payload, last: index == 1 };
                self.step(at, Event::Submitted { from, submit });
            }
            let begun = self.member.broadcast.reign.as_ref().map(|reign| reign.started);
            assert_eq!(Some(self.member.broadcast.floor()), begun, "the round has not ended");
        }
    }

    #[test]
    fn time_counts_while_a_round_is_under_way_and_bytes_once() {
        let me = MemberId { stamp: stamp(1), slot: 0 };
        let [one, other] = [(2, 1), (3, 2)].map(|(serial, slot)| MemberId { stamp: stamp(serial), slot });
        let mut root = Root {
            member: Member::new(Address::default(), Role::Both, Tenancy::Daemon(MachineId(1))),
            pacing: Pacing::default(),
            began: Instant::now(),
            said: Vec::new(),
        };
        let all = Cut { until: other.stamp, census: Census::of(me), daemons: 1 };
        let assign = Assign {
            version: AssignmentVersion(TERM.0),
            place: Some(Place(0)),
            parent: None,
            children: Vec::new(),
            roster: Some(Roster { term: TERM, all, ..Roster::default() }),
        };
        root.step(0, Event::Controller(ToMember::Welcome(me)));
        root.step(0, Event::Controller(ToMember::Assign(assign)));
        root.round(one, 1, 4 << 20, [10_000, 11_000]);
        root.round(one, 2, 100, [20_000, 20_070]);
        assert!(root.said.is_empty(), "too little is worth a word: {:?}", root.said);
        root.round(one, 3, 4 << 20, [30_000, 33_000]);
        let expected = Pace {
            rounds: 3,
            bytes: (16 << 20) + 200,
            piece: 4 << 20,
            busy: 4070,
            quickest: 70,
            sender: Some(one),
        };
        assert_eq!(root.said, [expected]);
        root.round(one, 4, 4 << 20, [40_000, 41_000]);
        root.round(other, 1, 4 << 20, [50_000, 51_000]);
        let expected =
            Pace { rounds: 2, bytes: 16 << 20, piece: 4 << 20, busy: 2000, quickest: 0, sender: None };
        assert_eq!(root.said[1..], [expected], "they were of two");
    }
}

//! What must be seen in channels that shuffle.

use std::sync::Arc;

use cirrus_core::channel::RoundId;
use cirrus_core::ids::{MemberId, Position, Round};
use cirrus_core::member::{End, Line, Phase};
use cirrus_core::shuffle::{Parcel, What};

use crate::shuffle::{Group, Piece, Process, Side};
use crate::system::Witness;

/// A member's verdicts about a side of its rounds.
fn verdicts(process: &Process, side: Side) -> impl Iterator<Item = (RoundId, &Vec<MemberId>)> {
    process.verdicts.iter().filter(move |(_, of, _)| *of == side).map(|(round, _, lost)| (*round, lost))
}

/// What a member has of others that it has not taken.
fn kept(process: &Process) -> impl Iterator<Item = (MemberId, &Parcel<Piece>)> {
    let peers = process.shuffle.lines.peers.iter();
    peers.flat_map(|(from, peer)| peer.inbox.items.iter().map(move |parcel| (*from, parcel)))
}

fn dead(group: &Group, member: MemberId) -> bool {
    group.of(member).is_some_and(|process| !process.listens())
}

pub(super) const COMPLETE: Witness<Group> = Witness {
    name: "a round is complete, with records",
    seen: |group| {
        group.processes.iter().any(|it| {
            let whole = |(round, lost): (RoundId, &Vec<_>)| {
                lost.is_empty() && it.got.iter().any(|(_, piece)| piece.round == round)
            };
            verdicts(it, Side::Received).any(whole)
        })
    },
};
pub(super) const EARLY: Witness<Group> = Witness {
    name: "records of the next round wait",
    seen: |group| {
        let early = |it: &Process, parcel: &Parcel<Piece>| {
            it.shuffle.open.as_ref().is_none_or(|open| open.round < parcel.round)
        };
        group.processes.iter().any(|it| kept(it).any(|(_, parcel)| early(it, parcel)))
    },
};
pub(super) const RESUMED: Witness<Group> = Witness {
    name: "a connection goes on from the middle",
    seen: |group| {
        group.wires.values().any(|wire| {
            let first = wire.up.front();
            let middle = wire.down.is_empty() && first.is_some_and(|(position, _)| *position > Position(0));
            middle && !wire.broken
        }) && group.processes.iter().any(|it| {
            it.shuffle
                .lines
                .peers
                .iter()
                .any(|(_, peer)| peer.out.sent.is_some() && peer.out.first > Position(0))
        })
    },
};
pub(super) const MARK_LOST: Witness<Group> = Witness {
    name: "an end mark is lost with its connection",
    seen: |group| {
        group.processes.iter().any(|it| {
            it.shuffle.lines.peers.iter().any(|(_, peer)| {
                let last = peer.out.items.iter().next_back();
                let waits = peer.out.line == Line::Waiting && peer.out.shown == peer.out.items.len();
                waits && last.is_some_and(|parcel| parcel.what == What::End)
            })
        })
    },
};
pub(super) const MARK_AGAIN: Witness<Group> = Witness {
    name: "an end mark that was lost is sent again, alone",
    seen: |group| {
        group.budget.values().any(|left| *left < 3)
            && group.wires.values().any(|wire| {
                wire.up.len() == 1 && wire.up.front().is_some_and(|(_, parcel)| parcel.what == What::End)
            })
    },
};
pub(super) const HALF_LOST: Witness<Group> = Witness {
    name: "a sender is lost of whom half had come",
    seen: |group| {
        group.processes.iter().any(|it| {
            verdicts(it, Side::Received)
                .any(|(round, lost)| lost.iter().any(|from| it.got_from(*from, round).next().is_some()))
        })
    },
};
pub(super) const DEAD_COUNTS: Witness<Group> = Witness {
    name: "a sender died after its end mark, and counts",
    seen: |group| {
        group.processes.iter().any(|it| {
            verdicts(it, Side::Received).any(|(round, lost)| {
                let sender = |(from, piece): &(MemberId, Piece)| piece.round == round && dead(group, *from);
                lost.is_empty() && it.got.iter().any(sender)
            })
        })
    },
};
pub(super) const FENCED_KEPT: Witness<Group> = Witness {
    name: "records of one who is fenced wait to be taken",
    seen: |group| {
        let fenced = |from: MemberId| !group.controller.tree.contains(from);
        group.processes.iter().any(|it| kept(it).any(|(from, _)| fenced(from)))
    },
};
pub(super) const FENCED_CALLS: Witness<Group> = Witness {
    name: "one who is fenced calls one who knows it",
    seen: |group| {
        group.wires.iter().any(|((caller, called), wire)| {
            let from = group.live(*caller).and_then(|it| it.shuffle.id);
            let peer = from.zip(group.live(*called));
            let peer = peer.and_then(|(from, it)| it.shuffle.lines.peers.get(&from));
            wire.dialling && peer.is_some_and(|peer| peer.gone)
        })
    },
};
pub(super) const RECEIVER_LOST: Witness<Group> = Witness {
    name: "a receiver is lost, and another has all",
    seen: |group| {
        group.processes.iter().any(|it| {
            verdicts(it, Side::Sent).any(|(round, lost)| {
                let other = |receiver: &Arc<Process>| receiver.verdict(round, Side::Received).is_some();
                !lost.is_empty() && group.processes.iter().any(other)
            })
        })
    },
};
pub(super) const TAKEN_AND_LOST: Witness<Group> = Witness {
    name: "a receiver is named that had everything",
    seen: |group| {
        group.processes.iter().any(|it| {
            verdicts(it, Side::Sent).any(|(round, lost)| {
                let had = |to: &MemberId| {
                    group.of(*to).is_some_and(|it| it.verdict(round, Side::Received).is_some())
                };
                lost.iter().any(had)
            })
        })
    },
};
pub(super) const HELD_BACK: Witness<Group> = Witness {
    name: "a sender waits for room at a slow receiver",
    seen: |group| {
        let full = |it: &Process| it.next.is_some_and(|next| next > 0);
        group.processes.iter().any(|it| full(it)) && group.processes.iter().any(|it| kept(it).count() > 1)
    },
};
pub(super) const REPEATED: Witness<Group> = Witness {
    name: "something is about to come that has come already",
    seen: |group| {
        group.wires.iter().any(|((caller, called), wire)| {
            let from = group.processes.get(*caller as usize).and_then(|it| it.shuffle.id);
            let peer = from.zip(group.live(*called));
            let next = peer.and_then(|(from, it)| Some(it.shuffle.lines.peers.get(&from)?.inbox.next));
            wire.up.front().is_some_and(|(position, _)| next.is_some_and(|next| *position < next))
        })
    },
};
pub(super) const OUTSIDER: Witness<Group> = Witness {
    name: "one who has joined is not in the round",
    seen: |group| {
        let open = |it: &Process| it.shuffle.open.as_ref().map(|open| open.round);
        group.processes.len() > 2
            && group.processes[2].shuffle.open.is_none()
            && group.processes.iter().any(|it| open(it).is_some())
    },
};
pub(super) const JOINED: Witness<Group> = Witness {
    name: "one who has joined has records of the next round",
    seen: |group| group.processes.get(2).is_some_and(|it| !it.got.is_empty()),
};
pub(super) const DRAINED: Witness<Group> = Witness {
    name: "one has left after its round",
    seen: |group| {
        let left = |it: &Process| it.shuffle.phase == Phase::Ended(End::Left) && !it.verdicts.is_empty();
        group.processes.iter().any(|it| left(it))
    },
};
pub(super) const RECONVENED: Witness<Group> = Witness {
    name: "a new root calls a round",
    seen: |group| {
        let root = group.controller.tree.root();
        let second = root.is_some_and(|root| root.stamp.serial > 1);
        second && group.processes.iter().any(|it| it.begun.round > Round(1))
    },
};
pub(super) const EARLY_LOST: Witness<Group> = Witness {
    name: "a member that is gone is in the roster of a round that begins",
    seen: |group| {
        group.processes.iter().filter(|it| it.listens()).any(|it| {
            let rosters = it.shuffle.rosters.iter().flat_map(|roster| &roster.present);
            rosters.map(|present| present.member).any(|member| !group.controller.tree.contains(member))
        })
    },
};
pub(super) const ASKED_AGAIN: Witness<Group> = Witness {
    name: "the roll is called by one whom the controller does not hear",
    seen: |group| group.processes.iter().any(|it| it.cut && it.shuffle.convener.asked),
};

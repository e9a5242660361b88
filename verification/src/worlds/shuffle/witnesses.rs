//! What must be seen in channels that shuffle.

use cirrus_core::channel::RoundId;
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::member::{End, Line, Phase};
use cirrus_core::shuffle::{Parcel, What};

use crate::system::Witness;
use crate::zip::beside::Item;
use crate::zip::beside::shuffles::{Piece, Shuffling, Side};
use crate::zip::{Beside, Mesh};

/// A member's verdicts about a side of its rounds.
fn verdicts(it: &Shuffling, side: Side) -> impl Iterator<Item = (RoundId, &Vec<MemberId>)> {
    it.verdicts.iter().filter(move |(_, of, _)| *of == side).map(|(round, _, lost)| (*round, lost))
}

/// What a member has of others that it has not taken.
fn kept(it: &Shuffling) -> impl Iterator<Item = (MemberId, &Parcel<Piece>)> {
    let peers = it.machine.lines.peers.iter();
    peers.flat_map(|(from, peer)| peer.inbox.items.iter().map(move |parcel| (*from, parcel)))
}

/// The processes' shuffles.
fn all(mesh: &Mesh) -> impl Iterator<Item = &Shuffling> {
    mesh.processes.iter().filter_map(|it| it.beside.as_ref()?.shuffles())
}

/// Those of one process.
fn at(mesh: &Mesh, address: usize) -> Option<&Shuffling> {
    mesh.processes.get(address)?.beside.as_ref()?.shuffles()
}

/// Those of a member.
fn of(mesh: &Mesh, member: MemberId) -> Option<&Shuffling> {
    mesh.of(member)?.beside.as_ref()?.shuffles()
}

/// Whether an end mark is in an item.
fn is_mark(item: &Item) -> bool {
    matches!(item, Item::Parcel(Parcel { what: What::End, .. }))
}

fn dead(mesh: &Mesh, member: MemberId) -> bool {
    mesh.of(member).is_some_and(|process| !process.listens())
}

pub(super) const COMPLETE: Witness<Mesh> = Witness {
    name: "a round is complete, with records",
    seen: |mesh| {
        all(mesh).any(|it| {
            let whole = |(round, lost): (RoundId, &Vec<_>)| {
                lost.is_empty() && it.got.keys().any(|(of, _)| *of == round)
            };
            verdicts(it, Side::Received).any(whole)
        })
    },
};
pub(super) const EARLY: Witness<Mesh> = Witness {
    name: "records of the next round wait",
    seen: |mesh| {
        let early = |it: &Shuffling, parcel: &Parcel<Piece>| {
            it.machine.open.as_ref().is_none_or(|open| open.round < parcel.round)
        };
        all(mesh).any(|it| kept(it).any(|(_, parcel)| early(it, parcel)))
    },
};
pub(super) const MARK_LOST: Witness<Mesh> = Witness {
    name: "an end mark is lost with its connection",
    seen: |mesh| {
        all(mesh).any(|it| {
            it.machine.lines.peers.iter().any(|(_, peer)| {
                let last = peer.out.items.iter().next_back();
                let waits = peer.out.line == Line::Waiting && peer.out.shown == peer.out.items.len();
                waits && last.is_some_and(|parcel| parcel.what == What::End)
            })
        })
    },
};
pub(super) const MARK_AGAIN: Witness<Mesh> = Witness {
    name: "an end mark that was lost is sent again, alone",
    seen: |mesh| {
        mesh.budget.values().any(|left| *left < 3)
            && mesh
                .pipes
                .values()
                .any(|pipe| pipe.up.len() == 1 && pipe.up.front().is_some_and(|(_, item)| is_mark(item)))
    },
};
pub(super) const HALF_LOST: Witness<Mesh> = Witness {
    name: "a sender is lost of whom half had come",
    seen: |mesh| {
        all(mesh).any(|it| {
            verdicts(it, Side::Received)
                .any(|(round, lost)| lost.iter().any(|from| !it.got_from(*from, round).is_empty()))
        })
    },
};
pub(super) const DEAD_COUNTS: Witness<Mesh> = Witness {
    name: "a sender died after its end mark, and counts",
    seen: |mesh| {
        all(mesh).any(|it| {
            verdicts(it, Side::Received).any(|(round, lost)| {
                let sender = |(of, from): &(RoundId, MemberId)| *of == round && dead(mesh, *from);
                lost.is_empty() && it.got.keys().any(sender)
            })
        })
    },
};
pub(super) const FENCED_KEPT: Witness<Mesh> = Witness {
    name: "records of one who is fenced wait to be taken",
    seen: |mesh| {
        let fenced = |from: MemberId| !mesh.controller.tree.contains(from);
        all(mesh).any(|it| kept(it).any(|(from, _)| fenced(from)))
    },
};
pub(super) const RECEIVER_LOST: Witness<Mesh> = Witness {
    name: "a receiver is lost, and another has all",
    seen: |mesh| {
        all(mesh).any(|it| {
            verdicts(it, Side::Sent).any(|(round, lost)| {
                let other = |receiver: &Shuffling| receiver.verdict(round, Side::Received).is_some();
                !lost.is_empty() && all(mesh).any(other)
            })
        })
    },
};
pub(super) const TAKEN_AND_LOST: Witness<Mesh> = Witness {
    name: "a receiver is named that had everything",
    seen: |mesh| {
        all(mesh).any(|it| {
            verdicts(it, Side::Sent).any(|(round, lost)| {
                let had = |to: &MemberId| {
                    of(mesh, *to).is_some_and(|it| it.verdict(round, Side::Received).is_some())
                };
                lost.iter().any(had)
            })
        })
    },
};
pub(super) const HELD_BACK: Witness<Mesh> = Witness {
    name: "a sender waits for room at a slow receiver",
    seen: |mesh| {
        let full = |it: &Shuffling| it.next.is_some_and(|next| next > 0);
        all(mesh).any(full) && all(mesh).any(|it| kept(it).count() > 1)
    },
};
pub(super) const OUTSIDER: Witness<Mesh> = Witness {
    name: "one who has joined is not in the round",
    seen: |mesh| {
        let open = |it: &Shuffling| it.machine.open.as_ref().map(|open| open.round);
        at(mesh, 2).is_some_and(|it| it.machine.open.is_none()) && all(mesh).any(|it| open(it).is_some())
    },
};
pub(super) const JOINED: Witness<Mesh> = Witness {
    name: "one who has joined has records of the next round",
    seen: |mesh| at(mesh, 2).is_some_and(|it| !it.got.is_empty()),
};
pub(super) const DRAINED: Witness<Mesh> = Witness {
    name: "one has left after its round",
    seen: |mesh| {
        let left = |it: &Shuffling| it.machine.phase == Phase::Ended(End::Left) && !it.verdicts.is_empty();
        all(mesh).any(left)
    },
};
pub(super) const RECONVENED: Witness<Mesh> = Witness {
    name: "a new root calls a round",
    seen: |mesh| {
        let root = mesh.controller.tree.root();
        let second = root.is_some_and(|root| root.stamp.serial > 1);
        second && all(mesh).any(|it| it.begun.round > Round(1))
    },
};
pub(super) const EARLY_LOST: Witness<Mesh> = Witness {
    name: "a member that is gone is in the roster of a round that begins",
    seen: |mesh| {
        let listening = mesh.processes.iter().filter(|it| it.listens());
        listening.filter_map(|it| it.beside.as_ref()?.shuffles()).any(|it| {
            let rosters = it.machine.rosters.iter().flat_map(|roster| &roster.present);
            rosters.map(|present| present.member).any(|member| !mesh.controller.tree.contains(member))
        })
    },
};
pub(super) const ASKED_AGAIN: Witness<Mesh> = Witness {
    name: "the roll is called by one whom the controller does not hear",
    seen: |mesh| {
        let mut cut = mesh.processes.iter().filter(|it| it.control.cut);
        cut.any(|it| it.beside.as_ref().and_then(Beside::shuffle).is_some_and(|it| it.convener.asked))
    },
};

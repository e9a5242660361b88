//! On which connection each member is reached.

use std::collections::HashMap;

use cirrus_core::ids::{ChannelId, ControllerEpoch, JobId, MemberId, Stamp};

use super::connections::Peer;

/// A member of a channel.
pub(super) type Seat = (ChannelId, MemberId);

/// Members and connections. There may be very many, so both tables know them by no more than it takes: together some 85
/// bytes a member.
#[derive(Debug, Default)]
pub(super) struct Seats {
    reached: HashMap<Key, Halves>,
    /// The other way round.
    peers: HashMap<Peer, Here>,
}

/// A seat in 28 bytes, and what distinguishes it among those of a job in 20.
type Key = [u32; 7];
type Short = [u32; 5];
/// The number of a connection, which would take more room in one piece.
type Halves = [u32; 2];

/// The members of a connection.
#[derive(Debug)]
struct Here {
    /// Whose connection it is.
    job: JobId,
    /// In the order in which they came. Some may be reached elsewhere by now, or be gone.
    seats: Vec<Short>,
    /// How many of these are.
    stale: usize,
}

fn halves(number: u64) -> Halves {
    [(number >> 32) as u32, number as u32]
}

fn whole([high, low]: Halves) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn short((channel, member): Seat) -> Short {
    let Stamp { epoch, serial } = member.stamp;
    [channel.stamp.epoch.0, channel.stamp.serial, epoch.0, serial, member.slot]
}

fn key(job: JobId, [a, b, c, d, e]: Short) -> Key {
    let [high, low] = halves(job.0);
    [high, low, a, b, c, d, e]
}

fn seat(job: JobId, [channel_epoch, channel_serial, epoch, serial, slot]: Short) -> Seat {
    let stamp = |epoch, serial| Stamp { epoch: ControllerEpoch(epoch), serial };
    let channel = ChannelId { job, stamp: stamp(channel_epoch, channel_serial) };
    (channel, MemberId { stamp: stamp(epoch, serial), slot })
}

impl Seats {
    pub(super) fn get(&self, seat: Seat) -> Option<Peer> {
        self.at(&key(seat.0.job, short(seat)))
    }

    fn at(&self, key: &Key) -> Option<Peer> {
        self.reached.get(key).map(|peer| Peer(whole(*peer)))
    }

    /// From now on a member is reached on this connection, which is one of its job's.
    pub(super) fn take(&mut self, seat: Seat, peer: Peer) {
        let (job, short) = (seat.0.job, short(seat));
        match self.reached.insert(key(job, short), halves(peer.0)).map(whole) {
            Some(before) if before == peer.0 => return,
            Some(before) => self.outdate(Peer(before)),
            None => {}
        }
        let here = self.peers.entry(peer).or_insert_with(|| Here { job, seats: Vec::new(), stale: 0 });
        here.seats.push(short);
    }

    /// A member is reached no more.
    pub(super) fn remove(&mut self, seat: Seat) {
        if let Some(peer) = self.reached.remove(&key(seat.0.job, short(seat))) {
            self.outdate(Peer(whole(peer)));
        }
    }

    /// The members that are reached on a connection, in order.
    pub(super) fn of(&self, peer: Peer) -> Vec<Seat> {
        let Some(here) = self.peers.get(&peer) else { return Vec::new() };
        self.fresh(peer, here).into_iter().map(|short| seat(here.job, short)).collect()
    }

    fn fresh(&self, peer: Peer, here: &Here) -> Vec<Short> {
        let reached = here.seats.iter().filter(|short| self.at(&key(here.job, **short)) == Some(peer));
        let mut seats: Vec<Short> = reached.copied().collect();
        seats.sort_unstable();
        seats.dedup(); // One that went and came back.
        seats
    }

    /// A connection is gone: who was reached on it is not any more.
    pub(super) fn leave(&mut self, peer: Peer) -> Vec<Seat> {
        let seats = self.of(peer);
        self.peers.remove(&peer);
        for seat in &seats {
            self.reached.remove(&key(seat.0.job, short(*seat)));
        }
        seats
    }

    /// One of a connection's members is not there any more. When most are not, they are forgotten.
    fn outdate(&mut self, peer: Peer) {
        let Some(here) = self.peers.get_mut(&peer) else { return };
        here.stale += 1;
        if here.stale * 2 <= here.seats.len() {
            return;
        }
        if let Some(here) = self.peers.remove(&peer) {
            let seats = self.fresh(peer, &here);
            if !seats.is_empty() {
                self.peers.insert(peer, Here { seats, stale: 0, ..here });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(serial: u32) -> Seat {
        let stamp = Stamp { epoch: ControllerEpoch(1), serial };
        (ChannelId { job: JobId(1), stamp }, MemberId { stamp, slot: serial })
    }

    #[test]
    fn a_member_is_reached_where_it_was_heard_last() {
        let (one, other) = (Peer(1), Peer(2));
        let mut seats = Seats::default();
        for serial in 0..10 {
            seats.take(seat(serial), one);
        }
        seats.take(seat(3), other);
        seats.remove(seat(4));
        assert_eq!(seats.get(seat(3)), Some(other));
        assert_eq!(seats.get(seat(4)), None);
        assert_eq!(seats.of(one), [0, 1, 2, 5, 6, 7, 8, 9].map(seat));
        // It comes back, and there it is once.
        seats.take(seat(3), one);
        assert_eq!(seats.of(one), [0, 1, 2, 3, 5, 6, 7, 8, 9].map(seat));
        assert_eq!(seats.of(other), []);
        assert_eq!(seats.leave(one).len(), 9);
        assert!(seats.reached.is_empty() && seats.peers.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn members_that_come_and_go_on_one_connection_leave_nothing_behind() {
        let peer = Peer(1);
        let mut seats = Seats::default();
        seats.take(seat(0), peer);
        for serial in 1..10_000 {
            seats.take(seat(serial), peer);
            seats.remove(seat(serial));
        }
        assert_eq!(seats.of(peer), [seat(0)]);
        assert!(seats.peers[&peer].seats.len() < 4);
    }
}

//! Values combined where they lie: the result is a new array in the segment, made by all cores.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use cirrus_transport::shared::Host;

use crate::zip::operator::Operator;

/// So many bytes are not worth another thread.
const SHARE: usize = 512 << 10;

/// An operator whose results lie in a segment.
pub(super) struct InPlace {
    pub(super) operator: Arc<dyn Operator>,
    pub(super) host: Arc<Host>,
    pub(super) threads: NonZeroUsize,
}

impl Operator for InPlace {
    fn element_bytes(&self) -> Option<usize> {
        self.operator.element_bytes()
    }

    /// What does not lie in the segment, or finds no room there, is combined as anywhere else.
    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        let (length, element) = (pieces.first()?.len(), self.element_bytes().unwrap_or(1).max(1));
        if pieces.iter().any(|piece| piece.len() != length) || !length.is_multiple_of(element) {
            return None;
        }
        let Ok(mut array) = self.host.array(length) else { return self.operator.combine(pieces) };
        let all: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
        let shares = (length * all.len() / SHARE).clamp(1, self.threads.get());
        let share = (length / shares).next_multiple_of(element).max(element);
        let done = thread::scope(|scope| {
            let mut others = Vec::new();
            let mut rest: &mut [u8] = &mut array;
            let mut begin = 0;
            while rest.len() > share {
                let (mine, behind) = rest.split_at_mut(share);
                let slices: Vec<&[u8]> = all.iter().map(|piece| &piece[begin..begin + share]).collect();
                others.push(scope.spawn(move || self.operator.combine_into(&slices, mine)));
                (rest, begin) = (behind, begin + share);
            }
            let slices: Vec<&[u8]> = all.iter().map(|piece| &piece[begin..]).collect();
            let own = self.operator.combine_into(&slices, rest);
            others.into_iter().fold(own, |done, other| done & other.join().unwrap_or(false))
        });
        if done { Some(array.freeze()) } else { self.operator.combine(pieces) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::operator::sum;

    #[test]
    fn all_threads_make_what_one_makes() {
        let host = Host::create(64 << 20).unwrap();
        let value = |seed: u64, numbers: u64| {
            Bytes::from((0..numbers).flat_map(|at| (at * seed).to_le_bytes()).collect::<Vec<u8>>())
        };
        for (threads, numbers) in [(1, 1000), (3, 1), (3, 100_003), (8, 262_144)] {
            let (operator, threads) =
                (Arc::new(sum::<u64>()) as Arc<dyn Operator>, NonZeroUsize::new(threads).unwrap());
            let in_place = InPlace { operator: operator.clone(), host: host.clone(), threads };
            let pieces = [value(3, numbers), value(5, numbers), value(1 << 40, numbers)];
            let made = in_place.combine(&pieces).unwrap();
            assert_eq!(Some(&made), operator.combine(&pieces).as_ref(), "{numbers} numbers");
            assert!(host.held() >= numbers * 8, "it lies in the segment");
            assert_eq!(in_place.combine(&[value(1, 2), value(1, 1)]), None);
        }
        assert_eq!(host.held(), 0);
        let small = Host::create(4 << 10).unwrap();
        let in_place = InPlace { operator: Arc::new(sum::<u64>()), host: small, threads: NonZeroUsize::MIN };
        assert_eq!(in_place.combine(&[value(1, 1000), value(2, 1000)]), Some(value(3, 1000)), "it is full");
    }
}

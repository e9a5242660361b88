//! Which bytes of a segment are free: extents, given out by size classes.
//!
//! A length is rounded up to a class: whole pages, and eight classes between a power of two and the next, so that what
//! one array leaves fits the next one of about its size, and an eighth is wasted at most. From [`HUGE`] on, classes and
//! extents are whole huge pages. The lowest extent that is long enough is taken: what has been used before is used again,
//! since pages that nobody has touched yet cost as much as copying into them. Neighbours that are free become one.

use std::collections::BTreeMap;

/// The smallest class, and what all are multiples of.
pub(crate) const PAGE: u64 = 4 << 10;
/// From here on extents begin and end at such multiples.
pub(crate) const HUGE: u64 = 2 << 20;

/// What is free, by where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    free: BTreeMap<u64, u64>,
}

/// The class of a length; `None` if it is beyond all.
pub(crate) fn class(bytes: u64) -> Option<u64> {
    let power = bytes.max(1).checked_next_power_of_two()?;
    let smallest = if bytes > HUGE { HUGE } else { PAGE };
    bytes.max(1).checked_next_multiple_of((power / 16).max(smallest))
}

impl Space {
    /// Of so many bytes, all of them free.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { free: BTreeMap::from([(0, bytes)]) }
    }

    /// Takes an extent for so many bytes: where it begins, and its class.
    pub(crate) fn take(&mut self, bytes: u64) -> Option<(u64, u64)> {
        let class = class(bytes)?;
        let align = if class > HUGE { HUGE } else { PAGE };
        let fit = self.free.iter().find_map(|(start, length)| {
            let begin = start.checked_next_multiple_of(align)?;
            let end = begin.checked_add(class)?;
            (end <= start.checked_add(*length)?).then_some((*start, *length, begin, end))
        });
        let (start, length, begin, end) = fit?;
        self.free.remove(&start);
        if begin > start {
            self.free.insert(start, begin - start);
        }
        if start + length > end {
            self.free.insert(end, start + length - end);
        }
        Some((begin, class))
    }

    /// Gives back what [`take`](Self::take) gave.
    pub(crate) fn give(&mut self, begin: u64, class: u64) {
        let (mut begin, mut length) = (begin, class);
        if let Some((start, before)) = self.free.range(..begin).next_back().map(|(start, it)| (*start, *it))
            && start + before == begin
        {
            self.free.remove(&start);
            (begin, length) = (start, before + length);
        }
        if let Some(behind) = self.free.remove(&(begin + length)) {
            length += behind;
        }
        self.free.insert(begin, length);
    }

    /// How many bytes are free.
    pub(crate) fn free(&self) -> u64 {
        self.free.values().sum()
    }
}

#[cfg(all(test, not(cirrus_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_class_wastes_an_eighth_at_most() {
        for bytes in [1, 100, 4096, 4097, 65 << 10, 1 << 20, (2 << 20) + 1, 100_000_000, 1 << 33] {
            let class = class(bytes).unwrap();
            let least = if bytes > HUGE { HUGE } else { PAGE };
            assert!(class >= bytes && class - bytes < (bytes / 8).max(least), "{bytes}: {class}");
            assert_eq!(class % least, 0);
        }
        assert_eq!(class(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn extents_never_overlap_and_all_come_together_again(
            steps in prop::collection::vec((0..6_000_000_u64, any::<prop::sample::Index>(), any::<bool>()), 1..200)
        ) {
            const WHOLE: u64 = 32 << 20;
            let mut space = Space::new(WHOLE);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (bytes, which, gives) in steps {
                if gives && !taken.is_empty() {
                    let (begin, class) = taken.swap_remove(which.index(taken.len()));
                    space.give(begin, class);
                } else if let Some((begin, class)) = space.take(bytes) {
                    prop_assert!(begin + class <= WHOLE && class >= bytes);
                    prop_assert!(taken.iter().all(|(start, length)| begin + class <= *start || start + length <= begin));
                    taken.push((begin, class));
                } else {
                    prop_assert!(bytes > 0);
                }
                let held: u64 = taken.iter().map(|(_, class)| class).sum();
                prop_assert_eq!(space.free() + held, WHOLE);
            }
            taken.drain(..).for_each(|(begin, class)| space.give(begin, class));
            prop_assert_eq!(space.free, BTreeMap::from([(0, WHOLE)]));
        }
    }
}

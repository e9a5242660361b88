//! The two maps are one map to whoever uses them.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{Map, SmallMap};

/// What to do with a map.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Insert(u8, u16),
    Change(u8, u16),
    Remove(u8),
    KeepMultiples(u16),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..12_u8, any::<u16>()).prop_map(|(key, value)| Deed::Insert(key, value)),
        2 => (0..12_u8, any::<u16>()).prop_map(|(key, value)| Deed::Change(key, value)),
        2 => (0..12_u8).prop_map(Deed::Remove),
        1 => (1..4_u16).prop_map(Deed::KeepMultiples),
    ];
    prop::collection::vec(deed, 0..60)
}

proptest! {
    #[test]
    fn a_small_map_is_a_map(limit in 0..8_u32, deeds in deeds()) {
        let (mut large, mut small) = (Map::default(), SmallMap::default());
        for deed in deeds {
            match deed {
                Deed::Insert(key, value) => {
                    prop_assert_eq!(large.insert(limit, key, value), small.insert(limit, key, value));
                }
                Deed::Change(key, value) => {
                    prop_assert_eq!(large.get_mut(&key).is_some(), small.get_mut(&key).is_some());
                    large.iter_mut().chain(small.iter_mut()).filter(|(it, _)| **it == key).for_each(|(_, it)| *it = value);
                }
                Deed::Remove(key) => prop_assert_eq!(large.remove(&key), small.remove(&key)),
                Deed::KeepMultiples(of) => {
                    large.retain(|_, value| value.is_multiple_of(of));
                    small.retain(|_, value| value.is_multiple_of(of));
                }
            }
            prop_assert!(large.iter().eq(small.iter()), "{large:?} and {small:?}");
            prop_assert_eq!((large.len(), large.is_empty()), (small.len(), small.is_empty()));
            for key in 0..12 {
                prop_assert_eq!((large.get(&key), large.contains(&key)), (small.get(&key), small.contains(&key)));
            }
        }
    }
}

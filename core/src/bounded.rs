//! Collections that cannot outgrow their limit.
//!
//! A limit belongs to the configuration, not to the state, so it is an argument of what adds. Adding to a full
//! collection gives the item back: the machine then answers with a named refusal, never by dropping silently.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

#[cfg(test)]
mod tests;

/// Gave the item back: the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Full<T>(pub T);

/// First in, first out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue<T>(VecDeque<T>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Queue<T> {
    /// Adds at the end.
    ///
    /// # Errors
    /// The item, when the queue already holds `limit`.
    pub fn push(&mut self, limit: u32, item: T) -> Result<(), Full<T>> {
        if self.0.len() >= limit as usize {
            return Err(Full(item));
        }
        self.0.push_back(item);
        Ok(())
    }

    /// Adds at the front.
    ///
    /// # Errors
    /// The item, when the queue already holds `limit`.
    pub fn push_first(&mut self, limit: u32, item: T) -> Result<(), Full<T>> {
        if self.0.len() >= limit as usize {
            return Err(Full(item));
        }
        self.0.push_front(item);
        Ok(())
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    /// The first, left where it is.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.0.front()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter()
    }

    /// From first to last, to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.0.iter_mut()
    }

    /// Keeps those for which `keep` says so, in order.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// An ordered map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Map<K, V>(BTreeMap<K, V>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V> Map<K, V> {
    /// Sets a key's value. A key that is there already is replaced, also when the map is full.
    ///
    /// # Errors
    /// The value, when the map already holds `limit` other keys.
    pub fn insert(&mut self, limit: u32, key: K, value: V) -> Result<(), Full<V>> {
        if self.0.len() >= limit as usize && !self.0.contains_key(&key) {
            return Err(Full(value));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// A key's value.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// A key's value, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// In the order of the keys, to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> {
        self.0.iter_mut()
    }

    /// Keeps those for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain(keep);
    }
}

/// An ordered map of a few, as many as a member has neighbours or rounds under way: one piece of memory, which is
/// walked and copied faster than a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SmallMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// Where a key is, or belongs.
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(it, _)| it.cmp(key))
    }

    /// Sets a key's value. A key that is there already is replaced, also when the map is full.
    ///
    /// # Errors
    /// The value, when the map already holds `limit` other keys.
    pub fn insert(&mut self, limit: u32, key: K, value: V) -> Result<(), Full<V>> {
        match self.find(&key) {
            Ok(place) => {
                if let Some((_, there)) = self.0.get_mut(place) {
                    *there = value;
                }
            }
            Err(_) if self.0.len() >= limit as usize => return Err(Full(value)),
            Err(place) => self.0.insert(place, (key, value)),
        }
        Ok(())
    }

    /// A key's value.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().and_then(|place| self.0.get(place)).map(|(_, value)| value)
    }

    /// A key's value, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().and_then(|place| self.0.get_mut(place)).map(|(_, value)| value)
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|place| self.0.remove(place).1)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// In the order of the keys, to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Keeps those for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }
}

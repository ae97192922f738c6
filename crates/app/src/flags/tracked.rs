//! A map that remembers which keys were changed, so that only what depends on them is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

pub(super) struct Tracked<K, V> {
    map: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K, V> Default for Tracked<K, V> {
    fn default() -> Self {
        Self { map: BTreeMap::new(), touched: BTreeSet::new() }
    }
}

/// Reads go to the map itself; writes only through the methods below.
impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;
    fn deref(&self) -> &BTreeMap<K, V> {
        &self.map
    }
}

impl<K: Ord + Clone, V> Tracked<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.touched.insert(key.clone());
        self.map.insert(key, value);
    }

    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = (K, V)>) {
        more.into_iter().for_each(|(key, value)| self.insert(key, value));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if self.map.remove(key).is_some() {
            self.touched.insert(key.clone());
        }
    }

    /// The keys that were changed since the last call.
    pub(super) fn take_touched(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.touched)
    }
}

impl<K: Ord + Clone, V: PartialEq> Tracked<K, V> {
    /// Holds exactly what `fresh` holds afterwards; what is equal was not changed.
    pub(super) fn replace(&mut self, fresh: BTreeMap<K, V>) {
        let gone = self.map.keys().filter(|key| !fresh.contains_key(key));
        let changed = fresh.iter().filter(|(key, value)| self.map.get(key) != Some(value)).map(|(key, _)| key);
        let touched: Vec<K> = gone.chain(changed).cloned().collect();
        self.touched.extend(touched);
        self.map = fresh;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_touched() {
        let mut map = Tracked::default();
        map.insert("a", 1);
        map.insert("b", 2);
        assert_eq!(map.take_touched(), BTreeSet::from(["a", "b"]));
        map.replace(BTreeMap::from([("b", 2), ("c", 3)]));
        assert_eq!(map.take_touched(), BTreeSet::from(["a", "c"]));
        map.remove(&"ghost");
        map.remove(&"c");
        assert_eq!(map.take_touched(), BTreeSet::from(["c"]));
        assert_eq!(map.get("b"), Some(&2));
    }
}

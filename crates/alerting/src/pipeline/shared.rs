//! A sorted map whose copies share what neither has changed. A step of the pipeline is made on a copy of its state, and that
//! must not cost as much as all that is followed.

use std::borrow::Borrow;
use std::sync::Arc;

/// Entries of a leaf. A copy of the map is a pointer for each leaf, and a change copies one leaf. With this many the two
/// together cost least where a storm puts 64 alerts among 10,000 in a step.
const LEAF_MAX: usize = 24;

/// Where an entry stands: its leaf, and its place there.
type At = (usize, usize);

/// It has what is used here of a `BTreeMap`, under the same names and in the same order.
#[derive(Debug, Clone)]
pub struct SharedMap<K, V> {
    /// In the order of their keys; none is empty.
    leaves: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { leaves: Vec::new(), len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K, V> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.leaves.iter().flat_map(|leaf| leaf.iter().map(|(key, value)| (key, value)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// Where the entry is, or where it would be put.
    fn find<Q>(&self, key: &Q) -> Result<At, At>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let against = |of: &K| <K as Borrow<Q>>::borrow(of).cmp(key);
        let after = self.leaves.partition_point(|leaf| leaf.first().is_some_and(|(first, _)| against(first).is_le()));
        let leaf = after.saturating_sub(1);
        let Some(entries) = self.leaves.get(leaf) else { return Err((0, 0)) };
        let place = entries.binary_search_by(|(of, _)| against(of));
        place.map(|place| (leaf, place)).map_err(|place| (leaf, place))
    }

    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (leaf, place) = self.find(key).ok()?;
        Some(&self.leaves[leaf][place].1)
    }

    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.find(key).is_ok()
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let at = self.find(key).ok()?;
        Some(self.value_mut(at))
    }

    fn value_mut(&mut self, (leaf, place): At) -> &mut V {
        &mut Arc::make_mut(&mut self.leaves[leaf])[place].1
    }

    /// The value that was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(self.value_mut(at), value)),
            Err(at) => {
                self.put(at, key, value);
                None
            }
        }
    }

    /// Puts in an entry that is not there; the answer is where it stands.
    fn put(&mut self, (leaf, place): At, key: K, value: V) -> At {
        if self.leaves.is_empty() {
            self.leaves = vec![Arc::default()];
        }
        self.len += 1;
        let entries = with_room(&mut self.leaves[leaf]);
        entries.insert(place, (key, value));
        if entries.len() <= LEAF_MAX {
            return (leaf, place);
        }
        let half = entries.len() / 2;
        let right = entries.split_off(half);
        self.leaves.insert(leaf + 1, Arc::new(right));
        if place < half { (leaf, place) } else { (leaf + 1, place - half) }
    }

    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        Entry { map: self, key }
    }

    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (leaf, place) = self.find(key).ok()?;
        let entries = Arc::make_mut(&mut self.leaves[leaf]);
        let (_, value) = entries.remove(place);
        if entries.is_empty() {
            self.leaves.remove(leaf);
        }
        self.len -= 1;
        Some(value)
    }

    /// Leaves that lose nothing stay shared.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        for leaf in &mut self.leaves {
            let kept: Vec<bool> = leaf.iter().map(|(key, value)| keep(key, value)).collect();
            if kept.contains(&false) {
                let mut kept = kept.into_iter();
                Arc::make_mut(leaf).retain(|_| kept.next().unwrap_or(true));
            }
        }
        self.leaves.retain(|leaf| !leaf.is_empty());
        self.len = self.leaves.iter().map(|leaf| leaf.len()).sum();
    }

    /// Takes out the entries in front, as far as their keys are `wanted`.
    pub fn take_front(&mut self, wanted: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let whole = self.leaves.partition_point(|leaf| leaf.last().is_some_and(|(key, _)| wanted(key)));
        let mut taken: Vec<(K, V)> = self.leaves.drain(..whole).flat_map(Arc::unwrap_or_clone).collect();
        if let Some(leaf) = self.leaves.first_mut() {
            // Its last entry stays.
            let count = leaf.partition_point(|(key, _)| wanted(key));
            if count > 0 {
                taken.extend(Arc::make_mut(leaf).drain(..count));
            }
        }
        self.len -= taken.len();
        taken
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.leaves.iter_mut().flat_map(|leaf| Arc::make_mut(leaf).iter_mut().map(|(_, value)| value))
    }
}

/// The entries of a leaf, to put one more in. Those that another map shares are copied with room for it.
fn with_room<T: Clone>(leaf: &mut Arc<Vec<T>>) -> &mut Vec<T> {
    if Arc::get_mut(leaf).is_none() {
        let mut copied = Vec::with_capacity(leaf.len() + 1);
        copied.extend_from_slice(leaf);
        *leaf = Arc::new(copied);
    }
    let entries = Arc::make_mut(leaf);
    if entries.len() == entries.capacity() {
        // No more room than a half in advance: most maps of a group hold one entry.
        entries.reserve_exact((entries.len() / 2).max(1));
    }
    entries
}

/// The place of a key.
pub struct Entry<'a, K, V> {
    map: &'a mut SharedMap<K, V>,
    key: K,
}

impl<'a, K: Ord + Clone, V: Clone> Entry<'a, K, V> {
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let Self { map, key } = self;
        let at = match map.find(&key) {
            Ok(at) => at,
            Err(at) => map.put(at, key, make()),
        };
        map.value_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A number that follows from the one before: enough chance for a test that replays.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    fn same(map: &SharedMap<u64, u64>, wanted: &BTreeMap<u64, u64>) -> bool {
        map.len() == wanted.len() && map.iter().eq(wanted.iter()) && map.values().eq(wanted.values())
    }

    #[test]
    fn it_holds_what_a_tree_holds_and_a_copy_stays_as_it_was() {
        let (mut map, mut tree, mut seed) = (SharedMap::default(), BTreeMap::new(), 7);
        let mut copies = Vec::new();
        for round in 0..6_000 {
            let (key, value) = (next(&mut seed) % 900, next(&mut seed));
            match next(&mut seed) % 6 {
                0 | 1 => assert_eq!(map.insert(key, value), tree.insert(key, value)),
                2 => assert_eq!(map.remove(&key), tree.remove(&key)),
                3 => assert_eq!(map.get_mut(&key).map(|v| *v += 1), tree.get_mut(&key).map(|v| *v += 1)),
                4 => assert_eq!(map.entry(key).or_insert_with(|| value), tree.entry(key).or_insert_with(|| value)),
                _ => assert_eq!((map.get(&key), map.contains_key(&key)), (tree.get(&key), tree.contains_key(&key))),
            }
            if round % 500 == 499 {
                copies.push((map.clone(), tree.clone()));
                map.values_mut().for_each(|v| *v = v.wrapping_add(round));
                for v in tree.values_mut() {
                    *v = v.wrapping_add(round);
                }
                map.retain(|key, _| key % 7 != 3);
                tree.retain(|key, _| key % 7 != 3);
            }
            if round % 700 == 699 {
                let until = next(&mut seed) % 200;
                let rest = tree.split_off(&until);
                let front: Vec<(u64, u64)> = std::mem::replace(&mut tree, rest).into_iter().collect();
                assert_eq!(map.take_front(|key| *key < until), front);
            }
            assert_eq!(map.is_empty(), tree.is_empty());
        }
        assert!(same(&map, &tree) && map.len() > 4 * LEAF_MAX, "{} entries", map.len());
        assert!(copies.iter().all(|(map, tree)| same(map, tree)), "what was changed later does not show in copies");
        assert!(copies.windows(2).all(|pair| pair[0].0 != pair[1].0));
        map.retain(|_, _| false);
        assert!(map.is_empty() && map == SharedMap::default() && map.get(&1).is_none());
    }

    #[test]
    fn a_change_copies_one_leaf() {
        let mut map = SharedMap::default();
        (0..10_000_u64).for_each(|key| assert_eq!(map.insert(key, key), None));
        let before = map.clone();
        map.insert(5_000, 0);
        map.retain(|key, _| *key != 9_999);
        let shared = |leaf: &&Arc<Vec<(u64, u64)>>| before.leaves.iter().any(|other| Arc::ptr_eq(leaf, other));
        assert_eq!(map.leaves.len() - map.leaves.iter().filter(shared).count(), 2);
    }
}

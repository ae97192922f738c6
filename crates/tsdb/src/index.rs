//! Which series there are and which of them match, for head and blocks together: label sets by number, and an inverted
//! index from labels to numbers.
//!
//! A number stands for one label set as long as the directory lives; it is never given to another.

use std::{
    collections::{HashMap, hash_map},
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use roaring::RoaringBitmap;
use tenfold_types::{Labels, Matcher, MatcherOp};

use crate::{
    entries::{Entries, Entry, NO_SLOT},
    matcher::CompiledMatcher,
    patterns::{Matched, Patterns, WORTH_KEEPING},
    postings::{Postings, SeriesId},
    symbols::{Symbol, Symbols},
    threads::in_parts,
};

/// The first number that no series gets: places in the head that are free have the last of all.
pub(crate) const ID_END_MAX: SeriesId = SeriesId::MAX - 1;

#[derive(Default)]
pub(crate) struct LabelEntry {
    values: HashMap<Symbol, Postings, DefaultHashBuilder>,
    /// The same values as they came: their texts lie in memory in about this order.
    order: Vec<Symbol>,
    all: RoaringBitmap,
}

/// A set so many times smaller than the values of a label is asked series by series.
const ONE_BY_ONE: u64 = 4;
/// So are so few series in any case: copying the set of a value takes longer.
const FEW: u64 = 16;
/// So many values are asked on two threads.
const WORTH_A_THREAD: usize = if cfg!(test) { 4 } else { 1 << 15 };

#[derive(Default)]
pub(crate) struct Index {
    pub symbols: Symbols,
    entries: Entries,
    pairs: Vec<(Symbol, Symbol)>,
    /// Labels in `pairs` that no series uses any more.
    dead_pairs: usize,
    table: HashTable<SeriesId>,
    hasher: DefaultHashBuilder,
    labels: HashMap<Symbol, LabelEntry, DefaultHashBuilder>,
    live: RoaringBitmap,
    patterns: Patterns,
}

impl Index {
    pub fn len(&self) -> usize {
        self.live.len() as usize
    }
    /// One more than the highest number ever given.
    pub fn id_end(&self) -> u32 {
        self.entries.end()
    }
    /// Numbers below this are taken, whether their series are known or not.
    pub fn reserve_ids(&mut self, end: u32) {
        self.entries.reserve(end.min(ID_END_MAX));
    }
    /// Heap bytes, roughly.
    pub fn bytes(&self) -> usize {
        let values: usize = self
            .labels
            .values()
            .map(|l| l.values.capacity() * 40 + l.order.capacity() * 4 + l.all.serialized_size())
            .sum();
        let sets: usize = self.labels.values().flat_map(|l| l.values.values()).map(Postings::heap_bytes).sum();
        self.symbols.bytes()
            + self.entries.bytes()
            + self.pairs.capacity() * 8
            + self.table.allocation_size()
            + values
            + sets
            + self.patterns.bytes()
    }
    /// Makes room for that many series at once.
    pub fn reserve(&mut self, series: usize) {
        let mut table = std::mem::take(&mut self.table);
        table.reserve(series, |id| self.hash(self.texts(*id)));
        self.table = table;
        self.pairs.reserve(series * 6);
    }
    pub fn live(&self) -> &RoaringBitmap {
        &self.live
    }
    pub fn hash(&self, labels: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (name, value) in labels {
            hasher.write(name.as_ref().as_bytes());
            hasher.write_u8(0xff);
            hasher.write(value.as_ref().as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }
    /// The series with exactly these (sorted) labels.
    pub fn find(&self, hash: u64, labels: &[(&str, &str)]) -> Option<SeriesId> {
        self.table.find(hash, |id| self.has_labels(*id, labels)).copied()
    }
    fn has_labels(&self, id: SeriesId, labels: &[(&str, &str)]) -> bool {
        let pairs = self.pairs(id);
        pairs.len() == labels.len()
            && pairs
                .iter()
                .zip(labels)
                .all(|((n, v), (name, value))| self.symbols.get(*v) == *value && self.symbols.get(*n) == *name)
    }
    pub fn pairs(&self, id: SeriesId) -> &[(Symbol, Symbol)] {
        let e = self.entries.get(id);
        &self.pairs[e.at as usize..(e.at + e.len) as usize]
    }
    pub fn texts(&self, id: SeriesId) -> impl Iterator<Item = (&str, &str)> {
        self.pairs(id).iter().map(|(n, v)| (self.symbols.get(*n), self.symbols.get(*v)))
    }
    pub fn labels(&self, id: SeriesId) -> Labels {
        Labels::from_pairs(self.texts(id))
    }
    pub fn is_live(&self, id: SeriesId) -> bool {
        self.entries.get(id).len > 0
    }
    pub fn slot(&self, id: SeriesId) -> Option<u32> {
        Some(self.entries.get(id).slot).filter(|s| *s != NO_SLOT)
    }
    pub fn set_slot(&mut self, id: SeriesId, slot: u32) {
        self.entries.set_slot(id, slot);
    }
    /// Series of one metric stand together in a block, in the order they came.
    pub fn block_order(&self, id: SeriesId) -> (Symbol, SeriesId) {
        let first = self.pairs(id).first().filter(|(n, _)| self.symbols.get(*n) == Labels::NAME);
        (first.map_or(Symbol::MAX, |(_, value)| *value), id)
    }
    /// A new series, under the next number.
    pub fn insert(&mut self, hash: u64, labels: &[(&str, &str)]) -> SeriesId {
        let at = self.pairs.len();
        for (name, value) in labels {
            let pair = (self.symbols.intern(name), self.symbols.intern(value));
            self.pairs.push(pair);
        }
        let id = self.id_end();
        self.enter(id, at, hash);
        id
    }
    /// A series read back under the number it had. `Err` gives the number under which its labels are known already.
    pub fn restore(&mut self, id: SeriesId, labels: &[(Symbol, Symbol)]) -> Result<(), Option<SeriesId>> {
        let hash = self.hash(labels.iter().map(|(n, v)| (self.symbols.get(*n), self.symbols.get(*v))));
        // Strings have one number each: comparing numbers is comparing labels.
        if let Some(known) = self.table.find(hash, |known| self.pairs(*known) == labels) {
            return if *known == id { Ok(()) } else { Err(Some(*known)) };
        }
        if self.is_live(id) || id >= ID_END_MAX {
            return Err(None);
        }
        let at = self.pairs.len();
        self.pairs.extend_from_slice(labels);
        self.enter(id, at, hash);
        Ok(())
    }
    fn enter(&mut self, id: SeriesId, at: usize, hash: u64) {
        let len = self.pairs.len() - at;
        self.entries.set(id, Entry { at: at as u32, len: len as u32, slot: NO_SLOT });
        for (name, value) in &self.pairs[at..] {
            let label = self.labels.entry(*name).or_default();
            label.all.insert(id);
            match label.values.entry(*value) {
                hash_map::Entry::Occupied(mut known) => known.get_mut().insert(id),
                hash_map::Entry::Vacant(new) => {
                    new.insert(Postings::One(id));
                    label.order.push(*value);
                }
            }
        }
        self.live.insert(id);
        let mut table = std::mem::take(&mut self.table);
        table.insert_unique(hash, id, |id| self.hash(self.texts(*id)));
        self.table = table;
    }
    /// Forgets every series outside of `keep`; how many those were.
    pub fn retain(&mut self, keep: &RoaringBitmap) -> usize {
        let gone = &self.live - keep;
        if gone.is_empty() {
            return 0;
        }
        for id in &gone {
            let hash = self.hash(self.texts(id));
            if let Ok(entry) = self.table.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
            self.dead_pairs += self.entries.get(id).len as usize;
            self.entries.clear(id);
        }
        self.entries.give_back();
        self.live -= &gone;
        let live = &self.live;
        self.labels.retain(|_, label| {
            label.all &= live;
            label.values.retain(|_, postings| postings.retain(live));
            let values = &label.values;
            label.order.retain(|value| values.contains_key(value));
            !label.all.is_empty()
        });
        self.patterns.clear();
        if self.dead_pairs * 2 > self.pairs.len() {
            self.rebuild();
        }
        gone.len() as usize
    }
    /// Gives back the memory of forgotten labels.
    fn rebuild(&mut self) {
        let mut fresh = Self::default();
        fresh.reserve_ids(self.id_end());
        for id in &self.live {
            let texts: Vec<(&str, &str)> = self.texts(id).collect();
            let at = fresh.pairs.len();
            for (name, value) in &texts {
                let pair = (fresh.symbols.intern(name), fresh.symbols.intern(value));
                fresh.pairs.push(pair);
            }
            let hash = fresh.hash(texts.iter().copied());
            fresh.enter(id, at, hash);
            fresh.entries.set_slot(id, self.entries.get(id).slot);
        }
        *self = fresh;
    }
    /// The series that satisfy every matcher.
    pub fn select(&self, matchers: &[CompiledMatcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        let (mut narrowing, widening): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| !m.matches(""));
        // Those with known values first: they cost a lookup and make the set small for the rest.
        // The smallest of them is the first, so that the others are asked of few series.
        narrowing.sort_by_cached_key(|m| self.known(m));
        for m in narrowing {
            let Some((name, label)) = self.label(m.name()) else { return RoaringBitmap::new() };
            found = Some(match found {
                Some(set) if is_one_by_one(&set, label, m) => self.filter(&set, name, m),
                Some(set) => set & self.matching(name, label, m),
                None => self.matching(name, label, m),
            });
        }
        let mut set = found.unwrap_or_else(|| self.live.clone());
        for m in widening {
            if set.is_empty() || m.matches_everything() {
                continue;
            }
            let Some((name, label)) = self.label(m.name()) else { continue };
            if is_one_by_one(&set, label, m) {
                set = self.filter(&set, name, m);
            } else {
                set -= self.not_matching(name, label, m);
            }
        }
        set
    }
    /// At most so many series satisfy every matcher: what those tell that name a value. A look, not a search.
    pub fn at_most(&self, matchers: &[Matcher]) -> u64 {
        let named = || matchers.iter().filter(|m| m.op == MatcherOp::Equal && !m.value.is_empty());
        let of_value = |m: &Matcher| {
            let (_, label) = self.label(&m.name)?;
            label.values.get(&self.symbols.find(&m.value)?)
        };
        let mut fewest: Option<&Postings> = None;
        for m in named() {
            let Some(postings) = of_value(m) else { return 0 };
            if fewest.is_none_or(|few| postings.len() < few.len()) {
                fewest = Some(postings);
            }
        }
        let Some(fewest) = fewest else { return self.live.len() };
        if fewest.len() > FEW {
            return fewest.len();
        }
        let has = |id, m: &Matcher| self.texts(id).any(|(name, value)| name == m.name && value == m.value);
        fewest.to_set().iter().filter(|id| named().all(|m| has(*id, m))).count() as u64
    }
    /// The series of a matcher that names its values, roughly; those that name none come last.
    fn known(&self, m: &CompiledMatcher) -> u64 {
        let Some(values) = m.candidates() else { return u64::MAX };
        let Some((_, label)) = self.label(m.name()) else { return 0 };
        let [value] = values else { return label.all.len() };
        let postings = self.symbols.find(value).and_then(|value| label.values.get(&value));
        postings.map_or(0, Postings::len)
    }
    fn label(&self, name: &str) -> Option<(Symbol, &LabelEntry)> {
        let name = self.symbols.find(name)?;
        Some((name, self.labels.get(&name)?))
    }
    fn filter(&self, set: &RoaringBitmap, name: Symbol, m: &CompiledMatcher) -> RoaringBitmap {
        let value = |id| self.pairs(id).iter().find(|(n, _)| *n == name).map_or("", |(_, v)| self.symbols.get(*v));
        set.iter().filter(|id| m.matches(value(*id))).collect()
    }
    /// The series with a value of the label that matches.
    fn matching(&self, name: Symbol, label: &LabelEntry, m: &CompiledMatcher) -> RoaringBitmap {
        if m.is_negated() { &label.all - self.hit(name, label, m) } else { self.hit(name, label, m) }
    }
    /// The series with a value of the label that does not match.
    fn not_matching(&self, name: Symbol, label: &LabelEntry, m: &CompiledMatcher) -> RoaringBitmap {
        if m.is_negated() { self.hit(name, label, m) } else { &label.all - self.hit(name, label, m) }
    }
    /// The series with a value that the matcher names, negated or not.
    fn hit(&self, name: Symbol, label: &LabelEntry, m: &CompiledMatcher) -> RoaringBitmap {
        if m.hits_every_value() {
            return label.all.clone();
        }
        if let Some(values) = m.candidates().or_else(|| m.excluded()) {
            return union(values.iter().filter_map(|v| label.values.get(&self.symbols.find(v)?)));
        }
        let values = self.hit_values(name, label, m);
        union(values.iter().filter_map(|v| label.values.get(v)))
    }
    /// The values that the matcher names. Those a pattern was asked of before are not asked again.
    fn hit_values(&self, name: Symbol, label: &LabelEntry, m: &CompiledMatcher) -> Arc<Vec<Symbol>> {
        let pattern = m.pattern().filter(|_| label.order.len() >= WORTH_KEEPING);
        let before = pattern.and_then(|p| self.patterns.get(name, p)).unwrap_or_default();
        let new = label.order.get(before.asked..).unwrap_or_default();
        if new.is_empty() {
            return before.values;
        }
        // The first question of a pattern after a start waits for this: half of many values are asked on a thread of their own.
        let share = if new.len() >= WORTH_A_THREAD { new.len().div_ceil(2) } else { new.len() };
        let hits = in_parts(new.chunks(share).collect(), |part: &[Symbol]| -> Vec<Symbol> {
            part.iter().copied().filter(|v| m.hits(self.symbols.get(*v))).collect()
        });
        let values: Arc<Vec<Symbol>> =
            Arc::new(before.values.iter().copied().chain(hits.into_iter().flatten()).collect());
        if let Some(pattern) = pattern {
            self.patterns.put(name, pattern, Matched { asked: label.order.len(), values: values.clone() });
        }
        values
    }
    /// Names of labels with the series that have them, in no order.
    pub fn label_names(&self) -> impl Iterator<Item = (&str, &RoaringBitmap)> {
        self.labels.iter().map(|(name, label)| (self.symbols.get(*name), &label.all))
    }
    /// Values of a label with the series that have them, in no order.
    pub fn label_values(&self, name: &str) -> impl Iterator<Item = (&str, &Postings)> {
        self.label(name)
            .into_iter()
            .flat_map(|(_, l)| l.values.iter())
            .map(|(v, postings)| (self.symbols.get(*v), postings))
    }
    /// How many values each label has, in no order.
    pub fn value_counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.labels.iter().map(|(name, label)| (self.symbols.get(*name), label.values.len()))
    }
    /// Every label pair with its series, in no order.
    pub fn label_pairs(&self) -> impl Iterator<Item = (&str, &str, &Postings)> {
        self.labels.iter().flat_map(|(name, label)| {
            label.values.iter().map(|(v, postings)| (self.symbols.get(*name), self.symbols.get(*v), postings))
        })
    }
}

/// Whether asking each series of a set costs less than asking the values of the label.
fn is_one_by_one(set: &RoaringBitmap, label: &LabelEntry, m: &CompiledMatcher) -> bool {
    let len = set.len();
    len <= FEW || (m.pattern().is_some() && len * ONE_BY_ONE < label.order.len() as u64)
}

/// All series of several values.
fn union<'p>(postings: impl Iterator<Item = &'p Postings>) -> RoaringBitmap {
    let mut set = RoaringBitmap::new();
    let mut single = Vec::new();
    for of_value in postings {
        match of_value {
            Postings::One(id) => single.push(*id),
            Postings::Many(_) if set.is_empty() => set = of_value.to_set(),
            Postings::Many(_) => of_value.add_to(&mut set),
        }
    }
    single.sort_unstable();
    set | single.into_iter().collect::<RoaringBitmap>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let value = prop::sample::select(vec![
            "", "a", "b", "a|b", ".*", ".+", "a.*", "[ab]", "a|", "zz", ".*b.*", "a?", "(a|)", "[^a]*", "b.+",
        ]);
        let op =
            prop::sample::select(vec![MatcherOp::Equal, MatcherOp::NotEqual, MatcherOp::Regex, MatcherOp::NotRegex]);
        (prop::sample::select(vec!["x", "y", "none"]), op, value).prop_map(|(n, o, v)| Matcher::new(n, o, v))
    }

    fn add(index: &mut Index, labels: &[(&str, &str)]) -> SeriesId {
        let hash = index.hash(labels.iter().copied());
        index.find(hash, labels).unwrap_or_else(|| index.insert(hash, labels))
    }

    proptest! {
        #[test]
        fn selects_what_a_walk_over_all_labels_selects(
            series in prop::collection::vec(("[ab]{0,2}", "[abc]{0,1}"), 0..40),
            dead in prop::collection::vec(0u32..40, 0..30),
            matchers in prop::collection::vec(matcher(), 1..4),
        ) {
            let mut index = Index::default();
            for (x, y) in &series {
                let labels: Vec<_> =
                    [("__name__", "m"), ("x", x), ("y", y)].into_iter().filter(|(_, v)| !v.is_empty()).collect();
                add(&mut index, &labels);
            }
            let keep: RoaringBitmap = (0..40).filter(|id| !dead.contains(id)).collect();
            let before = index.len();
            let gone = index.retain(&keep);
            prop_assert_eq!(index.len(), before - gone);
            let compiled = CompiledMatcher::all(&matchers).unwrap();
            let walked: RoaringBitmap = (0..index.id_end())
                .filter(|id| index.is_live(*id))
                .filter(|id| compiled.iter().all(|m| m.matches_labels(&index.labels(*id))))
                .collect();
            prop_assert_eq!(index.select(&compiled), walked.clone());
            prop_assert!(index.at_most(&matchers) >= walked.len());
            // What patterns matched is known now, and is not asked again.
            prop_assert_eq!(index.select(&compiled), walked);
            // What was forgotten comes back under a new number, and nothing else does.
            for (x, y) in &series {
                let labels: Vec<_> =
                    [("__name__", "m"), ("x", x), ("y", y)].into_iter().filter(|(_, v)| !v.is_empty()).collect();
                let id = add(&mut index, &labels);
                prop_assert_eq!(add(&mut index, &labels), id);
                prop_assert_eq!(index.labels(id), Labels::from_pairs(labels));
                prop_assert!(!dead.contains(&id) || id as usize >= before);
            }
            // Of values that came since, the patterns are.
            let walked: RoaringBitmap = (0..index.id_end())
                .filter(|id| index.is_live(*id))
                .filter(|id| compiled.iter().all(|m| m.matches_labels(&index.labels(*id))))
                .collect();
            prop_assert_eq!(index.select(&compiled), walked);
        }
    }

    #[test]
    fn few_series_are_counted_and_many_are_bounded() {
        let mut index = Index::default();
        for n in 0..40 {
            let n = n.to_string();
            add(&mut index, &[("__name__", "a"), ("n", n.as_str())]);
            add(&mut index, &[("__name__", "b"), ("n", n.as_str())]);
        }
        let of = |pairs: &[(&str, &str)]| {
            let matchers: Vec<Matcher> = pairs.iter().map(|(name, value)| Matcher::equal(*name, *value)).collect();
            let walked = index.select(&CompiledMatcher::all(&matchers).unwrap()).len();
            (index.at_most(&matchers), walked)
        };
        assert_eq!(of(&[("n", "7")]), (2, 2));
        assert_eq!(of(&[("__name__", "a"), ("n", "7")]), (1, 1));
        assert_eq!(of(&[("n", "7"), ("__name__", "c")]), (0, 0));
        assert_eq!(of(&[("__name__", "a")]), (40, 40));
        assert_eq!(of(&[("__name__", "a"), ("none", "")]), (40, 40));
        assert_eq!(of(&[]), (80, 80));
    }
}

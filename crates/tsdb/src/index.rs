//! Which series there are and which of them match: label sets by number and an inverted index, shared by head and blocks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tenfold_types::Labels;

use crate::{
    matcher::CompiledMatcher,
    postings::{SeriesId, intersect, subtract, union},
};

#[derive(Default)]
struct Label {
    values: BTreeMap<String, Vec<SeriesId>>,
    all: Vec<SeriesId>,
}

#[derive(Default)]
pub(crate) struct Index {
    by_labels: HashMap<Arc<Labels>, SeriesId>,
    by_id: Vec<Option<Arc<Labels>>>,
    labels: BTreeMap<String, Label>,
}

impl Index {
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }
    /// One more than the highest number ever given.
    pub fn id_end(&self) -> usize {
        self.by_id.len()
    }
    pub fn get(&self, labels: &Labels) -> Option<SeriesId> {
        self.by_labels.get(labels).copied()
    }
    pub fn labels(&self, id: SeriesId) -> Option<&Arc<Labels>> {
        self.by_id.get(id as usize)?.as_ref()
    }
    /// The number of a label set, given a new one when it is not known yet.
    pub fn insert(&mut self, labels: Arc<Labels>) -> SeriesId {
        if let Some(id) = self.get(&labels) {
            return id;
        }
        let id = SeriesId::try_from(self.by_id.len()).expect("series are limited far below 2^32");
        for (name, value) in labels.iter() {
            if !self.labels.contains_key(name) {
                self.labels.insert(name.into(), Label::default());
            }
            let label = self.labels.get_mut(name).expect("inserted above");
            label.all.push(id);
            match label.values.get_mut(value) {
                Some(ids) => ids.push(id),
                None => {
                    label.values.insert(value.into(), vec![id]);
                }
            }
        }
        self.by_id.push(Some(labels.clone()));
        self.by_labels.insert(labels, id);
        id
    }
    /// Forgets every series for which `live` says no; numbers are not given again.
    pub fn retain(&mut self, live: impl Fn(SeriesId) -> bool) -> usize {
        let before = self.by_labels.len();
        self.by_labels.retain(|_, id| live(*id));
        if self.by_labels.len() == before {
            return 0;
        }
        for (id, slot) in self.by_id.iter_mut().enumerate() {
            if slot.is_some() && !live(id as SeriesId) {
                *slot = None;
            }
        }
        self.labels.retain(|_, label| {
            label.all.retain(|id| live(*id));
            label.values.retain(|_, ids| {
                ids.retain(|id| live(*id));
                !ids.is_empty()
            });
            !label.all.is_empty()
        });
        before - self.by_labels.len()
    }
    fn all(&self) -> Vec<SeriesId> {
        self.by_id.iter().enumerate().filter(|(_, l)| l.is_some()).map(|(id, _)| id as SeriesId).collect()
    }
    /// The numbers of the series that satisfy every matcher, ascending.
    pub fn select(&self, matchers: &[CompiledMatcher]) -> Vec<SeriesId> {
        let mut found: Option<Vec<SeriesId>> = None;
        let (mut narrowing, widening): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| !m.matches(""));
        // Those with known values first: they cost a lookup and make the list short for the rest.
        narrowing.sort_by_key(|m| m.candidates().is_none());
        for m in narrowing {
            let Some(label) = self.labels.get(m.name()) else { return Vec::new() };
            found = Some(match found {
                Some(ids) if m.candidates().is_none() && ids.len() < label.values.len() => self.filter(ids, m),
                Some(ids) => intersect(ids, &label.matching(m)),
                None => label.matching(m),
            });
        }
        let mut ids = found.unwrap_or_else(|| self.all());
        for m in widening {
            if ids.is_empty() || m.matches_everything() {
                continue;
            }
            let Some(label) = self.labels.get(m.name()) else { continue };
            ids = if m.excluded().is_none() && ids.len() < label.values.len() {
                self.filter(ids, m)
            } else {
                subtract(ids, &label.not_matching(m))
            };
        }
        ids
    }
    fn filter(&self, mut ids: Vec<SeriesId>, m: &CompiledMatcher) -> Vec<SeriesId> {
        ids.retain(|id| self.labels(*id).is_some_and(|l| m.matches_labels(l)));
        ids
    }
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }
    pub fn label_values(&self, name: &str) -> impl Iterator<Item = (&str, &[SeriesId])> {
        self.labels.get(name).into_iter().flat_map(|l| l.values.iter().map(|(v, ids)| (v.as_str(), ids.as_slice())))
    }
}

impl Label {
    fn matching(&self, m: &CompiledMatcher) -> Vec<SeriesId> {
        if m.is_presence() {
            return self.all.clone();
        }
        match m.candidates() {
            Some(values) => {
                union(&values.iter().filter_map(|v| self.values.get(v)).map(Vec::as_slice).collect::<Vec<_>>())
            }
            None => self.collect(|value| m.matches(value)),
        }
    }
    fn not_matching(&self, m: &CompiledMatcher) -> Vec<SeriesId> {
        match m.excluded() {
            Some(values) => {
                union(&values.iter().filter_map(|v| self.values.get(v)).map(Vec::as_slice).collect::<Vec<_>>())
            }
            None => self.collect(|value| !m.matches(value)),
        }
    }
    fn collect(&self, wanted: impl Fn(&str) -> bool) -> Vec<SeriesId> {
        union(&self.values.iter().filter(|(v, _)| wanted(v)).map(|(_, ids)| ids.as_slice()).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tenfold_types::{Matcher, MatcherOp};

    fn matcher() -> impl Strategy<Value = Matcher> {
        let value = prop::sample::select(vec!["", "a", "b", "a|b", ".*", ".+", "a.*", "[ab]", "a|", "zz"]);
        let op =
            prop::sample::select(vec![MatcherOp::Equal, MatcherOp::NotEqual, MatcherOp::Regex, MatcherOp::NotRegex]);
        (prop::sample::select(vec!["x", "y", "none"]), op, value).prop_map(|(n, o, v)| Matcher::new(n, o, v))
    }

    proptest! {
        #[test]
        fn selects_what_a_walk_over_all_labels_selects(
            series in prop::collection::vec(("[ab]{0,2}", "[abc]{0,1}"), 0..40),
            dead in 0u32..40,
            matchers in prop::collection::vec(matcher(), 1..4),
        ) {
            let mut index = Index::default();
            for (x, y) in &series {
                index.insert(Arc::new(Labels::from_pairs([("__name__", "m"), ("x", x), ("y", y)])));
            }
            index.retain(|id| id != dead);
            let compiled = CompiledMatcher::all(&matchers).unwrap();
            let walked: Vec<SeriesId> = index
                .all()
                .into_iter()
                .filter(|id| compiled.iter().all(|m| m.matches_labels(index.labels(*id).unwrap())))
                .collect();
            prop_assert_eq!(index.select(&compiled), walked);
        }
    }
}

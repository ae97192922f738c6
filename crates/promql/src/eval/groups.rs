//! Which group of an aggregation a series belongs to: a number, found without making a label set but for a new group.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tenfold_types::Labels;

use crate::syntax::ast::Grouping;

pub(crate) struct Groups<'g> {
    grouping: &'g Grouping,
    /// The groups by the hash of their labels; more than one where hashes collide.
    by_hash: HashMap<u64, Vec<usize>>,
    labels: Vec<Arc<Labels>>,
}

impl<'g> Groups<'g> {
    pub fn new(grouping: &'g Grouping) -> Self {
        Self { grouping, by_hash: HashMap::new(), labels: Vec::new() }
    }

    /// The group of a series. Groups are numbered in the order they first appear.
    pub fn of(&mut self, series: &Labels) -> usize {
        let mut hasher = DefaultHasher::new();
        self.kept(series).for_each(|pair| pair.hash(&mut hasher));
        let slots = self.by_hash.get(&hasher.finish()).map_or(&[][..], Vec::as_slice);
        if let Some(slot) = slots.iter().find(|slot| self.kept(series).eq(self.labels[**slot].iter())) {
            return *slot;
        }
        let mut labels = Labels::new();
        self.kept(series).for_each(|(name, value)| labels.set(name, value));
        self.labels.push(Arc::new(labels));
        self.by_hash.entry(hasher.finish()).or_default().push(self.labels.len() - 1);
        self.labels.len() - 1
    }

    pub fn labels(&self, group: usize) -> Arc<Labels> {
        Arc::clone(&self.labels[group])
    }

    pub fn into_labels(self) -> Vec<Arc<Labels>> {
        self.labels
    }

    /// The labels that tell groups apart, in the order of their names.
    fn kept<'l>(&self, series: &'l Labels) -> impl Iterator<Item = (&'l str, &'l str)> {
        let grouping = self.grouping;
        series.iter().filter(move |(name, _)| {
            let listed = grouping.labels.iter().any(|l| l == name);
            if grouping.without { !listed && *name != Labels::NAME } else { listed }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_group_have_one_number() {
        let series = |job: &str, host: &str| Labels::from_pairs([("__name__", "up"), ("job", job), ("host", host)]);
        let by =
            |without, names: &[&str]| Grouping { without, labels: names.iter().map(|n| (*n).to_owned()).collect() };
        for grouping in [by(false, &["job", "job", "absent"]), by(true, &["host"])] {
            let mut groups = Groups::new(&grouping);
            assert_eq!(
                [groups.of(&series("a", "1")), groups.of(&series("b", "1")), groups.of(&series("a", "2"))],
                [0, 1, 0]
            );
            assert_eq!(*groups.labels(1), Labels::from_pairs([("job", "b")]));
        }
        let all = by(false, &[]);
        let mut groups = Groups::new(&all);
        assert_eq!([groups.of(&series("a", "1")), groups.of(&series("b", "2"))], [0, 0]);
        assert!(groups.labels(0).is_empty());
    }
}

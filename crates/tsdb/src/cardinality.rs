//! Where the series are: which metrics, labels and label values have the most, and how many of them are gone already.

use std::collections::HashSet;

use roaring::RoaringBitmap;
use serde::Serialize;
use tenfold_types::Labels;

use crate::{
    db::{State, Tsdb},
    postings::Postings,
};

/// A metric or a label value by its series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SeriesCount {
    pub name: String,
    pub series: u64,
    /// Of them, with samples in memory. The rest have ended and stay until the retention: what churn leaves behind.
    pub active: u64,
    /// Of them, those that came in the hour before the last maintenance, or since.
    pub created_last_hour: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ValueCount {
    pub label: String,
    pub values: usize,
    /// Bytes of its values, each counted for every series that has it: what they would take without being shared.
    pub bytes: u64,
}

/// The answer of [`Tsdb::metrics_where`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricsFound {
    pub metrics: usize,
    /// Of all of them.
    pub series: u64,
    /// The greatest first.
    pub greatest: Vec<SeriesCount>,
}

/// The answer of [`Tsdb::cardinality`]; each list has the greatest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cardinality {
    pub series: usize,
    pub active_series: u64,
    /// Series that came in the hour before the last maintenance, or since.
    pub created_last_hour: u64,
    pub labels: usize,
    pub strings: usize,
    /// Different pairs of a label and a value.
    pub pairs: usize,
    pub metrics: Vec<SeriesCount>,
    /// Metrics by series that have ended.
    pub churn: Vec<SeriesCount>,
    /// Metrics by series that came in the last hour.
    pub created: Vec<SeriesCount>,
    /// Labels by distinct values.
    pub label_values: Vec<ValueCount>,
    /// Labels by the bytes of their values.
    pub label_bytes: Vec<ValueCount>,
    /// Label pairs (`name=value`) by series, the metric name not counted.
    pub label_pairs: Vec<SeriesCount>,
}

fn greatest<T, K: Ord>(mut list: Vec<T>, n: usize, key: impl Fn(&T) -> K) -> Vec<T> {
    list.sort_by_cached_key(|item| std::cmp::Reverse(key(item)));
    list.truncate(n);
    list
}

/// Which series have samples in memory, and which came of late.
struct Lately {
    active: RoaringBitmap,
    created: RoaringBitmap,
}

impl Lately {
    fn of(state: &State) -> Self {
        Self {
            active: state.head.iter().filter(|s| !s.is_empty()).map(|s| s.id).collect(),
            created: state.created.among(state.index.live()),
        }
    }

    fn count(&self, name: String, ids: &Postings) -> SeriesCount {
        SeriesCount {
            name,
            series: ids.len(),
            active: ids.intersection_len(&self.active),
            created_last_hour: ids.intersection_len(&self.created),
        }
    }
}

impl Tsdb {
    /// The metrics whose names are `wanted`: how many, and the `n` with the most series. From the index alone.
    pub fn metrics_where(&self, n: usize, wanted: impl Fn(&str) -> bool) -> MetricsFound {
        let mut names: HashSet<String> =
            self.state.read().index.label_values(Labels::NAME).map(|(name, _)| name.to_owned()).collect();
        // Without the lock: patterns of a hundred queries take longer than a write should wait.
        names.retain(|name| wanted(name));
        let state = self.state.read();
        let lately = Lately::of(&state);
        let all = state.index.label_values(Labels::NAME).filter(|(name, _)| names.contains(*name));
        let found: Vec<_> = all.map(|(name, ids)| lately.count(name.into(), ids)).collect();
        MetricsFound {
            metrics: found.len(),
            series: found.iter().map(|m| m.series).sum(),
            greatest: greatest(found, n, |m| (m.series, std::cmp::Reverse(m.name.clone()))),
        }
    }

    /// The `n` greatest of each kind, from the index alone.
    pub fn cardinality(&self, n: usize) -> Cardinality {
        let state = self.state.read();
        let lately = Lately::of(&state);
        let count = |name: String, ids: &Postings| lately.count(name, ids);
        let metrics: Vec<_> = state.index.label_values(Labels::NAME).map(|(v, ids)| count(v.into(), ids)).collect();
        let bytes = |label| state.index.label_values(label).map(|(v, ids)| v.len() as u64 * ids.len()).sum();
        let values: Vec<_> = state
            .index
            .value_counts()
            .map(|(label, values)| ValueCount { label: label.into(), values, bytes: bytes(label) })
            .collect();
        // A pair of one series never is among the greatest unless all are: most pairs are left out by their size.
        let mut sizes: Vec<u64> =
            state.index.label_pairs().filter(|(l, ..)| *l != Labels::NAME).map(|(_, _, ids)| ids.len()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let least = sizes.get(n.saturating_sub(1)).copied().unwrap_or(0);
        let pairs = || state.index.label_pairs().filter(|(label, ..)| *label != Labels::NAME);
        // Those of the least size may be very many, of which any will do.
        let pairs = pairs()
            .filter(|(_, _, ids)| ids.len() > least)
            .chain(pairs().filter(|(_, _, ids)| ids.len() == least).take(n.saturating_mul(4).max(1024)))
            .map(|(label, value, ids)| count(format!("{label}={value}"), ids))
            .collect();
        Cardinality {
            series: state.index.len(),
            active_series: lately.active.len(),
            created_last_hour: lately.created.len(),
            labels: state.index.label_names().count(),
            strings: state.index.symbols.len(),
            pairs: values.iter().map(|v| v.values).sum(),
            churn: greatest(metrics.iter().filter(|m| m.series > m.active).cloned().collect(), n, |m| {
                (m.series - m.active, std::cmp::Reverse(m.name.clone()))
            }),
            created: greatest(metrics.iter().filter(|m| m.created_last_hour > 0).cloned().collect(), n, |m| {
                (m.created_last_hour, std::cmp::Reverse(m.name.clone()))
            }),
            metrics: greatest(metrics, n, |m| (m.series, std::cmp::Reverse(m.name.clone()))),
            label_bytes: greatest(values.clone(), n, |l| (l.bytes, std::cmp::Reverse(l.label.clone()))),
            label_values: greatest(values, n, |l| (l.values, std::cmp::Reverse(l.label.clone()))),
            label_pairs: greatest(pairs, n, |m: &SeriesCount| (m.series, std::cmp::Reverse(m.name.clone()))),
        }
    }
}

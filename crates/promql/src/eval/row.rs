//! A series of values, one per step.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::{Labels, STALE_NAN, is_stale};

use crate::error::QueryError;

/// Stands where a row has no value. The staleness marker serves: it is never a result, as it is dropped on reading and no
/// arithmetic yields it.
pub(crate) const ABSENT: f64 = STALE_NAN;

pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// The labels that go away together with the metric name.
const NAME_LABELS: [&str; 3] = [Labels::NAME, "__type__", "__unit__"];

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub labels: Arc<Labels>,
    /// The metric name is to be dropped once the whole query is evaluated.
    pub drop_name: bool,
    pub values: Vec<f64>,
}

impl Row {
    pub fn new(labels: Arc<Labels>, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, values }
    }
    /// A row without labels.
    pub fn bare(values: Vec<f64>) -> Self {
        Self::new(Arc::default(), values)
    }
    pub fn has_values(&self) -> bool {
        self.values.iter().any(|v| !is_absent(*v))
    }
    pub fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        for v in &mut self.values {
            if !is_absent(*v) {
                *v = f(*v);
            }
        }
        self
    }
    pub fn without_name(mut self) -> Self {
        self.drop_name = true;
        self
    }
}

pub(crate) fn strip_name(labels: &Labels) -> Labels {
    let mut out = labels.clone();
    for name in NAME_LABELS {
        out.remove(name);
    }
    out
}

/// Drops the names that were to be dropped and joins rows that became the same series.
pub(crate) fn finish(mut rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    for row in &mut rows {
        if row.drop_name {
            row.drop_name = false;
            if NAME_LABELS.iter().any(|n| row.labels.get(n).is_some()) {
                row.labels = Arc::new(strip_name(&row.labels));
            }
        }
    }
    join_same(rows)
}

/// Joins rows of the same labels; two values at one step are an error.
pub(crate) fn join_same(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let mut by_labels: HashMap<(Arc<Labels>, bool), usize> = HashMap::with_capacity(rows.len());
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match by_labels.entry((row.labels.clone(), row.drop_name)) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(out.len());
                out.push(row);
            }
            std::collections::hash_map::Entry::Occupied(slot) => {
                for (a, b) in out[*slot.get()].values.iter_mut().zip(row.values) {
                    if is_absent(b) {
                        continue;
                    }
                    if !is_absent(*a) {
                        return Err(QueryError::execution("vector cannot contain metrics with the same labelset"));
                    }
                    *a = b;
                }
            }
        }
    }
    Ok(out)
}

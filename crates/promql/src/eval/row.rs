//! A series of values, one per step.

use std::{collections::HashMap, sync::Arc};

use tenfold_types::{Histogram, Labels, STALE_NAN, is_stale};

use crate::{
    error::QueryError,
    value::{Sample, Series},
};

/// Stands where a row has no value. The staleness marker serves: it is never a result, as it is dropped on reading and no
/// arithmetic yields it.
pub(crate) const ABSENT: f64 = STALE_NAN;

pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// The labels that go away together with the metric name.
const NAME_LABELS: [&str; 3] = [Labels::NAME, "__type__", "__unit__"];

/// Histograms by step; most rows have none.
pub(crate) type Histograms = Vec<Option<Arc<Histogram>>>;

/// A row with its labels, roughly, besides its values.
pub(crate) const ROW_BYTES: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub labels: Arc<Labels>,
    /// The metric name is to be dropped once the whole query is evaluated.
    pub drop_name: bool,
    pub values: Vec<f64>,
    /// Where there is a histogram, `values` is absent. `None` when there is none at all.
    pub histograms: Option<Histograms>,
}

impl Row {
    pub fn new(labels: Arc<Labels>, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, values, histograms: None }
    }
    /// A row without labels.
    pub fn bare(values: Vec<f64>) -> Self {
        Self::new(Arc::default(), values)
    }
    /// A row without values yet.
    pub fn empty(labels: Arc<Labels>, drop_name: bool, steps: usize) -> Self {
        Self { labels, drop_name, values: vec![ABSENT; steps], histograms: None }
    }
    /// Bytes of its values, roughly.
    pub fn bytes(&self) -> usize {
        let histograms = self.histograms.iter().flatten().flatten().map(|h| h.bytes() + size_of::<usize>());
        ROW_BYTES + self.values.len() * 8 + histograms.sum::<usize>()
    }
    pub fn has_values(&self) -> bool {
        self.histograms.as_ref().is_some_and(|h| h.iter().any(Option::is_some))
            || self.values.iter().any(|v| !is_absent(*v))
    }
    #[inline]
    pub fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.as_ref().and_then(|h| h[step].as_ref())
    }
    /// Whether there is a float or a histogram.
    #[inline]
    pub fn present(&self, step: usize) -> bool {
        !is_absent(self.values[step]) || self.histogram(step).is_some()
    }
    pub fn sample(&self, step: usize) -> Option<Sample> {
        if let Some(h) = self.histogram(step) {
            return Some(Sample::Histogram(Arc::clone(h)));
        }
        Some(self.values[step]).filter(|v| !is_absent(*v)).map(Sample::Float)
    }
    pub fn set(&mut self, step: usize, sample: Sample) {
        match sample {
            Sample::Float(v) => {
                self.values[step] = v;
                if let Some(all) = &mut self.histograms {
                    all[step] = None;
                }
            }
            Sample::Histogram(h) => {
                self.values[step] = ABSENT;
                let steps = self.values.len();
                self.histograms.get_or_insert_with(|| vec![None; steps])[step] = Some(h);
            }
        }
    }
    pub fn erase(&mut self, step: usize) {
        self.values[step] = ABSENT;
        if let Some(all) = &mut self.histograms {
            all[step] = None;
        }
    }
    /// Maps the floats; histograms are left out.
    pub fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        self.histograms = None;
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

/// Whether two rows of the same labels have a value at the same step.
pub(crate) fn collide(rows: &[Row]) -> bool {
    let mut by_labels: HashMap<(&Labels, bool), Vec<&Row>> = HashMap::with_capacity(rows.len());
    for row in rows {
        let same = by_labels.entry((&*row.labels, row.drop_name)).or_default();
        let both = |other: &Row| (0..row.values.len()).any(|step| row.present(step) && other.present(step));
        if same.iter().copied().any(both) {
            return true;
        }
        same.push(row);
    }
    false
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
                let joined = &mut out[*slot.get()];
                for step in 0..row.values.len() {
                    let Some(sample) = row.sample(step) else { continue };
                    if joined.present(step) {
                        return Err(QueryError::execution("vector cannot contain metrics with the same labelset"));
                    }
                    joined.set(step, sample);
                }
            }
        }
    }
    Ok(out)
}

/// The same of rows over time, whether or not their names are to be dropped: the one that comes first says so for all.
pub(crate) fn join_over_time(mut rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    if rows.iter().any(|row| row.drop_name) && rows.iter().any(|row| !row.drop_name) {
        let mut earliest: HashMap<Arc<Labels>, (usize, bool)> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let Some(first) = (0..row.values.len()).find(|step| row.present(*step)) else { continue };
            let known = earliest.entry(Arc::clone(&row.labels)).or_insert((first, row.drop_name));
            if first < known.0 {
                *known = (first, row.drop_name);
            }
        }
        for row in &mut rows {
            if let Some((_, drop_name)) = earliest.get(&row.labels) {
                row.drop_name = *drop_name;
            }
        }
    }
    join_same(rows)
}

/// Joins series of the same labels, whose names were dropped; they stand in the order of their labels.
pub(crate) fn join_sorted(all: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut out: Vec<Series> = Vec::with_capacity(all.len());
    for series in all {
        match out.last_mut() {
            Some(last) if last.labels == series.labels => {
                last.points.extend(series.points);
                last.histograms.extend(series.histograms);
            }
            _ => out.push(series),
        }
    }
    for series in &mut out {
        series.points.sort_by_key(|p| p.t_ms);
        series.histograms.sort_by_key(|p| p.t_ms);
        let twice = series.points.windows(2).any(|w| w[0].t_ms == w[1].t_ms)
            || series.histograms.windows(2).any(|w| w[0].t_ms == w[1].t_ms);
        if twice {
            return Err(QueryError::execution("vector cannot contain metrics with the same labelset"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_same_labels_collide_where_both_have_a_value() {
        let row = |job: &str, values: &[f64]| Row::new(Arc::new(Labels::from_pairs([("job", job)])), values.to_vec());
        let apart = vec![row("a", &[1.0, ABSENT, ABSENT]), row("b", &[1.0; 3]), row("a", &[ABSENT, 2.0, ABSENT])];
        assert!(!collide(&apart));
        assert_eq!(join_same(apart.clone()).unwrap().len(), 2);
        // The third meets the first, not the one before it.
        let together: Vec<Row> = apart.into_iter().chain([row("a", &[3.0, ABSENT, 3.0])]).collect();
        assert!(collide(&together) && join_same(together.clone()).is_err());
        let named: Vec<Row> = together.into_iter().enumerate().map(|(i, r)| Row { drop_name: i == 3, ..r }).collect();
        assert!(!collide(&named), "a name that is to be dropped still tells them apart");
    }
}

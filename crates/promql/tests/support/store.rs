//! Samples in a map: the simplest `Queryable`.

#![allow(clippy::unwrap_used, clippy::allow_attributes, reason = "a helper of tests fails by panicking")]

use std::{collections::BTreeMap, sync::Arc};

use tenfold_promql::{QueryError, Queryable, SeriesData};
use tenfold_types::{Labels, Matcher, MatcherOp, Point};

#[derive(Default)]
pub struct Table(pub BTreeMap<Labels, BTreeMap<i64, f64>>);

impl Table {
    pub fn add(&mut self, labels: Labels, t_ms: i64, value: f64) {
        self.0.entry(labels).or_default().insert(t_ms, value);
    }
}

fn matches(m: &Matcher, labels: &Labels) -> bool {
    let value = labels.get(&m.name).unwrap_or_default();
    let regex = || regex::Regex::new(&format!("^(?s:{})$", m.value)).unwrap().is_match(value);
    match m.op {
        MatcherOp::Equal => value == m.value,
        MatcherOp::NotEqual => value != m.value,
        MatcherOp::Regex => regex(),
        MatcherOp::NotRegex => !regex(),
    }
}

impl Queryable for Table {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        if start_ms > end_ms {
            return Ok(Vec::new());
        }
        let wanted = self.0.iter().filter(|(labels, _)| matchers.iter().all(|m| matches(m, labels)));
        Ok(wanted
            .map(|(labels, points)| {
                let points = points.range(start_ms..=end_ms).map(|(t, v)| Point::new(*t, *v)).collect();
                SeriesData::new(Arc::new(labels.clone()), points)
            })
            .collect())
    }
}

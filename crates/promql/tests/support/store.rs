//! Samples in a map: the simplest `Queryable`.

#![allow(clippy::unwrap_used, clippy::allow_attributes, dead_code, reason = "a helper of several tests")]

use std::{collections::BTreeMap, sync::Arc};

use tenfold_promql::{QueryError, Queryable, Run, SeriesData};
use tenfold_types::{Histogram, HistogramPoint, Labels, Matcher, MatcherOp, Point, histogram::HintKeeper, is_stale};

#[derive(Default)]
pub struct Table(pub BTreeMap<Labels, Stored>);

/// The samples of one series.
#[derive(Default)]
pub struct Stored {
    floats: BTreeMap<i64, f64>,
    histograms: BTreeMap<i64, Arc<Histogram>>,
    /// When the counter began whose value stands at an instant.
    starts: BTreeMap<i64, i64>,
    hints: HintKeeper,
}

impl Table {
    pub fn add(&mut self, labels: Labels, t_ms: i64, value: f64) {
        let stored = self.0.entry(labels).or_default();
        let ends_histograms = is_stale(value)
            && stored
                .histograms
                .last_key_value()
                .is_some_and(|(h, _)| stored.floats.last_key_value().is_none_or(|(f, _)| f < h));
        if ends_histograms {
            let end = Histogram { sum: value, ..Histogram::default() };
            stored.add_histogram(t_ms, end);
            return;
        }
        stored.hints.interrupt();
        stored.floats.insert(t_ms, value);
    }

    pub fn add_histogram(&mut self, labels: Labels, t_ms: i64, histogram: Histogram) {
        self.0.entry(labels).or_default().add_histogram(t_ms, histogram);
    }

    pub fn set_start(&mut self, labels: Labels, t_ms: i64, start_ms: i64) {
        self.0.entry(labels).or_default().starts.insert(t_ms, start_ms);
    }
}

impl Stored {
    fn add_histogram(&mut self, t_ms: i64, mut histogram: Histogram) {
        histogram.reset_hint = self.hints.next(&histogram);
        self.histograms.insert(t_ms, Arc::new(histogram));
    }

    fn run(&self, start_ms: i64, end_ms: i64) -> Run {
        let times = start_ms..=end_ms;
        let floats: Vec<Point> = self.floats.range(times.clone()).map(|(t, v)| Point::new(*t, *v)).collect();
        let histograms = self.histograms.range(times);
        let histograms: Vec<HistogramPoint> =
            histograms.map(|(t, h)| HistogramPoint { t_ms: *t, histogram: Arc::clone(h) }).collect();
        let mut run = Run { floats, histograms, ..Run::default() };
        if !self.starts.is_empty() {
            let start = |t: i64| self.starts.get(&t).copied().unwrap_or(0);
            run.float_starts = run.floats.iter().map(|p| start(p.t_ms)).collect();
            run.histogram_starts = run.histograms.iter().map(|p| start(p.t_ms)).collect();
        }
        run
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
            .map(|(labels, stored)| SeriesData::run(Arc::new(labels.clone()), stored.run(start_ms, end_ms)))
            .filter(|s| !matches!(&s.samples, tenfold_promql::Samples::Run(run) if run.is_empty()))
            .collect())
    }
}

//! Samples in a map: the simplest `Queryable`.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;
use tenfold_types::pattern::whole;
use tenfold_types::{Histogram, HistogramPoint, Labels, Matcher, MatcherOp, Point, histogram::HintKeeper, is_stale};

use crate::{QueryError, Queryable, Run, Samples, SeriesData};

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

/// A matcher with its pattern compiled.
struct Test<'m>(&'m Matcher, Option<Regex>);

impl<'m> Test<'m> {
    fn new(matcher: &'m Matcher) -> Result<Self, QueryError> {
        let pattern = match matcher.op {
            MatcherOp::Equal | MatcherOp::NotEqual => None,
            MatcherOp::Regex | MatcherOp::NotRegex => Some(
                whole(&matcher.value)
                    .map_err(|e| QueryError::Execution(format!("`{}` is not a pattern: {e}", matcher.value)))?,
            ),
        };
        Ok(Self(matcher, pattern))
    }
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.0.name).unwrap_or_default();
        let found = || self.1.as_ref().is_some_and(|r| r.is_match(value));
        match self.0.op {
            MatcherOp::Equal => value == self.0.value,
            MatcherOp::NotEqual => value != self.0.value,
            MatcherOp::Regex => found(),
            MatcherOp::NotRegex => !found(),
        }
    }
}

impl Queryable for Table {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        if start_ms > end_ms {
            return Ok(Vec::new());
        }
        let tests = matchers.iter().map(Test::new).collect::<Result<Vec<_>, _>>()?;
        let wanted = self.0.iter().filter(|(labels, _)| tests.iter().all(|t| t.holds(labels)));
        Ok(wanted
            .map(|(labels, stored)| SeriesData::run(Arc::new(labels.clone()), stored.run(start_ms, end_ms)))
            .filter(|s| !matches!(&s.samples, Samples::Run(run) if run.is_empty()))
            .collect())
    }
}

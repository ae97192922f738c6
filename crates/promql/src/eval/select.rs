//! Selectors: the newest sample of a series at each step, and the instants `offset` and `@` lead to.

use std::sync::Arc;

use tenfold_types::{Histogram, Matcher, ResetHint, is_stale};

use super::{
    Context, Grid, Row, Sink,
    coarse::{FromRows, Keep},
    extended::between,
    notes::Note,
    range_fn::interpolate,
    row::ROW_BYTES,
    trace::Reads,
    window::Edges,
};
use crate::{
    error::{QueryError, Span},
    source::{Run, Samples, SeriesData},
    syntax::ast::{At, Expr, RangeMode, Selector, Shift},
    value::Sample,
};

/// A histogram counts as that many samples against the limit: by its size.
pub(crate) const BYTES_OF_A_SAMPLE: usize = 16;

/// `offset` and `@` in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shifted {
    pub offset_ms: i64,
    pub at_ms: Option<i64>,
}

impl Shifted {
    /// The instant to look at for a step.
    pub fn at(self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }
}

/// What of the newest sample is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aspect {
    Value,
    /// Its instant in seconds.
    Timestamp,
    /// When what it counts began, in seconds.
    Start,
}

impl Context<'_> {
    pub fn shifted(&self, shift: &Shift) -> Result<Shifted, QueryError> {
        Ok(Shifted {
            offset_ms: shift.offset.as_ref().map_or(Ok(0), |d| self.duration_ms(d))?,
            at_ms: shift.at.map(|at| match at {
                At::Instant(ms) => ms,
                At::Start => self.top.start,
                At::End => self.end,
            }),
        })
    }

    /// The series of a selector with samples in `start < t <= end`.
    pub fn series(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Vec<SeriesData>, QueryError> {
        let series = self.query.source.select(matchers, start.saturating_add(1), end)?;
        let max = self.query.limits.series_max;
        if series.len() > max {
            return Err(QueryError::Limit(format!(
                "a selector matches {} series; at most {max} are allowed; add matchers",
                series.len()
            )));
        }
        self.hold(series.len() * ROW_BYTES)?;
        Ok(series)
    }

    /// The samples of a series, counted; `run` is emptied first.
    pub fn load(&self, samples: Samples, statistics: bool, run: &mut Run) -> Result<(), QueryError> {
        run.clear();
        let mut chunks = 0;
        match samples {
            Samples::Points(points) => run.floats = points,
            Samples::Run(all) => *run = *all,
            Samples::Lazy(reader) => {
                chunks = reader.chunks();
                reader.read_run(run)?;
            }
        }
        let samples = (run.floats.len() + run.histograms.len()) as u64;
        self.keep_reads(Reads { series: 1, chunks, samples });
        if statistics {
            keep_statistics(run);
        }
        self.count_run(run)
    }

    pub fn count_run(&self, run: &Run) -> Result<(), QueryError> {
        let histograms: usize = run.histograms.iter().map(|p| p.histogram.bytes() / BYTES_OF_A_SAMPLE).sum();
        self.count_samples(run.floats.len() + histograms)
    }

    /// Rows of the newest sample at each step, or of what else is asked of it.
    pub fn instant_selector(
        &self,
        selector: &Selector,
        place: &Expr,
        grid: Grid,
        aspect: Aspect,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let what = (aspect == Aspect::Value).then_some(FromRows::Newest);
        let mut run =
            |grid, keep: Keep<'_>, sink: Sink<'_>| self.newest_of_samples(selector, place, grid, (aspect, keep), sink);
        self.old_then(place, grid, (what, false), &mut run, sink)
    }

    fn newest_of_samples(
        &self,
        selector: &Selector,
        place: &Expr,
        grid: Grid,
        (aspect, keep): (Aspect, Keep<'_>),
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let shift = self.shifted(&selector.shift)?;
        let lookback = self.query.lookback_ms;
        let (first, last) = (shift.at(grid.start), shift.at(grid.end()));
        let smoothed = selector.mode == RangeMode::Smoothed && aspect == Aspect::Value;
        let end = if smoothed { last.saturating_add(lookback) } else { last };
        let mut series = self.within(place, || self.series(&selector.matchers, first.saturating_sub(lookback), end))?;
        if let Some(keep) = keep {
            series.retain(|s| keep(&s.labels));
        }
        let span = place.span;
        let make = |c: &Context<'_>, labels, run: &mut Run| {
            let mut row = Row::empty(labels, false, grid.steps);
            if smoothed {
                c.smooth(run, shift, grid, span, &mut row);
            } else if run.histograms.is_empty() && aspect == Aspect::Value {
                newest_floats(run, shift, grid, lookback, &mut row.values);
            } else {
                newest(run, shift, grid, lookback, aspect, &mut row);
            }
            c.count_steps(&row, grid);
            Ok(Some(row).filter(Row::has_values))
        };
        self.each_series(series, grid.steps, place, selector.statistics, &make, sink)
    }

    /// Values on the line between the samples around each step.
    fn smooth(&self, run: &Run, shift: Shifted, grid: Grid, span: Span, row: &mut Row) {
        let lookback = self.query.lookback_ms;
        let (mut floats, mut histograms) = (Edges::default(), Edges::default());
        let labels = Arc::clone(&row.labels);
        let name = labels.metric_name().unwrap_or_default();
        let fresh: Vec<_> = run.floats.iter().copied().filter(|p| !is_stale(p.value)).collect();
        let hists: Vec<_> = run.histograms.iter().filter(|p| !p.histogram.is_stale()).cloned().collect();
        for (step, t) in grid.times().enumerate() {
            let at = shift.at(t);
            let (start, end) = (at.saturating_sub(lookback), at.saturating_add(lookback));
            let points = floats.slice(&fresh, |p| p.t_ms, start, end);
            let hists = histograms.slice(&hists, |p| p.t_ms, start, end);
            if !points.is_empty() && !hists.is_empty() {
                self.note(span, Note::MixedRange { name });
            } else if hists.is_empty() {
                let next = points.partition_point(|p| p.t_ms < at);
                let before = next.checked_sub(1).map(|i| points[i]);
                row.values[step] = match (before, points.get(next)) {
                    (_, Some(after)) if after.t_ms == at => after.value,
                    (Some(before), Some(after)) => interpolate(before, *after, at, false),
                    (Some(before), None) => before.value,
                    (None, _) => continue,
                };
            } else {
                let next = hists.partition_point(|p| p.t_ms < at);
                let before = next.checked_sub(1).map(|i| &hists[i]);
                let sample = match (before, hists.get(next)) {
                    (_, Some(after)) if after.t_ms == at => Arc::clone(&after.histogram),
                    (Some(before), Some(after)) => {
                        let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
                        let counter = !gauge(&before.histogram) || !gauge(&after.histogram);
                        match between(self, before, after, at, counter, name, span) {
                            Some(h) => Arc::new(h),
                            None => continue,
                        }
                    }
                    // The hint says how a sample follows the one before it, which the value carried on does not.
                    (Some(before), None) => {
                        Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..(*before.histogram).clone() })
                    }
                    (None, _) => continue,
                };
                row.set(step, Sample::Histogram(sample));
            }
        }
    }
}

/// Leaves of histograms the count and the sum, and what the buckets tell of counter resets.
fn keep_statistics(run: &mut Run) {
    let mut last: Option<Arc<Histogram>> = None;
    for point in &mut run.histograms {
        let whole = Arc::clone(&point.histogram);
        let reset_hint = match (&last, whole.reset_hint) {
            (Some(last), ResetHint::Unknown) if !whole.is_stale() => {
                if whole.is_reset_after(last) {
                    ResetHint::Reset
                } else {
                    ResetHint::NotReset
                }
            }
            (_, own) => own,
        };
        point.histogram = Arc::new(Histogram {
            reset_hint,
            schema: whole.schema,
            count: whole.count,
            sum: whole.sum,
            ..Histogram::default()
        });
        if !whole.is_stale() {
            last = Some(whole);
        }
    }
}

/// The newest float within the lookback at each step.
fn newest_floats(run: &Run, shift: Shifted, grid: Grid, lookback: i64, values: &mut [f64]) {
    let points = &run.floats;
    let mut next = 0;
    for (t, value) in grid.times().zip(values) {
        let at = shift.at(t);
        while next < points.len() && points[next].t_ms <= at {
            next += 1;
        }
        let newest = next.checked_sub(1).map(|i| points[i]);
        if let Some(p) = newest.filter(|p| p.t_ms > at.saturating_sub(lookback) && !is_stale(p.value)) {
            *value = p.value;
        }
    }
}

/// The same where there are histograms too, or where something else than the value is asked for.
fn newest(run: &Run, shift: Shifted, grid: Grid, lookback: i64, aspect: Aspect, row: &mut Row) {
    let (mut float, mut histogram) = (0, 0);
    for (step, t) in grid.times().enumerate() {
        let at = shift.at(t);
        while run.floats.get(float).is_some_and(|p| p.t_ms <= at) {
            float += 1;
        }
        while run.histograms.get(histogram).is_some_and(|p| p.t_ms <= at) {
            histogram += 1;
        }
        let newest_float = float.checked_sub(1).map(|i| (run.floats[i], i));
        let newest_histogram = histogram.checked_sub(1).map(|i| (&run.histograms[i], i));
        let from = at.saturating_sub(lookback);
        let (t_ms, start, sample) = match (newest_float, newest_histogram) {
            (f, Some((h, i))) if f.is_none_or(|(p, _)| p.t_ms < h.t_ms) => {
                if h.t_ms <= from || h.histogram.is_stale() {
                    continue;
                }
                (h.t_ms, run.histogram_starts.get(i), Sample::Histogram(Arc::clone(&h.histogram)))
            }
            (Some((p, i)), _) => {
                if p.t_ms <= from || is_stale(p.value) {
                    continue;
                }
                (p.t_ms, run.float_starts.get(i), Sample::Float(p.value))
            }
            (None, _) => continue,
        };
        let seconds = |ms: i64| Sample::Float(ms as f64 / 1000.0);
        row.set(
            step,
            match aspect {
                Aspect::Value => sample,
                Aspect::Timestamp => seconds(t_ms),
                Aspect::Start => seconds(start.copied().unwrap_or(0)),
            },
        );
    }
}

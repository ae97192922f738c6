//! `changes` and `resets`: how often neighbours differ. A change between floats and histograms counts as both.

#![expect(clippy::unnecessary_wraps, reason = "the functions of one table share one type")]

use std::sync::Arc;

use tenfold_types::Histogram;

use super::{
    Context, Grid, Row, Sink,
    range_fn::starts_anew,
    window::{Cursor, SeriesWindows, Window},
};
use crate::{error::QueryError, syntax::ast::Expr, value::Sample};

pub(crate) fn changes(w: &Window<'_>) -> Option<f64> {
    let changed = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
    Some(w.points.windows(2).filter(|p| changed(p[0].value, p[1].value)).count() as f64)
}

pub(crate) fn resets(w: &Window<'_>) -> Option<f64> {
    let starts = w.float_starts;
    let reset = |(i, p): &(usize, &[tenfold_types::Point])| {
        p[1].value < p[0].value
            || starts.get(i + 1).is_some_and(|start| starts_anew(starts[*i], p[0].t_ms, *start, p[1].t_ms))
    };
    Some(w.points.windows(2).enumerate().filter(reset).count() as f64)
}

/// One sample of a window of both kinds.
#[derive(Clone, Copy)]
struct Either<'w> {
    t_ms: i64,
    start: i64,
    float: f64,
    histogram: Option<&'w Arc<Histogram>>,
}

fn in_order<'w>(w: &Window<'w>) -> Vec<Either<'w>> {
    let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
    let floats = w.points.iter().enumerate().map(|(i, p)| Either {
        t_ms: p.t_ms,
        start: start(w.float_starts, i),
        float: p.value,
        histogram: None,
    });
    let histograms = w.histograms.iter().enumerate().map(|(i, p)| Either {
        t_ms: p.t_ms,
        start: start(w.histogram_starts, i),
        float: 0.0,
        histogram: Some(&p.histogram),
    });
    let mut all: Vec<Either<'w>> = floats.chain(histograms).collect();
    all.sort_by_key(|e| e.t_ms);
    all
}

fn count(w: &Window<'_>, counts: impl Fn(&Either<'_>, &Either<'_>) -> bool) -> Option<Sample> {
    let all = in_order(w);
    let differs = |p: &&[Either<'_>]| p[0].histogram.is_some() != p[1].histogram.is_some() || counts(&p[0], &p[1]);
    Some(Sample::Float(all.windows(2).filter(differs).count() as f64))
}

pub(crate) fn histogram_changes(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    count(w, |a, b| match (a.histogram, b.histogram) {
        (Some(a), Some(b)) => !b.same_as(a),
        _ => a.float != b.float && !(a.float.is_nan() && b.float.is_nan()),
    })
}

pub(crate) fn histogram_resets(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    count(w, |a, b| {
        starts_anew(a.start, a.t_ms, b.start, b.t_ms)
            || match (a.histogram, b.histogram) {
                (Some(a), Some(b)) => b.is_reset_after(a),
                _ => b.float < a.float,
            }
    })
}

impl Context<'_> {
    /// `changes` and `resets` that also see the last sample at or before the window's start.
    pub fn anchored_count(&self, resets: bool, matrix: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let function = if resets { histogram_resets } else { histogram_changes };
        let lookback = self.query.lookback_ms;
        let make = |c: &Context<'_>, series: &SeriesWindows<'_>| {
            let mut row = Row::empty(series.labels.clone(), true, grid.steps);
            let mut cursor = Cursor::new(series, lookback, 0);
            for (step, t) in grid.times().enumerate() {
                let window = anchored(cursor.window(t));
                if let Some(sample) = window.and_then(|w| function(c, series, &w)) {
                    row.set(step, sample);
                }
            }
            Ok(Some(row).filter(Row::has_values))
        };
        self.window_rows(matrix, grid, &make, None, sink)
    }
}

/// Without what lies before the anchor: the newest sample, float or histogram, at or before the window's start. Nothing
/// when no sample lies after it.
fn anchored(w: Window<'_>) -> Option<Window<'_>> {
    let floats = w.points.partition_point(|p| p.t_ms <= w.start);
    let histograms = w.histograms.partition_point(|p| p.t_ms <= w.start);
    if floats == w.points.len() && histograms == w.histograms.len() {
        return None;
    }
    let newest_float = floats.checked_sub(1).map(|i| w.points[i].t_ms);
    let newest_histogram = histograms.checked_sub(1).map(|i| w.histograms[i].t_ms);
    let float_is_anchor = newest_float.is_some() && newest_float >= newest_histogram;
    let from_float = if float_is_anchor { floats - 1 } else { floats };
    let from_histogram = if newest_histogram.is_some() && !float_is_anchor { histograms - 1 } else { histograms };
    Some(Window {
        points: &w.points[from_float..],
        histograms: &w.histograms[from_histogram..],
        float_starts: w.float_starts.get(from_float..).unwrap_or_default(),
        histogram_starts: w.histogram_starts.get(from_histogram..).unwrap_or_default(),
        ..w
    })
}

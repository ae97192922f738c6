//! Functions over the change within a window: `rate` and its relatives, `deriv`, `changes` and the like.
//!
//! The extrapolation of `rate`, `increase` and `delta` is Prometheus': to the window's ends when the samples reach near
//! them, else by half the mean distance between samples, and for counters never below zero.

use tenfold_types::Point;

use super::{
    ABSENT, Context, Grid, Row, Sink,
    kahan::Kahan,
    window::{Edges, SeriesWindows, Window},
};
use crate::{
    error::{Level, QueryError, Span},
    syntax::ast::{Expr, RangeMode},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extrapolated {
    Rate,
    Increase,
    Delta,
}

impl Extrapolated {
    fn is_counter(self) -> bool {
        self != Self::Delta
    }
}

impl Context<'_> {
    pub fn extrapolated(&self, kind: Extrapolated, arg: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let lookback = self.query.lookback_ms;
        self.windows(arg, grid, &mut |series| {
            if kind.is_counter() {
                self.note_counter_name(series, arg.span);
            }
            let values = match series.spec.mode {
                RangeMode::Normal => extrapolate_all(kind, series, grid),
                mode => extended_all(kind, mode, lookback, series, grid),
            };
            match values {
                Some(values) => sink(Row { labels: series.labels.clone(), drop_name: true, values }),
                None => Ok(()),
            }
        })
    }

    pub fn note_counter_name(&self, series: &SeriesWindows<'_>, span: Span) {
        let Some(name) = series.labels.metric_name().filter(|_| !series.drop_name) else { return };
        let typed = series.labels.get("__type__");
        let counter = match typed {
            Some(t) => t == "counter" || t == "histogram",
            None => ["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s)),
        };
        if !counter {
            let message = match typed {
                Some(t) => format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got \"{t}\": \"{name}\""
                ),
                None => format!(
                    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"{name}\""
                ),
            };
            self.annotate(Level::Info, span, message);
        }
    }
}

fn extrapolate_all(kind: Extrapolated, series: &SeriesWindows<'_>, grid: Grid) -> Option<Vec<f64>> {
    let points = series.points;
    // Where a counter fell, with the value it fell from: few, so that a window need not be walked at every step.
    let falls: Vec<(usize, f64)> = if kind.is_counter() {
        points
            .windows(2)
            .enumerate()
            .filter(|(_, w)| w[1].value < w[0].value)
            .map(|(i, w)| (i + 1, w[0].value))
            .collect()
    } else {
        Vec::new()
    };
    let mut first_fall = 0;
    let mut edges = Edges::default();
    let mut values = vec![ABSENT; grid.steps];
    let mut any = false;
    for (t, value) in grid.times().zip(&mut values) {
        let (start, end) = series.spec.window(t);
        let window = edges.slice(points, start, end);
        if window.len() < 2 {
            continue;
        }
        while falls.get(first_fall).is_some_and(|f| f.0 <= edges.low) {
            first_fall += 1;
        }
        let mut change = window[window.len() - 1].value - window[0].value;
        for (at, fell_from) in &falls[first_fall..] {
            if *at >= edges.high {
                break;
            }
            change += fell_from;
        }
        *value = extrapolate(kind, window, change, start, end);
        any = true;
    }
    any.then_some(values)
}

/// All times in milliseconds: whole numbers, so that the sums are exact.
#[inline]
fn extrapolate(kind: Extrapolated, window: &[Point], change: f64, start: i64, end: i64) -> f64 {
    let (first, last) = (window[0], window[window.len() - 1]);
    let mut to_start = (first.t_ms - start) as f64;
    let mut to_end = (end - last.t_ms) as f64;
    let sampled = (last.t_ms - first.t_ms) as f64;
    let mean_distance = sampled / (window.len() - 1) as f64;
    let threshold = mean_distance * 1.1;
    if to_start >= threshold {
        to_start = mean_distance / 2.0;
    }
    // The counter would be zero before the window starts: do not go further back than that.
    if kind.is_counter() && change > 0.0 && first.value >= 0.0 && sampled * first.value < to_start * change {
        to_start = sampled * (first.value / change);
    }
    if to_end >= threshold {
        to_end = mean_distance / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind == Extrapolated::Rate {
        factor /= (end - start) as f64 / 1000.0;
    }
    change * factor
}

fn extended_all(
    kind: Extrapolated,
    mode: RangeMode,
    lookback: i64,
    series: &SeriesWindows<'_>,
    grid: Grid,
) -> Option<Vec<f64>> {
    let mut edges = Edges::default();
    let values: Vec<f64> = grid
        .times()
        .map(|t| {
            let (start, end) = series.spec.window(t);
            let until = if mode == RangeMode::Smoothed { end + lookback } else { end };
            let points = edges.slice(series.points, start - lookback, until);
            extended(kind, mode == RangeMode::Smoothed, points, start, end).unwrap_or(ABSENT)
        })
        .collect();
    values.iter().any(|v| !super::is_absent(*v)).then_some(values)
}

/// The first sample that matters to an anchored window: the last one at or before its start, or else the first.
pub(crate) fn anchor(points: &[Point], start: i64) -> usize {
    let last = points.len() - 1;
    points[..last].partition_point(|p| p.t_ms <= start).saturating_sub(1)
}

fn extended(kind: Extrapolated, smoothed: bool, points: &[Point], start: i64, end: i64) -> Option<f64> {
    let mut last = points.len().checked_sub(1)?;
    let mut first = anchor(points, start);
    if smoothed {
        last = points[..last].partition_point(|p| p.t_ms < end);
    }
    if points[last].t_ms <= start || points[first].t_ms > end {
        return None;
    }
    let counter = kind.is_counter();
    let left = if smoothed && points[first].t_ms < start {
        interpolate(points[first], points[first + 1], start, counter, true)
    } else {
        points[first].value
    };
    let right = if smoothed && last > 0 && points[last].t_ms > end {
        // Both ends between the same two samples: a reset between them counts once, before the window.
        let same = last - 1 == first && points[first].t_ms < start;
        interpolate(points[last - 1], points[last], end, counter, same)
    } else {
        points[last].value
    };
    let mut change = right - left;
    if counter {
        if points[first].t_ms <= start {
            first += 1;
        }
        let until = if points[last].t_ms >= end { last } else { last + 1 };
        let mut before = left;
        for p in points.get(first..until).unwrap_or_default() {
            if p.value < before {
                change += before;
            }
            before = p.value;
        }
        if right < before {
            change += before;
        }
    }
    Some(if kind == Extrapolated::Rate { change / ((end - start) as f64 / 1000.0) } else { change })
}

fn interpolate(a: Point, b: Point, t: i64, counter: bool, left_edge: bool) -> f64 {
    let (mut y1, mut y2) = (a.value, b.value);
    if counter && y2 < y1 {
        if left_edge {
            y1 = 0.0;
        } else {
            y2 += y1;
        }
    }
    y1 + (y2 - y1) * (t - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64
}

/// The last two samples' difference; for counters the last value itself after a reset.
fn last_step(w: &Window<'_>, counter: bool) -> Option<(f64, f64)> {
    let [.., before, last] = w.points else { return None };
    let seconds = (last.t_ms - before.t_ms) as f64 / 1000.0;
    let change = if counter && last.value < before.value { last.value } else { last.value - before.value };
    Some((change, seconds))
}

pub(crate) fn irate(w: &Window<'_>) -> Option<f64> {
    last_step(w, true).filter(|(_, seconds)| *seconds > 0.0).map(|(change, seconds)| change / seconds)
}

pub(crate) fn idelta(w: &Window<'_>) -> Option<f64> {
    last_step(w, false).map(|(change, _)| change)
}

#[expect(clippy::float_cmp, reason = "a change is any difference")]
#[expect(clippy::unnecessary_wraps, reason = "the functions of one table share one type")]
pub(crate) fn changes(w: &Window<'_>) -> Option<f64> {
    let changed = |p: &[Point]| p[0].value != p[1].value && !(p[0].value.is_nan() && p[1].value.is_nan());
    Some(w.points.windows(2).filter(|p| changed(p)).count() as f64)
}

#[expect(clippy::unnecessary_wraps, reason = "the functions of one table share one type")]
pub(crate) fn resets(w: &Window<'_>) -> Option<f64> {
    Some(w.points.windows(2).filter(|p| p[1].value < p[0].value).count() as f64)
}

/// Least squares: slope per second and the value at `intercept_t`.
#[expect(clippy::float_cmp, reason = "constant means every value is the very same")]
fn regression(points: &[Point], intercept_t: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    let n = points.len() as f64;
    let y0 = points[0].value;
    if points.iter().all(|p| p.value == y0) {
        return if y0.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, y0) };
    }
    for p in points {
        let x = (p.t_ms - intercept_t) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(p.value);
        xy_sum.add(x * p.value);
        xx_sum.add(x * x);
    }
    let (x, y, xy, xx) = (x_sum.value(), y_sum.value(), xy_sum.value(), xx_sum.value());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

pub(crate) fn deriv(w: &Window<'_>) -> Option<f64> {
    (w.points.len() >= 2).then(|| regression(w.points, w.first().t_ms).0)
}

pub(crate) fn predict_linear(w: &Window<'_>) -> Option<f64> {
    (w.points.len() >= 2).then(|| {
        let (slope, intercept) = regression(w.points, w.t_ms);
        slope * w.args[0] + intercept
    })
}

/// Holt's linear trend: smoothing factor and trend factor are the arguments.
pub(crate) fn double_exponential_smoothing(w: &Window<'_>) -> Option<f64> {
    let [first, second, ..] = w.points else { return None };
    let [smoothing, trending] = w.args;
    let (mut before, mut now) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (i, p) in w.points[1..].iter().enumerate() {
        if i > 0 {
            trend = trending * (now - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * p.value + (1.0 - smoothing) * (now + trend);
        (before, now) = (now, next);
    }
    Some(now)
}

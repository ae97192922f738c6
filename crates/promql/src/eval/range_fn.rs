//! `rate`, `increase`, `delta` and the two functions of the last two samples.
//!
//! The extrapolation of `rate`, `increase` and `delta` is Prometheus': to the window's ends when the samples reach near
//! them, else by half the mean distance between samples, and for counters never below zero. Where it is known when a
//! counter began within the window, nothing is guessed on that side.

use std::sync::Arc;

use tenfold_types::{Histogram, Point, ResetHint};

use super::{
    Context, Grid, Row, Sink,
    coarse::{FromRows, Keep},
    is_absent,
    notes::{Note, Operation},
    window::{Cursor, SeriesWindows, Window},
};
use crate::{
    error::QueryError,
    syntax::ast::{Expr, RangeMode},
    value::Sample,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extrapolated {
    Rate,
    Increase,
    Delta,
}

impl Extrapolated {
    pub fn is_counter(self) -> bool {
        self != Self::Delta
    }
}

impl Context<'_> {
    pub fn extrapolated(&self, kind: Extrapolated, arg: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let what = match kind {
            Extrapolated::Rate => Some(FromRows::Rate),
            Extrapolated::Increase => Some(FromRows::Increase),
            Extrapolated::Delta => None,
        };
        let mut run = |grid, keep: Keep<'_>, sink: Sink<'_>| self.extrapolated_samples(kind, arg, grid, keep, sink);
        self.old_then(arg, grid, (what, true), &mut run, sink)
    }

    fn extrapolated_samples(
        &self,
        kind: Extrapolated,
        arg: &Expr,
        grid: Grid,
        keep: Keep<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let lookback = self.query.lookback_ms;
        let make = |c: &Context<'_>, series: &SeriesWindows<'_>| {
            let plain = series.run.histograms.is_empty() && series.run.float_starts.is_empty();
            let mut row = Row::empty(series.labels.clone(), true, grid.steps);
            if plain && series.spec.mode == RangeMode::Normal {
                extrapolate_all(kind, series, grid, &mut row.values);
            } else {
                let extended = series.spec.mode != RangeMode::Normal;
                let smoothed = series.spec.mode == RangeMode::Smoothed;
                let (before, after) = (if extended { lookback } else { 0 }, if smoothed { lookback } else { 0 });
                let mut cursor = Cursor::new(series, before, after);
                for (step, t) in grid.times().enumerate() {
                    let window = cursor.window(t);
                    let sample = if !window.points.is_empty() && !window.histograms.is_empty() {
                        c.note(series.span, Note::MixedRange { name: series.name() });
                        None
                    } else if window.is_empty() {
                        None
                    } else if extended {
                        c.extended(kind, smoothed, series, &window)
                    } else {
                        c.rate(kind, series, &window)
                    };
                    if let Some(sample) = sample {
                        row.set(step, sample);
                    }
                }
            }
            if kind.is_counter() && row.values.iter().any(|v| !is_absent(*v)) {
                c.note_counter_name(series);
            }
            Ok(Some(row).filter(Row::has_values))
        };
        self.window_rows(arg, grid, &make, keep, sink)
    }

    fn note_counter_name(&self, series: &SeriesWindows<'_>) {
        let Some(name) = series.labels.metric_name() else { return };
        match series.labels.get("__type__") {
            Some("counter" | "histogram") => {}
            Some(type_label) => self.note(series.span, Note::TypedNoCounter { name, type_label }),
            None if ["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s)) => {}
            None => self.note(series.span, Note::PossiblyNoCounter { name }),
        }
    }

    /// One window of floats or of histograms, with what is known of when its counters began.
    fn rate(&self, kind: Extrapolated, series: &SeriesWindows<'_>, window: &Window<'_>) -> Option<Sample> {
        let floats = window.histograms.is_empty();
        let starts = if floats { window.float_starts } else { window.histogram_starts };
        let times: (i64, i64, usize) = if floats {
            (window.points[0].t_ms, window.last().t_ms, window.points.len())
        } else {
            let all = window.histograms;
            (all[0].t_ms, all[all.len() - 1].t_ms, all.len())
        };
        let began = starts.first().copied().filter(|s| kind.is_counter() && *s != 0);
        let began = began.filter(|s| *s > window.start && *s < times.0);
        if times.2 < 2 && began.is_none() {
            return None;
        }
        if floats {
            let mut change = self.change(kind, series, window);
            if began.is_some() {
                change += window.first().value;
            }
            let factor = factor(kind, window, times, began, window.first().value, change);
            return Some(Sample::Float(change * factor));
        }
        let first = &window.histograms[0].histogram;
        let mut change = if times.2 > 1 { self.histogram_change(kind, series, window)? } else { Histogram::default() };
        if began.is_some() {
            change = if times.2 > 1 { self.sum_of(&change, first, series)? } else { (**first).clone() };
        }
        let factor = factor(kind, window, times, began, first.count, change.count);
        change.multiply(factor);
        Some(Sample::Histogram(Arc::new(change)))
    }

    /// How much the floats of a window changed, counter resets made up for.
    fn change(&self, kind: Extrapolated, series: &SeriesWindows<'_>, window: &Window<'_>) -> f64 {
        let mut change = window.last().value - window.first().value;
        if !kind.is_counter() {
            return change;
        }
        let starts = window.float_starts;
        let mut overlaps = false;
        for (i, pair) in window.points.windows(2).enumerate() {
            let began = starts.get(i + 1).map(|start| (starts[i], *start));
            overlaps |= began.is_some_and(|(before, start)| start_overlaps(before, pair[0].t_ms, start));
            if pair[1].value < pair[0].value
                || began.is_some_and(|(before, start)| starts_anew(before, pair[0].t_ms, start, pair[1].t_ms))
            {
                change += pair[0].value;
            }
        }
        if overlaps {
            self.note(series.span, Note::StartOverlaps { name: series.name() });
        }
        change
    }

    /// The sum, with the remarks it gives rise to.
    pub fn sum_of(&self, a: &Histogram, b: &Histogram, series: &SeriesWindows<'_>) -> Option<Histogram> {
        self.noted(a.plus(b), Operation::Addition, series)
    }

    pub fn noted(
        &self,
        result: Result<(Histogram, tenfold_types::histogram::Added), tenfold_types::histogram::Incompatible>,
        operation: Operation,
        series: &SeriesWindows<'_>,
    ) -> Option<Histogram> {
        let Ok((histogram, added)) = result else {
            self.note(series.span, Note::MixedSchemas { name: series.name() });
            return None;
        };
        if added.bounds_reconciled {
            self.note(series.span, Note::BoundsReconciled(operation));
        }
        Some(histogram)
    }
}

/// Whether a sample's start tells of a counter reset after the sample before it.
pub(crate) fn starts_anew(start_before: i64, t_before: i64, start: i64, t: i64) -> bool {
    // Not known, or impossible, or the way OpenTelemetry writes "unknown".
    if start == 0 || start >= t {
        return false;
    }
    match start.cmp(&t_before) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        // Deltas start where the sample before ended; counters of unknown start do so too, whose first sample says that
        // its own start is unknown.
        std::cmp::Ordering::Equal => start_before != 0 && start_before < t_before,
    }
}

fn start_overlaps(start_before: i64, t_before: i64, start: i64) -> bool {
    start != 0 && start < t_before && start != start_before
}

/// Every window of a series of floats alone, without known starts. The ends of the window move along; nothing in between is
/// looked at again.
fn extrapolate_all(kind: Extrapolated, series: &SeriesWindows<'_>, grid: Grid, values: &mut [f64]) {
    let points = &series.run.floats;
    // Where a counter fell, with the value it fell from: few, so that a window need not be walked at every step.
    let falls = if kind.is_counter() { falls(points) } else { Some(Vec::new()) };
    let mut falls = Falls { points, all: falls.as_deref(), first: 0 };
    let mut edges = super::window::Edges::default();
    let mut layouts = Layouts::new(kind, series.spec.range_ms);
    // Samples by which a window moves with a step, where that is the same everywhere.
    let moves = pace(points).filter(|pace| grid.step > 0 && grid.step % pace == 0 && series.spec.shift.at_ms.is_none());
    let moves = moves.map(|pace| (grid.step / pace) as usize);
    let mut step = 0;
    while step < grid.steps {
        let (start, end) = series.spec.window(grid.at(step));
        let window = edges.slice(points, |p| p.t_ms, start, end);
        if let [first, .., last] = window {
            layouts.set(first.t_ms - start, end - last.t_ms, last.t_ms - first.t_ms, window.len());
            // The first window that begins after the first sample is like all that follow, up to the last sample.
            let alike = match moves {
                Some(by) if edges.low > 0 => ((points.len() - edges.high) / by + 1).min(grid.steps - step),
                _ => 1,
            };
            let by = moves.unwrap_or_default();
            let values = &mut values[step..step + alike];
            let whole = falls.none_until(edges.low, edges.high, by, alike);
            let (even, rest) = values.split_at_mut(whole);
            layouts.extrapolate_even(points, (edges.low, edges.high, by), even);
            (edges.low, edges.high) = (edges.low + by * whole, edges.high + by * whole);
            for value in rest {
                let (first, last) = (points[edges.low].value, points[edges.high - 1].value);
                *value = layouts.extrapolate(first, falls.made_up(last - first, edges.low, edges.high));
                (edges.low, edges.high) = (edges.low + by, edges.high + by);
            }
            (edges.low, edges.high) = (edges.low - by, edges.high - by);
            step += alike;
        } else {
            step += 1;
        }
    }
}

/// The milliseconds between samples, when they are the same between all.
fn pace(points: &[Point]) -> Option<i64> {
    let [first, second, ..] = points else { return None };
    let pace = second.t_ms - first.t_ms;
    let uneven = stretches(points, |a, b| (b.t_ms - a.t_ms - pace) as u64).next().is_some();
    (!uneven && pace > 0).then_some(pace)
}

/// One sample of so many fell: what is asked is no counter.
const OFTEN: usize = 8;

/// Where a counter fell: the first sample after it, and the value it fell from. `None` when it fell often, as a gauge does,
/// so that windows are better walked.
fn falls(points: &[Point]) -> Option<Vec<(usize, f64)>> {
    let mut out = Vec::new();
    for (from, stretch) in stretches(points, |before, p| u64::from(p.value < before.value)) {
        let pairs = stretch.windows(2).enumerate().filter(|(_, w)| w[1].value < w[0].value);
        out.extend(pairs.map(|(i, w)| (from + i + 1, w[0].value)));
        if out.len() * OFTEN > points.len() {
            return None;
        }
    }
    Some(out)
}

/// The stretches that have a pair of neighbours of which the answer is not 0, each with its first place. Neighbours are asked
/// many at a time without a branch between them, in numbers that a processor can put together several at once, since most
/// series have none.
fn stretches(points: &[Point], is: impl Fn(&Point, &Point) -> u64) -> impl Iterator<Item = (usize, &[Point])> {
    const PAIRS: usize = 32;
    let starts = (0..points.len().saturating_sub(1)).step_by(PAIRS);
    let all = starts.map(move |from| (from, &points[from..points.len().min(from + PAIRS + 1)]));
    all.filter(move |(_, stretch)| stretch.iter().zip(&stretch[1..]).fold(0, |any, (a, b)| any | is(a, b)) != 0)
}

/// Where a counter fell, with the value it fell from.
struct Falls<'f> {
    points: &'f [Point],
    /// `None`: too often to be listed.
    all: Option<&'f [(usize, f64)]>,
    first: usize,
}

impl Falls<'_> {
    /// How many of `windows` have no fall inside, from `low..high` on, each `by` samples after the one before.
    fn none_until(&mut self, low: usize, high: usize, by: usize, windows: usize) -> usize {
        let Some(all) = self.all else { return 0 };
        self.first += all[self.first..].iter().take_while(|f| f.0 <= low).count();
        match all.get(self.first) {
            None => windows,
            Some((at, _)) if *at < high => 0,
            Some((at, _)) => (at - high).checked_div(by).map_or(windows, |steps| (steps + 1).min(windows)),
        }
    }

    /// The change over the samples from `low` to before `high`, with what was lost made up for. Windows do not go back.
    #[inline]
    fn made_up(&mut self, change: f64, low: usize, high: usize) -> f64 {
        let Some(all) = self.all else { return walked(change, &self.points[low..high]) };
        while all.get(self.first).is_some_and(|f| f.0 <= low) {
            self.first += 1;
        }
        all[self.first..].iter().take_while(|f| f.0 < high).fold(change, |sum, f| sum + f.1)
    }
}

/// The change, with what was lost in the window made up for. No branch: a gauge falls in no order that a processor could guess.
fn walked(change: f64, window: &[Point]) -> f64 {
    let pairs = window.iter().zip(&window[1..]);
    pairs.fold(change, |sum, (before, p)| sum + if p.value < before.value { before.value } else { 0.0 })
}

/// How samples lie in a window, and what a change is multiplied with for it. Times are milliseconds: whole numbers, so that
/// sums are exact.
#[derive(Clone, Copy, Default)]
struct Layout {
    /// Milliseconds from the window's start to the first sample, from the last to the end, and between them; and samples.
    of: (i64, i64, i64, usize),
    sampled: f64,
    /// How far to extrapolate on both sides.
    to_start: f64,
    to_end: f64,
    factor: f64,
}

/// Scrapes come at an even pace, so that most windows of a series are alike and only differ in their values; where a step is
/// no multiple of the pace, a few layouts take turns.
struct Layouts {
    kind: Extrapolated,
    seconds: f64,
    recent: [Layout; Self::KEPT],
    at: usize,
}

impl Layouts {
    const KEPT: usize = 4;

    fn new(kind: Extrapolated, range_ms: i64) -> Self {
        let seconds = range_ms as f64 / 1000.0;
        Self { kind, seconds, recent: [Layout::default(); Self::KEPT], at: 0 }
    }

    #[inline]
    fn set(&mut self, to_start: i64, to_end: i64, sampled: i64, samples: usize) {
        let of = (to_start, to_end, sampled, samples);
        if self.recent[self.at].of == of {
            return;
        }
        // The oldest first: layouts that take turns come back in their order.
        let mut turns = (1..Self::KEPT).map(|back| (self.at + back) % Self::KEPT);
        if let Some(i) = turns.find(|i| self.recent[*i].of == of) {
            self.at = i;
        } else {
            self.at = (self.at + 1) % Self::KEPT;
            self.recent[self.at] = self.compute(of);
        }
    }

    fn compute(&self, of: (i64, i64, i64, usize)) -> Layout {
        let (to_start, to_end, sampled, samples) = of;
        let sampled = sampled as f64;
        let mean_distance = sampled / (samples - 1) as f64;
        let threshold = mean_distance * 1.1;
        let near = |distance: i64| if distance as f64 >= threshold { mean_distance / 2.0 } else { distance as f64 };
        let layout = Layout { of, sampled, to_start: near(to_start), to_end: near(to_end), factor: 0.0 };
        Layout { factor: self.factor_from(&layout, layout.to_start), ..layout }
    }

    fn factor_from(&self, layout: &Layout, to_start: f64) -> f64 {
        let factor = (layout.sampled + to_start + layout.to_end) / layout.sampled;
        if self.kind == Extrapolated::Rate { factor / self.seconds } else { factor }
    }

    /// Windows that differ only in their values and have no fall inside, each `by` samples after the one before.
    fn extrapolate_even(&self, points: &[Point], (low, high, by): (usize, usize, usize), out: &mut [f64]) {
        let firsts = points[low..].iter().step_by(by.max(1));
        let lasts = points[high - 1..].iter().step_by(by.max(1));
        for ((value, first), last) in out.iter_mut().zip(firsts).zip(lasts) {
            *value = self.extrapolate(first.value, last.value - first.value);
        }
    }

    #[inline]
    fn extrapolate(&self, first: f64, change: f64) -> f64 {
        let layout = &self.recent[self.at];
        // The counter would be zero before the window starts: do not go further back than that.
        if self.kind.is_counter() && change > 0.0 && first >= 0.0 && layout.sampled * first < layout.to_start * change {
            return change * self.factor_from(layout, layout.sampled * (first / change));
        }
        change * layout.factor
    }
}

/// What the change between the first and the last sample is multiplied with. `first` and `change` are a counter's value,
/// or its count of observations.
fn factor(
    kind: Extrapolated,
    window: &Window<'_>,
    (first_ms, last_ms, samples): (i64, i64, usize),
    began: Option<i64>,
    first: f64,
    change: f64,
) -> f64 {
    let mut sampled = (last_ms - first_ms) as f64;
    let mean_distance = if samples > 1 { sampled / (samples - 1) as f64 } else { 0.0 };
    let threshold = mean_distance * 1.1;
    let mut to_start = (first_ms - window.start) as f64;
    if let Some(began) = began {
        to_start = 0.0;
        sampled = (last_ms - began) as f64;
    } else {
        if to_start >= threshold {
            to_start = mean_distance / 2.0;
        }
        if kind.is_counter() && change > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / change));
        }
    }
    let mut to_end = (window.end - last_ms) as f64;
    if to_end >= threshold {
        to_end = mean_distance / 2.0;
    }
    let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if kind == Extrapolated::Rate { factor / ((window.end - window.start) as f64 / 1000.0) } else { factor }
}

/// The value at `t` on the line between two samples; a counter that was reset in between started at zero.
pub(crate) fn interpolate(a: Point, b: Point, t: i64, counter: bool) -> f64 {
    let from = if counter && b.value < a.value { 0.0 } else { a.value };
    from + (b.value - from) * (t - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64
}

/// The last two floats: their difference, or the last value alone after a reset; and the seconds between them.
fn last_step(w: &Window<'_>, counter: bool) -> Option<(f64, f64)> {
    let [.., before, last] = w.points else { return None };
    let reset = counter
        && (last.value < before.value
            || match w.float_starts {
                [.., a, b] => starts_anew(*a, before.t_ms, *b, last.t_ms),
                _ => false,
            });
    let seconds = (last.t_ms - before.t_ms) as f64 / 1000.0;
    (seconds > 0.0).then_some((if reset { last.value } else { last.value - before.value }, seconds))
}

pub(crate) fn irate(w: &Window<'_>) -> Option<f64> {
    last_step(w, true).map(|(change, seconds)| change / seconds)
}

pub(crate) fn idelta(w: &Window<'_>) -> Option<f64> {
    last_step(w, false).map(|(change, _)| change)
}

pub(crate) fn histogram_irate(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    last_histograms(c, series, w, true)
}

pub(crate) fn histogram_idelta(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    last_histograms(c, series, w, false)
}

fn last_histograms(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>, counter: bool) -> Option<Sample> {
    let name = series.name();
    let [.., before, last] = w.histograms else {
        // One histogram, and a float beside it or not.
        if !w.points.is_empty() {
            return last_of_both(c, series, w, counter);
        }
        return None;
    };
    if w.points.last().is_some_and(|p| p.t_ms > before.t_ms) {
        return last_of_both(c, series, w, counter);
    }
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let (any, both) =
        (gauge(&before.histogram) || gauge(&last.histogram), gauge(&before.histogram) && gauge(&last.histogram));
    if counter && any {
        c.note(series.span, Note::NotCounter { name });
    }
    if !counter && !both {
        c.note(series.span, Note::NotGauge { name });
    }
    let reset = counter
        && (match w.histogram_starts {
            [.., a, b] => starts_anew(*a, before.t_ms, *b, last.t_ms),
            _ => false,
        } || last.histogram.is_reset_after(&before.histogram));
    let mut change = if reset {
        (*last.histogram).clone()
    } else {
        c.noted(last.histogram.minus(&before.histogram), Operation::Subtraction, series)?
    };
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    if counter {
        change.divide((last.t_ms - before.t_ms) as f64 / 1000.0);
    }
    Some(Sample::Histogram(Arc::new(change)))
}

/// The last two samples are not both histograms.
fn last_of_both(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>, counter: bool) -> Option<Sample> {
    let newest_histogram = w.histograms.last().map_or(i64::MIN, |h| h.t_ms);
    if let [.., before, _] = w.points
        && before.t_ms > newest_histogram
    {
        return (if counter { irate(w) } else { idelta(w) }).map(Sample::Float);
    }
    c.note(series.span, Note::MixedRange { name: series.name() });
    None
}

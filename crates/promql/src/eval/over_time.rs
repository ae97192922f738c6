//! The `*_over_time` functions: one window in, one value out.

#![expect(clippy::unnecessary_wraps, reason = "the functions of one table share one type")]

use std::{collections::VecDeque, sync::Arc};

use tenfold_types::{
    Histogram, HistogramPoint, Kahan, ResetHint,
    histogram::{HistogramSum, Incompatible},
};

use super::{
    Context, Grid,
    mean::{HistogramMean, Mean},
    notes::{Note, Operation},
    window::{Edges, Extreme, SeriesWindows, Window},
};
use crate::value::Sample;

pub(crate) fn sum(w: &Window<'_>) -> Option<f64> {
    let mut sum = Kahan::default();
    w.points.iter().for_each(|p| sum.add(p.value));
    Some(if sum.sum.is_infinite() { sum.sum } else { sum.value() })
}

pub(crate) fn avg(w: &Window<'_>) -> Option<f64> {
    let mut mean = Mean::default();
    w.points.iter().for_each(|p| mean.add(p.value));
    Some(mean.value())
}

pub(crate) fn count(w: &Window<'_>) -> Option<f64> {
    Some(w.points.len() as f64)
}

pub(crate) fn first(w: &Window<'_>) -> Option<f64> {
    Some(w.first().value)
}

pub(crate) fn last(w: &Window<'_>) -> Option<f64> {
    Some(w.last().value)
}

pub(crate) fn present(_: &Window<'_>) -> Option<f64> {
    Some(1.0)
}

/// The first point no other is better than; NaN is worse than any number.
fn best<'p>(w: &Window<'p>, better: impl Fn(f64, f64) -> bool) -> &'p tenfold_types::Point {
    let mut best = &w.points[0];
    for p in &w.points[1..] {
        if better(p.value, best.value) || (best.value.is_nan() && !p.value.is_nan()) {
            best = p;
        }
    }
    best
}

pub(crate) fn min(w: &Window<'_>) -> Option<f64> {
    Some(best(w, |a, b| a < b).value)
}

pub(crate) fn max(w: &Window<'_>) -> Option<f64> {
    Some(best(w, |a, b| a > b).value)
}

fn seconds(t_ms: i64) -> f64 {
    t_ms as f64 / 1000.0
}

pub(crate) fn ts_of_min(w: &Window<'_>) -> Option<f64> {
    Some(seconds(best(w, |a, b| a <= b || b.is_nan()).t_ms))
}

pub(crate) fn ts_of_max(w: &Window<'_>) -> Option<f64> {
    Some(seconds(best(w, |a, b| a >= b || b.is_nan()).t_ms))
}

pub(crate) fn ts_of_first(w: &Window<'_>) -> Option<f64> {
    Some(seconds(w.first().t_ms))
}

pub(crate) fn ts_of_last(w: &Window<'_>) -> Option<f64> {
    Some(seconds(w.last().t_ms))
}

fn variance(w: &Window<'_>) -> f64 {
    let (mut mean, mut square) = (Kahan::default(), Kahan::default());
    for (i, p) in w.points.iter().enumerate() {
        let delta = p.value - mean.value();
        mean.add(delta / (i + 1) as f64);
        square.add(delta * (p.value - mean.value()));
    }
    square.value() / w.points.len() as f64
}

pub(crate) fn stdvar(w: &Window<'_>) -> Option<f64> {
    Some(variance(w))
}

pub(crate) fn stddev(w: &Window<'_>) -> Option<f64> {
    Some(variance(w).sqrt())
}

pub(crate) fn quantile(w: &Window<'_>) -> Option<f64> {
    Some(quantile_of(w.args[0], &mut w.points.iter().map(|p| p.value).collect::<Vec<_>>()))
}

/// The median distance from the median.
pub(crate) fn mad(w: &Window<'_>) -> Option<f64> {
    let median = quantile_of(0.5, &mut w.points.iter().map(|p| p.value).collect::<Vec<_>>());
    if w.points.iter().any(|p| p.value.is_nan()) {
        return Some(f64::NAN);
    }
    Some(quantile_of(0.5, &mut w.points.iter().map(|p| (p.value - median).abs()).collect::<Vec<_>>()))
}

/// `min_over_time` or `max_over_time` of every window of a series of floats. Only samples that may still be the best of a
/// later window are kept, best first, so that none is looked at again. Says whether there is any value.
pub(crate) fn extremes(series: &SeriesWindows<'_>, grid: Grid, extreme: Extreme, values: &mut [f64]) -> bool {
    let points = &series.run.floats;
    let better = |new: f64, old: f64| {
        let beats = if extreme == Extreme::Max { new > old } else { new < old };
        beats || (old.is_nan() && !new.is_nan())
    };
    let mut hopeful: VecDeque<usize> = VecDeque::new();
    let (mut edges, mut seen, mut any) = (Edges::default(), 0, false);
    for (t, value) in grid.times().zip(values) {
        let (start, end) = series.spec.window(t);
        if edges.slice(points, |p| p.t_ms, start, end).is_empty() {
            continue;
        }
        for (i, point) in points[..edges.high].iter().enumerate().skip(seen.max(edges.low)) {
            while hopeful.back().is_some_and(|old| better(point.value, points[*old].value)) {
                hopeful.pop_back();
            }
            hopeful.push_back(i);
        }
        seen = edges.high;
        while hopeful.front().is_some_and(|first| *first < edges.low) {
            hopeful.pop_front();
        }
        if let Some(best) = hopeful.front() {
            *value = points[*best].value;
            any = true;
        }
    }
    any
}

/// Adds up or averages a window of histograms, with the remarks that go with it.
fn folded(
    c: &Context<'_>,
    series: &SeriesWindows<'_>,
    w: &Window<'_>,
    fold: impl Fn(&[HistogramPoint], &mut bool) -> Result<Histogram, Incompatible>,
) -> Option<Sample> {
    if !w.points.is_empty() {
        c.note(series.span, Note::MixedRange { name: series.name() });
        return None;
    }
    let mut reconciled = false;
    let Ok(histogram) = fold(w.histograms, &mut reconciled) else {
        c.note(series.span, Note::MixedSchemas { name: series.name() });
        return None;
    };
    let hinted = |hint| w.histograms.iter().any(|p| p.histogram.reset_hint == hint);
    if hinted(ResetHint::Reset) && hinted(ResetHint::NotReset) {
        c.note(series.span, Note::ResetsConflict(Operation::Aggregation));
    }
    if reconciled {
        c.note(series.span, Note::BoundsReconciled(Operation::Aggregation));
    }
    Some(Sample::Histogram(Arc::new(histogram)))
}

pub(crate) fn histogram_sum(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    folded(c, series, w, |all, reconciled| {
        let mut sum = HistogramSum::new(&all[0].histogram);
        for p in &all[1..] {
            *reconciled |= sum.add(&p.histogram)?.bounds_reconciled;
        }
        Ok(sum.finish())
    })
}

pub(crate) fn histogram_avg(c: &Context<'_>, series: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    folded(c, series, w, |all, reconciled| {
        let mut mean = HistogramMean::new(&all[0].histogram);
        for p in &all[1..] {
            *reconciled |= mean.add(&p.histogram)?;
        }
        Ok(mean.finish())
    })
}

pub(crate) fn all_count(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    Some(Sample::Float((w.points.len() + w.histograms.len()) as f64))
}

pub(crate) fn any_present(_: &Context<'_>, _: &SeriesWindows<'_>, _: &Window<'_>) -> Option<Sample> {
    Some(Sample::Float(1.0))
}

/// The first or the last sample of either kind, with its instant.
fn end_of_both(w: &Window<'_>, last: bool) -> Option<(i64, Sample)> {
    let (float, histogram) =
        if last { (w.points.last(), w.histograms.last()) } else { (w.points.first(), w.histograms.first()) };
    let is_float = match (float, histogram) {
        (Some(f), Some(h)) if last => f.t_ms > h.t_ms,
        (Some(f), Some(h)) => f.t_ms < h.t_ms,
        (float, _) => float.is_some(),
    };
    if is_float {
        float.map(|p| (p.t_ms, Sample::Float(p.value)))
    } else {
        histogram.map(|p| (p.t_ms, Sample::Histogram(Arc::clone(&p.histogram))))
    }
}

pub(crate) fn first_of_both(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    end_of_both(w, false).map(|(_, sample)| sample)
}

pub(crate) fn last_of_both(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    end_of_both(w, true).map(|(_, sample)| sample)
}

pub(crate) fn ts_of_first_of_both(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    end_of_both(w, false).map(|(t_ms, _)| Sample::Float(seconds(t_ms)))
}

pub(crate) fn ts_of_last_of_both(_: &Context<'_>, _: &SeriesWindows<'_>, w: &Window<'_>) -> Option<Sample> {
    end_of_both(w, true).map(|(t_ms, _)| Sample::Float(seconds(t_ms)))
}

/// The `q`-quantile by linear interpolation between the two nearest ranks; NaN counts as the smallest value. The values
/// are left in another order.
pub(crate) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let order = |a: &f64, b: &f64| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b));
    let rank = q * (values.len() - 1) as f64;
    let (_, low, above) = values.select_nth_unstable_by(rank.floor() as usize, order);
    let high = above.iter().copied().min_by(order).unwrap_or(*low);
    let weight = rank - rank.floor();
    *low * (1.0 - weight) + high * weight
}

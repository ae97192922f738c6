//! The `*_over_time` functions: one window in, one value out.

#![expect(clippy::unnecessary_wraps, reason = "the functions of one table share one type")]

use super::{
    kahan::{Kahan, Mean},
    window::Window,
};

pub(crate) fn sum(w: &Window<'_>) -> Option<f64> {
    let mut sum = Kahan::default();
    w.points.iter().for_each(|p| sum.add(p.value));
    Some(sum.value())
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

/// The first point no other is better than; NaN is worse than anything.
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
    Some(seconds(best(w, |a, b| a <= b).t_ms))
}

pub(crate) fn ts_of_max(w: &Window<'_>) -> Option<f64> {
    Some(seconds(best(w, |a, b| a >= b).t_ms))
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
    Some(quantile_of(w.args[0], w.points.iter().map(|p| p.value).collect()))
}

/// The median distance from the median.
pub(crate) fn mad(w: &Window<'_>) -> Option<f64> {
    let median = quantile_of(0.5, w.points.iter().map(|p| p.value).collect());
    if w.points.iter().any(|p| p.value.is_nan()) {
        return Some(f64::NAN);
    }
    Some(quantile_of(0.5, w.points.iter().map(|p| (p.value - median).abs()).collect()))
}

/// The `q`-quantile by linear interpolation between the two nearest ranks; NaN counts as the smallest value.
pub(crate) fn quantile_of(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let low = rank.floor() as usize;
    let high = (low + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

//! `rate`, `increase` and `delta` over anchored and smoothed windows: nothing is extrapolated. An anchored window takes
//! its value at the start from the last sample at or before it; a smoothed one interpolates at both ends.

use std::sync::Arc;

use tenfold_types::{Histogram, HistogramPoint, Point, ResetHint, histogram::Incompatible};

use super::{
    Context,
    notes::{Note, Operation},
    range_fn::{Extrapolated, interpolate},
    window::{SeriesWindows, Window},
};
use crate::{error::Span, value::Sample};

/// Which samples of the wider window matter: the first and the last, or none.
fn ends(count: usize, t: impl Fn(usize) -> i64, window: &Window<'_>, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = count.checked_sub(1)?;
    let first_where = |until: usize, holds: &dyn Fn(usize) -> bool| (0..until).find(|i| holds(*i)).unwrap_or(until);
    let first = first_where(last, &|i| t(i) > window.start).saturating_sub(1);
    if smoothed {
        last = first_where(last, &|i| t(i) >= window.end);
    }
    let outside = t(last) <= window.start || (smoothed && t(first) > window.end);
    (!outside).then_some((first, last))
}

impl Context<'_> {
    /// One window of floats or of histograms.
    pub fn extended(
        &self,
        kind: Extrapolated,
        smoothed: bool,
        series: &SeriesWindows<'_>,
        window: &Window<'_>,
    ) -> Option<Sample> {
        let seconds = (window.end - window.start) as f64 / 1000.0;
        if window.histograms.is_empty() {
            let change = extended_floats(kind, smoothed, window)?;
            return Some(Sample::Float(if kind == Extrapolated::Rate { change / seconds } else { change }));
        }
        let mut change = self.extended_histograms(kind, smoothed, series, window)?;
        if kind == Extrapolated::Rate {
            change.divide(seconds);
        }
        change.reset_hint = ResetHint::Gauge;
        change.compact();
        Some(Sample::Histogram(Arc::new(change)))
    }

    fn extended_histograms(
        &self,
        kind: Extrapolated,
        smoothed: bool,
        series: &SeriesWindows<'_>,
        window: &Window<'_>,
    ) -> Option<Histogram> {
        let all = window.histograms;
        let (first, last) = ends(all.len(), |i| all[i].t_ms, window, smoothed)?;
        let (counter, name, span) = (kind.is_counter(), series.name(), series.span);
        let custom = all[first].histogram.is_custom();
        for p in &all[first..=last] {
            if p.histogram.is_custom() != custom {
                self.note(span, Note::MixedSchemas { name });
                return None;
            }
            if counter && p.histogram.reset_hint == ResetHint::Gauge {
                self.note(span, Note::NotCounter { name });
            }
        }
        let left = if smoothed && all[first].t_ms < window.start {
            between(self, &all[first], &all[first + 1], window.start, counter, name, span)?
        } else {
            (*all[first].histogram).clone()
        };
        let right = if smoothed && last > 0 && all[last].t_ms > window.end {
            between(self, &all[last - 1], &all[last], window.end, counter, name, span)?
        } else {
            (*all[last].histogram).clone()
        };
        let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
        let gauges = gauge(&left) && gauge(&right);
        if !counter && !gauges {
            self.note(span, Note::NotGauge { name });
        }
        let change = self.noted(right.minus(&left), Operation::Subtraction, series)?;
        if !counter {
            return Some(change);
        }
        match self.lost_by_resets(series, window, smoothed, (first, last), &left, &right) {
            Ok(Some(lost)) => self.sum_of(&change, &lost, series),
            Ok(None) => Some(change),
            Err(Incompatible) => None,
        }
    }

    /// What counters had before they were reset within the window, if they were.
    fn lost_by_resets(
        &self,
        series: &SeriesWindows<'_>,
        window: &Window<'_>,
        smoothed: bool,
        (first, last): (usize, usize),
        left: &Histogram,
        right: &Histogram,
    ) -> Result<Option<Histogram>, Incompatible> {
        let all = window.histograms;
        let mut previous = left;
        let mut next = first + 1;
        if smoothed && all[first].t_ms < window.start && all[first + 1].histogram.is_reset_after(&all[first].histogram)
        {
            // The value at the start was interpolated over this reset already.
            previous = &all[first + 1].histogram;
            next += 1;
        }
        if next > last {
            return Ok(None);
        }
        let mut lost: Option<Histogram> = None;
        let between = all[next..last].iter().map(|p| &*p.histogram);
        for h in between.chain([right]) {
            if h.is_reset_after(previous) {
                lost = Some(match lost {
                    None => previous.clone(),
                    Some(sum) => self.sum_of(&sum, previous, series).ok_or(Incompatible)?,
                });
            }
            previous = h;
        }
        Ok(lost)
    }
}

fn extended_floats(kind: Extrapolated, smoothed: bool, window: &Window<'_>) -> Option<f64> {
    let points: &[Point] = window.points;
    let (mut first, mut last) = ends(points.len(), |i| points[i].t_ms, window, smoothed)?;
    let counter = kind.is_counter();
    let left = if smoothed && points[first].t_ms < window.start {
        interpolate(points[first], points[first + 1], window.start, counter)
    } else {
        points[first].value
    };
    let right = if smoothed && last > 0 && points[last].t_ms > window.end {
        interpolate(points[last - 1], points[last], window.end, counter)
    } else {
        points[last].value
    };
    let mut change = right - left;
    if counter {
        // Resets at the ends are in the interpolated values.
        if points[first].t_ms <= window.start {
            first += 1;
        }
        if points[last].t_ms < window.end {
            last += 1;
        }
        let mut before = left;
        for value in points.get(first..last).unwrap_or_default().iter().map(|p| p.value).chain([right]) {
            if value < before {
                change += before;
            }
            before = value;
        }
    }
    Some(change)
}

/// The samples an anchored or smoothed range shows: the values at both ends and what lies in between.
pub(crate) fn points_between(window: &Window<'_>, smoothed: bool) -> Vec<Point> {
    let points = window.points;
    let Some((mut first, mut last)) = ends(points.len(), |i| points[i].t_ms, window, smoothed) else {
        return Vec::new();
    };
    let left = if smoothed && points[first].t_ms < window.start {
        interpolate(points[first], points[first + 1], window.start, false)
    } else {
        points[first].value
    };
    let right = if smoothed && last > 0 && points[last].t_ms > window.end {
        interpolate(points[last - 1], points[last], window.end, false)
    } else {
        points[last].value
    };
    if points[first].t_ms <= window.start {
        first += 1;
    }
    if points[last].t_ms < window.end {
        last += 1;
    }
    let inside = points.get(first..last).unwrap_or_default();
    let ends = (Point::new(window.start, left), Point::new(window.end, right));
    [&[ends.0], inside, &[ends.1]].concat()
}

/// The histogram at `t` between two samples; a counter that was reset in between started at zero. `None`, with a remark,
/// when the two do not fit together.
pub(crate) fn between(
    c: &Context<'_>,
    a: &HistogramPoint,
    b: &HistogramPoint,
    t: i64,
    counter: bool,
    name: &str,
    span: Span,
) -> Option<Histogram> {
    if t == a.t_ms {
        return Some((*a.histogram).clone());
    }
    if t == b.t_ms {
        return Some((*b.histogram).clone());
    }
    if a.histogram.is_custom() != b.histogram.is_custom() {
        c.note(span, Note::MixedSchemas { name });
        return None;
    }
    let share = (t - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64;
    if counter && b.histogram.is_reset_after(&a.histogram) {
        let mut out = (*b.histogram).clone();
        out.multiply(share);
        return Some(out);
    }
    let (mut change, subtracted) = b.histogram.minus(&a.histogram).ok()?;
    if subtracted.bounds_reconciled {
        c.note(span, Note::BoundsReconciled(Operation::Subtraction));
    }
    change.multiply(share);
    let (out, added) = change.plus(&a.histogram).ok()?;
    if added.bounds_reconciled {
        c.note(span, Note::BoundsReconciled(Operation::Addition));
    }
    Some(out)
}

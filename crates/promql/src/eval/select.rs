//! Selectors: the newest value of a series at each step, and the instants `offset` and `@` lead to.

use std::sync::Arc;

use tenfold_types::{Matcher, Point, is_stale};

use super::{ABSENT, Context, Grid, Row, Sink};
use crate::{
    error::QueryError,
    source::{Samples, SeriesData},
    syntax::ast::{At, RangeMode, Selector, Shift},
};

/// `offset` and `@` in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shifted {
    pub offset_ms: i64,
    pub at_ms: Option<i64>,
}

impl Shifted {
    /// The instant to look at for a step.
    pub fn at(self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms) - self.offset_ms
    }
}

impl Context<'_> {
    pub fn shifted(&self, shift: &Shift) -> Result<Shifted, QueryError> {
        Ok(Shifted {
            offset_ms: shift.offset.as_ref().map_or(Ok(0), |d| self.duration_ms(d))?,
            at_ms: shift.at.map(|at| match at {
                At::Instant(ms) => ms,
                At::Start => self.top.start,
                At::End => self.top.end(),
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
        Ok(series)
    }

    /// The samples of a series, counted; `buffer` is emptied first.
    pub fn load(&self, samples: Samples, buffer: &mut Vec<Point>) -> Result<(), QueryError> {
        buffer.clear();
        match samples {
            Samples::Points(points) => *buffer = points,
            Samples::Lazy(reader) => reader.read(buffer)?,
        }
        self.count_samples(buffer.len())
    }

    /// Rows of the newest value at each step, or of its instant in seconds.
    pub fn instant_selector(
        &self,
        selector: &Selector,
        grid: Grid,
        timestamps: bool,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let shift = self.shifted(&selector.shift)?;
        let lookback = self.query.lookback_ms;
        let (first, last) = (shift.at(grid.start), shift.at(grid.end()));
        let smoothed = selector.mode == RangeMode::Smoothed;
        if selector.mode == RangeMode::Anchored {
            return Err(QueryError::execution("anchored modifier can only be used with range selectors"));
        }
        let end = if smoothed { last.saturating_add(lookback) } else { last };
        let mut points = Vec::new();
        for series in self.series(&selector.matchers, first.saturating_sub(lookback), end)? {
            self.load(series.samples, &mut points)?;
            let mut values = Vec::with_capacity(grid.steps);
            let mut next = 0;
            let mut any = false;
            for t in grid.times() {
                let at = shift.at(t);
                while next < points.len() && points[next].t_ms <= at {
                    next += 1;
                }
                let newest = next.checked_sub(1).map(|i| points[i]);
                let fresh = newest.filter(|p| p.t_ms > at - lookback && !is_stale(p.value));
                let value = match fresh {
                    Some(p) if timestamps => p.t_ms as f64 / 1000.0,
                    Some(p) if smoothed => smooth(p, points.get(next), at, lookback),
                    Some(p) => p.value,
                    None => ABSENT,
                };
                any |= fresh.is_some();
                values.push(value);
            }
            if any {
                sink(Row::new(Arc::clone(&series.labels), values))?;
            }
        }
        Ok(())
    }
}

/// The value at `at` on the line between the samples around it.
fn smooth(before: Point, after: Option<&Point>, at: i64, lookback: i64) -> f64 {
    match after {
        Some(after) if before.t_ms < at && after.t_ms < at + lookback && !is_stale(after.value) => {
            let share = (at - before.t_ms) as f64 / (after.t_ms - before.t_ms) as f64;
            before.value + (after.value - before.value) * share
        }
        _ => before.value,
    }
}

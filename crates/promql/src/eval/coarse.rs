//! Old time out of rows of aggregates (five minutes or an hour of a series in one row) where the query's step is no finer.
//!
//! Rows are asked for the steps at the beginning of a range whose windows lie where there are rows; the rest comes from
//! samples. The coarsest resolution is taken that is no coarser than the step and fits: the range is a multiple of it, and
//! so are the instants of the steps. Where the instants do not fit, rows answer only for time of which no samples are
//! left, and a window then sees the rows that end within it. Nor do rows answer where they begin later than the query asks
//! and samples reach farther back.
//!
//! | function | equal to what samples say |
//! | --- | --- |
//! | `min_over_time`, `max_over_time`, `count_over_time`, `present_over_time`, `last_over_time`, a plain selector | to the bit |
//! | `sum_over_time`, `avg_over_time` | but for the order of adding: some 1e-15 of the sum of the absolute values |
//! | `increase`, `rate` | to twice the largest growth between two neighbouring samples (by the range's seconds for `rate`), at an even pace of samples |
//!
//! For a counter, what it grew by from the last sample before the window to the last one in it is carried to the window's
//! length; resets were seen when the rows were made, at full resolution. Native histograms have no rows: their series are
//! read from samples. Samples that came late, after the rows were made, are not in them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tenfold_types::{Kahan, Labels, Matcher};

use super::{ABSENT, Context, Grid, Row, Sink, is_absent, select::Shifted, trace::Reads};
use crate::{
    error::QueryError,
    source::AggregateRow,
    syntax::ast::{Expr, Kind, RangeMode},
};

/// What rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FromRows {
    Min,
    Max,
    Sum,
    Count,
    Avg,
    Present,
    Last,
    Increase,
    Rate,
    /// The newest sample, within the lookback.
    Newest,
}

impl FromRows {
    /// For a function of a range.
    pub fn of(function: &str) -> Option<Self> {
        Some(match function {
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "avg_over_time" => Self::Avg,
            "present_over_time" => Self::Present,
            "last_over_time" => Self::Last,
            _ => return None,
        })
    }
}

/// The first steps of a grid, answered from rows.
struct Old {
    /// How many steps that are.
    steps: usize,
    /// Values of those steps, of each series that has rows.
    values: HashMap<Arc<Labels>, Vec<f64>>,
}

/// Which rows, and for how many steps.
struct Choice {
    resolution_ms: i64,
    steps: usize,
    /// The instants of the steps are those of rows.
    fits: bool,
}

impl Context<'_> {
    /// The steps that rows answer; `None` when none do. `range_ms` is that of the window, or the lookback of a selector.
    fn old(
        &self,
        matchers: &[Matcher],
        shift: Shifted,
        range_ms: i64,
        what: FromRows,
        grid: Grid,
        place: &Expr,
    ) -> Result<Option<Old>, QueryError> {
        let Some(choice) = self.choose(shift, range_ms, what, grid) else { return Ok(None) };
        let (first, last) = (shift.at(grid.start), shift.at(grid.at(choice.steps - 1)));
        // One row more, for where the growth of the first window begins.
        let start = first.saturating_sub(range_ms).saturating_sub(choice.resolution_ms).saturating_add(1);
        let found =
            self.within(place, || self.query.source.select_rows(matchers, start, last, choice.resolution_ms))?;
        let max = self.query.limits.series_max;
        if found.len() > max {
            return Err(QueryError::Limit(format!(
                "a selector matches {} series; at most {max} are allowed; add matchers",
                found.len()
            )));
        }
        let mut old = Old { steps: choice.steps, values: HashMap::with_capacity(found.len()) };
        let mut rows = Vec::new();
        for series in found {
            rows.clear();
            self.within(place, || {
                series.rows.read(&mut rows)?;
                self.keep_reads(Reads { series: 1, chunks: series.rows.chunks(), samples: rows.len() as u64 });
                self.count_samples(rows.len())
            })?;
            let windows = Windows { rows: &rows, range_ms, choice: &choice, low: 0, high: 0 };
            let values = windows.all(what, shift, Grid { steps: choice.steps, ..grid });
            self.hold(values.len() * size_of::<f64>())?;
            old.values.insert(series.labels, values);
        }
        Ok(Some(old))
    }

    fn choose(&self, shift: Shifted, range_ms: i64, what: FromRows, grid: Grid) -> Option<Choice> {
        if shift.at_ms.is_some() || self.query.rows_max_ms == 0 {
            return None;
        }
        let reach = self.query.source.reach();
        // An instant alone has no step; its range says how fine it needs to be.
        let step = if grid.steps > 1 { grid.step } else { range_ms };
        let first = shift.at(grid.start);
        let steps_until = |until: i64| match until.saturating_sub(first) {
            past if past < 0 => 0,
            _ if grid.steps == 1 => 1,
            past => ((past / grid.step) as usize).saturating_add(1).min(grid.steps),
        };
        reach.resolutions.iter().rev().find_map(|resolution| {
            let (resolution_ms, from, until) = (resolution.ms, resolution.from_ms, resolution.until_ms);
            let newest = what == FromRows::Newest;
            if resolution_ms > step.min(self.query.rows_max_ms) || (!newest && (range_ms % resolution_ms != 0)) {
                return None;
            }
            // Rows may be kept shorter than samples, which then say more.
            if first.saturating_sub(range_ms) < from && reach.samples_from_ms <= from {
                return None;
            }
            let fits = first.rem_euclid(resolution_ms) == 0 && (grid.steps == 1 || grid.step % resolution_ms == 0);
            let until = if fits { until } else { until.min(reach.samples_from_ms.saturating_sub(1)) };
            let steps = steps_until(until);
            (steps > 0).then_some(Choice { resolution_ms, steps, fits })
        })
    }
}

/// Whether a series is wanted.
pub(crate) type Keep<'k> = Option<&'k dyn Fn(&Labels) -> bool>;

/// Makes rows of the wanted series at the steps of a grid out of samples.
pub(crate) type OfSamples<'r> = &'r mut dyn FnMut(Grid, Keep<'_>, Sink<'_>) -> Result<(), QueryError>;

impl Context<'_> {
    /// Rows of a function of a range, or of a plain selector: old steps out of aggregates where that can be.
    pub fn old_then(
        &self,
        expr: &Expr,
        grid: Grid,
        (what, drop_name): (Option<FromRows>, bool),
        of_samples: OfSamples<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let old = match (what, &expr.unwrapped().kind) {
            (Some(what), Kind::Matrix { selector, range, mode: RangeMode::Normal }) => {
                let range_ms = self.range_ms(range)?;
                self.old(&selector.matchers, self.shifted(&selector.shift)?, range_ms, what, grid, expr)?
            }
            (Some(what), Kind::Selector(selector)) if selector.mode == RangeMode::Normal => {
                let lookback_ms = self.query.lookback_ms;
                self.old(&selector.matchers, self.shifted(&selector.shift)?, lookback_ms, what, grid, expr)?
            }
            _ => None,
        };
        let Some(Old { steps, mut values }) = old else { return of_samples(grid, None, sink) };
        // Native histograms have no rows, nor have series that came later.
        of_samples(grid, Some(&|labels| !values.contains_key(labels)), sink)?;
        let known: HashSet<Arc<Labels>> = values.keys().cloned().collect();
        if steps < grid.steps {
            let later = Grid { start: grid.at(steps), steps: grid.steps - steps, ..grid };
            of_samples(later, Some(&|labels| known.contains(labels)), &mut |row| {
                let labels = Arc::clone(&row.labels);
                let old = values.remove(&labels).unwrap_or_else(|| vec![ABSENT; steps]);
                sink(joined(&old, Some(row), labels, drop_name, grid.steps))
            })?;
        }
        let mut rest: Vec<_> = values.into_iter().filter(|(_, v)| v.iter().any(|v| !is_absent(*v))).collect();
        rest.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rest.into_iter().try_for_each(|(labels, old)| sink(joined(&old, None, labels, drop_name, grid.steps)))
    }
}

/// A row of all steps out of the first ones and one of the others, or none.
fn joined(old: &[f64], later: Option<Row>, labels: Arc<Labels>, drop_name: bool, steps: usize) -> Row {
    let mut row = Row::empty(labels, drop_name, steps);
    row.values[..old.len()].copy_from_slice(old);
    if let Some(later) = later {
        row.values[old.len()..].copy_from_slice(&later.values);
        row.histograms = later.histograms.map(|all| std::iter::repeat_n(None, old.len()).chain(all).collect());
    }
    row
}

/// The rows of one series, and where the present window begins and ends in them.
struct Windows<'r> {
    rows: &'r [AggregateRow],
    range_ms: i64,
    choice: &'r Choice,
    low: usize,
    high: usize,
}

impl Windows<'_> {
    fn all(mut self, what: FromRows, shift: Shifted, grid: Grid) -> Vec<f64> {
        grid.times().map(|t| self.value(what, shift.at(t)).unwrap_or(ABSENT)).collect()
    }

    fn value(&mut self, what: FromRows, end: i64) -> Option<f64> {
        while self.rows.get(self.high).is_some_and(|r| r.t_ms <= end) {
            self.high += 1;
        }
        if what == FromRows::Newest {
            return self.newest(end);
        }
        let start = end.saturating_sub(self.range_ms);
        while self.low < self.high && self.rows[self.low].t_ms <= start {
            self.low += 1;
        }
        let rows = &self.rows[self.low..self.high];
        let last = rows.last()?;
        let count = || rows.iter().map(|r| r.count).sum::<f64>();
        let sum = || {
            let mut sum = Kahan::default();
            for r in rows {
                sum.add(r.sum);
            }
            if sum.sum.is_infinite() { sum.sum } else { sum.value() }
        };
        let best = |of: fn(&AggregateRow) -> f64, better: fn(f64, f64) -> bool| {
            let values = rows.iter().map(of);
            values.reduce(|best, v| if better(v, best) || (best.is_nan() && !v.is_nan()) { v } else { best })
        };
        match what {
            FromRows::Min => best(|r| r.min, |a, b| a < b),
            FromRows::Max => best(|r| r.max, |a, b| a > b),
            FromRows::Sum => Some(sum()),
            FromRows::Count => Some(count()),
            FromRows::Avg => Some(sum() / count()),
            FromRows::Present => Some(1.0),
            FromRows::Last => Some(last.last),
            FromRows::Increase => self.increase(start, end),
            FromRows::Rate => self.increase(start, end).map(|v| v / (self.range_ms as f64 / 1000.0)),
            FromRows::Newest => None,
        }
    }

    /// `range_ms` is the lookback here.
    fn newest(&self, at: i64) -> Option<f64> {
        let row = self.rows[..self.high].last().filter(|r| !r.ended)?;
        let age = (at - row.t_ms) as f64 + row.before_ms;
        // Between the ends of rows nothing younger can be seen.
        let allowed = if self.choice.fits { self.range_ms } else { self.range_ms + self.choice.resolution_ms };
        (age < allowed as f64).then_some(row.last)
    }

    fn increase(&self, start: i64, end: i64) -> Option<f64> {
        let rows = &self.rows[self.low..self.high];
        let (first, last) = (rows.first()?, rows.last()?);
        let count: f64 = rows.iter().map(|r| r.count).sum();
        if count < 2.0 {
            return None;
        }
        let grown: f64 = rows.iter().map(|r| r.increase).sum();
        let newest = last.t_ms as f64 - last.before_ms;
        // Of the first row that it grew by within the row, when nobody looked for a while before; of a counter that fell within
        // it that may be a little more or less. A series that began with it has nothing else.
        let within = || first.increase.min(first.max - first.min);
        // The row before, when nothing is missing between.
        let before = self.low.checked_sub(1).map(|i| &self.rows[i]);
        let Some(before) = before.filter(|r| r.t_ms == first.t_ms - self.choice.resolution_ms) else {
            // What it grew by while nobody looked is not of this window.
            return Some(grown - first.increase + within());
        };
        let since = before.t_ms as f64 - before.before_ms;
        let (covered, left) = (newest - since, end as f64 - newest);
        let pace = covered / count;
        // As for samples: a series that ended well before the window does is carried on by half a step.
        let left = if left >= pace * 1.1 { pace / 2.0 } else { left };
        (covered > 0.0).then(|| grown / covered * (newest + left - start as f64))
    }
}

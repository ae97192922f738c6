//! Range selectors and subqueries: per series the samples, from which each step takes its window `(start, end]`.

use std::sync::Arc;

use tenfold_types::{Labels, Point, is_stale};

use super::{ABSENT, Context, Grid, Row, Sink, is_absent, select::Shifted};
use crate::{
    error::QueryError,
    syntax::ast::{Expr, Kind, RangeMode},
};

/// Which window belongs to a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowSpec {
    pub shift: Shifted,
    pub range_ms: i64,
    pub mode: RangeMode,
}

impl WindowSpec {
    /// Start (exclusive) and end (inclusive).
    pub fn window(self, t_ms: i64) -> (i64, i64) {
        let end = self.shift.at(t_ms);
        (end - self.range_ms, end)
    }
}

/// One series of a range expression, staleness markers left out.
pub(crate) struct SeriesWindows<'p> {
    pub labels: Arc<Labels>,
    pub drop_name: bool,
    pub points: &'p [Point],
    pub spec: WindowSpec,
}

/// What a function over a window gets to see; never empty.
pub(crate) struct Window<'p> {
    pub points: &'p [Point],
    /// The step's own instant.
    pub t_ms: i64,
    /// The scalar arguments at this step.
    pub args: [f64; 2],
}

impl Window<'_> {
    pub fn first(&self) -> Point {
        self.points[0]
    }
    pub fn last(&self) -> Point {
        self.points[self.points.len() - 1]
    }
}

pub(crate) type WindowFn = fn(&Window<'_>) -> Option<f64>;

impl Context<'_> {
    /// Hands every series of a range expression to `each`.
    pub fn windows(
        &self,
        expr: &Expr,
        grid: Grid,
        each: &mut dyn FnMut(&SeriesWindows<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match &expr.kind {
            Kind::Paren(inner) => self.windows(inner, grid, each),
            Kind::Matrix { selector, range, mode } => {
                let spec =
                    WindowSpec { shift: self.shifted(&selector.shift)?, range_ms: self.range_ms(range)?, mode: *mode };
                let (mut start, mut end) = (spec.window(grid.start).0, spec.window(grid.end()).1);
                if spec.mode != RangeMode::Normal {
                    start -= self.query.lookback_ms;
                }
                if spec.mode == RangeMode::Smoothed {
                    end += self.query.lookback_ms;
                }
                let mut points = Vec::new();
                for series in self.series(&selector.matchers, start, end)? {
                    self.load(series.samples, &mut points)?;
                    points.retain(|p| !is_stale(p.value));
                    if !points.is_empty() {
                        each(&SeriesWindows { labels: series.labels, drop_name: false, points: &points, spec })?;
                    }
                }
                Ok(())
            }
            Kind::Subquery { expr, range, step, shift } => {
                let spec = WindowSpec {
                    shift: self.shifted(shift)?,
                    range_ms: self.range_ms(range)?,
                    mode: RangeMode::Normal,
                };
                let step = step.as_ref().map_or(Ok(self.query.subquery_step_ms), |s| self.duration_ms(s))?;
                if step <= 0 {
                    return Err(QueryError::execution("the step of a subquery must be greater than 0"));
                }
                let (start, end) = (spec.window(grid.start).0, spec.window(grid.end()).1);
                // Steps lie at multiples of the step, whatever the query's own instants are.
                let first = (start.div_euclid(step) + 1) * step;
                if first > end {
                    return Ok(());
                }
                let inner = Grid { start: first, step, steps: ((end - first) / step) as usize + 1 };
                self.subquery(expr, inner, spec, each)
            }
            _ => Err(QueryError::parse(expr.span, format!("expected a range vector, got {}", expr.value_type()))),
        }
    }

    fn subquery(
        &self,
        expr: &Expr,
        inner: Grid,
        spec: WindowSpec,
        each: &mut dyn FnMut(&SeriesWindows<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let steps_max = self.query.limits.values_max;
        if inner.steps as u64 > steps_max {
            return Err(QueryError::Limit(format!(
                "a subquery has {} steps; at most {steps_max} are allowed",
                inner.steps
            )));
        }
        let mut points = Vec::new();
        let mut hand_over = |row: Row| {
            points.clear();
            let present = inner.times().zip(&row.values).filter(|(_, v)| !is_absent(**v));
            points.extend(present.map(|(t, v)| Point::new(t, *v)));
            self.count_samples(points.len())?;
            if points.is_empty() {
                return Ok(());
            }
            each(&SeriesWindows { labels: row.labels, drop_name: row.drop_name, points: &points, spec })
        };
        if expr.value_type() == crate::syntax::ast::Type::Scalar {
            return hand_over(Row::bare(self.scalar(expr, inner)?));
        }
        self.each_row(expr, inner, &mut hand_over)
    }

    fn range_ms(&self, range: &crate::syntax::ast::Duration) -> Result<i64, QueryError> {
        match self.duration_ms(range)? {
            ms if ms > 0 => Ok(ms),
            _ => Err(QueryError::execution("duration must be greater than 0")),
        }
    }

    /// Applies a function to every window of every series.
    #[expect(clippy::too_many_arguments, reason = "the parts of one call")]
    pub fn over_windows(
        &self,
        expr: &Expr,
        grid: Grid,
        args: &[Vec<f64>],
        keep_name: bool,
        counter: bool,
        function: WindowFn,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        self.windows(expr, grid, &mut |series| {
            if counter {
                self.note_counter_name(series, expr.span);
            }
            let mut values = Vec::with_capacity(grid.steps);
            let mut any = false;
            let mut edge = Edges::default();
            for (i, t) in grid.times().enumerate() {
                let (start, end) = series.spec.window(t);
                let points = edge.slice(series.points, start, end);
                let arg = |n: usize| args.get(n).map_or(0.0, |a| a[i]);
                let value = if points.is_empty() {
                    None
                } else {
                    function(&Window { points, t_ms: t, args: [arg(0), arg(1)] })
                };
                any |= value.is_some();
                values.push(value.unwrap_or(ABSENT));
            }
            if !any {
                return Ok(());
            }
            let drop_name = series.drop_name || !keep_name;
            sink(Row { labels: series.labels.clone(), drop_name, values })
        })
    }
}

/// The moving ends of a window over ascending points.
#[derive(Default)]
pub(crate) struct Edges {
    pub low: usize,
    pub high: usize,
}

impl Edges {
    /// The points with `start < t <= end`; both must not go back from call to call.
    pub fn slice<'p>(&mut self, points: &'p [Point], start: i64, end: i64) -> &'p [Point] {
        while self.high < points.len() && points[self.high].t_ms <= end {
            self.high += 1;
        }
        while self.low < self.high && points[self.low].t_ms <= start {
            self.low += 1;
        }
        &points[self.low..self.high]
    }
}

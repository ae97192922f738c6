//! Range selectors and subqueries: per series the samples, from which each step takes its window `(start, end]`.

use std::sync::Arc;

use tenfold_types::{HistogramPoint, Labels, Point, STALE_NAN_BITS, is_stale};

use super::{
    Context, Grid, Row, Sink,
    coarse::{FromRows, Keep},
    is_absent,
    notes::Note,
    over_time::extremes,
    select::Shifted,
};
use crate::{
    error::{QueryError, Span},
    source::{Run, SeriesData},
    syntax::ast::{Duration, Expr, Kind, RangeMode, Selector, Type},
    value::Sample,
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
        (end.saturating_sub(self.range_ms), end)
    }
}

/// One series of a range expression, staleness markers left out.
pub(crate) struct SeriesWindows<'p> {
    pub labels: Arc<Labels>,
    pub drop_name: bool,
    pub run: &'p Run,
    pub spec: WindowSpec,
    /// Where remarks on it point to.
    pub span: Span,
}

impl SeriesWindows<'_> {
    pub fn name(&self) -> &str {
        self.labels.metric_name().unwrap_or_default()
    }
}

/// What a function over a window gets to see.
pub(crate) struct Window<'p> {
    pub points: &'p [Point],
    pub histograms: &'p [HistogramPoint],
    /// As long as `points`, or empty.
    pub float_starts: &'p [i64],
    /// As long as `histograms`, or empty.
    pub histogram_starts: &'p [i64],
    /// The step's own instant.
    pub t_ms: i64,
    /// The window is `(start, end]`.
    pub start: i64,
    pub end: i64,
    /// The scalar arguments at this step.
    pub args: [f64; 2],
}

impl Window<'_> {
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.histograms.is_empty()
    }
    /// The floats alone.
    pub fn first(&self) -> Point {
        self.points[0]
    }
    pub fn last(&self) -> Point {
        self.points[self.points.len() - 1]
    }
}

/// A function of the floats of a window, of which there is at least one.
pub(crate) type FloatFn = fn(&Window<'_>) -> Option<f64>;
/// A function of a window that holds histograms, and maybe floats.
pub(crate) type HistogramFn = fn(&Context<'_>, &SeriesWindows<'_>, &Window<'_>) -> Option<Sample>;

/// Makes the row of one series of a range expression; `None` when it has no value at any step.
pub(crate) type MakeOfWindows<'m> =
    &'m (dyn Fn(&Context<'_>, &SeriesWindows<'_>) -> Result<Option<Row>, QueryError> + Sync);

/// A function of long windows may take a while: a query is ended within so many steps of one series.
const STEPS_BETWEEN_CHECKS: usize = 64;

/// What a function does where there are histograms.
#[derive(Clone, Copy)]
pub(crate) enum WithHistograms {
    /// They are left out, and a remark is made when there are floats too.
    Ignore,
    Use(HistogramFn),
}

#[derive(Clone, Copy)]
pub(crate) struct WindowFn {
    pub floats: FloatFn,
    pub histograms: WithHistograms,
    pub keep_name: bool,
    /// The function is this one, which need not look at every sample of every window.
    pub extreme: Option<Extreme>,
    /// What it is called when rows of aggregates answer it.
    pub rows: Option<FromRows>,
    /// Where the remark that histograms are left out points to, when not to the range.
    pub remarked_at: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extreme {
    Min,
    Max,
}

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
                let (spec, found) = self.within(expr, || self.selected(selector, range, *mode, grid))?;
                let mut run = Run::default();
                for series in found {
                    self.within(expr, || self.load(series.samples, selector.statistics, &mut run))?;
                    drop_stale(&mut run);
                    if !run.is_empty() {
                        self.count_windows(&run, spec, grid);
                        let (labels, span) = (series.labels, expr.span);
                        each(&SeriesWindows { labels, drop_name: false, run: &run, spec, span })?;
                    }
                }
                Ok(())
            }
            Kind::Subquery { expr: inner, range, step, shift } => {
                let spec = WindowSpec {
                    shift: self.shifted(shift)?,
                    range_ms: self.range_ms(range)?,
                    mode: RangeMode::Normal,
                };
                let step = step.as_ref().map_or(Ok(self.query.subquery_step_ms), |s| self.range_ms(s))?;
                if step <= 0 {
                    return Err(QueryError::execution("duration must be greater than 0"));
                }
                let (start, end) = (spec.window(grid.start).0, spec.window(grid.end()).1);
                // Steps lie at multiples of the step, whatever the query's own instants are.
                let first = start.div_euclid(step).saturating_add(1).saturating_mul(step);
                if first > end {
                    return Ok(());
                }
                let steps = (end.saturating_sub(first) / step) as usize + 1;
                let grid = Grid { start: first, step, steps };
                self.within_but(expr, |outside| {
                    // Prometheus puts the result in the subquery's place, and that stands nowhere in the text: remarks on it
                    // point to the start of the query.
                    self.subquery(inner, grid, spec, Span::default(), &mut |series| {
                        let mut result = Ok(());
                        outside(&mut || result = each(series));
                        result
                    })
                })
            }
            _ => Err(QueryError::parse(expr.span, format!("expected a range vector, got {}", expr.value_type()))),
        }
    }

    /// The series of a range selector with what its windows can see.
    fn selected(
        &self,
        selector: &Selector,
        range: &Duration,
        mode: RangeMode,
        grid: Grid,
    ) -> Result<(WindowSpec, Vec<SeriesData>), QueryError> {
        let spec = WindowSpec { shift: self.shifted(&selector.shift)?, range_ms: self.range_ms(range)?, mode };
        let (mut start, mut end) = (spec.window(grid.start).0, spec.window(grid.end()).1);
        if spec.mode != RangeMode::Normal {
            start = start.saturating_sub(self.query.lookback_ms);
        }
        if spec.mode == RangeMode::Smoothed {
            end = end.saturating_add(self.query.lookback_ms);
        }
        Ok((spec, self.series(&selector.matchers, start, end)?))
    }

    /// Hands the row that `make` makes of each series of a range expression to `sink`, over threads where the series
    /// come from the source.
    pub fn window_rows(
        &self,
        expr: &Expr,
        grid: Grid,
        make: MakeOfWindows<'_>,
        keep: Keep<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let Kind::Matrix { selector, range, mode } = &expr.unwrapped().kind else {
            return self.windows(expr, grid, &mut |series| make(self, series)?.map_or(Ok(()), &mut *sink));
        };
        let (spec, mut found) = self.within(expr, || self.selected(selector, range, *mode, grid))?;
        if let Some(keep) = keep {
            found.retain(|series| keep(&series.labels));
        }
        let span = expr.unwrapped().span;
        let make = |c: &Context<'_>, labels, run: &mut Run| {
            drop_stale(run);
            if run.is_empty() {
                return Ok(None);
            }
            c.count_windows(run, spec, grid);
            make(c, &SeriesWindows { labels, drop_name: false, run, spec, span })
        };
        self.each_series(found, grid.steps, expr, selector.statistics, &make, sink)
    }

    fn subquery(
        &self,
        expr: &Expr,
        inner: Grid,
        spec: WindowSpec,
        span: Span,
        each: &mut dyn FnMut(&SeriesWindows<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let steps_max = self.query.limits.values_max;
        if inner.steps as u64 > steps_max {
            return Err(QueryError::Limit(format!(
                "a subquery has {} steps; at most {steps_max} are allowed",
                inner.steps
            )));
        }
        let mut run = Run::default();
        let mut hand_over = |row: Row| {
            run.clear();
            for (step, t_ms) in inner.times().enumerate() {
                if let Some(h) = row.histogram(step) {
                    // Between the instants of a subquery there may be other samples.
                    let mut point = HistogramPoint { t_ms, histogram: Arc::clone(h) };
                    point.forget_hint();
                    run.histograms.push(point);
                } else if !is_absent(row.values[step]) {
                    run.floats.push(Point::new(t_ms, row.values[step]));
                }
            }
            self.count_run(&run)?;
            if run.is_empty() {
                return Ok(());
            }
            each(&SeriesWindows { labels: row.labels, drop_name: row.drop_name, run: &run, spec, span })
        };
        if expr.value_type() == Type::Scalar {
            return hand_over(Row::bare(self.scalar(expr, inner)?));
        }
        self.each_row(expr, inner, &mut hand_over)
    }

    pub fn range_ms(&self, range: &Duration) -> Result<i64, QueryError> {
        match self.duration_ms(range)? {
            ms if ms > 0 => Ok(ms),
            _ => Err(range.wrong("duration must be greater than 0")),
        }
    }

    /// Applies a function to every window of every series.
    pub fn over_windows(
        &self,
        expr: &Expr,
        grid: Grid,
        args: &[Vec<f64>],
        function: WindowFn,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let asked = (function.rows, !function.keep_name);
        let mut run = |grid, keep: Keep<'_>, sink: Sink<'_>| self.over_samples(expr, grid, args, function, keep, sink);
        self.old_then(expr, grid, asked, &mut run, sink)
    }

    fn over_samples(
        &self,
        expr: &Expr,
        grid: Grid,
        args: &[Vec<f64>],
        function: WindowFn,
        keep: Keep<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let make = |c: &Context<'_>, series: &SeriesWindows<'_>| {
            let mut row = Row::empty(series.labels.clone(), series.drop_name || !function.keep_name, grid.steps);
            let mut any = false;
            if let (Some(extreme), true) = (function.extreme, series.run.histograms.is_empty()) {
                return Ok(extremes(series, grid, extreme, &mut row.values).then_some(row));
            }
            let mut cursor = Cursor::new(series, 0, 0);
            for (i, t) in grid.times().enumerate() {
                if i % STEPS_BETWEEN_CHECKS == 0 {
                    c.query.interrupt.check()?;
                }
                let mut window = cursor.window(t);
                if window.is_empty() {
                    continue;
                }
                for (slot, values) in window.args.iter_mut().zip(args) {
                    *slot = values[i];
                }
                if window.histograms.is_empty() {
                    if let Some(v) = (function.floats)(&window) {
                        row.values[i] = v;
                        any = true;
                    }
                    continue;
                }
                let sample = match function.histograms {
                    WithHistograms::Use(f) => f(c, series, &window),
                    WithHistograms::Ignore if window.points.is_empty() => None,
                    WithHistograms::Ignore => {
                        let place = function.remarked_at.unwrap_or(series.span);
                        c.note(place, Note::IgnoredInRange { name: series.name() });
                        (function.floats)(&window).map(Sample::Float)
                    }
                };
                if let Some(sample) = sample {
                    row.set(i, sample);
                    any = true;
                }
            }
            Ok(any.then_some(row))
        };
        self.window_rows(expr, grid, &make, keep, sink)
    }
}

fn drop_stale(run: &mut Run) {
    if any_stale(&run.floats) {
        if !run.float_starts.is_empty() {
            let mut stale = run.floats.iter().map(|p| is_stale(p.value));
            run.float_starts.retain(|_| !stale.next().unwrap_or_default());
        }
        run.floats.retain(|p| !is_stale(p.value));
    }
    if run.histograms.iter().any(|p| p.histogram.is_stale()) {
        if !run.histogram_starts.is_empty() {
            let mut stale = run.histograms.iter().map(|p| p.histogram.is_stale());
            run.histogram_starts.retain(|_| !stale.next().unwrap_or_default());
        }
        run.histograms.retain(|p| !p.histogram.is_stale());
    }
}

/// Whether one of the floats is a marker. Many at a time without a branch in between: most runs have none.
fn any_stale(floats: &[Point]) -> bool {
    floats.chunks(64).any(|part| {
        // The highest bit of it is set for 0 alone, so that no comparison stands in the loop.
        let is_marker = |p: &Point| {
            let other = p.value.to_bits() ^ STALE_NAN_BITS;
            other.wrapping_sub(1) & !other
        };
        part.iter().fold(0, |any, p| any | is_marker(p)) >> 63 != 0
    })
}

/// Walks the windows of one series from step to step.
pub(crate) struct Cursor<'s> {
    series: &'s SeriesWindows<'s>,
    floats: Edges,
    histograms: Edges,
    before_ms: i64,
    after_ms: i64,
}

impl<'s> Cursor<'s> {
    /// Windows that also see some time before and after.
    pub fn new(series: &'s SeriesWindows<'s>, before_ms: i64, after_ms: i64) -> Self {
        Self { series, floats: Edges::default(), histograms: Edges::default(), before_ms, after_ms }
    }

    #[inline]
    pub fn window(&mut self, t_ms: i64) -> Window<'s> {
        let run = self.series.run;
        let (start, end) = self.series.spec.window(t_ms);
        let (from, to) = (start.saturating_sub(self.before_ms), end.saturating_add(self.after_ms));
        let points = self.floats.slice(&run.floats, |p| p.t_ms, from, to);
        let (histograms, histogram_starts): (&[HistogramPoint], &[i64]) = if run.histograms.is_empty() {
            (&[], &[])
        } else {
            let found = self.histograms.slice(&run.histograms, |p| p.t_ms, from, to);
            (found, self.histograms.same(&run.histogram_starts))
        };
        let float_starts = self.floats.same(&run.float_starts);
        Window { points, histograms, float_starts, histogram_starts, t_ms, start, end, args: [0.0; 2] }
    }
}

/// The moving ends of a window over ascending samples.
#[derive(Default)]
pub(crate) struct Edges {
    pub low: usize,
    pub high: usize,
}

impl Edges {
    /// The samples with `start < t <= end`; both must not go back from call to call.
    #[inline]
    pub fn slice<'p, T>(&mut self, samples: &'p [T], t: impl Fn(&T) -> i64, start: i64, end: i64) -> &'p [T] {
        while self.high < samples.len() && t(&samples[self.high]) <= end {
            self.high += 1;
        }
        while self.low < self.high && t(&samples[self.low]) <= start {
            self.low += 1;
        }
        &samples[self.low..self.high]
    }

    /// The same places of a list beside the samples; nothing when it is empty.
    fn same<'p>(&self, beside: &'p [i64]) -> &'p [i64] {
        beside.get(self.low..self.high).unwrap_or_default()
    }
}

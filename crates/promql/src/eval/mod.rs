//! Evaluation. A query is evaluated for all its steps at once: every node yields rows, one per series, with one value per
//! step. An instant query is a query of one step.

mod aggregate;
mod binary;
mod calendar;
mod call;
mod classic;
mod coarse;
mod counts;
mod element;
mod extended;
mod groups;
mod hash;
mod histogram;
mod histogram_rate;
mod info;
mod labels;
mod matching;
mod math;
mod mean;
mod native;
mod notes;
mod over_time;
mod parallel;
mod per_step;
mod pick;
mod pool;
mod range_fn;
mod regression;
mod row;
mod select;
mod sort;
mod trace;
mod window;

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tenfold_types::{Histogram, HistogramPoint, Labels, Point};

use crate::{
    error::{QueryError, Span},
    source::Queryable,
    syntax::ast::{ArithmeticOp, BinaryOp, Duration, Expr, Kind, RangeMode, Type},
    value::{Output, Series, Value, VectorSample},
};
use binary::Operator;
use notes::{Note, Notes};
pub use parallel::Threads;
pub use per_step::StepCounts;
pub use pool::{Held, Pool};
use row::{ABSENT, Row, finish, is_absent};
pub use trace::{NanosClock, PlanNode};
use trace::{Reads, Trace};

/// Bounds of one query. Every error caused by one says its number.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Samples read from the source, over all selectors.
    pub samples_max: u64,
    /// Series one selector may match.
    pub series_max: usize,
    /// Steps of a range query.
    pub steps_max: usize,
    /// Values (series times steps) that may be held at once by one node.
    pub values_max: u64,
    /// Bytes of values and histograms that all nodes together may hold, and the answer as text.
    pub bytes_max: u64,
    /// Bytes that all queries together may hold.
    pub shared: Option<Arc<Pool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples_max: 50_000_000,
            series_max: 200_000,
            // As Prometheus: at most 11,000 steps after the first instant.
            steps_max: 11_001,
            values_max: 20_000_000,
            bytes_max: 1 << 30,
            shared: None,
        }
    }
}

/// A point of an answer: its value and instant, and both as text.
const POINT_BYTES: usize = size_of::<Point>() + 32;
/// A series of an answer besides its labels as text.
const SERIES_BYTES: usize = 64;
/// A pair of labels as text, besides its name and its value.
const PAIR_BYTES: usize = 6;
/// What one byte of a histogram in memory is as text: a count takes 8 bytes, and about 48 with its bounds.
const HISTOGRAM_TEXT_BYTES: usize = 6;

/// A series of an answer without its samples, its labels as text.
fn series_bytes(labels: &Labels) -> usize {
    SERIES_BYTES + labels.iter().map(|(n, v)| n.len() + v.len() + PAIR_BYTES).sum::<usize>()
}

const CANCELLED: u64 = u64::MAX;

/// A flag by which another thread ends a running query.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicU64);

impl Interrupt {
    /// The one who asked went away.
    pub fn cancel(&self) {
        self.0.store(CANCELLED, Ordering::Relaxed);
    }
    /// The time allowed, in milliseconds, is over.
    pub fn time_out(&self, allowed_ms: u64) {
        self.0.store(allowed_ms.clamp(1, CANCELLED - 1), Ordering::Relaxed);
    }
    fn check(&self) -> Result<(), QueryError> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            CANCELLED => Err(QueryError::Cancelled),
            allowed_ms => Err(QueryError::Timeout { allowed_ms }),
        }
    }
}

/// What a query is evaluated with, besides its expression and instants.
pub struct Query<'a> {
    pub source: &'a dyn Queryable,
    pub limits: &'a Limits,
    pub interrupt: &'a Interrupt,
    /// How far back the newest sample of a series still counts, in milliseconds (Prometheus: 5 minutes).
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// The coarsest rows of aggregates, which a source may have beside its samples, that may answer for old time, in
    /// milliseconds a row; 0 for none.
    pub rows_max_ms: i64,
    /// Threads to read series with; without, the asking one does all. The answer does not depend on it.
    pub threads: Option<&'a dyn Threads>,
    /// With a clock the answer tells where its time and samples went ([`Output::plan`]).
    pub clock: Option<NanosClock<'a>>,
    /// With counts the answer tells how many samples each step looked at ([`Output::per_step`]).
    pub steps: Option<&'a StepCounts>,
}

impl<'a> Query<'a> {
    /// As Prometheus asks: five minutes back, subqueries each minute; on the asking thread alone.
    pub fn new(source: &'a dyn Queryable, limits: &'a Limits, interrupt: &'a Interrupt) -> Self {
        Self {
            source,
            limits,
            interrupt,
            lookback_ms: 5 * 60_000,
            subquery_step_ms: 60_000,
            rows_max_ms: i64::MAX,
            threads: None,
            clock: None,
            steps: None,
        }
    }
}

/// Evaluates at one instant.
pub fn instant(query: &Query<'_>, expr: &Expr, at_ms: i64) -> Result<Output, QueryError> {
    let context = Context::new(query, expr, Grid { start: at_ms, step: 0, steps: 1 }, at_ms);
    let value = context.instant(expr, at_ms)?;
    Ok(context.output(value))
}

/// Evaluates at every step from `start_ms` to `end_ms` inclusive.
pub fn range(query: &Query<'_>, expr: &Expr, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Output, QueryError> {
    if step_ms <= 0 {
        return Err(QueryError::execution(
            "zero or negative query resolution step widths are not accepted; try a positive one",
        ));
    }
    if end_ms < start_ms {
        return Err(QueryError::execution("the end of the time range lies before its start"));
    }
    let steps = (end_ms.saturating_sub(start_ms) / step_ms) as usize + 1;
    if steps > query.limits.steps_max {
        return Err(QueryError::Limit(format!(
            "the query has {steps} steps; at most {} are allowed; use a larger step or less time",
            query.limits.steps_max
        )));
    }
    let context = Context::new(query, expr, Grid { start: start_ms, step: step_ms, steps }, end_ms);
    let value = context.range(expr)?;
    Ok(context.output(value))
}

/// The instants of one evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grid {
    pub start: i64,
    pub step: i64,
    pub steps: usize,
}

impl Grid {
    pub fn at(self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }
    pub fn end(self) -> i64 {
        self.at(self.steps - 1)
    }
    pub fn times(self) -> impl Iterator<Item = i64> {
        (0..self.steps).map(move |i| self.at(i))
    }
}

/// The state of one running query.
pub(crate) struct Context<'a> {
    pub query: &'a Query<'a>,
    /// The instants the query was asked for (a subquery has its own).
    pub top: Grid,
    /// The end the query was asked for, which need not be a step.
    pub end: i64,
    notes: RefCell<Notes>,
    /// Samples of the whole query, over all threads.
    samples: Arc<AtomicU64>,
    /// Bytes of the rows held now.
    bytes: Cell<u64>,
    /// The most that was held at one time.
    bytes_most: Cell<u64>,
    held: Held,
    /// Read and not yet accounted to a node.
    reads: Cell<Reads>,
    /// Read by the whole query; only the asking thread's is complete.
    reads_of_all: Cell<Reads>,
    trace: Option<Trace<'a>>,
    /// The node whose rows threads make.
    made_for: Cell<usize>,
}

pub(crate) type Sink<'s> = &'s mut dyn FnMut(Row) -> Result<(), QueryError>;

impl<'a> Context<'a> {
    fn new(query: &'a Query<'a>, expr: &Expr, top: Grid, end: i64) -> Self {
        let trace = query.clock.map(|clock| Trace::new(expr, clock));
        Self { trace, ..Self::bare(query, (top, end), Arc::default()) }
    }

    fn bare(query: &'a Query<'a>, (top, end): (Grid, i64), samples: Arc<AtomicU64>) -> Self {
        Self {
            query,
            top,
            end,
            notes: RefCell::default(),
            samples,
            bytes: Cell::new(0),
            bytes_most: Cell::new(0),
            held: Held::of(query.limits.shared.clone()),
            reads: Cell::default(),
            reads_of_all: Cell::default(),
            trace: None,
            made_for: Cell::new(usize::MAX),
        }
    }

    /// What another thread makes rows with.
    fn fork(&self) -> Self {
        Self::bare(self.query, (self.top, self.end), Arc::clone(&self.samples))
    }

    fn output(mut self, value: Value) -> Output {
        let plan = self.plan();
        let reads = self.reads_of_all.get();
        Output {
            value,
            annotations: self.notes.into_inner().finish(),
            samples_read: self.samples.load(Ordering::Relaxed),
            series_read: reads.series,
            chunks_read: reads.chunks,
            bytes_held: self.bytes_most.get(),
            held: self.held,
            plan,
            per_step: self.query.steps.map(StepCounts::told).unwrap_or_default(),
        }
    }

    /// What was read since the last call, which is then accounted for.
    fn take_reads(&self) -> Reads {
        self.reads.take()
    }

    /// Notes down what was read.
    fn keep_reads(&self, more: Reads) {
        for all in [&self.reads, &self.reads_of_all] {
            let mut sum = all.get();
            sum.add(more);
            all.set(sum);
        }
    }

    /// Takes over the remarks another thread made.
    fn take_notes(&self, notes: Notes) {
        self.notes.borrow_mut().append(notes);
    }

    pub fn note(&self, span: Span, note: Note<'_>) {
        self.notes.borrow_mut().add(span, &note);
    }

    pub fn count_samples(&self, count: usize) -> Result<(), QueryError> {
        self.query.interrupt.check()?;
        let total = self.samples.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let max = self.query.limits.samples_max;
        if total > max {
            return Err(QueryError::Limit(format!(
                "the query reads more than {max} samples; ask for less time or fewer series"
            )));
        }
        Ok(())
    }

    fn instant(&self, expr: &Expr, at_ms: i64) -> Result<Value, QueryError> {
        Ok(match expr.value_type() {
            Type::String => Value::String { t_ms: at_ms, value: string(expr)?.to_string() },
            Type::Scalar => Value::Scalar(Point::new(at_ms, self.scalar(expr, self.top)?[0])),
            Type::Vector => {
                let rows = finish(self.rows(expr, self.top)?)?;
                for row in &rows {
                    let histogram = row.histogram(0).map_or(0, |h| h.bytes() * HISTOGRAM_TEXT_BYTES);
                    self.hold(series_bytes(&row.labels) + POINT_BYTES + histogram)?;
                }
                let sample = |r: Row| Some(VectorSample { value: r.sample(0)?, labels: r.labels, t_ms: at_ms });
                Value::Vector(rows.into_iter().filter_map(sample).collect())
            }
            Type::Matrix => {
                let lookback = self.query.lookback_ms;
                let mut out: Vec<Series> = Vec::new();
                self.windows(expr, self.top, &mut |series| {
                    let mode = series.spec.mode;
                    let before = if mode == RangeMode::Normal { 0 } else { lookback };
                    let after = if mode == RangeMode::Smoothed { lookback } else { 0 };
                    let window = window::Cursor::new(series, before, after).window(at_ms);
                    let points = if mode == RangeMode::Normal {
                        window.points.to_vec()
                    } else if window.histograms.is_empty() {
                        extended::points_between(&window, mode == RangeMode::Smoothed)
                    } else {
                        let word = if mode == RangeMode::Smoothed { "smoothed" } else { "anchored" };
                        return Err(QueryError::execution(format!("{word} modifier is not supported with histograms")));
                    };
                    if !points.is_empty() || !window.histograms.is_empty() {
                        self.hold(series_bytes(&series.labels) + points.len() * POINT_BYTES)?;
                        let histograms = window.histograms.iter().map(|h| h.histogram.bytes()).sum::<usize>();
                        self.hold(histograms * (1 + HISTOGRAM_TEXT_BYTES))?;
                        let labels = series.labels.clone();
                        let labels = if series.drop_name { Arc::new(row::strip_name(&labels)) } else { labels };
                        out.push(Series { labels, points, histograms: window.histograms.to_vec() });
                    }
                    Ok(())
                })?;
                out.sort_by(|a, b| a.labels.cmp(&b.labels));
                Value::Matrix(row::join_sorted(out)?)
            }
        })
    }

    fn range(&self, expr: &Expr) -> Result<Value, QueryError> {
        let grid = self.top;
        let rows = match expr.value_type() {
            Type::Scalar => vec![Row::bare(self.scalar(expr, grid)?)],
            Type::Vector => finish(self.rows(expr, grid)?)?,
            other => {
                let message =
                    format!("invalid expression type \"{other}\" for range query, must be Scalar or instant Vector");
                return Err(QueryError::parse(expr.span, message));
            }
        };
        let series = |r: Row, present: usize| {
            let floats = grid.times().zip(&r.values).filter(|(_, v)| !is_absent(**v));
            let mut points = Vec::with_capacity(present);
            points.extend(floats.map(|(t, v)| Point::new(t, *v)));
            let present = r.histograms.iter().flatten().zip(grid.times());
            let histograms =
                present.filter_map(|(h, t_ms)| Some(HistogramPoint { t_ms, histogram: h.clone()? })).collect();
            Series { labels: r.labels, points, histograms }
        };
        let mut all: Vec<Series> = Vec::with_capacity(rows.len());
        for row in rows {
            let present = row.values.iter().filter(|v| !is_absent(**v)).count();
            let histograms = row.histograms.iter().flatten().flatten().map(|h| h.bytes()).sum::<usize>();
            self.hold(series_bytes(&row.labels) + present * POINT_BYTES + histograms * HISTOGRAM_TEXT_BYTES)?;
            all.push(series(row, present));
        }
        all.retain(|s| !s.points.is_empty() || !s.histograms.is_empty());
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Value::Matrix(all))
    }

    /// Counts what is held until the query ends, or until it is released.
    pub fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        let total = self.bytes.get().saturating_add(bytes as u64);
        self.bytes.set(total);
        self.bytes_most.set(self.bytes_most.get().max(total));
        let max = self.query.limits.bytes_max;
        if total > max {
            return Err(QueryError::Limit(format!(
                "the query holds more than {max} bytes; use a larger step, less time or fewer series"
            )));
        }
        self.held.take(bytes as u64)
    }

    /// Gives back what was held.
    pub fn release(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes as u64));
        self.held.give(bytes as u64);
    }

    /// The rows of a vector expression.
    pub fn rows(&self, expr: &Expr, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let mut out = Vec::new();
        let max = self.query.limits.values_max;
        self.each_row(expr, grid, &mut |row| {
            self.hold(row.bytes())?;
            out.push(row);
            if (out.len() as u64).saturating_mul(grid.steps as u64) > max {
                return Err(QueryError::Limit(format!(
                    "the query holds more than {max} values at once; use a larger step, less time or fewer series"
                )));
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Hands the rows of a vector expression to `sink`, one by one where the expression allows it.
    pub fn each_row(&self, expr: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        self.query.interrupt.check()?;
        match &expr.kind {
            Kind::Paren(inner) => self.each_row(inner, grid, sink),
            _ => self.counting_rows(expr, sink, |sink| self.each_row_of(expr, grid, sink)),
        }
    }

    fn each_row_of(&self, expr: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
        let span_of = expr.span;
        match &expr.kind {
            Kind::Selector(selector) => self.instant_selector(selector, expr, grid, select::Aspect::Value, sink),
            Kind::Call { function, args } => self.call(function, args, expr.span, grid, sink),
            Kind::Unary { negate, expr } => {
                self.each_row(expr, grid, &mut |row| sink(if *negate { negated(row) } else { row }))
            }
            Kind::Aggregate { op, grouping, param, expr } => {
                let span = span_of;
                self.aggregate(*op, grouping, param.as_deref(), expr, grid, span)?.into_iter().try_for_each(sink)
            }
            Kind::Binary { op, bool_modifier, matching, lhs, rhs } => {
                let operator = Operator { op: *op, bool_modifier: *bool_modifier, span: expr.span };
                self.binary(operator, matching, lhs, rhs, grid, sink)
            }
            _ => Err(QueryError::parse(expr.span, format!("expected an instant vector, got {}", expr.value_type()))),
        }
    }

    /// The values of a scalar expression, one per step.
    pub fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        self.within(expr, || self.scalar_of(expr, grid))
    }

    fn scalar_of(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        Ok(match &expr.kind {
            Kind::Number(n) => vec![*n; grid.steps],
            Kind::Duration(ms) => vec![*ms as f64 / 1000.0; grid.steps],
            Kind::Paren(inner) => self.scalar(inner, grid)?,
            Kind::Unary { negate, expr } => {
                let mut values = self.scalar(expr, grid)?;
                if *negate {
                    for v in &mut values {
                        *v = -*v;
                    }
                }
                values
            }
            Kind::Binary { op, lhs, rhs, .. } => {
                let (mut a, b) = (self.scalar(lhs, grid)?, self.scalar(rhs, grid)?);
                for (x, y) in a.iter_mut().zip(b) {
                    *x = match op {
                        BinaryOp::Arithmetic(op) => op.apply(*x, y),
                        BinaryOp::Comparison(op) => f64::from(u8::from(op.apply(*x, y))),
                        BinaryOp::Set(_) | BinaryOp::Trim(_) => ABSENT,
                    };
                }
                a
            }
            Kind::Call { function, args } => self.scalar_call(function.name, args, grid)?,
            _ => return Err(QueryError::parse(expr.span, format!("expected a scalar, got {}", expr.value_type()))),
        })
    }

    /// A duration in whole milliseconds.
    pub fn duration_ms(&self, duration: &Duration) -> Result<i64, QueryError> {
        Duration::whole_ms(self.seconds(duration)?).map_err(|what| duration.wrong(what))
    }

    fn seconds(&self, duration: &Duration) -> Result<f64, QueryError> {
        Ok(match duration {
            Duration::Seconds(s) => *s,
            Duration::Step => self.top.step as f64 / 1000.0,
            Duration::Range => (self.end - self.top.start) as f64 / 1000.0,
            Duration::Negate(d) => -self.seconds(d)?,
            Duration::Binary(op, a, b) => {
                let (a, b) = (self.seconds(a)?, self.seconds(b)?);
                // What comes of it may be a number again: the least of that and another.
                match op {
                    ArithmeticOp::Div if b == 0.0 => return Err(QueryError::execution("division by zero")),
                    ArithmeticOp::Mod if b == 0.0 => return Err(QueryError::execution("modulo by zero")),
                    op => op.apply(a, b),
                }
            }
            Duration::Min(a, b) => math::min_of(self.seconds(a)?, self.seconds(b)?),
            Duration::Max(a, b) => math::max_of(self.seconds(a)?, self.seconds(b)?),
            Duration::Written(_, inner) => self.seconds(inner).map_err(|error| match error {
                QueryError::Execution(message) => duration.wrong(&message),
                error => error,
            })?,
        })
    }
}

fn negated(mut row: Row) -> Row {
    let histograms = row.histograms.take();
    row = row.map(|v| -v).without_name();
    row.histograms = histograms;
    for h in row.histograms.iter_mut().flatten().flatten() {
        let mut out: Histogram = (**h).clone();
        out.multiply(-1.0);
        *h = Arc::new(out);
    }
    row
}

/// The text of a string expression.
pub(crate) fn string(expr: &Expr) -> Result<&str, QueryError> {
    match &expr.unwrapped().kind {
        Kind::String(s) => Ok(s),
        Kind::NotUtf8(_) => Err(QueryError::parse(expr.span, "this string is not valid UTF-8")),
        _ => Err(QueryError::parse(expr.span, format!("expected a string, got {}", expr.value_type()))),
    }
}

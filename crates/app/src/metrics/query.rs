//! PromQL over the store, with limits and a deadline.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tenfold_promql::{
    AggregateRow, Interrupt, Limits, Output, Query, QueryError, Queryable, Reach, ReadRows, ReadSamples, Resolution,
    RowsData, Run, SeriesData, StepCounts, Threads,
};
use tenfold_tsdb::{CoarseReach, CoarseSeries, SelectedSeries, SeriesChunks, Tsdb, TsdbError};
use tenfold_types::pattern::COMPILED_MAX;
use tenfold_types::{ErrorCode, Fault, Labels, Matcher, Point, Timestamp};

use super::small::{Extent, Place, TEXT_BYTES_MAX, place_of};
use crate::App;

/// Threads one query may read series with, when nobody else asks.
const THREADS_MAX: usize = 8;

/// What a query answered, with the remarks made on the way.
pub type Answer = Output;

/// An answer with what it took.
pub struct Told {
    pub answer: Answer,
    /// Waiting for a place among the queries that run.
    pub queued_ms: f64,
    pub elapsed_ms: f64,
    pub threads: usize,
}

/// How a query is to be answered.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Say where its time and its samples went.
    pub explain: bool,
    /// The coarsest rows of aggregates that may answer for old time, in milliseconds a row; 0 for samples alone.
    pub rows_max_ms: i64,
    /// A shorter time than the settings allow.
    pub timeout_ms: Option<u64>,
    /// How far back the newest sample of a series still counts, where that is not five minutes.
    pub lookback_ms: Option<i64>,
    /// Say how many samples each step looked at.
    pub per_step: bool,
    /// A rule asks: what others ask takes no memory from its answer.
    pub by_rule: bool,
    /// Something is decided by the answer: one of some of a cluster's stores is none.
    pub whole: bool,
}

impl How {
    /// The query as it is asked for.
    fn of<'q>(&self, query: &Query<'q>) -> Query<'q> {
        Query { lookback_ms: self.lookback_ms.unwrap_or(query.lookback_ms), ..*query }
    }
}

impl How {
    /// Counts by step, where they are asked for.
    fn counts(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Option<StepCounts> {
        let steps = end_ms.saturating_sub(start_ms).checked_div(step_ms).unwrap_or(0).saturating_add(1);
        // A query of more steps is refused.
        let steps = usize::try_from(steps).unwrap_or(1).min(Limits::default().steps_max);
        self.per_step.then(|| StepCounts::new(start_ms, step_ms, steps))
    }
}

impl Default for How {
    fn default() -> Self {
        Self {
            explain: false,
            rows_max_ms: i64::MAX,
            timeout_ms: None,
            lookback_ms: None,
            per_step: false,
            by_rule: false,
            whole: false,
        }
    }
}

/// Threads started for a query, which end with it.
struct Scoped(usize);

impl Threads for Scoped {
    fn count(&self) -> usize {
        self.0
    }
    fn run(&self, others: usize, work: &(dyn Fn() + Sync), here: &mut dyn FnMut()) {
        std::thread::scope(|scope| {
            (0..others).for_each(|_| drop(scope.spawn(work)));
            here();
        });
    }
}

/// How a query is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Means {
    pub threads: usize,
    /// The coarsest rows that may answer for old time; 0 for none.
    pub rows_max_ms: i64,
    /// Keep where time and samples go, by node.
    pub explain: bool,
    /// Share memory with the other queries that run.
    pub shared: bool,
}

struct Source {
    tsdb: Arc<Tsdb>,
    /// Threads that may look for series.
    threads: usize,
}

struct Lazy(SeriesChunks);

impl ReadSamples for Lazy {
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError> {
        self.0.read(out).map_err(|e| QueryError::Storage(e.to_string()))
    }

    fn chunks(&self) -> u64 {
        self.0.chunks() as u64
    }

    fn read_run(&self, out: &mut Run) -> Result<(), QueryError> {
        self.0.read_all(&mut out.floats, &mut out.histograms).map_err(|e| QueryError::Storage(e.to_string()))
    }
}

struct Rows(CoarseSeries);

impl ReadRows for Rows {
    fn read(&self, out: &mut Vec<AggregateRow>) -> Result<(), QueryError> {
        let mut rows = Vec::new();
        self.0.read(&mut rows).map_err(|e| QueryError::Storage(e.to_string()))?;
        out.extend(rows.iter().map(|r| AggregateRow {
            t_ms: r.t_ms,
            min: r.min,
            max: r.max,
            sum: r.sum,
            count: r.count,
            last: r.last,
            before_ms: r.before_ms,
            increase: r.increase,
            ended: r.ended,
        }));
        Ok(())
    }

    fn chunks(&self) -> u64 {
        self.0.chunks() as u64
    }
}

impl Queryable for Source {
    fn reach(&self) -> Reach {
        let (reach, samples_from_ms) = self.tsdb.coarse_reach();
        let resolution = |r: &CoarseReach| Resolution { ms: r.resolution_ms, from_ms: r.from_ms, until_ms: r.until_ms };
        Reach { resolutions: reach.iter().map(resolution).collect(), samples_from_ms }
    }

    fn select_rows(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        resolution_ms: i64,
    ) -> Result<Vec<RowsData>, QueryError> {
        let found = self.tsdb.select_coarse(matchers, start_ms, end_ms, resolution_ms);
        let found = found.map_err(|e| QueryError::Storage(e.to_string()))?;
        let series = found.into_iter().flat_map(|coarse| coarse.series);
        Ok(series.map(|s| RowsData { labels: s.labels.clone(), rows: Box::new(Rows(s)) }).collect())
    }

    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        let lazy = |series: SelectedSeries| SeriesData::lazy(series.labels, Lazy(series.chunks));
        let found = self.tsdb.select_on(self.threads, matchers, (start_ms, end_ms), lazy);
        found.map_err(|e| QueryError::Storage(e.to_string()))
    }
}

/// Which series a metadata request is about; the union of the selectors, all when there is none.
#[derive(Debug, Clone)]
pub struct SeriesFilter {
    pub selectors: Vec<Vec<Matcher>>,
    pub start_ms: i64,
    pub end_ms: i64,
}

impl SeriesFilter {
    /// From selectors as text (`up{job="web"}`) and optional bounds.
    pub fn parse(selectors: &[String], start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self, Fault> {
        Self::parse_by(tenfold_promql::parse_matchers, selectors, start, end)
    }

    /// The same of selectors that may match every series (`{job=~".*"}`).
    pub(super) fn parse_any(
        selectors: &[String],
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<Self, Fault> {
        Self::parse_by(tenfold_promql::parse_any_matchers, selectors, start, end)
    }

    fn parse_by(
        parse: fn(&str) -> Result<Vec<Matcher>, QueryError>,
        selectors: &[String],
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Result<Self, Fault> {
        let (mut parsed, mut patterns) = (Vec::with_capacity(selectors.len()), 0);
        for selector in selectors {
            let matchers = parse(selector).map_err(|e| query_fault(&e, selector))?;
            patterns += matchers.iter().filter(|matcher| matcher.is_compiled()).count();
            if patterns > COMPILED_MAX {
                let message = format!("the selectors have more than {COMPILED_MAX} regular expressions together");
                return Err(Fault::invalid(message));
            }
            parsed.push(matchers);
        }
        let (start_ms, end_ms) = (start.map_or(i64::MIN, Timestamp::millis), end.map_or(i64::MAX, Timestamp::millis));
        Ok(Self { selectors: parsed, start_ms, end_ms })
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &[Matcher]> {
        let all: &[Matcher] = &[];
        self.selectors.iter().map(Vec::as_slice).chain(self.selectors.is_empty().then_some(all))
    }
}

/// Threads for one query. The system is asked once: it reads the limits of its cgroup to tell.
fn processors() -> usize {
    static PROCESSORS: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX))
}

pub(super) fn query_fault(error: &QueryError, text: &str) -> Fault {
    let code = match error {
        QueryError::Parse { .. } => ErrorCode::BadRequest,
        QueryError::Execution(_) | QueryError::Limit(_) => ErrorCode::Invalid,
        QueryError::Cancelled | QueryError::Timeout { .. } => ErrorCode::Timeout,
        QueryError::Storage(_) => ErrorCode::Internal,
    };
    let fault = Fault::new(code, error.pointing(text));
    match error {
        QueryError::Limit(_) | QueryError::Timeout { .. } => {
            fault.advice("ask for less; an operator sets the limits under metrics.query in the settings")
        }
        _ => fault,
    }
}

pub(super) fn store_fault(error: &TsdbError) -> Fault {
    Fault::new(ErrorCode::Invalid, error.to_string())
}

impl super::State {
    /// Evaluates at one instant, on this thread. An empty vector means that there is no data: neither zero nor an error.
    pub fn query_instant(&self, expr: &str, at: Timestamp) -> Result<tenfold_promql::Value, Fault> {
        self.query_instant_while(expr, at, &Interrupt::default())
    }

    /// The same until it is interrupted.
    pub(crate) fn query_instant_while(
        &self,
        expr: &str,
        at: Timestamp,
        interrupt: &Interrupt,
    ) -> Result<tenfold_promql::Value, Fault> {
        let means = Means { threads: 1, rows_max_ms: i64::MAX, explain: false, shared: false };
        self.evaluate(expr, interrupt, means, |query, parsed| tenfold_promql::instant(query, parsed, at.millis()))
            .map(|output| output.value)
    }

    pub(super) fn evaluate(
        &self,
        expr: &str,
        interrupt: &Interrupt,
        means: Means,
        run: impl FnOnce(&Query<'_>, &tenfold_promql::ast::Expr) -> Result<Output, QueryError>,
    ) -> Result<Output, Fault> {
        let parsed = self.parse_query(expr)?;
        self.evaluate_parsed((&parsed, expr), interrupt, means, run)
    }

    /// The same of what may have been parsed already.
    fn evaluate_known(
        &self,
        (parsed, expr): (Option<&tenfold_promql::ast::Expr>, &str),
        interrupt: &Interrupt,
        means: Means,
        run: impl FnOnce(&Query<'_>, &tenfold_promql::ast::Expr) -> Result<Output, QueryError>,
    ) -> Result<Output, Fault> {
        match parsed {
            Some(parsed) => self.evaluate_parsed((parsed, expr), interrupt, means, run),
            None => self.evaluate(expr, interrupt, means, run),
        }
    }

    pub(crate) fn parse_query(&self, expr: &str) -> Result<tenfold_promql::ast::Expr, Fault> {
        tenfold_promql::parse_as(expr, self.dialect).map_err(|e| query_fault(&e, expr))
    }

    /// Evaluates at one instant what was parsed before, on this thread and on as many others as the processors have left
    /// when so many such queries run.
    pub(crate) fn query_parsed(
        &self,
        query: (&tenfold_promql::ast::Expr, &str),
        at: Timestamp,
        interrupt: &Interrupt,
        at_once: usize,
    ) -> Result<tenfold_promql::Value, Fault> {
        let threads = (processors() / at_once).max(1);
        let means = Means { threads, rows_max_ms: i64::MAX, explain: false, shared: true };
        let run =
            |query: &Query<'_>, parsed: &tenfold_promql::ast::Expr| tenfold_promql::instant(query, parsed, at.millis());
        self.evaluate_parsed(query, interrupt, means, run).map(|output| output.value)
    }

    fn evaluate_parsed(
        &self,
        (parsed, expr): (&tenfold_promql::ast::Expr, &str),
        interrupt: &Interrupt,
        means: Means,
        run: impl FnOnce(&Query<'_>, &tenfold_promql::ast::Expr) -> Result<Output, QueryError>,
    ) -> Result<Output, Fault> {
        let limits = super::memory::query_limits(self.query_limits.limits(), means.shared);
        let source = Source { tsdb: self.tsdb.clone(), threads: means.threads };
        let threads = Scoped(means.threads);
        let started = std::time::Instant::now();
        let clock = move || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let query = Query {
            rows_max_ms: means.rows_max_ms,
            threads: Some(&threads),
            clock: means.explain.then_some(&clock),
            ..Query::new(&source, &limits, interrupt)
        };
        run(&query, parsed).map_err(|e| query_fault(&e, expr))
    }

    /// Whether a cluster answers queries, and not this process.
    pub(crate) fn is_asked_elsewhere(&self) -> bool {
        self.is_remote
    }

    pub fn series(&self, filter: &SeriesFilter) -> Result<Vec<Arc<Labels>>, Fault> {
        let mut all = Vec::new();
        for matchers in filter.each() {
            all.extend(self.tsdb.series(matchers, filter.start_ms, filter.end_ms).map_err(|e| store_fault(&e))?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Known series, in memory and on disk.
    pub fn series_count(&self) -> usize {
        self.tsdb.stats().series
    }

    /// The syntax tree of a query, in Prometheus' shape.
    pub fn syntax_tree(&self, expr: &str) -> Result<serde_json::Value, Fault> {
        Ok(self.parse_query(expr)?.tree())
    }

    /// A query as Prometheus writes it.
    pub fn format_query(&self, expr: &str) -> Result<String, Fault> {
        let parsed = tenfold_promql::parse_as(expr, self.dialect).map_err(|e| query_fault(&e, expr))?;
        Ok(parsed.pretty())
    }

    /// The newest value of every series of a metric, by label set.
    pub fn last_values(&self, metric: &str) -> BTreeMap<Labels, f64> {
        self.last_points(metric).into_iter().map(|(labels, point)| (labels, point.value)).collect()
    }

    /// The same with its instant.
    pub fn last_points(&self, metric: &str) -> BTreeMap<Labels, Point> {
        let found = self.tsdb.last_samples(&[Matcher::equal(Labels::NAME, metric)]).unwrap_or_default();
        found.into_iter().map(|(labels, point)| ((*labels).clone(), point)).collect()
    }
}

impl App {
    /// Evaluates at one instant, off the runtime's threads, ended when its time is over or when the asker goes away.
    pub async fn query(&self, expr: &str, at: Timestamp) -> Result<Answer, Fault> {
        self.query_told(expr, at, How::default()).await.map(|told| told.answer)
    }

    /// The same with what it took; with `explain` by node of the expression.
    pub async fn query_told(&self, expr: &str, at: Timestamp, how: How) -> Result<Told, Fault> {
        if self.metrics.is_remote {
            let asked = [("query", expr.to_owned()), ("time", super::remote::seconds(at.millis()))];
            if let Some(told) = self.told_by_cluster("/api/v1/query", &asked, how).await? {
                return Ok(told);
            }
        }
        let run = move |query: &Query<'_>, parsed: &tenfold_promql::ast::Expr| {
            let counts = how.counts(at.millis(), at.millis(), 0);
            tenfold_promql::instant(&Query { steps: counts.as_ref(), ..how.of(query) }, parsed, at.millis())
        };
        self.bounded(expr, how, Extent::INSTANT, run).await
    }

    /// Series and numbers of an instant query now; a scalar is a series without labels. What is no number is an error,
    /// which a caller takes as no data.
    pub(crate) async fn query_numbers(&self, expr: &str) -> Result<Vec<(Labels, f64)>, String> {
        let how = How { whole: true, ..How::default() };
        let told = self.query_told(expr, self.now(), how).await.map_err(|fault| fault.message)?;
        match told.answer.value {
            tenfold_promql::Value::Vector(rows) => {
                let number = |row: tenfold_promql::VectorSample| Some(((*row.labels).clone(), row.value.float()?));
                let rows: Option<Vec<_>> = rows.into_iter().map(number).collect();
                rows.ok_or_else(|| "the expression answers with histograms, not with numbers".to_owned())
            }
            tenfold_promql::Value::Scalar(point) => Ok(vec![(Labels::new(), point.value)]),
            other => Err(format!("the expression answers with a {}, not with a vector or a scalar", other.type_name())),
        }
    }

    /// Evaluates at every step from `start` to `end` inclusive.
    pub async fn query_range(
        &self,
        expr: &str,
        start: Timestamp,
        end: Timestamp,
        step_ms: i64,
        how: How,
    ) -> Result<Told, Fault> {
        if self.metrics.is_remote {
            let seconds = super::remote::seconds;
            let asked = [
                ("query", expr.to_owned()),
                ("start", seconds(start.millis())),
                ("end", seconds(end.millis())),
                ("step", seconds(step_ms)),
            ];
            if let Some(told) = self.told_by_cluster("/api/v1/query_range", &asked, how).await? {
                return Ok(told);
            }
        }
        let run = move |query: &Query<'_>, parsed: &tenfold_promql::ast::Expr| {
            let counts = how.counts(start.millis(), end.millis(), step_ms);
            let query = Query { steps: counts.as_ref(), ..how.of(query) };
            tenfold_promql::range(&query, parsed, start.millis(), end.millis(), step_ms)
        };
        self.bounded(expr, how, Extent::of(start.millis(), end.millis(), step_ms), run).await
    }

    /// A place among the queries that run at a time.
    pub(super) async fn query_place(
        &self,
        deadline: tokio::time::Instant,
        allowed_ms: u64,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, Fault> {
        match tokio::time::timeout_at(deadline, self.metrics.queries.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Fault::new(
                ErrorCode::Unavailable,
                format!(
                    "{} queries were running for {allowed_ms} ms, and this one found no place",
                    self.metrics.query_limits.concurrency_max
                ),
            )
            .advice("try again, or ask for less; an operator sets metrics.query.concurrency_max")),
        }
    }

    async fn bounded(
        &self,
        expr: &str,
        how: How,
        extent: Extent,
        run: impl FnOnce(&Query<'_>, &tenfold_promql::ast::Expr) -> Result<Output, QueryError> + Send + 'static,
    ) -> Result<Told, Fault> {
        /// Ends the query when its asker is no longer there.
        struct Cancel(Arc<Interrupt>);
        impl Drop for Cancel {
            fn drop(&mut self) {
                self.0.cancel();
            }
        }
        let asked = tokio::time::Instant::now();
        let limits = &self.metrics.query_limits;
        let allowed_ms = how.timeout_ms.map_or(limits.timeout_ms, |wanted| wanted.min(limits.timeout_ms));
        let deadline = asked + Duration::from_millis(allowed_ms);
        let _place = self.query_place(deadline, allowed_ms).await?;
        let queued = asked.elapsed();
        // Queries share the processors, so that many at once do not multiply the threads.
        let running = limits.concurrency_max.saturating_sub(self.metrics.queries.available_permits()).max(1);
        // Parsed once, here: it says where to evaluate. What is long is parsed where it is evaluated.
        let parsed = (expr.len() <= TEXT_BYTES_MAX).then(|| self.metrics.parse_query(expr)).transpose()?;
        let place = parsed.as_ref().map_or(Place::Apart, |parsed| place_of(&self.metrics, parsed, how, extent));
        let threads = if place == Place::Apart { (processors() / running).max(1) } else { 1 };
        let means = Means { threads, rows_max_ms: how.rows_max_ms, explain: how.explain, shared: !how.by_rule };
        let interrupt = Arc::new(Interrupt::default());
        let guard = Cancel(interrupt.clone());
        let here = |run| {
            let query = (parsed.as_ref(), expr);
            catch_unwind(AssertUnwindSafe(|| self.metrics.evaluate_known(query, &interrupt, means, run))).ok()
        };
        let result = match place {
            Place::AtOnce => here(run),
            Place::Here => tokio::task::block_in_place(|| here(run)),
            Place::Apart => {
                let (app, expr, seen) = (self.clone(), expr.to_owned(), interrupt.clone());
                let mut work = tokio::task::spawn_blocking(move || {
                    app.metrics.evaluate_known((parsed.as_ref(), expr.as_str()), &seen, means, run)
                });
                let result = tokio::select! {
                    result = &mut work => result,
                    () = tokio::time::sleep_until(deadline) => {
                        interrupt.time_out(allowed_ms);
                        work.await
                    }
                };
                result.ok()
            }
        };
        drop(guard);
        let answer = result.ok_or_else(|| Fault::internal("the query ended in a panic"))??;
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Ok(Told {
            answer,
            queued_ms: ms(queued),
            elapsed_ms: ms(asked.elapsed().saturating_sub(queued)),
            threads: means.threads,
        })
    }
}

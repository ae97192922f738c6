//! The newest sample of each series that is asked for, for another store that takes them on from here.
//!
//! As Prometheus' `web/federate.go`: samples no older than the lookback, with their own instants, without series that ended.
//! What is found is counted against the memory that queries share, before it is kept.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenfold_promql::{Sample, Series, Value};
use tenfold_types::{ErrorCode, Fault, HistogramPoint, Labels, Point, Timestamp, is_stale};
use tokio::time::Instant;

use super::memory::{AnswerMemory, labels_bytes};
use super::query::{SeriesFilter, store_fault};
use crate::App;

/// How old a newest sample may be.
const LOOKBACK_MS: i64 = 5 * 60_000;
/// The same in a selector.
const LOOKBACK: &str = "5m";

/// The newest sample of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    pub labels: Arc<Labels>,
    pub t_ms: i64,
    pub value: Sample,
}

/// The newest sample of each series once, in the order of names and then labels.
#[derive(Debug)]
pub struct NewestSamples {
    pub rows: Vec<Newest>,
    /// What they are held against, and what is made of them.
    pub memory: AnswerMemory,
}

/// What may be taken, and until when.
struct Bounds {
    series_max: usize,
    deadline: Instant,
    allowed_ms: u64,
}

impl Bounds {
    fn count(&self, series: usize) -> Result<(), Fault> {
        let max = self.series_max;
        if series <= max {
            return Ok(());
        }
        Err(Fault::invalid(format!("more than {max} series match (metrics.query.series_max)"))
            .advice("ask for fewer series; an operator sets metrics.query.series_max"))
    }

    fn time(&self) -> Result<(), Fault> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::Timeout,
            format!("finding the newest samples took longer than {} ms", self.allowed_ms),
        )
        .advice("ask for fewer series; an operator sets metrics.query.timeout_ms"))
    }
}

fn row_bytes(row: &Newest) -> u64 {
    let value = match &row.value {
        Sample::Float(_) => 0,
        Sample::Histogram(h) => h.bytes(),
    };
    labels_bytes(&row.labels) + (size_of::<Newest>() + value) as u64
}

/// The later of both; nothing where that says that the series has ended.
fn later(float: Option<&Point>, histogram: Option<&HistogramPoint>) -> Option<(i64, Sample)> {
    match (float, histogram) {
        (Some(p), h) if h.is_none_or(|h| h.t_ms <= p.t_ms) => {
            (!is_stale(p.value)).then_some((p.t_ms, Sample::Float(p.value)))
        }
        (_, Some(h)) => (!h.histogram.is_stale()).then(|| (h.t_ms, Sample::Histogram(h.histogram.clone()))),
        (_, None) => None,
    }
}

/// A selector as a query may have it. One that may match every series is refused there, but for one that wants a name, which
/// whatever is told has.
fn as_query(selector: &str) -> Cow<'_, str> {
    if tenfold_promql::parse_matchers(selector).is_ok() {
        return Cow::Borrowed(selector);
    }
    let Some(rest) = selector.trim_start().strip_prefix('{') else { return Cow::Borrowed(selector) };
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    Cow::Owned(format!("{{__name__!=\"\"{comma}{rest}"))
}

fn in_order(rows: &mut Vec<Newest>) {
    rows.sort_by(|a, b| a.labels.metric_name().cmp(&b.labels.metric_name()).then_with(|| a.labels.cmp(&b.labels)));
    rows.dedup_by(|a, b| a.labels == b.labels);
}

impl super::State {
    fn newest(&self, filter: &SeriesFilter, bounds: &Bounds, memory: &mut AnswerMemory) -> Result<Vec<Newest>, Fault> {
        let mut rows = Vec::new();
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for matchers in &filter.selectors {
            let found = self.tsdb.select(matchers, filter.start_ms, filter.end_ms).map_err(|e| store_fault(&e))?;
            bounds.count(found.len())?;
            for series in found {
                bounds.time()?;
                floats.clear();
                histograms.clear();
                series.chunks.read_all(&mut floats, &mut histograms).map_err(|e| store_fault(&e))?;
                if let Some((t_ms, value)) = later(floats.last(), histograms.last()) {
                    let row = Newest { labels: series.labels, t_ms, value };
                    memory.take(row_bytes(&row))?;
                    rows.push(row);
                }
            }
        }
        in_order(&mut rows);
        bounds.count(rows.len())?;
        Ok(rows)
    }
}

impl App {
    /// The newest samples of the series that one of the selectors matches, off the runtime's threads, within the time and the
    /// memory that a query has.
    pub async fn newest_samples(&self, selectors: &[String]) -> Result<NewestSamples, Fault> {
        let now = self.now();
        let from = Timestamp(now.millis().saturating_sub(LOOKBACK_MS - 1));
        // Says what is wrong with a selector before anything is asked.
        let filter = SeriesFilter::parse_any(selectors, Some(from), Some(now))?;
        let limits = &self.metrics.query_limits;
        let mut memory = AnswerMemory::new(&limits.limits());
        let allowed_ms = limits.timeout_ms;
        let deadline = Instant::now() + Duration::from_millis(allowed_ms);
        let bounds = Bounds { series_max: limits.series_max, deadline, allowed_ms };
        if self.metrics.is_asked_elsewhere() {
            let mut rows = Vec::new();
            for selector in selectors {
                self.newest_of_cluster(selector, now, &mut rows, &mut memory).await?;
                bounds.count(rows.len())?;
            }
            in_order(&mut rows);
            return Ok(NewestSamples { rows, memory });
        }
        let _place = self.query_place(deadline, allowed_ms).await?;
        let app = self.clone();
        let find = move || {
            let rows = app.metrics.newest(&filter, &bounds, &mut memory)?;
            Ok(NewestSamples { rows, memory })
        };
        let found = tokio::task::spawn_blocking(find).await;
        found.map_err(|_| Fault::internal("finding the newest samples ended in a panic"))?
    }

    async fn newest_of_cluster(
        &self,
        selector: &str,
        now: Timestamp,
        rows: &mut Vec<Newest>,
        memory: &mut AnswerMemory,
    ) -> Result<(), Fault> {
        // Which series have not ended, and then when their samples were taken.
        let selector = as_query(selector);
        let live = self.query(&selector, now).await?;
        let recent = self.query(&format!("{selector}[{LOOKBACK}]"), now).await?;
        let (Value::Vector(samples), Value::Matrix(series)) = (live.value, recent.value) else { return Ok(()) };
        let last = |s: &Series| s.points.last().map(|p| p.t_ms).max(s.histograms.last().map(|h| h.t_ms));
        let times: BTreeMap<Arc<Labels>, i64> =
            series.into_iter().filter_map(|series| Some((series.labels.clone(), last(&series)?))).collect();
        for sample in samples {
            let Some(t_ms) = times.get(&sample.labels) else { continue };
            let row = Newest { labels: sample.labels, t_ms: *t_ms, value: sample.value };
            memory.take(row_bytes(&row))?;
            rows.push(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Histogram, STALE_NAN};

    use super::*;

    #[test]
    fn the_later_kind_counts_and_ended_series_do_not() {
        let float = |t_ms, value| Some(Point::new(t_ms, value));
        let histogram = |t_ms: i64, sum: f64| {
            Some(HistogramPoint { t_ms, histogram: Arc::new(Histogram { sum, ..Histogram::default() }) })
        };
        let told = |p: Option<Point>, h: Option<HistogramPoint>| {
            later(p.as_ref(), h.as_ref()).map(|(t_ms, value)| (t_ms, value.float()))
        };
        assert_eq!(told(None, None), None);
        assert_eq!(told(float(5, 1.5), None), Some((5, Some(1.5))));
        assert_eq!(told(float(5, 1.5), histogram(4, 1.0)), Some((5, Some(1.5))));
        assert_eq!(told(float(5, 1.5), histogram(6, 1.0)), Some((6, None)));
        assert_eq!(told(None, histogram(6, 1.0)), Some((6, None)));
        assert_eq!(told(float(5, STALE_NAN), histogram(4, 1.0)), None);
        assert_eq!(told(float(5, 1.0), histogram(6, STALE_NAN)), None);
    }

    #[test]
    fn a_cluster_is_asked_for_every_series_by_their_names() {
        for (selector, query) in [
            ("up", "up"),
            ("{job=\"web\"}", "{job=\"web\"}"),
            ("{}", "{__name__!=\"\"}"),
            (" { job=~\".*\" }", "{__name__!=\"\", job=~\".*\" }"),
            ("{__name__=~\".*\"}", "{__name__!=\"\",__name__=~\".*\"}"),
        ] {
            assert_eq!(as_query(selector), query);
            assert!(tenfold_promql::parse_matchers(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn rows_come_by_name_and_each_once() {
        let row = |name: &str, job: &str, t_ms| Newest {
            labels: Arc::new(Labels::from_pairs([("A", job), (Labels::NAME, name)])),
            t_ms,
            value: Sample::Float(1.0),
        };
        let mut rows = vec![row("b", "1", 1), row("a", "2", 2), row("b", "1", 3), row("a", "1", 4)];
        in_order(&mut rows);
        let told: Vec<_> = rows.iter().map(|r| (r.labels.metric_name().unwrap_or_default(), r.t_ms)).collect();
        assert_eq!(told, [("a", 4), ("a", 2), ("b", 1)]);
    }
}

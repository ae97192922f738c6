//! From counters and histograms in the time-series store to what the judge looks at: guards of ramps and canaries of deploys
//! ask here.
//!
//! Everything is asked for anew from the instant the watch began on, so nothing is lost with a process that dies.

mod native;

use std::collections::HashMap;
use std::sync::Arc;

use tenfold_judge::{Bin, Bounds, Bucket, Count, Counted, Counter, HistogramBin, Increases, Report, Settings, Watched};
use tenfold_promql::ast::Kind;
use tenfold_types::{Fault, Histogram, Labels, Timestamp};

use crate::App;
use crate::metrics::How;

/// Values (series times looks) that one counter of a judge may have.
const VALUES_MAX: usize = 4_000_000;
/// The same of native histograms, which are a kilobyte or two each.
const HISTOGRAMS_MAX: usize = 100_000;
/// Labels that tell one process from another.
const TARGET: [&str; 3] = ["job", "instance", "host"];

/// The counters of both sides, as selectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sides {
    pub errors: Option<Errors>,
    /// Buckets, or native histograms, of the canary and of the control.
    pub latency: Option<(String, String)>,
    /// Since when both sides ran the same, where they are told apart by where they run.
    pub equal_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Errors {
    /// Failed and all requests.
    pub canary: (String, String),
    pub control: (String, String),
}

/// The counters of what has only its own past beside it, as selectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Own {
    /// Failed and all requests.
    pub errors: Option<(String, String)>,
    pub latency: Option<String>,
}

/// Look by look.
pub(crate) type PastAndSince = (Vec<Count>, Vec<Count>);

/// One series with its values at the bounds. A native histogram is a counter of its observations as well.
#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    counter: Counter,
    /// Empty where it has none.
    histograms: Vec<Option<Arc<Histogram>>>,
}
type Read = Vec<Series>;

/// A counter is named by a selector: differences are taken here, and a sum would hide that a process began again.
pub(crate) fn check_counter(field: &str, selector: &str) -> Result<(), Fault> {
    let parsed = tenfold_promql::parse(selector)
        .map_err(|e| Fault::invalid(format!("`{field}` of the judge: {}", e.pointing(selector))))?;
    let plain = match &parsed.unwrapped().kind {
        Kind::Selector(selector) => selector.shift.offset.is_none() && selector.shift.at.is_none(),
        _ => false,
    };
    if plain {
        return Ok(());
    }
    Err(Fault::invalid(format!("`{field}` of the judge is no counter: {}", selector.trim())).advice(
        "name a counter with its labels, such as http_requests_total{code=~\"5..\"}, without rate(), sum() or offset: the \
         judge takes the differences itself",
    ))
}

impl App {
    /// Counts both sides from an hour before `started` until now, and gives the judge's report on it. Words where that
    /// cannot be done, which a caller takes as no data.
    pub(crate) async fn judge_report(
        &self,
        sides: &Sides,
        settings: Settings,
        started: Timestamp,
        every_ms: i64,
    ) -> Result<Judged, String> {
        let bounds = Bounds::new(started.millis(), every_ms, self.now().millis());
        let watched = self.judge_counts(sides, bounds).await?;
        let work = tokio::task::spawn_blocking(move || {
            let report = watched.report(settings).map_err(|e| e.to_string())?;
            let (canary, control) = watched.newest_ms();
            Ok(Judged { report, newest: canary.zip(control).map(|(a, b)| Timestamp(a.min(b))) })
        });
        work.await.map_err(|_| "the judge ended in a panic".to_owned())?
    }

    async fn judge_counts(&self, sides: &Sides, bounds: Bounds) -> Result<Watched, String> {
        let mut errors = None;
        if let Some(of) = &sides.errors {
            let canary = (self.counters(&of.canary.0, &bounds).await?, self.counters(&of.canary.1, &bounds).await?);
            let control = (self.counters(&of.control.0, &bounds).await?, self.counters(&of.control.1, &bounds).await?);
            errors = Some([canary.0, canary.1, control.0, control.1]);
        }
        let mut latency = None;
        if let Some((canary, control)) = &sides.latency {
            latency = Some([self.counters(canary, &bounds).await?, self.counters(control, &bounds).await?]);
        }
        count(bounds, errors, latency, sides.equal_since)
    }

    /// What there is to count where nothing is compared with anything but its own past: in the hour before `past_until`,
    /// and since `started`.
    pub(crate) async fn judge_own_past(
        &self,
        own: &Own,
        past_until: Timestamp,
        started: Timestamp,
        every_ms: i64,
    ) -> Result<Vec<(Counted, PastAndSince)>, String> {
        let bounds = Bounds::apart_from(past_until.millis(), started.millis(), every_ms, self.now().millis());
        let mut errors = None;
        if let Some((bad, total)) = &own.errors {
            let (bad, total) = (self.counters(bad, &bounds).await?, self.counters(total, &bounds).await?);
            errors = Some([Read::new(), Read::new(), bad, total]);
        }
        let mut latency = None;
        if let Some(buckets) = &own.latency {
            let read = self.counters(buckets, &bounds).await?;
            latency = Some([read.clone(), read]);
        }
        let watched = count(bounds, errors, latency, None)?;
        let failed = own.errors.as_ref().map(|_| (Counted::Failed, watched.before_and_since()));
        let slow = own.latency.as_ref().map(|_| (Counted::Slow, watched.slow_before_and_since()));
        Ok(failed.into_iter().chain(slow).collect())
    }

    /// The series of a counter with their values at the bounds.
    async fn counters(&self, selector: &str, bounds: &Bounds) -> Result<Read, String> {
        let mut read: Read = Vec::new();
        let mut index_of: HashMap<Labels, usize> = HashMap::new();
        let mut histograms = 0;
        let how = How { rows_max_ms: 0, whole: true, ..How::default() };
        for (from, to, step) in bounds.runs() {
            let answer =
                self.query_range(selector, Timestamp(from), Timestamp(to), step, how).await.map_err(|f| f.message)?;
            let tenfold_promql::Value::Matrix(series) = answer.answer.value else {
                return Err(format!("`{selector}` does not answer with series"));
            };
            for one in series {
                let index = *index_of.entry((*one.labels).clone()).or_insert_with(|| {
                    let counter = Counter { target: target(&one.labels), values: vec![None; bounds.len()] };
                    read.push(Series { labels: (*one.labels).clone(), counter, histograms: Vec::new() });
                    read.len() - 1
                });
                if read.len().saturating_mul(bounds.len()) > VALUES_MAX {
                    return Err(format!(
                        "`{selector}` matches more than {} series, which is the limit for {} looks; name fewer",
                        read.len() - 1,
                        bounds.len()
                    ));
                }
                for point in &one.points {
                    if let Some(at) = bounds.index_of(point.t_ms) {
                        read[index].counter.values[at] = Some(point.value);
                    }
                }
                histograms += one.histograms.len();
                if histograms > HISTOGRAMS_MAX {
                    return Err(format!(
                        "`{selector}` has more than {HISTOGRAMS_MAX} native histograms in {} looks, which is the limit; \
                         name fewer series or look less often",
                        bounds.len()
                    ));
                }
                for point in one.histograms {
                    if let Some(at) = bounds.index_of(point.t_ms) {
                        let series = &mut read[index];
                        series.counter.values[at] = Some(point.histogram.count);
                        series.histograms.resize(bounds.len(), None);
                        series.histograms[at] = Some(point.histogram);
                    }
                }
            }
        }
        Ok(read)
    }
}

/// What the judge says, and when both sides had their newest requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub report: Report,
    /// Of the side that has been silent for longer; nothing while one never had any.
    pub newest: Option<Timestamp>,
}

fn target(labels: &Labels) -> String {
    TARGET.iter().map(|name| labels.get(name).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn count(
    bounds: Bounds,
    errors: Option<[Read; 4]>,
    latency: Option<[Read; 2]>,
    equal_since: Option<Timestamp>,
) -> Result<Watched, String> {
    let mut increases = Increases::new(bounds.len());
    for read in errors.iter().flatten().chain(latency.iter().flatten()) {
        increases.know(read.iter().map(|series| &series.counter));
    }
    let errors: Option<Vec<Bin>> = errors.map(|reads| {
        let [bad, total, old_bad, old_total] =
            reads.map(|read| read.into_iter().map(|series| series.counter).collect::<Vec<_>>());
        increases.errors((&bad, &total), (&old_bad, &old_total))
    });
    let latency: Option<Vec<HistogramBin>> = match latency {
        None => None,
        Some([canary, control]) if native::is_native(&canary) || native::is_native(&control) => {
            Some(native::latency(&canary, &control, &increases, &bounds)?)
        }
        Some([canary, control]) => Some(increases.latency(&buckets(canary)?, &buckets(control)?)?),
    };
    Ok(Watched { bounds, errors, latency, equal_since_ms: equal_since.map(Timestamp::millis) })
}

fn buckets(read: Read) -> Result<Vec<Bucket>, String> {
    let bucket = |Series { labels, counter, .. }: Series| match labels.get("le").and_then(|le| le.parse().ok()) {
        Some(le) => Ok(Bucket { le, counter }),
        None => Err(format!(
            "{labels} has no bound in a label `le` and is no native histogram; latency is judged from the _bucket series or \
             from native histograms"
        )),
    };
    read.into_iter().map(bucket).collect()
}

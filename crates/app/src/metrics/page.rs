//! From a page that was read to what is written: relabelling, limits, exemplars that are new, starts of counters.
//!
//! What the labels of a page's series become is remembered from scrape to scrape, so that rules run once for a series.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tenfold_protocols::exposition::{Page, PageSample};
use tenfold_scrape::{Job, Limits, apply};
use tenfold_tsdb::SeriesWrite;
use tenfold_types::histogram::EXPONENTIAL_SCHEMAS;
use tenfold_types::{Exemplar, Histogram, HistogramPoint, Labels, Point, ResetHint, is_legacy_name};

use super::AHEAD_MS_MAX;

/// Letters of an exemplar's labels, as OpenMetrics has it.
const EXEMPLAR_CHARS_MAX: usize = 128;
/// A start that lies farther back is not written: the increase since then is in nobody's window, and the store would have
/// to make room for that time.
pub(super) const START_AGE_MS_MAX: i64 = 3_600_000;

/// What is known of a series of a page.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its labels in the store; `None` when a rule drops it.
    labels: Option<Arc<Labels>>,
    created_ms: Option<i64>,
    /// The newest exemplar that was kept.
    exemplar: Option<Exemplar>,
    /// The scrape it was last seen in.
    seen: u64,
}

/// Series that are remembered beyond twice the usual number.
const KNOWN_SLACK: usize = 1_000;

/// Of a target, from scrape to scrape.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<Labels, Known>,
    /// Series of the last page that end when they are missing on the next, and whether each is of native histograms.
    live: HashMap<Arc<Labels>, bool>,
    job: Option<Arc<Job>>,
    scrapes: u64,
    /// Series of the last page that was taken whole.
    usual: usize,
}

/// One series with one sample, to be written.
#[derive(Debug)]
pub(super) struct Write {
    pub labels: Arc<Labels>,
    pub point: Option<Point>,
    pub histogram: Option<HistogramPoint>,
    pub exemplars: Vec<Exemplar>,
    /// When what is counted began to be counted.
    pub created_ms: Option<i64>,
}

impl Write {
    pub fn float(labels: impl Into<Arc<Labels>>, t_ms: i64, value: f64) -> Self {
        let point = Some(Point::new(t_ms, value));
        Self { labels: labels.into(), point, histogram: None, exemplars: Vec::new(), created_ms: None }
    }

    fn histogram(labels: Arc<Labels>, t_ms: i64, histogram: Arc<Histogram>) -> Self {
        let histogram = Some(HistogramPoint { t_ms, histogram });
        Self { labels, point: None, histogram, exemplars: Vec::new(), created_ms: None }
    }

    /// The mark that the series has ended, of its own kind.
    pub fn end(labels: Arc<Labels>, t_ms: i64, is_histogram: bool) -> Self {
        if is_histogram {
            let ended = Histogram { sum: tenfold_types::STALE_NAN, ..Histogram::default() };
            Self::histogram(labels, t_ms, Arc::new(ended))
        } else {
            Self::float(labels, t_ms, tenfold_types::STALE_NAN)
        }
    }
}

/// What a page became.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub writes: Vec<Write>,
    /// Samples on the page, those after relabelling, and series that were not there before.
    pub scraped: usize,
    pub kept: usize,
    pub added: usize,
    /// The page went on, but not readably: what is missing is not known to be gone.
    pub is_part: bool,
    /// Left out, by reason.
    pub ahead: usize,
    pub long_exemplars: usize,
    live: HashMap<Arc<Labels>, bool>,
}

/// The labels of a scraped sample. Where both have a label, the target's wins and the page's is kept as `exported_NAME`;
/// with `honor` the page's wins, also one without a value: a Pushgateway, or another server's `/federate`, says so that a
/// series has no `instance`.
fn with_target_labels(sample: &PageSample, target: &Labels, honor: bool) -> Labels {
    let mut out = sample.labels.clone();
    let mut hidden: Vec<(&str, &str)> = Vec::new();
    for (name, value) in target.iter() {
        match sample.labels.get(name) {
            Some(_) if honor => {}
            None if honor && sample.blank.iter().any(|blank| blank == name) => {}
            Some(own) => {
                hidden.push((name, own));
                out.set(name, value);
            }
            None => out.set(name, value),
        }
    }
    // Short names first, as Prometheus has it: `exported_a` may be on the page as well.
    hidden.sort_by_key(|(name, _)| name.len());
    for (name, value) in hidden {
        let mut free = format!("exported_{name}");
        while out.get(&free).is_some() {
            free.insert_str(0, "exported_");
        }
        out.set(free, value);
    }
    out
}

fn check_labels(labels: &Labels, job: &Job) -> Result<(), String> {
    if job.legacy_names && !has_legacy_names(labels) {
        return Err(format!("invalid metric name or label names: {labels} (metric_name_validation_scheme is legacy)"));
    }
    let limits = &job.limits;
    let metric = || short(labels.metric_name().unwrap_or_default());
    let over = |size: usize, max: u64| max > 0 && size as u64 > max;
    if over(labels.len(), limits.labels_max) {
        let (count, max) = (labels.len(), limits.labels_max);
        return Err(format!("label_limit exceeded (metric: {}, number of labels: {count}, limit: {max})", metric()));
    }
    for (name, value) in labels.iter() {
        if over(name.len(), limits.label_name_bytes_max) {
            let (length, max) = (name.len(), limits.label_name_bytes_max);
            return Err(format!(
                "label_name_length_limit exceeded (metric: {}, label name: {}, length: {length}, limit: {max})",
                metric(),
                short(name)
            ));
        }
        if over(value.len(), limits.label_value_bytes_max) {
            let (length, max) = (value.len(), limits.label_value_bytes_max);
            return Err(format!(
                "label_value_length_limit exceeded (metric: {}, label name: {}, value: {}, length: {length}, limit: {max})",
                metric(),
                short(name),
                short(value)
            ));
        }
    }
    Ok(())
}

/// Whether all names are of the letters that Prometheus knew before its version 3.
fn has_legacy_names(labels: &Labels) -> bool {
    labels.metric_name().is_none_or(|name| is_legacy_name(name, ":_"))
        && labels.iter().all(|(name, _)| is_legacy_name(name, "_"))
}

/// The same observations in a coarser schema. What goes up and down stays what it is.
fn coarser(histogram: &Histogram, schema: i32) -> Arc<Histogram> {
    let mut out = histogram.to_schema(schema);
    if histogram.reset_hint == ResetHint::Gauge {
        out.reset_hint = ResetHint::Gauge;
    }
    Arc::new(out)
}

/// A native histogram as coarse as its job wants it. The error is how many buckets it has where no coarser one can be made.
fn within(mut histogram: Arc<Histogram>, limits: &Limits) -> Result<Arc<Histogram>, usize> {
    let buckets = |h: &Histogram| h.positive.counts.len() + h.negative.counts.len();
    if let Some(finest) = limits.histogram_schema_max
        && !histogram.is_custom()
        && histogram.schema > finest
    {
        histogram = coarser(&histogram, finest);
    }
    let max = limits.histogram_buckets_max;
    while max > 0 && buckets(&histogram) as u64 > max {
        if histogram.is_custom() || histogram.schema <= *EXPONENTIAL_SCHEMAS.start() {
            return Err(buckets(&histogram));
        }
        histogram = coarser(&histogram, histogram.schema - 1);
    }
    Ok(histogram)
}

fn short(text: &str) -> String {
    text.chars().take(50).collect()
}

impl Memory {
    /// Names of the series on the last page.
    pub fn names(&self) -> BTreeSet<String> {
        self.live.keys().filter_map(|labels| labels.metric_name()).map(str::to_owned).collect()
    }

    /// Series that end when they are missing, to be ended.
    pub fn take_live(&mut self) -> impl Iterator<Item = (Arc<Labels>, bool)> + use<> {
        std::mem::take(&mut self.live).into_iter()
    }

    /// Takes over the series of another target; those that the next page lacks are to be ended.
    pub fn inherit(&mut self, other: &mut Self) {
        for (labels, is_histogram) in other.take_live() {
            self.live.entry(labels).or_insert(is_histogram);
        }
    }

    /// Turns a page into what is written. An error fails the whole scrape; the counts say how far it came.
    ///
    /// `started_after` is the instant up to which the target was surely being scraped: a start before it was seen.
    pub fn take(
        &mut self,
        page: Page,
        target: &Labels,
        job: &Arc<Job>,
        at_ms: i64,
        started_after: i64,
        taken: &mut Taken,
    ) -> Result<(), String> {
        let done = self.read(page, target, job, at_ms, started_after, taken);
        self.forget(done.is_ok() && !taken.is_part);
        done
    }

    fn read(
        &mut self,
        page: Page,
        target: &Labels,
        job: &Arc<Job>,
        at_ms: i64,
        started_after: i64,
        taken: &mut Taken,
    ) -> Result<(), String> {
        if self.job.as_ref().is_none_or(|known| !Arc::ptr_eq(known, job)) {
            self.known.clear();
            self.job = Some(job.clone());
        }
        self.scrapes += 1;
        let samples_max = job.limits.samples_max;
        for mut sample in page.samples {
            taken.scraped += 1;
            let t_ms = sample.t_ms.filter(|_| job.honor_timestamps);
            if t_ms.is_some_and(|t| t > at_ms.saturating_add(AHEAD_MS_MAX)) {
                taken.ahead += 1;
                continue;
            }
            let (scrapes, added) = (self.scrapes, &mut taken.added);
            if !self.known.contains_key(&sample.labels) {
                let joined = with_target_labels(&sample, target, job.honor_labels);
                // Rules that leave no label drop the series, as in Prometheus.
                let labels = apply(&job.metric_relabel, joined).filter(|labels| !labels.is_empty());
                if let Some(labels) = &labels {
                    check_labels(labels, job)?;
                    if labels.metric_name().is_none() {
                        return Err(format!("relabelling leaves {} without a metric name", sample.labels));
                    }
                    *added += 1;
                }
                let fresh = Known { labels: labels.map(Arc::new), created_ms: None, exemplar: None, seen: scrapes };
                self.known.insert(sample.labels.clone(), fresh);
            }
            let Some(known) = self.known.get_mut(&sample.labels) else { continue };
            known.seen = scrapes;
            let Some(labels) = known.labels.clone() else { continue };
            if let Some(histogram) = sample.histogram.take() {
                let fits = within(histogram, &job.limits).map_err(|buckets| {
                    let (metric, max) =
                        (short(labels.metric_name().unwrap_or_default()), job.limits.histogram_buckets_max);
                    format!(
                        "native_histogram_bucket_limit exceeded (metric: {metric}, number of buckets: {buckets}, limit: {max})"
                    )
                })?;
                sample.histogram = Some(fits);
            }
            taken.kept += 1;
            // Beyond the limit the rest is only counted.
            if samples_max == 0 || taken.kept as u64 <= samples_max {
                if t_ms.is_none() || job.track_timestamps_staleness {
                    taken.live.insert(labels.clone(), sample.histogram.is_some());
                }
                known.write(labels, sample, t_ms.unwrap_or(at_ms), at_ms, started_after, taken);
            }
        }
        if samples_max > 0 && taken.kept as u64 > samples_max {
            return Err(format!("sample_limit exceeded (number of samples: {}, limit: {samples_max})", taken.kept));
        }
        Ok(())
    }

    /// Forgets what the last page did not have: when it was read whole, or when there is much more than was of late, as with
    /// pages that are refused and have other series each time.
    fn forget(&mut self, whole: bool) {
        if whole || self.known.len() > 2 * self.usual + KNOWN_SLACK {
            let seen = self.scrapes;
            self.known.retain(|_, known| known.seen == seen);
        }
        if whole {
            self.usual = self.known.len();
        }
    }

    /// Takes over which series live now; those that do no longer are to be ended.
    pub fn ended(&mut self, taken: &mut Taken) -> Vec<(Arc<Labels>, bool)> {
        let before = std::mem::replace(&mut self.live, std::mem::take(&mut taken.live));
        before.into_iter().filter(|(labels, _)| !self.live.contains_key(labels)).collect()
    }
}

impl Taken {
    /// After an error: nothing of the page is written, its series end.
    pub fn fail(&mut self) {
        self.writes.clear();
        self.live.clear();
    }
}

impl Known {
    fn write(
        &mut self,
        labels: Arc<Labels>,
        sample: PageSample,
        t_ms: i64,
        at_ms: i64,
        started_after: i64,
        taken: &mut Taken,
    ) {
        let oldest = started_after.max(at_ms - START_AGE_MS_MAX);
        let start = sample.created_ms.filter(|c| self.created_ms != Some(*c) && *c > oldest && *c < t_ms);
        self.created_ms = sample.created_ms.or(self.created_ms);
        let created_ms = sample.created_ms.filter(|c| *c < t_ms);
        let mut write = if let Some(histogram) = &sample.histogram {
            if let Some(start) = start {
                let empty = Histogram {
                    schema: histogram.schema,
                    zero_threshold: histogram.zero_threshold,
                    bounds: histogram.bounds.clone(),
                    ..Histogram::default()
                };
                taken.writes.push(Write::histogram(labels.clone(), start, Arc::new(empty)));
            }
            Write::histogram(labels, t_ms, histogram.clone())
        } else {
            if let Some(start) = start {
                taken.writes.push(Write::float(labels.clone(), start, 0.0));
            }
            Write::float(labels, t_ms, sample.value)
        };
        write.created_ms = created_ms;
        write.exemplars = self.new_exemplars(sample, t_ms, at_ms, taken);
        taken.writes.push(write);
    }

    /// A page repeats its exemplars until they are replaced.
    fn new_exemplars(&mut self, sample: PageSample, t_ms: i64, at_ms: i64, taken: &mut Taken) -> Vec<Exemplar> {
        let mut out = Vec::new();
        let untimed =
            |e: &Exemplar, kept: &Exemplar| e.labels == kept.labels && e.value.to_bits() == kept.value.to_bits();
        let mut all: Vec<(bool, Exemplar)> = sample
            .exemplars
            .into_iter()
            .map(|e| (e.t_ms.is_some(), Exemplar { labels: e.labels, value: e.value, t_ms: e.t_ms.unwrap_or(t_ms) }))
            .collect();
        all.sort_by_key(|(_, e)| e.t_ms);
        for (timed, exemplar) in all {
            let chars: usize = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
            if chars > EXEMPLAR_CHARS_MAX {
                taken.long_exemplars += 1;
                continue;
            }
            let is_new = match &self.exemplar {
                None => true,
                Some(kept) if timed => exemplar.t_ms > kept.t_ms,
                Some(kept) => !untimed(&exemplar, kept),
            };
            if is_new && exemplar.t_ms <= at_ms.saturating_add(AHEAD_MS_MAX) {
                self.exemplar = Some(exemplar.clone());
                out.push(exemplar);
            }
        }
        out
    }
}

/// Hands what is to be written over in the store's shape.
pub(super) fn with_series<T>(writes: &[Write], give: impl FnOnce(&[SeriesWrite<'_>]) -> T) -> T {
    let mut labels = Vec::with_capacity(writes.len() * 6);
    let mut ends = Vec::with_capacity(writes.len());
    for write in writes {
        labels.extend(write.labels.iter());
        ends.push(labels.len());
    }
    let mut start = 0;
    let series: Vec<SeriesWrite<'_>> = writes
        .iter()
        .zip(ends)
        .map(|(write, end)| {
            let labels = &labels[std::mem::replace(&mut start, end)..end];
            SeriesWrite {
                labels,
                points: write.point.as_slice(),
                histograms: write.histogram.as_slice(),
                exemplars: &write.exemplars,
                created_ms: write.created_ms,
            }
        })
        .collect();
    give(&series)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;

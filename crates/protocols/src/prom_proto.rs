//! Metrics pages in protobuf: `io.prometheus.client.MetricFamily` messages, each with its length before it.
//!
//! Source: `io/prometheus/client/metrics.proto` of client_model, and how Prometheus 3 makes series of it
//! (`model/textparse/protobufparse.go`). Bounded in samples ([`SAMPLES_MAX`] mostly) and by [`LABEL_BYTES_MAX`].

mod write;

use std::sync::Arc;

use tenfold_types::{Histogram, Labels, ResetHint};
pub use write::{CONTENT_TYPE, Family, FamilyKind, FamilyValue, classic};

use crate::exposition::{
    Histograms, Metadata, Page, PageExemplar, PageSample, SAMPLES_MAX, canonical_float, too_many_samples,
};
use crate::remote_write::HISTOGRAM_BUCKETS_MAX;
use crate::remote_write::histogram::{Side, Wrong, side};
use crate::wire::{Fields, Value, WireError, number};

/// Labels of all samples of a page, in bytes: each bucket of a histogram repeats them. Of a large page it is
/// [`LABEL_BYTES_PER_BYTE`] for each of its own, and [`LABEL_BYTES_MOST`] at most.
pub const LABEL_BYTES_MAX: usize = 128 << 20;
const LABEL_BYTES_PER_BYTE: usize = 8;
const LABEL_BYTES_MOST: usize = 512 << 20;

/// Labels of one metric, and of one exemplar.
const LABELS_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("metric family {family}: {message}")]
pub struct ProtoError {
    /// Counted from 1.
    pub family: usize,
    pub message: String,
    /// What stood before it.
    pub read: Box<Page>,
}

/// What a family's kind is called, by its number.
const KINDS: [&str; 6] = ["counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram"];
const COUNTER: u64 = 0;
const GAUGE_HISTOGRAM: u64 = 5;

/// Reads a whole page.
pub fn parse(body: &[u8], histograms: Histograms) -> Result<Page, ProtoError> {
    parse_within(body, histograms, SAMPLES_MAX)
}

/// The same of a page that may have so many samples.
pub fn parse_within(mut body: &[u8], histograms: Histograms, samples_max: usize) -> Result<Page, ProtoError> {
    let label_bytes_max = body.len().saturating_mul(LABEL_BYTES_PER_BYTE).clamp(LABEL_BYTES_MAX, LABEL_BYTES_MOST);
    let mut reader = Reader { page: Page::default(), histograms, samples_max, label_bytes: 0, label_bytes_max };
    let mut family = 0;
    while !body.is_empty() {
        family += 1;
        let read = next(&mut body).map_err(Fault::from).and_then(|message| reader.family(message));
        if let Err(fault) = read {
            return Err(ProtoError { family, message: fault.0, read: reader.page.into() });
        }
    }
    Ok(reader.page)
}

fn next<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(number(body)?).map_err(|_| WireError::Truncated)?;
    let (message, rest) = body.split_at_checked(length).ok_or(WireError::Truncated)?;
    *body = rest;
    Ok(message)
}

struct Fault(String);

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self(error.to_string())
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Self(wrong.to_string())
    }
}

struct Reader {
    page: Page,
    histograms: Histograms,
    samples_max: usize,
    label_bytes: usize,
    label_bytes_max: usize,
}

/// What every sample of a metric shares.
struct Metric<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    t_ms: Option<i64>,
}

impl<'a> Metric<'a> {
    fn read(name: &'a str, message: &'a [u8]) -> Result<Self, Fault> {
        let mut metric = Self { name, labels: Vec::new(), t_ms: None };
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 if metric.labels.len() >= LABELS_MAX => {
                    return Err(Fault(format!("a metric of `{name}` has more than {LABELS_MAX} labels")));
                }
                1 => metric.labels.push(pair(value.bytes(field)?)?),
                6 => metric.t_ms = Some(value.number(field)? as i64).filter(|t| *t != 0),
                _ => {}
            }
        }
        Ok(metric)
    }
}

fn pair(message: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut text) = ("", "");
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => name = value.text(field)?,
            2 => text = value.text(field)?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// A `google.protobuf.Timestamp` in milliseconds.
fn timestamp(message: &[u8]) -> Result<Option<i64>, WireError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => seconds = value.number(field)? as i64,
            2 => nanos = value.number(field)? as i64,
            _ => {}
        }
    }
    Ok(seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(nanos / 1_000_000)))
}

fn exemplar(message: &[u8]) -> Result<PageExemplar, WireError> {
    let mut out = PageExemplar { labels: Labels::new(), value: 0.0, t_ms: None };
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => {
                let (name, text) = pair(value.bytes(field)?)?;
                if out.labels.len() < LABELS_MAX {
                    out.labels.set(name, text);
                }
            }
            2 => out.value = value.double(field)?,
            3 => out.t_ms = timestamp(value.bytes(field)?)?,
            _ => {}
        }
    }
    Ok(out)
}

impl Reader {
    fn family(&mut self, message: &[u8]) -> Result<(), Fault> {
        let (mut name, mut kind, mut metadata) = ("", COUNTER, Metadata::default());
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => name = value.text(field)?,
                2 => value.text(field)?.clone_into(&mut metadata.help),
                3 => kind = value.number(field)?,
                5 => value.text(field)?.clone_into(&mut metadata.unit),
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(Fault("it has no name".to_owned()));
        }
        let known = usize::try_from(kind).ok().and_then(|k| KINDS.get(k)).copied();
        let known = known.ok_or_else(|| Fault(format!("`{name}` is of an unknown kind ({kind})")))?;
        known.clone_into(&mut metadata.kind);
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            if field == 4 {
                let metric = value.bytes(field)?;
                self.metric(&Metric::read(name, metric)?, kind, metric)?;
            }
        }
        self.page.metadata.insert(name.to_owned(), metadata);
        Ok(())
    }

    fn metric(&mut self, metric: &Metric<'_>, kind: u64, message: &[u8]) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                2 | 3 | 5 => self.single(metric, value.bytes(field)?)?,
                4 => self.summary(metric, value.bytes(field)?)?,
                7 => self.histogram(metric, kind == GAUGE_HISTOGRAM, value.bytes(field)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A gauge, a counter or a metric of no kind: they have the same first field.
    fn single(&mut self, metric: &Metric<'_>, message: &[u8]) -> Result<(), Fault> {
        let (mut number, mut exemplars, mut created_ms) = (0.0, Vec::new(), None);
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => number = value.double(field)?,
                2 => exemplars.push(exemplar(value.bytes(field)?)?),
                3 => created_ms = timestamp(value.bytes(field)?)?,
                _ => {}
            }
        }
        let sample = self.add(metric, "", None, number)?;
        sample.exemplars = exemplars;
        sample.created_ms = created_ms;
        Ok(())
    }

    fn summary(&mut self, metric: &Metric<'_>, message: &[u8]) -> Result<(), Fault> {
        let (mut count, mut sum, mut quantiles, mut created_ms) = (0.0, 0.0, Vec::new(), None);
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => count = value.number(field)? as f64,
                2 => sum = value.double(field)?,
                3 => quantiles.push(two_doubles(value.bytes(field)?)?),
                4 => created_ms = timestamp(value.bytes(field)?)?,
                _ => {}
            }
        }
        self.add(metric, "_count", None, count)?.created_ms = created_ms;
        self.add(metric, "_sum", None, sum)?.created_ms = created_ms;
        for (quantile, value) in quantiles {
            self.add(metric, "", Some(("quantile", quantile)), value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, metric: &Metric<'_>, is_gauge: bool, message: &[u8]) -> Result<(), Fault> {
        let read = Read::of(message)?;
        let native = self.histograms.native && read.is_native;
        if native {
            let histogram = read.native(is_gauge)?;
            let sample = self.add(metric, "", None, histogram.sum)?;
            sample.histogram = Some(Arc::new(histogram));
            sample.created_ms = read.created_ms;
            // Bucket exemplars without a time cannot be told apart from those of the scrape before.
            let of_buckets = || read.buckets.iter().filter_map(|b| b.exemplar.clone()).filter(|e| e.t_ms.is_some());
            sample.exemplars = if read.exemplars.is_empty() { of_buckets().collect() } else { read.exemplars.clone() };
            if !self.histograms.classic_too || read.buckets.is_empty() {
                return Ok(());
            }
        }
        self.add(metric, "_count", None, read.count)?.created_ms = read.created_ms;
        self.add(metric, "_sum", None, read.sum)?.created_ms = read.created_ms;
        let is_whole = read.buckets.last().is_some_and(|b| b.upper == f64::INFINITY);
        for bucket in read.buckets {
            let sample = self.add(metric, "_bucket", Some(("le", bucket.upper)), bucket.count)?;
            sample.created_ms = read.created_ms;
            sample.exemplars.extend(bucket.exemplar);
        }
        if !is_whole {
            self.add(metric, "_bucket", Some(("le", f64::INFINITY)), read.count)?.created_ms = read.created_ms;
        }
        Ok(())
    }

    fn add(
        &mut self,
        metric: &Metric<'_>,
        suffix: &str,
        bound: Option<(&str, f64)>,
        value: f64,
    ) -> Result<&mut PageSample, Fault> {
        if self.page.samples.len() >= self.samples_max {
            return Err(Fault(too_many_samples(self.samples_max)));
        }
        let bytes: usize = metric.labels.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.label_bytes += bytes + metric.name.len();
        if self.label_bytes > self.label_bytes_max {
            let max = self.label_bytes_max;
            return Err(Fault(format!("the labels of all samples have more than {max} bytes")));
        }
        let mut labels = Labels::from_pairs(metric.labels.iter().copied());
        labels.set(Labels::NAME, format!("{}{suffix}", metric.name));
        if let Some((name, bound)) = bound {
            labels.set(name, canonical_float(bound));
        }
        let mut sample = PageSample::new(labels, value, metric.t_ms);
        sample.blank = metric.labels.iter().filter(|(_, text)| text.is_empty()).map(|(n, _)| (*n).to_owned()).collect();
        Ok(self.page.samples.push_mut(sample))
    }
}

fn two_doubles(message: &[u8]) -> Result<(f64, f64), WireError> {
    let mut out = (0.0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => out.0 = value.double(field)?,
            2 => out.1 = value.double(field)?,
            _ => {}
        }
    }
    Ok(out)
}

struct Bucket {
    upper: f64,
    count: f64,
    exemplar: Option<PageExemplar>,
}

impl Bucket {
    fn read(message: &[u8]) -> Result<Self, WireError> {
        let mut out = Self { upper: 0.0, count: 0.0, exemplar: None };
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => out.count = value.number(field)? as f64,
                2 => out.upper = value.double(field)?,
                3 => out.exemplar = Some(exemplar(value.bytes(field)?)?),
                4 => float(&mut out.count, value, field)?,
                _ => {}
            }
        }
        Ok(out)
    }
}

/// Float counts win over integer ones where they are set.
fn float(into: &mut f64, value: Value<'_>, field: u32) -> Result<(), WireError> {
    match value.double(field)? {
        float if float > 0.0 => *into = float,
        _ => {}
    }
    Ok(())
}

/// A histogram as it is written: classic buckets, a native one, or both.
#[derive(Default)]
struct Read {
    count: f64,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: f64,
    negative: Side,
    positive: Side,
    buckets: Vec<Bucket>,
    exemplars: Vec<PageExemplar>,
    created_ms: Option<i64>,
    is_native: bool,
}

impl Read {
    fn of(message: &[u8]) -> Result<Self, Fault> {
        let mut h = Self::default();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => h.count = value.number(field)? as f64,
                2 => h.sum = value.double(field)?,
                3 => h.buckets.push(Bucket::read(value.bytes(field)?)?),
                4 => float(&mut h.count, value, field)?,
                5 => h.schema = value.signed(field)? as i32,
                6 => h.zero_threshold = value.double(field)?,
                7 => h.zero_count = value.number(field)? as f64,
                8 => float(&mut h.zero_count, value, field)?,
                9..=11 => side(&mut h.negative, field, field - 9, value)?,
                12..=14 => side(&mut h.positive, field, field - 12, value)?,
                15 => h.created_ms = timestamp(value.bytes(field)?)?,
                16 => h.exemplars.push(exemplar(value.bytes(field)?)?),
                _ => {}
            }
            if h.buckets.len().max(h.exemplars.len()) > SAMPLES_MAX {
                return Err(Fault(format!("more than {SAMPLES_MAX} buckets or exemplars in one histogram")));
            }
        }
        // A native histogram without observations is told from a classic one by its empty span or its threshold.
        h.is_native = h.zero_threshold > 0.0 || h.zero_count > 0.0 || h.negative.size() > 0 || h.positive.size() > 0;
        Ok(h)
    }

    fn native(&self, is_gauge: bool) -> Result<Histogram, Fault> {
        if self.negative.size().max(self.positive.size()) > HISTOGRAM_BUCKETS_MAX {
            return Err(Wrong::TooManyBuckets.into());
        }
        let mut h = Histogram {
            reset_hint: if is_gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive: self.positive.clone().buckets(),
            negative: self.negative.clone().buckets(),
            bounds: Arc::from([]),
        };
        // The span that only says "I am native" holds no bucket.
        for buckets in [&mut h.positive, &mut h.negative] {
            if buckets.counts.is_empty() && buckets.spans.iter().all(|s| s.length == 0) {
                buckets.spans.clear();
            }
        }
        h.validate().map_err(|wrong| Fault(wrong.to_string()))?;
        Ok(h)
    }
}

#[cfg(test)]
mod tests;

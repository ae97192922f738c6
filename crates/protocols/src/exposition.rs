//! A metrics page of any format, as a scrape gets it: which format it is, and samples, metadata, exemplars and starts of
//! counters out of its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenfold_types::histogram::short_float;
use tenfold_types::{Histogram, Labels};

use crate::{ganglia, nhcb, prom_proto, prom_text};

/// Samples a page may hold that is not large and has no limit of its own.
pub const SAMPLES_MAX: usize = 200_000;
/// Samples a page may hold whatever is set.
pub const SAMPLES_MOST: usize = 2_000_000;
/// A large page may have a sample for each so many bytes: few lines are shorter, and whoever allows the bytes has the memory.
const BYTES_PER_SAMPLE: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text, version 0.0.4 or 1.0.0.
    #[default]
    Prometheus,
    /// Timestamps are seconds, the page ends with `# EOF`, exemplars may follow a value.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each with its length before it: the only one that carries native histograms.
    Protobuf,
    /// The XML of gmond and gmetad, which does not come by HTTP.
    Ganglia,
}

impl Format {
    /// What a `Content-Type` names; `None` for anything that is no metrics page.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let kind = parts.next()?.to_ascii_lowercase();
        let has = |wanted: &str| value.split(';').any(|p| p.trim().replace(' ', "").eq_ignore_ascii_case(wanted));
        match kind.as_str() {
            "text/plain" => Some(Self::Prometheus),
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "application/vnd.google.protobuf"
                if has("proto=io.prometheus.client.MetricFamily") && has("encoding=delimited") =>
            {
                Some(Self::Protobuf)
            }
            _ => None,
        }
    }
}

/// An observation behind a sample, mostly the id of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct PageExemplar {
    pub labels: Labels,
    pub value: f64,
    /// `None` for that of the sample.
    pub t_ms: Option<i64>,
}

/// One sample; the metric's name is the label `__name__`.
#[derive(Debug, Clone, PartialEq)]
pub struct PageSample {
    pub labels: Labels,
    /// Labels that stand on the page without a value: where the page's labels win, the target's do not take their place.
    pub blank: Box<[String]>,
    /// The sum of a native histogram.
    pub value: f64,
    pub histogram: Option<Arc<Histogram>>,
    /// When the page says so; otherwise the instant of the scrape counts.
    pub t_ms: Option<i64>,
    /// When what is counted began to be counted.
    pub created_ms: Option<i64>,
    pub exemplars: Vec<PageExemplar>,
}

impl PageSample {
    pub fn new(labels: Labels, value: f64, t_ms: Option<i64>) -> Self {
        Self { labels, blank: Box::default(), value, histogram: None, t_ms, created_ms: None, exemplars: Vec::new() }
    }
}

/// What a page says of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary`, `unknown`, ...
    pub kind: String,
    pub help: String,
    pub unit: String,
}

/// Bytes that are kept of each text about a family: a sender may say a long one of many families.
pub const ABOUT_BYTES_MAX: usize = 1_024;

/// The beginning of a text about a family.
pub fn about(text: &str) -> &str {
    &text[..text.floor_char_boundary(ABOUT_BYTES_MAX)]
}

impl Metadata {
    /// The same with no more of its texts than is kept.
    #[must_use]
    pub fn kept(self) -> Self {
        let kept = |text: String| if text.len() > ABOUT_BYTES_MAX { about(&text).to_owned() } else { text };
        Self { kind: kept(self.kind), help: kept(self.help), unit: kept(self.unit) }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub samples: Vec<PageSample>,
    pub metadata: BTreeMap<String, Metadata>,
}

/// Which histograms are wanted of a page that has both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histograms {
    pub native: bool,
    /// Whether the classic buckets of a native histogram are kept as well.
    pub classic_too: bool,
    /// Whether classic histograms become native ones with custom buckets; with `classic_too` they stay as well.
    pub convert: bool,
}

impl Default for Histograms {
    fn default() -> Self {
        Self { native: true, classic_too: true, convert: false }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExpositionError {
    #[error("the page is not UTF-8")]
    Text,
    #[error(transparent)]
    Line(#[from] prom_text::PageError),
    #[error(transparent)]
    Proto(#[from] prom_proto::ProtoError),
    #[error(transparent)]
    Ganglia(#[from] ganglia::GangliaXmlError),
}

impl ExpositionError {
    /// What stood before the place where the page went wrong.
    pub fn read(self) -> Page {
        match self {
            Self::Text | Self::Ganglia(_) => Page::default(),
            Self::Line(e) => *e.read,
            Self::Proto(e) => *e.read,
        }
    }
}

/// How many samples a page of so many bytes may hold. Of as many as `sample_limit` may be left of it, rules may have dropped
/// as many again; 0 is no limit.
fn samples_max(bytes: usize, sample_limit: u64) -> usize {
    let set = usize::try_from(sample_limit.saturating_mul(2)).unwrap_or(usize::MAX);
    SAMPLES_MAX.max(bytes / BYTES_PER_SAMPLE).max(set).min(SAMPLES_MOST)
}

/// What is said of a page that has more samples than it may.
pub(crate) fn too_many_samples(max: usize) -> String {
    if max < SAMPLES_MOST {
        format!("more than {max} samples on one page; with a higher `sample_limit` it may have more")
    } else {
        format!("more than {max} samples on one page; have the target tell fewer, or split it")
    }
}

/// Reads a whole page. One thing that cannot be read fails all of it, as in Prometheus: half a page would look like series
/// that vanished. `sample_limit` is the job's, 0 for none.
pub fn read(body: &[u8], format: Format, histograms: Histograms, sample_limit: u64) -> Result<Page, ExpositionError> {
    let samples_max = samples_max(body.len(), sample_limit);
    let mut page = match format {
        Format::Protobuf => prom_proto::parse_within(body, histograms, samples_max)?,
        Format::Ganglia => return Ok(ganglia::parse_xml(body)?),
        Format::Prometheus | Format::OpenMetrics => {
            let text = std::str::from_utf8(body).map_err(|_| ExpositionError::Text)?;
            prom_text::parse_within(text, format, samples_max)?
        }
    };
    if histograms.convert {
        nhcb::convert(&mut page, histograms.classic_too);
    }
    Ok(page)
}

/// A number as OpenMetrics writes it in the labels `le` and `quantile`: `1.0`, `0.25`, `1e+06`. Prometheus 3 writes it so
/// whatever the page's format, so that a series is the same in each.
pub fn canonical_float(value: f64) -> String {
    let mut text = short_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_content_type() {
        let proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        for (text, format) in [
            ("text/plain; version=0.0.4; charset=utf-8; escaping=values", Some(Format::Prometheus)),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
            (proto, Some(Format::Protobuf)),
            ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Format::from_content_type(text), format, "{text}");
        }
    }

    #[test]
    fn a_page_has_as_many_samples_as_its_job_allows() {
        const SAMPLES: usize = SAMPLES_MAX + 1;
        let lines: Vec<String> = (0..SAMPLES).map(|n| format!("a{{n=\"{n}\"}} 1")).collect();
        let text = lines.join("\n");
        let mut proto = Vec::new();
        let mut family = prom_proto::Family::new("a", prom_proto::FamilyKind::Untyped);
        for n in 0..SAMPLES {
            family.put([("n", n.to_string().as_str())], 1, prom_proto::FamilyValue::Float(1.0));
        }
        family.end(&mut proto);
        for (body, format) in [(text.as_bytes(), Format::Prometheus), (proto.as_slice(), Format::Protobuf)] {
            let read = |sample_limit| read(body, format, Histograms::default(), sample_limit);
            let refused = read(0).expect_err("it is not so large").to_string();
            assert!(refused.contains("more than 200000 samples on one page"), "{refused}");
            let whole = read(SAMPLES as u64 / 2 + 1).expect("rules may drop half of it");
            assert_eq!(whole.samples.len(), SAMPLES);
        }
        let large = 64 << 20;
        assert_eq!(samples_max(large, 0), large / BYTES_PER_SAMPLE, "a large page may have more");
        assert_eq!([samples_max(1 << 30, 0), samples_max(0, u64::MAX)], [SAMPLES_MOST; 2]);
        assert_eq!(samples_max(large, 1_000), samples_max(large, 0), "what is left of it is counted later");
    }

    #[test]
    fn numbers_in_labels_have_one_form() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.25, "0.25"),
            (10.0, "10.0"),
            (1e6, "1e+06"),
            (123_456.0, "123456.0"),
            (1e-5, "1e-05"),
            (f64::INFINITY, "+Inf"),
            (-1.0, "-1.0"),
        ] {
            assert_eq!(canonical_float(value), text);
        }
    }
}

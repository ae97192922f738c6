//! A metrics page of any format, as a scrape gets it: which format it is, and samples, metadata, exemplars and starts of
//! counters out of its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenfold_types::histogram::short_float;
use tenfold_types::{Histogram, Labels};

use crate::{ganglia, nhcb, prom_proto, prom_text};

/// Samples one page may hold.
pub const SAMPLES_MAX: usize = 200_000;

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
        Self { labels, value, histogram: None, t_ms, created_ms: None, exemplars: Vec::new() }
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

/// Reads a whole page. One thing that cannot be read fails all of it, as in Prometheus: half a page would look like series
/// that vanished.
pub fn read(body: &[u8], format: Format, histograms: Histograms) -> Result<Page, ExpositionError> {
    let mut page = match format {
        Format::Protobuf => prom_proto::parse(body, histograms)?,
        Format::Ganglia => return Ok(ganglia::parse_xml(body)?),
        Format::Prometheus | Format::OpenMetrics => {
            let text = std::str::from_utf8(body).map_err(|_| ExpositionError::Text)?;
            prom_text::parse(text, format)?
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

//! The other direction: metric families as Prometheus' federation writes them (`web/federate.go`).
//!
//! A family has one kind. Values of several kinds under one name are several families of that name, as there. Counts are
//! floats: that is what the store has.

use tenfold_types::histogram::Buckets;
use tenfold_types::{Histogram, Labels, ResetHint};

use crate::wire_out::Writer;

/// What a server of this format says its answer is; how names are written follows after `escaping=`.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// What a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FamilyKind {
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl FamilyKind {
    /// By the number of `MetricType`.
    fn number(self) -> u64 {
        match self {
            Self::Untyped => 3,
            Self::Histogram => 4,
            Self::GaugeHistogram => super::GAUGE_HISTOGRAM,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FamilyValue<'v> {
    Float(f64),
    Histogram(&'v Histogram),
}

impl FamilyValue<'_> {
    pub fn kind(&self) -> FamilyKind {
        match self {
            Self::Float(_) => FamilyKind::Untyped,
            Self::Histogram(h) if h.reset_hint == ResetHint::Gauge => FamilyKind::GaugeHistogram,
            Self::Histogram(_) => FamilyKind::Histogram,
        }
    }
}

/// A family as it grows.
#[derive(Debug)]
pub struct Family(Writer);

impl Family {
    pub fn new(name: &str, kind: FamilyKind) -> Self {
        let mut out = Writer::default();
        out.text(1, name);
        out.number(3, kind.number());
        Self(out)
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One series with its newest sample; the metric's name is the family's. Labels with empty values are written as they are:
    /// they keep a scraper from setting its own.
    pub fn put<'l>(&mut self, labels: impl IntoIterator<Item = (&'l str, &'l str)>, t_ms: i64, value: FamilyValue<'_>) {
        self.0.message(4, |metric| {
            for (name, text) in labels.into_iter().filter(|(name, _)| *name != Labels::NAME) {
                metric.message(1, |pair| {
                    pair.text(1, name);
                    pair.text(2, text);
                });
            }
            match value {
                FamilyValue::Float(number) => metric.message(5, |untyped| untyped.double(1, number)),
                FamilyValue::Histogram(h) if h.is_custom() => metric.message(7, |m| put_listed(m, h)),
                FamilyValue::Histogram(h) => metric.message(7, |m| put_exponential(m, h)),
            }
            metric.number(6, t_ms as u64);
        });
    }

    /// With its length before it.
    pub fn end(self, out: &mut Vec<u8>) {
        let mut length = Writer::default();
        length.varint(self.0.len() as u64);
        out.extend_from_slice(&length.into_bytes());
        out.extend_from_slice(&self.0.into_bytes());
    }
}

fn put_exponential(m: &mut Writer, h: &Histogram) {
    m.double(2, h.sum);
    m.double(4, h.count);
    m.signed(5, i64::from(h.schema));
    m.double(6, h.zero_threshold);
    m.double(8, h.zero_count);
    put_side(m, 9, &h.negative);
    put_side(m, 12, &h.positive);
    let says_so = h.zero_threshold > 0.0 || h.zero_count > 0.0;
    if !says_so && h.negative.spans.is_empty() && h.positive.spans.is_empty() {
        // Without a bucket this span tells a native histogram from a classic one.
        m.message(12, |span| put_span(span, 0, 0));
    }
}

fn put_span(span: &mut Writer, offset: i32, length: u32) {
    span.signed(1, i64::from(offset));
    span.number(2, u64::from(length));
}

/// Spans, and two fields further their counts.
fn put_side(m: &mut Writer, field: u32, side: &Buckets) {
    for span in &side.spans {
        m.message(field, |out| put_span(out, span.offset, span.length));
    }
    m.doubles(field + 2, &side.counts);
}

/// The format has no custom buckets: they are written as the classic ones that they mostly were.
fn put_listed(m: &mut Writer, h: &Histogram) {
    m.double(2, h.sum);
    m.double(4, h.count);
    for (bound, count) in classic(h) {
        m.message(3, |bucket| {
            bucket.double(2, bound);
            bucket.double(4, count);
        });
    }
}

/// The classic buckets of a histogram with custom ones: their upper bounds, each with the count up to it.
pub fn classic(h: &Histogram) -> Vec<(f64, f64)> {
    let mut out = Vec::with_capacity(h.bounds.len() + 1);
    let (mut counts, mut up_to) = (h.positive.indexed().peekable(), 0.0);
    for (at, bound) in h.bounds.iter().enumerate() {
        while let Some((_, count)) = counts.next_if(|(index, _)| usize::try_from(*index).is_ok_and(|i| i <= at)) {
            up_to += count;
        }
        out.push((*bound, up_to));
    }
    out.push((f64::INFINITY, h.count));
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tenfold_types::histogram::CUSTOM_SCHEMA;

    use super::*;
    use crate::exposition::{Histograms, Page};
    use crate::prom_proto::parse;

    fn read(families: Vec<Family>) -> Page {
        let mut page = Vec::new();
        for family in families {
            family.end(&mut page);
        }
        parse(&page, Histograms::default()).expect("what is written is read")
    }

    fn one(value: FamilyValue<'_>) -> Page {
        let mut family = Family::new("m", value.kind());
        family.put([("__name__", "m"), ("job", "web"), ("instance", "")], 12_500, value);
        read(vec![family])
    }

    #[test]
    fn floats_are_read_as_they_were() {
        for value in [0.0, -1.5, f64::INFINITY, 1e300] {
            let page = one(FamilyValue::Float(value));
            assert_eq!(page.metadata["m"].kind, "unknown");
            let sample = &page.samples[0];
            assert_eq!((sample.labels.to_string(), sample.t_ms), ("m{job=\"web\"}".to_owned(), Some(12_500)));
            assert_eq!((sample.value, page.samples.len()), (value, 1));
        }
        assert!(one(FamilyValue::Float(f64::NAN)).samples[0].value.is_nan());
    }

    #[test]
    fn families_of_one_name_and_several_kinds_are_read() {
        let gauge = Histogram { count: 1.0, reset_hint: ResetHint::Gauge, ..Histogram::default() };
        let counter = Histogram { count: 2.0, zero_count: 2.0, zero_threshold: 0.5, ..Histogram::default() };
        let values = [FamilyValue::Float(3.0), FamilyValue::Histogram(&counter), FamilyValue::Histogram(&gauge)];
        let family = |value: FamilyValue<'_>| {
            let mut family = Family::new("m", value.kind());
            family.put([("kind", "x")], -5, value);
            family
        };
        let page = read(values.into_iter().map(family).collect());
        assert_eq!(page.samples.len(), 3);
        assert_eq!((page.samples[0].value, page.samples[0].t_ms), (3.0, Some(-5)));
        let histogram = |at: usize| page.samples[at].histogram.clone().expect("a native histogram");
        assert_eq!(*histogram(1), counter);
        assert_eq!(*histogram(2), gauge, "one without a bucket is still told to be native");
    }

    #[test]
    fn custom_buckets_are_read_as_classic_ones() {
        let listed = Histogram {
            schema: CUSTOM_SCHEMA,
            count: 7.0,
            sum: 9.25,
            positive: Buckets::from_indexed([(0, 2.0), (2, 4.0), (3, 1.0)]),
            bounds: Arc::from([0.5, 1.0, 5.0]),
            ..Histogram::default()
        };
        let page = one(FamilyValue::Histogram(&listed));
        let told: Vec<_> = page.samples.iter().map(|s| format!("{} {}", s.labels, s.value)).collect();
        let bucket = |le: &str, count: u8| format!("m_bucket{{job=\"web\",le=\"{le}\"}} {count}");
        assert_eq!(told[..2], ["m_count{job=\"web\"} 7", "m_sum{job=\"web\"} 9.25"]);
        assert_eq!(told[2..], [bucket("0.5", 2), bucket("1.0", 2), bucket("5.0", 6), bucket("+Inf", 7)]);
    }

    fn side() -> impl Strategy<Value = Buckets> {
        proptest::collection::btree_map(-40_i32..40, 0.0_f64..1e9, 0..12).prop_map(Buckets::from_indexed)
    }

    proptest! {
        #[test]
        fn histograms_are_read_as_they_were(
            schema in -4_i32..=8,
            (zero_threshold, zero_count) in (0.0_f64..2.0, 0.0_f64..50.0),
            (count, sum) in (0.0_f64..1e9, -1e9_f64..1e9),
            (positive, negative) in (side(), side()),
        ) {
            let h = Histogram { schema, zero_threshold, zero_count, count, sum, positive, negative, ..Histogram::default() };
            let page = one(FamilyValue::Histogram(&h));
            prop_assert_eq!(page.samples.len(), 1);
            prop_assert_eq!(page.samples[0].histogram.as_deref(), Some(&h));
        }
    }
}

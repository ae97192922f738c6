//! `prometheus.WriteRequest` written: what is sent on to another store.

use tenfold_types::{HistogramPoint, Point, ResetHint, histogram::Buckets};

use super::kind_number;
use crate::batch::Exemplar;
use crate::prom_text::Metadata;
use crate::wire_out::Writer;

/// One series of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    /// Sorted by name.
    pub labels: &'a [(&'a str, &'a str)],
    pub points: &'a [Point],
    pub histograms: &'a [HistogramPoint],
    pub exemplars: &'a [Exemplar<'a>],
    /// When what is counted began to be counted.
    pub created_ms: Option<i64>,
}

/// Where a series of a message that waits says when it began. The specification of 1.0 has no place for it, and its readers
/// pass over fields they do not know; messages of before have none.
pub(super) const CREATED_FIELD: u32 = 1_000;

/// Writes the series as field 1 of a message: a `WriteRequest` is a list of such fields, and so may be joined from pieces.
pub fn put_series(out: &mut Writer, series: &Outgoing<'_>) {
    out.message(1, |m| {
        put_labels(m, 1, series.labels.iter().copied());
        for p in series.points {
            m.message(2, |m| put_point(m, *p));
        }
        for e in series.exemplars {
            m.message(3, |m| {
                put_labels(m, 1, e.labels.iter().copied());
                m.double(2, e.value);
                m.number(3, e.t_ms.unwrap_or(0) as u64);
            });
        }
        for h in series.histograms {
            m.message(4, |m| put_histogram(m, h));
        }
        if let Some(created_ms) = series.created_ms {
            m.number(CREATED_FIELD, created_ms as u64);
        }
    });
}

/// Writes what is known of a metric family as field 3 of a message, which may stand anywhere between series.
pub fn put_metadata(out: &mut Writer, family: &str, about: &Metadata) {
    out.message(3, |m| {
        m.number(1, kind_number(&about.kind));
        m.text(2, family);
        m.text(4, &about.help);
        m.text(5, &about.unit);
    });
}

pub(crate) fn put_labels<'a>(out: &mut Writer, field: u32, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in labels {
        out.message(field, |m| {
            m.text(1, name);
            m.text(2, value);
        });
    }
}

pub(crate) fn put_point(out: &mut Writer, point: Point) {
    out.double(1, point.value);
    out.number(2, point.t_ms as u64);
}

/// As a histogram of floats, which every receiver of native histograms takes.
pub(crate) fn put_histogram(out: &mut Writer, point: &HistogramPoint) {
    let h = &point.histogram;
    out.double(2, h.count);
    out.double(3, h.sum);
    out.signed(4, i64::from(h.schema));
    out.double(5, h.zero_threshold);
    out.double(7, h.zero_count);
    let mut side = |buckets: &Buckets, first: u32| {
        for span in &buckets.spans {
            out.message(first, |m| {
                m.signed(1, i64::from(span.offset));
                m.number(2, u64::from(span.length));
            });
        }
        out.doubles(first + 2, &buckets.counts);
    };
    side(&h.negative, 8);
    side(&h.positive, 11);
    let hint = match h.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    out.number(14, hint);
    out.number(15, point.t_ms as u64);
    out.doubles(16, &h.bounds);
}

/// Snappy's block format.
pub fn compress(body: &[u8]) -> Result<Vec<u8>, snap::Error> {
    snap::raw::Encoder::new().compress_vec(body)
}

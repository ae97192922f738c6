//! OTLP's two kinds of histograms as native ones.

use std::collections::BTreeMap;

use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA, EXPONENTIAL_SCHEMAS, HistogramError};
use tenfold_types::{Histogram, STALE_NAN};

use super::messages::{ExponentialBuckets, ExponentialPoint, HistogramPoint, NO_RECORDED_VALUE};

/// Buckets of one point; OpenTelemetry's SDKs make at most 160 for each sign.
pub const BUCKETS_MAX: usize = 4_096;
/// Half the width of the zero bucket where a point names none, as Prometheus takes it.
const ZERO_THRESHOLD: f64 = 1e-128;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Wrong {
    #[error("its scale is {0}; the coarsest that can be kept is -4")]
    Scale(i32),
    #[error("it has more than {BUCKETS_MAX} buckets")]
    TooManyBuckets,
    #[error("it has {counts} counts for {bounds} bounds; there must be one more count than bounds")]
    Layout { counts: usize, bounds: usize },
    #[error("its buckets lie outside of what can be numbered")]
    Offset,
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

fn stale(schema: i32) -> Histogram {
    Histogram { schema, sum: STALE_NAN, ..Histogram::default() }
}

/// Bounds without one up to infinity, which some list last and every histogram has.
pub fn finite(bounds: &[f64]) -> &[f64] {
    match bounds {
        [finite @ .., f64::INFINITY] => finite,
        all => all,
    }
}

/// Explicit bounds as custom buckets. A point without any bucket has one, up to infinity.
pub fn explicit(point: &HistogramPoint) -> Result<Histogram, Wrong> {
    let (counts, bounds) = (point.bucket_counts.len(), point.explicit_bounds.len());
    // Each of a mark of the end as well becomes a series.
    if counts > BUCKETS_MAX || bounds > BUCKETS_MAX {
        return Err(Wrong::TooManyBuckets);
    }
    if point.flags & NO_RECORDED_VALUE != 0 {
        return Ok(stale(CUSTOM_SCHEMA));
    }
    let finite = finite(&point.explicit_bounds);
    if counts != bounds + 1 && counts != finite.len() + 1 && !(counts == 0 && bounds == 0) {
        return Err(Wrong::Layout { counts, bounds });
    }
    let (within, above) = point.bucket_counts.split_at(finite.len().min(counts));
    let above = if counts == 0 { point.count } else { above.iter().fold(0, |sum: u64, c| sum.saturating_add(*c)) };
    let filled = within.iter().copied().chain([above]).enumerate().filter(|(_, c)| *c > 0);
    let positive = Buckets::from_indexed(filled.map(|(i, c)| (i as i32, c as f64)));
    let h = Histogram {
        schema: CUSTOM_SCHEMA,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        positive,
        bounds: finite.into(),
        ..Histogram::default()
    };
    h.validate()?;
    Ok(h)
}

/// Exponential buckets. Finer ones than can be kept are merged; OTLP numbers a bucket one lower than Prometheus.
pub fn exponential(point: &ExponentialPoint) -> Result<Histogram, Wrong> {
    let schema = point.scale.min(*EXPONENTIAL_SCHEMAS.end());
    if schema < *EXPONENTIAL_SCHEMAS.start() {
        return Err(Wrong::Scale(point.scale));
    }
    if point.flags & NO_RECORDED_VALUE != 0 {
        return Ok(stale(schema));
    }
    let coarser = (point.scale - schema).min(62);
    let side =
        |buckets: &Option<ExponentialBuckets>| buckets.as_ref().map_or(Ok(Buckets::default()), |b| merged(b, coarser));
    let h = Histogram {
        schema,
        zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD },
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        positive: side(&point.positive)?,
        negative: side(&point.negative)?,
        ..Histogram::default()
    };
    h.validate()?;
    Ok(h)
}

fn merged(buckets: &ExponentialBuckets, coarser: i32) -> Result<Buckets, Wrong> {
    if buckets.bucket_counts.len() > BUCKETS_MAX {
        return Err(Wrong::TooManyBuckets);
    }
    let mut by_index = BTreeMap::<i32, f64>::new();
    for (i, count) in buckets.bucket_counts.iter().enumerate().filter(|(_, c)| **c > 0) {
        let index = ((i64::from(buckets.offset) + i as i64) >> coarser) + 1;
        let index = i32::try_from(index).map_err(|_| Wrong::Offset)?;
        *by_index.entry(index).or_default() += *count as f64;
    }
    Ok(Buckets::from_indexed(by_index))
}

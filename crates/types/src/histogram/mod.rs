//! Native histograms: many observations in one sample, counted by bucket.
//!
//! Buckets are either exponential (schema -4..=8: each boundary is the one before it times 2^(2^-schema), mirrored for
//! negative observations, with a zero bucket in between) or custom (schema -53: the boundaries are listed, as a classic
//! histogram has them). Counts are floats and absolute. The model is Prometheus'; no storage format is implied here.

mod arithmetic;
mod buckets;
mod reset;
mod sparse;
mod text;

use std::sync::{Arc, LazyLock};

pub use arithmetic::{Added, HistogramSum, Incompatible};
pub use buckets::{Bucket, Buckets, Span};
pub use reset::HintKeeper;
pub use text::short_float;

use crate::is_stale;

/// The schema of histograms whose boundaries are listed.
pub const CUSTOM_SCHEMA: i32 = -53;
/// The coarsest and the finest exponential schema.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// What is known about a counter histogram against the sample before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ResetHint {
    #[default]
    Unknown,
    /// The counter started again with this sample.
    Reset,
    /// It did not.
    NotReset,
    /// This is no counter.
    Gauge,
}

/// One native histogram sample, without its labels and instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    pub reset_hint: ResetHint,
    /// An exponential schema or [`CUSTOM_SCHEMA`].
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// Observations in all.
    pub count: f64,
    /// Sum of the observations; [`crate::STALE_NAN`] marks the end of the series.
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds of custom buckets, ascending, without the last one up to infinity. Empty for exponential schemas.
    pub bounds: Arc<[f64]>,
}

/// Why a histogram is not one that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    #[error("a histogram's schema must be -53 or from -4 to 8")]
    Schema,
    #[error("a histogram's spans and bucket counts do not have the same length")]
    Layout,
    #[error("a histogram's count or a bucket of it is negative")]
    Negative,
    #[error("the bounds of custom buckets must be finite and ascending, and one fewer than the buckets at least")]
    Bounds,
    #[error("a histogram with custom buckets has neither a zero bucket nor negative buckets")]
    CustomParts,
    #[error("a histogram with an exponential schema lists no bounds")]
    ExponentialBounds,
    #[error("the threshold of a histogram's zero bucket must be finite and not negative")]
    Threshold,
}

impl Histogram {
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }
    /// Whether this is the mark that the series has ended.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }
    /// Heap and inline bytes, roughly: for limits on memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.positive.bytes() + self.negative.bytes() + 8 * self.bounds.len()
    }

    /// The upper bound of the positive bucket with this index; negative buckets mirror it.
    pub fn bound(&self, index: i32) -> f64 {
        bound(self.schema, &self.bounds, index)
    }

    /// All buckets in ascending order, the zero bucket when it holds anything. Buckets that overlap the zero bucket
    /// are cut at its threshold.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut out: Vec<Bucket> = self
            .negative
            .indexed()
            .map(|(index, count)| {
                let bucket = Bucket {
                    lower: -self.bound(index),
                    upper: -self.bound(index.wrapping_sub(1)),
                    lower_inclusive: true,
                    upper_inclusive: false,
                    count,
                };
                self.cut(bucket)
            })
            .collect();
        out.reverse();
        if self.zero_count > 0.0 {
            out.push(self.zero_bucket());
        }
        out.extend(self.positive.indexed().map(|(index, count)| self.cut(self.positive_bucket(index, count))));
        out
    }

    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    pub(crate) fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (self.bound(index.wrapping_sub(1)), self.bound(index));
        let lower_inclusive = if self.is_custom() { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, lower_inclusive, upper_inclusive: self.is_custom() || upper > 0.0, count }
    }

    fn cut(&self, mut bucket: Bucket) -> Bucket {
        if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
            bucket.lower = self.zero_threshold;
        } else if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
            bucket.upper = -self.zero_threshold;
        }
        bucket
    }

    /// Drops empty buckets.
    pub fn compact(&mut self) {
        self.positive.compact();
        self.negative.compact();
    }

    /// The same observations, by bits; the hint and empty spans do not matter.
    pub fn same_as(&self, other: &Self) -> bool {
        let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        self.schema == other.schema
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && bits(self.zero_count, other.zero_count)
            && self.zero_threshold == other.zero_threshold
            && (!self.is_custom() || self.bounds == other.bounds)
            && self.positive.same_as(&other.positive)
            && self.negative.same_as(&other.negative)
    }

    /// Whether it may be stored.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if !self.is_custom() && !EXPONENTIAL_SCHEMAS.contains(&self.schema) {
            return Err(HistogramError::Schema);
        }
        if !self.positive.is_consistent() || !self.negative.is_consistent() {
            return Err(HistogramError::Layout);
        }
        let counts = self.positive.counts.iter().chain(&self.negative.counts);
        if counts.chain([&self.count, &self.zero_count]).any(|c| *c < 0.0) {
            return Err(HistogramError::Negative);
        }
        if !(self.zero_threshold >= 0.0 && self.zero_threshold.is_finite()) {
            return Err(HistogramError::Threshold);
        }
        if !self.is_custom() {
            return if self.bounds.is_empty() { Ok(()) } else { Err(HistogramError::ExponentialBounds) };
        }
        if self.zero_count != 0.0 || self.zero_threshold != 0.0 || !self.negative.counts.is_empty() {
            return Err(HistogramError::CustomParts);
        }
        let ascending = self.bounds.windows(2).all(|w| w[0] < w[1]) && self.bounds.iter().all(|b| b.is_finite());
        let within = self.positive.indexed().all(|(i, _)| i >= 0 && i as usize <= self.bounds.len());
        if ascending && within { Ok(()) } else { Err(HistogramError::Bounds) }
    }
}

/// The upper bound of a bucket.
pub(crate) fn bound(schema: i32, bounds: &[f64], index: i32) -> f64 {
    if schema == CUSTOM_SCHEMA {
        return match usize::try_from(index) {
            Ok(i) => bounds.get(i).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    let schema = schema.clamp(*EXPONENTIAL_SCHEMAS.start(), *EXPONENTIAL_SCHEMAS.end());
    // 2^(index * 2^-schema), the whole part of the exponent kept apart so that powers of two are exact.
    let (whole, part) = if schema < 0 {
        (i64::from(index) << -schema, 0)
    } else {
        let parts = 1_i64 << schema;
        (i64::from(index).div_euclid(parts), (i64::from(index).rem_euclid(parts) as usize) << (PARTS_SCHEMA - schema))
    };
    if whole == 1024 && part == 0 {
        // The last bucket of ordinary numbers ends with the greatest of them; the next one holds infinity.
        return f64::MAX;
    }
    2.0 * PARTS[part] * power_of_two(whole)
}

const PARTS_SCHEMA: i32 = *EXPONENTIAL_SCHEMAS.end();

/// The bounds between 0.5 and 1 of the finest schema, to the last bit as Prometheus' clients have them, which sort what they
/// observe by these: an even one is that of the schema before, an odd one the bound below it times the schema's factor,
/// rounded.
static PARTS: LazyLock<[f64; 1 << PARTS_SCHEMA]> = LazyLock::new(|| {
    /// `2^(1/2^schema)`, from schema 1 on.
    #[expect(clippy::approx_constant, reason = "the root of two is theirs, a bit below the nearest one")]
    const FACTORS: [f64; PARTS_SCHEMA as usize] = [
        1.414_213_562_373_095,
        1.189_207_115_002_721,
        1.090_507_732_665_257_7,
        1.044_273_782_427_413_8,
        1.021_897_148_654_116_6,
        1.010_889_286_051_700_5,
        1.005_429_901_112_802_7,
        1.002_711_275_050_202_5,
    ];
    let mut all = [0.5; 1 << PARTS_SCHEMA];
    for (i, factor) in FACTORS.iter().enumerate() {
        let distance = all.len() >> (i + 1);
        for at in (distance..all.len()).step_by(2 * distance) {
            all[at] = all[at - distance] * factor;
        }
    }
    all
});

fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1 << (exponent + 1074)),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_exponential_buckets() {
        let cases = [
            (0, 0, 1.0),
            (0, 3, 8.0),
            (0, -2, 0.25),
            (-2, 1, 16.0),
            (1, -4, 0.25),
            (3, 8, 2.0),
            (0, 1024, f64::MAX),
            (0, 1025, f64::INFINITY),
            (8, 256 * 1024, f64::MAX),
            (0, -1074, f64::from_bits(1)),
            (0, i32::MAX, f64::INFINITY),
            (-4, i32::MIN, 0.0),
        ];
        for (schema, index, wanted) in cases {
            let found = bound(schema, &[], index);
            assert!(found == wanted, "schema {schema} index {index}: {found}, not {wanted}");
        }
        // As Prometheus writes them.
        for (schema, index, wanted) in [
            (1, 1, "1.414213562373095"),
            (2, 3, "1.6817928305074288"),
            (3, -1, "0.9170040432046711"),
            (5, 31, "1.9571441241753997"),
            (8, 255, "1.9945921121709396"),
            (8, 259, "2.016311796236835"),
        ] {
            assert_eq!(bound(schema, &[], index).to_string(), wanted, "schema {schema} index {index}");
        }
        // Within a schema they ascend.
        assert!((0..600).all(|i| bound(8, &[], i) < bound(8, &[], i + 1)));
        assert_eq!(bound(CUSTOM_SCHEMA, &[1.0, 5.0], 2), f64::INFINITY);
        assert_eq!(bound(CUSTOM_SCHEMA, &[1.0, 5.0], -1), f64::NEG_INFINITY);
    }

    #[test]
    fn what_may_be_stored() {
        let good = Histogram { positive: Buckets::single(0, vec![1.0]), count: 1.0, ..Histogram::default() };
        assert_eq!(good.validate(), Ok(()));
        let wrong = |change: fn(&mut Histogram)| {
            let mut h = good.clone();
            change(&mut h);
            h.validate()
        };
        assert_eq!(wrong(|h| h.schema = 9), Err(HistogramError::Schema));
        assert_eq!(wrong(|h| h.positive.counts.push(1.0)), Err(HistogramError::Layout));
        assert_eq!(wrong(|h| h.count = -1.0), Err(HistogramError::Negative));
        assert_eq!(wrong(|h| h.zero_threshold = f64::NAN), Err(HistogramError::Threshold));
        assert_eq!(wrong(|h| h.bounds = [1.0].into()), Err(HistogramError::ExponentialBounds));
        assert_eq!(wrong(|h| (h.schema, h.bounds) = (CUSTOM_SCHEMA, [2.0, 1.0].into())), Err(HistogramError::Bounds));
        assert_eq!(wrong(|h| (h.schema, h.zero_count) = (CUSTOM_SCHEMA, 1.0)), Err(HistogramError::CustomParts));
    }
}

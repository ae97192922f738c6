//! Adding, subtracting and scaling histograms. Schemas, zero thresholds and custom bounds that differ are brought to
//! what both have in common; exponential and custom buckets do not mix.

use super::{
    Buckets, Histogram, ResetHint,
    sparse::{Pairs, Sparse, to_schema},
};
use crate::Kahan;

/// One histogram has exponential buckets, the other custom ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the two histograms have incompatible bucket schemas")]
pub struct Incompatible;

/// What happened when one histogram was added to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// One was said to start with a counter reset, the other not to.
    pub resets_conflict: bool,
    /// The custom bounds differed and were reduced to those in common.
    pub bounds_reconciled: bool,
}

/// The hint of a sum, and whether the two contradict each other.
fn join_hints(a: ResetHint, b: ResetHint) -> (ResetHint, bool) {
    use ResetHint::{Gauge, Unknown};
    match (a, b) {
        _ if a == b => (a, false),
        (Gauge, _) | (_, Gauge) => (Gauge, false),
        (Unknown, _) | (_, Unknown) => (Unknown, false),
        _ => (Unknown, true),
    }
}

impl Histogram {
    /// The sum of both.
    pub fn plus(&self, other: &Self) -> Result<(Self, Added), Incompatible> {
        self.combined(other, 1.0)
    }

    /// The difference. It is a gauge only when one of them is; who computes a change marks it so.
    pub fn minus(&self, other: &Self) -> Result<(Self, Added), Incompatible> {
        self.combined(other, -1.0)
    }

    fn combined(&self, other: &Self, sign: f64) -> Result<(Self, Added), Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let mut sparse: Sparse<f64> = Sparse::new(self);
        let (hint, resets_conflict) = join_hints(self.reset_hint, other.reset_hint);
        let bounds_reconciled = sparse.add(other, sign);
        sparse.hint = hint;
        Ok((sparse.histogram(), Added { resets_conflict, bounds_reconciled }))
    }

    fn scaled(&mut self, by: impl Fn(f64) -> f64) {
        for c in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *c = by(*c);
        }
        for c in self.positive.counts.iter_mut().chain(&mut self.negative.counts) {
            *c = by(*c);
        }
    }

    /// Multiplies every count and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.scaled(|c| c * factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides every count and the sum. Division by zero leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.scaled(|c| c / divisor);
        if divisor == 0.0 {
            (self.positive, self.negative) = Default::default();
        } else if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// The same observations in a coarser exponential schema; unchanged when it is not coarser.
    #[must_use]
    pub fn to_schema(&self, schema: i32) -> Self {
        let mut out = self.clone();
        if self.is_custom() || schema >= self.schema {
            return out;
        }
        let side = |buckets: &Buckets| {
            let pairs: Pairs<f64> = buckets.indexed().collect();
            Buckets::from_indexed(to_schema(pairs, self.schema, schema))
        };
        (out.positive, out.negative, out.schema) = (side(&self.positive), side(&self.negative), schema);
        out.reset_hint = ResetHint::Unknown;
        out
    }
}

/// A sum of histograms that keeps what rounding would lose.
#[derive(Debug, Clone)]
pub struct HistogramSum(Sparse<Kahan>);

impl HistogramSum {
    pub fn new(first: &Histogram) -> Self {
        Self(Sparse::new(first))
    }

    pub fn add(&mut self, other: &Histogram) -> Result<Added, Incompatible> {
        if (self.0.schema == super::CUSTOM_SCHEMA) != other.is_custom() {
            return Err(Incompatible);
        }
        let (hint, resets_conflict) = join_hints(self.0.hint, other.reset_hint);
        let bounds_reconciled = self.0.add(other, 1.0);
        self.0.hint = hint;
        Ok(Added { resets_conflict, bounds_reconciled })
    }

    pub fn multiply(&mut self, factor: f64) {
        self.0.scale(|c| c * factor);
    }

    pub fn divide(&mut self, divisor: f64) {
        self.0.scale(|c| c / divisor);
    }

    /// Whether a count or the sum is infinite.
    pub fn overflows(&self) -> bool {
        self.0.overflows()
    }

    pub fn finish(self) -> Histogram {
        self.0.histogram()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_SCHEMA;

    fn exponential(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        let count = counts.iter().sum();
        Histogram { schema, count, positive: Buckets::single(offset, counts.to_vec()), ..Histogram::default() }
    }

    fn indexed(h: &Histogram) -> Vec<(i32, f64)> {
        h.positive.indexed().collect()
    }

    #[test]
    fn schemas_meet_at_the_coarser_one() {
        let (fine, coarse) = (exponential(1, 0, &[1.0, 2.0, 3.0, 4.0]), exponential(0, 1, &[10.0, 20.0]));
        let (sum, added) = fine.plus(&coarse).unwrap();
        assert_eq!((sum.schema, indexed(&sum)), (0, vec![(0, 1.0), (1, 15.0), (2, 24.0)]));
        assert_eq!(added, Added::default());
        let (other_way, _) = coarse.plus(&fine).unwrap();
        assert!(sum.same_as(&other_way));
        let (back, _) = sum.minus(&coarse).unwrap();
        assert_eq!(indexed(&back), [(0, 1.0), (1, 5.0), (2, 4.0)]);
    }

    #[test]
    fn zero_buckets_meet_outside_of_filled_buckets() {
        let mut wide = exponential(0, 3, &[1.0]);
        (wide.zero_threshold, wide.zero_count) = (1.5, 7.0);
        // The bucket (1, 2] holds something, so the threshold becomes 2.
        let narrow = exponential(0, 0, &[1.0, 2.0, 4.0]);
        let (sum, _) = narrow.plus(&wide).unwrap();
        assert_eq!((sum.zero_threshold, sum.zero_count), (2.0, 10.0));
        assert_eq!(indexed(&sum), [(2, 4.0), (3, 1.0)]);
        assert!(wide.plus(&narrow).unwrap().0.same_as(&sum));
    }

    #[test]
    fn custom_bounds_meet_at_the_common_ones() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            schema: CUSTOM_SCHEMA,
            bounds: bounds.into(),
            ..exponential(CUSTOM_SCHEMA, 0, counts)
        };
        let a = custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
        let b = custom(&[2.0, 5.0, 9.0], &[10.0, 20.0, 30.0, 40.0]);
        let (sum, added) = a.plus(&b).unwrap();
        assert!(added.bounds_reconciled);
        assert_eq!(*sum.bounds, [2.0, 5.0]);
        assert_eq!(indexed(&sum), [(0, 13.0), (1, 23.0), (2, 74.0)]);
        assert_eq!(a.plus(&exponential(0, 0, &[1.0])), Err(Incompatible));
    }

    #[test]
    fn rounding_is_made_up_for() {
        let mut sum = HistogramSum::new(&exponential(0, 0, &[1e100]));
        for h in [exponential(0, 0, &[1.0]), exponential(0, 0, &[-1e100])] {
            sum.add(&h).unwrap();
        }
        assert_eq!(indexed(&sum.finish()), [(0, 1.0)]);
    }

    #[test]
    fn hints_of_a_sum() {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let cases = [
            (Unknown, Unknown, Unknown, false),
            (Reset, Reset, Reset, false),
            (Reset, NotReset, Unknown, true),
            (NotReset, Unknown, Unknown, false),
            (Gauge, Reset, Gauge, false),
            (NotReset, Gauge, Gauge, false),
        ];
        for (a, b, hint, conflict) in cases {
            assert_eq!(join_hints(a, b), (hint, conflict), "{a:?} {b:?}");
            assert_eq!(join_hints(b, a), (hint, conflict), "{b:?} {a:?}");
        }
    }
}

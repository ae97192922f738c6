//! Counter resets: seen in the counts, or known from the hint.

use super::{
    Buckets, Histogram, ResetHint, bound,
    sparse::{Pairs, common_bounds, pairs, to_bounds, to_schema, wider_zero},
};

impl Histogram {
    /// Whether the counter started again between `previous` and this one. The hint decides when it knows; otherwise a
    /// count that fell does (the sum may fall by negative observations and is not looked at). A finer schema or a
    /// smaller zero bucket come with a restart only.
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.is_custom() {
            if !previous.is_custom() {
                return true;
            }
            if self.bounds != previous.bounds {
                return self.fell_in_common_buckets(previous);
            }
        } else if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (mut positive, mut negative): (Pairs<f64>, Pairs<f64>) =
            (pairs(&previous.positive), pairs(&previous.negative));
        if !self.is_custom() {
            let (zero, threshold) = if self.zero_threshold == previous.zero_threshold {
                (previous.zero_count, previous.zero_threshold)
            } else {
                wider_zero(previous.schema, previous.zero_count, &positive, &negative, self.zero_threshold)
            };
            // A threshold inside a filled bucket cannot have grown out of the previous one.
            if threshold != self.zero_threshold || self.zero_count < zero {
                return true;
            }
            for side in [&mut positive, &mut negative] {
                side.retain(|(i, _)| bound(previous.schema, &[], *i) > threshold);
            }
        }
        self.side_fell(&self.positive, to_schema(positive, previous.schema, self.schema))
            || self.side_fell(&self.negative, to_schema(negative, previous.schema, self.schema))
    }

    fn side_fell(&self, now: &Buckets, before: Pairs<f64>) -> bool {
        let mut now = now.indexed().peekable();
        before.into_iter().any(|(index, before)| {
            if !self.is_custom() && bound(self.schema, &[], index) <= self.zero_threshold {
                return false;
            }
            while now.next_if(|(i, _)| *i < index).is_some() {}
            match now.peek() {
                Some((i, count)) if *i == index => *count < before,
                _ => before != 0.0,
            }
        })
    }

    fn fell_in_common_buckets(&self, previous: &Self) -> bool {
        let common = common_bounds(&self.bounds, &previous.bounds);
        let now = Buckets::from_indexed(to_bounds(pairs::<f64>(&self.positive), &self.bounds, &common));
        let before = to_bounds(pairs::<f64>(&previous.positive), &previous.bounds, &common);
        let mut now = now.indexed().peekable();
        before.into_iter().any(|(index, before)| {
            while now.next_if(|(i, _)| *i < index).is_some() {}
            let count = now.peek().filter(|(i, _)| *i == index).map_or(0.0, |(_, c)| *c);
            count < before
        })
    }
}

/// Gives the samples of one series, in the order they are stored, the hints a reader may rely on: "not reset" within a
/// run of samples of one layout whose counts do not fall, "unknown" at the start of a run (the counts then tell). What
/// a sample says of itself stands.
#[derive(Debug, Clone, Default)]
pub struct HintKeeper {
    last: Option<Histogram>,
}

impl HintKeeper {
    /// A float sample came in between.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// The hint of the next sample.
    pub fn next(&mut self, sample: &Histogram) -> ResetHint {
        let hint = match (&self.last, sample.reset_hint) {
            (_, own @ (ResetHint::Gauge | ResetHint::Reset)) => own,
            (Some(last), _) if continues(last, sample) => ResetHint::NotReset,
            _ => ResetHint::Unknown,
        };
        self.last = Some(sample.clone());
        hint
    }
}

/// Whether the next sample belongs to the run of the last one.
fn continues(last: &Histogram, next: &Histogram) -> bool {
    if last.reset_hint == ResetHint::Gauge || last.is_stale() {
        return false;
    }
    if next.is_stale() {
        return true;
    }
    let same_layout =
        next.schema == last.schema && next.zero_threshold == last.zero_threshold && next.bounds == last.bounds;
    let unhinted = Histogram { reset_hint: ResetHint::Unknown, ..next.clone() };
    same_layout && !unhinted.is_reset_after(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_SCHEMA;

    fn histogram(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        let count = counts.iter().sum();
        Histogram { schema, count, positive: Buckets::single(offset, counts.to_vec()), ..Histogram::default() }
    }

    #[test]
    fn what_counts_as_a_reset() {
        let before = histogram(1, 0, &[1.0, 2.0, 0.0, 4.0]);
        let reset = |now: &Histogram| now.is_reset_after(&before);
        assert!(!reset(&before));
        assert!(!reset(&histogram(1, 0, &[1.0, 2.0, 0.0, 5.0])));
        assert!(reset(&histogram(1, 0, &[1.0, 2.0, 5.0, 3.0])), "a bucket fell");
        assert!(reset(&histogram(1, 1, &[2.0, 9.0, 9.0])), "a filled bucket is gone");
        assert!(!reset(&histogram(0, 0, &[1.0, 2.0, 4.0])), "a coarser schema is none");
        assert!(reset(&histogram(2, 0, &[9.0; 9])), "a finer one is");
        let hinted = |hint| Histogram { reset_hint: hint, ..before.clone() };
        assert!(reset(&hinted(ResetHint::Reset)));
        assert!(!Histogram { count: 0.0, ..hinted(ResetHint::NotReset) }.is_reset_after(&before));
        // The zero bucket took over (1, 1.41] and (1.41, 2].
        let mut grown = histogram(1, 3, &[4.0]);
        (grown.zero_threshold, grown.zero_count, grown.count) = (2.0_f64, 3.0, 7.0);
        assert!(!reset(&grown));
        grown.zero_count = 2.0;
        assert!(reset(&grown));
        grown.zero_threshold = 2.5;
        assert!(reset(&grown), "a threshold inside a filled bucket");
    }

    #[test]
    fn custom_bounds_are_compared_where_they_agree() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            schema: CUSTOM_SCHEMA,
            bounds: bounds.into(),
            ..histogram(CUSTOM_SCHEMA, 0, counts)
        };
        let before = custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0, 1.0]);
        assert!(!custom(&[2.0], &[2.0, 2.0]).is_reset_after(&before));
        assert!(custom(&[2.0], &[1.0, 3.0]).is_reset_after(&before));
        assert!(custom(&[2.0], &[9.0, 9.0]).is_reset_after(&histogram(0, 0, &[1.0])));
    }

    #[test]
    fn stored_hints() {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let mut keeper = HintKeeper::default();
        let up = histogram(0, 0, &[1.0, 2.0]);
        let more = histogram(0, 0, &[1.0, 3.0]);
        assert_eq!(keeper.next(&up), Unknown);
        assert_eq!(keeper.next(&more), NotReset);
        assert_eq!(keeper.next(&up), Unknown, "the counts fell");
        assert_eq!(keeper.next(&histogram(-1, 0, &[9.0])), Unknown);
        assert_eq!(keeper.next(&Histogram { reset_hint: Gauge, ..up.clone() }), Gauge);
        assert_eq!(keeper.next(&more), Unknown);
        keeper.interrupt();
        assert_eq!(keeper.next(&up), Unknown);
        assert_eq!(keeper.next(&Histogram { reset_hint: Reset, ..more }), Reset);
    }
}

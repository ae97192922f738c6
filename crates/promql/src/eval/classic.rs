//! Quantiles and fractions of classic histograms: cumulative counts by upper bound.

use super::notes::Forced;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub bound: f64,
    pub count: f64,
}

/// Counts that differ by less than this share are taken as equal.
const SMALL_DELTA: f64 = 1e-12;

/// Adds equal bounds up; nothing can be said without a bucket up to infinity.
fn prepare(buckets: &mut Vec<Bucket>) -> Option<()> {
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(())
}

/// Lifts counts that fall, which happens when buckets are scraped or rated apart. Says where one fell noticeably.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == before {
            continue;
        }
        if nearly(before, b.count) {
            b.count = before;
        } else if b.count < before {
            let all = forced.get_or_insert(Forced { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, greatest: 0.0 });
            all.lowest = all.lowest.min(b.bound);
            all.highest = all.highest.max(b.bound);
            all.greatest = all.greatest.max(before - b.count);
            b.count = before;
        } else {
            before = b.count;
        }
    }
    forced
}

fn nearly(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    (a - b).abs() / sum.min(f64::MAX) < SMALL_DELTA
}

/// The buckets are in the order of their bounds; they may be changed.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if prepare(buckets).is_none() {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets);
    (quantile_of(q, buckets), forced)
}

fn quantile_of(q: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return f64::NAN;
    }
    if observations.is_nan() {
        // No count reaches a rank that is no number.
        return buckets[last - 1].bound;
    }
    let mut rank = q * observations;
    // A count that is no number reaches no rank.
    let b = buckets[..last].partition_point(|b| b.count < rank || b.count.is_nan());
    if b == last {
        return buckets[last - 1].bound;
    }
    if b == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let (mut start, mut count) = (0.0, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].bound;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    start + (buckets[b].bound - start) * (rank / count)
}

/// The buckets are in the order of their bounds; equal ones are joined.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepare(buckets).is_none() {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| rank_of(value, buckets).filter(|r| *r <= count).unwrap_or(count);
    (below(upper) - below(lower)) / count
}

/// How many observations lie below a value, with those of its own bucket spread evenly; `None` above all buckets.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut start = if buckets[0].bound > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let mut rank = 0.0;
    for b in buckets {
        if start >= value {
            return Some(rank);
        }
        if b.bound > value {
            // Nothing can be interpolated over an infinite width.
            let all = start == f64::NEG_INFINITY;
            let share = (value - start) / (b.bound - start);
            return Some(if all { b.count } else { rank + (b.count - rank) * share });
        }
        (start, rank) = (b.bound, b.count);
    }
    None
}

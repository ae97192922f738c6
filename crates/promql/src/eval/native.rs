//! What can be read from one native histogram: quantiles, fractions, spread; and cutting it off at a value.
//!
//! Within a bucket observations are taken to be spread evenly: on a logarithmic scale in exponential buckets, linearly in
//! custom ones and in the zero bucket. A histogram with buckets on one side only has nothing on the other side of zero.

use tenfold_types::{Histogram, Kahan, histogram::Bucket};

/// A quantile, and whether observations that are no numbers got in its way.
pub(crate) enum Quantile {
    Of(f64),
    /// They count as greater than any, so the quantile is too high.
    Skewed(f64),
    /// It falls among them.
    AmongNan,
}

pub(crate) fn quantile(q: f64, h: &Histogram) -> Quantile {
    if q < 0.0 {
        return Quantile::Of(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return Quantile::Of(f64::INFINITY);
    }
    if h.count == 0.0 || q.is_nan() {
        return Quantile::Of(f64::NAN);
    }
    // Observations that are no numbers make the sum none; they are in no bucket, so that only counting up finds them.
    let upwards = h.sum.is_nan() || q < 0.5;
    let mut buckets = h.all_buckets();
    if !upwards {
        buckets.reverse();
    }
    let mut rank = if upwards { q } else { 1.0 - q } * h.count;
    let empty = Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let (mut bucket, mut count) = (empty, 0.0);
    let mut rest = buckets.iter();
    for b in rest.by_ref() {
        bucket = *b;
        count += b.count;
        if b.count != 0.0 && count >= rank {
            break;
        }
    }
    if h.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return Quantile::Of(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return Quantile::Of(bucket.lower);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        one_sided(h, &mut bucket);
    }
    let reached = count.min(h.count);
    if reached < rank {
        return if h.sum.is_nan() { Quantile::AmongNan } else { Quantile::Of(bucket.upper) };
    }
    rank = if upwards { rank - (reached - bucket.count) } else { reached - rank };
    let value = within(&bucket, rank / bucket.count, h.is_custom());
    let in_buckets = reached + rest.map(|b| b.count).sum::<f64>();
    if h.sum.is_nan() && in_buckets < h.count { Quantile::Skewed(value) } else { Quantile::Of(value) }
}

/// The zero bucket reaches to one side only when there are buckets on one side only.
fn one_sided(h: &Histogram, zero: &mut Bucket) {
    if h.negative.is_empty() && !h.positive.is_empty() {
        zero.lower = 0.0;
    } else if h.positive.is_empty() && !h.negative.is_empty() {
        zero.upper = 0.0;
    }
}

/// The value below which a share of a bucket lies.
fn within(bucket: &Bucket, share: f64, custom: bool) -> f64 {
    if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    }
}

/// The share of observations between two values, and whether there are some that are no numbers.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, bool) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let buckets = h.all_buckets();
    let numbers = if h.sum.is_nan() { buckets.iter().map(|b| b.count).sum() } else { h.count };
    let below = |value: f64| rank_of(value, h, &buckets).filter(|r| *r <= numbers).unwrap_or(numbers);
    ((below(upper) - below(lower)) / h.count, h.sum.is_nan() && numbers < h.count)
}

/// How many observations lie below a value; `None` above all buckets.
fn rank_of(value: f64, h: &Histogram, buckets: &[Bucket]) -> Option<f64> {
    let mut rank = 0.0;
    for bucket in buckets {
        let mut b = *bucket;
        let around_zero = b.lower <= 0.0 && b.upper >= 0.0;
        if around_zero {
            one_sided(h, &mut b);
        }
        if b.lower >= value {
            return Some(rank);
        }
        if b.upper > value {
            if !(h.is_custom() || around_zero) {
                return Some(rank + b.count * b.share_below(value, false));
            }
            // Nothing can be interpolated over an infinite width.
            let all = b.lower == f64::NEG_INFINITY;
            return Some(if all { b.count } else { rank + b.count * b.share_below(value, true) });
        }
        rank += b.count;
    }
    None
}

pub(crate) fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut sum = Kahan::default();
    for b in h.all_buckets().iter().filter(|b| b.count != 0.0) {
        let value = if h.is_custom() {
            f64::midpoint(b.upper, b.lower)
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            (b.upper * b.lower).sqrt().copysign(b.upper)
        };
        let distance = value - mean;
        sum.add(b.count * distance * distance);
    }
    sum.value() / h.count
}

/// Keeps the observations below a value (`</`), or above it (`>/`). The sum is estimated anew from the buckets when
/// anything was cut off.
pub(crate) fn trimmed(h: &Histogram, at: f64, keep_below: bool) -> Histogram {
    let mut out = h.clone();
    let (mut count, mut sum, mut cut) = (0.0, 0.0, false);
    let custom = h.is_custom();
    let bounds = |positive: bool, index: i32| {
        let (near, far) = (h.bound(index.wrapping_sub(1)), h.bound(index));
        if positive { (near, far) } else { (-far, -near) }
    };
    let sides = [(true, &h.positive, &mut out.positive), (false, &h.negative, &mut out.negative)];
    for (positive, from, to) in sides {
        for ((index, all), kept) in from.indexed().zip(&mut to.counts) {
            if all == 0.0 {
                continue;
            }
            let (lower, upper) = bounds(positive, index);
            let (inside, outside) = if keep_below { (upper <= at, lower >= at) } else { (lower >= at, upper <= at) };
            let (keep, middle) = if inside {
                (all, midpoint(lower, upper, positive, custom))
            } else if outside || at.is_nan() {
                (0.0, 0.0)
            } else if lower.is_infinite() || upper.is_infinite() {
                cut_infinite(lower, upper, all, at, keep_below)
            } else {
                cut_bucket(lower, upper, all, at, keep_below, positive, custom)
            };
            if !inside && keep != all {
                *kept = keep;
                cut = true;
            }
            count += keep;
            sum += middle * keep;
        }
    }
    if h.zero_count > 0.0 {
        let filled = |counts: &[f64]| counts.iter().any(|c| *c != 0.0);
        let (keep, middle) = cut_zero(h, at, keep_below, filled(&h.negative.counts), filled(&h.positive.counts));
        cut |= keep != h.zero_count;
        out.zero_count = keep;
        count += keep;
        sum += middle * keep;
    }
    if cut {
        (out.count, out.sum) = (count, sum);
        out.compact();
    }
    out
}

fn cut_bucket(
    lower: f64,
    upper: f64,
    count: f64,
    at: f64,
    keep_below: bool,
    positive: bool,
    custom: bool,
) -> (f64, f64) {
    let bucket = Bucket { lower, upper, lower_inclusive: false, upper_inclusive: true, count };
    let below = count * bucket.share_below(at, custom);
    if keep_below {
        (below, midpoint(lower, at, positive, custom))
    } else {
        (count - below, midpoint(at, upper, positive, custom))
    }
}

/// A bucket without an end: how its observations are spread cannot be known. One that begins at minus infinity and ends
/// above zero is taken to begin at zero, as with classic histograms; otherwise what is kept is the whole of it or
/// nothing.
fn cut_infinite(lower: f64, upper: f64, count: f64, at: f64, keep_below: bool) -> (f64, f64) {
    let or_zero = |x: f64| if x.is_infinite() { 0.0 } else { x };
    if lower == f64::NEG_INFINITY {
        let from_zero = upper > 0.0 && upper.is_finite();
        return match keep_below {
            true if at >= upper => (count, 0.0),
            true if at > 0.0 && from_zero => (count * at / upper, at / 2.0),
            true if upper <= 0.0 => (count, at),
            false if at == f64::NEG_INFINITY => (count, 0.0),
            false if at >= 0.0 && from_zero && upper > at => (count * (1.0 - at / upper), f64::midpoint(at, upper)),
            _ => (0.0, or_zero(upper)),
        };
    }
    if !keep_below && at >= lower { (count, at) } else { (0.0, or_zero(lower)) }
}

fn cut_zero(h: &Histogram, at: f64, keep_below: bool, negative: bool, positive: bool) -> (f64, f64) {
    let lower = if positive && !negative { 0.0 } else { -h.zero_threshold };
    let upper = if negative && !positive { 0.0 } else { h.zero_threshold };
    let whole = (h.zero_count, f64::midpoint(lower, upper));
    let (start, end) = if keep_below {
        if at <= lower {
            return (0.0, 0.0);
        }
        if at >= upper {
            return whole;
        }
        (lower, at)
    } else {
        if at <= lower {
            return whole;
        }
        if at >= upper {
            return (0.0, 0.0);
        }
        (at, upper)
    };
    (h.zero_count * ((end - start) / (upper - lower)), f64::midpoint(start, end))
}

/// The value that stands for what lies between two bounds.
fn midpoint(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return match upper {
            u if u.is_infinite() => 0.0,
            u if u > 0.0 => u / 2.0,
            u => u,
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return f64::midpoint(lower, upper);
    }
    let geometric = (lower * upper).abs().sqrt();
    if positive { geometric } else { -geometric }
}

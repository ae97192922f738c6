//! The form in which histograms are calculated with: buckets as pairs of index and count, and counts either plain or
//! with compensation for rounding.

use std::sync::Arc;

use super::{Buckets, CUSTOM_SCHEMA, Histogram, ResetHint, bound};
use crate::Kahan;

/// A count that others are added to.
pub(super) trait Tally: Copy + Default {
    fn from(value: f64) -> Self;
    fn add(&mut self, value: f64);
    fn merge(&mut self, other: Self);
    fn value(self) -> f64;
    /// Without the compensation.
    fn rough(self) -> f64;
    fn scale(self, by: impl Fn(f64) -> f64) -> Self;
}

impl Tally for f64 {
    fn from(value: f64) -> Self {
        value
    }
    fn add(&mut self, value: f64) {
        *self += value;
    }
    fn merge(&mut self, other: Self) {
        *self += other;
    }
    fn value(self) -> f64 {
        self
    }
    fn rough(self) -> f64 {
        self
    }
    fn scale(self, by: impl Fn(f64) -> f64) -> Self {
        by(self)
    }
}

impl Tally for Kahan {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
    fn add(&mut self, value: f64) {
        Self::add(self, value);
    }
    fn merge(&mut self, other: Self) {
        Self::add(self, other.sum);
        Self::add(self, other.compensation);
    }
    fn value(self) -> f64 {
        Self::value(self)
    }
    fn rough(self) -> f64 {
        self.sum
    }
    fn scale(self, by: impl Fn(f64) -> f64) -> Self {
        Self { sum: by(self.sum), compensation: by(self.compensation) }
    }
}

pub(super) type Pairs<C> = Vec<(i32, C)>;

#[derive(Debug, Clone)]
pub(super) struct Sparse<C> {
    pub hint: ResetHint,
    pub schema: i32,
    pub bounds: Arc<[f64]>,
    pub threshold: f64,
    pub zero: C,
    pub count: C,
    pub sum: C,
    pub positive: Pairs<C>,
    pub negative: Pairs<C>,
}

pub(super) fn pairs<C: Tally>(buckets: &Buckets) -> Pairs<C> {
    buckets.indexed().map(|(i, c)| (i, C::from(c))).collect()
}

/// The index a bucket has in a coarser exponential schema.
fn coarser(index: i32, steps: u32) -> i32 {
    (index.wrapping_sub(1) >> steps.min(31)).wrapping_add(1)
}

/// Puts neighbours together whose indexes a coarser schema (or another list of bounds) makes equal.
pub(super) fn regroup<C: Tally>(pairs: Pairs<C>, place: impl Fn(i32) -> i32) -> Pairs<C> {
    let mut out: Pairs<C> = Vec::with_capacity(pairs.len());
    for (index, count) in pairs {
        let index = place(index);
        match out.last_mut() {
            Some((last, sum)) if *last == index => sum.merge(count),
            _ => out.push((index, count)),
        }
    }
    out
}

pub(super) fn to_schema<C: Tally>(pairs: Pairs<C>, from: i32, to: i32) -> Pairs<C> {
    if from <= to {
        return pairs;
    }
    let steps = from.abs_diff(to);
    regroup(pairs, |i| coarser(i, steps))
}

/// Adds `b`, times `sign`, to `a`.
fn merged<C: Tally>(a: Pairs<C>, b: Pairs<f64>, sign: f64) -> Pairs<C> {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let mut left = a.into_iter().peekable();
    for (index, count) in b {
        while let Some(pair) = left.next_if(|(i, _)| *i < index) {
            out.push(pair);
        }
        let mut sum = left.next_if(|(i, _)| *i == index).map_or_else(C::default, |(_, c)| c);
        sum.add(sign * count);
        out.push((index, sum));
    }
    out.extend(left);
    out
}

/// The bounds two lists have in common.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    let mut rest = b;
    let common = a.iter().copied().filter(|bound| {
        let skip = rest.iter().take_while(|r| *r < bound).count();
        rest = &rest[skip..];
        rest.first() == Some(bound)
    });
    common.collect()
}

/// Sorts custom buckets into fewer, larger ones.
pub(super) fn to_bounds<C: Tally>(pairs: Pairs<C>, from: &[f64], to: &[f64]) -> Pairs<C> {
    regroup(pairs, |i| {
        let upper = bound(CUSTOM_SCHEMA, from, i);
        to.partition_point(|b| *b < upper) as i32
    })
}

/// What a zero bucket with a larger threshold would count. A threshold inside a bucket that holds something is lifted
/// to the end of that bucket; the one that came of it is returned too.
pub(super) fn wider_zero<C: Tally>(
    schema: i32,
    zero: C,
    positive: &Pairs<C>,
    negative: &Pairs<C>,
    mut threshold: f64,
) -> (C, f64) {
    'again: loop {
        let mut sum = zero;
        for (index, count) in positive {
            if bound(schema, &[], index.wrapping_sub(1)) >= threshold {
                break;
            }
            sum.merge(*count);
            let upper = bound(schema, &[], *index);
            if upper > threshold {
                if count.rough() != 0.0 {
                    threshold = upper;
                }
                break;
            }
        }
        for (index, count) in negative {
            if bound(schema, &[], index.wrapping_sub(1)) >= threshold {
                break;
            }
            sum.merge(*count);
            let upper = bound(schema, &[], *index);
            if upper > threshold {
                if count.rough() != 0.0 {
                    // The positive side has to be looked at again.
                    threshold = upper;
                    continue 'again;
                }
                break;
            }
        }
        return (sum, threshold);
    }
}

impl<C: Tally> Sparse<C> {
    pub fn new(h: &Histogram) -> Self {
        Self {
            hint: h.reset_hint,
            schema: h.schema,
            bounds: Arc::clone(&h.bounds),
            threshold: h.zero_threshold,
            zero: C::from(h.zero_count),
            count: C::from(h.count),
            sum: C::from(h.sum),
            positive: pairs(&h.positive),
            negative: pairs(&h.negative),
        }
    }

    pub fn histogram(self) -> Histogram {
        let side = |pairs: Pairs<C>| Buckets::from_indexed(pairs.into_iter().map(|(i, c)| (i, c.value())));
        Histogram {
            reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.threshold,
            zero_count: self.zero.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive: side(self.positive),
            negative: side(self.negative),
            bounds: self.bounds,
        }
    }

    fn widen(&mut self, threshold: f64) {
        let (zero, threshold) = wider_zero(self.schema, self.zero, &self.positive, &self.negative, threshold);
        (self.zero, self.threshold) = (zero, threshold);
        let schema = self.schema;
        let outside = |pair: &(i32, C)| bound(schema, &[], pair.0.wrapping_sub(1)) >= threshold;
        self.positive.retain(outside);
        self.negative.retain(outside);
    }

    /// Brings both zero buckets to one threshold that cuts no filled bucket of either; returns the other's count.
    fn align_zero(&mut self, other: &Histogram, positive: &Pairs<f64>, negative: &Pairs<f64>) -> f64 {
        let (mut zero, mut threshold) = (other.zero_count, other.zero_threshold);
        while threshold != self.threshold {
            if self.threshold > threshold {
                (zero, threshold) = wider_zero(other.schema, other.zero_count, positive, negative, self.threshold);
            } else if threshold > self.threshold {
                self.widen(threshold);
            } else {
                // One of them is no number: nothing to bring together.
                break;
            }
        }
        zero
    }

    /// Adds the other one times `sign`. Both are of the same kind of schema. Whether bounds had to be reconciled.
    pub fn add(&mut self, other: &Histogram, sign: f64) -> bool {
        let (mut positive, mut negative): (Pairs<f64>, Pairs<f64>) = (pairs(&other.positive), pairs(&other.negative));
        let mut reconciled = false;
        if self.schema == CUSTOM_SCHEMA {
            if self.bounds != other.bounds {
                reconciled = true;
                let common = common_bounds(&self.bounds, &other.bounds);
                self.positive = to_bounds(std::mem::take(&mut self.positive), &self.bounds, &common);
                positive = to_bounds(positive, &other.bounds, &common);
                self.bounds = common;
            }
        } else {
            let zero = self.align_zero(other, &positive, &negative);
            self.zero.add(sign * zero);
            let schema = self.schema.min(other.schema);
            for side in [&mut self.positive, &mut self.negative] {
                *side = to_schema(std::mem::take(side), self.schema, schema);
            }
            self.schema = schema;
            let threshold = self.threshold;
            for side in [&mut positive, &mut negative] {
                // What lies in the zero bucket was counted there; in a coarser bucket it could not be told apart.
                side.retain(|(i, _)| bound(other.schema, &[], *i) > threshold);
                *side = to_schema(std::mem::take(side), other.schema, schema);
            }
        }
        self.count.add(sign * other.count);
        self.sum.add(sign * other.sum);
        self.positive = merged(std::mem::take(&mut self.positive), positive, sign);
        self.negative = merged(std::mem::take(&mut self.negative), negative, sign);
        if reconciled {
            self.positive.retain(|(_, c)| c.value() != 0.0);
        }
        reconciled
    }

    pub fn scale(&mut self, by: impl Fn(f64) -> f64 + Copy) {
        for c in [&mut self.zero, &mut self.count, &mut self.sum] {
            *c = c.scale(by);
        }
        for (_, c) in self.positive.iter_mut().chain(&mut self.negative) {
            *c = c.scale(by);
        }
    }

    pub fn overflows(&self) -> bool {
        let buckets = self.positive.iter().chain(&self.negative).map(|(_, c)| *c);
        buckets.chain([self.zero, self.count, self.sum]).any(|c| c.rough().is_infinite())
    }
}

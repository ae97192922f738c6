//! From counters, as a time-series store keeps them, to what was counted between two looks. It only takes differences
//! and adds up.
//!
//! A counter only grows, and begins again at 0 when its process does. A process that is known by other series and shows a
//! new one (the first error of its life) began it at 0, so its whole value counts; of a process that was not known before
//! the first value is only where counting begins. What is missing was not counted: that a `bad` counter has no series
//! while requests are made means that nothing was bad.

use std::collections::{BTreeMap, HashMap};

use crate::counts::{Bin, Count};
use crate::latency::{BUCKETS_MAX, HistogramBin};

/// One counter's values at the bounds of the looks, oldest first; `None` where it had none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counter {
    /// What tells the processes apart, for example job and instance.
    pub target: String,
    pub values: Vec<Option<f64>>,
}

/// A bucket's counter: requests that took `le` or less.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub le: f64,
    pub counter: Counter,
}

/// Takes differences, knowing since when each process has been seen by any of its series.
#[derive(Debug, Clone, Default)]
pub struct Increases {
    looks: usize,
    first_seen: HashMap<String, usize>,
}

/// A value that a counter may have.
fn sound(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite() && *v >= 0.0)
}

impl Increases {
    /// `bounds` is one more than there are looks.
    pub fn new(bounds: usize) -> Self {
        Self { looks: bounds.saturating_sub(1), first_seen: HashMap::new() }
    }

    /// Tells of series before their differences are asked for; of all of them, on both sides.
    pub fn know<'a>(&mut self, counters: impl IntoIterator<Item = &'a Counter>) {
        for counter in counters {
            let Some(first) = counter.values.iter().position(|v| sound(*v).is_some()) else { continue };
            match self.first_seen.get_mut(&counter.target) {
                Some(known) => *known = first.min(*known),
                None => {
                    self.first_seen.insert(counter.target.clone(), first);
                }
            }
        }
    }

    /// The first bound at which any series of the process was seen.
    pub fn known_since(&self, target: &str) -> Option<usize> {
        self.first_seen.get(target).copied()
    }

    /// What all counters together counted in each look.
    pub fn of<'a>(&self, counters: impl IntoIterator<Item = &'a Counter>) -> Vec<u64> {
        let mut sums = vec![0.0; self.looks];
        for counter in counters {
            let known_since = self.known_since(&counter.target).unwrap_or(usize::MAX);
            let mut last = None;
            for (index, value) in counter.values.iter().enumerate().take(self.looks + 1) {
                let Some(value) = sound(*value) else { continue };
                let grown = match last {
                    Some(last) if value >= last => value - last,
                    Some(_) => value,
                    None if known_since < index => value,
                    None => 0.0,
                };
                last = Some(value);
                if let Some(sum) = index.checked_sub(1).and_then(|look| sums.get_mut(look)) {
                    *sum += grown;
                }
            }
        }
        whole(&sums)
    }

    /// Failed and all requests of both sides, look by look.
    pub fn errors(&self, canary: (&[Counter], &[Counter]), control: (&[Counter], &[Counter])) -> Vec<Bin> {
        let side = |(bad, total): (&[Counter], &[Counter])| {
            let counts = self.of(bad).into_iter().zip(self.of(total));
            counts.map(|(bad, total)| Count::new(bad, total)).collect::<Vec<_>>()
        };
        let both = side(canary).into_iter().zip(side(control));
        both.map(|(canary, control)| Bin { canary, control }).collect()
    }

    /// Requests by duration on both sides, look by look, in the buckets that both have. An error in words where they
    /// have no two in common, or more than can be looked at.
    pub fn latency(&self, canary: &[Bucket], control: &[Bucket]) -> Result<Vec<HistogramBin>, String> {
        let (canary, control) = (self.by_bound(canary), self.by_bound(control));
        let bounds: Vec<Le> = canary.keys().filter(|le| control.contains_key(le)).copied().collect();
        if canary.is_empty() || control.is_empty() {
            return Ok(vec![HistogramBin::default(); self.looks]);
        }
        if !(2..=BUCKETS_MAX).contains(&bounds.len()) {
            return Err(format!(
                "the histograms have {} buckets in common (label `le`), and 2 to {BUCKETS_MAX} are wanted",
                bounds.len()
            ));
        }
        let side = |of: &BTreeMap<Le, Vec<u64>>, look: usize| {
            let mut below = 0;
            let one = |le: &Le| {
                let cumulative = of.get(le).and_then(|counts| counts.get(look)).copied().unwrap_or(0);
                let here = cumulative.saturating_sub(below);
                below = below.max(cumulative);
                here
            };
            bounds.iter().map(one).collect()
        };
        let look = |look| HistogramBin { canary: side(&canary, look), control: side(&control, look) };
        Ok((0..self.looks).map(look).collect())
    }

    fn by_bound(&self, buckets: &[Bucket]) -> BTreeMap<Le, Vec<u64>> {
        let mut grouped: BTreeMap<Le, Vec<&Counter>> = BTreeMap::new();
        for bucket in buckets.iter().filter(|b| !b.le.is_nan()) {
            grouped.entry(Le(bucket.le)).or_default().push(&bucket.counter);
        }
        grouped.into_iter().map(|(le, counters)| (le, self.of(counters))).collect()
    }
}

/// A bucket's bound, ordered.
#[derive(Debug, Clone, Copy)]
struct Le(f64);

impl PartialEq for Le {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Le {}
impl PartialOrd for Le {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Le {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Counts as whole numbers; what is cut off one look is in the next.
fn whole(sums: &[f64]) -> Vec<u64> {
    let (mut total, mut told) = (0.0, 0.0);
    let one = |sum: &f64| {
        total += sum;
        let now = f64::floor(total + 1e-6);
        let count = now - told;
        told = now;
        count as u64
    };
    sums.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(target: &str, values: &[f64]) -> Counter {
        let values = values.iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect();
        Counter { target: target.into(), values }
    }

    const NO: f64 = f64::NAN;

    #[test]
    fn counters_grow_begin_again_and_come_late() {
        let known = counter("a", &[100.0, 110.0, 125.0, 125.0]);
        let mut increases = Increases::new(4);
        increases.know([&known]);
        let cases: [(&str, Counter, [u64; 3]); 7] = [
            ("grows", known.clone(), [10, 15, 0]),
            ("begins again", counter("a", &[100.0, 110.0, 5.0, 8.0]), [10, 5, 3]),
            ("has a gap", counter("a", &[100.0, NO, NO, 130.0]), [0, 0, 30]),
            ("is the first error of a known process", counter("a", &[NO, NO, 3.0, 4.0]), [0, 3, 1]),
            ("is a process that nobody knew", counter("b", &[NO, 900.0, 910.0, 910.0]), [0, 10, 0]),
            ("is no counter", counter("a", &[-1.0, f64::INFINITY, NO, NO]), [0, 0, 0]),
            ("has fractions", counter("a", &[0.0, 0.4, 1.2, 1.9]), [0, 1, 0]),
        ];
        for (name, counter, expected) in cases {
            assert_eq!(increases.of([&counter]), expected, "{name}");
        }
        assert_eq!(increases.of([]), [0, 0, 0]);
        assert_eq!(Increases::new(0).of([&known]), [0; 0]);
    }

    #[test]
    fn buckets_are_those_of_both_sides() {
        let bucket = |le: f64, values: &[f64]| Bucket { le, counter: counter("a", values) };
        let inf = f64::INFINITY;
        let increases = Increases::new(2);
        let canary = [bucket(0.1, &[0.0, 5.0]), bucket(0.5, &[0.0, 8.0]), bucket(inf, &[0.0, 9.0])];
        let control = [bucket(0.5, &[10.0, 70.0]), bucket(inf, &[10.0, 90.0]), bucket(2.0, &[10.0, 80.0])];
        let bins = increases.latency(&canary, &control).unwrap();
        assert_eq!(bins, [HistogramBin { canary: vec![8, 1], control: vec![60, 20] }]);
        assert!(increases.latency(&canary[..1], &control).unwrap_err().contains("`le`"));
        assert_eq!(increases.latency(&[], &control).unwrap(), [HistogramBin::default()], "nothing yet is no error");
    }
}

//! After the promotion no old release is left to compare with: the error rate is held against what it was.

use serde::{Deserialize, Serialize};

use crate::counts::Count;

/// Page's cumulative sum (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954) of the log likelihood ratio
/// "failing `factor` times as often as `reference`" for Poisson errors: `S = max(0, S + k ln(factor) - n reference
/// (factor - 1))`, an alarm at `S >= threshold`.
///
/// A false alarm comes on average no earlier than after `exp(threshold)` looks (Lorden 1971); the delay is about
/// `threshold / I`, with `I` the information of one look (Moustakides 1986).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    reference: f64,
    factor: f64,
    threshold: f64,
    sum: f64,
}

impl Cusum {
    /// The sum before the first look (Page 1954). `reference` is the error rate before, 0 to 1 (a rate of 0 is taken as
    /// one in a million: nothing fails never); `factor` above 1; `threshold` in nats.
    pub fn new(reference: f64, factor: f64, threshold: f64) -> Self {
        Self { reference: reference.clamp(1e-6, 1.0), factor: factor.max(1.0 + 1e-9), threshold, sum: 0.0 }
    }

    /// Takes one look, `S = max(0, S + k ln(factor) - n reference (factor - 1))` (Page 1954), and says whether the alarm is
    /// raised. A look without requests changes nothing.
    pub fn observe(&mut self, count: Count) -> bool {
        let (events, total) = (count.events.min(count.total) as f64, count.total as f64);
        self.sum += events * self.factor.ln() - total * self.reference * (self.factor - 1.0);
        self.sum = self.sum.max(0.0);
        self.is_alarmed()
    }

    /// `S >= threshold`; while nothing is wrong not before `exp(threshold)` looks on average (Lorden 1971).
    pub fn is_alarmed(&self) -> bool {
        self.sum >= self.threshold
    }

    /// `S` (Page 1954), in nats; 0 while nothing looks worse.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_stays_quiet_and_trouble_is_found() {
        let mut cusum = Cusum::new(0.005, 2.0, 8.0);
        assert!((0..3_600).all(|i| !cusum.observe(Count::new(u64::from(i % 2 == 0), 100))));
        let found = (1..100).find(|_| cusum.observe(Count::new(2, 100))).expect("four times as bad");
        assert!((5..=15).contains(&found), "after {found} looks");
    }

    #[test]
    fn no_traffic_says_nothing() {
        let mut cusum = Cusum::new(0.0, 2.0, 5.0);
        assert!(!cusum.observe(Count::default()));
        assert_eq!(cusum.sum(), 0.0);
    }
}

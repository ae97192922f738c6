//! Error rates that nobody minds, whatever they are a multiple of: one error in a million beside none is no reason to
//! roll back, and a release that never fails shall not wait for ever because nothing fails beside it either.
//!
//! With `f` the rate below which nothing is bad, `prod (q/f)^k ((1-q)/(1-f))^(n-k)` over the canary's looks is an
//! e-process for "fails at `f` or more" when `q < f`, and for "fails at `f` or less" when `q > f` (Wald 1945; any mean of
//! several `q` is one again). No control is needed, and none is looked at.

use serde::{Deserialize, Serialize};

use crate::counts::Count;
use crate::math::{log_mean_exp, times_ln};

/// Alternatives as multiples of the rate.
const RARER: [f64; 4] = [0.5, 0.2, 0.05, 0.0];
const COMMONER: [f64; 7] = [1.25, 1.5, 2.0, 4.0, 10.0, 50.0, 200.0];
/// Everything fails, nearly.
const RATE_MAX: f64 = 0.999;

/// Both tests of the canary's own error rate against one bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Floor {
    rate: f64,
    dispersion: f64,
    rarer: [f64; 4],
    commoner: [f64; 7],
}

impl Floor {
    /// `rate` above 0 and below 1; evidence is divided by `dispersion`, as errors may come in bursts.
    pub(crate) fn new(rate: f64, dispersion: f64) -> Self {
        Self { rate, dispersion, rarer: [0.0; 4], commoner: [0.0; 7] }
    }

    pub(crate) fn observe(&mut self, count: Count) {
        let bad = count.events.min(count.total) as f64;
        let good = count.total as f64 - bad;
        let rate = self.rate;
        let gain = |factor: f64| {
            let q = (factor * rate).min(RATE_MAX);
            times_ln(bad, q / rate) + times_ln(good, (1.0 - q) / (1.0 - rate))
        };
        self.rarer.iter_mut().zip(RARER).for_each(|(log, factor)| *log += gain(factor));
        self.commoner.iter_mut().zip(COMMONER).for_each(|(log, factor)| *log += gain(factor));
    }

    /// `ln E` against "fails at the rate or more".
    pub(crate) fn rare_evidence(&self) -> f64 {
        log_mean_exp(self.rarer.iter().copied()) / self.dispersion
    }

    /// `ln E` against "fails at the rate or less".
    pub(crate) fn common_evidence(&self) -> f64 {
        log_mean_exp(self.commoner.iter().copied()) / self.dispersion
    }

    /// Requests without a single error after which "fails at the rate or more" is refuted at `nats`.
    pub(crate) fn requests_needed(&self, nats: f64) -> u64 {
        ((nats * self.dispersion + 4f64.ln()) / -(1.0 - self.rate).ln()).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_from_the_bound() {
        let mut clean = Floor::new(0.001, 1.0);
        let needed = clean.requests_needed(20f64.ln());
        clean.observe(Count::new(0, needed));
        assert!(clean.rare_evidence() >= 20f64.ln() && clean.common_evidence() < 0.0);
        let mut bad = Floor::new(0.001, 1.0);
        bad.observe(Count::new(10, 1_000));
        assert!(bad.common_evidence() > 5.0 && bad.rare_evidence() < 0.0, "{bad:?}");
        let mut all = Floor::new(0.9, 1.0);
        all.observe(Count::new(u64::MAX, u64::MAX));
        assert!(!all.common_evidence().is_nan());
    }

    #[test]
    fn one_look_is_worth_one_on_average() {
        for rate in [0.01, 0.3, 0.9f64] {
            let n = 12u64;
            let (mut rare, mut common, mut choose) = (0.0, 0.0, 1.0);
            for k in 0..=n {
                let probability = choose * rate.powi(k as i32) * (1.0 - rate).powi((n - k) as i32);
                let mut test = Floor::new(rate, 1.0);
                test.observe(Count::new(k, n));
                rare += probability * test.rare_evidence().exp();
                common += probability * test.common_evidence().exp();
                choose *= (n - k) as f64 / (k + 1) as f64;
            }
            assert!((rare - 1.0).abs() < 1e-9 && (common - 1.0).abs() < 1e-9, "{rate}: {rare} {common}");
        }
    }
}

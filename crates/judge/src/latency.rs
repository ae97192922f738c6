//! Latency from histograms: is the canary's distribution shifted towards slower?
//!
//! Both sides have the same buckets; a look holds how many requests fell into each. Two forms of one idea, averaged:
//!
//! - *Exceedances*: for each bucket bound `x` the requests slower than `x` are a yes-or-no count on both sides. With
//!   `pc > pb` guessed from the past looks and `p* = (n_c pc + n_b pb)/n`,
//!   `prod pc^k_c (1-pc)^(n_c-k_c) pb^k_b (1-pb)^(n_b-k_b) / (p*^k (1-p*)^(n-k))` is an e-process for "not more slow
//!   requests than the control", and the mean over the bounds is one again.
//! - *Joint*: the same with the whole distribution: `prod p1(x)/p*(x) prod p0(y)/p*(y)`, where `p1` is projected to be
//!   stochastically slower than `p0`. It sees small tails that no single bound shows.
//!
//! Source: Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
//! stopping" (2024). The guesses use the past only, so the bet of a look is placed before it is seen.

use serde::{Deserialize, Serialize};

use crate::math::{log_mean_exp, times_ln};

/// Buckets of one histogram that are looked at; more are merged by the caller.
pub(crate) const BUCKETS_MAX: usize = 400;

/// Requests by bucket, fastest first, not cumulative; both sides have as many buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistogramBin {
    pub canary: Vec<u64>,
    pub control: Vec<u64>,
}

/// Evidence against "the canary is not slower". Roll back when it reaches `1/alpha`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// What was seen before the current look, by bucket.
    canary: Vec<f64>,
    control: Vec<f64>,
    /// `ln E` for each bound between two buckets.
    exceedances: Vec<f64>,
    joint: f64,
}

/// Added to every bucket, so that what was never seen is possible.
const PSEUDO_COUNT: f64 = 0.5;

impl Slower {
    /// Takes one look. A look with other buckets than before, with more than 400, or without requests on a side says
    /// nothing and is passed over; `false` tells so.
    pub fn observe(&mut self, bin: &HistogramBin) -> bool {
        let buckets = bin.canary.len();
        let sum = |side: &[u64]| side.iter().map(|c| *c as f64).sum::<f64>();
        let fits = buckets == bin.control.len() && (2..=BUCKETS_MAX).contains(&buckets);
        if !fits || sum(&bin.canary) == 0.0 || sum(&bin.control) == 0.0 {
            return false;
        }
        if self.canary.is_empty() {
            self.canary = vec![0.0; buckets];
            self.control = vec![0.0; buckets];
            self.exceedances = vec![0.0; buckets - 1];
        } else if self.canary.len() != buckets {
            return false;
        } else {
            self.bet(bin);
        }
        for (past, now) in self.canary.iter_mut().zip(&bin.canary) {
            *past += *now as f64;
        }
        for (past, now) in self.control.iter_mut().zip(&bin.control) {
            *past += *now as f64;
        }
        true
    }

    fn bet(&mut self, bin: &HistogramBin) {
        let (n_c, n_b) = (total(&bin.canary), total(&bin.control));
        let (slow_c, slow_b) = (slower_than(&bin.canary), slower_than(&bin.control));
        let (past_c, past_b) = (tail_shares(&self.canary), tail_shares(&self.control));
        for (i, log) in self.exceedances.iter_mut().enumerate() {
            let (pc, pb) = (past_c[i], past_b[i]);
            // Without a guess that the canary is slower here, nothing is bet.
            if pc > pb {
                let pooled = (n_c * pc + n_b * pb) / (n_c + n_b);
                let (k_c, k_b) = (slow_c[i], slow_b[i]);
                *log += times_ln(k_c, pc / pooled)
                    + times_ln(n_c - k_c, (1.0 - pc) / (1.0 - pooled))
                    + times_ln(k_b, pb / pooled)
                    + times_ln(n_b - k_b, (1.0 - pb) / (1.0 - pooled));
            }
        }
        let mut p0 = Vec::with_capacity(bin.canary.len());
        let mut p1 = Vec::with_capacity(bin.canary.len());
        let (mut tail0, mut tail1) = (1.0, 1.0);
        for i in 0..bin.canary.len() {
            let next0 = past_b.get(i).copied().unwrap_or(0.0);
            // Projected: at every bound at least as many slow ones as the control.
            let next1 = past_c.get(i).copied().unwrap_or(0.0).max(next0);
            p0.push((tail0 - next0).max(f64::MIN_POSITIVE));
            p1.push((tail1 - next1).max(f64::MIN_POSITIVE));
            (tail0, tail1) = (next0, next1);
        }
        for i in 0..bin.canary.len() {
            let pooled = (n_c * p1[i] + n_b * p0[i]) / (n_c + n_b);
            self.joint +=
                times_ln(bin.canary[i] as f64, p1[i] / pooled) + times_ln(bin.control[i] as f64, p0[i] / pooled);
        }
    }

    /// `ln E`; 0 at the beginning.
    pub fn log_evidence(&self) -> f64 {
        let bounds = log_mean_exp(self.exceedances.iter().copied());
        log_mean_exp([if bounds.is_finite() { bounds } else { 0.0 }, self.joint].into_iter())
    }
}

fn total(side: &[u64]) -> f64 {
    side.iter().map(|c| *c as f64).sum()
}

/// For each bound, the requests beyond it.
fn slower_than(side: &[u64]) -> Vec<f64> {
    let mut beyond = total(side);
    side.iter()
        .take(side.len() - 1)
        .map(|c| {
            beyond -= *c as f64;
            beyond
        })
        .collect()
}

/// For each bound, the share beyond it, smoothed.
fn tail_shares(past: &[f64]) -> Vec<f64> {
    let total: f64 = past.iter().sum::<f64>() + PSEUDO_COUNT * past.len() as f64;
    let mut beyond = total;
    past.iter()
        .take(past.len() - 1)
        .map(|c| {
            beyond -= c + PSEUDO_COUNT;
            (beyond / total).clamp(0.0, 1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(canary: [u64; 4], control: [u64; 4]) -> HistogramBin {
        HistogramBin { canary: canary.to_vec(), control: control.to_vec() }
    }

    #[test]
    fn slower_is_found_faster_is_not() {
        let (mut slower, mut same, mut faster) = (Slower::default(), Slower::default(), Slower::default());
        for _ in 0..20 {
            slower.observe(&bin([30, 40, 20, 10], [450, 360, 80, 10]));
            same.observe(&bin([50, 40, 9, 1], [450, 360, 80, 10]));
            faster.observe(&bin([70, 28, 2, 0], [450, 360, 80, 10]));
        }
        assert!(slower.log_evidence() > 100f64.ln(), "{}", slower.log_evidence());
        assert!(same.log_evidence() < 20f64.ln());
        assert!(faster.log_evidence() < 20f64.ln());
    }

    #[test]
    fn the_first_look_bets_nothing() {
        let mut test = Slower::default();
        assert!(test.observe(&bin([0, 0, 0, 100], [900, 0, 0, 0])));
        assert_eq!(test.log_evidence(), 0.0);
    }

    #[test]
    fn what_does_not_fit_says_nothing() {
        let mut test = Slower::default();
        assert!(!test.observe(&HistogramBin::default()));
        assert!(!test.observe(&HistogramBin { canary: vec![1], control: vec![1] }));
        assert!(!test.observe(&bin([0; 4], [1; 4])));
        assert!(test.observe(&bin([1; 4], [1; 4])));
        assert!(!test.observe(&HistogramBin { canary: vec![1; 3], control: vec![1; 3] }));
        assert!(!test.observe(&HistogramBin { canary: vec![1; 500], control: vec![1; 500] }));
        test.observe(&bin([u64::MAX; 4], [u64::MAX; 4]));
        assert!(test.log_evidence().is_finite());
    }
}

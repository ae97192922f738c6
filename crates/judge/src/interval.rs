//! Which ratios of the error rates are still believable: a confidence sequence, valid at every moment at once.
//!
//! A ratio is believable while no test of it has reached `2/alpha`: the tests of all ratios, turned round, are a confidence
//! sequence (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences", 2021), here with the conditional binomial likelihood of `counts` (Lindon and Malek 2022).

use serde::{Deserialize, Serialize};

use crate::counts::Bin;
use crate::math::log_mean_exp;

/// Ratios that are tried: a hundredth to a hundredfold, 40 to a factor of ten.
const TRIED: usize = 80;
const STEP: f64 = std::f64::consts::LN_10 / 40.0;

/// Alternatives on either side of each tried ratio, in steps: 1.2, 1.5, 2, 3, 6 and 20 times, nearly. Whole steps, so that
/// all of them are tried ratios or lie on their continuation, and one logarithm serves many.
const AWAY: [usize; 6] = [3, 7, 12, 19, 31, 52];
const AWAY_MAX: usize = AWAY[AWAY.len() - 1];

/// `{r : neither "r or less" nor "r or more" is refuted at alpha/2}`, on a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioInterval {
    /// For each tried ratio the logarithms of its alternatives, above then below.
    logs: Vec<[f64; 12]>,
    /// Errors since the traffic split last changed, which are not in `logs` yet: what one error is worth follows from the
    /// split alone, so they are taken together.
    waiting: Waiting,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Waiting {
    kappa: f64,
    canary: f64,
    both: f64,
}

impl Default for RatioInterval {
    fn default() -> Self {
        Self { logs: vec![[0.0; 12]; 2 * TRIED + 1], waiting: Waiting::default() }
    }
}

fn tried(index: usize) -> f64 {
    ((index as f64 - TRIED as f64) * STEP).exp()
}

impl RatioInterval {
    /// Takes one look into the conditional binomial likelihood ratios of each tried ratio and its alternatives (Lindon and
    /// Malek 2022).
    pub fn observe(&mut self, bin: Bin) {
        // Without an error on either side a look says nothing of any ratio.
        let Some(kappa) = bin.kappa().filter(|_| bin.canary.events > 0 || bin.control.events > 0) else { return };
        if kappa != self.waiting.kappa {
            self.take();
            self.waiting.kappa = kappa;
        }
        let canary = bin.canary.capped() as f64;
        self.waiting.canary += canary;
        self.waiting.both += canary + bin.control.capped() as f64;
    }

    fn take(&mut self) {
        let Waiting { kappa, canary, both } = std::mem::take(&mut self.waiting);
        if both == 0.0 {
            return;
        }
        // ln(r + kappa) along the grid and its continuation.
        let at = |i: usize| (((i as f64 - (TRIED + AWAY_MAX) as f64) * STEP).exp() + kappa).ln();
        let sums: Vec<f64> = (0..=2 * (TRIED + AWAY_MAX)).map(at).collect();
        // ln theta(r')/theta(r) on the canary is ln r'/r + ln (r+kappa)/(r'+kappa), and on the control the second alone.
        for (i, logs) in self.logs.iter_mut().enumerate() {
            let here = i + AWAY_MAX;
            for (j, away) in AWAY.iter().enumerate() {
                let by = canary * *away as f64 * STEP;
                logs[j] += by + both * (sums[here] - sums[here + away]);
                logs[j + AWAY.len()] += both * (sums[here] - sums[here - away]) - by;
            }
        }
    }

    /// Lower and upper end of the ratios whose mean likelihood ratio stays below `2/alpha` either way (Robbins 1970). 0
    /// and infinity where nothing was refuted on the grid. Evidence is divided by `dispersion`.
    pub fn at(&self, alpha: f64, dispersion: f64) -> (f64, f64) {
        let mut all = self.clone();
        all.take();
        let limit = (2.0 / alpha).ln();
        let refuted = |logs: &[f64]| log_mean_exp(logs.iter().copied()) / dispersion >= limit;
        let lower = all.logs.iter().rposition(|logs| refuted(&logs[..AWAY.len()])).map_or(0.0, tried);
        let upper = all.logs.iter().position(|logs| refuted(&logs[AWAY.len()..])).map_or(f64::INFINITY, tried);
        (lower, upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Count;

    #[test]
    fn closes_in_on_the_ratio() {
        let mut interval = RatioInterval::default();
        assert_eq!(interval.at(0.05, 1.0), (0.0, f64::INFINITY));
        let mut widths = Vec::new();
        for _ in 0..3 {
            for _ in 0..300 {
                interval.observe(Bin { canary: Count::new(2, 100), control: Count::new(9, 900) });
            }
            let (lower, upper) = interval.at(0.05, 1.0);
            assert!(lower < 2.0 && 2.0 < upper, "{lower} {upper}");
            widths.push(upper / lower);
        }
        assert!(widths.is_sorted_by(|a, b| a >= b) && widths[2] < 1.5, "{widths:?}");
        let (lower, upper) = interval.at(0.05, 1.0);
        let wider = interval.at(0.05, 4.0);
        assert!(wider.0 < lower && wider.1 > upper);
    }
}

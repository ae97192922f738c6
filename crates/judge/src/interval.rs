//! Which ratios of the error rates are still believable: a confidence sequence, valid at every moment at once.

use serde::{Deserialize, Serialize};

use crate::counts::{Bin, log_likelihood_ratio};
use crate::math::log_mean_exp;

/// Ratios that are tried: a hundredth to a hundredfold, 40 to a factor of ten.
const TRIED: i32 = 80;
const STEPS_A_DECADE: f64 = 40.0;

/// Alternatives on either side of each tried ratio.
const AWAY: [f64; 6] = [1.2, 1.5, 2.0, 3.0, 6.0, 20.0];

/// `{r : neither "r or less" nor "r or more" is refuted at alpha/2}`, on a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioInterval {
    /// For each tried ratio the logarithms of its alternatives, above then below.
    logs: Vec<[f64; 12]>,
}

impl Default for RatioInterval {
    fn default() -> Self {
        Self { logs: vec![[0.0; 12]; (2 * TRIED + 1) as usize] }
    }
}

fn tried(index: usize) -> f64 {
    10f64.powf((index as f64 - f64::from(TRIED)) / STEPS_A_DECADE)
}

impl RatioInterval {
    pub fn observe(&mut self, bin: Bin) {
        // Without an error on either side a look says nothing of any ratio.
        if bin.canary.total == 0 || bin.control.total == 0 || (bin.canary.events == 0 && bin.control.events == 0) {
            return;
        }
        for (i, logs) in self.logs.iter_mut().enumerate() {
            let r = tried(i);
            for (j, away) in AWAY.iter().enumerate() {
                logs[j] += log_likelihood_ratio(bin, r * away, r);
                logs[j + AWAY.len()] += log_likelihood_ratio(bin, r / away, r);
            }
        }
    }

    /// Lower and upper end. 0 and infinity where nothing was refuted on the grid. Evidence is divided by `dispersion`.
    pub fn at(&self, alpha: f64, dispersion: f64) -> (f64, f64) {
        let limit = (2.0 / alpha).ln();
        let refuted = |logs: &[f64]| log_mean_exp(logs.iter().copied()) / dispersion >= limit;
        let lower = self.logs.iter().rposition(|logs| refuted(&logs[..AWAY.len()])).map_or(0.0, tried);
        let upper = self.logs.iter().position(|logs| refuted(&logs[AWAY.len()..])).map_or(f64::INFINITY, tried);
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

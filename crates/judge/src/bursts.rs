//! Errors that come in bursts: one broken connection fails three requests, and a test that counts them one by one takes
//! that for three times the evidence.
//!
//! Counts of bursts are a compound Poisson process; with sizes that are geometric it is Polya and Aeppli's (Johnson, Kemp
//! and Kotz, "Univariate Discrete Distributions", 2005, section 9.7), whose moment generating function is known. An
//! e-process that is raised to a power below 1 is made for a model that is not quite true (Grünwald, "The safe Bayesian",
//! 2012); dividing the logarithm by the dispersion is quasi-likelihood (Wedderburn 1974; McCullagh and Nelder 1989).

use serde::{Deserialize, Serialize};

/// The size of a burst as a geometric distribution, `P(size = k) = p (1-p)^(k-1)`.
///
/// Errors that come as a compound Poisson process with such bursts have the dispersion `2/p - 1`. Their evidence is raised
/// to the power `lambda` at which one burst is worth 1 on average: `theta M(lambda a) + (1-theta) M(lambda b) = 1`, with
/// `M` the moment generating function of the size, `a` and `b` the worth of one error on the canary and on the control.
/// That keeps every alternative an e-process. Dividing the logarithm by the dispersion, as one does for quasi-likelihood,
/// is the same to the second order and too little for far alternatives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bursts {
    p: f64,
}

/// Halvings of the interval in which `lambda` is looked for.
const STEPS: u32 = 30;

impl Bursts {
    /// `dispersion` is variance over mean of the counts; below 1 counts as 1.
    pub(crate) fn of(dispersion: f64) -> Self {
        Self { p: 2.0 / (dispersion.max(1.0) + 1.0) }
    }

    fn moment(self, s: f64) -> f64 {
        let left = 1.0 - (1.0 - self.p) * s.exp();
        if left <= 0.0 { f64::INFINITY } else { self.p * s.exp() / left }
    }

    /// `lambda`, above 0 and at most 1; 1 for errors that come one by one.
    pub(crate) fn exponent(self, theta: f64, canary: f64, control: f64) -> f64 {
        if self.p >= 1.0 {
            return 1.0;
        }
        let worth = |lambda: f64| theta * self.moment(lambda * canary) + (1.0 - theta) * self.moment(lambda * control);
        if worth(1.0) <= 1.0 {
            return 1.0;
        }
        // Convex, 1 at 0 and falling there: the only other place where it is 1 lies between.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..STEPS {
            let middle = f64::midpoint(low, high);
            if worth(middle) <= 1.0 { low = middle } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_errors_count_in_full_and_bursts_less() {
        let (theta, canary, control) = (0.1, 2f64.ln(), -0.1);
        assert_eq!(Bursts::of(1.0).exponent(theta, canary, control), 1.0);
        let three = Bursts::of(5.0).exponent(theta, canary, control);
        let ten = Bursts::of(19.0).exponent(theta, canary, control);
        assert!(0.0 < ten && ten < three && three < 1.0, "{ten} {three}");
    }

    #[test]
    fn near_alternatives_are_divided_by_the_dispersion() {
        let (kappa, r) = (9.0f64, 1.01f64);
        let control = ((1.0 + kappa) / (r + kappa)).ln();
        let lambda = Bursts::of(5.0).exponent(1.0 / (1.0 + kappa), r.ln() + control, control);
        assert!((lambda - 0.2).abs() < 0.005, "{lambda}");
    }
}

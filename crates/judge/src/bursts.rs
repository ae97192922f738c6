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
/// How far from a known `lambda` the next one is looked for at first, as a share of it, and the halvings of that.
const NEAR: f64 = 0.02;
const STEPS_NEAR: u32 = 6;

impl Bursts {
    /// `dispersion` is variance over mean of the counts; below 1 counts as 1.
    pub(crate) fn of(dispersion: f64) -> Self {
        Self { p: 2.0 / (dispersion.max(1.0) + 1.0) }
    }

    fn moment(self, s: f64) -> f64 {
        let grown = s.exp();
        let left = 1.0 - (1.0 - self.p) * grown;
        if left <= 0.0 { f64::INFINITY } else { self.p * grown / left }
    }

    /// `lambda`, above 0 and at most 1; 1 for errors that come one by one.
    pub(crate) fn exponent(self, theta: f64, canary: f64, control: f64) -> f64 {
        if self.p >= 1.0 {
            return 1.0;
        }
        if self.worth(1.0, theta, canary, control) <= 1.0 {
            return 1.0;
        }
        // Convex, 1 at 0 and falling there: the only other place where it is 1 lies between.
        halved((0.0, 1.0), STEPS, |lambda| self.worth(lambda, theta, canary, control))
    }

    /// The same, where one is known that lies near: a thousandth too small at most.
    pub(crate) fn exponent_near(self, near: f64, theta: f64, canary: f64, control: f64) -> f64 {
        let worth = |lambda: f64| self.worth(lambda, theta, canary, control);
        let (low, high) = (near * (1.0 - NEAR), near * (1.0 + NEAR));
        if self.p < 1.0 && high < 1.0 && worth(low) <= 1.0 && worth(high) > 1.0 {
            halved((low, high), STEPS_NEAR, worth)
        } else {
            self.exponent(theta, canary, control)
        }
    }

    /// What one burst is worth on average when its evidence is raised to `lambda`.
    fn worth(self, lambda: f64, theta: f64, canary: f64, control: f64) -> f64 {
        theta * self.moment(lambda * canary) + (1.0 - theta) * self.moment(lambda * control)
    }
}

/// The largest `lambda` found at which a burst is worth 1 at most; it is at the lower end, and more at the upper one.
fn halved((mut low, mut high): (f64, f64), steps: u32, worth: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..steps {
        let middle = f64::midpoint(low, high);
        if worth(middle) <= 1.0 { low = middle } else { high = middle }
    }
    low
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
    fn one_that_lies_near_is_found_sooner_and_is_as_good() {
        let worth = |kappa: f64| {
            let control = ((1.0 + kappa) / (2.0 + kappa)).ln();
            (1.0 / (1.0 + kappa), 2f64.ln() + control, control)
        };
        let bursts = Bursts::of(5.0);
        let (theta, canary, control) = worth(9.0);
        let mut near = bursts.exponent(theta, canary, control);
        for kappa in [9.1, 9.4, 8.0, 3.0, 12.0, 0.5] {
            let (theta, canary, control) = worth(kappa);
            let whole = bursts.exponent(theta, canary, control);
            near = bursts.exponent_near(near, theta, canary, control);
            assert!(near <= whole + 1e-9 && near > whole * 0.999, "{kappa}: {near} {whole}");
            assert!(bursts.worth(near, theta, canary, control) <= 1.0, "{kappa}");
        }
        assert_eq!(Bursts::of(1.0).exponent_near(1.0, theta, canary, control), 1.0);
    }

    #[test]
    fn near_alternatives_are_divided_by_the_dispersion() {
        let (kappa, r) = (9.0f64, 1.01f64);
        let control = ((1.0 + kappa) / (r + kappa)).ln();
        let lambda = Bursts::of(5.0).exponent(1.0 / (1.0 + kappa), r.ln() + control, control);
        assert!((lambda - 0.2).abs() < 0.005, "{lambda}");
    }
}

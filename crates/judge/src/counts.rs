//! Failed requests of the canary beside those of the control, as two opposite tests of the ratio of their rates.
//!
//! In one look the canary failed `k_c` of `n_c` requests and the control `k_b` of `n_b`. Given the total `m = k_c + k_b`,
//! and errors that come like a Poisson process, `k_c` is binomial with the probability `theta(r) = r / (r + n_b/n_c)`,
//! where `r` is the ratio of the two error rates: the rate itself, whatever it is and however it moves, is gone. So
//!
//! ```text
//! E_t = mean_j prod_i (theta_i(r_j)/theta_i(r0))^k_c,i * ((1-theta_i(r_j))/(1-theta_i(r0)))^k_b,i
//! ```
//!
//! is an e-process for "r <= r0" when all `r_j > r0`, and for "r >= r0" when all `r_j < r0` (the likelihood ratio is
//! monotone in `r`). For requests that fail one by one (Bernoulli) `k_c` is hypergeometric, which is smaller in convex
//! order than the binomial (Hoeffding 1963), so the bound holds and is a little conservative.
//!
//! Sources: Ville (1939); Lindon and Malek, "Anytime-valid inference for multinomial count data" (2022); Turner, Ly and
//! Grünwald, "Generic E-variables for exact sequential k-sample tests" (2024).

use serde::{Deserialize, Serialize};

use crate::bursts::Bursts;
use crate::hosts::Piece;
use crate::math::{log_mean_exp, log_sum_exp};

/// Requests of one side in one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeCount))]
pub struct Count {
    /// Of `total`, those that failed (or were too slow). More than `total` counts as `total`.
    pub events: u64,
    pub total: u64,
}

impl Count {
    pub const fn new(events: u64, total: u64) -> Self {
        Self { events, total }
    }

    /// Share that failed; `None` without requests.
    pub fn rate(self) -> Option<f64> {
        (self.total > 0).then(|| self.capped() as f64 / self.total as f64)
    }

    pub(crate) fn capped(self) -> u64 {
        self.events.min(self.total)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.events = self.events.saturating_add(other.capped());
    }
}

/// What was counted on both sides since the look before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeBin))]
pub struct Bin {
    pub canary: Count,
    pub control: Count,
}

impl Bin {
    pub(crate) fn add(&mut self, other: Self) {
        self.canary.add(other.canary);
        self.control.add(other.control);
    }

    /// Control requests for one of the canary's; `None` while a side has none.
    pub(crate) fn kappa(self) -> Option<f64> {
        (self.canary.total > 0 && self.control.total > 0).then(|| self.control.total as f64 / self.canary.total as f64)
    }

    /// Ratio of the two error rates with half an error added to each side (Haldane 1956, Anscombe 1956), so that it exists
    /// while one is 0. `None` while a side has no requests.
    pub fn ratio(self) -> Option<f64> {
        self.kappa()?;
        let smoothed = |c: Count| (c.capped() as f64 + 0.5) / (c.total as f64 + 1.0);
        Some(smoothed(self.canary) / smoothed(self.control))
    }
}

/// What one error is worth for the ratio `r` rather than `r0`, as logarithms: on the canary, on the control.
pub(crate) fn worth(kappa: f64, r: f64, r0: f64) -> (f64, f64) {
    // theta(r)/theta(r0) = (r/r0) * (r0+kappa)/(r+kappa), and (1-theta(r))/(1-theta(r0)) is the second factor alone.
    let control = ((r0 + kappa) / (r + kappa)).ln();
    ((r / r0).ln() + control, control)
}

/// Evidence of several alternatives against one bound, averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Mixture {
    bound: f64,
    alternatives: Vec<f64>,
    /// One logarithm for each alternative.
    logs: Vec<f64>,
    /// What was known for each alternative before the first look, as a logarithm; 0 for nothing.
    known: Vec<f64>,
    bursts: Bursts,
    /// What one error on either side is worth to each alternative, tempered, at the traffic split of the look before.
    worths: Vec<(f64, f64)>,
    /// The powers they were tempered with, near which those of the next split lie.
    exponents: Vec<f64>,
    kappa: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    later: Option<Later>,
}

/// Tests that begin later than the first look, so that what was good for an hour and then turns bad is found in minutes:
/// the first test alone would have to make up for all that spoke against it. A weighted mean of e-processes that begin at
/// different looks is an e-process again, whatever the number of beginnings, when the weights add up to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Later {
    looks: u64,
    /// For each alternative the logarithm of the weighted sum of the tests that have begun.
    logs: Vec<f64>,
}

/// Weight of the test that begins with the first look.
const FIRST_WEIGHT: f64 = 0.9;
/// Looks between two beginnings.
const BEGIN_EVERY: u64 = 6;

impl Later {
    fn begun(&self) -> u64 {
        self.looks / BEGIN_EVERY
    }

    /// The beginning `s` weighs `1/(s (s+1))` of what the first one leaves.
    fn begin(&mut self) {
        self.looks += 1;
        if self.looks.is_multiple_of(BEGIN_EVERY) {
            let s = self.begun() as f64;
            let weight = -(s * (s + 1.0)).ln();
            self.logs.iter_mut().for_each(|log| *log = log_sum_exp(*log, weight));
        }
    }

    /// `ln` of the mean over the alternatives of the first test, the later ones, and those that have not begun, which
    /// stand at what is known.
    fn with(&self, first: &[f64], known: &[f64]) -> f64 {
        let waiting =
            -(self.begun() as f64 + 1.0).ln() + (1.0 - FIRST_WEIGHT).ln() + log_mean_exp(known.iter().copied());
        let first = first.iter().zip(known).map(|(log, known)| log + known + FIRST_WEIGHT.ln());
        let later = self.logs.iter().zip(known).map(|(log, known)| log + known + (1.0 - FIRST_WEIGHT).ln());
        // The mean of both halves is half of the sum that is meant.
        log_sum_exp(log_mean_exp(first.chain(later)) + 2f64.ln(), waiting)
    }
}

impl Mixture {
    fn new(bound: f64, factors: &[f64], dispersion: f64) -> Self {
        let alternatives: Vec<f64> = factors.iter().map(|f| f * bound).collect();
        Self {
            bound,
            logs: vec![0.0; alternatives.len()],
            known: vec![0.0; alternatives.len()],
            alternatives,
            bursts: Bursts::of(dispersion),
            worths: Vec::new(),
            exponents: Vec::new(),
            kappa: 0.0,
            later: None,
        }
    }

    fn lasting(mut self) -> Self {
        self.later = Some(Later { looks: 0, logs: vec![f64::NEG_INFINITY; self.logs.len()] });
        self
    }

    fn observe(&mut self, bin: Bin) {
        let Some(kappa) = bin.kappa() else { return };
        if kappa != self.kappa {
            self.weigh(kappa);
        }
        let gain = |(canary, control): &(f64, f64)| {
            bin.canary.capped() as f64 * canary + bin.control.capped() as f64 * control
        };
        for (log, worth) in self.logs.iter_mut().zip(&self.worths) {
            *log += gain(worth);
        }
        if let Some(later) = &mut self.later {
            later.begin();
            for (log, worth) in later.logs.iter_mut().zip(&self.worths) {
                *log += gain(worth);
            }
        }
    }

    fn weigh(&mut self, kappa: f64) {
        let theta = self.bound / (self.bound + kappa);
        let single: Vec<(f64, f64)> = self.alternatives.iter().map(|r| worth(kappa, *r, self.bound)).collect();
        let exponent = |(j, (canary, control)): (usize, &(f64, f64))| match self.exponents.get(j) {
            Some(near) => self.bursts.exponent_near(*near, theta, *canary, *control),
            None => self.bursts.exponent(theta, *canary, *control),
        };
        let exponents: Vec<f64> = single.iter().enumerate().map(exponent).collect();
        self.worths = single.iter().zip(&exponents).map(|((canary, control), e)| (e * canary, e * control)).collect();
        self.exponents = exponents;
        self.kappa = kappa;
    }

    fn log_evidence(&self) -> f64 {
        match &self.later {
            None => log_mean_exp(self.logs.iter().zip(&self.known).map(|(log, known)| log + known)),
            Some(later) => later.with(&self.logs, &self.known),
        }
    }
}

/// Alternatives of [`RollBack`], as multiples of `r0`: dense where releases are usually bad, up to "everything fails".
pub(crate) const WORSE: [f64; 9] = [1.15, 1.4, 1.8, 2.5, 3.5, 5.0, 8.0, 16.0, 64.0];

/// Alternatives of [`Promote`], as multiples of `r1`: around "as good as the old one" for the usual margins.
const BETTER: [f64; 8] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.35, 0.2, 0.05];

/// Evidence against "the canary fails at most `r0` times as often". Roll back when it reaches `1/alpha`.
///
/// Where the hosts' own ratio is not known, one test for each piece of what it may be; the least of them counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RollBack(Vec<Mixture>);

impl RollBack {
    /// The mixture of conditional binomial likelihood ratios (Lindon and Malek 2022) over ratios above `r0`, which is the
    /// tolerated one (1: none worse at all), finite and above 0; `dispersion` of the control's errors, 1 or more.
    pub fn new(r0: f64, dispersion: f64) -> Self {
        Self(vec![Mixture::new(r0, &WORSE, dispersion)])
    }

    /// The tests of all pieces of what the hosts' own ratio may be, with what their past says of each.
    pub(crate) fn beside(pieces: Vec<Piece>, dispersion: f64) -> Self {
        let mixture = |piece: Piece| Mixture { known: piece.known, ..Mixture::new(piece.bound, &WORSE, dispersion) };
        Self(pieces.into_iter().map(mixture).collect())
    }

    /// The same for a long watch in which what was good may turn bad: begun anew every few looks, for a tenth of a nat. The
    /// mean over the beginnings is an e-process again, so the bound stays (Ville 1939).
    pub fn lasting(r0: f64, dispersion: f64) -> Self {
        Self::new(r0, dispersion).begun_anew()
    }

    /// Before the first look: see [`RollBack::lasting`].
    pub(crate) fn begun_anew(self) -> Self {
        Self(self.0.into_iter().map(Mixture::lasting).collect())
    }

    /// Takes one look: multiplies by its likelihood ratio, for each alternative `r_j`
    /// `(theta(r_j)/theta(r0))^k_c ((1-theta(r_j))/(1-theta(r0)))^k_b` (Lindon and Malek 2022).
    pub fn observe(&mut self, bin: Bin) {
        self.0.iter_mut().for_each(|mixture| mixture.observe(bin));
    }

    /// `ln E_t`, the mean over the alternatives, in nats; 0 at the beginning where no past is known. While `r <= r0`, it
    /// ever reaches `ln(1/alpha)` with a chance of alpha at most (Ville 1939).
    pub fn log_evidence(&self) -> f64 {
        self.0.iter().map(Mixture::log_evidence).reduce(f64::min).unwrap_or(0.0)
    }

    /// The ratio that is tolerated: that of the piece which explains best what was seen.
    pub(crate) fn tolerated(&self) -> f64 {
        let least = self.0.iter().min_by(|a, b| a.log_evidence().total_cmp(&b.log_evidence()));
        least.map_or(1.0, |mixture| mixture.bound)
    }
}

/// Evidence against "the canary fails at least `r1` times as often". Promote when it reaches `1/beta`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promote(Mixture);

impl Promote {
    /// The mixture of conditional binomial likelihood ratios (Lindon and Malek 2022) over ratios below `r1`, which is
    /// the one to be ruled out, for example 1.5, finite and above 0; `dispersion` of the control's errors, 1 or more.
    pub fn new(r1: f64, dispersion: f64) -> Self {
        Self(Mixture::new(r1, &BETTER, dispersion))
    }

    /// Takes one look: multiplies by its likelihood ratio, for each alternative `r_j`
    /// `(theta(r_j)/theta(r1))^k_c ((1-theta(r_j))/(1-theta(r1)))^k_b` (Lindon and Malek 2022).
    pub fn observe(&mut self, bin: Bin) {
        self.0.observe(bin);
    }

    /// `ln E_t`, the mean over the alternatives, in nats; 0 at the beginning. While `r >= r1`, it ever reaches
    /// `ln(1/beta)` with a chance of beta at most (Ville 1939).
    pub fn log_evidence(&self) -> f64 {
        self.0.log_evidence()
    }
}

/// Nats of evidence against `r >= r1` that one canary request is worth while both sides fail at `rate` and the control
/// has `kappa` times the canary's requests; the best alternative's. 0 when no error is ever seen.
pub(crate) fn promote_nats_a_request(rate: f64, kappa: f64, r1: f64) -> f64 {
    BETTER
        .iter()
        .map(|f| {
            let r = f * r1;
            rate * ((r / r1).ln() + (1.0 + kappa) * ((r1 + kappa) / (r + kappa)).ln())
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(k_c: u64, n_c: u64, k_b: u64, n_b: u64) -> Bin {
        Bin { canary: Count::new(k_c, n_c), control: Count::new(k_b, n_b) }
    }

    /// How much one look speaks for the ratio `r` rather than `r0`, as a logarithm.
    fn log_likelihood_ratio(bin: Bin, r: f64, r0: f64) -> f64 {
        let (canary, control) = worth(bin.kappa().unwrap(), r, r0);
        bin.canary.capped() as f64 * canary + bin.control.capped() as f64 * control
    }

    #[test]
    fn evidence_starts_at_nothing_and_needs_both_sides() {
        let mut test = RollBack::new(1.0, 1.0);
        assert_eq!(test.log_evidence(), 0.0);
        for empty in [bin(0, 0, 5, 10), bin(5, 10, 0, 0), Bin::default()] {
            test.observe(empty);
            assert_eq!(test.log_evidence(), 0.0);
        }
    }

    #[test]
    fn a_worse_canary_is_found_and_a_better_one_is_not() {
        let (mut worse, mut same, mut better) =
            (RollBack::new(1.0, 1.0), RollBack::new(1.0, 1.0), RollBack::new(1.0, 1.0));
        for _ in 0..20 {
            worse.observe(bin(4, 100, 9, 900));
            same.observe(bin(1, 100, 9, 900));
            better.observe(bin(0, 100, 9, 900));
        }
        assert!(worse.log_evidence() > 100f64.ln());
        assert!(same.log_evidence() < 0.0);
        assert!(better.log_evidence() < same.log_evidence());
    }

    #[test]
    fn what_turns_bad_late_is_found_soon_by_a_lasting_test() {
        let (mut once, mut lasting) = (RollBack::new(1.25, 1.0), RollBack::lasting(1.25, 1.0));
        for test in [&mut once, &mut lasting] {
            for second in 0..3_600 {
                test.observe(bin(u64::from(second % 2 == 0), 100, if second % 2 == 0 { 4 } else { 5 }, 900));
            }
        }
        let found = |test: &mut RollBack| {
            (1..600).find(|_| {
                test.observe(bin(2, 100, 5, 900));
                test.log_evidence() >= 100f64.ln()
            })
        };
        let (once, lasting) = (found(&mut once).unwrap(), found(&mut lasting).unwrap());
        assert!(once > 400, "an hour of good has to be made up for: {once}");
        assert!(lasting < 40, "and here only the time since: {lasting}");
    }

    /// Under the bound itself the evidence never grows on average, whatever the beginnings: all paths of a few looks.
    #[test]
    fn a_lasting_test_is_worth_one_on_average() {
        let (r0, kappa, looks) = (1.25, 4u64, 13u32);
        let theta = r0 / (r0 + kappa as f64);
        let mut expectation = 0.0;
        // One error a look: it is the canary's with the probability theta.
        for path in 0..1u32 << looks {
            let mut test = RollBack::lasting(r0, 1.0);
            let mut probability = 1.0;
            for look in 0..looks {
                let canary = path >> look & 1;
                probability *= if canary == 1 { theta } else { 1.0 - theta };
                test.observe(bin(u64::from(canary), 10, u64::from(1 - canary), 10 * kappa));
            }
            expectation += probability * test.log_evidence().exp();
        }
        assert!((expectation - 1.0).abs() < 1e-9, "{expectation}");
    }

    #[test]
    fn promotion_needs_errors_to_compare() {
        let mut test = Promote::new(1.5, 1.0);
        test.observe(bin(0, 1_000_000, 0, 1_000_000));
        assert_eq!(test.log_evidence(), 0.0, "no errors on either side prove nothing about the ratio");
        for _ in 0..400 {
            test.observe(bin(1, 200, 9, 1_800));
        }
        assert!(test.log_evidence() > 20f64.ln());
    }

    /// The expectation of one look's evidence under the bound itself is 1 for the binomial: the sum over all outcomes.
    #[test]
    fn one_look_is_worth_one_on_average() {
        for (r0, r, kappa) in [(1.0, 2.0, 9u64), (1.25, 5.0, 1), (1.5, 0.6, 4)] {
            let (n, m) = (100u64, 8u64);
            let theta = r0 / (r0 + kappa as f64);
            let mut expectation = 0.0;
            let mut choose = 1.0;
            for k in 0..=m {
                let probability = choose * theta.powi(k as i32) * (1.0 - theta).powi((m - k) as i32);
                expectation += probability * log_likelihood_ratio(bin(k, n, m - k, n * kappa), r, r0).exp();
                choose *= (m - k) as f64 / (k + 1) as f64;
            }
            assert!((expectation - 1.0).abs() < 1e-9, "{expectation}");
        }
    }

    #[test]
    fn counts_that_cannot_be_are_capped() {
        let mut test = RollBack::new(1.0, 1.0);
        test.observe(bin(u64::MAX, 1, u64::MAX, 1));
        assert!(test.log_evidence().is_finite());
        assert_eq!(Count::new(9, 3).rate(), Some(1.0));
        assert_eq!(Bin::default().ratio(), None);
    }
}

//! Latency from histograms: is the canary's distribution shifted towards slower?
//!
//! Both sides have the same buckets; a look holds how many requests fell into each. Two forms of one idea, averaged:
//!
//! - *Exceedances*: for each bucket bound `x` the requests slower than `x` are a yes-or-no count on both sides. With
//!   `pc > pb` guessed from the past looks and `p* = (n_c pc + n_b pb)/n`,
//!   `prod pc^k_c (1-pc)^(n_c-k_c) pb^k_b (1-pb)^(n_b-k_b) / (p*^k (1-p*)^(n-k))` is an e-process for "not more slow
//!   requests than the control", and the mean over the bounds is one again.
//! - *Joint*: the same with the whole distribution: `prod p1(x)/p*(x) prod p0(y)/p*(y)`, where `p1/p0` is made to rise with
//!   the latency (weighted isotonic regression of the guess, Ayer et al. 1955). Then faster requests are worth less, and
//!   the evidence of a canary that is stochastically faster than the control grows no more than that of an equal one. It
//!   sees small tails that no single bound shows.
//!
//! # A margin
//!
//! Hosts are never quite equal, so up to `t(x)` times as many requests slower than `x` are tolerated. A canary's request is
//! thought of as counted beyond `x` with the probability `1/t(x)` only, by a lot that does not depend on anything: then the
//! canary that is just tolerated is just equal to the control. No lot is drawn; each request's worth is its mean over the
//! lot, and the mean of e-variables is one. For this `t` must not fall with `x`; where it would, it is raised.
//!
//! # Bursts
//!
//! Slow requests come together. The worth of each look is raised to the power `1/dispersion`, for each form and bound by
//! itself, before the mean is taken.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// For each bound how many times the control's share beyond it is tolerated; the last holds for all that follow.
    tolerated: Vec<f64>,
    dispersion: f64,
    /// What was seen before the current look, by bucket.
    canary: Vec<f64>,
    control: Vec<f64>,
    /// `ln E` for each bound between two buckets.
    exceedances: Vec<f64>,
    joint: f64,
}

/// Added to every bucket, so that what was never seen is possible.
const PSEUDO_COUNT: f64 = 0.5;

impl Default for Slower {
    /// Nothing is tolerated, and requests are slow one by one.
    fn default() -> Self {
        Self::new(&[1.0], 1.0)
    }
}

impl Slower {
    /// Both forms before the first look (Turner, Ly and Grünwald 2024). `tolerated` is how many times the control's share of
    /// requests beyond each bound is tolerated (1 or more, finite; the last holds for
    /// further bounds), and the dispersion of slow requests, 1 or more.
    pub fn new(tolerated: &[f64], dispersion: f64) -> Self {
        let mut least = 1.0f64;
        let raised = tolerated.iter().map(|t| {
            least = least.max(*t);
            least
        });
        Self {
            tolerated: raised.collect(),
            dispersion: dispersion.max(1.0),
            canary: Vec::new(),
            control: Vec::new(),
            exceedances: Vec::new(),
            joint: 0.0,
        }
    }

    /// The probability with which a request beyond the bound is counted as such.
    fn counted(&self, bound: usize) -> f64 {
        let tolerated = self.tolerated.get(bound).or(self.tolerated.last());
        1.0 / tolerated.copied().unwrap_or(1.0)
    }

    /// Takes one look: multiplies by its likelihood ratios, with the shares guessed from the looks before (Turner, Ly and
    /// Grünwald 2024). A look with other buckets than before, with more than 400, or without requests on a side says
    /// nothing and is passed over; `false` tells so.
    pub fn observe(&mut self, bin: &HistogramBin) -> bool {
        let buckets = bin.canary.len();
        let fits = buckets == bin.control.len() && (2..=BUCKETS_MAX).contains(&buckets);
        if !fits || total(&bin.canary) == 0.0 || total(&bin.control) == 0.0 {
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
        let guess = self.guess();
        self.bet_on_bounds(bin, &guess);
        self.bet_on_all(bin, &guess);
    }

    /// Shares of the buckets, as the past has them: the canary's as the lot leaves them, drawn towards the control's while
    /// little was seen.
    fn guess(&self) -> Guess {
        let buckets = self.canary.len();
        let prior = PSEUDO_COUNT * buckets as f64;
        let control = shares(&self.control, |_| PSEUDO_COUNT);
        let raw = shares(&self.canary, |i| prior * control[i]);
        // Beyond each bound only what the lot counts; the rest falls back to the buckets before.
        let mut canary = vec![0.0; buckets];
        let (mut beyond, mut left) = (1.0, 1.0);
        for (i, share) in canary.iter_mut().enumerate() {
            beyond -= raw[i];
            let next = if i + 1 == buckets { 0.0 } else { (beyond * self.counted(i)).clamp(0.0, left) };
            *share = (left - next).max(f64::MIN_POSITIVE);
            left = next;
        }
        Guess { canary, control }
    }

    fn bet_on_bounds(&mut self, bin: &HistogramBin, guess: &Guess) {
        let (n_c, n_b) = (total(&bin.canary), total(&bin.control));
        let (mut slow_c, mut slow_b, mut pc, mut pb) = (n_c, n_b, 1.0, 1.0);
        for i in 0..self.exceedances.len() {
            slow_c -= bin.canary[i] as f64;
            slow_b -= bin.control[i] as f64;
            pc = f64::max(pc - guess.canary[i], 0.0);
            pb = f64::max(pb - guess.control[i], f64::MIN_POSITIVE);
            // Without a guess that the canary is slower here, nothing is bet.
            if pc <= pb {
                continue;
            }
            let pooled = (n_c * pc + n_b * pb) / (n_c + n_b);
            let (counted, fast) = (self.counted(i), (1.0 - pc) / (1.0 - pooled));
            let slow = counted * pc / pooled + (1.0 - counted) * fast;
            let worth = times_ln(slow_c, slow)
                + times_ln(n_c - slow_c, fast)
                + times_ln(slow_b, pb / pooled)
                + times_ln(n_b - slow_b, (1.0 - pb) / (1.0 - pooled));
            self.exceedances[i] += worth / self.dispersion;
        }
    }

    fn bet_on_all(&mut self, bin: &HistogramBin, guess: &Guess) {
        let (n_c, n_b) = (total(&bin.canary), total(&bin.control));
        let ratios = rising(&guess.canary, &guess.control);
        // What the lot leaves in buckets before the one that was seen, and with which probability it leaves it there.
        let (mut before, mut stays, mut worth) = (0.0, 1.0, 0.0);
        for (i, ratio) in ratios.iter().enumerate() {
            let pooled = (n_c * ratio + n_b) / (n_c + n_b);
            worth += times_ln(bin.canary[i] as f64, before + stays * ratio / pooled)
                - times_ln(bin.control[i] as f64, pooled);
            let counted = self.counted(i);
            before += (stays - counted) * ratio / pooled;
            stays = counted;
        }
        self.joint += worth / self.dispersion;
    }

    /// `ln((E_exceedances + E_joint) / 2)`; 0 at the beginning. While the canary is not slower than tolerated it ever
    /// reaches `ln(1/alpha)` with a chance of alpha at most (Ville 1939).
    pub fn log_evidence(&self) -> f64 {
        log_mean_exp([self.exceedances_evidence(), self.joint].into_iter())
    }

    /// `ln` of the mean over the bounds of `prod pc^k_c (1-pc)^(n_c-k_c) pb^k_b (1-pb)^(n_b-k_b) / (p*^k (1-p*)^(n-k))`
    /// (Turner, Ly and Grünwald 2024).
    pub fn exceedances_evidence(&self) -> f64 {
        if self.exceedances.is_empty() { 0.0 } else { log_mean_exp(self.exceedances.iter().copied()) }
    }

    /// `ln` of `prod p1(x)/p*(x) prod p0(y)/p*(y)` over the buckets (Turner, Ly and Grünwald 2024), with `p1/p0` rising by
    /// isotonic regression (Ayer et al. 1955).
    pub fn joint_evidence(&self) -> f64 {
        self.joint
    }
}

/// Shares of the buckets.
struct Guess {
    canary: Vec<f64>,
    control: Vec<f64>,
}

fn total(side: &[u64]) -> f64 {
    side.iter().map(|c| *c as f64).sum()
}

fn shares(past: &[f64], pseudo: impl Fn(usize) -> f64) -> Vec<f64> {
    let smoothed: Vec<f64> = past.iter().enumerate().map(|(i, c)| c + pseudo(i)).collect();
    let all: f64 = smoothed.iter().sum();
    smoothed.iter().map(|c| c / all).collect()
}

/// `canary / control`, bucket by bucket, as the nearest ratios that never fall: neighbours that would are pooled,
/// weighted by the control (pool adjacent violators). Their mean under the control is 1, as it was.
fn rising(canary: &[f64], control: &[f64]) -> Vec<f64> {
    // (canary, control, buckets) of each pool.
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(canary.len());
    for (c, b) in canary.iter().zip(control) {
        let mut pool = (*c, *b, 1);
        while let Some((c, b, n)) = pools.pop_if(|(c, b, _)| *c * pool.1 >= pool.0 * *b) {
            pool = (pool.0 + c, pool.1 + b, pool.2 + n);
        }
        pools.push(pool);
    }
    pools.iter().flat_map(|(c, b, n)| std::iter::repeat_n(c / b, *n)).collect()
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
    fn what_is_tolerated_is_not_slower_and_more_is() {
        // A fifth more beyond each bound; and three times as many.
        let judged = |tolerated: &[f64], canary| {
            let mut test = Slower::new(tolerated, 1.0);
            (0..200).for_each(|_| _ = test.observe(&bin(canary, [4_500, 3_600, 800, 100])));
            test.log_evidence()
        };
        assert!(judged(&[1.0], [400, 480, 107, 13]) > 100f64.ln());
        assert!(judged(&[1.25], [400, 480, 107, 13]) < 20f64.ln());
        assert!(judged(&[1.25], [300, 400, 260, 40]) > 100f64.ln());
        assert_eq!(judged(&[1.1, 1.5], [300, 400, 260, 40]), judged(&[1.1, 1.5, 1.2], [300, 400, 260, 40]), "raised");
    }

    /// Under the null itself a look is worth 1 at most, whatever was seen before it: all outcomes of two canary requests
    /// and one of the control's, for a canary that is as slow as tolerated, and for a faster one.
    #[test]
    fn one_look_is_worth_at_most_one_on_average() {
        let control = [0.5, 0.3, 0.15, 0.05];
        let worst = |t: f64| [1.0 - 0.5 * t, 0.3 * t, 0.15 * t, 0.05 * t];
        let pasts = [([30, 5, 40, 25], [45, 36, 8, 11]), ([1, 0, 9, 0], [9, 1, 0, 0]), ([5, 9, 1, 9], [50, 30, 15, 5])];
        for (t, canary) in [(1.0, control), (1.25, worst(1.25)), (1.25, control), (1.0, [0.5, 0.5, 0.0, 0.0])] {
            for (past_canary, past_control) in pasts {
                let mut seen = Slower::new(&[t], 1.0);
                seen.observe(&bin(past_canary, past_control));
                let mut expectation = [0.0; 2];
                for outcome in 0..64usize {
                    let (a, b, c) = (outcome % 4, outcome / 4 % 4, outcome / 16);
                    let mut look = bin([0; 4], [0; 4]);
                    look.canary[a] += 1;
                    look.canary[b] += 1;
                    look.control[c] += 1;
                    let mut test = seen.clone();
                    test.observe(&look);
                    let chance = canary[a] * canary[b] * control[c];
                    expectation[0] += chance * test.exceedances_evidence().exp();
                    expectation[1] += chance * test.joint_evidence().exp();
                }
                assert!(
                    expectation.iter().all(|e| *e <= 1.0 + 1e-9),
                    "{t} {canary:?} {past_canary:?}: {expectation:?}"
                );
            }
        }
    }

    #[test]
    fn ratios_are_made_to_rise() {
        let rose = rising(&[0.1, 0.5, 0.2, 0.2], &[0.4, 0.2, 0.2, 0.2]);
        assert!((rose[0] - 0.25).abs() < 1e-12 && rose.is_sorted(), "{rose:?}");
        assert!(rose[1..].iter().all(|r| (r - 1.5).abs() < 1e-12), "{rose:?}");
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

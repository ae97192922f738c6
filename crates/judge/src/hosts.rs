//! Hosts whose own ratio nobody knows: what the hour before says of it, at the price of a tenth of a nat.
//!
//! Hosts are never quite equal, so a canary that fails 1.1 times as often may have done so all along. Let `rho` be the
//! ratio of the hosts that are the canary now to the others while all of them ran the same release. A release that is not
//! worse keeps it: `r <= tolerate * max(rho, 1)`. For each `rho` the product
//!
//! ```text
//! M_rho = mean_j (sum_k w_k L(rho e^-d_jk) / L(rho)) * E_j
//! ```
//!
//! is an e-process while the hosts' ratio is `rho`: `L` is the conditional binomial likelihood of the errors in the hour
//! before (see `counts`), whose likelihood ratios are worth 1 on average, and `E_j` the test of the alternative `r_j`
//! against `tolerate * max(rho, 1)` since, which follows it. What counts is the least of `M_rho` over all `rho` that may be:
//! it is no more than that of the true one, so Ville's inequality holds for it whatever the hosts are like.
//!
//! # Why so
//!
//! To ask "is it worse than the most unequal that the hosts may be" is sound too and simple, but waits until the canary is
//! beyond that end. Here a `rho` above what the past shows is not excluded: it has the past against it, which is worth the
//! more the further it lies, and the canary has to make up for the rest only. The shifts `d_jk` say by how much the past
//! may have been lucky: the best one for an alternative that is found with the score `s` is `s` times the variance of
//! `ln rho`, so that both sides of the least balance (the pair nearest to the null, as in Grünwald, de Heide and Koolen,
//! "Safe testing", 2024). A quick alternative has a small one and costs little. They follow from the number of errors and of
//! requests alone and not from which host failed, so that they are no choice by the outcome.
//!
//! # The pieces
//!
//! `E_j` falls with `rho` and what the past says rises with it. So on a piece `(a, b]` of ratios the product is at least the
//! past's word at `a` times the test at `b`: finitely many tests are enough, for a few hundredths of a nat. Where `rho` is 1
//! or less, the past is not asked.
//!
//! Sources: Ramdas, Ruf, Larsson and Koolen, "Admissible anytime-valid sequential inference must rely on nonnegative
//! martingales" (2020), for the least of martingales; Wasserman, Ramdas and Balakrishnan, "Universal inference" (2020);
//! Lindon and Malek, "Anytime-valid inference for multinomial count data" (2022), for the likelihood.

use std::collections::BTreeMap;

use crate::bursts::Bursts;
use crate::counts::{Bin, Count, WORSE, worth};
use crate::math::log_sum_exp;

/// Tests of one piece of the ratios that the hosts may have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// What is tolerated beside hosts at its upper end.
    pub bound: f64,
    /// For each alternative of the test `ln` of what the past says of its lower end.
    pub known: Vec<f64>,
}

/// What the pieces are for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// The hosts' ratio is no more than this: see [`crate::unequal::errors_ratio_max`].
    pub ratio_max: f64,
    pub tolerate: f64,
    pub alpha: f64,
    /// Of the errors, 1 or more.
    pub dispersion: f64,
}

/// Weight of the past without a shift.
const PLAIN_WEIGHT: f64 = 0.6;
/// Shifts of the past: as multiples of an alternative's best one, the fewest steps, and their weight.
const SHIFTS: [(f64, i64, f64); 2] = [(2.5, 1, 0.33), (8.0, 4, 0.07)];
/// Further is not shifted, in steps.
const SHIFT_STEPS_MAX: f64 = 60.0;
/// A step of the ratio, in standard deviations of its logarithm.
const STEP_DEVIATIONS: f64 = 0.3;
/// No ratio of hosts is known better than to a five-hundredth, however many errors there were; and a past that leaves more
/// than twenty times open says nothing of any.
const DEVIATIONS: std::ops::RangeInclusive<f64> = 0.002..=3.0;
/// Steps from the past's own ratio to the upper end of the lowest piece; pieces are single steps within `FINE_STEPS`.
const LOWEST_STEPS: i64 = -8;
const FINE_STEPS: i64 = 5;
const MIDDLE_STEPS: i64 = 12;

/// The pieces of all ratios up to the largest, for hosts that were seen with this past. At least one.
pub(crate) fn pieces(hosts: &[Bin], asked: Asked) -> Vec<Piece> {
    let past = Past::of(hosts, asked.dispersion);
    let Some(step) = past.deviation(asked.dispersion).map(|deviation| deviation * STEP_DEVIATIONS) else {
        return vec![as_equal(asked.tolerate * asked.ratio_max.max(1.0))];
    };
    let shifts = past.shifts(step / STEP_DEVIATIONS, &asked);
    let ratio = |at: i64| past.ratio * (at as f64 * step).exp();
    let mut likelihoods = BTreeMap::new();
    let mut pieces = Vec::new();
    let mut at = LOWEST_STEPS;
    if ratio(at) <= 1.0 {
        pieces.push(as_equal(asked.tolerate));
    }
    let mut below = None;
    loop {
        let is_last = ratio(at) >= asked.ratio_max;
        let upper = if is_last { asked.ratio_max } else { ratio(at) };
        if upper > 1.0 {
            let known = shifts.iter().map(|steps| match below {
                // Every shift is worth more than nothing.
                None => PLAIN_WEIGHT.ln(),
                Some(lower) => past.known(lower, *steps, ratio, &mut likelihoods),
            });
            pieces.push(Piece { bound: asked.tolerate * upper, known: known.collect() });
        }
        if is_last {
            break;
        }
        below = Some(at);
        at = after(at);
    }
    if pieces.is_empty() {
        pieces.push(as_equal(asked.tolerate));
    }
    pieces
}

/// Hosts that are no worse than the others, or of which nothing more is known.
fn as_equal(bound: f64) -> Piece {
    Piece { bound, known: vec![0.0; WORSE.len()] }
}

/// Where the next piece ends, in steps.
fn after(at: i64) -> i64 {
    if (-FINE_STEPS..FINE_STEPS).contains(&at) {
        at + 1
    } else if at < MIDDLE_STEPS {
        at + 2
    } else {
        at + at / 2
    }
}

/// The hour before.
struct Past {
    /// The ratio that it shows: where the pieces lie, and nothing else.
    ratio: f64,
    /// The canary's errors.
    canary: f64,
    /// Errors of both sides by how many requests of the control there were for one of the canary's.
    splits: Vec<(f64, f64)>,
    /// The fewest and the most requests of the control for one of the canary's.
    split_ends: [f64; 2],
    /// The same of the whole hour.
    kappa: f64,
    bursts: Bursts,
}

impl Past {
    fn of(hosts: &[Bin], dispersion: f64) -> Self {
        let (mut sum, mut splits) = (Bin::default(), Vec::<(f64, f64)>::new());
        for bin in hosts {
            let Some(kappa) = bin.kappa() else { continue };
            sum.add(*bin);
            let both = errors(bin.canary) + errors(bin.control);
            match splits.last_mut() {
                _ if both == 0.0 => {}
                Some((of, errors)) if *of == kappa => *errors += both,
                _ => splits.push((kappa, both)),
            }
        }
        let kappas = || splits.iter().map(|(kappa, _)| *kappa);
        Self {
            ratio: sum.ratio().unwrap_or(1.0),
            canary: errors(sum.canary),
            split_ends: [kappas().fold(f64::INFINITY, f64::min), kappas().fold(0.0, f64::max)],
            splits,
            kappa: sum.kappa().unwrap_or(1.0),
            bursts: Bursts::of(dispersion),
        }
    }

    /// Standard deviation of the logarithm of the ratio of hosts that are equal: `1 / (m theta (1 - theta))` is its
    /// variance (Fisher 1922), times the dispersion. `None` where that is beyond [`DEVIATIONS`], as without errors.
    fn deviation(&self, dispersion: f64) -> Option<f64> {
        let both: f64 = self.splits.iter().map(|(_, both)| both).sum();
        if both <= 0.0 {
            return None;
        }
        let variance = dispersion.max(1.0) * (1.0 + self.kappa).powi(2) / (both * self.kappa);
        Some(variance.sqrt().max(*DEVIATIONS.start())).filter(|deviation| DEVIATIONS.contains(deviation))
    }

    /// For each alternative the shifts in steps. Its score when it is found is `m (theta_j - theta)`, with
    /// `m = ln(1/alpha) / KL(theta_j, theta)` errors (Wald 1945).
    fn shifts(&self, deviation: f64, asked: &Asked) -> Vec<[i64; 2]> {
        let (here, kappa) = (asked.tolerate, self.kappa);
        let of = |factor: &f64| {
            let there = factor * here;
            let (canary, control) = worth(kappa, there, here);
            let divergence = (there * canary + kappa * control) / (there + kappa);
            let apart = kappa * (there - here) / ((there + kappa) * (here + kappa));
            let score = (1.0 / asked.alpha).ln() * apart / divergence;
            let best_steps = score * deviation / STEP_DEVIATIONS;
            SHIFTS.map(|(times, fewest, _)| ((times * best_steps).min(SHIFT_STEPS_MAX).round() as i64).max(fewest))
        };
        WORSE.iter().map(of).collect()
    }

    /// `ln` of the weighted likelihood ratios of the past with and without its shifts, at a place in steps.
    fn known(
        &self,
        at: i64,
        shifts: [i64; 2],
        ratio: impl Fn(i64) -> f64,
        likelihoods: &mut BTreeMap<i64, f64>,
    ) -> f64 {
        let mut likelihood = |at: i64| *likelihoods.entry(at).or_insert_with(|| self.log_likelihood(ratio(at)));
        let here = likelihood(at);
        shifts.iter().zip(SHIFTS).fold(PLAIN_WEIGHT.ln(), |sum, (steps, (_, _, weight))| {
            let shifted = likelihood(at - steps) - here;
            log_sum_exp(sum, weight.ln() + self.exponent(ratio(at), ratio(at - steps)) * shifted)
        })
    }

    /// But for what does not depend on the ratio: `K ln r - sum m ln(r + kappa)`.
    fn log_likelihood(&self, ratio: f64) -> f64 {
        let failed = self.canary * ratio.ln();
        failed - self.splits.iter().map(|(kappa, both)| both * (ratio + kappa).ln()).sum::<f64>()
    }

    /// The power at which a burst is worth 1 at most at every split there was: the less at its two ends.
    fn exponent(&self, ratio: f64, shifted: f64) -> f64 {
        let at = |kappa: f64| {
            let (canary, control) = worth(kappa, shifted, ratio);
            self.bursts.exponent(ratio / (ratio + kappa), canary, control)
        };
        self.split_ends.map(at).into_iter().fold(1.0, f64::min)
    }
}

fn errors(count: Count) -> f64 {
    count.capped() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RollBack;

    fn bin(k_c: u64, n_c: u64, k_b: u64, n_b: u64) -> Bin {
        Bin { canary: Count::new(k_c, n_c), control: Count::new(k_b, n_b) }
    }

    fn asked(ratio_max: f64) -> Asked {
        Asked { ratio_max, tolerate: 1.0, alpha: 0.01, dispersion: 1.0 }
    }

    /// An hour at half a percent, canary 100 and control 900 requests a second, in minutes.
    fn hour(canary_errors_a_minute: u64) -> Vec<Bin> {
        vec![bin(canary_errors_a_minute, 6_000, 270, 54_000); 60]
    }

    fn binomial(m: u64, p: f64) -> Vec<f64> {
        let mut probability = (1.0 - p).powi(m as i32);
        (0..=m)
            .map(|k| {
                let here = probability;
                probability *= (m - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
                here
            })
            .collect()
    }

    /// The bound itself: over every past and every look that there can be, whatever the hosts are like.
    #[test]
    fn it_is_worth_one_at_most_whatever_the_hosts_are_like() {
        let (past_errors, look_errors, kappa) = (40u64, 6u64, 4u64);
        for tolerate in [1.0, 1.25] {
            for rho in [0.4, 0.8, 1.0, 1.05, 1.2, 1.6, 2.5, 4.0] {
                let theta = |r: f64| r / (r + kappa as f64);
                let now = theta(tolerate * f64::max(rho, 1.0));
                let mut expectation = 0.0;
                for (k, before) in binomial(past_errors, theta(rho)).into_iter().enumerate() {
                    let past = bin(k as u64, 100_000, past_errors - k as u64, 100_000 * kappa);
                    let pieces = pieces(&[past], Asked { tolerate, ..asked(20.0) });
                    for (k, since) in binomial(look_errors, now).into_iter().enumerate() {
                        let mut test = RollBack::beside(pieces.clone(), 1.0);
                        test.observe(bin(k as u64, 1_000, look_errors - k as u64, 1_000 * kappa));
                        expectation += before * since * test.log_evidence().exp();
                    }
                }
                assert!(expectation <= 1.0 + 1e-9, "{tolerate} {rho}: {expectation}");
                assert!(expectation > 0.2, "and not for nothing: {tolerate} {rho}: {expectation}");
            }
        }
    }

    /// What the past says of any ratio is worth 1 on average over all pasts in which that is the hosts' ratio: so the shifts
    /// are no choice by the outcome.
    #[test]
    fn the_past_is_worth_one_on_average() {
        for (errors, kappa) in [(40u64, 4u64), (200, 9), (7, 1)] {
            for rho in [0.7, 1.0, 1.3, 3.0] {
                let mut expectations = vec![0.0; WORSE.len()];
                let theta = rho / (rho + kappa as f64);
                for (k, probability) in binomial(errors, theta).into_iter().enumerate() {
                    let past = Past::of(&[bin(k as u64, 10_000, errors - k as u64, 10_000 * kappa)], 1.0);
                    let deviation = past.deviation(1.0).unwrap();
                    let ratio = |at: i64| rho * (at as f64 * deviation * STEP_DEVIATIONS).exp();
                    for (j, shifts) in past.shifts(deviation, &asked(20.0)).into_iter().enumerate() {
                        expectations[j] += probability * past.known(0, shifts, ratio, &mut BTreeMap::new()).exp();
                    }
                }
                assert!(expectations.iter().all(|e| (e - 1.0).abs() < 1e-9), "{errors} {rho}: {expectations:?}");
            }
        }
    }

    #[test]
    fn equal_hosts_cost_little_and_unequal_ones_are_known() {
        let after_seconds = |mut test: RollBack, (k_c, n_c, k_b, n_b): (u64, u64, u64, u64), seconds: u64| {
            (0..seconds).for_each(|_| test.observe(bin(k_c, n_c, k_b, n_b)));
            test.log_evidence()
        };
        // Four and a half times the errors.
        let bad = (2, 100, 4, 900);
        let alone = after_seconds(RollBack::new(1.0, 1.0), bad, 5);
        for (errors, at_most) in [(29, 0.01), (30, 0.15), (31, 0.4)] {
            let pieces = pieces(&hour(errors), asked(1.25));
            let beside = after_seconds(RollBack::beside(pieces, 1.0), bad, 5);
            assert!(alone - beside < at_most, "{errors}: {alone} {beside}");
        }
        // As unequal as they were before, and for as long.
        let pieces = pieces(&hour(36), asked(1.4));
        let same = after_seconds(RollBack::beside(pieces.clone(), 1.0), (36, 6_000, 270, 54_000), 60);
        assert!(same < 0.0, "{same}");
        assert!(after_seconds(RollBack::new(1.0, 1.0), (36, 6_000, 270, 54_000), 60) > 20.0, "or it is cried wolf");
        let worse = after_seconds(RollBack::beside(pieces, 1.0), (54, 6_000, 270, 54_000), 60);
        assert!(worse > 100f64.ln(), "half as much again: {worse}");
    }

    #[test]
    fn hosts_that_were_better_are_not_held_to_it() {
        let pieces = pieces(&hour(10), asked(0.6));
        assert_eq!(pieces, [as_equal(1.0)]);
        assert_eq!(super::pieces(&[], asked(1.3)), [as_equal(1.3)], "and nothing is made of no errors");
    }

    #[test]
    fn the_pieces_leave_no_gap_and_the_past_speaks_against_far_ones() {
        let pieces = pieces(&hour(36), Asked { dispersion: 3.0, ..asked(2.5) });
        assert!(pieces.is_sorted_by(|a, b| a.bound < b.bound) && pieces.len() < 50, "{}", pieces.len());
        assert_eq!(pieces.last().unwrap().bound, 2.5);
        for pair in pieces[1..].windows(2) {
            assert!(pair[0].known.iter().zip(&pair[1].known).all(|(low, high)| low <= high), "{pair:?}");
        }
        assert!(pieces.last().unwrap().known[4] > 2.0);
        for counts in [bin(u64::MAX, u64::MAX, 0, u64::MAX), bin(0, u64::MAX, u64::MAX, u64::MAX), bin(1, 1, 1, 1)] {
            let few = super::pieces(&[counts, counts], asked(4.0));
            assert!(few.len() < 200 && few.iter().all(|p| p.known.iter().all(|k| !k.is_nan())), "{few:?}");
        }
    }
}

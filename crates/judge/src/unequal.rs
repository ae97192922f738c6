//! Hosts that were unequal while they ran the same release: by how much, at most. What is known of it is tolerated later.

use crate::counts::Bin;
use crate::interval::RatioInterval;
use crate::latency::HistogramBin;

/// A past that leaves more than this open between its lower end (or none unequal) and its upper knows too little: it would
/// excuse nearly anything.
const PAST_WIDTH_MAX: f64 = 4.0;

/// The largest ratio of error rates that the hosts' own past allows, but for the chance `alpha`: the upper end of its
/// confidence sequence. `None` without a past that knows enough.
pub(crate) fn errors_ratio_max(hosts: &[Bin], alpha: f64, dispersion: f64) -> Option<f64> {
    let mut interval = RatioInterval::default();
    for bin in hosts {
        interval.observe(*bin);
    }
    let (lower, upper) = interval.at(2.0 * alpha, dispersion);
    (upper <= PAST_WIDTH_MAX * lower.max(1.0)).then_some(upper)
}

/// For each bound between two buckets the largest ratio of the shares beyond it, at least 1; 1 where the past knows too
/// little. `None` without requests on both sides.
///
/// The logarithm of a ratio of shares has the variance `(1-p)/k + (1-q)/m` (Katz, Baptista, Azen and Pike 1978), times the
/// dispersion, with `k` of one side's requests and `m` of the other's beyond the bound. All bounds hold together but for
/// the chance `alpha`: each has its part of it, and a normal deviate is beyond `sqrt(2 ln 1/a)` with less than the chance
/// `a` (Chernoff 1952).
pub(crate) fn tails_ratio_max(hosts: &[HistogramBin], alpha: f64, dispersion: f64) -> Option<Vec<f64>> {
    let buckets = hosts.iter().map(|bin| bin.canary.len()).max().filter(|n| *n >= 2)?;
    let side = |of: fn(&HistogramBin) -> &[u64]| {
        let mut sums = vec![0.0; buckets];
        for bin in hosts {
            sums.iter_mut().zip(of(bin)).for_each(|(sum, count)| *sum += *count as f64);
        }
        sums
    };
    let (canary, control) = (side(|b| &b.canary), side(|b| &b.control));
    let (n_c, n_b): (f64, f64) = (canary.iter().sum(), control.iter().sum());
    if n_c == 0.0 || n_b == 0.0 {
        return None;
    }
    let deviates = (2.0 * ((buckets - 1) as f64 / alpha).ln()).sqrt();
    let (mut slow_c, mut slow_b) = (n_c, n_b);
    let bounds = canary.iter().zip(&control).take(buckets - 1).map(|(c, b)| {
        slow_c -= c;
        slow_b -= b;
        // With half a request beyond, so that there is a ratio while there was none.
        let (k, m) = (slow_c + 0.5, slow_b + 0.5);
        let variance = dispersion * ((1.0 - slow_c / n_c) / k + (1.0 - slow_b / n_b) / m);
        let width = (deviates * variance.sqrt()).exp();
        let upper = k / (n_c + 0.5) / (m / (n_b + 0.5)) * width;
        if upper <= PAST_WIDTH_MAX * (upper / width / width).max(1.0) { upper.max(1.0) } else { 1.0 }
    });
    Some(bounds.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_host_is_given_room_and_a_past_without_requests_gives_none() {
        let look = HistogramBin { canary: vec![700, 200, 100, 0], control: vec![7_400, 2_000, 600, 0] };
        let room = tails_ratio_max(&vec![look.clone(); 60], 0.001, 1.0).unwrap();
        assert!((1.15..1.25).contains(&room[0]) && (1.6..1.9).contains(&room[1]), "{room:?}");
        assert_eq!(room[2], 1.0, "nothing is known of what never was");
        let bursty = tails_ratio_max(&vec![look.clone(); 60], 0.001, 5.0).unwrap();
        assert!(bursty[1] > room[1]);
        assert_eq!(tails_ratio_max(&[look], 0.001, 9.0).unwrap()[1], 1.0, "too little is known to excuse anything");
        assert_eq!(tails_ratio_max(&[HistogramBin::default()], 0.001, 1.0), None);
    }
}

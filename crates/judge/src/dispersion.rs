//! Errors that come in bursts look like evidence to a test that counts them one by one.

/// Variance over mean of the control's counts of errors, look by look, from the time before the deploy: 1 for errors that
/// come one by one, 3 and more for bursts.
///
/// Never below 1: luck must not make the test sharper. `None` when there are fewer than `LOOKS_MIN` looks or no errors at
/// all, which tells nothing of how they come.
///
/// Looks of different traffic are held against the overall rate, so that a rush hour is not a burst: the Pearson
/// statistic `sum (k_i - n_i p)^2 / (n_i p) / (looks - 1)` (McCullagh and Nelder 1989).
pub fn dispersion(looks: &[crate::Count]) -> Option<f64> {
    let used: Vec<_> = looks.iter().filter(|c| c.total > 0).collect();
    let (events, total) =
        used.iter().fold((0.0, 0.0), |(k, n), c| (k + c.events.min(c.total) as f64, n + c.total as f64));
    if used.len() < LOOKS_MIN || events == 0.0 {
        return None;
    }
    let rate = events / total;
    let pearson: f64 = used
        .iter()
        .map(|c| {
            let expected = c.total as f64 * rate;
            (c.events.min(c.total) as f64 - expected).powi(2) / expected
        })
        .sum();
    Some((pearson / (used.len() - 1) as f64).max(1.0))
}

const LOOKS_MIN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Count;

    #[test]
    fn single_errors_are_one_and_bursts_more() {
        let single: Vec<_> = (0..200).map(|i| Count::new(u64::from(i % 2 == 0), 100)).collect();
        assert_eq!(dispersion(&single), Some(1.0));
        let bursts: Vec<_> = (0..200).map(|i| Count::new(if i % 20 == 0 { 10 } else { 0 }, 100)).collect();
        assert!(dispersion(&bursts).unwrap() > 5.0);
    }

    #[test]
    fn too_little_says_so() {
        assert_eq!(dispersion(&[Count::new(1, 10); 29]), None);
        assert_eq!(dispersion(&[Count::new(0, 10); 100]), None);
        assert_eq!(dispersion(&[Count::default(); 100]), None);
    }
}

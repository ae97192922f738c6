//! Arithmetic on logarithms.

/// `ln` of the mean of `exp(terms)`, without overflow. Minus infinity for no terms.
pub(crate) fn log_mean_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let (sum, count) = terms.fold((0.0, 0u32), |(sum, n), t| (sum + (t - largest).exp(), n + 1));
    largest + (sum / f64::from(count)).ln()
}

/// `ln(exp(a) + exp(b))`, without overflow.
pub(crate) fn log_sum_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high.is_infinite() { high } else { high + (low - high).exp().ln_1p() }
}

/// `count * ln(p)`, with 0 * ln(0) = 0.
pub(crate) fn times_ln(count: f64, p: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * p.ln() }
}

/// The middle value; of an even number the mean of the two. `None` for no values.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_exponentials() {
        assert_eq!(log_mean_exp([0.0, 0.0].into_iter()), 0.0);
        assert!((log_mean_exp([1e4, f64::NEG_INFINITY].into_iter()) - (1e4 - 2f64.ln())).abs() < 1e-9);
        assert_eq!(log_mean_exp(std::iter::empty()), f64::NEG_INFINITY);
        assert!((log_sum_exp(1e4, 1e4) - (1e4 + 2f64.ln())).abs() < 1e-9);
        assert_eq!(log_sum_exp(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(f64::NEG_INFINITY, 3.0), 3.0);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}

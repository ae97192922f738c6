//! One value at one instant, and the mark that a series has ended.

use std::sync::Arc;

use crate::{Histogram, Labels, ResetHint};

/// A float sample without its labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    pub value: f64,
}

impl Point {
    pub const fn new(t_ms: i64, value: f64) -> Self {
        Self { t_ms, value }
    }
}

/// A native histogram sample without its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramPoint {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    pub histogram: Arc<Histogram>,
}

impl HistogramPoint {
    /// The one before is another now: whether there was a reset between them is seen by comparing.
    pub fn forget_hint(&mut self) {
        if matches!(self.histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(&mut self.histogram).reset_hint = ResetHint::Unknown;
        }
    }
}

/// One observation behind a sample, with labels of its own such as a trace id.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    /// Milliseconds since the epoch.
    pub t_ms: i64,
}

/// The bit pattern of the staleness marker, the one Prometheus uses.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker: "this series has ended here". Ask with [`is_stale`], never with `==`.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a value is the staleness marker; an ordinary NaN is not.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_one_before_is_forgotten() {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        for (hint, left) in [(Unknown, Unknown), (Reset, Unknown), (NotReset, Unknown), (Gauge, Gauge)] {
            let histogram = Arc::new(Histogram { reset_hint: hint, count: 3.0, ..Histogram::default() });
            let mut point = HistogramPoint { t_ms: 7, histogram: Arc::clone(&histogram) };
            point.forget_hint();
            assert_eq!(*point.histogram, Histogram { reset_hint: left, ..(*histogram).clone() });
            assert_eq!(histogram.reset_hint, hint, "others that have it keep it as it was");
        }
    }
}

//! One value at one instant, and the mark that a series has ended.

use std::sync::Arc;

use crate::{Histogram, Labels};

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

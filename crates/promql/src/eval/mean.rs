//! Means that neither overflow nor lose what rounding takes: directly until the sum overflows, then incrementally.

use tenfold_types::{
    Histogram, Kahan,
    histogram::{HistogramSum, Incompatible},
};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    sum: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum.sum = value;
            return;
        }
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.sum.sum /= before;
            self.sum.compensation /= before;
        }
        let q = (self.count - 1.0) / self.count;
        self.sum.sum *= q;
        self.sum.compensation *= q;
        self.sum.add(value / self.count);
    }
    pub fn is_empty(self) -> bool {
        self.count == 0.0
    }
    pub fn value(self) -> f64 {
        if self.incremental { self.sum.value() } else { self.sum.sum / self.count + self.sum.compensation / self.count }
    }
}

/// The same of histograms.
#[derive(Debug, Clone)]
pub(crate) struct HistogramMean {
    sum: HistogramSum,
    count: f64,
    incremental: bool,
}

impl HistogramMean {
    pub fn new(first: &Histogram) -> Self {
        Self { sum: HistogramSum::new(first), count: 1.0, incremental: false }
    }

    /// Whether bounds of custom buckets had to be reconciled.
    pub fn add(&mut self, histogram: &Histogram) -> Result<bool, Incompatible> {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.sum.clone();
            let added = next.add(histogram)?;
            if !next.overflows() {
                self.sum = next;
                return Ok(added.bounds_reconciled);
            }
            self.incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.multiply((self.count - 1.0) / self.count);
        let mut part = histogram.clone();
        part.divide(self.count);
        Ok(self.sum.add(&part)?.bounds_reconciled)
    }

    pub fn finish(mut self) -> Histogram {
        if !self.incremental {
            self.sum.divide(self.count);
        }
        self.sum.finish()
    }
}

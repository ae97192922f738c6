//! Compensated summation (Kahan, in Neumaier's variant), as Prometheus sums.

/// A running sum and what rounding has lost of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Kahan {
    pub sum: f64,
    pub compensation: f64,
}

impl Kahan {
    pub const fn new(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }
    #[inline]
    pub fn value(self) -> f64 {
        self.sum + self.compensation
    }
}

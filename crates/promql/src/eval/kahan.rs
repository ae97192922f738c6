//! Compensated summation (Kahan, in Neumaier's variant), as Prometheus sums.

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kahan {
    pub sum: f64,
    pub compensation: f64,
}

impl Kahan {
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
    pub fn value(self) -> f64 {
        self.sum + self.compensation
    }
}

/// The mean, directly until the sum overflows, then incrementally.
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

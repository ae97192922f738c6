//! Chance that a seed repeats: splitmix64, and what is drawn from it.

pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, run: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ run.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// By inversion, in parts whose mean is small.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        let part = if p > 0.0 { ((20.0 / p) as u64).clamp(1, n.max(1)) } else { n.max(1) };
        let (mut left, mut sum) = (n, 0);
        while left > 0 {
            let now = part.min(left);
            sum += self.inverted(now, p);
            left -= now;
        }
        sum
    }

    fn inverted(&mut self, n: u64, p: f64) -> u64 {
        let mut left = self.unit();
        let odds = p / (1.0 - p);
        let mut probability = (n as f64 * (1.0 - p).ln()).exp();
        let mut k = 0;
        while left > probability && k < n {
            left -= probability;
            k += 1;
            probability *= odds * (n - k + 1) as f64 / k as f64;
        }
        k
    }

    /// At least 1, with this mean.
    pub fn geometric(&mut self, mean: f64) -> u64 {
        1 + ((1.0 - self.unit()).ln() / (1.0 - 1.0 / mean).ln()) as u64
    }

    pub fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

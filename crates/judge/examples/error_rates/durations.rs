//! How long requests take: log-normal, 80 ms in the middle, one in twenty over 300 ms, in the buckets of a histogram.

use crate::dice::Dice;

/// How the histogram's buckets lie.
#[derive(Clone, Copy, PartialEq)]
pub enum Buckets {
    /// The bounds that client libraries have by default.
    Classic,
    /// Those of a native histogram of schema 2: four to a factor of two.
    Native,
}

const CLASSIC: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const MEDIAN_S: f64 = 0.08;
const SIGMA: f64 = 0.8;
/// Slowness is drawn in steps, each with a table of its own.
const STEPS_A_DOUBLING: f64 = 16.0;
/// A table's entries, each as likely as the other.
const ENTRIES: usize = 1 << 16;

impl Buckets {
    fn bounds(self) -> Vec<f64> {
        match self {
            Self::Classic => CLASSIC.to_vec(),
            Self::Native => (-30..=16).map(|i| (f64::from(i) / 4.0).exp2()).collect(),
        }
    }
}

/// Durations of hosts that are each so many times as slow as usual, a request going to any of them alike.
pub struct Durations {
    bounds: Vec<f64>,
    hosts: Vec<f64>,
    /// By step of slowness: the bucket of each entry.
    tables: Vec<(i32, Vec<u8>)>,
}

impl Durations {
    pub fn new(buckets: Option<Buckets>, hosts: Vec<f64>) -> Self {
        Self { bounds: buckets.map_or_else(Vec::new, Buckets::bounds), hosts, tables: Vec::new() }
    }

    /// Requests by bucket; `burst` of them on average fall together into one.
    pub fn draw(&mut self, requests: u64, slowness: f64, burst: f64, dice: &mut Dice) -> Vec<u64> {
        let buckets = self.bounds.len() + 1;
        let table = self.table(slowness);
        let mut counts = vec![0; buckets];
        let mut left = requests;
        while left > 0 {
            let mut bits = dice.bits();
            for _ in 0..4 {
                let together = if burst > 1.0 { dice.geometric(burst).min(left) } else { left.min(1) };
                counts[usize::from(table[(bits & 0xffff) as usize])] += together;
                bits >>= 16;
                left -= together;
            }
        }
        counts
    }

    fn table(&mut self, slowness: f64) -> &[u8] {
        let step = (slowness.log2() * STEPS_A_DOUBLING).round() as i32;
        let known = self.tables.iter().position(|(of, _)| *of == step);
        let index = known.unwrap_or_else(|| {
            self.tables.push((step, self.tabled((f64::from(step) / STEPS_A_DOUBLING).exp2())));
            self.tables.len() - 1
        });
        &self.tables[index].1
    }

    fn tabled(&self, slowness: f64) -> Vec<u8> {
        let below = |bound: &f64| {
            let of = |host: &f64| normal((bound / (MEDIAN_S * slowness * host)).ln() / SIGMA);
            self.hosts.iter().map(of).sum::<f64>() / self.hosts.len() as f64
        };
        let ends: Vec<usize> = self.bounds.iter().map(|b| (below(b) * ENTRIES as f64).round() as usize).collect();
        let mut table = Vec::with_capacity(ENTRIES);
        for (bucket, end) in ends.iter().chain([&ENTRIES]).enumerate() {
            table.resize((*end).max(table.len()), u8::try_from(bucket).expect("there are fewer buckets"));
        }
        table
    }
}

/// The normal distribution function, to 1e-7 (Abramowitz and Stegun 26.2.17).
fn normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let beyond = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt() * poly;
    if x < 0.0 { beyond } else { 1.0 - beyond }
}

//! Many runs on as many threads as there are processors, and shares of them with what is known of the truth.

use std::num::NonZero;
use std::thread;

use crate::dice::Dice;

/// `each` run once, in the order of runs, whatever the number of threads.
pub fn runs<T: Send>(runs: u64, seed: u64, each: impl Fn(&mut Dice) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let part = |thread: u64| (runs * thread / threads)..(runs * (thread + 1) / threads);
    let one = |run: u64| each(&mut Dice::new(seed, run));
    thread::scope(|scope| {
        let parts: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || part(thread).map(one).collect::<Vec<T>>())).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a run does not panic")).collect()
    })
}

/// A share with its 95 % interval (Wilson 1927).
pub struct Share {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn of(count: usize, all: usize) -> Self {
        let (n, z) = (all.max(1) as f64, 1.959_964);
        let value = count as f64 / n;
        let middle = value + z * z / (2.0 * n);
        let away = z * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        Self { value, low: ((middle - away) / scale).max(0.0), high: (middle + away) / scale }
    }
}

/// Mean, and what nineteen of twenty stay below.
pub fn spread(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (mean, values.get(values.len() * 95 / 100).copied().unwrap_or(f64::NAN))
}

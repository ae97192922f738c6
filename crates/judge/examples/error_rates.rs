//! How often the judge cries wolf, and how long it takes: simulated traffic, watched every second.
//!
//! ```text
//! cargo run --release -p tenfold-judge --example error_rates            # 4,000 runs of an hour
//! cargo run --release -p tenfold-judge --example error_rates -- 400 7   # runs, seed
//! ```
//!
//! Canary 100 requests a second, control 900, half a percent of them fail, unless the line says otherwise. A false roll
//! back is one at any second of the hour.

use tenfold_judge::{Before, Bin, Count, Judge, Promote, RollBack, Settings, dispersion};

const CANARY: u64 = 100;
const CONTROL: u64 = 900;
const RATE: f64 = 0.005;
const HOUR: usize = 3_600;
const ALPHAS: [f64; 3] = [0.05, 0.01, 0.001];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u64>().expect("a whole number: runs, then a seed"));
    let (runs, seed) = (arguments.next().unwrap_or(4_000), arguments.next().unwrap_or(1));
    println!("{runs} runs, seed {seed}\n");
    println!(
        "| same release on both sides, one hour | false at 0.05 | at 0.01 | at 0.001 |\n| --- | ---: | ---: | ---: |"
    );
    for (name, world) in [
        ("steady", World::default()),
        (
            "an incident hits both: ten times the errors for two minutes, on a daily wave",
            World { incident: true, ..World::default() },
        ),
        (
            "errors in bursts of three on average, tempered by the dispersion of the hour before",
            World { burst: 3.0, ..World::default() },
        ),
        (
            "ten hosts whose error rates differ by 20 %, with the margin and their hour before",
            World { unequal: 0.2, ..World::default() },
        ),
    ] {
        let rates = false_roll_backs(&world, runs, seed);
        println!("| {name} | {:.4} | {:.4} | {:.4} |", rates[0], rates[1], rates[2]);
    }
    println!(
        "\n| canary's errors | information bound s | mean s | p95 s | mean / bound | caught in an hour |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    );
    for worse in [0.0075, 0.01, 0.02, 0.05, 0.5] {
        detection(worse, runs.min(1_000), seed);
    }
    println!("\n| promotion, beta 0.05 | promoted | mean s | p95 s |\n| --- | ---: | ---: | ---: |");
    for (ratio, r1) in [(1.0, 1.25), (1.0, 1.5), (1.0, 2.0), (1.25, 1.25), (1.5, 1.5), (2.0, 2.0)] {
        promotion(ratio, r1, runs.min(1_000), seed);
    }
}

/// What the traffic is like.
#[derive(Clone, Copy)]
struct World {
    incident: bool,
    /// Mean errors that come together; 1 for one by one.
    burst: f64,
    /// Standard deviation of the hosts' own error rates, as a share of the mean.
    unequal: f64,
}

impl Default for World {
    fn default() -> Self {
        Self { incident: false, burst: 1.0, unequal: 0.0 }
    }
}

impl World {
    fn rate_at(&self, second: usize) -> f64 {
        if !self.incident {
            return RATE;
        }
        let wave = 1.0 + 0.5 * (second as f64 / 600.0).sin();
        RATE * wave * if (1_200..1_320).contains(&second) { 10.0 } else { 1.0 }
    }

    fn count(&self, requests: u64, rate: f64, dice: &mut Dice) -> Count {
        if self.burst <= 1.0 {
            return Count::new(dice.binomial(requests, rate), requests);
        }
        let bursts = dice.binomial(requests, rate / self.burst);
        let errors = (0..bursts).map(|_| dice.geometric(self.burst)).sum::<u64>();
        Count::new(errors.min(requests), requests)
    }

    /// Rates of one canary host and the mean of nine others, relative to `RATE`.
    fn hosts(&self, dice: &mut Dice) -> (f64, f64) {
        let mut host = || (1.0 + self.unequal * dice.normal()).max(0.05);
        let canary = host();
        (canary, (0..9).map(|_| host()).sum::<f64>() / 9.0)
    }

    fn bin(&self, second: usize, hosts: (f64, f64), dice: &mut Dice) -> Bin {
        let rate = self.rate_at(second);
        Bin {
            canary: self.count(CANARY, (rate * hosts.0).min(1.0), dice),
            control: self.count(CONTROL, (rate * hosts.1).min(1.0), dice),
        }
    }
}

fn false_roll_backs(world: &World, runs: u64, seed: u64) -> [f64; 3] {
    let mut rolled_back = [0u64; 3];
    for run in 0..runs {
        let mut dice = Dice::new(seed, run);
        let hosts = world.hosts(&mut dice);
        let calm = World { incident: false, ..*world };
        let before: Vec<Bin> = (0..HOUR).map(|s| calm.bin(s, hosts, &mut dice)).collect();
        let phi = dispersion(&before.iter().map(|b| b.control).collect::<Vec<_>>()).unwrap_or(1.0);
        // (test, threshold) for each alpha; the plain test tolerates nothing.
        let mut tests: Vec<(RollBack, f64)> = ALPHAS
            .iter()
            .map(|alpha| {
                if world.unequal == 0.0 {
                    return (RollBack::new(1.0, phi), (1.0 / alpha).ln());
                }
                let minutes = before.chunks(60).map(sum).collect();
                let settings = Settings { alpha: *alpha, prove_below: 50.0, ..Settings::default() };
                let judge =
                    Judge::new(settings, &Before { hosts: minutes, ..Before::default() }).expect("settings are fine");
                let report = judge.report();
                (RollBack::new(report.tolerated, phi), report.roll_back_at)
            })
            .collect();
        let mut done = [false; 3];
        for second in 0..HOUR {
            let bin = world.bin(second, hosts, &mut dice);
            for (i, (test, threshold)) in tests.iter_mut().enumerate() {
                if !done[i] {
                    test.observe(bin);
                    done[i] = test.log_evidence() >= *threshold;
                }
            }
        }
        (0..3).for_each(|i| rolled_back[i] += u64::from(done[i]));
    }
    rolled_back.map(|n| n as f64 / runs as f64)
}

fn sum(bins: &[Bin]) -> Bin {
    bins.iter().fold(Bin::default(), |a, b| Bin {
        canary: Count::new(a.canary.events + b.canary.events, a.canary.total + b.canary.total),
        control: Count::new(a.control.events + b.control.events, a.control.total + b.control.total),
    })
}

/// Seconds that any test with this alpha needs on average: log(1/alpha) over the information of one second (Wald).
fn bound_s(worse: f64, alpha: f64) -> f64 {
    let (n_c, n_b) = (CANARY as f64, CONTROL as f64);
    let pooled = (n_c * worse + n_b * RATE) / (n_c + n_b);
    let kl = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    (1.0 / alpha).ln() / (n_c * kl(worse, pooled) + n_b * kl(RATE, pooled))
}

fn detection(worse: f64, runs: u64, seed: u64) {
    let alpha = 0.01;
    let mut seconds = Vec::new();
    for run in 0..runs {
        let mut dice = Dice::new(seed ^ 0x5eed, run);
        let mut test = RollBack::new(1.0, 1.0);
        let found = (1..=HOUR).find(|_| {
            test.observe(Bin {
                canary: Count::new(dice.binomial(CANARY, worse), CANARY),
                control: Count::new(dice.binomial(CONTROL, RATE), CONTROL),
            });
            test.log_evidence() >= (1.0f64 / alpha).ln()
        });
        seconds.extend(found);
    }
    let (mean, p95) = spread(&mut seconds);
    let bound = bound_s(worse, alpha);
    println!(
        "| 0.5 -> {} % | {bound:.2} | {mean:.1} | {p95} | {:.2} | {:.3} |",
        worse * 100.0,
        mean / bound,
        seconds.len() as f64 / runs as f64
    );
}

fn promotion(ratio: f64, r1: f64, runs: u64, seed: u64) {
    let mut seconds = Vec::new();
    for run in 0..runs {
        let mut dice = Dice::new(seed ^ 0x900d, run);
        let mut test = Promote::new(r1, 1.0);
        let promoted = (1..=HOUR).find(|_| {
            test.observe(Bin {
                canary: Count::new(dice.binomial(CANARY, RATE * ratio), CANARY),
                control: Count::new(dice.binomial(CONTROL, RATE), CONTROL),
            });
            test.log_evidence() >= 20f64.ln()
        });
        seconds.extend(promoted);
    }
    let (mean, p95) = spread(&mut seconds);
    println!(
        "| true ratio {ratio}, {r1} to be refuted | {:.3} | {mean:.0} | {p95} |",
        seconds.len() as f64 / runs as f64
    );
}

fn spread(seconds: &mut [usize]) -> (f64, usize) {
    seconds.sort_unstable();
    let mean = seconds.iter().sum::<usize>() as f64 / seconds.len().max(1) as f64;
    (mean, seconds.get(seconds.len() * 95 / 100).copied().unwrap_or(0))
}

/// Splitmix64 and what is drawn from it; the same seed draws the same.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, run: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ run.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// By inversion; means here are small.
    fn binomial(&mut self, n: u64, p: f64) -> u64 {
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
    fn geometric(&mut self, mean: f64) -> u64 {
        1 + ((1.0 - self.unit()).ln() / (1.0 - 1.0 / mean).ln()) as u64
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

//! What the traffic is like: requests of a canary and of nine other hosts that run the same release, or a worse one.

use tenfold_judge::{Bin, Bounds, Count, HistogramBin, Watched};

use crate::dice::Dice;
use crate::durations::{Buckets, Durations};

/// Requests a second.
pub const CANARY: u64 = 100;
pub const CONTROL: u64 = 900;
/// Where durations are drawn one by one, a tenth of that.
const DURATIONS_SHARE: u64 = 10;
/// Share that fails.
pub const RATE: f64 = 0.005;
pub const START_MS: i64 = 1_700_000_000_000;
/// Everything has ten times the errors, and takes three times as long, in these seconds of the watch.
const INCIDENT_S: std::ops::Range<i64> = 1_200..1_320;
const INCIDENT_ERRORS: f64 = 10.0;
const INCIDENT_SLOWNESS: f64 = 3.0;

#[derive(Clone, Copy)]
pub struct World {
    /// An incident hits both sides, on a wave of an hour.
    pub incident: bool,
    /// Mean requests that fail together, or are slow together; 1 for one by one.
    pub burst: f64,
    /// Standard deviation of the hosts' own error rates and durations, as a share of the mean.
    pub unequal: f64,
    /// How many times as often the canary fails since the watch began.
    pub ratio: f64,
}

pub const PLAIN: World = World { incident: false, burst: 1.0, unequal: 0.0, ratio: 1.0 };

/// The worlds in which nothing may be found.
pub const SAME: [(&str, World); 5] = [
    ("steady", PLAIN),
    (
        "an incident hits both: ten times the errors, three times as slow for two minutes, on a wave",
        World { incident: true, ..PLAIN },
    ),
    ("bursts of three on average", World { burst: 3.0, ..PLAIN }),
    ("ten hosts that differ by 20 %, with their hour before", World { unequal: 0.2, ..PLAIN }),
    ("all of that together", World { incident: true, burst: 3.0, unequal: 0.2, ratio: 1.0 }),
];

/// What is counted.
#[derive(Clone, Copy, PartialEq)]
pub struct Measured {
    pub errors: bool,
    pub latency: Option<Buckets>,
}

/// How it is watched.
#[derive(Clone, Copy)]
pub struct Watch {
    pub every_s: i64,
    /// How old the watch is at its end.
    pub seconds: i64,
    /// The hosts' own past is asked whether they were equal: by default where they are not.
    pub past: Option<bool>,
}

impl Watch {
    /// Every second for an hour, and for another one, in which looks are a minute apart.
    pub const TWO_HOURS: Self = Self { every_s: 1, seconds: 7_200, past: None };
}

/// Error rates and durations of the canary and of the nine others, relative to the mean.
struct Hosts {
    rates: (f64, f64),
    durations: (Durations, Durations),
}

impl World {
    /// One run: the hour before and the watch, look by look, as the server reads them from its counters.
    pub fn run(&self, watch: Watch, measured: Measured, dice: &mut Dice) -> Watched {
        let bounds = Bounds::new(START_MS, watch.every_s * 1_000, START_MS + watch.seconds * 1_000);
        let mut hosts = self.hosts(measured.latency, dice);
        let mut errors = Vec::with_capacity(bounds.len());
        let mut latency = Vec::with_capacity(bounds.len());
        for (from_ms, to_ms, step_ms) in bounds.runs() {
            for at_ms in (from_ms..to_ms).step_by(usize::try_from(step_ms).expect("looks go forwards")) {
                let (second, seconds) = ((at_ms - START_MS).div_euclid(1_000), (step_ms / 1_000).unsigned_abs());
                if measured.errors {
                    errors.push(self.errors(second, seconds, hosts.rates, dice));
                }
                if measured.latency.is_some() {
                    latency.push(self.latency(second, seconds, &mut hosts.durations, dice));
                }
            }
        }
        Watched {
            bounds,
            errors: measured.errors.then_some(errors),
            latency: measured.latency.map(|_| latency),
            equal_since_ms: watch.past.unwrap_or(self.unequal > 0.0).then_some(0),
        }
    }

    fn hosts(&self, buckets: Option<Buckets>, dice: &mut Dice) -> Hosts {
        let mut relative = || (1.0 + self.unequal * dice.normal()).max(0.05);
        let canary = (relative(), relative());
        let others: Vec<(f64, f64)> = (0..9).map(|_| (relative(), relative())).collect();
        let slowness: Vec<f64> = others.iter().map(|(_, slowness)| *slowness).collect();
        Hosts {
            rates: (canary.0, others.iter().map(|(rate, _)| rate).sum::<f64>() / 9.0),
            durations: (Durations::new(buckets, vec![canary.1]), Durations::new(buckets, slowness)),
        }
    }

    /// How bad everything is: errors, slowness.
    fn weather(&self, second: i64) -> (f64, f64) {
        if !self.incident {
            return (1.0, 1.0);
        }
        let wave = (second as f64 / 600.0).sin();
        let (errors, slowness) = (1.0 + 0.5 * wave, 1.0 + 0.25 * wave);
        if INCIDENT_S.contains(&second) {
            (errors * INCIDENT_ERRORS, slowness * INCIDENT_SLOWNESS)
        } else {
            (errors, slowness)
        }
    }

    fn errors(&self, second: i64, seconds: u64, (canary, control): (f64, f64), dice: &mut Dice) -> Bin {
        let rate = RATE * self.weather(second).0;
        let ratio = if second < 0 { 1.0 } else { self.ratio };
        Bin {
            canary: self.count(CANARY * seconds, (rate * ratio * canary).min(1.0), dice),
            control: self.count(CONTROL * seconds, (rate * control).min(1.0), dice),
        }
    }

    fn count(&self, requests: u64, rate: f64, dice: &mut Dice) -> Count {
        if self.burst <= 1.0 {
            return Count::new(dice.binomial(requests, rate), requests);
        }
        let bursts = dice.binomial(requests, rate / self.burst);
        let errors = (0..bursts).map(|_| dice.geometric(self.burst)).sum::<u64>();
        Count::new(errors.min(requests), requests)
    }

    fn latency(&self, second: i64, seconds: u64, hosts: &mut (Durations, Durations), dice: &mut Dice) -> HistogramBin {
        let slowness = self.weather(second).1;
        let requests = |all: u64| all * seconds / DURATIONS_SHARE;
        HistogramBin {
            canary: hosts.0.draw(requests(CANARY), slowness, self.burst, dice),
            control: hosts.1.draw(requests(CONTROL), slowness, self.burst, dice),
        }
    }
}

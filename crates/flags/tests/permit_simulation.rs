//! Two jobs share one database and know nothing of each other: each asks its own permit, steered by the database's
//! latency, which is measured late and averaged. The same model shows what a switch at one threshold does, and what a PI
//! controller does.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::collections::VecDeque;

use tenfold_flags::{PermitLaw, PermitState};
use tenfold_types::Timestamp;

const SECONDS: usize = 3 * 3600;
/// Measured from here on: both jobs have run for an hour.
const FROM: usize = SECONDS / 2;
/// The second job begins when the first has had everything for a while.
const SECOND_JOINS_AT: usize = 1_200;
/// A scrape shows what was this long ago.
const DELAY_S: usize = 10;
/// `rate(...[30s])`: what is measured is an average.
const WINDOW_S: usize = 30;
const INTERVAL_S: usize = 10;
const BASE_S: f64 = 0.01;
const LIMIT_S: f64 = 0.05;
const RESUME_S: f64 = 0.04;
/// Each job alone could nearly fill the database; both together ask for nearly twice what it can do.
const DEMAND: f64 = 0.9;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A server with a queue: it does 1 second of work in a second, what comes on top waits, and the nearer it is to full
/// the longer an answer takes (M/M/1). People's own traffic wanders about 20 %.
struct Database {
    dice: Dice,
    people: f64,
    backlog: f64,
    latencies: VecDeque<f64>,
}

impl Database {
    fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), people: 0.2, backlog: 0.0, latencies: VecDeque::new() }
    }

    /// One second of work.
    fn second(&mut self, jobs: f64) -> f64 {
        self.people += 0.1 * (0.2 - self.people) + 0.04 * (self.dice.roll() - 0.5);
        let load = self.people.clamp(0.05, 0.4) + jobs;
        self.backlog = (self.backlog + load - 1.0).max(0.0);
        let latency = BASE_S / (1.0 - load.min(0.98)) + self.backlog;
        self.latencies.push_front(latency);
        self.latencies.truncate(DELAY_S + WINDOW_S);
        latency
    }

    /// What a query answers: old, and an average.
    fn measured(&self) -> Option<f64> {
        let seen: Vec<f64> = self.latencies.iter().skip(DELAY_S).copied().collect();
        (!seen.is_empty()).then(|| seen.iter().sum::<f64>() / seen.len() as f64)
    }
}

trait Control {
    /// How much the job may do from now on.
    fn look(&mut self, signal: Option<f64>, now_s: usize) -> f64;
}

struct Permit(PermitLaw, PermitState);

impl Permit {
    fn control() -> Box<dyn Control> {
        let law: PermitLaw = serde_json::from_value(serde_json::json!({
            "query": "db_latency", "limit": LIMIT_S, "resume": RESUME_S, "floor": 0.02, "fail_safe": 0.05,
        }))
        .unwrap();
        law.check().unwrap();
        let state = PermitState::new(&law, Timestamp(0));
        Box::new(Self(law, state))
    }
}

impl Control for Permit {
    fn look(&mut self, signal: Option<f64>, now_s: usize) -> f64 {
        let now = Timestamp(now_s as i64 * 1_000);
        self.1 = self.1.step(&self.0, &signal.ok_or_else(|| "none yet".to_owned()), now).0;
        self.1.value
    }
}

/// All or nothing at one threshold.
struct Switch;

impl Control for Switch {
    fn look(&mut self, signal: Option<f64>, _: usize) -> f64 {
        if signal.is_some_and(|s| s < LIMIT_S) { 1.0 } else { 0.0 }
    }
}

/// Holds the signal at a set point; gains by hand, as gentle as the delay wants it.
struct Pi(f64);

impl Control for Pi {
    fn look(&mut self, signal: Option<f64>, _: usize) -> f64 {
        let error = signal.map_or(0.0, |s| ((LIMIT_S - s) / LIMIT_S).clamp(-1.0, 1.0));
        self.0 = (self.0 + 0.02 * error).clamp(0.0, 1.0);
        (self.0 + 0.02 * error).clamp(0.0, 1.0)
    }
}

#[derive(Debug)]
struct Seen {
    /// From the lowest to the highest permit of each job.
    swing: [f64; 2],
    /// Mean permit of each job.
    share: [f64; 2],
    /// Mean of what the database does.
    load: f64,
    /// Part of the seconds in which an answer took more than twice the limit.
    slow: f64,
    /// How often a job went from more than 0.8 to less than 0.2.
    collapses: usize,
}

fn run(seed: u64, mut jobs: [Box<dyn Control>; 2]) -> Seen {
    let mut database = Database::new(seed);
    let mut permits = [0.0_f64; 2];
    let mut history: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    let (mut slow, mut load) = (0, 0.0);
    for now_s in 0..SECONDS {
        for (i, job) in jobs.iter_mut().enumerate() {
            let joined = i == 0 || now_s >= SECOND_JOINS_AT;
            // They do not look at the same instant.
            if joined && now_s % INTERVAL_S == i * 3 {
                permits[i] = job.look(database.measured(), now_s);
            }
        }
        let work = DEMAND * (permits[0] + permits[1]);
        let latency = database.second(work);
        if now_s >= FROM {
            slow += usize::from(latency > 2.0 * LIMIT_S);
            load += (database.people + work).min(1.0);
            history.iter_mut().zip(permits).for_each(|(h, p)| h.push(p));
        }
    }
    let seconds = (SECONDS - FROM) as f64;
    let mean = |h: &[f64]| h.iter().sum::<f64>() / h.len() as f64;
    let swing = |h: &[f64]| h.iter().copied().fold(f64::MIN, f64::max) - h.iter().copied().fold(f64::MAX, f64::min);
    let collapses = |h: &[f64]| {
        let (mut high, mut count) = (false, 0);
        for p in h {
            count += usize::from(high && *p < 0.2);
            high = *p > 0.8 || (high && *p >= 0.2);
        }
        count
    };
    Seen {
        swing: [swing(&history[0]), swing(&history[1])],
        share: [mean(&history[0]), mean(&history[1])],
        load: load / seconds,
        slow: slow as f64 / seconds,
        collapses: collapses(&history[0]) + collapses(&history[1]),
    }
}

fn unfairness(seen: &Seen) -> f64 {
    let [a, b] = seen.share;
    a.max(b) / a.min(b).max(1e-9)
}

const SEEDS: std::ops::Range<u64> = 1..41;

#[test]
fn two_permits_share_a_database_fairly_and_do_not_swing() {
    for seed in SEEDS {
        let seen = run(seed, [Permit::control(), Permit::control()]);
        println!("permit seed {seed}: {seen:.3?}");
        assert!(seen.swing.iter().all(|s| *s < 0.3), "seed {seed}: {seen:?}");
        assert_eq!(seen.collapses, 0, "seed {seed}: {seen:?}");
        assert!(unfairness(&seen) < 1.25, "seed {seed}: {seen:?}");
        assert!((0.6..0.95).contains(&seen.load), "the database is neither idle nor drowned, seed {seed}: {seen:?}");
        assert!(seen.slow < 0.06, "seed {seed}: {seen:?}");
    }
}

#[test]
fn a_switch_at_one_threshold_swings_between_all_and_nothing() {
    for seed in SEEDS {
        let seen = run(seed, [Box::new(Switch), Box::new(Switch)]);
        println!("switch seed {seed}: {seen:.3?}");
        assert!(seen.swing.iter().all(|s| *s > 0.99), "seed {seed}: {seen:?}");
        assert!(seen.collapses > 20, "seed {seed}: {seen:?}");
        assert!(seen.slow > 0.2, "seed {seed}: {seen:?}");
    }
}

#[test]
fn a_pi_controller_holds_the_signal_but_leaves_the_newcomer_what_it_finds() {
    let mut unfair = 0;
    for seed in SEEDS {
        let seen = run(seed, [Box::new(Pi(0.0)), Box::new(Pi(0.0))]);
        println!("pi seed {seed}: {seen:.3?}");
        unfair += usize::from(unfairness(&seen) > 1.5);
    }
    assert!(unfair > SEEDS.count() / 2, "{unfair} runs");
}

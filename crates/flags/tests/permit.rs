//! Adaptive permits with a clock that the test moves: data-driven cases, then what holds for every signal.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use proptest::prelude::*;
use tenfold_flags::{PermitLaw, PermitState, PermitTransition, Phase, Worse};
use tenfold_types::Timestamp;

fn law() -> PermitLaw {
    serde_json::from_str(
        r#"{"query": "latency", "limit": 1.0, "resume": 0.5, "floor": 0.1, "fail_safe": 0.2, "increase": 0.1,
            "decrease": 0.5, "interval_ms": 10000, "settle_ms": 30000, "grace_ms": 20000}"#,
    )
    .unwrap()
}

struct Job {
    law: PermitLaw,
    state: PermitState,
    at: i64,
}

impl Job {
    fn new(law: PermitLaw) -> Self {
        Self { state: PermitState::new(&law, Timestamp(0)), law, at: 0 }
    }
    fn see(&mut self, signal: Result<f64, String>) -> Option<PermitTransition> {
        self.at += self.law.interval_ms;
        let (state, told) = self.state.step(&self.law, &signal, Timestamp(self.at));
        self.state = state;
        told
    }
    fn value(&self) -> f64 {
        (self.state.value * 1_000.0).round() / 1_000.0
    }
}

#[test]
fn it_rises_by_steps_and_falls_by_a_factor() {
    let mut job = Job::new(law());
    assert_eq!(job.value(), 0.2, "the fail-safe value before the first signal");
    assert_eq!(job.see(Ok(0.1)), Some(PermitTransition::SignalBack));
    let mut seen = vec![job.value()];
    for _ in 0..3 {
        assert_eq!(job.see(Ok(0.1)), None);
        seen.push(job.value());
    }
    assert_eq!(seen, [0.2, 0.3, 0.4, 0.5]);
    job.see(Ok(1.1));
    assert_eq!(job.value(), 0.25);
    job.see(Ok(5.0));
    job.see(Ok(5.0));
    assert_eq!(job.value(), 0.25, "what it did cannot be seen yet");
    job.see(Ok(5.0));
    assert_eq!(job.value(), 0.125, "after the settling time");
}

#[test]
fn between_the_thresholds_it_keeps_its_direction() {
    let mut job = Job::new(law());
    job.see(Ok(0.1));
    job.see(Ok(0.7));
    assert_eq!((job.value(), job.state.phase), (0.3, Phase::Rising));
    job.see(Ok(1.2));
    for _ in 0..9 {
        job.see(Ok(0.7));
    }
    assert_eq!((job.value(), job.state.phase), (0.15, Phase::Falling), "not yet back at `resume`");
    job.see(Ok(0.5));
    assert_eq!(job.value(), 0.25);
}

#[test]
fn without_a_signal_it_stays_and_then_fails_safe() {
    let mut job = Job::new(law());
    for _ in 0..6 {
        job.see(Ok(0.1));
    }
    assert_eq!(job.value(), 0.7);
    assert_eq!(job.see(Err("no answer".into())), None);
    assert_eq!(job.see(Ok(f64::NAN)), None, "no number is no signal");
    assert_eq!(job.value(), 0.7);
    assert_eq!(job.see(Err("no answer".into())), Some(PermitTransition::FailSafe));
    assert_eq!((job.value(), job.state.trouble.as_str()), (0.2, "no answer"));
    assert_eq!(job.see(Err("no answer".into())), None, "said once");
    assert_eq!(job.see(Ok(0.1)), Some(PermitTransition::SignalBack));
    assert_eq!(job.value(), 0.2, "from where it stands");
    let late = Timestamp(job.at + job.law.ttl_ms() + job.law.grace_ms + 1);
    assert_eq!(job.law.valid(&job.state, late), 0.2, "nobody looked for too long");
}

#[test]
fn the_floor_is_told_once_and_so_is_coming_back() {
    let mut job = Job::new(law());
    job.see(Ok(0.1));
    let told: Vec<_> = (0..12).filter_map(|_| job.see(Ok(9.0))).collect();
    assert_eq!((told, job.value()), (vec![PermitTransition::ToFloor], 0.1));
    let told: Vec<_> = (0..9).filter_map(|_| job.see(Ok(0.1))).collect();
    assert_eq!((told, job.value()), (vec![PermitTransition::Back], 1.0));
}

#[test]
fn a_signal_may_be_bad_when_it_is_small() {
    let law = PermitLaw { worse: Worse::Down, limit: 10.0, resume: 20.0, ..law() };
    law.check().unwrap();
    assert_eq!(law.signal([30.0, 12.0, f64::NAN].into_iter()), Ok(12.0));
    let mut job = Job::new(law);
    job.see(Ok(100.0));
    job.see(Ok(100.0));
    assert_eq!(job.value(), 0.3);
    job.see(Ok(9.0));
    assert_eq!(job.value(), 0.15);
}

#[test]
fn what_would_swing_or_never_move_is_refused() {
    law().check().unwrap();
    let cases = [
        (PermitLaw { resume: 1.0, ..law() }, "distance"),
        (PermitLaw { resume: 1.5, ..law() }, "good side"),
        (PermitLaw { limit: f64::NAN, ..law() }, "good side"),
        (PermitLaw { floor: 1.0, ..law() }, "floor"),
        (PermitLaw { fail_safe: 1.1, ..law() }, "fail-safe"),
        (PermitLaw { increase: 0.0, ..law() }, "0.001"),
        (PermitLaw { decrease: 1.0, ..law() }, "0.99"),
        (PermitLaw { interval_ms: 1, ..law() }, "1000"),
        (PermitLaw { settle_ms: -1, ..law() }, "3600000"),
        (PermitLaw { query: String::new(), ..law() }, "4096"),
    ];
    for (law, words) in cases {
        let said = law.check().unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}

proptest! {
    #[test]
    fn whatever_the_signal_the_permit_is_in_bounds_and_moves_no_faster_than_it_may(
        signals in prop::collection::vec(prop::option::weighted(0.8, prop_oneof![
            0.0..3.0_f64, Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), any::<f64>(),
        ]), 1..200),
    ) {
        let mut job = Job::new(law());
        for signal in signals {
            let before = job.state.clone();
            job.see(signal.ok_or_else(|| "none".to_owned()));
            let (law, state) = (&job.law, &job.state);
            prop_assert!((law.floor..=law.ceiling).contains(&state.value));
            if state.phase != Phase::FailSafe {
                prop_assert!(state.value <= before.value + law.increase + 1e-9);
                prop_assert!(state.value >= (before.value * law.decrease).max(law.floor) - 1e-9);
            }
            if signal.is_none_or(f64::is_nan) {
                prop_assert!(state.value <= before.value.max(law.fail_safe), "no data never raises past the fail-safe value");
            }
            let bad = signal.is_some_and(|s| s > law.limit);
            prop_assert!(!bad || state.value <= before.value.max(law.floor), "it never rises past the limit");
        }
    }
}

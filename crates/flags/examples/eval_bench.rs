//! Measures evaluation: nanoseconds per flag by name and in bulk over 1,000 flags, and the time to compile them.
//!
//! `cargo run --release -p tenfold-flags --example eval_bench`

use std::{hint::black_box, time::Instant};

use serde_json::{Value, json};
use tenfold_flags::{ClientFeatures, Context, Moment, Snapshot};
use tenfold_types::Timestamp;

const FLAGS: usize = 1_000;
const NAMED: usize = 10_000;
const ROUNDS: usize = 500;

fn document() -> ClientFeatures {
    let ids: Vec<String> = (0..1_000).map(|i| format!("user-{i}")).collect();
    let features: Vec<Value> = (0..FLAGS)
        .map(|i| {
            let name = format!("flag-{i:04}");
            let rollout = |percent: usize| json!({"rollout": percent.to_string(), "stickiness": "default", "groupId": name});
            let mut strategy = json!({"name": "flexibleRollout", "parameters": rollout(i % 101)});
            strategy["constraints"] = match i % 5 {
                0 => json!([]),
                1 => json!([{"contextName": "plan", "operator": "IN", "values": ["pro", "team", "free"]}]),
                2 => json!([{"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@example.com", "@example.org"]}]),
                3 => json!([{"contextName": "version", "operator": "SEMVER_GTE", "value": "1.4.0"}]),
                _ => json!([{"contextName": "age", "operator": "NUM_GT", "value": "18"}]),
            };
            if i % 10 == 0 {
                strategy["segments"] = json!([1]);
            }
            let mut feature = json!({"name": name, "enabled": i % 17 != 0, "strategies": [strategy]});
            if i % 7 == 0 {
                feature["variants"] = json!([{"name": "a", "weight": 500}, {"name": "b", "weight": 500}]);
            }
            if i % 50 == 1 {
                feature["dependencies"] = json!([{"feature": format!("flag-{:04}", i + 1)}]);
            }
            feature
        })
        .collect();
    let segment = json!({"id": 1, "name": "testers", "constraints": [
        {"contextName": "userId", "operator": "IN", "values": ids},
    ]});
    serde_json::from_value(json!({"version": 2, "features": features, "segments": [segment]})).expect("a good document")
}

/// The fastest of many rounds, in nanoseconds: what else the machine does only ever makes a round slower.
fn best_ns(mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        round();
        best = best.min(started.elapsed().as_nanos() as f64);
    }
    best
}

fn main() {
    let document = document();
    let compile = best_ns(|| {
        black_box(Snapshot::compile(&document));
    });
    println!("compile {FLAGS} flags: {:.2} ms", compile / 1e6);
    let snapshot = Snapshot::compile(&document);

    let contexts: Vec<Context> = (0..256)
        .map(|i| {
            Context::new()
                .with("userId", format!("user-{}", i * 7))
                .with("plan", ["pro", "free", "none"][i % 3])
                .with("email", format!("someone{i}@example.{}", ["com", "net"][i % 2]))
                .with("version", format!("1.{}.0", i % 9))
                .with("age", (i % 60).to_string())
        })
        .collect();
    let names: Vec<&str> = document.features.iter().map(|f| f.name.as_str()).collect();
    let moment = Moment { now: Timestamp(1_767_225_600_000), random: 42 };

    let mut on = 0u64;
    let mut turn = 0usize;
    let by_name = best_ns(|| {
        for _ in 0..NAMED {
            turn += 1;
            let answer = snapshot.evaluate(names[turn.wrapping_mul(7_919) % FLAGS], &contexts[turn % 256], moment);
            on += u64::from(black_box(answer).is_some_and(|a| a.enabled));
        }
    });
    println!("by name: {:.0} ns per evaluation", by_name / NAMED as f64);

    let bulk = best_ns(|| {
        turn += 1;
        on += snapshot.evaluate_all(&contexts[turn % 256], moment).filter(|a| black_box(a).enabled).count() as u64;
    });
    println!("bulk of {FLAGS}: {:.1} us, {:.0} ns per flag", bulk / 1e3, bulk / FLAGS as f64);
    println!("({on} answers were on)");
}

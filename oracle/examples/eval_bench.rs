//! The speed of evaluation, ours and yggdrasil's in one run: one flag, 1,000 flags, compiling, changing one of 10,000.
//!
//! `cargo run --release --manifest-path oracle/Cargo.toml --example eval_bench`
//!
//! Processor time of the thread, so that what else runs matters little; both take turns, and medians are compared. Contexts
//! are built beforehand for both. Each question is compared with the one of yggdrasil that gives as much; a flag that was
//! found before is asked by [`FlagRef`].

use std::{collections::HashMap, hint::black_box};

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tenfold_flags::{ClientFeatures, Context, Feature, FlagRef, Moment, Snapshot};
use tenfold_oracle::ask;
use unleash_types::client_features::ClientFeaturesDelta;
use unleash_yggdrasil::{EngineState, UpdateMessage};

const FLAGS: usize = 1_000;
const MANY: usize = 10_000;
const TURNS: usize = 9;
/// Calls of a turn.
const OURS: usize = 400_000;
const THEIRS: usize = 100_000;

fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux counts it");
    time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64
}

fn per_call(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    let started = cpu_ns();
    (0..calls).for_each(&mut call);
    (cpu_ns() - started) / calls as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Both in turns; prints the medians, their ratio, and the smallest and largest ratio of one turn.
fn side_by_side(
    what: &str,
    unit: (&str, f64),
    turns: usize,
    mut ours: impl FnMut() -> f64,
    mut theirs: impl FnMut() -> f64,
) {
    let pairs: Vec<(f64, f64)> = (0..turns).map(|_| (ours(), theirs())).collect();
    let ratios: Vec<f64> = pairs.iter().map(|(a, b)| b / a).collect();
    let (low, high) = ratios.iter().fold((f64::MAX, 0f64), |(l, h), r| (l.min(*r), h.max(*r)));
    let (a, b) = (median(pairs.iter().map(|p| p.0).collect()), median(pairs.iter().map(|p| p.1).collect()));
    println!(
        "{what:<44} {:>9.2} {unit:<2} {:>9.2} {unit:<2}  {:>7.1} ({low:.1} to {high:.1})",
        a / unit.1,
        b / unit.1,
        b / a,
        unit = unit.0
    );
}

/// Rollouts, half of them with a constraint each, a segment of 1,000 ids in every tenth, variants, parents.
fn document(flags: usize) -> Value {
    let ids: Vec<String> = (0..1_000).map(|i| format!("user-{i}")).collect();
    let features: Vec<Value> = (0..flags).map(|i| feature(i, i % 101)).collect();
    let segment = json!({"id": 1, "name": "testers", "constraints": [
        {"contextName": "userId", "operator": "IN", "values": ids},
    ]});
    json!({"version": 2, "features": features, "segments": [segment]})
}

fn feature(i: usize, percent: usize) -> Value {
    let name = format!("flag-{i:05}");
    let parameters = json!({"rollout": percent.to_string(), "stickiness": "default", "groupId": name});
    let mut strategy = json!({"name": "flexibleRollout", "parameters": parameters});
    strategy["constraints"] = match i % 5 {
        0 => json!([]),
        1 => json!([{"contextName": "plan", "operator": "IN", "values": ["pro", "team", "free"]}]),
        2 => json!([{"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@example.com", "@example.org"]}]),
        3 => json!([{"contextName": "version", "operator": "SEMVER_GTE", "value": "1.4.0"}]),
        _ => json!([{"contextName": "age", "operator": "NUM_GT", "value": "18"}]),
    };
    if i.is_multiple_of(10) {
        strategy["segments"] = json!([1]);
    }
    let mut feature = json!({"name": name, "enabled": !i.is_multiple_of(17), "strategies": [strategy]});
    if i.is_multiple_of(7) {
        feature["variants"] = json!([{"name": "a", "weight": 500}, {"name": "b", "weight": 500}]);
    }
    if i % 50 == 1 {
        feature["dependencies"] = json!([{"feature": format!("flag-{:05}", i + 1)}]);
    }
    feature
}

fn contexts() -> Vec<serde_json::Map<String, Value>> {
    let one = |i: usize| {
        let (plan, domain) = (["pro", "free", "none"][i % 3], ["com", "net"][i % 2]);
        json!({
            "userId": format!("user-{}", i * 7), "sessionId": format!("session-{i}"), "remoteAddress": "10.0.0.1",
            "plan": plan, "email": format!("someone{i}@example.{domain}"), "version": format!("1.{}.0", i % 9),
            "age": (i % 60).to_string(), "country": "NO", "device": "phone",
        })
    };
    (0..256).map(|i| one(i).as_object().cloned().expect("an object")).collect()
}

fn main() {
    let document = document(FLAGS);
    let ours: ClientFeatures = serde_json::from_value(document.clone()).expect("a document");
    let (snapshot, engine) = (Snapshot::compile(&ours), ask::engine(&document));
    let fields = contexts();
    let our_contexts: Vec<Context> = fields.iter().map(ask::our_context).collect();
    let their_contexts: Vec<_> = fields.iter().map(ask::their_context).collect();
    let names: Vec<&str> = ours.features.iter().map(|f| f.name.as_str()).collect();
    let moment = Moment { random: 42, ..ask::moment(42) };
    let none: Option<HashMap<String, bool>> = None;
    // Names are copied, so that all lie side by side; a context is asked ten flags, as in one request, or one.
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let flag = |i: usize| i.wrapping_mul(7_919) % FLAGS;
    let (same, anew) = (|i: usize| i / 10 % 256, |i: usize| i % 256);

    println!("{:<44} {:>12} {:>12}  {:>7}", "median of processor time", "tenfold", "yggdrasil", "ratio");
    let refs: Vec<FlagRef> = names.iter().map(|n| FlagRef::new(n.as_str())).collect();
    // The same question of both: is it on?
    let is_enabled = |i: usize, context: usize| {
        black_box(engine.is_enabled(names[flag(i)].as_str(), &their_contexts[context], &none));
    };
    side_by_side(
        "is one flag on, by name | is_enabled",
        ("ns", 1.0),
        TURNS,
        || {
            per_call(OURS, |i| {
                black_box(snapshot.is_enabled(&names[flag(i)], &our_contexts[same(i)], moment));
            })
        },
        || per_call(THEIRS, |i| is_enabled(i, same(i))),
    );
    side_by_side(
        "  another context each time",
        ("ns", 1.0),
        TURNS,
        || {
            per_call(OURS, |i| {
                black_box(snapshot.is_enabled(&names[flag(i)], &our_contexts[anew(i)], moment));
            })
        },
        || per_call(THEIRS, |i| is_enabled(i, anew(i))),
    );
    side_by_side(
        "  found before | is_enabled",
        ("ns", 1.0),
        TURNS,
        || {
            per_call(OURS, |i| {
                black_box(snapshot.is_enabled(&refs[flag(i)], &our_contexts[same(i)], moment));
            })
        },
        || per_call(THEIRS, |i| is_enabled(i, same(i))),
    );
    // One question to us gives the variant and the reason as well; of yggdrasil `resolve` gives as much.
    let evaluate = |i: usize| {
        let answer = snapshot.evaluate(&names[flag(i)], &our_contexts[same(i)], moment);
        black_box(answer.map(|e| e.variant().len()));
    };
    let evaluate_found = |i: usize| {
        let answer = snapshot.evaluate(&refs[flag(i)], &our_contexts[same(i)], moment);
        black_box(answer.map(|e| e.variant().len()));
    };
    side_by_side(
        "one flag and its variant, by name | resolve",
        ("ns", 1.0),
        TURNS,
        || per_call(OURS, evaluate),
        || {
            per_call(THEIRS, |i| {
                black_box(engine.resolve(names[flag(i)].as_str(), &their_contexts[same(i)], &none));
            })
        },
    );
    let get_variant = |i: usize| {
        black_box(engine.get_variant(names[flag(i)].as_str(), &their_contexts[same(i)], &none));
    };
    side_by_side(
        "  by name | get_variant",
        ("ns", 1.0),
        TURNS,
        || per_call(OURS, evaluate),
        || per_call(THEIRS, get_variant),
    );
    side_by_side(
        "  found before | get_variant",
        ("ns", 1.0),
        TURNS,
        || per_call(OURS, evaluate_found),
        || per_call(THEIRS, get_variant),
    );
    side_by_side(
        "1,000 flags and their variants | resolve_all",
        ("us", 1e3),
        TURNS,
        || {
            per_call(500, |i| {
                let answers = snapshot.evaluate_all(&our_contexts[i % 256], moment);
                black_box(answers.map(|e| usize::from(e.enabled) + e.variant().len()).sum::<usize>());
            })
        },
        || {
            per_call(40, |i| {
                black_box(engine.resolve_all(&their_contexts[i % 256], &none));
            })
        },
    );
    let theirs = || serde_json::from_value(document.clone()).expect("a document of Unleash");
    side_by_side(
        "compiling 1,000 flags",
        ("ms", 1e6),
        5,
        || per_call(5, |_| drop(black_box(Snapshot::compile(&ours)))),
        || {
            let (parsed, engine) = (theirs(), EngineState::default());
            let started = cpu_ns();
            engine.take_state(UpdateMessage::FullResponse(parsed));
            cpu_ns() - started
        },
    );
    many();
}

/// Changes of one flag among 10,000.
fn many() {
    let document = document(MANY);
    let ours: ClientFeatures = serde_json::from_value(document.clone()).expect("a document");
    let snapshot = Snapshot::compile(&ours);
    let (engine, compiled) = (EngineState::default(), per_call(3, |_| drop(black_box(Snapshot::compile(&ours)))));
    println!("compiling 10,000 flags: {:.1} ms", compiled / 1e6);
    engine.take_state(UpdateMessage::FullResponse(serde_json::from_value(document).expect("a document of Unleash")));
    let read = |i: usize| -> Feature { serde_json::from_value(feature(i, i % 97)).expect("a feature") };
    // Every fiftieth flag has a parent, the one after it is one.
    let changes: Vec<Feature> = (0..200).map(|i| read(i * 50 + i % 3)).collect();
    let mut turn = 0u64;
    side_by_side(
        "changing one flag of 10,000 | apply_delta",
        ("us", 1e3),
        3,
        || per_call(changes.len(), |i| drop(black_box(snapshot.with_feature(&changes[i])))),
        || {
            turn += 1;
            let event = json!({"events": [{"type": "feature-updated", "eventId": turn, "feature": feature(150, 7)}]});
            let delta: ClientFeaturesDelta = serde_json::from_value(event).expect("a delta of Unleash");
            let started = cpu_ns();
            engine.apply_delta(&delta);
            cpu_ns() - started
        },
    );
    let slowest = |change: &dyn Fn(usize) -> Snapshot| {
        (0..200).map(|i| per_call(1, |_| drop(black_box(change(i))))).fold(0f64, f64::max) / 1e3
    };
    let kinds: [(&str, &dyn Fn(usize) -> Snapshot); 5] = [
        ("a child", &|i| snapshot.with_feature(&read(i % 200 * 50 + 1))),
        ("a parent", &|i| snapshot.with_feature(&read(i % 200 * 50 + 2))),
        ("a new flag", &|i| snapshot.with_feature(&read(MANY + i * 50))),
        ("a flag taken away", &|i| snapshot.without_feature(&format!("flag-{:05}", i * 7))),
        ("a segment that 1,000 flags use", &|_| snapshot.with_segment(&ours.segments[0])),
    ];
    for (what, change) in kinds {
        let times: Vec<f64> = (0..200).map(|i| per_call(1, |_| drop(black_box(change(i)))) / 1e3).collect();
        println!("  {what:<42} {:>9.2} us, at most {:.2} us", median(times), slowest(change));
    }
}

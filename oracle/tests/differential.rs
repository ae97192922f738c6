//! A million questions to both engines.
//!
//! `ORACLE_SEED` sets another seed, `ORACLE_DOCUMENTS` another number of documents. A failure prints the seed of its
//! document, which replays it alone: `ORACLE_SEED=n ORACLE_DOCUMENTS=1 cargo test --release --test differential`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tenfold_oracle::{
    ask::{self, Answer},
    chance,
    differences::{DIFFERENCES, rewrite_context, rewrite_document},
    generate,
    random::Random,
};

const CONTEXTS: usize = 40;
const EVALUATIONS_MIN: u64 = 1_000_000;
const SEED: u64 = 20_260_101;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[derive(Default)]
struct Tally {
    asked: u64,
    by_chance: u64,
    on: u64,
    variants: u64,
    as_it_is: u64,
}

/// All questions of one document.
fn compare(seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let document = generate::document(&mut random);
    let rewritten = rewrite_document(&document);
    let snapshot = ask::snapshot(&document);
    let engine = ask::engine(&rewritten);
    let features: BTreeMap<&str, &Value> =
        document["features"].as_array().unwrap().iter().map(|f| (f["name"].as_str().unwrap(), f)).collect();
    for _ in 0..CONTEXTS {
        let fields = generate::context(&mut random);
        let (context, their_fields) = (ask::our_context(&fields), rewrite_context(&fields));
        let their_context = ask::their_context(&their_fields);
        let moment = ask::moment(random.draw());
        let all: BTreeMap<&str, Answer> =
            snapshot.evaluate_all(&context, moment).map(|e| (e.key(), ask::ours(&e))).collect();
        for (name, feature) in &features {
            tally.asked += 1;
            let ours = ask::ours(&snapshot.evaluate(name, &context, moment).expect("the flag exists"));
            if chance::enabled(feature, &document, &fields) {
                tally.by_chance += 1;
                continue;
            }
            let theirs = ask::theirs(&engine, name, &their_context);
            let loose = chance::variant(feature, &fields);
            tally.by_chance += u64::from(loose);
            tally.on += u64::from(ours.enabled);
            tally.variants += u64::from(ours.variant.is_some());
            tally.as_it_is += u64::from(rewritten == document);
            let same = |a: &Answer, b: &Answer| a.enabled == b.enabled && (loose || a == b);
            assert!(
                same(&ours, &theirs) && same(&ours, &all[name]),
                "ORACLE_SEED={seed} ORACLE_DOCUMENTS=1 replays it\n one by one: {ours:?}\n in bulk: {:?}\n yggdrasil: {theirs:?}\n \
                 feature: {feature}\n segments: {}\n rewritten: {}\n context: {}",
                all[name],
                document["segments"],
                rewritten["features"].as_array().unwrap().iter().find(|f| f["name"] == *name).unwrap(),
                Value::from(fields.clone()),
            );
        }
    }
}

#[test]
fn a_million_answers_are_the_same() {
    let (seed, documents) = (setting("ORACLE_SEED", SEED), setting("ORACLE_DOCUMENTS", u64::MAX));
    println!("seed {seed}");
    let mut tally = Tally::default();
    let mut at = 0;
    while at < documents && (tally.asked - tally.by_chance < EVALUATIONS_MIN || documents < u64::MAX) {
        compare(seed.wrapping_add(at), &mut tally);
        at += 1;
    }
    let Tally { asked, by_chance, on, variants, as_it_is } = tally;
    println!("{asked} questions of {at} documents: {} compared, {on} on, {variants} with a variant", asked - by_chance);
    println!("{by_chance} were up to chance; {as_it_is} of documents where nothing was rewritten");
    if documents == u64::MAX {
        let compared = asked - by_chance;
        assert!(on > compared / 10 && on < compared * 9 / 10 && variants > compared / 50, "the questions are no good");
    }
}

/// Each difference is real: without the rewriting yggdrasil answers otherwise, and with it the same.
#[test]
fn each_difference_has_its_witness() {
    for difference in &DIFFERENCES {
        let (features, context, wanted) = (difference.witness)();
        let features = if features.is_array() { features } else { json!([features]) };
        let document = json!({"version": 2, "features": features, "segments": []});
        let fields = context.as_object().unwrap();
        let snapshot = ask::snapshot(&document);
        let ours = snapshot.evaluate("f", &ask::our_context(fields), ask::moment(1)).unwrap().enabled;
        assert_eq!(ours, wanted, "{}", difference.name);
        let theirs =
            |document: &Value, fields| ask::theirs(&ask::engine(document), "f", &ask::their_context(fields)).enabled;
        let (plain, rewritten) =
            (theirs(&document, fields), theirs(&rewrite_document(&document), &rewrite_context(fields)));
        match difference.name {
            // Shown below.
            "weights that sum to 0" => {}
            // Nothing that could be written instead.
            "equal numbers are equal" => assert_ne!(plain, ours),
            name => {
                assert_ne!(plain, ours, "{name}: yggdrasil agrees by now; take it off the list");
                assert_eq!(rewritten, ours, "{name}: {}", difference.reason);
            }
        }
    }
}

#[test]
fn weights_that_sum_to_nothing_make_yggdrasil_panic() {
    let feature = json!({"name": "f", "enabled": true, "strategies": [], "variants": [{"name": "a", "weight": 0}]});
    let document = json!({"version": 2, "features": [feature], "segments": []});
    let snapshot = ask::snapshot(&document);
    let ours = ask::ours(&snapshot.evaluate("f", &ask::our_context(&Default::default()), ask::moment(1)).unwrap());
    assert_eq!(ours, Answer { enabled: true, variant: None, payload: None });
    let engine = ask::engine(&document);
    let context = ask::their_context(&Default::default());
    assert!(catch_unwind(AssertUnwindSafe(|| ask::theirs(&engine, "f", &context))).is_err());
}

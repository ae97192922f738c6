//! A simulation with seeds: time passes, errors come and go, receivers put off, the process dies between any commit and
//! any send, somebody acknowledges now and then. Whatever the order:
//!
//! - one step of one round pages one person with one message (one key), however often it is sent;
//! - nothing is sent for an incident after its acknowledgement was answered;
//! - when peace returns, every page that was neither acknowledged nor superseded has been taken by its receiver.
//!
//! `SEEDS` sets how many histories are run, `SEED` runs one. A failing seed is in the message.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use tenfold_app::Role;

use crate::world::{Answer, World, caller};

const STEPS: u64 = 60;

fn seeds() -> Vec<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(12)).map(|n| 1_000 + n).collect(),
    }
}

#[tokio::test]
async fn pages_are_decided_once_delivered_and_never_sent_after_an_acknowledgement() {
    for seed in seeds() {
        history(seed).await;
    }
}

/// Lets everything due happen; true when the process died on the way.
async fn tick_or_die(w: &World) -> bool {
    w.receivers.forget_deaths();
    let app = w.app.clone();
    let mut work = tokio::spawn(async move {
        // The death of the process is told by the receivers; a fault here would only be the store refusing the dead.
        let _ = app.alerts_tick().await;
        let _ = app.incidents_tick().await;
    });
    tokio::select! {
        () = w.receivers.death() => {
            work.abort();
            true
        }
        done = &mut work => {
            done.expect("the tick does not panic");
            false
        }
    }
}

async fn history(seed: u64) {
    let mut w = World::new(seed).await;
    let dice = tenfold_testkit::TestEntropy::seeded(seed.wrapping_mul(31));
    let raj = caller("raj", Role::Responder);
    let mut calls_at_ack: BTreeMap<i64, usize> = BTreeMap::new();
    let mut deaths = 0;
    for _ in 0..STEPS {
        match dice.below(10) {
            0 => w.errors(9.0),
            1 => w.errors(1.0),
            2 => w.samples.errors.lock().clone_from(&[None, Some(vec![])][dice.below(2) as usize]),
            3 => w.receivers.answers.lock().push_back(Answer::put_off(None)),
            4 => w.receivers.answers.lock().push_back(Answer::DieBefore),
            5 => w.receivers.answers.lock().push_back(Answer::DieAfter),
            6 => w.restart().await,
            7 => {
                for incident in w.app.incidents_open().await.expect("incidents") {
                    let done = w.app.incident_acknowledge(&raj, incident.number).await.expect("acknowledged");
                    if !done.already {
                        calls_at_ack.insert(incident.number, w.receivers.calls.lock().len());
                    }
                }
            }
            _ => w.errors(9.0),
        }
        w.clock.advance_ms(dice.below(30_000) as i64);
        if tick_or_die(&w).await {
            deaths += 1;
            w.restart().await;
        }
        check(&w, seed, &calls_at_ack).await;
    }
    // Peace: receivers take everything, nobody acknowledges.
    w.receivers.answers.lock().clear();
    w.errors(9.0);
    for _ in 0..20 {
        w.clock.advance_ms(30_000);
        assert!(!tick_or_die(&w).await, "seed {seed}");
    }
    check(&w, seed, &calls_at_ack).await;
    let taken: BTreeSet<String> = w.receivers.taken.lock().iter().map(|s| s.key.clone()).collect();
    for page in w.app.pages(None).await.expect("pages") {
        match page.state.as_str() {
            "delivered" => assert!(taken.contains(&format!("{}.mail", page.id)), "seed {seed}: {page:?}"),
            "acknowledged" | "superseded" => {}
            other => panic!("seed {seed}: a page is left {other}: {page:?}"),
        }
    }
    println!(
        "seed {seed}: {deaths} deaths, {} incidents, {} messages",
        w.states().await.len(),
        w.receivers.taken.lock().len()
    );
}

async fn check(w: &World, seed: u64, calls_at_ack: &BTreeMap<i64, usize>) {
    let pages = w.app.pages(None).await.expect("pages");
    let of: BTreeMap<String, _> = pages.iter().map(|p| (format!("{}.mail", p.id), p)).collect();
    let mut keys: BTreeMap<_, BTreeSet<&String>> = BTreeMap::new();
    let calls = w.receivers.calls.lock().clone();
    for (at, key) in calls.iter().enumerate() {
        let page = of.get(key).unwrap_or_else(|| panic!("seed {seed}: {key} belongs to no page"));
        keys.entry((page.incident, page.step, page.round, &page.person)).or_default().insert(key);
        if let Some(acknowledged) = calls_at_ack.get(&page.incident) {
            assert!(at < *acknowledged, "seed {seed}: {page:?} was sent after the acknowledgement");
        }
    }
    for (step, keys) in keys {
        assert_eq!(keys.len(), 1, "seed {seed}: {step:?} went out as different messages");
    }
}

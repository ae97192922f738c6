//! Noise: what people say of pages, what rules cost, and drafts that are tried on the past.

use serde_json::{Value, json};
use tenfold_app::noise::{DraftAsk, NoiseAsk};
use tenfold_app::people::PersonUpdate;
use tenfold_app::{Caller, Role};
use tenfold_tsdb::Sample;
use tenfold_types::Labels;

use crate::world::{World, caller, from};

const DAY_MS: i64 = 86_400_000;

async fn page(w: &World, rule: &str) {
    let alert = from(json!({
        "labels": {"alertname": rule, "service": "photos", "environment": rule.to_lowercase(), "severity": "critical", "team": "web"},
        "annotations": {"summary": rule},
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
}

async fn noise(w: &World) -> Value {
    json!(w.app.noise(NoiseAsk::default()).await.expect("the noise is counted").teams)
}

#[tokio::test]
async fn what_is_said_of_pages_counts_for_their_rules() {
    let w = World::new(51).await;
    let ana = caller("ana", Role::Responder);
    page(&w, "Slow").await;
    // It is 10 in the evening where ana is from now on.
    let update = PersonUpdate { timezone: Some("Pacific/Auckland".into()), ..PersonUpdate::default() };
    w.app.person_put(&ana, "ana", update).await.expect("ana moves");
    page(&w, "Down").await;
    w.pass(65).await;
    let said = w.app.incident_classify(&ana, 1, "7").await.expect("it is said with one key");
    assert_eq!(said.classified.as_deref(), Some("threshold"));
    w.app.incident_classify(&ana, 1, "threshold").await.expect("the same again");
    assert_eq!(w.count("incident.classified").await, 1, "what is known is no news");
    w.app.incident_classify(&ana, 2, "action").await.expect("it is said");
    let refused = w.app.incident_classify(&ana, 2, "nonsense").await.expect_err("no kind");
    assert!(refused.advice.contains("7 threshold"), "{refused:?}");
    let viewer = caller("mei", Role::Viewer);
    w.app.incident_classify(&viewer, 2, "1").await.expect_err("a viewer says nothing");

    let teams = noise(&w).await;
    assert_eq!(teams[0]["team"], "web");
    let rules = teams[0]["rules"].as_array().expect("rules");
    // Each paged ana, and raj after a minute; raj's clock is UTC. ana's zone counts as it is now.
    let figures: Vec<Value> = rules
        .iter()
        .map(|r| json!([r["rule"], r["pages"], r["wakes"], r["cost"], r["action"], r["no_action"], r["unsaid"]]))
        .collect();
    assert_eq!(json!(figures), json!([["Down", 2, 1, 5, 1, 0, 0], ["Slow", 2, 1, 5, 0, 1, 0]]));
    assert!(!teams.to_string().contains("ana"), "people are not counted");
    w.app.noise(NoiseAsk { days: Some(29) }).await.expect_err("that is too long");
}

#[tokio::test]
async fn the_room_is_told_once_a_week() {
    let w = World::new(52).await;
    w.app.noise_tick().await.expect("a new server begins");
    assert_eq!(w.count("noise.digest").await, 0);
    w.clock.advance_ms(7 * DAY_MS);
    w.app.noise_tick().await.expect("a quiet week");
    assert_eq!(w.count("noise.digest").await, 0, "a quiet week says nothing");
    w.clock.advance_ms(6 * DAY_MS);
    page(&w, "Slow").await;
    w.clock.advance_ms(DAY_MS);
    for _ in 0..3 {
        w.app.noise_tick().await.expect("it is told");
    }
    assert_eq!(w.count("noise.digest").await, 1);
    let events = w.events().await;
    let told = events.iter().find(|e| e.kind == "noise.digest").expect("the digest");
    assert!(told.text.starts_with("The noisiest rules of the week. web: Slow 1 page"), "{}", told.text);
    assert_eq!(told.data["teams"][0]["rules"][0]["rule"], "Slow");
    assert!(tenfold_app::chat::announce::announce(told, "http://t/").is_some(), "the room hears it");
}

/// Short spikes are what a longer wait leaves out; a higher threshold would have missed the incident that mattered.
#[tokio::test]
async fn a_draft_says_what_it_would_have_done() {
    let w = World::new(53).await;
    let end = w.clock_now().plus_ms(20 * 60_000).millis();
    let series = Labels::from_pairs([("__name__", "errors"), ("job", "photos")]);
    let value = |minute: i64, second: i64| match minute {
        // Two hours with half a minute of errors every ten minutes, then twenty minutes of them.
        0..120 if minute % 10 == 0 && second < 30 => 7.0,
        120.. => 7.0,
        _ => 1.0,
    };
    let samples: Vec<Sample> = (0..140 * 4)
        .map(|n| {
            let at = end - (140 * 4 - 1 - n) * 15_000;
            Sample::new(series.clone(), at, value(n / 4, n % 4 * 15))
        })
        .collect();
    w.clock.advance_ms(20 * 60_000);
    w.app.metrics.append(&samples).expect("samples are kept");
    w.errors(7.0);
    w.pass(20).await;
    let ana = caller("ana", Role::Responder);
    w.app.incident_classify(&ana, 1, "action").await.expect("something was done");

    let ask = || DraftAsk { rule: "HighErrorRate".into(), file: None, days: Some(1) };
    let drafts = w.app.noise_drafts(&ana, ask()).await.expect("drafts");
    assert_eq!((drafts.file.as_str(), drafts.step_ms), ("photos", 8_640));
    assert_eq!((drafts.now.fires, drafts.now.for_.as_str()), (13, "10s"), "{drafts:?}");
    let draft = |change: &str| drafts.drafts.iter().find(|d| d.change == change).unwrap_or_else(|| panic!("{change}"));
    let longer = draft("for: 50s");
    assert_eq!((longer.fires, longer.missed.as_slice()), (1, &[][..]), "{longer:?}");
    assert_eq!(longer.expr, "errors > 5");
    let higher = draft("expr: errors > 7.5");
    assert_eq!((higher.fires, higher.missed.as_slice(), higher.expr.as_str()), (0, &[1][..], "errors > 7.5"));

    let other = DraftAsk { rule: "Nothing".into(), ..ask() };
    assert!(w.app.noise_drafts(&ana, other).await.expect_err("no rule").message.contains("no rule file"));
    w.app.noise_drafts(&caller("mei", Role::Viewer), ask()).await.expect_err("a query of this size is not for viewers");
}

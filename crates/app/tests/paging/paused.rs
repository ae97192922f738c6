//! A mute that begins while an escalation goes on: nobody more is asked while it covers everything, and nothing is lost.

use serde_json::json;
use tenfold_app::alerts::NewMute;
use tenfold_app::{Caller, Role};

use crate::world::{World, caller, from};

const MINUTE_MS: i64 = 60_000;

/// ana was paged for incident 1; raj is next, after a minute.
async fn paged(seed: u64) -> World {
    let w = World::new(seed).await;
    w.errors(12.5);
    w.pass(20).await;
    assert_eq!(raj_was_paged(&w), 0);
    w
}

fn raj_was_paged(w: &World) -> usize {
    w.receivers.subjects_to("raj@example.org").len()
}

async fn mute(w: &World, matchers: &str, minutes: i64) -> i64 {
    let until = w.clock_now().plus_ms(minutes * MINUTE_MS);
    let new = NewMute::from_text(matchers, "moving disks", until);
    w.app.mute_create(&caller("raj", Role::Responder), new).await.expect("a mute").id
}

#[tokio::test]
async fn while_all_is_muted_nobody_more_is_asked_and_then_it_goes_on() {
    let mut w = paged(401).await;
    let id = mute(&w, "service=photos", 10).await;
    w.pass(120).await;
    assert_eq!(raj_was_paged(&w), 0);
    assert_eq!(w.kinds(&["page.paused", "page.resumed"]).await, ["page.paused"], "said once");
    let escalation = w.app.incident(1).await.expect("it is there").escalation.expect("it has a policy");
    let paused = escalation.paused.expect("it stands still");
    assert!(paused.because.contains(&format!("mute {id}")) && escalation.next_at.is_none(), "{paused:?}");
    w.restart().await;
    w.pass(300).await;
    assert_eq!(raj_was_paged(&w), 0, "a start wakes nobody");
    w.pass(190).await;
    assert_eq!(w.kinds(&["page.paused", "page.resumed"]).await, ["page.paused", "page.resumed"]);
    assert_eq!(raj_was_paged(&w), 1, "the alert goes on, so does the escalation");
    let escalation = w.app.incident(1).await.expect("it is there").escalation.expect("it has a policy");
    assert_eq!((escalation.paused, escalation.state.as_str()), (None, "waiting"));
}

#[tokio::test]
async fn one_alert_that_is_not_muted_is_enough() {
    let w = paged(402).await;
    let ends = w.clock_now().plus_ms(60 * MINUTE_MS);
    let labels = json!({"alertname": "Late", "service": "photos", "environment": "production", "severity": "critical"});
    let late = from(json!({"labels": labels, "endsAt": ends}));
    w.app.alerts_receive(&Caller::system(), vec![late]).await.expect("it is taken");
    w.pass(5).await;
    assert_eq!(w.app.incident(1).await.expect("it is there").alerts.len(), 2);
    mute(&w, "alertname=HighErrorRate", 10).await;
    w.pass(60).await;
    assert_eq!((raj_was_paged(&w), w.count("page.paused").await), (1, 0));
}

#[tokio::test]
async fn what_ends_while_it_is_muted_pages_nobody_afterwards() {
    let w = paged(403).await;
    let id = mute(&w, "service=photos", 10).await;
    w.pass(60).await;
    w.errors(0.0);
    w.pass(10).await;
    w.app.mute_delete(&caller("raj", Role::Responder), id).await.expect("it is ended");
    w.pass(300).await;
    assert_eq!(w.states().await[&1], "resolved");
    assert_eq!((raj_was_paged(&w), w.count("page.resumed").await), (0, 0));
}

#[tokio::test]
async fn whoever_acknowledges_meanwhile_has_it() {
    let w = paged(404).await;
    mute(&w, "service=photos", 2).await;
    w.pass(60).await;
    w.app.incident_acknowledge(&caller("raj", Role::Responder), 1).await.expect("acknowledged");
    let escalation = w.app.incident(1).await.expect("it is there").escalation.expect("it has a policy");
    assert_eq!((escalation.paused, escalation.state.as_str()), (None, "acknowledged"));
    w.pass(300).await;
    assert_eq!(w.count("page.resumed").await, 0);
}

//! Heartbeats: late after their time, told once, over when heard again; the server may be killed in between.

use serde_json::json;
use tenfold_app::Role;
use tenfold_app::sources::HeartbeatState;

use crate::world::{World, caller, from};

const DAY_MS: i64 = 86_400_000;

async fn put(w: &World) -> String {
    let spec = from(json!({"kind": "heartbeat", "service": "photos", "environment": "production",
        "interval": "1m", "grace": "30s", "labels": {"team": "web"}}));
    let made = w.app.alert_source_put(&caller("raj", Role::Admin), "backup", spec).await.expect("it is made");
    secret(&made.secret.expect("a new one has a secret"))
}

fn secret(address: &str) -> String {
    address.rsplit('/').next().expect("the last part").to_owned()
}

/// A process that was started over another directory of data has another key.
async fn anew(w: &World) -> String {
    let made = w.app.alert_source_secret(&caller("raj", Role::Admin), "backup").await.expect("another secret");
    secret(&made.secret.expect("it is told"))
}

async fn tick(w: &World) {
    w.app.heartbeats_tick().await.expect("heartbeats are looked at");
    w.tick().await;
}

async fn pass(w: &World, seconds: i64) {
    for _ in 0..seconds / 5 {
        w.pass(5).await;
        tick(w).await;
    }
}

async fn alerts(w: &World) -> Vec<String> {
    w.kinds(&["alert."]).await
}

async fn state(w: &World) -> HeartbeatState {
    let source = w.app.alert_source("backup").await.expect("it is there");
    source.heartbeat.expect("it is a heartbeat").state
}

#[tokio::test]
async fn one_that_is_late_pages_once_and_is_over_when_it_is_heard() {
    let mut w = World::new(51).await;
    let secret = put(&w).await;
    pass(&w, 600).await;
    assert_eq!((alerts(&w).await.len(), state(&w).await), (0, HeartbeatState::Waiting), "it was never there");

    for wrong in ["", "0", "000000000000000000000000"] {
        assert!(w.app.heartbeat("backup", wrong).await.is_err());
    }
    assert!(w.app.heartbeat("other", &secret).await.is_err());
    let heard = w.app.heartbeat("backup", &secret).await.expect("it is heard");
    assert_eq!(heard.due_at.since_ms(heard.at), 90_000);
    pass(&w, 90).await;
    assert_eq!((alerts(&w).await.len(), state(&w).await), (0, HeartbeatState::Beating));
    pass(&w, 5).await;
    assert_eq!((alerts(&w).await, state(&w).await), (vec!["alert.fired".to_owned()], HeartbeatState::Late));
    let alert = &w.app.alerts_list(Some("firing")).await.expect("alerts")[0];
    assert_eq!(alert.severity, "critical", "what says nothing pages");
    assert_eq!((alert.rule.as_str(), alert.labels.get("team")), ("HeartbeatMissed", Some("web")));
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 1, "somebody is paged");

    // Killed while it is late: it stays late, and nobody is told again.
    w.restart().await;
    let secret = anew(&w).await;
    pass(&w, 120).await;
    assert_eq!((alerts(&w).await.len(), state(&w).await), (1, HeartbeatState::Late));
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    assert_eq!(
        (alerts(&w).await[1..].join(" "), state(&w).await),
        ("alert.resolved".to_owned(), HeartbeatState::Beating)
    );
}

#[tokio::test]
async fn a_server_that_was_away_gives_it_its_time_again_and_no_more() {
    let mut w = World::new(52).await;
    let secret = put(&w).await;
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    w.clock.advance_ms(DAY_MS);
    w.restart().await;
    tick(&w).await;
    pass(&w, 90).await;
    assert_eq!(alerts(&w).await.len(), 0, "it had nowhere to send to");
    pass(&w, 5).await;
    assert_eq!(alerts(&w).await, ["alert.fired"]);
    // Deleted while it is late: nobody else would say that it is over.
    w.app.alert_source_delete(&caller("raj", Role::Admin), "backup").await.expect("deleted");
    tick(&w).await;
    assert_eq!(alerts(&w).await[1..], ["alert.resolved"]);
    put(&w).await;
    assert_eq!(state(&w).await, HeartbeatState::Waiting, "another of the same name begins anew");
}

#[tokio::test]
async fn a_clock_that_jumps_makes_nothing_late() {
    let w = World::new(53).await;
    let secret = put(&w).await;
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    w.clock.advance_ms(DAY_MS);
    tick(&w).await;
    assert_eq!(alerts(&w).await.len(), 0, "it stood still, or the clock was put forward");
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    // Back again, what was heard is of a time to come.
    w.clock.advance_ms(-DAY_MS);
    tick(&w).await;
    tick(&w).await;
    pass(&w, 100).await;
    assert_eq!(alerts(&w).await, ["alert.fired"], "and it does not keep quiet for a day");
}

#[tokio::test]
async fn a_standstill_shorter_than_the_grace_of_a_start_makes_nothing_late() {
    let w = World::new(55).await;
    let secret = put(&w).await;
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    // Longer than it has patience: nobody could be heard meanwhile.
    w.clock.advance_ms(100_000);
    tick(&w).await;
    pass(&w, 90).await;
    assert_eq!(alerts(&w).await.len(), 0, "it has its whole time again");
    pass(&w, 5).await;
    assert_eq!(alerts(&w).await, ["alert.fired"]);
}

#[tokio::test]
async fn a_clock_that_is_put_back_ends_nothing() {
    let w = World::new(56).await;
    let secret = put(&w).await;
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    pass(&w, 95).await;
    assert_eq!(alerts(&w).await, ["alert.fired"]);
    w.clock.advance_ms(-100_000);
    tick(&w).await;
    assert_eq!(state(&w).await, HeartbeatState::Late, "nobody was heard");
    pass(&w, 200).await;
    assert_eq!((alerts(&w).await.len(), state(&w).await), (1, HeartbeatState::Late));
    w.app.heartbeat("backup", &secret).await.expect("it is heard");
    tick(&w).await;
    assert_eq!(alerts(&w).await[1..], ["alert.resolved"]);
}

#[tokio::test]
async fn what_is_no_heartbeat_is_refused_with_what_is_wrong() {
    let w = World::new(54).await;
    for (spec, word) in [
        (json!({"kind": "heartbeat"}), "interval"),
        (json!({"kind": "heartbeat", "interval": "9s"}), "between"),
        (json!({"kind": "heartbeat", "interval": "32d"}), "between"),
        (json!({"kind": "heartbeat", "interval": "soon"}), "interval"),
        (json!({"kind": "grafana", "interval": "1m"}), "only a heartbeat"),
    ] {
        let put = w.app.alert_source_put(&caller("raj", Role::Admin), "backup", from(spec)).await;
        assert!(put.expect_err("it is wrong").message.contains(word), "{word}");
    }
    put(&w).await;
    assert!(w.app.alert_source_try(&caller("raj", Role::Admin), "backup", b"{}").await.is_err());
    assert!(w.app.alert_hook_known("backup", |_| None).await.is_err());
}

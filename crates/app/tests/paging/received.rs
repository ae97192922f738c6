//! Alerts of senders: what is said again, what is over, and what nobody says anything of any more.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenfold_app::alerts::PostedAlert;
use tenfold_app::{Caller, Role};
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_types::ErrorCode;

use crate::world::{World, caller, from};

const MINUTE_S: i64 = 60;

fn sender() -> Caller {
    caller("raj", Role::Admin)
}

/// The alert of a batch that is late, which goes on for so many minutes; over when they are none.
async fn say(w: &World, minutes: i64) {
    let ends = w.clock_now().plus_ms(minutes * MINUTE_S * 1_000);
    let alert: PostedAlert = from(json!({
        "labels": {"alertname": "Late", "service": "photos", "severity": "critical"},
        "annotations": {"summary": "the batch is late"},
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": ends,
        "generatorURL": "http://sender.example/graph",
    }));
    w.app.alerts_receive(&sender(), vec![alert]).await.expect("it is taken");
    w.tick().await;
}

async fn kinds(w: &World) -> Vec<String> {
    w.kinds(&["alert.", "incident.opened", "incident.resolved"]).await
}

async fn link(w: &World) -> Value {
    let alerts = w.app.alerts_list(None).await.expect("alerts");
    json!(alerts.iter().find(|a| a.rule == "Late").expect("it is there").generator_url)
}

#[tokio::test]
async fn silence_is_no_end_and_what_is_said_after_it_counts() {
    let w = World::new(31).await;
    say(&w, 4).await;
    let begun = ["alert.fired", "incident.opened"];
    assert_eq!(kinds(&w).await, begun);
    // Said again in time, nothing happens.
    w.pass(3 * MINUTE_S).await;
    say(&w, 4).await;
    w.pass(3 * MINUTE_S).await;
    assert_eq!(kinds(&w).await, begun);
    // Not said again, nobody knows.
    w.pass(2 * MINUTE_S).await;
    assert_eq!(kinds(&w).await[2..], ["alert.unknown"]);
    assert_eq!(link(&w).await, "http://sender.example/graph");
    say(&w, 4).await;
    assert_eq!(kinds(&w).await[3..], ["alert.fired"]);
    w.pass(5 * MINUTE_S).await;
    say(&w, 0).await;
    assert_eq!(kinds(&w).await[4..], ["alert.unknown", "alert.resolved", "incident.resolved"]);
}

#[tokio::test]
async fn a_sender_that_stays_silent_leaves_the_incident_to_people_until_it_is_back() {
    let w = World::new(32).await;
    say(&w, 4).await;
    w.pass(5 * MINUTE_S).await;
    w.pass(61 * MINUTE_S).await;
    assert_eq!(kinds(&w).await[2..], ["alert.unknown", "alert.expired"]);
    say(&w, 0).await;
    assert_eq!(kinds(&w).await[4..], ["alert.resolved", "incident.resolved"]);
    say(&w, 0).await;
    assert_eq!(kinds(&w).await.len(), 6, "what is over is over");
}

/// A sender that names its alerts by keys says something of one of them.
async fn say_of_key(w: &World, state: SaidState) {
    let labels = [("alertname", "Late"), ("service", "photos"), ("severity", "critical")];
    let said = KeyedAlert {
        key: "db1/\"disk_%\"".to_owned(),
        state,
        labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        annotations: BTreeMap::new(),
        starts_at: None,
        url: None,
    };
    w.app.alerts_keyed(&sender(), ("alert_source", "nightly"), vec![said]).await.expect("it is taken");
    w.tick().await;
}

#[tokio::test]
async fn a_key_that_falls_silent_is_unknown_and_its_sender_may_end_it_after_it_was_given_up() {
    let w = World::new(33).await;
    say_of_key(&w, SaidState::Firing).await;
    assert_eq!(kinds(&w).await, ["alert.fired", "incident.opened"]);
    say_of_key(&w, SaidState::Silent).await;
    say_of_key(&w, SaidState::Silent).await;
    assert_eq!(kinds(&w).await[2..], ["alert.unknown"], "said again, nothing happens");
    w.pass(61 * MINUTE_S).await;
    assert_eq!(kinds(&w).await[3..], ["alert.expired"]);
    say_of_key(&w, SaidState::Silent).await;
    assert_eq!(kinds(&w).await.len(), 4);
    say_of_key(&w, SaidState::Resolved).await;
    assert_eq!(kinds(&w).await[4..], ["alert.resolved", "incident.resolved"]);
}

/// A sender says of its one key how severe it is.
async fn say_severity(w: &World, state: SaidState, severity: &str) {
    let labels = [("alertname", "Disk"), ("service", "photos"), ("severity", severity)];
    let said = KeyedAlert {
        key: "db1/disk".to_owned(),
        state,
        labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        annotations: BTreeMap::from([("summary".to_owned(), format!("the disk is {severity}"))]),
        starts_at: None,
        url: None,
    };
    w.app.alerts_keyed(&sender(), ("alert_source", "nightly"), vec![said]).await.expect("it is taken");
    w.tick().await;
    w.tick().await;
}

async fn firing(w: &World) -> Vec<String> {
    let alerts = w.app.alerts_list(Some("firing")).await.expect("alerts");
    alerts.into_iter().map(|a| a.severity).collect()
}

#[tokio::test]
async fn a_key_that_gets_worse_pages_and_its_end_ends_all_of_it() {
    let w = World::new(34).await;
    say_severity(&w, SaidState::Firing, "warning").await;
    assert_eq!(kinds(&w).await, ["alert.fired"], "a warning pages nobody");
    say_severity(&w, SaidState::Firing, "critical").await;
    assert_eq!(kinds(&w).await[1..], ["alert.fired", "incident.opened", "alert.resolved"]);
    assert_eq!(firing(&w).await, ["critical"], "the warning is over");
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 1);
    // What falls goes on as it was.
    say_severity(&w, SaidState::Firing, "warning").await;
    assert_eq!((firing(&w).await, kinds(&w).await.len()), (vec!["critical".to_owned()], 4));
    say_severity(&w, SaidState::Resolved, "").await;
    assert_eq!(kinds(&w).await[4..], ["alert.resolved", "incident.resolved"]);
    assert_eq!(firing(&w).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_gets_worse_rings_anew_in_the_incident_it_has() {
    let w = World::new(35).await;
    let said = |severity: &str| {
        let labels = [("alertname", "Disk"), ("service", "photos"), ("severity", severity), ("page", "true")];
        KeyedAlert {
            key: "db1/disk".to_owned(),
            state: SaidState::Firing,
            labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        }
    };
    for severity in ["warning", "critical"] {
        let one = vec![said(severity)];
        w.app.alerts_keyed(&sender(), ("alert_source", "nightly"), one).await.expect("it is taken");
        w.pass(10).await;
    }
    let all = w.kinds(&["incident.opened", "incident.resolved", "incident.reopened"]).await;
    assert_eq!(all, ["incident.opened"], "it never ended in between");
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 2, "the second is critical");
}

#[tokio::test]
async fn what_was_not_stored_is_not_taken_and_is_new_when_it_is_said_again() {
    let w = World::new(36).await;
    w.tick().await;
    w.lose_lease().await;
    let (who, ends) = (sender(), w.clock_now().plus_ms(4 * MINUTE_S * 1_000));
    let said = || {
        let labels = json!({"alertname": "Late", "service": "photos", "severity": "critical"});
        w.app.alerts_receive(&who, vec![from(json!({"labels": labels, "endsAt": ends}))])
    };
    // The second finds in memory what the first has brought and the store refuses.
    let (first, second) = tokio::join!(said(), said());
    for answer in [first, second, said().await] {
        assert_eq!(answer.expect_err("it is not stored").code, ErrorCode::Unavailable);
    }
    assert_eq!(kinds(&w).await, Vec::<String>::new());
    w.pass(13).await;
    said().await.expect("it is taken");
    w.tick().await;
    assert_eq!(kinds(&w).await, ["alert.fired", "incident.opened"]);
    assert_eq!(w.receivers.subjects_to("ana@example.org").len(), 1);
}

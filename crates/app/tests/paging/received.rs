//! Alerts of senders: what is said again, what is over, and what nobody says anything of any more.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenfold_app::alerts::PostedAlert;
use tenfold_app::incidents::Resolution;
use tenfold_app::{Caller, Grant, Role};
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_protocols::smtp::Delivered;
use tenfold_types::{ErrorCode, Timestamp};

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

async fn resolve(w: &World, incident: i64) {
    let ana = caller("ana", Role::Responder);
    w.app.incident_resolve(&ana, incident, Resolution::default()).await.expect("it is resolved");
}

fn mails(w: &World) -> usize {
    w.receivers.subjects_to("ana@example.org").len()
}

/// As PagerDuty does: a script that only ever triggers would be heard of once in thirty days else.
#[tokio::test]
async fn what_a_person_resolved_pages_again_when_its_key_fires() {
    let mut w = World::new(38).await;
    say_of_key(&w, SaidState::Firing).await;
    w.pass(5).await;
    say_of_key(&w, SaidState::Firing).await;
    assert_eq!(kinds(&w).await, ["alert.fired", "incident.opened"], "it goes on");
    resolve(&w, 1).await;
    w.restart().await;
    w.pass(15).await;
    assert_eq!(kinds(&w).await[2..], ["incident.resolved"], "nobody has said anything since");
    say_of_key(&w, SaidState::Firing).await;
    assert_eq!(w.count("incident.opened").await, 2, "it does not wait for its group's interval");
    w.pass(5).await;
    let anew = kinds(&w).await[3..].to_vec();
    assert_eq!((anew[0].as_str(), anew[anew.len() - 1].as_str()), ("alert.resolved", "incident.opened"), "{anew:?}");
    assert_eq!((firing(&w).await, mails(&w)), (vec!["critical".to_owned()], 2), "it is one alert");
    let so_far = kinds(&w).await.len();
    for _ in 0..3 {
        say_of_key(&w, SaidState::Firing).await;
        w.pass(5).await;
    }
    assert_eq!((kinds(&w).await.len(), mails(&w)), (so_far, 2), "somebody has it");
    say_of_key(&w, SaidState::Resolved).await;
    assert_eq!(kinds(&w).await[so_far..], ["alert.resolved", "incident.resolved"]);
    assert_eq!(firing(&w).await, Vec::<String>::new());
}

/// One sender that says since when, and PagerDuty's events, whose time is that of the event.
#[tokio::test]
async fn what_its_sender_says_to_be_the_same_has_not_begun_anew() {
    let w = World::new(39).await;
    let began = w.clock_now();
    let say = async |sender: (&str, &str), since: Timestamp| {
        let labels = [("alertname", "Disk"), ("service", "photos"), ("severity", "critical")];
        let one = KeyedAlert {
            key: "db1/disk".to_owned(),
            state: SaidState::Firing,
            labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            annotations: BTreeMap::new(),
            starts_at: Some(since),
            url: None,
        };
        w.app.alerts_keyed(&self::sender(), sender, vec![one]).await.expect("it is taken");
        w.pass(5).await;
    };
    let grafana = ("alert_source", "grafana");
    say(grafana, began).await;
    resolve(&w, 1).await;
    say(grafana, began).await;
    assert_eq!(w.count("incident.opened").await, 1);
    say(grafana, w.clock_now()).await;
    assert_eq!(w.count("incident.opened").await, 2);
    resolve(&w, 2).await;
    let events = ("integration", "script");
    say(events, began).await;
    assert_eq!(w.count("incident.opened").await, 3);
    resolve(&w, 3).await;
    say(events, began).await;
    assert_eq!(w.count("incident.opened").await, 4);
}

#[tokio::test]
async fn what_flaps_and_was_resolved_by_a_person_pages_again_when_its_key_fires() {
    let w = World::new(130).await;
    for turn in 0..4 {
        if turn > 0 {
            say_of_key(&w, SaidState::Resolved).await;
            w.pass(10).await;
        }
        say_of_key(&w, SaidState::Firing).await;
        w.pass(10).await;
    }
    assert_eq!(w.count("alert.flapping").await, 1);
    let open = w.app.incidents_open().await.expect("incidents");
    assert_eq!(open.len(), 1);
    resolve(&w, open[0].number).await;
    let before = w.count("incident.opened").await;
    say_of_key(&w, SaidState::Firing).await;
    w.pass(5).await;
    assert_eq!(w.count("incident.opened").await, before + 1);
    let alerts = w.app.alerts_list(Some("firing")).await.expect("alerts");
    assert!(alerts.len() == 1 && alerts[0].flapping.is_none(), "{alerts:?}");
}

#[tokio::test]
async fn the_same_mail_of_another_night_pages_again_and_an_answer_between_people_does_not() {
    let w = World::new(131).await;
    let spec = from(json!({"kind": "mail", "service": "photos", "environment": "production", "severity": "critical"}));
    let made = w.app.alert_source_put(&sender(), "backup", spec).await.expect("it is made");
    let address = made.secret.expect("a new one has an address");
    let mail = async |subject: &str, more: &str| {
        let text = format!("Subject: {subject}\r\nFrom: cron@db1.example.org\r\n{more}\r\n\r\nlook into it\r\n");
        let taken = w.app.alert_mail(std::slice::from_ref(&address), text.as_bytes()).await;
        assert_eq!(taken, Delivered::Taken, "{subject}");
        w.pass(5).await;
    };
    mail("backup failed", "Message-ID: <1@db1.example.org>").await;
    assert_eq!((w.count("incident.opened").await, mails(&w)), (1, 1));
    resolve(&w, 1).await;
    mail("Re: backup failed", "Message-ID: <2@example.org>\r\nIn-Reply-To: <1@db1.example.org>").await;
    assert_eq!(w.count("incident.opened").await, 1);
    mail("backup failed", "Message-ID: <3@db1.example.org>").await;
    assert_eq!((w.count("incident.opened").await, mails(&w)), (2, 2));
}

/// It may send alerts of photos alone.
fn scoped() -> Caller {
    let grants = vec![Grant { role: Role::Responder, service: Some("photos".to_owned()), environment: None }];
    Caller { grants, ..caller("prometheus", Role::Viewer) }
}

#[tokio::test]
async fn what_a_sender_may_not_send_keeps_back_nothing_that_it_may() {
    let w = World::new(132).await;
    let ends = w.clock_now().plus_ms(4 * MINUTE_S * 1_000);
    let own = json!({"alertname": "Late", "service": "photos", "severity": "critical"});
    let foreign = json!({"alertname": "Foreign", "severity": "critical"});
    let batch: Vec<PostedAlert> = [foreign, own].map(|labels| from(json!({"labels": labels, "endsAt": ends}))).to_vec();
    let refused = w.app.alerts_receive(&scoped(), batch).await.expect_err("one of them it may not send");
    assert_eq!(refused.code, ErrorCode::Forbidden, "{refused}");
    w.tick().await;
    assert_eq!(kinds(&w).await, ["alert.fired", "incident.opened"]);
    assert_eq!(link(&w).await, Value::Null, "it is the one of photos");

    let keyed = |key: &str, service: &str| KeyedAlert {
        key: key.to_owned(),
        state: SaidState::Firing,
        labels: BTreeMap::from([("service".to_owned(), service.to_owned())]),
        annotations: BTreeMap::new(),
        starts_at: None,
        url: None,
    };
    let both = vec![keyed("1", "albums"), keyed("2", "photos")];
    let refused = w.app.alerts_keyed(&scoped(), ("alert_source", "nightly"), both).await.expect_err("not of albums");
    assert_eq!(refused.code, ErrorCode::Forbidden, "{refused}");
    for (key, taken) in [("1", false), ("2", true)] {
        let known = w.app.alert_keyed(("alert_source", "nightly"), key).await.expect("it is asked");
        assert_eq!(known.is_some(), taken, "{key}");
    }
}

#[tokio::test]
async fn a_storm_in_one_request_is_heard_and_of_wrong_alerts_the_first_are_told() {
    let w = World::new(8_420).await;
    let alert = |n: usize, name: &str| -> PostedAlert {
        from(json!({"labels": {"alertname": name, "severity": "info", "instance": n.to_string()}}))
    };
    let storm = (0..10_001).map(|n| alert(n, "Late")).collect();
    w.app.alerts_receive(&sender(), storm).await.expect("it is taken");
    assert_eq!(w.app.alerts_seen().await.expect("alerts are listed").len(), 10_001);
    let long = "x".repeat(9_000);
    let mut some: Vec<PostedAlert> = (0..30).map(|n| alert(n, &long)).collect();
    some.push(alert(0, "Right"));
    let refused = w.app.alerts_receive(&sender(), some).await.expect_err("30 are wrong");
    assert_eq!(refused.code, ErrorCode::BadRequest);
    assert!(refused.message.contains("30 are wrong") && refused.message.len() < 2_000, "{refused}");
    assert_eq!(w.app.alerts_seen().await.expect("alerts are listed").len(), 10_002, "the right one counts");
}

#[tokio::test]
async fn no_page_is_lost_over_a_long_text() {
    let w = World::new(8_421).await;
    let alert: PostedAlert = from(json!({
        "labels": {"alertname": "Late", "service": "photos", "severity": "critical"},
        "annotations": {"summary": "the batch is late", "description": "é".repeat(500_000)},
    }));
    w.app.alerts_receive(&sender(), vec![alert]).await.expect("it is taken");
    w.tick().await;
    assert_eq!(w.count("incident.opened").await, 1);
    let told = w.app.alerts_list(None).await.expect("alerts").remove(0).description.expect("it has one");
    assert_eq!(told, "é".repeat(4_000), "as much of it as there is room for");
}

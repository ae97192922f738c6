//! One alert that several bring: it is stored once, told of once, and over when nobody says it any more.

use std::collections::BTreeMap;

use tenfold_app::Caller;
use tenfold_app::alerts::{AlertView, PostedAlert};
use tenfold_types::Timestamp;

use crate::world::{RULES, World};

async fn active(w: &World) -> Vec<AlertView> {
    let all = w.app.alerts_list(None).await.expect("alerts are listed");
    all.into_iter().filter(|a| a.state == "firing" || a.state == "unknown").collect()
}

async fn only(w: &World) -> AlertView {
    let mut active = active(w).await;
    assert_eq!(active.len(), 1, "one alert fires");
    active.remove(0)
}

/// What a Prometheus with the same rule file says of the alert.
async fn sender_says(w: &World, ends_at: Option<Timestamp>) {
    let pairs = [
        ("alertname", "HighErrorRate"),
        ("job", "photos"),
        ("severity", "critical"),
        ("service", "photos"),
        ("environment", "production"),
    ];
    let labels: BTreeMap<String, String> = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let posted = PostedAlert { labels, starts_at: Some(w.clock_now()), ends_at, ..PostedAlert::default() };
    w.app.alerts_posted(&Caller::system(), vec![posted]).await.expect("it is taken");
}

#[tokio::test]
async fn a_rule_takes_over_what_a_sender_said_first() {
    let w = World::new(41).await;
    w.tick().await;
    sender_says(&w, None).await;
    let sent = only(&w).await;
    assert!(sent.incident.is_some());
    w.errors(9.0);
    w.pass(20).await;
    let now = only(&w).await;
    assert_eq!((now.group.as_str(), now.incident), ("photos", sent.incident));
    assert_eq!((w.count("incident.opened").await, w.count("alert.fired").await), (1, 2));
    // The sender is not asked any more: its word of an end counts as little as its silence.
    sender_says(&w, Some(w.clock_now())).await;
    w.pass(600).await;
    assert_eq!((active(&w).await.len(), w.count("alert.unknown").await), (1, 0));
    w.errors(0.0);
    w.pass(10).await;
    assert!(active(&w).await.is_empty());
    assert_eq!(w.count("alert.resolved").await, 1, "over once");
}

#[tokio::test]
async fn what_a_rule_has_a_sender_adds_nothing_to() {
    let w = World::new(42).await;
    w.errors(9.0);
    w.pass(20).await;
    sender_says(&w, None).await;
    sender_says(&w, Some(w.clock_now())).await;
    assert_eq!(only(&w).await.group, "photos", "the rule's alert goes on");
    assert_eq!((w.count("alert.fired").await, w.count("alert.resolved").await), (1, 0));
    w.errors(0.0);
    w.pass(10).await;
    assert!(active(&w).await.is_empty());
    // Once the rule says that it is over, the sender is heard again.
    sender_says(&w, None).await;
    assert_eq!(active(&w).await.len(), 1);
}

#[tokio::test]
async fn a_sender_that_ends_while_a_rule_still_waits_ends_it() {
    let w = World::new(43).await;
    w.tick().await;
    sender_says(&w, None).await;
    w.errors(9.0);
    w.pass(5).await;
    sender_says(&w, Some(w.clock_now())).await;
    assert!(active(&w).await.is_empty(), "the rule has not said so yet");
    w.pass(20).await;
    assert_eq!(active(&w).await.len(), 1, "it does now");
}

#[tokio::test]
async fn of_two_files_with_the_same_rule_the_other_goes_on() {
    let w = World::new(44).await;
    let system = Caller::system();
    w.app.rules_put(&system, "copy", RULES).await.expect("the same rule in another file is no mistake");
    w.errors(9.0);
    w.pass(20).await;
    let fired = |w: &World| w.app.rules().iter().flat_map(|g| &g.rules).map(|r| r.alerts.len()).sum::<usize>();
    assert_eq!((active(&w).await.len(), fired(&w), w.count("alert.fired").await), (1, 2, 1));
    w.app.rules_delete(&system, "copy").await.expect("removed");
    assert_eq!((active(&w).await.len(), w.count("alert.expired").await), (1, 0));
    w.app.rules_delete(&system, "photos").await.expect("removed");
    assert_eq!((active(&w).await.len(), w.count("alert.expired").await), (0, 1));
}

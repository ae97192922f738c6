//! A rule whose labels say by the value how severe its alert is: one that gets worse is told of at once, as of its incident.

use tenfold_app::{Caller, Role};

use crate::world::{World, caller};

const RULES: &str = "\
groups:
- name: photos
  interval: 5s
  rules:
  - alert: HighErrorRate
    expr: errors > 5
    labels:
      severity: '{{ if gt $value 50.0 }}critical{{ else }}warning{{ end }}'
      service: photos
      environment: production
";
const ROUTING: &str = "
route: {receiver: web, group_by: [service], group_wait: 0s, group_interval: 5m}
receivers: [{name: web, policy: photos, pages: all}]
";
const ANA: &str = "ana@example.org";

async fn firing(w: &World) -> Vec<String> {
    let firing = w.app.alerts_list(Some("firing")).await.expect("alerts are listed");
    firing.into_iter().map(|alert| alert.severity).collect()
}

async fn warned(seed: u64) -> World {
    let w = World::new(seed).await;
    w.app.rules_put(&Caller::system(), "photos", RULES).await.expect("rules are made");
    w.errors(9.0);
    w.pass(10).await;
    assert_eq!(firing(&w).await, ["warning"]);
    w
}

#[tokio::test]
async fn a_warning_that_is_critical_by_now_pages() {
    let mut w = warned(8_410).await;
    assert_eq!(w.receivers.subjects_to(ANA).len(), 0, "a warning pages nobody");
    w.errors(60.0);
    w.pass(5).await;
    assert_eq!(firing(&w).await, ["critical"]);
    assert_eq!(w.receivers.subjects_to(ANA).len(), 1);
    let over = w.events().await.into_iter().find(|e| e.kind == "alert.resolved").expect("the warning is over");
    assert!(over.text.starts_with("Over, it is worse now and goes on as another alert: "), "{}", over.text);
    w.restart().await;
    w.errors(9.0);
    w.pass(60).await;
    assert_eq!(firing(&w).await, ["critical"], "what gets better goes on as it is");
    w.errors(1.0);
    w.pass(10).await;
    assert!(firing(&w).await.is_empty());
    assert_eq!(w.states().await[&1], "resolved");
}

#[tokio::test]
async fn the_incident_of_both_goes_on_and_rings_anew() {
    let w = World::new(8_411).await;
    w.app.routing_put(&caller("raj", Role::Admin), ROUTING, false).await.expect("the routing is taken");
    w.app.rules_put(&Caller::system(), "photos", RULES).await.expect("rules are made");
    w.errors(9.0);
    w.pass(10).await;
    assert_eq!(w.receivers.subjects_to(ANA).len(), 1);
    w.errors(60.0);
    w.pass(5).await;
    assert_eq!(firing(&w).await, ["critical"]);
    assert_eq!(w.states().await.into_iter().collect::<Vec<_>>(), [(1, "open".to_owned())]);
    assert_eq!(w.receivers.subjects_to(ANA).len(), 2, "it does not wait for the interval of its group");
    assert_eq!(w.count("incident.resolved").await, 0);
    w.errors(1.0);
    w.pass(10).await;
    assert_eq!(w.states().await[&1], "resolved");
}

//! Alerting rules are evaluated when samples come that they select, and not only on their interval.

mod common;

use common::{World, open_with, world};
use tenfold_alerting::TOGETHER_MS;
use tenfold_app::metrics::Source;
use tenfold_app::{App, Caller};
use tenfold_protocols::batch::Batch;
use tenfold_testkit::{TestClock, temp_db};
use tenfold_types::Point;

const RULES: &str = "
groups:
- name: photos
  interval: 1m
  rules:
  - record: recorded
    expr: sum(errors)
  - alert: Errors
    expr: errors > 5
  - alert: Slow
    expr: slow > 5
    for: 10s
  - alert: Recorded
    expr: recorded > 5
- name: past
  interval: 1m
  query_offset: 30s
  rules:
  - alert: ErrorsBefore
    expr: errors > 5
";

/// The rules were evaluated once, over nothing.
async fn with_rules(world: World) -> World {
    world.app.rules_put(&Caller::system(), "photos", RULES).await.expect("rules are put");
    world.app.alerts_tick().await.expect("they are evaluated");
    world
}

fn push(app: &App, name: &str, value: f64) {
    push_of(app, name, None, value);
}

fn push_of(app: &App, name: &str, host: Option<&str>, value: f64) {
    let now = app.now();
    let mut batch = Batch::default();
    batch.label("__name__", name).expect("a label");
    if let Some(host) = host {
        batch.label("host", host).expect("a label");
    }
    batch.point(Point::new(now.millis(), value)).expect("a sample");
    batch.end().expect("a series");
    let pushed = app.metrics.push(&Source::new("remote_write", "test"), &batch, now).expect("it is taken");
    assert_eq!(pushed.samples, 1);
}

/// A sample comes, and what is due by it is done.
async fn comes(w: &World, name: &str, value: f64) {
    push(&w.app, name, value);
    w.app.alerts_arrived().await.expect("it is heard of");
    w.clock.advance_ms(TOGETHER_MS);
    w.app.alerts_arrived().await.expect("rules are evaluated");
}

async fn in_state(w: &World, state: &str) -> Vec<String> {
    let alerts = w.app.alerts_list(Some(state)).await.expect("alerts are listed");
    alerts.iter().map(|a| a.labels.get("alertname").unwrap_or_default().to_owned()).collect()
}

fn evaluated(w: &World) -> f64 {
    w.app.metrics.own.get("tenfold_rule_evaluations_total", &[("on", "arrival")])
}

#[tokio::test]
async fn a_pushed_sample_fires_an_alert_before_the_interval_is_over() {
    let w = with_rules(world().await).await;
    w.clock.advance_ms(1_000);
    comes(&w, "other", 9.0).await;
    assert_eq!((in_state(&w, "firing").await, evaluated(&w)), (vec![], 0.0), "nobody asks for it");
    comes(&w, "errors", 9.0).await;
    assert_eq!(in_state(&w, "firing").await, ["Errors"]);
    assert!((evaluated(&w) - 1.0).abs() < f64::EPSILON, "the one rule that selects it, once");
    assert!(w.app.metrics.last_values("recorded").is_empty(), "what is recorded keeps to the interval");
    assert!(w.app.metrics.last_values("ALERTS").is_empty(), "and so does the series of alerts");
    w.clock.advance_ms(60_000);
    w.app.alerts_tick().await.expect("the interval is over");
    assert_eq!(w.app.metrics.last_values("recorded").len(), 1);
    let mut firing = in_state(&w, "firing").await;
    firing.sort();
    assert_eq!(firing, ["Errors", "ErrorsBefore", "Recorded"]);
    assert_eq!(w.app.metrics.last_values("ALERTS").len(), 3);
}

#[tokio::test]
async fn what_a_group_brings_is_of_the_instant_it_asks_for() {
    let w = world().await;
    push(&w.app, "errors", 9.0);
    w.clock.advance_ms(60_000);
    let rules = "groups:\n- name: past\n  interval: 1m\n  query_offset: 30s\n  rules:\n  - record: recorded\n    expr: errors\n  \
                 - alert: Recorded\n    expr: recorded > 5\n";
    w.app.rules_put(&Caller::system(), "past", rules).await.expect("rules are put");
    w.app.alerts_tick().await.expect("they are evaluated");
    let asked = w.app.now().plus_ms(-30_000).millis();
    assert_eq!(in_state(&w, "firing").await, ["Recorded"], "a rule sees what one before it brought");
    for name in ["recorded", "ALERTS"] {
        let points = w.app.metrics.last_points(name);
        assert_eq!(points.values().map(|point| point.t_ms).collect::<Vec<_>>(), [asked], "{name}");
    }
}

#[tokio::test]
async fn holding_runs_from_the_sample_and_the_end_waits_for_the_interval() {
    let w = with_rules(world().await).await;
    w.clock.advance_ms(1_000);
    comes(&w, "slow", 9.0).await;
    assert_eq!(in_state(&w, "pending").await, ["Slow"]);
    w.clock.advance_ms(5_000);
    comes(&w, "slow", 0.0).await;
    assert_eq!(in_state(&w, "pending").await, ["Slow"], "a dip in between is not looked at");
    w.clock.advance_ms(5_000);
    comes(&w, "slow", 9.0).await;
    assert_eq!(in_state(&w, "firing").await, ["Slow"]);
    w.clock.advance_ms(5_000);
    comes(&w, "slow", 0.0).await;
    assert_eq!(in_state(&w, "firing").await, ["Slow"]);
    w.clock.advance_ms(60_000);
    w.app.alerts_tick().await.expect("the interval is over");
    assert!(in_state(&w, "firing").await.is_empty());
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let off = |settings: &mut tenfold_app::Settings| settings.alerts.on_arrival = false;
    let w = with_rules(open_with(dir, temp_db().await, TestClock::default(), off).await).await;
    w.clock.advance_ms(1_000);
    comes(&w, "errors", 9.0).await;
    assert_eq!((in_state(&w, "firing").await, evaluated(&w)), (vec![], 0.0));
    w.clock.advance_ms(60_000);
    w.app.alerts_tick().await.expect("the interval is over");
    assert!(in_state(&w, "firing").await.contains(&"Errors".to_owned()));
}

/// What is recorded only while it is bad: while that fails, an empty answer says nothing.
const FAILING: &str = "
groups:
- name: photos
  interval: 1m
  limit: 2
  rules:
  - record: bad
    expr: errors > 5
  - alert: Bad
    expr: bad > 0
";

#[tokio::test]
async fn an_error_of_the_interval_stands_until_the_interval_finds_none() {
    let w = world().await;
    w.app.rules_put(&Caller::system(), "photos", FAILING).await.expect("rules are put");
    w.app.alerts_tick().await.expect("they are evaluated");
    let error = |w: &World| {
        let rules = w.app.rules().into_iter().flat_map(|group| group.rules);
        rules.filter(|rule| rule.name == "Bad").find_map(|rule| rule.error)
    };
    w.clock.advance_ms(1_000);
    comes(&w, "bad", 9.0).await;
    assert_eq!((in_state(&w, "firing").await, error(&w)), (vec!["Bad".to_owned()], None));
    w.clock.advance_ms(1_000);
    push(&w.app, "bad", 0.0);
    for host in ["a", "b", "c"] {
        push_of(&w.app, "errors", Some(host), 9.0);
    }
    w.clock.advance_ms(60_000);
    w.app.alerts_tick().await.expect("the interval is over");
    let said = error(&w).expect("nobody knows whether it is over");
    assert!(said.contains("is not recorded"), "{said}");
    comes(&w, "bad", 9.0).await;
    assert_eq!(error(&w).as_deref(), Some(said.as_str()), "one sample in between is not the interval's word");
    for host in ["b", "c"] {
        push_of(&w.app, "errors", Some(host), 0.0);
    }
    w.clock.advance_ms(60_000);
    w.app.alerts_tick().await.expect("the interval is over");
    assert_eq!(error(&w), None);
}

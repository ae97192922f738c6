//! A group of rules that takes long keeps no other from being evaluated.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenfold_app::Caller;
use tenfold_app::alerts::RuleSource;
use tenfold_types::{Labels, Timestamp};
use tokio::sync::Semaphore;

use crate::world::{Samples, World};

const SLOW: &str = "\
groups:
- name: slow
  interval: 5s
  rules:
  - {alert: Slow, expr: slow > 0, labels: {severity: warning}}
  - {alert: SlowToo, expr: slow > 0, labels: {severity: warning}}
";

/// Answers what is slow when the test lets it.
struct Source {
    may: Semaphore,
    others: Arc<Samples>,
}

#[async_trait]
impl RuleSource for Source {
    async fn evaluate(&self, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
        if !expr.starts_with("slow") {
            return self.others.evaluate(expr, at).await;
        }
        let _may = self.may.acquire().await.map_err(|e| e.to_string())?;
        Ok(vec![(Labels::from_pairs([("job", "slow")]), 1.0)])
    }
    fn record(&self, rows: Vec<(Labels, f64)>, at: Timestamp) {
        self.others.record(rows, at);
    }
}

/// A test that fails waits for nothing.
struct LetGo(Arc<Source>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.may.close();
    }
}

async fn firing(w: &World) -> Vec<String> {
    let firing = w.app.alerts_list(Some("firing")).await.expect("alerts are listed");
    firing.into_iter().map(|alert| alert.rule).collect()
}

async fn until_fires(w: &World, rule: &str) {
    let fires = async {
        while !firing(w).await.iter().any(|name| name == rule) {
            w.pass(5).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), fires).await.expect("it fires");
}

#[tokio::test]
async fn rules_that_take_long_keep_no_others_waiting() {
    let w = World::new(8_400).await;
    let source = Arc::new(Source { may: Semaphore::new(0), others: w.samples.clone() });
    let _let_go = LetGo(source.clone());
    w.app.set_rule_source(source.clone());
    w.app.set_rule_patience(Duration::from_millis(50));
    w.app.rules_put(&Caller::system(), "slow", SLOW).await.expect("rules are made");
    w.errors(9.0);
    until_fires(&w, "HighErrorRate").await;
    w.errors(1.0);
    w.pass(60).await;
    w.errors(9.0);
    until_fires(&w, "HighErrorRate").await;
    assert_eq!(firing(&w).await, ["HighErrorRate"], "the others have no answer yet");
    source.may.add_permits(1);
    until_fires(&w, "SlowToo").await;
    assert!(firing(&w).await.iter().any(|name| name == "Slow"));
    for rule in ["Slow", "SlowToo", "HighErrorRate"] {
        let fired = w.events().await.into_iter().filter(|e| e.kind == "alert.fired" && e.data["rule"] == rule).count();
        assert!(fired >= 1 && (rule == "HighErrorRate" || fired == 1), "{rule}: {fired}");
    }
}

#[tokio::test]
async fn a_change_of_rules_does_not_make_what_is_under_way_wait_for_its_interval() {
    let w = World::new(8_401).await;
    let source = Arc::new(Source { may: Semaphore::new(0), others: w.samples.clone() });
    let _let_go = LetGo(source.clone());
    w.app.set_rule_source(source.clone());
    w.app.set_rule_patience(Duration::from_millis(50));
    let hourly = SLOW.replace("interval: 5s", "interval: 1h");
    w.app.rules_put(&Caller::system(), "slow", &hourly).await.expect("rules are made");
    w.pass(60).await;
    let began = w.clock_now();
    w.clock.set(began.plus_ms(8 * 60_000));
    assert_eq!(w.app.pulse().rules_ms_ago, None, "it may take its time");
    w.clock.set(began.plus_ms(11 * 60_000));
    assert!(w.app.pulse().rules_ms_ago >= Some(600_000), "whoever watches is told that it hangs");
    let other = "groups:\n- name: other\n  rules:\n  - record: five\n    expr: sum(errors)\n";
    w.app.rules_put(&Caller::system(), "other", other).await.expect("another file");
    source.may.add_permits(8);
    until_fires(&w, "Slow").await;
    assert!(w.clock_now().since_ms(began) < 30 * 60_000, "it began anew at once");
}

#[tokio::test]
async fn evaluations_that_are_left_out_and_rules_that_fail_are_counted() {
    let w = World::new(8_402).await;
    let rules = "groups:\n- name: more\n  interval: 5s\n  rules:\n  - record: five\n    expr: sum(errors)\n";
    w.app.rules_put(&Caller::system(), "more", rules).await.expect("rules are made");
    let counted = || {
        let page = w.app.own_metrics_page();
        let of = |what: &str| {
            let start = format!("prometheus_rule_{what}_total{{rule_group=\"more;more\"}} ");
            page.lines().find_map(|line| line.strip_prefix(start.as_str())).map(str::to_owned)
        };
        ["group_iterations", "group_iterations_missed", "evaluations", "evaluation_failures"].map(of)
    };
    let are = |numbers: [u32; 4]| numbers.map(|number| Some(number.to_string()));
    assert_eq!(counted(), are([0, 0, 0, 0]), "so that the first one is an increase");
    w.pass(10).await;
    assert_eq!(counted(), are([2, 0, 2, 0]));
    w.clock.advance_ms(22_000);
    w.tick().await;
    assert_eq!(counted(), are([6, 3, 3, 0]), "it was due after 5, 10, 15 and 20 seconds");
    *w.samples.errors.lock() = None;
    w.pass(5).await;
    assert_eq!(counted(), are([7, 3, 4, 1]));
    w.app.rules_put(&Caller::system(), "more", &rules.replace("name: more", "name: other")).await.expect("put");
    assert_eq!(counted(), [None, None, None, None], "the group is gone");
}

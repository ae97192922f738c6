//! Two nodes on one PostgreSQL database: one of them evaluates and pages, the other takes over when it is gone, and nobody
//! is paged twice for a step.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, PassiveResult, Ran, Run};
use tenfold_app::{App, Caller};
use tenfold_store::Db;
use tenfold_testkit::{PgServer, TestClock, TestEntropy};

use crate::world::{Node, Receivers, Samples, from, people};

async fn tick(app: &App) {
    app.alerts_tick().await.expect("alerts are evaluated");
    app.incidents_tick().await.expect("pages are worked on");
}

#[tokio::test]
async fn one_node_pages_and_the_other_takes_over() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let url = server.create_database("paging").await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (clock, entropy) = (TestClock::default(), TestEntropy::default());
    let (receivers, samples) = (Arc::new(Receivers::default()), Arc::new(Samples::default()));
    *samples.errors.lock() = Some(vec![9.0]);
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let db = Db::open_postgres(&url, tenfold_testkit::sealer()).await.expect("the database opens");
        let node = Node { db: &db, dir: dir.path(), name, database_url: &url };
        let app = node.start(&clock, &entropy, &receivers, &samples).await;
        if nodes.is_empty() {
            people(&app).await;
        }
        nodes.push(app);
    }
    for _ in 0..4 {
        for node in &nodes {
            tick(node).await;
        }
        clock.advance_ms(5_000);
    }
    let sent = || receivers.taken.lock().iter().map(|s| s.to.clone()).collect::<Vec<_>>();
    assert_eq!(sent(), ["ana@example.org"], "both nodes looked, one paged");
    let state = |app: &App| app.rules().iter().find(|g| g.name == "photos").expect("the group").rules[0].state.clone();
    let evaluated = |app: &App| app.rules().iter().any(|g| g.last_evaluation.is_some());
    assert!(evaluated(&nodes[0]) && !evaluated(&nodes[1]), "the second node does not evaluate");

    assert_eq!(state(&nodes[1]), "firing", "but it shows what the first one found");

    // What is changed on one node is evaluated on the other.
    let more = "groups:\n- name: more\n  interval: 5s\n  rules:\n  - {record: all_errors, expr: sum(errors)}\n";
    nodes[1].rules_put(&Caller::system(), "more", more).await.expect("rules are made");
    tick(&nodes[0]).await;
    let recorded = samples.recorded.lock().iter().any(|(labels, _)| labels.metric_name() == Some("all_errors"));
    assert!(recorded, "the node that evaluates has seen the new rule");

    // The first node is gone. Within its lease nobody else acts; then the second goes on where it was.
    tick(&nodes[0]).await;
    clock.advance_ms(9_000);
    tick(&nodes[1]).await;
    assert!(!evaluated(&nodes[1]));
    clock.advance_ms(60_000);
    tick(&nodes[1]).await;
    tick(&nodes[1]).await;
    assert_eq!(sent(), ["ana@example.org", "raj@example.org"]);
    assert_eq!(state(&nodes[1]), "firing");

    // The first wakes up again and believes to hold the lease: the store refuses it.
    tick(&nodes[0]).await;
    let record = nodes[1].events_after(0, 1_000).await.expect("the record is read");
    let count = |kind: &str| record.iter().filter(|e| e.kind == kind).count();
    assert_eq!((count("alert.fired"), count("incident.opened"), count("page.sent")), (1, 1, 2));
    assert_eq!(sent().len(), 2);

    // It takes over again: what the other one evaluated meanwhile was not missed.
    let counted = |what: &str| -> Vec<String> {
        let page = nodes[0].own_metrics_page();
        let start = format!("prometheus_rule_group_{what}_total{{");
        page.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
    };
    let before = counted("iterations");
    clock.advance_ms(60_000);
    tick(&nodes[0]).await;
    tick(&nodes[0]).await;
    assert_ne!(counted("iterations"), before, "it evaluates again");
    let missed = counted("iterations_missed");
    assert!(missed.len() == 2 && missed.iter().all(|line| line.ends_with("} 0")), "{missed:?}");
}

/// Finds everything critical, and knows what it looked at.
#[derive(Default)]
struct Looks(Mutex<Vec<String>>);

#[async_trait]
impl CheckRunner for Looks {
    async fn run(&self, what: &Run, _: Duration) -> Ran {
        let Run::Plugin(argv) = what else { return Ran::unknown("not a plugin") };
        self.0.lock().push(argv[0].clone());
        Ran { status: CheckStatus::Critical, output: b"full".to_vec() }
    }
}

async fn check(app: &App, name: &str, spec: Value) {
    app.check_put(&Caller::system(), name, from(spec)).await.expect("a check is put");
}

async fn say(app: &App, name: &str, status: &str) {
    let result = PassiveResult { status: status.to_owned(), output: "said".to_owned() };
    app.check_passive(&Caller::system(), name, result).await.expect("it is taken");
}

async fn firing(app: &App) -> Vec<String> {
    let alerts = app.alerts_list(Some("firing")).await.expect("alerts");
    let mut names: Vec<String> = alerts.into_iter().map(|a| a.rule).collect();
    names.sort();
    names
}

/// Time goes on, and everybody does what is due.
async fn rounds(nodes: &[App], clock: &TestClock) {
    for _ in 0..4 {
        clock.advance_ms(5_000);
        for node in nodes {
            tick(node).await;
            node.checks_tick().await.expect("checks are looked at");
            node.checks_settle().await;
        }
    }
}

#[tokio::test]
async fn checks_are_looked_at_wherever_they_were_put_and_results_count_wherever_they_came() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let url = server.create_database("checks").await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (clock, entropy) = (TestClock::default(), TestEntropy::default());
    let (receivers, samples) = (Arc::new(Receivers::default()), Arc::new(Samples::default()));
    *samples.errors.lock() = Some(vec![0.0]);
    let (mut nodes, looks) = (Vec::new(), [Arc::new(Looks::default()), Arc::new(Looks::default())]);
    for (name, looks) in ["a", "b"].into_iter().zip(&looks) {
        let db = Db::open_postgres(&url, tenfold_testkit::sealer()).await.expect("the database opens");
        let node = Node { db: &db, dir: dir.path(), name, database_url: &url };
        let app = node.start(&clock, &entropy, &receivers, &samples).await;
        app.set_check_runner(looks.clone());
        if nodes.is_empty() {
            people(&app).await;
        }
        nodes.push(app);
    }
    let looked = |node: usize, name: &str| looks[node].0.lock().iter().any(|n| n == name);
    rounds(&nodes, &clock).await;

    // Put on the node that does not look.
    let plugin = |name: &str| json!({"run": {"plugin": [name]}, "interval": "5s", "attempts": 1});
    check(&nodes[1], "disk", plugin("disk")).await;
    rounds(&nodes, &clock).await;
    assert_eq!((looked(0, "disk"), looked(1, "disk")), (true, false));
    assert_eq!(nodes[1].check("disk").expect("it is there").status, "critical", "it shows what the first one found");
    assert_eq!(firing(&nodes[1]).await, ["disk"]);
    // Changed and deleted there.
    check(&nodes[1], "disk", plugin("disk2")).await;
    rounds(&nodes, &clock).await;
    assert!(looked(0, "disk2"));
    nodes[1].check_delete(&Caller::system(), "disk").await.expect("it is deleted");
    rounds(&nodes, &clock).await;
    assert!(nodes[0].check("disk").is_err());
    assert_eq!(firing(&nodes[0]).await, Vec::<String>::new());

    // A result that came to the node that does not look, of a check that it has not heard of yet.
    check(&nodes[0], "backup", json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1})).await;
    say(&nodes[1], "backup", "critical").await;
    rounds(&nodes, &clock).await;
    assert_eq!(firing(&nodes[0]).await, ["backup"]);
    say(&nodes[1], "backup", "ok").await;
    rounds(&nodes, &clock).await;
    assert_eq!(firing(&nodes[0]).await, Vec::<String>::new());
    // One word right after the other, to both nodes: the last one counts, though the first waits to be heard.
    say(&nodes[1], "backup", "ok").await;
    say(&nodes[0], "backup", "critical").await;
    rounds(&nodes, &clock).await;
    assert_eq!(firing(&nodes[0]).await, ["backup"]);
    say(&nodes[1], "backup", "critical").await;
    say(&nodes[0], "backup", "ok").await;
    rounds(&nodes, &clock).await;
    assert_eq!(firing(&nodes[0]).await, Vec::<String>::new());
    // What it said lately is no silence for the node that looks, though nothing changed.
    for _ in 0..3 {
        clock.advance_ms(40 * 60_000);
        // The lease has run out meanwhile; the first has it again.
        tick(&nodes[0]).await;
        say(&nodes[1], "backup", "ok").await;
        rounds(&nodes, &clock).await;
    }
    assert_eq!(firing(&nodes[0]).await, Vec::<String>::new());
    check(&nodes[0], "late", plugin("late")).await;
    rounds(&nodes, &clock).await;

    // The first is gone; the second goes on with what was found.
    clock.advance_ms(60_000);
    let second = &nodes[1..];
    rounds(second, &clock).await;
    assert!(looked(1, "late") && !looked(1, "disk2"));
    assert_eq!(firing(&nodes[1]).await, ["late"]);
    say(&nodes[1], "backup", "critical").await;
    assert_eq!(nodes[1].check("backup").expect("it is there").status, "critical");
    assert_eq!(firing(&nodes[1]).await, ["backup", "late"]);
}

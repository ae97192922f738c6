//! Two nodes on one PostgreSQL database: one of them evaluates and pages, the other takes over when it is gone, and nobody
//! is paged twice for a step.

use std::sync::Arc;

use tenfold_app::{App, Caller};
use tenfold_store::Db;
use tenfold_testkit::{PgServer, TestClock, TestEntropy};

use crate::world::{Node, Receivers, Samples, people};

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
        let db = Db::open_postgres(&url).await.expect("the database opens");
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
}

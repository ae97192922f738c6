//! What the store refuses for as long as it is tried is kept aside; nothing else waits for it, and it is taken when the store is
//! mended and somebody asks for it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tenfold_app::alerts::{Settle, Settled};
use tenfold_app::{App, Caller, Role};
use tenfold_store::{alert_inbox, params};
use tenfold_testkit::TestClock;
use tenfold_types::{Clock as _, Timestamp};

use super::truth;
use super::words::Database;
use crate::world::{caller, from};

/// Longer than the longest wait between two tries, and than a lease.
const HOP_MS: i64 = 601_000;
/// So often it is tried.
const TRIES: i64 = 12;

struct Nodes {
    all: Vec<App>,
    clock: TestClock,
}

impl Nodes {
    /// Time goes on, and the first, which has the lease, takes what waits.
    async fn look(&self, ms: i64) {
        self.clock.advance_ms(ms);
        for node in &self.all {
            node.alerts_tick().await.expect("alerts are looked at");
        }
    }

    /// To the node that does not take alerts.
    async fn post(&self, name: &str) {
        self.say(name, 30 * 86_400_000).await;
    }

    /// The same of one that ends so much later.
    async fn say(&self, name: &str, ends_ms: i64) {
        let now = self.clock.now();
        let labels = json!({"alertname": name, "service": "photos"});
        let alert = from(json!({"labels": labels, "startsAt": now, "endsAt": now.plus_ms(ends_ms)}));
        self.all[1].alerts_posted(&Caller::system(), vec![alert]).await.expect("it is kept");
    }

    async fn write(&self, sql: &'static str, name: &'static str) {
        let written = self.all[0].housekeeping(move |t| Ok(t.tx().execute(sql, params![name])?)).await;
        assert_eq!(written.expect("the table takes it"), 1);
    }

    async fn states(&self) -> BTreeMap<String, String> {
        let all = self.all[0].alerts_list(None).await.expect("alerts");
        all.into_iter().map(|alert| (alert.rule, alert.state)).collect()
    }

    /// How often each request that waits was tried.
    async fn tries(&self) -> Vec<i64> {
        let end = Timestamp(i64::MAX);
        let rows = self.all[0].read(move |tx| Ok(alert_inbox::due(tx, 0, end, 100)?)).await;
        rows.expect("the store is read").iter().map(|row| row.tries).collect()
    }

    async fn aside(&self) -> i64 {
        self.all[0].alerts_refused().await.expect("they are listed").total
    }

    async fn count(&self, kind: &str) -> usize {
        let events = self.all[0].events_after(0, 1_000).await.expect("the record is read");
        events.iter().filter(|event| event.kind == kind).count()
    }
}

fn firing(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), "firing".to_owned())).collect()
}

const BREAK: &str = "INSERT INTO broken_alerts (rule) VALUES ($1)";
const MEND: &str = "DELETE FROM broken_alerts WHERE rule = $1";

/// Two nodes; the store refuses whatever is written of these alerts.
async fn nodes(dir: &Path, broken: &[&'static str]) -> Nodes {
    let database = Database::Sqlite;
    let clock = TestClock::at(Timestamp(truth::set_up(dir, &database).await));
    let db = database.open(dir).await;
    let mut all = Vec::new();
    for (name, seed) in [("a", 3), ("b", 5)] {
        all.push(truth::node(&db, (dir, name), &database, seed, &clock).await);
    }
    let nodes = Nodes { all, clock };
    nodes.look(1_000).await;
    for name in broken.iter().copied() {
        nodes.write(BREAK, name).await;
    }
    nodes
}

#[tokio::test]
async fn what_the_store_refuses_keeps_nobody_else_and_is_taken_when_the_store_is_mended() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let nodes = nodes(dir.path(), &["Late"]).await;

    nodes.post("Late").await;
    nodes.post("Full").await;
    assert_eq!(nodes.tries().await, [0, 0], "both are kept before their senders have the answer");
    nodes.look(1_000).await;
    assert_eq!((nodes.tries().await, nodes.states().await), (vec![1], firing(&["Full"])));
    for tries in 2..TRIES {
        nodes.look(HOP_MS).await;
        assert_eq!(nodes.tries().await, [tries]);
    }
    assert_eq!(nodes.count("alert.refused").await, 0);
    // The next try is the last one.
    nodes.look(HOP_MS).await;
    assert_eq!((nodes.tries().await, nodes.count("alert.refused").await), (vec![], 1));
    let aside = nodes.all[1].alerts_refused().await.expect("they are listed");
    let kept = &aside.items[0];
    assert_eq!((aside.total, kept.tries, kept.alerts.as_slice()), (1, TRIES, &["Late".to_owned()][..]));
    assert!(kept.why.contains("this place is broken"), "{kept:?}");
    nodes.look(HOP_MS).await;
    assert_eq!(nodes.aside().await, 1, "it is tried no more");

    nodes.write(MEND, "Late").await;
    let raj = caller("raj", Role::Deployer);
    let settled = nodes.all[1].alerts_refused_settle(&raj, Settle::Again).await.expect("again");
    assert_eq!(settled, Settled { requests: 1, over: 0 });
    nodes.look(1_000).await;
    assert_eq!((nodes.tries().await, nodes.states().await), (vec![], firing(&["Full", "Late"])));
    assert_eq!((nodes.aside().await, nodes.count("alert.fired").await), (0, 2), "each once");
}

#[tokio::test]
async fn what_is_over_by_now_is_left_out_when_it_is_tried_again() {
    const ALL: [&str; 4] = ["Back", "Foreseen", "Late", "Still"];
    let dir = tempfile::tempdir().expect("a temporary directory");
    let nodes = nodes(dir.path(), &ALL).await;
    for name in ALL {
        // One says itself when it will be over.
        nodes.say(name, if name == "Foreseen" { 60_000 } else { 30 * 86_400_000 }).await;
    }
    nodes.look(1_000).await;
    for _ in 1..TRIES {
        nodes.look(HOP_MS).await;
    }
    assert_eq!((nodes.tries().await, nodes.aside().await), (vec![], 4));
    for name in ALL {
        nodes.write(MEND, name).await;
    }
    // One has fired since, and is over; of another, which nobody knows, its sender says that it is over.
    nodes.post("Back").await;
    nodes.look(1_000).await;
    nodes.say("Back", 0).await;
    nodes.say("Late", 0).await;
    nodes.look(1_000).await;
    assert_eq!(nodes.count("alert.fired").await, 1);
    let raj = caller("raj", Role::Deployer);
    let settled = nodes.all[1].alerts_refused_settle(&raj, Settle::Again).await.expect("again");
    assert_eq!(settled, Settled { requests: 1, over: 3 });
    nodes.look(1_000).await;
    let wanted = [("Back", "resolved"), ("Still", "firing")].map(|(name, state)| (name.to_owned(), state.to_owned()));
    assert_eq!(nodes.states().await, BTreeMap::from(wanted));
    assert_eq!((nodes.aside().await, nodes.count("alert.fired").await), (0, 2));
}

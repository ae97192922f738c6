//! Two nodes on one PostgreSQL database: alerts that are sent to the one without the lease are taken all the same, in their
//! order, and outlive the node that has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tenfold_app::alerts::Settle;
use tenfold_app::incidents::Resolution;
use tenfold_app::{App, Caller, Role};
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::{Db, alert_inbox};
use tenfold_testkit::{PgServer, TestClock, TestEntropy};
use tenfold_types::{Clock as _, ErrorCode};

use crate::world::{Node, Receivers, Samples, caller, from, people};

const SENDER: (&str, &str) = ("alert_source", "nightly");

struct Pair {
    nodes: Vec<App>,
    clock: TestClock,
    receivers: Arc<Receivers>,
}

impl Pair {
    async fn start(server: &PgServer, name: &str, dir: &std::path::Path) -> Self {
        let url = server.create_database(name).await;
        let (clock, entropy) = (TestClock::default(), TestEntropy::default());
        let (receivers, samples) = (Arc::new(Receivers::default()), Arc::new(Samples::default()));
        *samples.errors.lock() = Some(vec![0.0]);
        let mut nodes = Vec::new();
        for name in ["a", "b"] {
            let db = Db::open_postgres(&url, tenfold_testkit::sealer()).await.expect("the database opens");
            let node = Node { db: &db, dir, name, database_url: &url };
            let app = node.start(&clock, &entropy, &receivers, &samples).await;
            if nodes.is_empty() {
                people(&app).await;
            }
            nodes.push(app);
        }
        let pair = Self { nodes, clock, receivers };
        // the first has the lease
        pair.rounds(&[0, 1]).await;
        pair
    }

    /// Time goes on, and these nodes do what is due.
    async fn rounds(&self, of: &[usize]) {
        for _ in 0..3 {
            self.clock.advance_ms(1_000);
            for at in of {
                self.nodes[*at].alerts_tick().await.expect("alerts are looked at");
                self.nodes[*at].incidents_tick().await.expect("pages are worked on");
            }
        }
    }

    /// The alert of a batch, which goes on for so many seconds; over when they are none.
    async fn post(&self, at: usize, name: &str, seconds: i64) {
        let now = self.clock.now();
        let alert = json!({
            "labels": {"alertname": name, "service": "photos", "severity": "critical"},
            "annotations": {"summary": "the batch is late"},
            "startsAt": now, "endsAt": now.plus_ms(seconds * 1_000),
        });
        self.nodes[at].alerts_posted(&caller("raj", Role::Admin), vec![from(alert)]).await.expect("it is taken");
    }

    async fn key(&self, at: usize, state: SaidState) {
        let labels = [("alertname", "Disk"), ("service", "photos"), ("severity", "critical")];
        let said = KeyedAlert {
            key: "db1".to_owned(),
            state,
            labels: labels.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        };
        let who = caller("raj", Role::Admin);
        self.nodes[at].alerts_keyed(&who, SENDER, vec![said]).await.expect("it is taken");
    }

    /// State and name of all alerts of senders, as a node has them.
    async fn alerts(&self, at: usize) -> Vec<(String, String)> {
        let mut all = self.nodes[at].alerts_list(None).await.expect("alerts");
        all.sort_by(|a, b| a.rule.cmp(&b.rule));
        all.into_iter().map(|a| (a.state, a.rule)).collect()
    }

    async fn waiting(&self) -> i64 {
        self.nodes[0].read(|tx| Ok(alert_inbox::waiting(tx)?)).await.expect("the store is read").requests
    }

    /// What came last to the inbox could not be taken, and is tried again after so many seconds.
    async fn put_off_last(&self, seconds: i64) {
        let next_at = self.clock.now().plus_ms(seconds * 1_000);
        let done = self.nodes[1].housekeeping(move |t| {
            let id = alert_inbox::last(t.tx())?.unwrap_or_default();
            Ok(alert_inbox::put_off(t.tx(), id, next_at, "the store is broken")?)
        });
        done.await.expect("it is put off");
    }

    async fn kinds(&self, prefix: &str) -> Vec<String> {
        let record = self.nodes[1].events_after(0, 1_000).await.expect("the record is read");
        record.into_iter().map(|e| e.kind).filter(|kind| kind.starts_with(prefix)).collect()
    }
}

fn is(state: &str, name: &str) -> (String, String) {
    (state.to_owned(), name.to_owned())
}

#[tokio::test]
async fn alerts_count_at_whichever_node_they_arrive() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "elsewhere", dir.path()).await;

    pair.post(1, "Late", 240).await;
    assert_eq!(pair.waiting().await, 1, "it is stored before its sender has the answer");
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.waiting().await, 0);
    assert_eq!(pair.alerts(0).await, [is("firing", "Late")]);
    assert_eq!(pair.alerts(1).await, [is("firing", "Late")]);
    let paged: Vec<String> = pair.receivers.taken.lock().iter().map(|sent| sent.to.clone()).collect();
    assert_eq!(paged, ["ana@example.org"], "one node pages, once");
    // Said again at both, nothing happens; said to be over at the other, it is.
    pair.post(1, "Late", 240).await;
    pair.post(0, "Late", 240).await;
    pair.rounds(&[0, 1]).await;
    pair.post(1, "Late", 0).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.kinds("alert.").await, ["alert.fired", "alert.resolved"]);

    // Without a look in between: words are heard in the order in which they were answered.
    pair.post(1, "Order", 240).await;
    pair.post(0, "Order", 0).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.alerts(0).await, [is("resolved", "Late"), is("resolved", "Order")]);

    // By key, and what is asked of a key.
    pair.key(1, SaidState::Firing).await;
    pair.rounds(&[0, 1]).await;
    let known = pair.nodes[1].alert_keyed(SENDER, "db1").await.expect("it is asked");
    assert_eq!(known.expect("it goes on").labels.get("alertname"), Some("Disk"));
    pair.key(1, SaidState::Resolved).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.nodes[1].alert_keyed(SENDER, "db1").await.expect("it is asked"), None);

    // What can never be right is refused at once, wherever it comes.
    let empty: Value = json!({"labels": {}});
    let refused = pair.nodes[1].alerts_posted(&Caller::system(), vec![from(empty)]).await.expect_err("no labels");
    assert_eq!(refused.code, ErrorCode::BadRequest);
    assert_eq!(pair.waiting().await, 0);
}

#[tokio::test]
async fn what_waits_outlives_the_node_that_would_have_taken_it_and_no_word_is_no_end() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "outlives", dir.path()).await;
    pair.post(1, "Late", 30).await;
    // The first is gone, and the time that was said is over when the other takes the lease.
    pair.clock.advance_ms(60_000);
    pair.rounds(&[1]).await;
    assert_eq!(pair.waiting().await, 0);
    assert_eq!(pair.alerts(1).await, [is("unknown", "Late")]);
    assert_eq!(pair.kinds("alert.").await, ["alert.fired", "alert.unknown"]);
    let paged = pair.receivers.taken.lock().len();
    assert_eq!(paged, 1, "nobody said that it is over");
    // The first is back, without the lease.
    pair.post(0, "Late", 240).await;
    pair.rounds(&[1]).await;
    assert_eq!(pair.alerts(1).await, [is("firing", "Late")]);
}

#[tokio::test]
async fn what_cannot_be_taken_keeps_nobody_else_and_is_kept() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "refused", dir.path()).await;
    let now = pair.clock.now();
    let kept = pair.nodes[1].housekeeping(move |t| Ok(alert_inbox::put(t.tx(), "{\"by\": \"nobody\"}", now)?)).await;
    kept.expect("it is stored");
    pair.post(1, "Late", 240).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (0, vec![is("firing", "Late")]));
    assert_eq!(pair.kinds("alert.").await, ["alert.refused", "alert.fired"]);
    let kept = pair.nodes[1].alerts_refused().await.expect("they are listed");
    assert!(kept.items.len() == 1 && kept.items[0].why.contains("cannot be read"), "{kept:?}");
    assert_eq!(kept.total, 1);
    let troubles = pair.nodes[1].now_view().await.expect("the first page").troubles;
    assert!(troubles.iter().any(|t| t.part == "alerts" && t.text.contains("a request of alerts")), "{troubles:?}");
    // Once more it is refused, and who forgets it is in the record.
    let raj = caller("raj", Role::Admin);
    assert_eq!(pair.nodes[1].alerts_refused_settle(&raj, Settle::Again).await.expect("again").requests, 1);
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.nodes[0].alerts_refused().await.expect("they are listed").items.len(), 1);
    assert_eq!(
        pair.nodes[0].alerts_refused_settle(&raj, Settle::Forget { until: None }).await.expect("forgotten").requests,
        1
    );
    let kept = pair.nodes[0].alerts_refused().await.expect("they are listed");
    assert!(kept.items.is_empty() && kept.total == 0, "{kept:?}");
}

#[tokio::test]
async fn a_sender_is_told_when_nobody_takes_what_waits() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "stalled", dir.path()).await;
    // The node with the lease goes on, as one of an older version that does not know of what waits.
    pair.post(1, "Late", 240).await;
    for _ in 0..7 {
        pair.clock.advance_ms(9_000);
        pair.nodes[0].incidents_tick().await.expect("it keeps its lease");
    }
    let late: Value = json!({"labels": {"alertname": "Later", "severity": "critical"}});
    let refused =
        pair.nodes[1].alerts_posted(&caller("raj", Role::Admin), vec![from(late)]).await.expect_err("nobody takes it");
    assert_eq!(refused.code, ErrorCode::Unavailable, "{refused}");
    pair.rounds(&[0, 1]).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (0, vec![is("firing", "Late")]));
}

#[tokio::test]
async fn a_later_word_waits_behind_one_that_is_tried_again_at_whichever_node_it_comes() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "behind", dir.path()).await;
    pair.post(1, "Late", 240).await;
    pair.put_off_last(2).await;
    // To the node that takes alerts itself: it is over.
    pair.post(0, "Late", 0).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (2, vec![]), "it has not been heard that it fires");
    // Of another alert nothing waits.
    pair.post(0, "Other", 240).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (2, vec![is("firing", "Other")]));
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.waiting().await, 0);
    assert_eq!(pair.alerts(0).await, [is("resolved", "Late"), is("firing", "Other")]);

    // By key, and said by hand of the alert that has the key.
    pair.key(1, SaidState::Firing).await;
    pair.put_off_last(2).await;
    pair.key(0, SaidState::Resolved).await;
    assert_eq!(pair.waiting().await, 2);
    let labels = json!({"alertname": "Disk", "service": "photos", "alert_source": "nightly", "dedup_key": "db1"});
    let over = from(json!({"labels": labels, "endsAt": pair.clock.now()}));
    pair.nodes[0].alerts_posted(&caller("raj", Role::Admin), vec![over]).await.expect("it is taken");
    assert_eq!(pair.waiting().await, 3);
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.nodes[0].alert_keyed(SENDER, "db1").await.expect("it is asked"), None);
    assert_eq!((pair.waiting().await, pair.alerts(0).await[0].clone()), (0, is("resolved", "Disk")));
}

#[tokio::test]
async fn what_waits_behind_one_that_is_tried_again_keeps_nobody_else() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "many", dir.path()).await;
    pair.post(1, "Late", 3_600).await;
    pair.put_off_last(30).await;
    // More than one look takes.
    let now = pair.clock.now();
    let alert = json!({
        "labels": {"alertname": "Late", "service": "photos", "severity": "critical"},
        "startsAt": now, "endsAt": now.plus_ms(3_600_000),
    });
    let body = json!({"posted": [alert]}).to_string();
    let put = pair.nodes[1].housekeeping(move |t| {
        for _ in 0..600 {
            alert_inbox::put(t.tx(), &body, now)?;
        }
        Ok(())
    });
    put.await.expect("they are stored");
    pair.post(1, "Other", 240).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (601, vec![is("firing", "Other")]));
    // Not read again before the first of them is due.
    let due = pair.nodes[0].read(move |tx| Ok(alert_inbox::due(tx, 0, now.plus_ms(29_000), 1)?)).await;
    assert!(due.expect("the store is read").is_empty());
    pair.clock.advance_ms(30_000);
    pair.rounds(&[0, 1]).await;
    assert_eq!((pair.waiting().await, pair.alerts(0).await), (0, vec![is("firing", "Late"), is("firing", "Other")]));
}

#[tokio::test]
async fn a_word_that_came_before_a_person_resolved_its_incident_pages_nobody_again() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(&server, "before", dir.path()).await;
    pair.key(1, SaidState::Firing).await;
    pair.rounds(&[0, 1]).await;
    // It came to the other node, and nobody has taken it yet.
    pair.key(1, SaidState::Firing).await;
    pair.clock.advance_ms(100);
    let ana = caller("ana", Role::Responder);
    pair.nodes[0].incident_resolve(&ana, 1, Resolution::default()).await.expect("it is resolved");
    pair.rounds(&[0, 1]).await;
    assert_eq!((pair.waiting().await, pair.kinds("incident.opened").await.len()), (0, 1));
    pair.key(1, SaidState::Firing).await;
    pair.rounds(&[0, 1]).await;
    assert_eq!(pair.kinds("incident.opened").await.len(), 2);
}

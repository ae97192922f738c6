//! What the store says while nobody lives on it, and a store of which parts break.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tenfold_app::{App, Caller};
use tenfold_store::{Db, Row, StoreError, alert_inbox, alerts as store};
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Clock as _, Event, Timestamp};

use super::model::Model;
use super::words::{Database, Kept, number};
use crate::lives::events_behind;
use crate::world::{Node, Samples};

/// Requests in the inbox; there are never so many.
const ROWS_MAX: i64 = 10_000;

/// Each alert is a group of its own, so that a message is about one.
const ROUTING: &str = "
route: {receiver: programs, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 720h}
receivers: [{name: programs, quiet: true, webhook_configs: [{url: 'http://hook.example/'}]}]
";

const BROKEN: &str = "CREATE TABLE broken_alerts (rule TEXT PRIMARY KEY)";
const SQLITE: [&str; 2] = [
    BROKEN,
    "CREATE TRIGGER broken_alert BEFORE INSERT ON alerts \
     WHEN EXISTS (SELECT 1 FROM broken_alerts WHERE rule = NEW.rule) \
     BEGIN SELECT RAISE(ABORT, 'this place is broken'); END",
];
const POSTGRES: [&str; 3] = [
    BROKEN,
    "CREATE FUNCTION refuse_broken_alert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF EXISTS (SELECT 1 FROM broken_alerts WHERE rule = NEW.rule) THEN RAISE EXCEPTION 'this place is broken'; END IF; \
     RETURN NEW; END $$",
    "CREATE TRIGGER broken_alert BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION refuse_broken_alert()",
];

/// A node on the store; `name` is its directory of samples.
pub async fn node(db: &Db, at: (&Path, &str), database: &Database, seed: u64, clock: &TestClock) -> App {
    let (dir, name) = at;
    let node = Node { db, dir, name, database_url: database.url() };
    let samples = Arc::new(Samples::default());
    node.start(clock, &TestEntropy::seeded(seed), &Arc::default(), &samples).await
}

/// Writes the routing, and lets parts of the store break. Says which time it was then.
pub async fn set_up(dir: &Path, database: &Database) -> i64 {
    let clock = TestClock::default();
    let db = database.open(dir).await;
    let app = node(&db, (dir, "set-up"), database, 1, &clock).await;
    app.routing_put(&Caller::system(), ROUTING, false).await.expect("the routing is put");
    let statements: &[&'static str] = match database {
        Database::Sqlite => &SQLITE,
        Database::Postgres(_) => &POSTGRES,
    };
    for sql in statements.iter().copied() {
        app.housekeeping(move |t| Ok(t.tx().execute(sql, &[])?)).await.expect("it can break");
    }
    clock.now().millis()
}

/// The alerts that fire of which it is stored that the webhook was told so.
pub async fn known(app: &App) -> BTreeSet<u64> {
    let rows = app.read(|tx| Ok(store::webhooks(tx)?)).await.expect("the store is read");
    let bodies = rows.iter().map(|(_, body)| serde_json::from_str::<serde_json::Value>(body).expect("it is JSON"));
    let fires = bodies.filter(|body| body["firing"].as_array().is_some_and(|firing| !firing.is_empty()));
    fires.filter_map(|body| number(body["labels"]["alertname"].as_str()?)).collect()
}

/// A request that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub kept: Kept,
    pub tries: i64,
    pub next_at: Timestamp,
}

pub struct Truth {
    /// In the order in which they came.
    pub waiting: Vec<Waiting>,
    /// What was kept aside.
    pub refused: Vec<Kept>,
    /// The states of the alerts.
    pub states: BTreeMap<u64, String>,
    pub known: BTreeSet<u64>,
    /// What was recorded since the model looked last.
    pub events: Vec<Event>,
    /// Where the chain of the record is broken, as far as that was asked.
    pub broken: Option<i64>,
}

impl Truth {
    /// `verify` looks at the whole record.
    pub async fn read(dir: &Path, database: &Database, model: &Model, verify: bool) -> Self {
        let clock = TestClock::at(Timestamp(model.now_ms));
        let db = database.open(dir).await;
        // It waits for the lock of the writers, and so for a commit that the dead had sent.
        let app = node(&db, (dir, "reader"), database, 2, &clock).await;
        let end = Timestamp(i64::MAX);
        let read = app.read(move |tx| {
            let rows = tx.query("SELECT rule, state FROM alerts", &[])?;
            let state = |row: &Row| Ok((row.string(0)?, row.string(1)?));
            let states = rows.iter().map(state).collect::<Result<Vec<_>, StoreError>>()?;
            Ok((alert_inbox::due(tx, 0, end, ROWS_MAX)?, alert_inbox::refused(tx, ROWS_MAX)?, states))
        });
        let (waiting, refused, states) = read.await.expect("the store is read");
        let waiting = waiting.into_iter().map(|row| Waiting {
            kept: Kept::read(&row.body),
            tries: row.tries,
            next_at: row.next_at,
        });
        Self {
            waiting: waiting.collect(),
            refused: refused.iter().map(|row| Kept::read(&row.body)).collect(),
            states: states.into_iter().filter_map(|(rule, state)| Some((number(&rule)?, state))).collect(),
            known: known(&app).await,
            events: events_behind(&app, model.seq).await,
            broken: if verify { app.record_verify().await.expect("the record is read").first_broken } else { None },
        }
    }
}

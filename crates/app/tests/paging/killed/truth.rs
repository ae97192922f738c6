//! What the store says while nobody lives on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tenfold_app::alerts::{AlertView, MuteView};
use tenfold_app::incidents::IncidentView;
use tenfold_app::people::PersonUpdate;
use tenfold_app::{App, Caller};
use tenfold_store::Db;
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Clock as _, Event, Timestamp};

use super::model::Model;
use crate::lives::events_behind;
use crate::world::{Node, Samples, from, people};

/// Incidents in one read.
const READ: i64 = 200;

/// Where ana is reached beside her mail.
pub const RING: &str = "https://ana.example/ring";

const ROUTING: &str = "
route:
  receiver: on-call
  group_by: [service, environment]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 4h
  routes:
  - {matchers: ['service=~\"photos|search|uploads\"'], receiver: programs, group_interval: 10s, continue: true}
  - {matchers: ['service=\"photos\"'], receiver: photos}
  - {matchers: ['service=\"albums\"'], group_wait: 10s, group_interval: 5m}
  - {matchers: ['service=~\"search|uploads\"']}
receivers:
- {name: on-call, policy: default}
- {name: photos, policy: photos}
- {name: programs, quiet: true, webhook_configs: [{url: 'http://programs.example/'}]}
";

/// The server on the store in `dir`; `name` is its directory of samples.
pub async fn open(dir: &Path, name: &str, seed: u64, clock: &TestClock, samples: &Arc<Samples>) -> App {
    let db = Db::open_sqlite(dir.join("state.db"), tenfold_testkit::sealer()).await.expect("the store opens");
    let node = Node { db: &db, dir, name, database_url: "" };
    node.start(clock, &TestEntropy::seeded(seed), &Arc::default(), samples).await
}

/// Writes people, policies, rules and routing. Says which time it was then.
pub async fn set_up(dir: &Path) -> i64 {
    let clock = TestClock::default();
    let app = open(dir, "set-up", 1, &clock, &Arc::default()).await;
    people(&app).await;
    let system = Caller::system();
    let contact = json!({"email": "ana@example.org", "webhook": RING});
    let update = PersonUpdate { contact: Some(from(contact)), ..PersonUpdate::default() };
    app.person_put(&system, "ana", update).await.expect("ana says how to reach her");
    let step = |delay_ms: i64, who: &str| json!({"delay_ms": delay_ms, "targets": [{"kind": "person", "name": who}]});
    let policy = from(json!({"steps": [step(60_000, "ana"), step(120_000, "raj")], "repeat": 1}));
    app.policy_put(&system, "default", policy).await.expect("a policy is made");
    app.routing_put(&system, ROUTING, false).await.expect("the routing is put");
    clock.now().millis()
}

pub struct Truth {
    pub alerts: Vec<AlertView>,
    pub incidents: BTreeMap<i64, IncidentView>,
    /// By their reasons.
    pub mutes: BTreeMap<String, MuteView>,
    /// What was recorded since the model looked last.
    pub events: Vec<Event>,
    /// Where the chain of the record is broken, as far as that was asked.
    pub broken: Option<i64>,
}

impl Truth {
    /// `verify` looks at the whole record.
    pub async fn read(dir: &Path, model: &Model, verify: bool) -> Self {
        let clock = TestClock::at(Timestamp(model.now_ms));
        let app = open(dir, "reader", 2, &clock, &Arc::default()).await;
        let mutes = app.mutes_all().await.expect("the mutes are read");
        Self {
            alerts: app.alerts_list(None).await.expect("the alerts are read"),
            incidents: incidents(&app).await,
            mutes: mutes.into_iter().map(|mute| (mute.reason.clone(), mute)).collect(),
            events: events_behind(&app, model.seq).await,
            broken: if verify { app.record_verify().await.expect("the record is read").first_broken } else { None },
        }
    }
}

async fn incidents(app: &App) -> BTreeMap<i64, IncidentView> {
    let (mut all, mut before) = (BTreeMap::new(), None);
    loop {
        let some = app.incidents_list(None, before, Some(READ)).await.expect("the incidents are read");
        let Some(last) = some.last() else { return all };
        before = Some(last.number);
        all.extend(some.into_iter().map(|incident| (incident.number, incident)));
    }
}

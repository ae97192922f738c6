//! Checks: programs and built-in looks on an interval, with the states of Nagios. A hard problem becomes an alert and goes
//! the way of all alerts; performance data become series.
//!
//! The node that holds the alerting lease looks. Results that change nothing stay in memory; a change is stored, with its
//! event, before anybody is told.

mod manage;
mod nagios;
mod ports;
mod results;
mod schedule;
mod spec;
mod views;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_alerting::checks::CheckState;
use tenfold_protocols::plugin::PerfValue;
use tenfold_store::checks as store;
use tenfold_types::{Fault, Timestamp};

use crate::App;

pub use manage::PassiveResult;
pub use nagios::{ImportNote, NagiosDrafts, NagiosImport, NagiosPerson, import_nagios};
pub use ports::{CheckRunner, Ran};
pub use schedule::run;
pub use spec::{CheckSpec, Disk, Dns, Flapping, Http, Nrpe, Passive, Process, Run, Tcp, Tls};
pub use views::{CheckList, CheckValue, CheckView, SchedulerView};

/// Checks there may be.
pub const CHECKS_MAX: usize = 10_000;

/// Labels of an alert, by which it is ended again.
type AlertLabels = BTreeMap<String, String>;

/// What is kept of a check besides its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stand {
    state: CheckState,
    /// The alert that fires for it.
    raised: Option<AlertLabels>,
    /// Alerts that are over and of which the pipeline has not heard yet.
    owed: Vec<AlertLabels>,
}

/// One check in memory.
struct Check {
    spec: Arc<CheckSpec>,
    times: spec::Times,
    stand: Stand,
    next_at: Timestamp,
    running: bool,
    /// Tells an entry of the queue that was overtaken.
    turn: u64,
    /// When the pipeline was told last.
    told_at: Timestamp,
    long: String,
    values: Vec<PerfValue>,
    took_ms: i64,
}

/// The part's memory.
#[derive(Default)]
pub struct State {
    table: Mutex<BTreeMap<String, Check>>,
    queue: Mutex<BinaryHeap<Reverse<(Timestamp, u64, String)>>>,
    runner: RwLock<Option<Arc<dyn CheckRunner>>>,
    /// One change at a time, so that what is stored is what follows from what was stored.
    changing: tokio::sync::Mutex<()>,
    looks: schedule::Looks,
}

impl Check {
    fn new(spec: CheckSpec, stand: Stand) -> Result<Self, Fault> {
        let times = spec.times()?;
        Ok(Self {
            spec: Arc::new(spec),
            times,
            stand,
            next_at: Timestamp(0),
            running: false,
            turn: 0,
            told_at: Timestamp(0),
            long: String::new(),
            values: Vec::new(),
            took_ms: 0,
        })
    }
}

impl Stand {
    const fn new(now: Timestamp) -> Self {
        Self { state: CheckState::new(now), raised: None, owed: Vec::new() }
    }
}

pub async fn load(app: &App) -> Result<(), Fault> {
    let rows = app.read(|tx| Ok(store::list(tx)?)).await?;
    let now = app.now();
    let mut table = BTreeMap::new();
    for row in rows {
        let wrong = |e: serde_json::Error| Fault::internal(format!("the check {} cannot be read: {e}", row.name));
        let spec = serde_json::from_str(&row.body).map_err(wrong)?;
        let stand = row.state.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
        let mut check = Check::new(spec, stand.unwrap_or_else(|| Stand::new(now)))?;
        // A start is no news: silence counts from now on.
        check.stand.state.last_at = check.stand.state.last_at.max(now);
        table.insert(row.name, check);
    }
    *app.checks.table.lock() = table;
    let names: Vec<String> = app.checks.table.lock().keys().cloned().collect();
    for name in names {
        schedule::spread(app, &name);
    }
    Ok(())
}

impl App {
    /// Gives the one who looks. Called once at start.
    pub fn set_check_runner(&self, runner: Arc<dyn CheckRunner>) {
        *self.checks.runner.write() = Some(runner);
    }
}

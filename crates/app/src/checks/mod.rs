//! Checks: programs and built-in looks on an interval, with the states of Nagios. A hard problem becomes an alert and goes
//! the way of all alerts; performance data become series.
//!
//! The node that holds the alerting lease looks. Results that change nothing stay in memory; a change is stored, with its
//! event, before anybody is told. Every node follows what is put, changed and deleted on any other, and where checks stand.

mod inbox;
mod listed;
mod look;
mod manage;
mod nagios;
mod ports;
mod results;
mod schedule;
mod secrets;
mod series;
mod spec;
mod views;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_alerting::checks::CheckState;
use tenfold_protocols::plugin::PerfValue;
use tenfold_store::{checks as store, events as record, events::EventQuery};
use tenfold_tsdb::Sample;
use tenfold_types::{Fault, Timestamp};

use crate::{App, sources::START_GRACE_MS};

pub use listed::{CheckAsk, CheckCounts, CheckList};
pub use look::{Disk, Dns, DnsRecord, Http, Nrpe, Passive, Process, Run, Tcp, Tls};
pub use manage::PassiveResult;
pub(crate) use nagios::plain;
pub use nagios::{ImportNote, NagiosDrafts, NagiosImport, NagiosMain, NagiosPerson, import_nagios};
pub use ports::{CheckRunner, Ran};
pub(crate) use results::raised;
pub use schedule::run;
pub use secrets::{HeaderSecret, SecretFile};
pub use spec::{CheckSpec, Flapping};
pub use views::{CheckValue, CheckView, SchedulerView};

/// Where the page of a check is, before its name.
pub(crate) const PAGES: &str = "/alerts/checks/";

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
    /// When where it stands was stored last by this process.
    stored_at: Timestamp,
    long: String,
    values: Vec<PerfValue>,
    took_ms: i64,
    /// The last look took the time it had: what it asks does not answer.
    hung: bool,
    /// Somebody wants it looked at, whatever its hours are.
    asked: bool,
    /// Labels of what its looks bring; made when the first result comes.
    series: Option<series::Series>,
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
    /// What looks have brought since the last tick: many looks are one write.
    samples: Mutex<Vec<Sample>>,
    /// Checks were deleted since it was asked last whose alerts are over; which ones is stored.
    gone: AtomicBool,
    /// One takes what came to other nodes at a time, so that each of it counts once.
    taking: tokio::sync::Mutex<()>,
    /// The newest event about checks that is known here.
    followed: Mutex<i64>,
}

/// Which of two is where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// What is stored: another node looked, or nobody has here so far.
    Stored,
    /// What this node knows, which is newer.
    Kept,
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
            stored_at: Timestamp(0),
            long: String::new(),
            values: Vec::new(),
            took_ms: 0,
            hung: false,
            asked: false,
            series: None,
        })
    }

    /// Takes over what is known of the same check before.
    fn go_on(&mut self, known: Self, stands: Stands) {
        (self.next_at, self.running, self.turn) = (known.next_at, known.running, known.turn);
        (self.told_at, self.stored_at) = (known.told_at, known.stored_at);
        (self.long, self.values, self.took_ms) = (known.long, known.values, known.took_ms);
        (self.hung, self.asked) = (known.hung, known.asked);
        if stands == Stands::Kept {
            self.stand = known.stand;
        }
    }
}

impl Stand {
    const fn new(now: Timestamp) -> Self {
        Self { state: CheckState::new(now), raised: None, owed: Vec::new() }
    }
}

/// When a check was heard last, after a start of the server, as far as its freshness goes. A start is no news of a check that is
/// looked at: silence counts from now on. What is sent from outside may have had nowhere to be sent to for a while, and is
/// late as ever beyond that. Nothing was heard later than now: the clock may have been set back meanwhile.
fn heard_last(spec: &CheckSpec, freshness_ms: Option<i64>, stored: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let (Run::Passive(_), Some(fresh), Some(at)) = (&spec.run, freshness_ms, stored) else { return now };
    at.max(now.plus_ms(fresh.min(START_GRACE_MS) - fresh)).min(now)
}

fn read(row: &store::CheckRow, now: Timestamp) -> Result<Check, Fault> {
    let wrong = |e: serde_json::Error| Fault::internal(format!("the check {} cannot be read: {e}", row.name));
    let spec: CheckSpec = serde_json::from_str(&row.body).map_err(wrong)?;
    let stored: Option<Stand> = row.state.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
    let heard_at = stored.as_ref().map(|stand| stand.state.last_at);
    let mut check = Check::new(spec, stored.unwrap_or_else(|| Stand::new(now)))?;
    check.stand.state.last_at = heard_last(&check.spec, check.times.freshness_ms, heard_at, now);
    Ok(check)
}

pub async fn load(app: &App) -> Result<(), Fault> {
    app.settings.checks.check()?;
    let newest = app.read(|tx| Ok(record::last_seq(tx)?)).await?;
    *app.checks.followed.lock() = newest;
    reload(app, Stands::Stored).await
}

/// Reads the checks again. Looks that are under way or planned stay so, unless their check has changed.
async fn reload(app: &App, stands: Stands) -> Result<(), Fault> {
    let _one = app.checks.changing.lock().await;
    let rows = app.read(|tx| Ok(store::list(tx)?)).await?;
    let now = app.now();
    let mut anew = BTreeMap::new();
    for row in rows {
        anew.insert(row.name.clone(), read(&row, now)?);
    }
    let mut changed = Vec::new();
    let gone = {
        let mut table = app.checks.table.lock();
        for (name, check) in &mut anew {
            let known = table.remove(name);
            if known.as_ref().is_none_or(|known| known.spec != check.spec) {
                changed.push(name.clone());
            }
            if let Some(known) = known {
                check.go_on(known, stands);
            }
        }
        std::mem::replace(&mut *table, anew)
    };
    // After a start or a takeover as well: whoever deleted it may not have come to tell it.
    if stands == Stands::Stored || !gone.is_empty() {
        app.checks.gone.store(true, Ordering::Release);
    }
    for name in changed {
        schedule::spread(app, &name);
    }
    Ok(())
}

/// This node takes over: another one has looked until now. Checks that cannot be read keep no rule from being evaluated.
pub(crate) async fn caught_up(app: &App) {
    if app.settings.database_url.is_empty() {
        return;
    }
    if let Err(fault) = reload(app, Stands::Stored).await {
        tracing::warn!(%fault, "where checks stand could not be read; they go on from what this node knows");
    }
}

/// On a shared database another node may have changed checks, or look at them: read again what the record says has changed.
pub(crate) async fn follow(app: &App, looks: bool) {
    if app.settings.database_url.is_empty() {
        return;
    }
    if let Err(fault) = followed(app, looks).await {
        tracing::warn!(%fault, "the checks of other nodes could not be read; trying again");
    }
}

async fn followed(app: &App, looks: bool) -> Result<(), Fault> {
    let query = EventQuery {
        kinds: vec![if looks { "check.changed" } else { "check." }.to_owned()],
        after: Some(*app.checks.followed.lock()),
        limit: 1,
        include_admin: true,
        ..EventQuery::default()
    };
    if let Some(newest) = app.events(query).await?.first() {
        reload(app, if looks { Stands::Kept } else { Stands::Stored }).await?;
        *app.checks.followed.lock() = newest.seq;
    }
    Ok(())
}

impl App {
    /// Gives the one who looks. Called once at start.
    pub fn set_check_runner(&self, runner: Arc<dyn CheckRunner>) {
        *self.checks.runner.write() = Some(runner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_gives_what_is_sent_some_minutes_and_what_is_looked_at_all_of_its_time() {
        let spec = |run: &str| -> CheckSpec {
            serde_json::from_str(&format!("{{\"run\": {run}, \"freshness\": \"26h\"}}")).expect("a check")
        };
        let (passive, plugin) = (spec("{\"passive\": {}}"), spec("{\"plugin\": [\"x\"]}"));
        let (hour, now) = (3_600_000, Timestamp(1_700_000_000_000));
        let last = |spec: &CheckSpec, fresh: i64, ago: i64| heard_last(spec, Some(fresh), Some(now.plus_ms(-ago)), now);
        assert_eq!(last(&passive, 26 * hour, 3 * hour), now.plus_ms(-3 * hour), "a start gives no day");
        let late = last(&passive, 26 * hour, 30 * hour);
        assert_eq!(now.since_ms(late), 26 * hour - START_GRACE_MS, "five minutes are left");
        assert_eq!(last(&passive, 60_000, hour), now, "no more than its own time");
        assert_eq!(last(&plugin, 26 * hour, 30 * hour), now);
        for spec in [&passive, &plugin] {
            assert_eq!(last(spec, 26 * hour, -hour), now, "the clock was set back");
        }
        assert_eq!(heard_last(&passive, Some(hour), None, now), now, "it was never heard");
    }
}

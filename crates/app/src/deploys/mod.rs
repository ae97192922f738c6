//! Deploys: services, the agents' hosts, locks, and one conductor task per running deploy.
//!
//! The conductor writes each step of the state machine together with its events and only then acts on it; after a crash
//! `load` finds what is unfinished, takes the lease again, asks the hosts, takes up programs that still run, and goes on.
//! Orders carry the lease's epoch, and hosts refuse a lower one, so at most one runner acts on a service and environment.

mod after;
mod again;
mod agents;
mod approvers;
mod asks;
mod blobs;
mod check;
mod closely;
mod conductor;
mod deltas;
mod diff;
mod effects;
mod elsewhere;
mod expected;
mod facts;
mod faults;
mod forward;
mod gate;
mod handed;
mod held;
mod hub;
mod judged;
mod left;
mod levels;
mod limits;
mod listed;
mod lock_views;
mod locks;
mod log;
mod next;
pub mod ports;
mod prune;
mod queue;
mod quiet;
mod read;
mod services;
mod stages;
mod start;
mod startable;
mod stored;
mod targets;
mod trains;
pub mod views;
mod way_back;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use tenfold_protocols::agent::OrderRef;
use tenfold_store::{deploys as store, leases};
use tenfold_types::{Fault, Timestamp};
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use agents::{AgentSession, HEARTBEAT_MS};
pub use asks::Answer;
pub use blobs::{Blobs, hash_file};
pub use deltas::{Delta, Long, Pack, Packed, Part, Plan};
pub use forward::RollForward;
pub use listed::Listed;
pub use log::RunLog;
pub(crate) use queue::push as queue_push;
pub use queue::{QueueAsked, QueueEntry, QueueView, QueueWord, look as look_at_queues};
pub use read::read_pipeline;
pub(crate) use stored::short as short_sha;

use crate::App;
use conductor::{RunHandle, Signal};

/// How often hosts that went away are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How often deploys whose server is gone are looked for, where another server may be.
const ORPHANS: Duration = Duration::from_secs(1);
/// How often artifacts that nobody needs are looked for.
const PRUNE: Duration = Duration::from_hours(1);
/// How many changes a slow page may lag behind before it reads the deploy again.
const CHANGES_MAX: usize = 256;
/// Most deploys that are taken up again at start.
const UNFINISHED_MAX: u32 = 1_000;

/// What this part keeps in memory.
pub struct State {
    hub: hub::Hub,
    logs: log::Logs,
    deltas: deltas::Deltas,
    runs: Mutex<HashMap<i64, RunHandle>>,
    runner: OnceLock<Arc<dyn ports::Runner>>,
    executor: OnceLock<Arc<dyn ports::Executor>>,
    /// By deploy, of those that are handed to a cluster.
    pods: Mutex<BTreeMap<i64, handed::Pods>>,
    /// By host and service, what was recorded of limits that the host cannot hold.
    limits_missing: Mutex<HashMap<(String, String), Vec<String>>>,
    tries: Mutex<queue::Tries>,
    changes: broadcast::Sender<i64>,
    node: OnceLock<String>,
    conductors: TaskTracker,
    stop: CancellationToken,
}

impl Default for State {
    fn default() -> Self {
        Self {
            hub: hub::Hub::default(),
            logs: log::Logs::default(),
            deltas: deltas::Deltas::default(),
            runs: Mutex::default(),
            runner: OnceLock::new(),
            executor: OnceLock::new(),
            pods: Mutex::default(),
            limits_missing: Mutex::default(),
            tries: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_MAX),
            node: OnceLock::new(),
            conductors: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }
}

impl State {
    /// Who reads repositories and builds. Set once, before `load`.
    pub fn set_runner(&self, runner: Arc<dyn ports::Runner>) {
        let _ = self.runner.set(runner);
    }
    /// Who carries out what does not go to hosts. Set once, before `load`.
    pub fn set_executor(&self, executor: Arc<dyn ports::Executor>) {
        let _ = self.executor.set(executor);
    }
    fn executor(&self) -> Result<Arc<dyn ports::Executor>, Fault> {
        self.executor.get().cloned().ok_or_else(|| {
            Fault::unavailable(
                "this server carries out nothing but deploys to hosts: it was started without an executor",
            )
        })
    }
    /// Numbers of deploys that changed, for pages that show one live.
    pub fn changes(&self) -> broadcast::Receiver<i64> {
        self.changes.subscribe()
    }
    /// Cancelled when the server stops; whoever holds an agent's socket lets it go then.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }
    fn runner(&self) -> Result<Arc<dyn ports::Runner>, Fault> {
        self.runner
            .get()
            .cloned()
            .ok_or_else(|| Fault::unavailable("this server cannot build: it was started without a runner"))
    }
    /// Fetches what is new in a service's repository.
    pub(crate) async fn fetch(&self, service: &str, repository: &str) -> Result<(), Fault> {
        let source = ports::Source { service: service.to_owned(), repository: repository.to_owned() };
        self.runner()?.fetch(&source).await
    }
    /// The commit a service's branch is at, after a fetch.
    pub(crate) async fn head(&self, service: &str, repository: &str, branch: &str) -> Result<String, Fault> {
        let source = ports::Source { service: service.to_owned(), repository: repository.to_owned() };
        let runner = self.runner()?;
        runner.fetch(&source).await?;
        Ok(runner.resolve(&source, branch).await?.sha)
    }
    /// Fetches a commit that is not here: the repository may never have been fetched by this server.
    async fn have(&self, source: &ports::Source, sha: &str) -> Result<(), Fault> {
        let runner = self.runner()?;
        if runner.resolve(source, sha).await.is_ok() {
            return Ok(());
        }
        runner.fetch(source).await
    }
    /// This node's name as a holder of leases.
    pub(crate) fn node(&self) -> Result<String, Fault> {
        self.node.get().cloned().ok_or_else(|| Fault::internal("the node has no name yet"))
    }
    /// A conductor is still at work on the deploy; its last words may not be in the log yet.
    pub fn is_conducted(&self, deploy: i64) -> bool {
        self.runs.lock().contains_key(&deploy)
    }
    /// An answer concerns only the run that gave the order, under the epoch it was given, and comes from a host of its
    /// environment: an agent may say anything.
    fn is_answer(&self, host: &str, order: &OrderRef) -> bool {
        let of_run = self.runs.lock().get(&order.deploy).is_some_and(|r| {
            r.epoch == order.epoch && r.service == order.service && r.environment == order.environment
        });
        of_run && self.hub.is_in(host, &order.environment)
    }
    fn running_in(&self, environment: &str) -> Vec<(i64, String)> {
        let runs = self.runs.lock();
        runs.iter().filter(|(_, r)| r.environment == environment).map(|(n, r)| (*n, r.service.clone())).collect()
    }
}

/// What others outside of this part need of a deploy.
pub(crate) struct Shipped {
    pub service: String,
    pub environment: String,
    pub sha: String,
    pub repository: String,
    /// What ran before.
    pub from: Option<String>,
    pub is_rollback: bool,
    /// Nothing was built: its artifact was good in the stage before.
    pub after_stage: bool,
    /// It got no further than its build, and that gave no artifact.
    pub ended_in_build: bool,
}

impl App {
    /// The store of artifact files. Its methods block.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(&self.settings.data_dir)
    }

    /// The log of a deploy, for reading and following.
    pub fn deploy_log(&self, number: i64) -> Arc<RunLog> {
        self.deploys.logs.get(&self.settings.data_dir, &self.clock, number)
    }

    /// What a deploy ships and from where; nothing when it is not kept any more.
    pub(crate) async fn deploy_shipped(&self, number: i64) -> Result<Option<Shipped>, Fault> {
        let row = self.read(move |tx| Ok(store::deploy_get(tx, number)?)).await?;
        row.map(|row| {
            let stored = stored::Stored::from_row(&row)?;
            let last = stored.run.steps.last().map(|step| step.name);
            Ok(Shipped {
                after_stage: stored.asked.after_stage.is_some(),
                ended_in_build: last == Some(tenfold_deploys::machine::State::Building) && stored.run.digest.is_none(),
                service: stored.service,
                environment: stored.environment,
                sha: stored.sha,
                repository: stored.asked.repository,
                from: stored.asked.from_sha,
                is_rollback: stored.reverts.is_some(),
            })
        })
        .transpose()
    }

    fn signal(&self, deploy: i64, signal: Signal) {
        if let Some(handle) = self.deploys.runs.lock().get(&deploy) {
            let _ = handle.tx.send(signal);
        }
    }
}

/// Reads the hosts and takes up what was unfinished when the server stopped.
pub async fn load(app: &App) -> Result<(), Fault> {
    let node = node_name(app)?;
    let _ = app.deploys.node.set(node);
    let now = app.now();
    for row in app.read(|tx| Ok(store::hosts(tx)?)).await? {
        let mut known: hub::Known = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the host {} cannot be read: {e}", row.name)))?;
        known.recorded_connected = row.connected;
        // it has until the sweep to come back before it counts as gone
        known.last_seen = if row.connected { now } else { row.last_seen };
        targets::expect_host(app, &row.name, &row.environment)?;
        app.deploys.hub.put(row.name, known);
    }
    let query = store::DeployQuery { unfinished: true, limit: UNFINISHED_MAX, ..store::DeployQuery::default() };
    let unfinished = app.read(move |tx| Ok(store::deploys(tx, &query)?)).await?;
    let unfinished = unfinished.iter().map(stored::Stored::from_row).collect::<Result<Vec<_>, Fault>>()?;
    if let Ok(runner) = app.deploys.runner() {
        let mut under_way: Vec<ports::Step> = unfinished.iter().filter_map(stored::Stored::under_way).collect();
        under_way.extend(again::begun_before(app, &unfinished));
        runner.set_aside(&under_way).await;
        // what is left may have to be ended first, and a big folder takes its time: the server does not wait for it
        tokio::spawn(async move { runner.tidy().await });
    }
    for stored in unfinished {
        conductor::spawn(app, stored, conductor::Beginning::Resumed);
    }
    Ok(())
}

/// Sweeps hosts that went away; when `stop` is cancelled, ends the conductors where they stand.
pub async fn run(app: App, stop: CancellationToken) {
    let after = tokio::spawn(after::run(app.clone(), stop.clone()));
    let expected = tokio::spawn(expected::run(app.clone(), stop.clone()));
    let closely = tokio::spawn(closely::run(app.clone(), stop.clone()));
    let queues = tokio::spawn(queue::run(app.clone(), stop.clone()));
    let mut prune_at = tokio::time::interval(PRUNE);
    prune_at.tick().await;
    let every = |period: Duration| {
        let mut every = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        every
    };
    let mut sweep_at = every(SWEEP);
    // where no other server can be, only what this one let go is found
    let mut orphans_at = every(if app.settings.database_url.is_empty() { SWEEP } else { ORPHANS });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = prune_at.tick() => match prune::prune(&app).await {
                Ok((artifacts, blobs)) => tracing::info!(artifacts, blobs, "removed artifacts that nobody needs"),
                Err(fault) => tracing::warn!(%fault, "old artifacts stay"),
            },
            _ = sweep_at.tick() => app.record_gone_hosts().await,
            _ = orphans_at.tick() => {
                if let Err(fault) = take_over(&app).await {
                    tracing::warn!(%fault, "unfinished deploys could not be looked for");
                }
            }
        }
    }
    let _ = after.await;
    let _ = expected.await;
    let _ = closely.await;
    let _ = queues.await;
    app.deploys.stop.cancel();
    app.deploys.conductors.close();
    app.deploys.conductors.wait().await;
}

/// Goes on with deploys whose node is gone: they are not final, and nobody renews their lease.
async fn take_over(app: &App) -> Result<(), Fault> {
    let query = store::DeployQuery { unfinished: true, limit: UNFINISHED_MAX, ..store::DeployQuery::default() };
    let orphans = app
        .read(move |tx| {
            let mut orphans = Vec::new();
            for row in store::deploys(tx, &query)? {
                let lease = leases::get(tx, &conductor::lease_name(&row.service, &row.environment))?;
                orphans.push((row, lease));
            }
            Ok(orphans)
        })
        .await?;
    let now = app.now();
    for (row, lease) in orphans {
        let running_here = app.deploys.runs.lock().contains_key(&row.number);
        // a fresh deploy has no conductor for a moment
        let fresh = now.since_ms(row.started_at) < conductor::LEASE_MS;
        if running_here || fresh || lease.is_some_and(|l| l.expires_at > now) {
            continue;
        }
        tracing::warn!(deploy = row.number, "taking over a deploy whose server is gone");
        conductor::spawn(app, stored::Stored::from_row(&row)?, conductor::Beginning::Resumed);
    }
    Ok(())
}

/// This node's name as a holder of leases. It survives a restart, so that the node gets its own leases back at once; the
/// data directory is locked, so no two processes have the same.
fn node_name(app: &App) -> Result<String, Fault> {
    let path = app.settings.data_dir.join("node");
    if let Ok(name) = std::fs::read_to_string(&path)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    let name = format!("node-{}", app.random_text(9));
    std::fs::create_dir_all(&app.settings.data_dir)
        .and_then(|()| std::fs::write(&path, &name))
        .map_err(|e| Fault::internal(format!("{} cannot be written: {e}", path.display())))?;
    Ok(name)
}

/// From a sorted list; `None` of an empty one.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn took_ms(from: Timestamp, to: Option<Timestamp>) -> Option<i64> {
    to.map(|to| to.since_ms(from))
}

//! When each check is looked at. A queue by instant; a check never overlaps itself; looks share places, so that a thousand
//! hanging plugins do not become a thousand processes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_alerting::checks::CheckStatus;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{Run, ports::Ran};
use crate::App;

/// How often the queue is looked at.
const TICK: Duration = Duration::from_millis(10);
/// How often checks are asked whether they have been silent for too long.
const FRESH_MS: i64 = 1_000;
/// Plugins and connections at one time.
const LOOKS_MAX: usize = 64;
/// Of how many looks the lateness is kept.
const LATE_KEPT: usize = 10_000;

/// Places, and how late looks were.
pub(super) struct Looks {
    places: Arc<Semaphore>,
    running: watch::Sender<usize>,
    late_ms: Mutex<VecDeque<i64>>,
    done: Mutex<u64>,
    fresh_at: Mutex<Timestamp>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKS_MAX)),
            running: watch::Sender::new(0),
            late_ms: Mutex::default(),
            done: Mutex::default(),
            fresh_at: Mutex::default(),
        }
    }
}

impl Looks {
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }
    pub fn done(&self) -> u64 {
        *self.done.lock()
    }
    /// Median, 99th percentile and largest lateness of the last looks.
    pub fn late(&self) -> Option<(i64, i64, i64)> {
        let mut all: Vec<i64> = self.late_ms.lock().iter().copied().collect();
        all.sort_unstable();
        let at = |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1))).copied();
        Some((at(0.5)?, at(0.99)?, *all.last()?))
    }
    fn note(&self, late_ms: i64) {
        *self.done.lock() += 1;
        let mut late = self.late_ms.lock();
        if late.len() == LATE_KEPT {
            late.pop_front();
        }
        late.push_back(late_ms);
    }
}

/// Looks until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        if let Err(fault) = app.checks_tick().await {
            tracing::warn!(%fault, "checks were not looked at; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    app.checks_keep();
}

/// Puts a check into the queue, somewhere within its interval: checks that were put together are not looked at together.
pub(super) fn spread(app: &App, name: &str) {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let now = app.now();
    let interval = app.checks.table.lock().get(name).map_or(0, |c| c.times.interval_ms);
    let offset = (hasher.finish() % interval.max(1).unsigned_abs()) as i64;
    plan(app, name, now.plus_ms(offset));
}

/// The next look, instead of the one that was planned.
pub(super) fn plan(app: &App, name: &str, at: Timestamp) {
    let mut table = app.checks.table.lock();
    let Some(check) = table.get_mut(name) else { return };
    if matches!(check.spec.run, Run::Passive(_)) {
        return;
    }
    check.turn += 1;
    check.next_at = at;
    app.checks.queue.lock().push(Reverse((at, check.turn, name.to_owned())));
}

impl App {
    /// Starts what is due now. The loop calls it; tests do after moving the clock.
    pub async fn checks_tick(&self) -> Result<(), Fault> {
        self.checks_keep();
        let idle = self.checks.table.lock().is_empty() && self.checks.gone.lock().is_empty();
        let shared = !self.settings.database_url.is_empty();
        if (idle && !shared) || !self.looks_at_checks().await? {
            return Ok(());
        }
        self.checks_tell_gone(self.now()).await?;
        let Some(runner) = self.checks.runner.read().clone() else { return Ok(()) };
        let now = self.now();
        for (name, due) in self.checks_due(now) {
            let (app, runner) = (self.clone(), runner.clone());
            self.checks.looks.running.send_modify(|n| *n += 1);
            tokio::spawn(async move {
                app.check_look(&*runner, &name, due).await;
                app.checks.looks.running.send_modify(|n| *n -= 1);
            });
        }
        let fresh = {
            let mut at = self.checks.looks.fresh_at.lock();
            let due = now.since_ms(*at) >= FRESH_MS;
            if due {
                *at = now;
            }
            due
        };
        if !fresh {
            return Ok(());
        }
        // What came to others before this moment counts first: it may be what was waited for.
        self.checks_inbox(now).await?;
        self.checks_freshness(now).await
    }

    /// Returns when nobody looks any more, and what was seen is kept.
    pub async fn checks_settle(&self) {
        let mut running = self.checks.looks.running.subscribe();
        // The sender is ours and stays.
        let _ = running.wait_for(|n| *n == 0).await;
        self.checks_keep();
    }

    fn checks_due(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let mut due = Vec::new();
        let mut table = self.checks.table.lock();
        let mut queue = self.checks.queue.lock();
        while queue.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((at, turn, name))) = queue.pop() else { break };
            match table.get_mut(&name) {
                Some(check) if check.turn == turn && !check.running => {
                    check.running = true;
                    due.push((name, at));
                }
                _ => {}
            }
        }
        due
    }

    async fn check_look(&self, runner: &dyn super::CheckRunner, name: &str, due: Timestamp) {
        let Some((spec, timeout_ms)) = self.checks.table.lock().get(name).map(|c| (c.spec.clone(), c.times.timeout_ms))
        else {
            return;
        };
        let Ok(_place) = self.checks.looks.places.clone().acquire_owned().await else { return };
        let began = self.now();
        self.checks.looks.note(began.since_ms(due));
        let ran = runner.run(&spec.run, Duration::from_millis(timeout_ms.unsigned_abs())).await;
        let took_ms = self.now().since_ms(began);
        if let Err(fault) = self.check_result(name, ran, Some(took_ms), self.now()).await {
            tracing::warn!(%fault, check = name, "a result could not be stored; the next one tries again");
        }
        self.check_looked(name, due);
    }

    /// Plans the look after this one, on the check's own grid.
    fn check_looked(&self, name: &str, due: Timestamp) {
        let now = self.now();
        let next = {
            let mut table = self.checks.table.lock();
            let Some(check) = table.get_mut(name) else { return };
            check.running = false;
            let step = if check.stand.state.retries() { check.times.retry_ms } else { check.times.interval_ms };
            let behind = now.since_ms(due).max(0);
            due.plus_ms((behind / step + 1) * step)
        };
        plan(self, name, next);
    }

    /// The result of a program that could not be started or did not come back.
    pub fn check_unknown(why: &str) -> Ran {
        Ran { status: CheckStatus::Unknown, output: why.as_bytes().to_vec() }
    }
}

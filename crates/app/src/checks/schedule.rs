//! When each check is looked at. A queue by instant; a check never overlaps itself; looks share places, so that a thousand
//! hanging plugins do not become a thousand processes. What hung the last time has places of its own: it waits behind what
//! hangs, and nothing else does.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{Check, CheckSpec, Run, State};
use crate::{App, alerts::BACK_MS_MIN};

/// The queue is looked at this often while looks are due, and at least as often as samples are kept.
const TICK_MS: i64 = 10;
/// How often checks are asked whether they have been silent for too long.
const FRESH_MS: i64 = 1_000;
/// Looks without a process, and connections to NRPE daemons, at one time. Plugins have a setting.
const CONNECTIONS_MAX: usize = 2_000;
/// Looks at one time that hung the last time.
const HANGING_MAX: usize = 32;
/// Samples of looks are given to their store this often: many looks are one write.
const KEEP_MS: i64 = 100;
/// Of how many looks the lateness is kept.
const LATE_KEPT: usize = 10_000;

/// Places for looks of each kind.
struct Places {
    plugins: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    hanging: Arc<Semaphore>,
}

impl Places {
    fn new(plugins_at_once: usize) -> Self {
        let of = |places| Arc::new(Semaphore::new(places));
        Self { plugins: of(plugins_at_once), connections: of(CONNECTIONS_MAX), hanging: of(HANGING_MAX) }
    }

    fn of(&self, due: &Due) -> Arc<Semaphore> {
        let is_plugin = matches!(due.spec.run, Run::Plugin(_));
        let places = if due.hung {
            &self.hanging
        } else if is_plugin {
            &self.plugins
        } else {
            &self.connections
        };
        places.clone()
    }
}

/// A look that is to begin.
struct Due {
    name: String,
    at: Timestamp,
    spec: Arc<CheckSpec>,
    timeout_ms: i64,
    /// The last look did.
    hung: bool,
}

/// Places, and how late looks were.
pub(super) struct Looks {
    places: OnceLock<Places>,
    running: watch::Sender<usize>,
    late_ms: Mutex<VecDeque<i64>>,
    done: Mutex<u64>,
    fresh_at: Mutex<Timestamp>,
    kept_at: Mutex<Timestamp>,
    /// The last tick.
    ticked_at: Mutex<Timestamp>,
    /// Something is due before all that was.
    sooner: Notify,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            places: OnceLock::new(),
            running: watch::Sender::new(0),
            late_ms: Mutex::default(),
            done: Mutex::default(),
            fresh_at: Mutex::default(),
            kept_at: Mutex::default(),
            ticked_at: Mutex::default(),
            sooner: Notify::new(),
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

/// Whether so long has passed since the time that is kept, or the clock was set back; it is `now` then.
fn passed(since: &Mutex<Timestamp>, ms: i64, now: Timestamp) -> bool {
    let mut since = since.lock();
    let passed = !(0..ms).contains(&now.since_ms(*since));
    if passed {
        *since = now;
    }
    passed
}

/// A look that took nearly all the time it had, if not more: whatever it asks does not answer.
fn hung(took_ms: i64, timeout_ms: i64) -> bool {
    took_ms * 10 >= timeout_ms * 9
}

/// Looks until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = next_tick(&app) => {}
        }
        if let Err(fault) = app.checks_tick().await {
            tracing::warn!(%fault, "checks were not looked at; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    app.checks_keep();
}

/// Waits until the queue is to be looked at.
async fn next_tick(app: &App) {
    let tick = Duration::from_millis(TICK_MS.unsigned_abs());
    let head = app.checks.queue.lock().peek().map(|Reverse((at, ..))| *at);
    let due_ms = head.map_or(KEEP_MS, |at| at.since_ms(app.now())).clamp(TICK_MS, KEEP_MS);
    let due = tokio::time::sleep(Duration::from_millis(due_ms.unsigned_abs()));
    tokio::select! {
        () = due => {}
        // What is put together is looked at together.
        () = app.checks.looks.sooner.notified() => tokio::time::sleep(tick).await,
    }
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
    if let Some(check) = app.checks.table.lock().get_mut(name) {
        put(&app.checks, check, name, at);
    }
}

/// A look now that somebody wants, also outside of the hours in which it is looked at.
pub(super) fn ask(app: &App, name: &str, now: Timestamp) {
    if let Some(check) = app.checks.table.lock().get_mut(name) {
        check.asked = true;
        put(&app.checks, check, name, now);
    }
}

/// The next instant of a check's own grid. A look that was due later than now began before the clock was set back, and the grid
/// begins anew.
fn after(at: Timestamp, now: Timestamp, step_ms: i64) -> Timestamp {
    let at = at.min(now);
    let behind = now.since_ms(at);
    at.plus_ms((behind / step_ms + 1) * step_ms)
}

/// The server's clock may be set back. What was planned then lies as much farther ahead: checks would not be looked at for an
/// hour, or a day, and none of them would be silent for too long. Plans are moved by what the clock was moved; silence counts
/// from now on at the latest. Also on a node that does not look: it may take over.
fn follow_clock(checks: &State, now: Timestamp) {
    let before = std::mem::replace(&mut *checks.looks.ticked_at.lock(), now);
    let back_ms = before.since_ms(now);
    if back_ms < BACK_MS_MIN {
        return;
    }
    tracing::warn!(back_ms, "the clock was set back; looks of checks are moved with it");
    let mut table = checks.table.lock();
    // Every check that is planned is put anew.
    checks.queue.lock().clear();
    for (name, check) in &mut *table {
        check.told_at = check.told_at.plus_ms(-back_ms);
        check.stored_at = check.stored_at.plus_ms(-back_ms);
        check.stand.state.last_at = check.stand.state.last_at.min(now);
        let at = check.next_at.plus_ms(-back_ms);
        put(checks, check, name, at);
    }
}

/// The table, of which the check is, stays locked meanwhile.
fn put(checks: &State, check: &mut Check, name: &str, at: Timestamp) {
    if matches!(check.spec.run, Run::Passive(_)) {
        return;
    }
    check.turn += 1;
    check.next_at = at;
    let mut queue = checks.queue.lock();
    if queue.peek().is_none_or(|Reverse((head, ..))| at < *head) {
        checks.looks.sooner.notify_one();
    }
    queue.push(Reverse((at, check.turn, name.to_owned())));
}

impl App {
    /// Starts what is due now. The loop calls it; tests do after moving the clock.
    pub async fn checks_tick(&self) -> Result<(), Fault> {
        follow_clock(&self.checks, self.now());
        if passed(&self.checks.looks.kept_at, KEEP_MS, self.now()) {
            self.checks_keep();
        }
        let idle = self.checks.table.lock().is_empty() && !self.checks.gone.load(Ordering::Acquire);
        let shared = !self.settings.database_url.is_empty();
        if (idle && !shared) || !self.looks_at_checks().await? {
            return Ok(());
        }
        self.checks_tell_gone(self.now()).await?;
        let Some(runner) = self.checks.runner.read().clone() else { return Ok(()) };
        let now = self.now();
        let due = self.checks_due(now);
        if !due.is_empty() {
            self.checks.looks.running.send_modify(|n| *n += due.len());
        }
        for due in due {
            let (app, runner) = (self.clone(), runner.clone());
            tokio::spawn(async move {
                app.check_look(&*runner, due).await;
                // Who waits for it waits for the last one.
                app.checks.looks.running.send_if_modified(|n| {
                    *n -= 1;
                    *n == 0
                });
            });
        }
        if !passed(&self.checks.looks.fresh_at, FRESH_MS, now) {
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

    fn checks_due(&self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        let mut table = self.checks.table.lock();
        let mut queue = self.checks.queue.lock();
        while queue.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((at, turn, name))) = queue.pop() else { break };
            match table.get_mut(&name) {
                Some(check) if check.turn == turn && !check.running => {
                    if !std::mem::take(&mut check.asked) && !check.spec.is_active(now) {
                        check.turn += 1;
                        check.next_at = after(at, now, check.times.interval_ms);
                        queue.push(Reverse((check.next_at, check.turn, name)));
                        continue;
                    }
                    check.running = true;
                    let (spec, timeout_ms, hung) = (check.spec.clone(), check.times.timeout_ms, check.hung);
                    due.push(Due { name, at, spec, timeout_ms, hung });
                }
                _ => {}
            }
        }
        due
    }

    async fn check_look(&self, runner: &dyn super::CheckRunner, due: Due) {
        let looks = &self.checks.looks;
        let places = looks.places.get_or_init(|| Places::new(self.settings.checks.plugins_at_once)).of(&due);
        // Nobody closes them.
        let Ok(_place) = places.acquire_owned().await else { return };
        let began = self.now();
        looks.note(began.since_ms(due.at).max(0));
        let ran = runner.run(&due.spec.run, Duration::from_millis(due.timeout_ms.unsigned_abs())).await;
        let came = self.now();
        let took_ms = came.since_ms(began).max(0);
        if let Err(fault) = self.check_result(&due.name, ran, Some(took_ms), came).await {
            tracing::warn!(%fault, check = due.name, "a result could not be stored; the next one tries again");
        }
        self.check_looked(&due, hung(took_ms, due.timeout_ms));
    }

    /// Plans the look after this one, on the check's own grid.
    fn check_looked(&self, due: &Due, hung: bool) {
        let now = self.now();
        let mut table = self.checks.table.lock();
        let Some(check) = table.get_mut(&due.name) else { return };
        (check.running, check.hung) = (false, hung);
        let step = if check.stand.state.retries() { check.times.retry_ms } else { check.times.interval_ms };
        put(&self.checks, check, &due.name, after(due.at, now, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_nearly_all_its_time_hangs() {
        assert!(hung(10_000, 10_000) && hung(9_000, 10_000) && hung(12_000, 10_000));
        assert!(!hung(8_999, 10_000) && !hung(0, 10_000));
    }

    #[test]
    fn the_next_look_is_on_the_grid_and_never_farther_than_a_step() {
        let next = |at: i64, now: i64| after(Timestamp(at), Timestamp(now), 10_000).millis();
        assert_eq!((next(100_000, 100_004), next(100_000, 125_000)), (110_000, 130_000));
        assert_eq!(next(100_000, 40_000), 50_000, "the clock was set back during the look");
    }
}

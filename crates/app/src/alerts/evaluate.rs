//! Evaluating due groups: ask for each rule, step its state machine, store and record the transitions, then let the new
//! state count in memory. A transaction that fails leaves the memory as it was, and the next evaluation tries again.
//!
//! A group that takes long is let go on beside the others, which are evaluated on their intervals meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tenfold_alerting::{Due, Occasion};
use tenfold_types::{Fault, Timestamp};
use tokio::time::Instant;

use super::{
    arrivals, counted,
    groups::Running,
    lease::Lease,
    pipeline,
    round::{Passing, Round},
    several::{self, Settled},
};
use crate::App;

/// Groups evaluated at a time.
pub(super) const GROUPS_AT_ONCE: usize = 4;

/// How long other groups wait for one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Groups that go on beside the others; any more are waited for.
const LATE_MAX: usize = 8;
/// As long as it takes: its queries end by themselves.
const FAR: Duration = Duration::from_hours(24);

/// A group whose evaluation began so long ago may never be done.
const HANGS_MS: i64 = 600_000;

/// The evaluation of a group, as far as it has come.
pub(super) struct Late {
    passing: Passing,
    occasion: Occasion,
    now: Timestamp,
    began: Instant,
    /// Microseconds of each rule that was evaluated.
    took_us: Vec<(usize, u64)>,
}

/// What is to be done of a group.
enum Work {
    Begin(Vec<usize>),
    GoOn(Late),
}

impl App {
    /// Since when a group hangs, of several the first.
    pub(crate) fn rules_hang_since(&self) -> Option<Timestamp> {
        let first = self.alerts.late.lock().values().map(|late| late.now).min();
        first.filter(|at| self.now().since_ms(*at) >= HANGS_MS)
    }
}

/// Evaluates the groups whose time has come, and goes on with those that took long.
pub(super) async fn due_groups(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    // What was due while another node had the lease was evaluated there.
    let under = app.alerts.evaluated_under.lock().replace(lease.epoch);
    let was_ours = app.settings.database_url.is_empty() || under == Some(lease.epoch);
    let groups = app.alerts.groups.read().clone();
    let mut due = Vec::new();
    for running in groups {
        let mut late = app.alerts.late.lock();
        let under_way = late.get(&running.place).map(|late| late.passing.is_under_way());
        let went_on = if under_way == Some(false) { late.remove(&running.place) } else { None };
        drop(late);
        if let Some(late) = went_on {
            due.push((running, Work::GoOn(late)));
            continue;
        }
        if under_way.is_some() {
            continue;
        }
        let mut status = running.status.lock();
        let is_due = status.next_at.is_none_or(|at| at <= now || at.since_ms(now) > running.group.interval_ms);
        let missed = status.next_at.filter(|_| was_ours).map_or(0, |at| behind(at, running.group.interval_ms, now));
        if is_due {
            status.next_at = Some(next_after(status.next_at, running.group.interval_ms, now));
        }
        drop(status);
        if is_due {
            counted::due(app, &running, missed);
            let rules = (0..running.group.rules.len()).collect();
            due.push((running, Work::Begin(rules)));
        }
    }
    if due.is_empty() {
        return pipeline::advance(app, lease, Vec::new()).await;
    }
    let result = all(app, lease, due, Occasion::Interval, now).await;
    pipeline::advance(app, lease, Vec::new()).await?;
    result
}

/// Evaluates the rules that select what came. A group that is being evaluated is left to its interval.
pub(super) async fn arrived(app: &App, lease: &Lease, due: Vec<Due>) -> Result<(), Fault> {
    let groups = app.alerts.groups.read().clone();
    let free = |due: &Due| !app.alerts.late.lock().contains_key(&due.group);
    let due = due.into_iter().filter(free);
    let due = due.filter_map(|due| Some((groups.get(due.group)?.clone(), Work::Begin(due.rules)))).collect();
    all(app, lease, due, Occasion::Arrival, app.now()).await
}

/// One group that is slow or cannot be stored must not keep the others from being evaluated.
async fn all(
    app: &App,
    lease: &Lease,
    due: Vec<(Arc<Running>, Work)>,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(), Fault> {
    let results: Vec<Result<(), Fault>> = stream::iter(due)
        .map(|(running, work)| {
            let (occasion, now) = match &work {
                Work::Begin(_) => (occasion, now),
                Work::GoOn(late) => (late.occasion, late.now),
            };
            group(lease, Round { app: app.clone(), running, occasion, now }, work)
        })
        .buffer_unordered(GROUPS_AT_ONCE)
        .collect()
        .await;
    results.into_iter().collect()
}

/// How many intervals ago it was due.
fn behind(at: Timestamp, interval_ms: i64, now: Timestamp) -> i64 {
    now.since_ms(at).max(0) / interval_ms
}

/// On the group's own grid, so that evaluations do not drift; missed ones are left out.
fn next_after(previous: Option<Timestamp>, interval_ms: i64, now: Timestamp) -> Timestamp {
    let base = previous.unwrap_or(now);
    base.plus_ms((behind(base, interval_ms, now) + 1) * interval_ms)
}

async fn group(lease: &Lease, round: Round, work: Work) -> Result<(), Fault> {
    let (app, place) = (&round.app, round.running.place);
    let mut late = match work {
        Work::Begin(rules) => {
            if round.occasion == Occasion::Interval {
                app.alerts.arrivals.lock().covered(place);
            }
            let took_us = Vec::with_capacity(rules.len());
            let (passing, began) = (round.pass(rules), Instant::now());
            Late { passing, occasion: round.occasion, now: round.now, began, took_us }
        }
        Work::GoOn(late) => late,
    };
    let patience = app.alerts.patience.lock().unwrap_or(PATIENCE);
    let wait = if app.alerts.late.lock().len() < LATE_MAX { patience } else { FAR };
    let result = passes(lease, &round, &mut late, Instant::now() + wait).await;
    if let Ok(false) = result {
        app.alerts.late.lock().insert(place, late);
        return Ok(());
    }
    arrivals::took(app, &round.running, round.occasion, &late.took_us);
    if round.occasion == Occasion::Interval {
        counted::evaluated(app, &round.running, late.took_us.len());
    }
    result?;
    if round.occasion == Occasion::Interval {
        let mut status = round.running.status.lock();
        status.last_at = Some(round.now);
        status.took_ms = i64::try_from(late.began.elapsed().as_millis()).unwrap_or(i64::MAX);
    }
    Ok(())
}

/// Goes on with a group. False where it is still under way by then.
async fn passes(lease: &Lease, round: &Round, late: &mut Late, until: Instant) -> Result<bool, Fault> {
    let (app, running) = (&round.app, &round.running);
    loop {
        let Some(passed) = late.passing.done(until).await? else { return Ok(false) };
        late.took_us.extend(passed.took_us);
        let Some(mut stepped) = passed.stepped else { return Ok(true) };
        let (rule, transitions) = (stepped.rule, std::mem::take(&mut stepped.transitions));
        let hearing = app.alerts.hearing.lock().await;
        let Settled { batch, taken } = several::settle(app, running, rule, &transitions);
        pipeline::advance(app, lease, batch).await?;
        round.keep(stepped);
        several::done(app, running, rule, &transitions, &taken);
        drop(hearing);
        if passed.rest.is_empty() {
            return Ok(true);
        }
        late.passing = round.pass(passed.rest);
    }
}

//! Evaluating due groups: ask for each rule, step its state machine, store and record the transitions, then let the new
//! state count in memory. A transaction that fails leaves the memory as it was, and the next evaluation tries again.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use tenfold_alerting::{Due, Occasion};
use tenfold_types::{Fault, Timestamp};

use super::{
    arrivals,
    groups::Running,
    lease::Lease,
    pipeline,
    round::Round,
    several::{self, Settled},
};
use crate::App;

/// Groups evaluated at a time.
pub(super) const GROUPS_AT_ONCE: usize = 4;

/// Evaluates the groups whose time has come.
pub(super) async fn due_groups(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    let groups = app.alerts.groups.read().clone();
    let mut due = Vec::new();
    for running in groups {
        let mut status = running.status.lock();
        if status.next_at.is_none_or(|at| at <= now || at.since_ms(now) > running.group.interval_ms) {
            status.next_at = Some(next_after(status.next_at, running.group.interval_ms, now));
            due.push((running.clone(), (0..running.group.rules.len()).collect()));
        }
    }
    if due.is_empty() {
        return pipeline::advance(app, lease, Vec::new()).await;
    }
    let result = all(app, lease, due, Occasion::Interval, now).await;
    pipeline::advance(app, lease, Vec::new()).await?;
    result
}

/// Evaluates the rules that select what came.
pub(super) async fn arrived(app: &App, lease: &Lease, due: Vec<Due>) -> Result<(), Fault> {
    let groups = app.alerts.groups.read().clone();
    let due = due.into_iter().filter_map(|due| Some((groups.get(due.group)?.clone(), due.rules))).collect();
    all(app, lease, due, Occasion::Arrival, app.now()).await
}

/// One group that is slow or cannot be stored must not keep the others from being evaluated.
async fn all(
    app: &App,
    lease: &Lease,
    due: Vec<(Arc<Running>, Vec<usize>)>,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(), Fault> {
    let results: Vec<Result<(), Fault>> = stream::iter(due)
        .map(|(running, rules)| group(lease, Round { app: app.clone(), running, occasion, now }, rules))
        .buffer_unordered(GROUPS_AT_ONCE)
        .collect()
        .await;
    results.into_iter().collect()
}

/// On the group's own grid, so that evaluations do not drift; missed ones are left out.
fn next_after(previous: Option<Timestamp>, interval_ms: i64, now: Timestamp) -> Timestamp {
    let base = previous.unwrap_or(now);
    let behind = now.since_ms(base).max(0);
    base.plus_ms((behind / interval_ms + 1) * interval_ms)
}

async fn group(lease: &Lease, round: Round, rules: Vec<usize>) -> Result<(), Fault> {
    let began = Instant::now();
    if round.occasion == Occasion::Interval {
        round.app.alerts.arrivals.lock().covered(round.running.place);
    }
    let mut took_us = Vec::with_capacity(rules.len());
    let result = passes(lease, &round, rules, &mut took_us).await;
    arrivals::took(&round.app, &round.running, round.occasion, &took_us);
    result?;
    if round.occasion == Occasion::Interval {
        let mut status = round.running.status.lock();
        status.last_at = Some(round.now);
        status.took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    }
    Ok(())
}

async fn passes(
    lease: &Lease,
    round: &Round,
    mut rules: Vec<usize>,
    took_us: &mut Vec<(usize, u64)>,
) -> Result<(), Fault> {
    let (app, running) = (&round.app, &round.running);
    loop {
        let passed = round.pass(rules).await?;
        took_us.extend(passed.took_us);
        let Some(mut stepped) = passed.stepped else { return Ok(()) };
        let (rule, transitions) = (stepped.rule, std::mem::take(&mut stepped.transitions));
        let hearing = app.alerts.hearing.lock().await;
        let Settled { batch, taken } = several::settle(app, running, rule, &transitions);
        pipeline::advance(app, lease, batch).await?;
        round.keep(stepped);
        several::done(app, running, rule, &transitions, &taken);
        drop(hearing);
        if passed.rest.is_empty() {
            return Ok(());
        }
        rules = passed.rest;
    }
}

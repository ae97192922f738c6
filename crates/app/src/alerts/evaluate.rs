//! Evaluating due groups: ask for each rule, step its state machine, store and record the transitions, then let the new
//! state count in memory. A transaction that fails leaves the memory as it was, and the next evaluation tries again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tenfold_alerting::{
    AlertRule, Answer, Group, Presence, Present, RecordingRule, Rule, RuleState, RuleWorld, SERIES_PER_RULE_MAX,
    StepError, Transition, step,
};
use tenfold_promql::Interrupt;
use tenfold_types::{Fault, Labels, Timestamp};

use super::{UNKNOWN_KEEP_MS, groups::Running, lease::Lease, pipeline, source::Templates, transitions::Origin};
use crate::App;

/// Groups evaluated at a time.
const GROUPS_AT_ONCE: usize = 4;

/// Evaluates the groups whose time has come.
pub(super) async fn due_groups(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    let groups = app.alerts.groups.read().clone();
    let mut due = Vec::new();
    for running in groups {
        let mut status = running.status.lock();
        if status.next_at.is_none_or(|at| at <= now || at.since_ms(now) > running.group.interval_ms) {
            status.next_at = Some(next_after(status.next_at, running.group.interval_ms, now));
            due.push(running.clone());
        }
    }
    if due.is_empty() {
        return pipeline::advance(app, lease, Vec::new()).await;
    }
    // One group that is slow or cannot be stored must not keep the others from being evaluated.
    let results: Vec<Result<(), Fault>> = stream::iter(due)
        .map(|running| async move { group(app, lease, &running, now).await })
        .buffer_unordered(GROUPS_AT_ONCE)
        .collect()
        .await;
    pipeline::advance(app, lease, Vec::new()).await?;
    results.into_iter().collect()
}

/// On the group's own grid, so that evaluations do not drift; missed ones are left out.
fn next_after(previous: Option<Timestamp>, interval_ms: i64, now: Timestamp) -> Timestamp {
    let base = previous.unwrap_or(now);
    let behind = now.since_ms(base).max(0);
    base.plus_ms((behind / interval_ms + 1) * interval_ms)
}

async fn group(app: &App, lease: &Lease, running: &Arc<Running>, now: Timestamp) -> Result<(), Fault> {
    let began = app.now();
    for (i, rule) in running.group.rules.iter().enumerate() {
        let started = app.now();
        let (error, series) = match rule {
            Rule::Record(rule) => recording(app, &running.group, rule, now).await,
            Rule::Alert(rule) => alerting(app, lease, running, i, rule, now).await?,
        };
        let took_ms = app.now().since_ms(started);
        let mut status = running.status.lock();
        if let Some(rule) = status.rules.get_mut(i) {
            rule.error = error;
            rule.evaluated_at = Some(now);
            rule.took_ms = took_ms;
            rule.series = series;
        }
    }
    let mut status = running.status.lock();
    status.last_at = Some(now);
    status.took_ms = app.now().since_ms(began);
    Ok(())
}

async fn ask(app: &App, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    let source = app.alerts.source.read().clone();
    match source {
        Some(source) => source.evaluate(expr, at).await,
        None => super::source::evaluate(app, expr, at).await,
    }
}

/// The answer of a rule's expression within its group's limit, from data as old as the group says.
async fn ask_within(app: &App, group: &Group, expr: &str, now: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    let rows = ask(app, expr, now.plus_ms(-group.offset_ms)).await?;
    match usize::try_from(group.limit) {
        Ok(limit) if limit > 0 && rows.len() > limit => {
            Err(format!("the group's limit is {limit} series, the rule answers with {}", rows.len()))
        }
        _ => Ok(rows),
    }
}

fn record(app: &App, rows: Vec<(Labels, f64)>, at: Timestamp) {
    let source = app.alerts.source.read().clone();
    match source {
        Some(source) => source.record(rows, at),
        None => super::source::record(app, rows, at),
    }
}

async fn recording(app: &App, group: &Group, rule: &RecordingRule, now: Timestamp) -> (Option<String>, usize) {
    let rows = match ask_within(app, group, &rule.expr, now).await {
        Err(error) => return (Some(error), 0),
        Ok(rows) if rows.len() > SERIES_PER_RULE_MAX => {
            let error = format!("the rule answers with {} series, at most {SERIES_PER_RULE_MAX} are kept", rows.len());
            return (Some(error), rows.len());
        }
        Ok(rows) => rows,
    };
    let mut seen = BTreeSet::new();
    let rows: Vec<(Labels, f64)> = rows
        .into_iter()
        .map(|(mut labels, value)| {
            labels.set(Labels::NAME, rule.record.clone());
            for (name, value) in rule.labels.iter() {
                labels.set(name, value);
            }
            (labels, value)
        })
        .collect();
    if let Some((twice, _)) = rows.iter().find(|(labels, _)| !seen.insert(labels.clone())) {
        return (Some(format!("two series are {twice} under the rule's labels")), rows.len());
    }
    let series = rows.len();
    record(app, rows, now);
    (None, series)
}

async fn alerting(
    app: &App,
    lease: &Lease,
    running: &Arc<Running>,
    index: usize,
    rule: &AlertRule,
    now: Timestamp,
) -> Result<(Option<String>, usize), Fault> {
    let state: RuleState = running.status.lock().rules.get(index).map(|r| r.state.clone()).unwrap_or_default();
    let (answer, error, series) = answer(app, running, index, rule, &state, now).await;
    let (state, transitions, refused) = stepped(app, rule.clone(), state, answer, now).await?;
    if !transitions.is_empty() {
        let origin = Origin::new(running, &running.group.rules[index]).suspect_window(app);
        let batch: Vec<_> = transitions.into_iter().map(|t| (origin.clone(), t)).collect();
        pipeline::advance(app, lease, batch).await?;
    }
    record(app, state_series(&state), now);
    if let Some(status) = running.status.lock().rules.get_mut(index) {
        status.state = state;
    }
    Ok((error.or_else(|| refused.map(|e| e.to_string())), series))
}

/// Steps a rule. Its templates may ask queries meanwhile: not on a thread of the runtime, and not for ever.
async fn stepped(
    app: &App,
    rule: AlertRule,
    mut state: RuleState,
    answer: Answer,
    now: Timestamp,
) -> Result<(RuleState, Vec<Transition>, Option<StepError>), Fault> {
    let interrupt = Arc::new(Interrupt::default());
    let templates = Templates::new(app, now, interrupt.clone());
    let url = app.settings.public_url.clone();
    let allowed_ms = app.settings.metrics.query.timeout_ms;
    let mut work = tokio::task::spawn_blocking(move || {
        let ask = |expr: &str| templates.ask(expr);
        let world = RuleWorld { external_labels: &Labels::new(), external_url: &url, ask: Some(&ask), at: now };
        let (transitions, refused) = step(&rule, &mut state, answer, world, UNKNOWN_KEEP_MS);
        (state, transitions, refused)
    });
    let done = tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(Duration::from_millis(allowed_ms)) => {
            interrupt.time_out(allowed_ms);
            work.await
        }
    };
    done.map_err(|e| Fault::internal(format!("stepping a rule panicked: {e}")))
}

/// Asks for the expression, and for its presence when something active is missing from the answer.
async fn answer(
    app: &App,
    running: &Running,
    index: usize,
    rule: &AlertRule,
    state: &RuleState,
    now: Timestamp,
) -> (Answer, Option<String>, usize) {
    let samples = match ask_within(app, &running.group, &rule.expr, now).await {
        Ok(samples) => samples,
        Err(error) => return (Answer::Failed(error.clone()), Some(error), 0),
    };
    let series = samples.len();
    let bare = |labels: &Labels| {
        let mut labels = labels.clone();
        labels.remove(Labels::NAME);
        labels
    };
    let answered: BTreeSet<Labels> = samples.iter().map(|(labels, _)| bare(labels)).collect();
    let missing = state.active.keys().any(|series| !answered.contains(series));
    let present = match &running.presence[index] {
        Some(Presence::Expr(expr)) if missing => match ask(app, expr, now.plus_ms(-running.group.offset_ms)).await {
            Ok(rows) => Present::Series(rows.iter().map(|(labels, _)| bare(labels)).collect()),
            Err(error) => return (Answer::Failed(error.clone()), Some(error), series),
        },
        Some(Presence::Expr(_)) => Present::Series(answered),
        Some(Presence::EmptyIsAnswer) | None => Present::All,
    };
    (Answer::Samples { samples, present }, None, series)
}

/// `ALERTS` and `ALERTS_FOR_STATE`, as Prometheus writes them.
fn state_series(state: &RuleState) -> Vec<(Labels, f64)> {
    let mut rows = Vec::with_capacity(state.active.len() * 2);
    for alert in state.active.values() {
        let named = |name: &str| alert.labels.clone().with(Labels::NAME, name);
        rows.push((named("ALERTS").with("alertstate", alert.state.as_str()), 1.0));
        rows.push((named("ALERTS_FOR_STATE"), alert.active_since.seconds()));
    }
    rows
}

//! Storing and recording what the state machine decided, and opening or joining an incident for what pages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::pipeline::Decision;
use tenfold_alerting::{Alert, AlertState, Mute, Rule, Transition, TransitionKind};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Actor, EventDraft, Fault, Labels, Severity, Source, Timestamp};

use super::{
    groups::Running,
    mutes,
    pipeline::Outcome,
    suspects::{self, Changes},
    views::{AlertView, SuspectView},
};
use crate::{App, Txn, incidents};

/// Where a transition comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    file: String,
    group: String,
    rule: String,
    expr: String,
    pub(super) generator_url: Option<String>,
    ends_at: Option<Timestamp>,
    suspect_window_ms: i64,
}

impl Origin {
    pub(super) fn new(running: &Running, rule: &Rule) -> Self {
        Self {
            file: running.file.clone(),
            group: running.group.name.clone(),
            rule: rule.name().to_owned(),
            expr: rule.expr().to_owned(),
            generator_url: None,
            ends_at: None,
            suspect_window_ms: tenfold_alerting::SUSPECT_WINDOW_MS,
        }
    }
    /// Of an alert that a sender brings. Empty is no address.
    pub(super) fn received(name: &str, group: &str, generator_url: &str, ends_at: Timestamp) -> Self {
        Self {
            file: String::new(),
            group: group.to_owned(),
            rule: name.to_owned(),
            expr: String::new(),
            generator_url: Some(generator_url.to_owned()).filter(|u| !u.is_empty()),
            ends_at: Some(ends_at),
            suspect_window_ms: tenfold_alerting::SUSPECT_WINDOW_MS,
        }
    }
    pub(super) fn is_received(&self) -> bool {
        self.group == super::received::GROUP
    }
    pub(super) fn suspect_window(mut self, app: &App) -> Self {
        self.suspect_window_ms = app.settings.alerts.suspect_window_ms;
        self
    }
}

/// What is stored of an alert.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Body {
    #[serde(flatten)]
    pub alert: Alert,
    #[serde(default)]
    pub suspects: Vec<SuspectView>,
    #[serde(default)]
    pub expr: String,
    /// Where its sender explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// Until when its sender said that it goes on, when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

pub(crate) fn body(row: &store::AlertRow) -> Result<Body, Fault> {
    serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the alert {} cannot be read: {e}", row.fingerprint)))
}

/// `critical`, `warning` or `info`; what a label says otherwise counts as the nearest.
pub(super) fn severity(labels: &Labels) -> &'static str {
    match labels.get("severity").unwrap_or("") {
        "critical" | "page" | "error" | "emergency" | "high" => "critical",
        "info" | "none" | "low" | "debug" => "info",
        _ => "warning",
    }
}

/// Critical alerts page, unless their label `page` says otherwise.
pub(super) fn would_page(labels: &Labels) -> bool {
    match labels.get("page") {
        Some("true") => true,
        Some("false") => false,
        _ => severity(labels) == "critical",
    }
}

pub(crate) fn summary(alert: &Alert) -> String {
    let name = alert.labels.get("alertname").unwrap_or("alert");
    match alert.annotations.get("summary").map(|s| s.trim()).filter(|s| !s.is_empty()) {
        Some(summary) => summary.to_owned(),
        None => match alert.labels.get("service") {
            Some(service) => format!("{name} on {service}"),
            None => name.to_owned(),
        },
    }
}

/// Service and environment of an alert, by its labels.
pub(super) fn place(labels: &Labels) -> (Option<String>, Option<String>) {
    let label = |name: &str| labels.get(name).map(str::to_owned);
    let service = label("service");
    let environment = label("environment").or_else(|| label("env"));
    let environment = environment.or_else(|| service.is_some().then(|| "production".to_owned()));
    (service, environment)
}

fn row(origin: &Origin, alert: &Alert, incident: Option<i64>, body: String) -> store::AlertRow {
    let (service, environment) = place(&alert.labels);
    store::AlertRow {
        fingerprint: alert.fingerprint.clone(),
        rule_file: origin.file.clone(),
        rule_group: origin.group.clone(),
        rule: origin.rule.clone(),
        state: alert.state.as_str().to_owned(),
        severity: severity(&alert.labels).to_owned(),
        environment,
        service,
        pages: would_page(&alert.labels),
        active_since: alert.active_since,
        ended_at: alert.resolved_at,
        incident,
        body,
    }
}

fn write(
    t: &mut Txn<'_>,
    origin: &Origin,
    alert: &Alert,
    incident: Option<i64>,
    suspects: Vec<SuspectView>,
) -> Result<store::AlertRow, Fault> {
    let body = Body {
        alert: alert.clone(),
        suspects,
        expr: origin.expr.clone(),
        generator_url: origin.generator_url.clone(),
        ends_at: origin.ends_at,
    };
    let body = serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))?;
    let row = row(origin, alert, incident, body);
    store::put(t.tx(), &row)?;
    Ok(row)
}

fn draft(row: &store::AlertRow, alert: &Alert, kind: &str, severity: Severity, text: String) -> EventDraft {
    let mut draft = EventDraft::new(Actor::system(), Source::System, kind, text)
        .alert(&alert.fingerprint)
        .severity(severity)
        .data(json!({
            "rule": row.rule,
            "group": row.rule_group,
            "severity": row.severity,
            "labels": alert.labels,
            "value": alert.value.to_string(),
            "active_since": alert.active_since,
            "fired_at": alert.fired_at,
        }));
    draft.subject.service.clone_from(&row.service);
    draft.subject.environment.clone_from(&row.environment);
    if let Some(number) = row.incident {
        draft = draft.incident(number).correlation(format!("incident:{number}"));
    }
    draft
}

fn with(mut draft: EventDraft, key: &str, value: serde_json::Value) -> EventDraft {
    if let Some(map) = draft.data.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
    draft
}

fn event_severity(row: &store::AlertRow) -> Severity {
    match row.severity.as_str() {
        "critical" => Severity::Critical,
        "info" => Severity::Info,
        _ => Severity::Warning,
    }
}

/// Writes transitions with their events, in order, and then what the pipeline decided of other alerts in the same step.
pub(super) fn persist(t: &mut Txn<'_>, batch: &[(Origin, Transition)], outcome: &Outcome) -> Result<(), Fault> {
    let firing = batch.iter().filter(|(_, t)| t.kind == TransitionKind::Firing);
    let window_ms = firing.clone().map(|(origin, _)| origin.suspect_window_ms).max().unwrap_or(0);
    let changes = Changes::for_all(t.tx(), firing.clone().map(|(_, t)| t.alert.active_since), window_ms)?;
    for (origin, transition) in batch {
        one(t, origin, transition, outcome, changes.as_ref())?;
    }
    let fired: BTreeSet<&str> = firing.map(|(_, t)| t.alert.fingerprint.as_str()).collect();
    for (fingerprint, decisions) in outcome.decisions.iter().filter(|(f, _)| !fired.contains(f.as_str())) {
        decided(t, fingerprint, decisions, outcome)?;
    }
    Ok(())
}

fn one(
    t: &mut Txn<'_>,
    origin: &Origin,
    transition: &Transition,
    outcome: &Outcome,
    changes: Option<&Changes>,
) -> Result<(), Fault> {
    let alert = &transition.alert;
    let stored = store::get(t.tx(), &alert.fingerprint)?.filter(|r| r.active_since == alert.active_since);
    let incident = stored.as_ref().and_then(|r| r.incident);
    let known = stored.as_ref().map(body).transpose()?.map(|b| b.suspects).unwrap_or_default();
    let text = summary(alert);
    match transition.kind {
        TransitionKind::Pending => {
            let row = write(t, origin, alert, None, Vec::new())?;
            pending(t, &row, alert, &text)
        }
        // What fires at once, as all that senders bring, had no first signs: `active_since` says when it began.
        TransitionKind::Firing => fired(t, origin, alert, &text, outcome, changes),
        TransitionKind::FiringAgain => {
            let row = write(t, origin, alert, incident, known)?;
            let draft = draft(
                &row,
                alert,
                "alert.fired",
                event_severity(&row),
                format!("The data is back and it still fires: {text}"),
            );
            t.record(with(draft, "again", json!(true)))?;
            Ok(())
        }
        TransitionKind::Cleared => {
            let row = write(t, origin, alert, None, Vec::new())?;
            t.record(draft(
                &row,
                alert,
                "alert.cleared",
                Severity::Debug,
                format!("It passed before it fired: {text}"),
            ))?;
            Ok(())
        }
        TransitionKind::Resolved => {
            let row = write(t, origin, alert, incident, known)?;
            let ended = with(
                draft(&row, alert, "alert.resolved", Severity::Good, format!("Over: {text}")),
                "how",
                json!("resolved"),
            );
            t.record(ended)?;
            incidents::alert_ended(t, &row, "resolved")
        }
        TransitionKind::Unknown => {
            let row = write(t, origin, alert, incident, known)?;
            let reason = transition.reason.as_deref().unwrap_or("there is no data");
            let text = format!("Nobody knows whether it is over ({reason}): {text}");
            t.record(with(draft(&row, alert, "alert.unknown", Severity::Warning, text), "reason", json!(reason)))?;
            Ok(())
        }
        TransitionKind::Expired | TransitionKind::RuleRemoved => {
            let row = write(t, origin, alert, incident, known)?;
            let (how, text) = if transition.kind == TransitionKind::Expired {
                ("expired", format!("Given up without data, which does not mean it is over: {text}"))
            } else {
                ("rule_removed", format!("No longer watched, its rule is gone: {text}"))
            };
            t.record(with(draft(&row, alert, "alert.expired", Severity::Warning, text), "how", json!(how)))?;
            incidents::alert_ended(t, &row, how)
        }
    }
}

fn pending(t: &mut Txn<'_>, row: &store::AlertRow, alert: &Alert, text: &str) -> Result<(), Fault> {
    let mut draft = draft(row, alert, "alert.pending", Severity::Debug, format!("First signs: {text}"));
    draft.occurred_at = Some(alert.active_since);
    t.record(draft)?;
    Ok(())
}

fn fired(
    t: &mut Txn<'_>,
    origin: &Origin,
    alert: &Alert,
    text: &str,
    outcome: &Outcome,
    changes: Option<&Changes>,
) -> Result<(), Fault> {
    let mut row = row(origin, alert, None, String::new());
    let (service, environment) = (row.service.clone(), row.environment.clone());
    let (onset, window_ms) = (alert.active_since, origin.suspect_window_ms);
    let found = match changes {
        Some(changes) => changes.suspects(service.as_deref(), environment.as_deref(), onset, window_ms),
        None => suspects::suspects(t.tx(), service.as_deref(), environment.as_deref(), onset, window_ms)?,
    };
    let receiver = outcome.pages(&alert.fingerprint).filter(|_| row.pages);
    let joining = receiver.map(|_| incidents::number_for(t, &row, outcome.reopen_window_ms)).transpose()?;
    row = write(t, origin, alert, joining.as_ref().map(|j| j.number), found.clone())?;
    // A quiet alert is in the record and on the pages, and nobody is told.
    let quiet = outcome.quiet(&alert.fingerprint);
    let severity = if quiet.is_some() { Severity::Debug } else { event_severity(&row) };
    let mut event = with(draft(&row, alert, "alert.fired", severity, text.to_owned()), "suspects", json!(found));
    event = with(event, "decisions", json!(outcome.decisions.get(&alert.fingerprint)));
    if let Some(id) = outcome.muted_by(&alert.fingerprint) {
        event = with(event, "muted_by", json!(id));
    }
    t.record(event)?;
    match (joining, receiver) {
        (Some(mut joining), Some(receiver)) => {
            joining.group_interval_ms = outcome.group_interval_ms(&alert.fingerprint);
            incidents::join(t, &joining, &row, text, &found, receiver.policy.as_deref())
        }
        _ => Ok(()),
    }
}

/// The pipeline decided anew about an alert that fires already: somebody is told of it now, or it has become quiet.
fn decided(t: &mut Txn<'_>, fingerprint: &str, decisions: &[Decision], outcome: &Outcome) -> Result<(), Fault> {
    let Some(mut row) = store::get(t.tx(), fingerprint)?.filter(|r| r.ended_at.is_none()) else { return Ok(()) };
    let Body { alert, suspects, .. } = body(&row)?;
    let text = summary(&alert);
    // Never for one that has had an incident in this episode.
    let receiver = outcome.pages(fingerprint).filter(|_| row.pages && row.incident.is_none());
    let Some(receiver) = receiver else {
        let Some(quiet) = outcome.quiet(fingerprint) else { return Ok(()) };
        let text = format!("Nobody is told of it, {}: {text}", quiet.because);
        let event = draft(&row, &alert, "alert.decided", Severity::Debug, text);
        t.record(with(event, "decisions", json!(decisions)))?;
        return Ok(());
    };
    let mut joining = incidents::number_for(t, &row, outcome.reopen_window_ms)?;
    joining.group_interval_ms = outcome.group_interval_ms(fingerprint);
    row.incident = Some(joining.number);
    store::put(t.tx(), &row)?;
    let words = format!("Still firing, and now told of: {text}");
    let event = draft(&row, &alert, "alert.fired", event_severity(&row), words);
    t.record(with(event, "decisions", json!(decisions)))?;
    incidents::join(t, &joining, &row, &text, &suspects, receiver.policy.as_deref())
}

pub(super) fn view(
    row: &store::AlertRow,
    muted_by: Option<i64>,
    acknowledged_by: Option<String>,
) -> Result<AlertView, Fault> {
    let Body { alert, suspects, expr, generator_url, .. } = body(row)?;
    let annotation = |name: &str| alert.annotations.get(name).cloned();
    Ok(AlertView {
        fingerprint: row.fingerprint.clone(),
        rule: row.rule.clone(),
        group: row.rule_group.clone(),
        severity: row.severity.clone(),
        state: row.state.clone(),
        summary: summary(&alert),
        description: annotation("description"),
        runbook_url: annotation("runbook_url"),
        service: row.service.clone(),
        environment: row.environment.clone(),
        value: alert.value.is_finite().then_some(alert.value),
        active_since: alert.active_since,
        fired_at: alert.fired_at,
        resolved_at: alert.resolved_at,
        incident: row.incident,
        suspects,
        acknowledged_by,
        expr,
        generator_url,
        muted_by,
        labels: alert.labels,
        annotations: alert.annotations,
    })
}

impl App {
    /// Alerts: the active ones, the most urgent first, then those that ended lately. `state` keeps one state.
    pub async fn alerts_list(&self, state: Option<&str>) -> Result<Vec<AlertView>, Fault> {
        if let Some(state) = state
            && AlertState::parse(state).is_none()
        {
            return Err(Fault::invalid(format!("`{state}` is not a state of an alert"))
                .advice("pending, firing, unknown or resolved"));
        }
        let (wanted, now) = (state.map(str::to_owned), self.now());
        let mut views = self
            .read(move |tx| {
                let mutes = mutes::holding(tx, now)?;
                let mut rows = store::active(tx)?;
                rows.extend(store::ended(tx, ENDED_LISTED_MAX)?);
                rows.retain(|r| wanted.as_ref().is_none_or(|w| *w == r.state));
                rows.iter().map(|row| listed(tx, row, &mutes)).collect::<Result<Vec<_>, Fault>>()
            })
            .await?;
        self.overlay_values(&mut views);
        let rank = |v: &AlertView| {
            let state = ["firing", "unknown", "pending", "resolved"].iter().position(|s| *s == v.state);
            let severity = ["critical", "warning", "info"].iter().position(|s| *s == v.severity);
            (state, severity)
        };
        views.sort_by(|a, b| rank(a).cmp(&rank(b)).then(b.active_since.cmp(&a.active_since)));
        Ok(views)
    }

    /// Values move between transitions; only the memory has the last ones.
    fn overlay_values(&self, views: &mut [AlertView]) {
        let received = self.alerts.received.lock().clone();
        for view in views.iter_mut().filter(|v| v.state != "resolved") {
            if let Some(known) = received.get(&view.fingerprint) {
                view.summary = summary(&known.alert);
                view.annotations.clone_from(&known.alert.annotations);
            }
        }
        let groups = self.alerts.groups.read().clone();
        for running in groups {
            let status = running.status.lock();
            for alert in status.rules.iter().flat_map(|r| r.state.active.values()) {
                if let Some(view) =
                    views.iter_mut().find(|v| v.fingerprint == alert.fingerprint && v.state != "resolved")
                {
                    view.value = alert.value.is_finite().then_some(alert.value);
                    view.summary = summary(alert);
                    view.annotations.clone_from(&alert.annotations);
                }
            }
        }
    }
}

/// Ended alerts in one list.
const ENDED_LISTED_MAX: i64 = 200;

fn listed(tx: &mut dyn Tx, row: &store::AlertRow, mutes: &[Mute]) -> Result<AlertView, Fault> {
    let labels = body(row)?.alert.labels;
    let muted_by =
        mutes.iter().find(|m| row.ended_at.is_none() && m.matches(&labels)).and_then(|m| mutes::number(&m.id));
    let acknowledged_by = match row.incident {
        Some(number) => incidents::acknowledged_by(tx, number)?,
        None => None,
    };
    view(row, muted_by, acknowledged_by)
}

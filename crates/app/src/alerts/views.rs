//! The shapes that pages, the command line and chat see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_alerting::{Alert, AlertState, Finding, Rule};
use tenfold_types::{Labels, Matcher, Timestamp};
use utoipa::ToSchema;

use super::{flaps::FlapView, graph::AlertGraph, groups::Running};

/// A change that may be behind an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuspectView {
    /// `deploy` or `flip`.
    pub kind: String,
    /// The deploy's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// The flag's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    pub text: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Its event in the record.
    pub seq: i64,
    pub actor_name: String,
    pub rollback: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    pub fingerprint: String,
    pub rule: String,
    pub group: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// `pending`, `firing`, `unknown` (it was firing and there is no data now) or `resolved`.
    pub state: String,
    #[schema(value_type = Object)]
    pub labels: Labels,
    #[schema(value_type = Object)]
    pub annotations: BTreeMap<String, String>,
    pub summary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Null when it is not a finite number.
    pub value: Option<f64>,
    #[schema(value_type = String)]
    pub active_since: Timestamp,
    #[schema(value_type = Option<String>)]
    pub fired_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub resolved_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    /// Those of people of further policies, where several receivers were told of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_incidents: Vec<i64>,
    pub suspects: Vec<SuspectView>,
    /// Who acknowledged its incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// Empty when it is not of a rule here but was sent.
    pub expr: String,
    /// What is drawn of it. Absent where a sender says nothing that can be asked here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<AlertGraph>,
    /// Where its sender explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// The check here that brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The mute that covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_by: Option<i64>,
    /// It flaps: it is told of once, and held as firing until it is calm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<FlapView>,
}

/// A stretch in which a mute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct TurnView {
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MuteView {
    pub id: i64,
    /// `silence`, `downtime`, `maintenance` or `deploy`.
    pub kind: String,
    /// `pending`, `active` or `expired`.
    pub state: String,
    /// It keeps alerts quiet at this moment; between its turns a maintenance does not.
    pub holds: bool,
    #[schema(value_type = Vec<Object>)]
    pub matchers: Vec<Matcher>,
    pub reason: String,
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    #[schema(value_type = String)]
    pub updated_at: Timestamp,
    #[schema(value_type = String)]
    pub starts_at: Timestamp,
    /// The time intervals in which a maintenance holds.
    #[schema(value_type = Vec<Object>)]
    pub recurs: Vec<tenfold_alerting::TimeInterval>,
    /// The same as a person types them; empty when it does not come back.
    pub recurs_text: String,
    /// The stretch in which it holds now, or holds next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TurnView>,
    /// The deploy that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<i64>,
    /// What the program that made it keeps with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub annotations: BTreeMap<String, String>,
    pub created_by: String,
    pub created_by_name: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleView {
    pub name: String,
    /// `alerting` or `recording`.
    pub kind: String,
    pub expr: String,
    pub for_ms: i64,
    pub keep_firing_for_ms: i64,
    #[schema(value_type = Object)]
    pub labels: BTreeMap<String, String>,
    #[schema(value_type = Object)]
    pub annotations: BTreeMap<String, String>,
    /// `ok`, `error` or `unknown` (not evaluated yet).
    pub health: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[schema(value_type = Option<String>)]
    pub last_evaluation: Option<Timestamp>,
    pub took_ms: i64,
    /// Series of the last answer.
    pub series: usize,
    /// Of an alerting rule: `inactive`, `pending`, `firing` or `unknown`, the worst of its alerts.
    pub state: String,
    /// At most 20 of them; `/api/v1/rules` has all.
    pub alerts: Vec<ActiveAlertView>,
    /// How many it has, listed or not.
    pub alerts_total: usize,
    /// What it lacks for the person whom it wakes, as far as `alerts.lint` asks.
    pub findings: Vec<RuleFindingView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleFindingView {
    /// `runbook`, `owner`, `severity` or `duplicate`.
    pub check: String,
    pub message: String,
    /// Line of the rule's expression in its file.
    pub line: u64,
}

/// An alert of a rule as Prometheus' rules API lists it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ActiveAlertView {
    pub fingerprint: String,
    pub state: String,
    #[schema(value_type = Object)]
    pub labels: Labels,
    #[schema(value_type = Object)]
    pub annotations: BTreeMap<String, String>,
    /// As text: JSON has no infinity.
    pub value: String,
    #[schema(value_type = String)]
    pub active_since: Timestamp,
    /// Since when it is over and kept all the same (`keep_firing_for`), which Prometheus' API alone tells.
    #[serde(skip)]
    pub kept_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleGroupView {
    pub name: String,
    /// The rule file it stands in.
    pub file: String,
    pub interval_ms: i64,
    /// Series a rule may answer with; 0 where the file says nothing.
    pub limit: u64,
    #[schema(value_type = Option<String>)]
    pub last_evaluation: Option<Timestamp>,
    pub took_ms: i64,
    pub rules: Vec<RuleView>,
}

/// A group with at most so many alerts of each rule.
pub(super) fn group_view(running: &Running, alerts_max: usize) -> RuleGroupView {
    let status = running.status.lock();
    let rules = running.group.rules.iter().zip(&status.rules);
    RuleGroupView {
        name: running.group.name.clone(),
        file: running.file.clone(),
        interval_ms: running.group.interval_ms,
        limit: running.group.limit,
        last_evaluation: status.last_at,
        took_ms: status.took_ms,
        rules: rules
            .enumerate()
            .map(|(index, (rule, status))| {
                let mut view = rule_view(rule);
                let health = match (&status.error, status.evaluated_at) {
                    (Some(_), _) => "error",
                    (None, Some(_)) => "ok",
                    (None, None) => "unknown",
                };
                health.clone_into(&mut view.health);
                view.error.clone_from(&status.error);
                view.last_evaluation = status.evaluated_at;
                view.took_ms = status.took_ms;
                view.series = status.series;
                view.alerts = status.state.active.values().take(alerts_max).map(active_view).collect();
                view.alerts_total = status.state.active.len();
                worst(status.state.active.values()).clone_into(&mut view.state);
                view.findings = running.findings.iter().filter(|f| f.rule == index).map(finding_view).collect();
                view
            })
            .collect(),
    }
}

fn rule_view(rule: &Rule) -> RuleView {
    let mut view = RuleView {
        name: rule.name().to_owned(),
        kind: String::new(),
        expr: rule.expr().to_owned(),
        for_ms: 0,
        keep_firing_for_ms: 0,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        health: String::new(),
        error: None,
        last_evaluation: None,
        took_ms: 0,
        series: 0,
        state: String::new(),
        alerts: Vec::new(),
        alerts_total: 0,
        findings: Vec::new(),
    };
    match rule {
        Rule::Alert(r) => {
            "alerting".clone_into(&mut view.kind);
            view.for_ms = r.for_ms;
            view.keep_firing_for_ms = r.keep_firing_for_ms;
            let texts = |map: &BTreeMap<String, tenfold_alerting::Template>| {
                map.iter().map(|(n, t)| (n.clone(), t.source().to_owned())).collect()
            };
            view.labels = texts(&r.labels);
            view.annotations = texts(&r.annotations);
        }
        Rule::Record(r) => {
            "recording".clone_into(&mut view.kind);
            view.labels = r.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        }
    }
    view
}

fn finding_view(finding: &Finding) -> RuleFindingView {
    RuleFindingView { check: finding.check.to_owned(), message: finding.message.clone(), line: finding.line }
}

fn active_view(alert: &Alert) -> ActiveAlertView {
    ActiveAlertView {
        fingerprint: alert.fingerprint.clone(),
        state: alert.state.as_str().to_owned(),
        labels: alert.labels.clone(),
        annotations: BTreeMap::from(&*alert.annotations),
        value: tenfold_promql::format_float(alert.value),
        active_since: alert.active_since,
        kept_since: alert.keep_since,
    }
}

pub(super) fn worst<'a>(alerts: impl Iterator<Item = &'a Alert>) -> &'static str {
    let rank = |a: &Alert| match a.state {
        AlertState::Firing => 3,
        AlertState::Unknown => 2,
        AlertState::Pending => 1,
        AlertState::Resolved => 0,
    };
    ["inactive", "pending", "unknown", "firing"][alerts.map(rank).max().unwrap_or(0)]
}

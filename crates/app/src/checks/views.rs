//! Checks as they are shown.

use serde::Serialize;
use tenfold_alerting::fingerprint;
use tenfold_types::{Labels, Timestamp};

use super::{Check, CheckSpec};
use crate::App;

/// One performance value of the last result.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CheckValue {
    pub label: String,
    pub value: f64,
    pub unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
}

/// A check and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CheckView {
    pub name: String,
    pub spec: CheckSpec,
    /// `plugin`, `tcp`, `http`, ..
    pub kind: String,
    /// `ok`, `warning`, `critical` or `unknown`.
    pub status: String,
    /// Whether the status is beyond doubt.
    pub hard: bool,
    pub attempt: u32,
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// Absent before the first result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub last_at: Option<Timestamp>,
    /// Absent for passive checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub next_at: Option<Timestamp>,
    pub output: String,
    pub long_output: String,
    pub values: Vec<CheckValue>,
    pub took_ms: i64,
    pub flapping: bool,
    /// Weighted share of changes among the last 21 states.
    pub change_percent: f64,
    pub unreachable: bool,
    pub stale: bool,
    /// An alert fires for it.
    pub alerts: bool,
    /// The fingerprint of that alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// What its alert lacks by the lint of rules, each as a sentence goes on after the name; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl CheckView {
    /// As it stands among others, without what is long.
    pub(super) fn listed(name: &str, check: &Check) -> Self {
        Self { long_output: String::new(), values: Vec::new(), ..Self::new(name, check) }
    }

    pub(super) fn new(name: &str, check: &Check) -> Self {
        let state = &check.stand.state;
        let value = |v: &tenfold_protocols::plugin::PerfValue| CheckValue {
            label: v.label.clone(),
            value: v.value,
            unit: v.unit.clone(),
            warning: v.warning,
            critical: v.critical,
        };
        Self {
            name: name.to_owned(),
            spec: check.spec.shown(),
            kind: check.spec.run.kind().to_owned(),
            status: state.status.as_str().to_owned(),
            hard: state.hard,
            attempt: state.attempt,
            since: state.since,
            last_at: Some(state.last_at).filter(|at| at.millis() > 0),
            next_at: Some(check.next_at).filter(|at| at.millis() > 0),
            output: state.output.clone(),
            long_output: check.long.clone(),
            values: check.values.iter().map(value).collect(),
            took_ms: check.took_ms,
            flapping: state.flapping,
            change_percent: state.change_percent,
            unreachable: state.unreachable,
            stale: state.stale,
            alerts: check.stand.raised.is_some(),
            alert: check.stand.raised.as_ref().map(|labels| fingerprint(&Labels::from_pairs(labels.clone()))),
            findings: Vec::new(),
        }
    }
}

/// How the looking goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SchedulerView {
    pub running: usize,
    /// Looks since the start.
    pub done: u64,
    /// How late the last 10,000 looks began.
    pub late_p50_ms: i64,
    pub late_p99_ms: i64,
    pub late_max_ms: i64,
}

impl App {
    pub(super) fn checks_scheduler(&self) -> SchedulerView {
        let looks = &self.checks.looks;
        let (late_p50_ms, late_p99_ms, late_max_ms) = looks.late().unwrap_or_default();
        SchedulerView { running: looks.running(), done: looks.done(), late_p50_ms, late_p99_ms, late_max_ms }
    }
}

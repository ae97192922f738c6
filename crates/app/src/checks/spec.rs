//! How a check is written down, and what is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_alerting::{
    TimeInterval,
    checks::{CheckRules, CheckStatus},
};
use tenfold_types::{Fault, Timestamp, format_duration_ms, parse_duration_ms};

use super::look::{Run, TEXT_BYTES_MAX};

/// The shortest interval.
const INTERVAL_MIN_MS: i64 = 1_000;
const INTERVAL_MAX_MS: i64 = 7 * 86_400_000;
const TIMEOUT_MAX_MS: i64 = 300_000;
pub(super) const PARENTS_MAX: usize = 20;
/// Intervals in which a check is looked at.
const ACTIVE_MAX: usize = 50;

/// A check as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// What it looks at; becomes the label `host`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub run: Run,
    /// Between two looks.
    #[serde(default = "minute")]
    pub interval: String,
    /// Between two looks while a problem is not yet sure.
    #[serde(default = "quarter")]
    pub retry_interval: String,
    #[serde(default = "ten")]
    pub timeout: String,
    /// When it is looked at, as Alertmanager's `time_intervals` say it; always when nothing is said. Outside it stands as it
    /// stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub active: Vec<TimeInterval>,
    /// Problems in a row before it is believed.
    #[serde(default = "three")]
    pub attempts: u32,
    /// Without a result for so long it is a problem by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<String>,
    /// Checks that stand between; while all of them have problems, this one's are not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    #[serde(default)]
    pub flapping: Flapping,
    /// A warning counts as ok: so a host that answers slowly is up, as it is for Nagios.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning_is_ok: bool,
    /// Severity of the alert when it is critical, and when nothing was heard for longer than `freshness`.
    #[serde(default = "critical")]
    pub severity: String,
    /// When nothing was heard for too long, instead of `severity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_severity: Option<String>,
    /// More labels of the alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the alert, such as `runbook_url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// From which share of changes on a state is said to flap; `high: 0` never says it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    pub low: f64,
    pub high: f64,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { low: 20.0, high: 30.0 }
    }
}

fn minute() -> String {
    "1m".to_owned()
}
fn quarter() -> String {
    "15s".to_owned()
}
fn ten() -> String {
    "10s".to_owned()
}
const fn three() -> u32 {
    3
}
fn critical() -> String {
    "critical".to_owned()
}

/// The durations of a check, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a name ends in its unit")]
pub(super) struct Times {
    pub interval_ms: i64,
    pub retry_ms: i64,
    pub timeout_ms: i64,
    pub freshness_ms: Option<i64>,
}

impl CheckSpec {
    pub(super) fn rules(&self) -> CheckRules {
        CheckRules { attempts_max: self.attempts, flap_low: self.flapping.low, flap_high: self.flapping.high }
    }

    /// What a result counts as.
    pub(super) fn counted(&self, status: CheckStatus) -> CheckStatus {
        match status {
            CheckStatus::Warning if self.warning_is_ok => CheckStatus::Ok,
            status => status,
        }
    }

    /// Whether it is looked at now by itself.
    pub(super) fn is_active(&self, now: Timestamp) -> bool {
        self.active.is_empty() || self.active.iter().any(|interval| interval.contains(now))
    }

    /// Checks what is written and reads its durations.
    pub(super) fn times(&self) -> Result<Times, Fault> {
        let between = |key: &str, text: &str, min: i64, max: i64| {
            let ms = parse_duration_ms(text).map_err(|e| Fault::invalid(format!("`{key}` of a check: {e}")))?;
            let bounds = || [min, max].map(format_duration_ms).join(" and ");
            let wrong = || Fault::invalid(format!("`{key}` of a check is between {}, not `{text:.40}`", bounds()));
            if (min..=max).contains(&ms) { Ok(ms) } else { Err(wrong()) }
        };
        let interval_ms = between("interval", &self.interval, INTERVAL_MIN_MS, INTERVAL_MAX_MS)?;
        Ok(Times {
            interval_ms,
            retry_ms: between("retry_interval", &self.retry_interval, INTERVAL_MIN_MS, INTERVAL_MAX_MS)?
                .min(interval_ms),
            timeout_ms: between("timeout", &self.timeout, 100, TIMEOUT_MAX_MS)?,
            freshness_ms: self
                .freshness
                .as_deref()
                .map(|text| between("freshness", text, INTERVAL_MIN_MS, INTERVAL_MAX_MS))
                .transpose()?,
        })
    }

    /// What its alert lacks for the person whom it wakes.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let says = |text: Option<&String>| text.is_some_and(|text| !text.trim().is_empty());
        let label = |name: &str| says(self.labels.get(name)) || (name == "severity" && says(Some(&self.severity)));
        tenfold_alerting::lacks(label, |name| says(self.annotations.get(name))).into_iter().map(|(_, s)| s).collect()
    }

    /// Whether it may be so.
    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        self.times()?;
        let wrong = |message: String| Err(Fault::invalid(format!("the check {name}: {message}")));
        if !(1..=100).contains(&self.attempts) {
            return wrong("`attempts` is between 1 and 100".to_owned());
        }
        if !(0.0..=100.0).contains(&self.flapping.low) || !(0.0..=100.0).contains(&self.flapping.high) {
            return wrong("the thresholds of `flapping` are percentages".to_owned());
        }
        if self.parents.len() > PARENTS_MAX || self.parents.iter().any(|p| p == name) {
            return wrong(format!("it has at most {PARENTS_MAX} parents and is not its own"));
        }
        if self.active.len() > ACTIVE_MAX {
            return wrong(format!("`active` has at most {ACTIVE_MAX} intervals"));
        }
        if !self.active.is_empty() && (matches!(self.run, Run::Passive(_)) || self.freshness.is_some()) {
            return wrong("with `active` it is looked at, so it is not passive and has no `freshness`".to_owned());
        }
        let severities = std::iter::once(&self.severity).chain(&self.stale_severity);
        if severities.into_iter().any(|s| !["critical", "warning", "info"].contains(&s.as_str())) {
            return wrong("`severity` and `stale_severity` are critical, warning or info".to_owned());
        }
        let texts = self.labels.iter().chain(&self.annotations).map(|(n, v)| n.len() + v.len());
        if self.labels.len() + self.annotations.len() > 40 || texts.max().unwrap_or(0) > TEXT_BYTES_MAX {
            return wrong(format!("it has at most 40 labels and annotations of {TEXT_BYTES_MAX} bytes"));
        }
        match self.run.wrong() {
            Some(message) => wrong(message),
            None => Ok(()),
        }
    }
}

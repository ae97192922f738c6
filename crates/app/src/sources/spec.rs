//! What people say of a source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_protocols::alert_hook::{KeyedAlert, Mapping, SaidState};
use tenfold_types::{Fault, format_duration_ms, parse_duration_ms};

use crate::people::check_name;

const LABELS_MAX: usize = 20;
const LABEL_BYTES_MAX: usize = 256;
const ANNOTATION_BYTES_MAX: usize = 2_000;
const WORDS_MAX: usize = 20;
const INTERVAL_MIN_MS: i64 = 10_000;
const INTERVAL_MAX_MS: i64 = 31 * 86_400_000;
/// Of a heartbeat that says none.
const GRACE_MS: i64 = 60_000;
/// What stands before the @ has 64 bytes at most (RFC 5321): the name, a dash and the secret.
const MAIL_NAME_CHARS_MAX: usize = 64 - 1 - super::manage::MAIL_SECRET_CHARS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertSourceKind {
    /// Any JSON, by a mapping.
    Webhook,
    /// Grafana's or Alertmanager's webhook as it is.
    Grafana,
    Mail,
    /// Nothing but that it is there; an alert when it is not heard in time.
    Heartbeat,
}

/// A sender of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSourceSpec {
    pub kind: AlertSourceKind,
    /// What its alerts are about; absent: what they say themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Of alerts that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Put on every alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Put on every alert that has none of that name, such as `runbook_url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Of a webhook: where things stand in its bodies, by JSON Pointers. `key`, `title` and `resolved: {path, values}` are
    /// needed; `alerts`, `description`, `name`, `severity`, `severities`, `starts_at`, `url`, `labels` and `annotations` may
    /// be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub map: Option<Mapping>,
    /// Of a heartbeat: how often it beats, between 10 s and 31 d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Of a heartbeat: how much later than that it may be; a minute when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
    /// Of mails: words in the subject that say that it is over, beside RESOLVED, RECOVERY and OK.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_words: Vec<String>,
}

/// How long a heartbeat may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BeatTimes {
    pub interval_ms: i64,
    pub grace_ms: i64,
}

impl BeatTimes {
    pub(super) const fn patience_ms(self) -> i64 {
        self.interval_ms + self.grace_ms
    }
}

impl AlertSourceKind {
    /// Its alerts come as signed webhooks.
    pub(super) const fn is_hook(self) -> bool {
        matches!(self, Self::Webhook | Self::Grafana)
    }
}

impl AlertSourceSpec {
    /// The times of a heartbeat.
    pub(super) fn beat_times(&self) -> Result<BeatTimes, Fault> {
        let Some(interval) = &self.interval else {
            return Err(
                Fault::invalid("a heartbeat needs an `interval`").advice("for example {kind: heartbeat, interval: 1h}")
            );
        };
        let between = |key: &str, text: &str, min: i64, max: i64| {
            let ms = parse_duration_ms(text).map_err(|e| Fault::invalid(format!("`{key}` of a heartbeat: {e}")))?;
            if (min..=max).contains(&ms) {
                return Ok(ms);
            }
            let (min, max) = (format_duration_ms(min), format_duration_ms(max));
            Err(Fault::invalid(format!("`{key}` of a heartbeat is between {min} and {max}, not `{text:.40}`")))
        };
        let interval_ms = between("interval", interval, INTERVAL_MIN_MS, INTERVAL_MAX_MS)?;
        let grace_ms = match &self.grace {
            Some(grace) => between("grace", grace, 0, INTERVAL_MAX_MS)?,
            None => GRACE_MS,
        };
        Ok(BeatTimes { interval_ms, grace_ms })
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        check_name("source", name)?;
        match self.kind {
            AlertSourceKind::Heartbeat => {
                self.beat_times()?;
            }
            _ if self.interval.is_some() || self.grace.is_some() => {
                return Err(Fault::invalid("only a heartbeat has an `interval` and a `grace`"));
            }
            _ => {}
        }
        if !self.kind.is_hook() && name.len() > MAIL_NAME_CHARS_MAX {
            return Err(Fault::invalid(format!(
                "the name of a source of mails and of a heartbeat has at most {MAIL_NAME_CHARS_MAX} characters: with its \
                 secret it stands before the @ of an address"
            )));
        }
        for (what, text) in [("service", &self.service), ("environment", &self.environment)] {
            text.as_deref().map_or(Ok(()), |text| check_name(what, text))?;
        }
        match (self.kind, &self.map) {
            (AlertSourceKind::Webhook, None) => {
                return Err(Fault::invalid("a webhook needs a `map` that says where things stand in its bodies")
                    .advice("for example {key: /id, title: /message, resolved: {path: /state, values: [ok]}}"));
            }
            (AlertSourceKind::Webhook, Some(map)) => {
                if let Some(why) = map.wrong() {
                    return Err(Fault::invalid(format!("map: {why}")));
                }
            }
            (_, Some(_)) => return Err(Fault::invalid("only a webhook has a `map`")),
            (_, None) => {}
        }
        if self.labels.len() > LABELS_MAX || self.resolved_words.len() > WORDS_MAX {
            return Err(Fault::invalid(format!("at most {LABELS_MAX} labels and {WORDS_MAX} words")));
        }
        if self.annotations.len() > LABELS_MAX {
            return Err(Fault::invalid(format!("at most {LABELS_MAX} annotations")));
        }
        let fits = |text: &String| !text.trim().is_empty() && text.len() <= ANNOTATION_BYTES_MAX;
        if !self.annotations.values().all(fits) {
            return Err(Fault::invalid(format!("an annotation is empty or longer than {ANNOTATION_BYTES_MAX} bytes")));
        }
        let mapped = self.map.iter().flat_map(|m| m.labels.keys());
        for label in self.labels.keys().chain(self.annotations.keys()).chain(mapped) {
            let reserved = [super::SENDER, crate::alerts::KEY_LABEL].contains(&label.as_str());
            let fine = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && label.len() <= LABEL_BYTES_MAX;
            if !fine || reserved {
                return Err(Fault::invalid(format!("`{label:.60}` cannot be the name of a label of a source")));
            }
        }
        let texts = self.labels.values().chain(&self.severity).chain(&self.resolved_words);
        if texts.clone().any(|t| t.is_empty() || t.len() > LABEL_BYTES_MAX || t.chars().any(char::is_control)) {
            return Err(Fault::invalid(format!("a text is empty or longer than {LABEL_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// What its alerts lack for the person whom they wake, as far as the source says it; those of Grafana are another server's rules.
    pub(crate) fn lacks(&self) -> Vec<String> {
        if self.kind == AlertSourceKind::Grafana {
            return Vec::new();
        }
        let says = |text: Option<&String>| text.is_some_and(|text| !text.trim().is_empty());
        let severity = self.severity.is_some()
            || self.kind == AlertSourceKind::Heartbeat
            || self.map.as_ref().is_some_and(|map| map.severity.is_some());
        let label = |name: &str| {
            let mapped = self.map.as_ref().is_some_and(|map| map.labels.contains_key(name));
            mapped || says(self.labels.get(name)) || (name == "severity" && severity)
        };
        let annotation = |name: &str| {
            let mapped = self.map.as_ref().is_some_and(|map| map.annotations.contains_key(name));
            mapped || says(self.annotations.get(name))
        };
        tenfold_alerting::lacks(label, annotation).into_iter().map(|(_, sentence)| sentence).collect()
    }

    /// What the source says of every alert, over what the alert says.
    pub(super) fn complete(&self, name: &str, mut alert: KeyedAlert) -> KeyedAlert {
        if alert.state != SaidState::Firing {
            return alert;
        }
        alert.labels.entry("alertname".into()).or_insert_with(|| name.to_owned());
        if let Some(severity) = &self.severity {
            alert.labels.entry("severity".into()).or_insert_with(|| severity.clone());
        }
        alert.labels.extend(self.labels.clone());
        for (name, text) in &self.annotations {
            alert.annotations.entry(name.clone()).or_insert_with(|| text.clone());
        }
        for (label, value) in [("service", &self.service), ("environment", &self.environment)] {
            if let Some(value) = value {
                alert.labels.insert(label.into(), value.clone());
            }
        }
        alert
    }
}

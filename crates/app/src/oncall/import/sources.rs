//! Senders of alerts that a source knows, as drafts: nothing puts them, since each gets a secret that somebody has to take there.

use std::collections::BTreeMap;

use super::draft::Draft;
use crate::sources::{AlertSourceKind, AlertSourceSpec};

/// A sender as it is told there.
pub(super) struct Sender<'a> {
    pub name: &'a str,
    /// What the other product calls its kind.
    pub kind: &'a str,
    /// What its alerts have here, so that the draft of routes matches them.
    pub labels: BTreeMap<String, String>,
}

/// A sender with an equal here is drafted; of others it is told what to do.
pub(super) fn sender(draft: &mut Draft<'_>, of: Sender<'_>) {
    let low = of.kind.to_lowercase();
    let kind = match low.as_str() {
        "grafana" | "grafana_alerting" | "legacy_grafana_alerting" => Some(AlertSourceKind::Grafana),
        "email" | "inbound_email" => Some(AlertSourceKind::Mail),
        _ => None,
    };
    let labels: Vec<String> = of.labels.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let with = if labels.is_empty() { String::new() } else { format!(" with `labels: {{{}}}`", labels.join(", ")) };
    let was = if of.kind.is_empty() { "unknown" } else { of.kind };
    match kind {
        Some(kind) => {
            let word = if kind == AlertSourceKind::Mail { "mail" } else { "grafana" };
            let note =
                format!("a source of the kind {word} is drafted{with}; what sends there gets its address and secret");
            put(draft, of.name, AlertSourceSpec { labels: of.labels, ..spec(kind) }, note);
        }
        None if matches!(low.as_str(), "prometheus" | "alertmanager") => {
            let also = if labels.is_empty() {
                String::new()
            } else {
                format!("; have it send the external labels {}", labels.join(", "))
            };
            let text = "needs no source: Prometheus sends to this server as to an Alertmanager";
            draft.note(of.name, format!("{text}{also}"));
        }
        None => draft.note(of.name, format!("make a source for it (it was of the kind {was}){with}")),
    }
}

/// Something that is to report in time, every `count` of a unit (`m`, `h` or `d`).
pub(super) fn heartbeat(draft: &mut Draft<'_>, name: &str, (count, unit): (i64, char), is_on: bool) {
    let interval = format!("{count}{unit}");
    if !is_on {
        draft.note(name, format!("a heartbeat every {interval}, which is off there and is left out"));
        return;
    }
    let note = format!("a heartbeat every {interval}: a source is drafted; what reports there gets its address");
    put(draft, name, AlertSourceSpec { interval: Some(interval), ..spec(AlertSourceKind::Heartbeat) }, note);
}

fn put(draft: &mut Draft<'_>, about: &str, spec: AlertSourceSpec, note: String) {
    let name = draft.free_name("source", about);
    match spec.check(&name) {
        Ok(()) => {
            draft.note(about, note);
            draft.source(name, spec);
        }
        Err(fault) => draft.note(about, format!("{}; it is left out", fault.message)),
    }
}

fn spec(kind: AlertSourceKind) -> AlertSourceSpec {
    AlertSourceSpec {
        kind,
        service: None,
        environment: None,
        severity: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        map: None,
        interval: None,
        grace: None,
        resolved_words: Vec::new(),
    }
}

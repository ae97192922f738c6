//! Grafana's webhook of its alerts, which is Alertmanager's with more in it; both are read.

use std::collections::BTreeMap;

use serde::Deserialize;
use tenfold_types::Timestamp;

use super::{ALERTS_MAX, HookError, KEY_CHARS_MAX, KeyedAlert, SaidState, cut};

#[derive(Deserialize)]
struct Body {
    alerts: Vec<Alert>,
    #[serde(default, rename = "externalURL")]
    external_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<String>,
    fingerprint: String,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default, rename = "dashboardURL")]
    dashboard_url: String,
    #[serde(default, rename = "panelURL")]
    panel_url: String,
    #[serde(default)]
    value_string: String,
}

/// Reads Grafana's (or Alertmanager's) webhook. An alert's key is its fingerprint; labels stay as they are.
pub fn grafana(body: &[u8]) -> Result<Vec<KeyedAlert>, HookError> {
    let wrong = |why: String| HookError::Body(why);
    let body: Body = serde_json::from_slice(body).map_err(|e| wrong(e.to_string()))?;
    if body.alerts.len() > ALERTS_MAX {
        return Err(wrong(format!("it holds {} alerts, at most {ALERTS_MAX} are read", body.alerts.len())));
    }
    body.alerts.into_iter().map(|alert| read(alert, &body.external_url).map_err(wrong)).collect()
}

fn read(alert: Alert, external_url: &str) -> Result<KeyedAlert, String> {
    let key = alert.fingerprint;
    if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
        return Err(format!("an alert's `fingerprint` is empty or longer than {KEY_CHARS_MAX} characters"));
    }
    // Grafana resolves an alert whose series is gone, or of which there is no data: nobody saw that it is over.
    let unseen = alert.annotations.get("grafana_state_reason").is_some_and(|why| {
        ["MissingSeries", "NoData", "Error", "Paused", "Updated"].iter().any(|w| why.starts_with(w))
    });
    let state = match alert.status.as_str() {
        "firing" => SaidState::Firing,
        "resolved" if unseen => SaidState::Silent,
        "resolved" => SaidState::Resolved,
        other => {
            return Err(format!("the alert {key} has the status `{other:.20}`, which is neither firing nor resolved"));
        }
    };
    let text =
        |(name, value): (String, String)| (!name.starts_with("__") && !value.is_empty()).then(|| (name, cut(&value)));
    let mut annotations: BTreeMap<String, String> = alert.annotations.into_iter().filter_map(text).collect();
    let more = [
        ("value_string", alert.value_string),
        ("dashboard_url", alert.panel_url),
        ("dashboard_url", alert.dashboard_url),
    ];
    for (name, value) in more.into_iter().filter(|(_, value)| !value.is_empty()) {
        annotations.entry(name.to_owned()).or_insert_with(|| cut(&value));
    }
    let url = [alert.generator_url.as_str(), external_url].into_iter().find(|u| u.starts_with("http")).map(cut);
    Ok(KeyedAlert {
        key,
        state,
        labels: alert.labels.into_iter().filter_map(text).collect(),
        annotations,
        starts_at: alert.starts_at.as_deref().and_then(Timestamp::parse_rfc3339),
        url,
    })
}

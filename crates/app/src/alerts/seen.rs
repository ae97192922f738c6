//! Alerts as Alertmanager's API shows them: where each goes, and what keeps it quiet.

use std::collections::BTreeMap;

use tenfold_alerting::pipeline::{Explainer, Explanation, Stage, Verdict};
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Labels, Timestamp};

use super::{
    pipeline::look,
    received::LEASE_MS,
    transitions::{Body, body},
};
use crate::App;

/// The version of Alertmanager's API description that is spoken: tools ask for a number, and choose their own ways by it.
pub const ALERTMANAGER_VERSION: &str = "0.34.0";

/// A firing alert with what the pipeline says of it.
#[derive(Debug, Clone)]
pub struct SeenAlert {
    pub fingerprint: String,
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Timestamp,
    pub updated_at: Timestamp,
    /// Until when it is believed to fire if nobody says so again.
    pub ends_at: Timestamp,
    pub generator_url: String,
    /// Mutes that cover it.
    pub muted_by: Vec<i64>,
    /// Alerts that inhibit it.
    pub inhibited_by: Vec<String>,
    /// Time intervals that keep all its routes quiet.
    pub intervals: Vec<String>,
    /// Its groups: the route's key, the receiver and the labels in common.
    pub groups: Vec<(String, String, Labels)>,
}

/// What tools learn of this server.
#[derive(Debug, Clone)]
pub struct AlertingStatus {
    /// As Alertmanager would write it.
    pub config: String,
    pub started_at: Timestamp,
    pub receivers: Vec<String>,
}

impl App {
    /// The alerts that fire, or of which nobody knows whether they still do.
    pub async fn alerts_seen(&self) -> Result<Vec<SeenAlert>, Fault> {
        let rows = self.read(|tx| Ok(store::active(tx)?)).await?;
        let look = look(self).await?;
        let received = self.alerts.received.lock().clone();
        let mut out = Vec::new();
        let explainer = Explainer::new(look.context(), &look.state);
        for row in rows.iter().filter(|r| r.state == "firing" || r.state == "unknown") {
            let Body { alert, generator_url, .. } = body(row)?;
            let why = explainer.explain(&alert.labels, look.at);
            let mut seen = seen(&why);
            let mutes = look.mutes.iter().filter(|m| m.holds(look.at) && m.matches(&alert.labels));
            seen.muted_by = mutes.filter_map(|m| super::mutes::number(&m.id)).collect();
            seen.starts_at = alert.fired_at.unwrap_or(alert.active_since);
            (seen.updated_at, seen.ends_at) = (look.at, look.at.plus_ms(LEASE_MS));
            (seen.labels, seen.annotations) = (alert.labels, BTreeMap::from(&*alert.annotations));
            seen.generator_url =
                generator_url.unwrap_or_else(|| format!("{}/alerts/{}", self.settings.public_url, row.fingerprint));
            if let Some(lease) = received.get(&row.fingerprint) {
                (seen.starts_at, seen.updated_at, seen.ends_at) = (lease.starts_at, lease.updated_at, lease.ends_at);
                seen.annotations = BTreeMap::from(&*lease.alert.annotations);
                if !lease.generator_url.is_empty() {
                    seen.generator_url.clone_from(&lease.generator_url);
                }
            }
            out.push(seen);
        }
        Ok(out)
    }

    pub fn alerting_status(&self) -> Result<AlertingStatus, Fault> {
        let held = self.alerts.routing()?;
        Ok(AlertingStatus {
            config: held.spec.as_alertmanager().map_err(|e| Fault::internal(e.to_string()))?,
            started_at: self.alerts.started_at.lock().unwrap_or_else(|| self.now()),
            receivers: held.spec.receivers.iter().map(|r| r.name.clone()).collect(),
        })
    }
}

fn seen(why: &Explanation) -> SeenAlert {
    let by = |stage: Stage| -> Vec<String> {
        let decisions = why.routes.iter().flat_map(|r| &r.decisions);
        let mut by: Vec<String> = decisions
            .filter(|d| d.stage == stage && d.verdict == Verdict::Suppress)
            .filter_map(|d| d.by.clone())
            .collect();
        by.sort();
        by.dedup();
        by
    };
    let quiet_everywhere = |stage: Stage| {
        let quiet = |d: &tenfold_alerting::pipeline::Decision| d.stage == stage && d.verdict == Verdict::Suppress;
        why.routes.iter().all(|r| r.decisions.iter().any(quiet))
    };
    let zero = Timestamp::from_millis(0);
    SeenAlert {
        fingerprint: why.fingerprint.text(),
        labels: Labels::new(),
        annotations: BTreeMap::new(),
        starts_at: zero,
        updated_at: zero,
        ends_at: zero,
        generator_url: String::new(),
        muted_by: Vec::new(),
        inhibited_by: by(Stage::Inhibit),
        intervals: if quiet_everywhere(Stage::TimeInterval) { by(Stage::TimeInterval) } else { Vec::new() },
        groups: why.routes.iter().map(|r| (r.route.clone(), r.receiver.clone(), r.group.clone())).collect(),
    }
}

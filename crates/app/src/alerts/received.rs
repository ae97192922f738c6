//! Alerts that others send: a Prometheus that takes this server for an Alertmanager, scripts, amtool.
//!
//! A sender says again and again that an alert fires; that only extends a lease in memory. What changes is stored and goes
//! through the same pipeline as the alerts of our own rules. A sender that goes silent has not said that it is over: the
//! alert expires, and people judge.

use std::collections::BTreeMap;

use serde::Deserialize;
use tenfold_alerting::{Alert, AlertState, Transition, TransitionKind, fingerprint};
use tenfold_store::alerts as store;
use tenfold_types::{ErrorCode, Fault, Labels, Timestamp};

use super::{
    lease::Lease,
    pipeline,
    transitions::{Origin, body},
};
use crate::{App, Caller, Role};

/// How long an alert is believed that came without an end. Alertmanager's `resolve_timeout`.
pub(super) const LEASE_MS: i64 = 300_000;
/// Alerts in one request.
const BATCH_MAX: usize = 10_000;
/// Alerts of senders that are followed.
const RECEIVED_MAX: usize = 100_000;
const LABELS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 8_192;
/// The group under which alerts of senders are listed. Rule groups of ours have no such character.
pub(super) const GROUP: &str = "/received";

/// An alert as Alertmanager's API takes it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert {
    #[schema(value_type = Object)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub starts_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Option<String>,
}

/// An alert of a sender that fires.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub alert: Alert,
    pub ends_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Takes the senders' alerts out of the store. Each gets a lease anew: the sender may have had nowhere to send to.
pub(super) fn reload(app: &App, rows: &[store::AlertRow]) -> Result<(), Fault> {
    let now = app.now();
    let mut all = BTreeMap::new();
    for row in rows.iter().filter(|r| r.rule_group == GROUP) {
        let alert = body(row)?.alert;
        all.insert(row.fingerprint.clone(), Received { alert, ends_at: now.plus_ms(LEASE_MS), updated_at: now });
    }
    *app.alerts.received.lock() = all;
    Ok(())
}

/// Go's zero time, which its clients send for no time at all.
fn given(at: Option<Timestamp>) -> Option<Timestamp> {
    at.filter(|at| at.millis() > Timestamp::parse_rfc3339("0001-01-01T00:00:00Z").map_or(i64::MIN, Timestamp::millis))
}

/// What a sender said, checked.
struct Said {
    alert: Alert,
    ends_at: Timestamp,
    generator_url: String,
}

fn read(posted: PostedAlert, now: Timestamp) -> Result<Said, String> {
    let labels = Labels::from_pairs(posted.labels);
    let annotations = posted.annotations.unwrap_or_default();
    if labels.is_empty() {
        return Err("an alert has at least one label with a value".to_owned());
    }
    if labels.len() > LABELS_MAX || annotations.len() > LABELS_MAX {
        return Err(format!("an alert has at most {LABELS_MAX} labels and as many annotations"));
    }
    for (name, value) in labels.iter().chain(annotations.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
        if name.is_empty() || name.len() + value.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "`{name:.50}`: a name is not empty, and has with its value at most {TEXT_BYTES_MAX} bytes"
            ));
        }
    }
    let (starts_at, ends_at) = (given(posted.starts_at), given(posted.ends_at));
    let starts_at = starts_at.or(ends_at).unwrap_or(now).min(ends_at.unwrap_or(now).max(now));
    let ends_at = ends_at.unwrap_or_else(|| now.plus_ms(LEASE_MS));
    if starts_at > ends_at {
        return Err(format!("{labels} starts {starts_at}, after its end {ends_at}"));
    }
    let alert = Alert {
        fingerprint: fingerprint(&labels),
        series: labels.clone(),
        labels,
        annotations,
        state: AlertState::Firing,
        value: 1.0,
        active_since: starts_at,
        fired_at: Some(starts_at),
        resolved_at: None,
        keep_since: None,
        no_data_since: None,
    };
    let mut generator_url = posted.generator_url.unwrap_or_default();
    if generator_url.len() > TEXT_BYTES_MAX || !generator_url.starts_with("http") {
        generator_url.clear();
    }
    Ok(Said { alert, ends_at, generator_url })
}

fn transition(kind: TransitionKind, from: Option<AlertState>, alert: Alert) -> Transition {
    Transition { kind, from, alert, reason: None }
}

fn ended(mut alert: Alert, kind: TransitionKind, at: Timestamp) -> Transition {
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(at);
    transition(kind, Some(AlertState::Firing), alert)
}

fn origin(app: &App, alert: &Alert, generator_url: &str) -> Origin {
    Origin::received(alert.labels.get("alertname").unwrap_or("alert"), GROUP, generator_url).suspect_window(app)
}

impl App {
    /// Takes alerts from a sender. Those that are right count even when others in the same request are wrong.
    pub async fn alerts_receive(&self, who: &Caller, posted: Vec<PostedAlert>) -> Result<(), Fault> {
        if posted.len() > BATCH_MAX {
            return Err(Fault::invalid(format!(
                "at most {BATCH_MAX} alerts in one request, here are {}",
                posted.len()
            ))
            .advice("send them in several requests"));
        }
        let now = self.now();
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        for alert in posted {
            let (service, environment) =
                (alert.labels.get("service").cloned(), alert.labels.get("environment").cloned());
            who.require(Role::Responder, service.as_deref(), environment.as_deref())?;
            match read(alert, now) {
                Ok(one) => said.push(one),
                Err(error) => wrong.push(error),
            }
        }
        self.hear(said, now).await?;
        if wrong.is_empty() { Ok(()) } else { Err(Fault::new(ErrorCode::BadRequest, wrong.join("; "))) }
    }

    async fn hear(&self, said: Vec<Said>, now: Timestamp) -> Result<(), Fault> {
        // Only what is new or over has to be stored; most of what is said is neither.
        if self.only_goes_on(&said, now) {
            return Ok(());
        }
        let _one = self.alerts.hearing.lock().await;
        let Some(lease) = self.alerting_lease().await? else {
            return Err(
                Fault::new(ErrorCode::Unavailable, "another node takes alerts now").advice("send them to it, or again")
            );
        };
        let known = self.alerts.received.lock().clone();
        let mut after = known.clone();
        let mut batch = Vec::new();
        for Said { alert, ends_at, generator_url } in said {
            let origin = origin(self, &alert, &generator_url);
            match (after.get_mut(&alert.fingerprint), ends_at > now) {
                (Some(before), true) => {
                    before.alert.annotations = alert.annotations;
                    (before.ends_at, before.updated_at) = (ends_at, now);
                }
                (Some(before), false) => {
                    batch.push((origin, ended(before.alert.clone(), TransitionKind::Resolved, now)));
                    after.remove(&alert.fingerprint);
                }
                (None, true) => {
                    if after.len() >= RECEIVED_MAX {
                        return Err(Fault::invalid(format!("at most {RECEIVED_MAX} alerts of senders are followed")));
                    }
                    after
                        .insert(alert.fingerprint.clone(), Received { alert: alert.clone(), ends_at, updated_at: now });
                    batch.push((origin, transition(TransitionKind::Firing, None, alert)));
                }
                (None, false) => {}
            }
        }
        if !batch.is_empty() {
            pipeline::advance(self, &lease, batch).await?;
        }
        *self.alerts.received.lock() = after;
        Ok(())
    }

    /// Extends leases when nothing else is to be done; false when there is more.
    fn only_goes_on(&self, said: &[Said], now: Timestamp) -> bool {
        let mut received = self.alerts.received.lock();
        let goes_on = said.iter().all(|s| s.ends_at > now && received.contains_key(&s.alert.fingerprint));
        if goes_on {
            for one in said {
                if let Some(known) = received.get_mut(&one.alert.fingerprint) {
                    known.alert.annotations.clone_from(&one.alert.annotations);
                    (known.ends_at, known.updated_at) = (one.ends_at, now);
                }
            }
        }
        goes_on
    }
}

/// Alerts whose senders went silent expire.
pub(super) async fn expire(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    if !app.alerts.received.lock().values().any(|r| r.ends_at <= now) {
        return Ok(());
    }
    let _one = app.alerts.hearing.lock().await;
    let silent: Vec<Received> = app.alerts.received.lock().values().filter(|r| r.ends_at <= now).cloned().collect();
    let batch = silent
        .iter()
        .map(|r| (origin(app, &r.alert, ""), ended(r.alert.clone(), TransitionKind::Expired, now)))
        .collect();
    pipeline::advance(app, lease, batch).await?;
    let mut received = app.alerts.received.lock();
    for one in silent {
        received.remove(&one.alert.fingerprint);
    }
    Ok(())
}

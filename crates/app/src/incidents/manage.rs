//! What people do with incidents: open, acknowledge, note, resolve. Each may be asked twice and happens once.

use serde::Deserialize;
use serde_json::json;
use tenfold_oncall::Input;
use tenfold_store::{alerts as alert_store, counters, incidents as store};
use tenfold_types::{Fault, Severity};

use super::{
    open::{New, open, record, resolve, stop_escalation, supersede},
    owed::owe,
    stored::{Incident, State},
    views::{IncidentView, incident_view},
};
use crate::{
    App, Caller, Role,
    alerts::{self, UpdateKind},
};

const TITLE_BYTES_MAX: usize = 300;
const NOTE_BYTES_MAX: usize = 8_000;

/// What is said when a person opens an incident.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    pub title: String,
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    /// `critical` unless said otherwise.
    #[serde(default)]
    pub severity: Option<String>,
    /// A drill: paged like a real one, marked DRILL everywhere, not counted in the delivery figures.
    #[serde(default)]
    pub drill: bool,
}

/// What may be said when resolving.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resolution {
    pub text: Option<String>,
    /// What it came from: `deploy:12`, `flag:new_uploader`, `external` or `unknown`.
    pub caused_by: Option<String>,
}

/// The answer to an acknowledgement.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub incident: IncidentView,
    /// Somebody had acknowledged before; `incident.acknowledged_by_name` says who.
    pub already: bool,
}

fn check_cause(cause: &str) -> Result<(), Fault> {
    let good = match cause.split_once(':') {
        Some(("deploy", number)) => number.parse::<i64>().is_ok_and(|n| n > 0),
        Some(("flag", key)) => !key.is_empty() && key.len() <= 200,
        Some(_) => false,
        None => matches!(cause, "external" | "unknown" | "config"),
    };
    if good {
        return Ok(());
    }
    Err(Fault::invalid(format!("`{cause}` does not say what an incident came from"))
        .advice("write deploy:12, flag:KEY, config, external or unknown"))
}

fn trimmed(what: &str, text: &str, bytes_max: usize) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        return Err(Fault::invalid(format!("{what} has 1 to {bytes_max} bytes")));
    }
    Ok(text.to_owned())
}

pub(super) fn may(who: &Caller, incident: &Incident) -> Result<(), Fault> {
    who.require(Role::Responder, incident.body.service.as_deref(), incident.body.environment.as_deref())
}

impl App {
    pub async fn incident_open(&self, who: &Caller, new: NewIncident) -> Result<IncidentView, Fault> {
        let environment = new.environment.or_else(|| new.service.is_some().then(|| "production".to_owned()));
        who.require(Role::Responder, new.service.as_deref(), environment.as_deref())?;
        let title = trimmed("the title of an incident", &new.title, TITLE_BYTES_MAX)?;
        let severity = new.severity.unwrap_or_else(|| "critical".to_owned());
        if !matches!(severity.as_str(), "critical" | "warning" | "info") {
            return Err(Fault::invalid(format!("`{severity}` is not a severity")).advice("critical, warning or info"));
        }
        if let Some(service) = &new.service {
            self.service(service).await?;
        }
        let drill = new.drill;
        let (who, service, window) = (who.clone(), new.service, self.settings.alerts.suspect_window_ms);
        let view = self
            .transact(move |t| {
                let now = t.now();
                let suspects = match service.as_deref() {
                    Some(s) => alerts::suspects(t.tx(), Some(s), environment.as_deref(), now, window)?,
                    None => Vec::new(),
                };
                let new = New {
                    number: counters::next(t.tx(), "incident")?,
                    key: None,
                    title: title.clone(),
                    severity: severity.clone(),
                    service: service.clone(),
                    environment: environment.clone(),
                    opened_by: who.actor.clone(),
                    onset: now,
                    suspects,
                    policy: None,
                    drill,
                };
                let incident = open(t, new, who.source, None)?;
                incident_view(t.tx(), &incident)
            })
            .await?;
        self.incidents.wake();
        Ok(view)
    }

    /// Stops the escalation. A second acknowledgement changes nothing and says who was first.
    pub async fn incident_acknowledge(&self, who: &Caller, number: i64) -> Result<Acknowledged, Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let mut incident = Incident::get(t.tx(), number)?;
            may(&who, &incident)?;
            match incident.state {
                State::Acknowledged => {
                    return Ok(Acknowledged { incident: incident_view(t.tx(), &incident)?, already: true });
                }
                State::Resolved => {
                    return Err(Fault::conflict(format!("incident {number} is resolved already")));
                }
                State::Open => {}
            }
            incident.state = State::Acknowledged;
            incident.body.acknowledged_at = Some(now);
            incident.body.acknowledged_by = Some(who.actor.id.clone());
            incident.body.acknowledged_by_name = Some(who.name.clone());
            stop_escalation(&mut incident, &Input::Acknowledged, now);
            incident.write(t.tx())?;
            supersede(t.tx(), number, Some(&who.actor.id))?;
            owe(t, &incident, UpdateKind::Acknowledged)?;
            let text = format!("{} acknowledged incident {number}", who.name);
            let data = json!({"after_ms": now.since_ms(incident.opened_at)});
            let draft = record(&incident, who.actor.clone(), who.source, "incident.acknowledged", text, Severity::Good);
            t.record(draft.data(data))?;
            Ok(Acknowledged { incident: incident_view(t.tx(), &incident)?, already: false })
        })
        .await
    }

    /// Ends an incident by hand. One that is resolved already stays as it is, but its cause may still be told.
    pub async fn incident_resolve(
        &self,
        who: &Caller,
        number: i64,
        resolution: Resolution,
    ) -> Result<IncidentView, Fault> {
        if let Some(cause) = &resolution.caused_by {
            check_cause(cause)?;
        }
        let note = match resolution.text.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
            Some(text) => Some(trimmed("a note", text, NOTE_BYTES_MAX)?),
            None => None,
        };
        let (who, cause) = (who.clone(), resolution.caused_by);
        self.transact(move |t| {
            let mut incident = Incident::get(t.tx(), number)?;
            may(&who, &incident)?;
            let new_cause = cause.is_some() && cause != incident.body.caused_by;
            if new_cause {
                incident.body.caused_by.clone_from(&cause);
            }
            if incident.state != State::Resolved {
                let mut text = format!("{} resolved incident {number}", who.name);
                if let Some(note) = &note {
                    text = format!("{text}: {note}");
                }
                let data = json!({"by": "person", "caused_by": incident.body.caused_by});
                // What a person ended is not opened again by itself.
                if let Some(key) = &incident.open_key {
                    store::ended_forget(t.tx(), key)?;
                }
                incident = resolve(t, incident, who.actor.clone(), who.source, text, data)?;
                // Alerts that still fire belong to this incident; only a new episode opens another one.
            } else if new_cause || note.is_some() {
                incident.write(t.tx())?;
                let said = note.clone().unwrap_or_else(|| cause.clone().unwrap_or_default());
                let text = format!("{} on incident {number}: {said}", who.name);
                let draft = record(&incident, who.actor.clone(), who.source, "incident.noted", text, Severity::Info);
                t.record(draft.data(json!({"caused_by": incident.body.caused_by, "note": note})))?;
            }
            incident_view(t.tx(), &incident)
        })
        .await
    }

    pub async fn incident_note(&self, who: &Caller, number: i64, text: &str) -> Result<IncidentView, Fault> {
        let note = trimmed("a note", text, NOTE_BYTES_MAX)?;
        let who = who.clone();
        self.transact(move |t| {
            let incident = Incident::get(t.tx(), number)?;
            may(&who, &incident)?;
            let text = format!("{} on incident {number}: {note}", who.name);
            let draft = record(&incident, who.actor.clone(), who.source, "incident.noted", text, Severity::Info);
            t.record(draft.data(json!({"note": note})))?;
            incident_view(t.tx(), &incident)
        })
        .await
    }

    /// Title and service of the active alerts of an incident, for lists.
    pub async fn incident_alerts(&self, number: i64) -> Result<Vec<alerts::AlertView>, Fault> {
        let fingerprints = self
            .read(move |tx| {
                let members = tenfold_store::incidents::members(tx, number)?;
                let rows = members.iter().map(|m| alert_store::get(tx, &m.fingerprint));
                Ok(rows
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .flatten()
                    .map(|r| r.fingerprint)
                    .collect::<std::collections::BTreeSet<_>>())
            })
            .await?;
        let all = self.alerts_list(None).await?;
        Ok(all.into_iter().filter(|a| fingerprints.contains(&a.fingerprint)).collect())
    }
}

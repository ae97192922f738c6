//! What people do with incidents: open, acknowledge, note, resolve. Each may be asked twice and happens once.

use serde::Deserialize;
use serde_json::json;
use tenfold_oncall::{ACK_MS_MAX, ACK_MS_MIN, Escalation, Expiry, Input};
use tenfold_store::{Tx, counters, incidents as store};
use tenfold_types::{Fault, Severity, Timestamp, format_duration_ms};

use super::{
    open::{New, open, record, resolve, stop_escalation, supersede},
    owed::owe,
    stored::{Incident, State},
    views::{IncidentView, incident_view},
};
use crate::{
    App, Caller, Role, Txn,
    alerts::{self, UpdateKind},
};

const TITLE_BYTES_MAX: usize = 300;
pub(super) const NOTE_BYTES_MAX: usize = 8_000;

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

pub(super) fn trimmed(what: &str, text: &str, bytes_max: usize) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        return Err(Fault::invalid(format!("{what} has 1 to {bytes_max} bytes")));
    }
    Ok(text.to_owned())
}

pub(super) fn may(who: &Caller, incident: &Incident) -> Result<(), Fault> {
    who.require(Role::Responder, incident.body.service.as_deref(), incident.body.environment.as_deref())
}

/// When an acknowledgement is over: after the time that is asked for, or that the policy gives.
fn expiry(tx: &mut dyn Tx, incident: &Incident, for_ms: Option<i64>, now: Timestamp) -> Result<Option<Expiry>, Fault> {
    let Some(escalation) = &incident.body.escalation else {
        if for_ms.is_none() {
            return Ok(None);
        }
        let text = format!("incident {} has no escalation policy that could begin again", incident.number);
        return Err(Fault::invalid(text).advice("acknowledge it without a time"));
    };
    let Some(ms) = for_ms.or(escalation.policy.ack_timeout_ms) else { return Ok(None) };
    let round = store::pages(tx, incident.number)?.iter().map(|p| p.round).max().unwrap_or(-1) + 1;
    Ok(Some(Expiry { at: now.plus_ms(ms), round: u32::try_from(round).unwrap_or(0) }))
}

/// Whoever has it has it for longer. Without a time that is said, it never becomes shorter.
fn keep(t: &mut Txn<'_>, incident: &mut Incident, who: &Caller, for_ms: Option<i64>) -> Result<(), Fault> {
    let now = t.now();
    let Some(expires) = expiry(t.tx(), incident, for_ms, now)? else { return Ok(()) };
    let before = incident.body.escalation.as_ref().and_then(Escalation::expires_at);
    if for_ms.is_none() && before.is_none_or(|at| at >= expires.at) {
        return Ok(());
    }
    stop_escalation(incident, &Input::Acknowledged(Some(expires)), now);
    incident.write(t.tx())?;
    let held = format_duration_ms(expires.at.since_ms(now));
    let text = format!("{} has incident {} for {held} from now", who.name, incident.number);
    let draft = record(incident, who.actor.clone(), who.source, "incident.noted", text, Severity::Info);
    t.record(draft.data(json!({"expires_at": expires.at})))?;
    Ok(())
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
                    came_by: None,
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
        self.incident_acknowledge_for(who, number, None).await
    }

    /// The same for a time, after which it begins again unless it is over by then; without one as long as its policy says, or
    /// for good. Whoever has it may say so again, from when on the time counts anew.
    pub async fn incident_acknowledge_for(
        &self,
        who: &Caller,
        number: i64,
        for_ms: Option<i64>,
    ) -> Result<Acknowledged, Fault> {
        if for_ms.is_some_and(|ms| !(ACK_MS_MIN..=ACK_MS_MAX).contains(&ms)) {
            let (least, most) = (format_duration_ms(ACK_MS_MIN), format_duration_ms(ACK_MS_MAX));
            return Err(Fault::invalid(format!("an acknowledgement is for {least} to {most}")));
        }
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let mut incident = Incident::get(t.tx(), number)?;
            may(&who, &incident)?;
            match incident.state {
                State::Acknowledged => {
                    if incident.body.acknowledged_by.as_deref() == Some(who.actor.id.as_str()) {
                        keep(t, &mut incident, &who, for_ms)?;
                    }
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
            let expires = expiry(t.tx(), &incident, for_ms, now)?;
            stop_escalation(&mut incident, &Input::Acknowledged(expires), now);
            incident.write(t.tx())?;
            supersede(t.tx(), number, Some(&who.actor.id))?;
            owe(t, &incident, UpdateKind::Acknowledged)?;
            let held = expires.map(|e| format!(" for {}", format_duration_ms(e.at.since_ms(now)))).unwrap_or_default();
            let text = format!("{} acknowledged incident {number}{held}", who.name);
            let mut data = json!({"after_ms": now.since_ms(incident.opened_at)});
            if let Some(expires) = expires {
                data["expires_at"] = json!(expires.at);
            }
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
}

//! The timeline of an incident and the draft of its postmortem, both read from the record.

use std::collections::BTreeMap;

use serde::Serialize;
use tenfold_incidents::{Draft, Person as Named, TimelineEntry, postmortem, timeline};
use tenfold_store::{Tx, events, events::EventQuery, incidents as store, people};
use tenfold_types::{Event, Fault, Visibility};

use super::stored::Incident;
use crate::{
    App,
    people::{Person, PersonKind},
};

/// The story begins this long before the first signs; the changes that may be behind it lie there.
const BEFORE_MS: i64 = 30 * 60_000;
/// It goes on this long after the end, for what came late.
const AFTER_MS: i64 = 5 * 60_000;
/// Alerts whose own events are looked for, the first that joined: what rings for the incident names it anyway.
const ALERTS_TOLD_MAX: i64 = 20;

/// An event with the part of the story it tells.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TimelineEventView {
    /// `deploy`, `first_errors`, `alert`, `page`, `acknowledged`, `mitigation`, `recovery`, `note` or `other`.
    #[schema(value_type = String)]
    pub phase: tenfold_incidents::Phase,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub event: Event,
}

fn entries(tx: &mut dyn Tx, incident: &Incident) -> Result<Vec<TimelineEntry>, Fault> {
    let base = EventQuery {
        from: Some(incident.body.onset.plus_ms(-BEFORE_MS)),
        to: incident.body.resolved_at.map(|t| t.plus_ms(AFTER_MS)),
        limit: events::EVENTS_MAX,
        ascending: true,
        include_admin: true,
        ..EventQuery::default()
    };
    let mut queries = vec![
        EventQuery { incident: Some(incident.number), from: None, to: None, ..base.clone() },
        EventQuery { kinds: vec!["flag.".into(), "note.".into()], ..base.clone() },
    ];
    if let Some(service) = &incident.body.service {
        let kinds = ["deploy.", "lock.", "mute."].map(str::to_owned).to_vec();
        queries.push(EventQuery { kinds, service: Some(service.clone()), ..base.clone() });
    }
    for member in store::members(tx, incident.number, ALERTS_TOLD_MAX)? {
        queries.push(EventQuery { kinds: vec!["alert.".into()], alert: Some(member.fingerprint), ..base.clone() });
    }
    let mut found: BTreeMap<i64, Event> = BTreeMap::new();
    for query in queries {
        for event in events::list(tx, &query)? {
            let elsewhere = match (&event.subject.environment, &incident.body.environment) {
                (Some(there), Some(here)) => there != here,
                _ => false,
            };
            if !elsewhere && event.visibility == Visibility::Everyone && told(&event) {
                found.insert(event.seq, event);
            }
        }
    }
    Ok(timeline(found.into_values().collect(), incident.opened_at))
}

/// Steps of a deploy that only machines care about are left out of the story.
fn told(event: &Event) -> bool {
    !matches!(
        event.kind.as_str(),
        "deploy.build_started"
            | "deploy.built"
            | "deploy.staged"
            | "deploy.host_activated"
            | "page.queued"
            | "page.updated"
            | "alert.cleared"
            | "alert.turned"
    )
}

fn named(tx: &mut dyn Tx) -> Result<Vec<Named>, Fault> {
    let mut out = Vec::new();
    for row in people::people(tx)? {
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
        let kind = match person.kind {
            PersonKind::Developer => "developer",
            PersonKind::Operator => "operator",
        };
        out.push(Named { login: person.login, name: person.name, kind: kind.to_owned() });
    }
    Ok(out)
}

impl App {
    /// The story of an incident in the order in which things happened.
    pub async fn incident_timeline(&self, number: i64) -> Result<Vec<TimelineEventView>, Fault> {
        self.read(move |tx| {
            let incident = Incident::get(tx, number)?;
            let entries = entries(tx, &incident)?;
            Ok(entries.into_iter().map(|e| TimelineEventView { phase: e.phase, event: e.event }).collect())
        })
        .await
    }

    /// The draft of a postmortem, Markdown, with roles instead of names.
    pub async fn incident_postmortem(&self, number: i64) -> Result<String, Fault> {
        self.read(move |tx| {
            let incident = Incident::get(tx, number)?;
            let entries = entries(tx, &incident)?;
            let people = named(tx)?;
            let body = &incident.body;
            let suspects: Vec<String> =
                body.suspects.iter().map(|s| format!("{} by {}", s.text, s.actor_name)).collect();
            Ok(postmortem(&Draft {
                number,
                title: &body.title,
                severity: &body.severity,
                service: body.service.as_deref(),
                environment: body.environment.as_deref(),
                opened_at: incident.opened_at,
                acknowledged_at: body.acknowledged_at,
                resolved_at: body.resolved_at,
                suspects: &suspects,
                entries: &entries,
                people: &people,
            }))
        })
        .await
    }
}

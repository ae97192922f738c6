//! The shapes that pages, the command line and chat see.

use serde::{Deserialize, Serialize};
use tenfold_oncall::Progress;
use tenfold_store::{Tx, incidents as store, page_updates as updates};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::drill::{self, DrillScoreView};
use super::stored::{COPY, Incident, State, person, word};
use crate::{App, alerts::SuspectView};

/// Incidents in one list.
const LIST_MAX: i64 = 200;
const LIST_DEFAULT: i64 = 50;
const PAGES_LISTED_MAX: i64 = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// `mail`, `irc`, `webhook` or `web`.
    pub channel: String,
    /// `sending`, `accepted`, `failed`, or `shown` on the page.
    pub state: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A way of a page that has not been tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedView {
    pub channel: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// What somebody whose page was taken was told afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewsView {
    pub channel: String,
    /// `grown`, `acknowledged` or `over`.
    pub kind: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageView {
    pub id: String,
    pub incident: i64,
    /// From 1.
    pub step: i64,
    /// From 1.
    pub round: i64,
    pub person: String,
    pub person_name: String,
    /// `due`, `sending`, `delivered`, `acknowledged`, `failed` or `superseded`.
    pub state: String,
    /// To somebody who learns; nobody waits for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    pub attempts: Vec<AttemptView>,
    /// Ways that ring later unless somebody acknowledges, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned: Vec<PlannedView>,
    /// What was told after the page, the last of each channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub news: Vec<NewsView>,
    #[schema(value_type = String)]
    pub due_at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub delivered_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EscalationView {
    pub policy: String,
    /// The step that was paged last, from 1; 0 before the first.
    pub step: i64,
    pub steps: i64,
    pub round: i64,
    /// `waiting`, `acknowledged`, `resolved` or `exhausted`.
    pub state: String,
    #[schema(value_type = Option<String>)]
    pub next_at: Option<Timestamp>,
    /// Names of those whose acknowledgement is waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    pub number: i64,
    pub title: String,
    pub severity: String,
    /// People practise; nothing is broken.
    pub drill: bool,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// `open`, `acknowledged` or `resolved`.
    pub state: String,
    #[schema(value_type = String)]
    pub opened_at: Timestamp,
    /// When the first signs were seen.
    #[schema(value_type = String)]
    pub onset: Timestamp,
    pub opened_by: String,
    #[schema(value_type = Option<String>)]
    pub acknowledged_at: Option<Timestamp>,
    /// Login.
    pub acknowledged_by: Option<String>,
    pub acknowledged_by_name: Option<String>,
    #[schema(value_type = Option<String>)]
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    pub caused_by: Option<String>,
    /// What its pages were for, as somebody said: `action`, `threshold` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classified: Option<String>,
    /// How often it opened again because something fired soon after its end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
    /// Fingerprints.
    pub alerts: Vec<String>,
    pub suspects: Vec<SuspectView>,
    /// Null when there is no policy for it and nobody is paged.
    pub escalation: Option<EscalationView>,
    pub pages: Vec<PageView>,
    /// How it goes, of a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<DrillScoreView>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

pub(super) fn incident_view(tx: &mut dyn Tx, incident: &Incident) -> Result<IncidentView, Fault> {
    let alerts = store::members(tx, incident.number)?.into_iter().map(|m| m.fingerprint).collect();
    let pages = store::pages(tx, incident.number)?;
    let pages = pages.iter().map(|p| page_view(tx, p)).collect::<Result<Vec<_>, Fault>>()?;
    let score = drill::of(tx, incident)?.map(DrillScoreView::from);
    let body = incident.body.clone();
    let escalation = body.escalation.map(|e| {
        let (round, step) = pages.iter().map(|p| (p.round, p.step)).max().unwrap_or((1, 0));
        let state = match e.progress {
            Progress::Waiting { .. } => "waiting",
            Progress::Acknowledged => "acknowledged",
            Progress::Resolved => "resolved",
            Progress::Exhausted => "exhausted",
        };
        let open = incident.state == State::Open;
        let current = pages.iter().filter(|p| (p.round, p.step) == (round, step) && open && !p.copy);
        EscalationView {
            next_at: e.next_at(),
            waiting_for: current.map(|p| p.person_name.clone()).collect(),
            state: state.to_owned(),
            step,
            steps: e.policy.steps.len() as i64,
            round,
            policy: e.policy.name,
        }
    });
    Ok(IncidentView {
        number: incident.number,
        title: body.title,
        severity: body.severity,
        drill: body.drill,
        service: body.service,
        environment: body.environment,
        state: incident.state.as_str().to_owned(),
        opened_at: incident.opened_at,
        onset: body.onset,
        opened_by: body.opened_by,
        acknowledged_at: body.acknowledged_at,
        acknowledged_by: body.acknowledged_by,
        acknowledged_by_name: body.acknowledged_by_name,
        resolved_at: body.resolved_at,
        resolved_by: body.resolved_by,
        caused_by: body.caused_by,
        classified: body.classified.map(|c| c.kind.as_str().to_owned()),
        reopened: body.reopened,
        alerts,
        suspects: body.suspects,
        escalation,
        pages,
        score,
    })
}

pub(super) fn page_view(tx: &mut dyn Tx, page: &store::PageRow) -> Result<PageView, Fault> {
    let attempts = store::attempts(tx, &page.id)?;
    // Of what is acknowledged, superseded or failed nothing waits any more.
    let mut planned = Vec::new();
    if matches!(page.state.as_str(), word::DUE | word::SENDING | word::DELIVERED) {
        let waiting = store::deliveries(tx, &page.id)?.into_iter().filter(|d| d.state == word::DUE && d.tries == 0);
        planned.extend(waiting.filter_map(|d| Some(PlannedView { at: d.next_at?, channel: d.channel })));
        planned.sort_by_key(|p: &PlannedView| p.at);
    }
    let told = updates::of_page(tx, &page.id)?.into_iter();
    let news = told.filter_map(|u| Some(NewsView { kind: u.told?, at: u.told_at?, channel: u.channel })).collect();
    Ok(PageView {
        id: page.id.clone(),
        incident: page.incident,
        step: page.step + 1,
        round: page.round + 1,
        person_name: person(tx, &page.person)?.map_or_else(|| page.person.clone(), |p| p.name),
        person: page.person.clone(),
        state: page.state.clone(),
        copy: page.body == COPY,
        attempts: attempts
            .into_iter()
            .map(|a| AttemptView { channel: a.channel, state: a.state, at: a.started_at, error: a.error })
            .collect(),
        planned,
        news,
        due_at: page.due_at,
        delivered_at: page.delivered_at,
    })
}

impl App {
    /// Incidents, the newest first. `state` is `open`, `acknowledged`, `resolved`, or `active` for all but the resolved.
    pub async fn incidents_list(
        &self,
        state: Option<&str>,
        before: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Vec<IncidentView>, Fault> {
        if state == Some("active") {
            return self.incidents_open().await;
        }
        if let Some(state) = state
            && State::parse(state).is_none()
        {
            return Err(Fault::invalid(format!("`{state}` is not a state of an incident"))
                .advice("open, acknowledged, resolved or active"));
        }
        let (state, limit) = (state.map(str::to_owned), limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX));
        self.read(move |tx| {
            let rows = store::list(tx, state.as_deref(), before, limit)?;
            rows.iter().map(|row| incident_view(tx, &Incident::read(row)?)).collect()
        })
        .await
    }

    /// Incidents that are not resolved, the newest first.
    pub async fn incidents_open(&self) -> Result<Vec<IncidentView>, Fault> {
        self.read(|tx| {
            let rows = store::open(tx)?;
            rows.iter().rev().map(|row| incident_view(tx, &Incident::read(row)?)).collect()
        })
        .await
    }

    pub async fn incident(&self, number: i64) -> Result<IncidentView, Fault> {
        self.read(move |tx| {
            let incident = Incident::get(tx, number)?;
            incident_view(tx, &incident)
        })
        .await
    }

    /// Pages of an incident in their order, or the newest of all.
    pub async fn pages(&self, incident: Option<i64>) -> Result<Vec<PageView>, Fault> {
        self.read(move |tx| {
            let rows = match incident {
                Some(number) => store::pages(tx, number)?,
                None => store::pages_recent(tx, PAGES_LISTED_MAX)?,
            };
            rows.iter().map(|row| page_view(tx, row)).collect()
        })
        .await
    }
}

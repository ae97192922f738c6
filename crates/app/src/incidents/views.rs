//! The shapes that pages, the command line and chat see.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tenfold_oncall::Progress;
use tenfold_store::{Tx, incidents as store, page_updates as updates};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::drill::{self, DrillScoreView};
use super::muted::Paused;
use super::stored::{COPY, HANDED, Incident, State, person, word};
use crate::{App, alerts::SuspectView};

/// Incidents in one list.
const LIST_MAX: i64 = 200;
const LIST_DEFAULT: i64 = 50;
const PAGES_LISTED_MAX: i64 = 200;
/// Alerts that an incident names.
const ALERTS_LISTED_MAX: i64 = 100;

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
    /// To somebody to whom the incident was handed over; `step` is one past the policy's last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed: bool,
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
    /// When the next step is taken; null while it stands still.
    #[schema(value_type = Option<String>)]
    pub next_at: Option<Timestamp>,
    /// When the acknowledgement is over unless it is given again; nothing while it holds for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// It stands still: all alerts are muted. It goes on when one is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Names of those whose acknowledgement is waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// Who asked for the next one last, and did not wait for it; nothing while somebody has the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedView>,
}

/// That somebody asked for the next one by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AskedView {
    /// Their name.
    pub by: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The step that they asked for, from 1.
    pub step: i64,
    /// From 1.
    pub round: i64,
}

impl EscalationView {
    /// Which step was asked for by hand, as a sentence without its end.
    pub fn asked_words(&self) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let round = if asked.round > 1 { format!(", round {}", asked.round) } else { String::new() };
        Some(format!(
            "{} asked for the next one: step {} of {} of {}{round}",
            asked.by, asked.step, self.steps, self.policy
        ))
    }
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
    /// Fingerprints of those that joined first, at most 100.
    pub alerts: Vec<String>,
    /// How many alerts it has, listed or not.
    #[serde(default)]
    pub alerts_total: i64,
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

/// The alerts of an incident: the first of them, and how many there are.
#[derive(Default)]
struct Alerts {
    named: Vec<String>,
    total: i64,
}

/// What the views of incidents are made of, read for all of them together.
struct Parts {
    alerts: HashMap<i64, Alerts>,
    pages: HashMap<i64, Vec<PageView>>,
}

impl Parts {
    fn of(tx: &mut dyn Tx, numbers: &[i64]) -> Result<Self, Fault> {
        let mut parts = Self { alerts: HashMap::new(), pages: HashMap::new() };
        for member in store::members_in(tx, numbers, ALERTS_LISTED_MAX)? {
            let alerts = parts.alerts.entry(member.incident).or_default();
            alerts.named.push(member.fingerprint);
            alerts.total = member.total;
        }
        let rows = store::pages_in(tx, numbers)?;
        for page in page_views(tx, &rows)? {
            parts.pages.entry(page.incident).or_default().push(page);
        }
        Ok(parts)
    }

    fn view(&mut self, incident: &Incident, score: Option<DrillScoreView>) -> IncidentView {
        let alerts = self.alerts.remove(&incident.number).unwrap_or_default();
        let pages = self.pages.remove(&incident.number).unwrap_or_default();
        let body = incident.body.clone();
        let escalation = body.escalation.map(|e| {
            let (round, step) = pages.iter().map(|p| (p.round, p.step)).max().unwrap_or((1, 0));
            let state = match e.progress {
                Progress::Waiting { .. } => "waiting",
                Progress::Acknowledged { .. } => "acknowledged",
                Progress::Resolved => "resolved",
                Progress::Exhausted => "exhausted",
            };
            let open = incident.state == State::Open;
            let paused = body.paused.filter(|_| open && state == "waiting");
            let current = pages.iter().filter(|p| (p.round, p.step) == (round, step) && open && !p.copy);
            EscalationView {
                next_at: e.next_at().filter(|_| paused.is_none()),
                expires_at: e.expires_at(),
                paused,
                waiting_for: current.map(|p| p.person_name.clone()).collect(),
                asked: body.asked.filter(|_| open).map(|asked| AskedView {
                    by: asked.by,
                    at: asked.at,
                    step: i64::try_from(asked.step).unwrap_or(i64::MAX).saturating_add(1),
                    round: i64::from(asked.round) + 1,
                }),
                state: state.to_owned(),
                step: step.min(e.policy.steps.len() as i64),
                steps: e.policy.steps.len() as i64,
                round,
                policy: e.policy.name,
            }
        });
        IncidentView {
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
            alerts: alerts.named,
            alerts_total: alerts.total,
            suspects: body.suspects,
            escalation,
            pages,
            score,
        }
    }
}

fn incident_views(tx: &mut dyn Tx, incidents: &[Incident]) -> Result<Vec<IncidentView>, Fault> {
    let numbers: Vec<i64> = incidents.iter().map(|incident| incident.number).collect();
    let mut parts = Parts::of(tx, &numbers)?;
    let mut out = Vec::with_capacity(incidents.len());
    for incident in incidents {
        let score = drill::of(tx, incident)?.map(DrillScoreView::from);
        out.push(parts.view(incident, score));
    }
    Ok(out)
}

pub(super) fn incident_view(tx: &mut dyn Tx, incident: &Incident) -> Result<IncidentView, Fault> {
    let score = drill::of(tx, incident)?.map(DrillScoreView::from);
    Ok(Parts::of(tx, &[incident.number])?.view(incident, score))
}

/// Pages with what was tried of them, in the same order.
fn page_views(tx: &mut dyn Tx, pages: &[store::PageRow]) -> Result<Vec<PageView>, Fault> {
    let ids: Vec<&str> = pages.iter().map(|page| page.id.as_str()).collect();
    let mut attempts: HashMap<String, Vec<AttemptView>> = HashMap::new();
    for a in store::attempts_in(tx, &ids)? {
        let view = AttemptView { channel: a.channel, state: a.state, at: a.started_at, error: a.error };
        attempts.entry(a.page).or_default().push(view);
    }
    // Of what is acknowledged, superseded or failed nothing waits any more.
    let goes_on = |page: &&store::PageRow| matches!(page.state.as_str(), word::DUE | word::SENDING | word::DELIVERED);
    let waiting: Vec<&str> = pages.iter().filter(goes_on).map(|page| page.id.as_str()).collect();
    let mut planned: HashMap<String, Vec<PlannedView>> = HashMap::new();
    for d in store::deliveries_in(tx, &waiting)?.into_iter().filter(|d| d.state == word::DUE && d.tries == 0) {
        if let Some(at) = d.next_at {
            planned.entry(d.page).or_default().push(PlannedView { channel: d.channel, at });
        }
    }
    let mut news: HashMap<String, Vec<NewsView>> = HashMap::new();
    for u in updates::of_pages(tx, &ids)? {
        if let (Some(kind), Some(at)) = (u.told, u.told_at) {
            news.entry(u.page).or_default().push(NewsView { channel: u.channel, kind, at });
        }
    }
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut out = Vec::with_capacity(pages.len());
    for page in pages {
        let person_name = if let Some(name) = names.get(page.person.as_str()) {
            name.clone()
        } else {
            let name = person(tx, &page.person)?.map_or_else(|| page.person.clone(), |p| p.name);
            names.insert(&page.person, name.clone());
            name
        };
        let mut planned = planned.remove(&page.id).unwrap_or_default();
        planned.sort_by_key(|p| p.at);
        out.push(PageView {
            id: page.id.clone(),
            incident: page.incident,
            step: page.step + 1,
            round: page.round + 1,
            person_name,
            person: page.person.clone(),
            state: page.state.clone(),
            copy: page.body == COPY,
            handed: page.body == HANDED,
            attempts: attempts.remove(&page.id).unwrap_or_default(),
            planned,
            news: news.remove(&page.id).unwrap_or_default(),
            due_at: page.due_at,
            delivered_at: page.delivered_at,
        });
    }
    Ok(out)
}

pub(super) fn page_view(tx: &mut dyn Tx, page: &store::PageRow) -> Result<PageView, Fault> {
    let lost = || Fault::internal(format!("the page {} has no view", page.id));
    page_views(tx, std::slice::from_ref(page))?.pop().ok_or_else(lost)
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
            let incidents = rows.iter().map(Incident::read).collect::<Result<Vec<_>, Fault>>()?;
            incident_views(tx, &incidents)
        })
        .await
    }

    /// Incidents that are not resolved, the newest first.
    pub async fn incidents_open(&self) -> Result<Vec<IncidentView>, Fault> {
        self.read(|tx| {
            let rows = store::open(tx)?;
            let incidents = rows.iter().rev().map(Incident::read).collect::<Result<Vec<_>, Fault>>()?;
            incident_views(tx, &incidents)
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
            page_views(tx, &rows)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::counted::Counted;

    const INCIDENTS: i64 = 300;
    /// The incidents, their alerts and pages; what was tried, is planned and was told of these; the one who was paged.
    const STATEMENTS_MAX: usize = 7;

    fn storm(tx: &mut dyn Tx) -> Result<(), Fault> {
        let at = Timestamp(1);
        for number in 0..INCIDENTS {
            let body =
                json!({"title": "Down", "severity": "critical", "opened_by": "tenfold", "onset": at}).to_string();
            let (state, id) = ("open".to_owned(), format!("page-{number}"));
            let row = store::IncidentRow { number, open_key: None, state, opened_at: at, next_at: None, body };
            store::put(tx, &row)?;
            for name in ["b", "a"] {
                store::join(tx, number, &format!("{name}{number}"), at)?;
            }
            let page = store::PageRow {
                id: id.clone(),
                incident: number,
                step: 0,
                round: 0,
                person: "ana".to_owned(),
                state: word::DELIVERED.to_owned(),
                due_at: at,
                delivered_at: Some(at),
                body: "{}".to_owned(),
            };
            store::page_insert(tx, &page)?;
            let (channel, state) = ("mail".to_owned(), "accepted".to_owned());
            let tried =
                store::AttemptRow { page: id, channel, n: 1, started_at: at, finished_at: None, state, error: None };
            store::attempt_put(tx, &tried)?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn all_incidents_are_read_together() {
        let db = tenfold_testkit::temp_db().await;
        db.write(storm).await.expect("it is stored");
        let (views, statements) = db
            .read(|tx| {
                let mut counted = Counted::new(tx);
                let rows = store::open(&mut counted)?;
                let incidents = rows.iter().map(Incident::read).collect::<Result<Vec<_>, Fault>>()?;
                let views = incident_views(&mut counted, &incidents)?;
                Ok::<_, Fault>((views, counted.asked.len()))
            })
            .await
            .expect("the incidents");
        assert!(statements <= STATEMENTS_MAX, "{statements} statements");
        assert_eq!(views.len(), 300);
        for view in &views {
            assert_eq!(view.alerts, [format!("a{}", view.number), format!("b{}", view.number)]);
            let page = &view.pages[0];
            assert_eq!((page.id.clone(), page.attempts.len()), (format!("page-{}", view.number), 1));
        }
    }
}

//! The delivery figures (DORA) and the sentence of the header strip, as projections of the record.
//!
//! Nothing is counted aside: every figure is computed from `deploy.*` and `incident.*` events and lists the `seq` of those
//! it comes from. No figure is about a person; of people only their number is told.

mod weekly;

use serde::{Deserialize, Serialize};
use tenfold_dora::{Figures, Query, facts_from_events, figures};
use tenfold_store::{events, events::EventQuery};
use tenfold_types::{Event, Fault, Timestamp};
use utoipa::ToSchema;

use crate::App;

/// Commits shipped this long before the window are known, so that they are not counted again.
const BEFORE_MS: i64 = 90 * 86_400_000;
const WINDOW_MS_MAX: i64 = 400 * 86_400_000;
const WINDOW_MS_DEFAULT: i64 = 7 * 86_400_000;
/// Events of one question.
const EVENTS_READ_MAX: usize = 200_000;
const DAY_MS: i64 = 86_400_000;

/// Which window and service; the last seven days of production when nothing is said.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    #[param(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    #[param(value_type = Option<String>)]
    pub to: Option<Timestamp>,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// Count deploys that were stopped at the canary as shipped and failed.
    pub canary_stopped: bool,
}

/// One figure; `value` is null when there is no data, which is not zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FigureView {
    pub value: Option<f64>,
    /// How many observations stand behind it.
    pub n: usize,
    /// `deploys`, `ratio` or `ms`.
    pub unit: String,
    /// `seq` of the events it comes from.
    pub events: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// The upper end, when some causes are not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Failures that have not recovered yet; not in `value`.
    pub open: usize,
}

impl From<tenfold_dora::Figure> for FigureView {
    fn from(f: tenfold_dora::Figure) -> Self {
        Self { value: f.value, n: f.n, unit: f.unit, events: f.events, p90: f.p90, upper: f.upper, open: f.open }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FiguresView {
    pub deploys: FigureView,
    pub change_fail_rate: FigureView,
    pub recovery_ms: FigureView,
    pub lead_time_ms: FigureView,
    pub rework_rate: FigureView,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    pub service: Option<String>,
    pub environment: String,
    pub deploys: usize,
    pub changes: usize,
    /// How many different authors; nobody is named.
    pub people: usize,
    /// "12 deploys of 31 changes by 5 people".
    pub sentence: String,
    /// Stopped at the canary; in the figures only when asked for.
    pub canary_stopped: usize,
    pub figures: FiguresView,
    pub definitions_version: u32,
}

/// What the header strip and the front page show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryNow {
    /// Deploys finished since midnight UTC.
    pub deploys_today: usize,
    pub week: DeliveryView,
}

fn view(query: &Query, figures: Figures) -> DeliveryView {
    DeliveryView {
        from: query.from,
        to: query.to,
        service: query.service.clone(),
        environment: query.environment.clone(),
        deploys: figures.deploys.n,
        changes: figures.changes,
        people: figures.people,
        sentence: figures.sentence(),
        canary_stopped: figures.canary_stopped,
        definitions_version: figures.definitions_version,
        figures: FiguresView {
            deploys: figures.deploys.into(),
            change_fail_rate: figures.change_fail_rate.into(),
            recovery_ms: figures.recovery_ms.into(),
            lead_time_ms: figures.lead_time_ms.into(),
            rework_rate: figures.rework_rate.into(),
        },
    }
}

impl App {
    /// The five figures of a window.
    pub async fn delivery(&self, asked: &DeliveryQuery) -> Result<DeliveryView, Fault> {
        let to = asked.to.unwrap_or_else(|| self.now().plus_ms(1));
        let from = asked.from.unwrap_or_else(|| to.plus_ms(-WINDOW_MS_DEFAULT));
        if !(1..=WINDOW_MS_MAX).contains(&to.since_ms(from)) {
            return Err(Fault::invalid(format!("the window is 1 to {WINDOW_MS_MAX} ms long and `from` comes first")));
        }
        let query = Query {
            from,
            to,
            service: asked.service.clone(),
            environment: asked.environment.clone().unwrap_or_else(|| "production".to_owned()),
            canary_stopped: asked.canary_stopped,
        };
        let facts = facts_from_events(&self.delivery_events(from.plus_ms(-BEFORE_MS)).await?);
        let found = figures(&facts, &query);
        Ok(view(&query, found))
    }

    /// Today's count and the figures of the last `window_ms` in production, for the front page.
    pub async fn delivery_figures(&self, window_ms: i64) -> Result<DeliveryNow, Fault> {
        let now = self.now();
        let to = now.plus_ms(1);
        let facts = facts_from_events(&self.delivery_events(now.plus_ms(-window_ms - BEFORE_MS)).await?);
        let week = Query {
            from: to.plus_ms(-window_ms.max(1)),
            to,
            service: None,
            environment: "production".to_owned(),
            canary_stopped: false,
        };
        let today = Query { from: Timestamp(now.millis() / DAY_MS * DAY_MS), ..week.clone() };
        Ok(DeliveryNow { deploys_today: figures(&facts, &today).deploys.n, week: view(&week, figures(&facts, &week)) })
    }

    /// What happened to deploys and incidents since `from`, in the order of the record.
    async fn delivery_events(&self, from: Timestamp) -> Result<Vec<Event>, Fault> {
        let mut all: Vec<Event> = Vec::new();
        loop {
            let query = EventQuery {
                kinds: KINDS.iter().map(|k| (*k).to_owned()).collect(),
                from: Some(from),
                after: all.last().map(|e| e.seq),
                limit: events::EVENTS_MAX,
                ascending: true,
                include_admin: true,
                ..EventQuery::default()
            };
            let batch = self.events(query).await?;
            let last = batch.len() < events::EVENTS_MAX;
            all.extend(batch);
            if last {
                return Ok(all);
            }
            if all.len() >= EVENTS_READ_MAX {
                return Err(Fault::invalid(format!("the window holds more than {EVENTS_READ_MAX} events"))
                    .advice("ask for a shorter window"));
            }
        }
    }
}

/// The kinds that hold facts.
const KINDS: [&str; 9] = [
    "deploy.queued",
    "deploy.canary_started",
    "deploy.promoting",
    "deploy.succeeded",
    "deploy.rolled_back",
    "incident.opened",
    "incident.reopened",
    "incident.resolved",
    "incident.noted",
];

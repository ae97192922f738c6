//! The front page in one answer: what is being deployed, what fires, who is on call, the figures, the fleet.

use serde::Serialize;
use tenfold_types::{Fault, Timestamp};

use crate::App;
use crate::alerts::AlertView;
use crate::delivery::FigureView;
use crate::deploys::views::{Deploy, DeployFilter, Host};
use crate::incidents::IncidentView;
use crate::oncall::OnCallView;

const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
/// Alerts in the answer; a storm has more than anybody reads.
const ALERTS_MAX: usize = 100;

/// "67 deploys of 496 changes by 18 people", and what it is made of.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WeekView {
    pub deploys: usize,
    pub changes: usize,
    pub people: usize,
    pub sentence: String,
}

/// Alerts that fire now, by severity; `unknown` are those that fired and have no data any more.
#[derive(Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FiringView {
    pub critical: usize,
    pub warning: usize,
    pub unknown: usize,
}

/// A part of the server that cannot do its work at the moment.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TroubleView {
    /// `chat`, `metrics`, `hosts`, `alerts`.
    pub part: String,
    /// One sentence for a person.
    pub text: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NowView {
    #[schema(value_type = String)]
    pub at: Timestamp,
    pub on_call: Vec<OnCallView>,
    pub last_deploy: Option<Deploy>,
    pub deploys_today: usize,
    pub week: WeekView,
    pub deploys: FigureView,
    pub change_fail_rate: FigureView,
    pub recovery_ms: FigureView,
    pub lead_time_ms: FigureView,
    pub firing: FiringView,
    /// What does not work at the moment; empty when all is well.
    pub troubles: Vec<TroubleView>,
    pub running: Vec<Deploy>,
    /// Those that fire, are unknown or pending; the most urgent 100.
    pub alerts: Vec<AlertView>,
    /// How many more there are.
    pub alerts_more: usize,
    pub hosts: Vec<Host>,
    pub incidents: Vec<IncidentView>,
}

impl App {
    fn troubles(&self) -> Vec<TroubleView> {
        let trouble = |part: &str, text: String| TroubleView { part: part.to_owned(), text };
        let mut all: Vec<TroubleView> = self
            .chat_status()
            .into_iter()
            .filter(|t| !t.connected)
            .map(|t| trouble("chat", format!("{} is away: {}; announcements wait for it", t.room, t.text)))
            .collect();
        all.extend(self.metrics.trouble().map(|text| trouble("metrics", text)));
        let away: Vec<String> =
            self.hosts().into_iter().filter(|h| h.state == "disconnected").map(|h| h.name).collect();
        if !away.is_empty() {
            all.push(trouble(
                "hosts",
                format!(
                    "{} not connected: {}",
                    if away.len() == 1 { "a host is" } else { "hosts are" },
                    away.join(", ")
                ),
            ));
        }
        all
    }

    pub async fn now_view(&self) -> Result<NowView, Fault> {
        let figures = self.delivery_figures(WEEK_MS).await?;
        let week = figures.week;
        let (firing, alerts) = self.alerts_front(ALERTS_MAX).await?;
        let mut troubles = self.troubles();
        let stuck = self.alerts_stuck().await?;
        troubles.extend(stuck.into_iter().map(|text| TroubleView { part: "alerts".to_owned(), text }));
        let last = DeployFilter { limit: Some(1), ..DeployFilter::default() };
        Ok(NowView {
            at: self.now(),
            on_call: self.on_call_now().await?,
            last_deploy: self.deploys(last).await?.into_iter().next(),
            deploys_today: figures.deploys_today,
            week: WeekView {
                deploys: week.deploys,
                changes: week.changes,
                people: week.people,
                sentence: week.sentence,
            },
            deploys: week.figures.deploys,
            change_fail_rate: week.figures.change_fail_rate,
            recovery_ms: week.figures.recovery_ms,
            lead_time_ms: week.figures.lead_time_ms,
            firing,
            alerts_more: alerts.more,
            troubles,
            running: self.deploys_running().await?,
            alerts: alerts.items,
            hosts: self.hosts(),
            incidents: self.incidents_open().await?,
        })
    }
}

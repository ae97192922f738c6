//! The score of a drill, shown while it goes on and recorded when it ends. About the team and its ways; no person is in it.

use serde::{Deserialize, Serialize};
use tenfold_incidents::{DrillPage, DrillScore, DrillTry, score};
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Fault, Severity};
use utoipa::ToSchema;

use super::{
    escalate::by_system,
    stored::{COPY, Incident, word},
};
use crate::{App, Txn, alerts::Channel};

/// How a drill went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrillScoreView {
    /// Without copies for those who learn.
    pub pages: usize,
    /// Pages that some receiver took.
    pub delivered: usize,
    /// From the beginning until a receiver took the first page.
    pub first_delivery_ms: Option<i64>,
    /// Until somebody acknowledged.
    pub acknowledged_ms: Option<i64>,
    /// The farthest step, in the last round; 0 when nobody was paged.
    pub steps_used: i64,
    pub steps: i64,
    pub rounds: i64,
    pub channels: Vec<DrillChannelView>,
    /// All of it in a sentence.
    pub words: String,
}

/// How one channel did in a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrillChannelView {
    pub channel: String,
    /// Pages that were tried by it.
    pub tried: usize,
    pub reached: usize,
    /// Pages on which a try failed, whether or not a later one went through.
    pub trouble: usize,
}

impl From<DrillScore> for DrillScoreView {
    fn from(score: DrillScore) -> Self {
        let words = score.words();
        let channels = score.channels.into_iter().map(|c| DrillChannelView {
            channel: c.channel,
            tried: c.tried,
            reached: c.reached,
            trouble: c.trouble,
        });
        Self {
            pages: score.pages,
            delivered: score.delivered,
            first_delivery_ms: score.first_delivery_ms,
            acknowledged_ms: score.acknowledged_ms,
            steps_used: score.steps_used,
            steps: score.steps,
            rounds: score.rounds,
            channels: channels.collect(),
            words,
        }
    }
}

/// The score of an incident so far; none when it is not a drill.
pub(super) fn of(tx: &mut dyn Tx, incident: &Incident) -> Result<Option<DrillScore>, Fault> {
    if !incident.body.drill {
        return Ok(None);
    }
    let steps = incident.body.escalation.as_ref().map_or(0, |e| e.policy.steps.len());
    let steps = i64::try_from(steps).unwrap_or(i64::MAX);
    let mut pages = Vec::new();
    for page in store::pages(tx, incident.number)?.into_iter().filter(|p| p.body != COPY) {
        // That our own page shows it is no way that reached anybody.
        let tried = store::attempts(tx, &page.id)?.into_iter().filter(|a| a.channel != Channel::Web.as_str());
        let tries = tried.map(|a| DrillTry {
            taken_at: a.finished_at.filter(|_| matches!(a.state.as_str(), word::ACCEPTED | word::DELIVERED)),
            failed: a.state == word::FAILED,
            channel: a.channel,
        });
        // Whoever it was handed to stands behind the last step.
        let step = (page.step + 1).min(steps.max(1));
        pages.push(DrillPage { step, round: page.round + 1, tries: tries.collect() });
    }
    Ok(Some(score(incident.opened_at, incident.body.acknowledged_at, steps, &pages)))
}

/// Records the score of a drill that has just ended.
pub(super) fn ended(t: &mut Txn<'_>, incident: &Incident) -> Result<(), Fault> {
    let Some(score) = of(t.tx(), incident)? else { return Ok(()) };
    let well = score.acknowledged_ms.is_some() && score.delivered == score.pages && score.pages > 0;
    let severity = if well { Severity::Good } else { Severity::Warning };
    let text = format!("Drill {}: {}", incident.number, score.words());
    let data = serde_json::to_value(&score).map_err(|e| Fault::internal(e.to_string()))?;
    t.record(by_system(incident, "drill.scored", text, severity).data(data))?;
    Ok(())
}

impl App {
    /// How a drill went, or goes.
    pub async fn drill_score(&self, number: i64) -> Result<DrillScoreView, Fault> {
        self.read(move |tx| {
            let incident = Incident::get(tx, number)?;
            of(tx, &incident)?.map(DrillScoreView::from).ok_or_else(|| {
                Fault::conflict(format!("incident {number} is no drill, so it has no score"))
                    .advice("`incident drill \"TITLE\"` opens one")
            })
        })
        .await
    }
}

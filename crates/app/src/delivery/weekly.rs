//! Once a week the room is told what was delivered: a sentence of the week that ended.

use serde_json::json;
use tenfold_types::{Actor, EventDraft, Fault, Source};

use super::{DeliveryQuery, DeliveryView};
use crate::App;
use crate::weekly::{begins, tell_once};

const CURSOR: &str = "delivery_week";

impl App {
    /// Tells of the week that ended, once: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn delivery_tick(&self) -> Result<(), Fault> {
        tell_once(self, CURSOR, async |this| {
            let (from, to) = (Some(begins(this - 1)), Some(begins(this)));
            let ended = self.delivery(&DeliveryQuery { from, to, ..DeliveryQuery::default() }).await?;
            Ok((ended.deploys > 0).then(|| draft(&ended).into()))
        })
        .await
    }
}

fn draft(ended: &DeliveryView) -> EventDraft {
    let failed = &ended.figures.change_fail_rate;
    let failed = failed.value.map_or_else(String::new, |rate| format!(", change fail rate {:.0} %", rate * 100.0));
    let text = format!("Last week: {} to {}{failed}", ended.sentence, ended.environment);
    EventDraft::new(Actor::system(), Source::System, "delivery.week", text).environment(&ended.environment).data(json!({
        "from": ended.from, "to": ended.to, "deploys": ended.deploys, "changes": ended.changes, "people": ended.people,
        "change_fail_rate": ended.figures.change_fail_rate.value,
    }))
}

//! Once a week the room is told what was delivered: a sentence of the week that ended.

use std::time::Duration;

use serde_json::json;
use tenfold_store::cursors;
use tenfold_types::{Actor, EventDraft, Fault, Source};
use tokio_util::sync::CancellationToken;

use super::{DeliveryQuery, DeliveryView};
use crate::App;
use crate::weekly::{begins, week};

const CURSOR: &str = "delivery_week";
const LOOK: Duration = Duration::from_mins(1);

pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                if let Err(fault) = app.delivery_tick().await {
                    tracing::warn!(%fault, "the week's deliveries could not be told; trying again");
                }
            }
        }
    }
}

impl App {
    /// Tells of the week that ended, once: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn delivery_tick(&self) -> Result<(), Fault> {
        let this = week(self.now());
        let told = self.read(|tx| Ok(cursors::get(tx, CURSOR)?)).await?;
        let draft = match told {
            Some(told) if told >= this => return Ok(()),
            Some(_) => {
                let (from, to) = (Some(begins(this - 1)), Some(begins(this)));
                let ended = self.delivery(&DeliveryQuery { from, to, ..DeliveryQuery::default() }).await?;
                (ended.deploys > 0).then(|| draft(&ended))
            }
            // A server that is new begins with the week it is in.
            None => None,
        };
        self.housekeeping(move |t| {
            // Another node may have told of it meanwhile.
            if cursors::get(t.tx(), CURSOR)? != told {
                return Ok(());
            }
            cursors::set(t.tx(), CURSOR, this)?;
            if let Some(draft) = &draft {
                t.record(draft.clone())?;
            }
            Ok(())
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

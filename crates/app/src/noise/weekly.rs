//! Once a week the room is told of the noisiest rules.

use std::time::Duration;

use serde_json::json;
use tenfold_incidents::digest;
use tenfold_store::cursors;
use tenfold_types::{Actor, EventDraft, Fault, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::report::{TeamNoiseView, teams};
use crate::App;

const CURSOR: &str = "noise_digest";
const LOOK: Duration = Duration::from_mins(1);
const WEEK_MS: i64 = 7 * 86_400_000;
/// The first Monday of 1970, at 9 o'clock UTC.
const MONDAY_MS: i64 = 4 * 86_400_000 + 9 * 3_600_000;
/// Rules that are named of each team.
const RULES_MAX: usize = 3;

/// The number of the week that began last, on Monday at 9.
fn week(now: Timestamp) -> i64 {
    (now.millis() - MONDAY_MS).div_euclid(WEEK_MS)
}

pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                if let Err(fault) = app.noise_tick().await {
                    tracing::warn!(%fault, "the week's noise could not be told; trying again");
                }
            }
        }
    }
}

impl App {
    /// Tells of the week that ended, once: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn noise_tick(&self) -> Result<(), Fault> {
        self.housekeeping(|t| {
            let now = t.now();
            let this = week(now);
            let told = cursors::get(t.tx(), CURSOR)?;
            if told.is_some_and(|told| told >= this) {
                return Ok(());
            }
            cursors::set(t.tx(), CURSOR, this)?;
            // A server that is new begins with the week it is in.
            if told.is_none() {
                return Ok(());
            }
            let teams = teams(t.tx(), now.plus_ms(-WEEK_MS))?;
            if let Some(text) = digest(&teams, RULES_MAX) {
                let teams: Vec<TeamNoiseView> = teams.into_iter().map(Into::into).collect();
                let draft = EventDraft::new(Actor::system(), Source::System, "noise.digest", text);
                t.record(draft.data(json!({"teams": teams})))?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_at_nine() {
        let at = |text: &str| week(Timestamp::parse_rfc3339(text).expect("an instant"));
        assert_eq!(at("2026-11-23T09:00:00Z"), at("2026-11-30T08:59:59Z"));
        assert_eq!(at("2026-11-23T08:59:59Z") + 1, at("2026-11-23T09:00:00Z"));
    }
}

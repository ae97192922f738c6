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
/// Rules of each team that the event holds.
const RULES_KEPT_MAX: usize = 20;
/// Longest text and data of the event; teams that do not fit are left out of the data, the cheapest first.
const TEXT_CHARS_MAX: usize = 4_000;
const DATA_BYTES_MAX: usize = 32 << 10;

/// The number of the week that began last, on Monday at 9.
pub(crate) fn week(now: Timestamp) -> i64 {
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
        let now = self.now();
        let this = week(now);
        // Counting reads a week of incidents, which nobody who writes shall wait for.
        let (told, teams) = self
            .read(move |tx| {
                let told = cursors::get(tx, CURSOR)?;
                // A server that is new begins with the week it is in.
                let counted = match told {
                    Some(told) if told < this => teams(tx, now.plus_ms(-WEEK_MS))?,
                    _ => Vec::new(),
                };
                Ok((told, counted))
            })
            .await?;
        if told.is_some_and(|told| told >= this) {
            return Ok(());
        }
        let text = digest(&teams, RULES_MAX).map(|text| text.chars().take(TEXT_CHARS_MAX).collect::<String>());
        let data = json!({"teams": cut(teams.into_iter().map(Into::into).collect())});
        self.housekeeping(move |t| {
            // Another node may have told of it meanwhile.
            if cursors::get(t.tx(), CURSOR)? != told {
                return Ok(());
            }
            cursors::set(t.tx(), CURSOR, this)?;
            if let Some(text) = &text {
                let draft = EventDraft::new(Actor::system(), Source::System, "noise.digest", text.clone());
                t.record(draft.data(data.clone()))?;
            }
            Ok(())
        })
        .await
    }
}

/// What the event holds: the costliest rules of each team, the costliest teams first, in so many bytes.
fn cut(mut teams: Vec<TeamNoiseView>) -> Vec<TeamNoiseView> {
    teams.sort_by_key(|team| std::cmp::Reverse(team.cost));
    let mut left = DATA_BYTES_MAX;
    for team in &mut teams {
        team.rules.truncate(RULES_KEPT_MAX);
    }
    teams.retain(|team| {
        let bytes = serde_json::to_string(team).map_or(usize::MAX, |text| text.len());
        let fits = bytes <= left;
        left = left.saturating_sub(if fits { bytes } else { 0 });
        fits
    });
    teams
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::RuleNoiseView;

    fn team(name: &str, cost: u32, rules: usize, rule: &str) -> TeamNoiseView {
        let rule = RuleNoiseView {
            rule: rule.into(),
            group: String::new(),
            file: String::new(),
            incidents: 1,
            pages: 1,
            wakes: 0,
            cost: 1,
            action: 0,
            no_action: 1,
            unsaid: 0,
            kinds: std::collections::BTreeMap::new(),
        };
        TeamNoiseView { team: name.into(), cost, rules: vec![rule; rules] }
    }

    #[test]
    fn an_event_holds_what_cost_most_and_not_all() {
        let teams =
            cut(vec![team("quiet", 1, 3, "a"), team("loud", 9, 500, "a"), team("long", 5, 1, &"x".repeat(40_000))]);
        let kept: Vec<(&str, usize)> = teams.iter().map(|t| (t.team.as_str(), t.rules.len())).collect();
        assert_eq!(kept, [("loud", RULES_KEPT_MAX), ("quiet", 3)]);
        assert!(serde_json::to_string(&teams).expect("it is JSON").len() <= DATA_BYTES_MAX + 16);
    }

    #[test]
    fn a_week_begins_on_monday_at_nine() {
        let at = |text: &str| week(Timestamp::parse_rfc3339(text).expect("an instant"));
        assert_eq!(at("2026-11-23T09:00:00Z"), at("2026-11-30T08:59:59Z"));
        assert_eq!(at("2026-11-23T08:59:59Z") + 1, at("2026-11-23T09:00:00Z"));
    }
}

//! Once a week the room is told of the noisiest rules.

use serde_json::json;
use tenfold_incidents::digest;
use tenfold_types::{Actor, EventDraft, Fault, Source};

use super::report::{TeamNoiseView, teams};
use crate::App;
use crate::weekly::{WEEK_MS, tell_once};

const CURSOR: &str = "noise_digest";
/// Rules that are named of each team.
const RULES_MAX: usize = 3;
/// Rules of each team that the event holds.
const RULES_KEPT_MAX: usize = 20;
/// Longest text and data of the event; teams that do not fit are left out of the data, the cheapest first.
const TEXT_CHARS_MAX: usize = 4_000;
const DATA_BYTES_MAX: usize = 32 << 10;

impl App {
    /// Tells of the week that ended, once: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn noise_tick(&self) -> Result<(), Fault> {
        tell_once(self, CURSOR, async |_| {
            // Counting reads a week of incidents, which nobody who writes shall wait for.
            let since = self.now().plus_ms(-WEEK_MS);
            let teams = self.read(move |tx| teams(tx, since)).await?;
            let Some(text) = digest(&teams, RULES_MAX) else { return Ok(None) };
            let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
            let draft = EventDraft::new(Actor::system(), Source::System, "noise.digest", text);
            Ok(Some(draft.data(json!({"teams": cut(teams.into_iter().map(Into::into).collect())}))))
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
}

//! Once a week the room is told of the noisiest rules, and each team of its own: everybody in it, and the account that has
//! its name.

use std::collections::BTreeMap;

use serde_json::json;
use tenfold_incidents::{TeamNoise, digest, team_lines};
use tenfold_types::{Actor, EventDraft, Fault, Source};

use super::report::{TeamNoiseView, teams};
use crate::{
    App,
    digests::{Digest, NewDigest},
    people::Person,
    weekly::{WEEK_MS, Week, tell_once},
};

const CURSOR: &str = "noise_digest";
/// Rules that are named of each team.
const RULES_MAX: usize = 3;
/// Rules that a team is told of.
const TEAM_RULES_MAX: usize = 10;
/// Rules of each team that the event holds.
const RULES_KEPT_MAX: usize = 20;
/// Longest text and data of the event; teams that do not fit are left out of the data, the cheapest first.
const TEXT_CHARS_MAX: usize = 4_000;
const DATA_BYTES_MAX: usize = 32 << 10;

impl App {
    /// Tells of the week that ended, once: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn noise_tick(&self) -> Result<(), Fault> {
        tell_once(self, CURSOR, async |week| {
            // Counting reads a week of incidents, which nobody who writes shall wait for.
            let since = self.now().plus_ms(-WEEK_MS);
            let teams = self.read(move |tx| teams(tx, since)).await?;
            let Some(text) = digest(&teams, RULES_MAX) else { return Ok(None) };
            let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
            let digests = if self.settings.alerts.team_digests {
                for_teams(&teams, &self.people().await?, week)
            } else {
                Vec::new()
            };
            let draft = EventDraft::new(Actor::system(), Source::System, "noise.digest", text);
            let told = digests.len();
            let data = json!({"teams": cut(teams.into_iter().map(Into::into).collect()), "told": told});
            Ok(Some(Week { draft: draft.data(data), digests }))
        })
        .await
    }
}

/// What each person of the teams that have noise is told: the rules of all their teams in one digest.
fn for_teams(teams: &[TeamNoise], people: &[Person], week: i64) -> Vec<NewDigest> {
    let mut mine: BTreeMap<&str, Vec<&TeamNoise>> = BTreeMap::new();
    for team in teams.iter().filter(|team| !team.team.is_empty() && team.cost() > 0) {
        for person in people.iter().filter(|person| !person.disabled) {
            if person.login == team.team || person.teams.contains(&team.team) {
                mine.entry(&person.login).or_default().push(team);
            }
        }
    }
    let digest = |(login, teams): (&str, Vec<&TeamNoise>)| {
        let names: Vec<&str> = teams.iter().map(|team| team.team.as_str()).collect();
        let mut lines: Vec<String> = Vec::new();
        for team in &teams {
            lines.push(format!("{}, cost {}:", team.team, team.cost()));
            lines.extend(team_lines(team, TEAM_RULES_MAX).into_iter().map(|line| format!("- {line}")));
        }
        lines.push(String::new());
        lines.push("A page by night costs four. The page has drafts of quieter rules, tried on the past.".to_owned());
        let digest = Digest {
            subject: format!("[noise] The noisiest alerts of {} last week", names.join(" and ")),
            text: lines.join("\n"),
            page: "/alerts/noise".to_owned(),
        };
        NewDigest { id: format!("noise/{week}/{login}"), login: login.to_owned(), digest }
    };
    mine.into_iter().map(digest).collect()
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
            severity: "critical".into(),
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
    fn each_person_of_a_team_is_told_once_of_all_their_teams() {
        let noisy = |team: &str| tenfold_incidents::Paged {
            rule: format!("High{team}"),
            group: "g".into(),
            file: "f".into(),
            severity: "critical".into(),
            team: team.into(),
            pages: 2,
            wakes: 1,
            kind: None,
        };
        let teams = tenfold_incidents::noise(&[noisy("photos"), noisy("search"), noisy("")]);
        let person = |login: &str, teams: &[&str], disabled: bool| -> Person {
            serde_json::from_value(json!({"login": login, "name": login, "kind": "developer", "timezone": "UTC",
                "role": "viewer", "teams": teams, "disabled": disabled}))
            .expect("a person")
        };
        let people = [
            person("ana", &["photos", "search"], false),
            person("raj", &["photos"], true),
            person("mei", &["other"], false),
            person("search", &[], false),
        ];
        let told = for_teams(&teams, &people, 7);
        let whom: Vec<&str> = told.iter().map(|new| new.id.as_str()).collect();
        assert_eq!(whom, ["noise/7/ana", "noise/7/search"]);
        let ana = &told[0].digest;
        assert_eq!(ana.subject, "[noise] The noisiest alerts of photos and search last week");
        assert!(
            ana.text.contains("- Highphotos 2 pages (1 by night)") && ana.text.contains("search, cost 5:"),
            "{}",
            ana.text
        );
        assert!(!told[1].digest.text.contains("photos"), "{}", told[1].digest.text);
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

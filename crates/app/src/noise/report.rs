//! What each rule cost, by the team that owns it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tenfold_incidents::{Paged, RuleNoise, TeamNoise, noise};
use tenfold_oncall::is_night;
use tenfold_store::{Tx, people as person_store};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use crate::{App, people::Person};

const DAY_MS: i64 = 86_400_000;
const DAYS_DEFAULT: i64 = 7;
const DAYS_MAX: i64 = 28;

#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NoiseAsk {
    /// How many days back, 1 to 28; 7 when absent.
    pub days: Option<i64>,
}

impl NoiseAsk {
    pub(super) fn from(self, now: Timestamp) -> Result<Timestamp, Fault> {
        let days = self.days.unwrap_or(DAYS_DEFAULT);
        if (1..=DAYS_MAX).contains(&days) {
            return Ok(now.plus_ms(-days * DAY_MS));
        }
        Err(Fault::invalid(format!("noise is counted over 1 to {DAYS_MAX} days, not {days}")))
    }
}

/// What a rule cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleNoiseView {
    pub rule: String,
    pub group: String,
    /// Empty for what others send.
    pub file: String,
    /// `critical`, `warning` or `info`: what tells a rule from another of its name.
    pub severity: String,
    pub incidents: u32,
    pub pages: u32,
    /// Pages by night (22 to 7), by the clock of whoever was paged.
    pub wakes: u32,
    /// Pages, each by night as four.
    pub cost: u32,
    /// Incidents in which something was done.
    pub action: u32,
    pub no_action: u32,
    /// Of which nobody said.
    pub unsaid: u32,
    /// How often each kind was said.
    pub kinds: BTreeMap<String, u32>,
}

/// The rules of a team, the costliest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TeamNoiseView {
    /// Empty for rules that nobody owns.
    pub team: String,
    pub cost: u32,
    pub rules: Vec<RuleNoiseView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NoiseView {
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    pub teams: Vec<TeamNoiseView>,
}

impl From<RuleNoise> for RuleNoiseView {
    fn from(rule: RuleNoise) -> Self {
        let cost = rule.cost();
        let RuleNoise { rule, group, file, severity, incidents, pages, wakes, action, no_action, unsaid, kinds } = rule;
        let kinds = kinds.into_iter().map(|(kind, n)| (kind.as_str().to_owned(), n)).collect();
        Self { rule, group, file, severity, incidents, pages, wakes, cost, action, no_action, unsaid, kinds }
    }
}

impl From<TeamNoise> for TeamNoiseView {
    fn from(team: TeamNoise) -> Self {
        let cost = team.cost();
        Self { team: team.team, cost, rules: team.rules.into_iter().map(Into::into).collect() }
    }
}

impl App {
    /// What each rule cost, by the team that owns it.
    pub async fn noise(&self, ask: NoiseAsk) -> Result<NoiseView, Fault> {
        let to = self.now();
        let from = ask.from(to)?;
        let teams = self.read(move |tx| teams(tx, from)).await?;
        Ok(NoiseView { from, to, teams: teams.into_iter().map(Into::into).collect() })
    }
}

/// The noise since an instant.
pub(super) fn teams(tx: &mut dyn Tx, from: Timestamp) -> Result<Vec<TeamNoise>, Fault> {
    let mut zones = BTreeMap::new();
    for row in person_store::people(tx)? {
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
        zones.insert(row.login, TimeZone::get(&person.timezone).unwrap_or(TimeZone::UTC));
    }
    let mut all = Vec::new();
    for told in crate::incidents::paged_since(tx, from)? {
        // One that people opened is no rule's.
        let Some(rule) = told.first_alert.as_deref().map(|f| crate::alerts::rule_of(tx, f)).transpose()?.flatten()
        else {
            continue;
        };
        let night = |(login, at): &&(String, Timestamp)| is_night(zones.get(login).unwrap_or(&TimeZone::UTC), *at);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        all.push(Paged {
            rule: rule.name,
            group: rule.group,
            file: rule.file,
            severity: rule.severity,
            team: rule.team,
            pages: count(told.pages.len()),
            wakes: count(told.pages.iter().filter(night).count()),
            kind: told.kind,
        });
    }
    Ok(noise(&all))
}

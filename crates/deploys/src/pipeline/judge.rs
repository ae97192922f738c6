//! `canary.judge` of the pipeline file: which counters are compared between the canary and the other hosts, and how.

use serde::{Deserialize, Serialize};
use tenfold_judge::{Direction, LEVEL_AFTER, Level, Settings};

/// Longest selector of a counter, in characters.
const SELECTOR_CHARS_MAX: usize = 4_096;
const SECONDS_MAX: u32 = 86_400;
const EVERY_S_MAX: u32 = 60;
const LEVELS_MAX: usize = 10;
/// Between two values of a level, at most: the distance for which the threshold was chosen.
const LEVEL_STEP_S_MAX: u32 = 60;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryJudge {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorCounters>,
    /// The `_bucket` counters of a histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
    /// The label that names the host.
    #[serde(default = "host_label_default")]
    pub host_label: String,
    /// How many times as often the canary may fail (r0).
    #[serde(default = "tenfold_judge::default::tolerate")]
    pub tolerate: f64,
    /// It is promoted when "this many times as often or more" is refuted (r1).
    #[serde(default = "tenfold_judge::default::prove_below")]
    pub prove_below: f64,
    #[serde(default = "tenfold_judge::default::alpha")]
    pub alpha: f64,
    #[serde(default = "tenfold_judge::default::beta")]
    pub beta: f64,
    /// An error rate below which nothing is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negligible: Option<f64>,
    /// How often it looks.
    #[serde(default = "every_default")]
    pub every_s: u32,
    /// How long it watches before it gives up.
    #[serde(default = "max_default")]
    pub max_s: u32,
    #[serde(default)]
    pub on_inconclusive: Inconclusive,
    /// Watches on after the promotion, when no host is left to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AfterPromotion>,
}

/// All hosts' failed and slow requests against what they were in the hour before the deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterPromotion {
    /// How long it is watched.
    pub for_s: u32,
    /// How many times as often as before counts as worse.
    #[serde(default = "factor_default")]
    pub factor: f64,
    #[serde(default)]
    pub then: AfterAction,
    /// Gauges whose level must not change with the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelQuery>,
}

/// A metric without a control beside it: memory, processor time, the length of a queue, a mean latency. Asked once, as soon
/// as there are four values since the promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelQuery {
    /// A PromQL query. `$service` and `$environment` are filled in; each series of the answer is judged by itself.
    pub query: String,
    /// The smallest difference that means anything: 0.001 for seconds, 1 for the length of a queue.
    pub unit: f64,
    /// Relative change below which it is never called changed by more than a deviation, however calm it was.
    #[serde(default = "relative_min_default")]
    pub relative_min: f64,
    #[serde(default)]
    pub direction: LevelDirection,
}

/// Which way is bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LevelDirection {
    #[default]
    Up,
    /// A drop is as telling: work that is not done any more.
    Both,
}

impl LevelQuery {
    pub fn level(&self) -> Level {
        let direction = match self.direction {
            LevelDirection::Up => Direction::Up,
            LevelDirection::Both => Direction::Both,
        };
        Level { direction, unit: self.unit, relative_min: self.relative_min }
    }

    fn check(&self) -> Result<(), String> {
        let says = |what: String| Err(format!("has the query `{}` {what}", self.query));
        if self.query.trim().is_empty() || self.query.chars().count() > SELECTOR_CHARS_MAX {
            return Err(format!(
                "has a query that must have 1 to {SELECTOR_CHARS_MAX} characters; write a PromQL query"
            ));
        }
        if !(self.unit > 0.0 && self.unit.is_finite()) {
            return says("whose `unit` must be above 0, for example 0.001 for seconds".to_owned());
        }
        if !(self.relative_min > 0.0 && self.relative_min <= 10.0) {
            return says("whose `relative_min` must be above 0 and at most 10, for example 0.1".to_owned());
        }
        Ok(())
    }
}

impl AfterPromotion {
    /// Seconds between two values of a level: a minute, and less where the watch has not time for four of them.
    pub fn level_step_s(&self) -> u32 {
        (self.for_s / (LEVEL_AFTER as u32 + 1)).clamp(1, LEVEL_STEP_S_MAX)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterAction {
    /// Opens an incident, which pages.
    #[default]
    Page,
    /// Rolls back by itself and locks.
    Rollback,
}

/// Counters as selectors, without the host: the judge adds it for either side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorCounters {
    pub bad: String,
    pub total: String,
}

/// What happens when the time is over and the evidence points nowhere, or there was not enough of it. Never a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// Held for a person; the judge has said what it has to say.
    #[default]
    Hold,
    Rollback,
    /// Held for a person, and watched on: what turns out worse goes back by itself, but only a person promotes.
    PromoteNeedsPerson,
}

impl Inconclusive {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Hold => "held for a person",
            Self::Rollback => "rolled back",
            Self::PromoteNeedsPerson => "held for a person and watched on",
        }
    }
}

fn host_label_default() -> String {
    "host".to_owned()
}
const fn factor_default() -> f64 {
    2.0
}
const fn relative_min_default() -> f64 {
    0.1
}
const fn every_default() -> u32 {
    5
}
const fn max_default() -> u32 {
    900
}

impl CanaryJudge {
    pub fn settings(&self) -> Settings {
        Settings {
            alpha: self.alpha,
            beta: self.beta,
            tolerate: self.tolerate,
            prove_below: self.prove_below,
            negligible: self.negligible,
            wait_ms_max: i64::from(self.max_s) * 1000,
        }
    }

    /// The selectors it names, each with its path below `judge`.
    pub fn selectors(&self) -> impl Iterator<Item = (&'static [&'static str], &str)> {
        let errors = self
            .errors
            .iter()
            .flat_map(|e| [(&["errors", "bad"] as &[&str], e.bad.as_str()), (&["errors", "total"], e.total.as_str())]);
        errors.chain(self.latency.iter().map(|l| (&["latency"] as &[&str], l.as_str())))
    }

    /// What is wrong, and at which key below `judge`.
    pub(super) fn check(&self, hold_s: u32) -> Result<(), (&'static [&'static str], String)> {
        if self.errors.is_none() && self.latency.is_none() {
            return Err((&[], "compares nothing; give `errors`, `latency` or both".to_owned()));
        }
        for (at, selector) in self.selectors() {
            if selector.trim().is_empty() || selector.chars().count() > SELECTOR_CHARS_MAX {
                return Err((at, format!("must have 1 to {SELECTOR_CHARS_MAX} characters; name a counter")));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.host_label.is_empty() || !self.host_label.chars().all(plain) {
            return Err((&["host_label"], "is not the name of a label".to_owned()));
        }
        if !(1..=EVERY_S_MAX).contains(&self.every_s) {
            return Err((&["every_s"], format!("must be between 1 and {EVERY_S_MAX} seconds")));
        }
        if !(self.every_s.max(hold_s)..=SECONDS_MAX).contains(&self.max_s) {
            return Err((
                &["max_s"],
                format!(
                    "must be at least `hold_s` and `every_s` ({}) and at most {SECONDS_MAX} seconds",
                    self.every_s.max(hold_s)
                ),
            ));
        }
        if let Some(after) = &self.after {
            if self.errors.is_none() {
                return Err((&["after"], "counts errors; give `errors` as well".to_owned()));
            }
            if !(self.every_s..=SECONDS_MAX).contains(&after.for_s) {
                let why = format!("must be between `every_s` ({}) and {SECONDS_MAX} seconds", self.every_s);
                return Err((&["after", "for_s"], why));
            }
            if !(after.factor > 1.0 && after.factor <= 1_000.0) {
                return Err((&["after", "factor"], "must be above 1 and at most 1000, for example 2".to_owned()));
            }
            if after.levels.len() > LEVELS_MAX {
                return Err((
                    &["after", "levels"],
                    format!("has {} queries; at most {LEVELS_MAX}", after.levels.len()),
                ));
            }
        }
        self.settings().check().map_err(|error| (Self::key_of(&error.0), error.0))
    }

    /// The first level of `after` that cannot be watched, and why.
    pub(super) fn wrong_level(&self) -> Option<(usize, String)> {
        let mut levels = self.after.iter().flat_map(|after| &after.levels).enumerate();
        levels.find_map(|(index, level)| Some((index, level.check().err()?)))
    }

    /// Which key an error of the judge's settings is about.
    fn key_of(said: &str) -> &'static [&'static str] {
        let keys: [&'static [&'static str]; 5] =
            [&["alpha"], &["beta"], &["tolerate"], &["prove_below"], &["negligible"]];
        keys.into_iter().find(|key| said.starts_with(&format!("`{}`", key[0]))).unwrap_or(&[])
    }
}

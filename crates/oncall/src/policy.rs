//! An escalation policy: whom to page, in which order, and how long each step waits for an acknowledgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub const STEPS_MAX: usize = 10;
pub const TARGETS_PER_STEP_MAX: usize = 20;
pub const REPEAT_MAX: u32 = 10;
/// The most people that one team as a target pages; members behind it, by login, are not paged.
pub const TEAM_MEMBERS_MAX: usize = 50;
const TEAM_NAME_BYTES_MAX: usize = 200;
/// The farthest place behind the person on call.
pub const OFFSET_MAX: u32 = 10;
/// The longest time after a deploy in which its deployer is asked first.
pub const DEPLOYER_WITHIN_MS_MAX: i64 = 7 * 24 * 3_600_000;
pub const DELAY_MS_MIN: i64 = 1_000;
pub const DELAY_MS_MAX: i64 = 24 * 3_600_000;
/// How long an acknowledgement holds that does not hold for good.
pub const ACK_MS_MIN: i64 = 60_000;
pub const ACK_MS_MAX: i64 = 7 * 24 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// Whoever is on call in it at the moment of paging.
    Schedule,
    Person,
    /// Everybody who is in it at the moment of paging.
    Team,
}

/// The members of each team whose account is not disabled, by login. A team is there when somebody is in it.
pub type Teams = BTreeMap<String, Vec<String>>;

/// A team need not be there when a policy names it, so that its name alone is looked at.
fn is_team_name(name: &str) -> bool {
    (1..=TEAM_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Whom a page to a team goes to: its members, and never more than `TEAM_MEMBERS_MAX`.
pub fn paged_members<'a>(teams: &'a Teams, team: &str) -> &'a [String] {
    let all = teams.get(team).map(Vec::as_slice).unwrap_or_default();
    all.get(..TEAM_MEMBERS_MAX).unwrap_or(all)
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub kind: TargetKind,
    pub name: String,
    /// Of a schedule: 0 is whoever is on call, 1 the first who stands behind them, and so on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(offset: &u32) -> bool {
    *offset == 0
}

impl Target {
    pub fn person(login: &str) -> Self {
        Self { kind: TargetKind::Person, name: login.to_owned(), offset: 0 }
    }

    pub fn team(name: &str) -> Self {
        Self { kind: TargetKind::Team, name: name.to_owned(), offset: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyStep {
    /// How long this step, once paged, waits for an acknowledgement before the next one is paged.
    pub delay_ms: i64,
    pub targets: Vec<Target>,
    /// One target is paged instead of all: each incident and each round goes to the next one that has somebody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub round_robin: bool,
}

/// Whoever deployed the service shortly before the incident is asked first, and then the steps follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployerFirst {
    /// How long after the deploy.
    pub within_ms: i64,
    /// How long the deployer has before the first step.
    pub delay_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub steps: Vec<PolicyStep>,
    /// How many more times the whole is gone through when nobody acknowledged.
    #[serde(default)]
    pub repeat: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployer_first: Option<DeployerFirst>,
    /// An acknowledgement that is older is over, and all begins again; without it one holds for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout_ms: Option<i64>,
}

impl Policy {
    /// The policy of an incident of a service that `deployer` has just deployed: the deployer comes before all steps.
    #[must_use]
    pub fn led_by(mut self, deployer: &str) -> Self {
        if let Some(first) = &self.deployer_first {
            let step =
                PolicyStep { delay_ms: first.delay_ms, targets: vec![Target::person(deployer)], round_robin: false };
            self.steps.insert(0, step);
        }
        self
    }

    /// # Errors
    /// One sentence naming the step that is wrong and the limit.
    pub fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("a policy has 1 to {STEPS_MAX} steps, this one has {}", self.steps.len()));
        }
        if self.repeat > REPEAT_MAX {
            return Err(format!("a policy repeats at most {REPEAT_MAX} times, not {}", self.repeat));
        }
        if let Some(given) = self.ack_timeout_ms.filter(|ms| !(ACK_MS_MIN..=ACK_MS_MAX).contains(ms)) {
            return Err(format!("ack_timeout_ms is {ACK_MS_MIN} to {ACK_MS_MAX}, not {given}"));
        }
        if let Some(first) = &self.deployer_first {
            if !(1..=DEPLOYER_WITHIN_MS_MAX).contains(&first.within_ms) {
                let given = first.within_ms;
                return Err(format!("deployer_first.within_ms is 1 to {DEPLOYER_WITHIN_MS_MAX}, not {given}"));
            }
            if !(DELAY_MS_MIN..=DELAY_MS_MAX).contains(&first.delay_ms) {
                let given = first.delay_ms;
                return Err(format!("deployer_first.delay_ms is {DELAY_MS_MIN} to {DELAY_MS_MAX}, not {given}"));
            }
        }
        for (i, step) in self.steps.iter().enumerate() {
            let n = i + 1;
            for target in &step.targets {
                if target.offset > OFFSET_MAX || (target.offset > 0 && target.kind != TargetKind::Schedule) {
                    return Err(format!(
                        "step {n}: `offset` is 0 to {OFFSET_MAX} and only for a schedule, not {} for {}",
                        target.offset, target.name
                    ));
                }
            }
            if step.targets.iter().any(|t| t.kind == TargetKind::Team && !is_team_name(&t.name)) {
                return Err(format!(
                    "step {n}: the name of a team is 1 to {TEAM_NAME_BYTES_MAX} bytes and has no control characters"
                ));
            }
            if !(DELAY_MS_MIN..=DELAY_MS_MAX).contains(&step.delay_ms) {
                let given = step.delay_ms;
                return Err(format!("step {n} waits {DELAY_MS_MIN} to {DELAY_MS_MAX} ms, not {given}"));
            }
            if step.targets.is_empty() || step.targets.len() > TARGETS_PER_STEP_MAX {
                let given = step.targets.len();
                return Err(format!("step {n} has 1 to {TARGETS_PER_STEP_MAX} targets, not {given}"));
            }
        }
        Ok(())
    }
}

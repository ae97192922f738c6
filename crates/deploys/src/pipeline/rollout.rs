//! What a pipeline file says of the way to the hosts besides the canary's judge: the canary's steps, approvals, hooks and
//! what cannot be undone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, Argv, CanaryJudge, Check};

/// Most canary steps of a target.
pub const STEPS_MAX: usize = 10;
/// Most people who may be asked for.
pub const APPROVALS_MAX: u32 = 10;

/// One step of a canary: so many hosts run the new release, for so long, judged so. What a step does not say is as the
/// canary says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// All canaries of this step, those of the steps before among them.
    pub hosts: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<CanaryJudge>,
}

/// People who have to agree before the first host flips.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approve {
    /// How many people.
    pub count: u32,
    /// Logins of those who may; everybody with the role unless these or `teams` are given.
    pub by: Vec<String>,
    /// Teams whose members may as well, those who are in them when they approve.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The least role they have there.
    pub role: ApproverRole,
    /// Whoever started the deploy does not count.
    pub four_eyes: bool,
    /// A deploy that nobody approved for this long ends.
    pub within_s: u32,
}

impl Default for Approve {
    fn default() -> Self {
        Self {
            count: 1,
            by: Vec::new(),
            teams: Vec::new(),
            role: ApproverRole::Deployer,
            four_eyes: true,
            within_s: 86_400,
        }
    }
}

impl Approve {
    /// Whether the file lets somebody approve who has this login and is in these teams. The role is another question.
    pub fn lets(&self, login: &str, teams: &[String]) -> bool {
        let anybody = self.by.is_empty() && self.teams.is_empty();
        anybody || self.by.iter().any(|by| by == login) || self.teams.iter().any(|team| teams.contains(team))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApproverRole {
    Responder,
    Deployer,
    Admin,
}

impl ApproverRole {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Responder => "responder",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

/// A release that is not taken back by itself: what would have gone back stops and calls people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Irreversible {
    /// Only when files that fit one of these changed; always without any.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What cannot be undone, for whoever has to decide.
    pub why: String,
}

/// Where in a deploy a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookAt {
    BeforeBuild,
    AfterBuild,
    BeforeActivate,
    BeforePromote,
    AfterPromote,
    OnRollback,
}

impl HookAt {
    pub const ALL: [Self; 6] = [
        Self::BeforeBuild,
        Self::AfterBuild,
        Self::BeforeActivate,
        Self::BeforePromote,
        Self::AfterPromote,
        Self::OnRollback,
    ];
    pub const fn word(self) -> &'static str {
        match self {
            Self::BeforeBuild => "before_build",
            Self::AfterBuild => "after_build",
            Self::BeforeActivate => "before_activate",
            Self::BeforePromote => "before_promote",
            Self::AfterPromote => "after_promote",
            Self::OnRollback => "on_rollback",
        }
    }
}

/// A program that is run on the server, in a checkout of the commit and in the sandbox of builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub command: Argv,
    #[serde(default = "timeout_default")]
    pub timeout_s: u32,
    /// It is stopped when it prints nothing for this long.
    #[serde(default = "idle_timeout_default")]
    pub idle_timeout_s: u32,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// May be run again when the server stopped in the middle of it. What is not is taken as failed then.
    #[serde(default)]
    pub idempotent: bool,
    /// Without it a hook reaches nothing but its own files; the server's settings may keep it from all of them.
    #[serde(default = "network_default")]
    pub network: bool,
    /// Variables with secrets that the server's settings keep for this service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

const fn timeout_default() -> u32 {
    300
}
const fn idle_timeout_default() -> u32 {
    120
}
const fn network_default() -> bool {
    true
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// Before the build; its failure ends the deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_build: Option<Hook>,
    /// With the artifact at hand, before it goes to hosts; its failure ends the deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_build: Option<Hook>,
    /// Every host holds the artifact and none has flipped; its failure ends the deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_activate: Option<Hook>,
    /// The canary is good; its failure sends the deploy back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_promote: Option<Hook>,
    /// All hosts run the release; its failure is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_promote: Option<Hook>,
    /// Hosts are back on what they ran; its failure is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_rollback: Option<Hook>,
}

impl Hooks {
    pub const fn get(&self, at: HookAt) -> Option<&Hook> {
        match at {
            HookAt::BeforeBuild => self.before_build.as_ref(),
            HookAt::AfterBuild => self.after_build.as_ref(),
            HookAt::BeforeActivate => self.before_activate.as_ref(),
            HookAt::BeforePromote => self.before_promote.as_ref(),
            HookAt::AfterPromote => self.after_promote.as_ref(),
            HookAt::OnRollback => self.on_rollback.as_ref(),
        }
    }
    pub fn is_empty(&self) -> bool {
        HookAt::ALL.into_iter().all(|at| self.get(at).is_none())
    }
}

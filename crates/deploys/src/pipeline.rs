//! The pipeline file, `.tenfold/deploy.yaml` in the service's repository: how to build, what to ship, how to run it and
//! how it goes to the hosts. Unknown keys are errors, and every error names the line and the key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub mod alerts;
mod check;
mod command;
mod expects;
mod handed;
mod judge;
mod limits;
mod rollout;
mod stages;
mod windows;

pub use command::{Command, OBSERVE_S};
pub use expects::{Expectation, Expects, Outcome, Should};
pub use handed::{HandedOver, Image, Kubernetes, Nomad, OURS, pinned, with_sha};
pub use judge::{AfterAction, AfterPromotion, CanaryJudge, ErrorCounters, Inconclusive, LevelDirection, LevelQuery};
pub use limits::RunLimits;
pub use rollout::{Approve, ApproverRole, CanaryStep, Hook, HookAt, Hooks, Irreversible};
pub use stages::EnvironmentStage;
pub use windows::{Closed, Freeze, Window, closed};

/// Where the file stands unless the service says otherwise.
pub const PATH_DEFAULT: &str = ".tenfold/deploy.yaml";
/// Largest pipeline file.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// Most commits in one deploy before a warning, unless the file says otherwise.
pub const MAX_COMMITS_DEFAULT: u32 = 8;

/// A program and its arguments; no shell is involved.
pub type Argv = Vec<String>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Must be the name of the service whose repository this is.
    pub service: String,
    #[serde(default)]
    pub build: Build,
    #[serde(default)]
    pub artifact: Artifact,
    /// May be left out where no target has hosts with an agent.
    #[serde(default)]
    pub run: Run,
    #[serde(default)]
    pub health: Health,
    /// By environment.
    pub targets: BTreeMap<String, Target>,
    #[serde(default)]
    pub metrics: Option<Metrics>,
    #[serde(default = "max_commits_default")]
    pub max_commits: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_alerts: Option<alerts::MuteAlerts>,
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Box<Hooks>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<Irreversible>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expects: Option<Expects>,
    /// Environments in the order in which a release goes through them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<EnvironmentStage>,
}

/// How the artifact is built from a checkout. Without a command the checkout itself is the artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    pub command: Argv,
    /// The build is stopped after this long.
    pub timeout_s: u32,
    /// The build is stopped when it prints nothing for this long.
    pub idle_timeout_s: u32,
    pub env: BTreeMap<String, String>,
    /// Without the network a build cannot depend on what is out there.
    pub network: bool,
    /// Variables with secrets that the server's settings keep for this service.
    pub secrets: Vec<String>,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            command: Argv::new(),
            timeout_s: 900,
            idle_timeout_s: 300,
            env: BTreeMap::new(),
            network: true,
            secrets: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Artifact {
    /// Patterns from the root of the checkout: `*` within a folder, `**` any depth.
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
}

impl Default for Artifact {
    fn default() -> Self {
        Self { paths: vec!["**".to_owned()], exclude: Vec::new() }
    }
}

/// How the service is started from a release's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The program that serves.
    #[serde(default)]
    pub command: Argv,
    /// In the place of a command, for files that another program serves: the flip is the link, and this is run after it,
    /// such as `[systemctl, reload, nginx]`; `[]` runs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Argv>,
    /// When a release is started beside the one that serves, ahead of its flip.
    #[serde(default, skip_serializing_if = "Prepare::is_default")]
    pub prepare: Prepare,
    /// The old process is kept for the way back while the deploy is under way and this long after; 0 lets it drain.
    #[serde(default = "keep_warm_default")]
    pub keep_warm_s: u32,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The variable that tells the service its port; each release gets a port of its own.
    #[serde(default = "port_env_default")]
    pub port_env: String,
    /// The old release goes on this long after the flip, so that load balancers can turn to the new one.
    #[serde(default = "drain_default")]
    pub drain_s: u32,
    /// The old release gets SIGTERM, and SIGKILL after this long.
    #[serde(default = "stop_default")]
    pub stop_within_s: u32,
    #[serde(default, skip_serializing_if = "RunLimits::is_empty")]
    pub limits: RunLimits,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            command: Argv::new(),
            reload: None,
            prepare: Prepare::default(),
            keep_warm_s: keep_warm_default(),
            env: BTreeMap::new(),
            port_env: port_env_default(),
            drain_s: drain_default(),
            stop_within_s: stop_default(),
            limits: RunLimits::default(),
        }
    }
}

/// Which hosts start a release ahead of its flip. Each holds two processes from then on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prepare {
    /// Those that flip next, while the deploy waits for people or watches the canary.
    #[default]
    Next,
    /// All, as soon as they hold the artifact; a host that cannot run it is then found before the first one flips.
    All,
    /// None: a host starts the release when it is its turn.
    None,
}

impl Prepare {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
    /// What a plan that was written without it means.
    pub(crate) const fn none() -> Self {
        Self::None
    }
}

/// A release takes traffic only after this answered with a 2xx status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// The path asked for over HTTP on the service's own port.
    pub http: String,
    pub within_s: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { http: "/healthz".to_owned(), within_s: 30 }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    #[serde(default)]
    pub hosts: HostSelector,
    /// A Deployment or an Argo Rollout instead of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// A job of Nomad instead of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nomad: Option<Nomad>,
    /// Programs of the repository instead of hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<Command>>,
    #[serde(default)]
    pub canary: Canary,
    /// How many hosts flip at the same time after the canary: a number or a share (`25%`).
    #[serde(default = "batch_default")]
    pub batch: Amount,
    /// How many hosts may fail or be out of reach before the deploy stops.
    #[serde(default)]
    pub max_unavailable: Amount,
    /// All hosts must hold the artifact within this time.
    #[serde(default = "stage_default")]
    pub stage_within_s: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// When deploys may begin; always, without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
}

/// `all`, or a map of labels that must all be equal: `{role: web}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum HostSelector {
    Word(AllWord),
    Labels(BTreeMap<String, String>),
}

impl Default for HostSelector {
    fn default() -> Self {
        Self::Word(AllWord::All)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllWord {
    All,
}

impl HostSelector {
    /// `name` counts as a label too, so that one host can be named.
    pub fn selects(&self, host: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Word(AllWord::All) => true,
            Self::Labels(wanted) => wanted.iter().all(|(name, value)| match name.as_str() {
                "name" => value == host,
                _ => labels.get(name) == Some(value),
            }),
        }
    }
}

impl std::fmt::Display for HostSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(AllWord::All) => f.write_str("all hosts"),
            Self::Labels(wanted) => {
                let words: Vec<_> = wanted.iter().map(|(n, v)| format!("{n}={v}")).collect();
                write!(f, "{}", words.join(","))
            }
        }
    }
}

/// The hosts that flip first and are watched. `hosts: 0` means no canary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Canary {
    pub hosts: Amount,
    /// How long the canary must stay healthy before the rest goes.
    pub hold_s: u32,
    /// Asked at the end of the hold.
    pub check: Option<Check>,
    /// Compares the canary with the other hosts; the hold is then the least time it watches.
    pub judge: Option<CanaryJudge>,
    /// Several steps, each with more hosts, instead of `hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
}

impl Canary {
    /// A step with so many hosts in all, and everything else as the canary says.
    pub fn step_of(&self, hosts: Amount) -> CanaryStep {
        CanaryStep { hosts, hold_s: Some(self.hold_s), check: self.check.clone(), judge: self.judge.clone() }
    }

    /// The steps with what each takes from the canary itself; one where none are listed, none without a canary.
    pub fn all_steps(&self) -> Vec<CanaryStep> {
        let whole = CanaryStep { hosts: self.hosts, hold_s: None, check: None, judge: None };
        let steps = match self.steps.as_slice() {
            [] if self.hosts.of(100) == 0 => &[],
            [] => std::slice::from_ref(&whole),
            steps => steps,
        };
        let filled = |step: &CanaryStep| CanaryStep {
            hosts: step.hosts,
            hold_s: step.hold_s.or(Some(self.hold_s)),
            check: step.check.clone().or_else(|| self.check.clone()),
            judge: step.judge.clone().or_else(|| self.judge.clone()),
        };
        steps.iter().map(filled).collect()
    }
}

impl Target {
    /// The cluster's thing or the command it goes to, where it does not go to hosts.
    pub fn handed_over(&self) -> Option<HandedOver> {
        let kubernetes = self.kubernetes.clone().map(HandedOver::Kubernetes);
        let cluster = kubernetes.or_else(|| self.nomad.clone().map(HandedOver::Nomad));
        cluster.or_else(|| self.command.clone().map(HandedOver::Command))
    }

    /// The judge that watches on after the promotion: the one of the last step that has such a watch.
    pub fn after_promotion(&self) -> Option<(CanaryJudge, AfterPromotion)> {
        let judges = self.canary.all_steps().into_iter().filter_map(|step| step.judge);
        let own = self.canary.judge.clone().into_iter();
        own.chain(judges).filter_map(|judge| judge.after.clone().map(|after| (judge, after))).next_back()
    }
}

/// A PromQL query whose every value must lie within the bounds. No value at all is inconclusive and holds the deploy.
/// `$service`, `$environment` and `$canary` (a regular expression of the canary's hosts) are filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub query: String,
    #[serde(default)]
    pub max: Option<f64>,
    #[serde(default)]
    pub min: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Path on the service's own port that answers in the Prometheus text format.
    pub path: String,
}

/// A number of hosts, or a share of them in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Hosts(u32),
    Percent(u32),
}

impl Default for Amount {
    fn default() -> Self {
        Self::Hosts(0)
    }
}

impl Amount {
    /// Of `total` hosts. A share is rounded down, but is at least one host when it is above 0 %.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Hosts(n) => (n as usize).min(total),
            Self::Percent(0) => 0,
            Self::Percent(p) => (total * p as usize / 100).max(1).min(total),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hosts(n) => s.serialize_u32(*n),
            Self::Percent(p) => s.collect_str(&format_args!("{p}%")),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of hosts or a share like \"25%\"")
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Amount, E> {
                u32::try_from(v).map(Amount::Hosts).map_err(|_| E::custom("the number of hosts is too large"))
            }
            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Amount, E> {
                u32::try_from(v).map(Amount::Hosts).map_err(|_| E::custom("the number of hosts is below 0"))
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Amount, E> {
                let percent = v.strip_suffix('%').and_then(|n| n.trim().parse::<u32>().ok()).filter(|p| *p <= 100);
                match (percent, v.parse::<u32>()) {
                    (Some(p), _) => Ok(Amount::Percent(p)),
                    (None, Ok(n)) => Ok(Amount::Hosts(n)),
                    _ => Err(E::custom(format!("`{v}` is not a number of hosts or a share like \"25%\""))),
                }
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of hosts, or a share of them in percent.",
            "oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^(100|[1-9]?[0-9])%$|^[0-9]+$"}]
        })
    }
}

fn max_commits_default() -> u32 {
    MAX_COMMITS_DEFAULT
}
fn port_env_default() -> String {
    "PORT".to_owned()
}
const fn keep_warm_default() -> u32 {
    60
}
const fn drain_default() -> u32 {
    2
}
const fn stop_default() -> u32 {
    10
}
const fn stage_default() -> u32 {
    300
}
const fn batch_default() -> Amount {
    Amount::Percent(25)
}

/// Why a pipeline file was refused; `line` is 1-based and 0 when no line can be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if *line > 0 { format!("line {line}: ") } else { String::new() })]
pub struct PipelineError {
    pub line: usize,
    /// Names the key and says what to write.
    pub message: String,
}

impl Pipeline {
    /// Reads and checks a pipeline file.
    pub fn parse(text: &str) -> Result<Self, PipelineError> {
        check::parse(text)
    }

    /// The JSON schema of the file, for editors.
    pub fn schema() -> schemars::Schema {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".into(), "Tenfold pipeline file".into());
        schema
    }

    /// The target of an environment, or an error that lists those the file has.
    pub fn target(&self, environment: &str) -> Result<&Target, PipelineError> {
        self.targets.get(environment).ok_or_else(|| {
            let known: Vec<_> = self.targets.keys().map(String::as_str).collect();
            PipelineError {
                line: 0,
                message: format!("`targets` has no `{environment}`; the file knows {}", known.join(", ")),
            }
        })
    }
}

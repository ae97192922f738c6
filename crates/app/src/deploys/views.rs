//! The shapes that pages, the command line and chat see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::{Actor, Timestamp};

pub use super::lock_views::{Lock, LockKind, NewLock};
use super::ports::{Commit, Stream};
pub use super::stored::AfterStage;

/// A service as people write it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceUpdate {
    #[serde(default)]
    pub description: String,
    /// URL or path of the git repository.
    pub repository: String,
    #[serde(default = "branch_default")]
    pub branch: String,
    #[serde(default)]
    pub environments: Vec<String>,
    #[serde(default)]
    pub owner_team: String,
    /// Escalation policy for its incidents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default = "pipeline_default")]
    pub pipeline_path: String,
    /// Names of services it needs.
    #[serde(default)]
    pub dependencies: Vec<String>,
}

fn branch_default() -> String {
    "main".to_owned()
}
fn pipeline_default() -> String {
    tenfold_deploys::pipeline::PATH_DEFAULT.to_owned()
}

/// What runs in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Current {
    pub sha: String,
    pub deploy: i64,
    #[schema(value_type = String)]
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Service {
    pub name: String,
    pub description: String,
    pub repository: String,
    pub branch: String,
    pub environments: Vec<String>,
    pub owner_team: String,
    pub policy: Option<String>,
    pub pipeline_path: String,
    pub dependencies: Vec<String>,
    /// By environment; null where nothing runs.
    #[schema(value_type = std::collections::HashMap<String, Current>)]
    pub current: BTreeMap<String, Option<Current>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HostRelease {
    pub service: String,
    pub environment: String,
    pub digest: String,
    pub sha: String,
    pub deploy: i64,
    /// `running`, `stopped`, `unhealthy`, or `unknown` while the agent is away.
    pub state: String,
    /// Where it takes traffic.
    pub address: Option<String>,
    /// How the host holds it to the limits of its pipeline file; absent where that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<HeldLimits>,
    #[schema(value_type = String)]
    pub since: Timestamp,
}

/// What a host does of the limits it was asked for, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeldLimits {
    pub in_force: Vec<String>,
    /// What it cannot do, and why.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Host {
    pub name: String,
    pub environment: String,
    pub labels: BTreeMap<String, String>,
    /// `connected` or `disconnected`.
    pub state: String,
    #[schema(value_type = String)]
    pub last_seen: Timestamp,
    pub version: String,
    pub releases: Vec<HostRelease>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeploy {
    pub service: String,
    #[serde(default = "production")]
    pub environment: String,
    /// Branch, tag or commit; the service's branch when absent.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
    /// Why windows, freezes, locks, pins and stages are passed over; only an admin may.
    #[serde(default, rename = "override")]
    pub override_reason: Option<String>,
}

pub(super) fn production() -> String {
    "production".to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeployStepView {
    pub name: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeployHost {
    pub host: String,
    pub state: String,
    pub canary: bool,
    pub digest_observed: Option<String>,
    pub message: Option<String>,
    #[schema(value_type = String)]
    pub updated_at: Timestamp,
    /// Since when its agent (or the cluster) does not answer, and when it counts as unreachable; while the deploy waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub away_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unreachable_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ActorView {
    pub kind: String,
    pub id: String,
}

impl From<&Actor> for ActorView {
    fn from(actor: &Actor) -> Self {
        let kind = match actor.kind {
            tenfold_types::ActorKind::Person => "person",
            tenfold_types::ActorKind::Robot => "robot",
            tenfold_types::ActorKind::Agent => "agent",
        };
        Self { kind: kind.to_owned(), id: actor.id.clone() }
    }
}

/// A pod or allocation of a deploy that was handed to a cluster, as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeployPod {
    pub name: String,
    /// `waiting`, `activating`, `healthy`, `failed` or `stopping`.
    pub state: String,
    /// It runs the release of this deploy.
    pub is_new: bool,
    pub message: String,
}

/// What may still run of a deploy at a server that is gone or stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeployLeft {
    /// The name of that server.
    pub server: String,
    /// `build`, `hook before_promote` or `command`.
    pub what: String,
    /// It has ended by then, and nothing is run again before.
    #[schema(value_type = String)]
    pub until: Timestamp,
}

/// What the judge makes of a canary.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DeployJudged {
    /// While the canary is watched it is what the judge would have to say if nothing more were seen.
    pub verdict: tenfold_judge::Verdict,
    /// In words, with the numbers.
    pub said: String,
    /// Since when evidence counts; absent when the watch is over.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// When the judge gives up, while it watches.
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// Absent when the counters could not be asked.
    pub report: Option<tenfold_judge::Report>,
}

/// Who has to approve a deploy before its first host flips, and who has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeployApproval {
    pub count: u32,
    /// Logins of those who may; everybody with the role when these and `teams` are empty.
    pub by: Vec<String>,
    /// Teams whose members may as well, those who are in them when they approve.
    pub teams: Vec<String>,
    pub role: String,
    /// Whoever started the deploy does not count.
    pub four_eyes: bool,
    pub given: Vec<GivenApproval>,
    /// When it ends without approval, while it waits.
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
}

impl DeployApproval {
    /// Who may, in words.
    pub fn who(&self) -> String {
        let teams = self.teams.iter().map(|team| format!("the team {team}"));
        let named: Vec<String> = self.by.iter().cloned().chain(teams).collect();
        if named.is_empty() { format!("anybody with the role {}", self.role) } else { named.join(", ") }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GivenApproval {
    pub login: String,
    pub name: String,
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// What whoever ships expects, as the pipeline file says it; after the deploy with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DeployExpects {
    pub metrics: Vec<ExpectedMetric>,
    pub risks: Vec<String>,
    /// Signs of trouble.
    pub signs: Vec<String>,
    pub contingency: String,
    /// Seconds after the last host at which the metrics are scored.
    pub after_s: u32,
    #[schema(value_type = Option<String>)]
    pub scored_at: Option<Timestamp>,
    /// The deploy that took its place before that; scored, if at all, when that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExpectedMetric {
    pub query: String,
    /// In words.
    pub says: String,
    /// `met`, `missed`, `unknown`, or `replaced` where it did not stand for a minute; absent before it is scored.
    pub outcome: Option<String>,
    pub before: Option<f64>,
    pub after: Option<f64>,
}

/// Why no deploy may begin now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Closed {
    pub why: String,
    #[schema(value_type = Option<String>)]
    pub opens_at: Option<Timestamp>,
}

/// People who ship to a place together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrainView {
    pub service: String,
    pub environment: String,
    /// `boarding`, `rolling` or `checking`.
    pub phase: String,
    /// The deploy that takes them along.
    pub deploy: Option<i64>,
    /// The first one drives.
    pub members: Vec<TrainMember>,
    /// For the next train.
    pub waiting: Vec<TrainMember>,
    pub hold: Option<TrainSaid>,
    pub trouble: Option<TrainSaid>,
    #[schema(value_type = String)]
    pub moved_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrainMember {
    pub login: String,
    pub name: String,
    /// Has seen the declared graphs since the deploy was out.
    pub shown: bool,
    pub good: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrainSaid {
    pub name: String,
    pub why: String,
}

/// What a person says to a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainWord {
    Join,
    Leave,
    Good,
    UhOh,
    Clear,
    Hold,
    Unhold,
    Done,
}

impl TrainWord {
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_lowercase())).ok()
    }
}

/// What everybody looks at before they say `good`.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TrainGraphs {
    pub deploy: i64,
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    pub graphs: Vec<TrainGraph>,
    /// Signs of trouble, as the pipeline file names them.
    pub signs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TrainGraph {
    /// What is expected, in words.
    pub says: String,
    /// PromQL, filled in.
    pub query: String,
    /// When the deploy began.
    pub before: Option<f64>,
    pub now: Option<f64>,
}

/// One deploy or rollback.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Deploy {
    pub number: i64,
    pub service: String,
    pub environment: String,
    pub state: String,
    /// `deploy` or `rollback`.
    pub kind: String,
    pub from_sha: Option<String>,
    pub to_sha: String,
    pub from_deploy: Option<i64>,
    /// The deploy this rollback takes back.
    pub reverts: Option<i64>,
    /// The rollback that took this deploy back.
    pub reverted_by: Option<i64>,
    /// What ships, newest first; cut at a limit.
    pub commits: Vec<Commit>,
    /// What ran before and is not in this release.
    pub removed: Vec<Commit>,
    pub commit_count: u64,
    /// The forge's page with what it changes, of a rollback with what it takes out; absent where no forge is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_url: Option<String>,
    pub actor: ActorView,
    pub actor_name: String,
    pub reason: Option<String>,
    #[schema(value_type = String)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub finished_at: Option<Timestamp>,
    pub digest: Option<String>,
    /// Why it failed, is held or went back.
    pub error: Option<String>,
    pub steps: Vec<DeployStepView>,
    pub hosts: Vec<DeployHost>,
    /// The cluster's thing that it goes to instead of hosts, in words; its `hosts` are the steps of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_to: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<DeployPod>,
    /// It changes by more commits, those it takes out among them, than `max_commits`.
    pub max_commits_exceeded: bool,
    /// How many commits one deploy should carry, as the pipeline file says.
    pub max_commits: u32,
    /// End of the canary's hold, while it lasts.
    #[schema(value_type = Option<String>)]
    pub hold_until: Option<Timestamp>,
    /// Where a judge watches the canary, or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Box<DeployJudged>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<DeployApproval>,
    /// Canary steps in all, and how many of them were passed.
    pub canary_steps: usize,
    pub canary_steps_passed: usize,
    /// The hook that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What may still run at another server, from which it was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<DeployLeft>,
    /// Why nothing goes back by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// Why windows, freezes, locks and stages were passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// The `id` it had in the queue, where it waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_as: Option<i64>,
    /// The stage before, with the deploy that tried the same artifact there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_stage: Option<AfterStage>,
    /// The deploy that was taken back, where this one goes forward over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_of: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expects: Option<DeployExpects>,
}

/// What a press of the button would do.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NextDeploy {
    pub service: String,
    pub environment: String,
    pub current: Option<Current>,
    pub next: Commit,
    pub added: Vec<Commit>,
    pub added_count: u64,
    pub removed: Vec<Commit>,
    pub removed_count: u64,
    /// The forge's page with what it would change; absent where no forge is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_url: Option<String>,
    /// Sentences for people: what would go wrong or needs a look.
    pub warnings: Vec<String>,
    /// The lock, freeze or pin that keeps whoever asks from it, or else the first one there is.
    pub locked: Option<Lock>,
    /// Why a lock, freeze or pin keeps whoever asks from it: an owner passes the own lock, a pinned commit its pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_out: Option<String>,
    /// Why a train keeps whoever asks from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    pub running: Option<Deploy>,
    /// Median of the last deploys that succeeded.
    pub expected_ms: Option<i64>,
    /// Hosts it would go to.
    pub hosts: Vec<String>,
    /// The cluster's thing that it goes to instead, in words; `hosts` are the steps of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_to: Option<String>,
    /// Stage by stage what would happen; empty when the pipeline file cannot be read, no host fits, a cluster is half way through
    /// a rollout, the artifact of the stage before is kept no more, or too few may approve what a program begins: `warnings` say which.
    pub plan: Vec<PlannedStage>,
    /// Why it may not begin now, by the pipeline file's windows and freezes.
    pub closed: Option<Closed>,
    pub approval: Option<DeployApproval>,
    pub irreversible: Option<String>,
    /// The checklist before the click.
    pub expects: Option<DeployExpects>,
    /// Where the environment stands in the order of stages, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<NextStage>,
}

/// An environment in the order of stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NextStage {
    /// The stage before: only what was good there goes here.
    pub after: Option<String>,
    /// The deploy with which the commit passed that.
    pub passed: Option<i64>,
    /// Why the commit may not go here yet, and what to do.
    pub refused: Option<String>,
    /// The stage after.
    pub then: Option<String>,
    /// A deploy that succeeds goes on there by itself.
    pub auto: bool,
    /// So many seconds later.
    pub hold_s: u32,
}

/// One stage of a deploy that was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlannedStage {
    /// `building`, `staging`, `awaiting_approval`, `canary` (once for each step), `promoting`, or `next_stage`.
    pub name: String,
    /// Hosts it concerns; those that flip together stand in one list.
    pub hosts: Vec<Vec<String>>,
    /// What happens, in words.
    pub says: String,
}

/// A line of a deploy's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    pub seq: i64,
    #[schema(value_type = String)]
    pub at: Timestamp,
    pub stream: Stream,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub text: String,
}

/// Which deploys to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeployFilter {
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    /// A state, or `running` for all that are not the end.
    #[serde(default)]
    pub state: Option<String>,
    /// `deploy` or `rollback`.
    #[serde(default)]
    pub kind: Option<String>,
    /// Login, or the name of a robot.
    #[serde(default)]
    pub actor: Option<String>,
    /// The beginning of a commit that goes to the hosts, or is among those that ship or are taken out; at least four characters.
    #[serde(default)]
    pub commit: Option<String>,
    /// Words, all of which stand in the messages and authors of its commits, its reason, its error or its author's name.
    #[serde(default)]
    pub q: Option<String>,
    /// Asked for at or after this instant.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// Asked for before this instant.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub to: Option<Timestamp>,
    /// Only deploys with a lower number.
    #[serde(default)]
    pub before: Option<i64>,
    #[serde(default)]
    pub limit: Option<u32>,
}

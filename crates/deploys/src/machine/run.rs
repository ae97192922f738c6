//! The state of one deploy, as it is written to the store.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use super::host::{Host, HostState, Running};
use super::judged::{Judgement, Watch};
use crate::{
    manifest::Digest,
    pipeline::HookAt,
    plan::{Plan, PlannedStep, natural_cmp},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    Building,
    Staging,
    /// Everything is on the hosts and nothing has flipped.
    AwaitingApproval,
    Canary,
    Promoting,
    Succeeded,
    RollingBack,
    RolledBack,
    Held,
    NeedsHuman,
    Failed,
    Cancelled,
    Interrupted,
}

impl State {
    pub const ALL: [Self; 14] = [
        Self::Queued,
        Self::Building,
        Self::Staging,
        Self::AwaitingApproval,
        Self::Canary,
        Self::Promoting,
        Self::Succeeded,
        Self::RollingBack,
        Self::RolledBack,
        Self::Held,
        Self::NeedsHuman,
        Self::Failed,
        Self::Cancelled,
        Self::Interrupted,
    ];
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Staging => "staging",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Canary => "canary",
            Self::Promoting => "promoting",
            Self::Succeeded => "succeeded",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Held => "held",
            Self::NeedsHuman => "needs_human",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
    /// Nothing more happens to the deploy.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::Failed | Self::Cancelled | Self::Interrupted)
    }
    /// Only a person moves it on.
    pub const fn waits_for_person(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::Held | Self::NeedsHuman)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Deploy,
    /// Flips to a release that was healthy before; nothing is built.
    Rollback,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    Running,
    Done,
    Failed,
}

/// One passage through a state, for the page's progress line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLog {
    pub name: State,
    pub state: StepOutcome,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub kind: Kind,
    pub state: State,
    pub plan: Plan,
    /// The artifact that goes to the hosts; known after the build.
    pub digest: Option<Digest>,
    /// In the order people count them.
    pub hosts: Vec<Host>,
    pub entered_at: Timestamp,
    /// End of the canary's hold.
    pub hold_until: Option<Timestamp>,
    /// The canary's query is out until then.
    pub check_until: Option<Timestamp>,
    /// The judge watches the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Box<Watch>>,
    /// What it last said; stays when the watch is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Box<Judgement>>,
    pub builds: u32,
    /// The build was ordered and has not answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub building: bool,
    /// Times in a row that the artifact was begun to be built again without an end: the server stopped in the middle.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rebuilds: u32,
    /// It is being built again, and hosts wait for it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild_until: Option<Timestamp>,
    /// Said once: a host that was away may be staged later again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_staged: bool,
    /// Canary steps in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_total: usize,
    /// Canary steps that were passed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_passed: usize,
    /// The last step was passed, and what comes before the promotion is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passed: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The hook that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookRun>,
    /// Hooks that have ended, well or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks_ended: Vec<HookAt>,
    /// Where it goes on when it is promoted: the state in which a person held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_in: Option<State>,
    /// The cluster was paused by a hold, of this deploy or of one before, and nothing has shown that it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What may still run of it at the server that had it before. Whoever conducts it says so; no step looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// The server that wrote the last step, which ordered all that is under way. No step looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conducted_by: Option<String>,
    /// Why it failed, is held, or went back.
    pub error: Option<String>,
    pub steps: Vec<StepLog>,
}

/// A program at a server that is gone, which nobody can ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The name of that server.
    pub server: String,
    /// `build`, `hook before_promote` or `command`.
    pub what: String,
    /// It has ended by then, and nothing is run again before.
    pub until: Timestamp,
}

/// Somebody agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Login.
    pub by: String,
    pub name: String,
    pub at: Timestamp,
}

/// A hook that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    pub at: HookAt,
    /// When no answer counts as a failure.
    pub until: Timestamp,
}

fn is_zero<T: Default + PartialEq>(n: &T) -> bool {
    *n == T::default()
}

/// How long a deploy may wait for its turn.
const QUEUED_MS: i64 = 600_000;

impl Run {
    /// A deploy that will be built. `hosts` are those the target selects, with what each runs; `None` for an agent that is
    /// not connected.
    pub fn deploy(plan: Plan, hosts: Vec<(String, Option<Running>)>, now: Timestamp) -> Self {
        Self::new(Kind::Deploy, plan, None, hosts, now)
    }
    /// A deploy of an artifact that is at hand already.
    pub fn deploy_built(plan: Plan, digest: Digest, hosts: Vec<(String, Option<Running>)>, now: Timestamp) -> Self {
        Self::new(Kind::Deploy, plan, Some(digest), hosts, now)
    }
    pub fn rollback(plan: Plan, digest: Digest, hosts: Vec<(String, Option<Running>)>, now: Timestamp) -> Self {
        Self::new(Kind::Rollback, plan, Some(digest), hosts, now)
    }
    /// Of a rollback: hosts that still keep what it goes back to warm. They flip at once.
    pub fn with_warm(mut self, keeps_warm: impl Fn(&Host) -> bool) -> Self {
        for h in &mut self.hosts {
            if h.lost_at.is_none() && keeps_warm(h) {
                h.warm = true;
                h.state = HostState::Prepared;
            }
        }
        self
    }
    fn new(
        kind: Kind,
        plan: Plan,
        digest: Option<Digest>,
        hosts: Vec<(String, Option<Running>)>,
        now: Timestamp,
    ) -> Self {
        let mut hosts: Vec<Host> = hosts.into_iter().map(|(name, running)| Host::new(name, running, now)).collect();
        hosts.sort_by(|a, b| natural_cmp(&a.name, &b.name));
        for host in hosts.iter_mut().take(plan.canary_hosts) {
            host.canary = true;
        }
        // Where nothing ran there is nothing to be worse than.
        let is_first = hosts.iter().all(|h| h.before == Running::Nothing);
        let judge = plan.judge.filter(|_| !is_first);
        let unjudged = |step: PlannedStep| PlannedStep { judge: step.judge.filter(|_| !is_first), ..step };
        let later = plan.later.into_iter().map(unjudged).collect();
        let plan = Plan { judge, later, ..plan };
        let steps_total = plan.steps().len();
        Self {
            kind,
            state: State::Queued,
            plan,
            digest,
            hosts,
            entered_at: now,
            hold_until: None,
            check_until: None,
            watch: None,
            judged: None,
            builds: 0,
            building: false,
            rebuilds: 0,
            rebuild_until: None,
            all_staged: false,
            steps_total,
            steps_passed: 0,
            passed: false,
            approvals: Vec::new(),
            hook: None,
            hooks_ended: Vec::new(),
            held_in: None,
            paused: false,
            left: None,
            conducted_by: None,
            error: None,
            steps: Vec::new(),
        }
    }
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|h| h.name == name)
    }
    pub(super) fn count(&self, state: HostState) -> usize {
        self.hosts.iter().filter(|h| h.state == state).count()
    }
    /// Hosts that hold the artifact and have not been told to flip.
    pub(super) fn ready(&self) -> usize {
        self.hosts.iter().filter(|h| h.is_ready()).count()
    }
    /// What a canary is at is not known for now, so it is not passed.
    pub(super) fn canary_is_away(&self) -> bool {
        self.hosts.iter().any(|h| h.canary && h.lost_at.is_some())
    }
    /// When the state itself runs out, whatever the hosts do.
    pub(super) fn state_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Queued => Some(self.entered_at.plus_ms(QUEUED_MS)),
            State::Building => Some(self.entered_at.plus_ms(self.plan.build_ms)),
            // what is prepared after it has times of its own
            State::Staging if self.all_staged => None,
            // hosts wait for the build, which has an end of its own
            State::Staging if self.rebuild_until.is_some() => None,
            State::Staging => Some(self.entered_at.plus_ms(self.plan.stage_ms)),
            // Once enough have approved, what waits is a hook or a host, and these have times of their own.
            State::AwaitingApproval => {
                let asked = self.plan.approve.as_ref().filter(|asked| self.approvals.len() < asked.count);
                asked.map(|approve| self.entered_at.plus_ms(approve.within_ms))
            }
            _ => None,
        }
    }
    /// When `Input::Tick` is due. A run that neither is final nor waits for a person always has one.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.state.is_final() {
            return None;
        }
        let reach = |h: &Host| h.lost_at.filter(|_| h.may_be_lost()).map(|at| at.plus_ms(self.plan.reach_ms));
        let hosts = self.hosts.iter().flat_map(|h| h.deadline.into_iter().chain(reach(h)));
        // While the judge watches, the end of the hold wakes nobody: its answers come by themselves. A canary that is away comes
        // back by itself, or is out of reach.
        let waits = self.plan.judge.is_some() || self.passed || self.canary_is_away();
        let hold = self.hold_until.filter(|_| !waits);
        let canary = (self.state == State::Canary).then(|| self.check_until.or(hold)).flatten();
        // Whatever a held deploy waits for is a person's, but the judge may go on watching it.
        let judge = self.watch.as_ref().filter(|_| self.check_until.is_none()).map(|w| w.ask_at);
        let hook = self.hook.map(|hook| hook.until);
        // The time in which a state has to end is not over before its hook is.
        let state = self.state_deadline().filter(|_| hook.is_none());
        hosts.chain(state).chain(canary).chain(judge).chain(hook).chain(self.rebuild_until).min()
    }
}

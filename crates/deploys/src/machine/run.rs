//! The state of one deploy, as it is written to the store.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use super::host::{Host, HostState, Running};
use super::judged::{Judgement, Watch};
use crate::{
    manifest::Digest,
    plan::{Plan, natural_cmp},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    Building,
    Staging,
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
    pub const ALL: [Self; 13] = [
        Self::Queued,
        Self::Building,
        Self::Staging,
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
        matches!(self, Self::Held | Self::NeedsHuman)
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
    /// Why it failed, is held, or went back.
    pub error: Option<String>,
    pub steps: Vec<StepLog>,
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
        let judge = plan.judge.filter(|_| hosts.iter().any(|h| h.before != Running::Nothing));
        let plan = Plan { judge, ..plan };
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
    /// When the state itself runs out, whatever the hosts do.
    pub(super) fn state_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Queued => Some(self.entered_at.plus_ms(QUEUED_MS)),
            State::Building => Some(self.entered_at.plus_ms(self.plan.build_ms)),
            State::Staging => Some(self.entered_at.plus_ms(self.plan.stage_ms)),
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
        // While the judge watches, the end of the hold wakes nobody: its answers come by themselves.
        let hold = self.hold_until.filter(|_| self.plan.judge.is_none());
        let canary = (self.state == State::Canary).then(|| self.check_until.or(hold)).flatten();
        // Whatever a held deploy waits for is a person's, but the judge may go on watching it.
        let judge = self.watch.as_ref().filter(|_| self.check_until.is_none()).map(|w| w.ask_at);
        hosts.chain(self.state_deadline()).chain(canary).chain(judge).min()
    }
}

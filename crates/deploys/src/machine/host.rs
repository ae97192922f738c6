//! One host within a deploy: what is wanted of it and what it was seen to run.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::manifest::Digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    Waiting,
    Staging,
    Staged,
    /// The release is being started beside the one that serves.
    Preparing,
    /// It stands there, healthy; only the flip is missing.
    Prepared,
    Activating,
    Checking,
    Healthy,
    Failed,
    RolledBack,
    Unreachable,
}

impl HostState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Staging => "staging",
            Self::Staged => "staged",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Activating => "activating",
            Self::Checking => "checking",
            Self::Healthy => "healthy",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What a host runs of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Running {
    /// Not known: the agent has not said yet.
    #[default]
    Unknown,
    Nothing,
    Release {
        digest: Digest,
        healthy: bool,
    },
}

impl Running {
    pub const fn digest(&self) -> Option<Digest> {
        match self {
            Self::Release { digest, .. } => Some(*digest),
            Self::Unknown | Self::Nothing => None,
        }
    }
    pub(super) fn is_healthy_on(&self, wanted: Digest) -> bool {
        matches!(self, Self::Release { digest, healthy: true } if *digest == wanted)
    }
}

/// The order the host has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub enum Order {
    Stage { digest: Digest },
    Prepare { digest: Digest },
    Activate { digest: Digest },
    Restore { digest: Digest },
    Deactivate,
}

impl Order {
    pub(super) const fn digest(self) -> Option<Digest> {
        match self {
            Self::Stage { digest }
            | Self::Prepare { digest }
            | Self::Activate { digest }
            | Self::Restore { digest } => Some(digest),
            Self::Deactivate => None,
        }
    }
}

/// A canary whose agent is away no longer than this is as well as it was: its server was gone, and another took over. Beyond it
/// the canary is watched for the whole time again.
pub(super) const MOMENT_MS: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub state: HostState,
    pub canary: bool,
    /// What it ran before this deploy touched it.
    pub before: Running,
    pub observed: Running,
    /// An activation was ordered, so the host may have changed.
    pub touched: bool,
    /// By an order of this deploy a second process may stand there, which has to end with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// It is taken to keep the wanted release warm, so its flip waits for nothing; where that is not so, it takes the long way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warm: bool,
    /// It answered the order to go back. What it was seen to run earlier is no proof: an activation may still have been
    /// under way.
    pub restored: bool,
    /// Since when its agent is away.
    pub lost_at: Option<Timestamp>,
    pub order: Option<Order>,
    /// When an unanswered order counts as failed.
    pub deadline: Option<Timestamp>,
    /// Orders of the same sort that failed.
    pub failures: u32,
    pub message: Option<String>,
    pub updated_at: Timestamp,
}

impl Host {
    pub fn new(name: impl Into<String>, running: Option<Running>, now: Timestamp) -> Self {
        let observed = running.unwrap_or(Running::Unknown);
        Self {
            name: name.into(),
            state: HostState::Waiting,
            canary: false,
            before: observed,
            observed,
            touched: false,
            beside: false,
            warm: false,
            restored: false,
            lost_at: if running.is_none() { Some(now) } else { None },
            order: None,
            deadline: None,
            failures: 0,
            message: None,
            updated_at: now,
        }
    }
    /// It holds the artifact and has not been told to flip.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, HostState::Staged | HostState::Preparing | HostState::Prepared)
    }
    pub(super) const fn is_bad(&self) -> bool {
        matches!(self.state, HostState::Failed | HostState::Unreachable)
    }
    /// Its agent has been away for longer than a moment.
    pub(super) fn is_long_away(&self, now: Timestamp) -> bool {
        self.lost_at.is_some_and(|at| now >= at.plus_ms(MOMENT_MS))
    }
    /// Its agent being away still makes a difference.
    pub(super) const fn may_be_lost(&self) -> bool {
        !matches!(self.state, HostState::Unreachable | HostState::Failed | HostState::RolledBack)
    }
    /// Takes in what the host says it runs; before the deploy touched it, that is also what it goes back to.
    pub(super) fn see(&mut self, running: Running) {
        self.observed = running;
        if !self.touched && running != Running::Unknown {
            self.before = running;
        }
    }
    pub(super) fn set(&mut self, state: HostState, message: Option<String>, now: Timestamp) {
        if self.state != state || message.is_some() {
            self.updated_at = now;
        }
        self.state = state;
        self.message = message;
    }
    pub(super) fn settle(&mut self) {
        self.order = None;
        self.deadline = None;
    }
    /// Back to before it was activated: the same digest on the host, or nothing where there was nothing.
    pub(super) fn is_back(&self) -> bool {
        self.restored
            && match (self.before, self.observed) {
                (Running::Nothing, Running::Nothing) => true,
                (Running::Release { digest, .. }, observed) => observed.is_healthy_on(digest),
                _ => false,
            }
    }
}

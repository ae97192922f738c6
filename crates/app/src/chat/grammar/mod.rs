//! The one grammar of chat, console and command line: a line of words in, a command out. Pure.
//!
//! A line is a verb, words and `--flag value`; quotes keep words together. There is no regular expression and no guessing:
//! what is not understood gets one sentence that says what would be.

mod flag_changes;
mod flag_lists;
mod flags;
mod lexer;
mod mutes;
mod oncall;
mod parse;
mod queue;
mod ship;
mod verbs;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use tenfold_flags::Share;

pub use flag_changes::{Decision, FlagChange, HOLD_MS, Planned, RAMP_PERCENTS, When, parse_steps, parse_when};
pub use flag_lists::FlagShared;
pub use flags::{
    FlagFields, parse_context, parse_drill_ms, parse_expiry, parse_kind, parse_lifetime, parse_value_type,
};
pub use mutes::{MuteAsk, MuteEnd};
pub use oncall::{OnCall, PREVIEW_MS_MAX, Part, parse_part};
pub use parse::{
    DURATION_MS_MAX, DURATION_MS_MIN, TEXT_CHARS_MAX, parse, parse_matchers, parse_span_ms, parse_span_within,
};
pub use queue::QueueAsk;
pub use ship::{DeployWord, LockHow};
pub use verbs::{VERBS, Verb, help, verb};

/// What a command without an environment means.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// What is asked of a train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainAsk {
    Show,
    Graphs,
    Say(crate::deploys::views::TrainWord),
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Deploy {
        service: String,
        reference: Option<String>,
        environment: String,
        /// Why windows, freezes, locks and pins are passed over.
        override_reason: Option<String>,
    },
    /// What a deploy would do, stage by stage.
    DeployDryRun {
        service: String,
        reference: Option<String>,
        environment: String,
    },
    Deploys {
        service: Option<String>,
        environment: Option<String>,
        state: Option<String>,
        /// Login of who asked for them.
        by: Option<String>,
    },
    DeployShow {
        number: i64,
    },
    DeployLog {
        number: i64,
        host: Option<String>,
    },
    DeployMove {
        number: i64,
        word: DeployWord,
        reason: Option<String>,
    },
    RollForward {
        service: String,
        reference: Option<String>,
        environment: String,
        reason: Option<String>,
        /// The same commits may go once more.
        again: bool,
    },
    RollbackService {
        service: String,
        environment: String,
        reason: Option<String>,
    },
    RollbackDeploy {
        number: i64,
        reason: Option<String>,
    },
    Status,
    Next {
        service: String,
        environment: String,
    },
    FlagList {
        environment: String,
    },
    FlagSwitch {
        key: String,
        enabled: bool,
        environment: String,
        reason: Option<String>,
    },
    FlagShow {
        key: String,
    },
    FlagCreate {
        key: String,
        fields: FlagFields,
    },
    FlagSet {
        key: String,
        fields: FlagFields,
    },
    FlagArchive {
        key: String,
    },
    /// What somebody with this context gets, and why.
    FlagPreview {
        key: String,
        environment: String,
        context: Map<String, Value>,
    },
    FlagRollout {
        key: String,
        percent: Share,
        environment: String,
    },
    /// Ramps, scheduled changes, change requests.
    FlagChange(FlagChange),
    /// Groups of people, segments, ramp plans.
    FlagShared(FlagShared),
    /// Of an incident's alerts and pages, of the alert with this fingerprint, or of a page.
    Why {
        of: String,
    },
    /// What keeps an alert with these labels quiet, or why it would not page a person.
    WhyNot {
        labels: String,
        person: Option<String>,
    },
    Simulate {
        labels: String,
    },
    /// The newest values of an expression of PromQL.
    Query {
        expr: String,
    },
    /// Those that go on, or those of a state or service.
    Alerts {
        state: Option<String>,
        service: Option<String>,
    },
    AlertShow {
        fingerprint: String,
    },
    /// One played as it would page now, or all.
    Policies {
        name: Option<String>,
    },
    /// One, or those that are not well.
    Checks {
        name: Option<String>,
    },
    /// Of one job, or of all.
    Permit {
        job: Option<String>,
    },
    FlagDrill {
        key: String,
        /// `None` ends the drill that runs.
        for_ms: Option<i64>,
        environment: String,
    },
    FlagMine,
    FlagChoose {
        key: String,
        choice: Option<tenfold_flags::Choice>,
    },
    FlagContingency {
        environment: String,
    },
    FlagHistory {
        key: String,
    },
    FlagRevert {
        key: String,
        seq: i64,
    },
    FlagStale,
    Acknowledge {
        incident: i64,
        for_ms: Option<i64>,
    },
    /// The next step is asked at once.
    Escalate {
        incident: i64,
    },
    HandOver {
        incident: i64,
        /// Login.
        person: String,
        /// What they should know.
        text: Option<String>,
    },
    Resolve {
        incident: i64,
    },
    /// What an incident's pages were for.
    Classify {
        incident: i64,
        kind: String,
    },
    Noise(NoiseWord),
    IncidentOpen {
        title: String,
        service: Option<String>,
        severity: IncidentSeverity,
        drill: bool,
    },
    IncidentShow {
        incident: i64,
    },
    /// How a drill went.
    IncidentScore {
        incident: i64,
    },
    Note {
        incident: i64,
        text: String,
    },
    Who {
        of: Option<String>,
    },
    Take {
        schedule: String,
        for_ms: i64,
    },
    OnCall(OnCall),
    Mute(MuteAsk),
    /// Those that hold or will, or with those that are over.
    Mutes {
        all: bool,
    },
    Unmute {
        number: i64,
    },
    Approve {
        number: i64,
    },
    /// Without a word it tells of the train; `graphs` shows what is to be looked at.
    Train {
        service: String,
        environment: String,
        word: TrainAsk,
        reason: Option<String>,
    },
    /// Who waits for a place, or for any.
    Queue {
        service: Option<String>,
        environment: String,
        ask: QueueAsk,
        reason: Option<String>,
    },
    Lock {
        service: String,
        environment: String,
        reason: String,
        for_ms: i64,
        how: LockHow,
    },
    Unlock {
        service: String,
        environment: String,
    },
    Doing {
        text: String,
    },
    Help {
        verb: Option<&'static Verb>,
    },
    /// Binds a chat identity to an account; only ever said to the bot alone.
    Link {
        code: String,
    },
}

/// True when a line may be meant for us: its first word is a verb, or near one.
pub fn concerns(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or("").to_lowercase();
    verbs::verb(&word).is_some() || verbs::instead(&word).is_some()
}

/// What is asked about noise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoiseWord {
    /// What rules cost of late.
    Report,
    /// Quieter ones, tried on the past.
    Draft {
        rule: String,
    },
    /// Puts a draft into force, by its words or by its place in the list, from 1.
    Put {
        rule: String,
        change: String,
    },
    Undo {
        file: String,
    },
}

/// How bad an incident opened by hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentSeverity {
    Critical,
    Warning,
}

impl IncidentSeverity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

impl Command {
    /// The verb this is an instance of.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Deploy { .. } | Self::DeployDryRun { .. } => "deploy",
            Self::Deploys { .. } | Self::DeployShow { .. } => "deploys",
            Self::DeployLog { .. } => "log",
            Self::DeployMove { word, .. } => word.verb(),
            Self::RollbackService { .. } | Self::RollbackDeploy { .. } => "rollback",
            Self::RollForward { .. } => "rollforward",
            Self::Status => "status",
            Self::Next { .. } => "next",
            Self::FlagList { .. }
            | Self::FlagSwitch { .. }
            | Self::FlagRollout { .. }
            | Self::FlagShow { .. }
            | Self::FlagCreate { .. }
            | Self::FlagSet { .. }
            | Self::FlagArchive { .. }
            | Self::FlagPreview { .. }
            | Self::FlagChange(_)
            | Self::FlagShared(_)
            | Self::FlagDrill { .. }
            | Self::FlagMine
            | Self::FlagChoose { .. }
            | Self::FlagContingency { .. }
            | Self::FlagHistory { .. }
            | Self::FlagRevert { .. }
            | Self::FlagStale => "flag",
            Self::Why { .. } => "why",
            Self::WhyNot { .. } => "why-not",
            Self::Simulate { .. } => "simulate",
            Self::Query { .. } => "query",
            Self::Alerts { .. } | Self::AlertShow { .. } => "alerts",
            Self::Policies { .. } => "policies",
            Self::Checks { .. } => "checks",
            Self::Permit { .. } => "permit",
            Self::Acknowledge { .. } => "ack",
            Self::Escalate { .. } => "escalate",
            Self::HandOver { .. } => "handover",
            Self::Resolve { .. } => "resolve",
            Self::Classify { .. } => "classify",
            Self::Noise(_) => "noise",
            Self::IncidentOpen { .. } | Self::IncidentShow { .. } | Self::IncidentScore { .. } => "incident",
            Self::Note { .. } => "note",
            Self::Who { .. } => "who",
            Self::Take { .. } => "take",
            Self::OnCall(_) => "oncall",
            Self::Mute(_) => "mute",
            Self::Mutes { .. } => "mutes",
            Self::Unmute { .. } => "unmute",
            Self::Approve { .. } => "approve",
            Self::Train { .. } => "train",
            Self::Queue { .. } => "queue",
            Self::Lock { .. } => "lock",
            Self::Unlock { .. } => "unlock",
            Self::Doing { .. } => "doing",
            Self::Help { .. } => "help",
            Self::Link { .. } => "link",
        }
    }

    /// True when it only reads, so that whoever may read the room may run it. A query is not among them: it reads whatever
    /// series it likes and takes as long as it likes, which is for people with an account.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::Next { .. }
                | Self::Queue { ask: QueueAsk::Show, .. }
                | Self::DeployDryRun { .. }
                | Self::Deploys { .. }
                | Self::DeployShow { .. }
                | Self::FlagList { .. }
                | Self::FlagShow { .. }
                | Self::FlagPreview { .. }
                | Self::FlagChange(FlagChange::Schedules | FlagChange::Requests)
                | Self::FlagShared(FlagShared::Segments | FlagShared::Plans)
                | Self::FlagContingency { .. }
                | Self::FlagHistory { .. }
                | Self::FlagStale
                | Self::Permit { .. }
                | Self::Why { .. }
                | Self::WhyNot { .. }
                | Self::Simulate { .. }
                | Self::IncidentShow { .. }
                | Self::IncidentScore { .. }
                | Self::Alerts { .. }
                | Self::AlertShow { .. }
                | Self::Policies { .. }
                | Self::Checks { .. }
                | Self::Mutes { .. }
                | Self::Who { .. }
                | Self::OnCall(OnCall::Preview { .. } | OnCall::Swaps)
                | Self::Help { .. }
        )
    }
}
